/**
 * Calls and casts of terms to servers of the own node: as over the wire.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol, Signal } from "effect-otp"
import { Term, Tuple } from "effect-otp/term"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Reset"),
  Message.Call("Odd", { success: Schema.Int })
) {}

const CounterServer = GenServer.make(Counter, {
  init: () => Effect.succeed(1),
  handlers: {
    Add: ({ n }, count) =>
      count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : GenServer.reply(count + n, count + n),
    Get: (_, count) => count,
    Reset: () => GenServer.next(0),
    Odd: () => 1.5,
    unhandled: (message) =>
      message instanceof Signal.Request
        ? message.from.reply(Tuple.make(Term.parseUnsafe("unknown"), message.payload as Term.Term))
        : undefined
  }
})

describe("callTerm and castTerm to a server of the own node", () => {
  it.effect("mean its messages, and give its replies as terms", () =>
    Effect.gen(function*() {
      const { name: node } = yield* Node.Node
      const { pid } = yield* GenServer.start(CounterServer, undefined, { name: "counter" })
      for (const to of [pid, { name: "counter" }, { name: "counter", node }]) {
        const call = (text: string) => Effect.map(Node.callTerm(to, Term.parseUnsafe(text)), (term) => Term.print(term))
        yield* Node.castTerm(to, Term.parseUnsafe("reset"))
        assert.strictEqual(yield* call("{add, 2}"), "{ok,2}")
        assert.strictEqual(yield* call("get"), "2")
        assert.strictEqual(yield* call("{add, 200}"), "{error,{overflow,#{max => 100}}}")
        // No message of its protocol.
        assert.strictEqual(yield* call("{add, two}"), "{unknown,{add,two}}")
        assert.strictEqual(yield* call("reset"), "{unknown,reset}")
      }
    }).pipe(Effect.provide(Node.layerLocal())))

  it.effect("a reply without a form on the wire is MalformedReply, nobody there is NoProcess", () =>
    Effect.gen(function*() {
      const { name: node } = yield* Node.Node
      yield* GenServer.start(CounterServer, undefined, { name: "counter" })
      const odd = yield* Effect.flip(Node.callTerm({ name: "counter", node }, Term.parseUnsafe("odd")))
      assert.strictEqual(odd.reason._tag, "MalformedReply")
      yield* Process.stop({ name: "counter" })
      const gone = yield* Effect.flip(Node.callTerm({ name: "counter", node }, Term.parseUnsafe("get")))
      assert.strictEqual(gone.reason._tag, "NoProcess")
    }).pipe(Effect.provide(Node.layerLocal())))
})
