/**
 * When and whom a supervisor restarts: intensity, giving up, restart types, groups, significant children.
 */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { ExitReason, GenServer, OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, child, end, endOf, error, Log, onNode, pidOf, seeded, shown, whileBusy } from "./SupervisorFixtures.ts"

const reasons = {
  normal: ExitReason.normal,
  shutdown: ExitReason.shutdown,
  "{shutdown, _}": ExitReason.shutdownWith("done"),
  error: error(),
  killed: ExitReason.killed
}

describe("restart intensity", () => {
  seeded(
    "[S1] allows so many restarts within the period; one more, and the supervisor gives up",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: 2, period: "5 seconds", children: [child(log, "a")] })
        )
        const ended = yield* endOf(tree.pid)
        yield* end(tree, "a")
        yield* end(tree, "a")
        assert.strictEqual(yield* shown(tree), "a")
        yield* end(tree, "a")
        assert.strictEqual(yield* ended.reason, "shutdown")
        assert.strictEqual(log.take(), "+a -a +a -a +a -a")
      })
  )

  seeded("[S1] is one restart in five seconds by default", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }))
      const ended = yield* endOf(tree.pid)
      yield* end(tree, "a")
      yield* TestClock.adjust("6 seconds")
      yield* end(tree, "a")
      assert.strictEqual(yield* ended.reason, "alive")
      yield* TestClock.adjust("5 seconds")
      yield* end(tree, "a")
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))

  for (const [second, reason] of [[5999, "shutdown"], [6000, "alive"]] as const) {
    seeded(
      `[S1] looks back over whole seconds, both ends included: restarts at 0.9 s and ${second / 1000} s`,
      () =>
        Effect.gen(function*() {
          const log = new Log()
          const tree = yield* Supervisor.start(
            Supervisor.make({ intensity: 1, period: "5 seconds", children: [child(log, "a")] })
          )
          const ended = yield* endOf(tree.pid)
          yield* TestClock.adjust(900)
          yield* end(tree, "a")
          yield* TestClock.adjust(second - 900)
          yield* end(tree, "a")
          assert.strictEqual(yield* ended.reason, reason)
        })
    )
  }

  for (const [later, reason] of [[500, "shutdown"], [501, "alive"]] as const) {
    seeded(
      `[S1] measures other periods to the millisecond: 500 ms, restarts ${later} ms apart`,
      () =>
        Effect.gen(function*() {
          const log = new Log()
          const tree = yield* Supervisor.start(
            Supervisor.make({ intensity: 1, period: 500, children: [child(log, "a")] })
          )
          const ended = yield* endOf(tree.pid)
          yield* TestClock.adjust(999)
          yield* end(tree, "a")
          yield* TestClock.adjust(later)
          yield* end(tree, "a")
          assert.strictEqual(yield* ended.reason, reason)
        })
    )
  }

  seeded("[S1] counts restarts whose start fails", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const start = Effect.suspend(() => starts++ === 0 ? Effect.void : Effect.fail(new Broken({ child: "a" })))
      const tree = yield* Supervisor.start(Supervisor.make({ intensity: 3, children: [child(log, "a", { start })] }))
      const ended = yield* endOf(tree.pid)
      yield* end(tree, "a")
      assert.strictEqual(yield* ended.reason, "shutdown")
      assert.strictEqual(starts, 4, "the first start, and three restarts")
    }))

  seeded(
    "[S1] counts a group once, and two deaths that one group restart deals with once",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy: "one_for_all",
          intensity: 1,
          children: [child(log, "a"), child(log, "b"), child(log, "c")]
        }))
        const [a, c] = [yield* pidOf(tree, "a"), yield* pidOf(tree, "c")]
        yield* whileBusy(tree, Effect.forEach([a, c], (pid) => Effect.andThen(Process.kill(pid), TestNode.settle)))
        assert.strictEqual(yield* shown(tree), "a b c")
        assert.strictEqual(log.take(), "+a +b +c -a -c -b +a +b +c")
      })
  )

  seeded("[S1] counts two deaths twice when each child is restarted for itself", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(
        Supervisor.make({ intensity: 1, children: [child(log, "a"), child(log, "b")] })
      )
      const ended = yield* endOf(tree.pid)
      const [a, b] = [yield* pidOf(tree, "a"), yield* pidOf(tree, "b")]
      yield* whileBusy(tree, Effect.forEach([a, b], (pid) => Effect.andThen(Process.kill(pid), TestNode.settle)))
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))
})

describe("giving up", () => {
  seeded("[S2] stops the children in reverse order and ends with shutdown", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 0,
        children: [child(log, "a"), child(log, "b"), child(log, "c")]
      }))
      const ended = yield* endOf(tree.pid)
      log.take()
      yield* end(tree, "b")
      assert.strictEqual(log.take(), "-b -c -a")
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))

  seeded("[S2] is an orderly end for the level above: a transient supervisor stays down", () =>
    Effect.gen(function*() {
      const log = new Log()
      const below = Supervisor.make({ intensity: 0, children: [child(log, "a")] })
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 9,
        children: [Supervisor.nested("below", below, { restart: "transient" }), child(log, "other")]
      }))
      yield* end(yield* pidOf(tree, "below"), "a")
      assert.strictEqual(yield* shown(tree), "below! other")
      assert.strictEqual(log.take(), "+a +other -a")
    }))

  seeded(
    "[S2] makes the level above restart a permanent supervisor, until that is too often there, too",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const below = Supervisor.make({ intensity: 0, children: [child(log, "a")] })
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: 1, children: [Supervisor.nested("below", below)] })
        )
        const ended = yield* endOf(tree.pid)
        yield* end(yield* pidOf(tree, "below"), "a")
        assert.strictEqual(yield* shown(tree), "below")
        yield* end(yield* pidOf(tree, "below"), "a")
        assert.strictEqual(yield* ended.reason, "shutdown")
        assert.strictEqual(log.take(), "+a -a +a -a")
      })
  )
})

describe("restart types", () => {
  const expected = {
    permanent: { normal: "a", shutdown: "a", "{shutdown, _}": "a", error: "a", killed: "a" },
    transient: { normal: "a!", shutdown: "a!", "{shutdown, _}": "a!", error: "a", killed: "a" },
    temporary: { normal: "", shutdown: "", "{shutdown, _}": "", error: "", killed: "" }
  }
  for (const restart of ["permanent", "transient", "temporary"] as const) {
    for (const reason of ["normal", "shutdown", "{shutdown, _}", "error", "killed"] as const) {
      seeded(`[S5] a ${restart} child that ended with ${reason}`, () =>
        Effect.gen(function*() {
          const log = new Log()
          const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a", { restart })] }))
          yield* end(tree, "a", reasons[reason])
          assert.strictEqual(yield* shown(tree), expected[restart][reason])
        }))
    }
  }

  seeded(
    "[S5] a temporary child disappears when it is ignored, ends or is terminated; others stay, down",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const temporary = { restart: "temporary" } as const
        const ignored = { start: Effect.succeed(GenServer.ignore) }
        const tree = yield* Supervisor.start(Supervisor.make({
          children: [
            child(log, "a", temporary),
            child(log, "b", { ...temporary, ...ignored }),
            child(log, "c", temporary),
            child(log, "d", ignored),
            child(log, "e")
          ]
        }))
        assert.strictEqual(yield* shown(tree), "a c d! e")
        yield* Supervisor.terminateChild(tree, "a")
        yield* Supervisor.terminateChild(tree, "e")
        yield* end(tree, "c", ExitReason.normal)
        assert.strictEqual(yield* shown(tree), "d! e!")
        assert.deepStrictEqual(yield* Supervisor.countChildren(tree), {
          specs: 2,
          active: 0,
          supervisors: 0,
          workers: 2
        })
      })
  )
})

describe("restarts of a group", () => {
  seeded("[S6] one_for_all stops all others in reverse and starts all in order", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        strategy: "one_for_all",
        children: [child(log, "a"), child(log, "b"), child(log, "c")]
      }))
      log.take()
      yield* end(tree, "b")
      assert.strictEqual(log.take(), "-b -c -a +a +b +c")
    }))

  seeded("[S6] rest_for_one does so with those behind the child", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        strategy: "rest_for_one",
        children: [child(log, "a"), child(log, "b"), child(log, "c"), child(log, "d")]
      }))
      log.take()
      yield* end(tree, "b")
      assert.strictEqual(log.take(), "-b -d -c +b +c +d")
    }))

  seeded(
    "[S6] a temporary member is stopped with the group and not brought back; one that was down is started",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy: "one_for_all",
          children: [
            child(log, "a"),
            child(log, "b", { restart: "temporary" }),
            child(log, "c", { restart: "transient" })
          ]
        }))
        yield* end(tree, "c", ExitReason.normal)
        assert.strictEqual(yield* shown(tree), "a b c!")
        log.take()
        yield* end(tree, "a")
        assert.strictEqual(log.take(), "-a -b +a +c")
        assert.strictEqual(yield* shown(tree), "a c")
      })
  )

  seeded(
    "[S6] rest_for_one starts those behind the child also when the last of them was down",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const transient = { restart: "transient" } as const
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy: "rest_for_one",
          children: [child(log, "a"), child(log, "b"), child(log, "c", transient)]
        }))
        yield* end(tree, "c", ExitReason.normal)
        assert.strictEqual(yield* shown(tree), "a b c!")
        log.take()
        yield* end(tree, "a")
        assert.strictEqual(log.take(), "-a -b +a +b +c")
      })
  )

  seeded(
    "[S3] a sibling that does not stop is killed at its limit, and the group starts then",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const stubborn = { trapExit: true, stop: Effect.never, shutdown: "2 seconds" } as const
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy: "one_for_all",
          children: [child(log, "a"), child(log, "b", stubborn)]
        }))
        const b = yield* endOf(yield* pidOf(tree, "b"))
        log.take()
        yield* end(tree, "a")
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual(log.take(), "-a ~b")
        yield* TestClock.adjust(1)
        yield* TestNode.settle
        assert.strictEqual(log.take(), "-b +a +b")
        assert.strictEqual(yield* b.reason, "killed")
        // The end of the test need not wait for it.
        yield* Process.kill(yield* pidOf(tree, "b"))
      })
  )

  seeded(
    "[S6] the crash of a temporary child and the normal end of a transient one start no group restart",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy: "one_for_all",
          children: [
            child(log, "a"),
            child(log, "b", { restart: "temporary" }),
            child(log, "c", { restart: "transient" })
          ]
        }))
        log.take()
        yield* end(tree, "b")
        yield* end(tree, "c", ExitReason.normal)
        assert.strictEqual(log.take(), "-b -c")
      })
  )

  for (
    const [strategy, from, expected] of [
      ["rest_for_one", "the child at fault", "-a -c -b +a +b +c"],
      ["one_for_all", "the first child", "-a -c -b +a -a +a +b +c"]
    ] as const
  ) {
    seeded(`[S6] a failure in the middle is made good from ${from} on under ${strategy}`, () =>
      Effect.gen(function*() {
        const log = new Log()
        let starts = 0
        const start = Effect.suspend(() => ++starts === 2 ? Effect.fail(new Broken({ child: "b" })) : Effect.void)
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy,
          intensity: 2,
          children: [child(log, "a"), child(log, "b", { start }), child(log, "c")]
        }))
        log.take()
        yield* end(tree, "a")
        assert.strictEqual(yield* shown(tree), "a b c")
        assert.strictEqual(log.take(), expected)
      }))
  }
})

describe("significant children", () => {
  seeded(
    "[S8] the end of any of them ends the supervisor with shutdown, after its other children",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const significant = { significant: true, restart: "transient" } as const
        const tree = yield* Supervisor.start(Supervisor.make({
          autoShutdown: "any_significant",
          children: [child(log, "a"), child(log, "b", significant), child(log, "c", significant)]
        }))
        const ended = yield* endOf(tree.pid)
        log.take()
        yield* end(tree, "b", error())
        assert.strictEqual(log.take(), "-b +b", "an abnormal end of a transient child is not its last")
        yield* end(tree, "b", ExitReason.normal)
        assert.strictEqual(log.take(), "-b -c -a")
        assert.strictEqual(yield* ended.reason, "shutdown")
      })
  )

  seeded("[S8] or the end of the last of them, temporary ones after any end", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        autoShutdown: "all_significant",
        children: [
          child(log, "a"),
          child(log, "b", { significant: true, restart: "transient" }),
          child(log, "c", { significant: true, restart: "temporary" })
        ]
      }))
      const ended = yield* endOf(tree.pid)
      yield* end(tree, "c")
      assert.strictEqual(yield* ended.reason, "alive")
      yield* end(tree, "b", ExitReason.shutdown)
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))

  seeded(
    "[S8] their termination by request and their restart with a sibling end nothing",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(Supervisor.make({
          strategy: "one_for_all",
          autoShutdown: "any_significant",
          children: [child(log, "a"), child(log, "b", { significant: true, restart: "transient" })]
        }))
        const ended = yield* endOf(tree.pid)
        yield* end(tree, "a")
        assert.strictEqual(log.take(), "+a +b -a -b +a +b")
        yield* Supervisor.terminateChild(tree, "b")
        yield* TestNode.settle
        assert.strictEqual(yield* ended.reason, "alive")
        assert.strictEqual(yield* shown(tree), "a b!")
      })
  )

  for (const [restart, line] of [["permanent", "below"], ["transient", "below!"]] as const) {
    seeded(`[S8] what follows is for the level above to decide: a ${restart} supervisor`, () =>
      Effect.gen(function*() {
        const log = new Log()
        const below = Supervisor.make({
          autoShutdown: "any_significant",
          children: [child(log, "a", { significant: true, restart: "transient" })]
        })
        const tree = yield* Supervisor.start(
          Supervisor.make({ children: [Supervisor.nested("below", below, { restart })] })
        )
        yield* end(yield* pidOf(tree, "below"), "a", ExitReason.normal)
        assert.strictEqual(yield* shown(tree), line)
      }))
  }

  onNode("[S8] may not be permanent, and need a supervisor that shuts down for them", () =>
    Effect.sync(() => {
      const log = new Log()
      const problem = (make: () => unknown): string => {
        try {
          make()
        } catch (error) {
          return error instanceof OtpError.InvalidSupervisorSpec ? error.problem : String(error)
        }
        return "none"
      }
      assert.strictEqual(
        problem(() =>
          Supervisor.make({ autoShutdown: "any_significant", children: [child(log, "a", { significant: true })] })
        ),
        "SignificantPermanent"
      )
      assert.strictEqual(
        problem(() => Supervisor.make({ children: [child(log, "a", { significant: true, restart: "transient" })] })),
        "SignificantNever"
      )
    }))
})
