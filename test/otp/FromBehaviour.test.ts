/**
 * Behaviours of one's own as servers: what takes a server takes them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Behaviour, GenServer, Message, Node, Pool, Protocol, Supervisor, Transition } from "effect-otp"

class Ids extends Protocol.make("Ids", Message.Call("Next", { success: Schema.Int })) {}

class Others extends Protocol.make("Others", Message.Call("Next", { success: Schema.Int })) {}

const counting: Behaviour.Behaviour = {
  name: "ids",
  protocol: Ids.protocol,
  init: (_, first) => Effect.succeed(new Behaviour.Started(first, undefined)),
  handle: ({ state }, { kind }) => kind === Behaviour.CALL ? Transition.reply(state, Number(state) + 1) : undefined,
  terminate: () => undefined,
  format: (state) => state
}

const IdServer: GenServer.GenServer<number, Protocol.Messages<typeof Ids>, never, never> = GenServer.fromBehaviour(
  Ids,
  counting
)

describe("GenServer.fromBehaviour", () => {
  it.effect("is started with its arguments, supervised, named and pooled", () =>
    Effect.gen(function*() {
      const alone = yield* GenServer.start(IdServer, 7)
      assert.deepStrictEqual([yield* alone.Next(), yield* alone.Next()], [7, 8])

      yield* Supervisor.start(Supervisor.make({ children: [Supervisor.child("ids", IdServer, 100, { name: "ids" })] }))
      const named = yield* GenServer.named(Ids, "ids")
      assert.strictEqual(yield* named.Next(), 100)

      const pool = yield* Pool.start(Pool.make(IdServer, { size: 2, args: (worker) => 10 * worker }))
      assert.deepStrictEqual([yield* pool.Next(), yield* pool.Next(), yield* pool.Next()], [0, 10, 1])
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))

  it("refuses a behaviour of another protocol", () => {
    assert.throws(
      () => GenServer.fromBehaviour<number, Protocol.Messages<typeof Others>, never, never>(Others, counting),
      "the behaviour ids serves the protocol Ids, not Others"
    )
  })
})
