/**
 * What may be said to the stock. The server is written in Erlang; this is its contract, and all that a client needs.
 */
import { Schema } from "effect"
import { Message, Protocol } from "effect-otp"

/** `{error, {out_of_stock, #{item => Item, left => Left}}}` */
export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  item: Schema.String,
  left: Schema.Int
}) {}

export class Stock extends Protocol.make(
  "Stock",
  // {take, Item, N} -> {ok, Left} | {error, {out_of_stock, _}}
  Message.Call("Take", { payload: { item: Schema.String, n: Schema.Int }, success: Schema.Int, error: OutOfStock }),
  // list -> #{Item => Left}
  Message.Call("List", { success: Schema.Record(Schema.String, Schema.Int) }),
  // {put, Item, N}
  Message.Cast("Put", { payload: { item: Schema.String, n: Schema.Int } })
) {}
