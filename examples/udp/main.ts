/**
 * Two clients measure, one of them sends nonsense as well: who gets which sum, and what was counted.
 */
import { NodeDatagramSocket } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule } from "effect"
import { GenServer, Node, Supervisor } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import { Tree } from "./Meter.ts"

const decoder = new TextDecoder()

/** Sends and waits for what comes back. */
const client = (port: number) =>
  Effect.gen(function*() {
    const socket = yield* NodeDatagramSocket.make({ peer: { address: "127.0.0.1", port } })
    const reader = yield* socket.reader
    const writer = yield* socket.writer
    return {
      send: (payload: string | Uint8Array) => writer.write({ payload }),
      ask: (payload: string) =>
        Effect.andThen(
          writer.write({ payload }),
          Effect.map(reader.pull, ([first]) => decoder.decode(first.payload))
        )
    }
  })

const program = Effect.gen(function*() {
  const meter = yield* GenServer.named(UdpServer.Control, "meter")
  const { port } = yield* meter.Address()
  const kitchen = yield* client(port)
  const cellar = yield* client(port)

  yield* Console.log(`kitchen: ${yield* kitchen.ask("water 3")}`)
  yield* Console.log(`cellar: ${yield* cellar.ask("water 10")}`)
  yield* Console.log(`kitchen: ${yield* kitchen.ask("water 4")}`)

  // None of this is a measurement; the server goes on.
  for (const nonsense of ["", "water", "water much", new Uint8Array(1000)]) yield* cellar.send(nonsense)
  yield* Console.log(`cellar: ${yield* cellar.ask("water 1")}`)

  const { handled, malformed, received } = yield* Effect.repeat(meter.Stats(), {
    until: (stats) => stats.received === 8,
    schedule: Schedule.spaced("1 millis")
  })
  yield* Console.log(`${received} datagrams: ${handled} measurements, ${malformed} others`)
}).pipe(Effect.scoped)

const AppLive = Supervisor.layer(Tree).pipe(
  Layer.provideMerge(Layer.merge(
    Node.layerLocal(),
    NodeDatagramSocket.layer({ bind: { address: "127.0.0.1", port: 0 } })
  ))
)

await Effect.runPromise(program.pipe(Effect.provide(AppLive)))
