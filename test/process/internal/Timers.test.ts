import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { RunQueue } from "../../../src/process/internal/RunQueue.ts"
import { Timer, Timers } from "../../../src/process/internal/Timers.ts"

class Note extends Timer {
  readonly name: string
  readonly log: Array<string>
  readonly onFire: (() => void) | undefined

  constructor(name: string, log: Array<string>, onFire?: () => void) {
    super()
    this.name = name
    this.log = log
    this.onFire = onFire
  }

  fire(): void {
    this.log.push(this.name)
    this.onFire?.()
  }
}

/** Timers under the test clock. */
const underTestClock = Effect.map(
  Effect.context<never>(),
  (context) => new Timers(context, new RunQueue(Context.get(context, Scheduler.Scheduler)))
)

/** A clock that a test moves by hand, and that wakes its sleepers when it is told to, late or even early. */
class HandClock implements Clock.Clock {
  /** Monotonic time. */
  now = 0
  /** By how much the wall clock differs from it. */
  wall = 0
  readonly slept: Array<number> = []
  private wake: Array<() => void> = []
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  currentTimeMillisUnsafe(): number {
    return this.now + this.wall
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.currentTimeMillisUnsafe() * 1_000_000))
  }

  monotonicTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.now * 1_000_000))
  }

  sleep(duration: { readonly value: unknown }): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.slept.push(Number((duration as { readonly value: { readonly millis: number } }).value.millis))
      const wake = (): void => resume(Effect.void)
      this.wake.push(wake)
      return Effect.sync(() => {
        this.wake = this.wake.filter((other) => other !== wake)
      })
    })
  }

  /** How many sleep. */
  get sleepers(): number {
    return this.wake.length
  }

  /** Wakes those who sleep, whatever the time. */
  wakeAll(): void {
    for (const wake of this.wake.splice(0)) wake()
  }
}

const byHand = () => {
  const clock = new HandClock()
  const scheduler = new Scheduler.MixedScheduler("sync")
  const context = Context.make(Clock.Clock, clock as Clock.Clock).pipe(Context.add(Scheduler.Scheduler, scheduler))
  return { clock, timers: new Timers(context as Context.Context<never>, new RunQueue(scheduler)) }
}

describe("Timers", () => {
  it.effect("[S21] fire never early and exactly when the clock is there", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      timers.arm(new Note("a", log), 1000)
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(log, ["a"])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(log, ["a"])
    }))

  it.effect("fire in the order of their expiry, whatever the order in which they were armed", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      const durations = [500, 20, 300, 20, 1, 999, 300, 7, 500, 64, 63, 65]
      for (const [index, duration] of durations.entries()) timers.arm(new Note(`${duration}#${index}`, log), duration)
      yield* TestClock.adjust(1000)
      const sorted = durations.map((duration, index) => ({ duration, index }))
        .toSorted((a, b) => a.duration - b.duration || a.index - b.index)
      assert.deepStrictEqual(log, sorted.map(({ duration, index }) => `${duration}#${index}`))
    }))

  it.effect("[S21] take times beyond 2^31 milliseconds", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      const year = 365 * 24 * 3600 * 1000
      const timer = new Note("year", log)
      timers.arm(timer, year)
      yield* TestClock.adjust(year - 1)
      assert.deepStrictEqual(log, [])
      assert.strictEqual(timers.remaining(timer), 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(log, ["year"])
    }))

  it.effect("[S21] are cancelled once, wherever they stand, and tell what is left", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      const all = ["a", "b", "c", "d"].map((name) => new Note(name, log))
      for (const timer of all) timers.arm(timer, 100)
      yield* TestClock.adjust(40)
      assert.strictEqual(timers.remaining(all[1]!), 60)
      assert.isTrue(timers.cancel(all[1]!))
      assert.isFalse(timers.cancel(all[1]!))
      assert.strictEqual(timers.remaining(all[1]!), undefined)
      assert.isTrue(timers.cancel(all[0]!))
      assert.isTrue(timers.cancel(all[3]!))
      timers.arm(all[0]!, 30)
      yield* TestClock.adjust(60)
      assert.deepStrictEqual(log, ["a", "c"])
      assert.isFalse(timers.cancel(all[2]!))
    }))

  it.effect("can be armed and cancelled from within one that fires", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      const doomed = new Note("doomed", log)
      let rounds = 0
      const again = new Note("again", log, () => {
        timers.cancel(doomed)
        if (++rounds < 3) timers.arm(again, 10)
      })
      timers.arm(again, 10)
      timers.arm(doomed, 11)
      timers.arm(new Note("other", log), 25)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(log, ["again", "again", "other", "again"])
    }))

  it.effect("of no time fire at once, and leave one sleeper", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      timers.arm(new Note("later", log), 50)
      timers.arm(new Note("now", log), 0)
      timers.arm(new Note("past", log), -5)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(log.toSorted(), ["now", "past"])
      yield* TestClock.adjust(50)
      assert.strictEqual(log[2], "later")
    }))

  it.effect("of infinite time are never armed", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const timer = new Note("never", [])
      timers.arm(timer, Infinity)
      assert.strictEqual(timers.remaining(timer), undefined)
      assert.isFalse(timers.cancel(timer))
    }))

  it.effect("do not fire after the node is gone", () =>
    Effect.gen(function*() {
      const timers = yield* underTestClock
      const log: Array<string> = []
      timers.arm(new Note("a", log), 10)
      timers.close()
      timers.arm(new Note("b", log), 10)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(log, [])
    }))

  it("[S21] do not fire early when the sleeper is woken early", () => {
    const { clock, timers } = byHand()
    const log: Array<string> = []
    timers.arm(new Note("a", log), 1000)
    clock.now = 999.4
    clock.wakeAll()
    assert.deepStrictEqual(log, [])
    assert.deepStrictEqual(clock.slept, [1000, 1])
    clock.now = 1000.4
    clock.wakeAll()
    assert.deepStrictEqual(log, ["a"])
  })

  it("F9: are neither early nor late when the wall clock jumps by an hour, either way", () => {
    for (const jump of [3_600_000, -3_600_000]) {
      const { clock, timers } = byHand()
      const log: Array<string> = []
      timers.arm(new Note("a", log), 1000)
      clock.now = 500
      clock.wall = jump
      clock.wakeAll()
      assert.deepStrictEqual(log, [])
      assert.deepStrictEqual(clock.slept, [1000, 500])
      clock.now = 1000
      clock.wakeAll()
      assert.deepStrictEqual(log, ["a"])
    }
  })

  it("fire in order when all are late, as after a blocked event loop", () => {
    const { clock, timers } = byHand()
    const log: Array<string> = []
    const at = (time: number, name: string, duration: number): void => {
      clock.now = time
      timers.arm(new Note(name, log), duration)
    }
    at(0, "5000", 5000)
    at(900, "5900", 5000)
    at(4500, "5300", 800)
    const cancelled = new Note("cancelled", log)
    timers.arm(cancelled, 100)
    timers.cancel(cancelled)
    at(5350, "5450", 100)
    clock.now = 60_000
    clock.wakeAll()
    assert.deepStrictEqual(log, ["5000", "5300", "5450", "5900"])
  })

  it("have one sleeper, for the earliest", () => {
    const { clock, timers } = byHand()
    const log: Array<string> = []
    for (const duration of [500, 100, 300, 900]) timers.arm(new Note(`${duration}`, log), duration)
    assert.strictEqual(clock.sleepers, 1)
    assert.deepStrictEqual(clock.slept, [500, 100])
    clock.now = 100
    clock.wakeAll()
    assert.strictEqual(clock.sleepers, 1)
    assert.strictEqual(clock.slept.at(-1), 200)
    for (let n = 0; n < 1000; n++) timers.arm(new Note("same", log), 900)
    assert.strictEqual(clock.sleepers, 1)
    assert.strictEqual(clock.slept.length, 3)
  })

  it("forget durations that are not in use any more", () => {
    const { clock, timers } = byHand()
    const log: Array<string> = []
    for (let n = 1; n <= 10_000; n++) {
      const timer = new Note(`${n}`, log)
      timers.arm(timer, 1_000_000 + n)
      timers.cancel(timer)
    }
    assert.isAtMost(timers.durations, 200)
    const kept = Array.from({ length: 100 }, (_, n) => new Note(`kept ${n}`, log))
    for (const [n, timer] of kept.entries()) timers.arm(timer, 5_000 + n)
    for (let n = 1; n <= 1000; n++) {
      const timer = new Note(`${n}`, log)
      timers.arm(timer, 2_000_000 + n)
      timers.cancel(timer)
    }
    clock.now = 6_000
    clock.wakeAll()
    assert.deepStrictEqual(log, kept.map((timer) => timer.name))
    clock.now = 10_000_000
    clock.wakeAll()
    assert.strictEqual(timers.durations, 0)
    assert.strictEqual(clock.sleepers, 0)
  })

  it("agree with a list that is sorted by time, over random arming, cancelling and waiting", () => {
    let state = 12345
    const draw = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    for (let run = 0; run < 200; run++) {
      const { clock, timers } = byHand()
      const log: Array<string> = []
      const model: Array<{ readonly name: string; readonly at: number; readonly timer: Note }> = []
      const expected: Array<ReadonlySet<string>> = []
      const fired: Array<ReadonlyArray<string>> = []
      for (let step = 0; step < 60; step++) {
        const kind = draw(10)
        if (kind < 6) {
          const duration = [1, 5, 5, 5, 10, 50, 100, draw(200)][draw(8)]!
          const timer = new Note(`${step}`, log)
          timers.arm(timer, duration)
          model.push({ name: timer.name, at: clock.now + duration, timer })
        } else if (kind < 8 && model.length > 0) {
          const [gone] = model.splice(draw(model.length), 1)
          timers.cancel(gone!.timer)
        } else {
          clock.now += draw(80)
          log.length = 0
          clock.wakeAll()
          fired.push([...log])
          // Those of one time may come in any order.
          const due = model.filter(({ at }) => at <= clock.now).toSorted((a, b) => a.at - b.at)
          for (const item of due) model.splice(model.indexOf(item), 1)
          expected.push(new Set(due.map(({ name }) => name)))
          const times = new Map(due.map(({ at, name }) => [name, at]))
          const order = log.map((name) => times.get(name)!)
          assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
        }
      }
      assert.deepStrictEqual(fired.map((names) => new Set(names)), expected)
    }
  })
})
