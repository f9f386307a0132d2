/**
 * The network of a distribution on Node.js: TCP sockets of `node:net`, without delay, and digests of `node:crypto`.
 *
 * The sockets are used directly: one write per turn of the event loop, from a buffer that is used again when the kernel
 * has taken it whole.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { setImmediate } from "node:timers"
import { type Link, Network, NetworkError, type NetworkService } from "./Network.ts"

const nothing = (): void => {}

class SocketLink implements Link {
  readonly remoteAddress: string
  readonly localAddress: string
  received: (bytes: Uint8Array) => void = nothing
  drained: () => void = nothing
  closed: () => void = nothing
  private readonly socket: Net.Socket

  constructor(socket: Net.Socket) {
    this.socket = socket
    this.remoteAddress = socket.remoteAddress ?? ""
    this.localAddress = socket.localAddress ?? ""
    socket.setNoDelay(true)
    socket.pause()
    // Errors are followed by `close`, which is what counts.
    socket.on("error", nothing)
    socket.on("drain", () => this.drained())
    socket.once("close", () => {
      const { closed } = this
      this.received = this.drained = this.closed = nothing
      closed()
    })
  }

  start(): void {
    this.socket.on("data", (chunk: Uint8Array) => this.received(chunk))
    // The other end has finished: nodes do not speak half of a connection.
    this.socket.on("end", () => this.socket.destroy())
    this.socket.resume()
    if (this.socket.destroyed) setImmediate(() => this.closed())
  }

  write(bytes: Uint8Array): boolean {
    if (this.socket.destroyed) return true
    this.socket.write(bytes)
    return this.socket.writableLength === 0
  }

  writeAll(parts: ReadonlyArray<Uint8Array>): void {
    if (this.socket.destroyed) return
    this.socket.cork()
    for (const part of parts) this.socket.write(part)
    this.socket.uncork()
  }

  get pending(): number {
    return this.socket.writableLength
  }

  end(): void {
    this.socket.end(() => this.socket.destroy())
  }

  close(): void {
    this.socket.destroy()
  }
}

const failure = (
  operation: "connect" | "listen",
  address: { readonly host: string; readonly port: number },
  error: NodeJS.ErrnoException
): NetworkError =>
  new NetworkError({
    operation,
    address: `${address.host}:${address.port}`,
    code: error.code ?? "UNKNOWN",
    detail: error.message
  })

const connect: NetworkService["connect"] = (address) =>
  Effect.callback<Link, NetworkError>((resume) => {
    const socket = Net.connect({ host: address.host, port: address.port, allowHalfOpen: true })
    const onError = (error: NodeJS.ErrnoException): void => resume(Effect.fail(failure("connect", address, error)))
    socket.once("error", onError)
    socket.once("connect", () => {
      socket.off("error", onError)
      resume(Effect.succeed(new SocketLink(socket)))
    })
    return Effect.sync(() => {
      socket.on("error", nothing)
      socket.destroy()
    })
  })

const listen = (
  address: { readonly host: string; readonly port: number },
  onLink: (link: Link) => void
): Effect.Effect<{ readonly port: number }, NetworkError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server, NetworkError>((resume) => {
        const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
          onLink(new SocketLink(socket)))
        const onError = (error: NodeJS.ErrnoException): void =>
          resume(Effect.fail(failure("listen", address, error)))
        server.once("error", onError)
        server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
          server.off("error", onError)
          // Failures to accept (too many open files) are temporary: the listener stays.
          server.on("error", nothing)
          resume(Effect.succeed(server))
        })
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => ({ port: (server.address() as Net.AddressInfo).port }) // a TCP server has one
  )

const service: NetworkService = {
  connect,
  listen,
  turn: (f) => {
    setImmediate(f)
  },
  randomUint32: () => Crypto.randomBytes(4).readUInt32BE(0),
  md5: (bytes) => new Uint8Array(Crypto.createHash("md5").update(bytes).digest())
}

/**
 * The network of Node.js.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Network> = Layer.succeed(Network, service)
