import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Awaited, park, type Waiter } from "../../../src/process/internal/Park.ts"

class Answer implements Awaited {
  waiter: Waiter | undefined = undefined
  releases = 0

  released(): void {
    this.releases++
  }
}

/** A fiber with what Effect's have, and one without. */
const kinds = {
  "a fiber that can be parked": (fiber: Fiber.Fiber<unknown, unknown>) => fiber,
  "a fiber of which only the public type is known": (fiber: Fiber.Fiber<unknown, unknown>) =>
    ({ id: fiber.id }) as Fiber.Fiber<unknown, unknown>
}

describe("park", () => {
  it.effect("this version of Effect has what it relies on", () =>
    Effect.withFiber((fiber) => {
      assert.isFunction((fiber as unknown as { readonly yieldWith: unknown }).yieldWith)
      assert.isFunction((fiber as unknown as { readonly evaluate: unknown }).evaluate)
      return Effect.void
    }))

  for (const [kind, seen] of Object.entries(kinds)) {
    const parked = (answer: Answer) => Effect.withFiber((fiber) => park(answer, seen(fiber)))
    const forked = (answer: Answer, effect: Effect.Effect<unknown, unknown> = parked(answer)) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(effect)
        while (answer.waiter === undefined) yield* Effect.yieldNow
        return fiber
      })

    describe(kind, () => {
      it.effect("goes on with what resumes it, and with nothing that comes later", () =>
        Effect.gen(function*() {
          const answer = new Answer()
          const fiber = yield* forked(answer)
          const waiter = answer.waiter!
          waiter.evaluate(Exit.succeed(1))
          assert.strictEqual(yield* Fiber.join(fiber), 1)
          waiter.evaluate(Exit.succeed(2))
          assert.deepStrictEqual([answer.releases, answer.waiter], [1, undefined])
        }))

      it.effect("has failures as its own", () =>
        Effect.gen(function*() {
          const answer = new Answer()
          const fiber = yield* forked(answer, Effect.flip(parked(answer)))
          answer.waiter!.evaluate(Exit.fail("no"))
          assert.strictEqual(yield* Fiber.join(fiber), "no")
        }))

      it.effect("says so when it is interrupted, and runs its finalizers", () =>
        Effect.gen(function*() {
          const answer = new Answer()
          let finalized = false
          const fiber = yield* forked(
            answer,
            Effect.onInterrupt(parked(answer), () =>
              Effect.sync(() => {
                finalized = true
              }))
          )
          yield* Fiber.interrupt(fiber)
          assert.isTrue(finalized)
          assert.deepStrictEqual([answer.releases, answer.waiter], [1, undefined])
        }))

      it.effect("stays where it is when it cannot be interrupted", () =>
        Effect.gen(function*() {
          const answer = new Answer()
          const fiber = yield* forked(answer, Effect.uninterruptible(parked(answer)))
          fiber.interruptUnsafe()
          assert.strictEqual(answer.releases, 0)
          answer.waiter!.evaluate(Exit.succeed(3))
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(answer.releases, 1)
          assert.isTrue(Exit.hasInterrupts(exit) || (Exit.isSuccess(exit) && exit.value === 3))
        }))

      it.effect("waits again for something else", () =>
        Effect.gen(function*() {
          const first = new Answer()
          const second = new Answer()
          const fiber = yield* forked(first, Effect.zip(parked(first), parked(second)))
          first.waiter!.evaluate(Exit.succeed(1))
          while (second.waiter === undefined) yield* Effect.yieldNow
          second.waiter.evaluate(Exit.succeed(2))
          assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 2])
          assert.deepStrictEqual([first.releases, second.releases], [1, 1])
        }))
    })
  }
})
