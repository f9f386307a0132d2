/**
 * The application: its tree of processes, and which of them run on this node.
 *
 * With all roles, in the order in which they start:
 *
 * - `storage`, `queries`: what writes and what reads the database;
 * - `emergency`, `ingest`, `statistics`: what positions pass on their way;
 * - `observer`, `live`, `web`: the page and the API;
 * - `tcp_receiver`, `udp_receiver`: the ways in; `vehicles`: what drives without vehicles.
 *
 * They stop in reverse: nothing comes in any more, what is on its way is stored, the database is closed. Each is restarted
 * by itself, since all know each other by name only, or by topics and counts that are there before the first of them.
 */
import * as NodeDatagramSocket from "@effect/platform-node/NodeDatagramSocket"
import { Effect, Layer, Option, Schedule, Stream } from "effect"
import { Application, GenServer, type Node, Pool, Supervisor } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import { FetchHttpClient } from "effect/http"
import { Alarms } from "./Alarms.ts"
import * as City from "./City.ts"
import * as Clients from "./Clients.ts"
import * as Day from "./Day.ts"
import { play } from "./Drive.ts"
import { EmergencyApi, EmergencyMachine } from "./Emergency.ts"
import * as Ingest from "./Ingest.ts"
import * as MemoryStore from "./MemoryStore.ts"
import { Queries, queriesName } from "./Query.ts"
import { TcpReceiver, UdpReceiver } from "./Receivers.ts"
import * as Sender from "./Sender.ts"
import type { Role, Settings } from "./Settings.ts"
import * as SqliteStore from "./SqliteStore.ts"
import { StatisticsServer } from "./Statistics.ts"
import { storageName, StorageServer } from "./Storage.ts"
import * as Web from "./Web.ts"

/** The file of the database; none when positions are only kept in memory. */
export const databaseOf = ({ database, folder }: Settings): string | undefined => {
  const file = Option.getOrElse(database, () => `${folder}/positions.sqlite`)
  return file === "memory" ? undefined : file
}

// --- parts of the tree -----------------------------------------------------------------------------------------------

const storage = () => [
  Supervisor.child("storage", StorageServer, {}, { name: storageName }),
  Pool.asChild("queries", Queries, undefined, { name: queriesName })
]

const ingest = ({ patience, workers }: Settings) => [
  Supervisor.child("emergency", EmergencyMachine, { pause: "10 seconds" }, { name: "emergency" }),
  Pool.asChild("ingest", Ingest.pool({ size: workers, patience }), undefined, { name: "ingest" }),
  Supervisor.child("statistics", StatisticsServer, undefined, { name: "statistics" })
]

const web = (settings: Settings, listening: (port: number) => Effect.Effect<void>) => [
  Supervisor.nested(
    "web",
    Web.supervisor({
      host: settings.host,
      port: settings.httpPort,
      source: settings.roles.includes("ingest") ? "receivers" : "storage",
      allowKill: settings.allowKill,
      listening
    })
  )
]

const receivers = (settings: Settings) => [
  Supervisor.child("tcp_receiver", TcpReceiver, { host: settings.host, port: settings.tcpPort }, {
    name: "tcp_receiver"
  }),
  Supervisor.child("udp_receiver", UdpReceiver, undefined, { name: "udp_receiver" }),
  ...(Option.contains(settings.replay, "none")
    ? []
    : [Supervisor.worker("vehicles", drive(settings), { restart: "transient", name: "vehicles" })])
]

/** Vehicles for who has none: they send to the UDP receiver, as others would. */
const drive = ({ replay, seed, speed, vehicles }: Settings) =>
  Effect.gen(function*() {
    const receiver = yield* GenServer.named(UdpServer.Control, "udp_receiver")
    const sender = yield* Sender.udp(yield* receiver.Address(), { acknowledged: false })
    if (Option.isNone(replay)) {
      return yield* Stream.runForEach(City.reports(City.make({ seed, vehicles }), speed), (positions) =>
        sender.send(positions, { untimed: true }))
    }
    const { positions } = yield* Day.read(replay.value)
    return yield* Effect.forever(play(positions, sender, { speed, untimed: true }))
  })

// --- the whole -------------------------------------------------------------------------------------------------------

const storeLayer = (settings: Settings) => {
  const path = databaseOf(settings)
  return path === undefined ? MemoryStore.layer : SqliteStore.layer({ path })
}

const emergencyLayer = ({ emergencyUrl }: Settings) =>
  Option.match(emergencyUrl, {
    onNone: () => EmergencyApi.layerLog,
    onSome: (url) => Layer.provide(EmergencyApi.layerHttp(url), FetchHttpClient.layer)
  })

/** Many datagrams may come at once: there is room for them while others are decoded. */
const udpLayer = ({ host, udpPort }: Settings) =>
  NodeDatagramSocket.layer({
    bind: { address: host, port: udpPort },
    kernelReceiveBufferSize: 2_097_152,
    receiveBuffer: { capacity: 65_536 }
  })

export interface Options {
  /** Runs when all parts have started. */
  readonly started?: Effect.Effect<void, never, Node.Node>
  /** Told of the port whenever the web server listens. */
  readonly listening?: (port: number) => Effect.Effect<void>
}

const nobody = () => Effect.void

/**
 * Runs the parts that the settings name, until something ends the node. Killing processes quickly is one of the things
 * that the page is for: so the supervisor is patient.
 */
export const run = (settings: Settings, { listening = nobody, started = Effect.void }: Options = {}) => {
  const has = (role: Role) => settings.roles.includes(role)
  // Not at once: what was killed may take a moment to give its port and its name back.
  const patient = { intensity: 30, period: "10 seconds", backoff: Schedule.spaced("50 millis") } as const
  const start = { start: () => started }
  const below = has("storage") ? storage() : []
  const above = has("web") ? web(settings, listening) : []
  const storageNode = has("storage") ? undefined : Option.getOrUndefined(settings.storageNode)
  const services = Layer.mergeAll(storeLayer(settings), Clients.layer(storageNode), Web.layer)
  if (!has("ingest")) {
    const tree = Supervisor.make({ ...patient, children: [...below, ...above] })
    const application = Application.make("traffic", { supervisor: tree, ...start })
    return Effect.provide(Application.run([application]), Layer.merge(services, Ingest.topic))
  }
  const tree = Supervisor.make({
    ...patient,
    children: [...below, ...ingest(settings), ...above, ...receivers(settings)]
  })
  const application = Application.make("traffic", { supervisor: tree, ...start })
  return Application.run([application]).pipe(
    Effect.provide(Layer.mergeAll(
      services,
      Ingest.topic,
      Ingest.Intake.layer,
      Alarms.layer,
      emergencyLayer(settings),
      udpLayer(settings),
      NodeTcpNetwork.layer
    ))
  )
}
