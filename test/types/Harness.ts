/**
 * Type tests: fixtures that TypeScript compiles, and what it must say about them.
 *
 * A fixture is a file `test/types/fixtures/<Name>.fixture.ts`. It is never run and is left out of the ordinary type check;
 * all fixtures are compiled in one run of `tsc` with the options of the root `tsconfig.json` (unused names are allowed).
 * Import the library as a user would (`effect-otp/otp`) and the helpers from `../Assert.ts`. Three kinds of statement:
 *
 * ```text
 * // @error TS2345 part of the message
 * counter.Add({ n: "two" })
 * ```
 * The next line of code has this error. The part may be left out, and may be of any line of the message. Several
 * directives in a row ask for several errors on that line. An error of a call that spans lines is reported where the wrong
 * part stands: put the directive right above that part. It may also end the line itself:
 * `counter.Ad() // @error TS2551`. Any error that no directive asks for fails the fixture, and so does a directive without
 * its error.
 *
 * ```text
 * // @type Effect<number, Overflow | CallError, never>
 * export const total = counter.Add({ n: 2 })
 * ```
 * The compiler prints the type of the exported `const` on the next line exactly so, as an editor shows it. To go on in the
 * next comment line, end the line with a backslash.
 *
 * ```text
 * assertType<Equal<typeof total, Effect.Effect<number, Overflow | CallError>>>()
 * ```
 * The type is the same, whatever it is called.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const root = Path.dirname(Path.dirname(Path.dirname(fileURLToPath(import.meta.url))))

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/**
 * An empty folder of this process below `.cache`, inside the repository so that `effect-otp` and `effect` resolve from it.
 * Test runners end their workers without notice, so the folders of processes that are gone are removed here.
 */
export const scratch = (name: string): string => {
  const cache = Path.join(root, ".cache")
  Fs.mkdirSync(cache, { recursive: true })
  for (const item of Fs.readdirSync(cache)) {
    const [prefix, pid] = item.split(".")
    if (prefix === name && (Number(pid) === process.pid || !isAlive(Number(pid)))) {
      Fs.rmSync(Path.join(cache, item), { recursive: true, force: true })
    }
  }
  const folder = Path.join(cache, `${name}.${process.pid}`)
  Fs.mkdirSync(folder, { recursive: true })
  return folder
}

/** An error of the compiler. */
export interface Diagnostic {
  /** Absolute. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** `TS2345` */
  readonly code: string
  /** All lines of the message, joined by line breaks. */
  readonly message: string
}

/** An error that a fixture asks for. */
export interface Expectation {
  /** The line that must have the error. */
  readonly line: number
  readonly code: string
  /** What the message must contain; may be empty. */
  readonly part: string
}

/** A printed type that a fixture asks for. */
export interface TypeExpectation {
  readonly line: number
  /** The exported constant. */
  readonly name: string
  readonly printed: string
}

/** What a fixture asks for, and what is wrong with the way it asks. */
export interface Directives {
  readonly errors: ReadonlyArray<Expectation>
  readonly types: ReadonlyArray<TypeExpectation>
  readonly problems: ReadonlyArray<string>
}

/** Reads the directives of a fixture. */
export const directivesOf = (text: string): Directives => {
  const lines = text.split("\n")
  const errors: Array<Expectation> = []
  const types: Array<TypeExpectation> = []
  const problems: Array<string> = []
  let waiting: Array<Omit<Expectation, "line">> = []
  let printed: string | undefined
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!
    const number = index + 1
    const type = /^\s*\/\/ @type (.*)$/.exec(line)
    if (type !== null) {
      printed = type[1]!
      while (printed.endsWith("\\") && index + 1 < lines.length) {
        printed = printed.slice(0, -1) + lines[++index]!.replace(/^\s*\/\/\s*/, "")
      }
      continue
    }
    const error = /\/\/ @error(?:\s+(\S+))?(?:\s+(.*\S))?\s*$/.exec(line)
    if (error !== null) {
      if (!/^TS\d+$/.test(error[1] ?? "")) {
        problems.push(`line ${number}: @error needs a code such as TS2345`)
        continue
      }
      const expectation = { code: error[1]!, part: error[2] ?? "" }
      if (line.trimStart().startsWith("//")) waiting.push(expectation)
      else errors.push({ ...expectation, line: number })
      if (line.trimStart().startsWith("//")) continue
    } else if (/\/\/\s*@(?:error|type|ts-)/.test(line)) {
      problems.push(`line ${number}: this directive cannot be read`)
    }
    if (line.trim() === "" || line.trimStart().startsWith("//")) continue
    for (const expectation of waiting) errors.push({ ...expectation, line: number })
    waiting = []
    if (printed !== undefined) {
      const name = /^export (?:declare )?const (\w+)\b/.exec(line)?.[1]
      if (name === undefined) problems.push(`line ${number}: @type is followed by an exported const`)
      else types.push({ line: number, name, printed: printed.trim() })
      printed = undefined
    }
  }
  if (waiting.length > 0 || printed !== undefined) problems.push("the last directive is followed by no code")
  return { errors, types, problems }
}

/** Compares what a fixture asks for with the errors that it has; each difference is a sentence with its line. */
export const compareErrors = (
  expected: ReadonlyArray<Expectation>,
  actual: ReadonlyArray<Diagnostic>
): Array<string> => {
  const left = [...actual]
  const problems: Array<string> = []
  for (const expectation of expected) {
    const fits = (item: Diagnostic): boolean =>
      item.line === expectation.line && item.code === expectation.code && item.message.includes(expectation.part)
    const index = left.findIndex(fits)
    if (index >= 0) {
      left.splice(index, 1)
      continue
    }
    const wanted = `${expectation.code}${expectation.part === "" ? "" : ` "${expectation.part}"`}`
    problems.push(`line ${expectation.line}: no error ${wanted}`)
  }
  for (const item of left) problems.push(`line ${item.line}: unexpected ${item.code}: ${item.message}`)
  return problems
}

/** Reads what `tsc --pretty false` prints; `folder` is where it ran. */
export const parseDiagnostics = (output: string, folder: string): Array<Diagnostic> => {
  const diagnostics: Array<{ file: string; line: number; code: string; message: string }> = []
  for (const line of output.split("\n")) {
    const head = /^(.+?)\((\d+),\d+\): error (TS\d+): (.*)$/.exec(line)
    if (head !== null) {
      diagnostics.push({
        file: Path.resolve(folder, head[1]!),
        line: Number(head[2]),
        code: head[3]!,
        message: head[4]!
      })
    } else if (/^\s/.test(line) && diagnostics.length > 0) {
      diagnostics.at(-1)!.message += `\n${line.trim()}`
    } else if (/^error TS\d+/.test(line)) {
      throw new Error(`tsc refuses to work: ${line}`)
    }
  }
  return diagnostics
}

/**
 * Compiles these files (absolute) as one program with the options of the root, and gives its errors. `folder` is a scratch
 * folder, which gets the configuration.
 */
export const compile = (folder: string, files: ReadonlyArray<string>): Array<Diagnostic> => {
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: {
      noErrorTruncation: true,
      noUnusedLocals: false,
      noUnusedParameters: false
    },
    include: [],
    exclude: [],
    files
  }
  Fs.writeFileSync(Path.join(folder, "tsconfig.json"), JSON.stringify(config, undefined, 2))
  const run = spawnSync(
    process.execPath,
    [Path.join(root, "node_modules/typescript/bin/tsc"), "-p", folder, "--pretty", "false"],
    { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 }
  )
  const diagnostics = parseDiagnostics(run.stdout, folder)
  if (run.status !== 0 && diagnostics.length === 0) {
    throw new Error(`tsc ended with ${run.status}: ${run.stdout}${run.stderr}`)
  }
  return diagnostics
}

/** The verdict over fixtures. */
export interface Verdict {
  /** What is wrong, by fixture; an entry for each, empty when all is as it says. */
  readonly fixtures: ReadonlyMap<string, ReadonlyArray<string>>
  /** Errors in files that the fixtures import. */
  readonly elsewhere: ReadonlyArray<string>
}

/** A file beside the fixture's program that makes the compiler print the types of its constants, one per line. */
const probeOf = (probe: string, fixture: string, types: ReadonlyArray<TypeExpectation>): string => {
  const path = Path.relative(Path.dirname(probe), fixture).split(Path.sep).join("/")
  return [
    "declare class Shown<A> { private readonly type: A }",
    ...types.map(({ name }, index) =>
      `import { ${name} as t${index} } from "${path}"; export const s${index}: Shown<typeof t${index}> = 0`
    )
  ].join("\n")
}

/** Compiles fixtures (absolute paths) and compares each with its directives. */
export const checkFixtures = (name: string, fixtures: ReadonlyArray<string>): Verdict => {
  const folder = scratch(name)
  const asked = new Map(fixtures.map((file) => [file, directivesOf(Fs.readFileSync(file, "utf8"))]))
  const probes = new Map<string, string>()
  for (const [file, { types }] of asked) {
    if (types.length === 0) continue
    const probe = Path.join(folder, `${probes.size}.probe.ts`)
    Fs.writeFileSync(probe, probeOf(probe, file, types))
    probes.set(file, probe)
  }
  const diagnostics = compile(folder, [...fixtures, ...probes.values()])
  const of = (file: string): Array<Diagnostic> => diagnostics.filter((item) => item.file === file)
  const verdict = new Map<string, Array<string>>()
  for (const [file, { errors, problems, types }] of asked) {
    const found = [...problems, ...compareErrors(errors, of(file))]
    for (const [index, expectation] of types.entries()) {
      // The first line of the probe is the class.
      const messages = of(probes.get(file)!).filter((item) => item.line === index + 2).map((item) => item.message)
      const printed = messages
        .map((message) => /^Type 'number' is not assignable to type 'Shown<(.*)>'\.$/s.exec(message)?.[1])
        .find((text) => text !== undefined)
      if (printed !== expectation.printed) {
        const shown = printed ?? messages.join("; ")
        found.push(
          `line ${expectation.line}: ${expectation.name} is shown as\n  ${shown}\nand not as\n  ${expectation.printed}`
        )
      }
    }
    verdict.set(file, found)
  }
  const known = new Set([...fixtures, ...probes.values()])
  return {
    fixtures: verdict,
    elsewhere: diagnostics
      .filter((item) => !known.has(item.file))
      .map((item) => `${Path.relative(root, item.file)}:${item.line}: ${item.code}: ${item.message}`)
  }
}
