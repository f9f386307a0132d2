/**
 * What README and docs refer to exists: files, the functions of the message path, the tests behind the guarantees. See
 * `References.ts` for the forms.
 */
import { assert, describe, it } from "@effect/vitest"
import { exists, read } from "../project/Sources.ts"
import { pages } from "./Examples.ts"
import { brokenReferences, guaranteeProblems, namedPlaces, repository, symbolsOf } from "./References.ts"

const messagePath = "docs/message-path.md"
const guarantees = "docs/guarantees.md"

describe("pages", () => {
  it("refer to files and declarations that exist", () => {
    assert.deepStrictEqual(pages().flatMap((page) => brokenReferences(page, read(page), repository)), [])
  })

  it.skipIf(!exists(messagePath))("name the places that a message passes", () => {
    assert.isAtLeast(namedPlaces(read(messagePath)).length, 5)
  })

  it.skipIf(!exists(guarantees))("have a test behind each numbered guarantee", () => {
    assert.deepStrictEqual(guaranteeProblems(guarantees, read(guarantees), repository), [])
  })
})

const files: Record<string, string> = {
  "src/otp/Ring.ts": `
    export class Ring { private size = 0; push(): void {} static of(): Ring { return new Ring() } }
    export const make = () => { const loop = () => {}; function stop() {} ; return { loop, stop } }
    export const proto = { dispatch() {}, "key": 1 }
    export interface Shape { readonly area: number; scale(): void }
    export type Size = number
    const hidden = 1
    export { hidden as shown }
    export * as Other from "./Other.ts"`,
  "test/otp/Ring.test.ts": `
    describe("ring", () => {
      it.effect("[S1] keeps order", () => Effect.void)
      it.effect(\`survives seed \${seed}\`, () => Effect.void)
      it.skip("forgets", () => {})
    })`
}

const small = { exists: (path: string) => path in files, read: (path: string) => files[path]! }

describe("references", () => {
  it("find every declaration of a file", () => {
    const symbols = symbolsOf("src/otp/Ring.ts", files["src/otp/Ring.ts"]!)
    for (
      const name of [
        "Ring",
        "Ring.size",
        "Ring.push",
        "Ring.of",
        "make",
        "make.loop",
        "make.stop",
        "proto.dispatch",
        "proto.key",
        "Shape.area",
        "Shape.scale",
        "Size",
        "hidden",
        "shown",
        "Other"
      ]
    ) {
      assert.isTrue(symbols.has(name), name)
    }
    assert.isFalse(symbols.has("push"))
    assert.isFalse(symbols.has("loop"))
  })

  it("fail for files and declarations that do not exist", () => {
    const broken = (text: string) => brokenReferences("docs/a.md", text, small)
    assert.deepStrictEqual(
      broken(
        "`src/otp/Ring.ts#Ring.push` `src/otp/Ring.ts` [a](../src/otp/Ring.ts#L3) [b](https://effect.website) [c](#c)"
      ),
      []
    )
    assert.deepStrictEqual(broken("\n`src/otp/Ring.ts#Ring.pop`"), [
      "docs/a.md:2: src/otp/Ring.ts declares no Ring.pop"
    ])
    assert.deepStrictEqual(broken("`src/otp/Rong.ts#Ring`"), ["docs/a.md:1: src/otp/Rong.ts does not exist"])
    assert.deepStrictEqual(broken("[a](../src/otp/Rong.ts)"), ["docs/a.md:1: ../src/otp/Rong.ts does not exist"])
    assert.deepStrictEqual(broken("[a](b.md)"), ["docs/a.md:1: b.md does not exist"])
    assert.deepStrictEqual(broken("[a](b.md \"with (a) title\")"), ["docs/a.md:1: b.md does not exist"])
    assert.deepStrictEqual(broken("```ts\n`src/otp/Rong.ts`\n```\n"), [])
  })

  it("name places with a declaration only", () => {
    assert.deepStrictEqual(namedPlaces("`src/a/B.ts#c` `src/a/B.ts` src/a/B.ts#d"), ["src/a/B.ts#c"])
  })

  it("accept guarantees whose tests exist", () => {
    const text = [
      "## 1. Order",
      "Kept. [[S1] keeps order](../test/otp/Ring.test.ts)",
      "## 2. Survival",
      "See [survives seed 7](../test/otp/Ring.test.ts)."
    ].join("\n")
    assert.deepStrictEqual(guaranteeProblems("docs/guarantees.md", text, small), [])
    assert.deepStrictEqual(
      guaranteeProblems("docs/guarantees.md", "1. Order is kept: [[S1] keeps order](../test/otp/Ring.test.ts)", small),
      []
    )
  })

  it("refuse guarantees without a test, with an unknown or skipped one, or out of number", () => {
    const judge = (text: string) => guaranteeProblems("docs/guarantees.md", text, small).join("\n")
    assert.include(judge("Nothing"), "no numbered guarantee")
    assert.include(judge("## 1. Order\nKept."), "no link to a test")
    assert.include(judge("## 1. A\n[keeps order](../test/otp/Ring.test.ts)"), "has no test \"keeps order\"")
    assert.include(judge("## 1. A\n[forgets](../test/otp/Ring.test.ts)"), "is skipped")
    assert.include(judge("## 1. A\n[x](../test/otp/Rong.test.ts)"), "does not exist")
    assert.include(judge("## 2. A\n[[S1] keeps order](../test/otp/Ring.test.ts)"), "should be number 1")
  })
})
