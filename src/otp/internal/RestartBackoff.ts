/**
 * Delays of restarts by a `Schedule`: one run of the schedule per child.
 *
 * Guarantees that a child has at most one delay under way, that a delay that was taken back never ends in a restart, and
 * that nothing is kept of a child its supervisor has forgotten.
 *
 * A run starts anew with the first attempt of a child. A schedule that is at its end keeps its last delay: giving up is
 * the business of the restart intensity. So does one that fails with a defect, which is logged.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Behaviour from "../../process/Behaviour.ts"
import type { ExitReason } from "../../process/ExitReason.ts"

/** What is to be delayed. `memory` stands for the child: its run of the schedule lives as long as it does. */
export interface Delay {
  readonly child: number
  readonly attempt: number
  readonly reason: ExitReason
  readonly memory: object
}

type Step = (now: number, reason: ExitReason) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/** A schedule in the middle of its way. */
interface Run {
  readonly step: Step
  lastMillis: number
}

/** A delay under way: while the schedule decides how long it is, and then while it passes. */
class Pending extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

/** @since 0.1.0 */
export class RestartBackoff {
  private readonly instance: Behaviour.Instance
  private readonly schedule: Schedule.Schedule<unknown, ExitReason>
  private readonly onRetry: (child: number) => void
  private readonly runs = new WeakMap<object, Run>()
  private readonly pending = new Map<number, Pending>()

  constructor(
    instance: Behaviour.Instance,
    schedule: Schedule.Schedule<unknown, ExitReason>,
    onRetry: (child: number) => void
  ) {
    this.instance = instance
    this.schedule = schedule
    this.onRetry = onRetry
  }

  /** Has `onRetry` called after the delay that the schedule says, instead of the one under way. */
  delay(delay: Delay, nowMillis: number): void {
    const { child } = delay
    const { instance } = this
    this.cancel(child)
    const pending = new Pending(() => {
      this.pending.delete(child)
      this.onRetry(child)
    })
    this.pending.set(child, pending)
    Effect.runForkWith(instance.node.context)(this.millis(delay, nowMillis)).addObserver((exit) => {
      // A schedule may take its time: the delay may have been taken back, or replaced.
      if (this.pending.get(child) === pending && Exit.isSuccess(exit)) {
        Behaviour.armTimer(instance, pending, exit.value)
      }
    })
  }

  /** Takes a delay back. */
  cancel(child: number): void {
    const pending = this.pending.get(child)
    if (pending === undefined) return
    this.pending.delete(child)
    Behaviour.cancelTimer(this.instance, pending)
  }

  /** Takes all delays back. */
  close(): void {
    for (const child of [...this.pending.keys()]) this.cancel(child)
  }

  private millis({ attempt, memory, reason }: Delay, nowMillis: number): Effect.Effect<number> {
    const known = attempt <= 1 ? undefined : this.runs.get(memory)
    const run = known === undefined
      ? Effect.map(Schedule.toStep(this.schedule), (step) => {
        const fresh: Run = { step, lastMillis: 0 }
        this.runs.set(memory, fresh)
        return fresh
      })
      : Effect.succeed(known)
    return Effect.flatMap(run, (run) =>
      Effect.matchCauseEffect(run.step(nowMillis, reason), {
        onFailure: (cause) =>
          Effect.as(
            Pull.isDoneCause(cause)
              ? Effect.void
              : Effect.logError("the back-off schedule of a supervisor failed", Cause.pretty(cause)),
            run.lastMillis
          ),
        onSuccess: ([, duration]) => Effect.sync(() => run.lastMillis = Duration.toMillis(duration))
      }))
  }
}
