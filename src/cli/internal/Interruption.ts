/**
 * What Ctrl-C and SIGTERM mean to a command: to one that runs until it is told to stop, the orderly end.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Whether the command that runs is meant to be interrupted. */
export interface Meaning {
  isOrderly: boolean
}

const InterruptionBase: Context.ServiceClass<Interruption, "effect-otp/cli/Interruption", Meaning> = Context.Service<
  Interruption,
  Meaning
>()("effect-otp/cli/Interruption")

/** The meaning of an interruption, which the command says and the end of the program reads. */
export class Interruption extends InterruptionBase {}

/** From now on, an interruption is how the command is meant to end: its exit code is 0. */
export const orderly: Effect.Effect<void, never, Interruption> = Effect.map(Interruption, (meaning) => {
  meaning.isOrderly = true
})
