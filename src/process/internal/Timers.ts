/**
 * The timers of a node: call limits, `sendAfter`, idle and state timeouts, all in one place on Effect's clock.
 *
 * Timers of equal duration share a list in order of expiry, because that is the order in which they were armed; the
 * lists sit in a heap by their first expiry, and one fiber sleeps until the earliest. Arming and cancelling are O(1)
 * for a duration in use (a call limit, say), O(log n) for a new one, and a cancelled timer is retained by nothing.
 *
 * Guarantees: never early (the monotonic clock decides, and is asked again on waking), any length (also beyond 2^31 ms),
 * expiry in order, and under a test clock exactly when the clock is moved there.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RunQueue } from "./RunQueue.ts"

/** Something that waits for a time. Implemented by the waiting record itself, so that arming allocates nothing. */
export abstract class Timer {
  expiry = 0
  /** The duration of a timer that is to be armed at the end of the burst; 0 for any other. */
  awaited = 0
  list: TimerList | undefined = undefined
  earlier: Timer | undefined = undefined
  later: Timer | undefined = undefined

  /** Runs at expiry. It must not throw. */
  abstract fire(): void
}

class TimerList {
  readonly duration: number
  first: Timer | undefined = undefined
  last: Timer | undefined = undefined
  /** The expiry under which the list stands in the heap; it may be earlier than the first timer's. */
  key = 0
  /** Position in the heap, -1 when absent. */
  slot = -1

  constructor(duration: number) {
    this.duration = duration
  }
}

/** So many empty lists are kept in any case. */
const emptyMax = 64

/** @since 0.1.0 */
export class Timers {
  private readonly clock: Clock.Clock
  private readonly context: Context.Context<never>
  private readonly lists = new Map<number, TimerList>()
  private readonly heap: Array<TimerList> = []
  private sleeper: Fiber.Fiber<void> | undefined = undefined
  private sleepingUntil = Infinity
  /** Lists in the heap that hold no timer. */
  private empty = 0
  private closed = false

  private readonly runQueue: RunQueue
  /** Timers that were asked for in this burst. */
  private soon: Array<Timer> = []

  constructor(context: Context.Context<never>, runQueue: RunQueue) {
    this.context = context
    this.clock = Context.get(context, Clock.Clock)
    this.runQueue = runQueue
    runQueue.afterBurst = () => this.armSoon()
  }

  /** Milliseconds of the monotonic clock. */
  now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  /** Arms a timer that is not armed. `duration` in milliseconds; an infinite one is never armed. */
  arm(timer: Timer, duration: number): void {
    if (this.closed || duration === Infinity) return
    this.armAt(timer, duration, this.now())
  }

  private armAt(timer: Timer, duration: number, now: number): void {
    if (this.closed) return
    let list = this.lists.get(duration)
    if (list === undefined) this.lists.set(duration, list = new TimerList(duration))
    timer.expiry = now + duration
    timer.list = list
    timer.earlier = list.last
    if (list.last === undefined) list.first = timer
    else list.last.later = timer
    if (list.last === undefined && list.slot !== -1) this.empty--
    list.last = timer
    if (list.slot === -1) {
      list.key = timer.expiry
      list.slot = this.heap.length
      this.heap.push(list)
      this.up(list)
    }
    if (timer.expiry < this.sleepingUntil) this.sleep()
  }

  /**
   * Arms a timer at the end of the present burst of work. For limits of calls, most of which are answered before that and
   * then cost no look at the clock. It can only fire later than {@link arm} would have it, never earlier.
   */
  armAfterBurst(timer: Timer, duration: number): void {
    if (!this.runQueue.bursts || duration <= 0) return this.arm(timer, duration)
    if (duration === Infinity) return
    timer.awaited = duration
    this.soon.push(timer)
    this.runQueue.arm()
  }

  private armSoon(): void {
    if (this.soon.length === 0) return
    const { soon } = this
    this.soon = []
    const now = this.now()
    for (let i = 0; i < soon.length; i++) {
      const timer = soon[i]!
      const duration = timer.awaited
      if (duration === 0) continue
      timer.awaited = 0
      this.armAt(timer, duration, now)
    }
  }

  /** Disarms a timer; false when it was not armed. */
  cancel(timer: Timer): boolean {
    timer.awaited = 0
    const list = timer.list
    if (list === undefined) return false
    if (timer.earlier === undefined) list.first = timer.later
    else timer.earlier.later = timer.later
    if (timer.later === undefined) list.last = timer.earlier
    else timer.later.earlier = timer.earlier
    timer.list = timer.earlier = timer.later = undefined
    // An empty list stays until the sleeper finds it: a duration in use is armed again long before. Durations that come
    // once and not again must not pile up, though.
    if (list.first === undefined && ++this.empty > emptyMax && this.empty * 2 > this.heap.length) this.purge()
    return true
  }

  /** Takes the empty lists out of the heap. */
  private purge(): void {
    const lists = this.heap.splice(0)
    this.empty = 0
    for (const list of lists) {
      if (list.first === undefined) {
        list.slot = -1
        this.lists.delete(list.duration)
      } else {
        list.slot = this.heap.length
        this.heap.push(list)
        this.up(list)
      }
    }
  }

  /** How many durations are known, those in use and those about to be forgotten. */
  get durations(): number {
    return this.lists.size
  }

  /** Milliseconds until the timer fires; undefined when it is not armed. */
  remaining(timer: Timer): number | undefined {
    return timer.list === undefined ? undefined : Math.max(0, timer.expiry - this.now())
  }

  /** Stops the sleeping fiber. Armed timers never fire. */
  close(): void {
    this.closed = true
    this.sleeper?.interruptUnsafe()
    this.sleeper = undefined
  }

  private sleep(): void {
    const previous = this.sleeper
    this.sleeper = undefined
    previous?.interruptUnsafe()
    const next = this.heap[0]
    if (next === undefined || this.closed) {
      this.sleepingUntil = Infinity
      return
    }
    this.sleepingUntil = next.key
    const millis = Math.ceil(Math.max(0, next.key - this.now()))
    const sleeper = Effect.runForkWith(this.context)(
      Effect.flatMap(Effect.sleep(millis), () => Effect.sync(() => this.expire()))
    )
    // Under a test clock a sleep of nothing is over at once, and `expire` has put another sleeper into its place.
    if (sleeper.pollUnsafe() === undefined) this.sleeper = sleeper
  }

  private expire(): void {
    this.sleeper = undefined
    this.sleepingUntil = -Infinity // arming from within `fire` must not start a second sleeper
    const now = this.now()
    for (let list = this.heap[0]; list !== undefined && list.key <= now; list = this.heap[0]) {
      const timer = list.first
      if (timer === undefined) {
        this.removeFirst()
        this.lists.delete(list.duration)
        this.empty--
      } else if (timer.expiry > list.key) {
        // Its first timer comes later than the list stood for: others may come before it.
        list.key = timer.expiry
        this.down(list)
      } else {
        this.cancel(timer)
        timer.fire()
      }
    }
    this.sleep()
  }

  private removeFirst(): void {
    const last = this.heap.pop()!
    const first = this.heap[0]
    if (first !== undefined) {
      first.slot = -1
      this.heap[0] = last
      last.slot = 0
      this.down(last)
    } else {
      last.slot = -1
    }
  }

  private up(list: TimerList): void {
    let slot = list.slot
    while (slot > 0) {
      const above = (slot - 1) >> 1
      const other = this.heap[above]!
      if (other.key <= list.key) break
      this.heap[slot] = other
      other.slot = slot
      slot = above
    }
    this.heap[slot] = list
    list.slot = slot
  }

  private down(list: TimerList): void {
    let slot = list.slot
    for (;;) {
      let below = slot * 2 + 1
      if (below >= this.heap.length) break
      if (below + 1 < this.heap.length && this.heap[below + 1]!.key < this.heap[below]!.key) below++
      const other = this.heap[below]!
      if (other.key >= list.key) break
      this.heap[slot] = other
      other.slot = slot
      slot = below
    }
    this.heap[slot] = list
    list.slot = slot
  }
}
