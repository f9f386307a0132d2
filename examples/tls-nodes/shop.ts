/**
 * The node that sells: it calls the stock of the other one as if it were its own.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Logger } from "effect"
import { Node } from "effect-otp/dist"
import * as Nodes from "./nodes.ts"
import { Stock } from "./Stock.ts"

const program = Effect.gen(function*() {
  const stock = yield* Node.remote(Stock, { name: "stock", node: Nodes.warehouse })

  yield* Console.log(`delivered, lamps in store: ${yield* stock.Put({ item: "lamp", count: 3 })}`)
  yield* Console.log(`sold two, left: ${yield* stock.Take({ item: "lamp", count: 2 })}`)

  // The error of the protocol arrives as what it is: a value with fields.
  yield* stock.Take({ item: "lamp", count: 5 }).pipe(
    Effect.catchTag("OutOfStock", ({ item, left }) => Console.log(`five ${item}s are too many, left: ${left}`))
  )
  yield* Console.log(`connected to ${(yield* Node.nodes()).join()}`)
})

NodeRuntime.runMain(
  program.pipe(
    Effect.provide(Nodes.layer("shop", { listens: false })),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
