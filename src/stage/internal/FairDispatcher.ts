/**
 * Each event to one consumer, in proportion to weights. See `Dispatcher.fair`.
 *
 * Every consumer has a virtual time that goes on by `1 / weight` with each event it gets; the next event goes to the
 * earliest of those with demand.
 *
 * @since 0.1.0
 */
import type {
  ConsumerId,
  ConsumerOptions,
  Delivery,
  Dispatched,
  Dispatcher,
  Dispatching,
  Refused,
  Step
} from "../Dispatcher.ts"
import * as Demands from "./Demands.ts"

interface Sharer extends Demands.Demand {
  readonly weight: number
  readonly time: number
}

/** The virtual time of those who are being served; who joins them begins there. */
const timeOf = (sharers: ReadonlyArray<Sharer>): number => {
  let time = Infinity
  for (const sharer of sharers) if (sharer.demand > 0 && sharer.time < time) time = sharer.time
  return time === Infinity ? 0 : time
}

class FairState<E> implements Dispatching<E> {
  readonly held = 0
  readonly tickAfterMillis = undefined
  readonly wanted: number
  private readonly sharers: ReadonlyArray<Sharer>

  constructor(sharers: ReadonlyArray<Sharer>) {
    this.sharers = sharers
    this.wanted = Demands.total(sharers)
  }

  subscribe(id: ConsumerId, { weight = 1 }: ConsumerOptions<E>): Dispatching<E> | Refused {
    if (!(weight > 0 && Number.isFinite(weight))) return Demands.refused(`a weight is above 0, and not ${weight}`)
    return new FairState([...this.sharers, { id, demand: 0, weight, time: 0 }])
  }

  ask(id: ConsumerId, count: number): Step<E> {
    const now = timeOf(this.sharers)
    return Demands.step(
      new FairState(
        this.sharers.map((sharer) =>
          sharer.id !== id ? sharer : {
            ...sharer,
            demand: sharer.demand + count,
            time: sharer.demand === 0 ? Math.max(sharer.time, now) : sharer.time
          }
        )
      )
    )
  }

  cancel(id: ConsumerId): Dispatching<E> {
    return new FairState(Demands.without(this.sharers, id))
  }

  dispatch(events: ReadonlyArray<E>): Dispatched<E> {
    if (this.wanted === 0) return { next: this, deliveries: Demands.none, leftover: events, discarded: 0 }
    const demands = this.sharers.map(({ demand }) => demand)
    const times = this.sharers.map(({ time }) => time)
    const parts = this.sharers.map((): Array<E> => [])
    const count = Math.min(this.wanted, events.length)
    for (let at = 0; at < count; at++) {
      let first = -1
      for (let i = 0; i < demands.length; i++) {
        if (demands[i]! > 0 && (first < 0 || times[i]! < times[first]!)) first = i
      }
      parts[first]!.push(events[at]!)
      demands[first]!--
      times[first]! += 1 / this.sharers[first]!.weight
    }
    const deliveries: Array<Delivery<E>> = []
    parts.forEach((own, i) => {
      if (own.length > 0) deliveries.push({ consumer: this.sharers[i]!.id, events: own })
    })
    return {
      next: new FairState(this.sharers.map((sharer, i) => ({ ...sharer, demand: demands[i]!, time: times[i]! }))),
      deliveries,
      leftover: count === events.length ? Demands.none : events.slice(count),
      discarded: 0
    }
  }

  tick(): Dispatching<E> {
    return this
  }
}

export const make = <E>(): Dispatcher<E> => ({ name: "fair", begin: () => new FairState<E>([]) })
