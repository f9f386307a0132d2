/**
 * What must compile, what must not, and what the compiler prints: see `Harness.ts` for the format of the fixtures.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { checkFixtures } from "./Harness.ts"

const folder = Path.join(Path.dirname(fileURLToPath(import.meta.url)), "fixtures")
const fixtures = Fs.readdirSync(folder, { recursive: true })
  .map((name) => Path.join(folder, String(name)))
  .filter((file) => file.endsWith(".fixture.ts"))
  .toSorted()

describe("types", () => {
  const verdict = checkFixtures("type-fixtures", fixtures)

  for (const file of fixtures) {
    it(`${Path.relative(folder, file)} compiles as it says`, () => {
      assert.deepStrictEqual(verdict.fixtures.get(file), [])
    })
  }

  it("are sound in everything the fixtures import", () => {
    assert.deepStrictEqual(verdict.elsewhere, [])
  })
})
