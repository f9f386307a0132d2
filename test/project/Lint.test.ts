/**
 * The lint rules that keep host time, chance, timers, promises and `try` out of `src`: each of them is shown to fail, and
 * exceptions in the sources are single lines with a reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { filesBelow, lineAt, parse, read, root } from "./Sources.ts"

/** Runs the linter with this repository's configuration over made-up files; `path: rule` for each finding. */
const lint = (files: Record<string, string>): Array<string> => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-lint-"))
  try {
    for (const name of [".oxlintrc.json", "scripts/oxlint-plugin.ts"]) {
      Fs.mkdirSync(Path.dirname(Path.join(folder, name)), { recursive: true })
      Fs.copyFileSync(Path.join(root, name), Path.join(folder, name))
    }
    for (const [name, text] of Object.entries(files)) {
      Fs.mkdirSync(Path.dirname(Path.join(folder, name)), { recursive: true })
      Fs.writeFileSync(Path.join(folder, name), text)
    }
    const run = spawnSync(
      process.execPath,
      [Path.join(root, "node_modules/oxlint/bin/oxlint"), "--format=json", ...Object.keys(files)],
      { cwd: folder, encoding: "utf8" }
    )
    const output = JSON.parse(run.stdout) as {
      readonly diagnostics: ReadonlyArray<{ readonly filename: string; readonly code: string }>
    }
    return output.diagnostics.map((item) => `${item.filename}: ${item.code}`).toSorted()
  } finally {
    Fs.rmSync(folder, { recursive: true })
  }
}

/** Code that must not pass in `src`, with the rule that stops it. */
const forbidden: ReadonlyArray<readonly [code: string, rule: string]> = [
  ["export const a = () => Date.now()", "eslint(no-restricted-properties)"],
  ["export const a = () => globalThis.Date.now()", "effect-otp(no-host-clock)"],
  ["export const a = () => new Date()", "effect-otp(no-host-clock)"],
  ["export const a = () => Date()", "effect-otp(no-host-clock)"],
  ["export const a = () => Math.random()", "eslint(no-restricted-properties)"],
  ["export const a = () => globalThis.Math.random()", "effect-otp(no-host-clock)"],
  ["export const a = () => performance.now()", "eslint(no-restricted-globals)"],
  ["export const a = () => crypto.randomUUID()", "eslint(no-restricted-globals)"],
  ["export const a = (f: () => void) => setTimeout(f, 1)", "eslint(no-restricted-globals)"],
  ["export const a = (f: () => void) => setInterval(f, 1)", "eslint(no-restricted-globals)"],
  ["export const a = (f: () => void) => setImmediate(f)", "eslint(no-restricted-globals)"],
  ["export const a = (f: () => void) => queueMicrotask(f)", "eslint(no-restricted-globals)"],
  ["export const a = (f: () => void) => globalThis.setTimeout(f, 1)", "eslint(no-restricted-globals)"],
  ["export const a = async () => 1", "oxc(no-async-await)"],
  ["export const a = async function*() { yield 1 }", "oxc(no-async-await)"],
  ["export const a = () => new Promise<number>((resolve) => { resolve(1) })", "promise(avoid-new)"],
  ["export const a = () => Promise.resolve(1)", "eslint(no-restricted-globals)"],
  ["export const a = () => console.log(1)", "eslint(no-console)"],
  ["export const a = (f: () => void) => { try { f() } catch { return } }", "effect-otp(no-try)"],
  ["export const a = (text: string) => JSON.parse(text)", "eslint(no-restricted-properties)"],
  ["import { Effect } from \"effect\"\nexport const a = Effect.void", "eslint(no-restricted-imports)"],
  ["import { A } from \"./A.ts\"\nexport const a = (x: A) => x", "typescript(consistent-type-imports)"],
  ["export const a: string[] = []", "typescript(array-type)"]
]

describe("the lint rules for src", () => {
  it("refuse host time, chance, timers, promises, async, console and try", () => {
    const files = Object.fromEntries(forbidden.map(([code], index) => [`src/otp/Bad${index}.ts`, `${code}\n`]))
    const findings = lint(files)
    for (const [index, [code, rule]] of forbidden.entries()) {
      assert.include(findings, `src/otp/Bad${index}.ts: ${rule}`, `passed the linter: ${code}`)
    }
  })

  it("let the same through outside src, types aside", () => {
    const free = forbidden.filter(([, rule]) => !rule.startsWith("typescript("))
    assert.deepStrictEqual(
      lint(Object.fromEntries(free.map(([code], index) => [`bench/Fine${index}.ts`, `${code}\n`]))),
      []
    )
  })

  it("let exactly one file schedule, and only with queueMicrotask and setImmediate", () => {
    const text = "export const a = (f: () => void) => { queueMicrotask(f); setImmediate(f) }\n"
    assert.deepStrictEqual(lint({ "src/process/internal/RunQueue.ts": text }), [])
    assert.deepStrictEqual(lint({ "src/process/internal/RunLoop.ts": text }), [
      "src/process/internal/RunLoop.ts: eslint(no-restricted-globals)",
      "src/process/internal/RunLoop.ts: eslint(no-restricted-globals)"
    ])
    assert.deepStrictEqual(
      lint({ "src/process/internal/RunQueue.ts": "export const a = (f: () => void) => setTimeout(f, 0)\n" }),
      ["src/process/internal/RunQueue.ts: eslint(no-restricted-globals)"]
    )
  })

  it("yield to a disable comment for one line", () => {
    assert.deepStrictEqual(
      lint({
        "src/otp/Fine.ts": [
          "export const a = (f: () => void) => {",
          "  // oxlint-disable-next-line effect-otp/no-try -- user code may throw",
          "  try { f() } catch { return }",
          "}",
          ""
        ].join("\n")
      }),
      []
    )
  })
})

/** What is wrong with the disable comments of a file. */
const disableProblems = (file: string, text: string): Array<string> =>
  parse(file, text).comments.flatMap((comment) => {
    const match = /^\s*(?:oxlint|eslint)-(disable\S*|enable)(.*)$/s.exec(comment.value)
    if (match === null) return []
    const at = `${file}:${lineAt(text, comment.start)}`
    if (match[1] !== "disable-next-line" && match[1] !== "disable-line") {
      return [`${at}: disables rules for more than a line`]
    }
    return /^\s+[\w-]+\/?[\w-]*(?:,\s*[\w-]+\/?[\w-]*)*\s+--\s+\S.{9,}/s.test(match[2]!)
      ? []
      : [`${at}: names no rule, or gives no reason after " -- "`]
  })

describe("disable comments in src", () => {
  it("concern one line, one rule, and give a reason", () => {
    const problems = filesBelow("src", ".ts").flatMap((file) => disableProblems(file, read(file)))
    assert.deepStrictEqual(problems, [])
  })

  it("are refused for a file, without a rule, or without a reason", () => {
    const judge = (comment: string): number => disableProblems("A.ts", `${comment}\nexport const a = 1\n`).length
    assert.strictEqual(judge("/* oxlint-disable */"), 1)
    assert.strictEqual(judge("/* eslint-disable effect-otp/no-try -- user code may throw */"), 1)
    assert.strictEqual(judge("// oxlint-disable-next-line"), 1)
    assert.strictEqual(judge("// oxlint-disable-next-line effect-otp/no-try"), 1)
    assert.strictEqual(judge("// oxlint-disable-next-line effect-otp/no-try -- why"), 1)
    assert.strictEqual(judge("// oxlint-disable-next-line -- user code may throw"), 1)
    assert.strictEqual(judge("// oxlint-disable-next-line effect-otp/no-try -- user code may throw"), 0)
    assert.strictEqual(judge("// oxlint-disable-next-line no-eval, effect-otp/no-try -- user code may throw"), 0)
  })
})
