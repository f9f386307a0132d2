/**
 * The callbacks of an endpoint in the loop of its process: their state, what they decide, and frames one after another.
 *
 * The process keeps a {@link Live} as its state and the user's state inside of it, so that callbacks return the usual
 * transitions over their own state. A callback that fails because its connection is gone has not crashed: that is what
 * connections do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Behaviour from "../../process/Behaviour.ts"
import type { Context as HandlerContext, From } from "../../process/Handler.ts"
import type * as Protocol from "../../process/Protocol.ts"
import type { Exit as ExitSignal } from "../../process/Signal.ts"
import { Transition } from "../../process/Transition.ts"
import type { Pid } from "../../term/Pid.ts"
import { ConnectionClosed } from "../NetError.ts"

type Decided = Transition<unknown, unknown, unknown>

/** What a process of an endpoint keeps. */
export interface Live {
  user: unknown
  readonly instance: Behaviour.Instance
}

/** A context of a callback: that of the process, with what the endpoint adds. */
export type Extension = { readonly [name: string]: unknown }

/** A callback with the state and the context as its last arguments. */
export type Callback = (...args: ReadonlyArray<never>) => unknown

/** The context of callbacks that no message stands behind. One for the life of a process. */
export const contextOf = (instance: Behaviour.Instance, extension: Extension): HandlerContext => ({
  self: instance.pid,
  node: instance.node.name,
  ...extension
})

/** The context of one message; `from` is that of a call. */
const messageContext = (
  context: HandlerContext & { readonly from?: From<never, never> },
  extension: Extension
): { readonly self: Pid; readonly node: string; readonly from: From<never, never> | undefined } => ({
  self: context.self,
  node: context.node,
  from: context.from,
  ...extension
})

/** Takes the user's state out of a transition; what is left is for the loop. */
const settle = (live: Live, decided: unknown): unknown => {
  if (!(decided instanceof Transition)) return decided
  const { next, reason, replies, reply, state, updates } = decided as Decided
  if (updates) live.user = state
  return new Transition(replies, reply, false, undefined, reason, next)
}

/**
 * What a callback gave, as the loop understands it. `onClosed` is what it means that the connection was gone; without it,
 * that is a failure like others.
 */
export const adapt = (live: Live, decided: unknown, onClosed: (() => unknown) | undefined): unknown => {
  if (!Effect.isEffect(decided)) return settle(live, decided)
  // The services of callbacks are those of the process.
  const settled = Effect.mapEager(decided as Effect.Effect<unknown, unknown>, (value) => settle(live, value))
  return onClosed === undefined ? settled : Effect.catchEager(
    settled,
    (error) => error instanceof ConnectionClosed ? Effect.succeed(onClosed()) : Effect.fail(error)
  )
}

/**
 * The handlers of a user's protocol for the loop: they see the user's state, and a context with what `extension` gives. A
 * call that fails with `ConnectionClosed` has declared it: that is its reply.
 */
export const wrapHandlers = <L extends Live>(
  protocol: Protocol.Any,
  handlers: { readonly [tag: string]: Callback | undefined },
  extension: (live: L) => Extension,
  onClosed: () => unknown
): Record<string, unknown> => {
  const calls = new Set(protocol.messages.filter(({ kind }) => kind === "Call").map(({ _tag }) => _tag as string))
  const wrapped: Record<string, unknown> = {
    // A linked process has died: without a handler of the user's, that ends this one, as if exits were not trapped.
    exit: ({ reason }: ExitSignal): unknown =>
      reason._tag === "Normal" ? undefined : new Transition(false, undefined, false, undefined, reason, undefined)
  }
  for (const [tag, handler] of Object.entries(handlers)) {
    if (handler === undefined) continue
    const run = handler as (...args: ReadonlyArray<unknown>) => unknown // called with what its type asks for
    const onGone = calls.has(tag) ? undefined : onClosed
    wrapped[tag] = (payload: unknown, live: L, context: HandlerContext): unknown =>
      adapt(live, run(payload, live.user, messageContext(context, extension(live))), onGone)
  }
  return wrapped
}

/** How many frames are handled before other messages have their turn. */
const budget = 256

/** Frames on their way to a callback. */
export interface Frames {
  readonly live: Live
  readonly frames: ReadonlyArray<unknown>
  readonly handle: (frame: unknown) => unknown
  /** Whether the rest is not wanted any more. */
  readonly isOver: () => boolean
  /** Runs when all are handled. */
  readonly done: () => void
}

/** Hands frames to their callback, in order and one at a time. It gives what a handler of a cast may return. */
export const eachFrame = (work: Frames, from = 0, left: number = budget): unknown => {
  const { done, frames, handle, isOver, live } = work
  for (let at = from; at < frames.length; at++, left--) {
    if (isOver()) return undefined
    if (left === 0) {
      live.instance.system(() => eachFrame(work, at))
      return undefined
    }
    const decided = handle(frames[at])
    if (Effect.isEffect(decided)) {
      return Effect.flatMapEager(decided as Effect.Effect<unknown, unknown>, (decided) => {
        const rest = isFinal(decided) ? follow(work, decided, at + 1) : eachFrame(work, at + 1, left - 1)
        return Effect.isEffect(rest) ? rest as Effect.Effect<unknown, unknown> : Effect.succeed(rest)
      })
    }
    if (isFinal(decided)) return follow(work, decided, at + 1)
  }
  done()
  return undefined
}

/** Whether the loop of the process has to see what was decided before the next frame. */
const isFinal = (decided: unknown): decided is Decided =>
  decided instanceof Transition && (decided.reason !== undefined || decided.next !== undefined)

/** The other frames come when the loop has done what was decided; not at all when that is to stop. */
const follow = (work: Frames, decided: Decided, at: number): Decided => {
  if (decided.reason === undefined) work.live.instance.system(() => eachFrame(work, at))
  return decided
}
