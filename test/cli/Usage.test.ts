/**
 * What `effect-otp` says of itself: help, examples, completions, and what it answers when it does not understand.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../project/Sources.ts"
import { buildFirst, builtPackage, run, temporaryFolder } from "./Built.ts"

const commands = [
  "new",
  "run",
  "epmd serve",
  "epmd names",
  "cert ca",
  "cert node",
  "cert self-signed",
  "ping",
  "call",
  "cast",
  "rpc",
  "names",
  "ps",
  "tree",
  "top"
]

describe("effect-otp", () => {
  buildFirst()

  it.live(
    "explains every command, with an example, the flag for JSON, and nothing on standard error",
    () =>
      Effect.gen(function*() {
        const outcomes = yield* Effect.forEach(commands, (command) => run([...command.split(" "), "--help"]), {
          concurrency: 2
        })
        outcomes.forEach(({ code, err, out }, i) => {
          assert.strictEqual(code, 0, commands[i])
          assert.strictEqual(err, "")
          assert.include(out, `effect-otp ${commands[i]}`)
          assert.include(out, "--json")
          assert.match(out, /EXAMPLES\n(.*\n)*.* {2}effect-otp /, commands[i])
        })
      }),
    120_000
  )

  it.live("lists its commands, and has the version of the package", () =>
    Effect.gen(function*() {
      const bare = yield* run([])
      assert.strictEqual(bare.code, 0)
      for (const command of commands) assert.match(bare.out, new RegExp(`^  ${command.split(" ")[0]} `, "m"))
      const version = yield* run(["--version"])
      const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8")) as { version: string }
      assert.strictEqual(version.out.trim(), `effect-otp v${manifest.version}`)
    }), 120_000)

  it.live(
    "gives 2 for what it does not understand, and says what was wrong and where help is",
    () =>
      Effect.gen(function*() {
        const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
          [["nothing"], `Unknown subcommand "nothing"`],
          [["ping"], "Missing required argument: node"],
          [["ping", "shop"], "name@host, such as shop@127.0.0.1"],
          [["call", "a@127.0.0.1", "counter", "{add"], "1:5: `,` or `}` expected"],
          [["ping", "a@127.0.0.1", "--cookie", "secret"], "Unrecognized flag: --cookie"],
          [["names", "--port", "65536"], "a number from 0 to 65535"],
          [["top", "a@127.0.0.1", "--every", "0"], "a number from 0.1 on"],
          [["ps", "a@127.0.0.1", "--sort", "luck"], "reductions"]
        ]
        for (const [args, expected] of wrong) {
          const { code, err, out } = yield* run(args)
          assert.strictEqual(code, 2, args.join(" "))
          assert.strictEqual(out, "")
          assert.include(err, expected)
          assert.match(err, /\nUsage: effect-otp .*\nHelp: {2}effect-otp .*--help\n$/)
          assert.notMatch(err, /\n\s+at /, "a stack trace is not kind")
        }
      }),
    120_000
  )

  it.live("writes completions that a shell accepts", () =>
    Effect.gen(function*() {
      for (const shell of ["bash", "zsh", "fish"]) {
        const { code, out } = yield* run(["--completions", shell])
        assert.strictEqual(code, 0)
        for (const word of ["ping", "tree", "cookie-file"]) assert.include(out, word, shell)
      }
      const { out } = yield* run(["--completions", "bash"])
      const bash = spawnSync("bash", ["-n"], { input: out, encoding: "utf8" })
      if (bash.error === undefined) assert.strictEqual(bash.status, 0, bash.stderr)
    }), 120_000)

  it.live("ends without a word when its reader goes", () =>
    Effect.gen(function*() {
      const folder = yield* builtPackage
      const { status, stderr } = spawnSync(
        "sh",
        [
          "-c",
          `(sleep 0.1; "$0" "$1" run --help; echo "code $?" >&2) | true`,
          process.execPath,
          `${folder}/build/cli/NodeMain.js`
        ],
        { encoding: "utf8" }
      )
      assert.strictEqual(status, 0)
      assert.strictEqual(stderr, "code 0\n")
    }), 120_000)

  it.live("says what to install when the platform is missing", () =>
    Effect.scoped(Effect.gen(function*() {
      const modules = Path.join(yield* temporaryFolder, "node_modules")
      const copy = Path.join(modules, "effect-otp")
      Fs.cpSync(yield* builtPackage, copy, { recursive: true })
      Fs.symlinkSync(Path.join(root, "node_modules/effect"), Path.join(modules, "effect"))
      const { status, stderr, stdout } = spawnSync(process.execPath, [Path.join(copy, "build/cli/NodeMain.js")], {
        encoding: "utf8"
      })
      assert.deepStrictEqual([status, stdout], [1, ""])
      assert.include(stderr, "npm install @effect/platform-node")
    })), 120_000)
})
