/**
 * The node: the home of processes. It owns their table, names, timers and run queue, and it is the one service that
 * everything else needs.
 *
 * `layerLocal` makes a node that knows only itself. A distribution attaches a `Transport` to it; nothing else changes.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import { InboundSignals } from "./internal/InboundSignals.ts"
import { stopProcess } from "./internal/Lifecycle.ts"
import { LoopWatch } from "./internal/LoopWatch.ts"
import { NodeRuntime, type TraceEvent } from "./internal/NodeRuntime.ts"
import type { Inbound, TransportService } from "./Transport.ts"

/**
 * A node as the code that runs on it sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** `name@host`; `nonode@nohost` for a node without a name. */
  readonly name: string
  /** The incarnation of the node: part of every pid and reference that it makes. */
  readonly creation: number
  /** @internal */
  readonly runtime: NodeRuntime
}

const NodeBase: Context.ServiceClass<Node, "effect-otp/Node", Service> = Context.Service<Node, Service>()(
  "effect-otp/Node"
)

/**
 * The node on which a program runs.
 *
 * @category services
 * @since 0.1.0
 */
export class Node extends NodeBase {}

/**
 * Options of a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `name@host`; by default `nonode@nohost`, a node that nobody can reach. */
  readonly name?: string
  /** The incarnation, from 1 to 2^32 - 1; by default derived from the clock. */
  readonly creation?: number
  /** How long the finalizers of a killed process may run before it counts as dead all the same: 5 seconds. */
  readonly killGrace?: Duration.Input
}

/** The name of a node that has none. */
const noName = "nonode@nohost"

/**
 * Makes a node. When the scope closes, its processes are shut down, newest first, and what does not end in time is
 * killed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<Service, never, Scope.Scope> = Effect.fnUntraced(
  function*(options?: Options) {
    const context = yield* Effect.context<never>()
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const runtime = new NodeRuntime(
      {
        name: options?.name ?? noName,
        creation: options?.creation ?? (seconds % 2 ** 32 || 1),
        killGraceMillis: Duration.toMillis(Duration.fromInputUnsafe(options?.killGrace ?? "5 seconds"))
      },
      // Processes get the context of whoever starts them; the node itself needs only clock, scheduler and loggers.
      Context.omit(Scope.Scope)(context as Context.Context<Scope.Scope>)
    )
    const node: Service = { name: runtime.name, creation: runtime.creation, runtime }
    yield* Effect.addFinalizer(() => stop(node))
    return node
  }
)

/**
 * Has an effect run when the node stops, before its processes are ended: what was added last runs first. For services
 * that live as long as the node and have something to end in order.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const onStop = (node: Service, finalizer: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.sync(() => {
    node.runtime.finalizers.push(finalizer)
  })

/**
 * Stops a node as the end of its scope does: what was added with {@link onStop} runs, then its processes are shut down,
 * newest first, and what does not end within 5 seconds is killed. Nothing starts on it any more. Waits until all that is
 * done, whoever asked for it first.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const stop = (node: Service): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { runtime } = node
    if (runtime.stopped === undefined) {
      const stopped = runtime.stopped = Deferred.makeUnsafe<void>()
      // In a fiber of its own: whoever asks may be one of the processes that end.
      Effect.runForkWith(runtime.context)(
        Effect.ensuring(shutdown(runtime), Deferred.succeed(stopped, undefined))
      )
    }
    return Deferred.await(runtime.stopped)
  })

/** Ends what still runs when the node goes: roots first, since they end what they own. */
const shutdown = (runtime: NodeRuntime): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let f = runtime.finalizers.pop(); f !== undefined; f = runtime.finalizers.pop()) {
      yield* Effect.catchCause(f, (cause) => Effect.logError("a finalizer of a node failed", Cause.pretty(cause)))
    }
    runtime.closing = true
    const roots = [...runtime.processes.values()].filter((p) => p.parent === undefined || !p.parent.alive).reverse()
    for (const process of roots) {
      yield* stopProcess(process, "5 seconds")
    }
    for (const process of [...runtime.processes.values()].reverse()) yield* stopProcess(process, 0)
    runtime.timers.close()
  }).pipe(
    Effect.catchCause((cause) =>
      Effect.logError("a node could not shut all of its processes down", Cause.pretty(cause))
    )
  )

/**
 * A node that knows only itself.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Node } from "effect-otp"
 *
 * const name = Effect.map(Node.Node, (node) => node.name).pipe(Effect.provide(Node.layerLocal()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLocal = (options?: Options): Layer.Layer<Node> => Layer.effect(Node, make(options))

/**
 * Connects a node to others: what is sent to their processes goes to `transport`, and what they send comes in through
 * the `Inbound` that is returned. When the scope closes, the node knows only itself again.
 *
 * @category distribution
 * @since 0.1.0
 */
export const attach = (
  node: Service,
  transport: TransportService
): Effect.Effect<Inbound, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      node.runtime.remote.transport = transport
      return new InboundSignals(node.runtime)
    }),
    () =>
      Effect.sync(() => {
        const { remote } = node.runtime
        remote.transport = undefined
        for (const name of [...remote.peers.keys()]) new InboundSignals(node.runtime).nodeDown(name)
      })
  )

/**
 * Watches over the event loop until the scope closes: when a process held it up for 100 milliseconds or more, and does
 * so again within half a minute, a warning names it. A node of a cluster is watched by itself, because one that does
 * not get to its sockets counts as lost after a tick time.
 *
 * Only processes that start later are named. Under a scheduler for tests there is nothing to watch.
 *
 * @category diagnostics
 * @since 0.1.0
 */
export const watchLoop = (node: Service): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { runtime } = node
    if (!runtime.runQueue.bursts || runtime.watch !== undefined) return Effect.void
    const watch = runtime.watch = new LoopWatch(runtime)
    return Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => Effect.runForkWith(runtime.context)(watch.run)),
      (fiber) => Effect.andThen(Effect.sync(() => runtime.watch = undefined), Fiber.interrupt(fiber))
    ))
  })

/**
 * What a node counts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Statistics {
  readonly name: string
  readonly creation: number
  /** How long the node has been there. */
  readonly uptime: Duration.Duration
  /** Processes that are alive now. */
  readonly processes: number
  /** Processes ever started. */
  readonly spawned: number
  readonly names: number
  readonly aliases: number
  /** Messages dropped by full mailboxes. */
  readonly dropped: number
  /** Messages that waited when their process ended, were sent to nobody, or whose caller was gone before their turn. */
  readonly discarded: number
  /** Terms that no message described and no handler took. */
  readonly unhandled: number
}

/**
 * What the node has counted so far.
 *
 * @category inspection
 * @since 0.1.0
 */
export const statistics: Effect.Effect<Statistics, never, Node> = Effect.map(Node, ({ runtime }) => ({
  name: runtime.name,
  creation: runtime.creation,
  uptime: Duration.millis(runtime.timers.now() - runtime.startedAt),
  processes: runtime.processes.size,
  spawned: runtime.spawned,
  names: runtime.names.size,
  aliases: runtime.aliases.size,
  dropped: runtime.dropped,
  discarded: runtime.discarded,
  unhandled: runtime.unhandled
}))

/**
 * The pids of all live processes, oldest first.
 *
 * @category inspection
 * @since 0.1.0
 */
export const processes: Effect.Effect<ReadonlyArray<Pid>, never, Node> = Effect.map(
  Node,
  ({ runtime }) => [...runtime.processes.values()].map((process) => process.pid)
)

/**
 * A reference that no other has, in the whole cluster.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReference: Effect.Effect<Reference, never, Node> = Effect.map(
  Node,
  ({ runtime }) => runtime.makeReference()
)

/**
 * An event of the runtime, as a journal records it.
 *
 * @category inspection
 * @since 0.1.0
 */
export type Trace = TraceEvent

/**
 * Has every event of the node given to a function, until the scope closes. The function runs in the middle of what it
 * observes: it must be quick and must not throw.
 *
 * @category inspection
 * @since 0.1.0
 */
export const trace = (onEvent: (event: Trace) => void): Effect.Effect<void, never, Node | Scope.Scope> =>
  Effect.flatMap(Node, ({ runtime }) =>
    Effect.asVoid(
      Effect.acquireRelease(Effect.sync(() => runtime.addTracer(onEvent)), (remove) => Effect.sync(remove))
    ))
