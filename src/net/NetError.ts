/**
 * The errors of endpoints: what is wrong with a frame, why a connection cannot be written to, and what the host refuses.
 *
 * What a peer does wrong is never a crash: it ends its connection with one of these values, and is counted.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

// Explicit types of the base classes: declarations must be writable file by file (`isolatedDeclarations`).
type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const NetErrorBase: ErrorOf<NetError, "NetError", {
  readonly operation: Schema.Literals<readonly ["listen", "connect", "read", "certificate"]>
  readonly address: typeof Schema.String
  readonly code: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<NetError>()("NetError", {
  operation: Schema.Literals(["listen", "connect", "read", "certificate"]),
  address: Schema.String,
  code: Schema.String,
  detail: Schema.String
})

const attempts = {
  listen: "could not listen on",
  connect: "could not connect to",
  read: "lost the connection to",
  certificate: "could not use the certificate of"
} as const

/**
 * The host refused something. `code` is the host's own, such as `EADDRINUSE` or `ECONNREFUSED`.
 *
 * @category errors
 * @since 0.1.0
 */
export class NetError extends NetErrorBase {
  /** What happened and where. */
  override get message(): string {
    return `${attempts[this.operation]} ${this.address}: ${this.detail} (${this.code})`
  }
}

const FrameErrorBase: ErrorOf<FrameError, "FrameError", {
  readonly framing: typeof Schema.String
  readonly reason: Schema.Literals<readonly ["TooLarge", "Malformed", "Incomplete"]>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<FrameError>()("FrameError", {
  framing: Schema.String,
  reason: Schema.Literals(["TooLarge", "Malformed", "Incomplete"]),
  detail: Schema.String
})

/**
 * Bytes that are no frame, or a frame that may not be sent.
 *
 * `TooLarge`: over the limit of the framing. `Malformed`: they cannot be decoded, or the frame holds what would end it
 * early. `Incomplete`: the peer stopped in the middle of a frame.
 *
 * @category errors
 * @since 0.1.0
 */
export class FrameError extends FrameErrorBase {
  /** What is wrong with the frame. */
  override get message(): string {
    return `${this.framing}: ${this.detail} (${this.reason})`
  }
}

const ConnectionClosedBase: ErrorOf<ConnectionClosed, "ConnectionClosed", {
  readonly peer: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<ConnectionClosed>()("ConnectionClosed", { peer: Schema.String, detail: Schema.String })

/**
 * A frame could not be written, because the connection is over or was never there.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionClosed extends ConnectionClosedBase {
  /** To whom, and why. */
  override get message(): string {
    return `nothing can be written to ${this.peer}: ${this.detail}`
  }
}

const PortErrorBase: ErrorOf<PortError, "PortError", {
  readonly command: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<PortError>()("PortError", { command: Schema.String, detail: Schema.String })

/**
 * An external program could not be started.
 *
 * @category errors
 * @since 0.1.0
 */
export class PortError extends PortErrorBase {
  /** Which program, and why. */
  override get message(): string {
    return `could not start ${this.command}: ${this.detail}`
  }
}

const PortExitBase: ErrorOf<PortExit, "PortExit", {
  readonly command: typeof Schema.String
  readonly code: Schema.optionalKey<typeof Schema.Int>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<PortExit>()("PortExit", {
  command: Schema.String,
  code: Schema.optionalKey(Schema.Int),
  detail: Schema.String
})

/**
 * How an external program ended: with a `code`, or without one, by a signal. Unless the code is 0, it is the reason with
 * which the process of its port ends.
 *
 * @category errors
 * @since 0.1.0
 */
export class PortExit extends PortExitBase {
  /** Which program, and how. */
  override get message(): string {
    return `${this.command} has ended: ${this.detail}`
  }
}
