/**
 * The example of a trip that fails at each step in turn, run as a user runs it.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { root } from "../project/Sources.ts"
import { blocks } from "./Nodes.ts"

describe("examples/saga", () => {
  it("[S30] prints what its README says: after a failure at each step in turn nothing is left", () => {
    const [promised] = blocks("saga", "text")
    const printed = execFileSync(
      process.execPath,
      ["--conditions=effect-otp-source", "examples/saga/main.ts"],
      { cwd: root, encoding: "utf8", timeout: 60_000 }
    )
    assert.strictEqual(printed, promised)
  }, 90_000)
})
