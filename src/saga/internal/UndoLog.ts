/**
 * What a running saga would have to take back, and the one place where that is done.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schedule from "effect/Schedule"
import type { FailedCompensation } from "../SagaError.ts"

/** How a compensation is run. */
export interface Undo {
  readonly step: string
  /** Services were provided when the step ran. */
  readonly run: (cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown>
  readonly timeout: Duration.Input | undefined
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
}

/** Runs a compensation with its attempts; a failure is logged and handed back. It cannot be interrupted from outside. */
export const compensate = (
  saga: string,
  undo: Undo,
  cause: Cause.Cause<unknown>
): Effect.Effect<FailedCompensation | undefined> => {
  const attempt = Effect.suspend(() => undo.run(cause))
  // Only its own time limit can interrupt it: the region around it is uninterruptible.
  const limited: Effect.Effect<unknown, unknown> = undo.timeout === undefined
    ? attempt
    : Effect.timeout(Effect.interruptible(attempt), undo.timeout)
  const all = undo.retry === undefined
    ? limited
    : Effect.catch(Effect.retry(Effect.sandbox(limited), undo.retry), Effect.failCause)
  return Effect.uninterruptible(Effect.matchCauseEffect(all, {
    onSuccess: () => Effect.undefined,
    onFailure: (failure) =>
      Effect.as(
        Effect.logError(`saga ${saga}: the compensation of ${undo.step} failed; settle it by hand`, failure),
        { step: undo.step, cause: failure }
      )
  }))
}

/** The compensations of one run, in the order in which their steps were done. */
export class UndoLog {
  readonly saga: string
  private steps = 0
  private undos: Array<Undo> = []
  private ended: Exit.Exit<unknown, unknown> | undefined

  constructor(saga: string) {
    this.saga = saga
  }

  /** The name of the next step that has none. */
  nameOf(given: string | undefined): string {
    this.steps++
    return given ?? `step ${this.steps}`
  }

  /** A step that comes when the saga is over is a bug of whoever forked it: it must not run. */
  get open(): boolean {
    return this.ended === undefined
  }

  /** Remembers a compensation. When the saga has failed meanwhile, it runs at once. */
  add(undo: Undo): Effect.Effect<void> {
    if (this.ended === undefined) {
      this.undos.push(undo)
      return Effect.void
    }
    return Exit.isSuccess(this.ended)
      ? Effect.void
      : Effect.asVoid(compensate(this.saga, undo, this.ended.cause))
  }

  /** What is done up to here stays. */
  keep(): void {
    this.undos = []
  }

  /** The saga is over. After a failure everything is taken back, last step first; what failed to be is the result. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<Array<FailedCompensation>> {
    this.ended = exit
    if (Exit.isSuccess(exit)) return Effect.succeed([])
    const failures: Array<FailedCompensation> = []
    const { undos } = this
    this.undos = []
    return Effect.as(
      Effect.forEach(undos.reverse(), (undo) =>
        Effect.map(compensate(this.saga, undo, exit.cause), (failed) => {
          if (failed !== undefined) failures.push(failed)
        }), { discard: true }),
      failures
    )
  }
}

/** A failure with what could not be taken back in front of it, so that whoever catches sees that first. */
export const withFailures = <E, F>(
  cause: Cause.Cause<E>,
  error: F
): Cause.Cause<E | F> => Cause.fromReasons<E | F>([Cause.makeFailReason(error), ...cause.reasons])
