/**
 * Runs durable sagas over a book of the journal: before and after each step a record is on disk, so that whatever is left by a crash
 * can be taken back, or gone on with.
 *
 * The journal has the last word. When it fails, nothing more is done: what is on disk decides when it is opened anew.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { TypedBook } from "../Journal.ts"
import { JournalError } from "../JournalError.ts"
import { CompensationFailed, type FailedCompensation, SagaRolledBack } from "../SagaError.ts"
import * as SagaRecord from "./SagaRecord.ts"
import { type AnyStep, CurrentSteps, failedTyped, type Performer, StepNames } from "./Steps.ts"
import { compensate, withFailures } from "./UndoLog.ts"

/** A durable saga, untyped. The public constructor has checked the types. */
export interface Definition {
  readonly name: string
  readonly payload: Schema.Top
  readonly success: Schema.Top
  readonly error: Schema.Top
  readonly steps: ReadonlyArray<AnyStep>
  readonly recovery: "backward" | "forward"
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown, unknown>
}

/** A run while it lasts. */
interface Live {
  readonly id: string
  readonly record: SagaRecord.RunRecord
  /** Set when the journal has failed: nothing may be done that it does not know of. */
  broken: JournalError | undefined
  /** Set when the body has ended. */
  over: boolean
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

type Outcome = Effect.Effect<unknown, unknown>

export class DurableRuns {
  private readonly definition: Definition
  private readonly book: TypedBook<SagaRecord.Record>
  /** The services of whoever opened the saga. */
  private readonly context: Context.Context<never>
  private readonly steps: ReadonlyMap<string, AnyStep>
  private readonly records: Map<string, SagaRecord.RunRecord>
  private readonly live = new Map<string, Deferred.Deferred<unknown, unknown>>()

  constructor(definition: Definition, book: TypedBook<SagaRecord.Record>, context: Context.Context<never>) {
    this.definition = definition
    this.book = book
    this.context = context
    this.steps = new Map(definition.steps.map((step) => [step.name, step]))
    this.records = SagaRecord.read(book.entries)
  }

  /** Runs a saga, joins the run of its id, or gives the outcome that it had. */
  execute(id: string, payload: unknown): Outcome {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const known = this.records.get(id)
        if (known?.ended !== undefined) return this.outcomeOf(id, known.ended)
        const live = this.live.get(id)
        if (live !== undefined) {
          return Effect.catchCause(restore(Deferred.await(live)), (cause) => this.joined(id, cause))
        }
        return this.shared(id, known === undefined ? this.begin(id, payload, restore) : this.again(id, known))
      })
    )
  }

  /** The interruption of whoever ran the saga is none of those who joined it: for them it was taken back. */
  private joined(id: string, cause: Cause.Cause<unknown>): Outcome {
    const ended = this.records.get(id)?.ended
    return ended !== undefined && Cause.hasInterruptsOnly(cause) ? this.outcomeOf(id, ended) : Effect.failCause(cause)
  }

  /** Finishes what a crash has left, oldest first. */
  recover(
    restore: Restore
  ): Effect.Effect<Array<{ readonly id: string; readonly exit: Exit.Exit<unknown, unknown> }>, JournalError> {
    const left = [...this.records].filter(([, record]) => record.ended === undefined)
    return Effect.forEach(left, ([id, record]) => {
      const forward = this.definition.recovery === "forward" && record.back === undefined
      const finish = forward
        ? this.proceed({ id, record, broken: undefined, over: false }, restore)
        : this.again(id, record)
      return Effect.flatMap(Effect.exit(this.shared(id, finish)), (exit) => {
        const broken = Exit.isFailure(exit) ? journalErrorOf(exit.cause) : undefined
        return broken === undefined ? Effect.succeed({ id, exit }) : Effect.fail(broken)
      })
    })
  }

  /** Forgets a run that has ended. */
  forget(id: string): Effect.Effect<boolean, JournalError> {
    return Effect.suspend(() => {
      if (this.records.get(id)?.ended === undefined) return Effect.succeed(false)
      return Effect.as(
        Effect.tap(this.book.remove(id), () => Effect.sync(() => this.records.delete(id))),
        true
      )
    })
  }

  /** While it lasts, others of its id wait for the same outcome. */
  private shared(id: string, run: Outcome): Outcome {
    const outcome = Deferred.makeUnsafe<unknown, unknown>()
    this.live.set(id, outcome)
    return Effect.onExit(run, (exit) => {
      this.live.delete(id)
      return Deferred.done(outcome, exit)
    })
  }

  private begin(id: string, payload: unknown, restore: Restore): Outcome {
    return Effect.suspend(() => {
      const bytes = SagaRecord.encode(this.definition.payload, payload)
      const record: SagaRecord.RunRecord = { payload: bytes, steps: new Map(), back: undefined, ended: undefined }
      return Effect.andThen(
        this.book.append(id, { _tag: "Begun", payload: bytes }),
        Effect.suspend(() => {
          this.records.set(id, record)
          return this.proceed({ id, record, broken: undefined, over: false }, restore)
        })
      )
    })
  }

  /** Goes back with a run that nobody is at work on: its program ended, or a compensation had failed. */
  private again(id: string, record: SagaRecord.RunRecord): Outcome {
    const error = new SagaRolledBack({
      saga: this.definition.name,
      id,
      detail: record.back?.detail ?? "its program ended before it was done"
    })
    return this.back(id, record, Cause.fail(error), undefined, error.detail)
  }

  /** Runs the body, from the start or past what the journal knows. */
  private proceed(live: Live, restore: Restore): Outcome {
    const { definition } = this
    const body = Effect.suspend(() => definition.run(SagaRecord.decode(definition.payload, live.record.payload))).pipe(
      Effect.provideService(CurrentSteps, this.performer(live)),
      Effect.provideContext(this.context)
    ) as Outcome
    return Effect.flatMap(Effect.exit(restore(body)), (exit): Outcome => {
      live.over = true
      if (live.broken !== undefined) return Effect.fail(live.broken)
      const { id, record } = live
      if (Exit.isSuccess(exit)) {
        const ended: SagaRecord.Ended = {
          _tag: "Completed",
          value: SagaRecord.encode(definition.success, exit.value)
        }
        return Effect.as(this.end(id, record, ended), exit.value)
      }
      const error = failedTyped(exit.cause)
        ? SagaRecord.encode(definition.error, Cause.squash(exit.cause))
        : undefined
      return this.back(id, record, exit.cause, error, Cause.pretty(exit.cause))
    })
  }

  private performer(live: Live): Performer {
    const names = new StepNames()
    const { id, record } = live
    /** A failure of the journal ends the body at once, whatever it catches. */
    const note = (change: SagaRecord.Record): Effect.Effect<void> =>
      Effect.catch(this.append(live.id, record, change), (error) => {
        live.broken = error
        return Effect.die(error)
      })
    return {
      perform: (step, input, given) =>
        Effect.suspend((): Effect.Effect<unknown, unknown, unknown> => {
          if (live.broken !== undefined) return Effect.die(live.broken)
          if (live.over) {
            return Effect.die(new Error(`saga ${this.definition.name}: ${step.name} comes when the saga is over`))
          }
          if (this.steps.get(step.name) !== step) {
            return Effect.die(
              new Error(
                `saga ${this.definition.name}: its steps do not list ${step.name}, so that it could not be recovered`
              )
            )
          }
          const name = names.next(step, given)
          const bytes = SagaRecord.encode(step.input, input)
          const known = record.steps.get(name)
          if (known !== undefined && !(known.name === step.name && sameBytes(known.input, bytes))) {
            return Effect.die(
              new Error(`saga ${this.definition.name}: ${name} has another input than its journal says`)
            )
          }
          const outcome = known?.outcome
          if (outcome?._tag === "StepDone") return Effect.succeed(SagaRecord.decode(step.success, outcome.value))
          if (outcome?._tag === "StepFailed") return Effect.fail(SagaRecord.decode(step.error, outcome.error))
          const work = Effect.suspend(() => step.execute(input as never, { key: this.keyOf(id, name) }))
          return Effect.uninterruptibleMask((restore) =>
            Effect.andThen(
              known === undefined ? note({ _tag: "Started", step: name, name: step.name, input: bytes }) : Effect.void,
              Effect.flatMap(Effect.exit(restore(work)), (exit) =>
                Effect.andThen(
                  Effect.suspend(() =>
                    Exit.isSuccess(exit)
                      ? note({ _tag: "StepDone", step: name, value: SagaRecord.encode(step.success, exit.value) })
                      : failedTyped(exit.cause)
                      ? note({
                        _tag: "StepFailed",
                        step: name,
                        error: SagaRecord.encode(step.error, Cause.squash(exit.cause))
                      })
                      : Effect.void
                  ),
                  exit
                ))
            )
          )
        })
    }
  }

  /** Takes back what may have been done, last step first, and only what has not been taken back before. */
  private back(
    id: string,
    record: SagaRecord.RunRecord,
    cause: Cause.Cause<unknown>,
    error: Uint8Array | undefined,
    detail: string
  ): Outcome {
    return Effect.gen({ self: this }, function*() {
      if (record.back === undefined) yield* this.append(id, record, { _tag: "Back", error, detail })
      const failures: Array<FailedCompensation> = []
      for (const step of [...record.steps.values()].reverse()) {
        if (step.compensated || step.outcome?._tag === "StepFailed") continue
        const failed = yield* this.takeBack(id, step, cause)
        if (failed === undefined) yield* this.append(id, record, { _tag: "Compensated", step: step.step })
        else failures.push(failed)
      }
      if (failures.length > 0) {
        const failure = new CompensationFailed({ saga: this.definition.name, failures, original: cause })
        return yield* Effect.failCause(withFailures(cause, failure))
      }
      const { back } = record
      yield* this.end(
        id,
        record,
        back!.error === undefined
          ? { _tag: "RolledBack", detail: back!.detail }
          : { _tag: "Failed", error: back!.error }
      )
      return yield* Effect.failCause(cause)
    })
  }

  private takeBack(
    id: string,
    { input, name, outcome, step }: SagaRecord.StepRecord,
    cause: Cause.Cause<unknown>
  ): Effect.Effect<FailedCompensation | undefined> {
    const definition = this.steps.get(name)
    return compensate(
      this.definition.name,
      {
        step,
        run: () =>
          definition === undefined
            ? Effect.die(new Error(`there is no step called ${name} any more`))
            : Effect.provideContext(
              definition.compensate(
                SagaRecord.decode(definition.input, input) as never,
                outcome?._tag === "StepDone"
                  ? Option.some(SagaRecord.decode(definition.success, outcome.value) as never)
                  : Option.none(),
                { key: this.keyOf(id, step) }
              ) as Outcome,
              this.context
            ),
        timeout: definition?.timeout,
        retry: definition?.retry
      },
      cause
    )
  }

  private keyOf(id: string, step: string): string {
    return `${this.definition.name}/${id}/${step}`
  }

  /** On disk first, then in memory. */
  private append(
    id: string,
    record: SagaRecord.RunRecord,
    change: SagaRecord.Record
  ): Effect.Effect<void, JournalError> {
    return Effect.andThen(this.book.append(id, change), Effect.sync(() => SagaRecord.apply(record, change)))
  }

  private end(id: string, record: SagaRecord.RunRecord, ended: SagaRecord.Ended): Effect.Effect<void, JournalError> {
    return Effect.andThen(
      this.book.put(id, ended),
      Effect.sync(() => {
        record.steps.clear()
        record.ended = ended
      })
    )
  }

  private outcomeOf(id: string, ended: SagaRecord.Ended): Outcome {
    switch (ended._tag) {
      case "Completed":
        return Effect.sync(() => SagaRecord.decode(this.definition.success, ended.value))
      case "Failed":
        return Effect.suspend(() => Effect.fail(SagaRecord.decode(this.definition.error, ended.error)))
      case "RolledBack":
        return Effect.fail(new SagaRolledBack({ saga: this.definition.name, id, detail: ended.detail }))
    }
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index])

const journalErrorOf = (cause: Cause.Cause<unknown>): JournalError | undefined => {
  const error = Cause.squash(cause)
  return error instanceof JournalError ? error : undefined
}
