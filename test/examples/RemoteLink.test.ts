/**
 * The example of a link across nodes, run as a user runs it: two programs, of which one is stopped and started again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cookie, freePort } from "../dist/ErlangNode.ts"
import { blocks, program } from "./Nodes.ts"

describe("examples/remote-link", () => {
  it.live(
    "prints what its README says, while the node of the printer goes and comes back",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const env = { COOKIE: cookie, ERL_EPMD_PORT: String(yield* freePort) }
        const [ready, jam, gone, back] = blocks("remote-link", "text")
        const press = yield* program("remote-link", env, "press.ts")
        assert.strictEqual(yield* press.written(ready!), ready)
        const office = yield* program("remote-link", env)
        assert.strictEqual(yield* office.written(jam!), jam)
        assert.strictEqual(yield* press.stop, 0)
        assert.strictEqual(yield* office.written(jam! + gone!), jam! + gone!)
        yield* program("remote-link", env, "press.ts")
        const all = jam! + gone! + back!
        assert.strictEqual(yield* office.written(all), all)
        assert.strictEqual(yield* office.stop, 0)
      })),
    90_000
  )
})
