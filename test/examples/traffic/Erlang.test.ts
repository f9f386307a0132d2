/**
 * The README's section about Erlang: its commands, typed into a real `erl` that is started as it says.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as Path from "node:path"
import { erlangAvailable } from "../../erlang/escript.ts"
import { blocks, session } from "../Nodes.ts"
import * as Programs from "./Programs.ts"

const prompt = /^\(shell@127\.0\.0\.1\)\d+> /

describe.skipIf(!erlangAvailable)("from Erlang", () => {
  it.live("the commands of the README do what it says", () =>
    Effect.gen(function*() {
      const program = yield* Programs.prepare({}, undefined, ".traffic")
      const running = yield* program.start
      const start = blocks("traffic", "sh").find((block) => block.startsWith("erl "))!
      const [shell] = blocks("traffic", "erlang")
      const promised = session(shell!, prompt)
      const typed = promised.map(({ input }) => `${input}\n`).join("")
      // The command of the README as it is, in the folder in which the application was started.
      const output = execFileSync("sh", ["-c", start], {
        cwd: Path.dirname(program.folder),
        input: `${typed}halt().\n`,
        encoding: "utf8",
        env: { ...process.env, ERL_EPMD_PORT: `${program.epmd}` },
        timeout: 30_000
      })
      const answers = output.split(/^\(shell@127\.0\.0\.1\)\d+> /m).slice(1).map((answer) => answer.trimEnd())
      for (const [index, { input, output }] of promised.entries()) assert.strictEqual(answers[index], output, input)
      // What it says at its start is another of these.
      assert.include(running.printed, "gen_server:call({statistics, 'traffic@127.0.0.1'}, get).")
      assert.strictEqual(yield* running.stop, 0)
    }).pipe(Effect.provide(NodeServices.layer)), 180_000)
})
