/**
 * The command line as users get it: the package built into a folder of its own, and its program run from there.
 *
 * It is built once for the sources as they are; the next test that runs finds it. What it needs comes from the
 * `node_modules` of the repository, in which the folder is.
 */
import { beforeAll } from "@effect/vitest"
import { Effect, Option, Queue, type Scope } from "effect"
import { type ChildProcessWithoutNullStreams, execFile, spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { cookie } from "../dist/ErlangNode.ts"
import { filesBelow, root } from "../project/Sources.ts"

const cache = Path.join(root, "node_modules/.cache/effect-otp-built")

/** What the sources are now. */
const fingerprint = (): string => {
  const hash = createHash("sha256")
  for (const file of [...filesBelow("src", ".ts"), "package.json", "tsconfig.json", "tsconfig.build.json"]) {
    const { mtimeMs, size } = Fs.statSync(Path.join(root, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest("hex").slice(0, 16)
}

/** Removes builds that nobody has wanted for an hour. */
const forget = (): void => {
  for (const name of Fs.readdirSync(cache)) {
    const folder = Path.join(cache, name)
    const stat = Fs.statSync(folder, { throwIfNoEntry: false })
    if (stat !== undefined && Date.now() - stat.mtimeMs > 3_600_000) Fs.rmSync(folder, { recursive: true, force: true })
  }
}

const build = (folder: string): void => {
  const temporary = `${folder}-${process.pid}`
  const tsc = Path.join(root, "node_modules/typescript/bin/tsc")
  const outDir = Path.join(temporary, "build")
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", outDir], {
    cwd: root,
    encoding: "utf8"
  })
  if (!Fs.existsSync(Path.join(outDir, "cli/NodeMain.js"))) throw new Error(`the package was not built:\n${stdout}`)
  Fs.copyFileSync(Path.join(root, "package.json"), Path.join(temporary, "package.json"))
  forget()
  // Whoever is first is right: both have built the same.
  if (Fs.existsSync(folder)) Fs.rmSync(temporary, { recursive: true, force: true })
  else Fs.renameSync(temporary, folder)
}

let built: string | undefined

/** The folder of the built package, with its `package.json`; the same for all tests of a file. */
export const builtPackage: Effect.Effect<string> = Effect.sync(() => {
  if (built !== undefined) return built
  const folder = Path.join(cache, fingerprint())
  if (Fs.existsSync(folder)) Fs.utimesSync(folder, new Date(), new Date())
  else build(folder)
  built = folder
  return folder
})

/** Builds before the tests of a file, so that none of them is blamed for the time that it takes. */
export const buildFirst = (): void => beforeAll(() => void Effect.runSync(builtPackage), 180_000)

/** A folder of its own that is gone afterwards. */
export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-cli-")))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** A folder in which the built package is installed, as in a project of a user. */
export const projectFolder: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const modules = Path.join(folder, "node_modules")
  Fs.mkdirSync(modules)
  Fs.symlinkSync(yield* builtPackage, Path.join(modules, "effect-otp"))
  Fs.symlinkSync(Path.join(root, "node_modules/effect"), Path.join(modules, "effect"))
  Fs.writeFileSync(Path.join(folder, "package.json"), `{ "type": "module" }`)
  return folder
})

/** Where and with what to run. */
export interface Options {
  readonly cwd?: string
  readonly env?: { readonly [name: string]: string | undefined }
}

/** Nothing of the machine's own settings, and no colours. */
const environment = (options: Options | undefined): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  HOME: Os.devNull,
  TERM: "xterm",
  NO_COLOR: "1",
  EFFECT_OTP_COOKIE: cookie,
  ...options?.env
})

/** What became of a command. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command to its end, which must come within a minute. */
export const run = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Outcome> =>
  Effect.flatMap(builtPackage, (folder) =>
    Effect.callback((resume) => {
      const child = execFile(
        process.execPath,
        [Path.join(folder, "build/cli/NodeMain.js"), ...args],
        { cwd: options?.cwd ?? Os.tmpdir(), encoding: "utf8", env: environment(options), timeout: 60_000 },
        (error, out, err) =>
          resume(
            Effect.succeed({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, out, err })
          )
      )
      return Effect.sync(() => child.kill("SIGKILL"))
    }))

/** A command that runs until it is told to stop. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  /** The next line that it prints. */
  readonly line: Effect.Effect<string>
  /** Sends a signal, and gives the exit code when it has ended; null when it was killed. */
  readonly stop: (signal: NodeJS.Signals) => Effect.Effect<number | null>
  /** What it has printed on standard error so far. */
  readonly errors: () => string
}

const ended = (child: ChildProcessWithoutNullStreams): Effect.Effect<number | null> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.succeed(child.exitCode))
    child.once("close", () => resume(Effect.succeed(child.exitCode)))
  })

/** Starts a program; it is killed with the scope. */
export const startProgram = (
  command: string,
  args: ReadonlyArray<string>,
  options?: Options
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(command, args, { cwd: options?.cwd ?? Os.tmpdir(), env: environment(options) })),
      (child) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), ended(child))
    )
    const lines = yield* Queue.unbounded<string>()
    let rest = ""
    let errors = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text)
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\n")
      rest = parts.pop()!
      for (const line of parts) Queue.offerUnsafe(lines, line)
    })
    const next = Effect.flatMap(
      Effect.timeoutOption(Queue.take(lines), "20 seconds"),
      Option.match({
        onSome: Effect.succeed,
        onNone: () => Effect.die(new Error(`it prints no line: ${rest}${errors}`))
      })
    )
    return {
      child,
      line: next,
      stop: (signal) => Effect.andThen(Effect.sync(() => child.kill(signal)), ended(child)),
      errors: () => errors
    }
  })

/** Starts a command of the program; it is killed with the scope. */
export const start = (
  args: ReadonlyArray<string>,
  options?: Options
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.flatMap(
    builtPackage,
    (folder) => startProgram(process.execPath, [Path.join(folder, "build/cli/NodeMain.js"), ...args], options)
  )
