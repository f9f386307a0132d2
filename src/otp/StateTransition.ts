/**
 * What the handler of a state machine decides: where to go, and what is to be done besides.
 *
 * Transitions and actions are plain values, can be compared and tested without any process, and cost no Effect. There
 * is one place that gives them their meaning (`internal/StateMachineCore.ts`). `StateMachine` exports all of them.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import { type ExitReason, normal } from "../process/ExitReason.ts"
import type { From } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import { MachineEvent, MachineStarted } from "./internal/MachineEvent.ts"
import * as Core from "./internal/StateMachineCore.ts"

/**
 * A state: a name, or a name with fields.
 *
 * @category models
 * @since 0.1.0
 */
export type State = string | { readonly _tag: string }

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
type Payload<M extends Message.Any, More extends ReadonlyArray<unknown> = []> = [Message.PayloadInput<M>] extends
  [void] ? [payload?: void, ...More]
  : {} extends Message.PayloadInput<M> ? [payload?: Message.PayloadInput<M>, ...More]
  : [payload: Message.PayloadInput<M>, ...More]

/**
 * A message without an answer.
 *
 * @category models
 * @since 0.1.0
 */
export type OneWay = Message.Any & { readonly kind: "Cast" | "Info" }

const eventOf = (kind: "Internal" | "Timeout", message: Message.Any, payload: unknown): MachineEvent =>
  new MachineEvent(
    kind,
    message._tag,
    message.makePayload === undefined ? payload : message.makePayload(payload),
    undefined
  )

/** The event of a timeout of the state or the event: that of its message, or the callback of its name. */
const timeoutEvent = (handler: string, message: Message.Any | undefined, payload: unknown): MachineEvent =>
  message === undefined
    ? new MachineEvent("Timer", handler, undefined, undefined)
    : eventOf("Timeout", message, payload)

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
 * Start the state timeout, or restart it: unless the state changes before, the `stateTimeout` handler runs after
 * `delay`, or the handler of `message`. An infinite delay ends it; zero lets it fire before the next message is looked
 * at.
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
 * Start the event timeout, or restart it: unless any event comes before, the `eventTimeout` handler runs after `delay`,
 * or the handler of `message`. With zero it fires when nothing else waits that the machine itself has asked for.
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
 * Start the timeout that is called as its message, or restart it: the handler of the message runs after `delay`, in
 * whatever state the machine is then. With `key` there can be any number of one message at a time.
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
export const cancelStateTimeout: Timeout<never> = new Core.Timeout(
  undefined as never,
  Core.stateTimer,
  Infinity,
  noEvent
)

/**
 * End the event timeout.
 *
 * @category actions
 * @since 0.1.0
 */
export const cancelEventTimeout: Timeout<never> = new Core.Timeout(
  undefined as never,
  Core.eventTimer,
  Infinity,
  noEvent
)

/**
 * End a timeout that was started with {@link timeout}, by its message and key.
 *
 * @category actions
 * @since 0.1.0
 */
export const cancelTimeout = <M extends OneWay>(message: M, options?: TimeoutOptions): Timeout<M> =>
  new Core.Timeout(message, timerKey(message, options), Infinity, noEvent)

/**
 * Give the running state timeout another message without touching its time. When it does not run, it fires at once, as
 * after zero.
 *
 * @category actions
 * @since 0.1.0
 */
export const updateStateTimeout = <M extends OneWay>(message: M, ...[payload]: Payload<M>): UpdateTimeout<M> =>
  new Core.UpdateTimeout(message, Core.stateTimer, eventOf("Timeout", message, payload))

/**
 * Give a running timeout another payload without touching its time. When it does not run, it fires at once, as after
 * zero.
 *
 * @category actions
 * @since 0.1.0
 */
export const updateTimeout = <M extends OneWay>(
  message: M,
  ...[payload, options]: Payload<M, [options?: TimeoutOptions]>
): UpdateTimeout<M> => new Core.UpdateTimeout(message, timerKey(message, options), eventOf("Timeout", message, payload))

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
 * What a handler decided. `S` is the state it goes to (`never` when it stays), `D` the data (`never` when that stays),
 * `A` the actions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transition<out S, out D, out A> extends Core.StateTransition<S, D, A> {}

const make = <S, D, A>(
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
  <const S extends State, D, A extends ReadonlyArray<unknown>>(
    state: S,
    data: D,
    ...actions: A
  ): Transition<S, D, A[number]>
} = (state: State, ...rest: ReadonlyArray<unknown>): Transition<never, never, never> =>
  // The overloads say of what.
  make(Core.NEXT, state, rest.slice(0, 1), rest.slice(1), undefined) as Transition<never, never, never>

/**
 * Stay, with new data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const keepState = <D, A extends ReadonlyArray<unknown>>(
  data: D,
  ...actions: A
): Transition<never, D, A[number]> => make(Core.KEEP, undefined as never, [data], actions, undefined)

/**
 * Stay, with the present data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const keep = <A extends ReadonlyArray<unknown>>(...actions: A): Transition<never, never, A[number]> =>
  make(Core.KEEP, undefined as never, nothing, actions, undefined)

/**
 * Stay, with new data, and run `enter` again. It is no change of state: postponed events stay postponed, the state
 * timeout goes on.
 *
 * @category transitions
 * @since 0.1.0
 */
export const repeatState = <D, A extends ReadonlyArray<unknown>>(
  data: D,
  ...actions: A
): Transition<RepeatedState, D, A[number]> => make(Core.REPEAT, repeated, [data], actions, undefined)

/**
 * {@link repeatState} with the present data.
 *
 * @category transitions
 * @since 0.1.0
 */
export const repeat = <A extends ReadonlyArray<unknown>>(...actions: A): Transition<RepeatedState, never, A[number]> =>
  make(Core.REPEAT, repeated, nothing, actions, undefined)

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
 * Stop with a reason (`normal` unless said otherwise), with new data or the present. `terminate` runs. Callers without
 * an answer, also of postponed calls, get `ProcessExit`.
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
  make(Core.STOP, undefined, args.slice(1), actions, (args[0] as ExitReason | undefined) ?? normal) as Transition<
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
 * Begin in a state with data. `enter` of that state runs, with the state itself as the previous one, before any message
 * is handled and after `start` has returned.
 *
 * @category constructors
 * @since 0.1.0
 */
export const started: {
  <const S extends State>(state: S): Started<S, void, never>
  <const S extends State, D, A extends ReadonlyArray<unknown>>(
    state: S,
    data: D,
    ...actions: A
  ): Started<S, D, A[number]>
} = (state: State, data?: unknown, ...actions: ReadonlyArray<unknown>): Started<never, never, never> =>
  new MachineStarted(state, data, actions) as Started<never, never, never> // as above
