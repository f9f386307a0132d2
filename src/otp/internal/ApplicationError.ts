/**
 * The errors of applications.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ExitReason, format as formatReason, isExitReason } from "../../process/ExitReason.ts"
import type { ErrorOf } from "./SchemaClass.ts"

const problems = [
  "AlreadyLoaded",
  "NotLoaded",
  "AlreadyStarted",
  "NotRunning",
  "Running",
  "Cycle",
  "NodeStopping"
] as const

const advice: { readonly [P in (typeof problems)[number]]: string } = {
  AlreadyLoaded: "another application of this name is loaded; unload that one first, or give one of them another name",
  NotLoaded: "no application of this name is loaded; load it first, or list it by its value",
  AlreadyStarted: "it runs already, or is being started; use ensureStarted when that is fine",
  NotRunning: "it does not run",
  Running: "it runs; stop it first",
  Cycle: "it depends on itself; take one of the dependencies out",
  NodeStopping: "the node stops, nothing is started on it any more"
}

const ApplicationErrorBase: ErrorOf<ApplicationError, "ApplicationError", {
  readonly application: typeof Schema.String
  readonly reason: Schema.Literals<typeof problems>
  readonly path: Schema.$Array<typeof Schema.String>
}> = Schema.TaggedError<ApplicationError>()("ApplicationError", {
  application: Schema.String,
  reason: Schema.Literals(problems),
  path: Schema.Array(Schema.String)
})

/**
 * What was asked of an application is not possible now.
 *
 * `path` leads from the application that was to be started, over its dependencies, to the one of which `reason` is told;
 * for `Cycle` it begins and ends with the same name. It has one name when no dependency was involved.
 *
 * @category errors
 * @since 0.1.0
 */
export class ApplicationError extends ApplicationErrorBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `application ${this.application}: ${advice[this.reason]}${via(this.path)}`
  }
}

const via = (path: ReadonlyArray<string>): string => path.length > 1 ? ` (${path.join(" -> ")})` : ""

const ApplicationStartErrorBase: ErrorOf<ApplicationStartError<unknown>, "ApplicationStartError", {
  readonly application: typeof Schema.String
  readonly path: Schema.$Array<typeof Schema.String>
  readonly step: typeof Schema.String
  readonly error: typeof Schema.Unknown
}> = Schema.TaggedError<ApplicationStartError<unknown>>()("ApplicationStartError", {
  application: Schema.String,
  path: Schema.Array(Schema.String),
  step: Schema.String,
  error: Schema.Unknown
})

/**
 * An application could not be started. What had been started of it, and of its dependencies by the same request, was
 * stopped again, in reverse order.
 *
 * `application` is the one at fault and `path` leads to it from the one that was asked for. `step` is `tree`, `start` or
 * `phase` with the name of the phase. `error` is what the step gave: a typed failure, or the exit reason of a start that
 * was stopped or whose tree ended meanwhile.
 *
 * @category errors
 * @since 0.1.0
 */
export class ApplicationStartError<out E> extends ApplicationStartErrorBase {
  declare readonly error: E

  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `application ${this.application} did not start${via(this.path)}: ${this.step} failed: ` +
      `${show(this.error)} (OTP_APPLICATION_START). What had started was stopped again`
  }
}

const show = (error: unknown): string =>
  error instanceof Error ? error.message : isExitReason(error) ? formatReason(error) : String(error)

const NodeStoppedBase: ErrorOf<NodeStopped, "NodeStopped", {
  readonly node: typeof Schema.String
  readonly application: typeof Schema.String
  readonly startType: Schema.Literals<readonly ["permanent", "transient", "temporary"]>
  readonly exitReason: typeof ExitReason
}> = Schema.TaggedError<NodeStopped>()("NodeStopped", {
  node: Schema.String,
  application: Schema.String,
  startType: Schema.Literals(["permanent", "transient", "temporary"]),
  exitReason: ExitReason
})

/**
 * The node stopped because an application ended on which it depends. All others were stopped before, in reverse order of
 * their start.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeStopped extends NodeStoppedBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `the node ${this.node} stopped, since the ${this.startType} application ${this.application} ended ` +
      `(OTP_NODE_STOPPED): ${formatReason(this.exitReason)}`
  }
}
