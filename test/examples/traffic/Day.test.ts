/**
 * A whole day through the application: each position as a datagram, as fast as they are taken. Then everything that was sent
 * is accounted for, and what one asks has the answers that the file has.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Deferred, Effect, Layer, References, Schedule } from "effect"
import { GenServer, Node } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import { createSocket } from "node:dgram"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Application from "../../../examples/traffic/Application.ts"
import type { Position } from "../../../examples/traffic/Position.ts"
import * as Sender from "../../../examples/traffic/Sender.ts"
import { settings } from "../../../examples/traffic/Settings.ts"
import { Statistics } from "../../../examples/traffic/Statistics.ts"
import { Storage, storageName } from "../../../examples/traffic/Storage.ts"
import * as BruteForce from "./BruteForce.ts"
import * as RecordedDay from "./RecordedDay.ts"

/** Senders at once: the vehicles are divided among them. */
const senders = 4

/** Sends bytes that are no position. */
const sendNonsense = (port: number, datagrams: ReadonlyArray<Uint8Array>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => createSocket("udp4")),
    (socket) =>
      Effect.forEach(datagrams, (datagram) =>
        Effect.callback<void>((resume) =>
          socket.send(datagram, port, "127.0.0.1", () => resume(Effect.void))
        )),
    (socket) => Effect.sync(() => socket.close())
  )

/** Runs the application with a database in a folder of its own. */
const running = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-traffic-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const started = yield* Deferred.make<void>()
  const environment = {
    TRAFFIC_FOLDER: folder,
    TRAFFIC_ROLES: "ingest,storage",
    TRAFFIC_TCP_PORT: "0",
    TRAFFIC_UDP_PORT: "0",
    TRAFFIC_REPLAY: "none"
  }
  const chosen = yield* settings.parse(ConfigProvider.fromUnknown(environment))
  yield* Effect.forkScoped(
    Application.run(chosen, { started: Effect.asVoid(Deferred.succeed(started, undefined)) })
  )
  yield* Deferred.await(started)
  const receiver = yield* GenServer.named(UdpServer.Control, "udp_receiver")
  return yield* receiver.Address()
})

const shared = Layer.mergeAll(
  Node.layerLocal(),
  NodeServices.layer,
  Layer.succeed(References.MinimumLogLevel, "Error")
)

describe(`a whole day, ${RecordedDay.isRecorded ? "as it was recorded" : "made up, since the recorded one is not there"}`, () => {
  it.live(
    "all that was sent is stored or counted, and the answers are those of the file",
    () =>
      Effect.gen(function*() {
        const file = RecordedDay.read()
        const different = new Map(file.map((position) => [`${position.vehicle} ${position.at}`, position]))
        const positions = [...different.values()]
        assert.isAtLeast(file.length, 43_000)

        const address = yield* running
        const shares = Array.from({ length: senders }, () => Array<Position>())
        // In the order of time, as they came.
        for (const position of file.toSorted((a, b) => a.at - b.at)) {
          shares[Number(position.vehicle) % senders]!.push(position)
        }
        const nonsense = Array.from({ length: 50 }, (_, i) => Uint8Array.from({ length: i }, (_, j) => i * j % 256))
        const [outcomes] = yield* Effect.all([
          Effect.forEach(shares, (share) =>
            Effect.flatMap(
              Sender.udp(address, { acknowledged: true, patience: "5 seconds" }),
              (sender) => sender.send(share)
            ), { concurrency: "unbounded" }),
          sendNonsense(address.port, nonsense)
        ], { concurrency: 2 })
        const { again, dropped, kept } = outcomes.reduce(Sender.add)
        assert.deepStrictEqual({ dropped, kept }, { dropped: 0, kept: file.length })

        // Each of them once, wherever it ended.
        const counts = yield* GenServer.named(Statistics, "statistics")
        const { udp } = yield* Effect.repeat(counts.Get(), {
          until: ({ udp }) => udp.waiting === 0 && udp.invalid === nonsense.length,
          schedule: Schedule.spaced("20 millis")
        })
        const sent = file.length + again + nonsense.length
        assert.strictEqual(udp.stored + udp.duplicates + udp.dropped + udp.invalid, sent)
        assert.strictEqual(udp.received, sent)
        assert.strictEqual(udp.stored, positions.length)

        const storage = yield* GenServer.named(Storage, storageName)
        const { bytes: _, ...statistics } = yield* storage.Statistics()
        const times = positions.map(({ at }) => at)
        const oldest = times.reduce((a, b) => Math.min(a, b))
        const newest = times.reduce((a, b) => Math.max(a, b))
        assert.deepStrictEqual({ ...statistics }, {
          positions: positions.length,
          vehicles: new Set(positions.map(({ vehicle }) => vehicle)).size,
          stored: positions.length,
          duplicates: udp.duplicates,
          oldest,
          newest
        })

        const next = BruteForce.random(4_300)
        const between = (low: number, high: number) => low + next() * (high - low)
        for (let i = 0; i < 1000; i++) {
          const at = i % 10 === 0 ? undefined : Math.floor(between(oldest, newest))
          const there = BruteForce.whereabouts(positions, at)
          const lat = between(30.1, 30.6)
          const lon = between(-98, -97.5)
          const near = { lat, lon, k: 1 + Math.floor(next() * 20), at }
          assert.deepStrictEqual(yield* storage.Nearest(near), BruteForce.nearest(there, near))
          const size = between(0, 0.2)
          const inside = { south: lat, west: lon, north: lat + size, east: lon + size, limit: 100, at }
          assert.deepStrictEqual(yield* storage.Box(inside), BruteForce.box(there, inside))
          const { vehicle } = positions[Math.floor(next() * positions.length)]!
          const from = Math.floor(between(oldest, newest))
          const of = { vehicle, from, to: from + 7_200_000, limit: 50 }
          assert.deepStrictEqual(yield* storage.Track(of), BruteForce.track(positions, of))
        }
      }).pipe(Effect.scoped, Effect.provide(shared)),
    180_000
  )
})
