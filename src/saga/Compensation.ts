/**
 * Steps with compensations, as Effects. See `Saga`, which exports all of this.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import { CurrentSteps as Steps, inMemory } from "./internal/Steps.ts"
import { UndoLog, withFailures } from "./internal/UndoLog.ts"
import { CompensationFailed } from "./SagaError.ts"
import type { CurrentSteps } from "./SagaStep.ts"

/**
 * The saga in which a step runs. {@link run} provides it.
 *
 * @category services
 * @since 0.1.0
 */
export interface CurrentSaga {
  readonly "~effect-otp/CurrentSaga": never
}

/** @internal */
export const CurrentSaga: Context.Service<CurrentSaga, UndoLog> = Context.Service<CurrentSaga, UndoLog>(
  "effect-otp/CurrentSaga"
)

/**
 * How a step is named and how its compensation is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface StepOptions {
  /** What errors and logs call it; `step` and its number by default. */
  readonly name?: string
  /** How long one attempt of the compensation may take; no limit by default. */
  readonly timeout?: Duration.Input
  /** When a compensation that fails, dies or takes too long is tried again; never by default. */
  readonly retry?: Schedule.Schedule<unknown, unknown>
}

const entered = <A, E, R>(
  options: StepOptions | undefined,
  body: (log: UndoLog, name: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | CurrentSaga> =>
  Effect.flatMap(CurrentSaga, (log) => {
    const name = log.nameOf(options?.name)
    return log.open ? body(log, name) : Effect.die(
      new Error(`saga ${log.saga}: ${name} comes when the saga is over; wait for the fibers that run its steps`)
    )
  })

/** A compensation with the services of the step. */
const undoOf = <R>(
  step: string,
  run: (cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown, R>,
  options: StepOptions | undefined,
  context: Context.Context<R>
) => ({
  step,
  run: (cause: Cause.Cause<unknown>) => Effect.provideContext(run(cause), context),
  timeout: options?.timeout,
  retry: options?.retry
})

/**
 * An effect that can be taken back. When it has succeeded and the saga fails later, or is interrupted, `compensate` runs with its
 * value and the cause of the failure, once.
 *
 * The effect is all or nothing: a failure is its word that it has done nothing, and an interruption waits until it is done, so that
 * nothing can come between the effect and the memory of its compensation. Use {@link attempt} for what takes long or leaves doubt.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Saga } from "effect-otp/saga"
 *
 * const seats: Array<string> = []
 *
 * const booking = Effect.gen(function*() {
 *   const seat = yield* Saga.step(
 *     Effect.sync(() => (seats.push("12A"), "12A")),
 *     () => Effect.sync(() => seats.pop())
 *   )
 *   return yield* Effect.fail(`no room for the owner of seat ${seat}`)
 * })
 *
 * await Effect.runPromise(Effect.flip(Saga.run(booking))) // => "no room for the owner of seat 12A"
 * seats.length // => 0
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const step = <A, E, R, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  compensate: (value: A, cause: Cause.Cause<unknown>) => Effect.Effect<unknown, E2, R2>,
  options?: StepOptions
): Effect.Effect<A, E, R | R2 | CurrentSaga> =>
  entered(options, (log, name) =>
    Effect.uninterruptible(
      Effect.contextWith((context: Context.Context<R2>) =>
        Effect.tap(effect, (value) => log.add(undoOf(name, (cause) => compensate(value, cause), options, context)))
      )
    ))

/**
 * An effect whose failure leaves doubt: a request whose answer was lost may have been granted. Its compensation is in place before
 * it begins, and gets its exit: a value, a failure, or an interruption. It may be interrupted while it runs.
 *
 * @category steps
 * @since 0.1.0
 */
export const attempt = <A, E, R, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  compensate: (exit: Exit.Exit<A, E>, cause: Cause.Cause<unknown>) => Effect.Effect<unknown, E2, R2>,
  options?: StepOptions
): Effect.Effect<A, E, R | R2 | CurrentSaga> =>
  entered(options, (log, name) =>
    Effect.contextWith((context: Context.Context<R2>) => {
      let outcome: Exit.Exit<A, E> = Exit.interrupt()
      return Effect.andThen(
        log.add(undoOf(name, (cause) => compensate(outcome, cause), options, context)),
        Effect.onExit(effect, (exit) => Effect.sync(() => outcome = exit))
      )
    }))

/**
 * The point of no return: what the saga has done up to here stays, whatever happens later.
 *
 * @category steps
 * @since 0.1.0
 */
export const pivot: Effect.Effect<void, never, CurrentSaga> = Effect.map(CurrentSaga, (log) => log.keep())

/**
 * Options of a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions {
  /** What errors and logs call the saga. */
  readonly name?: string
  /** What makes the keys of named steps unlike those of other runs; random by default. */
  readonly id?: string
}

const randomId: Effect.Effect<string> = Effect.map(
  Effect.all([Random.nextInt, Random.nextInt]),
  (words) => words.map((word) => Math.abs(word).toString(36)).join("")
)

/**
 * Runs an effect with steps as a saga. Steps stand wherever Effects do, one after the other or side by side. When the effect fails,
 * dies or is interrupted, the compensations of the steps that are done run in reverse order, each once; nothing interrupts them.
 *
 * When all of them succeed, the failure is what it was. When one fails, it is logged, the others run all the same, and the
 * run fails with `CompensationFailed` in front of the original failure, which it holds as well.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <A, E, R>(
  saga: Effect.Effect<A, E, R>,
  options?: RunOptions
): Effect.Effect<A, E | CompensationFailed, Exclude<R, CurrentSaga | CurrentSteps>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(options?.id === undefined ? randomId : Effect.succeed(options.id), (id) => {
      const log = new UndoLog(options?.name ?? "saga")
      const provided = saga.pipe(
        Effect.provideService(CurrentSaga, log),
        Effect.provideService(Steps, inMemory(log, `${log.saga}/${id}`))
      ) as Effect.Effect<A, E, Exclude<R, CurrentSaga | CurrentSteps>> // one key with two faces
      return Effect.flatMap(
        Effect.exit(restore(provided)),
        (exit): Effect.Effect<A, E | CompensationFailed> =>
          Effect.flatMap(log.end(exit), (failures) =>
            Exit.isSuccess(exit) || failures.length === 0
              ? exit
              : Effect.failCause(withFailures(
                exit.cause,
                new CompensationFailed({ saga: log.saga, failures, original: exit.cause })
              )))
      )
    })
  )
