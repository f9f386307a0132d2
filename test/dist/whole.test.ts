/**
 * A node of ours as the fourth of a cluster of Erlang nodes that are killed and come back: the short form of
 * `npm run bench -- cluster`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, References } from "effect"
import { run } from "../../bench/cluster/Cluster.ts"
import { erlangAvailable } from "../erlang/escript.ts"

describe.skipIf(!erlangAvailable)("a cluster with three Erlang nodes", () => {
  for (const global of [false, true]) {
    it.live(
      `stays whole under load while one after the other is killed and comes back${global ? ", in global" : ""}`,
      () =>
        Effect.gen(function*() {
          const outcome = yield* run({
            kills: 3,
            cycleMillis: 2500,
            downMillis: 400,
            netTickSeconds: 8,
            pauseMillis: 10,
            global,
            say: () => {}
          })
          assert.deepStrictEqual(outcome.problems, [])
          assert.isAbove(outcome.answered, 100)
          assert.isAbove(outcome.served, 100)
        }).pipe(Effect.provideService(References.MinimumLogLevel, "None")),
      120_000
    )
  }
})
