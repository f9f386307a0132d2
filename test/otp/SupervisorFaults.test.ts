/**
 * Supervisors in bad weather: children that never stop crashing, and many children at once, on a node as in production.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Option, type Scope } from "effect"
import { DynamicSupervisor, ExitReason, GenServer, Node, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, child, Log, pidOf, Probe, seeded, shown } from "./SupervisorFixtures.ts"

/** On a node with the clock and the scheduler of production. */
const live = (title: string, body: () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>): void =>
  it.live(
    title,
    () =>
      Effect.suspend(body).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([]))))
  )

/** A turn of the host's event loop, in which its timers and sockets are served. */
const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Waits, turn by turn, until something is so. */
const until = (test: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => test() ? Effect.void : Effect.andThen(turn, until(test)))

const endless = 1_000_000_000

describe("a storm of restarts", () => {
  const storms = [
    ["ends as soon as it runs", (tell: () => void) => Supervisor.worker("storm", Effect.sync(tell))],
    [
      "crashes in its first message",
      (tell: () => void) =>
        Supervisor.child(
          "storm",
          GenServer.make(Probe, {
            init: () => Effect.map(Process.self, (self) => GenServer.started(self, { continue: undefined })),
            handlers: { Name: () => "storm", End: ({ reason }) => GenServer.stop(reason) },
            continue: () => {
              tell()
              throw new Error("boom")
            }
          })
        )
    ],
    [
      "fails to start, but for the first time",
      (tell: () => void) => {
        let starts = 0
        const start = Effect.suspend(() => {
          tell()
          return ++starts === 1 ? Effect.void : Effect.fail(new Broken({ child: "storm" }))
        })
        return child(new Log(), "storm", { start })
      }
    ]
  ] as const

  for (const [what, make] of storms) {
    live(`of a child that ${what}: the supervisor answers, and others get their turn`, () =>
      Effect.gen(function*() {
        let restarts = 0
        const log = new Log()
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: endless, children: [child(log, "calm"), make(() => void restarts++)] })
        )
        // The third kind needs a first push.
        const storm = yield* Supervisor.whereis(tree, "storm")
        if (Option.isSome(storm)) yield* Process.kill(storm.value)
        yield* until(() => restarts > 1000)
        const calm = yield* GenServer.fromPid(Probe, yield* pidOf(tree, "calm"))
        assert.strictEqual(yield* calm.Name(), "calm")
        assert.strictEqual((yield* Supervisor.countChildren(tree)).specs, 2)
        for (let n = 0; n < 10; n++) {
          const before = restarts
          yield* turn
          assert.isBelow(restarts - before, 5000, "restarts between two turns of the event loop")
        }
        yield* Supervisor.terminateChild(tree, "storm")
        const after = restarts
        yield* Effect.sleep(5)
        assert.strictEqual(restarts, after)
        assert.strictEqual(yield* shown(tree), "calm storm!")
      }))

    live(`of a child that ${what}: the supervisor can be stopped in the middle of it`, () =>
      Effect.gen(function*() {
        let restarts = 0
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: endless, children: [make(() => void restarts++)] })
        )
        const storm = yield* Supervisor.whereis(tree, "storm")
        if (Option.isSome(storm)) yield* Process.kill(storm.value)
        yield* until(() => restarts > 100)
        yield* Process.stop(tree)
        assert.deepStrictEqual(yield* Node.processes, [])
      }))

    live(`[S1] of a child that ${what} ends when it is too much`, () =>
      Effect.gen(function*() {
        let starts = 0
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: 500, period: "1 hour", children: [make(() => void starts++)] })
        )
        // It may have ended by now.
        const storm = Option.flatten(yield* Effect.option(Supervisor.whereis(tree, "storm")))
        if (Option.isSome(storm)) yield* Process.kill(storm.value)
        yield* Process.awaitExit(tree)
        assert.strictEqual(starts, 501, "the first start, and 500 restarts")
        assert.deepStrictEqual(yield* Node.processes, [])
      }))
  }
})

describe("many children", () => {
  const count = 10_000

  live("10 000 dynamic children are killed at once and all come back, and stop together", () =>
    Effect.gen(function*() {
      let ups = 0
      let downs = 0
      const Worker = GenServer.make(Probe, {
        init: (n: number) =>
          Effect.sync(() => {
            ups++
            return n
          }),
        handlers: { Name: (_, n) => String(n), End: ({ reason }) => GenServer.stop(reason) },
        terminate: () => Effect.sync(() => void downs++)
      })
      const tree = yield* DynamicSupervisor.start(
        DynamicSupervisor.make(Worker, { intensity: count, trapExit: true })
      )
      const pids = yield* Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) =>
        Effect.map(DynamicSupervisor.startChild(tree, n), ({ pid }) => pid))
      for (const pid of pids) {
        yield* Process.kill(pid)
      }
      yield* until(() =>
        ups === 2 * count
      )
      assert.deepStrictEqual(yield* DynamicSupervisor.countChildren(tree), {
        specs: 1,
        active: count,
        supervisors: 0,
        workers: count
      })
      const children = yield* DynamicSupervisor.whichChildren(tree)
      const last = yield* GenServer.fromPid(Probe, Option.getOrThrow(children[0]!.pid))
      assert.strictEqual(yield* last.Name(), String(count - 1), "it kept its arguments")
      yield* Process.stop(tree)
      assert.strictEqual(downs, count)
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  live("a tree of 1 000 static children is restarted as a group", () =>
    Effect.gen(function*() {
      const log = new Log()
      const ids = Array.from({ length: 1000 }, (_, n) => `c${n}`)
      const tree = yield* Supervisor.start(
        Supervisor.make({ strategy: "one_for_all", children: ids.map((id) => child(log, id)) })
      )
      log.take()
      yield* Process.kill(yield* pidOf(tree, "c500"))
      yield* until(() => log.lines.length === 2000)
      const others = ids.filter((id) => id !== "c500").reverse()
      assert.deepStrictEqual(log.lines, ["-c500", ...others.map((id) => `-${id}`), ...ids.map((id) => `+${id}`)])
    }))

  live("supervisors 200 deep start, escalate and stop", () =>
    Effect.gen(function*() {
      const log = new Log()
      let deep: Supervisor.Supervisor<string, unknown, never> = Supervisor.make({
        intensity: 0,
        children: [child(log, "bottom", { name: "bottom" })]
      })
      for (let depth = 0; depth < 200; depth++) {
        deep = Supervisor.make({ intensity: 0, children: [Supervisor.nested("below", deep)] })
      }
      const reason = yield* Effect.forkScoped(Supervisor.launch(deep))
      yield* until(() => log.lines.length === 1)
      yield* Process.kill({ name: "bottom" })
      assert.strictEqual(yield* Fiber.join(reason), ExitReason.shutdown)
      assert.deepStrictEqual(log.lines, ["+bottom", "-bottom"])
      assert.deepStrictEqual(yield* Node.processes, [])
    }))
})

describe("exits in the middle of a start", () => {
  seeded("the end of a child that comes with its start is neither lost nor too early", () =>
    Effect.gen(function*() {
      let runs = 0
      const log = new Log()
      // Each way to end at once; each of them is restarted three times, and the fourth end is one too many.
      const ways = [
        Effect.void,
        Effect.yieldNow,
        Effect.fail("boom"),
        Process.exitSelf(ExitReason.killed),
        Effect.flatMap(Process.self, (self) => Process.kill(self)),
        Effect.flatMap(Process.self, (self) => Process.exit(self, ExitReason.shutdown))
      ]
      for (const way of ways) {
        runs = 0
        const Tree = Supervisor.make({
          intensity: 3,
          children: [
            child(log, "a"),
            Supervisor.worker("b", Effect.andThen(Effect.sync(() => runs++), way)),
            child(log, "c")
          ]
        })
        assert.strictEqual(yield* Supervisor.launch(Tree), ExitReason.shutdown)
        assert.strictEqual(runs, 4)
        assert.match(log.take(), /^\+a (\+c -c|) ?-a$/)
      }
    }))

  seeded("the end of another child waits for the start that is under way", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const a = child(log, "a", { name: "a" })
      // While b starts, a is killed.
      const { runtime } = yield* Node.Node
      const start = Effect.suspend(() => {
        if (++starts > 1) return Effect.void
        runtime.resolve({ name: "a" })!.exitSignal(runtime.pid, ExitReason.kill, false)
        return Effect.sleep(10)
      })
      const starting = yield* Effect.forkScoped(Supervisor.start(Supervisor.make({
        strategy: "rest_for_one",
        children: [a, child(log, "b", { start, name: "b" })]
      })))
      yield* TestClock.adjust(9)
      assert.strictEqual(log.take(), "+a -a")
      yield* TestClock.adjust(1)
      const tree = yield* Fiber.join(starting)
      yield* TestNode.settle
      assert.strictEqual(log.take(), "+b -b +a +b")
      assert.strictEqual(yield* shown(tree), "a b")
    }))
})
