/**
 * The traffic application: `npm start`. README.md says what it does and which settings it has.
 *
 * It runs until Ctrl-C or SIGTERM, and stops in order. EPMD and the database are built in.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Config, Console, Deferred, Effect, FileSystem, Layer, Logger, Option } from "effect"
import { GenServer } from "effect-otp"
import { Node } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { TcpServer, UdpServer } from "effect-otp/net"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import * as Application from "./Application.ts"
import * as Cookie from "./Cookie.ts"
import { explain, StartLog } from "./Refusal.ts"
import { check, type Settings, settings as settingsConfig } from "./Settings.ts"

/** A command that is pasted into a shell. */
const quote = (text: string): string => /^[\w./@:%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** Says where to look, once everything runs. */
const announce = (settings: Settings, webPort: Deferred.Deferred<number>) =>
  Effect.gen(function*() {
    const { host, node, roles } = settings
    const lines = [`${node} runs: ${roles.join(", ")}. Ctrl-C stops it.`, ""]
    const say = (what: string, where: string) => lines.push(`  ${what.padEnd(9)} ${where}`)
    if (roles.includes("web")) {
      const url = `http://${host}:${yield* Deferred.await(webPort)}`
      say("map", `${url}/`)
      say("nearest", `curl '${url}/api/vehicles/nearest?lat=30.2672&lon=-97.7431&k=3'`)
      say("the API", `${url}/openapi.json`)
    }
    if (roles.includes("ingest")) {
      const tcp = yield* Effect.flatMap(GenServer.named(TcpServer.Control, "tcp_receiver"), (ref) => ref.Address())
      const udp = yield* Effect.flatMap(GenServer.named(UdpServer.Control, "udp_receiver"), (ref) => ref.Address())
      say("feed", `UDP ${udp.host}:${udp.port}, TCP ${tcp.host}:${tcp.port}`)
    }
    if (roles.includes("storage")) say("database", Application.databaseOf(settings) ?? "in memory")
    const epmd = yield* Config.option(Config.String("ERL_EPMD_PORT"))
    const environment = Option.match(epmd, { onNone: () => "", onSome: (port) => `ERL_EPMD_PORT=${quote(port)} ` })
    const shell = `shell${node.slice(node.indexOf("@"))}`
    say("Erlang", `${environment}erl -name ${quote(shell)} -setcookie ${Cookie.inShell(settings)}`)
    const process = roles.includes("ingest") ? "{statistics" : roles.includes("storage") ? "{storage" : undefined
    const request = roles.includes("ingest") ? "get" : "statistics"
    if (process !== undefined) say("  there", `gen_server:call(${process}, '${node}'}, ${request}).`)
    yield* Console.log(`${lines.join("\n")}\n`)
  }).pipe(Effect.orDie)

const startLog = new StartLog()

const program = Effect.gen(function*() {
  const settings = yield* settingsConfig
  yield* check(settings)
  const files = yield* FileSystem.FileSystem
  yield* files.makeDirectory(settings.folder, { recursive: true, mode: 0o700 })
  const cookie = yield* Cookie.of(settings)
  const webPort = yield* Deferred.make<number>()
  const NodeLive = Node.layer({ name: settings.node, cookie, discovery: { serve: true } }).pipe(
    Layer.provide(NodeNetwork.layer)
  )
  yield* Application.run(settings, {
    started: Effect.andThen(announce(settings, webPort), Effect.sync(() => startLog.release())),
    listening: (port) => Effect.asVoid(Deferred.succeed(webPort, port))
  }).pipe(Effect.provide(NodeLive))
}).pipe(
  Effect.tapCause((cause) =>
    Option.match(explain(cause), {
      onNone: () =>
        Effect.andThen(
          Effect.sync(() => startLog.release()),
          Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)
        ),
      onSome: (text) => Console.error(text)
    })
  ),
  Effect.provide([NodeServices.layer, Logger.layer([startLog.logger])]),
  Effect.provideService(Logger.LogToStderr, true)
)

NodeApplication.runMain(program, { disableErrorReporting: true })
