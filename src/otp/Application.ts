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
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { Pid } from "../term/Pid.ts"
import { controllerOf, nameOf } from "./internal/ApplicationController.ts"
import type { Definition } from "./internal/ApplicationProcess.ts"
import type { StartType } from "./internal/ApplicationRules.ts"
import { type ErrorsOf, type ServicesOf, servicesOf, startWith } from "./internal/ApplicationStart.ts"
import { layerBehaviour } from "./internal/LayerChild.ts"
import type { StartFunction } from "./internal/SupervisorShell.ts"
import { ApplicationError, type ApplicationStartError, type SupervisorStartError } from "./OtpError.ts"
import type * as Supervisor from "./Supervisor.ts"

export * from "./ApplicationInspection.ts"
export * from "./ApplicationMain.ts"
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
