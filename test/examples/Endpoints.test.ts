/**
 * The examples of endpoints, run as a user runs them: what they print is what their READMEs say.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../project/Sources.ts"

describe("examples of endpoints", () => {
  for (const name of ["tcp-echo-lines", "udp", "web-gateway"]) {
    it(`${name} prints what its README says`, () => {
      const readme = Fs.readFileSync(Path.join(root, "examples", name, "README.md"), "utf8")
      const promised = /```text\n([\s\S]*?)```/.exec(readme)![1]
      const printed = execFileSync(
        process.execPath,
        ["--conditions=effect-otp-source", `examples/${name}/main.ts`],
        { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 15_000 }
      )
      assert.strictEqual(printed, promised)
    })
  }
})
