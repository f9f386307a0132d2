/**
 * The counter example, run as a user runs it: what it prints is what its README says.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../project/Sources.ts"

describe("examples/counter", () => {
  it("prints what its README says", () => {
    const readme = Fs.readFileSync(Path.join(root, "examples/counter/README.md"), "utf8")
    const promised = /```text\n([\s\S]*?)```/.exec(readme)![1]
    const printed = execFileSync(
      process.execPath,
      ["--conditions=effect-otp-source", "examples/counter/main.ts"],
      { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }
    )
    assert.strictEqual(printed, promised)
  })
})
