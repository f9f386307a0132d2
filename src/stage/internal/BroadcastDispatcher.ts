/**
 * Each event to every consumer. See `Dispatcher.broadcast`.
 *
 * @since 0.1.0
 */
import type { ConsumerId, ConsumerOptions, Delivery, Dispatched, Dispatcher, Dispatching, Step } from "../Dispatcher.ts"
import * as Demands from "./Demands.ts"

interface Listener<E> extends Demands.Demand {
  readonly selector: ((event: E) => boolean) | undefined
}

class BroadcastState<E> implements Dispatching<E> {
  readonly held = 0
  readonly tickAfterMillis = undefined
  readonly wanted: number
  private readonly listeners: ReadonlyArray<Listener<E>>

  constructor(listeners: ReadonlyArray<Listener<E>>) {
    this.listeners = listeners
    this.wanted = Demands.smallest(listeners)
  }

  subscribe(id: ConsumerId, { selector }: ConsumerOptions<E>): Dispatching<E> {
    return new BroadcastState([...this.listeners, { id, demand: 0, selector }])
  }

  ask(id: ConsumerId, count: number): Step<E> {
    return Demands.step(new BroadcastState(Demands.add(this.listeners, id, count)))
  }

  cancel(id: ConsumerId): Dispatching<E> {
    return new BroadcastState(Demands.without(this.listeners, id))
  }

  dispatch(events: ReadonlyArray<E>): Dispatched<E> {
    const demands = this.listeners.map(({ demand }) => demand)
    const parts = this.listeners.map((): Array<ReadonlyArray<E>> => [])
    let at = 0
    // What selectors leave out costs no demand: there may be room for more than the smallest demand was at first.
    for (let room = this.wanted; room > 0 && at < events.length; room = Math.min(...demands)) {
      const chunk = events.slice(at, at + room)
      at += chunk.length
      this.listeners.forEach(({ selector }, index) => {
        const chosen = selector === undefined ? chunk : chunk.filter(selector)
        if (chosen.length === 0) return
        demands[index]! -= chosen.length
        parts[index]!.push(chosen)
      })
    }
    if (at === 0) return { next: this, deliveries: Demands.none, leftover: events, discarded: 0 }
    const deliveries: Array<Delivery<E>> = []
    this.listeners.forEach(({ id }, index) => {
      const own = parts[index]!
      if (own.length > 0) deliveries.push({ consumer: id, events: own.length === 1 ? own[0]! : own.flat() as Array<E> })
    })
    const next = new BroadcastState(
      this.listeners.map((listener, index) => ({ ...listener, demand: demands[index]! }))
    )
    return { next, deliveries, leftover: at === events.length ? Demands.none : events.slice(at), discarded: 0 }
  }

  tick(): Dispatching<E> {
    return this
  }
}

export const make = <E>(): Dispatcher<E> => ({ name: "broadcast", begin: () => new BroadcastState<E>([]) })
