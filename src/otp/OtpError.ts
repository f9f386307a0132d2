/**
 * The errors of supervisors and of what is built on them.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import * as ExitReason from "../process/ExitReason.ts"

export { ApplicationError, ApplicationStartError, NodeStopped } from "./internal/ApplicationError.ts"
export { EventsError } from "./internal/EventsError.ts"
export { RegistryError } from "./internal/RegistryError.ts"
export { InvalidSupervisorSpec, type Problem } from "./internal/SupervisorError.ts"
export { TaskExit, TaskLimit, TaskTimeout } from "./internal/TaskError.ts"

const SupervisorStartErrorBase: Schema.Class<
  SupervisorStartError<unknown>,
  Schema.TaggedStruct<"SupervisorStartError", {
    readonly supervisor: typeof Schema.String
    readonly child: typeof Schema.String
    readonly error: typeof Schema.Unknown
  }>,
  Cause.YieldableError
> = Schema.TaggedError<SupervisorStartError<unknown>>()("SupervisorStartError", {
  supervisor: Schema.String,
  child: Schema.String,
  error: Schema.Unknown
})

/** What a start gave: an exit reason, an error, or any value. A message says more than the name of its error. */
const show = (error: unknown): string =>
  ExitReason.isExitReason(error)
    ? ExitReason.format(error)
    : error instanceof Error && error.message !== ""
    ? error.message
    : ExitReason.format(ExitReason.error(error))

/**
 * A supervisor could not start because a child could not. The children that had started were stopped again, in reverse
 * order.
 *
 * `child` is the id of the child at fault; for a child of a child, the ids from the top, separated by dots. `error` is
 * what its start gave: a typed failure of its `init`, a `StartError`, or an exit reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class SupervisorStartError<out E> extends SupervisorStartErrorBase {
  declare readonly error: E

  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `supervisor ${this.supervisor} did not start: its child ${JSON.stringify(this.child)} failed: ` +
      `${show(this.error)} (OTP_CHILD_START). Children that had started were stopped again`
  }
}

const reasons = [
  "AlreadyStarted",
  "AlreadyPresent",
  "MaxChildren",
  "Running",
  "Restarting",
  "NotFound",
  "NotStatic",
  "NotDynamic",
  "InvalidSpec",
  "StartFailed"
] as const

const SupervisorErrorBase: Schema.Class<
  SupervisorError,
  Schema.TaggedStruct<"SupervisorError", {
    readonly supervisor: typeof Schema.String
    readonly child: typeof Schema.String
    readonly reason: Schema.Literals<typeof reasons>
    readonly detail: typeof Schema.Unknown
  }>,
  Cause.YieldableError
> = Schema.TaggedError<SupervisorError>()("SupervisorError", {
  supervisor: Schema.String,
  child: Schema.String,
  reason: Schema.Literals(reasons),
  detail: Schema.Unknown
})

const advice: { readonly [R in (typeof reasons)[number]]: string } = {
  AlreadyStarted: "a child of this id runs already",
  AlreadyPresent: "a child of this id exists but does not run; restart it, or delete it first",
  MaxChildren: "it has as many children as it may have; raise maxChildren or wait until one ends",
  Running: "the child runs; terminate it first",
  Restarting: "the child waits for its next restart; terminate it first",
  NotFound: "there is no such child",
  NotStatic: "this needs a supervisor with named children",
  NotDynamic: "this needs a dynamic supervisor",
  InvalidSpec: "its specification breaks a rule",
  StartFailed: "its start failed"
}

/**
 * An administration call to a supervisor was refused, for one of OTP's reasons.
 *
 * `detail` is the pid of the running child (`AlreadyStarted`, `Running`), the limit (`MaxChildren`), the broken rule
 * (`InvalidSpec`), or what the start gave (`StartFailed`).
 *
 * @category errors
 * @since 0.1.0
 */
export class SupervisorError extends SupervisorErrorBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    const detail = this.detail === undefined ? "" : `: ${show(this.detail)}`
    return `supervisor ${this.supervisor}, child ${this.child}: ${advice[this.reason]}${detail}`
  }
}
