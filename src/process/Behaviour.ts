/**
 * Behaviours: how to build a kind of process of your own on the loop that serves them all.
 *
 * A behaviour is one value with four functions: `init` makes the first state, `handle` decides what a message means,
 * `terminate` runs before the end, `format` says what an observer may see. The loop does the rest: mailbox and its bound,
 * order, replies, call limits, idle timeouts, continuations, exit reasons. `GenServer`, `StateMachine` and `Supervisor`
 * are such values; this module is for people who write another one. To write a server, use `GenServer`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as CallError from "./CallError.ts"
import { awaitEnd, awaitEndWithin, type SpawnOptions as StartOptions, startServer, tie } from "./internal/Lifecycle.ts"
import { ServerProcess } from "./internal/ServerProcess.ts"
import type { Timer as TimerBase } from "./internal/Timers.ts"
import { Node } from "./Node.ts"
import type { Core } from "./Protocol.ts"
import { unsafeFromProcess } from "./ProcessRef.ts"

export {
  CALL,
  type CallEnvelope,
  CAST,
  type CastEnvelope,
  CONTINUE,
  type ContinueEnvelope,
  DOWN,
  type DownEnvelope,
  type Envelope,
  EXIT,
  type ExitEnvelope,
  TERM,
  type TermEnvelope,
  TIMEOUT,
  type TimeoutEnvelope
} from "./internal/Envelope.ts"
export { Ignore, type ServerBehaviour as Behaviour, ServerProcess as Instance, Started } from "./internal/ServerProcess.ts"
export { Timer } from "./internal/Timers.ts"
export { type SpawnOptions as StartOptions } from "./internal/Lifecycle.ts"
import type { ServerBehaviour } from "./internal/ServerProcess.ts"

/**
 * The number of messages a process of this behaviour may handle in the turn of their sender: all, at first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const synchronousAll = (protocol: Core): Array<boolean> => protocol.messages.map(() => true)

/**
 * Starts a process of a behaviour that belongs to nobody.
 *
 * @category starting
 * @since 0.1.0
 */
export const startDetached = (
  behaviour: ServerBehaviour,
  args: unknown,
  options: StartOptions
): Effect.Effect<ServerProcess, unknown, Node> =>
  Effect.flatMap(
    Node,
    ({ runtime }) => Effect.withFiber((fiber) => startServer(runtime, behaviour, args, options, fiber))
  )

/**
 * Starts a process of a behaviour, tied to the surrounding scope.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = (
  behaviour: ServerBehaviour,
  args: unknown,
  options: StartOptions
): Effect.Effect<ServerProcess, unknown, Node | Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.suspend(() => {
      let started: ServerProcess | undefined
      return Effect.map(
        Effect.flatMap(Node, ({ runtime }) =>
          Effect.withFiber((fiber) =>
            tie(
              scope,
              Effect.map(startServer(runtime, behaviour, args, options, fiber), (process) => started = process)
            )
          )),
        () => started!
      )
    }))

/**
 * The ref of an instance, with the methods of a protocol. The caller says of which type it is.
 *
 * @category refs
 * @since 0.1.0
 */
export const refOf = (instance: ServerProcess, protocol: Core): unknown =>
  unsafeFromProcess(instance.node, protocol, instance)

/**
 * Arms a timer of the node of an instance; `millis` of any length.
 *
 * @category timers
 * @since 0.1.0
 */
export const armTimer = (instance: ServerProcess, timer: TimerBase, millis: number): void =>
  instance.node.timers.arm(timer, millis)

/**
 * Disarms a timer; false when it was not armed.
 *
 * @category timers
 * @since 0.1.0
 */
export const cancelTimer = (instance: ServerProcess, timer: TimerBase): boolean => instance.node.timers.cancel(timer)

export { awaitEnd, awaitEndWithin }
export type { CallError }
