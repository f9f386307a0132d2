/**
 * The example of calls between Erlang and us, run as a user runs it: both sides say what its README says.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Path from "node:path"
import { cookie, ErlangEpmd, startErlang } from "../dist/ErlangNode.ts"
import { erlangAvailable } from "../erlang/escript.ts"
import { root } from "../project/Sources.ts"
import { blocks, program, session } from "./Nodes.ts"

describe.skipIf(!erlangAvailable)("examples/erlang-calls", () => {
  layer(ErlangEpmd.layer, { timeout: "90 seconds", excludeTestServices: true })((it) => {
    it.effect("calls the Erlang server and is called from erl, as its README says", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("warehouse@127.0.0.1", { epmdPort: port })
        const module = JSON.stringify(Path.join(root, "examples/erlang-calls/stock"))
        yield* erl.eval(
          `(fun() -> {ok, M, B} = compile:file(${module}, [binary]), {module, M} = code:load_binary(M, "", B) end)()`
        )
        assert.match(yield* erl.eval("stock:start()"), /^\{ok,/)

        const [promised] = blocks("erlang-calls", "text")
        const shop = yield* program("erlang-calls", { COOKIE: cookie, ERL_EPMD_PORT: String(port) })
        assert.strictEqual(yield* shop.written(promised!), promised)

        const [shell] = blocks("erlang-calls", "erlang")
        for (const { input, output } of session(shell!, /^\d+> /)) {
          assert.strictEqual(yield* erl.eval(input.replace(/\.$/, "")), output, input)
        }
        assert.strictEqual(yield* shop.stop, 0)
      }), 90_000)
  })
})
