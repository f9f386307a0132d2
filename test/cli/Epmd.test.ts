/**
 * `effect-otp epmd` and `names`, run as a user runs them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort } from "../dist/ErlangNode.ts"
import { member } from "../dist/Member.ts"
import { buildFirst, run, start } from "./Built.ts"

describe("effect-otp epmd", () => {
  buildFirst()

  it.live(
    "serves until it is told to stop; nodes register, and their names are listed",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const epmd = yield* start(["epmd", "serve", "--port", "0", "--json"])
        const said = JSON.parse(yield* epmd.line) as { event: string; host: string; port: number }
        assert.deepStrictEqual({ ...said, port: 0 }, { event: "listening", host: "127.0.0.1", port: 0 })
        const port = String(said.port)

        const none = yield* run(["names", "--port", port])
        assert.deepStrictEqual(none, { code: 0, out: "no node is registered at 127.0.0.1\n", err: "" })

        yield* member("shop@127.0.0.1", said.port, { discovery: { port: said.port } })
        yield* member("warehouse@127.0.0.1", said.port, { discovery: { port: said.port } })
        const table = yield* run(["names", "--port", port])
        assert.strictEqual(table.code, 0)
        assert.match(table.out, /^NAME +PORT\nshop +\d+\nwarehouse +\d+\n$/)
        // The variable of Erlang's own tools says where EPMD is, too.
        const json = yield* run(["epmd", "names", "--json"], { env: { ERL_EPMD_PORT: port } })
        const listed = JSON.parse(json.out) as {
          host: string
          port: number
          nodes: Array<{ name: string; port: number }>
        }
        assert.strictEqual(listed.port, said.port)
        assert.deepStrictEqual(listed.nodes.map(({ name }) => name), ["shop", "warehouse"])
        assert.isTrue(listed.nodes.every(({ port }) => port > 0))

        assert.strictEqual(yield* epmd.stop("SIGINT"), 0)
        assert.strictEqual(epmd.errors(), "")
      })),
    120_000
  )

  it.live("says kindly that the port is taken, and that nobody answers", () =>
    Effect.scoped(Effect.gen(function*() {
      const epmd = yield* start(["epmd", "serve", "--port", "0"])
      const [, port] = /listens on 127\.0\.0\.1:(\d+); Ctrl-C ends it$/.exec(yield* epmd.line)!
      const second = yield* run(["epmd", "serve", "--port", port!])
      assert.strictEqual(second.code, 1)
      assert.include(second.err, `something listens on 127.0.0.1:${port} already`)
      assert.strictEqual(yield* epmd.stop("SIGTERM"), 0)

      const nobody = String(yield* freePort)
      const silent = yield* run(["names", "--port", nobody])
      assert.strictEqual(silent.code, 1)
      assert.include(silent.err, `no EPMD answers at 127.0.0.1:${nobody}`)
      const json = yield* run(["names", "--port", nobody, "--json"])
      assert.deepStrictEqual([json.code, json.out], [1, ""])
      assert.strictEqual((JSON.parse(json.err) as { error: { reason: string } }).error.reason, "NoEpmd")
    })), 120_000)
})
