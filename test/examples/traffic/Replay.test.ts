import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Layer } from "effect"
import { GenServer } from "effect-otp"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import { TestClock } from "effect/testing"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { gzipSync } from "node:zlib"
import * as City from "../../../examples/traffic/City.ts"
import * as Day from "../../../examples/traffic/Day.ts"
import * as Drive from "../../../examples/traffic/Drive.ts"
import type { Position } from "../../../examples/traffic/Position.ts"
import type * as Sender from "../../../examples/traffic/Sender.ts"
import { Storage } from "../../../examples/traffic/Storage.ts"
import { root } from "../../project/Sources.ts"
import * as App from "./App.ts"

const services = Layer.merge(App.services, NodeTcpNetwork.layer)

/** The recording of the CapMetrics project lies beside the repository, where there is one. */
const realDay = Path.join(root, "../shared/data/capmetro-vehicle-positions-2017-04-18.csv.gz")

const header = "vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign"

/** A recording of a simulated city, with the columns of the real one: by vehicle, and in local time. */
const recording = (vehicles: number, minutes: number): string => {
  const city = City.make({ seed: 1, vehicles })
  const start = Date.parse("2017-04-18T05:00:00Z")
  const rows = []
  for (let vehicle = 0; vehicle < vehicles; vehicle++) {
    for (let minute = 0; minute < minutes; minute++) {
      const { at, lat, lon, route, speed, vehicle: id } = city.vehicleAt(
        vehicle,
        start + minute * 120_000 + vehicle * 100
      )
      const local = new Date(at - 5 * 3_600_000).toISOString().replace("Z", "-05:00")
      rows.push(`${id},${local},${speed},${route},1,${lat},${lon},"To ""there"", and back"`)
    }
  }
  return `${[header, ...rows].join("\r\n")}\r\n`
}

/** A program of the example, as a user runs it. */
const run = (file: string, arguments_: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number; readonly output: string }>((resume) => {
    const child = execFile(
      process.execPath,
      ["--conditions=effect-otp-source", `examples/traffic/${file}`, ...arguments_],
      { cwd: root, timeout: 30_000 },
      (error, output, errors) =>
        resume(Effect.succeed({ code: error === null ? 0 : Number(error.code), output: output + errors }))
    )
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** Remembers what it is to send, and when. */
const recorder = (calls: Array<ReadonlyArray<Position>>): Sender.Sender => ({
  send: (positions) =>
    Effect.sync(() => {
      calls.push(positions)
      return { kept: positions.length, dropped: 0, again: 0 }
    })
})

describe("a recording", () => {
  it.effect("is read in the order of time, packed or not, and rows that are none are counted", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const folder = yield* files.makeTempDirectoryScoped()
      const text = `${recording(20, 30)}9,yesterday,1,1,1,30,-97,x\r\n9,2017-04-18T05:00:00Z,1,1,1,91,-97,x\r\n`
      yield* files.writeFileString(`${folder}/day.csv`, text)
      yield* files.writeFile(`${folder}/day.csv.gz`, gzipSync(text))
      const day = yield* Day.read(`${folder}/day.csv.gz`)
      assert.deepStrictEqual(day, yield* Day.read(`${folder}/day.csv`))
      assert.deepStrictEqual([day.positions.length, day.invalid], [600, 2])
      assert.isTrue(day.positions.every(({ at }, index) => index === 0 || at >= day.positions[index - 1]!.at))
      assert.deepStrictEqual({ ...day.positions[0]! }, {
        ...City.make({ seed: 1, vehicles: 20 }).vehicleAt(0, Date.parse("2017-04-18T05:00:00Z")),
        emergency: false
      })
    }).pipe(Effect.provide(services)))

  it.effect.skipIf(!Fs.existsSync(realDay))(
    "of the real day is read: every row is a position",
    () =>
      Effect.gen(function*() {
        const { invalid, positions } = yield* Day.read(realDay)
        const vehicles = new Set(positions.map(({ vehicle }) => vehicle))
        assert.deepStrictEqual([positions.length, invalid, vehicles.size], [44_300, 0, 320])
      }).pipe(Effect.provide(services))
  )

  it.effect("that is none is refused with a line that says why", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const folder = yield* files.makeTempDirectoryScoped()
      const refused = (name: string, content: string | Uint8Array) =>
        Effect.gen(function*() {
          const file = `${folder}/${name}`
          yield* typeof content === "string" ? files.writeFileString(file, content) : files.writeFile(file, content)
          const { message } = yield* Effect.flip(Day.read(file))
          assert.include(message, `${file} is no recording of positions`)
        })
      yield* refused("empty.csv", "")
      yield* refused("other.csv", "a,b\r\n1,2\r\n")
      yield* refused("uneven.csv", `${recording(1, 1)}9\r\n`)
      yield* refused("plain.csv.gz", recording(1, 1))
      yield* refused("cut.csv.gz", gzipSync(recording(20, 20)).subarray(0, 500))
      assert.include((yield* Effect.flip(Day.read(`${folder}/none.csv`))).message, "none.csv")
    }).pipe(Effect.provide(services)))

  it.effect("is played in its time, or so many times as fast", () =>
    Effect.gen(function*() {
      const calls: Array<ReadonlyArray<Position>> = []
      const positions = App.positions(500)
      const playing = yield* Effect.forkChild(Drive.play(positions, recorder(calls), { speed: 2 }))
      yield* TestClock.adjust(0)
      // 50 vehicles at a time, once a second of theirs.
      assert.deepStrictEqual(calls.map(({ length }) => length), [50])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.map(({ length }) => length), [50, 50, 50, 50, 50])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(playing), { kept: 500, dropped: 0, again: 0 })
      assert.deepStrictEqual(calls.flat(), [...positions])

      calls.length = 0
      yield* Drive.play(App.positions(1200), recorder(calls), { speed: Infinity })
      assert.deepStrictEqual(calls.map(({ length }) => length), [1200])
    }))

  it.effect("a load has its rate, and its emergencies", () =>
    Effect.gen(function*() {
      const calls: Array<ReadonlyArray<Position>> = []
      const city = City.make({ seed: 1, vehicles: 2000 })
      const loading = yield* Effect.forkChild(Drive.load(city, recorder(calls), { rate: 2000, seconds: 10 }))
      yield* TestClock.adjust("5 seconds")
      const half = calls.flat().length
      assert.isTrue(half > 9900 && half <= 10_000, `${half}`)
      yield* TestClock.adjust("6 seconds")
      const { emergencies, kept, sent } = yield* Fiber.join(loading)
      assert.deepStrictEqual([sent, kept], [20_000, 20_000])
      assert.isTrue(emergencies > 5 && emergencies < 45, `${emergencies}`)
      assert.strictEqual(new Set(calls.flat().map(({ at, vehicle }) => `${vehicle} ${at}`)).size, 20_000)
    }))
})

describe("the programs that send", () => {
  it.live("replay.ts plays a file by TCP and by UDP, and says what became of it", () =>
    Effect.gen(function*() {
      const { tcp, udp } = yield* App.start()
      const files = yield* FileSystem.FileSystem
      const folder = yield* files.makeTempDirectoryScoped()
      const file = `${folder}/day.csv.gz`
      yield* files.writeFile(file, gzipSync(recording(40, 50)))
      const byTcp = yield* run("replay.ts", [file, "--speed", "0", "--port", `${tcp}`])
      assert.match(
        byTcp.output,
        /^2000 positions of 40 vehicles; 0 rows are no positions\n2000 sent in [\d.]+ s: 2000 kept, 0 dropped, 0 sent again\n$/
      )
      const byUdp = yield* run("replay.ts", [file, "--speed", "0", "--by", "udp", "--port", `${udp}`])
      assert.match(byUdp.output, /2000 sent in [\d.]+ s: 2000 kept, 0 dropped/)
      const storage = yield* GenServer.named(Storage, "storage")
      const { positions, vehicles } = yield* storage.Statistics()
      assert.deepStrictEqual([positions, vehicles], [2000, 40])
      // Again at the time of arrival: those are others.
      yield* run("replay.ts", [file, "--speed", "0", "--arrival", "--port", `${tcp}`])
      assert.isAbove((yield* storage.Statistics()).positions, 2000)
      const missing = yield* run("replay.ts", [`${folder}/none.csv`])
      assert.notStrictEqual(missing.code, 0)
    }).pipe(Effect.provide(services)), 120_000)

  it.live("load.ts says what it has sent and what the application has counted", () =>
    Effect.gen(function*() {
      const http = yield* App.freePort
      const { udp } = yield* App.start({ TRAFFIC_ROLES: "ingest,storage,web", TRAFFIC_HTTP_PORT: `${http}` })
      const { output } = yield* run("load.ts", [
        ...["--rate", "1000", "--seconds", "2", "--by", "udp", "--port", `${udp}`, "--unanswered"],
        ...["--api", `http://127.0.0.1:${http}`]
      ])
      const [, sent] = /^sent +(\d+) in [\d.]+ s, \d+ a second; \d+ emergencies$/m.exec(output) ?? assert.fail(output)
      const counted = /^counted +(\d+): (\d+) stored, 0 duplicates, 0 invalid, (\d+) dropped; (\d+) datagrams unread$/m
        .exec(output) ?? assert.fail(output)
      const [received, stored, dropped, unread] = counted.slice(1).map(Number)
      assert.strictEqual(Number(sent), 2000)
      assert.strictEqual(stored! + dropped!, received)
      assert.strictEqual(received! + unread!, 2000)
    }).pipe(Effect.provide(services)), 120_000)
})
