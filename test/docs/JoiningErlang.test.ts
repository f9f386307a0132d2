/**
 * The tutorial of joining a cluster, done as it is written: the Erlang module is compiled, the program of the page runs as a
 * process of its own beside a real Erlang node, and both say what the page says, in its order.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { execPath } from "node:process"
import { ErlangEpmd, startErlang } from "../dist/ErlangNode.ts"
import { erlangAvailable } from "../erlang/escript.ts"
import { runFile, session } from "../examples/Nodes.ts"
import { read } from "../project/Sources.ts"
import { scratch } from "../types/Harness.ts"
import { blocksOfPage, pageOf } from "./Markdown.ts"

const page = "docs/joining-a-cluster.md"

describe.skipIf(!erlangAvailable)(page, () => {
  layer(ErlangEpmd.layer, { timeout: "90 seconds", excludeTestServices: true })((it) => {
    it.effect("does what it says, line by line", () =>
      Effect.gen(function*() {
        const blocks = blocksOfPage(page, read(page))
        const { modules } = pageOf(blocks, false)
        assert.strictEqual(modules.length, 1)
        const folder = scratch("joining-a-cluster")
        const file = Path.join(folder, "shop.ts")
        Fs.writeFileSync(file, modules[0]!.text)

        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("calc@127.0.0.1", { epmdPort: port, cookie: "only-for-this-tutorial" })
        const env = { ERL_EPMD_PORT: String(port) }
        let ours: Effect.Success<ReturnType<typeof runFile>> | undefined
        let printed = ""
        let lines = 0
        for (const { code, info } of blocks) {
          if (info === "erlang" && code.startsWith("-module(")) {
            const name = /-module\((\w+)\)/.exec(code)![1]!
            Fs.writeFileSync(Path.join(folder, `${name}.erl`), code)
            const path = JSON.stringify(Path.join(folder, name))
            assert.match(
              yield* erl.eval(
                `(fun() -> {ok, M, B} = compile:file(${path}, [binary]), code:load_binary(M, "", B) end)()`
              ),
              /^\{module,/
            )
          } else if (info === "erlang") {
            for (const { input, output } of session(code, /^\d+> /)) {
              assert.strictEqual(yield* erl.eval(input.replace(/\.$/, "")), output, input)
              lines++
            }
          } else if (info === "text") {
            ours ??= yield* runFile(execPath, ["--conditions=effect-otp-source", file], env)
            printed += `${code}\n`
            assert.strictEqual(yield* ours.written(printed), printed)
            // The last words of the program come before its end.
            if (printed.includes("has ended")) assert.strictEqual(yield* ours.ended, 0)
          }
        }
        assert.isAtLeast(lines, 10)
      }), 90_000)
  })
})
