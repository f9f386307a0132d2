import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Scheduler } from "effect"
import { SeededScheduler } from "effect-otp/testing"

const idle = (scheduler: SeededScheduler.SeededScheduler, tasks?: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    scheduler.onIdle((is) => resume(Effect.succeed(is)), tasks)
  })

/** Lets twelve dispatchers have three tasks each and gives the order in which they ran. */
const orderOf = (seed: number | undefined): Effect.Effect<ReadonlyArray<string>> =>
  Effect.suspend(() => {
    const scheduler = new SeededScheduler.SeededScheduler(seed)
    const order: Array<string> = []
    for (let d = 0; d < 12; d++) {
      const dispatcher = scheduler.makeDispatcher()
      for (let t = 0; t < 3; t++) dispatcher.scheduleTask(() => order.push(`${d}.${t}`), 0)
    }
    return Effect.as(idle(scheduler), order)
  })

describe("SeededScheduler", () => {
  it.effect("runs every task once, in the same order for the same seed, in another for another", () =>
    Effect.gen(function*() {
      const first = yield* orderOf(7)
      assert.deepStrictEqual(yield* orderOf(7), first)
      assert.strictEqual(new Set(first).size, 36)
      const orders = yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => i + 1), orderOf)
      assert.strictEqual(new Set(orders.map(String)).size, 20)
    }))

  it.effect("keeps the order of a dispatcher, whatever the seed", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 20; seed++) {
        const order = yield* orderOf(seed)
        for (let d = 0; d < 12; d++) {
          assert.deepStrictEqual(order.filter((task) => task.startsWith(`${d}.`)), [`${d}.0`, `${d}.1`, `${d}.2`])
        }
      }
    }))

  it.effect("lets dispatchers take turns without a seed", () =>
    Effect.gen(function*() {
      const order = yield* orderOf(undefined)
      assert.deepStrictEqual(order.slice(0, 13), [...Array.from({ length: 12 }, (_, d) => `${d}.0`), "0.1"])
    }))

  it.effect("runs the lower priority number of a dispatcher first, equal ones in their order", () =>
    Effect.gen(function*() {
      const scheduler = new SeededScheduler.SeededScheduler(3)
      const dispatcher = scheduler.makeDispatcher()
      const order: Array<string> = []
      for (const [task, priority] of [["a", 5], ["b", 0], ["c", -1], ["d", 5], ["e", 0]] as const) {
        dispatcher.scheduleTask(() => order.push(task), priority)
      }
      yield* idle(scheduler)
      assert.deepStrictEqual(order, ["c", "b", "e", "a", "d"])
    }))

  it.effect("is idle only after the tasks that tasks have scheduled", () =>
    Effect.gen(function*() {
      const scheduler = new SeededScheduler.SeededScheduler(1)
      let ran = 0
      const more = (): void => {
        if (++ran < 5000) scheduler.makeDispatcher().scheduleTask(more, 0)
      }
      more()
      assert.strictEqual(yield* idle(scheduler), true)
      assert.strictEqual(ran, 5000)
      assert.strictEqual(scheduler.ran, 4999)
    }))

  it.effect("tells those who wait that it never rests, after the number of tasks they gave it", () =>
    Effect.gen(function*() {
      const scheduler = new SeededScheduler.SeededScheduler(1)
      let stopped = false
      const again = (): void => {
        if (!stopped) scheduler.makeDispatcher().scheduleTask(again, 0)
      }
      again()
      assert.strictEqual(yield* idle(scheduler, 10_000), false)
      assert.isAtLeast(scheduler.ran, 10_000)
      stopped = true
      assert.strictEqual(yield* idle(scheduler), true)
    }))

  it.effect("flushes one dispatcher at once", () =>
    Effect.gen(function*() {
      const scheduler = new SeededScheduler.SeededScheduler(1)
      const order: Array<string> = []
      const [a, b] = [scheduler.makeDispatcher(), scheduler.makeDispatcher()]
      a.scheduleTask(() => order.push("a1"), 0)
      b.scheduleTask(() => order.push("b"), 0)
      a.scheduleTask(() => order.push("a2"), 0)
      a.flush()
      assert.deepStrictEqual(order, ["a1", "a2"])
      a.scheduleTask(() => order.push("a3"), 0)
      yield* idle(scheduler)
      assert.deepStrictEqual(order.toSorted(), ["a1", "a2", "a3", "b"])
    }))

  it.effect("makes fibers yield in the middle of their work under some seeds, and lets them finish", () =>
    Effect.gen(function*() {
      const tasks = new Set<boolean>()
      for (let seed = 1; seed <= 20; seed++) {
        const scheduler = new SeededScheduler.SeededScheduler(seed)
        const count = Effect.gen(function*() {
          yield* scheduler.begin
          let n = 0
          for (let i = 0; i < 500; i++) n = yield* Effect.sync(() => n + 1)
          return n
        })
        const fiber = Effect.runFork(count, { scheduler })
        assert.strictEqual(yield* Fiber.join(fiber), 500)
        tasks.add(scheduler.ran > 1)
      }
      assert.deepStrictEqual([...tasks].toSorted(), [false, true])
    }))

  it("chooses both depths of direct resumption", () => {
    const depths = Array.from({ length: 20 }, (_, i) => new SeededScheduler.SeededScheduler(i + 1).maxInlineDepth)
    assert.deepStrictEqual([...new Set(depths)].toSorted(), [0, 16])
    assert.strictEqual(new SeededScheduler.SeededScheduler().maxInlineDepth, undefined)
  })

  it("draws numbers from 0 to below 1, evenly and by the seed alone", () => {
    for (const seed of [0, 1, 2, -5, 2 ** 31]) {
      const [draw, same] = [SeededScheduler.chance(seed), SeededScheduler.chance(seed)]
      const buckets = new Array<number>(10).fill(0)
      for (let i = 0; i < 10_000; i++) {
        const n = draw()
        assert.strictEqual(same(), n)
        buckets[Math.floor(n * 10)]!++
      }
      for (const count of buckets) assert.isTrue(count > 850 && count < 1150, String(buckets))
    }
    assert.notStrictEqual(SeededScheduler.chance(1)(), SeededScheduler.chance(2)())
  })

  it.effect("does not lose the interruption of a fiber that has not started (under seed 4 it did)", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 20; seed++) {
        const scheduler = new SeededScheduler.SeededScheduler(seed)
        const rounds = Effect.gen(function*() {
          yield* scheduler.begin
          for (let i = 0; i < 30; i++) {
            const fiber = yield* Effect.forkChild(Effect.map(Effect.never, () => i))
            yield* Effect.exit(Effect.succeed(i))
            yield* Fiber.interrupt(fiber)
          }
        })
        const fiber = Effect.runForkWith(Context.make(Scheduler.Scheduler, scheduler as Scheduler.Scheduler))(rounds)
        assert.isTrue(yield* idle(scheduler, 100_000))
        assert.isDefined(fiber.pollUnsafe(), `seed ${seed}`)
      }
    }))

  it("is a scheduler of Effect", () => {
    const scheduler: Scheduler.Scheduler = new SeededScheduler.SeededScheduler(1)
    assert.strictEqual(scheduler.executionMode, "async")
  })
})
