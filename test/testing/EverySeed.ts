/**
 * The same test under every seed: `everySeed("[S16] ...", () => effect)` makes a group of that title with one test per seed,
 * so that the seed of a failure stands in its title.
 *
 * Twenty seeds by default; `EFFECT_OTP_SEEDS=1000` runs as many, `EFFECT_OTP_SEED=7` only that one.
 */
import { describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { Node } from "effect-otp"
import { MemoryCluster, TestNode } from "effect-otp/testing"

const only = process.env["EFFECT_OTP_SEED"]

/** The seeds of this run. */
export const seeds: ReadonlyArray<number> = only === undefined
  ? TestNode.seeds(Number(process.env["EFFECT_OTP_SEEDS"] ?? 20))
  : [Number(only)]

/** Runs a test on a node of its own, once per seed. */
export const everySeed = <A, E>(
  title: string,
  test: (seed: number) => Effect.Effect<A, E, Node.Node | Scope.Scope>,
  options?: Node.Options
): void => {
  describe(title, () => {
    it.effect.each(seeds)("seed %s", (seed) =>
      // The scope is that of the test: it closes after the node, which lets time pass while it shuts down.
      Effect.provide(test(seed), TestNode.layer({ ...options, seed })))
  })
}

/** Runs a test on a cluster of its own, once per seed. */
export const everySeedOn = <A, E>(
  nodes: ReadonlyArray<string>,
  title: string,
  test: (cluster: MemoryCluster.Service, seed: number) => Effect.Effect<A, E, Scope.Scope>
): void => {
  describe(title, () => {
    it.effect.each(seeds)("seed %s", (seed) =>
      MemoryCluster.MemoryCluster.use((cluster) => test(cluster, seed)).pipe(
        Effect.provide(MemoryCluster.layer(nodes, { seed }))
      ))
  })
}
