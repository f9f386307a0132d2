/**
 * What holds for every store: one suite for SQLite and for memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as MemoryStore from "../../../examples/traffic/MemoryStore.ts"
import { Position } from "../../../examples/traffic/Position.ts"
import * as SqliteStore from "../../../examples/traffic/SqliteStore.ts"
import { maxAge, Store, Stored } from "../../../examples/traffic/Store.ts"
import * as BruteForce from "./BruteForce.ts"
import { position } from "./BruteForce.ts"

const temporary = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-traffic-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    ),
    (path) => SqliteStore.layer({ path: join(path, "positions.db"), sync: false })
  )
)

/** A writer and a reader. */
const opened = Effect.gen(function*() {
  const store = yield* Store
  return { ...(yield* store.reader), ...(yield* store.writer) }
})

const austin = { lat: 30.27, lon: -97.74 }

const suite = (name: string, layer: Layer.Layer<Store>) =>
  describe(name, () => {
    it.effect("an empty store has nothing", () =>
      Effect.gen(function*() {
        const { box, nearest, statistics, store, track } = yield* opened
        assert.deepStrictEqual(yield* nearest({ ...austin, k: 3 }), [])
        assert.deepStrictEqual(yield* box({ south: -90, west: -180, north: 90, east: 180, limit: 10, at: 0 }), [])
        assert.deepStrictEqual(yield* track({ vehicle: "a", limit: 1 }), [])
        assert.deepStrictEqual(yield* store([[]]), [new Stored({ stored: 0, duplicates: 0 })])
        const { bytes, ...rest } = yield* statistics
        assert.deepStrictEqual(rest, { positions: 0, vehicles: 0, stored: 0, duplicates: 0 })
        assert.isAtLeast(bytes, 0)
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.effect("duplicates are counted for their request, and the first one stays", () =>
      Effect.gen(function*() {
        const { statistics, store, track } = yield* opened
        const first = position({ vehicle: "a", at: 1000, route: "first" })
        const again = position({ vehicle: "a", at: 1000, route: "again" })
        const other = position({ vehicle: "b", at: 1000 })
        const later = position({ vehicle: "a", at: 2000 })
        assert.deepStrictEqual(yield* store([[first, again, other], [later, again]]), [
          new Stored({ stored: 2, duplicates: 1 }),
          new Stored({ stored: 1, duplicates: 1 })
        ])
        assert.deepStrictEqual(yield* store([[later], [first]]), [
          new Stored({ stored: 0, duplicates: 1 }),
          new Stored({ stored: 0, duplicates: 1 })
        ])
        assert.deepStrictEqual(yield* track({ vehicle: "a", limit: 10 }), [first, later])
        const { bytes: _, ...rest } = yield* statistics
        assert.deepStrictEqual(rest, {
          positions: 3,
          vehicles: 2,
          stored: 3,
          duplicates: 4,
          oldest: 1000,
          newest: 2000
        })
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.effect("the latest position is that of the latest time, whatever comes last", () =>
      Effect.gen(function*() {
        const { nearest, store } = yield* opened
        const at = (time: number, lat: number) => position({ vehicle: "a", at: time, lat })
        yield* store([[at(5000, 5), at(3000, 3)]])
        yield* store([[at(4000, 4)], [at(6000, 6), at(1000, 1)]])
        const seen = (time?: number) =>
          Effect.map(nearest({ lat: 0, lon: 0, k: 10, at: time }), (all) => all.map(({ lat }) => lat))
        assert.deepStrictEqual(yield* seen(), [6])
        assert.deepStrictEqual(yield* seen(999), [])
        for (const [time, lat] of [[1000, 1], [2999, 1], [3000, 3], [4500, 4], [5999, 5]] as const) {
          assert.deepStrictEqual(yield* seen(time), [lat], `at ${time}`)
        }
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.effect("a position holds for one hour, to the millisecond; the latest one for ever", () =>
      Effect.gen(function*() {
        const { box, nearest, store } = yield* opened
        const early = position({ vehicle: "a", at: 10_000_500 })
        const late = position({ vehicle: "a", at: 10_000_500 + 5 * maxAge })
        yield* store([[early, late]])
        const times = [early.at - 1, early.at, early.at + maxAge, early.at + maxAge + 1, late.at, late.at + maxAge + 1]
        const expected = [[], [early], [early], [], [late], []]
        for (const [i, at] of times.entries()) {
          const found = yield* box({ south: 0, west: -98, north: 31, east: -96, limit: 10, at })
          assert.deepStrictEqual(found, expected[i], `at ${at}`)
          assert.strictEqual((yield* nearest({ lat: 30, lon: -97, k: 1, at })).length, expected[i]!.length)
        }
        assert.deepStrictEqual(yield* box({ south: 0, west: -98, north: 31, east: -96, limit: 10 }), [late])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.effect("who is equally far away is told by name", () =>
      Effect.gen(function*() {
        const { box, nearest, store } = yield* opened
        const names = ["10", "9", "Ä", "a", "B"]
        yield* store([names.map((vehicle) => position({ vehicle, at: 1000 }))])
        const sorted = ["10", "9", "B", "a", "Ä"]
        assert.deepStrictEqual((yield* nearest({ ...austin, k: 4 })).map(({ vehicle }) => vehicle), sorted.slice(0, 4))
        const all = { south: 30, west: -97, north: 30, east: -97 }
        assert.deepStrictEqual((yield* box({ ...all, limit: 3 })).map(({ vehicle }) => vehicle), sorted.slice(0, 3))
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.effect("names that look alike are different vehicles", () =>
      Effect.gen(function*() {
        const { store, track } = yield* opened
        const names = [
          "a",
          "A",
          " a",
          "a ",
          "\u00e9",
          "e\u0301",
          "\u{1f68c}",
          "\ufffd",
          "1",
          "1.0",
          "'; --",
          "x".repeat(64)
        ]
        const all = names.map((vehicle, i) => position({ vehicle, at: 1000 + i, route: vehicle }))
        assert.deepStrictEqual(yield* store([all]), [new Stored({ stored: names.length, duplicates: 0 })])
        for (const one of all) assert.deepStrictEqual(yield* track({ vehicle: one.vehicle, limit: 9 }), [one])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    it.effect("a track has both ends, in the order of time, and no more than its limit", () =>
      Effect.gen(function*() {
        const { store, track } = yield* opened
        const tracks = ["a", "b", "c"].map((vehicle) => [1, 2, 3, 4, 5].map((n) => position({ vehicle, at: n * 1000 })))
        yield* store(BruteForce.shuffled(tracks.flat(), BruteForce.random(1)).map((one) => [one]))
        const b = tracks[1]!
        assert.deepStrictEqual(yield* track({ vehicle: "b", limit: 10 }), b)
        assert.deepStrictEqual(yield* track({ vehicle: "b", from: 2000, to: 4000, limit: 10 }), b.slice(1, 4))
        assert.deepStrictEqual(yield* track({ vehicle: "b", from: 2001, limit: 2 }), b.slice(2, 4))
        assert.deepStrictEqual(yield* track({ vehicle: "b", to: 999, limit: 10 }), [])
        assert.deepStrictEqual(yield* track({ vehicle: "ab", limit: 10 }), [])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    const places = [
      { place: "a city", ...austin, size: 0.4 },
      { place: "the date line", lat: -17, lon: 180, size: 4 },
      { place: "a pole", lat: 89, lon: 0, size: 300 },
      { place: "the world", lat: 0, lon: 0, size: 360 }
    ]
    for (const [seed, { place, ...where }] of places.entries()) {
      it.effect(`answers are those of brute force, in whatever order positions came: ${place}`, () =>
        Effect.gen(function*() {
          const { box, nearest, store, track } = yield* opened
          const next = BruteForce.random(seed)
          const positions = BruteForce.wandering(next, { ...where, vehicles: 40, steps: 60 })
          const sent = BruteForce.shuffled(positions, next)
          // Some come in order, as most do, and some do not.
          const inOrder = sent.splice(0, 1200).sort((a, b) => a.at - b.at)
          const all = [...inOrder, ...sent]
          const requests: Array<Array<Position>> = []
          while (all.length > 0) requests.push(all.splice(0, 1 + Math.floor(next() * 30)))
          while (requests.length > 0) yield* store(requests.splice(0, 5))

          const times = positions.map(({ at }) => at)
          const first = times.reduce((a, b) => Math.min(a, b))
          const last = times.reduce((a, b) => Math.max(a, b))
          for (let i = 0; i < 150; i++) {
            const some = positions[Math.floor(next() * positions.length)]!
            const at = [undefined, some.at, some.at - 1, first + Math.floor(next() * (last - first))][i % 4]
            const [lat, lon] = i % 5 === 0
              ? [next() * 180 - 90, next() * 360 - 180]
              : [some.lat, some.lon]
            const near = { lat, lon, k: 1 + Math.floor(next() * 50), at }
            assert.deepStrictEqual(yield* nearest(near), BruteForce.nearest(positions, near))
            const side = () => next() * where.size / 2
            const corners = {
              south: Math.max(-90, lat - side()),
              north: Math.min(90, lat + side()),
              west: (lon - side() + 540) % 360 - 180,
              east: (lon + side() + 540) % 360 - 180
            }
            const inside = { ...corners, limit: 1 + Math.floor(next() * 100), at }
            assert.deepStrictEqual(yield* box(inside), BruteForce.box(positions, inside))
            const of = { vehicle: some.vehicle, from: some.at, to: at, limit: 1 + Math.floor(next() * 80) }
            assert.deepStrictEqual(yield* track(of), BruteForce.track(positions, of))
          }
        }).pipe(Effect.scoped, Effect.provide(layer)))
    }
  })

describe("a position", () => {
  it("is one that any store gives back as it was", () => {
    const good = { vehicle: "a", at: 1, route: "", lat: 90, lon: -180, speed: 0, emergency: false }
    const isPosition = (change: Partial<typeof Position.Encoded>) =>
      Option.isSome(Schema.decodeUnknownOption(Position)({ ...good, ...change }))
    assert.isTrue(isPosition({ vehicle: "x".repeat(64), at: 2 ** 42 - 1 }))
    // Two halves of characters would be one and the same name in a database.
    for (const vehicle of ["", "x".repeat(65), "\ud800", "a\udc00b", "a\u0000b", "a\nb"]) {
      assert.isFalse(isPosition({ vehicle }), JSON.stringify(vehicle))
    }
    for (const route of ["x".repeat(65), "\ud800"]) assert.isFalse(isPosition({ route }))
    for (const at of [-1, 1.5, 2 ** 42, NaN]) assert.isFalse(isPosition({ at }), `${at}`)
    for (const bad of [NaN, Infinity, -181, 181]) assert.isFalse(isPosition({ lat: bad }) || isPosition({ lon: bad }))
    for (const speed of [-1, NaN, Infinity]) assert.isFalse(isPosition({ speed }), `${speed}`)
  })
})

suite("in memory", MemoryStore.layer)
suite("in SQLite", temporary)
