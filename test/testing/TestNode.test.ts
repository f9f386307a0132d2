import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Queue, Random, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol } from "effect-otp"
import { Journal, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "./EverySeed.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Cast("Note", { payload: { who: Schema.Int } })
) {}

/** Processes that race with one another in every way; gives all that happened. */
const race = Effect.gen(function*() {
  const journal = yield* Journal.make
  const notes: Array<number> = []
  const counter = yield* GenServer.start(
    GenServer.make(Counter, {
      init: () => Effect.succeed(0),
      handlers: {
        Add: ({ n }, sum) => Effect.as(Effect.yieldNow, GenServer.reply(sum + n, sum + n)),
        Note: ({ who }, sum) => {
          notes.push(who)
          return GenServer.next(sum)
        }
      }
    }),
    undefined
  )
  const pids = yield* Effect.forEach([1, 2, 3, 4, 5], (who) =>
    Process.spawn((mailbox) =>
      Effect.gen(function*() {
        yield* Queue.take(mailbox)
        yield* counter.Add({ n: who })
        yield* counter.Note({ who })
        yield* Effect.sleep(yield* Random.nextIntBetween(1, 100))
        yield* counter.Note({ who })
      })
    ))
  for (const pid of pids) yield* Process.send(pid, "go")
  yield* TestClock.adjust(100)
  assert.strictEqual(yield* counter.Add({ n: 0 }), 15)
  return [journal.print(), notes.join()].join("\n")
})

const raceUnder = (seed: number | undefined): Effect.Effect<string> =>
  race.pipe(
    Effect.scoped,
    Effect.provide(TestNode.layer(seed === undefined ? {} : { seed })),
    Effect.orDie
  )

describe("TestNode", () => {
  it.effect.each([...TestNode.seeds(20), undefined])(
    "the same seed gives the same journal, byte by byte (seed %s)",
    (seed) =>
      Effect.gen(function*() {
        const first = yield* raceUnder(seed)
        for (let i = 0; i < 5; i++) assert.strictEqual(yield* raceUnder(seed), first)
      })
  )

  it.effect("another seed gives another order", () =>
    Effect.gen(function*() {
      const orders = yield* Effect.forEach(TestNode.seeds(20), raceUnder)
      assert.isAtLeast(new Set(orders).size, 19)
    }))

  everySeed("settle waits until nothing can go on, and no time passes", () =>
    Effect.gen(function*() {
      let steps = 0
      yield* Process.spawn(() =>
        Effect.gen(function*() {
          for (let i = 0; i < 100; i++) {
            yield* Effect.yieldNow
            steps++
          }
          yield* Effect.sleep("1 second")
          steps++
        })
      )
      yield* TestNode.settle
      assert.strictEqual(steps, 100)
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    }))

  everySeed(
    "adjust lets fibers reach their sleep before the clock moves, and do what the time brings",
    () =>
      Effect.gen(function*() {
        const woke: Array<number> = []
        for (let i = 1; i <= 5; i++) {
          yield* Effect.forkChild(Effect.gen(function*() {
            yield* Effect.sleep(i * 100)
            yield* Effect.yieldNow
            woke.push(yield* Clock.currentTimeMillis)
            yield* Effect.sleep(50)
            woke.push(yield* Clock.currentTimeMillis)
          }))
        }
        yield* TestClock.adjust(500)
        assert.deepStrictEqual(woke, [100, 150, 200, 250, 300, 350, 400, 450, 500])
      })
  )

  everySeed("settle waits for promises that are settled", () =>
    Effect.gen(function*() {
      let done = false
      yield* Process.spawn(() =>
        Effect.gen(function*() {
          yield* Effect.promise(() => Promise.resolve())
          yield* Effect.promise(() => Promise.resolve())
          done = true
        })
      )
      yield* TestNode.settle
      assert.isTrue(done)
    }))

  it.effect("settle says so when a fiber never rests", () =>
    Effect.gen(function*() {
      yield* Process.spawn(() => Effect.forever(Effect.yieldNow))
      const exit = yield* Effect.exit(TestNode.settle)
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.include(Cause.pretty(exit.cause), "a fiber never rests")
    }).pipe(Effect.scoped, Effect.provide(TestNode.layer({ seed: 1 }))))

  it.effect("settle says where it works when it is used elsewhere", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(TestNode.settle)
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.include(Cause.pretty(exit.cause), "TestNode.layer")
    }).pipe(Effect.provide(Node.layerLocal())))

  everySeed("the clock moves although a process never rests", () =>
    Effect.gen(function*() {
      yield* Process.spawn(() => Effect.forever(Effect.yieldNow))
      let woke = false
      yield* Process.spawn(() => Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => woke = true)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(woke)
    }))

  everySeed("a process that ignores shutdown does not hang the end of the test", (seed) =>
    Effect.gen(function*() {
      const reasons: Array<string> = []
      yield* Effect.provide(
        Effect.gen(function*() {
          yield* Node.trace((event) => event._tag === "Exit" && reasons.push(event.reason._tag))
          yield* Process.spawnDetached(() => Effect.never, { trapExit: true })
        }),
        TestNode.layer({ seed: seed + 1000 })
      )
      assert.deepStrictEqual(reasons, ["Killed"])
    }))

  everySeed("Random is the seed's", (seed) =>
    Effect.gen(function*() {
      const draw = Effect.provide(Effect.all([Random.next, Random.nextInt]), TestNode.layer({ seed }))
      assert.deepStrictEqual(yield* draw, yield* draw)
      assert.strictEqual(yield* TestNode.seed, seed)
    }))

  it("gives seeds from 1 on", () => {
    assert.deepStrictEqual(TestNode.seeds(3), [1, 2, 3])
  })
})
