/**
 * Why a process ended: plain data, cheap to make, equal by content.
 *
 * Exit reasons travel along links, in Down messages and in typed errors, so they are values and never `Error` objects:
 * building one captures no stack. The seven cases are those of Erlang/OTP; `Error` holds what a crash left behind.
 *
 * Refuses to be clever: a reason that is not one of OTP's own (`normal`, `shutdown`, `{shutdown, _}`, `kill`,
 * `killed`, `noproc`, `noconnection`) is an `Error` with that term or defect inside.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"

/**
 * The process did its work. Links ignore it; a transient child is not restarted after it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Normal {
  readonly _tag: "Normal"
}

/**
 * The process was asked to stop (`shutdown`, or `{shutdown, Detail}` when `detail` is set).
 *
 * @category models
 * @since 0.1.0
 */
export interface Shutdown {
  readonly _tag: "Shutdown"
  readonly detail?: unknown
}

/**
 * The request to end at once, whatever the process traps. Observers never see it from {@link killed}'s path: they see
 * `Killed`. As the reason with which a process ends by itself it is an ordinary reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kill {
  readonly _tag: "Kill"
}

/**
 * The process was killed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Killed {
  readonly _tag: "Killed"
}

/**
 * There was no such process.
 *
 * @category models
 * @since 0.1.0
 */
export interface NoProc {
  readonly _tag: "NoProc"
}

/**
 * The node of the process could not be reached or went away.
 *
 * @category models
 * @since 0.1.0
 */
export interface NoConnection {
  readonly _tag: "NoConnection"
  readonly node?: string
}

/**
 * A crash: an undeclared failure, a defect, or any reason of the user's own. `cause` is there when the process was
 * ended by an Effect failure.
 *
 * @category models
 * @since 0.1.0
 */
export interface Error {
  readonly _tag: "Error"
  readonly error: unknown
  readonly cause?: Cause.Cause<unknown>
}

/**
 * Why a process ended.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitReason = Normal | Shutdown | Kill | Killed | NoProc | NoConnection | Error

/**
 * The reason `normal`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const normal: ExitReason = Object.freeze({ _tag: "Normal" })

/**
 * The reason `shutdown`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shutdown: ExitReason = Object.freeze({ _tag: "Shutdown" })

/**
 * The reason `{shutdown, detail}`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shutdownWith = (detail: unknown): ExitReason => ({ _tag: "Shutdown", detail })

/**
 * The request `kill`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const kill: ExitReason = Object.freeze({ _tag: "Kill" })

/**
 * The reason `killed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const killed: ExitReason = Object.freeze({ _tag: "Killed" })

/**
 * The reason `noproc`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noProc: ExitReason = Object.freeze({ _tag: "NoProc" })

/**
 * The reason `noconnection`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noConnection = (node?: string): ExitReason =>
  node === undefined ? { _tag: "NoConnection" } : { _tag: "NoConnection", node }

/**
 * A reason of the user's own, or the term of a crash.
 *
 * @category constructors
 * @since 0.1.0
 */
export const error = (value: unknown): ExitReason => ({ _tag: "Error", error: value })

/**
 * The defect with which a process ends itself: `Process.exitSelf` dies with it, and the reason is taken out again where
 * the process ends.
 *
 * @category models
 * @since 0.1.0
 */
export class ExitSelf {
  readonly _tag = "ExitSelf" as const
  readonly reason: ExitReason

  constructor(reason: ExitReason) {
    this.reason = reason
  }
}

/**
 * The reason of an effect that failed: that of an {@link ExitSelf}, else the squashed error with the whole cause beside
 * it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCause = (cause: Cause.Cause<unknown>): ExitReason => {
  const error = Cause.squash(cause)
  return error instanceof ExitSelf ? error.reason : { _tag: "Error", error, cause }
}

/**
 * Whether a value is an exit reason.
 *
 * @category guards
 * @since 0.1.0
 */
export const isExitReason = (u: unknown): u is ExitReason =>
  typeof u === "object" && u !== null && "_tag" in u && tags.has((u as { readonly _tag: unknown })._tag)

const tags: ReadonlySet<unknown> = new Set(["Normal", "Shutdown", "Kill", "Killed", "NoProc", "NoConnection", "Error"])

/**
 * Whether OTP counts the reason as an orderly end: `normal`, `shutdown` or `{shutdown, _}`. A transient child is
 * restarted exactly when this is false, and only then is a crash report written.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isOrderly = (reason: ExitReason): boolean => reason._tag === "Normal" || reason._tag === "Shutdown"

/**
 * Exit reasons as a schema of values (not of Erlang terms).
 *
 * @category schemas
 * @since 0.1.0
 */
export const ExitReason: Schema.declare<ExitReason> = Schema.declare<ExitReason>(isExitReason, {
  identifier: "ExitReason"
})

/**
 * One line that says what the reason is, in OTP's words.
 *
 * @example
 * ```ts
 * import { ExitReason } from "effect-otp"
 *
 * ExitReason.format(ExitReason.shutdownWith("deploy")) // => "{shutdown, deploy}"
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (reason: ExitReason): string => {
  switch (reason._tag) {
    case "Normal":
      return "normal"
    case "Shutdown":
      return reason.detail === undefined ? "shutdown" : `{shutdown, ${formatUnknown(reason.detail)}}`
    case "Kill":
      return "kill"
    case "Killed":
      return "killed"
    case "NoProc":
      return "noproc"
    case "NoConnection":
      return reason.node === undefined ? "noconnection" : `noconnection (${reason.node})`
    case "Error":
      return formatUnknown(reason.error)
  }
}

/**
 * How much of what a user wrote goes into one line. Reasons contain one another, when a crash goes up a chain of calls:
 * without a limit the last of them would tell of all.
 */
const textMax = 500

const formatUnknown = (u: unknown): string => {
  const text = typeof u === "string"
    ? u
    : u instanceof globalThis.Error
    ? u.message === "" ? formatFields(u) : `${u.name}: ${u.message}`
    : Formatter.format(u)
  return text.length > textMax ? `${text.slice(0, textMax)}...` : text
}

/** An error that says nothing by itself, as typed ones do unless they are told to: what it holds. */
const formatFields = (error: globalThis.Error): string => {
  const { _tag, ...fields } = error as { readonly _tag?: unknown }
  return Object.keys(fields).length === 0 ? error.name : `${error.name} ${Formatter.format(fields)}`
}
