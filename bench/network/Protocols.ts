/**
 * The servers that network benchmarks talk to, the same ones as on the Erlang side (`bench_counter`, `bench_sink`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { GenServer, Message, Protocol } from "../../src/index.ts"

/** Adds, and says what it has: `{add, N}` and `get`. */
export class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int })
) {}

export const CounterServer = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count)
  }
})

/** Counts the messages and bytes that are cast to it since it was last asked: `{plus, N}`, `{data, Binary}` and `take`. */
export class Sink extends Protocol.make(
  "Sink",
  Message.Cast("Plus", { payload: { n: Schema.Int } }),
  Message.Cast("Data", { payload: { bytes: Schema.Uint8Array } }),
  Message.Call("Take", { success: Schema.Int })
) {}

export const SinkServer = GenServer.make(Sink, {
  init: () => Effect.succeed(0),
  handlers: {
    Plus: ({ n }, count) => GenServer.next(count + n),
    Data: ({ bytes }, count) => GenServer.next(count + bytes.length),
    Take: (_, count) => GenServer.reply(count, 0)
  }
})
