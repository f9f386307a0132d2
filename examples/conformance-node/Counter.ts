/**
 * `counter`: an integer of any size, and a way to crash.
 */
import { Effect, Schema } from "effect"
import { ExitReason, GenServer, Message, Protocol } from "effect-otp"
import { WireName } from "effect-otp/dist"
import { tagged } from "./Terms.ts"

export class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.BigInt }, success: Schema.BigInt }),
  Message.Call("Get", { success: Schema.BigInt }),
  Message.Call("Crash"),
  // A cast may have the name of a call on the wire; in the protocol each message has its own.
  WireName.set(Message.Cast("Increase", { payload: { n: Schema.BigInt } }), "add"),
  Message.Cast("Reset")
) {}

export const CounterServer = GenServer.make(Counter, {
  init: () => Effect.succeed(0n),
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Get: (_, count) => count,
    Crash: (_, count) => GenServer.stop(ExitReason.error(tagged("boom", count))),
    Increase: ({ n }, count) => GenServer.next(count + n),
    Reset: () => GenServer.next(0n),
    unhandled: () => {}
  }
})
