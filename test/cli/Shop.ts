/**
 * A node of ours for the command line to look at: an application with a supervisor, a server, and a layer; a supervisor of its
 * own outside of it; the tools that answer.
 */
import { Effect, Layer, References, Schema, type Scope } from "effect"
import { Application, GenServer, Message, Protocol, Supervisor } from "effect-otp"
import type * as Node from "effect-otp/dist/Node"
import * as NodeRuntimeTools from "effect-otp/dist/NodeRuntimeTools"
import * as Rpc from "effect-otp/dist/Rpc"
import { type Member, member } from "../dist/Member.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Call("Wait", { success: Schema.Void }),
  Message.Call("Stop", { success: Schema.Void }),
  Message.Cast("Reset")
) {}

const CounterServer = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count),
    Wait: (_, count) => GenServer.noReply(count),
    Stop: () => GenServer.stop(),
    Reset: () => GenServer.next(0)
  }
})

const Shop = Application.make("shop", {
  description: "sells things",
  version: "1.2.0",
  supervisor: Supervisor.make({
    children: [
      Supervisor.child("counter", CounterServer, 40, { name: "counter" }),
      Supervisor.nested("stock", Supervisor.make({ children: [Supervisor.worker("poller", Effect.never)] })),
      Supervisor.fromLayer(
        "web",
        Supervisor.layer(Supervisor.make({ children: [Supervisor.worker("pages", Effect.never)] }))
      )
    ]
  })
})

const Greet = Rpc.make("shop", "greet", { args: [Schema.String], success: Schema.String })

/** Starts it; it lives until the scope closes. */
export const shop = (
  name: string,
  epmdPort: number,
  options?: Partial<Node.LayerOptions>
): Effect.Effect<Member, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const made = yield* member(name, epmdPort, options)
    const quietly = Effect.provideService(References.MinimumLogLevel, "None")
    yield* made.run(quietly(Effect.gen(function*() {
      yield* Layer.build(NodeRuntimeTools.layer())
      yield* Rpc.provide(Greet, (who) => `hello ${who}`)
      yield* Application.start(Shop)
      yield* Supervisor.start(Supervisor.make({ children: [] }), { name: "alone" })
    })))
    return made
  })
