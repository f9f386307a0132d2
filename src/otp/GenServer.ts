/**
 * Servers: processes that keep a state and handle the messages of a protocol, one at a time.
 *
 * A server is a value. Its handlers are plain functions from payload, state and context to a transition, so that they can
 * be tested without any process. What they return may be a transition, a plain reply, or an Effect of either; plain values
 * are the fastest path.
 *
 * Guarantees: one message at a time, in the order of each sender; a typed failure of a call is an error reply and leaves
 * the state as it was; a defect or an undeclared failure ends the process, after `terminate`, and each waiting caller
 * learns of it. Refuses: replies to casts, unknown messages in handlers, and callers that call themselves.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { CastResult, Context as HandlerContext, From, Handlers } from "../process/Handler.ts"
import type { MailboxOptions } from "../process/Mailbox.ts"
import type * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import type { CurrentProcess } from "../process/Process.ts"
import { type ClientRef, named, type ProcessRef, type Ref } from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Next, Transition } from "../process/Transition.ts"
import { type Callbacks, compile, isServer, Restore } from "./internal/ServerHandlers.ts"
import * as StateUpgrade from "./StateUpgrade.ts"

export { checked, fromAlias, fromPid, named } from "../process/ProcessRef.ts"
export { next, noReply, reply, replyAndStop, stop } from "../process/Transition.ts"

const TypeId = "~effect-otp/GenServer"

/**
 * A server: what runs when it is started with `Args`. `E` are the typed failures of its `init`, `R` the services of `init`
 * and of all handlers.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenServer<in Args, in out M extends Message.Any, out E, out R> {
  readonly [TypeId]: {
    readonly _Args: (_: Args) => void
    readonly _M: (_: M) => M
    readonly _E: () => E
    readonly _R: () => R
  }
  readonly protocol: Protocol.Core
  /** The server as the runtime sees it. */
  readonly behaviour: Behaviour.Behaviour
}

/**
 * A server with its parts as they were given, for tests without a process: `CounterServer.handlers.Add({ n: 1 }, 0)`. A
 * handler takes there what it takes in the definition. `RI` are the services of `init` alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface WithState<in Args, in out M extends Message.Any, out E, out R, S, out H, out RI>
  extends GenServer<Args, M, E, R>
{
  readonly init: (args: Args) => Effect.Effect<S | Started<S, unknown> | Behaviour.Ignore, E, RI>
  readonly handlers: H
  /** How states of earlier versions become states of this one, when it was given. */
  readonly upgrade: StateUpgrade.StateUpgrade<S> | undefined
}

/**
 * Any server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly protocol: Protocol.Core
  readonly behaviour: Behaviour.Behaviour
}

/**
 * What `init` may return besides a state: the state with what follows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Started<out S, out C> extends Behaviour.Started {
  readonly state: S
  readonly next: Next<C> | undefined
}

/**
 * The first state, with a continuation or an idle timeout.
 *
 * @category constructors
 * @since 0.1.0
 */
export const started = <S, C = never>(state: S, next?: Next<C>): Started<S, C> =>
  new Behaviour.Started(state, next) as Started<S, C> // the class is untyped, the types are these

/**
 * What `init` returns when it chooses not to start: `start` fails with `StartError` and the reason `Ignored`, a
 * supervisor goes on without the child.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ignore: Behaviour.Ignore = new Behaviour.Ignore()

/** The services of what a handler or callback returns. */
type ServicesOf<Result> = Result extends Effect.Effect<any, any, infer R> ? R : never

/** What handlers return, all together. */
type ResultOf<H> = { readonly [K in keyof H]: H[K] extends (...args: any) => infer Result ? Result : never }[keyof H]

type IsAny<A> = 0 extends 1 & A ? true : false

/** The values of `continue` in what a handler or callback returns. */
type ContinueOf<Result> = IsAny<Result> extends true ? never
  : Result extends Transition<any, any, infer C> ? C
  : Result extends Effect.Effect<infer A, any, any> ? IsAny<A> extends true ? never
    : A extends Transition<any, any, infer C> ? C
    : never
  : never

/**
 * Asks for a `continue` callback that takes all values that transitions hand to it. `unknown` are those of handlers that
 * the compiler has not looked at yet.
 */
type Continues<C, Used> = unknown extends Used ? unknown
  : [Used] extends [C] ? unknown
  : { readonly continue: (value: Used, state: never, context: HandlerContext) => unknown }

/** What the process provides itself. */
type Provided = Scope.Scope | CurrentProcess

/** Names that are no message of the protocol: each must be absent. */
type NoOther<H, M extends Message.Any> = { readonly [K in Exclude<keyof H, keyof Handlers<M>>]: never }

/**
 * The parts of a server with explicit state.
 *
 * Of the parameters, `Args` and `S` are what `init` takes and makes, `C` what `continue` takes, `H` the handlers; `CI` is
 * what `init` hands to `continue`, `K` and `T` are the results of `continue` and `timeout`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Args,
  M extends Message.Any,
  S,
  E,
  RI,
  RE,
  H extends Handlers<M, S, unknown>,
  C,
  CI,
  K extends CastResult<S, unknown>,
  T extends CastResult<S, unknown>
> {
  /** Makes the first state. It may fail with a typed error, and may return {@link ignore} or {@link started}. */
  readonly init: (args: Args) => Effect.Effect<S | Started<S, CI> | Behaviour.Ignore, E, RI>
  /** One function per message; `exit`, `down` and `unhandled` besides, for what comes from outside of the protocol. */
  readonly handlers: H & NoOther<H, M>
  /** Runs before any queued message after a transition with `continue`. Its `value` needs a type. */
  readonly continue?: (value: C, state: NoInfer<S>, context: HandlerContext) => K
  /** Runs when no message was handled for as long as a transition said in `timeout`. */
  readonly timeout?: (state: NoInfer<S>, context: HandlerContext) => T
  /**
   * Runs before the process ends: after a transition that stops, a crash, or an exit signal of the parent while exits are
   * trapped. Not after a kill, nor after an exit signal while exits are not trapped.
   */
  readonly terminate?: (reason: ExitReason, state: NoInfer<S>) => Effect.Effect<unknown, unknown, RE>
  /** What observers and crash reports may show of the state; all of it by default. */
  readonly format?: (state: NoInfer<S>) => unknown
  /** How to bring states of earlier versions to this one: for {@link snapshot}, {@link startFrom}, {@link changeCode}. */
  readonly upgrade?: StateUpgrade.StateUpgrade<S>
}

/**
 * Makes a server of a protocol.
 *
 * With explicit state, `init` gives the first state and handlers return transitions. In closure style, `build` returns the
 * handlers (made with `Protocol.of`) and keeps the state in its variables; finalizers added to the scope in `build` run
 * when the process ends.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 *
 * class Counter extends Protocol.make("Counter",
 *   Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int })
 * ) {}
 *
 * const CounterServer = GenServer.make(Counter, {
 *   init: (args: { readonly from: number }) => Effect.succeed(args.from),
 *   handlers: {
 *     Add: ({ n }, count) => GenServer.reply(count + n, count + n)
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  // In this order: of two overloads that do not fit, the compiler explains the last.
  <Name extends string, M extends Message.Any, E, RI, H extends Handlers<M, void>, Args = void>(
    protocol: Protocol.Protocol<Name, M>,
    build: (args: Args) => Effect.Effect<H, E, RI>
  ): GenServer<Args, M, E, Exclude<RI | ServicesOf<ResultOf<H>>, Provided>>
  <
    Name extends string,
    M extends Message.Any,
    S,
    E,
    RI,
    H extends Handlers<M, NoInfer<S>, unknown>,
    Args = void,
    C = never,
    CI = never,
    K extends CastResult<NoInfer<S>, unknown> = never,
    T extends CastResult<NoInfer<S>, unknown> = never,
    RE = never
  >(
    protocol: Protocol.Protocol<Name, M>,
    options:
      & Options<Args, M, S, E, RI, RE, H, C, CI, K, T>
      // Apart from the rest, so that the type of `continue` is not settled before its callback was seen.
      & NoInfer<Continues<C, CI | ContinueOf<ResultOf<H> | K | T>>>
  ): WithState<Args, M, E, Exclude<RI | RE | ServicesOf<ResultOf<H> | K | T>, Provided>, S, H, RI>
} = (
  protocol: Protocol.Any,
  definition: Callbacks | ((args: never) => Effect.Effect<unknown, unknown, unknown>)
): never =>
  ({
    [TypeId]: TypeId,
    protocol: protocol.protocol,
    behaviour: compile(protocol.protocol, definition),
    ...(typeof definition === "function"
      ? {}
      : { init: definition.init, handlers: definition.handlers, upgrade: definition.upgrade })
  }) as never // one implementation for both overloads

/**
 * A behaviour of one's own as a server: whatever takes a server (`start`, `layer`, `Supervisor.child`, `Pool.make`) then takes
 * it. The behaviour is untyped; the caller says what `Args` its `init` takes, how that may fail (`E`), and which services it
 * needs (`R`). Throws when the behaviour serves another protocol.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Behaviour, GenServer, Message, Protocol, Transition } from "effect-otp"
 *
 * class Ids extends Protocol.make("Ids", Message.Call("Next", { success: Schema.Int })) {}
 *
 * const IdServer: GenServer.GenServer<number, Protocol.Messages<typeof Ids>, never, never> = GenServer.fromBehaviour(Ids, {
 *   name: "ids",
 *   protocol: Ids.protocol,
 *   init: (_, first) => Effect.succeed(new Behaviour.Started(first, undefined)),
 *   handle: ({ state }, { kind }) =>
 *     kind === Behaviour.CALL ? Transition.reply(state, Number(state) + 1) : undefined,
 *   terminate: () => undefined,
 *   format: (state) => state
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBehaviour = <Args, M extends Message.Any, E, R>(
  { protocol }: Protocol.Protocol<string, M>,
  behaviour: Behaviour.Behaviour
): GenServer<Args, M, E, R> => {
  if (behaviour.protocol !== protocol) {
    throw new Error(
      `the behaviour ${behaviour.name} serves the protocol ${behaviour.protocol.name}, not ${protocol.name}`
    )
  }
  return { [TypeId]: TypeId, protocol, behaviour } as never // the type id has its types only
}

/**
 * Options of a server process.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions {
  /** The name to register before `init` runs. */
  readonly name?: string
  /** What logs, errors and observers call it when it has no name. */
  readonly label?: string
  readonly mailbox?: MailboxOptions
  /** Whether exit signals become messages for the `exit` handler; false by default. */
  readonly trapExit?: boolean
  /** Values for `Process.getEnv`, on top of those of the parent. */
  readonly environment?: { readonly [key: string]: unknown }
  /** Whether to link the process and the one that starts it, before `init` runs (OTP's `start_link`). */
  readonly link?: boolean
  /** How long `init` may take; for ever by default. Then the process is killed and `StartError` says so. */
  readonly timeout?: Duration.Input
}

/** The arguments of a start: those of `init` may be left out when it takes none, or `undefined`. */
type StartArguments<Args> = undefined extends Args ? [args?: Args, options?: StartOptions]
  : [args: Args, options?: StartOptions]

/**
 * Starts a server and waits for its `init`. It is tied to the surrounding scope: when the scope closes, the process is
 * asked to shut down, and killed after 5 seconds. In a handler or `init`, the surrounding scope is that of the process.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Args, M extends Message.Any, E, R>(
  server: GenServer<Args, M, E, R>,
  ...[args, options]: StartArguments<Args>
): Effect.Effect<ProcessRef<M>, E | StartError, R | Node | Scope.Scope> =>
  Effect.map(
    Behaviour.start(server.behaviour, args, options ?? {}),
    (instance) => Behaviour.refOf(instance, server.protocol)
    // The behaviour is untyped; these are the types of the server.
  ) as Effect.Effect<ProcessRef<M>, E | StartError, R | Node | Scope.Scope>

/**
 * Starts a server that belongs to nobody: it lives until it stops, is stopped, or the node goes.
 *
 * @category starting
 * @since 0.1.0
 */
export const startDetached = <Args, M extends Message.Any, E, R>(
  server: GenServer<Args, M, E, R>,
  ...[args, options]: StartArguments<Args>
): Effect.Effect<ProcessRef<M>, E | StartError, R | Node> =>
  Effect.map(
    Behaviour.startDetached(server.behaviour, args, options ?? {}),
    (instance) => Behaviour.refOf(instance, server.protocol)
  ) as Effect.Effect<ProcessRef<M>, E | StartError, R | Node> // as above

/**
 * The class of a service whose value is the client of a server: of one process ({@link layer}), or of whoever has a name
 * ({@link layerNamed}), as supervised servers have.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 *
 * class Counter extends Protocol.make("Counter", Message.Call("Get", { success: Schema.Int })) {}
 * const CounterServer = GenServer.make(Counter, {
 *   init: (from: number) => Effect.succeed(from),
 *   handlers: { Get: (_, count) => count }
 * })
 *
 * class MyCounter extends GenServer.Service<MyCounter>()("app/MyCounter", Counter) {
 *   static readonly layer = GenServer.layer(MyCounter, CounterServer, 1, { name: "counter" })
 * }
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const Id extends string, Name extends string, M extends Message.Any>(
  id: Id,
  _protocol: Protocol.Protocol<Name, M>
): Context.ServiceClass<Self, Id, ClientRef<M>> => Context.Service<Self, ClientRef<M>>()(id)

/**
 * A layer with the client of whoever has a name when a message is sent: for a server that a supervisor starts and restarts.
 * It starts nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNamed = <Self, Name extends string, M extends Message.Any>(
  service: Context.Key<Self, ClientRef<M>>,
  protocol: Protocol.Protocol<Name, M>,
  name: string
): Layer.Layer<Self, never, Node> => Layer.effect(service, named(protocol, name))

/**
 * A server as a layer: it starts when the layer is built, and is shut down when its scope closes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, M extends Message.Any, Args, E, R>(
  service: Context.Key<Self, ClientRef<M>>,
  server: GenServer<Args, M, E, R>,
  ...rest: StartArguments<Args>
): Layer.Layer<Self, E | StartError, R | Node> =>
  Layer.effect(service, start(server, ...rest)) as Layer.Layer<Self, E | StartError, R | Node> // Exclude<R, Scope> is R

/**
 * Answers a call later, from wherever `from` was taken to. Nothing happens when it was answered before or the caller has
 * given up.
 *
 * @category replies
 * @since 0.1.0
 */
export const replyTo = <A>(from: From<A, never>, value: A): Effect.Effect<void> => from.reply(value)

/**
 * Answers a call later with its domain error.
 *
 * @category replies
 * @since 0.1.0
 */
export const failTo = <E>(from: From<never, E>, error: E): Effect.Effect<void> => from.fail(error)

/**
 * Runs the effect of a call handler so that it is interrupted when its caller is: the state stays as it was and the
 * server goes on. Without it a handler runs to its end, whoever waits. An uninterruptible part is finished first, but
 * what it gives is lost: what must go together with the next state is not for this. A call limit that passes interrupts
 * nothing, nor does a caller on another node.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 *
 * class Reports extends Protocol.make("Reports", Message.Call("Build", { success: Schema.String })) {}
 *
 * const ReportServer = GenServer.make(Reports, {
 *   init: () => Effect.succeed(0),
 *   handlers: {
 *     Build: (_, built, context) =>
 *       Effect.sleep("1 minute").pipe(
 *         Effect.as(GenServer.reply("done", built + 1)),
 *         (work) => GenServer.cancellable(work, context)
 *       )
 *   }
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancellable: <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  context: { readonly from: From<never, never> }
) => Effect.Effect<A, E, R> = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  context: { readonly from: From<never, never> }
) =>
  Effect.flatMap(Effect.forkChild(effect, { startImmediately: true }), (fiber) =>
    Effect.callback<A, E>((resume) => {
      // The context of a call is its envelope, which knows the waiting fiber; in a test by hand there is none.
      const caller = (context.from as unknown as { readonly fiber?: Fiber.Fiber<unknown, unknown> }).fiber
      let gone = false
      const unwatch = caller?.addObserver(() => {
        gone = true
        fiber.interruptUnsafe()
      })
      fiber.addObserver((exit) => {
        unwatch?.()
        // Nobody sees the answer, and the state stays as it is. Anything else than the interruption is a crash as ever.
        const cancelled = gone && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
        resume(cancelled ? Exit.succeed(undefined as A) : exit)
      })
      return Effect.sync(() => {
        unwatch?.()
        fiber.interruptUnsafe()
      })
    }))

/**
 * The results of a call to many servers.
 *
 * @category models
 * @since 0.1.0
 */
export interface MultiCall<Ref, A, E> {
  readonly replies: ReadonlyArray<readonly [ref: Ref, reply: A]>
  readonly failures: ReadonlyArray<readonly [ref: Ref, error: E]>
}

/**
 * Calls many servers at once and gives what came back, replies and failures apart, each in the order of the refs. It takes
 * as long as the slowest, at most the call limit.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 *
 * class Counter extends Protocol.make("Counter", Message.Call("Get", { success: Schema.Int })) {}
 *
 * const sum = Effect.gen(function*() {
 *   const refs = [yield* GenServer.named(Counter, "a"), yield* GenServer.named(Counter, "b")]
 *   const { replies } = yield* GenServer.multiCall(refs, (ref) => ref.Get())
 *   return replies.reduce((total, [, n]) => total + n, 0)
 * })
 * ```
 *
 * @category calls
 * @since 0.1.0
 */
export const multiCall = <Ref, A, E, R>(
  refs: ReadonlyArray<Ref>,
  call: (ref: Ref) => Effect.Effect<A, E, R>
): Effect.Effect<MultiCall<Ref, A, E>, never, R> =>
  Effect.map(Effect.forEach(refs, (ref) => Effect.result(call(ref)), { concurrency: "unbounded" }), (results) => {
    const replies: Array<readonly [Ref, A]> = []
    const failures: Array<readonly [Ref, E]> = []
    results.forEach((result, i) => {
      if (result._tag === "Success") replies.push([refs[i]!, result.success])
      else failures.push([refs[i]!, result.failure])
    })
    return { replies, failures }
  })

/**
 * How long a request to a running server may take: 5 seconds by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface SystemOptions {
  readonly timeout?: Duration.Input
}

/**
 * The state of a running server as its `format` shows it, taken between two messages (OTP's `sys:get_state`). For tests
 * and for people who debug; a server of this node only.
 *
 * @category system
 * @since 0.1.0
 */
export const getState = <M extends Message.Any>(
  ref: Ref<M>,
  options?: SystemOptions
): Effect.Effect<unknown, CallError> =>
  Behaviour.system(
    ref,
    "getState",
    (instance) => Effect.sync(() => instance.behaviour.format(instance.state)),
    options?.timeout
  )

const noUpgrade = (subject: string): Effect.Effect<never, StateUpgrade.UpgradeError> =>
  Effect.fail(new StateUpgrade.UpgradeError({ subject, reason: new StateUpgrade.NoUpgrade({}) }))

/**
 * Writes down the state of a running server, between two messages, as JSON with the version of the server. Fails with an
 * `UpgradeError` when the server has no `upgrade`, or its state does not fit.
 *
 * @category system
 * @since 0.1.0
 */
export const snapshot = <M extends Message.Any>(
  ref: Ref<M>,
  options?: SystemOptions
): Effect.Effect<StateUpgrade.Snapshot, StateUpgrade.UpgradeError | CallError> =>
  Behaviour.system(
    ref,
    "snapshot",
    ({ behaviour, displayName, state }) =>
      isServer(behaviour) && behaviour.upgrade !== undefined
        ? StateUpgrade.encode(behaviour.upgrade, state, displayName)
        : noUpgrade(displayName),
    options?.timeout
  )

/**
 * Starts a server from a {@link snapshot} of this version or an earlier one. The state comes from the snapshot, `init`
 * does not run. A server that needs both takes the snapshot as its argument and calls `StateUpgrade.decode` in `init`.
 *
 * @category starting
 * @since 0.1.0
 */
export const startFrom = <Args, M extends Message.Any, E, R>(
  server: GenServer<Args, M, E, R>,
  snapshot: StateUpgrade.Snapshot,
  options?: StartOptions
): Effect.Effect<ProcessRef<M>, StateUpgrade.UpgradeError | StartError, R | Node | Scope.Scope> =>
  Effect.map(
    Behaviour.start(server.behaviour, new Restore(snapshot), options ?? {}),
    (instance) => Behaviour.refOf(instance, server.protocol)
  ) as Effect.Effect<ProcessRef<M>, StateUpgrade.UpgradeError | StartError, R | Node | Scope.Scope> // as in `start`

/**
 * Has a running process go on with another server, between two messages: its state goes through the `upgrade` of the
 * new server, and its pid, names, links, monitors, mailbox and waiting callers stay. `init` does not run. The process
 * gets the services of whoever calls this. What is returned is the process with the messages of the new server, which
 * has all of the old one's.
 *
 * A server without `upgrade` counts as the oldest version of the new one's. When anything fails, the old server goes on
 * as if nothing had been; `UpgradeError` says why.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol, StateUpgrade } from "effect-otp"
 *
 * class Counter extends Protocol.make("Counter", Message.Call("Get", { success: Schema.Int })) {}
 *
 * const Old = GenServer.make(Counter, {
 *   init: (from: number) => Effect.succeed(from),
 *   handlers: { Get: (_, count) => count }
 * })
 *
 * const New = GenServer.make(Counter, {
 *   init: (from: number) => Effect.succeed({ count: from, calls: 0 }),
 *   handlers: { Get: (_, state) => GenServer.reply(state.count, { ...state, calls: state.calls + 1 }) },
 *   upgrade: StateUpgrade.make(Schema.Int)
 *     .next(Schema.Struct({ count: Schema.Int, calls: Schema.Int }), (count) => ({ count, calls: 0 }))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* GenServer.start(Old, 7)
 *   yield* GenServer.changeCode(counter, New)
 *   return yield* counter.Get()
 * })
 * ```
 *
 * @category system
 * @since 0.1.0
 */
export const changeCode = <New extends Message.Any, M extends New, Args, E, R>(
  ref: Ref<M>,
  server: GenServer<Args, New, E, R>,
  options?: SystemOptions
): Effect.Effect<ProcessRef<New>, StateUpgrade.UpgradeError | CallError, R> =>
  Effect.flatMap(
    Effect.context<R>(),
    (services) =>
      Behaviour.system(ref, "changeCode", (instance) =>
        Effect.map(upgraded(instance, server.behaviour), ({ behaviour, state }) => {
          instance.become(behaviour, services)
          instance.handlers = behaviour.table
          instance.state = state
          // The behaviour is untyped; this is the type of the server.
          return Behaviour.refOf(instance, server.protocol) as ProcessRef<New>
        }), options?.timeout)
  )

/** The server that a process is to go on with, and its state brought there. */
const upgraded = (instance: Behaviour.Instance, behaviour: Behaviour.Behaviour) => {
  const { behaviour: old, displayName, state } = instance
  if (!isServer(old) || !isServer(behaviour) || behaviour.upgrade === undefined) return noUpgrade(displayName)
  const { messages } = behaviour.protocol
  const missing = old.protocol.messages.filter(({ _tag, kind }) =>
    !messages.some((message) => message._tag === _tag && message.kind === kind)
  )
  if (missing.length > 0) {
    const reason = new StateUpgrade.MessagesMissing({ messages: missing.map(({ _tag }) => String(_tag)) })
    return Effect.fail(new StateUpgrade.UpgradeError({ subject: displayName, reason }))
  }
  const version = old.upgrade?.version ?? behaviour.upgrade.versions[0]!.version
  return Effect.map(
    StateUpgrade.upgrade(behaviour.upgrade, version, state, displayName),
    (state) => ({ behaviour, state })
  )
}
