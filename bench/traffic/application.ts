/**
 * The traffic application as a process of its own, for World.ts: all of it, with a database in a folder. It says where it
 * listens, answers questions about itself, and stops in order when the process that has started it lets go of it.
 *
 *     application.ts FOLDER
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Application from "../../examples/traffic/Application.ts"
import { settings } from "../../examples/traffic/Settings.ts"
import { Statistics } from "../../examples/traffic/Statistics.ts"
import { GenServer, Node } from "../../src/index.ts"
import { TcpServer, UdpServer } from "../../src/net/index.ts"
import * as FlatHeap from "../soak/FlatHeap.ts"

/**
 * Where it listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ports {
  readonly http: number
  readonly tcp: number
  readonly udp: number
}

/**
 * How it does.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  /** The time of all processors that it has used, with its threads. */
  readonly cpuMillis: number
  readonly stored: number
  readonly duplicates: number
  /** Invalid or dropped. */
  readonly refused: number
  readonly waiting: number
}

/**
 * What it is asked: its state, or its memory, for which it collects garbage.
 *
 * @category models
 * @since 0.1.0
 */
export type Question = "state" | { readonly memoryAt: number }

const chosen = settings.parse(ConfigProvider.fromUnknown({
  TRAFFIC_FOLDER: process.argv[2],
  TRAFFIC_HTTP_PORT: "0",
  TRAFFIC_TCP_PORT: "0",
  TRAFFIC_UDP_PORT: "0",
  TRAFFIC_REPLAY: "none"
}))

const state = Effect.gen(function*() {
  const { tcp, udp } = yield* (yield* GenServer.named(Statistics, "statistics")).Get()
  const { system, user } = process.cpuUsage()
  const sum = (count: (tally: typeof tcp) => number): number => count(tcp) + count(udp)
  const answer: State = {
    cpuMillis: (system + user) / 1000,
    stored: sum(({ stored }) => stored),
    duplicates: sum(({ duplicates }) => duplicates),
    refused: sum(({ dropped, invalid }) => dropped + invalid),
    waiting: sum(({ waiting }) => waiting)
  }
  return answer
})

const tell = (answer: Ports | State | FlatHeap.Sample): void => void process.send!(answer)

const program = Effect.gen(function*() {
  const http = yield* Deferred.make<number>()
  const started = yield* Deferred.make<void>()
  const running = yield* Effect.forkScoped(Application.run(yield* chosen, {
    started: Effect.asVoid(Deferred.succeed(started, undefined)),
    listening: (port) => Effect.asVoid(Deferred.succeed(http, port))
  }))
  yield* Effect.raceFirst(Deferred.await(started), Fiber.join(running))
  const tcp = yield* (yield* GenServer.named(TcpServer.Control, "tcp_receiver")).Address()
  const udp = yield* (yield* GenServer.named(UdpServer.Control, "udp_receiver")).Address()
  tell({ http: yield* Deferred.await(http), tcp: tcp.port, udp: udp.port })

  const context = yield* Effect.context<Node.Node>()
  process.on("message", (question: Question) => {
    if (question === "state") void Effect.runPromiseWith(context)(state).then(tell)
    else tell(FlatHeap.sample(question.memoryAt))
  })
  yield* Effect.callback<void>((resume) => void process.once("disconnect", () => resume(Effect.void)))
}).pipe(
  Effect.scoped,
  Effect.provide(
    Layer.mergeAll(Node.layerLocal(), NodeServices.layer, Layer.succeed(References.MinimumLogLevel, "Error"))
  )
)

await Effect.runPromise(program)
