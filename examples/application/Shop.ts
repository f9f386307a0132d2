/**
 * A shop in three applications: what it sells from needs a database, what it sells with needs both. Each has a tree, and
 * says when it comes and when it goes.
 */
import { Console, Effect, Option, Schema } from "effect"
import { Application, GenServer, Message, Process, Protocol, Supervisor } from "effect-otp"

export class Table extends Protocol.make(
  "Table",
  Message.Call("Next", { success: Schema.Int }),
  Message.Cast("Corrupt")
) {}

const TableServer = GenServer.make(Table, {
  init: () =>
    Effect.gen(function*() {
      // The environment of its own application.
      const first = Option.getOrThrow(yield* Process.getEnv("firstOrder"))
      yield* Console.log(`  the table is open at ${first}`)
      return Number(first)
    }),
  handlers: {
    Next: (_, id) => GenServer.reply(id, id + 1),
    Corrupt: () => Effect.die(new Error("the disk is full"))
  },
  terminate: () => Console.log("  the table is closed")
})

/** Its supervisor allows no restart: the first crash is the end of the application. */
export const Database = Application.make("database", {
  description: "where everything is kept",
  env: { firstOrder: 1000 },
  supervisor: Supervisor.make({
    intensity: 0,
    children: [Supervisor.child("table", TableServer, undefined, { name: "table", trapExit: true })]
  }),
  start: (type) => Console.log(`database is up, ${type}`),
  stop: (_, reason) => Console.log(`database is down: ${reason._tag}`)
})

/** No tree: it is there for its environment, and for those who need it. */
export const Prices = Application.make("prices", {
  applications: [Database],
  env: { currency: "EUR" },
  startType: "temporary",
  start: (type) => Console.log(`prices are up, ${type}`),
  stop: (_, reason) => Console.log(`prices are down: ${reason._tag}`)
})

export class Till extends Protocol.make(
  "Till",
  Message.Call("Sell", { payload: { cents: Schema.Int }, success: Schema.String })
) {}

const TillServer = GenServer.make(Till, {
  init: () =>
    Effect.gen(function*() {
      // Its own environment, and that of another application.
      const till = Option.getOrThrow(yield* Process.getEnv("till"))
      const currency = Option.getOrThrow(yield* Application.getEnv(Prices, "currency"))
      yield* Console.log(`  ${till} takes ${currency}`)
      return { currency, table: yield* GenServer.named(Table, "table") }
    }),
  handlers: {
    Sell: ({ cents }, { currency, table }) =>
      Effect.map(Effect.orDie(table.Next()), (id) => `order ${id}: ${(cents / 100).toFixed(2)} ${currency}`)
  },
  terminate: () => Console.log("  the till is locked")
})

export const Shop = Application.make("shop", {
  applications: [Database, Prices],
  env: { till: "till 7" },
  supervisor: Supervisor.make({
    children: [Supervisor.child("till", TillServer, undefined, { name: "till", trapExit: true })]
  }),
  start: (type) => Console.log(`shop is up, ${type}`),
  prepStop: () => Console.log("the last customers leave"),
  stop: (_, reason) => Console.log(`shop is down: ${reason._tag}`)
})
