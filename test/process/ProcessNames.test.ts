/**
 * Names, aliases and membership in groups.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Option, Schema } from "effect"
import { CallError, GenServer, Message, Node, Process, ProcessRef, Protocol, Registry } from "effect-otp"
import type { Reference } from "effect-otp/term"
import { Probe, TestNode } from "effect-otp/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { Counter, counterServer } from "./CounterServer.ts"

describe("names", () => {
  everySeed(
    "belong to one process; a second one is refused with the holder's pid and never runs",
    () =>
      Effect.gen(function*() {
        let ran = 0
        const holder = yield* Process.spawn(() => Effect.never, { name: "name" })
        const body = () => Effect.sync(() => ran++)
        for (
          const attempt of [
            Process.spawn(body, { name: "name" }),
            Process.spawnDetached(body, { name: "name" }),
            GenServer.start(counterServer(), 0, { name: "name" }),
            Process.register("name", (yield* Probe.make()).pid)
          ]
        ) {
          const error = yield* Effect.flip(attempt as Effect.Effect<unknown, CallError.StartError>)
          assert.deepStrictEqual(error.reason, new CallError.NameTaken({ name: "name", pid: String(holder) }))
          assert.include(error.message, "OTP_NAME_TAKEN")
        }
        assert.strictEqual(ran, 0)
        assert.strictEqual(String(Option.getOrThrow(yield* Process.whereis("name"))), String(holder))
      })
  )

  everySeed("of two that race for one, one wins", () =>
    Effect.gen(function*() {
      let ran = 0
      const body = () => Effect.andThen(Effect.sync(() => ran++), Effect.never)
      const attempts = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.forkChild(Effect.result(Process.spawnDetached(body, { name: "name" }))))
      const results = yield* Fiber.joinAll(attempts)
      yield* TestNode.settle
      assert.deepStrictEqual([
        results.filter((result) =>
          result._tag === "Success"
        ).length,
        ran
      ], [1, 1])
      const servers = yield* Effect.forEach(
        [1, 2, 3, 4, 5],
        () => Effect.forkChild(Effect.result(GenServer.startDetached(counterServer(), 0, { name: "server" })))
      )
      assert.strictEqual((yield* Fiber.joinAll(servers)).filter((result) => result._tag === "Success").length, 1)
    }))

  everySeed("can be many for one process, and are all free when it has ended", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make({ name: "first" })
      yield* Process.register("second", probe)
      yield* Process.register("third", { name: "second" })
      assert.deepStrictEqual(yield* Process.registered, ["first", "second", "third"])
      assert.deepStrictEqual(
        Option.getOrThrow(yield* Process.info(probe)).names,
        ["first", "second", "third"]
      )
      assert.isTrue(yield* Process.unregister("second"))
      assert.isFalse(yield* Process.unregister("second"))
      yield* Process.send({ name: "third" }, "hi")
      yield* probe.expectMessage(Schema.Literal("hi"))
      yield* probe.end()
      assert.deepStrictEqual(yield* Process.registered, [])
      const error = yield* Effect.flip(Process.register("again", probe))
      assert.strictEqual(error.reason._tag, "InitExit")
    }))

  everySeed("are looked up for each message, so that a named ref survives a restart", () =>
    Effect.gen(function*() {
      const ref = yield* GenServer.named(Counter, "counter")
      const missing = yield* Effect.flip(ref.Get())
      assert.strictEqual((missing as CallError.CallError).reason._tag, "NoProcess")
      const first = yield* GenServer.startDetached(counterServer(), 1, { name: "counter" })
      assert.strictEqual(yield* ref.Get(), 1)
      yield* Process.stop(first)
      yield* GenServer.startDetached(counterServer(), 2, { name: "counter" })
      assert.strictEqual(yield* ref.Get(), 2)
    }))

  everySeed("are shown by their refs, with the node that they name", () =>
    Effect.gen(function*() {
      const here = yield* GenServer.named(Counter, "counter")
      const there = yield* GenServer.named(Counter, { name: "counter", node: "other@test" })
      assert.deepStrictEqual([here.name, here.node], ["counter", undefined])
      assert.deepStrictEqual([there.name, there.node], ["counter", "other@test"])
    }))

  everySeed("taken away from its process can be given to another", () =>
    Effect.gen(function*() {
      const first = yield* Probe.make({ name: "name" })
      yield* Process.unregister("name")
      const second = yield* Probe.make({ name: "name" })
      yield* first.end()
      assert.strictEqual(String(Option.getOrThrow(yield* Process.whereis("name"))), String(second.pid))
    }))
})

describe("aliases", () => {
  everySeed("are addresses that their process takes back", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const [one, two] = [yield* probe.as(Process.alias), yield* probe.as(Process.alias)]
      yield* Process.send(one, 1)
      yield* Process.send(two, 2)
      yield* probe.expectMessage(Schema.Literal(1))
      yield* probe.expectMessage(Schema.Literal(2))
      assert.strictEqual(Option.getOrThrow(yield* Process.info(one)).aliases, 2)
      assert.isTrue(yield* probe.as(Process.unalias(one)))
      assert.isFalse(yield* probe.as(Process.unalias(one)))
      yield* Process.send(one, 3)
      yield* Process.send(two, 4)
      yield* probe.expectMessage(Schema.Literal(4))
      const error = yield* Effect.flip(Process.trySend(one, 5))
      assert.strictEqual(error.reason._tag, "NoProcess")
    }))

  everySeed(
    "cannot be taken back by another, and end with their process, no others with them",
    () =>
      Effect.gen(function*() {
        const a = yield* Probe.make()
        const b = yield* Probe.make()
        const ofA = yield* a.as(Process.alias)
        const ofB = yield* b.as(Process.alias)
        assert.isFalse(yield* b.as(Process.unalias(ofA)))
        yield* a.end()
        assert.isFalse(yield* Process.isAlive(ofA))
        assert.isTrue(yield* Process.isAlive(ofB))
        assert.strictEqual((yield* Node.statistics).aliases, 1)
      })
  )

  everySeed("are addresses for typed calls and casts, until they are taken back", () =>
    Effect.gen(function*() {
      class Aliased extends Protocol.make(
        "Aliased",
        Message.Call("Open", { success: Schema.Unknown }),
        Message.Call("Get", { success: Schema.Int }),
        Message.Cast("Set", { payload: Schema.Int }),
        Message.Call("Close", { payload: { alias: Schema.Unknown }, success: Schema.Boolean })
      ) {}
      const server = yield* GenServer.start(GenServer.make(Aliased, {
        init: () => Effect.succeed(1),
        handlers: {
          Open: () => Process.alias,
          Get: (_, n) => GenServer.reply(n, n),
          Set: (n) => GenServer.next(n),
          Close: ({ alias }) => Process.unalias(alias as Reference.Reference)
        }
      }))
      const alias = (yield* server.Open()) as Reference.Reference
      const ref = yield* ProcessRef.fromAlias(Aliased, alias)
      yield* ref.Set(7)
      assert.strictEqual(yield* ref.Get(), 7)
      assert.isTrue(yield* ref.Close({ alias }))
      assert.strictEqual(((yield* Effect.flip(ref.Get())) as CallError.CallError).reason._tag, "NoProcess")
      yield* ref.Set(8)
      assert.strictEqual(yield* server.Get(), 7)
    }))

  everySeed("are addresses for exits and monitors, too", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make(Counter)
      const watcher = yield* Probe.make()
      const alias = yield* probe.as(Process.alias)
      yield* watcher.monitor(alias)
      yield* watcher.as(Process.exit(alias))
      yield* probe.expectExit({ of: watcher, reason: "Shutdown" })
      yield* Process.kill(alias)
      yield* watcher.expectDown({ of: alias, reason: "Killed" })
    }))
})

describe("membership", () => {
  everySeed("[S22] is counted, and death removes all of it before the Down is seen", () =>
    Effect.gen(function*() {
      const group = yield* Registry.duplicate({ key: Schema.String })
      const watcher = yield* Probe.make()
      const a = yield* Probe.make()
      const b = yield* Probe.make()
      for (const probe of [a, a, b, a]) yield* Registry.registerFor(group, probe, "room", undefined)
      yield* Registry.registerFor(group, a, "other", undefined)
      const members = (key: string) =>
        Effect.map(Registry.lookup(group, key), (entries) => entries.map(({ pid }) => String(pid)))
      assert.deepStrictEqual(yield* members("room"), [a, a, b, a].map(({ pid }) => String(pid)))
      yield* watcher.monitor(a)
      yield* a.end()
      yield* watcher.expectDown({ of: a })
      assert.deepStrictEqual(yield* members("room"), [String(b.pid)])
      assert.deepStrictEqual(yield* members("other"), [])
    }))
})
