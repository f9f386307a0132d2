/**
 * The distribution against real Erlang nodes, in both directions.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { erlangAvailable } from "../erlang/escript.ts"
import { cookie, ErlangEpmd, startErlang } from "./ErlangNode.ts"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Reset"),
  Message.Info("Tick", { payload: { at: Schema.Int } })
) {}

const CounterServer = GenServer.make(Counter, {
  init: (args: { readonly from: number }) => Effect.succeed(args.from),
  handlers: {
    Add: ({ n }, count) =>
      count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count),
    Reset: () => GenServer.next(0),
    Tick: ({ at }) => GenServer.next(at)
  }
})

const nodeLayer = (name: string) =>
  Layer.unwrap(
    Effect.map(ErlangEpmd, ({ port }) =>
      Node.layer({ name, cookie: Redacted.make(cookie), discovery: { port } }))
  ).pipe(Layer.provide(NodeNetwork.layer))

describe.skipIf(!erlangAvailable)("against Erlang", () => {
  layer(Layer.provideMerge(nodeLayer("ours@127.0.0.1"), ErlangEpmd.layer), { timeout: "30 seconds", excludeTestServices: true })(
    (it) => {
      it.effect("ping in both directions", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("ping@127.0.0.1", { epmdPort: port })
          assert.strictEqual(yield* Node.ping(erl.name), "pong")
          assert.strictEqual(yield* erl.eval("net_adm:ping('ours@127.0.0.1')"), "pong")
          assert.strictEqual(yield* erl.eval("nodes()"), "['ours@127.0.0.1']")
        }))
    }
  )
})
