import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, FileSystem, Layer, Option } from "effect"
import { GenServer, Node } from "effect-otp"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import { execFileSync } from "node:child_process"
import * as Dgram from "node:dgram"
import * as Fs from "node:fs"
import * as Net from "node:net"
import { explain } from "../../../examples/traffic/Refusal.ts"
import * as Sender from "../../../examples/traffic/Sender.ts"
import { check, settings } from "../../../examples/traffic/Settings.ts"
import { Storage } from "../../../examples/traffic/Storage.ts"
import * as App from "./App.ts"
import * as Programs from "./Programs.ts"

const services = Layer.merge(App.services, NodeTcpNetwork.layer)

/** Somebody else who has a port. */
const taken = {
  tcp: (port: number) =>
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => socket.destroy())
        server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
  udp: (port: number) =>
    Effect.acquireRelease(
      Effect.callback<Dgram.Socket>((resume) => {
        const socket = Dgram.createSocket("udp4")
        socket.bind(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      }),
      (socket) => Effect.sync(() => socket.close())
    )
}

describe("the application", () => {
  it.live("is started by a command, says where to look, and what it prints works", () =>
    Effect.gen(function*() {
      const program = yield* Programs.prepare({ TRAFFIC_REPLAY: undefined, TRAFFIC_VEHICLES: "50" })
      const running = yield* program.start
      const lines = running.printed.split("\n").map((line) => line.trim())
      assert.strictEqual(lines[0], "traffic@127.0.0.1 runs: ingest, storage, web. Ctrl-C stops it.")
      const after = (label: string) =>
        lines.find((line) => line.startsWith(`${label} `))?.slice(label.length).trim() ?? assert.fail(running.printed)
      assert.strictEqual(after("feed"), `UDP 127.0.0.1:${program.udp}, TCP 127.0.0.1:${program.tcp}`)
      assert.strictEqual(after("database"), `${program.folder}/positions.sqlite`)

      const page = yield* Effect.promise(() => fetch(after("map")))
      assert.strictEqual(page.status, 200)
      assert.include(page.headers.get("content-type"), "text/html")
      const openapi = yield* Effect.promise(() => fetch(after("the API")).then((response) => response.json()))
      assert.property(openapi, "openapi")
      // The simulated city drives. Its first report is stored before long.
      const shell = (command: string) =>
        execFileSync("sh", ["-c", command], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      const nearest = yield* Effect.repeat(
        Effect.sync(() => JSON.parse(shell(after("nearest"))) as ReadonlyArray<{ readonly metres: number }>),
        { until: (found) => found.length === 3, times: 200 }
      )
      assert.isTrue(nearest.every(({ metres }) => metres >= 0 && metres < 30_000))

      // The cookie is for its owner only, and is not shown.
      const cookie = Fs.readFileSync(`${program.folder}/cookie`, "utf8")
      assert.strictEqual(Fs.statSync(`${program.folder}/cookie`).mode & 0o777, 0o600)
      assert.isAtLeast(cookie.length, 32)
      assert.notInclude(running.printed, cookie)
      assert.include(after("Erlang"), `"$(cat ${program.folder}/cookie)"`)
      assert.strictEqual(yield* running.stop, 0)
    }).pipe(Effect.provide(services)), 120_000)

  it.live(
    "stops in order when it is told to: what was acknowledged is there, and the database is closed",
    () =>
      Effect.gen(function*() {
        const files = yield* FileSystem.FileSystem
        const program = yield* Programs.prepare()
        const running = yield* program.start
        const sender = yield* Sender.tcp({ host: "127.0.0.1", port: program.tcp })
        const { kept } = yield* sender.send(App.positions(2000))
        assert.strictEqual(kept, 2000)
        assert.strictEqual(yield* running.stop, 0)
        // Nothing is left of a journal: the last connection has put everything into the file.
        assert.deepStrictEqual((yield* files.readDirectory(program.folder)).toSorted(), ["cookie", "positions.sqlite"])
        const cookie = yield* files.readFileString(`${program.folder}/cookie`)
        const again = yield* program.start
        assert.strictEqual((yield* program.tracks(50)).length, 2000)
        assert.strictEqual(yield* files.readFileString(`${program.folder}/cookie`), cookie)
        assert.strictEqual(yield* again.stop, 0)
      }).pipe(Effect.provide(services)),
    120_000
  )

  it.live("is refused kindly when a port is taken: what, and which setting helps", () =>
    Effect.gen(function*() {
      const program = yield* Programs.prepare()
      yield* taken.tcp(program.http)
      const { code, errors } = yield* Effect.flip(program.start)
      assert.strictEqual(code, 1)
      assert.strictEqual(
        errors,
        `The port ${program.http} for the page is taken by another program.\n` +
          "Stop that, or set TRAFFIC_HTTP_PORT to another port (0 for any).\n"
      )
    }).pipe(Effect.provide(services)), 60_000)

  it.live("says why it does not start", () =>
    Effect.gen(function*() {
      const tcp = yield* App.freePort
      const udp = yield* App.freePort
      const folder = yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())
      Fs.writeFileSync(`${folder}/text.sqlite`, "this is no database, but a text of some length ".repeat(100))
      const reasonOf = (environment: { readonly [variable: string]: string }) =>
        Effect.scoped(App.start({ TRAFFIC_TCP_PORT: `${tcp}`, TRAFFIC_UDP_PORT: `${udp}`, ...environment })).pipe(
          Effect.sandbox,
          Effect.flip,
          Effect.map((cause) => Option.getOrElse(explain(cause), () => Cause.pretty(cause))),
          Effect.provide(Layer.fresh(Node.layerLocal()))
        )
      const byTcp = yield* Effect.scoped(Effect.andThen(taken.tcp(tcp), reasonOf({})))
      assert.match(byTcp, new RegExp(`^The port ${tcp} for the feed by TCP is taken .*\n.*TRAFFIC_TCP_PORT`))
      const byUdp = yield* Effect.scoped(Effect.andThen(taken.udp(udp), reasonOf({})))
      assert.match(byUdp, new RegExp(`^The port ${udp} for the feed by UDP is taken .*\n.*TRAFFIC_UDP_PORT`))
      assert.match(yield* reasonOf({ TRAFFIC_HOST: "192.0.2.1" }), /TRAFFIC_HOST/)
      assert.match(yield* reasonOf({ TRAFFIC_SPEED: "fast" }), /^A setting is wrong: .*TRAFFIC_SPEED/s)
      assert.match(yield* reasonOf({ TRAFFIC_ROLES: "ingest,cook" }), /^A setting is wrong: .*TRAFFIC_ROLES/s)
      assert.match(
        yield* reasonOf({ TRAFFIC_DATABASE: `${folder}/text.sqlite` }),
        /^The database .*text.sqlite is of no use: it is no database of this application/
      )
      assert.match(
        yield* reasonOf({ TRAFFIC_DATABASE: folder }),
        /^The database .* is of no use: it cannot be opened/
      )
    }).pipe(Effect.provide(services)), 60_000)

  it.effect("refuses settings that do not go together", () =>
    Effect.gen(function*() {
      const refused = (env: Record<string, string>) =>
        Effect.provide(settings, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))).pipe(
          Effect.flatMap(check),
          Effect.sandbox,
          Effect.flip,
          Effect.map((cause) => Option.getOrElse(explain(cause), () => Cause.pretty(cause)))
        )
      assert.match(yield* refused({ TRAFFIC_ROLES: "web" }), /TRAFFIC_STORAGE_NODE/)
      assert.match(yield* refused({ TRAFFIC_REPLAY: "no/such/file.csv" }), /no\/such\/file.csv, which is no file/)
      // With no receiver, nothing is played.
      const fits = { TRAFFIC_ROLES: "web", TRAFFIC_STORAGE_NODE: "store@127.0.0.1", TRAFFIC_REPLAY: "no/such/file.csv" }
      yield* Effect.provide(settings, ConfigProvider.layer(ConfigProvider.fromEnv({ env: fits }))).pipe(
        Effect.flatMap(check)
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("has its vehicles from a recording when there is one", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())
      const rows = Array.from({ length: 50 }, (_, n) => `bus${n % 5},2017-04-18T05:00:0${n % 10}Z,1,7,1,30.${n},-97,x`)
      Fs.writeFileSync(
        `${folder}/day.csv`,
        `vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign\n${rows.join("\n")}\n`
      )
      yield* App.start({ TRAFFIC_REPLAY: `${folder}/day.csv`, TRAFFIC_SPEED: "100" })
      const storage = yield* GenServer.named(Storage, "storage")
      // It begins again at its end, and the positions are those of now.
      yield* App.reportWhen(({ udp }) => udp.stored > 100)
      const track = yield* storage.Track({ vehicle: "bus1", limit: 1000 })
      assert.isAbove(track.length, 10)
      assert.isTrue(track.every(({ at }) => at > 1_600_000_000_000))
    }).pipe(Effect.provide(services)), 60_000)

  it.effect("has settings with the defaults of its README", () =>
    Effect.gen(function*() {
      const read = (env: Record<string, string>) =>
        Effect.provide(settings, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
      const defaults = yield* read({})
      const readme = Fs.readFileSync(new URL("../../../examples/traffic/README.md", import.meta.url), "utf8")
      const documented = new Map(
        [...readme.matchAll(/^\| `(TRAFFIC_\w+)` \| ([^|]*) \|/gm)].map(([, name, value]) => [name!, value!.trim()])
      )
      const source = Fs.readFileSync(new URL("../../../examples/traffic/Settings.ts", import.meta.url), "utf8")
      const names = [...source.matchAll(/"(TRAFFIC_\w+)"/g)].map(([, name]) => name!)
      assert.sameMembers([...documented.keys()], names)
      assert.deepInclude(defaults, { httpPort: 9090, tcpPort: 9091, udpPort: 9092, host: "127.0.0.1", speed: 10 })
      // Given as the table has them, the defaults change nothing.
      const given = Object.fromEntries(
        [...documented].flatMap(([name, value]) => /^`[^`]+`$/.test(value) ? [[name, value.slice(1, -1)]] : [])
      )
      assert.deepStrictEqual(yield* read(given), defaults)
    }).pipe(Effect.provide(NodeServices.layer)))
})
