/**
 * The processes `storage` and `queries`: what they make of requests, failures of the store, and each other's absence.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, References, Schedule } from "effect"
import { type CallError, GenServer, Node, Pool, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as MemoryStore from "../../../examples/traffic/MemoryStore.ts"
import type { Position } from "../../../examples/traffic/Position.ts"
import { Queries, queriesName, Query } from "../../../examples/traffic/Query.ts"
import { type Options, Storage, storageName, StorageServer } from "../../../examples/traffic/Storage.ts"
import {
  DiskFull,
  Overloaded,
  StorageError,
  Store,
  Stored,
  ThreadEnded,
  type Writer
} from "../../../examples/traffic/Store.ts"
import { position } from "./BruteForce.ts"

const positions = (vehicle: string, count: number, first = 0): Array<Position> =>
  Array.from({ length: count }, (_, i) => position({ vehicle, at: first + i }))

/** A store in memory whose writers are under control. */
class Controlled {
  /** The sizes of the requests of each transaction. */
  readonly transactions: Array<ReadonlyArray<number>> = []
  /** What a transaction waits for, or fails with. */
  before: Effect.Effect<void, StorageError> = Effect.void
  opened = 0
  end: Deferred.Deferred<never, StorageError> = Deferred.makeUnsafe()

  readonly layer = Layer.effect(
    Store,
    Effect.map(Store, ({ reader, writer }) => ({
      reader,
      writer: Effect.map(writer, ({ store }): Writer => {
        this.opened++
        this.end = Deferred.makeUnsafe()
        return {
          store: (requests) =>
            Effect.suspend(() => {
              this.transactions.push(requests.map(({ length }) => length))
              return Effect.andThen(this.before, store(requests))
            }),
          ended: Deferred.await(this.end)
        }
      })
    }))
  ).pipe(Layer.provide(MemoryStore.layer))
}

/** Both processes, supervised. */
const running = (store: Controlled, options: Options = {}) => {
  const tree = Supervisor.make({
    intensity: 10,
    children: [
      Supervisor.child("storage", StorageServer, options, { name: storageName }),
      Pool.asChild("queries", Queries, undefined, { name: queriesName })
    ]
  })
  return Supervisor.layer(tree).pipe(
    Layer.provideMerge(Layer.mergeAll(
      store.layer,
      Node.layerLocal(),
      // Crashes are what is tested here.
      Layer.succeed(References.MinimumLogLevel, "None")
    ))
  )
}

const client = GenServer.named(Storage, storageName)

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Asks again as long as nobody is there. */
const patiently = <A, E>(effect: Effect.Effect<A, E>) => Effect.retry(effect, Schedule.spaced("1 millis"))

describe("storage", () => {
  it.effect("what comes at about the same time is one transaction, and each caller has its own answer", () => {
    const store = new Controlled()
    return Effect.gen(function*() {
      const storage = yield* client
      const requests = [positions("a", 3), positions("a", 5), positions("b", 1), []]
      const fibers = yield* Effect.forEach(requests, (positions) => fork(storage.Store({ positions })))
      yield* TestClock.adjust("9 millis")
      assert.deepStrictEqual(store.transactions, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [
        new Stored({ stored: 3, duplicates: 0 }),
        new Stored({ stored: 2, duplicates: 3 }),
        new Stored({ stored: 1, duplicates: 0 }),
        new Stored({ stored: 0, duplicates: 0 })
      ])
      assert.deepStrictEqual(store.transactions, [[3, 5, 1, 0]])
    }).pipe(Effect.provide(running(store)))
  })

  it.effect("two transactions are on their way; what comes meanwhile is the next ones, up to a size", () => {
    const store = new Controlled()
    const gate = Deferred.makeUnsafe<void>()
    store.before = Deferred.await(gate)
    return Effect.gen(function*() {
      const storage = yield* client
      const send = (count: number) => fork(storage.Store({ positions: positions(`v${count}`, count) }))
      const first = yield* send(1)
      yield* TestClock.adjust("10 millis")
      const second = yield* send(2)
      yield* TestClock.adjust("10 millis")
      const rest = yield* Effect.forEach([6, 6, 6, 3], send)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(store.transactions, [[1], [2]])
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach([first, second, ...rest], Fiber.join)
      assert.deepStrictEqual(store.transactions, [[1], [2], [6, 6], [6, 3]])
    }).pipe(Effect.provide(running(store, { batch: 10 })))
  })

  it.effect("enough positions do not wait for others", () => {
    const store = new Controlled()
    return Effect.gen(function*() {
      const storage = yield* client
      assert.strictEqual((yield* storage.Store({ positions: positions("a", 10) })).stored, 10)
    }).pipe(Effect.provide(running(store, { batch: 10 })))
  })

  it.effect("more than may wait is refused at once, and the rest goes on", () => {
    const store = new Controlled()
    return Effect.gen(function*() {
      const storage = yield* client
      const first = yield* fork(storage.Store({ positions: positions("a", 60) }))
      const second = yield* fork(storage.Store({ positions: positions("b", 40) }))
      const error = yield* Effect.flip(storage.Store({ positions: positions("c", 1) }))
      assert.deepStrictEqual(error, new StorageError({ reason: new Overloaded({ waiting: 100 }) }))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual((yield* Fiber.join(first)).stored + (yield* Fiber.join(second)).stored, 100)
      // One that is larger than all that may wait has its turn as well.
      const large = yield* fork(storage.Store({ positions: positions("d", 1000) }))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual((yield* Fiber.join(large)).stored, 1000)
    }).pipe(Effect.provide(running(store, { capacity: 100 })))
  })

  it.effect("when a transaction fails, all of its callers are told, and the next one is tried", () => {
    const store = new Controlled()
    const full = new StorageError({ reason: new DiskFull({ path: "x" }) })
    store.before = Effect.fail(full)
    return Effect.gen(function*() {
      const storage = yield* client
      const fibers = yield* Effect.forEach(
        ["a", "b"],
        (vehicle) => fork(Effect.flip(storage.Store({ positions: positions(vehicle, 1) })))
      )
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [full, full])
      store.before = Effect.void
      const again = yield* fork(storage.Store({ positions: positions("a", 1) }))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual((yield* Fiber.join(again)).stored, 1)
      assert.strictEqual(store.opened, 1)
    }).pipe(Effect.provide(running(store)))
  })

  it.effect("when its writer ends it ends too, who waits learns of it, and the next one has a new writer", () => {
    const store = new Controlled()
    store.before = Effect.never
    return Effect.gen(function*() {
      const storage = yield* client
      const before = yield* Process.whereis(storageName)
      const waiting = yield* fork(Effect.flip(storage.Store({ positions: positions("a", 1) })))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(store.transactions.length, 1)
      const reason = new ThreadEnded({ message: "gone" })
      yield* Deferred.fail(store.end, new StorageError({ reason }))
      const error = (yield* Fiber.join(waiting)) as CallError.CallError
      assert.strictEqual(error.reason._tag, "ProcessExit")
      assert.include(error.message, "gone")
      store.before = Effect.void
      const again = yield* fork(patiently(storage.Store({ positions: positions("a", 1) })))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(again)).stored, 1)
      assert.strictEqual(store.opened, 2)
      assert.notDeepEqual(yield* Process.whereis(storageName), before)
    }).pipe(Effect.provide(running(store)))
  })

  it.effect("hands questions on, while transactions are on their way too", () => {
    const store = new Controlled()
    return Effect.gen(function*() {
      const storage = yield* client
      const queries = yield* Pool.named(Query, queriesName)
      const a = positions("a", 2)
      const stored = yield* fork(storage.Store({ positions: a }))
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(stored)
      store.before = Effect.never
      yield* fork(storage.Store({ positions: positions("b", 1) }))
      yield* TestClock.adjust("10 millis")

      const where = { lat: 30, lon: -97, k: 1 }
      assert.deepStrictEqual(yield* storage.Nearest(where), yield* queries.Nearest(where))
      assert.deepStrictEqual((yield* storage.Nearest(where)).map(({ at, vehicle }) => [vehicle, at]), [["a", 1]])
      const all = { south: 0, west: -180, north: 90, east: 180, limit: 1 }
      assert.deepStrictEqual(yield* storage.Box(all), [a[1]!])
      assert.deepStrictEqual(yield* storage.Track({ vehicle: "a", limit: 10 }), a)
      assert.strictEqual((yield* storage.Statistics()).positions, 2)
    }).pipe(Effect.provide(running(store)))
  })

  it.effect("without `queries` a question has a typed error, and storing goes on", () => {
    const store = new Controlled()
    return Effect.gen(function*() {
      const storage = yield* GenServer.start(StorageServer, {}, { name: storageName })
      const error = yield* Effect.flip(storage.Statistics())
      assert.strictEqual((error as StorageError).reason._tag, "Unavailable")
      const stored = yield* fork(storage.Store({ positions: positions("a", 1) }))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual((yield* Fiber.join(stored)).stored, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(store.layer, Node.layerLocal())))
  })
})
