/**
 * A clerk, who is of no use without the printer: linked to it, it ends when the printer does. That is all it does about
 * failures. Whoever starts it decides what comes next.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol } from "effect-otp"
import { Printer } from "./Printer.ts"

export class Clerk extends Protocol.make(
  "Clerk",
  Message.Call("Write", { payload: { text: Schema.String }, success: Schema.Int }),
  Message.Cast("Stumble")
) {}

export const ClerkServer = GenServer.make(Clerk, {
  init: (press: string) =>
    Effect.gen(function*() {
      const named = yield* Node.remote(Printer, { name: "printer", node: press })
      const pid = yield* named.Open()
      yield* Process.link(pid)
      // From here on this very printer is meant: the next one has the next clerk.
      return yield* Node.remote(Printer, { pid })
    }),
  handlers: {
    Write: ({ text }, printer) => Effect.orDie(printer.Print({ text })),
    Stumble: (_, printer) => printer.Jam()
  }
})
