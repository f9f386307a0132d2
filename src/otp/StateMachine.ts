/**
 * State machines: processes whose handlers depend on the state they are in (OTP's `gen_statem`).
 *
 * A machine is in one state of a fixed set and has data beside it. For each state there is a record of handlers, one
 * per message of the protocol. A handler gets the payload and the data, and returns where to go: {@link nextState},
 * {@link keepState}, {@link keep}, {@link repeatState}, {@link repeat}, {@link stop} or {@link stopAndReply}, each with
 * actions (replies, timeouts, {@link postpone}, {@link nextEvent}); or nothing (stay), or, for a call, the plain reply;
 * or an Effect of these. Handlers can be tested without any process.
 *
 * **States.** The states are the keys of `states`; their union is the type of the state. When states carry fields of
 * their own, give the schema of their union as `state`, and the keys of `states` are its tags. An unequal state is
 * another state: going from `{ _tag: "Retrying", attempt: 1 }` to `{ _tag: "Retrying", attempt: 2 }` is a change of
 * state.
 *
 * **Which handler.** That of the state which names the message, else that of `any` which names it, else the `otherwise`
 * of the state, else that of `any`. A message that none of them handles does not compile. `exit`, `down` and
 * `unhandled` are looked for in the state and then in `any`; without them the signal or term is counted and logged once
 * per shape.
 *
 * Guarantees, as in OTP. One event at a time. When the state changes, postponed events are handled again, oldest first,
 * before anything else that waits, except for events that this very transition inserts. A change of state ends the
 * state timeout; any event ends the event timeout; named timeouts run until they are restarted, ended or fire. A
 * timeout of zero fires before the next message is looked at, after the events that were inserted or came back. `enter`
 * runs when a state is entered, also the first, and after `repeatState`; what it asks for is added to what the handler
 * asked for, whose replies were sent before. Of several actions for one timeout in one transition the last counts.
 *
 * Refuses: an `enter` that changes the state, postpones or inserts events; a reply to what is no call; a state, message
 * or payload that is not declared. The number of postponed events is bounded by the capacity of the mailbox: past it a
 * call fails with `MailboxFull`, anything else is dropped and counted. Hibernation and absolute times are left out.
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
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Behaviour from "../process/Behaviour.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { Context as HandlerContext, From } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import type { CurrentProcess } from "../process/Process.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Down, Exit as ExitSignal } from "../process/Signal.ts"
import type { GenServer } from "./GenServer.ts"
import type { Definition } from "./internal/StateMachineProgram.ts"
import { compile } from "./internal/StateMachineShell.ts"
import type {
  Action,
  EnterAction,
  NextEvent,
  OneWay,
  RepeatedState,
  Reply,
  Started,
  Transition
} from "./StateTransition.ts"

export { fromPid, ignore, layer, named, Service, start, startDetached } from "./GenServer.ts"
export * from "./StateTransition.ts"

const GenServerTypeId = "~effect-otp/GenServer"

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
 * What the handler of a call may return besides: the plain reply, and a typed failure, which is an error reply and
 * leaves the machine as it is.
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
 * A machine with its parts as they were given, for tests without a process: `TurnstileMachine.states.Locked.Coin({
 * cents: 50 }, 0)`. It is a server as far as starting, naming and supervising go.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateMachine<in Args, in out M extends Message.Any, out E, out R, out S, out D, out H, out A, out RI>
  extends GenServer<Args, M, E, R>
{
  readonly init: (args: Args) => Effect.Effect<Started<S, D, unknown> | Behaviour.Ignore, E, RI>
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
 * - `internal` are messages that only the machine itself sends, with {@link nextEvent} and timeouts. They are handled
 *   as those of the protocol are.
 * - `terminate` runs before the end, as that of a server does.
 * - `format` says what observers may see; by default the state, the data and the number of postponed events.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: <
  Name extends string,
  M extends Message.Any,
  D,
  E,
  RI,
  Names extends string,
  H extends StatesConstraint<M | I, StateOf<Self, NoInfer<Names>>, NoInfer<D>, NoInfer<Common>>,
  A extends StateHandlers<M | I, StateOf<Self, NoInfer<Names>>, StateOf<Self, NoInfer<Names>>, NoInfer<D>>,
  Args = void,
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
      | Started<NoInfer<StateOf<Self, Names>>, D, EnterAction<NoInfer<M | I>> | NextEvent<NoInfer<M | I>>>
      | Behaviour.Ignore,
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
  Pick<A, Common & keyof A>,
  RI
> = (protocol: Protocol.Any, definition: Definition): never =>
  ({
    [GenServerTypeId]: GenServerTypeId,
    protocol: protocol.protocol,
    behaviour: compile(protocol.protocol, definition),
    init: definition.init,
    states: definition.states,
    any: definition.any ?? {}
  }) as never // the signature above states what it builds
