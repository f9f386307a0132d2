/**
 * Ports: external programs as processes, as Erlang has them.
 *
 * `make` gives a `GenServer`. Its process starts the program, gets what it writes as frames, writes frames to it, and ends
 * with it: in order when the program exits with 0, with a `PortExit` otherwise, so that a supervisor starts both again.
 * When the process ends first, whatever the reason, the program is terminated, and killed when it does not care.
 *
 * The program is described and started with Effect's `ChildProcess`; `NodeServices.layer` of `@effect/platform-node` has
 * what that needs. While a frame is handled nothing more is read, so that a slow handler slows the program down, and
 * whoever writes to a slow program waits. Its standard error is logged, line by line.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import type * as GenServer from "../otp/GenServer.ts"
import type { CallResult, CastResult, Context as HandlerContext, From } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as Protocol from "../process/Protocol.ts"
import type { Down, Exit } from "../process/Signal.ts"
import type { Framing } from "./Framing.ts"
import { type PortParts, portServer } from "./internal/PortServer.ts"
import type { ConnectionClosed, FrameError, PortError, PortExit } from "./NetError.ts"

export { PortError, PortExit } from "./NetError.ts"

/**
 * A running program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Program<in Out> {
  /** Its pid in the operating system. */
  readonly osPid: number
  /** Writes a frame to its input. Waits while the program does not read. */
  write(frame: Out): Effect.Effect<void, ConnectionClosed | FrameError>
  /** Closes its input, behind what was written: the end of many programs. */
  readonly end: Effect.Effect<void>
  /** Terminates it, and kills it when it does not care. Waits until it has ended. */
  readonly kill: Effect.Effect<void>
}

/**
 * What a callback may know besides its state: the process of the port, and the program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context<in Out> extends HandlerContext {
  readonly port: Program<Out>
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
 * The handler of one message to a port.
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
 * One handler for each message of the protocol, and those of a server for what is outside of it.
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
 * The parts of a port. `Args` is what it is started with, `In` and `Out` are the frames that the program writes and
 * reads, `S` is the state; the others are what callbacks return.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Args,
  In,
  Out,
  S,
  E,
  RI,
  F extends CastResult<S, never>,
  X extends CastResult<S, never>,
  T extends CastResult<S, never>
> {
  /** The program, with `stdin`, `stdout` and `stderr` left as they are by default. */
  readonly command: (args: Args) => ChildProcess.Command
  /** How messages are cut out of its output, and put into its input. */
  readonly framing: Framing<In, Out>
  /** Makes the first state, when the program has started. */
  readonly init: (args: Args, context: Context<Out>) => Effect.Effect<S, E, RI>
  /** Handles a frame. */
  readonly frame: (frame: In, state: NoInfer<S>, context: Context<Out>) => F
  /**
   * Runs when the program has ended, in place of the end of the process; a transition that stops ends it then. What the
   * program wrote before is handled already.
   */
  readonly exited?: (status: PortExit, state: NoInfer<S>, context: Context<Out>) => X
  /** Runs when a transition said `timeout` and no message came for so long. */
  readonly timeout?: (state: NoInfer<S>, context: Context<Out>) => T
  /** What happens to its standard error: `log` (the default) writes each line as a warning. */
  readonly stderr?: "log" | "ignore"
  /** How long the program may take to end when it is terminated, before it is killed: 3 seconds. */
  readonly killAfter?: Duration.Input
}

/**
 * A port: a server of `M` that is started with what its command is made of.
 *
 * @category models
 * @since 0.1.0
 */
export type Port<Args = void, M extends Message.Any = never, E = never, R = never> = GenServer.GenServer<
  Args,
  M,
  E | PortError,
  R | ChildProcessSpawner
>

/**
 * Makes a port. With a protocol, its process understands the messages of it: typed calls to an external program.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 * import { Framing, Port } from "effect-otp/net"
 * import { ChildProcess } from "effect/process"
 *
 * class Calculator extends Protocol.make("Calculator",
 *   Message.Cast("Add", { payload: { a: Schema.Int, b: Schema.Int } })
 * ) {}
 *
 * const Bc = Port.make(Calculator, {
 *   command: () => ChildProcess.make("bc", ["-q"]),
 *   framing: Framing.lines(),
 *   init: () => Effect.void,
 *   frame: (line) => Effect.log(`the sum is ${line}`),
 *   handlers: {
 *     Add: ({ a, b }, _, { port }) => port.write(`${a} + ${b}`)
 *   }
 * })
 *
 * const program = Effect.flatMap(GenServer.start(Bc), (bc) => bc.Add({ a: 1, b: 2 }))
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
    X extends CastResult<NoInfer<S>, never> = never,
    T extends CastResult<NoInfer<S>, never> = never,
    Args = void
  >(
    protocol: Protocol.Protocol<Name, M>,
    options: Options<Args, In, Out, S, E, RI, F, X, T> & { readonly handlers: H & NoOther<H, M> }
  ): Port<Args, M, E, Exclude<RI | ServicesOf<ResultOf<H> | F | X | T>, Provided>>
  <
    In,
    Out,
    S,
    E,
    RI,
    F extends CastResult<NoInfer<S>, never>,
    X extends CastResult<NoInfer<S>, never> = never,
    T extends CastResult<NoInfer<S>, never> = never,
    Args = void
  >(
    options: Options<Args, In, Out, S, E, RI, F, X, T>
  ): Port<Args, never, E, Exclude<RI | ServicesOf<F | X | T>, Provided>>
} = (...args: ReadonlyArray<unknown>): never => {
  const [protocol, options] = (args.length > 1 ? args : [Silent, args[0]]) as [Protocol.Any, AnyOptions]
  return portServer(protocol, {
    command: options.command,
    framing: options.framing,
    init: options.init,
    frame: options.frame,
    exited: options.exited,
    timeout: options.timeout,
    handlers: options.handlers ?? {},
    logsErrors: options.stderr !== "ignore",
    killAfterMillis: Duration.toMillis(Duration.fromInputUnsafe(options.killAfter ?? "3 seconds"))
  }) as never // one implementation for both overloads
}

/** The protocol of ports to which nobody says anything. */
class Silent extends Protocol.make("Port") {}

type AnyOptions =
  & Pick<PortParts, "command" | "framing" | "init" | "frame">
  & Partial<Pick<PortParts, "exited" | "timeout" | "handlers">>
  & { readonly stderr?: "log" | "ignore"; readonly killAfter?: Duration.Input }
