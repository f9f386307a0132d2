/**
 * Compiles and runs the examples of pages and comments.
 *
 * Each module is written twice into scratch folders, at the line numbers that it has on its page: as it is, for one run of
 * the compiler over all examples, and with its checks built in, to be imported by the test.
 */
import { expect } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { inspect } from "node:util"
import { filesBelow, parse, read, root } from "../project/Sources.ts"
import { compile, scratch } from "../types/Harness.ts"
import { checkName, withChecks } from "./Checks.ts"
import { blocksOfComments, blocksOfPage, type Module, type Page, pageOf } from "./Markdown.ts"

/** Pages whose examples are tested, relative to the root. */
export const pages = (): Array<string> =>
  ["README.md", "AGENTS.md", ...filesBelow("docs", ".md")].filter((file) => Fs.existsSync(Path.join(root, file)))

/** The examples of all pages and of the comments in `src`. */
export const collect = (): Page => {
  const found = [
    ...pages().map((file) => pageOf(blocksOfPage(file, read(file)), false)),
    ...filesBelow("src", ".ts").map((file) => {
      const text = read(file)
      return pageOf(blocksOfComments(file, text, parse(file, text).comments), true)
    })
  ]
  return {
    modules: found.flatMap((page) => page.modules),
    problems: found.flatMap((page) => page.problems)
  }
}

const fileOf = (module: Module): string => `${module.file.replaceAll("/", "__")}.L${module.line}.ts`

/** The errors of the compiler over these examples, each with page and line. */
export const compileErrors = (name: string, modules: ReadonlyArray<Module>): Array<string> => {
  const folder = scratch(name)
  const files = new Map(modules.map((module) => [Path.join(folder, fileOf(module)), module]))
  for (const [file, module] of files) Fs.writeFileSync(file, module.text)
  return compile(folder, [...files.keys()]).map((item) =>
    `${files.get(item.file)?.file ?? Path.relative(root, item.file)}:${item.line}: ${item.code}: ${item.message}`
  )
}

/** A failure as text, without the part of the stack that belongs to the tools. */
const trace = (failure: unknown): string =>
  inspect(failure).split("\n").filter((line) => !/^\s+at .*(?:node:|node_modules)/.test(line)).join("\n")

type Check = <A>(line: number, actual: A, expected: (() => unknown) | undefined, text: string) => A

/** How long an example may take until its last check has run. */
const patienceMillis = 10_000

/** Where a running example finds its own check function. */
const running = new Map<string, Check>()
const key = Symbol.for("effect-otp/docs/running")
;(globalThis as Record<symbol, unknown>)[key] = running

/** Runs an example in a scratch folder; gives what is wrong with it: failed checks, checks that never ran, other output than the page says. */
export const run = async (folder: string, module: Module): Promise<Array<string>> => {
  const checked = withChecks(module.file, module.text)
  const problems = checked.problems.map((problem) => `${module.file}: ${problem}`)
  const pending = new Set(checked.lines)
  const printed: Array<string> = []
  // Another text is another module, also where the page and the line are the same.
  const hash = createHash("sha256").update(module.text).digest("hex").slice(0, 12)
  const file = Path.join(folder, hash, fileOf(module))
  const check: Check = (line, actual, expected, text) => {
    pending.delete(line)
    try {
      if (expected === undefined) expect(inspect(actual, { breakLength: Infinity })).toBe(text)
      else expect(actual).toEqual(expected())
    } catch (failure) {
      problems.push(`${module.file}:${line}: ${failure instanceof Error ? failure.message : String(failure)}`)
    }
    return actual
  }
  Fs.mkdirSync(Path.dirname(file), { recursive: true })
  // The first line of a page is never code, so that nothing moves.
  Fs.writeFileSync(
    file,
    `const ${checkName} = globalThis[Symbol.for("effect-otp/docs/running")].get(${JSON.stringify(file)});` +
      checked.text
  )
  running.set(file, check)
  const log = console.log
  console.log = (...values: ReadonlyArray<unknown>) => {
    printed.push(...values.map((value) => typeof value === "string" ? value : inspect(value)).join(" ").split("\n"))
  }
  const isDone = (): boolean =>
    pending.size === 0 && (module.output === undefined || printed.length >= module.output.split("\n").length)
  try {
    await import(/* @vite-ignore */ file)
    // What an example started without awaiting it may still be on its way.
    const deadline = performance.now() + patienceMillis
    while (!isDone() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
  } catch (failure) {
    problems.push(`${module.file}:${module.line}: throws ${trace(failure)}`)
  } finally {
    console.log = log
    running.delete(file)
  }
  for (const line of pending) problems.push(`${module.file}:${line}: was never reached`)
  if (module.output !== undefined && printed.join("\n") !== module.output) {
    problems.push(`${module.file}:${module.line}: prints\n${printed.join("\n")}\nand the page says\n${module.output}`)
  }
  return problems
}
