/**
 * The example of stages on two nodes, run as a user runs it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cookie, freePort } from "../dist/ErlangNode.ts"
import { blocks, program } from "./Nodes.ts"

describe("examples/genstage", () => {
  it.live("prints what its README says", () =>
    Effect.scoped(Effect.gen(function*() {
      const env = { COOKIE: cookie, ERL_EPMD_PORT: String(yield* freePort) }
      const [open, fruit] = blocks("genstage", "text")
      const pickers = yield* program("genstage", env, "pickers.ts")
      assert.strictEqual(yield* pickers.written(open!), open)
      const kitchen = yield* program("genstage", env)
      assert.strictEqual(yield* kitchen.written(fruit!), fruit)
      assert.strictEqual(yield* kitchen.ended, 0)
      assert.strictEqual(yield* pickers.stop, 0)
    })), 60_000)
})
