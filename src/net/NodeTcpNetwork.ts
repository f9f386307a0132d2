/**
 * TCP and TLS endpoints on Node.js: sockets of `node:net` and `node:tls`, used directly.
 *
 * Without delay (`TCP_NODELAY`), with keep-alive. TLS is 1.2 or later and always verified; a server that demands
 * certificates of its clients refuses those without. A certificate is exchanged without a restart.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { nextTick } from "node:process"
import { setImmediate } from "node:timers"
import * as Tls from "node:tls"
import { NetError } from "./NetError.ts"
import {
  type ClientTls,
  type HostPort,
  type Listener,
  type ServerTls,
  type Service,
  type Socket,
  TcpNetwork
} from "./TcpNetwork.ts"

const nothing = (): void => {}

const failure = (operation: NetError["operation"], address: HostPort, error: unknown): NetError => {
  const { code, message } = error as NodeJS.ErrnoException
  return new NetError({
    operation,
    address: `${address.host}:${address.port}`,
    code: code ?? "UNKNOWN",
    detail: message ?? String(error)
  })
}

class NodeSocket implements Socket {
  readonly peer: HostPort
  readonly local: HostPort
  readonly peerSubject: string | undefined
  received: (bytes: Uint8Array) => void = nothing
  ended: () => void = nothing
  drained: () => void = nothing
  closed: (error: NetError | undefined) => void = nothing
  private readonly socket: Net.Socket
  private error: unknown = undefined
  private isClosed = false
  private corked = false
  private readonly uncork = (): void => {
    this.corked = false
    this.socket.uncork()
  }

  constructor(socket: Net.Socket, peerSubject: string | undefined) {
    this.socket = socket
    this.peer = { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 }
    this.local = { host: socket.localAddress ?? "", port: socket.localPort ?? 0 }
    this.peerSubject = peerSubject
    socket.pause()
    // Errors are followed by `close`, which is what counts.
    socket.on("error", (error) => {
      this.error ??= error
    })
    socket.on("drain", () => this.drained())
    socket.on("end", () => this.ended())
    socket.once("close", () => {
      this.isClosed = true
      this.tellClosed()
    })
  }

  start(): void {
    if (this.isClosed) {
      setImmediate(() => this.tellClosed())
      return
    }
    this.socket.on("data", (chunk: Uint8Array) => this.received(chunk))
    this.socket.resume()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  write(bytes: Uint8Array): boolean {
    const { socket } = this
    if (socket.destroyed || socket.writableEnded) return true
    // What is written in one turn goes to the kernel as one.
    if (!this.corked) {
      this.corked = true
      socket.cork()
      nextTick(this.uncork)
    }
    return socket.write(bytes)
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private tellClosed(): void {
    const { closed } = this
    this.received = nothing
    this.ended = nothing
    this.drained = nothing
    this.closed = nothing
    closed(this.error === undefined ? undefined : failure("read", this.peer, this.error))
  }
}

const subjectOf = (socket: Tls.TLSSocket): string | undefined => {
  if (!socket.authorized) return undefined
  const { subject } = socket.getPeerCertificate()
  return subject === undefined ? undefined : Object.entries(subject).map(([key, value]) => `${key}=${value}`).join(",")
}

/** The credentials of a server as Node takes them. */
const serverOptions = (tls: ServerTls): Tls.TlsOptions => ({
  cert: tls.cert,
  key: Redacted.value(tls.key),
  ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true })
})

const listen: Service["listen"] = (options, onSocket): Effect.Effect<Listener, NetError, Scope.Scope> => {
  const address = { host: options.host, port: options.port }
  const { tls } = options
  const create = (): Net.Server => {
    const tcp = { allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true }
    if (tls === undefined) return Net.createServer(tcp, (socket) => onSocket(new NodeSocket(socket, undefined)))
    const server = Tls.createServer(
      { ...serverOptions(tls), minVersion: "TLSv1.2", handshakeTimeout: options.handshakeMillis, allowHalfOpen: true },
      (socket) => {
        socket.setNoDelay(true)
        socket.setKeepAlive(true)
        onSocket(new NodeSocket(socket, subjectOf(socket)))
      }
    )
    // A client that does not get through the handshake is a matter between it and us.
    server.on("tlsClientError", (_, socket) => socket.destroy())
    return server
  }
  const close = (server: Net.Server): Effect.Effect<void> =>
    Effect.sync(() => {
      server.close(nothing)
    })
  return Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server, NetError>((resume) => {
        // oxlint-disable-next-line effect-otp/no-try -- Node throws at certificates it cannot read
        try {
          const server = create()
          const onError = (error: Error): void => resume(Effect.fail(failure("listen", address, error)))
          server.once("error", onError)
          server.maxConnections = options.maxConnections
          server.on("drop", options.onRefused)
          server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
            server.off("error", onError)
            // Failures to accept (too many open files) are temporary: the listener stays.
            server.on("error", nothing)
            resume(Effect.succeed(server))
          })
        } catch (error) {
          resume(Effect.fail(failure("certificate", address, error)))
        }
      }),
      close
    ),
    (server) => {
      const bound = server.address() as Net.AddressInfo // a TCP server has one
      return {
        address: { host: bound.address, port: bound.port },
        close: close(server),
        reload: (tls) =>
          server instanceof Tls.Server
            ? Effect.try({
              try: () => server.setSecureContext(serverOptions(tls)),
              catch: (error) => failure("certificate", { host: bound.address, port: bound.port }, error)
            })
            : Effect.fail(failure("certificate", address, new Error("the server was started without TLS")))
      }
    }
  )
}

const clientOptions = (tls: ClientTls, host: string): Tls.ConnectionOptions => ({
  servername: tls.serverName ?? (Net.isIP(host) === 0 ? host : ""),
  minVersion: "TLSv1.2",
  rejectUnauthorized: true,
  ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  ...(tls.cert === undefined ? {} : { cert: tls.cert }),
  ...(tls.key === undefined ? {} : { key: Redacted.value(tls.key) }),
  ...(tls.serverName === undefined ? {} : {
    checkServerIdentity: (_: string, certificate: Tls.PeerCertificate) =>
      Tls.checkServerIdentity(tls.serverName!, certificate)
  })
})

const connect: Service["connect"] = (options) =>
  Effect.callback<Socket, NetError>((resume) => {
    const { host, port, tls } = options
    let socket: Net.Socket | undefined
    const onError = (error: unknown): void => resume(Effect.fail(failure("connect", { host, port }, error)))
    // oxlint-disable-next-line effect-otp/no-try -- Node throws at ports and certificates it cannot use
    try {
      const tcp = { host, port, allowHalfOpen: true, noDelay: true, keepAlive: true }
      const made: Net.Socket = tls === undefined
        ? Net.connect(tcp)
        : Tls.connect({ ...tcp, ...clientOptions(tls, host) })
      socket = made
      made.once("error", onError)
      // A server that ends the connection during the handshake of TLS gives no error.
      const onEnd = (): void => onError(new Error("the connection ended before it was ready"))
      made.once("close", onEnd)
      made.once(tls === undefined ? "connect" : "secureConnect", () => {
        made.off("error", onError)
        made.off("close", onEnd)
        resume(Effect.succeed(new NodeSocket(made, made instanceof Tls.TLSSocket ? subjectOf(made) : undefined)))
      })
    } catch (error) {
      onError(error)
    }
    return Effect.sync(() => {
      socket?.on("error", nothing)
      socket?.destroy()
    })
  })

/**
 * The TCP of Node.js.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<TcpNetwork> = Layer.succeed(TcpNetwork, { listen, connect })
