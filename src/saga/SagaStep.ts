/**
 * Steps with names and schemas, that survive the end of the program. See `Saga`, which exports all of this.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type AnyStep as Untyped, CurrentSteps as Steps } from "./internal/Steps.ts"

/**
 * What runs named steps: `Saga.run`, a durable saga, or a workflow provides it.
 *
 * @category services
 * @since 0.1.0
 */
export interface CurrentSteps {
  readonly "~effect-otp/CurrentSteps": never
}

/**
 * What a step may know besides its input.
 *
 * @category models
 * @since 0.1.0
 */
export interface StepContext {
  /**
   * The same for each attempt of this step of this run, and for its compensation, also after a crash, and different from all
   * others: who hands it to the service that does the work can be told once that it was done already.
   */
  readonly key: string
}

/**
 * A step with a name, schemas for what must be remembered, and a compensation.
 *
 * @category models
 * @since 0.1.0
 */
export interface NamedStep<
  out Name extends string,
  in out In extends Schema.Top,
  in out A extends Schema.Top,
  in out E extends Schema.Top,
  out R
> {
  readonly name: Name
  readonly input: In
  readonly success: A
  readonly error: E
  readonly execute: (input: In["Type"], context: StepContext) => Effect.Effect<A["Type"], E["Type"], R>
  readonly compensate: (
    input: In["Type"],
    done: Option.Option<A["Type"]>,
    context: StepContext
  ) => Effect.Effect<unknown, unknown, R>
  readonly timeout: Duration.Input | undefined
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
}

/**
 * Any named step.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyStep extends Pick<Untyped, "name" | "input" | "success" | "error" | "timeout" | "retry"> {
  readonly execute: (input: any, context: StepContext) => Effect.Effect<any, any, any> // `any`: inferred per step
  readonly compensate: (
    input: any,
    done: Option.Option<any>,
    context: StepContext
  ) => Effect.Effect<unknown, unknown, any>
}

/**
 * A step with a name. Its typed failure is its word that it has done nothing, and is not compensated. After a defect, an interruption
 * or a crash nobody knows: `compensate` then gets `none` instead of the result, and finds out by the key.
 *
 * A step may run more than once after a crash, with the same key; so may its compensation.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Saga } from "effect-otp/saga"
 *
 * class NoRoom extends Schema.TaggedError<NoRoom>()("NoRoom", { hotel: Schema.String }) {}
 *
 * declare const book: (hotel: string, key: string) => Effect.Effect<number, NoRoom>
 * declare const cancel: (key: string) => Effect.Effect<void>
 *
 * const Hotel = Saga.makeStep("hotel", {
 *   input: Schema.String,
 *   success: Schema.Int,
 *   error: NoRoom,
 *   execute: (hotel, { key }) => book(hotel, key),
 *   compensate: (_hotel, _room, { key }) => cancel(key)
 * })
 *
 * const room = Saga.perform(Hotel, "Grand")
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const makeStep = <
  const Name extends string,
  In extends Schema.Top = Schema.Void,
  A extends Schema.Top = Schema.Void,
  E extends Schema.Top = Schema.Never,
  R = never,
  R2 = never
>(
  name: Name,
  options: {
    readonly input?: In
    readonly success?: A
    readonly error?: E
    readonly execute: (input: In["Type"], context: StepContext) => Effect.Effect<A["Type"], E["Type"], R>
    readonly compensate: (
      input: In["Type"],
      done: Option.Option<A["Type"]>,
      context: StepContext
    ) => Effect.Effect<unknown, unknown, R2>
    /** How long one attempt of the compensation may take; no limit by default. */
    readonly timeout?: Duration.Input
    /** When a compensation that fails, dies or takes too long is tried again; never by default. */
    readonly retry?: Schedule.Schedule<unknown, unknown>
  }
): NamedStep<Name, In, A, E, R | R2> => ({
  name,
  input: options.input ?? Schema.Void as unknown as In, // the default of the type
  success: options.success ?? Schema.Void as unknown as A, // as above
  error: options.error ?? Schema.Never as unknown as E, // as above
  execute: options.execute,
  compensate: options.compensate,
  timeout: options.timeout,
  retry: options.retry
})

/**
 * Runs a named step as a part of the saga around it. Steps of one name are told apart by their order, or by `id` where that is not the
 * same in each run, as with steps side by side.
 *
 * @category steps
 * @since 0.1.0
 */
export const perform = <Name extends string, In extends Schema.Top, A extends Schema.Top, E extends Schema.Top, R>(
  step: NamedStep<Name, In, A, E, R>,
  ...[input, options]: [In["Type"]] extends [void] ? [input?: void, options?: { readonly id?: string }]
    : [input: In["Type"], options?: { readonly id?: string }]
): Effect.Effect<A["Type"], E["Type"], R | CurrentSteps> =>
  Effect.flatMap(
    Steps,
    (steps) => steps.perform(step as unknown as Untyped, input, options?.id)
  ) as Effect.Effect<A["Type"], E["Type"], R | CurrentSteps> // as the step says
