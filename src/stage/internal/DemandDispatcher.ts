/**
 * Each event to the consumer that has asked for most. See `Dispatcher.demand`.
 *
 * @since 0.1.0
 */
import type {
  ConsumerId,
  ConsumerOptions,
  DemandOptions,
  Dispatched,
  Dispatcher,
  Dispatching,
  Refused,
  Step
} from "../Dispatcher.ts"
import * as Demands from "./Demands.ts"

class DemandState<E> implements Dispatching<E> {
  readonly held = 0
  readonly tickAfterMillis = undefined
  readonly wanted: number
  private readonly consumers: ReadonlyArray<Demands.Demand>
  private readonly options: DemandOptions
  /** What the consumers are mixed with before the first dispatch; undefined when that is done or not wanted. */
  private readonly seed: number | undefined

  constructor(consumers: ReadonlyArray<Demands.Demand>, options: DemandOptions, seed: number | undefined) {
    this.consumers = consumers
    this.options = options
    this.seed = seed
    this.wanted = Demands.total(consumers)
  }

  subscribe(id: ConsumerId, { maxDemand }: ConsumerOptions<E>): Dispatching<E> | Refused {
    const limit = this.options.maxDemand
    if (limit !== undefined && maxDemand !== undefined && maxDemand > limit) {
      return Demands.refused(`a demand of ${maxDemand} was announced, and the dispatcher allows ${limit}`)
    }
    return new DemandState([...this.consumers, { id, demand: 0 }], this.options, this.seed)
  }

  ask(id: ConsumerId, count: number): Step<E> | Refused {
    const consumers = Demands.add(this.consumers, id, count)
    const limit = this.options.maxDemand
    if (limit !== undefined) {
      const demand = consumers.find((consumer) => consumer.id === id)?.demand ?? 0
      if (demand > limit) return Demands.refused(`${demand} events were asked for, and the dispatcher allows ${limit}`)
    }
    return Demands.step(new DemandState<E>(consumers, this.options, this.seed))
  }

  cancel(id: ConsumerId): Dispatching<E> {
    return new DemandState(Demands.without(this.consumers, id), this.options, this.seed)
  }

  dispatch(events: ReadonlyArray<E>): Dispatched<E> {
    if (this.wanted === 0) return { next: this, deliveries: Demands.none, leftover: events, discarded: 0 }
    const mixed = this.seed === undefined ? this.consumers : shuffled(this.consumers, this.seed)
    const { consumers, deliveries, leftover } = Demands.serve(mixed, events)
    return { next: new DemandState(consumers, this.options, undefined), deliveries, leftover, discarded: 0 }
  }

  tick(): Dispatching<E> {
    return this
  }
}

/** A permutation by a seed. */
const shuffled = <A>(values: ReadonlyArray<A>, seed: number): ReadonlyArray<A> => {
  const out = [...values]
  let state = (seed >>> 0) || 1
  for (let i = out.length - 1; i > 0; i--) {
    // xorshift: enough to mix a handful of consumers
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const j = (state >>> 0) % (i + 1)
    const kept = out[i]!
    out[i] = out[j]!
    out[j] = kept
  }
  return out
}

export const make = <E>(options: DemandOptions): Dispatcher<E> => ({
  name: "demand",
  begin: (seed) => new DemandState([], options, options.shuffle === true ? seed : undefined)
})
