/**
 * The second process of the network benchmarks: a node with the servers under their names. It ends with its input.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { GenServer } from "../../src/index.ts"
import { ReceiverServer } from "../soak/Receiver.ts"
import * as Certificates from "./Certificates.ts"
import { CounterServer, SinkServer } from "./Protocols.ts"
import { nodeLayer } from "./World.ts"

const [name, epmdPort, folder] = process.argv.slice(2)
const tls = folder === undefined ? undefined : await Certificates.read(folder)

const main = Effect.gen(function*() {
  yield* GenServer.startDetached(CounterServer, 0, { name: "bench_counter" })
  yield* GenServer.startDetached(SinkServer, undefined, { name: "bench_sink" })
  yield* GenServer.startDetached(ReceiverServer, undefined, { name: "soak_receiver" })
  process.stdout.write("@ready\n")
  yield* Effect.callback<void>((resume) => {
    process.stdin.on("end", () => resume(Effect.void)).resume()
  })
})

await Effect.runPromise(Effect.provide(main, nodeLayer(name!, Number(epmdPort), tls)))
process.exit()
