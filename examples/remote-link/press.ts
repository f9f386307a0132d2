/**
 * The node with the printer. See README.md.
 */
import { Console, Effect, Logger } from "effect"
import { Application, Supervisor } from "effect-otp"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { nodeLayer, press } from "./Cluster.ts"
import { PrinterServer } from "./Printer.ts"

const Press = Application.make("press", {
  supervisor: Supervisor.make({
    children: [
      Supervisor.child("printer", PrinterServer, undefined, { name: "printer" }),
      Supervisor.worker("ready", Console.log("the printer is ready"), { restart: "temporary" })
    ]
  })
})

// Crash reports go to standard error, what the program says to standard output.
NodeApplication.runMain(
  Application.run([Press]).pipe(
    Effect.provide(nodeLayer(press)),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
