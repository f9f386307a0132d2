import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Option, Queue } from "effect"
import { Events, GenServer, Node, Pool, Process, Supervisor } from "effect-otp"
import { Stub } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import * as Clients from "../../../examples/traffic/Clients.ts"
import * as Ingest from "../../../examples/traffic/Ingest.ts"
import type { Position } from "../../../examples/traffic/Position.ts"
import { Storage } from "../../../examples/traffic/Storage.ts"
import { Overloaded, StorageError, Stored } from "../../../examples/traffic/Store.ts"
import * as App from "./App.ts"

const services = Layer.mergeAll(Clients.layer(), Ingest.topic, Ingest.Intake.layer).pipe(
  Layer.provideMerge(Layer.merge(Node.layerLocal(), Logger.layer([])))
)

/** What the storage is asked to store, and how it answers: each request by hand. */
const startStorage = Effect.gen(function*() {
  const requests = yield* Queue.unbounded<{
    readonly positions: ReadonlyArray<Position>
    readonly stored: Effect.Effect<void>
    readonly failed: Effect.Effect<void>
  }>()
  yield* Stub.start(Storage, {
    Store: ({ positions }, _, { from }) =>
      Effect.as(
        Queue.offer(requests, {
          positions,
          stored: from.reply(new Stored({ stored: positions.length, duplicates: 0 })),
          failed: from.fail(new StorageError({ reason: new Overloaded({ waiting: 1 }) }))
        }),
        GenServer.noReply(undefined)
      )
  }, { name: "storage" })
  return requests
})

const startPool = (size: number) =>
  Effect.gen(function*() {
    const ingest = Ingest.pool({ size, patience: "10 seconds" })
    yield* Supervisor.start(
      Supervisor.make({ intensity: 100, children: [Pool.asChild("ingest", ingest, undefined, { name: "ingest" })] })
    )
  })

/** Counts positions and hands them over, as receivers do. */
const submit = (positions: ReadonlyArray<Position>) =>
  Effect.gen(function*() {
    const { tallies } = yield* Ingest.Intake
    Ingest.countReceived(tallies.udp, { positions, invalid: 0 })
    return yield* Ingest.submit("udp", positions)
  })

const workers = Effect.map(
  Supervisor.whichChildren({ name: "ingest" }),
  (children) => children.flatMap(({ pid }) => Option.toArray(pid))
)

const tally = Effect.map(Ingest.Intake, ({ tallies }) => ({ ...tallies.udp }))

describe("the ingest pool", () => {
  it.effect("stores each batch once, as many at a time as there are workers, and counts it then", () =>
    Effect.gen(function*() {
      const requests = yield* startStorage
      yield* startPool(2)
      const batches = []
      for (let n = 0; n < 3; n++) batches.push(yield* submit(App.positions(10, n * 10)))
      const [first, second] = [yield* Queue.take(requests), yield* Queue.take(requests)]
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Queue.size(requests), 0)
      assert.deepStrictEqual(yield* tally, {
        received: 30,
        stored: 0,
        duplicates: 0,
        invalid: 0,
        dropped: 0,
        waiting: 30
      })
      yield* second.stored
      const third = yield* Queue.take(requests)
      yield* first.stored
      yield* third.stored
      for (const batch of batches) assert.deepInclude(yield* batch.settled, { stored: 10, duplicates: 0 })
      assert.deepStrictEqual(yield* tally, {
        received: 30,
        stored: 30,
        duplicates: 0,
        invalid: 0,
        dropped: 0,
        waiting: 0
      })
      assert.strictEqual(yield* Queue.size(requests), 0)
    }).pipe(Effect.provide(services)))

  it.effect("hands the batch of a worker that is killed to another one", () =>
    Effect.gen(function*() {
      const requests = yield* startStorage
      yield* startPool(1)
      const batch = yield* submit(App.positions(10))
      yield* Queue.take(requests)
      const [worker] = yield* workers
      yield* Process.kill(worker!)
      const again = yield* Queue.take(requests)
      assert.strictEqual(again.positions.length, 10)
      yield* again.stored
      assert.deepInclude(yield* batch.settled, { stored: 10 })
      assert.deepInclude(yield* tally, { received: 10, stored: 10, waiting: 0 })
    }).pipe(Effect.provide(services)))

  it.effect("takes up what came while the whole pool was gone", () =>
    Effect.gen(function*() {
      const requests = yield* startStorage
      const before = yield* submit(App.positions(10))
      yield* startPool(3)
      yield* Effect.flatMap(Queue.take(requests), ({ stored }) => stored)
      yield* before.settled
      yield* Process.kill({ name: "ingest" })
      const meanwhile = yield* submit(App.positions(20))
      const request = yield* Queue.take(requests)
      assert.strictEqual(request.positions.length, 20)
      yield* request.stored
      assert.deepInclude(yield* meanwhile.settled, { stored: 20 })
      assert.strictEqual(yield* Queue.size(requests), 0)
    }).pipe(Effect.provide(services)))

  it.effect("tries again while the storage refuses, and drops the batch when its patience is at an end", () =>
    Effect.gen(function*() {
      const requests = yield* startStorage
      yield* startPool(1)
      const batch = yield* submit(App.positions(10))
      yield* Effect.flatMap(Queue.take(requests), ({ failed }) => failed)
      yield* TestClock.adjust("1 second")
      yield* Effect.flatMap(Queue.take(requests), ({ stored }) => stored)
      assert.deepInclude(yield* batch.settled, { stored: 10 })

      const refused = yield* submit(App.positions(10))
      const refusing = yield* Effect.forkChild(
        Effect.forever(Effect.flatMap(Queue.take(requests), ({ failed }) => failed))
      )
      yield* TestClock.adjust("20 seconds")
      const error = yield* Effect.flip(refused.settled)
      assert.include(error.message, "10 positions were not stored")
      yield* Fiber.interrupt(refusing)
      assert.deepInclude(yield* tally, { received: 20, stored: 10, dropped: 10, waiting: 0 })
    }).pipe(Effect.provide(services)))

  it.effect("drops a batch at which a worker crashes, and goes on with the others", () =>
    Effect.gen(function*() {
      const { open } = yield* Ingest.Intake
      const Storing = Layer.effect(
        Clients.StorageClient,
        Effect.map(GenServer.named(Storage, "storage"), (storage) => ({
          ...storage,
          Store: ({ positions }: { readonly positions: ReadonlyArray<Position> }) =>
            positions.length === 13
              ? Effect.die(new Error("unlucky"))
              : Effect.succeed(new Stored({ stored: positions.length, duplicates: 0 }))
        }))
      )
      yield* Effect.provide(startPool(1), Storing)
      const unlucky = yield* submit(App.positions(13))
      const error = yield* Effect.flip(unlucky.settled)
      assert.include(error.detail, "unlucky")
      const next = yield* submit(App.positions(10))
      assert.deepInclude(yield* next.settled, { stored: 10 })
      assert.deepInclude(yield* tally, { received: 23, stored: 10, dropped: 13, waiting: 0 })
      assert.strictEqual(open.size, 0)
    }).pipe(Effect.provide(services)))

  it.effect("finishes what it has when it is told to stop", () =>
    Effect.gen(function*() {
      const requests = yield* startStorage
      const stopped = yield* Deferred.make<void>()
      const batch = yield* Effect.scoped(Effect.gen(function*() {
        yield* startPool(1)
        const batch = yield* submit(App.positions(10))
        const waiting = yield* submit(App.positions(10, 10))
        const request = yield* Queue.take(requests)
        yield* Effect.forkDetach(Effect.gen(function*() {
          yield* TestClock.adjust("1 second")
          yield* request.stored
          yield* Effect.flatMap(Queue.take(requests), ({ stored }) => stored)
          yield* waiting.settled
          yield* Deferred.succeed(stopped, undefined)
        }))
        return batch
      }))
      yield* Deferred.await(stopped)
      assert.deepInclude(yield* batch.settled, { stored: 10 })
      assert.deepInclude(yield* tally, { received: 20, stored: 20, waiting: 0 })
    }).pipe(Effect.provide(services)))

  it.effect("says that nothing is stored when the application is about to end", () =>
    Effect.gen(function*() {
      const { tallies } = yield* Ingest.Intake
      Ingest.countReceived(tallies.tcp, { positions: [1], invalid: 0 })
      const batch = yield* Ingest.submit("tcp", App.positions(1))
      const error = yield* Effect.flip(batch.settled)
      assert.strictEqual(error.positions, 1)
      assert.deepStrictEqual(yield* Effect.map(Events.opened, (topics) => [...topics]), [])
    }).pipe(Effect.provide(Layer.merge(Ingest.Intake.layer, Node.layerLocal()))))
})
