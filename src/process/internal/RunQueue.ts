/**
 * The run queue of a node: who has work to do, in order, without growing the stack.
 *
 * Everything that would resume another fiber past a small depth goes through it: processes with messages, replies in
 * deep chains of calls, exit signals, link cascades. It drains in bursts of microtasks and gives the event loop a turn
 * (a macrotask) after each burst, so that sockets and timers are served however busy the processes are.
 *
 * Under a scheduler that is not Effect's default one (a test clock, a seeded scheduler), each piece of work is a task
 * of that scheduler, so that `TestClock.adjust` waits for it and a seed can permute it.
 *
 * This is the one file that may touch the host's microtasks and immediates.
 *
 * @since 0.1.0
 */
import * as Scheduler from "effect/Scheduler"

/** Something that can be run once it is its turn. */
export interface Runnable {
  run(): void
}

/** What a scheduler made for tests may say besides. */
interface Hints {
  /** How deep effects may resume one another directly; zero sends everything through the scheduler. */
  readonly maxInlineDepth?: number | undefined
  /** Whether the scheduler wants to choose the order of the work itself: each piece then gets a dispatcher of its own. */
  readonly permutes?: boolean
}

/** How many runnables, and messages that they handle, one burst of microtasks may have before the event loop gets a turn. */
const burst = 1024

/** How deep effects may resume one another directly before the queue takes over. */
const maxDepth = 16

/** @since 0.1.0 */
export class RunQueue {
  /** How many direct resumptions are on the stack right now. */
  depth = 0
  /** Beyond this depth, work is queued; zero queues always. */
  readonly maxDepth: number
  /** Called at the end of each burst. */
  afterBurst: () => void = () => {}
  private readonly dispatcherOf: (() => Scheduler.SchedulerDispatcher) | undefined
  private items: Array<Runnable> = []
  private head = 0
  private armed = false
  /** How much more work the burst may do. */
  private room = 0

  constructor(scheduler: Scheduler.Scheduler) {
    const isDefault = scheduler instanceof Scheduler.MixedScheduler && scheduler.executionMode === "async"
    const hints = scheduler as Hints // only schedulers for tests say more than others
    if (!isDefault) {
      const one = scheduler.makeDispatcher()
      this.dispatcherOf = hints.permutes === true ? () => scheduler.makeDispatcher() : () => one
    }
    this.maxDepth = hints.maxInlineDepth ?? maxDepth
  }

  /** Whether a direct resumption is allowed at the present depth. */
  get shallow(): boolean {
    return this.depth < this.maxDepth
  }

  /** Says that an item was more work than one: a process that handled many messages, each of which may be costly. */
  spend(work: number): void {
    this.room -= work
  }

  /** Has a function called when everything on the stack is done, before the event loop goes on. */
  afterStack(f: () => void): void {
    queueMicrotask(f)
  }

  /** Whether work is done in bursts, at whose end {@link afterBurst} is called. */
  get bursts(): boolean {
    return this.dispatcherOf === undefined
  }

  /** Sees to it that a burst comes, even if there is nothing to run in it. */
  arm(): void {
    if (this.armed) return
    this.armed = true
    queueMicrotask(this.drain)
  }

  push(item: Runnable): void {
    if (this.dispatcherOf !== undefined) {
      this.dispatcherOf().scheduleTask(() => item.run(), 0)
      return
    }
    this.items.push(item)
    if (!this.armed) this.arm()
  }

  private readonly drain = (): void => {
    // What throws here is an observer that user code put on a fiber. It must not stop the rest of the node.
    let whole = false
    // oxlint-disable-next-line effect-otp/no-try -- the error goes on to the host as it came
    try {
      this.burst()
      this.afterBurst()
      whole = true
    } finally {
      if (!whole) {
        this.depth = 0
        setImmediate(this.drain)
      }
    }
  }

  private burst(): void {
    const items = this.items
    // Work that a burst adds belongs to it as long as it has room: a chain of wake-ups stays in one turn.
    for (this.room = burst; this.room > 0 && this.head < items.length; this.room--) {
      const item = items[this.head++]!
      this.depth = 1
      item.run()
      this.depth = 0
    }
    if (this.head === items.length) {
      items.length = 0
      this.head = 0
      this.armed = false
      return
    }
    this.items = items.slice(this.head)
    this.head = 0
    setImmediate(this.drain)
  }
}
