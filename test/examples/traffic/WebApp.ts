/**
 * The parts of the application that the web server needs, in a test: storage in memory, the ingest pool, the web server on
 * a free port. Positions are handed in as receivers do it.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Deferred, Effect, Layer, Logger, Schedule } from "effect"
import { Node, Pool, Supervisor } from "effect-otp"
import * as Net from "node:net"
import { Alarms } from "../../../examples/traffic/Alarms.ts"
import * as Clients from "../../../examples/traffic/Clients.ts"
import * as Ingest from "../../../examples/traffic/Ingest.ts"
import * as MemoryStore from "../../../examples/traffic/MemoryStore.ts"
import { Position } from "../../../examples/traffic/Position.ts"
import { Queries, queriesName } from "../../../examples/traffic/Query.ts"
import { StatisticsServer } from "../../../examples/traffic/Statistics.ts"
import { storageName, StorageServer } from "../../../examples/traffic/Storage.ts"
import * as Web from "../../../examples/traffic/Web.ts"

/** A free port, which stays the same when the server is restarted. */
export const freePort = Effect.callback<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

export const base = 1_700_000_000_000

/** A position in the middle of Austin, unless said otherwise. */
export const position = (vehicle: string, at: number, rest: Partial<Position> = {}): Position =>
  new Position({ vehicle, route: "7", lat: 30.27, lon: -97.74, speed: 5, at: base + at, emergency: false, ...rest })

const tree = (options: Web.Options) =>
  Supervisor.make({
    intensity: 50,
    backoff: Schedule.spaced("50 millis"),
    children: [
      Supervisor.child("storage", StorageServer, {}, { name: storageName }),
      Pool.asChild("queries", Queries, undefined, { name: queriesName }),
      Pool.asChild("ingest", Ingest.pool({ size: 2, patience: "5 seconds" }), undefined, { name: "ingest" }),
      Supervisor.child("statistics", StatisticsServer, undefined, { name: "statistics" }),
      Supervisor.nested("web", Web.supervisor(options))
    ]
  })

const services = Layer.mergeAll(
  MemoryStore.layer,
  Clients.layer(),
  Ingest.topic,
  Ingest.Intake.layer,
  Alarms.layer,
  Web.layer
)

export interface App {
  readonly port: number
  /** Hands positions in, and waits until they are stored. */
  readonly store: (positions: ReadonlyArray<Position>) => Effect.Effect<void>
  /** A request, with the parsed body. */
  readonly ask: (path: string, init?: RequestInit) => Effect.Effect<Answer>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // The tests say what they expect of it.
  readonly body: any
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Runs the application, and a test with it. */
export const withApp = <A, E>(
  use: (app: App) => Effect.Effect<A, E, Node.Node | Ingest.Intake>,
  options: Partial<Web.Options> = {}
) =>
  Effect.gen(function*() {
    const port = yield* freePort
    const listening = yield* Deferred.make<void>()
    yield* Supervisor.start(
      tree({
        host: "127.0.0.1",
        port,
        source: "receivers",
        allowKill: false,
        listening: () => Effect.asVoid(Deferred.succeed(listening, undefined)),
        ...options
      }),
      { name: "traffic" }
    )
    yield* Deferred.await(listening)
    const context = yield* Effect.context<Node.Node | Ingest.Intake>()
    return yield* use({
      port,
      store: (positions) =>
        Effect.gen(function*() {
          const intake = yield* Ingest.Intake
          Ingest.countReceived(intake.tallies.udp, { positions, invalid: 0 })
          const batch = yield* Ingest.submit("udp", positions)
          yield* batch.settled
        }).pipe(Effect.orDie, Effect.provideContext(context)),
      ask: (path, init) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}${path}`, init ?? {})
          return { status: response.status, headers: response.headers, body: parsed(await response.text()) }
        })
    })
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(services, Layer.merge(Node.layerLocal(), NodeFileSystem.layer))),
    Effect.provide(Logger.layer([]))
  )
