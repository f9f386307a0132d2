/**
 * Sagas that survive the end of the program. See `Saga`, which exports all of this.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Definition, DurableRuns } from "./internal/DurableRuns.ts"
import { Record } from "./internal/SagaRecord.ts"
import { type Journal, openTyped } from "./Journal.ts"
import type { JournalError } from "./JournalError.ts"
import type { CompensationFailed, SagaRolledBack } from "./SagaError.ts"
import type { AnyStep, CurrentSteps, NamedStep } from "./SagaStep.ts"

/**
 * A saga of named steps with schemas for what goes in and what comes out: it can be run with a journal ({@link open}), or as a
 * workflow ({@link toWorkflow}).
 *
 * @category models
 * @since 0.1.0
 */
export interface DurableSaga<
  out Name extends string,
  in out P extends Schema.Top,
  in out A extends Schema.Top,
  in out E extends Schema.Top,
  out R
> {
  readonly name: Name
  readonly payload: P
  readonly success: A
  readonly error: E
  readonly steps: ReadonlyArray<AnyStep>
  readonly recovery: "backward" | "forward"
  readonly run: (payload: P["Type"]) => Effect.Effect<A["Type"], E["Type"], R | CurrentSteps>
}

type ServicesOf<S> = S extends NamedStep<any, any, any, any, infer R> ? R : never
type Payload<P> = P extends Schema.Top ? P : P extends Schema.Struct.Fields ? Schema.Struct<P> : never

/**
 * A saga of named steps. `run` puts them together, with `perform` for each; it has to take the same way when it is run again with
 * the same results, so whatever it learns it learns from steps. `steps` lists them, so that they can be taken back after a crash.
 *
 * `recovery` says what becomes of a run that a crash has cut off: `backward`, the default, takes it back; `forward` goes on, with the
 * results that are known and the steps that are in doubt run again. A run that was going back goes back in either case.
 *
 * @category durable
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  const Steps extends ReadonlyArray<AnyStep>,
  P extends Schema.Top | Schema.Struct.Fields = Schema.Void,
  A extends Schema.Top = Schema.Void,
  E extends Schema.Top = Schema.Never,
  R = never
>(
  name: Name,
  options: {
    readonly payload?: P
    readonly success?: A
    readonly error?: E
    readonly steps: Steps
    readonly recovery?: "backward" | "forward"
    readonly run: (payload: Payload<P>["Type"]) => Effect.Effect<A["Type"], NoInfer<E>["Type"], R>
  }
): DurableSaga<Name, Payload<P>, A, E, Exclude<R, CurrentSteps> | ServicesOf<Steps[number]>> => {
  const { error, payload = Schema.Void, recovery = "backward", steps, success } = options
  const names = new Set(steps.map((step) => step.name))
  if (names.size < steps.length) {
    throw new Error(`saga ${name}: two of its steps have one name; the journal could not tell them apart`)
  }
  return {
    name,
    payload: (Schema.isSchema(payload) ? payload : Schema.Struct(payload as Schema.Struct.Fields)) as Payload<P>,
    success: success ?? Schema.Void as unknown as A, // the default of the type
    error: error ?? Schema.Never as unknown as E, // as above
    steps,
    recovery,
    // The services of steps and body are those of the type.
    run: options.run as DurableSaga<Name, Payload<P>, A, E, Exclude<R, CurrentSteps> | ServicesOf<Steps[number]>>["run"]
  }
}

/**
 * A run that a crash had cut off, and how it ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recovered<out A, out E> {
  readonly id: string
  /** What {@link Opened.execute} would have given: a value when it went on, a failure when it was taken back. */
  readonly exit: Exit.Exit<A, E | CompensationFailed | SagaRolledBack>
}

/**
 * A durable saga over its journal.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened<in P, out A, out E> {
  /** The runs that a crash had cut off, oldest first. They have ended, unless a compensation failed. */
  readonly recovered: ReadonlyArray<Recovered<A, E>>
  /**
   * Runs the saga under an id of the caller's choice, as an order has a number. The same id again joins the run, or gives the outcome
   * that it had: nothing is done twice. One whose compensation has failed tries that again.
   */
  readonly execute: (
    id: string,
    payload: P
  ) => Effect.Effect<A, E | CompensationFailed | SagaRolledBack | JournalError>
  /** Forgets a run that has ended; its id is as good as new. False when there is no such run. Until then its outcome is kept. */
  readonly forget: (id: string) => Effect.Effect<boolean, JournalError>
}

/**
 * Opens the book of a saga, first finishes what a crash has left there, and then runs it, for as long as the surrounding scope lives.
 *
 * Before and after each step, and around each compensation, a record is on disk. When the journal fails, the run fails with its error and
 * nothing more is done: the next opening decides.
 *
 * @category durable
 * @since 0.1.0
 */
export const open = <Name extends string, P extends Schema.Top, A extends Schema.Top, E extends Schema.Top, R>(
  saga: DurableSaga<Name, P, A, E, R>
): Effect.Effect<Opened<P["Type"], A["Type"], E["Type"]>, JournalError, R | Journal | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const book = yield* openTyped(`saga ${saga.name}`, Record)
      const context = yield* Effect.context<R>()
      const runs = new DurableRuns(saga as unknown as Definition, book, context) // its types are those of the signature
      const recovered = yield* runs.recover(restore)
      return {
        recovered,
        execute: (id: string, payload: P["Type"]) => runs.execute(id, payload),
        forget: (id: string) => runs.forget(id)
      } as Opened<P["Type"], A["Type"], E["Type"]> // as above
    })
  )
