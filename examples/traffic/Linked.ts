/**
 * What a process does beside its messages.
 */
import { Cause, Effect, type Scope } from "effect"
import { ExitReason, type Node, Process } from "effect-otp"

/**
 * Runs an effect beside the messages of this process, until the process ends. When the effect fails or crashes, the process
 * ends too, with that as its reason, and its supervisor starts a new one: nobody is left waiting for what cannot come.
 */
export const forkLinked = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<void, never, R | Node.Node | Process.CurrentProcess | Scope.Scope> =>
  Effect.flatMap(Process.self, (self) =>
    effect.pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Process.exit(self, ExitReason.fromCause(cause))
      ),
      Effect.forkScoped,
      Effect.asVoid
    ))
