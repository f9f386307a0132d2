/**
 * Shows that the harness for type tests fails when it should: with the real compiler over small fixtures, and piece by
 * piece.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { checkFixtures, compareErrors, directivesOf, parseDiagnostics, scratch } from "./Harness.ts"

/** Each fixture with the parts of the problems that it must have, in order. */
const cases: Record<string, { readonly text: string; readonly problems: ReadonlyArray<string> }> = {
  "expected errors": {
    text: `declare const f: (n: number) => void
// @error TS2345 'string' is not assignable
f("1")
f("1") // @error TS2345
export const a: { readonly b: { readonly c: number } } = {
  b: {
    // @error TS2322
    c: "1"
  }
}
// @error TS2345
// @error TS2554
f("1"); f()`,
    problems: []
  },
  "an error that is missing": {
    text: `declare const f: (n: number) => void
// @error TS2345
f(1)`,
    problems: ["line 3: no error TS2345"]
  },
  "an error that nobody asked for": {
    text: `declare const f: (n: number) => void
f("1")`,
    problems: ["line 2: unexpected TS2345"]
  },
  "another error than expected": {
    text: `declare const f: (n: number) => void
// @error TS2554
f("1")`,
    problems: ["line 3: no error TS2554", "line 3: unexpected TS2345"]
  },
  "another message than expected": {
    text: `declare const f: (n: number) => void
// @error TS2345 'boolean' is not assignable
f("1")`,
    problems: ["line 3: no error TS2345 \"'boolean' is not assignable\"", "line 3: unexpected TS2345"]
  },
  "two errors where one is expected": {
    text: `declare const f: (n: number) => void
// @error TS2345
f("1"); f("2")`,
    problems: ["line 3: unexpected TS2345"]
  },
  "types as expected": {
    text: `export interface Box<A> { readonly value: A }
declare const box: <A>(a: A) => Box<A>
// @type Box<{ a: number; b: "x"; }>
export const one = box({ a: 1, b: "x" as const })
// @type Box<{ a: \\
//   number; }>
export const two = box({ a: 1 })`,
    problems: []
  },
  "a type that is another": {
    text: `// @type string
export const one = 1
// @type 2
export const two = 2`,
    problems: ["line 2: one is shown as\n  1\nand not as\n  string"]
  },
  "a type of what is not exported": {
    text: `// @type number
const one = 1`,
    problems: ["line 2: @type is followed by an exported const"]
  },
  "directives that cannot be read": {
    text: `// @error 2345
export const one = 1
// @ts-expect-error
export const two = 2`,
    problems: ["line 1: @error needs a code", "line 3: this directive cannot be read", "line 3: unexpected TS2578"]
  }
}

describe("the harness for type tests", () => {
  const cache = scratch("harness-fixtures")
  const files = Object.entries(cases).map(([name, { text }], index) => {
    const file = Path.join(cache, `${index}.fixture.ts`)
    Fs.writeFileSync(file, `${text}\nexport {}\n`)
    return [name, file] as const
  })
  const verdict = checkFixtures("harness-probes", files.map(([, file]) => file))

  for (const [name, file] of files) {
    it(`judges ${name}`, () => {
      const problems = verdict.fixtures.get(file)!
      const expected = cases[name]!.problems
      assert.lengthOf(problems, expected.length, problems.join("\n"))
      for (const [index, part] of expected.entries()) assert.include(problems[index]!, part)
    })
  }

  it("reports errors in files that fixtures import", () => {
    const broken = Path.join(cache, "Broken.ts")
    const fixture = Path.join(cache, "imports.fixture.ts")
    Fs.writeFileSync(broken, `export const one: string = 1\n`)
    Fs.writeFileSync(fixture, `import { one } from "./Broken.ts"\nexport const two = one\n`)
    const verdict = checkFixtures("harness-imports", [fixture])
    assert.lengthOf(verdict.elsewhere, 1)
    assert.include(verdict.elsewhere[0]!, "Broken.ts:1: TS2322")
    assert.deepStrictEqual(verdict.fixtures.get(fixture), [])
  })

  it("joins the lines of a message", () => {
    assert.deepStrictEqual(
      parseDiagnostics(
        "a.ts(3,7): error TS2322: Type 'A'\n  Types of 'b'\n    Type 'c'\nb.ts(1,1): error TS1: x\n",
        "/r"
      ),
      [
        { file: Path.resolve("/r/a.ts"), line: 3, code: "TS2322", message: "Type 'A'\nTypes of 'b'\nType 'c'" },
        { file: Path.resolve("/r/b.ts"), line: 1, code: "TS1", message: "x" }
      ]
    )
    assert.throws(() => parseDiagnostics("error TS5083: Cannot read file", "/r"))
  })

  it("refuses a directive with no code after it", () => {
    assert.lengthOf(directivesOf("const a = 1\n// @error TS1\n").problems, 1)
    assert.lengthOf(directivesOf("const a = 1\n// @type number\n").problems, 1)
  })

  it("finds a part in any line of a message", () => {
    const { errors } = directivesOf("// @error TS1 inner part\nx")
    const item = { file: "a", line: 2, code: "TS1", message: "outer\nthe inner part" }
    assert.deepStrictEqual(compareErrors(errors, [item]), [])
    assert.lengthOf(compareErrors(errors, [{ ...item, line: 1 }]), 2)
  })
})
