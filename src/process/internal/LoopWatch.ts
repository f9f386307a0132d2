/**
 * Finds the process that holds up the event loop.
 *
 * Ten times per second it looks whether it was woken in time. While that is so, nothing else happens. Once the loop was
 * held up it takes a closer look for a while: it notes which process gets its turn when, so that the next time it can name
 * the one that took too long.
 *
 * It cannot interrupt synchronous code, nobody can: what it says comes when the loop is free again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import type { LocalProcess } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"

/** How often it looks, in milliseconds. */
const lookMillis = 100
/** So long in one turn is too long. */
export const hogMillis = 100
/** How long the closer look lasts after the loop was held up. */
const closeMillis = 30_000
/** A process is named once in so long. */
const againMillis = 10_000

/** @since 0.1.0 */
export class LoopWatch {
  /** The scheduler of processes that are to be found. */
  readonly scheduler: Scheduler.Scheduler
  private readonly node: NodeRuntime
  private close: (() => void) | undefined = undefined
  private closeUntil = 0
  private process: LocalProcess | undefined = undefined
  private since = 0
  private inTurn = false
  private found = false
  private readonly named: Map<string, number> = new Map()

  constructor(node: NodeRuntime) {
    this.node = node
    this.scheduler = new WatchScheduler((fiber) => this.enter(this.node.processOf(fiber)))
  }

  /** Looks for as long as it runs. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.suspend(() => {
      const due = this.now() + lookMillis
      return Effect.andThen(Effect.sleep(lookMillis), Effect.sync(() => this.look(this.now() - due)))
    })
  )

  private now(): number {
    return this.node.timers.now()
  }

  private look(late: number): void {
    const now = this.now()
    if (late >= hogMillis) {
      this.closeUntil = now + closeMillis
      if (this.close === undefined) this.open()
      else if (!this.found) this.tell(undefined, late, now)
      this.found = false
    } else if (this.close !== undefined && now > this.closeUntil) {
      this.close()
      this.close = undefined
    }
  }

  /** Begins the closer look. */
  private open(): void {
    const { node } = this
    const stop = node.addTracer((event) => {
      if (event._tag === "Message") this.enter(node.resolve(event.pid))
    })
    ;(this.scheduler as WatchScheduler).close = true
    this.close = () => {
      stop()
      ;(this.scheduler as WatchScheduler).close = false
      this.named.clear()
    }
  }

  /** A process gets its turn. */
  private enter(process: LocalProcess | undefined): void {
    const now = this.now()
    if (!this.inTurn) {
      this.inTurn = true
      this.node.runQueue.afterStack(this.endOfTurn)
    }
    if (process === this.process) return
    this.judge(now)
    this.process = process
    this.since = now
  }

  private readonly endOfTurn = (): void => {
    this.inTurn = false
    this.judge(this.now())
    this.process = undefined
  }

  private judge(now: number): void {
    const { process } = this
    if (process === undefined || now - this.since < hogMillis) return
    this.found = true
    this.tell(process, now - this.since, now)
  }

  private tell(process: LocalProcess | undefined, millis: number, now: number): void {
    const who = process === undefined
      ? "something that is no process (other code, a collection of garbage, a machine that is busy)"
      : `process ${process.displayName}`
    const before = this.named.get(who)
    if (before !== undefined && now - before < againMillis) return
    this.named.set(who, now)
    Effect.runForkWith(this.node.context)(
      Effect.logWarning(
        `${who} held up the event loop for ${
          Math.round(millis)
        } ms: meanwhile this node reads and sends nothing, and ` +
          "after a tick time the others take it for lost. Split the work, or move it to a worker thread"
      )
    )
  }
}

/** Effect's own scheduler, that also says whose turn it is while somebody wants to know. */
class WatchScheduler extends Scheduler.MixedScheduler {
  close = false
  private readonly enter: (fiber: Fiber.Fiber<unknown, unknown>) => void

  constructor(enter: (fiber: Fiber.Fiber<unknown, unknown>) => void) {
    super("async")
    this.enter = enter
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (this.close) this.enter(fiber)
    return super.shouldYield(fiber)
  }
}
