/**
 * The buffer of a producer: events that nobody has asked for yet, and markers that keep their place among them.
 *
 * Holds a bounded number of events. When it is full it keeps either the oldest (`first`) or the newest (`last`), and
 * counts what it drops. Markers are no events: they are never dropped, do not count, and come out when everything that
 * was put in before them is gone, delivered or dropped.
 *
 * @since 0.1.0
 */

/**
 * Which events a full buffer keeps: the `first` that came, or the `last`.
 *
 * @category models
 * @since 0.1.0
 */
export type Keep = "first" | "last"

/**
 * How many events a buffer holds unless it is told otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultCapacity = 10_000

/** A marker, and how many events have to leave before it. */
interface Marker<M> {
  readonly position: number
  readonly value: M
}

/**
 * A bounded queue of events with markers among them.
 *
 * @category models
 * @since 0.1.0
 */
export class EventBuffer<E, M> {
  readonly capacity: number
  readonly keep: Keep
  /** How many events were dropped, ever. */
  dropped = 0
  private events: Array<E> = []
  private head = 0
  /** The number of events that have left, so that a position in the queue has a number of its own. */
  private left = 0
  private markers: Array<Marker<M>> = []

  constructor(capacity: number = defaultCapacity, keep: Keep = "last") {
    this.capacity = capacity
    this.keep = keep
  }

  /** How many events wait. */
  get length(): number {
    return this.events.length - this.head
  }

  /** Whether neither event nor marker waits. */
  get empty(): boolean {
    return this.length === 0 && this.markers.length === 0
  }

  /** Puts events behind the others; how many were dropped for want of room, of these or of older ones. */
  push(events: ReadonlyArray<E>): number {
    const excess = Math.max(0, this.length + events.length - this.capacity)
    const taken = excess > 0 && this.keep === "first" ? Math.max(0, events.length - excess) : events.length
    for (let i = 0; i < taken; i++) this.events.push(events[i]!)
    if (excess > 0 && this.keep === "last") this.forget(excess)
    this.dropped += excess
    return excess
  }

  /** Puts a marker behind all that waits. */
  mark(value: M): void {
    this.markers.push({ position: this.left + this.length, value })
  }

  /** Takes up to `count` events, oldest first, and none from behind a marker. */
  take(count: number): ReadonlyArray<E> {
    const until = this.markers[0]?.position ?? Infinity
    const size = Math.min(count, this.length, until - this.left)
    if (size <= 0) return []
    const out = this.events.slice(this.head, this.head + size)
    this.forget(size)
    return out
  }

  /** Puts events back in front that {@link EventBuffer.take} has just given. */
  restore(events: ReadonlyArray<E>): void {
    if (events.length === 0) return
    this.events = [...events, ...this.events.slice(this.head)]
    this.head = 0
    this.left -= events.length
  }

  /** Takes the marker before which nothing waits any more; undefined when there is none. */
  takeMarker(): { readonly value: M } | undefined {
    const first = this.markers[0]
    if (first === undefined || first.position > this.left) return undefined
    this.markers.shift()
    return first
  }

  private forget(count: number): void {
    this.head += count
    this.left += count
    if (this.head === this.events.length) {
      this.events = []
      this.head = 0
    } else if (this.head > 1024 && this.head * 2 > this.events.length) {
      this.events = this.events.slice(this.head)
      this.head = 0
    }
  }
}
