/**
 * The core against Erlang's own `gen_statem`, on random scripts.
 */
import { assert, describe, it } from "@effect/vitest"
import { writeFileSync } from "node:fs"
import { erlangAvailable, escript, withDirectory } from "../../erlang/escript.ts"
import { randomScript, runScript, showScript } from "./StateMachineScript.ts"

describe("StateMachineCore and gen_statem", () => {
  it.skipIf(!erlangAvailable)(
    "call the same handlers in the same order in 3000 random scripts",
    { timeout: 120_000 },
    () => {
      const scripts = Array.from({ length: 3000 }, (_, seed) => randomScript(seed + 1))
      const output = withDirectory((file) => {
        writeFileSync(file("scripts"), `${scripts.map(showScript).join("\n")}\n`)
        return escript("state_machine.escript", [file("scripts")])
      })
      const lines = output.trimEnd().split("\n")
      assert.strictEqual(lines.length, scripts.length)
      let longest = 0
      lines.forEach((line, index) => {
        const script = scripts[index]!
        const log = runScript(script)
        longest = Math.max(longest, log.length)
        assert.strictEqual(`[${log.join(",")}]`, line, `seed ${index + 1}: ${showScript(script)}`)
      })
      assert.isAbove(longest, 20)
    }
  )
})
