/**
 * What runs named steps: in memory, with a journal, or in a workflow.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type { Undo, UndoLog } from "./UndoLog.ts"

/** A named step, untyped. The public constructor has checked the types. */
export interface AnyStep {
  readonly name: string
  readonly input: Schema.Top
  readonly success: Schema.Top
  readonly error: Schema.Top
  readonly execute: (input: never, context: { readonly key: string }) => Effect.Effect<unknown, unknown, unknown>
  readonly compensate: (
    input: never,
    done: Option.Option<never>,
    context: { readonly key: string }
  ) => Effect.Effect<unknown, unknown, unknown>
  readonly timeout?: Duration.Input | undefined
  readonly retry?: Schedule.Schedule<unknown, unknown> | undefined
}

/** Runs one step of the saga that it belongs to. `id` tells apart steps of one name. */
export interface Performer {
  perform(step: AnyStep, input: unknown, id: string | undefined): Effect.Effect<unknown, unknown, unknown>
}

export interface CurrentSteps {
  readonly "~effect-otp/CurrentSteps": never
}

export const CurrentSteps: Context.Service<CurrentSteps, Performer> = Context.Service<CurrentSteps, Performer>(
  "effect-otp/CurrentSteps"
)

/** Names the steps of one run: by what they are called, and the how manieth of that name they are. */
export class StepNames {
  private readonly counts = new Map<string, number>()

  next(step: AnyStep, id: string | undefined): string {
    if (id !== undefined) return `${step.name}/${id}`
    const count = (this.counts.get(step.name) ?? 0) + 1
    this.counts.set(step.name, count)
    return count === 1 ? step.name : `${step.name} ${count}`
  }
}

/**
 * A step that may have to be taken back. Its typed failure is its word that it has done nothing; after anything else but a
 * value nobody knows.
 */
export class Attempt {
  readonly step: AnyStep
  readonly input: unknown
  readonly name: string
  readonly key: string
  private nothing = false
  private done: Option.Option<unknown> = Option.none()

  constructor(step: AnyStep, input: unknown, name: string, key: string) {
    this.step = step
    this.input = input
    this.name = name
    this.key = key
  }

  /** Remembers how the step ended. */
  ended(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) this.done = Option.some(exit.value)
    else this.nothing = failedTyped(exit.cause)
  }

  get effect(): Effect.Effect<unknown, unknown, unknown> {
    return Effect.suspend(() => this.step.execute(this.input as never, { key: this.key }))
  }

  /** The compensation, with the services of whoever performed the step. */
  undo(context: Context.Context<never>): Undo {
    return {
      step: this.name,
      run: () =>
        this.nothing ? Effect.void : Effect.provideContext(
          this.step.compensate(this.input as never, this.done as Option.Option<never>, {
            key: this.key
          }) as Effect.Effect<
            unknown,
            unknown
          >,
          context
        ),
      timeout: this.step.timeout,
      retry: this.step.retry
    }
  }
}

/** Whether a step says itself that it has failed. */
export const failedTyped = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.length > 0 && cause.reasons.every((reason) => reason._tag === "Fail")

/** Runs steps in memory: what is to be taken back stands in the log of the run. */
export const inMemory = (log: UndoLog, run: string): Performer => {
  const names = new StepNames()
  return {
    perform: (step, input, id) =>
      Effect.contextWith((context: Context.Context<never>) => {
        if (!log.open) return Effect.die(new Error(`saga ${log.saga}: ${step.name} comes when the saga is over`))
        const name = names.next(step, id)
        const attempt = new Attempt(step, input, name, `${run}/${name}`)
        return Effect.andThen(
          log.add(attempt.undo(context)),
          Effect.onExit(attempt.effect, (exit) => Effect.sync(() => attempt.ended(exit)))
        )
      })
  }
}
