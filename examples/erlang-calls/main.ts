/**
 * A node of ours beside one of Erlang: it calls a gen_server there, with types, and serves calls of `erl`. See README.md.
 */
import { Config, Console, Effect, Layer, Redacted } from "effect"
import { Application, Node, Supervisor } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { Stock } from "./Stock.ts"
import { TillServer } from "./Till.ts"

const warehouse = "warehouse@127.0.0.1"

const tour = Effect.gen(function*() {
  const stock = yield* Node.remote(Stock, { name: "stock", node: warehouse })

  yield* Console.log(`2 teas taken, ${yield* stock.Take({ item: "tea", n: 2 })} left`)

  // The error of the Erlang server is a class here.
  yield* stock.Take({ item: "tea", n: 10 }).pipe(
    Effect.catchTag("OutOfStock", ({ item, left }) => Console.log(`10 are too many: only ${left} of ${item}`))
  )

  yield* stock.Put({ item: "milk", n: 7 })
  yield* Console.log(`in stock: ${JSON.stringify(yield* stock.List())}`)

  yield* Console.log("the till is open")
})

const Shop = Application.make("shop", {
  supervisor: Supervisor.make({
    children: [
      Supervisor.child("till", TillServer, warehouse, { name: "till" }),
      Supervisor.worker("tour", tour, { restart: "temporary" })
    ]
  })
})

const NodeLive = Layer.unwrap(
  Effect.map(
    Config.withDefault(Config.Redacted("COOKIE"), Redacted.make("only-for-examples-0123")),
    (cookie) => Node.layer({ name: "shop@127.0.0.1", cookie })
  )
).pipe(Layer.provide(NodeNetwork.layer))

NodeApplication.runMain(Effect.provide(Application.run([Shop]), NodeLive))
