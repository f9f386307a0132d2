/**
 * The example of applications: what it prints when it starts, when it is told to stop, and when its database fails.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { root } from "../project/Sources.ts"
import { blocks, program } from "./Nodes.ts"

const [start, stop, failure] = blocks("application", "text")

describe("examples/application", () => {
  it.live(
    "starts in the order of what is needed, and stops in reverse order on SIGTERM",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const shop = yield* program("application", { NODE_OPTIONS: "" })
        assert.strictEqual(yield* shop.written(start!), start)
        assert.strictEqual(yield* shop.stop, 0)
        assert.strictEqual(yield* shop.written(start! + stop!), start! + stop!)
      })),
    40_000
  )

  it("goes with its permanent database, in order, with exit code 1", () => {
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ["--conditions=effect-otp-source", "examples/application/main.ts", "fail"],
      { cwd: root, encoding: "utf8", env: { ...process.env, NODE_OPTIONS: "" }, timeout: 30_000 }
    )
    assert.strictEqual(stdout, failure, stderr)
    assert.strictEqual(status, 1)
    assert.include(stderr, "since the permanent application database ended")
  }, 40_000)
})
