/**
 * The pure core of the producing side of a stage: a dispatcher, the buffer before it, and the account of what its
 * producer has been asked for.
 *
 * There is one account for all dispatchers: `owed` is what the producer has been asked for and has not emitted. Whenever
 * the dispatcher wants more than that, the producer is asked for the difference. So demand is served from the buffer
 * first, the producer is asked only for the rest, and what a consumer asked for before it went is not asked for again.
 *
 * It does nothing by itself: every operation collects what is to be done, and {@link Outlet.flush} hands it over.
 *
 * @since 0.1.0
 */
import {
  type ConsumerId,
  type ConsumerOptions,
  type Delivery,
  type Dispatcher,
  type Dispatching,
  isRefused
} from "./Dispatcher.ts"
import { EventBuffer, type Keep } from "./EventBuffer.ts"

/**
 * What is to be done, in this order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Work<out E, out M> {
  readonly deliveries: ReadonlyArray<Delivery<E>>
  /** Markers whose turn has come. */
  readonly markers: ReadonlyArray<M>
  /** How many events the producer is to be asked for. */
  readonly demand: number
}

/**
 * Options of an outlet.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutletOptions<in out E> {
  readonly dispatcher: Dispatcher<E>
  /** How many events wait when nobody has asked for them; 10 000 by default. */
  readonly bufferSize?: number | undefined
  /** Which ones a full buffer keeps; the `last` by default. */
  readonly bufferKeep?: Keep | undefined
  /** Whether demand is passed on to the producer from the start; true by default. */
  readonly forward?: boolean | undefined
  /** What a dispatcher that mixes its consumers mixes them by. */
  readonly seed?: number | undefined
}

/**
 * The producing side of a stage: a state machine without I/O.
 *
 * @category models
 * @since 0.1.0
 */
export class Outlet<in out E, in out M> {
  readonly buffer: EventBuffer<E, M>
  /** What the producer has been asked for and has not emitted. */
  owed = 0
  /** How many events the dispatcher was told to discard. */
  discarded = 0
  private state: Dispatching<E>
  private forwarding: boolean
  private deliveries: Array<Delivery<E>> = []
  private markers: Array<M> = []
  private demand = 0

  constructor({ bufferKeep, bufferSize, dispatcher, forward = true, seed = 1 }: OutletOptions<E>) {
    this.buffer = new EventBuffer(bufferSize, bufferKeep)
    this.state = dispatcher.begin(seed)
    this.forwarding = forward
  }

  /** Whether somebody waits for events that there are not yet. */
  get hungry(): boolean {
    return this.state.wanted > 0 && this.buffer.length === 0
  }

  /** How many events wait: in the buffer, and in the dispatcher for consumers that have not asked for them. */
  get buffered(): number {
    return this.buffer.length + this.state.held
  }

  /** After how many milliseconds the dispatcher wants to be told that time has passed; undefined when it does not. */
  get tickAfterMillis(): number | undefined {
    return this.state.tickAfterMillis
  }

  /** A new consumer; why it is refused, or undefined. */
  subscribe(consumer: ConsumerId, options: ConsumerOptions<E>): string | undefined {
    const answer = this.state.subscribe(consumer, options)
    if (isRefused(answer)) return answer.reason
    this.state = answer
    // A consumer without demand holds a broadcast up, nothing more.
    return undefined
  }

  /** More demand of a consumer; why it is refused, or undefined. */
  ask(consumer: ConsumerId, count: number): string | undefined {
    const answer = this.state.ask(consumer, count)
    if (isRefused(answer)) return answer.reason
    this.state = answer.next
    this.deliveries.push(...answer.deliveries)
    this.settle()
    return undefined
  }

  /** The end of a subscription. */
  cancel(consumer: ConsumerId): void {
    this.state = this.state.cancel(consumer)
    // Of a broadcast the others may go on now.
    this.settle()
  }

  /** The producer has made events. How many were dropped, because the buffer is full. */
  emit(events: ReadonlyArray<E>): number {
    if (events.length === 0) return 0
    this.owed = Math.max(0, this.owed - events.length)
    const dropped = this.buffer.push(this.buffer.empty ? this.dispatch(events) : events)
    this.settle()
    return dropped
  }

  /** A marker, which comes out when all events before it have been delivered or dropped. */
  mark(marker: M): void {
    this.buffer.mark(marker)
    this.settle()
  }

  /** Passes demand on to the producer, or keeps it back until it is to be passed on again. */
  forward(forwarding: boolean): void {
    this.forwarding = forwarding
    this.settle()
  }

  /** Time has passed. */
  tick(): void {
    this.state = this.state.tick()
    this.settle()
  }

  /** What is to be done since the last time; undefined when there is nothing. */
  flush(): Work<E, M> | undefined {
    const { deliveries, demand, markers } = this
    if (deliveries.length === 0 && demand === 0 && markers.length === 0) return undefined
    this.deliveries = []
    this.markers = []
    this.demand = 0
    return { deliveries, markers, demand }
  }

  /** Hands events to the dispatcher; those that it gives back. */
  private dispatch(events: ReadonlyArray<E>): ReadonlyArray<E> {
    const { deliveries, discarded, leftover, next } = this.state.dispatch(events)
    this.state = next
    this.discarded += discarded
    this.deliveries.push(...deliveries)
    return leftover
  }

  private settle(): void {
    const { buffer } = this
    while (!buffer.empty) {
      const events = buffer.take(this.state.wanted)
      if (events.length > 0) {
        buffer.restore(this.dispatch(events))
        continue
      }
      // What the dispatcher keeps for somebody came before the marker.
      const marker = this.state.held === 0 ? buffer.takeMarker() : undefined
      if (marker === undefined) break
      this.markers.push(marker.value)
    }
    const more = this.state.wanted - this.owed
    if (this.forwarding && more > 0) {
      this.demand += more
      this.owed += more
    }
  }
}
