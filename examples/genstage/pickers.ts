/**
 * The node with the orchard. See README.md.
 */
import { Console, Effect, Logger } from "effect"
import { Application, Supervisor } from "effect-otp"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { nodeLayer, orchard } from "./Cluster.ts"
import { Orchard } from "./Orchard.ts"

const Trees = Application.make("orchard", {
  supervisor: Supervisor.make({
    children: [
      Supervisor.child("orchard", Orchard, undefined, { name: "orchard" }),
      Supervisor.worker("ready", Console.log("the orchard is open"), { restart: "temporary" })
    ]
  })
})

// Crash reports go to standard error, what the program says to standard output.
NodeApplication.runMain(
  Application.run([Trees]).pipe(
    Effect.provide(nodeLayer(orchard)),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
