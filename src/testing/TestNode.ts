/**
 * A node for tests: under the test clock, with everything that could be left to chance decided by a seed.
 *
 * Under {@link layer} time moves only when the test moves it, `Random` gives the numbers of the seed, and the seed decides
 * which of the fibers that could go on does so next, whether processes may run in the turn of their sender, and where
 * fibers are interrupted by others. What passes under twenty seeds does not depend on luck.
 *
 * `TestClock.adjust` lets everything happen that can happen before it moves the clock, and again after.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Node from "../process/Node.ts"
import { make, TestControls, whileTimePasses } from "./internal/TestControls.ts"

/**
 * Options of a node for tests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Node.Options {
  /** What decides the order of everything; without one fibers take turns. */
  readonly seed?: number
}

/**
 * A node under the test clock, on which everything is deterministic. The clock, the scheduler and `Random` of the effect
 * it is provided to are those of the test, too.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 * import { Process } from "effect-otp"
 * import { TestNode } from "effect-otp/testing"
 *
 * const test = Effect.gen(function*() {
 *   const pid = yield* Process.spawnDetached(() => Effect.sleep("1 hour"))
 *   yield* TestClock.adjust("1 hour")
 *   return yield* Process.isAlive(pid) // false
 * }).pipe(Effect.provide(TestNode.layer({ seed: 7 })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Node.Node> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const context = yield* make(options?.seed)
      return Context.add(context, Node.Node, yield* whileTimePasses(Node.make(options), context))
    })
  )

/**
 * The clock, the scheduler and the chance of a test, without a node: for tests of several nodes.
 *
 * @category layers
 * @since 0.1.0
 */
export const services = (seed?: number): Layer.Layer<never> =>
  Layer.effectContext(Effect.tap(make(seed), (context) => Context.get(context, TestControls)!.begin))

/**
 * Seeds for `it.effect.each`: as many as asked for, from 1 on. The number that stands in the title of a failing test
 * is the seed that reproduces it.
 *
 * @example
 * ```ts
 * import { TestNode } from "effect-otp/testing"
 *
 * TestNode.seeds(3) // => [1, 2, 3]
 * ```
 *
 * @category seeds
 * @since 0.1.0
 */
export const seeds = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index + 1)

/**
 * Waits, without sleeping, until no fiber can go on: every message is handled, every process waits for another message,
 * for the clock, or for something outside. The clock does not move.
 *
 * Dies when that does not come about because a fiber never rests, and outside of {@link layer}.
 *
 * @category waiting
 * @since 0.1.0
 */
export const settle: Effect.Effect<void> = Effect.withFiber((fiber) => {
  const controls = fiber.getRef(TestControls)
  return controls === undefined
    ? Effect.die(new Error("TestNode.settle works under TestNode.layer: provide it to the whole test"))
    : controls.settle
})

/**
 * The seed of this test; undefined when there is none.
 *
 * @category seeds
 * @since 0.1.0
 */
export const seed: Effect.Effect<number | undefined> = Effect.withFiber((fiber) =>
  Effect.succeed(fiber.getRef(TestControls)?.seed)
)
