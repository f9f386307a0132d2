/**
 * The types of handlers: what a protocol asks of whoever serves it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Pid } from "../term/Pid.ts"
import type * as Message from "./Message.ts"
import type { Down, Exit } from "./Signal.ts"
import type { Transition } from "./Transition.ts"

/**
 * What a handler may know besides its payload and state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context {
  /** The process itself. */
  readonly self: Pid
  /** The name of the node on which it runs. */
  readonly node: string
}

/**
 * The caller of a call, to be answered exactly once. A second answer, and one after the caller has given up, vanish.
 *
 * @category models
 * @since 0.1.0
 */
export interface From<in A, in E = never> {
  /** The calling process; outside of any process, the pid of the node's own process. */
  readonly caller: Pid
  /** Answers with a value. */
  reply(value: A): Effect.Effect<void>
  /** Answers with a domain error. */
  fail(error: E): Effect.Effect<void>
}

/**
 * The context of a call: `from` is whom to answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallContext<in A, in E> extends Context {
  readonly from: From<A, E>
}

/**
 * What a call handler may return: a transition, or the plain reply (the state stays as it is), or an Effect of either.
 *
 * @category models
 * @since 0.1.0
 */
export type CallResult<A, E, S, C> =
  | Transition<A, S, C>
  | A
  | Effect.Effect<Transition<A, S, C> | A, E, any> // `any`: the services are inferred from the handlers

/**
 * What any other handler may return: a transition or nothing (the state stays as it is), or an Effect of either.
 *
 * @category models
 * @since 0.1.0
 */
export type CastResult<S, C> =
  | Transition<never, S, C>
  | void
  | Effect.Effect<Transition<never, S, C> | void, unknown, any> // as above

/**
 * The handler of one message.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<M extends Message.Any, S, C> = M extends { readonly kind: "Call" } ? (
    payload: Message.Payload<M>,
    state: S,
    context: CallContext<Message.Success<M>, Message.Error<M>>
  ) => CallResult<Message.Success<M>, Message.Error<M>, S, C>
  : (payload: Message.Payload<M>, state: S, context: Context) => CastResult<S, C>

/**
 * One handler per message of a protocol, and three optional ones for what comes from outside of it: trapped exit
 * signals, Down messages, and terms that no message describes.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<M extends Message.Any, S = void, C = never> =
  & { readonly [T in M as T["_tag"]]: Handler<T, S, C> }
  & SignalHandlers<S, C>

/**
 * The optional handlers of what no message of the protocol describes.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignalHandlers<S, C = never> {
  /** A trapped exit signal. The parent's is not shown: it stops the process, after `terminate`. */
  readonly exit?: (signal: Exit, state: S, context: Context) => CastResult<S, C>
  /** A monitored process has ended. */
  readonly down?: (signal: Down, state: S, context: Context) => CastResult<S, C>
  /** A term that no message of the protocol describes. Without this handler it is logged once per shape and counted. */
  readonly unhandled?: (term: unknown, state: S, context: Context) => CastResult<S, C>
}
