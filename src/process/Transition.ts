/**
 * What a handler decides: the reply, the next state, what to do before the next message, or to stop.
 *
 * A transition is a plain value and a handler that returns one costs no Effect. There are five of them, and one place
 * in the runtime that interprets them. They can be compared and tested without any process.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import { type ExitReason, normal } from "./ExitReason.ts"

/**
 * What may follow a transition.
 *
 * `continue`: the value is handed to the `continue` callback before any queued message and after the reply was sent.
 * `timeout`: the `timeout` callback runs when no message was handled for so long; any message cancels it; it fires
 * once; zero lets the queued messages go first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Next<out C> {
  readonly continue?: C
  readonly timeout?: Duration.Input
}

/**
 * What a handler decided. `A` is the type of the reply, `S` of the state, `C` of what `continue` takes.
 *
 * @category models
 * @since 0.1.0
 */
export class Transition<out A, out S, out C = never> {
  /** Whether `reply` is to be sent to the caller of the present message. */
  readonly replies: boolean
  readonly reply: A
  /** Whether `state` is the next state; otherwise the state stays as it is. */
  readonly updates: boolean
  readonly state: S
  /** Set when the process is to stop with this reason. */
  readonly reason: ExitReason | undefined
  readonly next: Next<C> | undefined

  constructor(
    replies: boolean,
    reply: A,
    updates: boolean,
    state: S,
    reason: ExitReason | undefined,
    next: Next<C> | undefined
  ) {
    this.replies = replies
    this.reply = reply
    this.updates = updates
    this.state = state
    this.reason = reason
    this.next = next
  }
}

/**
 * Whether a value is a transition.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTransition = (u: unknown): u is Transition<unknown, unknown, unknown> => u instanceof Transition

/**
 * Reply to the caller and go on with the next state.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reply = <A, S, C = never>(value: A, state: S, next?: Next<C>): Transition<A, S, NoInfer<C>> =>
  new Transition(true, value, true, state, undefined, next)

/**
 * Go on without an answer: it is given later through `context.from`, by this process or by another.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noReply = <S, C = never>(state: S, next?: Next<C>): Transition<never, S, NoInfer<C>> =>
  new Transition(false, undefined as never, true, state, undefined, next)

/**
 * Go on with the next state. The transition of casts, infos and callbacks.
 *
 * @category constructors
 * @since 0.1.0
 */
export const next: <S, C = never>(state: S, next?: Next<C>) => Transition<never, S, NoInfer<C>> = noReply

/**
 * Stop with a reason (`normal` unless said otherwise). `terminate` runs with the state given here, or the present one.
 * A caller without an answer gets `ProcessExit`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stop = <S = never>(
  ...args: readonly [reason?: ExitReason | undefined] | readonly [reason: ExitReason | undefined, state: S]
): Transition<never, S, never> =>
  new Transition(false, undefined as never, args.length > 1, args[1] as S, args[0] ?? normal, undefined)

/**
 * Reply to the caller, then stop. Termination comes first, then the reply, then the links and monitors: the caller
 * never sees the exit.
 *
 * @category constructors
 * @since 0.1.0
 */
export const replyAndStop = <A, S = never>(
  value: A,
  ...args: readonly [reason?: ExitReason | undefined] | readonly [reason: ExitReason | undefined, state: S]
): Transition<A, S, never> => new Transition(true, value, args.length > 1, args[1] as S, args[0] ?? normal, undefined)
