/**
 * A till: a server of ours that Erlang processes call. What it sells it takes from the stock of the Erlang node.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Node, Protocol } from "effect-otp"
import { OutOfStock, Stock } from "./Stock.ts"

export class Till extends Protocol.make(
  "Till",
  // {sell, Item, N} -> {ok, Total} | {error, {out_of_stock, _}}
  Message.Call("Sell", { payload: { item: Schema.String, n: Schema.Int }, success: Schema.Int, error: OutOfStock }),
  // total -> Total
  Message.Call("Total", { success: Schema.Int })
) {}

export const TillServer = GenServer.make(Till, {
  init: (warehouse: string) => Effect.succeed({ warehouse, total: 0 }),
  handlers: {
    Sell: ({ item, n }, { total, warehouse }) =>
      Effect.gen(function*() {
        const stock = yield* Node.remote(Stock, { name: "stock", node: warehouse })
        yield* stock.Take({ item, n }).pipe(Effect.catchTag("CallError", Effect.die)) // OutOfStock goes to the caller
        return GenServer.reply(total + n, { warehouse, total: total + n })
      }),
    Total: (_, { total }) => total
  }
})
