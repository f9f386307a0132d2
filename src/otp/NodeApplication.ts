/**
 * The main program of an operating-system process that is a node with applications, on Node.js.
 *
 * Guarantees: SIGTERM and SIGINT interrupt the program, which stops its applications in reverse order of start, each child
 * within its own shutdown time; the exit code is then 0. A failure (an application that took the node along, a start that
 * failed) is logged and gives 1. Whatever hangs, the process is gone 30 seconds after the signal; a second signal ends it
 * at once.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import process from "node:process"
import { teardown } from "./Application.ts"

/**
 * Options of {@link runMain}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How long after the first signal the process ends by force, with exit code 1: 30 seconds. */
  readonly limit?: Duration.Input
  /** Whether failures are not logged. */
  readonly disableErrorReporting?: boolean
  /** How the outcome becomes an exit code: `Application.teardown`, for which an interruption is the orderly end. */
  readonly teardown?: Runtime.Teardown
}

/** The exit code of a process that was told twice to end. */
const forcedCode = 130

const runProgram = (limit: Duration.Duration) =>
  Runtime.makeRunMain(({ fiber, teardown }) => {
    let signalled = false
    const onSignal = (): void => {
      if (signalled) process.exit(forcedCode)
      signalled = true
      Effect.runFork(
        Effect.andThen(
          Effect.andThen(
            Effect.sleep(limit),
            Effect.logError(`the program did not stop within ${Duration.format(limit)}: the process ends`)
          ),
          Effect.sync(() => process.exit(1))
        )
      )
      fiber.interruptUnsafe(fiber.id)
    }
    process.on("SIGINT", onSignal)
    process.on("SIGTERM", onSignal)
    fiber.addObserver((exit) => {
      process.removeListener("SIGINT", onSignal)
      process.removeListener("SIGTERM", onSignal)
      teardown(exit, (code) => {
        if (signalled || code !== 0) process.exit(code)
      })
    })
  })

/**
 * Runs a program, usually `Application.run([...])` with what it needs, until it ends or the process is told to.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Application, Node, Supervisor } from "effect-otp"
 * import * as NodeApplication from "effect-otp/otp/NodeApplication"
 *
 * const Shop = Application.make("shop", {
 *   supervisor: Supervisor.make({ children: [Supervisor.worker("orders", Effect.never)] })
 * })
 *
 * const main = () => NodeApplication.runMain(Application.run([Shop]).pipe(Effect.provide(Node.layerLocal())))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>, options?: Options): void =>
  runProgram(Duration.fromInputUnsafe(options?.limit ?? "30 seconds"))(program, {
    teardown: options?.teardown ?? teardown,
    disableErrorReporting: options?.disableErrorReporting
  })
