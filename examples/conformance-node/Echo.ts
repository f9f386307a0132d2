/**
 * `echo`: gives back what it is given.
 *
 * Any term may be called, so that no message describes the calls: they come to `unhandled`, as requests with their terms.
 */
import { Effect } from "effect"
import { GenServer, Message, Process, ProcessGroup, Protocol, Signal } from "effect-otp"
import { Etf } from "effect-otp/etf"
import { Atom, Tuple } from "effect-otp/term"
import { fromPid } from "./Terms.ts"

export class Echo extends Protocol.make(
  "Echo",
  Message.Cast("Send", { payload: { to: Etf.Pid, term: Etf.Term } })
) {}

/** The process group of which it is a member. */
export const group = Atom.make("effect_otp_group")

export const EchoServer = GenServer.make(Echo, {
  init: () => Effect.flatMap(Process.self, (self) => ProcessGroup.join(group, self)),
  handlers: {
    Send: ({ term, to }) => Process.send(to, term),
    unhandled: (message) => {
      if (message instanceof Signal.Request) return message.from.reply(message.payload)
      const question = fromPid(message, 3)
      return question === undefined ? undefined : Process.send(question[0], Tuple.make(question[1]!, question[2]!))
    }
  }
})
