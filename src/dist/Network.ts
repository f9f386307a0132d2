/**
 * What the distribution needs of its host: byte streams to other nodes, turns of the event loop, unpredictable bytes
 * and the digest of the handshake.
 *
 * A `Link` is a plain stream of bytes with callbacks instead of Effects, because every message of a node passes through
 * it. `NodeNetwork` implements the service with the sockets of Node.js; a test may implement it in memory.
 *
 * What an implementation must guarantee: callbacks of a link run in a turn of their own, never inside of a call to the
 * link; `closed` is called once, after which no other callback is; bytes arrive in order.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Deflate, Inflate } from "../etf/Compression.ts"
import type { TlsError } from "./DistError.ts"
import type * as Tls from "./Tls.ts"

// Explicit types of the base classes: declarations must be writable file by file (`isolatedDeclarations`).
type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const NetworkErrorBase: ErrorOf<NetworkError, "NetworkError", {
  readonly operation: Schema.Literals<readonly ["connect", "listen"]>
  readonly address: typeof Schema.String
  readonly code: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<NetworkError>()("NetworkError", {
  operation: Schema.Literals(["connect", "listen"]),
  address: Schema.String,
  code: Schema.String,
  detail: Schema.String
})

/**
 * A connection could not be opened, or an address not be listened on. `code` is the host's, such as `ECONNREFUSED`.
 *
 * @category errors
 * @since 0.1.0
 */
export class NetworkError extends NetworkErrorBase {
  override get message(): string {
    return `could not ${this.operation === "connect" ? "connect to" : "listen on"} ${this.address}: ${this.detail}`
  }
}

/**
 * A stream of bytes to another node. It does nothing until it is started.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link {
  /** The address of the other end, for limits and logs. */
  readonly remoteAddress: string
  /** The address of this end. */
  readonly localAddress: string
  /** Whether TLS is spoken. */
  readonly encrypted?: boolean | undefined
  /** Over TLS, once bytes arrive: what speaks against the certificate of the peer being that of a node. */
  readonly objection?: ((node: string) => TlsError | undefined) | undefined
  /** Once the stream has ended: why, when that has to do with TLS. */
  readonly failure?: TlsError | undefined
  /** Called with what arrives. The bytes may be kept. */
  received: (bytes: Uint8Array) => void
  /** Called when written bytes that were waiting have left. */
  drained: () => void
  /** Called once when the stream has ended, whoever ended it. */
  closed: () => void
  /** Begins to receive. */
  start(): void
  /** Writes. True when the bytes are gone and their buffer may be used again; false when they wait in it. */
  write(bytes: Uint8Array): boolean
  /** Writes several pieces as one, none of which is used again. */
  writeAll(parts: ReadonlyArray<Uint8Array>): void
  /** Bytes that wait to be written. */
  readonly pending: number
  /** Ends the stream once what waits is written. */
  end(): void
  /** Ends the stream at once. */
  close(): void
}

/**
 * The services of the host.
 *
 * @category models
 * @since 0.1.0
 */
export interface NetworkService {
  /** Connects; with `tls`, to somebody whose certificate is in order and, unless told otherwise, that of `tls.node`. */
  connect(address: {
    readonly host: string
    readonly port: number
    readonly tls?: { readonly credentials: Tls.Credentials; readonly node: string } | undefined
  }): Effect.Effect<Link, NetworkError | TlsError>
  /**
   * Listens until the scope closes. Port 0 takes a free one. With `tls`, links are handed over before the peer is verified:
   * nothing is received until it is, and a link is closed when it cannot be.
   */
  listen(
    address: {
      readonly host: string
      readonly port: number
      readonly tls?: { readonly credentials: Tls.Credentials } | undefined
    },
    onLink: (link: Link) => void
  ): Effect.Effect<{ readonly port: number }, NetworkError, Scope.Scope>
  /** Whether a certificate, its key and its authorities can be used. A host without this has no TLS. */
  readonly checkCertificate?: ((pem: Tls.Pem) => Effect.Effect<Tls.Certificate, TlsError>) | undefined
  /** How the host compresses. A host without this compresses nothing. */
  readonly zlib?: { readonly inflate: Inflate; readonly deflate: Deflate } | undefined
  /** Has a function called once the work of this turn of the event loop is done. */
  turn(f: () => void): void
  /** A number of 32 bits that nobody can guess. */
  randomUint32(): number
  /** The MD5 digest, which the handshake prescribes. */
  md5(bytes: Uint8Array): Uint8Array
}

const NetworkBase: Context.ServiceClass<Network, "effect-otp/dist/Network", NetworkService> = Context.Service<
  Network,
  NetworkService
>()("effect-otp/dist/Network")

/**
 * The host's network, as a service.
 *
 * @category services
 * @since 0.1.0
 */
export class Network extends NetworkBase {}
