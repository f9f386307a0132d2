/**
 * Dynamic supervisors: children on demand with arguments of their own, and a shutdown of all at once.
 */
import { assert, describe } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option } from "effect"
import { CallError, DynamicSupervisor, ExitReason, GenServer, Node, OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Pid } from "../../src/term/Pid.ts"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, type Conduct, endOf, error, Log, pidOf, Probe, probe, seeded } from "./SupervisorFixtures.ts"

/** A dynamic supervisor of probes, and a way to start children of these names. */
const start = (log: Log, options: DynamicSupervisor.Options & Conduct = {}) =>
  Effect.gen(function*() {
    const { start, stop, ...rest } = options
    const workers = DynamicSupervisor.make(probe(log, { ...(start && { start }), ...(stop && { stop }) }), rest)
    const ref = yield* DynamicSupervisor.start(workers)
    return { workers, ref, add: (name: string) => DynamicSupervisor.startChild(ref, name) }
  })

describe("a dynamic supervisor", () => {
  seeded("starts without children, and each with arguments of its own, which it keeps", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { add, ref } = yield* start(log, { intensity: 9 })
      assert.deepStrictEqual(yield* DynamicSupervisor.countChildren(ref), {
        specs: 1,
        active: 0,
        supervisors: 0,
        workers: 0
      })
      const [a, b] = [yield* add("a"), yield* add("b")]
      assert.strictEqual(yield* a.Name(), "a")
      assert.strictEqual(yield* b.Name(), "b")
      yield* a.End({ reason: error() })
      yield* TestNode.settle
      assert.strictEqual(log.take(), "+a +b -a +a")
      assert.deepStrictEqual(yield* DynamicSupervisor.countChildren(ref), {
        specs: 1,
        active: 2,
        supervisors: 0,
        workers: 2
      })
    }))

  seeded("[S9] lists its children without ids, newest first", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { add, ref } = yield* start(log)
      const [a, b] = [yield* add("a"), yield* add("b")]
      const children = yield* DynamicSupervisor.whichChildren(ref)
      assert.deepStrictEqual(
        children,
        [b, a].map(({ pid }) => ({
          id: Option.none(),
          pid: Option.some(pid),
          status: "running",
          type: "worker"
        }))
      )
    }))

  seeded("[S1] counts restarts over all children", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { add, ref } = yield* start(log, { intensity: 2 })
      const ended = yield* endOf(ref.pid)
      const children = yield* Effect.forEach(["a", "b", "c"], add)
      for (const child of children.slice(0, 2)) yield* Process.kill(child)
      assert.strictEqual(yield* ended.reason, "alive")
      yield* Process.kill(children[2]!)
      assert.strictEqual(yield* ended.reason, "shutdown")
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  seeded("[S5] forgets a child that is not restarted, or ignores its restart", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const transient = yield* start(log, {
        intensity: 9,
        restart: "transient",
        start: Effect.suspend(() => Effect.succeed(++starts === 3 ? GenServer.ignore : undefined))
      })
      const a = yield* transient.add("a")
      const b = yield* transient.add("b")
      yield* a.End({ reason: ExitReason.normal })
      yield* b.End({ reason: error() })
      yield* TestNode.settle
      assert.deepStrictEqual(yield* DynamicSupervisor.whichChildren(transient.ref), [])
      const temporary = yield* start(log, { restart: "temporary" })
      const c = yield* temporary.add("c")
      yield* c.End({ reason: error() })
      yield* TestNode.settle
      assert.deepStrictEqual(yield* DynamicSupervisor.whichChildren(temporary.ref), [])
    }))

  seeded("goes on trying when a restart fails", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const { add, ref } = yield* start(log, {
        intensity: 3,
        start: Effect.suspend(() =>
          ++starts === 2 || starts === 3 ? Effect.fail(new Broken({ child: "a" })) : Effect.void
        )
      })
      yield* Process.kill(yield* add("a"))
      yield* TestNode.settle
      assert.strictEqual((yield* DynamicSupervisor.countChildren(ref)).active, 1)
      assert.strictEqual(log.take(), "+a -a +a")
    }))

  seeded("has the errors of a start as they are", () =>
    Effect.gen(function*() {
      const log = new Log()
      const typed = yield* start(log, { start: Effect.fail(new Broken({ child: "a" })) })
      assert.deepStrictEqual(yield* Effect.flip(typed.add("a")), new Broken({ child: "a" }))

      const dying = yield* start(log, { start: Effect.die(new Error("boom")) })
      const died = yield* Effect.flip(dying.add("a"))
      assert.instanceOf(died, CallError.StartError)
      assert.instanceOf(died.reason, CallError.InitExit)

      const ignoring = yield* start(log, { start: Effect.succeed(GenServer.ignore) })
      const ignored = yield* Effect.flip(ignoring.add("a"))
      assert.instanceOf(ignored, CallError.StartError)
      assert.instanceOf(ignored.reason, CallError.Ignored)

      const named = yield* start(log)
      yield* DynamicSupervisor.startChild(named.ref, "a", { name: "a" })
      const taken = yield* Effect.flip(DynamicSupervisor.startChild(named.ref, "b", { name: "a" }))
      assert.instanceOf(taken, CallError.StartError)
      assert.instanceOf(taken.reason, CallError.NameTaken)
      assert.strictEqual((yield* DynamicSupervisor.countChildren(named.ref)).workers, 1)
    }))

  seeded("a child whose init takes too long is refused", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { add, ref } = yield* start(log, { start: Effect.never, timeout: "1 second" })
      const adding = yield* Effect.forkScoped(Effect.flip(add("a")))
      yield* TestClock.adjust("1 second")
      const refused = yield* Fiber.join(adding)
      assert.instanceOf(refused, CallError.StartError)
      assert.instanceOf(refused.reason, CallError.InitTimeout)
      assert.deepStrictEqual(yield* Node.processes, [ref.pid])
    }))

  seeded("keeps the name of a child over restarts", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { ref } = yield* start(log)
      const a = yield* DynamicSupervisor.startChild(ref, "a", { name: "the a" })
      yield* Process.kill(a)
      yield* TestNode.settle
      const again = yield* GenServer.named(Probe, "the a")
      assert.strictEqual(yield* again.Name(), "a")
      assert.isFalse(yield* Process.isAlive(a))
    }))

  seeded("has no more children than it may, those that wait for a restart included", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const { add, ref } = yield* start(log, {
        maxChildren: 2,
        intensity: 1000,
        start: Effect.suspend(() =>
          ++starts === 3 ? Effect.andThen(Effect.sleep(1), Effect.fail(new Broken({ child: "a" }))) : Effect.void
        )
      })
      const a = yield* add("a")
      yield* add("b")
      const refused = yield* Effect.flip(add("c"))
      assert.instanceOf(refused, OtpError.SupervisorError)
      assert.strictEqual(refused.reason, "MaxChildren")
      assert.strictEqual(refused.detail, 2)
      assert.include(
        refused.message,
        "it has as many children as it may have; raise maxChildren or wait until one ends: 2"
      )
      // Its first restart takes a while, and fails.
      yield* Process.kill(a)
      yield* TestNode.settle
      const adding = yield* Effect.forkScoped(Effect.flip(add("c")))
      yield* TestClock.adjust(1)
      assert.instanceOf(yield* Fiber.join(adding), OtpError.SupervisorError)
      assert.strictEqual((yield* DynamicSupervisor.countChildren(ref)).active, 2)
    }))
})

describe("stopping a dynamic child", () => {
  seeded(
    "[S9] by ref or by pid, which is then forgotten; not found when it is somebody else",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const { add, ref } = yield* start(log, { trapExit: true, stop: Effect.void })
        const [a, b, c] = [yield* add("a"), yield* add("b"), yield* add("c")]
        log.take()
        yield* DynamicSupervisor.terminateChild(ref, b)
        yield* DynamicSupervisor.terminateChild(ref, a.pid)
        assert.strictEqual(log.take(), "~b -b ~a -a")
        const left = yield* DynamicSupervisor.whichChildren(ref)
        assert.deepStrictEqual(left.map(({ pid }) => pid), [Option.some(c.pid)])
        // A pid that came from elsewhere is an equal copy.
        const d = yield* add("d")
        yield* DynamicSupervisor.terminateChild(ref, new Pid(d.pid.node, d.pid.id, d.pid.serial, d.pid.creation))
        assert.isFalse(yield* Process.isAlive(d))
        // As in OTP: what is known to be dead is as good as stopped; what lives elsewhere is not found.
        yield* DynamicSupervisor.terminateChild(ref, a)
        const other = yield* Process.spawnDetached(() => Effect.never)
        const refused = yield* Effect.flip(DynamicSupervisor.terminateChild(ref, other))
        assert.instanceOf(refused, OtpError.SupervisorError)
        assert.strictEqual(refused.reason, "NotFound")
        assert.isTrue(yield* Process.isAlive(other))
      })
  )

  seeded("[S9] the calls of other supervisors are refused, and its calls by others", () =>
    Effect.gen(function*() {
      const log = new Log()
      const { ref, workers } = yield* start(log)
      const tree = yield* Supervisor.start(Supervisor.make({ children: [Supervisor.child("a", probe(log), "a")] }))
      const reasonOf = (call: Effect.Effect<unknown, unknown, Node.Node>) =>
        Effect.map(Effect.flip(call), (refused) => {
          assert.instanceOf(refused, OtpError.SupervisorError)
          return refused.reason
        })
      for (
        const call of [
          Supervisor.startChild(ref, Supervisor.child("a", probe(log), "a")),
          Supervisor.terminateChild(ref, "a"),
          Supervisor.restartChild(ref, "a"),
          Supervisor.deleteChild(ref, "a")
        ]
      ) assert.strictEqual(yield* reasonOf(call), "NotStatic")
      const wrong = DynamicSupervisor.fromPid(workers, tree.pid)
      assert.strictEqual(yield* reasonOf(DynamicSupervisor.startChild(wrong, "a")), "NotDynamic")
      assert.strictEqual(yield* reasonOf(DynamicSupervisor.terminateChild(tree, ref.pid)), "NotDynamic")
    }))
})

describe("the shutdown of a dynamic supervisor", () => {
  seeded("[S3] stops all children at the same time, with one limit for all", () =>
    Effect.gen(function*() {
      const log = new Log()
      const names = ["a", "b", "c", "d"]
      let stops = 0
      // One in two takes half a second, the others never end by themselves.
      const { add, ref } = yield* start(log, {
        trapExit: true,
        shutdown: "1 second",
        stop: Effect.suspend(() => stops++ % 2 === 0 ? Effect.sleep(500) : Effect.never)
      })
      const ended = yield* endOf(ref.pid)
      for (const name of names) yield* add(name)
      log.take()
      yield* Effect.forkScoped(Process.stop(ref, { reason: ExitReason.shutdown }))
      yield* TestNode.settle
      assert.deepStrictEqual(log.take().split(" ").sort(), ["~a", "~b", "~c", "~d"])
      yield* TestClock.adjust(500)
      assert.strictEqual(log.lines.splice(0).length, 2)
      yield* TestClock.adjust(499)
      assert.strictEqual(yield* ended.reason, "alive")
      yield* TestClock.adjust(1)
      assert.strictEqual(log.lines.length, 2)
      assert.strictEqual(yield* ended.reason, "shutdown")
    }))

  seeded("[S3] as a child of another, in its place among the others", () =>
    Effect.gen(function*() {
      const log = new Log()
      const workers = DynamicSupervisor.make(probe(log))
      const tree = yield* Supervisor.start(Supervisor.make({
        strategy: "rest_for_one",
        children: [
          Supervisor.child("first", probe(log), "first"),
          DynamicSupervisor.asChild("workers", workers),
          Supervisor.child("last", probe(log), "last")
        ]
      }))
      const ref = DynamicSupervisor.fromPid(workers, yield* pidOf(tree, "workers"))
      yield* DynamicSupervisor.startChild(ref, "w")
      assert.strictEqual(log.take(), "+first +last +w")
      yield* Process.kill(yield* pidOf(tree, "first"))
      yield* TestNode.settle
      // Dynamic children are not started again with their supervisor.
      assert.strictEqual(log.take(), "-first -last -w +first +last")
      yield* Process.stop(tree)
      assert.strictEqual(log.take(), "-last -first")
    }))

  seeded("[S8] can follow the end of its last child, or of any", () =>
    Effect.gen(function*() {
      const log = new Log()
      const all = yield* start(log, { autoShutdown: "all_significant", significant: true, restart: "transient" })
      const ended = yield* endOf(all.ref.pid)
      const [a, b] = [yield* all.add("a"), yield* all.add("b")]
      yield* a.End({ reason: ExitReason.normal })
      assert.strictEqual(yield* ended.reason, "alive")
      yield* b.End({ reason: ExitReason.normal })
      assert.strictEqual(yield* ended.reason, "shutdown")
      const any = yield* start(log, { autoShutdown: "any_significant", significant: true, restart: "temporary" })
      const anyEnded = yield* endOf(any.ref.pid)
      const [c] = [yield* any.add("c"), yield* any.add("d")]
      yield* DynamicSupervisor.terminateChild(any.ref, yield* any.add("e"))
      assert.strictEqual(yield* anyEnded.reason, "alive", "its termination by request is not its end")
      yield* c.End({ reason: error() })
      assert.strictEqual(yield* anyEnded.reason, "shutdown")
    }))

  seeded("groups children that end badly by their reason, whatever that is", () =>
    Effect.gen(function*() {
      const log = new Log()
      // A reason that contains itself must not hang who compares it.
      const circular: { name: string; self?: unknown } = { name: "circular" }
      circular.self = circular
      const counts: Array<unknown> = []
      yield* Node.trace((event) => {
        if (event._tag !== "Report") return
        const { context, offender } = event.report as { context: string; offender: { count: number } }
        counts.push([context, offender.count])
      })
      const { add, ref } = yield* start(log, {
        trapExit: true,
        stop: Process.exitSelf(ExitReason.error(circular))
      })
      for (const name of ["a", "b", "c"]) yield* add(name)
      yield* Process.stop(ref)
      assert.deepStrictEqual(counts, [["shutdown_error", 3]])
    }))
})

describe("ways to a dynamic supervisor", () => {
  seeded("as a layer, by its name", () =>
    Effect.gen(function*() {
      class Db extends Context.Service<Db, string>()("Db") {}
      const log = new Log()
      const DbServer = GenServer.make(Probe, {
        init: (name: string) => Effect.map(Db, (db) => `${name}@${db}`),
        handlers: { Name: (_, name) => name, End: ({ reason }) => GenServer.stop(reason) }
      })
      const Workers = DynamicSupervisor.make(DbServer)
      const live = Layer.provide(DynamicSupervisor.layer(Workers, { name: "workers" }), Layer.succeed(Db, "db"))
      yield* Effect.gen(function*() {
        const ref = Option.getOrThrow(yield* DynamicSupervisor.named(Workers, "workers"))
        const child = yield* DynamicSupervisor.startChild(ref, "a")
        assert.strictEqual(yield* child.Name(), "a@db")
      }).pipe(Effect.provide(live))
      assert.isTrue(Option.isNone(yield* DynamicSupervisor.named(Workers, "workers")))
      assert.strictEqual(log.take(), "")
    }))

  seeded("a server without arguments needs none", () =>
    Effect.gen(function*() {
      const Plain = GenServer.make(Probe, {
        init: () => Effect.succeed("plain"),
        handlers: { Name: (_, name) => name, End: ({ reason }) => GenServer.stop(reason) }
      })
      const ref = yield* DynamicSupervisor.start(DynamicSupervisor.make(Plain))
      const child = yield* DynamicSupervisor.startChild(ref)
      assert.strictEqual(yield* child.Name(), "plain")
    }))

  seeded("refuses options that break a rule", () =>
    Effect.sync(() => {
      const log = new Log()
      const problem = (options: DynamicSupervisor.Options): string => {
        try {
          DynamicSupervisor.make(probe(log), options)
        } catch (error) {
          return error instanceof OtpError.InvalidSupervisorSpec ? error.problem : String(error)
        }
        return "none"
      }
      assert.strictEqual(problem({ maxChildren: -1 }), "InvalidMaxChildren")
      assert.strictEqual(problem({ intensity: 1.5 }), "InvalidIntensity")
      assert.strictEqual(problem({ period: 0 }), "InvalidPeriod")
      assert.strictEqual(problem({ significant: true, restart: "transient" }), "SignificantNever")
    }))
})
