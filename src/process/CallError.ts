/**
 * The errors of talking to a process.
 *
 * `CallError` is added to the error channel of every call; what is wrong is in its `reason`, a tagged union, so that
 * `Effect.catchReason("CallError", "NoProcess", ...)` recovers from one of them. `SendError` is its smaller sister for
 * casts, `StartError` the one for starting a process.
 *
 * Errors are built only when somebody waits for them: on the paths where nobody does, nothing is allocated.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import { ExitReason, format as formatReason } from "./ExitReason.ts"

// Explicit types of the base classes: declarations must be writable file by file (`isolatedDeclarations`).
type ClassOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  {}
>
type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const NoProcessBase: ClassOf<NoProcess, "NoProcess", {}> = Schema.TaggedClass<NoProcess>()("NoProcess", {})

/**
 * No process has this pid, name or alias (any more). OTP's `noproc`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NoProcess extends NoProcessBase {}

const NodeDownBase: ClassOf<NodeDown, "NodeDown", { readonly node: typeof Schema.String }> = Schema.TaggedClass<
  NodeDown
>()("NodeDown", { node: Schema.String })

/**
 * The node of the server is not connected, or the connection was lost before the reply.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NodeDown extends NodeDownBase {}

const CallTimeoutBase: ClassOf<CallTimeout, "CallTimeout", { readonly timeoutMillis: typeof Schema.Number }> = Schema
  .TaggedClass<CallTimeout>()("CallTimeout", { timeoutMillis: Schema.Number })

/**
 * No reply came in time. The server may still handle the request; its late reply is dropped.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CallTimeout extends CallTimeoutBase {}

const MailboxFullBase: ClassOf<MailboxFull, "MailboxFull", { readonly capacity: typeof Schema.Number }> = Schema
  .TaggedClass<MailboxFull>()("MailboxFull", { capacity: Schema.Number })

/**
 * The mailbox of the server was at its bound, so that the request was not delivered.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MailboxFull extends MailboxFullBase {}

const MalformedReplyBase: ClassOf<MalformedReply, "MalformedReply", { readonly detail: typeof Schema.String }> = Schema
  .TaggedClass<MalformedReply>()("MalformedReply", {
    detail: Schema.String
  })

/**
 * The answer of another node does not fit the schema of the reply.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MalformedReply extends MalformedReplyBase {}

const ProcessExitBase: ClassOf<ProcessExit, "ProcessExit", { readonly exitReason: typeof ExitReason }> = Schema
  .TaggedClass<ProcessExit>()("ProcessExit", { exitReason: ExitReason })

/**
 * The server ended before it replied, with this reason.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ProcessExit extends ProcessExitBase {}

const CallingSelfBase: ClassOf<CallingSelf, "CallingSelf", {}> = Schema.TaggedClass<CallingSelf>()("CallingSelf", {})

/**
 * A process called itself, which could only ever time out. OTP's `calling_self`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CallingSelf extends CallingSelfBase {}

/**
 * Why a call failed.
 *
 * @category reasons
 * @since 0.1.0
 */
export type CallErrorReason =
  | NoProcess
  | NodeDown
  | CallTimeout
  | MailboxFull
  | MalformedReply
  | ProcessExit
  | CallingSelf

const CallErrorReason: Schema.Union<
  readonly [
    typeof NoProcess,
    typeof NodeDown,
    typeof CallTimeout,
    typeof MailboxFull,
    typeof MalformedReply,
    typeof ProcessExit,
    typeof CallingSelf
  ]
> = Schema.Union([NoProcess, NodeDown, CallTimeout, MailboxFull, MalformedReply, ProcessExit, CallingSelf])

const errorOf = (reason: ExitReason): unknown => reason._tag === "Error" ? reason.error : undefined

const explain = (reason: CallErrorReason): string => {
  switch (reason._tag) {
    case "NoProcess":
      return "there is no such process (OTP_NOPROC). It has ended, was never started, or the name is registered elsewhere"
    case "NodeDown":
      return `the node ${reason.node} is not connected (OTP_NODEDOWN)`
    case "CallTimeout":
      return `no reply within ${reason.timeoutMillis} ms (OTP_TIMEOUT). ` +
        "The server is busy, waits for something itself, or never replies; pass { timeout } for a longer wait"
    case "MailboxFull":
      return `its mailbox holds ${reason.capacity} messages and is full (OTP_MAILBOX_FULL). ` +
        "The server is slower than its callers; call fewer at a time or raise the bound"
    case "MalformedReply":
      return `the reply does not fit its schema (OTP_MALFORMED_REPLY): ${reason.detail}`
    case "ProcessExit": {
      // A crash that goes up a chain of calls: each error holds the next, and the last one says what happened.
      let { exitReason } = reason
      let calls = 0
      for (
        let error = errorOf(exitReason);
        error instanceof CallError && error.reason._tag === "ProcessExit";
        error = errorOf(exitReason)
      ) {
        exitReason = error.reason.exitReason
        calls++
      }
      const through = calls === 0 ? "" : `, because of ${calls} call${calls === 1 ? "" : "s"} in turn`
      return `it ended before it replied (OTP_EXIT)${through}: ${formatReason(exitReason)}`
    }
    case "CallingSelf":
      return "a process cannot call itself (OTP_CALLING_SELF). Call the function directly, or use continue"
  }
}

const CallErrorBase: ErrorOf<
  CallError,
  "CallError",
  {
    readonly target: typeof Schema.String
    readonly protocol: typeof Schema.String
    readonly request: typeof Schema.String
    readonly reason: typeof CallErrorReason
  }
> = Schema.TaggedError<CallError>()("CallError", {
  target: Schema.String,
  protocol: Schema.String,
  request: Schema.String,
  reason: CallErrorReason
})

/**
 * A call could not be completed.
 *
 * `target` is the name or pid of the server, `protocol` and `request` say which message it was. The domain errors of a
 * protocol are not in here: they stay themselves in the error channel.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CallError } from "effect-otp"
 *
 * const orZero = (call: Effect.Effect<number, CallError.CallError>) =>
 *   call.pipe(Effect.catchReason("CallError", "NoProcess", () => Effect.succeed(0)))
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class CallError extends CallErrorBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `${this.protocol}.${this.request} to ${this.target} failed: ${explain(this.reason)}`
  }
}

const SendErrorBase: ErrorOf<
  SendError,
  "SendError",
  {
    readonly target: typeof Schema.String
    readonly reason: Schema.Union<readonly [typeof MailboxFull, typeof NoProcess, typeof NodeDown]>
  }
> = Schema.TaggedError<SendError>()("SendError", {
  target: Schema.String,
  reason: Schema.Union([MailboxFull, NoProcess, NodeDown])
})

/**
 * A message could not be put into a mailbox whose policy is `fail`.
 *
 * @category errors
 * @since 0.1.0
 */
export class SendError extends SendErrorBase {
  /** What happened and to whom. */
  override get message(): string {
    return `the message to ${this.target} was not delivered: ${explain(this.reason)}`
  }
}

const NameTakenBase: ClassOf<
  NameTaken,
  "NameTaken",
  { readonly name: typeof Schema.String; readonly pid: typeof Schema.String }
> = Schema.TaggedClass<NameTaken>()("NameTaken", {
  name: Schema.String,
  pid: Schema.String
})

/**
 * The name is taken by a live process.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NameTaken extends NameTakenBase {}

const InitTimeoutBase: ClassOf<InitTimeout, "InitTimeout", { readonly timeoutMillis: typeof Schema.Number }> = Schema
  .TaggedClass<InitTimeout>()("InitTimeout", { timeoutMillis: Schema.Number })

/**
 * `init` did not finish in time; the half-started process was killed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InitTimeout extends InitTimeoutBase {}

const InitExitBase: ClassOf<InitExit, "InitExit", { readonly exitReason: typeof ExitReason }> = Schema.TaggedClass<
  InitExit
>()("InitExit", { exitReason: ExitReason })

/**
 * The process ended before `init` was done: a defect in `init`, or an exit signal.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InitExit extends InitExitBase {}

const IgnoredBase: ClassOf<Ignored, "Ignored", {}> = Schema.TaggedClass<Ignored>()("Ignored", {})

/**
 * `init` chose not to start (OTP's `ignore`). Supervisors treat it as a success without a process.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Ignored extends IgnoredBase {}

const StartErrorReason: Schema.Union<
  readonly [typeof NameTaken, typeof InitTimeout, typeof InitExit, typeof Ignored, typeof NodeDown]
> = Schema.Union([NameTaken, InitTimeout, InitExit, Ignored, NodeDown])

/**
 * Why a process did not start.
 *
 * @category reasons
 * @since 0.1.0
 */
export type StartErrorReason = NameTaken | InitTimeout | InitExit | Ignored | NodeDown

const StartErrorBase: ErrorOf<
  StartError,
  "StartError",
  { readonly process: typeof Schema.String; readonly reason: typeof StartErrorReason }
> = Schema.TaggedError<StartError>()("StartError", {
  process: Schema.String,
  reason: StartErrorReason
})

/**
 * A process could not be started. A typed failure of `init` is not wrapped: it stays itself in the error channel.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartError extends StartErrorBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    const reason = this.reason
    const what = reason._tag === "NameTaken"
      ? `the name ${JSON.stringify(reason.name)} is registered by ${reason.pid} (OTP_NAME_TAKEN); ` +
        "stop that process first or choose another name"
      : reason._tag === "InitTimeout"
      ? `init did not finish within ${reason.timeoutMillis} ms (OTP_INIT_TIMEOUT); the process was killed`
      : reason._tag === "InitExit"
      ? `it ended during init (OTP_INIT_EXIT): ${formatReason(reason.exitReason)}`
      : reason._tag === "Ignored"
      ? "init returned ignore (OTP_IGNORED)"
      : `the node ${reason.node} is not connected (OTP_NODEDOWN)`
    return `${this.process} did not start: ${what}`
  }
}
