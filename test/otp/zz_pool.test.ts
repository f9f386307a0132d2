import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import * as Pool from "../../src/otp/Pool.ts"
class W extends Protocol.make("W", Message.Call("Who", { success: Schema.Unknown }), Message.Cast("Hi"), Message.Call("Boom")) {}
const WS = GenServer.make(W, {
  init: () => Effect.succeed(0),
  handlers: { Who: (_, n, c) => GenServer.reply(c.self, n + 1), Hi: () => {}, Boom: () => Effect.die("x") }
})
it.effect("works", () => Effect.gen(function*() {
  const p = yield* Pool.start(Pool.make(WS, { size: 3 }))
  for (let i = 0; i < 5; i++) console.log(String(yield* p.Who()))
  const e = yield* Effect.flip(p.Boom())
  console.log(e.message)
  for (let i = 0; i < 5; i++) console.log(String(yield* p.Who()))
  yield* Pool.resize(p, 5)
  console.log(JSON.stringify(yield* Pool.stats(p)))
  yield* Pool.resize(p, 2)
  console.log(JSON.stringify(yield* Pool.stats(p)))
  console.log(yield* Supervisor.whichChildren(p))
}).pipe(Effect.provide(Node.layerLocal())))
