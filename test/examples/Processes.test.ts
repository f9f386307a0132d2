/**
 * The examples that need nobody else, run as a user runs them: what they print is what their READMEs say.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { root } from "../project/Sources.ts"
import { blocks } from "./Nodes.ts"

const run = (...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, ["--conditions=effect-otp-source", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", NODE_OPTIONS: "" },
    timeout: 30_000
  })

describe("examples of processes", () => {
  for (const name of ["custom-behaviour", "events", "outside", "pool"]) {
    it(`${name} prints what its README says`, () => {
      const { status, stderr, stdout } = run(`examples/${name}/main.ts`)
      assert.strictEqual(stdout, blocks(name, "text")[0], stderr)
      assert.strictEqual(status, 0)
    }, 40_000)
  }

  it("a command line calls a server and says with its exit code how it went", () => {
    const converted = run("examples/outside/convert.ts", "100", "USD")
    assert.strictEqual(converted.stdout, blocks("outside", "text")[1], converted.stderr)
    assert.strictEqual(converted.status, 0)
    const unknown = run("examples/outside/convert.ts", "100", "XXX")
    assert.deepStrictEqual([unknown.status, unknown.stdout], [2, ""])
    assert.include(unknown.stderr, "no rate for XXX")
  }, 60_000)
})
