/**
 * A server of ours that Elixir calls with its own struct.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"
import { Item } from "./Catalog.ts"

export class Prices extends Protocol.make(
  "Prices",
  // {:reduce, %Shop.Item{}, percent} -> {:ok, %Shop.Item{}} | {:error, :too_much}
  Message.Call("Reduce", {
    payload: { item: Item, percent: Schema.Int },
    success: Item,
    error: Schema.Literal("too_much")
  })
) {}

export const PricesServer = GenServer.make(Prices, {
  init: () => Effect.succeed(0),
  handlers: {
    Reduce: ({ item, percent }, reductions) =>
      percent > 50
        ? Effect.fail("too_much" as const)
        : GenServer.reply(
          new Item({ ...item, price: Math.round(item.price * (1 - percent / 100)) }),
          reductions + 1
        )
  }
})
