/**
 * Waiting for what happens outside of the program: asked again and again, with a limit that fails the test.
 */
import { Effect, Schedule } from "effect"

/** Repeats an effect until what it gives is right. */
export const until = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  isRight: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.repeat({ until: isRight, schedule: Schedule.spaced("5 millis") }),
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.flatMap(effect, (last) => Effect.die(new Error(`still ${JSON.stringify(last)}`)))
    })
  ) as Effect.Effect<A, E, R>
