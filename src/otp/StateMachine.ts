/**
 * State machines: processes whose handlers depend on the state they are in (OTP's `gen_statem`).
 *
 * A machine is in one state of a fixed set and has data beside it. For each state there is a record of handlers, one per message of
 * the protocol. A handler gets the payload and the data, and returns where to go: {@link nextState}, {@link keepState},
 * {@link keep}, {@link repeatState}, {@link repeat}, {@link stop} or {@link stopAndReply}, each with actions (replies,
 * timeouts, {@link postpone}, {@link nextEvent}); or nothing (stay), or, for a call, the plain reply; or an Effect of
 * these. Handlers can be tested without any process.
 *
 * **States.** The states are the keys of `states`; their union is the type of the state. When states carry fields of their
 * own, give the schema of their union as `state`, and the keys of `states` are its tags. An unequal state is another state:
 * going from `{ _tag: "Retrying", attempt: 1 }` to `{ _tag: "Retrying", attempt: 2 }` is a change of state.
 *
 * **Which handler.** That of the state which names the message, else that of `any` which names it, else the `otherwise` of the
 * state, else that of `any`. A message that none of them handles does not compile. `exit`, `down` and `unhandled` are
 * looked for in the state and then in `any`; without them the signal or term is counted and logged once per shape.
 *
 * Guarantees, as in OTP. One event at a time. When the state changes, postponed events are handled again, oldest first,
 * before anything else that waits, except for events that this very transition inserts. A change of state ends the state
 * timeout; any event ends the event timeout; named timeouts run until they are restarted, ended or fire. A timeout of zero
 * fires before the next message is looked at, after the events that were inserted or came back. `enter` runs when a
 * state is entered, also the first, and after `repeatState`; what it asks for is added to what the handler asked for,
 * whose replies were sent before. Of several actions for one timeout in one transition the last counts.
 *
 * Refuses: an `enter` that changes the state, postpones or inserts events; a reply to what is no call; a state, message or
 * payload that is not declared. The number of postponed events is bounded by the capacity of the mailbox: past it a call
 * fails with `MailboxFull`, anything else is dropped and counted. Hibernation and absolute times are left out.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Message, Node, Protocol, StateMachine } from "effect-otp"
 *
 * class Turnstile extends Protocol.make("Turnstile",
 *   Message.Cast("Coin", { payload: { cents: Schema.Int } }),
 *   Message.Call("Push", { success: Schema.Boolean }),
 *   Message.Call("Cents", { success: Schema.Int })
 * ) {}
 *
 * const TurnstileMachine = StateMachine.make(Turnstile, {
 *   init: () => Effect.succeed(StateMachine.started("Locked", 0)),
 *   states: {
 *     Locked: {
 *       Coin: ({ cents }, total) => StateMachine.nextState("Open", total + cents),
 *       Push: () => false
 *     },
 *     Open: {
 *       enter: () => StateMachine.keep(StateMachine.stateTimeout("10 seconds")),
 *       stateTimeout: () => StateMachine.nextState("Locked"),
 *       Coin: () => StateMachine.keep(StateMachine.postpone),
 *       Push: (_, total) => StateMachine.nextState("Locked", total, StateMachine.reply(true))
 *     }
 *   },
 *   any: {
 *     Cents: (_, total) => total
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const turnstile = yield* StateMachine.start(TurnstileMachine)
 *   yield* turnstile.Coin({ cents: 50 })
 *   return [yield* turnstile.Push(), yield* turnstile.Push(), yield* turnstile.Cents()]
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => [true, false, 50]
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Behaviour from "../process/Behaviour.ts"
import { type ExitReason, normal } from "../process/ExitReason.ts"
import type { Context as HandlerContext, From } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import type { CurrentProcess } from "../process/Process.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Down, Exit as ExitSignal } from "../process/Signal.ts"
import type { GenServer } from "./GenServer.ts"
import * as Core from "./internal/StateMachineCore.ts"
import { compile, type Definition, MachineEvent, MachineStarted } from "./internal/StateMachineShell.ts"

export { fromPid, ignore, layer, named, Service, start, startDetached } from "./GenServer.ts"

const GenServerTypeId = "~effect-otp/GenServer"

/**
 * A state: a name, or a name with fields.
 *
 * @category models
 * @since 0.1.0
 */
export type State = string | { readonly _tag: string }

/**
 * The names of states.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Tag<S> = S extends string ? S : S extends { readonly _tag: infer T extends string } ? T : never

/**
 * The state of a name.
 *
 * @category type-level
 * @since 0.1.0
 */
export type InState<S, K> = S extends string ? Extract<S, K> : Extract<S, { readonly _tag: K }>

// --- actions ---------------------------------------------------------------------------------------------------------

/**
 * The action of {@link postpone}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Postpone extends Core.Postpone {}

/**
 * The action of {@link nextEvent}.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextEvent<out M> extends Core.NextEvent<M> {}

/**
 * The action of a timeout that starts, restarts or ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Timeout<out M> extends Core.Timeout<M> {}

/**
 * The action of {@link updateStateTimeout} and its sisters.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdateTimeout<out M> extends Core.UpdateTimeout<M> {}

/**
 * The action of {@link reply}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply<out A> extends Core.Reply<A> {}

/**
 * The action of {@link replyTo} and {@link failTo}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplyTo extends Core.ReplyTo {}

/**
 * What an `enter` handler may ask for.
 *
 * @category models
 * @since 0.1.0
 */
export type EnterAction<M> = Timeout<M> | UpdateTimeout<M> | ReplyTo

/**
 * What any handler may ask for; that of a call {@link Reply} besides.
 *
 * @category models
 * @since 0.1.0
 */
export type Action<M> = EnterAction<M> | Postpone | NextEvent<M>

/** The arguments for the payload of a message. */
type Payload<M extends Message.Any, More extends ReadonlyArray<unknown> = []> =
  [Message.PayloadInput<M>] extends [void] ? [payload?: void, ...More]
    : {} extends Message.PayloadInput<M> ? [payload?: Message.PayloadInput<M>, ...More]
    : [payload: Message.PayloadInput<M>, ...More]

/** A message without an answer. */
type OneWay = Message.Any & { readonly kind: "Cast" | "Info" }

const eventOf = (kind: "Internal" | "Timeout", message: Message.Any, payload: unknown): MachineEvent =>
  new MachineEvent(
    kind,
    message._tag,
    message.makePayload === undefined ? payload : message.makePayload(payload),
    undefined
  )

/** The event of a timeout of the state or the event: that of its message, or the callback of its name. */
const timeoutEvent = (handler: string, message: Message.Any | undefined, payload: unknown): MachineEvent =>
  message === undefined ? new MachineEvent("Timer", handler, undefined, undefined) : eventOf("Timeout", message, payload)

const toMillis = (delay: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(delay))

/**
 * Handle the present event again after the next change of state.
 *
 * @category actions
 * @since 0.1.0
 */
export const postpone: Postpone = new Core.Postpone()

/**
 * Handle an event of the machine's own before everything that waits: a cast or info of the protocol, or a message of
 * `internal`. Several of one transition keep their order.
 *
 * @category actions
 * @since 0.1.0
 */
export const nextEvent = <M extends OneWay>(message: M, ...[payload]: Payload<M>): NextEvent<M> =>
  new Core.NextEvent(message, eventOf("Internal", message, payload))

/**
 * Start the state timeout, or restart it: unless the state changes before, the `stateTimeout` handler runs after `delay`, or
 * the handler of `message`. An infinite delay ends it; zero lets it fire before the next message is looked at.
 *
 * @category actions
 * @since 0.1.0
 */
export const stateTimeout: {
  (delay: Duration.Input): Timeout<never>
  <M extends OneWay>(delay: Duration.Input, message: M, ...payload: Payload<M>): Timeout<M>
} = (delay: Duration.Input, message?: Message.Any, payload?: unknown): Timeout<never> =>
  new Core.Timeout(
    message as never, // the overloads say which it is
    Core.stateTimer,
    toMillis(delay),
    timeoutEvent("stateTimeout", message, payload)
  )

/**
 * Start the event timeout, or restart it: unless any event comes before, the `eventTimeout` handler runs after `delay`, or the
 * handler of `message`. With zero it fires when nothing else waits that the machine itself has asked for.
 *
 * @category actions
 * @since 0.1.0
 */
export const eventTimeout: {
  (delay: Duration.Input): Timeout<never>
  <M extends OneWay>(delay: Duration.Input, message: M, ...payload: Payload<M>): Timeout<M>
} = (delay: Duration.Input, message?: Message.Any, payload?: unknown): Timeout<never> =>
  new Core.Timeout(
    message as never, // as above
    Core.eventTimer,
    toMillis(delay),
    timeoutEvent("eventTimeout", message, payload)
  )

/**
 * Tells timeouts of one message apart.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeoutOptions {
  readonly key?: string | number
}

const timerKey = (message: Message.Any, options: TimeoutOptions | undefined): string =>
  options?.key === undefined ? `/${message._tag}` : `/${message._tag}/${typeof options.key}/${options.key}`

/**
 * Start the timeout that is called as its message, or restart it: the handler of the message runs after `delay`, in whatever
 * state the machine is then. With `key` there can be any number of one message at a time.
 *
 * @category actions
 * @since 0.1.0
 */
export const timeout = <M extends OneWay>(
  message: M,
  delay: Duration.Input,
  ...[payload, options]: Payload<M, [options?: TimeoutOptions]>
): Timeout<M> =>
  new Core.Timeout(message, timerKey(message, options), toMillis(delay), eventOf("Timeout", message, payload))

const noEvent = new MachineEvent("Timer", "", undefined, undefined)

/**
 * End the state timeout.
 *
 * @category actions
 * @since 0.1.0
 */
export const cancelStateTimeout: Timeout<never> = new Core.Timeout(undefined as never, Core.stateTimer, Infinity, noEvent)

/**
 * End the event timeout.
 *
 * @category actions
 * @since 0.1.0
 */
export const cancelEventTimeout: Timeout<never> = new Core.Timeout(undefined as never, Core.eventTimer, Infinity, noEvent)

/**
 * End a timeout that was started with {@link timeout}, by its message and key.
 *
 * @category actions
 * @since 0.1.0
 */
export const cancelTimeout = <M extends OneWay>(message: M, options?: TimeoutOptions): Timeout<M> =>
  new Core.Timeout(message, timerKey(message, options), Infinity, noEvent)

/**
 * Give the running state timeout another message without touching its time. When it does not run, it fires at once, as after
 * zero.
 *
 * @category actions
 * @since 0.1.0
 */
export const updateStateTimeout = <M extends OneWay>(message: M, ...[payload]: Payload<M>): UpdateTimeout<M> =>
  new Core.UpdateTimeout(message, Core.stateTimer, eventOf("Timeout", message, payload))

/**
 * Give a running timeout another payload without touching its time. When it does not run, it fires at once, as after zero.
 *
 * @category actions
 * @since 0.1.0
 */
export const updateTimeout = <M extends OneWay>(
  message: M,
  ...[payload, options]: Payload<M, [options?: TimeoutOptions]>
): UpdateTimeout<M> =>
  new Core.UpdateTimeout(message, timerKey(message, options), eventOf("Timeout", message, payload))

/**
 * Answer the call that is being handled.
 *
 * @category actions
 * @since 0.1.0
 */
export const reply = <A>(value: A): Reply<A> => new Core.Reply(value)

/**
 * Answer a call that was left open, from the `context.from` of its handler.
 *
 * @category actions
 * @since 0.1.0
 */
export const replyTo = <A>(from: From<A, never>, value: A): ReplyTo => new Core.ReplyTo(from, Exit.succeed(value))

/**
 * Answer a call with its domain error.
 *
 * @category actions
 * @since 0.1.0
 */
export const failTo = <E>(from: From<never, E>, error: E): ReplyTo => new Core.ReplyTo(from, Exit.fail(error))

// --- transitions -----------------------------------------------------------------------------------------------------

/**
 * What a handler decided. `S` is the state it goes to (`never` when it stays), `D` the data (`never` when that stays), `A` the actions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transition<out S, out D, out A> extends Core.StateTransition<S, D, A> {}

const make_ = <S, D, A>(
  kind: Core.StateTransition<S, D, A>["kind"],
  state: S,
  data: ReadonlyArray<D>,
  actions: ReadonlyArray<A>,
  reason: ExitReason | undefined
): Transition<S, D, A> => new Core.StateTransition(kind, state, data.length > 0, data[0] as D, actions, reason)

const nothing: ReadonlyArray<never> = []

/**
 * Go to a state, which may be the present one, with new data or, when none is given, with the present data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const nextState: {
  <const S extends State>(state: S): Transition<S, never, never>
  <const S extends State, D, A extends ReadonlyArray<unknown>>(state: S, data: D, ...actions: A): Transition<S, D, A[number]>
} = (state: State, ...rest: ReadonlyArray<unknown>): Transition<never, never, never> =>
  // The overloads say of what.
  make_(Core.NEXT, state, rest.slice(0, 1), rest.slice(1), undefined) as Transition<never, never, never>

/**
 * Stay, with new data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const keepState = <D, A extends ReadonlyArray<unknown>>(
  data: D,
  ...actions: A
): Transition<never, D, A[number]> => make_(Core.KEEP, undefined as never, [data], actions, undefined)

/**
 * Stay, with the present data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const keep = <A extends ReadonlyArray<unknown>>(...actions: A): Transition<never, never, A[number]> =>
  make_(Core.KEEP, undefined as never, nothing, actions, undefined)

/**
 * Stay, with new data, and run `enter` again. It is no change of state: postponed events stay postponed, the state timeout
 * goes on.
 *
 * @category transitions
 * @since 0.1.0
 */
export const repeatState = <D, A extends ReadonlyArray<unknown>>(
  data: D,
  ...actions: A
): Transition<RepeatedState, D, A[number]> => make_(Core.REPEAT, repeated, [data], actions, undefined)

/**
 * {@link repeatState} with the present data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const repeat = <A extends ReadonlyArray<unknown>>(...actions: A): Transition<RepeatedState, never, A[number]> =>
  make_(Core.REPEAT, repeated, nothing, actions, undefined)

/**
 * Stands for the present state in the type of {@link repeatState}, which an `enter` handler may not return.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepeatedState {
  readonly "~effect-otp/StateMachine/Repeated": never
}

const repeated = undefined as unknown as RepeatedState

/**
 * Stop with a reason (`normal` unless said otherwise), with new data or the present. `terminate` runs. Callers without an answer, also
 * of postponed calls, get `ProcessExit`.
 *
 * @category transitions
 * @since 0.1.0
 */
export const stop: {
  (reason?: ExitReason): Transition<never, never, never>
  <D>(reason: ExitReason, data: D): Transition<never, D, never>
} = (...args: ReadonlyArray<unknown>): Transition<never, never, never> => stopping(nothing, args)

const stopping = (actions: ReadonlyArray<unknown>, args: ReadonlyArray<unknown>): Transition<never, never, never> =>
  // The overloads say of what.
  make_(Core.STOP, undefined, args.slice(1), actions, (args[0] as ExitReason | undefined) ?? normal) as Transition<
    never,
    never,
    never
  >

/**
 * Send replies, then stop.
 *
 * @category transitions
 * @since 0.1.0
 */
export const stopAndReply: {
  <A extends Reply<unknown> | ReplyTo>(replies: ReadonlyArray<A>, reason?: ExitReason): Transition<never, never, A>
  <A extends Reply<unknown> | ReplyTo, D>(
    replies: ReadonlyArray<A>,
    reason: ExitReason,
    data: D
  ): Transition<never, D, A>
} = (replies: ReadonlyArray<unknown>, ...args: ReadonlyArray<unknown>): Transition<never, never, never> =>
  stopping(replies, args)

/**
 * What `init` gives: the first state, the data, and actions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Started<out S, out D, out A> {
  readonly state: S
  readonly data: D
  readonly actions: ReadonlyArray<A>
}

/**
 * Begin in a state with data. `enter` of that state runs, with the state itself as the previous one, before any message is
 * handled and after `start` has returned.
 *
 * @category constructors
 * @since 0.1.0
 */
export const started: {
  <const S extends State>(state: S): Started<S, void, never>
  <const S extends State, D, A extends ReadonlyArray<unknown>>(state: S, data: D, ...actions: A): Started<S, D, A[number]>
} = (state: State, data?: unknown, ...actions: ReadonlyArray<unknown>): Started<never, never, never> =>
  new MachineStarted(state, data, actions) as Started<never, never, never> // as above

// --- handlers --------------------------------------------------------------------------------------------------------

/**
 * What a handler may know besides the event and the data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context<out S> extends HandlerContext {
  /** The state in which the event is handled. */
  readonly state: S
}

/**
 * The context of a call: `from` is whom to answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallContext<out S, in A, in E> extends Context<S> {
  readonly from: From<A, E>
}

/**
 * What a handler may return: a transition or nothing (the machine stays as it is), or an Effect of either.
 *
 * @category models
 * @since 0.1.0
 */
export type Result<S, D, A> =
  | Transition<S | RepeatedState, D, A>
  | void
  | Effect.Effect<Transition<S | RepeatedState, D, A> | void, unknown, any> // `any`: the services are inferred

/**
 * What the handler of a call may return besides: the plain reply, and a typed failure, which is an error reply and leaves the
 * machine as it is.
 *
 * @category models
 * @since 0.1.0
 */
export type CallResult<M extends Message.Any, S, D, A> =
  | Transition<S | RepeatedState, D, A | Reply<Message.Success<M>>>
  | Message.Success<M>
  | Effect.Effect<
    Transition<S | RepeatedState, D, A | Reply<Message.Success<M>>> | Message.Success<M>,
    Message.Error<M>,
    any // as above
  >

/**
 * What `enter` may return.
 *
 * @category models
 * @since 0.1.0
 */
export type EnterResult<D, A> =
  | Transition<never, D, A>
  | void
  | Effect.Effect<Transition<never, D, A> | void, unknown, any> // as above

/**
 * The handler of one message in the state `K`. `S` are all states, `Ms` all messages of the machine.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<M extends Message.Any, Ms extends Message.Any, S, K, D> = M extends { readonly kind: "Call" } ? (
    payload: Message.Payload<M>,
    data: D,
    context: CallContext<K, Message.Success<M>, Message.Error<M>>
  ) => CallResult<M, S, D, Action<Ms>>
  : (payload: Message.Payload<M>, data: D, context: Context<K>) => Result<S, D, Action<Ms>>

/**
 * An event as `otherwise` gets it: `_tag` and `payload` of the message; `kind` says how it came; a call has `from`.
 *
 * @category models
 * @since 0.1.0
 */
export type Event<M extends Message.Any> = M extends { readonly kind: "Call" } ? {
    readonly kind: "Call"
    readonly _tag: M["_tag"]
    readonly payload: Message.Payload<M>
    readonly from: From<Message.Success<M>, Message.Error<M>>
  }
  : {
    readonly kind: "Cast" | "Info" | "Internal" | "Timeout"
    readonly _tag: M["_tag"]
    readonly payload: Message.Payload<M>
  }

/**
 * What a state may have besides the handlers of messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Callbacks<M extends Message.Any, S, K, D> {
  /** Runs when the state is entered, before any event. `previous` is the state before; for the first state, itself. */
  readonly enter?: (previous: S, data: D, context: Context<K>) => EnterResult<D, EnterAction<M>>
  /** The state timeout has passed, and was started without a message. */
  readonly stateTimeout?: (data: D, context: Context<K>) => Result<S, D, Action<M>>
  /** The event timeout has passed, and was started without a message. */
  readonly eventTimeout?: (data: D, context: Context<K>) => Result<S, D, Action<M>>
  /** A trapped exit signal. The parent's is not shown: it stops the machine, after `terminate`. */
  readonly exit?: (signal: ExitSignal, data: D, context: Context<K>) => Result<S, D, Action<M>>
  /** A monitored process has ended. */
  readonly down?: (signal: Down, data: D, context: Context<K>) => Result<S, D, Action<M>>
  /** A term that no message of the protocol describes. */
  readonly unhandled?: (term: unknown, data: D, context: Context<K>) => Result<S, D, Action<M>>
  /** Any message that has no handler of its own, neither in the state nor in `any`. */
  readonly otherwise?: (event: Event<M>, data: D, context: Context<K>) => Result<S, D, Action<M>>
}

/**
 * The handlers of the state `K`.
 *
 * @category models
 * @since 0.1.0
 */
export type StateHandlers<M extends Message.Any, S, K, D> =
  & { readonly [T in M as T["_tag"]]?: Handler<T, M, S, K, D> }
  & Callbacks<M, S, K, D>

// --- definition ------------------------------------------------------------------------------------------------------

/** The type of the state: that of its schema, or the names of the states. */
type StateOf<Self, Names> = Self extends Schema.Top ? Self["Type"] : Names

/** The messages that every state must handle, given the names of the handlers for all states. */
type Needed<M extends Message.Any, Common> = "otherwise" extends Common ? never : Exclude<M["_tag"], Common>

/** Asks of a state to handle what is needed, message by message or with `otherwise`. */
type Complete<M extends Message.Any, Common> =
  | { readonly otherwise: unknown }
  | { readonly [T in Needed<M, Common>]: unknown }

type StatesConstraint<M extends Message.Any, S, D, Common> = {
  readonly [K in Tag<S>]: Complete<M, Common> & StateHandlers<M, S, InState<S, K>, D>
}

/** The names in a definition that mean nothing. */
type Strangers<Self, H, A, Tags> =
  | (Self extends Schema.Top ? Exclude<keyof H, Tag<Self["Type"]>> : never)
  | { readonly [K in keyof H]: Exclude<keyof H[K], Tags | keyof Callbacks<never, never, never, never>> }[keyof H]
  | Exclude<keyof A, Tags | keyof Callbacks<never, never, never, never>>

type NoStrangers<Names> = [Names] extends [never] ? unknown
  : { readonly "these are no state, message or callback of the machine": Names }

type ServicesOf<H> = {
  readonly [K in keyof H]-?: H[K] extends (...args: any) => infer Returned
    ? Returned extends Effect.Effect<any, any, infer R> ? R : never
    : never
}[keyof H]

type ServicesOfStates<H> = { readonly [K in keyof H]-?: ServicesOf<H[K]> }[keyof H]

/** What the process provides itself. */
type Provided = Scope.Scope | CurrentProcess

/**
 * A machine with its parts as they were given, for tests without a process:
 * `TurnstileMachine.states.Locked.Coin({ cents: 50 }, 0)`. It is a server as far as starting, naming and supervising go.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateMachine<in Args, in out M extends Message.Any, out E, out R, S, D, out H, out A>
  extends GenServer<Args, M, E, R>
{
  readonly init: (args: Args) => Effect.Effect<Started<S, D, unknown> | Behaviour.Ignore, E, any> // R says which
  readonly states: H
  readonly any: A
}

/**
 * Makes a state machine of a protocol.
 *
 * - `init` gives the first state and the data with {@link started}; it may fail with a typed error or return `ignore`.
 * - `states` has a record of handlers for each state.
 * - `any` has handlers for all states; a state's own come first.
 * - `state` is the schema of the states, when they have fields.
 * - `internal` are messages that only the machine itself sends, with {@link nextEvent} and timeouts. They are handled as those of
 *   the protocol are.
 * - `terminate` runs before the end, as that of a server does.
 * - `format` says what observers may see; by default the state, the data and the number of postponed events.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: <
  Name extends string,
  M extends Message.Any,
  Args,
  D,
  E,
  RI,
  Names extends string,
  H extends StatesConstraint<M | I, StateOf<Self, NoInfer<Names>>, NoInfer<D>, NoInfer<Common>>,
  A extends StateHandlers<M | I, StateOf<Self, NoInfer<Names>>, StateOf<Self, NoInfer<Names>>, NoInfer<D>>,
  Common extends string = never,
  Self extends Schema.Top | undefined = undefined,
  I extends OneWay = never,
  RT = never
>(
  protocol:
    & Protocol.Protocol<Name, M>
    & NoStrangers<Strangers<Self, H, Pick<A, Common & keyof A>, NoInfer<M | I>["_tag"]>>,
  options: {
    readonly state?: Self
    readonly internal?: ReadonlyArray<I>
    readonly init: (
      args: Args
    ) => Effect.Effect<
      Started<NoInfer<StateOf<Self, Names>>, D, EnterAction<NoInfer<M | I>> | NextEvent<NoInfer<M | I>>> | Behaviour.Ignore,
      E,
      RI
    >
    readonly states: H & { readonly [K in Names]: unknown }
    readonly any?: A & { readonly [K in Common]: unknown }
    readonly terminate?: (
      reason: ExitReason,
      state: NoInfer<StateOf<Self, Names>>,
      data: NoInfer<D>
    ) => Effect.Effect<unknown, unknown, RT>
    readonly format?: (state: NoInfer<StateOf<Self, Names>>, data: NoInfer<D>) => unknown
  }
) => StateMachine<
  Args,
  M,
  E,
  Exclude<RI | RT | ServicesOfStates<H> | ServicesOf<Pick<A, Common & keyof A>>, Provided>,
  StateOf<Self, Names>,
  D,
  H,
  Pick<A, Common & keyof A>
> = (protocol: Protocol.Any, definition: Definition): never =>
  ({
    [GenServerTypeId]: GenServerTypeId,
    protocol: protocol.protocol,
    behaviour: compile(protocol.protocol, definition),
    init: definition.init,
    states: definition.states,
    any: definition.any ?? {}
  }) as never // the signature above states what it builds
