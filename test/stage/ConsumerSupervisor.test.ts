/**
 * A process per event, and demand as the bound.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, Schema, Stream } from "effect"
import { Node, Process } from "effect-otp"
import { ConsumerSupervisor, GenStage } from "effect-otp/stage"
import { TestClock } from "effect/testing"

const settled = Effect.forEach(Array.from({ length: 30 }), () => Effect.yieldNow, { discard: true })

describe("ConsumerSupervisor", () => {
  it.effect("never runs more processes than the maximum demand, and asks again when min are left", () =>
    Effect.gen(function*() {
      let running = 0
      let most = 0
      const started: Array<number> = []
      const Workers = ConsumerSupervisor.make({
        input: Schema.Int,
        child: (n) =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              started.push(n)
              most = Math.max(most, ++running)
            }),
            () => Effect.sleep(`${1 + (n % 3)} seconds`),
            () => Effect.sync(() => running--)
          )
      })
      const producer = yield* GenStage.start(GenStage.fromStream(Schema.Int, Stream.range(0, 49)))
      const workers = yield* GenStage.start(Workers)
      yield* GenStage.subscribe(workers, producer, { maxDemand: 6, minDemand: 3, cancel: "temporary" })
      yield* settled
      assert.deepStrictEqual(started, [0, 1, 2, 3, 4, 5])
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.strictEqual(started.length, 6, "2 of 6 are done: 4 are left, more than min")
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.strictEqual(started.length, 9, "the third to end left 3: filled up; the fourth left 5")
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust("1 second")
        yield* settled
      }
      assert.deepStrictEqual(started, Array.from({ length: 50 }, (_, i) => i))
      assert.strictEqual(most, 6)
      assert.strictEqual(running, 0)
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))

  it.effect("a crash is the end of its event, and the processes end with the supervisor", () =>
    Effect.gen(function*() {
      const done = yield* Queue.unbounded<number>()
      const Workers = ConsumerSupervisor.make({
        input: Schema.Int,
        child: (n) =>
          n === 4
            ? Effect.onInterrupt(Effect.never, () => Queue.offer(done, n))
            : n % 2 === 0
            ? Effect.fail("no even ones")
            : Queue.offer(done, n)
      })
      const producer = yield* GenStage.start(GenStage.fromStream(Schema.Int, Stream.range(1, 5)))
      const workers = yield* GenStage.start(Workers)
      yield* GenStage.subscribe(workers, producer, { maxDemand: 2, minDemand: 1, cancel: "temporary" })
      assert.deepStrictEqual([yield* Queue.take(done), yield* Queue.take(done), yield* Queue.take(done)], [1, 3, 5])
      yield* Process.stop(workers)
      assert.strictEqual(yield* Queue.take(done), 4)
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))
})
