/**
 * What only a file can do or suffer: it outlives its process, is full, damaged, somebody else's, or held by another.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SqliteStore from "../../../examples/traffic/SqliteStore.ts"
import { type StorageError, Store, Stored } from "../../../examples/traffic/Store.ts"
import * as BruteForce from "./BruteForce.ts"
import { position } from "./BruteForce.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-traffic-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const within = <A, E, R>(options: SqliteStore.Options, effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.scoped, Effect.provide(SqliteStore.layer({ sync: false, ...options })))

const writer = Effect.flatMap(Store, ({ writer }) => writer)
const reader = Effect.flatMap(Store, ({ reader }) => reader)

const reasonOf = (effect: Effect.Effect<unknown, StorageError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** Damages a page of a file. */
const overwrite = (path: string, offset: number) => {
  const file = openSync(path, "r+")
  writeSync(file, new Uint8Array(4096).fill(0xa5), 0, 4096, offset)
  closeSync(file)
}

describe("a file of SQLite", () => {
  it.effect("goes on where it was when it is opened again", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "new", "folders", "positions.db")
      const next = BruteForce.random(7)
      const positions = BruteForce.wandering(next, { lat: 30, lon: -97, size: 1, vehicles: 10, steps: 60 })
      const sent = BruteForce.shuffled(positions, next)
      // Each part by a writer of its own, some positions twice.
      for (let i = 0; i < 600; i += 100) {
        const part = sent.slice(Math.max(0, i - 20), i + 100)
        const [stored] = yield* within({ path }, Effect.flatMap(writer, ({ store }) => store([part])))
        assert.deepStrictEqual(stored, new Stored({ stored: 100, duplicates: part.length - 100 }))
      }
      yield* within(
        { path },
        Effect.gen(function*() {
          const { nearest, statistics } = yield* reader
          const { duplicates, stored, vehicles } = yield* statistics
          assert.deepStrictEqual([stored, duplicates, vehicles], [600, 100, 10])
          for (let i = 0; i < 100; i++) {
            const { at } = sent[i]!
            const query = { lat: 30 + next() - 0.5, lon: -97 + next() - 0.5, k: 4, at: i % 4 === 0 ? undefined : at }
            assert.deepStrictEqual(yield* nearest(query), BruteForce.nearest(positions, query))
          }
        })
      )
    }).pipe(Effect.scoped))

  it.effect("a writer sees what another has stored before it", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "positions.db")
      yield* within(
        { path },
        Effect.gen(function*() {
          const { store } = yield* writer
          yield* store([[position({ vehicle: "a", at: 1 })]])
          // Not at the same time, but between its transactions.
          const other = Effect.flatMap(writer, ({ store }) =>
            store([[position({ vehicle: "b", at: 1 }), position({ vehicle: "a", at: 2 })]]))
          yield* Effect.scoped(other)
          const again = ["a", "b", "c"].map((vehicle) =>
            position({ vehicle, at: 2, lat: 1 })
          )
          assert.deepStrictEqual(yield* store([again]), [new Stored({ stored: 2, duplicates: 1 })])
          const { nearest } = yield* reader
          const found = yield* nearest({ lat: 0, lon: -97, k: 3 })
          assert.deepStrictEqual(found.map(({ lat, vehicle }) => [vehicle, lat]), [["b", 1], ["c", 1], ["a", 30]])
        })
      )
    }).pipe(Effect.scoped))

  it.effect("readers do not wait for a writer", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "positions.db")
      yield* within(
        { path },
        Effect.gen(function*() {
          const { store } = yield* writer
          const { nearest } = yield* reader
          yield* store([[position({ vehicle: "a", at: 1 })]])
          // Somebody holds the file: no transaction can be written meanwhile.
          const holder = new DatabaseSync(path)
          holder.exec("BEGIN IMMEDIATE")
          const storing = yield* Effect.forkChild(store([[position({ vehicle: "b", at: 1 })]]), {
            startImmediately: true
          })
          assert.strictEqual((yield* nearest({ lat: 0, lon: 0, k: 9 })).length, 1)
          assert.isUndefined(storing.pollUnsafe())
          holder.exec("COMMIT")
          holder.close()
          assert.deepStrictEqual(yield* Fiber.join(storing), [new Stored({ stored: 1, duplicates: 0 })])
          assert.strictEqual((yield* nearest({ lat: 0, lon: 0, k: 9 })).length, 2)
        })
      )
    }).pipe(Effect.scoped))

  it.effect("when it is full, nothing of the transaction is stored, and what was stored stays", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "positions.db")
      const many = (first: number, count: number) =>
        Array.from(
          { length: count },
          (_, i) => position({ vehicle: `v${i % 10}`, at: (first + i) * 1000, lat: i % 90, route: "x".repeat(60) })
        )
      const before = yield* within(
        { path, maxBytes: 300_000 },
        Effect.gen(function*() {
          const { store } = yield* writer
          const { statistics } = yield* reader
          yield* store([many(0, 500)])
          const reason = yield* reasonOf(store([many(500, 100), many(600, 10_000)]))
          assert.deepStrictEqual({ ...reason }, { _tag: "DiskFull", path })
          // There is still room for less.
          yield* store([many(500, 10)])
          assert.strictEqual((yield* reasonOf(store([many(510, 10_000)])))._tag, "DiskFull")
          return yield* statistics
        })
      )
      assert.strictEqual(before.stored, 510)
      // With more room it goes on, and knows what it has.
      yield* within(
        { path },
        Effect.gen(function*() {
          const { store } = yield* writer
          assert.deepStrictEqual(yield* store([many(0, 10_000)]), [new Stored({ stored: 9490, duplicates: 510 })])
        })
      )
    }).pipe(Effect.scoped))

  it.effect("what is no database of the application is refused, and left as it is", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const text = join(path, "text.db")
      writeFileSync(text, "vehicle,at\n".repeat(1000))
      const other = join(path, "other.db")
      const database = new DatabaseSync(other)
      database.exec("CREATE TABLE mine (x)")
      database.close()
      const before = [text, other].map((path) => readFileSync(path))
      const directory = join(path, "directory.db")
      mkdirSync(directory)
      const expected = [
        [text, "NotADatabase"],
        [other, "NotADatabase"],
        [directory, "NotAccessible"],
        [join(text, "below.db"), "NotAccessible"]
      ] as const
      for (const [path, tag] of expected) {
        for (const open of [Effect.asVoid(writer), Effect.asVoid(reader)]) {
          const reason = yield* reasonOf(within({ path }, open))
          assert.strictEqual(reason._tag, tag, path)
          assert.strictEqual("path" in reason ? reason.path : undefined, path)
        }
      }
      assert.deepStrictEqual([text, other].map((path) => readFileSync(path)), before)
    }).pipe(Effect.scoped))

  it.effect("a damaged file is a typed failure of what meets the damage", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "positions.db")
      const positions = Array.from({ length: 2000 }, (_, i) => position({ vehicle: `v${i % 7}`, at: i * 1000 }))
      yield* within({ path }, Effect.flatMap(writer, ({ store }) => store([positions])))
      const database = new DatabaseSync(path)
      // The first page of the vehicles.
      const row = database.prepare("SELECT rootpage AS page FROM sqlite_schema WHERE name = 'vehicle'").get()!
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      database.close()
      overwrite(path, (Number(row["page"]) - 1) * 4096)
      const looking = Effect.flatMap(reader, ({ track }) => track({ vehicle: "v1", limit: 10 }))
      const storing = Effect.flatMap(writer, ({ store }) => store([[position({ vehicle: "v1", at: 3 })]]))
      assert.strictEqual((yield* reasonOf(within({ path }, looking)))._tag, "NotADatabase")
      assert.strictEqual((yield* reasonOf(within({ path }, storing)))._tag, "NotADatabase")
    }).pipe(Effect.scoped))
})
