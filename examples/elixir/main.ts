/**
 * A node of ours beside one of Elixir: a GenServer there, a server here, and a struct that is a class. See README.md.
 */
import { Config, Console, Effect, Layer, Redacted } from "effect"
import { Application, Node, Supervisor } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { Catalog, Item } from "./Catalog.ts"
import { PricesServer } from "./Prices.ts"

const tour = Effect.gen(function*() {
  const catalog = yield* Node.remote(Catalog, { name: "catalog", node: "catalog@127.0.0.1" })

  const tea = yield* catalog.Find({ name: "tea" })
  yield* Console.log(`found ${tea.label}, ${tea instanceof Item ? "an Item" : "something else"}`)

  yield* catalog.Find({ name: "milk" }).pipe(
    Effect.catchIf((error) => error === "not_found", () => Console.log("there is no milk"))
  )
  yield* catalog.Add({ item: new Item({ name: "milk", price: 120, tags: ["drinks", "fresh"] }) })
  yield* Console.log(`names: ${(yield* catalog.Names()).join(", ")}`)

  yield* Console.log("prices are served")
})

const Shop = Application.make("prices", {
  supervisor: Supervisor.make({
    children: [
      Supervisor.child("prices", PricesServer, undefined, { name: "prices" }),
      Supervisor.worker("tour", tour, { restart: "temporary" })
    ]
  })
})

const NodeLive = Layer.unwrap(
  Effect.map(
    Config.withDefault(Config.Redacted("COOKIE"), Redacted.make("only-for-examples-0123")),
    (cookie) => Node.layer({ name: "prices@127.0.0.1", cookie })
  )
).pipe(Layer.provide(NodeNetwork.layer))

NodeApplication.runMain(Effect.provide(Application.run([Shop]), NodeLive))
