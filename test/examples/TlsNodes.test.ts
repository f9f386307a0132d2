/**
 * The two nodes over TLS, run by the commands of their README: what they print is what it says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Certificates from "../dist/Certificates.ts"
import { freePort } from "../dist/ErlangNode.ts"
import { root } from "../project/Sources.ts"

const readme = Fs.readFileSync(Path.join(root, "examples/tls-nodes/README.md"), "utf8")

/** The commands of the README that call Node, as their arguments. */
const commands = [...readme.matchAll(/^node (--.*)$/gm)].map(([, line]) => line!.split(" "))

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

const run = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    execFile(
      process.execPath,
      args,
      { cwd: root, encoding: "utf8", env },
      (error, out, err) => resume(Effect.succeed({ code: error === null ? 0 : Number(error.code), out, err }))
    )
  })

/** Starts a program and waits for its first line. */
const start = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  Effect.acquireRelease(
    Effect.callback<readonly [ChildProcess, string]>((resume) => {
      const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] })
      child.stdout.once("data", (text: Buffer) => resume(Effect.succeed([child, text.toString()])))
    }),
    ([child]) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )

describe("examples/tls-nodes", () => {
  it.live("prints what its README says, and a stranger gets nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      assert.lengthOf(commands, 5)
      const certs = yield* Certificates.folder({})
      const env = {
        ...process.env,
        CERTS: certs,
        COOKIE: "a-cookie-for-this-test-0123",
        PORT: String(yield* freePort),
        NODE_OPTIONS: ""
      }
      for (const command of commands.slice(0, 3)) {
        const { code, err } = yield* run(command.map((word) => word === "certs" ? certs : word), env)
        assert.strictEqual(code, 0, err)
      }
      const [warehouse, open] = yield* start(commands[3]!, env)
      assert.strictEqual(open, "warehouse@127.0.0.1 is open\n")
      const shop = yield* run(commands[4]!, env)
      assert.strictEqual(shop.out, /```text\n([\s\S]*?)```/.exec(readme)![1], shop.err)

      const stranger = yield* Certificates.good(yield* Certificates.authority(), { nodes: ["shop@127.0.0.1"] })
      const other = yield* Certificates.folder({
        "shop.pem": stranger.cert,
        "shop.key": Redacted.value(stranger.key),
        "ca.pem": Fs.readFileSync(Path.join(certs, "ca.pem"), "utf8")
      })
      const refused = yield* run(commands[4]!, { ...env, CERTS: other })
      assert.notStrictEqual(refused.code, 0)
      assert.notInclude(refused.out, "lamp")

      // It stops when it is told to.
      const ended = Effect.callback<number | null>((resume) => {
        warehouse.once("exit", (code) => resume(Effect.succeed(code)))
        warehouse.kill("SIGINT")
      })
      assert.isNotNull(yield* Effect.timeout(ended, 5000))
    })), 60_000)
})
