import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import type { CallError } from "effect-otp"
import { ExitReason, GenServer, Node, Process, ProcessRef } from "effect-otp"
import { Journal, Probe, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { Counter, counterServer, seen } from "./CounterServer.ts"

/** A node in a scope that the test closes itself. */
const nodeIn = (options?: Node.Options) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const node = yield* Effect.provideService(Node.make(options), Scope.Scope, scope)
    const on = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Node.Node, node)
    return { node, scope, on, close: Scope.close(scope, Exit.void) }
  })

describe("a node", () => {
  it.effect("has a name and an incarnation", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_700_000_000_000)
      const named = yield* nodeIn({ name: "shop@127.0.0.1" })
      assert.deepStrictEqual([named.node.name, named.node.creation], ["shop@127.0.0.1", 1_700_000_000])
      const plain = yield* nodeIn({ creation: 7 })
      assert.deepStrictEqual([plain.node.name, plain.node.creation], ["nonode@nohost", 7])
    }))

  everySeed("makes references that are all different", () =>
    Effect.gen(function*() {
      const refs = yield* Effect.forEach(Array.from({ length: 1000 }), () => Node.makeReference)
      assert.strictEqual(new Set(refs.map(String)).size, 1000)
      const { runtime } = yield* Node.Node
      // At the bounds of the words, and where numbers are no small integers any more.
      for (
        const key of [1, 2 ** 18 - 1, 2 ** 18, 2 ** 30 - 1, 2 ** 30, 2 ** 30 + 1, 2 ** 31, 2 ** 40 + 5, 2 ** 52 + 3]
      ) {
        const ref = runtime.referenceOfKey(key)
        assert.strictEqual(ref.ids[0]! + ref.ids[1]! * 2 ** 18 + ref.ids[2]! * 2 ** 50, key)
        assert.strictEqual(runtime.keyOfReference(ref), key)
      }
    }))

  everySeed("knows its processes, oldest first, and counts", () =>
    Effect.gen(function*() {
      const a = yield* Process.spawn(() => Effect.never, { name: "a" })
      const b = yield* Process.spawn(() => Effect.never)
      const c = yield* Probe.make()
      yield* c.as(Process.alias)
      assert.deepStrictEqual((yield* Node.processes).map(String), [a, b, c.pid].map(String))
      const { aliases, names, processes, spawned } = yield* Node.statistics
      assert.deepStrictEqual({ aliases, names, processes, spawned }, { aliases: 1, names: 1, processes: 3, spawned: 3 })
    }))

  everySeed("knows how long it has been there", () =>
    Effect.gen(function*() {
      const early = yield* nodeIn()
      yield* TestClock.adjust("90 seconds")
      const late = yield* nodeIn()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(Duration.toSeconds((yield* early.on(Node.statistics)).uptime), 100)
      assert.strictEqual(Duration.toSeconds((yield* late.on(Node.statistics)).uptime), 10)
      yield* early.close
      yield* late.close
    }))

  everySeed(
    "treats whoever uses a pid of an earlier incarnation as if the process had ended",
    () =>
      Effect.gen(function*() {
        const old = yield* nodeIn({ name: "n@test", creation: 1 })
        const fresh = yield* nodeIn({ name: "n@test", creation: 2 })
        const { pid } = yield* old.on(GenServer.startDetached(counterServer(), 1))
        // The process of the same number on the node of today must not be taken for the old one.
        const today = yield* fresh.on(GenServer.startDetached(counterServer(), 2))
        assert.strictEqual(today.pid.id, pid.id)
        const probe = yield* fresh.on(Probe.make())
        yield* fresh.on(Process.send(pid, "late"))
        assert.strictEqual((yield* fresh.on(Node.statistics)).discarded, 1)
        assert.strictEqual((yield* Effect.flip(fresh.on(Process.trySend(pid, "late")))).reason._tag, "NoProcess")
        const ref = yield* fresh.on(ProcessRef.fromPid(Counter, pid))
        assert.strictEqual(((yield* Effect.flip(ref.Get())) as CallError.CallError).reason._tag, "NoProcess")
        const monitor = yield* probe.monitor(pid)
        yield* probe.expectDown({ of: pid, ref: monitor, reason: "NoProc" })
        yield* probe.link(pid)
        yield* probe.expectExit({ of: pid, reason: "NoProc" })
        yield* fresh.on(Process.kill(pid))
        assert.strictEqual(yield* today.Get(), 2)
        yield* fresh.on(probe.end())
        yield* old.close
        yield* fresh.close
      })
  )

  everySeed("takes pids of an earlier incarnation for nobody", () =>
    Effect.gen(function*() {
      const old = yield* nodeIn({ name: "n@test", creation: 1 })
      const fresh = yield* nodeIn({ name: "n@test", creation: 2 })
      const pid = yield* old.on(Process.spawnDetached(() => Effect.never))
      yield* fresh.on(Process.spawnDetached(() => Effect.never))
      assert.isTrue(yield* old.on(Process.isAlive(pid)))
      assert.isFalse(yield* fresh.on(Process.isAlive(pid)))
      yield* old.close
      yield* fresh.close
    }))

  everySeed(
    "shuts its processes down when it goes, newest first, parents before their children's time is up",
    () =>
      Effect.gen(function*() {
        const log = seen()
        const { close, node, on } = yield* nodeIn()
        const journal = yield* on(Journal.make)
        yield* on(Process.spawnDetached(() => Effect.never, { name: "first" }))
        yield* on(GenServer.startDetached(counterServer(log), 0, { name: "server", trapExit: true }))
        yield* on(Process.spawnDetached(
          () => Effect.andThen(Process.spawn(() => Effect.never, { name: "child" }), Effect.never),
          { name: "parent" }
        ))
        yield* TestNode.settle
        yield* close
        yield* journal.expectOrder(
          { tag: "Exit", name: "child" },
          { tag: "Exit", name: "parent" },
          { tag: "Exit", name: "server" },
          { tag: "Exit", name: "first", reason: "Shutdown" }
        )
        assert.strictEqual(node.runtime.processes.size, 0)
      })
  )

  everySeed("kills on its way down who does not end in 5 seconds", () =>
    Effect.gen(function*() {
      const { close, on } = yield* nodeIn()
      const journal = yield* on(Journal.make)
      yield* on(Process.spawnDetached(() => Effect.never, { name: "stubborn", trapExit: true }))
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("4999 millis")
      yield* journal.expectNone({ tag: "Exit" })
      yield* TestClock.adjust(1)
      yield* journal.expect({ tag: "Exit", name: "stubborn", reason: "Killed" })
      yield* Fiber.join(closing)
    }))

  everySeed("starts nothing any more once it goes", () =>
    Effect.gen(function*() {
      const { close, on } = yield* nodeIn()
      yield* close
      for (
        const start of [
          Process.spawnDetached(() => Effect.void),
          GenServer.startDetached(counterServer(), 0)
        ]
      ) {
        const error = yield* Effect.flip(on(start as Effect.Effect<unknown, CallError.StartError, Node.Node>))
        assert.strictEqual(error.reason._tag, "NodeDown")
      }
    }))

  everySeed("gives its events to all who trace, in order, until their scope closes", () =>
    Effect.gen(function*() {
      const all: Array<string> = []
      const some: Array<string> = []
      yield* Node.trace((event) => all.push(event._tag))
      const scope = yield* Scope.make()
      yield* Effect.provideService(Node.trace((event) => some.push(event._tag)), Scope.Scope, scope)
      const counter = yield* GenServer.startDetached(counterServer(), 0)
      yield* counter.Get()
      yield* Scope.close(scope, Exit.void)
      yield* counter.Stop()
      yield* TestNode.settle
      assert.deepStrictEqual(some, ["Spawn", "Message"])
      assert.deepStrictEqual(all, ["Spawn", "Message", "Message", "Exit"])
    }))

  it.effect("is a layer", () =>
    Effect.gen(function*() {
      const pid = yield* Effect.provide(Process.spawnDetached(() => Effect.never), Node.layerLocal({ name: "n@test" }))
      assert.strictEqual(pid.node, "n@test")
    }))

  it.effect("of one program do not take each other's processes for their own", () =>
    Effect.gen(function*() {
      const a = yield* nodeIn({ name: "a@test" })
      const b = yield* nodeIn({ name: "b@test" })
      const probe = yield* a.on(Probe.make())
      // The fiber is that of a process of a, the node is b.
      const pid = yield* probe.as(b.on(Process.spawnDetached(() => Effect.never, { link: true })))
      const info = yield* b.on(Process.info(pid))
      assert.isTrue(info._tag === "Some" && info.value.parent._tag === "None" && info.value.links.length === 0)
      yield* probe.as(b.on(Process.exit(pid, ExitReason.error("x"))))
      yield* TestNode.settle
      assert.isFalse(yield* b.on(Process.isAlive(pid)))
      yield* a.on(probe.end())
      yield* b.close
      yield* a.close
    }).pipe(Effect.provide(TestNode.services(1))))

  it.effect("that is closed twice is closed", () =>
    Effect.gen(function*() {
      const { close, on } = yield* nodeIn()
      yield* on(Process.spawnDetached(() => Effect.never))
      yield* close
      yield* close
    }).pipe(Effect.provide(Layer.empty)))
})
