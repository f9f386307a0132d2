/**
 * A kitchen: cooks who share the work, and waiters who each have their tables. Both are pools; they differ in who gets a
 * message.
 */
import { Context, Effect, type Latch, Schema } from "effect"
import { GenServer, Message, Pool, Protocol, Supervisor } from "effect-otp"

/** The oven of the kitchen: what is put into it is done when it opens. Workers ask for services as servers do. */
export class Oven extends Context.Service<Oven, Latch.Latch>()("kitchen/Oven") {}

export class Kitchen extends Protocol.make(
  "Kitchen",
  /** Says who has made it. */
  Message.Call("Cook", { payload: { dish: Schema.String, bake: Schema.Boolean }, success: Schema.String })
) {}

const CookServer = GenServer.make(Kitchen, {
  init: (name: string) => Effect.succeed(name),
  handlers: {
    Cook: ({ bake }, name) => bake ? Effect.flatMap(Oven, (oven) => Effect.as(oven.await, name)) : name
  }
})

const cooks = ["Ann", "Ben", "Cleo"]

/** Whoever has the least to do gets the next dish; three dishes may wait in the whole kitchen, one for each cook. */
const Cooks = Pool.make(CookServer, {
  size: cooks.length,
  strategy: "least_loaded",
  capacity: 3,
  args: (number) => cooks[number]!
})

export class Service extends Protocol.make(
  "Service",
  /** Puts something on the bill of a table, and gives the bill. */
  Message.Call("Order", { payload: { table: Schema.Int, dish: Schema.String }, success: Schema.Array(Schema.String) }),
  Message.Cast("Stumble", { payload: { table: Schema.Int } })
) {}

const WaiterServer = GenServer.make(Service, {
  init: () => Effect.succeed<ReadonlyMap<number, ReadonlyArray<string>>>(new Map()),
  handlers: {
    Order: ({ dish, table }, bills) => {
      const bill = [...bills.get(table) ?? [], dish]
      return GenServer.reply(bill, new Map(bills).set(table, bill))
    },
    Stumble: () => Effect.die(new Error("a tray falls"))
  }
})

/** All that a table says goes to one waiter, in the order in which it is said. */
const Waiters = Pool.make(WaiterServer, {
  size: 3,
  strategy: { key: { Order: ({ table }) => table, Stumble: ({ table }) => table } }
})

export const Tree = Supervisor.make({
  children: [
    Pool.asChild("cooks", Cooks, undefined, { name: "cooks" }),
    Pool.asChild("waiters", Waiters, undefined, { name: "waiters" })
  ]
})
