/**
 * The node of the shop. It runs until it is told to stop; with the argument `fail` its database fails instead.
 */
import { Console, Effect, Logger, Schedule } from "effect"
import { Application, GenServer, Node, Supervisor } from "effect-otp"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { Database, Shop, Table, Till } from "./Shop.ts"

const visit = Effect.gen(function*() {
  const till = yield* GenServer.named(Till, "till")
  yield* Console.log(yield* till.Sell({ cents: 995 }))
  // This application counts as running when its tree is up, of which this process is a part.
  const running = yield* Effect.repeat(Application.whichApplications, {
    until: ([last]) => last?.name === "visit",
    schedule: Schedule.spaced("1 millis")
  })
  yield* Console.log(`running, the last one first: ${running.map(({ name }) => name).join(", ")}`)
  if (process.argv[2] === "fail") {
    const table = yield* GenServer.named(Table, "table")
    yield* table.Corrupt()
  }
})

/** An application that needs the shop, and is there once. */
const Visit = Application.make("visit", {
  applications: [Shop],
  startType: "temporary",
  supervisor: Supervisor.make({ children: [Supervisor.worker("visit", visit, { restart: "temporary" })] })
})

// Crash reports, and why the node has stopped, go to standard error, what the program says to standard output.
NodeApplication.runMain(
  Application.run([Database, Shop, Visit]).pipe(
    Effect.tapError(({ message }) => Effect.logError(message)),
    Effect.provide(Node.layerLocal()),
    Effect.provideService(Logger.LogToStderr, true)
  ),
  { disableErrorReporting: true }
)
