/**
 * The administration calls of a running supervisor.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import type { Node } from "effect-otp"
import { CallError, ExitReason, GenServer, OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, child, end, Log, onNode, pidOf, Probe, seeded, shown } from "./SupervisorFixtures.ts"

/** The reason why an administration call was refused. */
const refusal = <A, R>(
  call: Effect.Effect<A, OtpError.SupervisorError | CallError.CallError, R>
): Effect.Effect<OtpError.SupervisorError, A, R> =>
  Effect.map(Effect.flip(call), (error) => {
    assert.instanceOf(error, OtpError.SupervisorError)
    return error as OtpError.SupervisorError
  })

const broken = { start: Effect.fail(new Broken({ child: "x" })) }

describe("the children of a supervisor", () => {
  seeded("[S9] are listed newest first, with id, pid, status and type", () =>
    Effect.gen(function*() {
      const log = new Log()
      const below = Supervisor.make({ children: [] })
      const tree = yield* Supervisor.start(Supervisor.make({
        children: [child(log, "a"), Supervisor.nested("b", below), child(log, "c", { restart: "transient" })]
      }))
      yield* Supervisor.startChild(tree, child(log, "d"))
      yield* end(tree, "c", ExitReason.normal)
      const children = yield* Supervisor.whichChildren(tree)
      assert.deepStrictEqual(
        children.map(({ id, pid, status, type }) => [Option.getOrNull(id), Option.isSome(pid), status, type]),
        [["d", true, "running", "worker"], ["c", false, "down", "worker"], ["b", true, "running", "supervisor"], [
          "a",
          true,
          "running",
          "worker"
        ]]
      )
      assert.deepStrictEqual(yield* Supervisor.countChildren(tree), { specs: 4, active: 3, supervisors: 1, workers: 3 })
    }))

  seeded("[S9] have a specification with all defaults filled in", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({
        autoShutdown: "any_significant",
        children: [
          child(log, "a"),
          child(log, "b", { restart: "temporary", shutdown: "1 minute", significant: true }),
          Supervisor.nested("c", Supervisor.make({ children: [] }))
        ]
      }))
      assert.deepStrictEqual(yield* Supervisor.childSpec(tree, "a"), {
        id: "a",
        restart: "permanent",
        shutdown: 5000,
        type: "worker",
        significant: false
      })
      assert.deepStrictEqual(yield* Supervisor.childSpec(tree, "b"), {
        id: "b",
        restart: "temporary",
        shutdown: 60_000,
        type: "worker",
        significant: true
      })
      assert.deepStrictEqual(yield* Supervisor.childSpec(tree, "c"), {
        id: "c",
        restart: "permanent",
        shutdown: "infinity",
        type: "supervisor",
        significant: false
      })
      assert.strictEqual((yield* refusal(Supervisor.childSpec(tree, "x"))).reason, "NotFound")
    }))
})

describe("adding a child", () => {
  seeded("[S9] starts it behind the others, and it is treated as they are", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ strategy: "one_for_all", children: [child(log, "a")] }))
      const pid = yield* Supervisor.startChild(tree, child(log, "b"))
      assert.isTrue(yield* Process.isAlive(Option.getOrThrow(pid)))
      log.take()
      yield* end(tree, "a")
      assert.strictEqual(log.take(), "-a -b +a +b")
    }))

  seeded(
    "[S9] is refused when its id is in use, by a child that runs, is down, or waits for its restart",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        let starts = 0
        const failing = {
          start: Effect.suspend(() => ++starts === 1 ? Effect.void : Effect.andThen(Effect.sleep(1), broken.start))
        }
        const tree = yield* Supervisor.start(Supervisor.make({
          intensity: 1000,
          children: [child(log, "a"), child(log, "b", { restart: "transient" }), child(log, "c", failing)]
        }))
        yield* end(tree, "b", ExitReason.normal)
        const a = yield* pidOf(tree, "a")
        const running = yield* refusal(Supervisor.startChild(tree, child(log, "a")))
        assert.strictEqual(running.reason, "AlreadyStarted")
        assert.deepStrictEqual(running.detail, a)
        assert.include(running.message, `child a: a child of this id runs already: ${a}`)
        assert.strictEqual((yield* refusal(Supervisor.startChild(tree, child(log, "b")))).reason, "AlreadyPresent")
        yield* end(tree, "c")
        // Its restart fails again and again; in between, it waits for the next attempt.
        const asked = yield* Effect.forkScoped(refusal(Supervisor.startChild(tree, child(log, "c"))))
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Fiber.join(asked)).reason, "AlreadyPresent")
      })
  )

  seeded("[S9] gives none when it ignores its start; a temporary one is then not kept", () =>
    Effect.gen(function*() {
      const log = new Log()
      const ignored = { start: Effect.succeed(GenServer.ignore) }
      const tree = yield* Supervisor.start(Supervisor.make({ children: [] }))
      assert.isTrue(Option.isNone(yield* Supervisor.startChild(tree, child(log, "a", ignored))))
      assert.isTrue(
        Option.isNone(yield* Supervisor.startChild(tree, child(log, "b", { ...ignored, restart: "temporary" })))
      )
      assert.strictEqual(yield* shown(tree), "a!")
    }))

  seeded("[S9] says why it could not start, and forgets it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [] }), { name: "tree" })
      const failed = yield* refusal(Supervisor.startChild(tree, child(log, "x", broken)))
      assert.strictEqual(failed.reason, "StartFailed")
      assert.deepStrictEqual(failed.detail, new Broken({ child: "x" }))
      assert.strictEqual(yield* shown(tree), "")
      const below = Supervisor.make({ children: [child(log, "x", broken)] })
      const nested = yield* refusal(Supervisor.startChild(tree, Supervisor.nested("y", below)))
      assert.instanceOf(nested.detail, OtpError.SupervisorStartError)
      assert.strictEqual((nested.detail as OtpError.SupervisorStartError<Broken>).child, "x")
    }))

  seeded("[S9] is refused when its specification breaks a rule", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [] }))
      const refused = yield* refusal(
        Supervisor.startChild(tree, child(log, "a", { significant: true, restart: "transient" }))
      )
      assert.strictEqual(refused.reason, "InvalidSpec")
      assert.instanceOf(refused.detail, OtpError.InvalidSupervisorSpec)
      assert.strictEqual((refused.detail as OtpError.InvalidSupervisorSpec).problem, "SignificantNever")
    }))
})

describe("stopping, restarting and deleting a child", () => {
  seeded(
    "[S9] a child is stopped as it wants to be; its specification stays, and it can be started again",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tree = yield* Supervisor.start(Supervisor.make({
          children: [child(log, "a", { trapExit: true, stop: Effect.sleep(100) }), child(log, "b")]
        }))
        const asked = yield* Effect.forkScoped(Supervisor.terminateChild(tree, "a"))
        yield* TestClock.adjust(99)
        assert.isUndefined(asked.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(asked)
        assert.strictEqual(log.take(), "+a +b ~a -a")
        assert.strictEqual(yield* shown(tree), "a! b")
        yield* Supervisor.terminateChild(tree, "a")
        const pid = yield* Supervisor.restartChild(tree, "a")
        assert.deepStrictEqual(pid, yield* Supervisor.whereis(tree, "a"))
        assert.strictEqual(yield* shown(tree), "a b")
      })
  )

  seeded("[S9] only what does not run is restarted or deleted, and only what is there", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }))
      const a = yield* pidOf(tree, "a")
      for (const call of [Supervisor.restartChild(tree, "a"), Supervisor.deleteChild(tree, "a")]) {
        const refused = yield* refusal(call)
        assert.strictEqual(refused.reason, "Running")
        assert.deepStrictEqual(refused.detail, a)
      }
      for (
        const call of [
          Supervisor.restartChild(tree, "x"),
          Supervisor.deleteChild(tree, "x"),
          Supervisor.terminateChild(tree, "x")
        ]
      ) assert.strictEqual((yield* refusal(call)).reason, "NotFound")
      yield* Supervisor.terminateChild(tree, "a")
      yield* Supervisor.deleteChild(tree, "a")
      assert.strictEqual(yield* shown(tree), "")
      yield* Supervisor.startChild(tree, child(log, "a"))
      assert.strictEqual(yield* shown(tree), "a")
    }))

  seeded("[S9] a restart that fails leaves the child down", () =>
    Effect.gen(function*() {
      const log = new Log()
      let starts = 0
      const start = Effect.suspend(() => ++starts === 2 ? broken.start : Effect.void)
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a", { start })] }))
      yield* Supervisor.terminateChild(tree, "a")
      assert.strictEqual((yield* refusal(Supervisor.restartChild(tree, "a"))).reason, "StartFailed")
      assert.strictEqual(yield* shown(tree), "a!")
      yield* Supervisor.restartChild(tree, "a")
      assert.strictEqual(yield* shown(tree), "a")
    }))

  seeded("[S9] requests wait their turn while a child starts or stops, in order", () =>
    Effect.gen(function*() {
      const log = new Log()
      const slow = child(log, "slow", { start: Effect.sleep(100) })
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }))
      log.take()
      yield* Effect.forkScoped(Supervisor.startChild(tree, slow))
      yield* TestNode.settle
      const counted = yield* Effect.forkScoped(Supervisor.countChildren(tree))
      yield* TestNode.settle
      yield* Effect.forkScoped(Supervisor.terminateChild(tree, "a"))
      yield* TestNode.settle
      const listed = yield* Effect.forkScoped(shown(tree))
      yield* TestClock.adjust(99)
      assert.strictEqual(log.take(), "")
      assert.isUndefined(counted.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(log.take(), "+slow -a")
      assert.deepStrictEqual(yield* Fiber.join(counted), { specs: 2, active: 2, supervisors: 0, workers: 2 })
      assert.strictEqual(yield* Fiber.join(listed), "a! slow")
    }))

  seeded("a supervisor that ends does not leave its callers waiting: they see it end", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(
        Supervisor.make({ children: [child(log, "a", { trapExit: true, stop: Effect.sleep(1000) })] }),
        { name: "tree" }
      )
      const asking = [
        Supervisor.terminateChild(tree, "a"),
        Supervisor.restartChild(tree, "a"),
        Supervisor.countChildren(tree)
      ] as ReadonlyArray<Effect.Effect<unknown, OtpError.SupervisorError | CallError.CallError, Node.Node>>
      const asked = yield* Effect.forEach(asking, (call) =>
        Effect.tap(Effect.forkScoped(Effect.result(call)), () => TestNode.settle))
      yield* Effect.forkScoped(Process.stop(tree, { reason: ExitReason.shutdownWith("enough") }))
      yield* TestClock.adjust(1000)
      const [terminated, ...others] = yield* Effect.forEach(asked, (fiber) =>
        Fiber.join(fiber))
      // The one under way is done; what waits behind it is not begun any more.
      assert.strictEqual(terminated?._tag, "Success")
      for (const result of others) {
        const error = result._tag === "Failure" ? result.failure : undefined
        assert.instanceOf(error, CallError.CallError)
        assert.include(error.message, "to tree failed: it ended before it replied (OTP_EXIT): {shutdown, enough}")
      }
      const late = yield* Effect.flip(Supervisor.countChildren(tree))
      assert.instanceOf(late.reason, CallError.NoProcess)
    }))
})

describe("where administration calls go", () => {
  seeded("a supervisor is addressed by ref, pid or name", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }), { name: "tree" })
      for (const target of [tree, tree.pid, { name: "tree" }]) {
        assert.strictEqual((yield* Supervisor.countChildren(target)).specs, 1)
      }
      const error = yield* Effect.flip(Supervisor.countChildren({ name: "nobody" }))
      assert.instanceOf(error.reason, CallError.NoProcess)
      assert.include(error.message, "Supervisor.CountChildren to nobody failed")
    }))

  onNode("a child cannot ask its own supervisor while it starts: it may elsewhere", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }), { name: "tree" })
      const Asking = GenServer.make(Probe, {
        init: () => Effect.succeed(0),
        handlers: {
          Name: () =>
            Effect.map(Effect.orDie(Supervisor.countChildren({ name: "tree" })), ({ specs }) => String(specs)),
          End: ({ reason }) => GenServer.stop(reason)
        }
      })
      yield* Supervisor.startChild(tree, Supervisor.child("asking", Asking))
      const asking = yield* GenServer.fromPid(Probe, yield* pidOf(tree, "asking"))
      assert.strictEqual(yield* asking.Name(), "2")
    }))
})
