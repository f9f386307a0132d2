/**
 * The example of a bank transfer that is killed at each point, run as a user runs it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort } from "../dist/ErlangNode.ts"
import { blocks, program } from "./Nodes.ts"

describe("examples/saga-bank", () => {
  it.live(
    "[S28] prints what its README says: a commit once the decision is on disk, and an abort before",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const [promised] = blocks("saga-bank", "text")
        const main = yield* program("saga-bank", { ERL_EPMD_PORT: String(yield* freePort) })
        assert.strictEqual(yield* main.written(promised!), promised)
        assert.strictEqual(yield* main.ended, 0)
      })),
    240_000
  )
})
