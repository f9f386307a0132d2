/**
 * Another dispatcher with at most so many events per interval. See `Dispatcher.rateLimited`.
 *
 * @since 0.1.0
 */
import type {
  ConsumerId,
  ConsumerOptions,
  Dispatched,
  Dispatcher,
  Dispatching,
  RateOptions,
  Refused,
  Step
} from "../Dispatcher.ts"
import * as Demands from "./Demands.ts"

interface Rate {
  readonly limit: number
  readonly everyMillis: number
}

class RateLimitedState<E> implements Dispatching<E> {
  readonly wanted: number
  private readonly inner: Dispatching<E>
  private readonly rate: Rate
  /** How many events may go in this interval. */
  private readonly left: number

  constructor(inner: Dispatching<E>, rate: Rate, left: number) {
    this.inner = inner
    this.rate = rate
    this.left = left
    this.wanted = Math.min(left, inner.wanted)
  }

  get held(): number {
    return this.inner.held
  }

  get tickAfterMillis(): number | undefined {
    return this.left < this.rate.limit ? this.rate.everyMillis : undefined
  }

  subscribe(id: ConsumerId, options: ConsumerOptions<E>): Dispatching<E> | Refused {
    const answer = this.inner.subscribe(id, options)
    return Demands.isRefused(answer) ? answer : this.around(answer, this.left)
  }

  ask(id: ConsumerId, count: number): Step<E> | Refused {
    const answer = this.inner.ask(id, count)
    // What it had kept was counted when it came in.
    return Demands.isRefused(answer) ? answer : Demands.step(this.around(answer.next, this.left), answer.deliveries)
  }

  cancel(id: ConsumerId): Dispatching<E> {
    return this.around(this.inner.cancel(id), this.left)
  }

  dispatch(events: ReadonlyArray<E>): Dispatched<E> {
    if (this.wanted === 0) return { next: this, deliveries: Demands.none, leftover: events, discarded: 0 }
    const now = events.length <= this.left ? events : events.slice(0, this.left)
    const { deliveries, discarded, leftover, next } = this.inner.dispatch(now)
    const used = now.length - leftover.length
    return {
      next: this.around(next, this.left - used),
      deliveries,
      leftover: used === events.length ? Demands.none : events.slice(used),
      discarded
    }
  }

  tick(): Dispatching<E> {
    return this.around(this.inner.tick(), this.rate.limit)
  }

  private around(inner: Dispatching<E>, left: number): RateLimitedState<E> {
    return new RateLimitedState(inner, this.rate, left)
  }
}

export const make = <E>(dispatcher: Dispatcher<E>, { everyMillis = 1000, limit }: RateOptions): Dispatcher<E> => {
  if (!(limit >= 1) || !(everyMillis > 0)) {
    throw new Error(`a rate is at least 1 event per interval above 0 ms, and not ${limit} per ${everyMillis} ms`)
  }
  return {
    name: `${dispatcher.name}, at most ${limit} per ${everyMillis} ms`,
    begin: (seed) => new RateLimitedState(dispatcher.begin(seed), { limit, everyMillis }, limit)
  }
}
