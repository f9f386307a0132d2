/**
 * What TCP endpoints need of their host: to listen, to connect, and sockets that can be paused.
 *
 * `NodeTcpNetwork` implements the service with `node:net` and `node:tls`; `layerMemory` with queues, so that servers and
 * clients can be tested under a virtual clock and without ports. Programs use `TcpServer` and `TcpClient`.
 *
 * A `Socket` has callbacks instead of Effects, because every chunk of every connection passes through it. What an
 * implementation must guarantee: callbacks run in a turn of their own, never inside of a call to the socket, but for
 * `closed` inside of `start` when it was over before; bytes arrive in order; nothing is read while it is paused, so that a
 * slow program slows its peer down; `closed` is called once after the start, and no other callback after it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { MemoryNetwork } from "./internal/MemoryNetwork.ts"
import type { NetError } from "./NetError.ts"

/**
 * One end of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostPort {
  /** An IP address; when connecting and listening, a name as well. */
  readonly host: string
  readonly port: number
}

/**
 * Ends of connections as a schema.
 *
 * @category schemas
 * @since 0.1.0
 */
export const HostPort: Schema.Struct<{ readonly host: typeof Schema.String; readonly port: typeof Schema.Int }> = Schema
  .Struct({ host: Schema.String, port: Schema.Int })

/**
 * Certificates of a TLS server, in PEM.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerTls {
  /** The certificate, followed by those between it and its authority. */
  readonly cert: string
  readonly key: Redacted.Redacted<string>
  /** Demands a certificate of every client, signed by one of these authorities. */
  readonly clientCa?: string
}

/**
 * How a client trusts, and shows who it is, in PEM.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientTls {
  /** The authorities that may have signed the certificate of the server; those of the host without it. */
  readonly ca?: string
  /** The name that the certificate must have, when it is not that of the address. */
  readonly serverName?: string
  readonly cert?: string
  readonly key?: Redacted.Redacted<string>
}

/**
 * A connection. It does nothing until it is started.
 *
 * @category models
 * @since 0.1.0
 */
export interface Socket {
  readonly peer: HostPort
  readonly local: HostPort
  /** The subject of the certificate of the peer, when it has shown one that was checked. */
  readonly peerSubject: string | undefined
  /** Whether each write is a message of its own, so that writes must not be joined. */
  readonly isMessages?: boolean
  /** Called with what arrives. The bytes may be read until `received` returns. */
  received: (bytes: Uint8Array) => void
  /** Called when the peer will send nothing more. */
  ended: () => void
  /** Called when there is room for writes again. */
  drained: () => void
  /** Called once when the connection is over, whoever ended it; with an error when it broke. */
  closed: (error: NetError | undefined) => void
  /** Begins to receive. */
  start(): void
  /** Reads nothing more until {@link resume}. */
  pause(): void
  resume(): void
  /** Writes. False when the bytes wait, and no more should be written before `drained`. */
  write(bytes: Uint8Array): boolean
  /** Sends what waits, and then the end of this side. Where the process `failed`, a protocol that can say so does. */
  end(failed?: boolean): void
  /** Ends the connection at once. `failed` as above. */
  destroy(failed?: boolean): void
}

/**
 * A place where connections come in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listener {
  readonly address: HostPort
  /** Takes no more connections; those that are there stay. */
  readonly close: Effect.Effect<void>
  /** Uses another certificate from the next connection on. */
  readonly reload: (tls: ServerTls) => Effect.Effect<void, NetError>
}

/**
 * The services of the host.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** Listens until the scope closes. Port 0 takes a free one. A TLS connection comes in when its handshake is done. */
  listen(
    options: HostPort & {
      readonly tls?: ServerTls | undefined
      /** How long the handshake of TLS may take. */
      readonly handshakeMillis: number
      /** How many connections may be there at a time, half-open handshakes of TLS included. */
      readonly maxConnections: number
      /** Called for each connection that was refused because of that. */
      readonly onRefused: () => void
    },
    onSocket: (socket: Socket) => void
  ): Effect.Effect<Listener, NetError, Scope.Scope>
  /** Connects; whoever gets the socket owns it. */
  connect(options: HostPort & { readonly tls?: ClientTls | undefined }): Effect.Effect<Socket, NetError>
}

const TcpNetworkBase: Context.ServiceClass<TcpNetwork, "effect-otp/net/TcpNetwork", Service> = Context.Service<
  TcpNetwork,
  Service
>()("effect-otp/net/TcpNetwork")

/**
 * The host's TCP, as a service.
 *
 * @category services
 * @since 0.1.0
 */
export class TcpNetwork extends TcpNetworkBase {}

/**
 * A network inside of the program, for tests: what listens on it can be connected to from it, and from nowhere else.
 * Bytes arrive in the turn after they were written, `bufferBytes` (64 KiB) may wait in each direction before the writer
 * is told to. It knows no TLS.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: { readonly bufferBytes?: number }): Layer.Layer<TcpNetwork> =>
  Layer.sync(TcpNetwork, () => new MemoryNetwork(options?.bufferBytes ?? 65_536))
