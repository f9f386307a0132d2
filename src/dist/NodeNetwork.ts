/**
 * The network of a distribution on Node.js: TCP sockets of `node:net`, without delay, TLS of `node:tls`, and digests of
 * `node:crypto`.
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
import * as NodeTls from "node:tls"
import * as NodeCompression from "../etf/NodeCompression.ts"
import { TlsError } from "./DistError.ts"
import { SocketLink } from "./internal/NodeSocketLink.ts"
import { checkCertificate, contextOf, contextOptions, errorOf, objectionTo, verified } from "./internal/NodeTls.ts"
import { type Link, Network, NetworkError, type NetworkService } from "./Network.ts"
import type * as Tls from "./Tls.ts"

const nothing = (): void => {}

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

const plain = (address: { readonly host: string; readonly port: number }): Effect.Effect<Link, NetworkError> =>
  Effect.callback<Link, NetworkError>((resume) => {
    const socket = Net.connect({ host: address.host, port: address.port, allowHalfOpen: true })
    const onError = (error: NodeJS.ErrnoException): void => resume(Effect.fail(failure("connect", address, error)))
    socket.once("error", onError)
    socket.once("connect", () => {
      socket.off("error", onError)
      resume(Effect.succeed(new SocketLink(socket, false, false)))
    })
    return Effect.sync(() => {
      socket.on("error", nothing)
      socket.destroy()
    })
  })

const encrypted = (
  address: { readonly host: string; readonly port: number },
  credentials: Tls.Credentials,
  node: string
): Effect.Effect<Link, NetworkError | TlsError> =>
  Effect.callback<Link, NetworkError | TlsError>((resume) => {
    const subject = `${address.host}:${address.port}`
    const host = node.slice(node.indexOf("@") + 1)
    const socket = NodeTls.connect({
      host: address.host,
      port: address.port,
      secureContext: contextOf(credentials),
      minVersion: credentials.policy.minVersion ?? "TLSv1.2",
      // An address is no server name.
      servername: Net.isIP(host) === 0 ? host : "",
      rejectUnauthorized: true,
      // The name is compared below, as Erlang compares it.
      checkServerIdentity: () => undefined
    })
    let reached = false
    socket.once("connect", () => {
      reached = true
    })
    const onError = (error: NodeJS.ErrnoException): void => {
      if (!reached) return resume(Effect.fail(failure("connect", address, error)))
      resume(Effect.fail(errorOf(subject, error)))
    }
    socket.once("error", onError)
    socket.once("secureConnect", () => {
      socket.off("error", onError)
      const certificate = verified(socket, subject)
      const refused = certificate instanceof TlsError
        ? certificate
        : credentials.policy.names === "none"
        ? undefined
        : objectionTo(certificate, node, subject)
      if (refused !== undefined) {
        socket.on("error", nothing)
        socket.destroy()
        return resume(Effect.fail(refused))
      }
      const link = new SocketLink(socket, true, false)
      // With TLS 1.3 a server judges the certificate of its client after this.
      socket.once("error", (error) => {
        link.failure = errorOf(subject, error)
      })
      resume(Effect.succeed(link))
    })
    return Effect.sync(() => {
      socket.on("error", nothing)
      socket.destroy()
    })
  })

const connect: NetworkService["connect"] = (address) =>
  address.tls === undefined ? plain(address) : encrypted(address, address.tls.credentials, address.tls.node)

const plainServer = (onLink: (link: Link) => void): Net.Server =>
  Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => onLink(new SocketLink(socket, false, false)))

/** Both ends of a socket, by which a connection is found again when its handshake is over. */
const endsOf = ({ localAddress, localPort, remoteAddress, remotePort }: Net.Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

const encryptedServer = (credentials: Tls.Credentials, onLink: (link: Link) => void): Net.Server => {
  const { policy } = credentials
  let applied = credentials.pem()
  const server = NodeTls.createServer({
    ...contextOptions(applied, policy),
    requestCert: true,
    // Who has no certificate in order is refused below, where the reason is known.
    rejectUnauthorized: false
  })
  const pending = new Map<string, SocketLink>()
  const links = new WeakMap<Net.Socket, SocketLink>()
  // Before the listener of the server itself: what has changed holds from this connection on.
  server.prependListener("connection", (socket: Net.Socket) => {
    const current = credentials.pem()
    if (current !== applied) {
      applied = current
      server.setSecureContext(contextOptions(current, policy))
    }
    const ends = endsOf(socket)
    const link = new SocketLink(socket, true, true)
    pending.set(ends, link)
    links.set(socket, link)
    socket.once("close", () => {
      if (pending.get(ends) === link) pending.delete(ends)
    })
    onLink(link)
  })
  server.on("secureConnection", (socket) => {
    const ends = endsOf(socket)
    const link = pending.get(ends)
    pending.delete(ends)
    if (link === undefined) {
      socket.destroy()
      return
    }
    const subject = link.remoteAddress
    const certificate = verified(socket, subject)
    if (certificate instanceof TlsError) {
      link.failure = certificate
      socket.on("error", nothing)
      socket.destroy()
      return
    }
    if (policy.names === "both") link.objection = (node) => objectionTo(certificate, node, subject)
    link.adopt(socket)
  })
  server.on("tlsClientError", (error, socket) => {
    // Which connection it was is only in a field of Node's own; without it the reason is lost and nothing else.
    const beneath = (socket as { readonly _parent?: unknown })._parent
    const link = beneath instanceof Net.Socket ? links.get(beneath) : undefined
    if (link !== undefined) link.failure ??= errorOf(link.remoteAddress, error)
    socket.destroy()
  })
  return server
}

const listen = (
  address: Parameters<NetworkService["listen"]>[0],
  onLink: (link: Link) => void
): Effect.Effect<{ readonly port: number }, NetworkError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server, NetworkError>((resume) => {
        const server = address.tls === undefined
          ? plainServer(onLink)
          : encryptedServer(address.tls.credentials, onLink)
        const onError = (error: NodeJS.ErrnoException): void => resume(Effect.fail(failure("listen", address, error)))
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
  checkCertificate,
  zlib: { inflate: NodeCompression.inflate, deflate: NodeCompression.deflate },
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
