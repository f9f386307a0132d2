/**
 * Threads: order, limits, failures, and how they end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as NodeThread from "../../../examples/traffic/NodeThread.ts"

const start = (options?: { readonly capacity?: number; readonly data?: unknown }) =>
  NodeThread.make({
    program: new URL("thread-program.ts", import.meta.url),
    data: options?.data,
    capacity: options?.capacity ?? 4
  })

describe("NodeThread", () => {
  it.effect("answers in order, more requests than may be on their way", () =>
    Effect.gen(function*() {
      const { request } = yield* start({ capacity: 2 })
      const answers = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => i),
        (i) => Effect.exit(request(i % 7 === 3 ? { fail: `no ${i}` } : { add: [i, 1] })),
        { concurrency: "unbounded" }
      )
      answers.forEach((answer, i) =>
        assert.deepStrictEqual(
          answer,
          i % 7 === 3 ? Exit.fail(new NodeThread.Refused({ code: "Known", message: `no ${i}` })) : Exit.succeed(i + 1)
        )
      )
    }).pipe(Effect.scoped))

  it.effect("no more than `capacity` requests are on their way", () =>
    Effect.gen(function*() {
      const gate = new SharedArrayBuffer(4)
      const { request } = yield* start({ capacity: 2, data: gate })
      // The first one holds the thread; what waits behind it is let in when there is room.
      const fibers = yield* Effect.forEach(
        [{ wait: true }, { add: [1, 1] }, { add: [2, 2] }],
        (message) => Effect.forkChild(request(message), { startImmediately: true })
      )
      const late = yield* Effect.forkChild(request({ add: [3, 3] }), { startImmediately: true })
      yield* Fiber.interrupt(late)
      Atomics.store(new Int32Array(gate), 0, 1)
      Atomics.notify(new Int32Array(gate), 0)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), ["waited", 2, 4])
      // The one that was interrupted while it waited was never sent.
      assert.strictEqual(yield* request({ handled: true }), 4)
    }).pipe(Effect.scoped))

  it.effect("an answer to somebody who has left is nobody else's", () =>
    Effect.gen(function*() {
      const { request } = yield* start()
      const fiber = yield* Effect.forkChild(request({ add: [1, 1] }), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* request({ add: [2, 2] }), 4)
    }).pipe(Effect.scoped))

  it.effect("what it was given is transferred, not copied", () =>
    Effect.gen(function*() {
      const { request } = yield* start()
      const numbers = Float64Array.of(1, 2, 3)
      assert.strictEqual(yield* request({ sum: numbers }, [numbers.buffer]), 6)
      assert.strictEqual(numbers.length, 0)
    }).pipe(Effect.scoped))

  it.effect("when it crashes, all who wait and all who come later are told why", () =>
    Effect.gen(function*() {
      const { ended, request } = yield* start({ capacity: 3 })
      const fibers = yield* Effect.forEach(
        [{ crash: true }, { add: [1, 1] }, { add: [1, 1] }, { add: [1, 1] }, { add: [1, 1] }],
        (message) => Effect.forkChild(Effect.flip(request(message)), { startImmediately: true })
      )
      const told = new NodeThread.ThreadStopped({ message: "the thread has crashed: as it was told to" })
      for (const fiber of fibers) assert.deepStrictEqual(yield* Fiber.join(fiber), told)
      assert.deepStrictEqual(yield* Effect.flip(request({ add: [1, 1] })), told)
      assert.deepStrictEqual(yield* Effect.flip(ended), told)
    }).pipe(Effect.scoped))

  it.effect("a program that cannot start says so", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(start({ data: "refuse" }))
      assert.deepStrictEqual(refused, new NodeThread.Refused({ code: "Known", message: "not today" }))
      const program = new URL("no-such-program.ts", import.meta.url)
      const missing = yield* Effect.flip(NodeThread.make({ program, data: undefined, capacity: 1 }))
      assert.strictEqual(missing._tag, "ThreadStopped")
      assert.include(missing.message, "no-such-program")
    }).pipe(Effect.scoped))

  it.effect("when its scope closes, it finishes what it was given and ends", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { ended, request } = yield* Scope.provide(start(), scope)
      const closed = new SharedArrayBuffer(4)
      const fiber = yield* Effect.forkChild(request({ closed }), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(fiber), "noted")
      assert.strictEqual(Atomics.load(new Int32Array(closed), 0), 1)
      assert.strictEqual((yield* Effect.flip(ended)).message, "the thread has ended")
    }))

  it.effect("one that does not end by itself is ended", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { ended, request } = yield* Scope.provide(start(), scope)
      const fiber = yield* Effect.forkChild(Effect.flip(request({ spin: true })), { startImmediately: true })
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "ThreadStopped")
      yield* Effect.flip(ended)
    }))
})
