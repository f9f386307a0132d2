/**
 * The example with Elixir, run as a user runs it: both sides say what its README says.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Path from "node:path"
import { cookie, elixirAvailable, ErlangEpmd, startElixir } from "../dist/ErlangNode.ts"
import { root } from "../project/Sources.ts"
import { blocks, program, session } from "./Nodes.ts"

describe.skipIf(!elixirAvailable)("examples/elixir", () => {
  layer(ErlangEpmd.layer, { timeout: "90 seconds", excludeTestServices: true })((it) => {
    it.effect("calls the GenServer and is called from iex, as its README says", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const iex = yield* startElixir("catalog@127.0.0.1", { epmdPort: port })
        const file = JSON.stringify(Path.join(root, "examples/elixir/catalog.exs"))
        yield* iex.eval(`length(Code.require_file(${file}))`)
        assert.match(yield* iex.eval("Shop.Catalog.start()"), /^\{:ok, /)

        const [promised] = blocks("elixir", "text")
        const prices = yield* program("elixir", { COOKIE: cookie, ERL_EPMD_PORT: String(port) })
        assert.strictEqual(yield* prices.written(promised!), promised)

        const [shell] = blocks("elixir", "elixir")
        for (const { input, output } of session(shell!, /^iex> /)) {
          assert.strictEqual(yield* iex.eval(input), output, input)
        }
        assert.strictEqual(yield* prices.stop, 0)
      }), 90_000)
  })
})
