/**
 * The whole application in a test: by its settings, as a user gives them, on free ports.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Deferred, Effect, Fiber, type FileSystem, Layer, Logger, Schedule, type Scope } from "effect"
import { GenServer, Node } from "effect-otp"
import { TcpServer, UdpServer } from "effect-otp/net"
import * as Net from "node:net"
import * as Application from "../../../examples/traffic/Application.ts"
import { Position } from "../../../examples/traffic/Position.ts"
import { settings } from "../../../examples/traffic/Settings.ts"
import { type Report, Statistics } from "../../../examples/traffic/Statistics.ts"

/** A port that is free, also after a restart of whoever listens on it. */
export const freePort = Effect.callback<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Settings that need nothing and disturb nobody: no page, no vehicles, nothing on the disk. */
const quiet = { TRAFFIC_DATABASE: "memory", TRAFFIC_REPLAY: "none", TRAFFIC_ROLES: "ingest,storage" }

/** Runs the application until the scope closes, on a node that is there already. */
export const start = (
  environment: { readonly [variable: string]: string } = {}
): Effect.Effect<
  { readonly tcp: number; readonly udp: number },
  unknown,
  Node.Node | FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function*() {
    const tcp = yield* freePort
    const udp = yield* freePort
    const given = {
      ...quiet,
      TRAFFIC_TCP_PORT: `${tcp}`,
      TRAFFIC_UDP_PORT: `${udp}`,
      TRAFFIC_HTTP_PORT: "0",
      ...environment
    }
    const chosen = yield* Effect.provide(settings, ConfigProvider.layer(ConfigProvider.fromEnv({ env: given })))
    const started = yield* Deferred.make<void>()
    const running = yield* Application.run(chosen, { started: Effect.asVoid(Deferred.succeed(started, undefined)) })
      .pipe(
        Effect.forkScoped
      )
    yield* Effect.raceFirst(Deferred.await(started), Effect.andThen(Fiber.join(running), Effect.never))
    return { tcp, udp }
  })

/** What the application needs from outside, without other nodes. */
export const services = Layer.mergeAll(
  Node.layerLocal({ name: "traffic@127.0.0.1" }),
  NodeServices.layer,
  // Crashes are what these tests are about.
  Logger.layer([])
)

export const report: Effect.Effect<Report, unknown, Node.Node> = Effect.flatMap(
  GenServer.named(Statistics, "statistics"),
  (statistics) => statistics.Get()
)

/** Waits until the report is as it should be. It is asked again when the process that gives it is being restarted. */
export const reportWhen = (isRight: (report: Report) => boolean): Effect.Effect<Report, unknown, Node.Node> =>
  report.pipe(
    Effect.retry({ times: 100, schedule: Schedule.spaced("20 millis") }),
    Effect.repeat({ until: isRight, schedule: Schedule.spaced("10 millis") }),
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () => Effect.flatMap(report, (last) => Effect.die(new Error(`still ${JSON.stringify(last)}`)))
    })
  )

/** The sum that must be right at any time. */
export const isBalanced = (tally: Report["udp"]): boolean =>
  tally.received === tally.stored + tally.duplicates + tally.invalid + tally.dropped + tally.waiting

export const stats = {
  udp: Effect.flatMap(GenServer.named(UdpServer.Control, "udp_receiver"), (receiver) => receiver.Stats()),
  tcp: Effect.flatMap(GenServer.named(TcpServer.Control, "tcp_receiver"), (receiver) => receiver.Stats())
}

/** Positions that differ: one vehicle after the other, each once a second. */
export const positions = (count: number, from = 0): ReadonlyArray<Position> =>
  Array.from({ length: count }, (_, index) => {
    const n = from + index
    return new Position({
      vehicle: `v${n % 50}`,
      route: String(n % 7),
      lat: 30 + (n % 1000) / 1000,
      lon: -97 - (n % 777) / 1000,
      speed: n % 20,
      at: 1_700_000_000_000 + Math.floor(n / 50) * 1000,
      emergency: false
    })
  })
