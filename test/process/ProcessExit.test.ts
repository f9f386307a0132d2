/**
 * Exit signals and the ways in which a process ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { ExitReason, GenServer, Node, Process, Signal } from "effect-otp"
import { Journal, Probe, TestNode, TestProcess } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { counterServer, seen } from "./CounterServer.ts"

/** Starts a server or a low-level process that waits for ever. */
const kinds = [
  {
    name: "server",
    start: (trapExit = false) => Effect.map(GenServer.startDetached(counterServer(), 0, { trapExit }), (ref) => ref.pid)
  },
  { name: "process", start: (trapExit = false) => Process.spawnDetached(() => Effect.never, { trapExit }) }
] as const

describe("exit signals", () => {
  for (const { name, start } of kinds) {
    everySeed(
      `[S16] kill that is sent is seen as killed, also by who traps it (${name})`,
      () =>
        Effect.gen(function*() {
          const probe = yield* Probe.make()
          for (const trapExit of [false, true]) {
            const pid = yield* start(trapExit)
            yield* probe.link(pid)
            yield* probe.monitor(pid)
            yield* Process.exit(pid, ExitReason.kill)
            yield* probe.fishFor((value) => value instanceof Signal.Exit && value.reason._tag === "Killed")
            yield* probe.expectDown({ of: pid, reason: "Killed" })
          }
        })
    )

    everySeed(
      `[S16] a reason kill that comes through a link is an ordinary one (${name})`,
      () =>
        Effect.gen(function*() {
          const probe = yield* Probe.make()
          const trapping = yield* start(true)
          const plain = yield* start()
          for (const pid of [trapping, plain]) {
            yield* probe.monitor(pid)
            const source = yield* Probe.make()
            yield* source.link(pid)
            yield* source.end(ExitReason.kill)
            if (pid === plain) yield* probe.expectDown({ of: pid, reason: "Kill" })
            else yield* probe.expectNoMessage()
          }
          assert.isTrue(yield* Process.isAlive(trapping))
        })
    )

    everySeed(`[S17] normal to another is ignored, or a message when trapped (${name})`, () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make()
        const pids = [yield* start(), yield* start(true)]
        for (const pid of pids) yield* probe.as(Process.exit(pid, ExitReason.normal))
        yield* TestNode.settle
        for (const pid of pids) assert.isTrue(yield* Process.isAlive(pid))
      }))

    everySeed(`every other reason ends who does not trap, with that reason (${name})`, () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make()
        for (
          const reason of [
            ExitReason.shutdown,
            ExitReason.shutdownWith("x"),
            ExitReason.error("bad"),
            ExitReason.noProc
          ]
        ) {
          const pid = yield* start()
          yield* probe.monitor(pid)
          yield* Process.exit(pid, reason)
          yield* probe.expectDown({ of: pid, reason })
        }
      }))

    everySeed(`the first deadly signal decides the reason (${name})`, () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make()
        const pid = yield* start()
        yield* probe.monitor(pid)
        yield* Process.exit(pid, ExitReason.error("first"))
        yield* Process.exit(pid, ExitReason.error("second"))
        yield* Process.kill(pid)
        const down = yield* probe.expectDown({ of: pid })
        assert.oneOf(ExitReason.format(down.reason), ["first"])
      }))
  }

  everySeed("[S17] normal to oneself is effective, unless trapped", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const exitSelf = Effect.flatMap(Process.self, (self) => Process.exit(self, ExitReason.normal))
      const plain = yield* Process.spawn(() => Effect.andThen(Effect.sleep(1), Effect.andThen(exitSelf, Effect.never)))
      yield* probe.monitor(plain)
      yield* probe.expectDown({ of: plain, reason: "Normal", within: 1 })
      const trapped: Array<unknown> = []
      const trapping = yield* Process.spawn(
        () =>
          Effect.andThen(
            exitSelf,
            Effect.map(Process.receive(Signal.ExitSchema), (exit) => trapped.push(exit.reason._tag))
          ),
        { trapExit: true }
      )
      yield* probe.monitor(trapping)
      yield* probe.fishFor((value) => value instanceof Signal.Down)
      assert.deepStrictEqual(trapped, ["Normal"])
    }))

  everySeed("a trapped signal is a message behind those that were sent before", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const sender = yield* Probe.make()
      yield* sender.send(probe, 1)
      yield* sender.as(Process.exit(probe, ExitReason.error("bad")))
      yield* sender.send(probe, 2)
      const waiting = yield* probe.waiting
      assert.deepStrictEqual([waiting[0], waiting[2]], [1, 2])
      assert.instanceOf(waiting[1], Signal.Exit)
    }))

  everySeed("trapExit gives what it was before", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make({ trapExit: false })
      assert.deepStrictEqual(
        yield* probe.as(Effect.all([Process.trapExit(true), Process.trapExit(true), Process.trapExit(false)])),
        [false, true, true]
      )
    }))
})

describe("the end of a process", () => {
  everySeed("has the reason that its body gives", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const boom = new Error("boom")
      const ends: ReadonlyArray<
        readonly [Effect.Effect<unknown, unknown>, (reason: ExitReason.ExitReason) => boolean]
      > = [
        [Effect.succeed(1), (reason) => reason._tag === "Normal"],
        [
          Effect.fail("typed"),
          (reason) => reason._tag === "Error" && reason.error === "typed" && reason.cause !== undefined
        ],
        [Effect.die(boom), (reason) => reason._tag === "Error" && reason.error === boom],
        [
          Effect.sync(() => {
            throw boom
          }),
          (reason) => reason._tag === "Error" && reason.error === boom
        ],
        [Process.exitSelf(ExitReason.shutdownWith("x")), (reason) => ExitReason.format(reason) === "{shutdown, x}"],
        [Effect.interrupt, (reason) => reason._tag === "Shutdown"]
      ]
      for (const [body, isRight] of ends) {
        const pid = yield* Process.spawn(() => Effect.andThen(Effect.yieldNow, body))
        yield* probe.monitor(pid)
        const down = yield* probe.expectDown({ of: pid })
        if (down.reason._tag !== "NoProc") assert.isTrue(isRight(down.reason), ExitReason.format(down.reason))
      }
    }))

  everySeed("F19: a throw anywhere in user code ends only that process", () =>
    Effect.gen(function*() {
      const other = yield* GenServer.start(counterServer(), 0)
      const probe = yield* Probe.make()
      const thrower = yield* Process.spawn(() =>
        Effect.callback<void>(() => {
          throw new Error("in a callback")
        })
      )
      const finalizer = yield* Process.spawn(() =>
        Effect.andThen(
          Effect.addFinalizer((): Effect.Effect<void> => {
            throw new Error("in a finalizer")
          }),
          Effect.sleep(1)
        )
      )
      const rejection = yield* Process.spawn(() => Effect.promise(() => Promise.reject(new Error("rejected"))))
      for (const pid of [thrower, finalizer, rejection]) yield* probe.monitor(pid)
      yield* TestClock.adjust(1)
      for (let i = 0; i < 3; i++) {
        const down = yield* probe.expectDown()
        assert.oneOf(down.reason._tag, ["Error", "NoProc"])
      }
      assert.strictEqual(yield* other.Get(), 0)
    }))

  everySeed("a crash leaves the reason, the cause and the message in a report", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.start(counterServer(), 0)
      const error = yield* Effect.flip(counter.Crash({ defect: new Error("boom") }))
      assert.include(error instanceof Error ? error.message : "", "boom")
    }))

  everySeed("releases what it acquired, however it ends", () =>
    Effect.gen(function*() {
      const released: Array<string> = []
      const holding = (name: string) =>
        Effect.acquireRelease(Effect.void, (_, exit) => Effect.sync(() => released.push(`${name} ${exit._tag}`)))
      const probe = yield* Probe.make()
      const well = yield* Process.spawn(() => Effect.andThen(holding("well"), Effect.sleep(1)))
      const badly = yield* Process.spawn(() =>
        Effect.andThen(holding("badly"), Effect.andThen(Effect.sleep(2), Effect.die("x")))
      )
      const killed = yield* Process.spawn(() => Effect.andThen(holding("killed"), Effect.never))
      const asked = yield* Process.spawn(() => Effect.andThen(holding("asked"), Effect.never))
      yield* TestNode.settle
      for (const pid of [well, badly, killed, asked]) yield* probe.monitor(pid)
      yield* TestClock.adjust(1)
      yield* probe.expectDown({ of: well, reason: "Normal" })
      yield* TestClock.adjust(1)
      yield* probe.expectDown({ of: badly, reason: "Error" })
      yield* Process.kill(killed)
      yield* probe.expectDown({ of: killed, reason: "Killed" })
      yield* Process.exit(asked)
      yield* probe.expectDown({ of: asked, reason: "Shutdown" })
      assert.deepStrictEqual(released, ["well Success", "badly Failure", "killed Failure", "asked Success"])
    }))

  everySeed("finalizers run before anybody learns of the end", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const probe = yield* Probe.make()
      const pid = yield* Process.spawn(() =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push("finalized")))),
          Effect.never
        )
      )
      yield* TestNode.settle
      yield* probe.monitor(pid)
      yield* Process.exit(pid)
      yield* probe.expectNoMessage("999 millis")
      assert.deepStrictEqual(log, [])
      yield* probe.expectDown({ of: pid, reason: "Shutdown", within: 1 })
      assert.deepStrictEqual(log, ["finalized"])
    }))

  everySeed(
    "a defect in a finalizer is the reason of a process that would have ended well, and of no other",
    () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make()
        const broken = Effect.addFinalizer(() => Effect.die("broken finalizer"))
        const well = yield* Process.spawn(() => Effect.andThen(broken, Effect.sleep(1)))
        const badly = yield* Process.spawn(() =>
          Effect.andThen(broken, Effect.andThen(Effect.sleep(2), Effect.die("first")))
        )
        for (const pid of [well, badly]) yield* probe.monitor(pid)
        yield* probe.expectDown({ of: well, reason: ExitReason.error("broken finalizer"), within: 1 })
        yield* probe.expectDown({ of: badly, reason: ExitReason.error("first"), within: 1 })
      })
  )

  everySeed(
    "a killed process whose finalizers hang counts as dead after the grace, its links and names with it",
    () =>
      Effect.gen(function*() {
        const journal = yield* Journal.make
        const probe = yield* Probe.make()
        const gate = yield* Deferred.make<void>()
        let finalized = false
        const pid = yield* Process.spawnDetached(
          () =>
            Effect.andThen(
              Effect.addFinalizer(() => Effect.andThen(Deferred.await(gate), Effect.sync(() => finalized = true))),
              Effect.never
            ),
          { name: "stubborn" }
        )
        yield* TestNode.settle
        yield* probe.monitor(pid)
        yield* probe.link(pid)
        yield* Process.kill(pid)
        yield* probe.expectNoMessage("4999 millis")
        assert.isFalse(yield* Process.isAlive(pid))
        yield* probe.fishFor((value) => value instanceof Signal.Exit && value.reason._tag === "Killed", { within: 1 })
        yield* probe.expectDown({ of: pid, reason: "Killed" })
        assert.strictEqual((yield* Process.whereis("stubborn"))._tag, "None")
        yield* Deferred.succeed(gate, undefined)
        yield* TestNode.settle
        assert.isTrue(finalized)
        yield* probe.expectNoMessage()
        yield* journal.expect({ tag: "Exit", name: "stubborn" }, { times: 1 })
      })
  )

  everySeed("a kill during a slow shutdown starts the grace", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(Effect.addFinalizer(() => Effect.never), Effect.never)
      )
      yield* TestNode.settle
      yield* probe.monitor(pid)
      yield* Process.exit(pid)
      yield* probe.expectNoMessage("1 minute")
      yield* Process.kill(pid)
      yield* probe.expectNoMessage("4999 millis")
      yield* probe.expectDown({ of: pid, reason: "Shutdown", within: 1 })
    }))

  it.effect("the grace is an option of the node", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(Effect.addFinalizer(() => Effect.never), Effect.never)
      )
      yield* TestNode.settle
      yield* probe.monitor(pid)
      yield* Process.kill(pid)
      yield* probe.expectNoMessage("99 millis")
      yield* probe.expectDown({ of: pid, reason: "Killed", within: 1 })
    }).pipe(Effect.provide(TestNode.layer({ seed: 1, killGrace: "100 millis" }))))

  everySeed(
    "a process that is killed before it ran does not run, and its end is told",
    (seed) =>
      Effect.gen(function*() {
        const probe = yield* Probe.make()
        let ran = 0
        for (let i = 0; i < 10; i++) {
          const pid = yield* Process.spawnDetached(() => Effect.andThen(Effect.sync(() => ran++), Effect.never))
          yield* probe.monitor(pid)
          for (let n = 0; n < seed % 4; n++) yield* Effect.yieldNow
          yield* Process.kill(pid)
          yield* probe.expectDown({ of: pid, reason: "Killed" })
        }
        assert.isAtMost(ran, 10)
        const before = yield* Node.processes
        assert.strictEqual(before.length, 1)
      })
  )

  everySeed("nobody is left of those that are killed while their fiber begins", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 60; i++) yield* Effect.flatMap(Process.spawnDetached(() => Effect.never), Process.kill)
      yield* TestNode.settle
      assert.strictEqual((yield* Node.processes).length, 0)
      for (let i = 0; i < 60; i++) {
        const start = yield* Effect.forkChild(GenServer.startDetached(counterServer(), 0, { name: `server ${i}` }))
        yield* Effect.yieldNow
        yield* Process.kill({ name: `server ${i}` })
        yield* Fiber.await(start)
        yield* Process.kill({ name: `server ${i}` })
      }
      yield* TestNode.settle
      assert.strictEqual((yield* Node.processes).length, 0)
    }))

  everySeed("a server that is killed while it starts is told to its starter", (seed) =>
    Effect.gen(function*() {
      const start = yield* Effect.forkChild(
        Effect.flip(GenServer.startDetached(
          GenServer.make((yield* Effect.promise(() => import("./CounterServer.ts"))).Counter, {
            init: () => Effect.never as Effect.Effect<number>,
            handlers: counterServer().handlers
          }),
          undefined,
          { name: "slow" }
        ))
      )
      yield* TestNode.settle
      for (let n = 0; n < seed % 4; n++) yield* Effect.yieldNow
      yield* Process.kill({ name: "slow" })
      const error = yield* Fiber.join(start)
      assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "InitExit")
      assert.strictEqual((yield* Process.whereis("slow"))._tag, "None")
    }))
})

describe("Process.stop and awaitExit", () => {
  everySeed(
    "stop lets a server handle what waits, runs terminate, and waits for the end",
    () =>
      Effect.gen(function*() {
        const log = seen()
        const counter = yield* GenServer.startDetached(counterServer(log), 0)
        for (const n of [1, 2, 3]) yield* counter.Note({ n })
        yield* Process.stop(counter)
        assert.deepStrictEqual([log.notes, log.ended], [[1, 2, 3], [ExitReason.normal]])
        assert.isFalse(yield* Process.isAlive(counter))
      })
  )

  everySeed(
    "stop ends a low-level process, with shutdown or the reason that is given, normal included",
    () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make()
        for (const reason of [undefined, ExitReason.normal, ExitReason.shutdownWith("x"), ExitReason.error("bad")]) {
          const pid = yield* Process.spawnDetached(() => Effect.never)
          yield* probe.monitor(pid)
          yield* Process.stop(pid, reason === undefined ? {} : { reason })
          yield* probe.expectDown({ of: pid, reason: reason ?? ExitReason.shutdown })
        }
      })
  )

  everySeed("stop kills after its timeout who does not end", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const pid = yield* Process.spawnDetached(() => Effect.never, { trapExit: true })
      yield* probe.monitor(pid)
      const stopping = yield* Effect.forkChild(Process.stop(pid, { timeout: "2 seconds" }))
      yield* probe.expectNoMessage("1999 millis")
      yield* probe.expectDown({ of: pid, reason: "Killed", within: 1 })
      yield* Fiber.join(stopping)
    }))

  everySeed("stop of nobody is a typed failure", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Process.stop({ name: "nobody" }))
      assert.strictEqual(error.reason._tag, "NoProcess")
    }))

  everySeed(
    "awaitExit gives the reason to all who wait, and noproc when there is nobody",
    () =>
      Effect.gen(function*() {
        const pid = yield* Process.spawnDetached(() => Effect.never)
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Process.awaitExit(pid)))
        const gone = yield* Effect.forkChild(Process.awaitExit(pid))
        yield* TestNode.settle
        yield* Fiber.interrupt(gone)
        yield* Process.exit(pid, ExitReason.error("bad"))
        for (const fiber of waiting) assert.strictEqual(ExitReason.format(yield* Fiber.join(fiber)), "bad")
        yield* TestNode.settle
        assert.strictEqual((yield* Process.awaitExit(pid))._tag, "NoProc")
      })
  )

  everySeed("awaitExit that begins while the process ends does not wait for ever", (seed) =>
    Effect.gen(function*() {
      const pid = yield* Process.spawnDetached(() => Effect.never)
      yield* TestNode.settle
      const waiting = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => Effect.forkChild(Process.awaitExit(pid)))
      for (let n = 0; n < seed % 5; n++) yield* Effect.yieldNow
      yield* Process.exit(pid)
      yield* TestNode.settle
      for (const fiber of waiting) assert.notStrictEqual(fiber.pollUnsafe(), undefined)
    }))
})

describe("processes and scopes", () => {
  everySeed(
    "a process ends with the scope in which it was started, and leaves nothing there when it ends first",
    () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const probe = yield* Probe.make()
        const [early, late] = yield* Effect.provideService(
          Effect.all([Process.spawn(() => Effect.sleep(1)), Process.spawn(() => Effect.never)]),
          Scope.Scope,
          scope
        )
        yield* probe.monitor(early)
        yield* probe.monitor(late)
        yield* probe.expectDown({ of: early, within: 1 })
        yield* Scope.close(scope, Exit.void)
        yield* probe.expectDown({ of: late, reason: "Shutdown" })
      })
  )

  everySeed("a process has a deadline when its scope has one", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const running = yield* Effect.forkChild(
        Process.spawn(() => Effect.never, { name: "limited" }).pipe(
          Effect.andThen(Effect.never),
          Effect.scoped,
          Effect.timeoutOption("3 seconds")
        )
      )
      yield* TestNode.settle
      yield* probe.monitor({ name: "limited" })
      yield* probe.expectNoMessage("2999 millis")
      yield* probe.expectDown({ of: { name: "limited" }, reason: "Shutdown", within: 1 })
      assert.isTrue((yield* Fiber.join(running))._tag === "None")
    }))

  everySeed("children end with their parent, before it counts as ended", () =>
    Effect.gen(function*() {
      const journal = yield* Journal.make
      const probe = yield* Probe.make()
      const pid = yield* Process.spawn(
        () =>
          Effect.gen(function*() {
            yield* Process.spawn(() => Effect.never, { name: "child" })
            yield* Process.spawn(() =>
              Effect.andThen(Process.spawn(() => Effect.never, { name: "grandchild" }), Effect.never)
            )
            return yield* Effect.never
          }),
        { name: "parent" }
      )
      yield* TestNode.settle
      yield* probe.monitor(pid)
      yield* Process.exit(pid)
      yield* probe.expectDown({ of: pid, reason: "Shutdown" })
      yield* journal.expectOrder({ tag: "Exit", name: "grandchild" }, { tag: "Exit", name: "parent" })
      yield* journal.expectOrder({ tag: "Exit", name: "child" }, { tag: "Exit", name: "parent" })
      assert.deepStrictEqual((yield* Node.processes).length, 1)
    }))

  everySeed("a child that ignores shutdown is killed after 5 seconds", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const scope = yield* Scope.make()
      const pid = yield* Effect.provideService(
        Process.spawn(() => Effect.never, { trapExit: true }),
        Scope.Scope,
        scope
      )
      yield* probe.monitor(pid)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* probe.expectNoMessage("4999 millis")
      yield* probe.expectDown({ of: pid, reason: "Killed", within: 1 })
      yield* Fiber.join(closing)
    }))

  everySeed(
    "Process.run gives the result, the failure or the defect, and ends its process when it is interrupted",
    () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* Process.run(Effect.succeed(1)), 1)
        assert.strictEqual(yield* Effect.flip(Process.run(Effect.fail("typed"))), "typed")
        const died = yield* Effect.exit(Process.run(Effect.die("defect")))
        assert.isTrue(Exit.isFailure(died) && Cause.squash(died.cause) === "defect")
        let ended = false
        const running = yield* Effect.forkChild(
          Process.run(Effect.onExit(Effect.never, () => Effect.sync(() => ended = true)), { name: "main" })
        )
        yield* TestNode.settle
        assert.strictEqual((yield* Process.whereis("main"))._tag, "Some")
        yield* Fiber.interrupt(running)
        assert.isTrue(ended)
        assert.strictEqual((yield* Process.whereis("main"))._tag, "None")
      })
  )

  everySeed("a crash by TestProcess is a crash", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const counter = yield* GenServer.start(counterServer(), 0)
      yield* probe.monitor(counter)
      yield* TestProcess.crash(counter, "boom")
      yield* probe.expectDown({ of: counter, reason: ExitReason.error("boom") })
    }))
})
