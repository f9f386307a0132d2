/**
 * What is in store: the protocol that both nodes know, and the server that one of them runs.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"

/** There is less in store than somebody wants. */
export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  item: Schema.String,
  left: Schema.Int
}) {}

/** What may be said to a stock. */
export class Stock extends Protocol.make(
  "Stock",
  Message.Call("Put", { payload: { item: Schema.String, count: Schema.Int }, success: Schema.Int }),
  Message.Call("Take", {
    payload: { item: Schema.String, count: Schema.Int },
    success: Schema.Int,
    error: OutOfStock
  })
) {}

/** The server: its state is how much there is of each item. */
export const StockServer = GenServer.make(Stock, {
  init: () => Effect.succeed<ReadonlyMap<string, number>>(new Map()),
  handlers: {
    Put: ({ count, item }, stock) => {
      const left = (stock.get(item) ?? 0) + count
      return GenServer.reply(left, new Map([...stock, [item, left]]))
    },
    Take: ({ count, item }, stock) => {
      const left = (stock.get(item) ?? 0) - count
      return left < 0
        ? Effect.fail(new OutOfStock({ item, left: left + count }))
        : GenServer.reply(left, new Map([...stock, [item, left]]))
    }
  }
})
