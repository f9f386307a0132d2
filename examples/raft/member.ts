/**
 * A node with a member of the store: `member.ts NAME DIRECTORY`. It runs until it is killed. See README.md.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Logger } from "effect"
import { Application } from "effect-otp"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { RaftStorage } from "effect-otp/raft"
import { nodeLayer, StoreTree } from "./Store.ts"

const [name, directory] = process.argv.slice(2)

const StorageLive = RaftStorage.file(directory!).pipe(Layer.provide(NodeServices.layer))

const StoreNode = Application.make("store", { supervisor: StoreTree })

NodeApplication.runMain(
  Application.run([StoreNode]).pipe(
    Effect.provide([nodeLayer(name!), StorageLive]),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
