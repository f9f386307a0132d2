/**
 * A scheduler that a seed drives: it collects the tasks of all fibers and decides which of them goes on next.
 *
 * Guarantees: the same seed and the same program give the same order, task by task. Tasks of one fiber (of one
 * dispatcher) keep their order at equal priority, which Effect promises and its own modules rely on; tasks of different
 * fibers come in any order. The seed also chooses how deep processes may resume one another directly (not at all, or as
 * deep as in production), and how often a fiber is made to yield in the middle of its work, as a long computation would
 * be in production.
 *
 * It also knows when nothing is left to do ({@link SeededScheduler.onIdle}), which real schedulers do not tell.
 *
 * Refuses: to make callbacks of the outside world (sockets, promises, live timers) deterministic. What they schedule is
 * ordered by the seed from then on.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

/** How many tasks one turn of the event loop may run. */
const burst = 1024

/** How many consumed entries a queue keeps before it copies the rest. */
const keep = 1024

/** The tasks of one dispatcher, by priority. */
class Lane {
  private readonly buckets: Array<{ readonly priority: number; readonly tasks: Array<() => void>; head: number }> = []
  length = 0

  push(task: () => void, priority: number): void {
    this.length++
    let index = this.buckets.length
    while (index > 0 && this.buckets[index - 1]!.priority > priority) index--
    const before = this.buckets[index - 1]
    if (before?.priority === priority) before.tasks.push(task)
    else this.buckets.splice(index, 0, { priority, tasks: [task], head: 0 })
  }

  shift(): () => void {
    this.length--
    const first = this.buckets[0]!
    const task = first.tasks[first.head++]!
    if (first.head === first.tasks.length) this.buckets.shift()
    return task
  }
}

/**
 * A stream of numbers from 0 to below 1 that only depends on its seed.
 *
 * @category random
 * @since 0.1.0
 */
export const chance = (seed: number): () => number => {
  // A counter through an avalanche of shifts and multiplications: short, and good enough to choose among tasks.
  let counter = Math.imul(seed | 0, 0x2545f491) ^ 0x6b43a9b5
  return () => {
    counter = (counter + 0x61c88647) | 0
    let mixed = counter
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0x0c2b2ae3)
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
  }
}

/** Somebody who waits for the scheduler to have nothing to do. */
interface IdleWaiter {
  readonly listener: (idle: boolean) => void
  /** The number of tasks at which the wait is given up. */
  readonly limit: number
}

/** How often a fiber is made to yield, per operation. */
const yieldRates = [0, 1 / 128, 1 / 12]

/**
 * The scheduler.
 *
 * @category models
 * @since 0.1.0
 */
export class SeededScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  /** What chooses; undefined when tasks take turns. */
  readonly seed: number | undefined
  /** How deep processes may resume one another directly; undefined for what is used in production. */
  readonly maxInlineDepth: number | undefined
  /** The run queue of a node leaves the order of its work to this scheduler. */
  readonly permutes: boolean
  /** Tasks that were run so far. */
  ran = 0
  private readonly draw: () => number
  private readonly rate: number
  /** The rate in force: none until {@link begin}. */
  private yieldRate = 0
  private readonly host: Scheduler.SchedulerDispatcher = new Scheduler.MixedScheduler("async").makeDispatcher()
  private ready: Array<Lane> = []
  private head = 0
  private armed = false
  private readonly idle: Array<IdleWaiter> = []

  /** Without a seed, dispatchers take turns in the order in which they had something to do. */
  constructor(seed?: number) {
    this.seed = seed
    this.permutes = seed !== undefined
    this.draw = chance(seed ?? 0)
    this.maxInlineDepth = seed === undefined ? undefined : this.draw() < 0.5 ? 0 : 16
    this.rate = seed === undefined ? 0 : yieldRates[Math.floor(this.draw() * yieldRates.length)]!
  }

  /**
   * An effect after which fibers may be made to yield, and after which nothing depends on what the fiber did before: how
   * Effect cuts the work of a fiber into operations depends on how many came before them.
   */
  readonly begin: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.makeDispatcher().scheduleTask(() => {
      this.yieldRate = this.rate
      resume(Effect.void)
    }, 0)
  })

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield) return true
    // Not before the first operation of a turn, where no other scheduler yields either: Effect takes a fiber that has not
    // started and yields in its interruption for one that is to be started, and the interruption is lost.
    return this.yieldRate > 0 && fiber.currentOpCount > 1 && this.draw() < this.yieldRate
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const lane = new Lane()
    return {
      scheduleTask: (task, priority) => {
        lane.push(task, priority)
        if (lane.length === 1) this.enqueue(lane)
      },
      flush: () => {
        while (lane.length > 0) this.run(lane)
      }
    }
  }

  /**
   * Calls a function once: with true when no task is left, later than whatever is ready now and whatever that makes ready;
   * with false when so many tasks have run and there are still more.
   */
  onIdle(listener: (idle: boolean) => void, tasks: number = Infinity): () => void {
    const waiter: IdleWaiter = { listener, limit: this.ran + tasks }
    this.idle.push(waiter)
    this.arm()
    return () => {
      const index = this.idle.indexOf(waiter)
      if (index >= 0) this.idle.splice(index, 1)
    }
  }

  private enqueue(lane: Lane): void {
    this.ready.push(lane)
    this.arm()
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    this.host.scheduleTask(this.pump, 0)
  }

  private readonly pump = (): void => {
    this.armed = false
    const lane = this.next()
    if (lane === undefined) {
      // A whole turn of the event loop after the last task: promises that were settled have had theirs.
      const waiter = this.idle.shift()
      if (this.idle.length > 0) this.arm()
      waiter?.listener(true)
      return
    }
    // Before any task runs, so that one that throws does not stop the rest.
    this.arm()
    this.turn(lane)
    for (let n = 1; n < burst; n++) {
      const more = this.next()
      if (more === undefined) return
      this.turn(more)
    }
    for (const waiter of this.idle.filter(({ limit }) => limit <= this.ran)) {
      this.idle.splice(this.idle.indexOf(waiter), 1)
      waiter.listener(false)
    }
  }

  /** Runs one task of a lane; the lane stands in line again when it has more. */
  private turn(lane: Lane): void {
    if (lane.length === 0) return // flushed meanwhile
    const task = lane.shift()
    if (lane.length > 0) this.ready.push(lane)
    this.ran++
    task()
  }

  private run(lane: Lane): void {
    this.ran++
    lane.shift()()
  }

  private next(): Lane | undefined {
    const { head, ready } = this
    const waiting = ready.length - head
    if (waiting === 0) {
      ready.length = 0
      this.head = 0
      return undefined
    }
    if (this.seed !== undefined) {
      const index = head + Math.floor(this.draw() * waiting)
      const lane = ready[index]!
      ready[index] = ready[head]!
      ready[head] = lane
    }
    const lane = ready[this.head++]!
    if (this.head > keep && this.head * 2 > ready.length) {
      this.ready = ready.slice(this.head)
      this.head = 0
    }
    return lane
  }
}
