/**
 * A printer, on a node of its own. It jams when it is told to.
 */
import { Effect, Schema } from "effect"
import { ExitReason, GenServer, Message, Process, Protocol } from "effect-otp"
import { Etf } from "effect-otp/etf"
import { Atom } from "effect-otp/term"

export class Printer extends Protocol.make(
  "Printer",
  /** Who prints: names outlive processes, links need the process. */
  Message.Call("Open", { success: Etf.Pid }),
  /** How many pages this printer has printed. */
  Message.Call("Print", { payload: { text: Schema.String }, success: Schema.Int }),
  Message.Cast("Jam")
) {}

export const PrinterServer = GenServer.make(Printer, {
  init: () => Effect.succeed(0),
  handlers: {
    Open: () => Process.self,
    Print: (_, pages) => GenServer.reply(pages + 1, pages + 1),
    Jam: () => GenServer.stop(ExitReason.error(Atom.make("paper_jam")))
  }
})
