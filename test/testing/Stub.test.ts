import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import { GenServer, Message, Process, Protocol } from "effect-otp"
import { Stub, TestingError, TestNode } from "effect-otp/testing"
import { everySeed } from "./EverySeed.ts"

class Rates extends Protocol.make(
  "Rates",
  Message.Call("Rate", { payload: { of: Schema.String }, success: Schema.Number }),
  Message.Call("History", { success: Schema.Array(Schema.Number) }),
  Message.Cast("Forget"),
  Message.Cast("Note", { payload: { text: Schema.String } })
) {}

describe("Stub", () => {
  everySeed("answers what it has handlers for", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const rates = yield* Stub.start(Rates, {
        Rate: ({ of }) => of === "EUR" ? 1.5 : Effect.succeed(1),
        Note: ({ text }) => void notes.push(text)
      })
      assert.strictEqual(yield* rates.Rate({ of: "EUR" }), 1.5)
      assert.strictEqual(yield* rates.Rate({ of: "USD" }), 1)
      yield* rates.Note({ text: "hi" })
      yield* TestNode.settle
      assert.deepStrictEqual(notes, ["hi"])
    }))

  everySeed(
    "a call without a handler makes its caller die with the name of the message, and the stub goes on",
    () =>
      Effect.gen(function*() {
        const rates = yield* GenServer.start(Stub.make(Rates, { Rate: () => 2 }), undefined, { name: "rates" })
        const exit = yield* Effect.exit(rates.History())
        assert.isTrue(Exit.isFailure(exit))
        if (!Exit.isFailure(exit)) return
        const error = Cause.squash(exit.cause)
        assert.instanceOf(error, TestingError.StubError)
        assert.include(
          (error as TestingError.StubError).message,
          "the stub of Rates has no handler for the call History"
        )
        assert.strictEqual(yield* rates.Rate({ of: "EUR" }), 2)
      })
  )

  everySeed("takes casts, infos and signals without a handler", () =>
    Effect.gen(function*() {
      const rates = yield* Stub.start(Rates, {}, { trapExit: true })
      yield* rates.Forget()
      yield* Process.send(rates, "anything")
      yield* Process.exit(rates)
      yield* TestNode.settle
      assert.isTrue(yield* Process.isAlive(rates))
    }))
})
