/**
 * TCP servers: a process for each connection, with frames instead of bytes.
 *
 * `make` gives a `GenServer`: it is started, named, supervised and provided as a layer like any other. Its process
 * listens and counts; each connection that comes in is a process of its own, with a state, handlers for the messages of a
 * protocol, and the same transitions as a server. What a connection cannot do is harm others: a handler that crashes
 * takes its connection with it, and a peer that sends nonsense, too much or too slowly is disconnected and counted, and
 * nothing of that is a crash.
 *
 * Guarantees: the frames of a connection are handled in order, one at a time, whatever the chunks they came in. While one
 * is handled, nothing more is read, so that a slow handler slows its peer down. Whoever holds the connection may write to
 * it. The frames a peer sent before it closed are handled before `disconnect` runs; what was written before the end is
 * sent.
 *
 * Everything that a peer decides has a limit: the size of a frame, the time to complete it, the time without any, the
 * time to take what was written, the number of connections.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as GenServer from "../otp/GenServer.ts"
import type { CallResult, CastResult, Context as HandlerContext, From } from "../process/Handler.ts"
import type { MailboxOptions } from "../process/Mailbox.ts"
import type * as Message from "../process/Message.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as Protocol from "../process/Protocol.ts"
import type { Down, Exit } from "../process/Signal.ts"
import type { Connection, End } from "./Connection.ts"
import type { Framing } from "./Framing.ts"
import { acceptor, type ListenOptions } from "./internal/Acceptor.ts"
import type { ConnectionParts } from "./internal/ConnectionServer.ts"
import { NetError } from "./NetError.ts"
import type { ControlMessage } from "./TcpControl.ts"
import type { ServerTls, TcpNetwork } from "./TcpNetwork.ts"

export type { ListenOptions } from "./internal/Acceptor.ts"
export { Control, type ControlMessage, Stats } from "./TcpControl.ts"

/**
 * What a callback may know besides its state: the process of the connection, and the connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context<in Out> extends HandlerContext {
  /** To write to the peer. It may be handed to other processes. */
  readonly connection: Connection<Out>
}

/**
 * The context of a frame: `worker` is what the handler has that runs the callback, where connections share handlers.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameContext<in Out, out W> extends Context<Out> {
  readonly worker: W
}

/**
 * Handlers that connections share.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolOptions<W, RW> {
  /** How many handlers there are. */
  readonly size: number
  /** Makes what a handler has for itself, from its number; what it acquires is released when the handler ends. */
  readonly init: (handler: number) => Effect.Effect<W, unknown, RW>
  /** How many handlers may crash within `period` before the server itself gives up: 10 000. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
}

/**
 * The context of a call: `from` is whom to answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallContext<in A, in E, in Out> extends Context<Out> {
  readonly from: From<A, E>
}

/**
 * The handler of one message to a connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<M extends Message.Any, S, Out> = M extends { readonly kind: "Call" } ? (
    payload: Message.Payload<M>,
    state: S,
    context: CallContext<Message.Success<M>, Message.Error<M>, Out>
  ) => CallResult<Message.Success<M>, Message.Error<M>, S, never>
  : (payload: Message.Payload<M>, state: S, context: Context<Out>) => CastResult<S, never>

/**
 * One handler for each message of the protocol of a connection, and those of a server for what is outside of it. Without
 * `exit`, the end of a linked process ends the connection, unless it is `normal`.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<M extends Message.Any, S, Out> =
  & { readonly [T in M as T["_tag"]]: Handler<T, S, Out> }
  & {
    readonly exit?: (signal: Exit, state: S, context: Context<Out>) => CastResult<S, never>
    readonly down?: (signal: Down, state: S, context: Context<Out>) => CastResult<S, never>
    readonly unhandled?: (term: unknown, state: S, context: Context<Out>) => CastResult<S, never>
  }

/** Names that are no message of the protocol: each must be absent. */
type NoOther<H, M extends Message.Any> = { readonly [K in Exclude<keyof H, keyof Handlers<M, never, never>>]: never }

/** The services of what a callback returns. */
type ServicesOf<Result> = Result extends Effect.Effect<any, any, infer R> ? R : never

/** What handlers return, all together. */
type ResultOf<H> = { readonly [K in keyof H]: H[K] extends (...args: any) => infer Result ? Result : never }[keyof H]

/** What the process provides itself. */
type Provided = Scope.Scope | CurrentProcess

/**
 * The limits of a server and of its connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** How many connections there may be: 10 000. More are closed as they come in, and counted. */
  readonly maxConnections?: number
  /** Ends a connection on which nothing went either way for so long: 5 minutes. See `idle`. */
  readonly idleTimeout?: Duration.Input
  /** Ends a connection whose peer does not complete a frame it has begun: 30 seconds. */
  readonly frameTimeout?: Duration.Input
  /** Ends a connection whose peer takes nothing of what was written: 30 seconds. */
  readonly writeTimeout?: Duration.Input
  /** How long `connect` may take: 5 seconds. */
  readonly connectTimeout?: Duration.Input
  /** How long `disconnect` may take: 5 seconds. */
  readonly disconnectTimeout?: Duration.Input
  /** How long the peer has, after the end of this side, to end its own: 2 seconds. */
  readonly lingerTimeout?: Duration.Input
  /** How long the handshake of TLS may take: 7 seconds. */
  readonly handshakeTimeout?: Duration.Input
  /** How long frames under way may take when the server ends: 2 seconds. See the message `Drain`. */
  readonly drainTimeout?: Duration.Input
  /** The mailbox of each connection. Frames do not stand in it. */
  readonly mailbox?: MailboxOptions
}

/**
 * The parts of a server. `In` and `Out` are its frames, `S` the state of a connection; the others are what callbacks
 * return.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  In,
  Out,
  S,
  RC,
  F extends CastResult<S, never>,
  I extends CastResult<S, never>,
  T extends CastResult<S, never>,
  RD,
  TE,
  TR,
  W,
  RW
> extends Limits {
  /** How messages are cut out of the stream of bytes. */
  readonly framing: Framing<In, Out>
  /** Greets a connection and makes its first state. When it fails, the connection is refused and counted. */
  readonly connect: (context: Context<Out>) => Effect.Effect<S, unknown, RC>
  /** Handles a frame. */
  readonly frame: (frame: In, state: NoInfer<S>, context: FrameContext<Out, NoInfer<W>>) => F
  /**
   * Has `frame` run by a fixed number of processes, each for its share of the connections, in place of the process of the
   * connection: to bound how much is done at a time, or when handlers have something that is too dear for each connection.
   * When one crashes, so does the connection whose frame it was; the others go on with the handler that takes its place.
   */
  readonly pool?: PoolOptions<W, RW>
  /** Runs instead of the end when nothing went either way for `idleTimeout`, and again after as long. */
  readonly idle?: (state: NoInfer<S>, context: Context<Out>) => I
  /** Runs when a transition said `timeout` and no message came for so long. */
  readonly timeout?: (state: NoInfer<S>, context: Context<Out>) => T
  /** Runs at the end, whatever the reason, after a successful `connect`. Unless the peer is gone, it may still write. */
  readonly disconnect?: (end: End, state: NoInfer<S>, context: Context<Out>) => Effect.Effect<unknown, unknown, RD>
  /** Loads the certificate of a TLS server; again for each message `Reload`. Without it, the server has no TLS. */
  readonly tls?: Effect.Effect<ServerTls, TE, TR>
}

/**
 * A TCP server: a `GenServer` that is started with the address to listen on. `R` are the services of its callbacks.
 *
 * @category models
 * @since 0.1.0
 */
export type TcpServer<R = never> = GenServer.GenServer<ListenOptions, ControlMessage, NetError, R | TcpNetwork>

/**
 * Makes a TCP server.
 *
 * With a protocol, the process of each connection also understands its messages, from any process that knows its pid
 * (`context.self`), and has a handler for each.
 *
 * A callback that fails with `ConnectionClosed`, because what it wrote could not be written, ends the connection in order;
 * any other failure is a crash of this connection.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { GenServer, Node } from "effect-otp"
 * import { Framing, TcpServer } from "effect-otp/net"
 * import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
 *
 * const Echo = TcpServer.make({
 *   framing: Framing.lines(),
 *   connect: () => Effect.succeed(0),
 *   frame: (line, count, { connection }) =>
 *     Effect.as(connection.write(`${count + 1}: ${line}`), GenServer.next(count + 1))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* GenServer.start(Echo, { port: 0 })
 *   return yield* server.Address()
 * }).pipe(Effect.scoped, Effect.provide([Node.layerLocal(), NodeTcpNetwork.layer]))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  // In this order: of two overloads that do not fit, the compiler explains the last.
  <
    Name extends string,
    M extends Message.Any,
    In,
    Out,
    S,
    RC,
    H extends Handlers<M, NoInfer<S>, NoInfer<Out>>,
    F extends CastResult<NoInfer<S>, never>,
    I extends CastResult<NoInfer<S>, never> = never,
    T extends CastResult<NoInfer<S>, never> = never,
    RD = never,
    TE = never,
    TR = never,
    W = void,
    RW = never
  >(
    protocol: Protocol.Protocol<Name, M>,
    options: Options<In, Out, S, RC, F, I, T, RD, TE, TR, W, RW> & { readonly handlers: H & NoOther<H, M> }
  ): TcpServer<Exclude<RC | RD | TR | RW | ServicesOf<ResultOf<H> | F | I | T>, Provided>>
  <
    In,
    Out,
    S,
    RC,
    F extends CastResult<NoInfer<S>, never>,
    I extends CastResult<NoInfer<S>, never> = never,
    T extends CastResult<NoInfer<S>, never> = never,
    RD = never,
    TE = never,
    TR = never,
    W = void,
    RW = never
  >(
    options: Options<In, Out, S, RC, F, I, T, RD, TE, TR, W, RW>
  ): TcpServer<Exclude<RC | RD | TR | RW | ServicesOf<F | I | T>, Provided>>
} = (...args: ReadonlyArray<unknown>): never => {
  const [protocol, options] = (args.length > 1 ? args : [Silent, args[0]]) as [Protocol.Any, AnyOptions]
  const { maxConnections = 10_000, tls } = options
  if (!Number.isSafeInteger(maxConnections) || maxConnections < 1) {
    throw new Error(`TcpServer: maxConnections must be an integer, 1 or more; found ${maxConnections}`)
  }
  const { pool } = options
  if (pool !== undefined && (!Number.isSafeInteger(pool.size) || pool.size < 1)) {
    throw new Error(`TcpServer: the size of a pool must be an integer, 1 or more; found ${pool.size}`)
  }
  return acceptor(protocol, partsOf(options), {
    pool: pool === undefined ? undefined : {
      size: pool.size,
      init: pool.init,
      intensity: pool.intensity ?? 10_000,
      periodMillis: millis(pool.period, 5000)
    },
    maxConnections,
    mailbox: options.mailbox,
    handshakeMillis: millis(options.handshakeTimeout, 7000),
    drainMillis: millis(options.drainTimeout, 2000),
    tls: tls === undefined ? undefined : Effect.mapError(tls, noCertificate) as Effect.Effect<ServerTls, NetError>
  }) as never // one implementation for both overloads
}

/** The protocol of connections to which nobody says anything. */
class Silent extends Protocol.make("Connection") {}

type AnyOptions = Limits & Omit<ConnectionParts, "limits" | "connectMillis" | "disconnectMillis"> & {
  readonly tls?: Effect.Effect<ServerTls, unknown, unknown>
  readonly pool?: PoolOptions<unknown, unknown>
}

const noCertificate = (error: unknown): NetError =>
  error instanceof NetError
    ? error
    : new NetError({ operation: "certificate", address: "this server", code: "UNKNOWN", detail: String(error) })

const millis = (input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : Duration.toMillis(Duration.fromInputUnsafe(input))

const partsOf = (options: AnyOptions): ConnectionParts => ({
  framing: options.framing,
  connect: options.connect,
  frame: options.frame,
  idle: options.idle,
  disconnect: options.disconnect,
  timeout: options.timeout,
  handlers: options.handlers ?? {},
  connectMillis: millis(options.connectTimeout, 5000),
  disconnectMillis: millis(options.disconnectTimeout, 5000),
  limits: {
    idleMillis: millis(options.idleTimeout, 300_000),
    frameMillis: millis(options.frameTimeout, 30_000),
    writeMillis: millis(options.writeTimeout, 30_000),
    lingerMillis: millis(options.lingerTimeout, 2000)
  }
})
