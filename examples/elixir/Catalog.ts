/**
 * What may be said to the catalogue, which is written in Elixir, and its struct as a class.
 */
import { Schema } from "effect"
import { Message, Protocol } from "effect-otp"
import { Etf } from "effect-otp/etf"

/** `%Shop.Item{}`: what arrives is an instance of this class, and an instance arrives there as the struct. */
export class Item extends Schema.Class<Item>("Item")({
  name: Schema.String,
  price: Schema.Int,
  tags: Schema.Array(Etf.AtomName)
}, { etf: { _tag: "ElixirStruct", module: "Elixir.Shop.Item" } }) {
  /** The price as people read it. */
  get label(): string {
    return `${this.name} at ${(this.price / 100).toFixed(2)}`
  }
}

export class Catalog extends Protocol.make(
  "Catalog",
  // {:find, name} -> {:ok, %Shop.Item{}} | {:error, :not_found}
  Message.Call("Find", { payload: { name: Schema.String }, success: Item, error: Schema.Literal("not_found") }),
  // :names -> [name]
  Message.Call("Names", { success: Schema.Array(Schema.String) }),
  // {:add, %Shop.Item{}}
  Message.Cast("Add", { payload: { item: Item } })
) {}
