/**
 * Effect's HTTP server on Node.js, with limits for everything that a client decides: the size of headers, bodies and
 * WebSocket messages, the time for a request, the number of requests of a connection, the number of connections.
 *
 * It listens on this host only, unless told otherwise. TLS is 1.2 or later. When it ends, requests may be completed for a
 * while, and then every connection is closed, so that no client can keep its port.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { MaxBodySize } from "effect/http/HttpIncomingMessage"
import type * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Http from "node:http"
import * as Https from "node:https"
import type { Socket } from "node:net"
import type { ServerTls } from "./TcpNetwork.ts"

/**
 * Options of a web server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The port; 0 takes a free one. */
  readonly port: number
  /** The address: 127.0.0.1. */
  readonly host?: string
  readonly tls?: ServerTls
  /** The most bytes of the headers of a request: 16 KiB. More are answered with 431. */
  readonly maxHeaderBytes?: number
  /** The most bytes of the body of a request: 1 MiB. More fail in the handler that reads them. */
  readonly maxBodyBytes?: number
  /** The most bytes of a WebSocket message: 1 MiB. More end the connection. */
  readonly maxMessageBytes?: number
  /** How long a client may take to send a request: 30 seconds. Later it is answered with 408. */
  readonly requestTimeout?: Duration.Input
  /** How long a client may take to send the headers: 10 seconds. */
  readonly headersTimeout?: Duration.Input
  /** How long a connection may wait for its next request: 5 seconds. */
  readonly keepAliveTimeout?: Duration.Input
  /** How many requests a connection may bring before it is closed: 1000. */
  readonly maxRequestsPerConnection?: number
  /** How many connections there may be: 10 000. */
  readonly maxConnections?: number
  /** How long requests may take when the server ends: 5 seconds. */
  readonly drainTimeout?: Duration.Input
}

const millis = (input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : Duration.toMillis(Duration.fromInputUnsafe(input))

const serverOf = (options: Options): Http.Server => {
  const requestTimeout = millis(options.requestTimeout, 30_000)
  const limits: Http.ServerOptions = {
    maxHeaderSize: options.maxHeaderBytes ?? 16_384,
    requestTimeout,
    headersTimeout: Math.min(requestTimeout, millis(options.headersTimeout, 10_000)),
    keepAliveTimeout: millis(options.keepAliveTimeout, 5000),
    connectionsCheckingInterval: 1000
  }
  const { tls } = options
  const server = tls === undefined ? Http.createServer(limits) : Https.createServer({
    ...limits,
    minVersion: "TLSv1.2",
    cert: tls.cert,
    key: Redacted.value(tls.key),
    ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true })
  })
  server.maxRequestsPerSocket = options.maxRequestsPerConnection ?? 1000
  server.maxConnections = options.maxConnections ?? 10_000
  server.on("request", (_, response) => {
    // A client that sends one request after the other is told that this was the last.
    if (!server.listening) response.setHeader("connection", "close")
    // It listens before there are routes, and longer: nobody else would answer.
    if (server.listenerCount("request") === 1) {
      response.writeHead(503, { "retry-after": "1", connection: "close" }).end()
    }
  })
  return server
}

/** Closes what is left of the connections of a server, also those that are WebSockets now. */
const closing = (server: Http.Server): Layer.Layer<never> => {
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  return Layer.effectDiscard(
    Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
  )
}

/**
 * The web server of Node.js.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<
  HttpServer.HttpServer | Layer.Success<typeof NodeHttpServer.layerHttpServices>,
  ServeError
> =>
  Layer.suspend(() => {
    const server = serverOf(options)
    return Layer.mergeAll(
      // It is built last, so it is closed first: what waits for the last connection to go comes behind.
      Layer.provideMerge(
        closing(server),
        NodeHttpServer.layer(() => server, {
          port: options.port,
          host: options.host ?? "127.0.0.1",
          gracefulShutdownTimeout: options.drainTimeout ?? "5 seconds",
          websocket: { maxPayload: options.maxMessageBytes ?? 1_048_576 }
        })
      ),
      Layer.succeed(MaxBodySize, ByteSize.bytes(options.maxBodyBytes ?? 1_048_576))
    )
  })
