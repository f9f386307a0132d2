/**
 * Supervisors: processes that start other processes in order, watch them, restart them by rules, and stop them in reverse.
 *
 * The rules are those of Erlang/OTP 25, all of them: strategies, sliding restart intensity, restart types, shutdown times,
 * significant children and `autoShutdown`, rollback of a failed start, the administration calls. Back-off of restarts by a
 * `Schedule` is an addition.
 *
 * A child is a server, an Effect, a Layer or another supervisor. The type of a supervisor carries what its children need and
 * how they can fail to start. A child's crash never reaches the starter of the supervisor: it is restarted or, when that
 * happens too often, the supervisor gives up with the reason `shutdown`, and the level above decides.
 *
 * Refuses specifications that break a rule (duplicate ids, a significant permanent child, ...): `make` throws
 * `InvalidSupervisorSpec` where the tree is defined.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Address } from "../process/Address.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { Pid } from "../term/Pid.ts"
import type * as GenServer from "./GenServer.ts"
import { layerBehaviour } from "./internal/LayerChild.ts"
import { supervisorProtocol, toRequest } from "./internal/SupervisorMessages.ts"
import { type StartFunction, supervisorBehaviour } from "./internal/SupervisorShell.ts"
import * as Spec from "./internal/SupervisorSpec.ts"
import type { SupervisorError, SupervisorStartError } from "./OtpError.ts"

export type { AutoShutdown, Restart, Strategy } from "./internal/SupervisorSpec.ts"

const TypeId = "~effect-otp/Supervisor"

/**
 * How a child is stopped: `brutal_kill` at once; after a time it did not end in; or, with `infinity`, never by force.
 *
 * @category models
 * @since 0.1.0
 */
export type Shutdown = Duration.Input | "brutal_kill" | "infinity"

/**
 * A child of a supervisor: what to start and how to treat it. `E` says how its start can fail, `R` what it needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Child<out Id extends string, out E, out R> {
  readonly [TypeId]: { readonly _E: () => E; readonly _R: () => R }
  readonly id: Id
  /** @internal */
  readonly spec: Spec.ChildOptions<StartFunction>
}

/**
 * How a supervisor treats a child.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestartOptions {
  /** `permanent` (the default): always restarted. `transient`: after an abnormal end. `temporary`: never. */
  readonly restart?: Spec.Restart
  /** 5 seconds for a worker, `infinity` for a supervisor. */
  readonly shutdown?: Shutdown
  /** Whether its end may end the supervisor, by the supervisor's `autoShutdown`. */
  readonly significant?: boolean
}

/**
 * Options of a child that is a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildOptions extends RestartOptions, Omit<GenServer.StartOptions, "link"> {}

/**
 * Options of a child that is an Effect or a Layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions extends RestartOptions, Omit<Process.SpawnOptions, "link"> {}

/** @internal */
export const childOf = <Id extends string>(
  id: Id,
  type: "worker" | "supervisor",
  options: RestartOptions | undefined,
  start: StartFunction
): Child<Id, never, never> => ({
  [TypeId]: { _E: () => undefined as never, _R: () => undefined as never },
  id,
  spec: {
    id,
    start,
    type,
    restart: options?.restart,
    significant: options?.significant,
    shutdown: options?.shutdown === undefined ? undefined : shutdownMillis(options.shutdown)
  }
})

/** @internal */
export const shutdownMillis = (shutdown: Shutdown): Spec.Shutdown => {
  if (shutdown === "brutal_kill" || shutdown === "infinity") return shutdown
  const millis = Duration.toMillis(Duration.fromInputUnsafe(shutdown))
  return millis === Infinity ? "infinity" : millis
}

/** The arguments of a child: those of `init` may be left out when it takes none, or `undefined`. */
type ChildArguments<Args> = undefined extends Args ? [args?: Args, options?: ChildOptions]
  : [args: Args, options?: ChildOptions]

/**
 * A server as a child.
 *
 * @category children
 * @since 0.1.0
 */
export const child = <const Id extends string, Args, M extends Message.Any, E, R>(
  id: Id,
  server: GenServer.GenServer<Args, M, E, R>,
  ...[args, options]: ChildArguments<Args>
): Child<Id, E | StartError, R> =>
  childOf(id, "worker", options, (_, onSpawn) =>
    Behaviour.startDetached(server.behaviour, args, {
      ...options,
      label: options?.label ?? id,
      link: true,
      onSpawn
    }))

/**
 * An Effect as a child: it runs in a process of its own, and that it runs is its start. When it completes, the process ends
 * with `normal`; when it fails, with that failure as its reason.
 *
 * @category children
 * @since 0.1.0
 */
export const worker = <const Id extends string, A, E, R>(
  id: Id,
  effect: Effect.Effect<A, E, R>,
  options?: WorkerOptions
): Child<Id, StartError, Exclude<R, Scope.Scope | Process.CurrentProcess>> =>
  childOf(id, "worker", options, (_, onSpawn) =>
    Behaviour.spawnDetached(
      // The services are those of the supervisor, whose type asks for them.
      () => effect as Effect.Effect<A, E>,
      { ...spawnOptions(options), label: options?.label ?? id, link: true, onSpawn }
    ))

const spawnOptions = (options: WorkerOptions | undefined): Process.SpawnOptions => options ?? {}

/**
 * A Layer as a child: it is built when the child starts, and its resources are released when the child ends. A failure to
 * build is a failure to start. Each start builds it anew.
 *
 * @category children
 * @since 0.1.0
 */
export const fromLayer = <const Id extends string, A, E, R>(
  id: Id,
  layer: Layer.Layer<A, E, R>,
  options?: WorkerOptions
): Child<Id, E | StartError, Exclude<R, Scope.Scope | Process.CurrentProcess>> =>
  childOf(id, "worker", options, (_, onSpawn) =>
    Behaviour.startDetached(layerBehaviour(layer), undefined, {
      ...options,
      label: options?.label ?? id,
      link: true,
      onSpawn
    }))

/**
 * A supervisor as a child. It has no limit for its shutdown, since its own children have theirs.
 *
 * @category children
 * @since 0.1.0
 */
export const nested = <const Id extends string, Ids extends string, E, R>(
  id: Id,
  supervisor: Supervisor<Ids, E, R>,
  options?: RestartOptions & StartOptions
): Child<Id, E | StartError, R> =>
  childOf(id, "supervisor", options, (_, onSpawn) =>
    Behaviour.startDetached(supervisor.behaviour, undefined, {
      ...options,
      label: id,
      link: true,
      onSpawn
    }))

/**
 * A supervisor: a value that describes a tree. `Ids` are the ids of its children, `E` how one of them can fail to start, `R`
 * what they need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Supervisor<out Ids extends string, out E, out R> {
  readonly [TypeId]: { readonly _Ids: () => Ids; readonly _E: () => E; readonly _R: () => R }
  /** The supervisor as the runtime sees it. */
  readonly behaviour: Behaviour.Behaviour
}

/**
 * The options of a supervisor. The defaults are OTP's.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Children> {
  /** Who is restarted with a child that ended: `one_for_one` (the default), `one_for_all`, `rest_for_one`. */
  readonly strategy?: Exclude<Spec.Strategy, "simple_one_for_one">
  /** How many restarts are allowed within `period`: 1. One more, and the supervisor gives up. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
  /** Whether the end of significant children ends the supervisor: `never`. */
  readonly autoShutdown?: Spec.AutoShutdown
  /**
   * Delays restarts; without it they happen at once. Each child has a run of the schedule of its own, which starts anew when
   * the child ran as long as `period`, gets the reason of each end, and keeps its last delay when it is done. A delayed
   * restart counts against the intensity when it is made.
   */
  readonly backoff?: Schedule.Schedule<unknown, ExitReason>
  /** The children, in the order in which they start. */
  readonly children: Children
}

// Child by child: inferred from the list as a whole, an empty one would need anything.
type IdsOf<C extends ReadonlyArray<unknown>> = C[number] extends infer Item
  ? Item extends Child<infer Id, infer _E, infer _R> ? Id : never
  : never
type ErrorsOf<C extends ReadonlyArray<unknown>> = C[number] extends infer Item
  ? Item extends Child<infer _Id, infer E, infer _R> ? E : never
  : never
type ServicesOf<C extends ReadonlyArray<unknown>> = C[number] extends infer Item
  ? Item extends Child<infer _Id, infer _E, infer R> ? R : never
  : never

/**
 * Describes a supervisor. Throws `InvalidSupervisorSpec` when the description breaks a rule.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Supervisor } from "effect-otp"
 *
 * const Tree = Supervisor.make({
 *   strategy: "rest_for_one",
 *   intensity: 3,
 *   period: "5 seconds",
 *   children: [
 *     Supervisor.worker("clock", Effect.forever(Effect.sleep("1 second"))),
 *     Supervisor.worker("once", Effect.log("ready"), { restart: "transient" })
 *   ]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Children extends ReadonlyArray<Child<string, any, any>>>( // `any`: inferred child by child
  options: Options<Children>
): Supervisor<IdsOf<Children>, ErrorsOf<Children>, ServicesOf<Children>> => {
  const spec = Spec.validate<StartFunction>({
    strategy: options.strategy,
    intensity: options.intensity,
    periodMillis: options.period === undefined
      ? undefined
      : Duration.toMillis(Duration.fromInputUnsafe(options.period)),
    autoShutdown: options.autoShutdown,
    backoff: options.backoff === undefined ? undefined : {},
    children: options.children.map((child) => child.spec)
  })
  if (Result.isFailure(spec)) throw spec.failure
  return {
    [TypeId]: {
      _Ids: () => undefined as never,
      _E: () => undefined as never,
      _R: () => undefined as never
    },
    behaviour: supervisorBehaviour(
      "Supervisor",
      supervisorProtocol,
      { spec: spec.success, backoff: options.backoff },
      toRequest
    )
  }
}

/**
 * Options of a supervisor process.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions {
  readonly name?: string
  /** Values for `Process.getEnv`, for the whole tree. */
  readonly environment?: { readonly [key: string]: unknown }
}

/**
 * A running supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface SupervisorRef<out Ids extends string = string> {
  readonly "~effect-otp/SupervisorRef": { readonly _Ids: () => Ids }
  readonly pid: Pid
  readonly address: Address
}

/** @internal */
export const refOf = (instance: Behaviour.Instance): SupervisorRef<never> => ({
  "~effect-otp/SupervisorRef": { _Ids: () => undefined as never },
  pid: instance.pid,
  address: instance.pid
})

/**
 * Starts a supervisor and its children, in order, and waits until all have started. When one cannot, those before it are
 * stopped again and the error names it. The tree is tied to the surrounding scope, which waits for it to stop as long as
 * its children may take. A start that is interrupted is undone in the same way.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Ids extends string, E, R>(
  supervisor: Supervisor<Ids, E, R>,
  options?: StartOptions & { readonly link?: boolean }
): Effect.Effect<SupervisorRef<Ids>, SupervisorStartError<E> | StartError, R | Node | Scope.Scope> =>
  Effect.map(startInstance(supervisor, options), refOf)

const startInstance = <Ids extends string, E, R>(
  supervisor: Supervisor<Ids, E, R>,
  options: StartOptions & { readonly link?: boolean } | undefined
): Effect.Effect<Behaviour.Instance, SupervisorStartError<E> | StartError, R | Node | Scope.Scope> =>
  // As a child of another supervisor it has no limit: its own children have theirs.
  Behaviour.start(supervisor.behaviour, undefined, { ...options, stopWithin: "Infinity" }) as Effect.Effect<
    Behaviour.Instance,
    SupervisorStartError<E> | StartError,
    R | Node | Scope.Scope
  > // the behaviour is untyped; these are the types of its children

/**
 * A supervisor as a layer: the tree starts when the layer is built and stops, in reverse order, when its scope closes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Ids extends string, E, R>(
  supervisor: Supervisor<Ids, E, R>,
  options?: StartOptions
): Layer.Layer<never, SupervisorStartError<E> | StartError, R | Node> =>
  Layer.effectDiscard(start(supervisor, options)) as Layer.Layer<
    never,
    SupervisorStartError<E> | StartError,
    R | Node
  > // Exclude<R, Scope> is R: children bring their own scope

/**
 * Runs a tree as the main program: starts it, waits until the supervisor ends, and gives its reason. Interruption stops the
 * tree in reverse order.
 *
 * @category starting
 * @since 0.1.0
 */
export const launch = <Ids extends string, E, R>(
  supervisor: Supervisor<Ids, E, R>,
  options?: StartOptions
): Effect.Effect<ExitReason, SupervisorStartError<E> | StartError, R | Node> =>
  Effect.scoped(
    Effect.flatMap(startInstance(supervisor, options), Behaviour.awaitEnd)
  ) as Effect.Effect<ExitReason, SupervisorStartError<E> | StartError, R | Node> // as above

// --- administration --------------------------------------------------------------------------------------------------

/**
 * Where administration calls go: a ref, or the address of a supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = Process.Target

/** @internal */
export const ask = (
  target: Target,
  tag: string,
  payload: unknown
): Effect.Effect<never, SupervisorError | CallError, Node> =>
  Behaviour.call(supervisorProtocol, target, tag, payload, { timeout: "Infinity" }) as Effect.Effect<
    never,
    SupervisorError | CallError,
    Node
  > // the internal protocol has these errors; each caller knows the reply

/**
 * Whether a process answers `whichChildren`: a supervisor of any kind, or a pool.
 *
 * @internal
 */
export const isSupervisor = (process: Behaviour.Process): boolean =>
  process instanceof Behaviour.Instance && process.behaviour.protocol.indexByTag.has("WhichChildren")

/**
 * A child as `whichChildren` shows it. `pid` is there while it runs; `id` is none for a child of a dynamic supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildInfo {
  readonly id: Option.Option<string>
  readonly pid: Option.Option<Pid>
  readonly status: "running" | "restarting" | "down"
  readonly type: "worker" | "supervisor"
}

/**
 * The children of a supervisor, newest first.
 *
 * @category administration
 * @since 0.1.0
 */
export const whichChildren = (target: Target): Effect.Effect<ReadonlyArray<ChildInfo>, CallError, Node> =>
  ask(target, "WhichChildren", undefined) as Effect.Effect<ReadonlyArray<ChildInfo>, CallError, Node>

/**
 * How many children: specifications, living ones, supervisors and workers (living or not).
 *
 * @category administration
 * @since 0.1.0
 */
export const countChildren = (target: Target): Effect.Effect<
  {
    readonly specs: number
    readonly active: number
    readonly supervisors: number
    readonly workers: number
  },
  CallError,
  Node
> => ask(target, "CountChildren", undefined) as never

/**
 * Adds a child to a running supervisor, behind the others, and starts it. None when its `init` chose not to start. What it
 * needs is taken from where this is called.
 *
 * @category administration
 * @since 0.1.0
 */
export const startChild = <Id extends string, E, R>(
  target: Target,
  child: Child<Id, E, R>
): Effect.Effect<Option.Option<Pid>, SupervisorError | CallError, R | Node> =>
  Effect.flatMap(Behaviour.services<R | Node>(), (context) =>
    ask(target, "StartChild", {
      spec: {
        ...child.spec,
        start: (args: unknown, onSpawn: (process: Behaviour.Process) => void) =>
          Effect.provideContext(
            child.spec.start(args, onSpawn) as Effect.Effect<Behaviour.Process, unknown, R>,
            context
          )
      }
    }))

/**
 * Stops a child as its `shutdown` says. Its specification stays, unless it is temporary.
 *
 * @category administration
 * @since 0.1.0
 */
export const terminateChild = (
  target: Target,
  id: string
): Effect.Effect<void, SupervisorError | CallError, Node> => ask(target, "TerminateChild", { id })

/**
 * Starts a child again that was stopped or has ended.
 *
 * @category administration
 * @since 0.1.0
 */
export const restartChild = (
  target: Target,
  id: string
): Effect.Effect<Option.Option<Pid>, SupervisorError | CallError, Node> => ask(target, "RestartChild", { id })

/**
 * Removes the specification of a child that does not run.
 *
 * @category administration
 * @since 0.1.0
 */
export const deleteChild = (
  target: Target,
  id: string
): Effect.Effect<void, SupervisorError | CallError, Node> => ask(target, "DeleteChild", { id })

/**
 * The specification of a child, with its defaults filled in.
 *
 * @category administration
 * @since 0.1.0
 */
export const childSpec = (
  target: Target,
  id: string
): Effect.Effect<
  {
    readonly id: string
    readonly restart: Spec.Restart
    readonly shutdown: Spec.Shutdown
    readonly type: "worker" | "supervisor"
    readonly significant: boolean
  },
  SupervisorError | CallError,
  Node
> => ask(target, "GetChildSpec", { id })

/**
 * The pid of a child by its id; none while it does not run.
 *
 * @category administration
 * @since 0.1.0
 */
export const whereis = (target: Target, id: string): Effect.Effect<Option.Option<Pid>, CallError, Node> =>
  Effect.map(whichChildren(target), (children) =>
    Option.flatMap(
      Option.fromUndefinedOr(children.find((child) => Option.contains(child.id, id))),
      (child) => child.pid
    ))
