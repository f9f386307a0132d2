/**
 * Restarts delayed by a schedule: the delays are those of the schedule, to the millisecond.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Option, Schedule } from "effect"
import { DynamicSupervisor, ExitReason, GenServer, Node, type OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, child, end, endOf, Log, pidOf, Probe, seeded, shown } from "./SupervisorFixtures.ts"

/** A worker that writes down when it starts, and fails at once. */
const failing = (log: Log, id: string) => Supervisor.worker(id, Effect.andThen(log.at(id), Effect.fail("boom")))

/** A schedule that says how long by the reason. */
const byReason = (
  millis: (reason: ExitReason.ExitReason) => number
): Schedule.Schedule<unknown, ExitReason.ExitReason> =>
  Schedule.fromStep(
    Effect.succeed((_now: number, reason: ExitReason.ExitReason) =>
      Effect.succeed([reason._tag, Duration.millis(millis(reason))])
    )
  )

describe("restarts with a schedule", () => {
  seeded("[S1] come after the delays of the schedule, and count when they are made", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 4,
        period: "60 seconds",
        backoff: Schedule.exponential("100 millis"),
        children: [failing(log, "a")]
      }))
      const ended = yield* endOf(tree.pid)
      yield* TestClock.adjust(1500)
      assert.strictEqual(log.take(), "0 a 100 a 300 a 700 a 1500 a")
      // The fifth restart is one too many, and that shows when its delay is over.
      yield* TestClock.adjust(1599)
      assert.strictEqual(yield* ended.reason, "alive")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* ended.reason, "shutdown")
      assert.strictEqual(log.take(), "")
    }))

  seeded("never give up when the delays are longer than the period", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 1,
        period: "5 seconds",
        backoff: Schedule.spaced("6 seconds"),
        children: [failing(log, "a")]
      }))
      const ended = yield* endOf(tree.pid)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* ended.reason, "alive")
      assert.strictEqual(log.lines.length, 101)
    }))

  seeded("start the schedule anew for a child that ran as long as the period", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 9,
        period: "5 seconds",
        backoff: Schedule.exponential("1 second"),
        children: [child(log, "a", { start: log.at("start") })]
      }))
      yield* end(tree, "a")
      yield* TestClock.adjust(1000)
      yield* TestClock.adjust(4999)
      yield* end(tree, "a")
      yield* TestClock.adjust(2000)
      yield* TestClock.adjust(5000)
      yield* end(tree, "a")
      yield* TestClock.adjust(1000)
      assert.strictEqual(log.take(), "0 start +a -a 1000 start +a -a 7999 start +a -a 13999 start +a")
    }))

  seeded("keep the last delay of a schedule that is at its end", () =>
    Effect.gen(function*() {
      const log = new Log()
      yield* Supervisor.start(Supervisor.make({
        intensity: 9,
        backoff: Schedule.upTo(Schedule.exponential("100 millis"), { times: 2 }),
        children: [failing(log, "a")]
      }))
      yield* TestClock.adjust(900)
      assert.strictEqual(log.take(), "0 a 100 a 300 a 500 a 700 a 900 a")
    }))

  seeded("run a schedule of its own for each child", () =>
    Effect.gen(function*() {
      const log = new Log()
      yield* Supervisor.start(Supervisor.make({
        intensity: 9,
        backoff: Schedule.upTo(Schedule.exponential("100 millis"), { times: 2 }),
        children: [
          failing(log, "a"),
          Supervisor.worker("b", Effect.andThen(log.at("b"), Effect.delay(Effect.fail("boom"), 150)))
        ]
      }))
      yield* TestClock.adjust(800)
      const times = (id: string) => log.lines.filter((line) => line.endsWith(id)).join(" ")
      assert.strictEqual(times("a"), "0 a 100 a 300 a 500 a 700 a")
      assert.strictEqual(times("b"), "0 b 250 b 600 b")
    }))

  seeded("give the schedule the reason of the end, or of the start that failed", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const start = Effect.andThen(
        log.at("start"),
        Effect.suspend(() => ++starts === 2 ? Effect.fail(new Broken({ child: "a" })) : Effect.void)
      )
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 9,
        backoff: byReason((reason) => reason._tag === "Killed" ? 10 : reason._tag === "Error" ? 100 : 1000),
        children: [child(log, "a", { start })]
      }))
      yield* Process.kill(yield* pidOf(tree, "a"))
      yield* TestClock.adjust(5000)
      yield* end(tree, "a", ExitReason.normal)
      yield* TestClock.adjust(5000)
      assert.strictEqual(log.take(), "0 start +a -a 10 start 110 start +a -a 6000 start +a")
    }))

  seeded("stop a group before the delay and start it after", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        strategy: "rest_for_one",
        backoff: Schedule.spaced("1 second"),
        children: [child(log, "a"), child(log, "b"), child(log, "c")]
      }))
      log.take()
      yield* end(tree, "b")
      assert.strictEqual(log.take(), "-b -c")
      assert.strictEqual(yield* shown(tree), "a b? c!")
      yield* TestClock.adjust(999)
      assert.strictEqual(log.take(), "")
      yield* TestClock.adjust(1)
      assert.strictEqual(log.take(), "+b +c")
    }))

  seeded(
    "are taken back by terminateChild; meanwhile the child cannot be restarted, deleted or added",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(
          Supervisor.make({ backoff: Schedule.spaced("1 second"), children: [child(log, "a")] })
        )
        yield* end(tree, "a")
        assert.strictEqual(yield* shown(tree), "a?")
        for (const call of [Supervisor.restartChild(tree, "a"), Supervisor.deleteChild(tree, "a")]) {
          const refused = (yield* Effect.flip<unknown, unknown, Node.Node>(call)) as OtpError.SupervisorError
          assert.strictEqual(refused.reason, "Restarting")
          assert.include(refused.message, "the child waits for its next restart; terminate it first")
        }
        yield* Supervisor.terminateChild(tree, "a")
        assert.strictEqual(yield* shown(tree), "a!")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(log.take(), "+a -a")
        yield* Supervisor.restartChild(tree, "a")
        assert.strictEqual(yield* shown(tree), "a")
      })
  )

  seeded("are not made when the supervisor has ended, or was killed, in the meantime", () =>
    Effect.gen(function*() {
      const log = new Log()
      const Tree = Supervisor.make({ backoff: Schedule.spaced("1 second"), children: [child(log, "a")] })
      for (const stop of [Process.stop, Process.kill]) {
        const tree = yield* Supervisor.start(Tree)
        yield* end(tree, "a")
        yield* Effect.ignore(stop(tree))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(log.take(), "+a -a")
        assert.deepStrictEqual(yield* Node.processes, [])
      }
    }))

  seeded("of a schedule that takes its time can be taken back, too", () =>
    Effect.gen(function*() {
      const log = new Log()
      const slow: Schedule.Schedule<unknown, ExitReason.ExitReason> = Schedule.fromStep(
        Effect.succeed(() => Effect.as(Effect.sleep(50), [0, Duration.millis(10)] as [number, Duration.Duration]))
      )
      const tree = yield* Supervisor.start(
        Supervisor.make({ intensity: 9, backoff: slow, children: [child(log, "a")] })
      )
      yield* end(tree, "a")
      yield* TestClock.adjust(59)
      assert.strictEqual(yield* shown(tree), "a?")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* shown(tree), "a")
      yield* end(tree, "a")
      yield* TestClock.adjust(40)
      yield* Supervisor.terminateChild(tree, "a")
      yield* Supervisor.restartChild(tree, "a")
      yield* end(tree, "a")
      // The delay that was taken back would be over at 60 + 60, the new one ends at 100 + 60.
      yield* TestClock.adjust(59)
      assert.strictEqual(yield* shown(tree), "a?")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* shown(tree), "a")
      assert.strictEqual(log.take(), "+a -a +a -a +a -a +a")
    }))

  seeded("of a schedule that fails come at once, and the supervisor lives on", () =>
    Effect.gen(function*() {
      const log = new Log()
      const broken: Schedule.Schedule<unknown, ExitReason.ExitReason> = Schedule.fromStep(
        Effect.succeed(() => Effect.die(new Error("broken schedule")))
      )
      const tree = yield* Supervisor.start(Supervisor.make({ backoff: broken, children: [child(log, "a")] }))
      yield* end(tree, "a")
      yield* TestNode.settle
      assert.strictEqual(yield* shown(tree), "a")
    }))

  it.live("keep nothing of a child that is gone", () =>
    Effect.gen(function*() {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as () => void
      const count = 1000
      const made: Array<WeakRef<object>> = []
      const Worker = GenServer.make(Probe, {
        init: (args: { readonly name: string }) => Effect.succeed(args.name),
        handlers: { Name: (_, name) => name, End: ({ reason }) => GenServer.stop(reason) }
      })
      const tree = yield* DynamicSupervisor.start(DynamicSupervisor.make(Worker, {
        intensity: 1_000_000,
        backoff: Schedule.spaced(0),
        restart: "transient"
      }))
      yield* Effect.forEach(Array.from({ length: count }), () =>
        Effect.gen(function*() {
          const args = { name: "w" }
          const boom = new Error("boom")
          const worker = yield* DynamicSupervisor.startChild(tree, args)
          made.push(new WeakRef(args), new WeakRef(boom))
          yield* worker.End({ reason: ExitReason.error(boom) })
        }), { discard: true })
      const all = yield* Effect.repeat(
        Effect.andThen(Effect.sleep(5), DynamicSupervisor.whichChildren(tree)),
        { until: (children) => children.length === count && children.every(({ status }) => status === "running") }
      )
      for (const { pid } of all) yield* DynamicSupervisor.terminateChild(tree, Option.getOrThrow(pid))
      assert.deepStrictEqual(yield* DynamicSupervisor.whichChildren(tree), [])
      // A turn of the event loop lets go of what the last jobs held.
      yield* Effect.sleep(10)
      collect()
      yield* Effect.sleep(10)
      collect()
      assert.strictEqual(made.length, 2 * count)
      assert.isBelow(made.filter((ref) => ref.deref() !== undefined).length, count / 100)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([])))
    ))
})
