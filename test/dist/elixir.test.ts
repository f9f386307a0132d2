/**
 * The distribution against a real Elixir node, in both directions.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { ExitReason, GenServer, Message, Process, Protocol, Signal } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Etf } from "effect-otp/etf"
import { cookie, elixirAvailable, ErlangEpmd, startElixir } from "./ErlangNode.ts"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

const User = Etf.ElixirStruct("Elixir.Shop.User", { name: Schema.String, age: Schema.Int })

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Call("Older", { payload: { user: User }, success: User }),
  Message.Cast("Reset")
) {}

const CounterServer = GenServer.make(Counter, {
  init: (args: { readonly from: number }) => Effect.succeed(args.from),
  handlers: {
    Add: ({ n }, count) =>
      count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count),
    Older: ({ user }, count) => GenServer.reply({ ...user, age: user.age + 1 }, count),
    Reset: () => GenServer.next(0)
  }
})

const OursLive = Layer.unwrap(
  Effect.map(
    ErlangEpmd,
    ({ port }) => Node.layer({ name: "ours@127.0.0.1", cookie: Redacted.make(cookie), discovery: { port } })
  )
).pipe(Layer.provide(NodeNetwork.layer), Layer.provideMerge(ErlangEpmd.layer))

if (!elixirAvailable) console.warn("\n*** SKIPPED: Elixir is not installed, nothing is tested against it here ***\n")

describe.skipIf(!elixirAvailable)("against Elixir", () => {
  layer(OursLive, { timeout: "30 seconds", excludeTestServices: true })((it) => {
    it.effect("GenServer.call and cast, Process.monitor, Node.monitor and a struct, in both directions", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const elixir = yield* startElixir("ex@127.0.0.1", { epmdPort: port })
        yield* GenServer.start(CounterServer, { from: 1 }, { name: "counter" })
        assert.strictEqual(yield* elixir.eval("Node.connect(:\"ours@127.0.0.1\")"), "true")
        const call = (request: string) => elixir.eval(`GenServer.call({:counter, :"ours@127.0.0.1"}, ${request})`)
        assert.strictEqual(yield* call("{:add, 2}"), "{:ok, 3}")
        assert.strictEqual(yield* call("{:add, 200}"), "{:error, {:overflow, %{max: 100}}}")
        yield* elixir.eval("GenServer.cast({:counter, :\"ours@127.0.0.1\"}, :reset)")
        assert.strictEqual(yield* call(":get"), "0")
        assert.strictEqual(
          yield* call("{:older, %Shop.User{name: \"Ada\", age: 36}}"),
          "%Shop.User{name: \"Ada\", age: 37}"
        )
        // From ours.
        yield* elixir.eval("GenServer.start(DistServer, 0, name: :counter)")
        const counter = yield* Node.remote(Counter, { name: "counter", node: elixir.name })
        assert.strictEqual(yield* counter.Add({ n: 5 }), 5)
        assert.instanceOf(yield* Effect.flip(counter.Add({ n: 500 })), Overflow)
        assert.deepStrictEqual(yield* counter.Older({ user: { name: "Bo", age: 1 } }), { name: "Bo", age: 2 })
        yield* counter.Reset()
        assert.strictEqual(yield* counter.Get(), 0)
        // Monitors both ways.
        yield* elixir.eval("true = Node.monitor(:\"ours@127.0.0.1\", true)")
        yield* elixir.eval("ref = Process.monitor({:counter, :\"ours@127.0.0.1\"})")
        yield* Process.run(Effect.gen(function*() {
          yield* Process.monitor({ name: "counter", node: elixir.name })
          yield* elixir.eval("GenServer.stop(:counter, {:shutdown, :done})")
          assert.strictEqual(ExitReason.format((yield* Process.receive(Signal.DownSchema)).reason), "{shutdown, done}")
        }))
        yield* Process.stop({ name: "counter" })
        assert.strictEqual(
          yield* elixir.eval("receive do {:DOWN, ^ref, :process, what, why} -> {what, why} after 2000 -> :none end"),
          "{{:counter, :\"ours@127.0.0.1\"}, :normal}"
        )
        yield* Node.disconnect(elixir.name)
        assert.strictEqual(
          yield* elixir.eval("receive do {:nodedown, node} -> node after 2000 -> :none end"),
          ":\"ours@127.0.0.1\""
        )
      }))
  })
})
