/**
 * The list of examples: each folder is in it, with files that exist, a README and a test.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../project/Sources.ts"

const examples = Path.join(root, "examples")

const folders = Fs.readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const rows = [
  ...Fs.readFileSync(Path.join(examples, "README.md"), "utf8").matchAll(/^\| \[(.*?)\]\((.*?)\) \| (.*?) \|/gm)
]
  .map(([, name, link, run]) => ({
    name: name!,
    link: link!,
    files: [...run!.matchAll(/`([\w.-]+)`/g)].map((m) => m[1]!)
  }))

const tests = Fs.readdirSync(Path.join(root, "test/examples"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => Fs.readFileSync(Path.join(root, "test/examples", file), "utf8"))

describe("examples/README.md", () => {
  it("lists every folder once", () => {
    assert.sameMembers(rows.map(({ name }) => name), folders)
  })

  for (const { files, link, name } of rows) {
    it(`${name} has a README, the programs that are named, and a test`, () => {
      assert.strictEqual(link, `${name}/README.md`)
      const readme = Fs.readFileSync(Path.join(examples, link), "utf8")
      for (const file of files) {
        assert.isTrue(Fs.existsSync(Path.join(examples, name, file)), file)
        assert.include(readme, file)
      }
      assert.isTrue(tests.some((test) => test.includes(`examples/${name}`) || test.includes(`"${name}"`)))
    })
  }
})
