/**
 * Running an example that joins other nodes: its program as a user starts it, and what its README promises.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../project/Sources.ts"

/** The blocks of one language in the README of an example. */
export const blocks = (example: string, language: string): ReadonlyArray<string> =>
  [
    ...Fs.readFileSync(Path.join(root, "examples", example, "README.md"), "utf8").matchAll(
      new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g")
    )
  ].map((match) => match[1]!)

/** The inputs and outputs of a session in a shell, whose prompts match. */
export const session = (
  text: string,
  prompt: RegExp
): ReadonlyArray<{ readonly input: string; readonly output: string }> => {
  const steps: Array<{ input: string; output: string }> = []
  for (const line of text.trimEnd().split("\n")) {
    const match = prompt.exec(line)
    if (match !== null) steps.push({ input: line.slice(match[0].length), output: "" })
    else {
      const step = steps.at(-1)!
      step.output = step.output === "" ? line : `${step.output}\n${line}`
    }
  }
  return steps
}

/** A program that runs. */
export interface Program {
  /** Waits until standard output is what is promised, or something else, and gives it. */
  readonly written: (promised: string) => Effect.Effect<string>
  /** Types a line. */
  readonly type: (line: string) => Effect.Effect<void>
  /** Waits for its end, and gives its exit code. */
  readonly ended: Effect.Effect<number | null>
  /** Tells it to stop, and gives its exit code. */
  readonly stop: Effect.Effect<number | null>
}

/** Runs a command; it is killed with the scope. */
export const runFile = (
  command: string,
  arguments_: ReadonlyArray<string>,
  env: { readonly [variable: string]: string }
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(command, arguments_, { cwd: root, stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } })
      ),
      (child) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), ended(child))
    ),
    (child) => {
      let output = ""
      let errors = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
      child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text)
      return {
        written: (promised) =>
          Effect.gen(function*() {
            while (output.length < promised.length && promised.startsWith(output)) {
              // What it has printed may come after the news of its end.
              if (child.exitCode !== null && child.stdout.readableEnded) {
                return yield* Effect.die(new Error(`it has ended: ${output}${errors}`))
              }
              yield* Effect.sleep(20)
            }
            return output
          }),
        type: (line) => Effect.sync(() => void child.stdin.write(`${line}\n`)),
        ended: ended(child),
        stop: Effect.andThen(Effect.sync(() => child.kill("SIGTERM")), ended(child))
      }
    }
  )

/** Starts a program of an example; it is killed with the scope. */
export const program = (
  example: string,
  env: { readonly [variable: string]: string },
  file = "main.ts",
  arguments_: ReadonlyArray<string> = []
): Effect.Effect<Program, never, Scope.Scope> =>
  runFile(process.execPath, ["--conditions=effect-otp-source", `examples/${example}/${file}`, ...arguments_], env)

const ended = (child: ChildProcess): Effect.Effect<number | null> =>
  Effect.callback((resume) => {
    const done = () => resume(Effect.succeed(child.exitCode))
    if (child.exitCode !== null || child.signalCode !== null) done()
    else child.once("exit", done)
  })
