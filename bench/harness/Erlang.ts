/**
 * The Erlang node that works beside ours: compiled from own sources into a temporary folder, started once, and asked for
 * one round at a time over stdin, so that the rounds of both sides alternate on the same machine in the same minute.
 *
 * It runs with Erlang's own defaults (all schedulers, JIT) except that reports of crashed children are not printed, as on
 * our side. Where `erl` or `erlc` is missing, `start` yields `undefined`: the caller says so, loudly.
 *
 * @since 0.1.0
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Values } from "./Benchmark.ts"

/**
 * A running Erlang node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Erlang {
  readonly version: string
  /** One round of a module; rejects when the module crashes or does not answer within the limit. */
  readonly run: (module: string, count: number) => Promise<Values>
  readonly stop: () => Promise<void>
}

const answerLimitMillis = 60_000

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT"

const compile = async (sources: URL, into: string): Promise<void> => {
  const folder = fileURLToPath(sources)
  const files = (await readdir(folder)).filter((file) => file.endsWith(".erl")).map((file) => join(folder, file))
  await new Promise<void>((resolve, reject) => {
    execFile("erlc", ["-Wall", "-o", into, ...files], (error, stdout, stderr) => {
      if (error === null) return resolve()
      reject(isMissing(error) ? error : new Error(`erlc failed:\n${stdout}${stderr}`))
    })
  })
}

const parseValues = (words: ReadonlyArray<string>): Values =>
  Object.fromEntries(words.map((word) => {
    const [name, value] = word.split("=")
    return [name, Number(value)]
  }))

const connect = (
  child: ChildProcessWithoutNullStreams,
  folder: string
): Promise<Erlang> =>
  new Promise((resolve, reject) => {
    let waiting:
      | { readonly resolve: (words: Array<string>) => void; readonly reject: (error: Error) => void }
      | undefined
    const answer = (): Promise<Array<string>> =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
      })
    const ask = async (line: string): Promise<Array<string>> => {
      const limit = setTimeout(() => {
        waiting?.reject(new Error(`Erlang did not answer "${line}" within ${answerLimitMillis} ms`))
        child.kill("SIGKILL") // its late answer must not be taken for that of the next round
      }, answerLimitMillis)
      try {
        const reply = answer()
        child.stdin.write(line + "\n")
        return await reply
      } finally {
        clearTimeout(limit)
      }
    }
    const fail = (error: Error): void => {
      waiting?.reject(error)
      reject(error)
    }
    child.once("error", fail)
    child.once("exit", (code) => fail(new Error(`Erlang ended with code ${code}`)))
    child.stdin.on("error", fail)
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (!line.startsWith("@")) return void process.stderr.write(`erl: ${line}\n`)
      const [kind, ...words] = line.slice(1).split(" ")
      if (kind === "ready") return resolve(erlang(`OTP ${words[0]}, ${words[1]}, ${words[2]} schedulers`))
      if (kind === "ok") return waiting?.resolve(words.slice(1))
      waiting?.reject(new Error(`Erlang: ${words.join(" ")}`))
    })
    const erlang = (version: string): Erlang => ({
      version,
      run: async (module, count) => parseValues(await ask(`run ${module} ${count}`)),
      stop: async () => {
        if (child.exitCode === null && child.signalCode === null) {
          const ended = new Promise((resolve) => child.once("exit", resolve))
          child.stdin.end("quit\n")
          await ended
        }
        await rm(folder, { recursive: true, force: true })
      }
    })
  })

/**
 * Compiles the sources and starts the node, or yields `undefined` where Erlang is not installed. `flags` go to `erl` as
 * they are, for example `["+S", "1:1"]`; `env` goes to its environment.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = async (
  sources: URL,
  flags: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {}
): Promise<Erlang | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), "effect-otp-bench-"))
  try {
    await compile(sources, folder)
    const args = ["-noshell", "-kernel", "logger_level", "none", "-pa", folder, ...flags, "-s", "bench_driver", "main"]
    const child = spawn("erl", args, { env: { ...process.env, ...env } })
    child.stderr.pipe(process.stderr)
    return await connect(child, folder)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    if (isMissing(error)) return undefined
    throw error
  }
}
