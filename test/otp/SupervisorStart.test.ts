/**
 * How a supervisor starts: in order, and as if nothing had happened when a child cannot.
 */
import { assert, describe } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option } from "effect"
import { CallError, ExitReason, GenServer, Node, OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, child, end, Log, pidOf, Probe, probe, seeded, shown } from "./SupervisorFixtures.ts"

const broken = Effect.fail(new Broken({ child: "b" }))

describe("the start of a tree", () => {
  seeded("[S4] starts one child after another, each when the one before is up", () =>
    Effect.gen(function*() {
      const log = new Log()
      const slow = (id: string) => child(log, id, { start: Effect.andThen(log.at(`init ${id}`), Effect.sleep(100)) })
      const starting = yield* Effect.forkScoped(
        Supervisor.start(Supervisor.make({ children: [slow("a"), slow("b"), child(log, "c")] }))
      )
      yield* TestClock.adjust(199)
      assert.strictEqual(log.take(), "0 init a +a 100 init b")
      assert.isUndefined(starting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(log.take(), "+b +c")
      const tree = yield* Fiber.join(starting)
      assert.strictEqual(yield* shown(tree), "a b c")
    }))

  seeded(
    "[S4] a child that cannot start has those before it stopped, in reverse; the error names it",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const failed = yield* Effect.flip(Supervisor.start(
          Supervisor.make({
            children: [child(log, "a"), child(log, "x"), child(log, "b", { start: broken }), child(log, "c")]
          }),
          { name: "tree" }
        ))
        assert.strictEqual(log.take(), "+a +x -x -a")
        assert.instanceOf(failed, OtpError.SupervisorStartError)
        assert.strictEqual(failed.supervisor, "tree")
        assert.strictEqual(failed.child, "b")
        assert.deepStrictEqual(failed.error, new Broken({ child: "b" }))
        assert.strictEqual(
          failed.message,
          "supervisor tree did not start: its child \"b\" failed: Broken {\"child\":\"b\"} (OTP_CHILD_START). " +
            "Children that had started were stopped again"
        )
        assert.deepStrictEqual(yield* Node.processes, [])
        assert.deepStrictEqual(yield* Process.registered, [])
      })
  )

  seeded("[S4] the error of a child of a child has the path to it, and the error itself", () =>
    Effect.gen(function*() {
      const log = new Log()
      const lowest = Supervisor.make({ children: [child(log, "b"), child(log, "x", { start: broken })] })
      const below = Supervisor.make({ children: [child(log, "a"), Supervisor.nested("low", lowest)] })
      const failed = yield* Effect.flip(
        Supervisor.start(Supervisor.make({ children: [child(log, "first"), Supervisor.nested("sub", below)] }))
      )
      assert.strictEqual(log.take(), "+first +a +b -b -a -first")
      assert.instanceOf(failed, OtpError.SupervisorStartError)
      assert.strictEqual(failed.child, "sub.low.x")
      assert.deepStrictEqual(failed.error, new Broken({ child: "b" }))
    }))

  for (
    const [what, options, expected] of [
      [
        "dies",
        { start: Effect.die(new Error("boom")) },
        "b did not start: it ended during init (OTP_INIT_EXIT): Error: boom"
      ],
      [
        "exits",
        { start: Process.exitSelf(ExitReason.shutdownWith("no")) },
        "b did not start: it ended during init (OTP_INIT_EXIT): {shutdown, no}"
      ],
      [
        "takes too long",
        { start: Effect.never, timeout: "3 seconds" },
        "b did not start: init did not finish within 3000 ms (OTP_INIT_TIMEOUT); the process was killed"
      ]
    ] as const
  ) {
    seeded(`[S4] an init that ${what} is told as what it is`, () =>
      Effect.gen(function*() {
        const log = new Log()
        const starting = yield* Effect.forkScoped(
          Effect.flip(Supervisor.start(Supervisor.make({ children: [child(log, "a"), child(log, "b", options)] })))
        )
        yield* TestClock.adjust("3 seconds")
        const failed = yield* Fiber.join(starting)
        assert.instanceOf(failed, OtpError.SupervisorStartError)
        assert.strictEqual(failed.child, "b")
        assert.instanceOf(failed.error, CallError.StartError)
        assert.include(failed.error.message, expected)
        assert.strictEqual(log.take(), "+a -a")
        assert.deepStrictEqual(yield* Node.processes, [])
      }))
  }

  seeded("[S4] a name that is taken is told as what it is", () =>
    Effect.gen(function*() {
      const log = new Log()
      const taken = child(log, "b", { name: "taken" })
      const other = yield* Process.spawnDetached(() => Effect.never, { name: "taken" })
      const failed = yield* Effect.flip(Supervisor.start(Supervisor.make({ children: [child(log, "a"), taken] })))
      assert.include(failed.message, `the name "taken" is registered by ${other}`)
      assert.strictEqual(log.take(), "+a -a")
    }))

  seeded("[S4] a child that ignores its start is no failure", () =>
    Effect.gen(function*() {
      const log = new Log()
      const ignored = { start: Effect.succeed(GenServer.ignore) }
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a", ignored), child(log, "b")] }))
      assert.strictEqual(yield* shown(tree), "a! b")
      assert.isTrue(Option.isNone(yield* Supervisor.whereis(tree, "a")))
      assert.isTrue(Option.isNone(yield* Supervisor.restartChild(tree, "a")))
    }))

  seeded(
    "[S4] a child that fails because what it starts itself ignores its start has failed",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const Ignoring = probe(log, { start: Effect.succeed(GenServer.ignore) })
        const Starter = GenServer.make(Probe, {
          init: () => Effect.as(GenServer.start(Ignoring, "x"), "starter"),
          handlers: { Name: (_, name) => name, End: ({ reason }) => GenServer.stop(reason) }
        })
        const failed = yield* Effect.flip(
          Supervisor.start(Supervisor.make({ children: [Supervisor.child("a", Starter)] }))
        )
        assert.instanceOf(failed, OtpError.SupervisorStartError)
        assert.strictEqual(failed.child, "a")
      })
  )

  seeded("children use services of whoever starts the tree, and of whoever adds them", () =>
    Effect.gen(function*() {
      class Db extends Context.Service<Db, string>()("Db") {}
      const log = new Log()
      const DbServer = GenServer.make(Probe, {
        init: (name: string) =>
          Effect.tap(Effect.succeed(name), () => Effect.flatMap(Db, (db) => log.add(`${name}:${db}`))),
        handlers: {
          Name: (_, name) => Effect.map(Db, (db) => `${name}@${db}`),
          End: ({ reason }) => GenServer.stop(reason)
        }
      })
      const Tree = Supervisor.make({ intensity: 9, children: [Supervisor.child("a", DbServer, "a")] })
      const tree = yield* Effect.provideService(Supervisor.start(Tree), Db, "first")
      yield* Effect.provideService(Supervisor.startChild(tree, Supervisor.child("b", DbServer, "b")), Db, "second")
      yield* end(tree, "a")
      yield* end(tree, "b")
      assert.strictEqual(log.take(), "a:first b:second a:first b:second")
      const b = yield* GenServer.fromPid(Probe, yield* pidOf(tree, "b"))
      assert.strictEqual(yield* b.Name(), "b@second")
    }))
})

describe("a start that failed", () => {
  seeded(
    "has ended before the next attempt: its name is free and its resources are released",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        let builds = 0
        // It fails in the middle of its build, the second time; what it has by then takes a while to release.
        const layer = Layer.effectDiscard(Effect.gen(function*() {
          const build = ++builds
          yield* Effect.acquireRelease(
            log.at(`open ${build}`),
            () => Effect.andThen(Effect.sleep(100), log.at(`close ${build}`))
          )
          if (build === 2) return yield* broken
        }))
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: 3, children: [Supervisor.fromLayer("port", layer, { name: "port" })] })
        )
        yield* Process.kill(yield* pidOf(tree, "port"))
        yield* TestClock.adjust(1000)
        assert.strictEqual(yield* shown(tree), "port")
        assert.strictEqual(log.take(), "0 open 1 100 close 1 100 open 2 200 close 2 200 open 3")
      })
  )

  seeded("frees the name of a supervisor below at once", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const start = Effect.suspend(() => ++starts === 2 ? broken : Effect.void)
      const below = Supervisor.make({ intensity: 0, children: [child(log, "a", { start })] })
      const tree = yield* Supervisor.start(
        Supervisor.make({ intensity: 2, children: [Supervisor.nested("below", below, { name: "below" })] })
      )
      yield* end(yield* pidOf(tree, "below"), "a")
      assert.strictEqual(yield* shown(tree), "below")
      assert.strictEqual(starts, 3)
    }))

  seeded("[S14] a kill that comes at the end of an init is not lost", () =>
    Effect.gen(function*() {
      const log = new Log()
      const steps = (count: number): Effect.Effect<void> =>
        count === 0 ? Effect.void : Effect.flatMap(Effect.yieldNow, () => steps(count - 1))
      const Slow = probe(log, { start: steps(5) })
      for (let count = 0; count < 12; count++) {
        yield* Effect.forkChild(Effect.exit(GenServer.startDetached(Slow, "a", { name: "slow" })))
        yield* steps(count)
        yield* Process.kill({ name: "slow" })
        yield* TestNode.settle
        // It may not have been there yet.
        yield* Effect.ignore(Process.stop({ name: "slow" }))
        assert.deepStrictEqual(yield* Node.processes, [])
      }
    }))

  seeded("can be followed by another in the very turn", () =>
    Effect.gen(function*() {
      const log = new Log()
      const Tree = (start: Effect.Effect<unknown, Broken>) =>
        Supervisor.make({ children: [child(log, "a", { name: "a" }), child(log, "b", { start })] })
      const second = yield* Effect.catchTag(
        Supervisor.start(Tree(broken), { name: "tree" }),
        "SupervisorStartError",
        () => Supervisor.start(Tree(Effect.void), { name: "tree" })
      )
      assert.strictEqual(log.take(), "+a -a +a +b")
      assert.strictEqual(yield* shown(second), "a b")
    }))
})

describe("a supervisor whose child never starts", () => {
  seeded("keeps its starter waiting, who may give up", () =>
    Effect.gen(function*() {
      const log = new Log()
      const Tree = Supervisor.make({ children: [child(log, "a"), child(log, "b", { start: Effect.never })] })
      const starting = yield* Effect.forkScoped(Effect.timeoutOption(Supervisor.start(Tree), "10 seconds"))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(starting), Option.none())
      assert.strictEqual(log.take(), "+a -a")
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  seeded("when it hangs in a restart, holds up requests and exits, but not its own end", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const start = Effect.suspend(() => ++starts === 1 ? Effect.void : Effect.never)
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a"), child(log, "b", { start })] }))
      const a = yield* pidOf(tree, "a")
      yield* end(tree, "b")
      const asked = yield* Effect.forkScoped(Supervisor.countChildren(tree))
      yield* Process.kill(a)
      yield* TestNode.settle
      assert.isUndefined(asked.pollUnsafe())
      assert.strictEqual(log.take(), "+a +b -b -a", "the exit of a waits, too")
      yield* Process.stop(tree)
      const failed = yield* Effect.flip(Fiber.join(asked))
      assert.instanceOf(failed.reason, CallError.ProcessExit)
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  seeded("an interrupted start leaves nothing behind, wherever it was", () =>
    Effect.gen(function*() {
      const log = new Log()
      const Tree = Supervisor.make({
        children: [
          child(log, "a", { name: "a" }),
          Supervisor.nested("below", Supervisor.make({ children: [child(log, "b")] }))
        ]
      })
      for (let tasks = 0; tasks < 40; tasks++) {
        const starting = yield* Effect.forkChild(Effect.scoped(Effect.andThen(Supervisor.start(Tree), Effect.never)))
        for (let n = 0; n < tasks; n++) yield* Effect.yieldNow
        yield* Fiber.interrupt(starting)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Node.processes, [])
      }
    }))

  seeded("the services and errors of a start that dies are kept apart from typed ones", () =>
    Effect.gen(function*() {
      const log = new Log()
      const boom = new Error("boom")
      const exit = yield* Effect.exit(
        Effect.scoped(Supervisor.start(Supervisor.make({ children: [child(log, "a", { start: Effect.die(boom) })] })))
      )
      assert.isTrue(Exit.isFailure(exit))
      const failed = Cause.squash((exit as Exit.Failure<never, unknown>).cause) as OtpError.SupervisorStartError<
        CallError.StartError
      >
      const { reason } = failed.error
      assert.instanceOf(reason, CallError.InitExit)
      assert.strictEqual((reason.exitReason as { readonly error: unknown }).error, boom)
    }))
})
