import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { ExitReason, GenServer, Node, Process, Signal } from "effect-otp"
import { Probe, TestNode } from "effect-otp/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { counterServer, seen } from "./CounterServer.ts"

const linksOf = (target: Process.Target) =>
  Effect.map(Process.info(target), (info) => Option.getOrThrow(info).links.map(String))

describe("links", () => {
  everySeed("are symmetric, have no count, and end with one unlink from either side", () =>
    Effect.gen(function*() {
      const a = yield* Probe.make()
      const b = yield* Probe.make()
      yield* a.link(b)
      yield* a.link(b)
      yield* b.link(a)
      assert.deepStrictEqual([yield* linksOf(a), yield* linksOf(b)], [[String(b.pid)], [String(a.pid)]])
      yield* b.as(Process.unlink(a))
      assert.deepStrictEqual([yield* linksOf(a), yield* linksOf(b)], [[], []])
      yield* a.link(b)
      yield* a.end(ExitReason.error("bad"))
      yield* b.expectExit({ of: a, reason: ExitReason.error("bad") })
      yield* b.expectNoMessage()
      assert.deepStrictEqual(yield* linksOf(b), [])
    }))

  everySeed("kill who does not trap with the same reason, but not with normal", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      for (
        const [reason, dies] of [
          [ExitReason.normal, false],
          [ExitReason.shutdown, true],
          [ExitReason.error("bad"), true]
        ] as const
      ) {
        const a = yield* Probe.make()
        const server = yield* GenServer.startDetached(counterServer(), 0)
        const low = yield* Process.spawnDetached(() => Effect.never)
        for (const target of [server.pid, low]) {
          yield* probe.monitor(target)
          yield* a.link(target)
        }
        yield* a.end(reason)
        if (dies) { for (let i = 0; i < 2; i++) yield* probe.expectDown({ reason }) }
        else yield* probe.expectNoMessage()
      }
    }))

  everySeed("tell who traps, normal included; a server gets it in its exit handler", () =>
    Effect.gen(function*() {
      const log = seen()
      const server = yield* GenServer.start(counterServer(log), 0, { trapExit: true })
      for (const reason of [ExitReason.normal, ExitReason.error("bad")]) {
        const a = yield* Probe.make()
        yield* a.link(server)
        yield* a.end(reason)
        yield* TestNode.settle
        const last = log.notes.at(-1)
        assert.instanceOf(last, Signal.Exit)
        assert.deepStrictEqual([String((last as Signal.Exit).from), (last as Signal.Exit).reason], [
          String(a.pid),
          reason
        ])
      }
    }))

  everySeed("[S18] to the dead give EXIT noproc to who traps, and end who does not", () =>
    Effect.gen(function*() {
      const dead = yield* Probe.make()
      yield* dead.end()
      const trapping = yield* Probe.make()
      yield* trapping.link(dead)
      yield* trapping.expectExit({ of: dead, reason: "NoProc" })
      yield* trapping.expectNoMessage()
      const watcher = yield* Probe.make()
      const plain = yield* Process.spawn(() =>
        Effect.andThen(Effect.sleep(1), Effect.andThen(Process.link(dead.pid), Effect.never))
      )
      yield* watcher.monitor(plain)
      yield* watcher.expectDown({ of: plain, reason: "NoProc", within: 1 })
    }))

  everySeed("[S18] unlink guarantees silence, but leaves what has come", (seed) =>
    Effect.gen(function*() {
      const a = yield* Probe.make()
      const b = yield* Probe.make()
      yield* a.link(b)
      yield* Effect.forkChild(b.end(ExitReason.error("bad")))
      for (let i = 0; i < seed % 5; i++) yield* Effect.yieldNow
      yield* a.as(Process.unlink(b))
      const already = (yield* a.waiting).length
      yield* TestNode.settle
      assert.strictEqual((yield* a.waiting).length, already)
      // What has come stays: a second link and a real end.
      const c = yield* Probe.make()
      yield* a.link(c)
      yield* c.end(ExitReason.error("worse"))
      yield* a.as(Process.unlink(c))
      yield* a.fishFor((value) => value instanceof Signal.Exit && ExitReason.format(value.reason) === "worse")
    }))

  everySeed("to a process that is ending tell of its end", () =>
    Effect.gen(function*() {
      const a = yield* Probe.make()
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(Effect.addFinalizer(() => Effect.sleep("1 second")), Effect.never)
      )
      yield* TestNode.settle
      yield* Process.exit(pid, ExitReason.error("bad"))
      yield* TestNode.settle
      yield* a.link(pid)
      yield* a.expectExit({ of: pid, reason: ExitReason.error("bad"), within: "1 second" })
    }))

  everySeed("to oneself mean nothing", () =>
    Effect.gen(function*() {
      const a = yield* Probe.make()
      yield* a.link(a)
      assert.deepStrictEqual(yield* linksOf(a), [])
      const watcher = yield* Probe.make()
      yield* watcher.monitor(a)
      yield* a.end(ExitReason.error("bad"))
      yield* watcher.expectDown({ of: a, reason: ExitReason.error("bad") })
    }))

  everySeed("can be there before the process runs", () =>
    Effect.gen(function*() {
      const parent = yield* Probe.make()
      const pid = yield* parent.as(Process.spawnDetached(() => Effect.die("at once"), { link: true }))
      yield* parent.expectExit({ of: pid, reason: ExitReason.error("at once") })
      const server = yield* parent.as(GenServer.startDetached(counterServer(), 0, { link: true }))
      assert.deepStrictEqual(yield* linksOf(parent), [String(server.pid)])
      yield* parent.end(ExitReason.error("bad"))
      yield* TestNode.settle
      assert.isFalse(yield* Process.isAlive(server))
    }))

  everySeed("of a ring end all of it, each once", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const ring = yield* Effect.forEach(Array.from({ length: 20 }), () => Probe.make({ trapExit: false }))
      for (const [i, probe] of ring.entries()) {
        yield* probe.link(ring[(i + 1) % ring.length]!)
        yield* watcher.monitor(probe)
      }
      yield* ring[7]!.end(ExitReason.error("bad"))
      for (let i = 0; i < ring.length; i++) yield* watcher.expectDown({ reason: ExitReason.error("bad") })
      yield* watcher.expectNoMessage()
    }))
})

describe("a cascade", () => {
  /** Processes in a line, each linked to the one before; gives the first and the last. */
  const line = (length: number) =>
    Effect.gen(function*() {
      const first = yield* Process.spawnDetached(() => Effect.never)
      let before = first
      for (let i = 1; i < length; i++) {
        const previous = before
        before = yield* Process.spawnDetached(() => Effect.andThen(Process.link(previous), Effect.never))
      }
      return { first, last: before }
    })

  it.live("through 10 000 linked processes needs no stack", () =>
    Effect.gen(function*() {
      const { first, last } = yield* line(10_000)
      yield* Effect.sleep(10)
      assert.strictEqual((yield* Node.processes).length, 10_000)
      yield* Process.exit(first, ExitReason.error("bad"))
      const reason = yield* Process.awaitExit(last)
      assert.oneOf(ExitReason.format(reason), ["bad", "noproc"])
      assert.strictEqual((yield* Node.processes).length, 0)
    }).pipe(Effect.provide(Node.layerLocal())))

  it.live("of one process with 10 000 links does not either", () =>
    Effect.gen(function*() {
      const hub = yield* Process.spawnDetached(() => Effect.never)
      for (let i = 0; i < 10_000; i++) {
        yield* Process.spawnDetached(() => Effect.andThen(Process.link(hub), Effect.never))
      }
      yield* Effect.sleep(10)
      yield* Process.exit(hub, ExitReason.error("bad"))
      while ((yield* Node.processes).length > 0) yield* Effect.sleep(1)
    }).pipe(Effect.provide(Node.layerLocal())))

  everySeed("goes through 300 processes under every seed", () =>
    Effect.gen(function*() {
      const { last } = yield* line(300)
      yield* TestNode.settle
      yield* Process.exit(last, ExitReason.error("bad"))
      yield* TestNode.settle
      assert.strictEqual((yield* Node.processes).length, 0)
    }))
})
