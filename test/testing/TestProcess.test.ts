import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Schema } from "effect"
import { ExitReason, GenServer, Message, Process, Protocol } from "effect-otp"
import { Probe, TestNode, TestProcess } from "effect-otp/testing"
import { everySeed } from "./EverySeed.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Add", { payload: { n: Schema.Int } }),
  Message.Cast("Wait")
) {}

const server = (onTerminate: (reason: ExitReason.ExitReason) => void) =>
  GenServer.make(Counter, {
    init: (from: number) => Effect.succeed(from),
    handlers: {
      Get: (_, sum) => sum,
      Add: ({ n }, sum) => GenServer.next(sum + n),
      Wait: (_, sum) => Effect.as(Effect.sleep("1 hour"), GenServer.next(sum))
    },
    terminate: (reason) => Effect.sync(() => onTerminate(reason)),
    format: (sum) => ({ sum })
  })

describe("TestProcess", () => {
  everySeed(
    "crash ends a server as its own code would: terminate runs, the reason is the defect",
    () =>
      Effect.gen(function*() {
        const reasons: Array<ExitReason.ExitReason> = []
        const probe = yield* Probe.make()
        const counter = yield* GenServer.start(server((reason) => void reasons.push(reason)), 0, { trapExit: true })
        yield* probe.monitor(counter)
        const boom = new Error("boom")
        yield* TestProcess.crash(counter, boom)
        const down = yield* probe.expectDown({ of: counter, reason: "Error" })
        assert.strictEqual((down.reason as { readonly error: unknown }).error, boom)
        assert.strictEqual((reasons[0] as { readonly error: unknown }).error, boom)
      })
  )

  everySeed("crash ends a low-level process, also one that traps exits", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const pid = yield* Process.spawn(() => Effect.never, { trapExit: true })
      yield* probe.monitor(pid)
      yield* TestProcess.crash(pid, "boom")
      yield* probe.expectDown({ of: pid, reason: ExitReason.error("boom") })
    }))

  everySeed("crash of nobody is a defect of the test", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(TestProcess.crash({ name: "nobody" }, "boom"))
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("cannot crash nobody"))
    }))

  everySeed("inspect shows the state through format, and the messages that wait", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.start(server(() => {}), 3)
      assert.deepStrictEqual(Option.getOrThrow(yield* TestProcess.inspect(counter)).state, { sum: 3 })
      yield* counter.Wait()
      yield* TestNode.settle
      yield* counter.Add({ n: 1 })
      yield* Process.send(counter, "other")
      const seen = Option.getOrThrow(yield* TestProcess.inspect(counter))
      assert.deepStrictEqual(seen.messages, [{ _tag: "Add", n: 1 }, "other"])
      assert.deepStrictEqual(seen.currentMessage, Option.some("Wait"))
      const low = yield* Process.spawn(() => Effect.never)
      yield* Process.send(low, 1)
      yield* Process.send(low, 2)
      assert.deepStrictEqual(Option.getOrThrow(yield* TestProcess.inspect(low)).messages, [1, 2])
      assert.isTrue(Option.isNone(yield* TestProcess.inspect({ name: "nobody" })))
    }))
})
