/**
 * Every fenced example of README, docs and JSDoc compiles; those that are to run do, and give what they say. How a block
 * is marked is described in `Markdown.ts`, what `// =>` means in `Checks.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { scratch } from "../types/Harness.ts"
import { collect, compileErrors, run } from "./Examples.ts"

describe("examples", () => {
  const { modules, problems } = collect()
  const folder = scratch("docs-run")

  it("are marked in a way that can be read", () => {
    assert.deepStrictEqual(problems, [])
  })

  it("compile", () => {
    assert.deepStrictEqual(compileErrors("docs-check", modules), [])
  }, 120_000)

  for (const module of modules.filter((item) => item.runs)) {
    it(`${module.file}:${module.line} runs and gives what it says`, async () => {
      assert.deepStrictEqual(await run(folder, module), [])
    })
  }
})
