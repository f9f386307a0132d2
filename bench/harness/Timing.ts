/**
 * How long an effect takes, and whether it did what it should.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

const now: Effect.Effect<number> = Effect.sync(() => performance.now())

/** How long an effect takes, in milliseconds. */
export const millis = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function*() {
    const start = yield* now
    yield* effect
    return (yield* now) - start
  })

/** How long each of `count` operations takes that an effect does, in nanoseconds. */
export const nanosEach = <E, R>(count: number, effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.map(millis(effect), (total) => total * 1e6 / count)

/** The same in microseconds. */
export const microsEach = <E, R>(count: number, effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.map(millis(effect), (total) => total * 1e3 / count)

/** Ends the round as failed when what was measured did not do what it should. */
export const check = (what: string, actual: number, expected: number): Effect.Effect<void> =>
  actual === expected ? Effect.void : Effect.die(new Error(`${what}: ${actual} instead of ${expected}`))
