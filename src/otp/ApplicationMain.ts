/**
 * The main program of a node made of applications: it runs them, waits, and ends with all of them stopped. See
 * `Application`, which exports all of this.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type { Node } from "../process/Node.ts"
import type { Any } from "./Application.ts"
import { controllerOf, defaultStopMillis } from "./internal/ApplicationController.ts"
import type { StartType } from "./internal/ApplicationRules.ts"
import { type ErrorsOf, type ServicesOf, startWith } from "./internal/ApplicationStart.ts"
import type { ApplicationError, ApplicationStartError, NodeStopped } from "./OtpError.ts"

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
