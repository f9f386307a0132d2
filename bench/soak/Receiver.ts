/**
 * Who gets the casts of the network soak, and checks by their numbers that none is lost, doubled or out of order. The one
 * on the Erlang side is `bench_soak.erl`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Etf } from "../../src/etf/index.ts"
import { GenServer, Message, Protocol } from "../../src/index.ts"
import * as FlatHeap from "./FlatHeap.ts"

const Seen = Schema.Struct({ count: Schema.Int, disorder: Schema.Int })

/** Takes numbered casts; the one in another process also says how much memory it has. */
export class Receiver extends Protocol.make(
  "Receiver",
  Message.Cast("Note", { payload: { n: Schema.Int, data: Schema.Uint8Array } }),
  Message.Call("Seen", { success: Seen }),
  Message.Call("Memory", { success: Schema.Struct({ heapMiB: Schema.Number, rssMiB: Schema.Number }) })
) {}

export const ReceiverServer = GenServer.make(Receiver, {
  init: () => Effect.succeed({ count: 0, disorder: 0 }),
  handlers: {
    Note: ({ n }, { count, disorder }) =>
      GenServer.next({ count: count + 1, disorder: n === count + 1 ? disorder : disorder + 1 }),
    Seen: (_, state) => GenServer.reply(state, state),
    Memory: (_, state) => {
      const { heapMiB, rssMiB } = FlatHeap.sample(0)
      return GenServer.reply({ heapMiB, rssMiB }, state)
    }
  }
})

/** The Erlang side: takes casts as well, and sends its own to `soak_receiver` of a node until it is told to stop. */
export class ErlangSide extends Protocol.make(
  "ErlangSide",
  Message.Cast("Note", { payload: { n: Schema.Int, data: Schema.Uint8Array } }),
  Message.Call("Seen", { success: Seen }),
  Message.Call("Flood", { payload: { node: Etf.AtomName, rate: Schema.Int } }),
  Message.Call("Halt", { success: Schema.Int })
) {}
