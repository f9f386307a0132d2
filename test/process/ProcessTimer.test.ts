import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Option, Schema } from "effect"
import { GenServer, Node, Process } from "effect-otp"
import { MemoryCluster, Probe, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed, everySeedOn } from "../testing/EverySeed.ts"
import { counterServer, seen } from "./CounterServer.ts"

const millis = (left: Option.Option<Duration.Duration>): number | undefined =>
  Option.getOrUndefined(Option.map(left, Duration.toMillis))

describe("Process.sendAfter", () => {
  everySeed("[S21] is never early, and exactly on time under a test clock", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.sendAfter(probe, "late", "90 seconds")
      yield* probe.expectNoMessage("89999 millis")
      yield* probe.expectMessage(Schema.Literal("late"), { within: 1 })
      yield* probe.expectNoMessage("1 hour")
    }))

  everySeed("[S21] takes times beyond 2^31 milliseconds", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.sendAfter(probe, "long", "60 days")
      yield* probe.expectNoMessage(Duration.subtract(Duration.days(60), Duration.millis(1)))
      yield* probe.expectMessage(Schema.Literal("long"), { within: 1 })
      assert.strictEqual(yield* Clock.currentTimeMillis, Duration.toMillis(Duration.days(60)))
    }))

  everySeed("[S21] tells what is left, and cancel gives it; after that there is nothing", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const timer = yield* Process.sendAfter(probe, "never", "60 days")
      assert.strictEqual(millis(yield* timer.remaining), 60 * 86_400_000)
      yield* TestClock.adjust("10 days")
      assert.strictEqual(millis(yield* timer.remaining), 50 * 86_400_000)
      assert.strictEqual(millis(yield* timer.cancel), 50 * 86_400_000)
      assert.strictEqual(millis(yield* timer.cancel), undefined)
      assert.strictEqual(millis(yield* timer.remaining), undefined)
      yield* probe.expectNoMessage("90 days")
      const fired = yield* Process.sendAfter(probe, "now", 5)
      yield* probe.expectMessage(Schema.Literal("now"), { within: 5 })
      assert.strictEqual(millis(yield* fired.cancel), undefined)
    }))

  everySeed("[S21] looks a name up when the time has come", () =>
    Effect.gen(function*() {
      const first = yield* Probe.make({ name: "name" })
      yield* Process.sendAfter({ name: "name" }, "hello", "1 second")
      yield* first.end()
      const second = yield* Probe.make({ name: "name" })
      yield* Process.sendAfter({ name: "nobody" }, "lost", "1 second")
      yield* second.expectMessage(Schema.Literal("hello"), { within: "1 second" })
      assert.strictEqual((yield* Node.statistics).discarded, 1)
    }))

  everySeed("[S21] keeps the order of times, and of arming for equal ones", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      for (const [value, delay] of [["c", 30], ["a", 10], ["d", 30], ["b", 20], ["e", 30]] as const) {
        yield* Process.sendAfter(probe, value, delay)
      }
      yield* TestClock.adjust(30)
      assert.deepStrictEqual(yield* probe.waiting, ["a", "b", "c", "d", "e"])
    }))

  everySeed("[S21] outlives who armed it, and dies with the node only", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const owner = yield* Process.spawn(() => Process.sendAfter(probe, "from the dead", "1 second"))
      yield* probe.monitor(owner)
      yield* probe.fishFor(() => true)
      yield* probe.expectMessage(Schema.Literal("from the dead"), { within: "1 second" })
    }))

  everySeed("of no time is sent in a later turn, of infinite time never", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.sendAfter(probe, "now", 0)
      yield* probe.expectMessage(Schema.Literal("now"))
      const never = yield* Process.sendAfter(probe, "never", "Infinity")
      assert.strictEqual(millis(yield* never.remaining), undefined)
      yield* probe.expectNoMessage("3650 days")
    }))

  everySeed("reaches servers as an info of their protocol", () =>
    Effect.gen(function*() {
      const log = seen()
      const server = yield* GenServer.start(counterServer(log), 0)
      yield* Process.sendAfter(server, { _tag: "Tick", n: 1 }, 10)
      yield* Process.sendAfter(server, { _tag: "Tick", n: "bad" }, 10)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(log.notes, ["tick 1", { _tag: "Tick", n: "bad" }])
    }))

  everySeedOn(["a@test", "b@test"], "reaches other nodes", (cluster) =>
    Effect.gen(function*() {
      const probe = yield* cluster.on("b@test", Probe.make())
      yield* cluster.on("a@test", Process.sendAfter(probe, "far", "1 second"))
      yield* probe.expectMessage(Schema.Literal("far"), { within: "1 second" })
    }))

  everySeed("1000 at once fire once each", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make({ mailbox: { capacity: Infinity } })
      for (let n = 0; n < 1000; n++) yield* Process.sendAfter(probe, n, 1 + (n * 7919) % 500)
      yield* TestClock.adjust(500)
      assert.strictEqual(new Set(yield* probe.waiting).size, 1000)
      assert.strictEqual((yield* probe.waiting).length, 1000)
    }))

  it.live("[S21] is not early on a real clock", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      const early: Array<number> = []
      const pid = yield* Process.spawn((mailbox) =>
        Effect.forever(Effect.map(Process.receive(Schema.Number), (due) => {
          if (now() < due) early.push(due - now())
          return mailbox
        }))
      )
      for (let n = 0; n < 200; n++) {
        const delay = (n % 20) + 0.5
        yield* Process.sendAfter(pid, now() + delay, delay)
      }
      yield* Effect.sleep(60)
      assert.deepStrictEqual(early, [])
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))
})

describe("timers of a node", () => {
  it.effect("stop with the node", () =>
    Effect.gen(function*() {
      const cluster = yield* MemoryCluster.MemoryCluster
      const probe = yield* cluster.on("a@test", Probe.make())
      yield* cluster.on("b@test", Process.sendAfter(probe, "from a dead node", "1 second"))
      yield* cluster.kill("b@test")
      yield* probe.expectNoMessage("1 minute")
      yield* TestNode.settle
    }).pipe(Effect.provide(MemoryCluster.layer(["a@test", "b@test"], { seed: 3 }))))
})
