/**
 * Boxes for other members: order, bounds, and nothing left behind.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { Outboxes } from "../../../src/raft/internal/Outboxes.ts"

const bytes = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255)
const valueOf = (given: Uint8Array): number => given[0]! * 256 + given[1]!

describe("outboxes", () => {
  it.effect("send in order, also what comes while they send, and are gone when they are empty", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context()
      const sent: Array<string> = []
      const outboxes: Outboxes = new Outboxes(
        (to, given) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => {
              const value = valueOf(given)
              sent.push(`${to}${value}`)
              if (value < 3) outboxes.put(to, bytes(value + 10))
            })
          ),
        (effect) => void Effect.runForkWith(context)(effect)
      )
      for (let value = 1; value <= 3; value++) for (const to of ["a", "b"]) outboxes.put(to, bytes(value))
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow
      for (const to of ["a", "b"]) {
        assert.deepStrictEqual(
          sent.filter((each) => each.startsWith(to)),
          [1, 2, 3, 11, 12].map((value) => `${to}${value}`)
        )
      }
      assert.strictEqual(outboxes.size, 0)
    }))

  it.effect("a member that takes nothing holds up nobody, and costs no more than a thousand messages", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context()
      const awake = yield* Deferred.make<void>()
      const sent: Array<number> = []
      let others = 0
      const outboxes = new Outboxes(
        (to, given) =>
          to === "other"
            ? Effect.sync(() => void others++)
            : Effect.andThen(Deferred.await(awake), Effect.sync(() => void sent.push(valueOf(given)))),
        (effect) => void Effect.runForkWith(context)(effect)
      )
      for (let value = 0; value < 5000; value++) {
        outboxes.put("asleep", bytes(value))
        if (value === 0) yield* Effect.yieldNow
      }
      for (let i = 0; i < 100; i++) outboxes.put("other", bytes(i))
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow
      assert.strictEqual(others, 100)
      yield* Deferred.succeed(awake, undefined)
      for (let i = 0; i < 5000 && outboxes.size > 0; i++) yield* Effect.yieldNow
      assert.deepStrictEqual(sent, [0, ...Array.from({ length: 1000 }, (_, i) => 4000 + i)])
      assert.strictEqual(outboxes.size, 0)
    }))
})
