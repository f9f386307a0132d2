/**
 * Web servers: requests handled by processes, behind Effect's HTTP server and router.
 *
 * Routes stay what they are: Effects of a response. {@link handlers} has them run in a pool of processes, one request at a
 * time in each. Then a defect is a crash of a process, which is answered with 500 and whose process is replaced; a pool
 * without room answers 503 with `Retry-After`; a request that takes too long is interrupted and answered with 504; and the
 * handler of a client that has gone is interrupted. Nothing of why is told to clients.
 *
 * {@link respond} is for routes that call processes themselves: it turns what can go wrong with a call into the same
 * statuses. {@link webSockets} has a `TcpServer` serve WebSockets: a process for each, its frames the messages.
 * {@link events} sends a stream as server-sent events.
 *
 * `NodeWebServer.layer` is Effect's server for Node.js with limits for what comes from outside.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import type { SupervisorStartError } from "../otp/OtpError.ts"
import * as Pool from "../otp/Pool.ts"
import * as Supervisor from "../otp/Supervisor.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import { Node } from "../process/Node.ts"
import type { ClientRef } from "../process/ProcessRef.ts"
import { UpgradeNetwork } from "./internal/UpgradeNetwork.ts"
import { type Handlers, handlerServer, overloaded, responseOf, runIn } from "./internal/WebHandlers.ts"
import type { NetError } from "./NetError.ts"
import { Control, type ControlMessage } from "./TcpControl.ts"
import { TcpNetwork } from "./TcpNetwork.ts"
import type { TcpServer } from "./TcpServer.ts"

type Response = HttpServerResponse.HttpServerResponse

/**
 * The handlers of requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerOptions {
  /** How many processes there are: so many requests are handled at a time. */
  readonly size: number
  /** How many requests may wait for one: 10 for each process. More are answered with 503. */
  readonly queue?: number
  /** How long a request may wait and be handled, before it is interrupted and answered with 504: 30 seconds. */
  readonly timeout?: Duration.Input
  /** After how many seconds clients are told to try again: 1. */
  readonly retryAfter?: number
  /** The name of the pool, for observers and `Pool.stats`. */
  readonly name?: string
  /** How many handlers may crash within `period` before the whole pool is replaced: 10 000. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
}

/** How the handlers of a web server can fail to start. */
type StartFailure = SupervisorStartError<StartError> | StartError

/**
 * Runs Effects of a response in processes.
 *
 * @category models
 * @since 0.1.0
 */
export type Runner = <E, R>(app: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E, R>

/**
 * Starts handlers, tied to the surrounding scope, and gives the function that runs requests in them. For servers without
 * a router; see {@link handlers}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const runner = (options: HandlerOptions): Effect.Effect<Runner, StartFailure, Node | Scope.Scope> => {
  const { intensity, period, queue, retryAfter = 1, size } = options
  const pool = Pool.make(handlerServer, {
    size,
    strategy: "least_loaded",
    capacity: queue ?? 10 * size,
    intensity: intensity ?? 10_000,
    ...(period === undefined ? {} : { period })
  })
  const limitMillis = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "30 seconds"))
  const handlers: Handlers = { current: undefined }
  // Whoever ends the pool: there is another one, in a process that ends with it.
  const running = Effect.map(
    Pool.start(pool, undefined, { link: true, ...(options.name === undefined ? {} : { name: options.name }) }),
    (ref) => {
      handlers.current = ref
    }
  )
  const tree = Supervisor.make({
    intensity: 10,
    children: [Supervisor.fromLayer("handlers", Layer.effectDiscard(running))]
  })
  const run: Runner = (app) => runIn(handlers, app, limitMillis, { retryAfterSeconds: retryAfter })
  // A start that fails names the way to the child at fault, and has that child's error: that of a handler.
  return Effect.as(Supervisor.start(tree), run) as Effect.Effect<Runner, StartFailure, Node | Scope.Scope>
}

/**
 * The middleware that has routes run in processes: for the routes it is provided to. Routes with different needs get
 * different handlers, so that slow ones do not take the processes of the others: those that read a body, say, which a
 * client may send slowly until the limit of the server ends that.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Node } from "effect-otp"
 * import { WebServer } from "effect-otp/net"
 * import * as NodeWebServer from "effect-otp/net/NodeWebServer"
 *
 * const Hello = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")).pipe(
 *   Layer.provide(WebServer.handlers({ size: 8, timeout: "2 seconds" }))
 * )
 *
 * const Web = HttpRouter.serve(Hello).pipe(
 *   Layer.provide([NodeWebServer.layer({ port: 8080 }), Node.layerLocal()])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const handlers = (options: HandlerOptions): Layer.Layer<never, StartFailure, Node> =>
  HttpRouter.middleware(
    Effect.map(
      runner(options),
      (run) => (route: Effect.Effect<Response, Types.unhandled>): Effect.Effect<Response, Types.unhandled> => run(route)
    )
  ).layer

/**
 * Turns what can go wrong with a call into a response: 503 with `Retry-After` when nobody has room or is there, 504 when
 * no reply came in time, 502 when another node is down or answers nonsense, 500 when the process has crashed. The
 * domain errors of the call stay.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { GenServer, Message, Protocol } from "effect-otp"
 * import { WebServer } from "effect-otp/net"
 *
 * class Stock extends Protocol.make("Stock", Message.Call("Count", { success: Schema.Int })) {}
 *
 * const route = Effect.gen(function*() {
 *   const stock = yield* GenServer.named(Stock, "stock")
 *   return HttpServerResponse.jsonUnsafe({ count: yield* stock.Count() })
 * }).pipe(WebServer.respond())
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const respond = (
  options?: { readonly retryAfter?: number }
): <E, R>(app: Effect.Effect<Response, E, R>) => Effect.Effect<Response, Exclude<E, CallError>, R> =>
<E, R>(app: Effect.Effect<Response, E, R>) =>
  Effect.catch(app, (error): Effect.Effect<Response, Exclude<E, CallError>> =>
    isCallError(error)
      ? Effect.succeed(responseOf(error, { retryAfterSeconds: options?.retryAfter ?? 1 }))
      : Effect.fail(error as Exclude<E, CallError>))

const isCallError = (error: unknown): error is CallError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "CallError"

// --- WebSockets ------------------------------------------------------------------------------------------------------

/**
 * A server of WebSockets.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSockets {
  /** The server: what it has counted, to have it drain. Its process is replaced when it crashes. */
  readonly server: ClientRef<ControlMessage>
  /** The route: it upgrades the request, and completes when the connection is over. */
  readonly upgrade: Effect.Effect<
    Response,
    HttpServerError,
    HttpServerRequest.HttpServerRequest
  >
}

/**
 * Options of WebSockets.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketOptions {
  /** Whether messages are sent as text, in UTF-8, or as bytes: text. Both are received. */
  readonly send?: "text" | "bytes"
}

/**
 * Has a `TcpServer` serve WebSockets, with all that it is: a process for each connection, its state, messages, limits and
 * ends. The bytes of a message go to its framing at once, and each frame is sent as one message: with `Framing.message`
 * the frames are the messages. At the end of its process a peer is told 1000, or 1011 where that crashed or was killed.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { Framing, TcpServer, WebServer } from "effect-otp/net"
 *
 * const Echo = TcpServer.make({
 *   framing: Framing.message(),
 *   connect: () => Effect.void,
 *   frame: (text, _, { connection }) => connection.write(text)
 * })
 *
 * const Route = HttpRouter.use((router) =>
 *   Effect.flatMap(WebServer.webSockets(Echo), ({ upgrade }) => router.add("GET", "/echo", upgrade))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const webSockets = <R>(
  server: TcpServer<R>,
  options?: WebSocketOptions
): Effect.Effect<
  WebSockets,
  SupervisorStartError<NetError | StartError> | StartError,
  Exclude<R, TcpNetwork> | Node | Scope.Scope
> =>
  Effect.gen(function*() {
    const network = new UpgradeNetwork(options?.send !== "bytes")
    const supervisor = yield* Supervisor.start(
      Supervisor.make({ children: [Supervisor.child("websockets", server, { port: 0 })] }),
      { link: true }
    ).pipe(Effect.provideService(TcpNetwork, network))
    const node = yield* Node
    const ref = Behaviour.routedRef(node, Control.protocol, supervisor.pid, () => network.instance)
    const upgrade = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      network.isFull
        ? Effect.succeed(overloaded({ retryAfterSeconds: 1 }))
        : Effect.flatMap(
          request.upgrade,
          (socket) => Effect.as(network.serve(socket, request.remoteAddress), HttpServerResponse.empty())
        ))
    return { server: ref as ClientRef<ControlMessage>, upgrade } // it has the methods of the protocol
  }) as Effect.Effect<
    WebSockets,
    SupervisorStartError<NetError | StartError> | StartError,
    Exclude<R, TcpNetwork> | Node | Scope.Scope
  > // the network is provided

// --- server-sent events ----------------------------------------------------------------------------------------------

/**
 * A stream as server-sent events. `encode` gives the data of an event; what the stream acquires, a subscription to a topic
 * say, is released when the client goes.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Events } from "effect-otp"
 * import { WebServer } from "effect-otp/net"
 *
 * const Price = Events.topic("Price", { symbol: Schema.String, price: Schema.Number })
 * const route = WebServer.events(Events.stream(Price), JSON.stringify)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const events = <A, E, R>(
  stream: Stream.Stream<A, E, R>,
  encode: (event: A) => string
): Effect.Effect<Response, never, R> =>
  Effect.map(Effect.context<R>(), (context) =>
    HttpServerResponse.stream(
      stream.pipe(
        Stream.map((event) =>
          Sse.encoder.write({ _tag: "Event", event: "message", id: undefined, data: encode(event) })
        ),
        Stream.encodeText,
        Stream.provideContext(context)
      ),
      { contentType: "text/event-stream", headers: { "cache-control": "no-cache", "x-accel-buffering": "no" } }
    ))
