/**
 * The error of a remote call: what the other node raised, in Erlang's classes, or why nothing came back.
 *
 * The reasons are a tagged union, so that `Effect.catchReason("RpcError", "Undefined", ...)` recovers from one of them.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import * as Etf from "../etf/EtfSchema.ts"
import * as Atom from "../term/Atom.ts"
import { print, type Term } from "../term/Term.ts"
import { Tuple } from "../term/Tuple.ts"

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

type TermField = typeof Etf.Term

const UndefinedBase: ClassOf<Undefined, "Undefined", { readonly stack: TermField }> = Schema.TaggedClass<Undefined>()(
  "Undefined",
  { stack: Etf.Term }
)

/**
 * The node has no such function: error `undef` of the function that was called. An `undef` from deeper within it is
 * `Raised`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Undefined extends UndefinedBase {}

const RaisedBase: ClassOf<Raised, "Raised", { readonly error: TermField; readonly stack: TermField }> = Schema
  .TaggedClass<Raised>()("Raised", { error: Etf.Term, stack: Etf.Term })

/**
 * The function raised an error: `error:{exception, Error, Stack}` of `erpc`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Raised extends RaisedBase {}

const ExitedBase: ClassOf<Exited, "Exited", { readonly exit: TermField }> = Schema.TaggedClass<Exited>()("Exited", {
  exit: Etf.Term
})

/**
 * The function called `exit/1`: `exit:{exception, Exit}` of `erpc`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Exited extends ExitedBase {}

const SignalledBase: ClassOf<Signalled, "Signalled", { readonly signal: TermField }> = Schema.TaggedClass<
  Signalled
>()("Signalled", { signal: Etf.Term })

/**
 * The process that made the call was ended by an exit signal: `exit:{signal, Signal}` of `erpc`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Signalled extends SignalledBase {}

const ThrownBase: ClassOf<Thrown, "Thrown", { readonly value: TermField }> = Schema.TaggedClass<Thrown>()("Thrown", {
  value: Etf.Term
})

/**
 * The function threw a value.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Thrown extends ThrownBase {}

const TimeoutBase: ClassOf<Timeout, "Timeout", { readonly timeoutMillis: typeof Schema.Number }> = Schema.TaggedClass<
  Timeout
>()("Timeout", { timeoutMillis: Schema.Number })

/**
 * Nothing came back in time. The function may still run; what it gives is dropped.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Timeout extends TimeoutBase {}

const NoConnectionBase: ClassOf<NoConnection, "NoConnection", {}> = Schema.TaggedClass<NoConnection>()(
  "NoConnection",
  {}
)

/**
 * There is no connection to the node, or it was lost before the result came. The function may have run.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NoConnection extends NoConnectionBase {}

const NotSupportedBase: ClassOf<NotSupported, "NotSupported", {}> = Schema.TaggedClass<NotSupported>()(
  "NotSupported",
  {}
)

/**
 * The node takes no calls: it can neither start processes for others nor has it a process `rex`; or this node knows
 * only itself.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotSupported extends NotSupportedBase {}

const RefusedBase: ClassOf<Refused, "Refused", { readonly detail: TermField }> = Schema.TaggedClass<Refused>()(
  "Refused",
  { detail: Etf.Term }
)

/**
 * The node did not make the call: `system_limit`, for example. `error:{erpc, Detail}` of `erpc`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Refused extends RefusedBase {}

const MalformedResultBase: ClassOf<MalformedResult, "MalformedResult", { readonly detail: typeof Schema.String }> =
  Schema.TaggedClass<MalformedResult>()("MalformedResult", { detail: Schema.String })

/**
 * The function gave something that its schema does not describe.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MalformedResult extends MalformedResultBase {}

/**
 * Why a remote call failed.
 *
 * @category reasons
 * @since 0.1.0
 */
export type RpcErrorReason =
  | Undefined
  | Raised
  | Exited
  | Signalled
  | Thrown
  | Timeout
  | NoConnection
  | NotSupported
  | Refused
  | MalformedResult

/**
 * The schema of {@link RpcErrorReason}.
 *
 * @category reasons
 * @since 0.1.0
 */
export const RpcErrorReason: Schema.Union<
  readonly [
    typeof Undefined,
    typeof Raised,
    typeof Exited,
    typeof Signalled,
    typeof Thrown,
    typeof Timeout,
    typeof NoConnection,
    typeof NotSupported,
    typeof Refused,
    typeof MalformedResult
  ]
> = Schema.Union([
  Undefined,
  Raised,
  Exited,
  Signalled,
  Thrown,
  Timeout,
  NoConnection,
  NotSupported,
  Refused,
  MalformedResult
])

const RpcErrorBase: ErrorOf<RpcError, "RpcError", {
  readonly node: typeof Schema.String
  readonly target: typeof Schema.String
  readonly reason: typeof RpcErrorReason
}> = Schema.TaggedError<RpcError>()("RpcError", {
  node: Schema.String,
  target: Schema.String,
  reason: RpcErrorReason
})

/**
 * A remote call failed. `target` is the function, as `module:name/arity`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RpcError extends RpcErrorBase {
  override get message(): string {
    return `the call of ${this.target} on ${this.node} failed: ${explain(this.reason)}`
  }
}

const text = (term: Term): string => print(term, { maxLength: 300 })

const explain = (reason: RpcErrorReason): string => {
  switch (reason._tag) {
    case "Undefined":
      return "the node has no such function, or does not let others call it"
    case "Raised":
      return `it raised ${text(reason.error)}`
    case "Exited":
      return `it exited with ${text(reason.exit)}`
    case "Signalled":
      return `its process was ended with ${text(reason.signal)}`
    case "Thrown":
      return `it threw ${text(reason.value)}`
    case "Timeout":
      return `no result within ${reason.timeoutMillis} ms`
    case "NoConnection":
      return "there is no connection to the node"
    case "NotSupported":
      return "the node takes no calls"
    case "Refused":
      return `the node refused it: ${text(reason.detail)}`
    case "MalformedResult":
      return reason.detail
  }
}

const atoms = {
  erpc: Atom.make("erpc"),
  exception: Atom.make("exception"),
  exit: Atom.make("exit"),
  malformed: Atom.make("malformed_result"),
  noconnection: Atom.make("noconnection"),
  notsup: Atom.make("notsup"),
  signal: Atom.make("signal"),
  throw: Atom.make("throw"),
  timeout: Atom.make("timeout"),
  undef: Atom.make("undef")
}

/**
 * The class and the reason that `erpc:call/5` raises for this, as `{Class, Reason}`; the stack of an error is left out.
 *
 * @example
 * ```ts
 * import { RpcError } from "effect-otp/dist"
 * import { Term } from "effect-otp/term"
 *
 * Term.print(RpcError.toErlang(new RpcError.NoConnection())) // => "{error,{erpc,noconnection}}"
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const toErlang = (reason: RpcErrorReason): Tuple => {
  const erpc = (detail: Term): Tuple => new Tuple([Atom.error, new Tuple([atoms.erpc, detail])])
  switch (reason._tag) {
    case "Undefined":
      return new Tuple([Atom.error, new Tuple([atoms.exception, atoms.undef])])
    case "Raised":
      return new Tuple([Atom.error, new Tuple([atoms.exception, reason.error])])
    case "Exited":
      return new Tuple([atoms.exit, new Tuple([atoms.exception, reason.exit])])
    case "Signalled":
      return new Tuple([atoms.exit, new Tuple([atoms.signal, reason.signal])])
    case "Thrown":
      return new Tuple([atoms.throw, reason.value])
    case "Timeout":
      return erpc(atoms.timeout)
    case "NoConnection":
      return erpc(atoms.noconnection)
    case "NotSupported":
      return erpc(atoms.notsup)
    case "Refused":
      return erpc(reason.detail)
    case "MalformedResult":
      return new Tuple([Atom.error, new Tuple([atoms.exception, atoms.malformed])])
  }
}

const ProvideErrorBase: ErrorOf<ProvideError, "ProvideError", { readonly target: typeof Schema.String }> = Schema
  .TaggedError<ProvideError>()("ProvideError", { target: Schema.String })

/**
 * A function of this module, name and arity is provided already. `target` is `module:name/arity`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProvideError extends ProvideErrorBase {
  override get message(): string {
    return `${this.target} is provided already: one function, one provider; end the scope of the other first`
  }
}
