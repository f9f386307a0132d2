import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema, Scope } from "effect"
import { ExitReason, GenServer, Message, Process, Protocol } from "effect-otp"
import type { TestingError } from "effect-otp/testing"
import { Journal, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "./EverySeed.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Cast("Stop")
) {}

const CounterServer = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: {
    Add: ({ n }, sum) => GenServer.reply(sum + n, sum + n),
    Stop: () => GenServer.stop()
  }
})

const failureOf = <A, R>(effect: Effect.Effect<A, TestingError.JournalError, R>): Effect.Effect<string, never, R> =>
  Effect.match(effect, { onSuccess: () => assert.fail("it succeeded"), onFailure: (error) => error.message })

describe("Journal", () => {
  everySeed("records starts, messages and ends in order, with their time", () =>
    Effect.gen(function*() {
      const journal = yield* Journal.make
      const counter = yield* GenServer.start(CounterServer, 1, { name: "counter" })
      yield* TestClock.adjust("2 seconds")
      yield* counter.Add({ n: 2 })
      yield* counter.Stop()
      yield* TestNode.settle
      const pid = counter.pid
      assert.deepStrictEqual(
        journal.entries.map(({ at, event }) => [at, event._tag, event.name]),
        [[0, "Spawn", "counter"], [2000, "Message", "counter"], [2000, "Message", "counter"], [2000, "Exit", "counter"]]
      )
      assert.strictEqual(
        journal.print(),
        [
          `       0 ms  spawn    counter ${pid}`,
          `    2000 ms  message  counter ${pid}  Add {n: 2}`,
          `    2000 ms  message  counter ${pid}  Stop`,
          `    2000 ms  exit     counter ${pid}  normal`
        ].join("\n")
      )
    }))

  everySeed("answers questions of number, order and absence", () =>
    Effect.gen(function*() {
      const journal = yield* Journal.make
      const a = yield* Process.spawn(() => Effect.die("boom"), { name: "a" })
      yield* Process.awaitExit(a)
      const b = yield* Process.spawn(() => Process.receive(Schema.String), { label: "b" })
      yield* Process.send(b, "hello")
      yield* Process.awaitExit(b)
      assert.strictEqual(journal.count({ tag: "Spawn" }), 2)
      assert.strictEqual(journal.count({ pid: b }), 3)
      yield* journal.expect({ tag: "Exit", name: "a", reason: "Error" }, { times: 1 })
      yield* journal.expect({ name: "b", where: (event) => event._tag === "Message" && event.payload === "hello" })
      yield* journal.expect({ pid: b, reason: ExitReason.normal, node: "nonode@nohost" })
      yield* journal.expectNone({ reason: "Killed" })
      yield* journal.expectOrder({ tag: "Spawn", pid: a }, { pid: a, reason: "Error" }, { tag: "Exit", pid: b })
      const journalText = journal.print()
      assert.strictEqual(
        yield* failureOf(journal.expect({ reason: "Killed", name: "a" })),
        `expected exit of a with reason Killed, and it did not happen\n${journalText}`
      )
      assert.include(
        yield* failureOf(journal.expect({ tag: "Spawn" }, { times: 3 })),
        "spawn 3 times, and it happened 2 times"
      )
      assert.include(
        yield* failureOf(journal.expectNone({ message: "term" })),
        "expected no message term, and it happened"
      )
      assert.include(
        yield* failureOf(journal.expectOrder({ tag: "Exit", pid: b }, { tag: "Exit", pid: a })),
        `exit of ${a} did not happen after exit of ${b}`
      )
      journal.clear()
      assert.strictEqual(journal.print(), "nothing happened")
    }))

  everySeed("stops with its scope, and does not take other journals with it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const first = yield* Effect.provideService(Journal.make, Scope.Scope, scope)
      const second = yield* Journal.make
      yield* Effect.flatMap(Process.spawn(() => Effect.void), Process.awaitExit)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.flatMap(Process.spawn(() => Effect.void), Process.awaitExit)
      assert.strictEqual(first.count({ tag: "Spawn" }), 1)
      assert.strictEqual(second.count({ tag: "Spawn" }), 2)
    }))

  everySeed("printOnFailure adds what happened to the failure, behind it", () =>
    Effect.gen(function*() {
      const failing = Effect.gen(function*() {
        yield* Effect.flatMap(Process.spawn(() => Effect.die("boom"), { name: "a" }), Process.awaitExit)
        return yield* Effect.fail("the failure itself")
      })
      const exit = yield* Effect.exit(Journal.printOnFailure(failing))
      assert.isTrue(Exit.isFailure(exit))
      if (!Exit.isFailure(exit)) return
      assert.strictEqual(Cause.squash(exit.cause), "the failure itself")
      const printed = Cause.prettyErrors(exit.cause).map((error) => error.message).join("\n")
      assert.match(
        printed,
        /the failure itself[^]*what happened on the node:\n +0 ms +spawn +a [^]*0 ms +exit +a .*boom/
      )
    }))

  everySeed("printOnFailure leaves a success and an interruption alone", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Journal.printOnFailure(Effect.succeed(1)), 1)
      const exit = yield* Effect.exit(Journal.printOnFailure(Effect.interrupt))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    }))

  it.effect("prints the newest entries when there are too many", () =>
    Effect.gen(function*() {
      const journal = yield* Journal.make
      const pid = yield* Process.spawn(() => Effect.never, { name: "a" })
      for (let n = 0; n < 600; n++) yield* Process.send(pid, n)
      const lines = journal.print().split("\n")
      assert.strictEqual(lines.length, 501)
      assert.strictEqual(lines[0], "(101 earlier entries)")
      assert.include(lines[500], "term 599")
    }).pipe(Effect.provide(TestNode.layer())))

  it.effect("keeps a bounded number of entries", () =>
    Effect.gen(function*() {
      const journal = yield* Journal.make
      const pid = yield* Process.spawn(() => Effect.never, { mailbox: { capacity: Infinity } })
      for (let n = 0; n < 100_001; n++) yield* Process.send(pid, n)
      assert.isAtMost(journal.entries.length, 100_000)
      assert.match(journal.print(), /^\(\d+ earlier entries\)/)
    }).pipe(Effect.provide(TestNode.layer())))
})
