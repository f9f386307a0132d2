/**
 * The example of a store whose leader is killed, run as a user runs it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort } from "../dist/ErlangNode.ts"
import { blocks, program } from "./Nodes.ts"

describe("examples/raft", () => {
  it.live(
    "[S31] prints what its README says: nothing is lost with the leader",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const [promised] = blocks("raft", "text")
        const main = yield* program("raft", { ERL_EPMD_PORT: String(yield* freePort) })
        assert.strictEqual(yield* main.written(promised!), promised)
        assert.strictEqual(yield* main.ended, 0)
      })),
    90_000
  )
})
