/**
 * The node with the clerk. See README.md.
 */
import { Console, Effect, Logger, Option, Schedule } from "effect"
import { Application, ExitReason, GenServer, Process, Supervisor } from "effect-otp"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { Clerk, ClerkServer } from "./Clerk.ts"
import { nodeLayer, office, press } from "./Cluster.ts"

const write = Effect.gen(function*() {
  const clerk = yield* GenServer.named(Clerk, "clerk")
  const pages = yield* Effect.retry(clerk.Write({ text: "Dear Sir or Madam" }), Schedule.spaced("20 millis"))
  yield* Console.log(`written, page ${pages} of this printer`)
})

const tour = Effect.gen(function*() {
  yield* write
  yield* write
  // The printer jams. Its supervisor starts another one over there, and ours another clerk here.
  const clerk = yield* GenServer.named(Clerk, "clerk")
  const first = Option.getOrThrow(yield* Process.whereis("clerk"))
  yield* clerk.Stumble()
  const jam = yield* Process.awaitExit(first)
  yield* Console.log(`the printer has ended, and so has its clerk: ${ExitReason.format(jam)}`)
  yield* write
  // The node of the printer goes. A clerk is tried again and again until it is back.
  const second = Option.getOrThrow(yield* Process.whereis("clerk"))
  yield* Console.log("stop the press now")
  const loss = yield* Process.awaitExit(second)
  yield* Console.log(`the press has gone, and so has the clerk: ${ExitReason.format(loss)}`)
  yield* write
})

const Office = Application.make("office", {
  supervisor: Supervisor.make({
    // As often as it takes, and not all at once.
    intensity: 100,
    period: "5 seconds",
    backoff: Schedule.spaced("100 millis"),
    children: [
      Supervisor.child("clerk", ClerkServer, press, { name: "clerk" }),
      Supervisor.worker("tour", tour, { restart: "temporary" })
    ]
  })
})

// Crash reports go to standard error, what the program says to standard output.
NodeApplication.runMain(
  Application.run([Office]).pipe(
    Effect.provide(nodeLayer(office)),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
