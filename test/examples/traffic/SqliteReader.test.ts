/**
 * A reader of SQLite begins its searches with a radius that it has learned from the questions before: what it answers must
 * not depend on them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Position } from "../../../examples/traffic/Position.ts"
import * as SqliteStore from "../../../examples/traffic/SqliteStore.ts"
import { type NearestQuery, Store } from "../../../examples/traffic/Store.ts"
import * as BruteForce from "./BruteForce.ts"
import { position } from "./BruteForce.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-traffic-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const noon = 1_500_000_000_000

/** Vehicles about a place, each seen twice: a minute before noon, and at noon, a little farther on. */
const about = (
  next: () => number,
  name: string,
  { count, lat, lon, size }: {
    readonly count: number
    readonly lat: number
    readonly lon: number
    readonly size: number
  }
): Array<Position> =>
  Array.from({ length: count }, (_, n) => {
    const north = Math.max(-90, Math.min(90, lat + (next() - 0.5) * size))
    const east = (lon + (next() - 0.5) * size + 540) % 360 - 180
    const vehicle = `${name} ${n}`
    return [
      position({ vehicle, at: noon - 60_000, lat: Math.max(-90, north - 0.001), lon: east }),
      position({ vehicle, at: noon, lat: north, lon: east })
    ]
  }).flat()

const crowd = { lat: 30.27, lon: -97.74, size: 0.05 }
const desert = { lat: -25, lon: 132 }

/** Where one asks: in the crowd, beside it, in the desert, at the edges of the map. */
const places: { readonly [place: string]: { readonly lat: number; readonly lon: number } } = {
  "the middle of the crowd": crowd,
  "the edge of the crowd": { lat: 30.295, lon: -97.715 },
  "a day's ride from the crowd": { lat: 33, lon: -97 },
  "the desert": desert,
  "west of the date line": { lat: -17, lon: 179.999 },
  "on the date line": { lat: -17, lon: 180 },
  "east of the date line": { lat: -17, lon: -179.999 },
  "the north pole": { lat: 90, lon: 0 },
  "beside the north pole": { lat: 89.99, lon: 170 },
  "the south pole": { lat: -90, lon: -60 }
}

describe("a reader of SQLite", () => {
  it.live("answers what is nearest as ever, whatever it was asked before", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "positions.db")
      const next = BruteForce.random(11)
      const positions = [
        ...about(next, "crowd", { ...crowd, count: 900 }),
        ...about(next, "desert", { ...desert, size: 20, count: 3 }),
        ...about(next, "date line", { lat: -17, lon: 180, size: 2, count: 150 }),
        ...about(next, "north", { lat: 89.5, lon: 0, size: 1, count: 40 }),
        ...about(next, "north, from the other side", { lat: 89.5, lon: 180, size: 1, count: 40 }),
        ...about(next, "south", { lat: -89, lon: 0, size: 300, count: 20 })
      ]
      // A thousand, and all there are, and more than there are.
      const all = positions.length / 2
      const questions = Object.entries(places).flatMap(([place, at]) =>
        [1, 2, 30, 1000, all, all + 10].flatMap((k) =>
          [undefined, noon - 1].map((time) => {
            const query: NearestQuery = { lat: at.lat, lon: at.lon, k, at: time }
            return {
              what: `${k} nearest to ${place} ${time ?? "now"}`,
              query,
              expected: BruteForce.nearest(positions, query)
            }
          })
        )
      )
      /** Fifty questions each: nearby ones, so that a reader that learns has learned. */
      const asked = (count: number, { lat, lon }: { readonly lat: number; readonly lon: number }, k: number) =>
        Array.from({ length: count }, (): NearestQuery => ({
          lat: lat + (next() - 0.5) * 0.01,
          lon: lon + (next() - 0.5) * 0.01,
          k
        }))
      const spot = positions.find(({ at, vehicle }) => vehicle === "crowd 7" && at === noon)!
      const histories: { readonly [history: string]: ReadonlyArray<NearestQuery> } = {
        "nothing": [],
        "fifty in the desert": asked(50, desert, 1),
        "fifty in the crowd": asked(50, crowd, 1),
        "fifty for many, in the desert and in the crowd": [...asked(50, desert, 1000), ...asked(50, crowd, 1000)],
        "fifty in the desert, and fifty in the crowd": [...asked(50, desert, 1), ...asked(50, crowd, 1)],
        "fifty in the crowd, and fifty in the desert": [...asked(50, crowd, 5), ...asked(50, desert, 5)],
        "fifty on the spot where one is": Array.from({ length: 50 }, () => ({ lat: spot.lat, lon: spot.lon, k: 1 }))
      }

      const store = yield* Effect.provide(Store, SqliteStore.layer({ path, sync: false }))
      const { store: write } = yield* store.writer
      yield* write([BruteForce.shuffled(positions, next)])
      for (const [history, before] of Object.entries(histories)) {
        const { nearest } = yield* store.reader
        for (const query of before) {
          assert.deepStrictEqual(
            (yield* nearest(query))[0],
            BruteForce.nearest(positions, { ...query, k: 1 })[0],
            `a question of ${history}`
          )
        }
        for (const { expected, query, what } of BruteForce.shuffled(questions, next)) {
          assert.deepStrictEqual(yield* nearest(query), expected, `the ${what}, after ${history}`)
        }
      }
    }), 120_000)
})
