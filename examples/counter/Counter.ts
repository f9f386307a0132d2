/**
 * A counter: its protocol, the server that serves it, and the tree that keeps it alive.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Protocol, Supervisor } from "effect-otp"

/** What the counter refuses: more than it can hold. */
export class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

/** What may be said to a counter. */
export class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Reset"),
  Message.Cast("Crash")
) {}

/** The server: the state is the count, and handlers say what comes next. */
export const CounterServer = GenServer.make(Counter, {
  init: (args: { readonly from: number; readonly max: number }) => Effect.succeed({ count: args.from, max: args.max }),
  handlers: {
    Add: ({ n }, { count, max }) =>
      count + n > max
        ? Effect.fail(new Overflow({ max }))
        : GenServer.reply(count + n, { count: count + n, max }),
    Get: (_, { count }) => count,
    Reset: (_, { max }) => GenServer.next({ count: 0, max }),
    Crash: () => Effect.die(new Error("somebody pulled the plug"))
  }
})

/** The tree: a counter that comes back when it crashes, at most three times in five seconds. */
export const CounterTree = Supervisor.make({
  strategy: "one_for_one",
  intensity: 3,
  period: "5 seconds",
  children: [
    Supervisor.child("counter", CounterServer, { from: 1, max: 100 }, { name: "counter", shutdown: "1 second" })
  ]
})
