/**
 * Shows that the harness for examples fails when it should.
 */
import { assert, describe, it } from "@effect/vitest"
import { parse } from "../project/Sources.ts"
import { scratch } from "../types/Harness.ts"
import { withChecks } from "./Checks.ts"
import { compileErrors, run } from "./Examples.ts"
import { blocksOfComments, blocksOfPage, type Module, type Page, pageOf } from "./Markdown.ts"

const page = (text: string): Page => pageOf(blocksOfPage("page.md", text), false)

const only = (text: string): Module => {
  const { modules, problems } = page(text)
  assert.deepStrictEqual(problems, [])
  assert.lengthOf(modules, 1)
  return modules[0]!
}

const fence = (info: string, code: string): string => `\`\`\`${info}\n${code}\n\`\`\`\n`

describe("the blocks of a page", () => {
  it("keep the numbers of their lines", () => {
    const module = only(`# Title\n\n${fence("ts", "const a = 1\nconst b = 2")}`)
    assert.strictEqual(module.line, 4)
    assert.strictEqual(module.text, "\n\n\nconst a = 1\nconst b = 2\n")
    assert.isFalse(module.runs)
  })

  it("are found in lists, without their indentation, and in longer fences", () => {
    assert.include(
      only("- item\n  ```ts\n  const a = 1\n    const b = 2\n  ```\n").text,
      "\nconst a = 1\n  const b = 2\n"
    )
    assert.include(only("````ts\nconst a = `\n```\n`\n````\n").text, "const a = `\n```\n`")
  })

  it("go on with each other as one module", () => {
    const module = only(`${fence("ts", "const a = 1")}and\n${fence("ts run continues", "a // => 1")}`)
    assert.strictEqual(module.text, "\nconst a = 1\n\n\n\na // => 1\n")
    assert.isTrue(module.runs)
  })

  it("are left alone in other languages and with a reason to ignore", () => {
    const text = fence("sh", "npm ci") + fence("erlang", "ok.") + fence("ts ignore: shows what does not compile", "x")
    assert.deepStrictEqual(page(text), { modules: [], problems: [] })
  })

  it("are refused when their marks cannot be read", () => {
    const problem = (text: string): string => page(text).problems.join("\n")
    assert.include(problem(fence("ts ignore", "x")), "needs a reason")
    assert.include(problem(fence("ts ignore: no", "x")), "needs a reason")
    assert.include(problem(fence("ts rnu", "x")), "unknown words")
    assert.include(problem(fence("typescript", "x")), "write `ts`")
    assert.include(problem(fence("ts continues", "x")), "no block to go on with")
    assert.include(problem(fence("text output", "x")), "no block that runs")
    assert.include(problem(fence("ts", "a // => 1")), "only in a block marked `ts run`")
    assert.include(problem("```ts\nx\n"), "never closed")
  })

  it("are found in JSDoc comments, where `// =>` alone makes them run", () => {
    const text = "/**\n * Adds.\n *\n * ```ts\n * const a = 1\n *   a // => 1\n * ```\n */\nexport const b = 1\n"
    const { modules } = pageOf(blocksOfComments("a.ts", text, parse("a.ts", text).comments), true)
    assert.lengthOf(modules, 1)
    assert.strictEqual(modules[0]!.text, "\n\n\n\nconst a = 1\n  a // => 1\n")
    assert.isTrue(modules[0]!.runs)
  })
})

describe("checks", () => {
  it("wrap the expression before the comment, wherever it stands", () => {
    const text = [
      "f(() => { g() }) // => 1",
      "const a = 1, b = h(2) // => 2",
      "const c = function*() {",
      "  yield* total({ n: 1 }) // => 3",
      "  const d = yield* total() // => { n: 4 }",
      "  yield* Console.log(d) // => 5",
      "  return d // => 6",
      "}",
      "console.log(",
      "  a",
      ")",
      "// => 7",
      "x // => Pid(<1.2>)"
    ].join("\n")
    const checked = withChecks("a.ts", text)
    assert.deepStrictEqual(checked.problems, [])
    assert.deepStrictEqual(checked.lines, [1, 2, 4, 5, 6, 7, 12, 13])
    const lines = checked.text.split("\n")
    assert.strictEqual(lines[0], "__check(1, (f(() => { g() })), () => (1), \"1\") // => 1")
    assert.include(lines[1]!, "const a = 1, b = __check(2, (h(2)), () => (2), \"2\")")
    assert.include(lines[3]!, "__check(4, (yield* total({ n: 1 })), () => (3), \"3\")")
    assert.include(lines[4]!, "const d = __check(5, (yield* total()), () => ({ n: 4 }), \"{ n: 4 }\")")
    assert.include(lines[5]!, "yield* Console.log(__check(6, (d), () => (5), \"5\"))")
    assert.include(lines[6]!, "return __check(7, (d), () => (6), \"6\")")
    assert.include(lines[9]!, "__check(12, (a), () => (7), \"7\")")
    assert.include(lines[12]!, "__check(13, (x), undefined, \"Pid(<1.2>)\")")
  })

  it("refuse a comment without an expression", () => {
    assert.lengthOf(withChecks("a.ts", "// => 1\nf()").problems, 1)
    assert.lengthOf(withChecks("a.ts", "interface A {} // => 1").problems, 1)
  })
})

describe("an example", () => {
  const folder = scratch("docs-harness")
  const problemsOf = (text: string): Promise<Array<string>> => run(folder, only(text))

  it("passes when it gives and prints what it says", async () => {
    const text = `import { Console, Effect, Option } from "effect"
const some = Option.some(1) // => Option.some(1)
const late = Effect.gen(function*() {
  yield* Effect.yieldNow
  yield* Console.log("late")
  yield* Effect.succeed({ a: [1] }) // => { a: [1] }
})
new Map([[1, 2]]) // => Map(1) { 1 => 2 }
console.log("now", 1)
Effect.runFork(late)`
    assert.deepStrictEqual(await problemsOf(fence("ts run", text) + fence("text output", "now 1\nlate")), [])
  })

  it("fails for another value, another structure, another text", async () => {
    const problems = await problemsOf(
      fence("ts run", "1 + 1 // => 3\nconst a = { b: 1 } // => { b: 1, c: 2 }\nnew Set([1]) // => Set(1) { 2 }\nvoid a")
    )
    assert.lengthOf(problems, 3)
    assert.match(problems[0]!, /^page\.md:2: /)
    assert.match(problems[1]!, /^page\.md:3: /)
    assert.match(problems[2]!, /^page\.md:4: /)
  })

  it("fails for other output", async () => {
    const problems = await problemsOf(fence("ts run", "console.log(1)") + fence("text output", "2"))
    assert.lengthOf(problems, 1)
    assert.include(problems[0]!, "prints\n1\nand the page says\n2")
  })

  it("fails when it throws, and names checks that were not reached", async () => {
    const problems = await problemsOf(
      fence("ts run", "const f = (): number => { throw new Error(\"boom\") }\nf() // => 1")
    )
    assert.lengthOf(problems, 2)
    assert.include(problems[0]!, "boom")
    assert.include(problems[1]!, "page.md:3: was never reached")
  })

  it("fails when it does not compile, and names the line of the page", () => {
    const errors = compileErrors("docs-harness-check", [
      only(fence("ts", "import { Effect } from \"effect\"\nexport const a: Effect.Effect<string> = Effect.succeed(1)"))
    ])
    assert.lengthOf(errors, 1)
    assert.match(errors[0]!, /^page\.md:3: TS\d+: /)
  })
})
