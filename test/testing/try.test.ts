import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Process } from "effect-otp"
import * as TestNode from "../../src/testing/TestNode.ts"

describe("try", () => {
  it.effect.each(TestNode.seeds(200))("seed %s", (seed) => Effect.gen(function*() {
    const log: Array<string> = []
    const pids = yield* Effect.forEach([1,2,3,4], (i) => Process.spawnDetached(() => Effect.andThen(Effect.sleep(1000), Effect.sync(() => log.push("w" + i)))))
    yield* TestClock.adjust(1000)
    assert.strictEqual(log.length, 4)
    const p = yield* Process.spawnDetached(() => Effect.never, { trapExit: true })
    if (seed < 4) console.log(seed, log.join())
    yield* TestNode.settle
  }).pipe(Effect.provide(TestNode.layer({ seed }))))
})
