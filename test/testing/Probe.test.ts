import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schema } from "effect"
import type { Signal } from "effect-otp"
import { ExitReason, Message, Node, Process, Protocol } from "effect-otp"
import type { TestingError } from "effect-otp/testing"
import { Probe, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "./EverySeed.ts"

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { max: Schema.Int }) {}

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Reset"),
  Message.Cast("Set", { payload: Schema.Int }),
  Message.Info("Tick", { payload: { at: Schema.Int } })
) {}

const Ping = Schema.TaggedStruct("Ping", { n: Schema.Int })

/** The message of the ProbeError with which an expectation fails. */
const failureOf = <A, R>(effect: Effect.Effect<A, TestingError.ProbeError, R>): Effect.Effect<string, never, R> =>
  Effect.match(effect, {
    onSuccess: (value) => assert.fail(`it succeeded with ${String(value)}`),
    onFailure: (error) => error.message
  })

describe("Probe", () => {
  everySeed("gets messages in order and gives them typed", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.send(probe, { _tag: "Ping", n: 1 })
      yield* Process.send(probe.pid, { _tag: "Ping", n: 2 })
      yield* Process.send(probe, { _tag: "Pong" })
      const one: { readonly n: number } = yield* probe.expectMessage(Ping)
      assert.strictEqual(one.n, 1)
      assert.deepStrictEqual(yield* probe.waiting, [{ _tag: "Ping", n: 2 }, { _tag: "Pong" }])
      assert.deepStrictEqual(yield* probe.expectMessage("Ping"), { _tag: "Ping", n: 2 } as never)
      yield* probe.expectMessage("Pong")
      yield* probe.expectNoMessage()
    }))

  everySeed("says what came instead, why it does not fit, and what stands behind it", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make({ name: "probe" })
      yield* Process.send(probe, { _tag: "Ping", n: "one" })
      yield* Process.send(probe, { _tag: "Pong" })
      const message = yield* failureOf(probe.expectMessage(Ping))
      assert.strictEqual(
        message,
        `probe probe expected a message of the schema, and got {_tag: "Ping",n: "one"}: Expected number\n  at ["n"]\n` +
          `behind it in the mailbox:\n  {_tag: "Pong"}`
      )
      assert.strictEqual(
        yield* failureOf(probe.expectMessage("Ping")),
        `probe probe expected the message Ping, and got {_tag: "Pong"}`
      )
    }))

  everySeed("fails at once when nothing comes, without any time passing", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.sendAfter(probe, "late", "1 second")
      assert.include(yield* failureOf(probe.expectMessage(Schema.String)), "nothing came")
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    }))

  everySeed("waits for what comes without time passing, however many turns it takes", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.spawn(() =>
        Effect.gen(function*() {
          for (let i = 0; i < 200; i++) yield* Effect.yieldNow
          yield* Process.send(probe, "done")
        })
      )
      assert.strictEqual(yield* probe.expectMessage(Schema.String), "done")
    }))

  everySeed("lets time pass until the message, and not beyond", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.sendAfter(probe, "late", "1 second")
      yield* Process.sendAfter(probe, "later", "3 seconds")
      yield* probe.expectMessage(Schema.Literal("late"), { within: "10 seconds" })
      assert.strictEqual(yield* Clock.currentTimeMillis, 1000)
      assert.include(
        yield* failureOf(probe.expectMessage(Schema.Literal("later"), { within: "1999 millis" })),
        "nothing came within"
      )
      assert.strictEqual(yield* Clock.currentTimeMillis, 2999)
      yield* probe.expectMessage(Schema.Literal("later"), { within: 1 })
    }))

  everySeed("expectNoMessage lets the time pass and fails when one comes", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.sendAfter(probe, "late", "2 seconds")
      yield* probe.expectNoMessage("1999 millis")
      assert.strictEqual(yield* Clock.currentTimeMillis, 1999)
      assert.include(yield* failureOf(probe.expectNoMessage("1 second")), `expected no message for 1s, and got "late"`)
      assert.strictEqual(yield* Clock.currentTimeMillis, 2000)
    }))

  everySeed(
    "stands in for a server: its ref has the methods, calls are answered through the probe",
    () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make(Counter)
        const add = yield* Effect.forkChild(Effect.result(probe.ref.Add({ n: 2 })))
        const call = yield* probe.expectMessage("Add")
        const n: number = call.payload.n
        assert.strictEqual(n, 2)
        yield* probe.reply(call, 5)
        assert.deepStrictEqual(yield* Fiber.join(add), yield* Effect.result(Effect.succeed(5)))

        const failing = yield* Effect.forkChild(Effect.flip(probe.ref.Add({ n: 3 })))
        yield* probe.replyError(yield* probe.expectMessage("Add"), new TooMuch({ max: 1 }))
        assert.deepStrictEqual(yield* Fiber.join(failing), new TooMuch({ max: 1 }))

        yield* probe.ref.Reset()
        yield* probe.ref.Set(7)
        yield* probe.ref.Tick({ at: 9 })
        assert.strictEqual((yield* probe.expectMessage("Reset")).payload, undefined)
        assert.strictEqual((yield* probe.expectMessage("Set")).payload, 7)
        assert.deepStrictEqual((yield* probe.expectMessage("Tick")).payload, { at: 9 })
      })
  )

  everySeed(
    "tells a call from an ordinary message of its tag, and a wrong payload from a right one",
    () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make(Counter)
        yield* Process.send(probe, { _tag: "Get" })
        assert.include(
          yield* failureOf(probe.expectMessage("Get")),
          "Get is a call, and this was sent as an ordinary message"
        )
        yield* Process.send(probe, { _tag: "Tick", at: "noon" })
        assert.include(yield* failureOf(probe.expectMessage("Tick")), "this is no payload of Tick")
        yield* Effect.forkChild(probe.ref.Get())
        assert.include(yield* failureOf(probe.expectMessage("Add")), "expected the message Add, and got call Get")
      })
  )

  everySeed("fishes for a message and shows what it let pass", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      for (const n of [1, 2, 3]) yield* Process.send(probe, { _tag: "Noise", n })
      yield* Process.send(probe, { _tag: "Ping", n: 4 })
      assert.strictEqual((yield* probe.fishFor(Ping)).n, 4)
      for (const n of [1, 2]) yield* Process.send(probe, { _tag: "Noise", n })
      assert.include(
        yield* failureOf(probe.fishFor("Ping")),
        "it let pass:\n  {_tag: \"Noise\",n: 1}\n  {_tag: \"Noise\",n: 2}"
      )
      yield* Process.sendAfter(probe, 42, "5 seconds")
      assert.strictEqual(yield* probe.fishFor((value) => value === 42, { within: "1 minute" }), 42)
      assert.strictEqual(yield* Clock.currentTimeMillis, 5000)
    }))

  everySeed("traps exits and gets Downs of what it links and monitors", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const other = yield* Probe.make()
      const ref = yield* probe.monitor(other)
      yield* probe.link(other)
      yield* other.end(ExitReason.shutdownWith("deploy"))
      yield* probe.expectExit({ of: other, reason: ExitReason.shutdownWith("deploy") })
      const down: Signal.Down = yield* probe.expectDown({ of: other.pid, ref, reason: "Shutdown" })
      assert.deepStrictEqual(down.address, other.pid)
      const third = yield* Probe.make()
      yield* probe.monitor(third)
      yield* third.end()
      assert.include(
        yield* failureOf(probe.expectDown({ of: third, reason: ExitReason.killed })),
        `expected the Down of ${third.pid} with reason killed, and got Down of ${third.pid} (normal)`
      )
      assert.include(
        yield* failureOf(probe.expectExit({ reason: "Killed" })),
        "expected the exit with reason Killed, and nothing came"
      )
    }))

  everySeed("acts as itself", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make({ name: "p" })
      assert.strictEqual(yield* probe.as(Process.self), probe.pid)
      const other = yield* Probe.make()
      yield* other.as(Process.trapExit(false))
      yield* probe.monitor(other)
      yield* probe.as(Process.exit(other, ExitReason.error("bye")))
      yield* probe.expectDown({ of: other, reason: ExitReason.error("bye") })
      yield* probe.send({ name: "p" }, "to myself")
      yield* probe.expectMessage(Schema.Literal("to myself"))
    }))

  everySeed("says that it has ended itself", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* probe.end()
      assert.include(yield* failureOf(probe.expectMessage("Ping")), "it has ended itself")
    }))

  everySeed("does not trap exits when told so", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make({ trapExit: false })
      const other = yield* Probe.make()
      yield* other.monitor(probe)
      yield* Process.exit(probe)
      yield* other.expectDown({ of: probe, reason: "Shutdown" })
    }))

  it.effect("works on an ordinary node, where within is a time of its clock", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* Process.send(probe, "now")
      yield* probe.expectMessage(Schema.Literal("now"))
      const late = yield* Effect.forkChild(probe.expectMessage(Schema.String, { within: "2 seconds" }), {
        startImmediately: true
      })
      yield* Process.sendAfter(probe, "later", "1 second")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(late), "later")
      const never = yield* Effect.forkChild(failureOf(probe.expectMessage(Schema.String, { within: "2 seconds" })), {
        startImmediately: true
      })
      yield* TestClock.adjust("2 seconds")
      assert.include(yield* Fiber.join(never), "nothing came within 2s")
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))

  it.effect("its name can be taken", () =>
    Effect.gen(function*() {
      yield* Probe.make({ name: "p" })
      const error = yield* Effect.flip(Probe.make({ name: "p" }))
      assert.strictEqual(error.reason._tag, "NameTaken")
    }).pipe(Effect.provide(TestNode.layer())))
})
