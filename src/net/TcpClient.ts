/**
 * TCP clients: a process that keeps a connection, and makes it again when it ends.
 *
 * `make` gives a `GenServer` that is started with the address to connect to. Its state outlives connections; what comes
 * and goes with each is for `connected` and `disconnected`. Between connections writing fails with `ConnectionClosed`.
 *
 * It starts without waiting for its first connection. A schedule says when to try again. It begins anew once a connection
 * has proved itself (a frame has come, or it has lasted 10 seconds), so that a server which closes at once is not
 * hammered. When the schedule is at its end, the process ends with the last error, and its supervisor decides.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as GenServer from "../otp/GenServer.ts"
import type { CastResult } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as Protocol from "../process/Protocol.ts"
import type { End } from "./Connection.ts"
import type { Framing } from "./Framing.ts"
import { type ClientParts, clientServer } from "./internal/ClientServer.ts"
import { NetError } from "./NetError.ts"
import type { ClientTls, HostPort, TcpNetwork } from "./TcpNetwork.ts"
import type { Context, Handlers } from "./TcpServer.ts"

export type { Context, Handlers } from "./TcpServer.ts"

/**
 * The limits of a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** How long a connection may take to come about, TLS included: 10 seconds. */
  readonly connectTimeout?: Duration.Input
  /** Ends a connection on which nothing went either way for so long: never. See `idle`. */
  readonly idleTimeout?: Duration.Input
  /** Ends a connection whose peer does not complete a frame it has begun: 30 seconds. */
  readonly frameTimeout?: Duration.Input
  /** Ends a connection whose peer takes nothing of what was written: 30 seconds. */
  readonly writeTimeout?: Duration.Input
  /** How long the peer has, after the end of this side, to end its own: 2 seconds. */
  readonly lingerTimeout?: Duration.Input
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
 * The parts of a client. `In` and `Out` are its frames, `S` its state; the others are what callbacks return.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  In,
  Out,
  S,
  E,
  RI,
  F extends CastResult<S, never>,
  C extends CastResult<S, never>,
  D extends CastResult<S, never>,
  I extends CastResult<S, never>,
  T extends CastResult<S, never>,
  TE,
  TR
> extends Limits {
  /** How messages are cut out of the stream of bytes. */
  readonly framing: Framing<In, Out>
  /** Makes the first state, before there is a connection. */
  readonly init: (address: HostPort) => Effect.Effect<S, E, RI>
  /** Runs when there is a connection, before any frame of it. */
  readonly connected?: (state: NoInfer<S>, context: Context<Out>) => C
  /** Handles a frame. */
  readonly frame: (frame: In, state: NoInfer<S>, context: Context<Out>) => F
  /** Runs when a connection has ended, before the next is tried. Not when the process itself ends. */
  readonly disconnected?: (end: End, state: NoInfer<S>, context: Context<Out>) => D
  /** Runs instead of the end of the connection when nothing went either way for `idleTimeout`: the place for a ping. */
  readonly idle?: (state: NoInfer<S>, context: Context<Out>) => I
  /** Runs when a transition said `timeout` and no message came for so long. */
  readonly timeout?: (state: NoInfer<S>, context: Context<Out>) => T
  /** When to try again, from why the connection ended or did not come about: from 100 ms doubling to 10 s, for ever. */
  readonly reconnect?: Schedule.Schedule<unknown, End>
  /** Uses TLS, with what this gives; anew for each connection. */
  readonly tls?: Effect.Effect<ClientTls, TE, TR>
}

/**
 * A TCP client: a server of `M` that is started with the address to connect to.
 *
 * @category models
 * @since 0.1.0
 */
export type TcpClient<M extends Message.Any = never, E = never, R = never> = GenServer.GenServer<
  HostPort,
  M,
  E,
  R | TcpNetwork
>

/**
 * Makes a TCP client. With a protocol, its process understands the messages of it: the way for others to have it write.
 *
 * A callback that fails with `ConnectionClosed` changes nothing: the connection is made again anyway.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 * import { Framing, NetError, TcpClient } from "effect-otp/net"
 *
 * class Metrics extends Protocol.make("Metrics",
 *   Message.Call("Send", { payload: { line: Schema.String }, error: NetError.ConnectionClosed })
 * ) {}
 *
 * const MetricsClient = TcpClient.make(Metrics, {
 *   framing: Framing.lines(),
 *   init: () => Effect.succeed(0),
 *   connected: (_, { connection }) => connection.write("hello"),
 *   frame: (line) => Effect.log(`the server says ${line}`),
 *   handlers: {
 *     Send: ({ line }, sent, { connection }) =>
 *       Effect.as(Effect.catchTag(connection.write(line), "FrameError", Effect.die), GenServer.reply(undefined, sent + 1))
 *   }
 * })
 *
 * const start = GenServer.start(MetricsClient, { host: "127.0.0.1", port: 8125 })
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
    E,
    RI,
    H extends Handlers<M, NoInfer<S>, NoInfer<Out>>,
    F extends CastResult<NoInfer<S>, never>,
    C extends CastResult<NoInfer<S>, never> = never,
    D extends CastResult<NoInfer<S>, never> = never,
    I extends CastResult<NoInfer<S>, never> = never,
    T extends CastResult<NoInfer<S>, never> = never,
    TE = never,
    TR = never
  >(
    protocol: Protocol.Protocol<Name, M>,
    options: Options<In, Out, S, E, RI, F, C, D, I, T, TE, TR> & { readonly handlers: H & NoOther<H, M> }
  ): TcpClient<M, E, Exclude<RI | TR | ServicesOf<ResultOf<H> | F | C | D | I | T>, Provided>>
  <
    In,
    Out,
    S,
    E,
    RI,
    F extends CastResult<NoInfer<S>, never>,
    C extends CastResult<NoInfer<S>, never> = never,
    D extends CastResult<NoInfer<S>, never> = never,
    I extends CastResult<NoInfer<S>, never> = never,
    T extends CastResult<NoInfer<S>, never> = never,
    TE = never,
    TR = never
  >(
    options: Options<In, Out, S, E, RI, F, C, D, I, T, TE, TR>
  ): TcpClient<never, E, Exclude<RI | TR | ServicesOf<F | C | D | I | T>, Provided>>
} = (...args: ReadonlyArray<unknown>): never => {
  const [protocol, options] = (args.length > 1 ? args : [Silent, args[0]]) as [Protocol.Any, AnyOptions]
  const { tls } = options
  return clientServer(protocol, {
    framing: options.framing,
    init: options.init,
    connected: options.connected,
    frame: options.frame,
    disconnected: options.disconnected,
    idle: options.idle,
    timeout: options.timeout,
    handlers: options.handlers ?? {},
    reconnect: options.reconnect ?? backoff,
    tls: tls === undefined ? undefined : Effect.mapError(tls, noCertificate) as Effect.Effect<ClientTls, NetError>,
    connectMillis: millis(options.connectTimeout, 10_000),
    limits: {
      idleMillis: millis(options.idleTimeout, Infinity),
      frameMillis: millis(options.frameTimeout, 30_000),
      writeMillis: millis(options.writeTimeout, 30_000),
      lingerMillis: millis(options.lingerTimeout, 2000)
    }
  }) as never // one implementation for both overloads
}

const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")])

/** The protocol of clients to which nobody says anything. */
class Silent extends Protocol.make("TcpClient") {}

type AnyOptions =
  & Limits
  & Partial<Pick<ClientParts, "connected" | "disconnected" | "idle" | "timeout" | "handlers" | "reconnect">>
  & Pick<ClientParts, "framing" | "init" | "frame">
  & { readonly tls?: Effect.Effect<ClientTls, unknown, unknown> }

const noCertificate = (error: unknown): NetError =>
  error instanceof NetError
    ? error
    : new NetError({ operation: "certificate", address: "this client", code: "UNKNOWN", detail: String(error) })

const millis = (input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : Duration.toMillis(Duration.fromInputUnsafe(input))
