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
 * address is not this host's. `Discovery`: EPMD cannot be reached or has refused. `Certificate`: the certificate, its key
 * or the authorities cannot be used. `NoName`: the node that was asked for a name has not given one.
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
    "Discovery",
    "Certificate",
    "NoName"
  ]
> = Schema.Literals([
  "BadName",
  "BadCookie",
  "PublicAddress",
  "NameTaken",
  "Listen",
  "Discovery",
  "Certificate",
  "NoName"
])

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

/**
 * What is wrong with an encrypted connection, or with the own certificate.
 *
 * About a certificate, the own one or the peer's: `Expired`; `NotYetValid`; `SelfSigned`: it is trusted by nobody but
 * itself; `UnknownAuthority`: its issuer is none of `ca`; `WrongName`: it does not speak for the host of the node;
 * `WrongUsage`: it is for something else than this side of a connection, or its issuer may not issue; `KeyMismatch`: the
 * key is that of another certificate; `Revoked`; `RevocationUnknown`: there is a list of revocations, but not for this
 * issuer or of today; `Weak`: a key or a signature that can be broken; `BadSignature`; `Malformed`: no PEM, or not what
 * it should hold; `Unreadable`: a file cannot be read. About the peer: `NoCertificate`: it sent none; `Version`: it
 * speaks older versions of TLS only; `NotTls`: it does not speak TLS; `Refused`: it has refused this node's certificate;
 * `Closed`: it has closed the connection without a word, as some do that refuse a certificate. `Other`: see the detail.
 *
 * @category models
 * @since 0.1.0
 */
export const TlsReason: Schema.Literals<
  readonly [
    "Expired",
    "NotYetValid",
    "SelfSigned",
    "UnknownAuthority",
    "WrongName",
    "WrongUsage",
    "KeyMismatch",
    "Revoked",
    "RevocationUnknown",
    "Weak",
    "BadSignature",
    "Malformed",
    "Unreadable",
    "NoCertificate",
    "Version",
    "NotTls",
    "Refused",
    "Closed",
    "Other"
  ]
> = Schema.Literals([
  "Expired",
  "NotYetValid",
  "SelfSigned",
  "UnknownAuthority",
  "WrongName",
  "WrongUsage",
  "KeyMismatch",
  "Revoked",
  "RevocationUnknown",
  "Weak",
  "BadSignature",
  "Malformed",
  "Unreadable",
  "NoCertificate",
  "Version",
  "NotTls",
  "Refused",
  "Closed",
  "Other"
])

/**
 * What is wrong with an encrypted connection, in one word.
 *
 * @category models
 * @since 0.1.0
 */
export type TlsReason = typeof TlsReason.Type

const TlsErrorBase: ErrorOf<TlsError, "TlsError", {
  readonly reason: typeof TlsReason
  readonly subject: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<TlsError>()("TlsError", {
  reason: TlsReason,
  subject: Schema.String,
  detail: Schema.String
})

/**
 * An encrypted connection was refused, or a certificate cannot be used. `subject` is the address of the peer, or what of
 * the own certificate is meant.
 *
 * @category errors
 * @since 0.1.0
 */
export class TlsError extends TlsErrorBase {
  override get message(): string {
    return `TLS, ${this.subject} (${this.reason}): ${this.detail}`
  }
}

const ConnectErrorBase: ErrorOf<ConnectError, "ConnectError", {
  readonly node: typeof Schema.String
  readonly detail: typeof Schema.String
  readonly tls: Schema.optionalKey<typeof TlsReason>
}> = Schema.TaggedError<ConnectError>()("ConnectError", {
  node: Schema.String,
  detail: Schema.String,
  tls: Schema.optionalKey(TlsReason)
})

/**
 * There is no connection to a node and none could be opened. `detail` says how far it came: not found, nobody listens,
 * wrong cookie, refused by the peer, no answer in time. `tls` is there when it failed because of TLS.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectError extends ConnectErrorBase {
  override get message(): string {
    return `no connection to ${this.node}: ${this.detail}`
  }
}
