/**
 * `effect-otp run`: files as nodes, as a user runs them, in a project where the package is installed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { freePort } from "../dist/ErlangNode.ts"
import { buildFirst, projectFolder, run, start } from "./Built.ts"

const application = `
import { Effect, Schema } from "effect"
import { Application, GenServer, Message, Protocol, Supervisor } from "effect-otp"

class Counter extends Protocol.make("Counter", Message.Call("Get", { success: Schema.Int })) {}

const CounterServer = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: { Get: (_, count) => GenServer.reply(count, count) }
})

const last = { stopped: false }
const Base = Application.make("base", { stop: () => Effect.sync(() => console.log("base stopped after " + last.stopped)) })

export default Application.make("shop", {
  applications: [Base],
  supervisor: Supervisor.make({ children: [Supervisor.child("counter", CounterServer, 7, { name: "counter" })] }),
  stop: () => Effect.sync(() => {
    last.stopped = true
    console.log("shop stopped")
  })
})
`

const layer = `
import { Console, Effect, FileSystem, Layer } from "effect"
import { Node } from "effect-otp"

export default Layer.effectDiscard(Effect.gen(function*() {
  const node = yield* Node.Node
  const files = yield* FileSystem.FileSystem
  yield* Console.log(node.name, yield* files.exists("/"))
  yield* Effect.addFinalizer(() => Console.log("released"))
}))
`

/** A project with files, and what is needed to run them in it. */
const project = (files: { readonly [name: string]: string }) =>
  Effect.gen(function*() {
    const cwd = yield* projectFolder
    for (const [name, text] of Object.entries(files)) Fs.writeFileSync(Path.join(cwd, name), text)
    return { cwd, env: { ERL_EPMD_PORT: String(yield* freePort), HOME: cwd } }
  })

describe("effect-otp run", () => {
  buildFirst()

  it.live(
    "runs an application as a node that others reach, and stops it in order on SIGTERM",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const options = yield* project({ "shop.ts": application })
        const node = yield* start(["run", "shop.ts"], options)
        assert.match(
          yield* node.line,
          new RegExp(
            `^shop@127\\.0\\.0\\.1 listens on 127\\.0\\.0\\.1:\\d+ \\(EPMD on port ${options.env.ERL_EPMD_PORT}\\); Ctrl-C stops it$`
          )
        )
        assert.strictEqual((yield* run(["call", "shop@127.0.0.1", "counter", "get"], options)).out, "7\n")
        assert.include((yield* run(["tree", "shop@127.0.0.1"], options)).out, "application shop")
        assert.strictEqual(yield* node.stop("SIGTERM"), 0)
        assert.strictEqual(yield* node.line, "shop stopped")
        assert.strictEqual(yield* node.line, "base stopped after true")
        assert.strictEqual(node.errors(), "")
      })),
    120_000
  )

  it.live(
    "runs a layer, which has the node and the services of the platform; answers no tools when told not to",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const options = yield* project({ "pages.ts": layer })
        const node = yield* start(
          ["run", "pages.ts", "--name", "web@127.0.0.1", "--no-tools", "--hidden", "--json"],
          options
        )
        const said = JSON.parse(yield* node.line) as { node: string; port: number; host: string }
        assert.strictEqual(said.node, "web@127.0.0.1")
        assert.isAbove(said.port, 0)
        assert.strictEqual(yield* node.line, "web@127.0.0.1 true")
        const ps = yield* run(["ps", "web@127.0.0.1"], options)
        assert.include(ps.err, "tells others nothing about itself")
        // The name belongs to it as long as it runs.
        const second = yield* run(["run", "pages.ts", "--name", "web@127.0.0.1"], options)
        assert.strictEqual(second.code, 1)
        assert.include(second.err, "another node is registered under this name")
        assert.strictEqual(yield* node.stop("SIGINT"), 0)
        assert.strictEqual(yield* node.line, "released")
      })),
    120_000
  )

  it.live(
    "makes a cookie where there is none, for its owner only, and takes it the next time",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { cwd, env } = yield* project({ "pages.ts": layer })
        const options = { cwd, env: { ...env, EFFECT_OTP_COOKIE: undefined } }
        const file = Path.join(cwd, ".erlang.cookie")
        const node = yield* start(["run", "pages.ts"], options)
        yield* node.line
        assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o400)
        const made = Fs.readFileSync(file, "utf8")
        assert.match(made, /^[A-Z0-9]{28}$/)
        assert.strictEqual((yield* run(["ping", "pages@127.0.0.1"], options)).code, 0)
        yield* node.stop("SIGTERM")
        const again = yield* start(["run", "pages.ts"], options)
        yield* again.line
        assert.strictEqual(Fs.readFileSync(file, "utf8"), made)
        assert.strictEqual(yield* again.stop("SIGTERM"), 0)
      })),
    120_000
  )

  it.live("says kindly what is wrong with a file, or with what it runs", () =>
    Effect.scoped(Effect.gen(function*() {
      const options = yield* project({
        "nothing.ts": "export const x = 1\n",
        "number.ts": "export default 1\n",
        "throws.ts": "const x: number = 1\nthrow new Error(\"boom \" + x)\n",
        "missing.ts": "import \"no-such-package\"\n",
        "broken.ts": "export default {\n",
        "crash.ts": `
          import { Effect, Layer } from "effect"
          export default Layer.effectDiscard(Effect.fail(new Error("no database at db:5432")))
        `,
        "gives-up.ts": `
          import { Effect } from "effect"
          import { Application, Supervisor } from "effect-otp"
          export default Application.make("fragile", {
            supervisor: Supervisor.make({ intensity: 0, children: [Supervisor.worker("w", Effect.sleep("100 millis"))] })
          })
        `,
        "my shop.ts": layer
      })
      const because = (expected: string, file: string, ...more: ReadonlyArray<string>) =>
        Effect.map(run(["run", file, ...more], options), ({ code, err }) => {
          assert.strictEqual(code, 1, file)
          assert.include(err, expected)
          assert.notMatch(err, /\n\s+at /, `${file}: a stack trace is not kind`)
        })
      yield* because("no.ts is not there", "no.ts")
      yield* because("exports nothing that runs", "nothing.ts")
      yield* because("must be an Application, a list of them, or a Layer", "number.ts")
      yield* because(`boom 1 (${Path.join(options.cwd, "throws.ts")}:2:`, "throws.ts")
      yield* because("no-such-package is not there. Is it installed where the file is?", "missing.ts")
      yield* because("broken.ts cannot be loaded", "broken.ts")
      yield* because("crash.ts failed: no database at db:5432", "crash.ts")
      yield* because("fragile", "gives-up.ts", "--log-level", "none")
      yield* because("give one with --name", "my shop.ts")
      Fs.writeFileSync(Path.join(options.cwd, "weak"), "monster", { mode: 0o400 })
      yield* because("--allow-weak-cookie", "crash.ts", "--cookie-file", "weak")
      yield* because("can be reached from other hosts", "crash.ts", "--listen", "0.0.0.0")
      yield* because("all of --tls-cert, --tls-key and --tls-ca", "crash.ts", "--tls-cert", "weak")
      const json = yield* run(["run", "no.ts", "--json"], options)
      assert.deepStrictEqual([json.code, json.out], [1, ""])
      assert.strictEqual((JSON.parse(json.err) as { error: { reason: string } }).error.reason, "Module")
    })), 120_000)

  it.live("logs on standard error, as much as --log-level says", () =>
    Effect.scoped(Effect.gen(function*() {
      const options = yield* project({
        "talks.ts": `
          import { Effect, Layer } from "effect"
          export default Layer.effectDiscard(Effect.gen(function*() {
            yield* Effect.logDebug("a detail")
            yield* Effect.log("a fact")
            yield* Effect.fail(new Error("the end"))
          }))
        `
      })
      const logs = (...level: ReadonlyArray<string>) =>
        Effect.map(run(["run", "talks.ts", ...level], options), ({ err, out }) => {
          assert.notInclude(out, "a fact")
          assert.include(err, "talks.ts failed: the end")
          return ["a detail", "a fact"].filter((text) => err.includes(text))
        })
      assert.deepStrictEqual(yield* logs(), ["a fact"])
      assert.deepStrictEqual(yield* logs("--log-level", "debug"), ["a detail", "a fact"])
      assert.deepStrictEqual(yield* logs("--log-level", "none"), [])
    })), 120_000)

  it.live(
    "refuses a file that uses another copy of the library than it does",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const options = yield* project({ "pages.ts": layer })
        const other = yield* project({ "pages.ts": layer })
        Fs.rmSync(Path.join(other.cwd, "node_modules/effect-otp"))
        const copy = Path.join(other.cwd, "node_modules/effect-otp")
        Fs.cpSync(Fs.realpathSync(Path.join(options.cwd, "node_modules/effect-otp")), copy, { recursive: true })
        const { code, err } = yield* run(["run", Path.join(other.cwd, "pages.ts")], options)
        assert.strictEqual(code, 1)
        assert.include(err, copy)
        assert.include(err, "npx effect-otp")
      })),
    120_000
  )

  it.live(
    "speaks TLS with certificates of `effect-otp cert`, and so do the commands that talk to it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const options = yield* project({ "pages.ts": layer })
        yield* run(["cert", "ca"], options)
        yield* run(["cert", "node", "pages@127.0.0.1"], options)
        const tls = ["--tls-cert", "pages.pem", "--tls-key", "pages.key", "--tls-ca", "ca.pem"]
        const node = yield* start(["run", "pages.ts", ...tls], options)
        yield* node.line
        assert.match((yield* run(["ping", "pages@127.0.0.1", ...tls], options)).out, /^pong/)
        const plain = yield* run(["ping", "pages@127.0.0.1", "--timeout", "1"], options)
        assert.match(plain.out, /^pang: .*--tls-cert/)
        assert.strictEqual(yield* node.stop("SIGTERM"), 0)
      })),
    120_000
  )
})
