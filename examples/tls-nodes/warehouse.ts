/**
 * The node that has the stock. It runs until it is told to stop.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Logger } from "effect"
import { GenServer } from "effect-otp"
import { Node } from "effect-otp/dist"
import * as Nodes from "./nodes.ts"
import { StockServer } from "./Stock.ts"

const program = Effect.gen(function*() {
  yield* GenServer.start(StockServer, undefined, { name: "stock" })
  const { name } = yield* Node.Node
  yield* Console.log(`${name} is open`)
  return yield* Effect.never
})

NodeRuntime.runMain(
  program.pipe(
    Effect.scoped,
    Effect.provide(Nodes.layer("warehouse", { listens: true })),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
