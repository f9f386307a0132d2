/**
 * `docs/command-line.md`: its commands are run, in order, in a project that has its file, and print what it says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { freePort } from "../dist/ErlangNode.ts"
import { session } from "../examples/Nodes.ts"
import { read } from "../project/Sources.ts"
import { buildFirst, builtPackage, projectFolder, start } from "./Built.ts"

const page = read("docs/command-line.md")

const blocks = (language: string): ReadonlyArray<string> =>
  Array.from(page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g")), (match) => match[1]!)

/** Without what is another thing each time: times, ports, sizes, the numbers of processes, dates, fingerprints. */
const lasting = (text: string): string =>
  text.trim()
    .replaceAll(/\d+\.\d ms/g, "_ ms")
    .replaceAll(/(127\.0\.0\.1:|EPMD on port )\d+/g, "$1_")
    .replaceAll(/^(shop +)\d+$/gm, "$1_")
    .replaceAll(/up \d\d:\d\d:\d\d/g, "up _")
    .replaceAll(/memory [\d.]+ MiB/g, "memory _")
    .replaceAll(/<0\.\d+\.0>/g, "<_>")
    .replaceAll(/\d{4}-\d\d-\d\d/g, "_")
    .replaceAll(/SHA-256 [0-9A-F:]+/g, "SHA-256 _")
    .replaceAll(/ {2,}/g, "  ")

interface Where {
  readonly cwd: string
  readonly env: { readonly [name: string]: string }
}

const program = "npx effect-otp "

/** What a command prints, on both its outputs. */
const printed = (command: string, { cwd, env }: Where): Effect.Effect<string> =>
  Effect.flatMap(builtPackage, (folder) =>
    Effect.callback((resume) => {
      const main = `'${process.execPath}' '${folder}/build/cli/NodeMain.js' `
      execFile("sh", ["-c", `${command.replace(program, main)} 2>&1`], {
        cwd,
        encoding: "utf8",
        env: { PATH: process.env["PATH"], NO_COLOR: "1", ...env },
        timeout: 60_000
      }, (_, out) => resume(Effect.succeed(out)))
    }))

/** The first line of a command that runs until it is stopped, which is when the page ends. */
const begun = (command: string, where: Where): Effect.Effect<string, never, Scope.Scope> =>
  Effect.flatMap(
    start(command.slice(program.length).split(" "), {
      cwd: where.cwd,
      env: { EFFECT_OTP_COOKIE: undefined, ...where.env }
    }),
    ({ line }) => line
  )

describe("docs/command-line.md", () => {
  buildFirst()

  it.live("shows what its commands print", () =>
    Effect.scoped(Effect.gen(function*() {
      const cwd = yield* projectFolder
      const [file] = blocks("ts")
      Fs.writeFileSync(Path.join(cwd, "shop.ts"), file!)
      const where = { cwd, env: { ERL_EPMD_PORT: String(yield* freePort), HOME: cwd } }
      const steps = blocks("console").flatMap((block) => session(block, /^\$ /))
      assert.isAbove(steps.length, 12)
      for (const { input, output } of steps) {
        assert.isTrue(input.startsWith(program), input)
        const isEndless = /^npx effect-otp (?:run|epmd serve) /.test(input)
        const found = yield* isEndless ? begun(input, where) : printed(input, where)
        assert.strictEqual(lasting(found), lasting(output), input)
      }
    })), 180_000)
})
