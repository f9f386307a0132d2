/**
 * Every row of the feature list that is to be equalled stands on exactly one line of `docs/coming-from-ergo.md`, and
 * what that line says exists: the tests by their titles, and the functions by their names.
 *
 * The rows are in `ergo-rows.txt`, one per line: its number and what it is about. The page has tables of four columns: the
 * rows, what Ergo has, what is here, and the tests `[Name](../test/path/Name.test.ts "title of the test")`. A line without
 * a test says `none` and why.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import { type Repository, repository, symbolsOf, titleMatches } from "../docs/References.ts"
import { filesBelow, lineAt, read, type TestTitle, testTitlesOf } from "./Sources.ts"

const page = "docs/coming-from-ergo.md"
const list = "test/project/ergo-rows.txt"

/** Modules of Effect that the page names. */
const others: ReadonlySet<string> = new Set(["Effect"])

/** A line of a table whose first column has rows. */
interface Line {
  readonly at: string
  readonly rows: ReadonlyArray<string>
  readonly cells: ReadonlyArray<string>
}

const linesOf = (text: string): Array<Line> =>
  [...text.matchAll(/^\| *([A-Z]+-[^|]*)\|.*$/gm)].map((match) => ({
    at: `${page}:${lineAt(text, match.index)}`,
    rows: match[1]!.trim().split(/, */),
    cells: match[0].slice(1, match[0].lastIndexOf("|")).split("|").map((cell) => cell.trim())
  }))

/** The numbers of the list, each once. */
const numbersOf = (text: string): Array<string> => {
  const numbers = text.split("\n").filter((line) => line !== "").map((line) => {
    const match = /^([A-Z]+-\d\d) \S/.exec(line)
    if (match === null) throw new Error(`${list}: ${line}: is no number with what it is about`)
    return match[1]!
  })
  if (new Set(numbers).size !== numbers.length) throw new Error(`${list}: has a number twice`)
  return numbers
}

/** What is wrong with the rows that the lines of a page carry. */
const rowProblems = (text: string, numbers: ReadonlyArray<string>): Array<string> => {
  const carried = new Map<string, Array<string>>()
  for (const { at, rows } of linesOf(text)) {
    for (const row of rows) carried.set(row, [...carried.get(row) ?? [], at])
  }
  return [
    ...numbers.filter((number) => !carried.has(number)).map((number) => `${page}: nothing about ${number}`),
    ...[...carried].flatMap(([row, places]) => [
      ...numbers.includes(row) ? [] : [`${places.join(", ")}: there is no row ${row}`],
      ...places.length === 1 ? [] : [`${places.join(", ")}: ${row} more than once`]
    ])
  ]
}

/** What is wrong with the tests that the lines of a page lead to. */
const testProblems = (text: string, files: Repository): Array<string> => {
  const known = new Map<string, ReadonlyArray<TestTitle>>()
  const titlesIn = (file: string): ReadonlyArray<TestTitle> => {
    let titles = known.get(file)
    if (titles === undefined) known.set(file, titles = testTitlesOf(file, files.read(file)))
    return titles
  }
  return linesOf(text).flatMap(({ at, cells, rows }) => {
    if (cells.length !== 4) return [`${at}: has ${cells.length} columns instead of 4`]
    const [, , here = "", shown = ""] = cells
    const links = [...shown.matchAll(/\]\(([^\s)]+)(?: "([^"]*)")?\)/g)]
    if (links.length === 0 && !here.startsWith("none")) {
      return [`${at}: ${rows.join(", ")} leads to no test and does not say none`]
    }
    return links.flatMap(([, target = "", title]) => {
      const file = Path.posix.join(Path.posix.dirname(page), target)
      if (!files.exists(file)) return [`${at}: ${file} does not exist`]
      // What does not compile is shown by a fixture of the type tests, which has no title.
      if (file.endsWith(".fixture.ts")) return []
      if (title === undefined) return [`${at}: which test of ${file}?`]
      const titles = titlesIn(file).filter((test) => titleMatches(test.title, title))
      if (titles.length === 0) return [`${at}: ${file} has no test "${title}"`]
      return titles.every((test) => test.skipped) ? [`${at}: "${title}" is skipped`] : []
    })
  })
}

/** `Node*.ts` files are imported by their own subpath. */
const hostFiles = filesBelow("src", ".ts").flatMap((file) => {
  const name = Path.posix.basename(file, ".ts")
  return /^Node[A-Z]/.test(name) && !file.includes("/internal/") ? [[name, file] as const] : []
})

/** The files of the public modules, by the name under which an index exports them, or that of a file for one host. */
const modulesOf = (indexes: ReadonlyArray<string>, files: Repository): Map<string, string> =>
  new Map([
    ...hostFiles,
    ...indexes.toReversed().flatMap((index) =>
      [...files.read(index).matchAll(/^export \* as (\w+) from "\.\/(.+)"$/gm)].map((match) =>
        [match[1]!, Path.posix.join(Path.posix.dirname(index), match[2]!)] as const
      )
    )
  ])

const namesIn = (file: string, files: Repository): Set<string> => {
  const text = files.read(file)
  const names = symbolsOf(file, text)
  for (const [, target] of text.matchAll(/^export \* from "(.+)"$/gm)) {
    for (const name of namesIn(Path.posix.join(Path.posix.dirname(file), target!), files)) names.add(name)
  }
  return names
}

/** The names `Module.member` in the third column that no module has. */
const nameProblems = (text: string, indexes: ReadonlyArray<string>, files: Repository): Array<string> => {
  const modules = modulesOf(indexes, files)
  const known = new Map<string, Set<string>>()
  return linesOf(text).flatMap(({ at, cells }) =>
    [...(cells[2] ?? "").matchAll(/`([^`]+)`/g)]
      .flatMap((span) => [...span[1]!.matchAll(/(?<![\w.])([A-Z]\w*)\.(\w+)/g)])
      .flatMap(([name, module = "", member = ""]) => {
        if (others.has(module)) return []
        const file = modules.get(module)
        if (file === undefined) return [`${at}: there is no module ${module}`]
        let names = known.get(file)
        if (names === undefined) known.set(file, names = namesIn(file, files))
        return names.has(member) ? [] : [`${at}: ${file} has no ${name}`]
      })
  )
}

describe("the page for those who come from Ergo", () => {
  it("has each row of the feature list on one line", () => {
    const numbers = numbersOf(read(list))
    assert.strictEqual(numbers.length, 121 + 25 + 52 + 17)
    assert.deepStrictEqual(rowProblems(read(page), numbers), [])
  })

  it("leads to tests that exist", () => {
    assert.isAbove(linesOf(read(page)).length, 100)
    assert.deepStrictEqual(testProblems(read(page), repository), [])
  })

  it("names what exists", () => {
    const indexes = filesBelow("src", "index.ts")
    assert.deepStrictEqual(nameProblems(read(page), indexes, repository), [])
  })
})

const files: Record<string, string> = {
  "src/index.ts": "export * as Ring from \"./otp/Ring.ts\"\n",
  "src/otp/index.ts": "export * as Ring from \"./Ring.ts\"\nexport * as Chain from \"./Chain.ts\"\n",
  "src/otp/Ring.ts": "export * from \"./Shape.ts\"\nexport const make = 1\n",
  "src/otp/Shape.ts": "export interface Shape { readonly area: number }\n",
  "src/otp/Chain.ts": "export { make } from \"./Ring.ts\"\n",
  "test/otp/Ring.test.ts": `
    it.effect("keeps order (always)", () => Effect.void)
    it.effect(\`survives seed \${seed}\`, () => Effect.void)
    it.skip("forgets", () => {})`,
  "test/types/Ring.fixture.ts": ""
}

const small: Repository = { exists: (path) => path in files, read: (path) => files[path]! }
const line = (rows: string, here: string, shown = ""): string => `| ${rows} | theirs | ${here} | ${shown} |\n`
const test = "../test/otp/Ring.test.ts"

describe("the judgement of a page", () => {
  it("finds rows that are missing, doubled or unknown", () => {
    const judge = (text: string) => rowProblems(text, ["P-01", "P-02", "PL-01"])
    assert.deepStrictEqual(judge(`| Row | Ergo |\n|---|---|\n${line("P-01, P-02", "a")}${line("PL-01", "b")}`), [])
    assert.deepStrictEqual(judge(line("P-01", "a") + line("PL-01", "b")), [`${page}: nothing about P-02`])
    assert.deepStrictEqual(judge(line("P-01, P-02", "a") + line("PL-01", "b") + line("P-02", "c")), [
      `${page}:1, ${page}:3: P-02 more than once`
    ])
    assert.deepStrictEqual(judge(line("P-01, P-02, P-03, PL-01", "a")), [`${page}:1: there is no row P-03`])
  })

  it("refuses a list that is not one", () => {
    assert.deepStrictEqual(numbersOf("P-01 a\nP-02 b\n"), ["P-01", "P-02"])
    assert.throws(() => numbersOf("P-01 a\nP-01 b\n"), /twice/)
    assert.throws(() => numbersOf("P-1 a\n"), /no number/)
    assert.throws(() => numbersOf("P-01\n"), /no number/)
  })

  it("finds lines without a test, and tests that do not run", () => {
    const judge = (here: string, shown?: string) => testProblems(line("P-01", here, shown), small).join()
    assert.strictEqual(judge("a", `[Ring](${test} "keeps order (always)"), [Ring](${test} "survives seed 7")`), "")
    assert.strictEqual(judge("a", "[types](../test/types/Ring.fixture.ts)"), "")
    assert.strictEqual(judge("none: nobody needs it"), "")
    assert.include(judge("a"), "P-01 leads to no test")
    assert.include(judge("a | b", `[Ring](${test} "keeps order (always)")`), "5 columns")
    assert.include(judge("a", `[Ring](${test})`), "which test")
    assert.include(judge("a", `[Ring](${test} "keeps order")`), "has no test \"keeps order\"")
    assert.include(judge("a", `[Ring](${test} "forgets")`), "is skipped")
    assert.include(judge("a", "[Ring](../test/otp/Rong.test.ts \"keeps order\")"), "does not exist")
  })

  it("finds names that nothing has", () => {
    const indexes = ["src/index.ts", "src/otp/index.ts"]
    const judge = (here: string) => nameProblems(line("P-01", here), indexes, small)
    assert.deepStrictEqual(judge("`Ring.make`, `make`, `Ring.Shape`, `Chain.make(1)`, `Effect.delay`, Ring.other"), [])
    assert.deepStrictEqual(judge("`Ring.area`"), [`${page}:1: src/otp/Ring.ts has no Ring.area`])
    assert.deepStrictEqual(judge("`Rong.make`"), [`${page}:1: there is no module Rong`])
  })
})
