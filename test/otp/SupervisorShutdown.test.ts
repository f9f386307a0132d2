/**
 * How a supervisor stops: order and times, who may ask it to, and what happens in the middle of a start.
 */
import { assert, describe } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Behaviour, ExitReason, Node, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { child, endOf, error, Log, pidOf, probe, seeded, shown, underParent } from "./SupervisorFixtures.ts"

/** Starts a tree in a scope of its own and gives the way to close it. */
const inScope = <Ids extends string, E>(tree: Supervisor.Supervisor<Ids, E, never>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const ref = yield* Effect.provideService(Supervisor.start(tree), Scope.Scope, scope)
    return { ref, close: Effect.andThen(Effect.forkScoped(Scope.close(scope, Exit.void)), TestNode.settle) }
  })

const trapping = { trapExit: true } as const

describe("the shutdown of a tree", () => {
  seeded(
    "[S3] stops one child after another, in reverse, each when the one behind it has ended",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const slow = (id: string, millis: number) =>
          child(log, id, { ...trapping, stop: Effect.andThen(Effect.sleep(millis), log.at(id)) })
        const { close, ref } = yield* inScope(
          Supervisor.make({ children: [slow("a", 300), slow("b", 200), slow("c", 100)] })
        )
        const ended = yield* endOf(ref.pid)
        log.take()
        yield* close
        yield* TestClock.adjust(599)
        assert.strictEqual(log.take(), "~c 100 c -c ~b 300 b -b ~a")
        assert.strictEqual(yield* ended.reason, "alive")
        yield* TestClock.adjust(1)
        assert.strictEqual(log.take(), "600 a -a")
        assert.strictEqual(yield* ended.reason, "shutdown")
      })
  )

  seeded("[S3] gives each child its own time, and kills it then", () =>
    Effect.gen(function*() {
      const log = new Log()
      const stubborn = (id: string, shutdown: Supervisor.Shutdown) =>
        child(log, id, { ...trapping, shutdown, stop: Effect.never })
      const { close, ref } = yield* inScope(
        Supervisor.make({ children: [stubborn("a", "2 seconds"), child(log, "b"), stubborn("c", 1000)] })
      )
      const [supervisor, c] = [yield* endOf(ref.pid), yield* endOf(yield* pidOf(ref, "c"))]
      log.take()
      yield* close
      yield* TestClock.adjust(999)
      assert.strictEqual(log.take(), "~c")
      yield* TestClock.adjust(1)
      assert.strictEqual(log.take(), "-c -b ~a")
      assert.strictEqual(yield* c.reason, "killed")
      yield* TestClock.adjust(1999)
      assert.strictEqual(yield* supervisor.reason, "alive")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* supervisor.reason, "shutdown")
    }))

  seeded("[S3] gives a worker five seconds by default", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { close, ref } = yield* inScope(
        Supervisor.make({ children: [child(log, "a", { ...trapping, stop: Effect.never })] })
      )
      const ended = yield* endOf(ref.pid)
      yield* close
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* ended.reason, "alive")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))

  seeded(
    "[S3] waits as long as it takes for a child with infinity, also when its scope closes",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const { close, ref } = yield* inScope(Supervisor.make({
          children: [child(log, "a", { ...trapping, shutdown: "infinity", stop: Effect.sleep("1 hour") })]
        }))
        const ended = yield* endOf(ref.pid)
        yield* close
        yield* TestClock.adjust("59 minutes")
        assert.strictEqual(yield* ended.reason, "alive")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* ended.reason, "shutdown")
        assert.strictEqual(log.take(), "+a ~a -a")
      })
  )

  seeded("[S3] waits for a supervisor below, whose children have their own times", () =>
    Effect.gen(function*() {
      const log = new Log()
      const below = Supervisor.make({
        children: ["a", "b"].map((id) =>
          child(log, id, { ...trapping, shutdown: "10 seconds", stop: Effect.sleep(9000) })
        )
      })
      const { close, ref } = yield* inScope(Supervisor.make({ children: [Supervisor.nested("below", below)] }))
      const ended = yield* endOf(ref.pid)
      yield* close
      yield* TestClock.adjust(17_999)
      assert.strictEqual(yield* ended.reason, "alive")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* ended.reason, "shutdown")
      assert.strictEqual(log.take(), "+a +b ~b -b ~a -a")
    }))

  seeded(
    "[S3] skips the callback of a child with brutal_kill; its resources are released",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const { close, ref } = yield* inScope(Supervisor.make({
          children: [child(log, "a", { ...trapping, shutdown: "brutal_kill", stop: Effect.never })]
        }))
        const a = yield* endOf(yield* pidOf(ref, "a"))
        yield* close
        assert.strictEqual(log.take(), "+a -a")
        assert.strictEqual(yield* a.reason, "killed")
      })
  )

  seeded("[S3] ends a child that does not trap exits without its callback", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { close, ref } = yield* inScope(Supervisor.make({ children: [child(log, "a", { stop: Effect.never })] }))
      const a = yield* endOf(yield* pidOf(ref, "a"))
      yield* close
      assert.strictEqual(log.take(), "+a -a")
      assert.strictEqual(yield* a.reason, "shutdown")
    }))

  seeded("[S3] goes on after a killed child whose finalizers do not end", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { close, ref } = yield* inScope(Supervisor.make({
        children: [
          child(log, "a"),
          Supervisor.fromLayer("b", Layer.effectDiscard(Effect.addFinalizer(() => Effect.never)), { shutdown: 1000 })
        ]
      }))
      const ended = yield* endOf(ref.pid)
      yield* close
      // One second to stop, then killed; five more seconds, then it counts as dead.
      yield* TestClock.adjust(5999)
      assert.strictEqual(log.take(), "+a")
      yield* TestClock.adjust(1)
      assert.strictEqual(log.take(), "-a")
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))
})

describe("who may stop a supervisor", () => {
  seeded("[S7] nobody but its parent by an exit signal, whatever the reason", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ intensity: 0, children: [child(log, "a")] }))
      const ended = yield* endOf(tree.pid)
      for (const reason of [ExitReason.shutdown, ExitReason.normal, ExitReason.killed, error(), ExitReason.noProc]) {
        yield* Process.exit(tree, reason)
        // The end of a process that is linked to it is no other thing.
        yield* Process.spawnDetached(() => Effect.andThen(Process.link(tree.pid), Process.exitSelf(reason)))
        yield* TestNode.settle
      }
      assert.strictEqual(yield* ended.reason, "alive")
      assert.strictEqual(log.take(), "+a")
    }))

  seeded("[S7] also not when it has only just begun to start", () =>
    Effect.gen(function*() {
      const log = new Log()
      for (let count = 0; count < 12; count++) {
        const starting = yield* Effect.forkScoped(
          Supervisor.start(Supervisor.make({ intensity: 0, children: [child(log, "a")] }), { name: "tree" })
        )
        for (let n = 0; n < count; n++) yield* Effect.yieldNow
        yield* Process.exit({ name: "tree" }, error())
        const tree = yield* Fiber.join(starting)
        yield* TestNode.settle
        assert.strictEqual(yield* shown(tree), "a")
        yield* Process.stop(tree)
      }
    }))

  seeded("[S7] nor does an exit signal that a living child sends count as its end", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 0,
        children: [
          child(log, "a"),
          Supervisor.worker(
            "b",
            Effect.gen(function*() {
              const supervisor = yield* Effect.map(Process.parent, (parent) =>
                parent._tag === "Some" ? parent.value : undefined!)
              yield* Process.exit(supervisor, error())
              yield* log.add("sent")
              return yield* Effect.never
            })
          )
        ]
      }))
      const ended = yield* endOf(tree.pid)
      yield* TestNode.settle
      assert.strictEqual(yield* ended.reason, "alive")
      assert.strictEqual(yield* shown(tree), "a b")
      assert.strictEqual(log.take(), "+a sent")
    }))

  for (
    const reason of [
      ExitReason.normal,
      ExitReason.shutdown,
      ExitReason.shutdownWith("enough"),
      ExitReason.error("boom"),
      ExitReason.killed
    ]
  ) {
    seeded(`[S7] its parent's reason becomes its own: ${ExitReason.format(reason)}`, () =>
      Effect.gen(function*() {
        const log = new Log()
        const parent = yield* underParent(
          Supervisor.start(Supervisor.make({ children: [child(log, "a"), child(log, "b")] }), { link: true })
        )
        const tree = yield* yield* parent.outcome
        const ended = yield* endOf(tree.pid)
        log.take()
        yield* reason._tag === "Killed" ? Process.kill(parent.pid) : parent.exit(reason)
        yield* TestNode.settle
        assert.strictEqual(yield* ended.reason, ExitReason.format(reason))
        assert.strictEqual(log.take(), "-b -a")
      }))
  }

  seeded("whoever asks it to stop in an orderly way chooses the reason", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a"), child(log, "b")] }))
      const ended = yield* endOf(tree.pid)
      log.take()
      yield* Process.stop(tree, { reason: ExitReason.shutdownWith("enough") })
      yield* TestNode.settle
      assert.strictEqual(log.take(), "-b -a")
      assert.strictEqual(yield* ended.reason, "{shutdown, enough}")
    }))

  seeded(
    "a kill cannot be refused: the supervisor stops nobody, and its children die of their links",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const below = Supervisor.make({ children: [child(log, "c", { ...trapping, stop: Effect.void })] })
        const tree = yield* Supervisor.start(Supervisor.make({
          children: [
            child(log, "a"),
            child(log, "b", { ...trapping, stop: Effect.void }),
            Supervisor.nested("below", below)
          ]
        }))
        const [a, b, sub] = [yield* pidOf(tree, "a"), yield* pidOf(tree, "b"), yield* pidOf(tree, "below")]
        const ends = yield* Effect.forEach([tree.pid, a, b, sub], endOf)
        log.take()
        yield* Process.kill(tree)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Effect.forEach(ends, (end) => end.reason), [
          "killed",
          "killed",
          "killed",
          "killed"
        ])
        // Those that trap exits see their parent end, and stop in an orderly way.
        assert.deepStrictEqual(log.take().split(" ").sort(), ["-a", "-b", "-c", "~b", "~c"])
      })
  )
})

describe("an end in the middle of a start", () => {
  const hanging = { start: Effect.never } as const

  for (
    const [what, options, millis] of [
      ["ends at once a child that does not trap exits", { shutdown: "infinity" }, 0],
      ["gives a child that traps them its time", { ...trapping, shutdown: 3000 }, 3000],
      ["gives it five seconds when that is infinity", { ...trapping, shutdown: "infinity" }, 5000],
      ["kills a child with brutal_kill at once", { ...trapping, shutdown: "brutal_kill" }, 0]
    ] as const
  ) {
    seeded(`[S4] the parent's exit ${what} whose init hangs`, () =>
      Effect.gen(function*() {
        const log = new Log()
        const parent = yield* underParent(
          Supervisor.start(
            Supervisor.make({ children: [child(log, "a"), child(log, "b", { ...hanging, ...options })] }),
            {
              name: "tree",
              link: true
            }
          )
        )
        assert.strictEqual(log.take(), "+a")
        yield* parent.exit(ExitReason.error("the parent"))
        if (millis > 0) {
          yield* TestClock.adjust(millis - 1)
          assert.strictEqual(log.take(), "")
          yield* TestClock.adjust(1)
        }
        yield* TestNode.settle
        assert.strictEqual(log.take(), "-a")
        assert.include(
          String(yield* Effect.flip(yield* parent.outcome)),
          "tree did not start: it ended during init (OTP_INIT_EXIT): the parent"
        )
        assert.deepStrictEqual(yield* Node.processes, [])
        assert.strictEqual(yield* Clock.currentTimeMillis, millis)
      }))
  }

  seeded("[S4] the parent's exit reaches a child that hangs two levels below", () =>
    Effect.gen(function*() {
      const log = new Log()
      const below = Supervisor.make({ children: [child(log, "b"), child(log, "c", hanging)] })
      const parent = yield* underParent(
        Supervisor.start(Supervisor.make({ children: [child(log, "a"), Supervisor.nested("below", below)] }), {
          link: true
        })
      )
      assert.strictEqual(log.take(), "+a +b")
      yield* parent.exit(ExitReason.shutdown)
      assert.strictEqual(log.take(), "-b -a")
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  seeded(
    "[S4] a start that is interrupted stops the children that had started, in reverse",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const callback = { ...trapping, stop: Effect.void }
        const starting = yield* Effect.forkScoped(
          Supervisor.start(Supervisor.make({
            children: [child(log, "a", callback), child(log, "b", callback), child(log, "c", hanging)]
          }))
        )
        yield* TestNode.settle
        assert.strictEqual(log.take(), "+a +b")
        yield* Fiber.interrupt(starting)
        assert.strictEqual(log.take(), "~b -b ~a -a")
        assert.deepStrictEqual(yield* Node.processes, [])
      })
  )

  seeded("[S4] the parent's exit reaches a process that is made only after it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const slow = Supervisor.childOf(
        "b",
        "worker",
        { shutdown: "1 hour" },
        (_, onSpawn) =>
          Effect.andThen(
            Effect.sleep(1000),
            Behaviour.startDetached(probe(log, hanging).behaviour, "b", { link: true, onSpawn })
          )
      )
      const parent = yield* underParent(
        Supervisor.start(Supervisor.make({ children: [child(log, "a"), slow] }), { link: true })
      )
      yield* parent.exit(ExitReason.shutdown)
      yield* TestClock.adjust(1000)
      assert.strictEqual(log.take(), "+a -a")
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  seeded(
    "a supervisor that is killed while it starts takes the half-started child along",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const parent = yield* underParent(
          Supervisor.start(Supervisor.make({ children: [child(log, "a"), child(log, "b", hanging)] }), { name: "tree" })
        )
        yield* Process.kill({ name: "tree" })
        yield* TestNode.settle
        assert.include(String(yield* Effect.flip(yield* parent.outcome)), "killed")
        assert.strictEqual(log.take(), "+a -a")
        assert.deepStrictEqual(yield* Node.processes, [parent.pid])
      })
  )
})
