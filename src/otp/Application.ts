/**
 * Applications: parts of a program that are started and stopped as a whole, in the order of what they need.
 *
 * An application is a value: a tree (a supervisor or a layer), the applications it needs, an environment, callbacks. The
 * node keeps the list of those that are loaded and of those that run. What happens to the node when an application ends
 * by itself is said by its start type: `permanent` stops the node whatever the reason, `transient` unless the reason is
 * `normal` (the `shutdown` of a supervisor that gave up does), `temporary` never. Stopping one by hand never does.
 *
 * Guarantees: dependencies run before what needs them is started, and the end of the node stops everything in reverse order
 * of start; the `stop` callback runs after the tree is gone; when an application has ended, every process that was started
 * inside of it is gone, however it was started. A start that fails, or is interrupted, leaves nothing behind.
 *
 * Refuses cycles among dependencies, names that are taken, and starts on a node that stops: `ApplicationError` says which.
 *
 * `run` is the main program of a node made of applications: see `effect-otp/otp/NodeApplication` for one that ends well on
 * SIGTERM.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { Pid } from "../term/Pid.ts"
import { controllerOf, defaultStopMillis, type Entry, nameKey } from "./internal/ApplicationController.ts"
import { type Info, infosOf } from "./internal/ApplicationInfo.ts"
import type { Definition } from "./internal/ApplicationProcess.ts"
import type { StartType } from "./internal/ApplicationRules.ts"
import { layerBehaviour } from "./internal/LayerChild.ts"
import type { StartFunction } from "./internal/SupervisorShell.ts"
import {
  ApplicationError,
  type ApplicationStartError,
  type NodeStopped,
  type SupervisorStartError
} from "./OtpError.ts"
import type * as Supervisor from "./Supervisor.ts"

export type { Info } from "./internal/ApplicationInfo.ts"
export type { StartType } from "./internal/ApplicationRules.ts"

const TypeId = "~effect-otp/Application"

/**
 * An application. `E` says how its start can fail, and that of what it needs; `R` are the services of both.
 *
 * @category models
 * @since 0.1.0
 */
export interface Application<out Name extends string, out E, out R> {
  readonly [TypeId]: { readonly _E: () => E; readonly _R: () => R }
  readonly name: Name
  readonly description: string
  readonly version: string
  /** @internal */
  readonly definition: Definition
}

/**
 * Any application.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  // Not `Application<string, any, any>`: what is expected of an application would become what is inferred for it.
  readonly [TypeId]: unknown
  readonly name: string
  readonly description: string
  readonly version: string
  /** @internal */
  readonly definition: Definition
}

/**
 * A step of the start, after the tree is up and `start` is done. What comes next waits for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Phase<out E, out R> {
  readonly name: string
  readonly run: Effect.Effect<unknown, E, R>
}

type ErrorsOf<Dependencies> = Dependencies extends ReadonlyArray<infer D>
  ? D extends Application<string, infer E, infer _R> ? E : never
  : never
type ServicesOf<Dependencies> = Dependencies extends ReadonlyArray<infer D>
  ? D extends Application<string, infer _E, infer R> ? R : never
  : never

/** What the process of an application provides itself. */
type Provided = Scope.Scope | Process.CurrentProcess

/**
 * The parts of an application. All are optional: one without a tree is there for its dependencies, its environment and its
 * callbacks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Dependencies, TE, TR, LE, LR, S, SE, SR, PE, PR, QR, XR> {
  readonly description?: string
  /** `0.0.0` by default. */
  readonly version?: string
  /**
   * What its end means to the node, when its start does not say otherwise. An application that is started because another
   * one needs it has the type of that start, unless it has one here.
   */
  readonly startType?: StartType
  /**
   * What must run before: applications, or names of applications that are loaded when this one is started. They are started
   * in this order, and not stopped with this application.
   */
  readonly applications?: Dependencies
  /** Values for `Process.getEnv`, for all processes of the application. */
  readonly env?: { readonly [key: string]: unknown }
  /** After how long it ends by itself, with `normal`, and stops its tree: never by default. */
  readonly lifespan?: Duration.Input
  /** The tree. */
  readonly supervisor?: Supervisor.Supervisor<string, TE, TR>
  /** Instead of a supervisor: what is built at the start and released at the end. */
  readonly layer?: Layer.Layer<never, LE, LR>
  /** Runs when the tree is up, in the process of the application. What it gives is for `prepStop` and `stop`. */
  readonly start?: (type: StartType) => Effect.Effect<S, SE, SR>
  /** Steps after `start`, in order. When one fails the application is stopped again. */
  readonly phases?: ReadonlyArray<Phase<PE, PR>>
  /** Runs before the tree is stopped, or after it has ended by itself. Its failure is logged. */
  readonly prepStop?: (state: NoInfer<S>) => Effect.Effect<unknown, unknown, QR>
  /** Runs after the tree is gone. Its failure is logged. */
  readonly stop?: (state: NoInfer<S>, reason: ExitReason) => Effect.Effect<unknown, unknown, XR>
}

/**
 * Describes an application. Throws when the name is empty, when there is both a supervisor and a layer, and when it lists
 * itself.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Application, Supervisor } from "effect-otp"
 *
 * const Database = Application.make("database", { startType: "permanent" })
 *
 * const Shop = Application.make("shop", {
 *   version: "1.2.0",
 *   applications: [Database],
 *   env: { currency: "EUR" },
 *   supervisor: Supervisor.make({ children: [Supervisor.worker("orders", Effect.never)] }),
 *   start: () => Effect.as(Effect.log("the shop is open"), { openedBy: "start" }),
 *   stop: ({ openedBy }) => Effect.log(`closed, opened by ${openedBy}`)
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  const Dependencies extends ReadonlyArray<Any | string> = readonly [],
  TE = never,
  TR = never,
  LE = never,
  LR = never,
  S = void,
  SE = never,
  SR = never,
  PE = never,
  PR = never,
  QR = never,
  XR = never
>(
  name: Name,
  options: Options<Dependencies, TE, TR, LE, LR, S, SE, SR, PE, PR, QR, XR> = {}
): Application<
  Name,
  | SupervisorFailure<TE>
  | LayerFailure<LE>
  | SE
  | PE
  | StartError
  | ErrorsOf<Dependencies>,
  Exclude<TR | LR | SR | PR | QR | XR, Provided> | ServicesOf<Dependencies>
> => {
  if (name === "") throw new Error("Application.make: an application needs a name")
  if (options.supervisor !== undefined && options.layer !== undefined) {
    throw new Error(`Application.make: ${name} has a supervisor and a layer; give it one of them`)
  }
  const applications = (options.applications ?? []).map((dependency) =>
    typeof dependency === "string" ? dependency : dependency.definition
  )
  if (applications.includes(name)) throw new Error(`Application.make: ${name} lists itself among its dependencies`)
  const { description = "", version = "0.0.0" } = options
  return {
    [TypeId]: { _E: () => undefined as never, _R: () => undefined as never },
    name,
    description,
    version,
    definition: {
      name,
      description,
      version,
      startType: options.startType,
      applications,
      env: options.env ?? {},
      lifespanMillis: options.lifespan === undefined
        ? undefined
        : Duration.toMillis(Duration.fromInputUnsafe(options.lifespan)),
      tree: options.supervisor !== undefined
        ? treeOf(name, options.supervisor.behaviour)
        : options.layer !== undefined
        ? treeOf(name, layerBehaviour(options.layer))
        : undefined,
      start: options.start,
      phases: options.phases ?? [],
      prepStop: options.prepStop as Definition["prepStop"], // its state is what `start` gives
      stop: options.stop as Definition["stop"] // as above
    }
  }
}

type SupervisorFailure<E> = [E] extends [never] ? never : SupervisorStartError<E>
type LayerFailure<E> = E

const treeOf = (name: string, behaviour: Behaviour.Behaviour): StartFunction => (_, onSpawn) =>
  Behaviour.startDetached(behaviour, undefined, { label: `${name} tree`, link: true, onSpawn })

/**
 * An application, or the name of one that is loaded.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = string | { readonly name: string }

const nameOf = (target: Target): string => typeof target === "string" ? target : target.name

// --- loading ---------------------------------------------------------------------------------------------------------

/**
 * Makes an application known to the node, so that it can be started by its name and others can list it by name. Its
 * services are taken from here. Fails with `AlreadyLoaded` when the name is taken.
 *
 * @category loading
 * @since 0.1.0
 */
export const load = <Name extends string, E, R>(
  application: Application<Name, E, R>
): Effect.Effect<void, ApplicationError, R | Node> =>
  Effect.flatMap(controllerOf, (controller) =>
    Effect.flatMap(
      servicesOf<R>(),
      (services) => controller.load(application.definition, services)
    ))

/** The services of an application, without those of the process that asks. */
const servicesOf = <R>(): Effect.Effect<Context.Context<never>, never, R | Node> =>
  // What is in the context is for the application to know, whose type asks for it.
  Effect.map(Behaviour.services<R | Node>(), (context) => context as Context.Context<never>)

/**
 * Forgets an application. Fails with `NotLoaded`, or `Running`.
 *
 * @category loading
 * @since 0.1.0
 */
export const unload = (target: Target): Effect.Effect<void, ApplicationError, Node> =>
  Effect.flatMap(controllerOf, (controller) => controller.unload(nameOf(target)))

// --- starting --------------------------------------------------------------------------------------------------------

/**
 * Options of a start.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions {
  /** What the end of the application means to the node: by default its own `startType`, else `temporary`. */
  readonly startType?: StartType
}

const startWith = (
  application: Any | string,
  startType: StartType | undefined,
  ensure: boolean
): Effect.Effect<ReadonlyArray<Entry>, ApplicationError | ApplicationStartError<unknown>, Node> =>
  Effect.flatMap(controllerOf, (controller) =>
    Effect.flatMap(servicesOf<never>(), (services) =>
      controller.start(
        typeof application === "string" ? application : application.definition,
        { startType, ensure },
        services
      )))

const pidOf = (name: string): Effect.Effect<Pid, ApplicationError, Node> =>
  Effect.flatMap(controllerOf, ({ entries }) => {
    const pid = entries.get(name)?.run?.process?.pid
    return pid === undefined
      ? Effect.fail(new ApplicationError({ application: name, reason: "NotRunning", path: [name] }))
      : Effect.succeed(pid)
  })

/**
 * Starts an application, after all it needs that does not run yet (OTP's `ensure_all_started`), and gives the pid of its
 * process, which is at the top of its tree. It is loaded when it is not. It belongs to the node, not to the caller: it runs
 * until it is stopped, ends, or the node goes.
 *
 * Dependencies are started with their own start type, or with that of this start when they have none. When one of the
 * series fails, or this call is interrupted, those that it has started are stopped again, in reverse order; the error says
 * which failed and the way to it. That does not stop the node, whatever the start type.
 *
 * Fails with `ApplicationError` when it runs already (see {@link ensureStarted}), when dependencies form a cycle, and when
 * something is not loaded that is listed by name.
 *
 * @category starting
 * @since 0.1.0
 */
export const start: {
  <Name extends string, E, R>(
    application: Application<Name, E, R>,
    options?: StartOptions
  ): Effect.Effect<Pid, ApplicationStartError<E> | ApplicationError, R | Node>
  (
    name: string,
    options?: StartOptions
  ): Effect.Effect<Pid, ApplicationStartError<unknown> | ApplicationError, Node>
} = (application: Any | string, options?: StartOptions): Effect.Effect<Pid, never, never> =>
  // One implementation for both overloads.
  Effect.andThen(startWith(application, options?.startType, false), pidOf(nameOf(application))) as Effect.Effect<Pid>

/**
 * As {@link start}, but an application that runs already is left as it is.
 *
 * @category starting
 * @since 0.1.0
 */
export const ensureStarted: {
  <Name extends string, E, R>(
    application: Application<Name, E, R>,
    options?: StartOptions
  ): Effect.Effect<Pid, ApplicationStartError<E> | ApplicationError, R | Node>
  (
    name: string,
    options?: StartOptions
  ): Effect.Effect<Pid, ApplicationStartError<unknown> | ApplicationError, Node>
} = (application: Any | string, options?: StartOptions): Effect.Effect<Pid, never, never> =>
  // As above.
  Effect.andThen(startWith(application, options?.startType, true), pidOf(nameOf(application))) as Effect.Effect<Pid>

/**
 * Stops an application and waits until nothing is left of it: `prepStop`, the tree in reverse order, `stop`, then every
 * process that was started inside of it and still runs. Children have the times of their specifications; with `timeout`,
 * all of it is killed after that time. The node goes on, whatever the start type, and so does what the application needs.
 *
 * Fails with `NotLoaded`, or `NotRunning`.
 *
 * @category stopping
 * @since 0.1.0
 */
export const stop = (
  target: Target,
  options?: { readonly timeout?: Duration.Input }
): Effect.Effect<void, ApplicationError, Node> =>
  Effect.flatMap(controllerOf, (controller) =>
    controller.stop(
      nameOf(target),
      options?.timeout === undefined ? Infinity : Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
    ))

/**
 * An application as a layer: it is started, after what it needs, when the layer is built, and stopped when its scope
 * closes, with those of its dependencies that were started for it and that no other application needs. An application that
 * runs already because it was started by itself is left to whoever did so.
 *
 * A layer cannot fail later: when an application that takes the node along may end, wait for {@link awaitStop}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Name extends string, E, R>(
  application: Application<Name, E, R>,
  options?: StartOptions
): Layer.Layer<never, ApplicationStartError<E> | ApplicationError, R | Node> =>
  Layer.effectDiscard(
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(controllerOf, (controller) => {
        const { name } = application
        const claims = controller.entries.get(name)?.run?.implicit !== false
        return Effect.andThen(
          restore(startWith(application, options?.startType, true)),
          Effect.suspend(() => {
            const entry = controller.entries.get(name)
            const run = entry?.run
            if (!claims || run === undefined) return Effect.void
            return Effect.addFinalizer(() => entry!.run === run ? controller.release(entry!) : Effect.void)
          })
        )
      })
    )
  ) as Layer.Layer<never, ApplicationStartError<E> | ApplicationError, R | Node> // as the application says

/**
 * Options of {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions {
  /** The start type of applications that have none: `permanent`, as in an OTP release. */
  readonly startType?: StartType
  /**
   * How long all applications together may take to stop when the node does: 25 seconds. What is left is killed then, and its
   * finalizers have 5 seconds more, which makes 30 at most.
   */
  readonly timeout?: Duration.Input
}

/**
 * Runs applications as the main program of the node: starts them in order, each after what it needs, then waits. It ends
 * in one of three ways, each after all applications of the node have been stopped in reverse order of start:
 *
 * - it fails with `NodeStopped` when an application ends that takes the node along,
 * - it completes after {@link stopNode},
 * - it is interrupted (by SIGTERM, under `NodeRuntime.runMain`).
 *
 * A start that fails is its failure. Nothing can be started on the node afterwards.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Application, Node, Supervisor } from "effect-otp"
 *
 * const Shop = Application.make("shop", {
 *   supervisor: Supervisor.make({ children: [Supervisor.worker("orders", Effect.never)] })
 * })
 *
 * const main = Application.run([Shop]).pipe(Effect.provide(Node.layerLocal()))
 * ```
 *
 * @category starting
 * @since 0.1.0
 */
export const run = <const Applications extends ReadonlyArray<Any>>(
  applications: Applications,
  options?: RunOptions
): Effect.Effect<
  void,
  ApplicationStartError<ErrorsOf<Applications>> | ApplicationError | NodeStopped,
  ServicesOf<Applications> | Node
> =>
  Effect.flatMap(controllerOf, (controller) => {
    controller.stopMillis = options?.timeout === undefined
      ? defaultStopMillis
      : Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
    const startType = options?.startType ?? "permanent"
    return Effect.onExit(
      Effect.andThen(
        Effect.forEach(
          applications,
          (application) => startWith(application, application.definition.startType ?? startType, true),
          { discard: true }
        ),
        controller.awaitStop
      ),
      () => controller.stopAll(controller.stopMillis)
    )
  }) as Effect.Effect<
    void,
    ApplicationStartError<ErrorsOf<Applications>> | ApplicationError | NodeStopped,
    ServicesOf<Applications> | Node
  > // the services are in the context that `startWith` takes them from

/**
 * Stops the node (OTP's `init:stop`): all applications in reverse order of start, then all other processes. {@link run}
 * completes. Does not wait, since whoever asks may be one of those that end.
 *
 * @category stopping
 * @since 0.1.0
 */
export const stopNode: Effect.Effect<void, never, Node> = Effect.map(
  controllerOf,
  (controller) => controller.stopNode()
)

/**
 * Waits until the node has stopped its applications; fails with `NodeStopped` when one of them is the cause.
 *
 * @category stopping
 * @since 0.1.0
 */
export const awaitStop: Effect.Effect<void, NodeStopped, Node> = Effect.flatMap(
  controllerOf,
  (controller) => controller.awaitStop
)

/**
 * How the outcome of a main program becomes an exit code, for `NodeRuntime.runMain(main, { teardown })`: 0 also when it was
 * interrupted, since {@link run} has stopped everything in order by then. Everything else as Effect's own.
 *
 * @category running
 * @since 0.1.0
 */
export const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)

// --- inspection ------------------------------------------------------------------------------------------------------

/**
 * What is known of an application; none when it is not loaded.
 *
 * @category inspection
 * @since 0.1.0
 */
export const info = (target: Target): Effect.Effect<Option.Option<Info>, never, Node> =>
  Effect.map(
    infosOf(({ entries }) => {
      const entry = entries.get(nameOf(target))
      return entry === undefined ? [] : [entry]
    }),
    ([info]) => Option.fromUndefinedOr(info)
  )

/**
 * All applications that are loaded, running or not, in the order in which they were loaded.
 *
 * @category inspection
 * @since 0.1.0
 */
export const loadedApplications: Effect.Effect<ReadonlyArray<Info>, never, Node> = infosOf(
  ({ entries }) => [...entries.values()]
)

/**
 * The applications that run, the last started first.
 *
 * @category inspection
 * @since 0.1.0
 */
export const whichApplications: Effect.Effect<ReadonlyArray<Info>, never, Node> = infosOf(
  ({ running }) => [...running].reverse()
)

/**
 * The name of the application to which this process belongs; none outside of any.
 *
 * @category inspection
 * @since 0.1.0
 */
export const current: Effect.Effect<Option.Option<string>, never, Process.CurrentProcess> = Effect.map(
  Process.getEnv(nameKey),
  // Only the controller writes this key.
  (name) => name as Option.Option<string>
)

// --- environment -----------------------------------------------------------------------------------------------------

/**
 * A value of the environment of an application; none when it has no such value or is not loaded. Its own processes use
 * `Process.getEnv`.
 *
 * @category environment
 * @since 0.1.0
 */
export const getEnv = (target: Target, key: string): Effect.Effect<Option.Option<unknown>, never, Node> =>
  Effect.map(controllerOf, ({ entries }) => {
    const env = entries.get(nameOf(target))?.env
    return env?.has(key) === true ? Option.some(env.get(key)) : Option.none()
  })

/**
 * Sets a value in the environment of a loaded application: for its next start, and at once for the processes of one that
 * runs. Fails with `NotLoaded`.
 *
 * @category environment
 * @since 0.1.0
 */
export const setEnv = (
  target: Target,
  key: string,
  value: unknown
): Effect.Effect<void, ApplicationError, Node> =>
  Effect.flatMap(controllerOf, ({ entries }) => {
    const name = nameOf(target)
    const entry = entries.get(name)
    if (entry === undefined) {
      return Effect.fail(new ApplicationError({ application: name, reason: "NotLoaded", path: [name] }))
    }
    entry.env.set(key, value)
    entry.run?.process?.more.environment?.set(key, value)
    return Effect.void
  })
