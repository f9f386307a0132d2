/**
 * `effect-otp top` in a terminal: `script` of util-linux gives it one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { freePort } from "../dist/ErlangNode.ts"
import { buildFirst, builtPackage, startProgram } from "./Built.ts"
import { shop } from "./Shop.ts"

const available = spawnSync("script", ["--version"]).status === 0

const escape = "\u001B["
const enter = `${escape}?1049h${escape}?25l`
const leave = `${escape}?25h${escape}?1049l`

/** Runs `top` in a terminal of 20 rows, and after it says how the terminal is then. */
const terminal = (env: { readonly [name: string]: string }, node: string) =>
  Effect.gen(function*() {
    const folder = yield* builtPackage
    const top = `echo "pid $$"; exec "$NODE" "$MAIN" top ${node} --every 0.2`
    const command = `stty rows 20 cols 100; sh -c '${top}'; echo "code $?"; stty -a`
    const program = yield* startProgram("script", ["-qfec", command, "/dev/null"], {
      env: { ...env, NODE: process.execPath, MAIN: `${folder}/build/cli/NodeMain.js`, SHELL: "/bin/sh" }
    })
    let screen = ""
    program.child.stdout.on("data", (text: string) => screen += text)
    const waitFor = (what: string | RegExp) =>
      Effect.gen(function*() {
        while (!(typeof what === "string" ? screen.includes(what) : what.test(screen))) {
          if (program.child.exitCode !== null) return yield* Effect.die(new Error(`it has ended: ${screen}`))
          yield* Effect.sleep(20)
        }
        const seen = screen
        screen = ""
        return seen
      })
    return { waitFor, type: (keys: string) => Effect.sync(() => void program.child.stdin.write(keys)), program }
  })

describe.skipIf(!available)("effect-otp top in a terminal", () => {
  buildFirst()

  it.live(
    "has the screen for itself, obeys its keys, and gives the screen back after q",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const port = yield* freePort
        yield* shop("shop@127.0.0.1", port)
        const { type, waitFor } = yield* terminal({ ERL_EPMD_PORT: String(port) }, "shop@127.0.0.1")
        const first = yield* waitFor("PID")
        assert.isTrue(first.includes(enter))
        assert.include(first, `${escape}H`)
        yield* type("n")
        yield* waitFor(/by name .*\r\n.*\r\nPID.*\r\n<0\.\d+\.0> +Application/)
        yield* type(`${escape}B`)
        yield* waitFor(/by name .*\r\n.*\r\nPID.*\r\n<0\.\d+\.0> +Layer/)
        // Rates come with the second answer.
        yield* waitFor("busy")
        yield* type("q")
        const last = yield* waitFor("echo")
        assert.isTrue(last.includes(leave), "the screen is as it was")
        assert.include(last, "code 0")
        assert.match(last, /[^-]icanon/, "the terminal reads lines again")
      })),
    120_000
  )

  it.live(
    "gives the screen back after Ctrl-C, after SIGTERM, and when the node goes",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const port = yield* freePort
        const node = yield* shop("shop@127.0.0.1", port)
        const env = { ERL_EPMD_PORT: String(port) }
        const one = yield* terminal(env, "shop@127.0.0.1")
        yield* one.waitFor("PID")
        yield* one.type("\u0003")
        const stopped = yield* one.waitFor("echo")
        assert.isTrue(stopped.includes(leave))
        assert.match(stopped, /code 0\r\n/)

        const two = yield* terminal(env, "shop@127.0.0.1")
        const [, pid] = /pid (\d+)/.exec(yield* two.waitFor("PID"))!
        process.kill(Number(pid), "SIGTERM")
        const ended = yield* two.waitFor("echo")
        assert.isTrue(ended.includes(leave))
        assert.match(ended, /[^-]icanon/)

        const three = yield* terminal(env, "shop@127.0.0.1")
        yield* three.waitFor("PID")
        yield* node.stop
        const lost = yield* three.waitFor("echo")
        assert.isTrue(lost.includes(leave))
        assert.isBelow(lost.indexOf(leave), lost.indexOf("there is no connection to the node"))
        assert.match(lost, /code 1\r\n/)
        assert.match(lost, /[^-]icanon/)
      })),
    120_000
  )
})
