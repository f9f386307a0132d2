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
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { Reference } from "../term/Reference.ts"
import type { Address } from "./Address.ts"
import type * as CallError from "./CallError.ts"
import { type ExitReason, normal } from "./ExitReason.ts"
import { callEffect, type RefBase, type Route } from "./internal/Client.ts"
import { type CallEnvelope, CastEnvelope, TermEnvelope } from "./internal/Envelope.ts"
import { forward as forwardEnvelope } from "./internal/Forward.ts"
import { awaitEnd, awaitEndWithin, type SpawnOptions as StartOptions, startServer, tie } from "./internal/Lifecycle.ts"
import { CurrentProcess, DEAD, type LocalProcess } from "./internal/LocalProcess.ts"
import { type ServerBehaviour, ServerProcess } from "./internal/ServerProcess.ts"
import { systemRequest } from "./internal/SystemRequest.ts"
import type { Timer as TimerBase } from "./internal/Timers.ts"
import * as Message from "./Message.ts"
import { Node, type Service as NodeService } from "./Node.ts"
import * as Process from "./Process.ts"
import { type Ref, unsafeFromAddress, unsafeFromProcess, unsafeFromRoute } from "./ProcessRef.ts"
import type { Core } from "./Protocol.ts"
import type { NodeChange } from "./Transport.ts"

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
  STOP,
  type StopEnvelope,
  SYSTEM,
  TERM,
  type TermEnvelope,
  TIMEOUT,
  type TimeoutEnvelope
} from "./internal/Envelope.ts"
export { type SpawnOptions as StartOptions } from "./internal/Lifecycle.ts"
export { type LocalProcess as Process } from "./internal/LocalProcess.ts"
export {
  Ignore,
  type ServerBehaviour as Behaviour,
  ServerProcess as Instance,
  Started
} from "./internal/ServerProcess.ts"
export { Timer } from "./internal/Timers.ts"

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
  Effect.withFiber((fiber) =>
    startServer(Context.get(fiber.context as Context.Context<Node>, Node).runtime, behaviour, args, options, fiber)
  )

/**
 * Starts a process of a behaviour, tied to the surrounding scope: when that closes it is asked to shut down, and killed
 * after `stopWithin` (5 seconds).
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
    tie(
      scope,
      (restore) =>
        Effect.withFiber((fiber) => {
          const { runtime } = Context.get(fiber.context as Context.Context<Node>, Node)
          return startServer(runtime, behaviour, args, options, fiber, restore)
        }),
      options.stopWithin
    ))

/**
 * The ref of an instance, with the methods of a protocol. The caller says of which type it is.
 *
 * @category refs
 * @since 0.1.0
 */
export const refOf = (instance: ServerProcess, protocol: Core): unknown =>
  unsafeFromProcess(instance.node, protocol, instance)

/**
 * A ref by address, with the methods of a protocol. The caller says of which type it is.
 *
 * @category refs
 * @since 0.1.0
 */
export const refAt = (node: NodeService, protocol: Core, target: Process.Target): unknown =>
  unsafeFromAddress(node.runtime, protocol, Process.toAddress(target))

/**
 * A ref whose messages go to whom `route` chooses, anew for each: by the number of the message in the protocol, its
 * payload and the fiber that sends. `route` runs in the turn of the sender and must not throw; with undefined, calls fail
 * with `NoProcess`. To link, monitor and stop, the ref stands for `address`. The caller says of which type it is.
 *
 * @category refs
 * @since 0.1.0
 */
export const routedRef = (node: NodeService, protocol: Core, address: Address, route: Route): unknown =>
  unsafeFromRoute(node.runtime, protocol, address, route)

/**
 * Hands a call, cast or term that an instance is handling to another process of the node, which then answers the caller
 * itself: the handler returns without a reply. A call to a full mailbox fails with `MailboxFull`; a cast or term meets
 * the policy of the mailbox as one from another node does.
 *
 * @category calls
 * @since 0.1.0
 */
export const forward = (
  instance: ServerProcess,
  envelope: CallEnvelope | CastEnvelope | TermEnvelope,
  to: LocalProcess
): void => forwardEnvelope(instance, envelope, to)

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

/**
 * Starts a process that takes its own messages and belongs to nobody, and gives the process itself.
 *
 * @category starting
 * @since 0.1.0
 */
export const spawnDetached = (
  body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>,
  options: Process.SpawnOptions & { readonly onSpawn?: (process: LocalProcess) => void }
): Effect.Effect<LocalProcess, CallError.StartError, Node> =>
  Effect.flatMap(Node, ({ runtime }) => Effect.withFiber((fiber) => Process.spawnIn(runtime, body, options, fiber)))

/**
 * Calls a message of a protocol by its tag, at any address: what the functions of a behaviour do that talk to an instance.
 *
 * @category calls
 * @since 0.1.0
 */
export const call = (
  protocol: Core,
  target: Process.Target,
  tag: string,
  payload: unknown,
  options?: { readonly timeout?: Duration.Input }
): Effect.Effect<unknown, unknown, Node> =>
  Effect.flatMap(Node, ({ runtime }) => {
    const index = protocol.indexByTag.get(tag)
    if (index === undefined) return Effect.die(new Error(`${protocol.name} has no message ${tag}`))
    return callEffect(unsafeFromAddress(runtime, protocol, Process.toAddress(target)), index, payload, options?.timeout)
  })

/**
 * The services of the running fiber without those of its process: to start something on behalf of one process in another.
 *
 * @category services
 * @since 0.1.0
 */
export const services = <R>(): Effect.Effect<
  Context.Context<Exclude<R, Process.CurrentProcess | Scope.Scope>>,
  never,
  R
> =>
  Effect.map(
    Effect.context<R>(),
    (context) =>
      Context.omit(CurrentProcess, Scope.Scope)(
        context as Context.Context<LocalProcess | Scope.Scope> // it may have them; the type of R need not say so
      ) as Context.Context<Exclude<R, Process.CurrentProcess | Scope.Scope>>
  )

/**
 * Services with a process: what runs with them runs as part of that process. Its end is not theirs: whoever forks a fiber
 * with them ties it to the scope of the process.
 *
 * @category services
 * @since 0.1.0
 */
export const within = <R>(process: LocalProcess, context: Context.Context<R>): Context.Context<R> =>
  Context.add(context, CurrentProcess, process) as Context.Context<R> // no type of services shows the process

/**
 * The process in whose fiber an effect runs, as an instance; undefined outside of any.
 *
 * @category services
 * @since 0.1.0
 */
export const current: Effect.Effect<LocalProcess | undefined> = Effect.withFiber((fiber) =>
  Effect.succeed(Context.getOrUndefined(fiber.context as Context.Context<LocalProcess>, CurrentProcess))
)

/**
 * The process of this node at an address; undefined when there is none.
 *
 * @category processes
 * @since 0.1.0
 */
export const processAt = (node: NodeService, target: Process.Target): LocalProcess | undefined =>
  node.runtime.resolve(Process.toAddress(target))

/**
 * Has a function called in the very turn in which a process of this node ends, when its name is free and before anyone
 * learns of it, so that what is kept about a process goes with it. The function must be quick and must not throw, run
 * code of users or resume a fiber. It is called at once when the process has ended. Gives the function that stops
 * watching.
 *
 * @category processes
 * @since 0.1.0
 */
export const watch = (process: LocalProcess, onEnd: (reason: ExitReason) => void): () => void => {
  if (process.status === DEAD) {
    onEnd(process.exitReason ?? normal)
    return () => {}
  }
  const monitor = process.node.makeMonitor({ down: (_, reason) => onEnd(reason) }, process, process.pid)
  const watchers = process.watchers ??= new Map()
  watchers.set(monitor.key, monitor)
  return () => {
    watchers.delete(monitor.key)
  }
}

/**
 * Puts a cast or info into the mailbox of a process of this node, from nobody who could wait: when the mailbox is full,
 * its policy decides, and under `suspend` and `fail` the message is dropped and counted. It is never handled in the
 * turn of the caller.
 *
 * @category sending
 * @since 0.1.0
 */
export const post = (process: LocalProcess, message: Message.Any, payload: unknown): void => {
  if (!(process instanceof ServerProcess)) {
    settle(process, process.deliverValue(Message.toValue(message, payload), undefined))
    return
  }
  const { protocol } = process.behaviour
  const index = protocol.indexByTag.get(message._tag)
  const envelope = index !== undefined && protocol.messages[index] === message
    ? new CastEnvelope(process, index, payload)
    : process.infoEnvelope(Message.toValue(message, payload))
  if (process.mailboxLength < process.capacity) process.push(envelope)
  else settle(process, process.cast(envelope, undefined))
}

/**
 * Puts a message into the mailbox of a process of this node whatever its bound: for messages whose number the receiver
 * bounds itself, as demand does. It is never handled in the turn of the caller.
 *
 * @category sending
 * @since 0.1.0
 */
export const insist = (process: LocalProcess, message: Message.Any, payload: unknown): void => {
  if (!(process instanceof ServerProcess)) {
    settle(process, process.deliverValue(Message.toValue(message, payload), undefined))
    return
  }
  const { protocol } = process.behaviour
  const index = protocol.indexByTag.get(message._tag)
  process.push(
    index !== undefined && protocol.messages[index]!.kind === message.kind
      ? new CastEnvelope(process, index, payload)
      : new TermEnvelope(process, Message.toValue(message, payload))
  )
}

/**
 * Has an instance monitor a process, here or on another node, as `Process.monitor` does it in a handler.
 *
 * @category processes
 * @since 0.1.0
 */
export const monitor = (instance: LocalProcess, target: Process.Target): Reference => {
  const address = Process.toAddress(target)
  const { node } = instance
  return (node.isRemote(address)
    ? node.remote.monitor(instance, address)
    : instance.monitor(node.resolve(address), address)).ref
}

/**
 * Ends a monitor of an instance, and takes a Down that already waits out of its mailbox.
 *
 * @category processes
 * @since 0.1.0
 */
export const demonitor = (instance: LocalProcess, ref: Reference): void => {
  const { node } = instance
  const key = node.keyOfReference(ref)
  const held = key === undefined ? undefined : instance.monitors?.get(key)
  if (held !== undefined && instance.demonitor(key!) && held.target === undefined) {
    node.remote.demonitor(instance, held)
  }
  instance.flushDown(ref)
}

/**
 * Puts any value into the mailbox of a process of this node, as {@link post} does it with a message.
 *
 * @category sending
 * @since 0.1.0
 */
export const tell = (process: LocalProcess, value: unknown): void => {
  if (process instanceof ServerProcess && process.mailboxLength < process.capacity) {
    process.push(process.infoEnvelope(value))
  } else settle(process, process.deliverValue(value, undefined))
}

/**
 * Has every coming and going of a connection to another node told, from now on, in the turn in which it happens. The
 * function must be quick and must not throw. A node that knows only itself has nothing to tell. Gives the function that
 * stops it.
 *
 * @category nodes
 * @since 0.1.0
 */
export const watchNodes = (node: NodeService, onChange: (change: NodeChange) => void): () => void =>
  node.runtime.remote.transport?.subscribe(onChange) ?? (() => {})

/**
 * The names of the connected visible nodes.
 *
 * @category nodes
 * @since 0.1.0
 */
export const connectedNodes = (node: NodeService): ReadonlyArray<string> => node.runtime.remote.transport?.nodes() ?? []

/**
 * Whether another node is connected, hidden or not: what is sent to it opens no connection.
 *
 * @category nodes
 * @since 0.1.0
 */
export const isConnected = (node: NodeService, name: string): boolean =>
  node.runtime.remote.transport?.isConnected(name) === true

const settle = (process: LocalProcess, sent: Effect.Effect<void, unknown>): void => {
  if (sent !== Effect.void) Effect.runForkWith(process.node.context)(Effect.ignore(sent))
}

/**
 * Runs a function in its turn, behind all that is due on the node now: the way to resume a fiber from where that is not
 * allowed.
 *
 * @category processes
 * @since 0.1.0
 */
export const defer = (node: NodeService, run: () => void): void => node.runtime.runQueue.push({ run })

/**
 * Runs an effect inside the server of a ref, between two of its messages, and waits for its result (OTP's system
 * messages): at most 5 seconds unless `timeout` says otherwise. `request` is what a `CallError` calls it. Works for
 * servers of this node.
 *
 * @category system
 * @since 0.1.0
 */
export const system = <A, E, M extends Message.Any>(
  ref: Ref<M>,
  request: string,
  run: (instance: ServerProcess) => Effect.Effect<A, E>,
  timeout?: Duration.Input
): Effect.Effect<A, E | CallError.CallError> => systemRequest(ref as unknown as RefBase, request, run, timeout) // every ref is of this class

export { awaitEnd, awaitEndWithin }
