/**
 * The numbered statements about the meaning of OTP (supervisors S1 to S9, servers S10 to S15, signals S16 to S22,
 * applications S23), GenStage (S24 to S27), sagas (S28 to S30) and Raft (S31 to S35): each is the subject of at least
 * one test, whose title carries its number as `[S7]`.
 */
import { assert, describe, it } from "@effect/vitest"
import { filesBelow, read, type TestTitle, testTitlesOf } from "./Sources.ts"

const numbers: ReadonlyArray<number> = Array.from({ length: 35 }, (_, index) => index + 1)

/** The statements that no running test names. */
const uncovered = (titles: ReadonlyArray<TestTitle>): Array<string> => {
  const covered = new Set(
    titles.filter((item) => !item.skipped).flatMap((item) => item.title.match(/\[S\d+\]/g) ?? [])
  )
  return numbers.map((number) => `[S${number}]`).filter((mark) => !covered.has(mark))
}

describe("the statements about OTP's meaning", () => {
  it("are each the subject of a test", () => {
    const titles = filesBelow("test", ".test.ts")
      .filter((file) => !file.startsWith("test/project/"))
      .flatMap((file) => testTitlesOf(file, read(file)))
    assert.deepStrictEqual(uncovered(titles), [], "no test has these in its title")
  })

  it("are found in titles of every form, and not where a test is skipped", () => {
    const titles = testTitlesOf(
      "a.test.ts",
      `describe("supervisors [S1]", () => {
         it("[S2] counts", () => {})
         it.effect("[S3][S4] effects", () => Effect.void)
         it.effect.prop("[S5] laws", [x], () => true)
         it.effect.each([1, 2])("[S6] seed %s", () => Effect.void)
         for (const seed of seeds) it.effect(\`[S7] seed \${seed}\`, () => Effect.void)
         const scenario = (seeds, title, text) => { it.effect(title, () => play(text)) }
         scenario(1, "[S8] by a function of the file", "[S9] text")
         it.skip("[S10] later", () => {})
         it.todo("[S11] later")
         describe.skip("later", () => { it("[S12] later", () => {}) })
         // it("[S13] comment", () => {})
         it("a text", () => { log("[S14] no title", () => {}) })
       })`
    )
    assert.deepStrictEqual(uncovered(titles), numbers.slice(8).map((number) => `[S${number}]`))
  })
})
