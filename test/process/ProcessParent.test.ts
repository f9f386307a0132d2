import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Option } from "effect"
import { Behaviour, type Node, Process } from "effect-otp"
import { everySeed } from "../testing/EverySeed.ts"

describe("the line of parents", () => {
  everySeed("of processes that start their successor and end does not grow", () =>
    Effect.gen(function*() {
      const depth = yield* Deferred.make<number>()
      const generation = (n: number): Effect.Effect<unknown, unknown, Node.Node> =>
        Process.spawnDetached(() =>
          Effect.gen(function*() {
            // The one before has ended when this goes on.
            const parent = yield* Process.parent
            if (Option.isSome(parent)) yield* Process.awaitExit(parent.value)
            if (n < 50) {
              yield* generation(n + 1)
              return
            }
            let count = 0
            for (let p = yield* Behaviour.current; p !== undefined; p = p.parent) count++
            yield* Deferred.succeed(depth, count)
          })
        )
      yield* generation(0)
      assert.isAtMost(yield* Deferred.await(depth), 3)
    }))
})
