/**
 * Parking the fiber of a caller until its answer comes: one function where `Effect.callback` with a cleanup takes seven
 * objects, because every call that cannot be answered at once goes through here.
 *
 * Effect's fibers have two methods for that which are not in their public type: `yieldWith` leaves the run loop, and
 * `evaluate` enters it again, after which it calls what `yieldWith` was given, whoever resumed the fiber. Where a fiber
 * lacks them, `Effect.callback` does the same.
 *
 * Guarantees: a parked fiber goes on once, with what resumes it or with its interruption, and `released` is told before it
 * does. Whoever parks it must return what `park` gives at once, and must not resume it before.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

/** What can be resumed. */
export interface Waiter {
  evaluate(effect: Exit.Exit<unknown, unknown>): void
}

/** What a fiber waits for. */
export interface Awaited {
  /** The fiber that waits, from when it is parked until it goes on. */
  waiter: Waiter | undefined
  /** The fiber goes on: it was resumed, or interrupted. */
  released(): void
}

interface Parkable extends Waiter {
  yieldWith(onResumed: () => void): Effect.Effect<never>
}

/** Has a fiber that is being run wait. The Effect is for the run loop. */
export const park = (awaited: Awaited, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, unknown> => {
  const parkable = fiber as unknown as Partial<Parkable> // as above: not in the public type
  if (parkable.yieldWith === undefined || parkable.evaluate === undefined) return parkByCallback(awaited)
  awaited.waiter = parkable as Parkable // both methods are there
  return parkable.yieldWith(() => {
    awaited.waiter = undefined
    awaited.released()
  })
}

const parkByCallback = (awaited: Awaited): Effect.Effect<unknown, unknown> =>
  Effect.callback<unknown, unknown>((resume) => {
    const release = (): void => {
      awaited.waiter = undefined
      awaited.released()
    }
    const waiter: Waiter = {
      evaluate: (effect) => {
        if (awaited.waiter !== waiter) return
        release()
        resume(effect)
      }
    }
    awaited.waiter = waiter
    return Effect.sync(release)
  })
