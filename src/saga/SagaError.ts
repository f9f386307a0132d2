/**
 * The errors of sagas.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { ClassOf, ErrorOf } from "./internal/SchemaClass.ts"

// --- steps -----------------------------------------------------------------------------------------------------------

const AnyCause: Schema.Cause<Schema.Defect, Schema.Defect> = Schema.Cause(Schema.Defect(), Schema.Defect())

/**
 * A compensation that failed, after all its attempts.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailedCompensation {
  /** The step whose effect is still there. */
  readonly step: string
  readonly cause: Cause.Cause<unknown>
}

const CompensationFailedBase: ErrorOf<CompensationFailed, "CompensationFailed", {
  readonly saga: typeof Schema.String
  readonly failures: Schema.$Array<
    Schema.Struct<{ readonly step: typeof Schema.String; readonly cause: typeof AnyCause }>
  >
  readonly original: typeof AnyCause
}> = Schema.TaggedError<CompensationFailed>()("CompensationFailed", {
  saga: Schema.String,
  failures: Schema.Array(Schema.Struct({ step: Schema.String, cause: AnyCause })),
  original: AnyCause
})

/**
 * A saga failed, and not everything it had done could be taken back: somebody has to look after it.
 *
 * `failures` names the steps, `original` is why the saga failed. All other compensations have run.
 *
 * @category errors
 * @since 0.1.0
 */
export class CompensationFailed extends CompensationFailedBase {
  override get message(): string {
    const steps = this.failures.map(({ step }) => step).join(", ")
    return `saga ${this.saga} failed, and these steps could not be taken back: ${steps}. Settle them by hand`
  }
}

const SagaRolledBackBase: ErrorOf<SagaRolledBack, "SagaRolledBack", {
  readonly saga: typeof Schema.String
  readonly id: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<SagaRolledBack>()("SagaRolledBack", {
  saga: Schema.String,
  id: Schema.String,
  detail: Schema.String
})

/**
 * A durable saga of this id was taken back earlier: its program crashed, it was interrupted, or it died. Run it under another id to
 * try again.
 *
 * @category errors
 * @since 0.1.0
 */
export class SagaRolledBack extends SagaRolledBackBase {
  override get message(): string {
    return `saga ${this.saga} with id ${this.id} was taken back: ${this.detail}. Choose another id to try again`
  }
}

// --- transactions over processes -------------------------------------------------------------------------------------

const RequestedBase: ClassOf<Requested, "Requested", { readonly detail: typeof Schema.String }> = Schema.TaggedClass<
  Requested
>()("Requested", { detail: Schema.String })

/**
 * Somebody cancelled the transaction.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Requested extends RequestedBase {}

const LifespanBase: ClassOf<Lifespan, "Lifespan", {}> = Schema.TaggedClass<Lifespan>()("Lifespan", {})

/**
 * The lifespan of the transaction is over.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Lifespan extends LifespanBase {}

const TimeoutBase: ClassOf<Timeout, "Timeout", { readonly timeoutMillis: typeof Schema.Number }> = Schema.TaggedClass<
  Timeout
>()("Timeout", { timeoutMillis: Schema.Number })

/**
 * A branch or a job was not done in its own time.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Timeout extends TimeoutBase {}

const LoopBase: ClassOf<Loop, "Loop", { readonly saga: typeof Schema.String }> = Schema.TaggedClass<Loop>()("Loop", {
  saga: Schema.String
})

/**
 * The transaction came back to a saga that is on its own path.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Loop extends LoopBase {}

const OverloadedBase: ClassOf<Overloaded, "Overloaded", {
  readonly saga: typeof Schema.String
  readonly limit: typeof Schema.Int
}> = Schema.TaggedClass<Overloaded>()("Overloaded", { saga: Schema.String, limit: Schema.Int })

/**
 * The saga has as many transactions as it may have.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Overloaded extends OverloadedBase {}

const LostBase: ClassOf<
  Lost,
  "Lost",
  { readonly process: typeof Schema.String; readonly detail: typeof Schema.String }
> = Schema.TaggedClass<Lost>()("Lost", { process: Schema.String, detail: Schema.String })

/**
 * The process on the other side ended, or its node is gone.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Lost extends LostBase {}

const JobFailedBase: ClassOf<
  JobFailed,
  "JobFailed",
  { readonly job: typeof Schema.String; readonly detail: typeof Schema.String }
> = Schema.TaggedClass<JobFailed>()("JobFailed", { job: Schema.String, detail: Schema.String })

/**
 * A job failed, and the saga has no `jobFailed` that says what to do then.
 *
 * @category reasons
 * @since 0.1.0
 */
export class JobFailed extends JobFailedBase {}

const BranchFailedBase: ClassOf<
  BranchFailed,
  "BranchFailed",
  { readonly branch: typeof Schema.String; readonly detail: typeof Schema.String }
> = Schema.TaggedClass<BranchFailed>()("BranchFailed", { branch: Schema.String, detail: Schema.String })

/**
 * A branch failed with an error of its own contract, and was not trapped.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BranchFailed extends BranchFailedBase {}

const MalformedBase: ClassOf<Malformed, "Malformed", { readonly detail: typeof Schema.String }> = Schema.TaggedClass<
  Malformed
>()("Malformed", { detail: Schema.String })

/**
 * What came from the other side is not of its contract.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Malformed extends MalformedBase {}

/**
 * Why a transaction was cancelled, as a schema.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CancelReason: Schema.Union<
  readonly [
    typeof Requested,
    typeof Lifespan,
    typeof Timeout,
    typeof Loop,
    typeof Overloaded,
    typeof Lost,
    typeof JobFailed,
    typeof BranchFailed,
    typeof Malformed
  ]
> = Schema.Union([Requested, Lifespan, Timeout, Loop, Overloaded, Lost, JobFailed, BranchFailed, Malformed])

/**
 * Why a transaction was cancelled.
 *
 * @category reasons
 * @since 0.1.0
 */
export type CancelReason =
  | Requested
  | Lifespan
  | Timeout
  | Loop
  | Overloaded
  | Lost
  | JobFailed
  | BranchFailed
  | Malformed

/**
 * The reason of a cancellation as it should appear in a message to a person.
 *
 * @category formatting
 * @since 0.1.0
 */
export const formatReason = (reason: CancelReason): string => {
  switch (reason._tag) {
    case "Requested":
      return reason.detail
    case "Lifespan":
      return "its lifespan is over"
    case "Timeout":
      return `not done within ${Duration.format(Duration.millis(reason.timeoutMillis))}`
    case "Loop":
      return `it came back to ${reason.saga}, which is on its path`
    case "Overloaded":
      return `${reason.saga} has ${reason.limit} transactions and may have no more`
    case "Lost":
      return `${reason.process} is gone: ${reason.detail}`
    case "JobFailed":
      return `job ${reason.job} failed: ${reason.detail}`
    case "BranchFailed":
      return `branch ${reason.branch} failed: ${reason.detail}`
    case "Malformed":
      return `a message is not of its contract: ${reason.detail}`
  }
}

const SagaCancelledBase: ErrorOf<SagaCancelled, "SagaCancelled", {
  readonly saga: typeof Schema.String
  readonly reason: typeof CancelReason
}> = Schema.TaggedError<SagaCancelled>()("SagaCancelled", { saga: Schema.String, reason: CancelReason })

/**
 * A transaction was cancelled before it had a result. What its sagas had begun they have taken back, or are about to.
 *
 * @category errors
 * @since 0.1.0
 */
export class SagaCancelled extends SagaCancelledBase {
  override get message(): string {
    return `the transaction of ${this.saga} was cancelled: ${formatReason(this.reason)}`
  }
}

const SagaRefusedBase: ErrorOf<SagaRefused, "SagaRefused", {
  readonly saga: typeof Schema.String
  readonly action: Schema.Literals<readonly ["next", "job", "result", "interim"]>
  readonly reason: Schema.Literals<readonly ["Over", "HopLimit", "TooLong", "InProgress"]>
}> = Schema.TaggedError<SagaRefused>()("SagaRefused", {
  saga: Schema.String,
  action: Schema.Literals(["next", "job", "result", "interim"]),
  reason: Schema.Literals(["Over", "HopLimit", "TooLong", "InProgress"])
})

/**
 * A saga asked for something that its transaction does not allow.
 *
 * `Over`: it has its result or was cancelled. `HopLimit`: it may not be passed on any further. `TooLong`: a timeout longer than what
 * is left of its lifespan. `InProgress`: it cannot have a result while branches or jobs are under way.
 *
 * @category errors
 * @since 0.1.0
 */
export class SagaRefused extends SagaRefusedBase {
  override get message(): string {
    const why = {
      Over: "the transaction is over",
      HopLimit: "it has been passed on as often as its hop limit allows",
      TooLong: "the timeout is longer than what is left of the transaction's lifespan; give a shorter one, or none",
      InProgress: "branches or jobs are under way; wait for them, or cancel them"
    }
    return `${this.saga}: no ${this.action}: ${why[this.reason]}`
  }
}
