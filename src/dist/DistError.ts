/**
 * The errors of the distribution.
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

/**
 * Why a node could not start to be one of a cluster.
 *
 * `BadName`: not `name@host`. `BadCookie`: missing, well known or shorter than 16 bytes. `PublicAddress`: it should listen
 * beyond this host without TLS. `NameTaken`: EPMD knows another node of this name. `Listen`: no port is free or the
 * address is not this host's. `Discovery`: EPMD cannot be reached or has refused.
 *
 * @category models
 * @since 0.1.0
 */
export const NodeStartReason: Schema.Literals<
  readonly [
    "BadName",
    "BadCookie",
    "PublicAddress",
    "NameTaken",
    "Listen",
    "Discovery"
  ]
> = Schema.Literals(["BadName", "BadCookie", "PublicAddress", "NameTaken", "Listen", "Discovery"])

const NodeStartErrorBase: ErrorOf<NodeStartError, "NodeStartError", {
  readonly node: typeof Schema.String
  readonly reason: typeof NodeStartReason
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<NodeStartError>()("NodeStartError", {
  node: Schema.String,
  reason: NodeStartReason,
  detail: Schema.String
})

/**
 * A node could not start.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeStartError extends NodeStartErrorBase {
  override get message(): string {
    return `the node ${this.node} cannot start (${this.reason}): ${this.detail}`
  }
}

const ConnectErrorBase: ErrorOf<ConnectError, "ConnectError", {
  readonly node: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<ConnectError>()("ConnectError", { node: Schema.String, detail: Schema.String })

/**
 * There is no connection to a node and none could be opened. `detail` says how far it came: not found, nobody listens,
 * wrong cookie, refused by the peer, no answer in time.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectError extends ConnectErrorBase {
  override get message(): string {
    return `no connection to ${this.node}: ${this.detail}`
  }
}
