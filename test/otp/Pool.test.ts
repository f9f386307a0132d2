/**
 * Pools: who gets a message, what happens to messages nobody has room for, replacement, size, the end.
 *
 * The rows of the reference's feature list that this covers: PL-01 options, PL-02 dispatch from the first worker on, PL-03
 * busy and dead workers, PL-04 direct replies, PL-05 full servers as workers, PL-06 replacement every time with an
 * intensity, PL-07 a size that changes.
 */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schedule, Schema, Scope } from "effect"
import {
  CallError,
  ExitReason,
  GenServer,
  Mailbox,
  Message,
  Node,
  OtpError,
  Pool,
  Process,
  Protocol,
  Supervisor
} from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { everySeedOn } from "../testing/EverySeed.ts"
import { Broken, Log, onNode, seeded } from "./SupervisorFixtures.ts"

class Work extends Protocol.make(
  "Work",
  Message.Call("Who", { success: Schema.Number }),
  Message.Call("Caller", { success: Schema.Unknown }),
  Message.Call("Add", { payload: { key: Schema.String, n: Schema.Int }, success: Schema.Int }),
  Message.Call("Wait", { success: Schema.Number }),
  Message.Call("Later", { success: Schema.Number }),
  Message.Call("Again", { success: Schema.Number }),
  Message.Cast("Note", { payload: { text: Schema.String } }),
  Message.Cast("Crash"),
  Message.Cast("Quit"),
  Message.Info("Tick", { payload: { at: Schema.Int } })
) {}

/** A back-off that keeps the place of a dead worker empty for the time of a test. */
const slow = Schedule.spaced("1 hour")

interface Conduct {
  readonly log?: Log
  /** Completes when waiting handlers may go on. */
  readonly gate?: Deferred.Deferred<void>
  readonly start?: (worker: number) => Effect.Effect<unknown, Broken>
  /** For a worker that calls its own pool. */
  readonly self?: () => Effect.Effect<number>
}

/** A server that knows its number, adds up per key and can be kept busy. */
const workServer = (conduct: Conduct = {}) => {
  const { gate, log } = conduct
  return GenServer.make(Work, {
    init: (worker: number) =>
      Effect.gen(function*() {
        if (conduct.start !== undefined) yield* conduct.start(worker)
        if (log !== undefined) {
          yield* Effect.addFinalizer(() => log.add(`-${worker}`))
          yield* log.add(`+${worker}`)
        }
        return {
          worker,
          sums: {} as { readonly [key: string]: number },
          later: Option.none<(n: number) => Effect.Effect<void>>()
        }
      }),
    handlers: {
      Who: (_, { worker }) => worker,
      Caller: (_, _state, { from }) => from.caller,
      Add: ({ key, n }, state) => {
        const sum = (state.sums[key] ?? 0) + n
        return GenServer.reply(sum, { ...state, sums: { ...state.sums, [key]: sum } })
      },
      Wait: (_, { worker }) => Effect.as(gate === undefined ? Effect.never : Deferred.await(gate), worker),
      Later: (_, state, { from }) => GenServer.noReply({ ...state, later: Option.some((n) => from.reply(n)) }),
      Again: () => conduct.self?.() ?? -1,
      Note: ({ text }, { worker }) => log?.add(`${text}@${worker}`),
      Crash: () => Effect.die(new Error("boom")),
      Quit: (_, state) => GenServer.stop(ExitReason.normal, state),
      Tick: ({ at }, { worker }) => log?.add(`tick ${at}@${worker}`),
      unhandled: (_term, { worker }) => log?.add(`?@${worker}`)
    }
  })
}

const byKey = { key: { Add: ({ key }: { readonly key: string }) => key } }

/** Options of a pool whose workers know their number. */
const numbered = <O extends object>(options: O): O & { readonly args: (worker: number) => number } => ({
  args: (worker) => worker,
  ...options
})

/** Asks several times, one after the other, who answers. */
const who = (pool: { readonly Who: () => Effect.Effect<number, CallError.CallError> }, times: number) =>
  Effect.map(Effect.forEach(Array.from({ length: times }), () => pool.Who()), (workers) => workers.join(""))

const reasonOf = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(call), (error) => {
    assert.instanceOf(error, CallError.CallError)
    return error.reason
  })

/** Runs effects in the background, each when the one before it waits. */
const inBackground = <A, E, R>(count: number, effect: Effect.Effect<A, E, R>) =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.tap(Effect.forkScoped(effect), () => TestNode.settle)
  )

/** The pid of a worker that runs. */
const pidOf = (pool: Pool.Target, worker: number) =>
  Effect.map(Pool.stats(pool), ({ workers }) => Option.getOrThrow(workers[worker]!.pid))

describe("a pool hands out messages", () => {
  onNode("PL-02 in turn, the first to the first worker: calls, casts and infos alike", () =>
    Effect.gen(function*() {
      const log = new Log()
      const pool = yield* Pool.start(Pool.make(workServer({ log }), numbered({ size: 3 })))
      log.take()
      assert.strictEqual(yield* who(pool, 7), "0120120")
      yield* pool.Note({ text: "a" })
      yield* pool.Tick({ at: 5 })
      yield* pool.Note({ text: "b" })
      yield* TestNode.settle
      assert.strictEqual(log.take(), "a@1 tick 5@2 b@0")
    }))

  onNode("PL-04 to workers that answer the caller themselves, and see who it is", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(Pool.make(workServer(), numbered({ size: 2 })), undefined, { name: "pool" })
      yield* Process.run(Effect.gen(function*() {
        const me = yield* Process.self
        assert.deepStrictEqual(yield* pool.Caller(), me)
        // Through the process of the pool it is the same caller.
        const hop = yield* GenServer.named(Work, "pool")
        assert.deepStrictEqual(yield* hop.Caller(), me)
      }))
      // The process of the pool has nothing to do with a message that goes by its ref.
      assert.strictEqual(Option.getOrThrow(yield* Process.info(pool)).mailboxLength, 0)
    }))

  seeded("PL-03 past workers that are dead, and past those whose mailbox is full", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const pool = yield* Pool.start(
        Pool.make(workServer({ gate }), numbered({ size: 3, mailbox: { capacity: 2 }, backoff: slow }))
      )
      yield* Process.kill(yield* pidOf(pool, 1))
      yield* TestNode.settle
      assert.strictEqual(yield* who(pool, 4), "0202")
      // Worker 0 is busy and gets its mailbox filled.
      const zero = yield* GenServer.fromPid(Work, yield* pidOf(pool, 0))
      yield* inBackground(3, zero.Wait())
      assert.strictEqual(yield* who(pool, 3), "222")
      yield* Deferred.succeed(gate, undefined)
      yield* TestNode.settle
      assert.include(yield* who(pool, 2), "0")
    }))

  seeded(
    "PL-03 to nobody when all are full: a call fails with MailboxFull at once, and is counted",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const pool = yield* Pool.start(
          Pool.make(workServer({ gate }), numbered({ size: 2, mailbox: { capacity: 1 } }))
        )
        const calls = yield* inBackground(4, pool.Wait())
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.MailboxFull({ capacity: 1 }))
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.MailboxFull({ capacity: 1 }))
        const { dropped, waiting, workers } = yield* Pool.stats(pool)
        assert.deepStrictEqual([dropped, waiting, workers.map(({ dropped }) => dropped)], [2, 2, [1, 1]])
        yield* Deferred.succeed(gate, undefined)
        const answers = yield* Effect.forEach(calls, Fiber.join)
        assert.deepStrictEqual([...answers].sort(), [0, 0, 1, 1])
      })
  )

  seeded(
    "PL-03 by the policy of the mailboxes when all are full: casts wait, fail, are dropped or forwarded",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const busy = (mailbox: Mailbox.MailboxOptions) =>
          Effect.gen(function*() {
            const gate = yield* Deferred.make<void>()
            const pool = yield* Pool.start(Pool.make(workServer({ gate, log }), numbered({ size: 2, mailbox })))
            yield* inBackground(4, Effect.ignore(pool.Wait()))
            log.take()
            return { pool, open: Effect.andThen(Deferred.succeed(gate, undefined), TestNode.settle) }
          })

        const waits = yield* busy({ capacity: 1 })
        const sent = yield* Effect.forkScoped(
          Effect.forEach(["a", "b"], (text) => waits.pool.Note({ text }), { concurrency: 2 })
        )
        yield* TestNode.settle
        assert.isUndefined(sent.pollUnsafe())
        yield* waits.open
        assert.isDefined(sent.pollUnsafe())
        assert.sameMembers(log.take().split(" "), ["a@0", "b@1"])

        const drops = yield* busy({ capacity: 1, overflow: "dropNew" })
        yield* drops.pool.Note({ text: "c" })
        yield* drops.pool.Note({ text: "d" })
        assert.deepStrictEqual((yield* Pool.stats(drops.pool)).workers.map(({ dropped }) => dropped), [1, 1])
        yield* drops.open
        assert.strictEqual(log.take(), "")

        const fails = yield* busy({ capacity: 1, overflow: "fail" })
        const error = yield* Effect.flip(GenServer.checked(fails.pool).Note({ text: "e" }))
        assert.deepStrictEqual(error.reason, new CallError.MailboxFull({ capacity: 1 }))

        yield* Process.run(Effect.gen(function*() {
          yield* Process.register("overflow", yield* Process.self)
          const forwards = yield* busy({ capacity: 1, overflow: { forward: { name: "overflow" }, tag: "pool" } })
          yield* forwards.pool.Note({ text: "f" })
          const got = yield* Process.receive(Schema.instanceOf(Mailbox.Forwarded))
          assert.deepStrictEqual([got.tag, got.message], ["pool", { _tag: "Note", text: "f" }])
          yield* forwards.open
        }))
      })
  )

  onNode("to the one with the least to do, when it is asked to", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const pool = yield* Pool.start(
        Pool.make(workServer({ gate }), numbered({ size: 3, strategy: "least_loaded" }))
      )
      const busy = yield* Effect.forkScoped(Effect.forEach([1, 2], () => pool.Wait(), { concurrency: 2 }))
      yield* TestNode.settle
      // 0 and 1 are busy, though nothing waits in their mailboxes.
      assert.strictEqual(yield* who(pool, 3), "222")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(busy)
      assert.strictEqual([...(yield* who(pool, 3))].sort().join(""), "012")
    }))

  onNode("to one that answers later counts as one that has something to do", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(
        Pool.make(workServer(), numbered({ size: 2, strategy: "least_loaded" }))
      )
      yield* Effect.forkScoped(pool.Later(undefined, { timeout: "Infinity" }))
      yield* TestNode.settle
      assert.strictEqual(yield* who(pool, 3), "111")
    }))

  seeded(
    "by key to the worker of the key, also after that one was replaced; other messages go in turn",
    () =>
      Effect.gen(function*() {
        const pool = yield* Pool.start(
          Pool.make(workServer(), numbered({ size: 4, strategy: byKey }))
        )
        const keys = ["ada", "bea", "cyd", "dan", "eve", "fay"]
        for (const n of [1, 2, 3]) {
          for (const key of keys) assert.strictEqual(yield* pool.Add({ key, n: 1 }), n, key)
        }
        assert.strictEqual(yield* who(pool, 5), "01230")
        const before = (yield* Pool.stats(pool)).workers.map(({ handled }) => handled)
        yield* Process.kill(yield* pidOf(pool, 0))
        yield* TestNode.settle
        for (const key of keys) yield* pool.Add({ key, n: 1 })
        const after = (yield* Pool.stats(pool)).workers.map(({ handled }) => handled)
        // Each worker got the same keys as before, a third of what it had, whoever fills the place.
        assert.deepStrictEqual(
          after.map((count, worker) => count - before[worker]!),
          before.map((count, worker) => (count - (worker === 0 ? 2 : 1)) / 3)
        )
      })
  )

  onNode("by key to nobody while the place of the key is empty", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(
        Pool.make(workServer(), numbered({ size: 1, backoff: slow, strategy: byKey }))
      )
      yield* Process.kill(yield* pidOf(pool, 0))
      yield* TestNode.settle
      assert.deepStrictEqual(yield* reasonOf(pool.Add({ key: "a", n: 1 })), new CallError.NoProcess({}))
    }))

  onNode("past a worker that calls its own pool, unless it is the only one", () =>
    Effect.gen(function*() {
      let call: () => Effect.Effect<number> = () => Effect.succeed(-1)
      const server = workServer({ self: () => call() })
      const pool = yield* Pool.start(Pool.make(server, numbered({ size: 2 })))
      call = () => Effect.orDie(pool.Who())
      assert.strictEqual(yield* pool.Again(), 1)
      const one = yield* Pool.start(Pool.make(server, numbered({ size: 1 })))
      call = () =>
        Effect.match(one.Who(), {
          onFailure: ({ reason }) => reason._tag === "CallingSelf" ? -2 : -3,
          onSuccess: (n) => n
        })
      assert.strictEqual(yield* one.Again(), -2)
    }))

  seeded(
    "within a bound for all mailboxes together, in even shares that follow the size",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const pool = yield* Pool.start(Pool.make(workServer({ gate }), numbered({ size: 2, capacity: 5 })))
        const capacities = Effect.map(Pool.stats(pool), ({ workers }) => workers.map(({ capacity }) => capacity))
        assert.deepStrictEqual(yield* capacities, [3, 2])
        // Two are handled, five wait, the eighth is refused.
        yield* inBackground(7, pool.Wait())
        assert.strictEqual((yield* Pool.stats(pool)).waiting, 5)
        assert.strictEqual((yield* reasonOf(pool.Who()))._tag, "MailboxFull")
        yield* Pool.resize(pool, 5)
        assert.deepStrictEqual(yield* capacities, [1, 1, 1, 1, 1])
        // A worker that takes the place of another one gets its share.
        yield* Process.kill(yield* pidOf(pool, 4))
        yield* TestNode.settle
        assert.deepStrictEqual(yield* capacities, [1, 1, 1, 1, 1])
        yield* Deferred.succeed(gate, undefined)
        yield* TestNode.settle
        yield* Pool.resize(pool, 2)
        assert.deepStrictEqual(yield* capacities, [3, 2])
      })
  )
})

describe("a pool of another node", () => {
  const [a, b] = ["a@test", "b@test"]

  everySeedOn(
    [a, b],
    "is reached by its name: its process hands on what comes, and workers answer",
    (cluster) =>
      Effect.gen(function*() {
        const log = new Log()
        const gate = yield* Deferred.make<void>()
        const options = numbered({ size: 2 })
        yield* cluster.on(b, Pool.start(Pool.make(workServer({ gate, log }), options), undefined, { name: "pool" }))
        yield* TestNode.settle
        log.take()
        yield* cluster.on(
          a,
          Process.run(Effect.gen(function*() {
            const me = yield* Process.self
            for (const named of [GenServer.named, Pool.named]) {
              const pool = yield* named(Work, { name: "pool", node: b })
              assert.strictEqual([...(yield* who(pool, 4))].sort().join(""), "0011")
              // The worker sees who really called.
              assert.deepStrictEqual(yield* pool.Caller(), me)
              yield* pool.Caller()
              yield* pool.Note({ text: "x" })
              yield* TestNode.settle
              assert.match(log.take(), /^x@[01]$/)
            }
            const pool = yield* Pool.named(Work, { name: "pool", node: b })
            const later = yield* Effect.forkScoped(pool.Wait())
            yield* TestNode.settle
            yield* Deferred.succeed(gate, undefined)
            assert.include([0, 1], yield* Fiber.join(later))
            // A worker that dies says nothing: the pool lives, and the call has its limit, as in OTP.
            const lost = yield* Effect.forkScoped(reasonOf(pool.Later(undefined, { timeout: 100 })))
            yield* TestNode.settle
            yield* pool.Crash()
            yield* pool.Crash()
            yield* TestClock.adjust(100)
            assert.deepStrictEqual(yield* Fiber.join(lost), new CallError.CallTimeout({ timeoutMillis: 100 }))
          }))
        )
      })
  )
})

describe("the process of a pool", () => {
  seeded("hands on what comes by its name: calls, casts, infos and terms of any kind", () =>
    Effect.gen(function*() {
      const log = new Log()
      yield* Pool.start(Pool.make(workServer({ log }), numbered({ size: 3 })), undefined, { name: "pool" })
      log.take()
      const pool = yield* GenServer.named(Work, "pool")
      assert.strictEqual(yield* who(pool, 4), "0120")
      for (
        const send of [
          pool.Note({ text: "a" }),
          Process.send({ name: "pool" }, { _tag: "Tick", at: 5 }),
          Process.send({ name: "pool" }, "what")
        ]
      ) yield* Effect.andThen(send, TestNode.settle)
      assert.strictEqual(log.take(), "a@1 tick 5@2 ?@0")
    }))

  seeded(
    "hands on a call that is answered later, one that fails, and one whose worker dies",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        yield* Pool.start(Pool.make(workServer({ gate }), numbered({ size: 1 })), undefined, { name: "pool" })
        const pool = yield* GenServer.named(Work, "pool")
        const waiting = yield* Effect.forkScoped(pool.Wait())
        const dying = yield* Effect.forkScoped(reasonOf(Effect.andThen(pool.Crash(), pool.Who())))
        yield* TestNode.settle
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(waiting), 0)
        assert.strictEqual((yield* Fiber.join(dying))._tag, "ProcessExit")
        yield* TestNode.settle
        const late = yield* Effect.forkScoped(reasonOf(pool.Later(undefined, { timeout: 100 })))
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(yield* Fiber.join(late), new CallError.CallTimeout({ timeoutMillis: 100 }))
      })
  )

  seeded(
    "refuses a call when all are full or gone; a cast meets the policy as one from another node",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const gate = yield* Deferred.make<void>()
        const options = numbered({ size: 1, mailbox: { capacity: 1 }, backoff: slow })
        yield* Pool.start(Pool.make(workServer({ gate, log }), options), undefined, { name: "pool" })
        const pool = yield* GenServer.named(Work, "pool")
        yield* inBackground(2, Effect.ignore(pool.Wait()))
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.MailboxFull({ capacity: 1 }))
        // The policy is to wait; the process of the pool cannot, so the cast is dropped, and counted.
        yield* pool.Note({ text: "a" })
        yield* TestNode.settle
        assert.strictEqual((yield* Pool.stats({ name: "pool" })).dropped, 2)
        yield* Process.kill(yield* pidOf({ name: "pool" }, 0))
        yield* TestNode.settle
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.NoProcess({}))
        const before = (yield* Node.statistics).discarded
        yield* pool.Note({ text: "b" })
        yield* TestNode.settle
        assert.strictEqual((yield* Node.statistics).discarded, before + 1)
        assert.notInclude(log.take(), "@")
      })
  )

  onNode("is a supervisor that can be looked at", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(Pool.make(workServer(), numbered({ size: 2 })))
      const children = yield* Supervisor.whichChildren(pool)
      assert.deepStrictEqual(children.map(({ id, status }) => [Option.getOrThrow(id), status]), [
        ["worker-1", "running"],
        ["worker-0", "running"]
      ])
      assert.strictEqual(Option.getOrThrow(yield* Process.info(pool)).behaviour, "Pool")
    }))
})

describe("PL-06 a worker that ends", () => {
  seeded("is replaced in its place, every time, whatever the reason", () =>
    Effect.gen(function*() {
      const log = new Log()
      const pool = yield* Pool.start(Pool.make(workServer({ log }), numbered({ size: 2, intensity: 10 })))
      for (const end of ["Crash", "Quit", "Crash", "Quit"] as const) {
        const before = yield* pidOf(pool, 0)
        const zero = yield* GenServer.fromPid(Work, before)
        yield* zero[end]()
        yield* TestNode.settle
        assert.notDeepEqual(yield* pidOf(pool, 0), before)
      }
      yield* Process.kill(yield* pidOf(pool, 0))
      yield* TestNode.settle
      const { restarts, workers } = yield* Pool.stats(pool)
      assert.deepStrictEqual([restarts, workers.map(({ restarts }) => restarts)], [5, [5, 0]])
      assert.strictEqual([...(yield* who(pool, 2))].sort().join(""), "01")
      assert.strictEqual(log.take(), "+0 +1" + " -0 +0".repeat(5))
    }))

  seeded(
    "is not replaced once more than the intensity allows: the pool ends with shutdown",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const pool = yield* Pool.start(
          Pool.make(workServer({ log }), numbered({ size: 2, intensity: 2, period: "5 seconds" }))
        )
        const ended = yield* Effect.forkScoped(Process.awaitExit(pool))
        for (let i = 0; i < 3; i++) {
          assert.isUndefined(ended.pollUnsafe())
          yield* Process.kill(yield* pidOf(pool, i % 2))
          yield* TestNode.settle
        }
        assert.deepStrictEqual(yield* Fiber.join(ended), ExitReason.shutdown)
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.NoProcess({}))
        assert.strictEqual(log.take(), "+0 +1 -0 +0 -1 +1 -0 -1")
      })
  )

  onNode("may end three times in five seconds for each worker, if nothing else was said", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(Pool.make(workServer(), numbered({ size: 2 })))
      const ended = yield* Effect.forkScoped(Process.awaitExit(pool))
      for (let i = 0; i < 6; i++) {
        yield* Process.kill(yield* pidOf(pool, 0))
        yield* TestNode.settle
      }
      assert.isUndefined(ended.pollUnsafe())
      yield* Process.kill(yield* pidOf(pool, 0))
      yield* TestNode.settle
      assert.deepStrictEqual(yield* Fiber.join(ended), ExitReason.shutdown)
    }))

  onNode("loses the calls that waited for it, and only those", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const pool = yield* Pool.start(Pool.make(workServer({ gate }), numbered({ size: 2 })))
      const [zero, one] = yield* Effect.forEach([0, 1], () => Effect.forkScoped(Effect.result(pool.Wait())))
      yield* TestNode.settle
      yield* Process.kill(yield* pidOf(pool, 0))
      yield* TestNode.settle
      assert.include(String(yield* Fiber.join(zero!)), "killed")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(one!))._tag, "Success")
    }))
})

describe("PL-07 the size of a pool", () => {
  seeded("grows behind the last worker and shrinks from it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const pool = yield* Pool.start(Pool.make(workServer({ log }), numbered({ size: 1 })))
      yield* Pool.resize(pool, 4)
      assert.strictEqual([...(yield* who(pool, 8))].sort().join(""), "00112233")
      yield* Pool.resize(pool, 2)
      assert.strictEqual([...(yield* who(pool, 4))].sort().join(""), "0011")
      yield* Pool.resize(pool, 2)
      yield* Pool.resize(pool, 3)
      assert.strictEqual(log.take(), "+0 +1 +2 +3 -3 -2 +2")
      const { size, workers } = yield* Pool.stats(pool)
      assert.deepStrictEqual([size, workers.map(({ restarts }) => restarts)], [3, [0, 0, 0]])
    }))

  seeded(
    "shrinks when the worker has finished what waits for it, and gives it nothing more",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const gate = yield* Deferred.make<void>()
        const pool = yield* Pool.start(Pool.make(workServer({ gate, log }), numbered({ size: 2 })))
        const one = yield* GenServer.fromPid(Work, yield* pidOf(pool, 1))
        const calls = [yield* Effect.forkScoped(one.Wait()), yield* Effect.forkScoped(one.Who())]
        yield* TestNode.settle
        log.take()
        const resized = yield* Effect.forkScoped(Pool.resize(pool, 1))
        yield* TestNode.settle
        assert.strictEqual(yield* who(pool, 3), "000")
        assert.strictEqual(log.take(), "")
        assert.isUndefined(resized.pollUnsafe())
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(resized)
        assert.deepStrictEqual(yield* Effect.forEach(calls, Fiber.join), [1, 1])
        assert.strictEqual(log.take(), "-1")
      })
  )

  seeded("is the one that was asked for last, when requests overlap", () =>
    Effect.gen(function*() {
      const log = new Log()
      const slowly = workServer({ log, start: (worker) => worker === 0 ? Effect.void : Effect.sleep(10) })
      const pool = yield* Pool.start(Pool.make(slowly, numbered({ size: 1 })))
      const both = yield* Effect.forkScoped(Pool.resize(pool, 5))
      yield* TestNode.settle
      yield* TestClock.adjust(15)
      const last = yield* Effect.forkScoped(Pool.resize(pool, 2))
      yield* TestClock.adjust(100)
      yield* Fiber.join(both)
      yield* Fiber.join(last)
      assert.strictEqual((yield* Pool.stats(pool)).size, 2)
      assert.strictEqual(log.take(), "+0 +1 +2 -2")
    }))

  onNode(
    "stays where a worker could not be started, with the typed failure in the error",
    () =>
      Effect.gen(function*() {
        const broken = new Broken({ child: "2" })
        const server = workServer({ start: (worker) => worker === 2 ? Effect.fail(broken) : Effect.void })
        const pool = yield* Pool.start(Pool.make(server, numbered({ size: 1 })))
        const error = yield* Effect.flip(Pool.resize(pool, 4))
        assert.instanceOf(error, OtpError.SupervisorError)
        assert.deepStrictEqual([error.reason, error.detail], ["StartFailed", broken])
        assert.strictEqual((yield* Pool.stats(pool)).size, 2)
        assert.strictEqual(yield* who(pool, 2), "01")
        yield* Pool.resize(pool, 1)
        assert.strictEqual((yield* Pool.stats(pool)).size, 1)
      })
  )

  onNode("must be an integer of 1 or more", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(Pool.make(workServer(), numbered({ size: 1 })))
      for (const size of [0, -1, 1.5, NaN, Infinity]) {
        const error = yield* Effect.flip(Pool.resize(pool, size))
        assert.include(error.message, String(size))
        assert.throws(
          () => Pool.make(workServer(), numbered({ size })),
          `size must be an integer, 1 or more; found ${size}`
        )
      }
      assert.throws(() => Pool.make(workServer(), numbered({ size: 1, capacity: 0 })), "capacity must be 1 or more")
      assert.throws(() => Pool.make(workServer(), numbered({ size: 1, intensity: -1 })), "InvalidIntensity")
      class Clash extends Protocol.make("Clash", Message.Call("WhichChildren")) {}
      const clash = GenServer.make(Clash, { init: () => Effect.void, handlers: { WhichChildren: () => {} } })
      assert.throws(() => Pool.make(clash, { size: 1 }), "WhichChildren")
    }))
})

describe("a pool that starts and stops", () => {
  seeded(
    "PL-01 starts its workers in order with its arguments, and rolls back when one cannot start",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const broken = new Broken({ child: "2" })
        const server = workServer({ log, start: (worker) => worker === 2 ? Effect.fail(broken) : Effect.void })
        const error = yield* Effect.flip(Pool.start(Pool.make(server, numbered({ size: 4 }))))
        assert.instanceOf(error, OtpError.SupervisorStartError)
        assert.deepStrictEqual([error.child, error.error], ["worker-2", broken])
        assert.deepStrictEqual(log.take().split(" ").sort(), ["+0", "+1", "-0", "-1"])
        // The same arguments for all, when there is no function.
        const pool = yield* Pool.start(Pool.make(server, { size: 2 }), 7)
        assert.strictEqual(yield* who(pool, 2), "77")
      })
  )

  seeded(
    "lets its workers finish what waits for them, all at the same time, and takes nothing new",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const gate = yield* Deferred.make<void>()
        const pool = yield* Pool.start(Pool.make(workServer({ gate, log }), numbered({ size: 3 })))
        const calls = yield* inBackground(6, pool.Wait(undefined, { timeout: "Infinity" }))
        log.take()
        const stopped = yield* Effect.forkScoped(Process.stop(pool))
        yield* TestNode.settle
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.NoProcess({}))
        yield* TestClock.adjust(4999)
        assert.strictEqual(log.take(), "")
        yield* Deferred.succeed(gate, undefined)
        const answers = yield* Effect.forEach(calls, Fiber.join)
        assert.deepStrictEqual([...answers].sort(), [0, 0, 1, 1, 2, 2])
        yield* Fiber.join(stopped)
        assert.deepStrictEqual(log.take().split(" ").sort(), ["-0", "-1", "-2"])
      })
  )

  seeded("kills the workers that do not finish in time, with one limit for all of them", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(Pool.make(workServer(), numbered({ size: 3, shutdown: "2 seconds" })))
      const calls = yield* inBackground(4, reasonOf(pool.Wait(undefined, { timeout: "Infinity" })))
      const stopped = yield* Effect.forkScoped(Process.stop(pool))
      yield* TestClock.adjust(1999)
      assert.isUndefined(stopped.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(stopped)
      for (const call of calls) {
        assert.deepStrictEqual(yield* Fiber.join(call), new CallError.ProcessExit({ exitReason: ExitReason.killed }))
      }
    }))

  seeded("ends its workers at once when they are not to finish", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.start(Pool.make(workServer(), numbered({ size: 2, drain: false })))
      const call = yield* Effect.forkScoped(reasonOf(pool.Wait()))
      yield* TestNode.settle
      yield* Process.stop(pool)
      assert.deepStrictEqual(yield* Fiber.join(call), new CallError.ProcessExit({ exitReason: ExitReason.shutdown }))
    }))

  seeded(
    "is found by its name, before and after it was restarted by its supervisor with its first size",
    () =>
      Effect.gen(function*() {
        const Workers = Pool.make(workServer(), numbered({ size: 2 }))
        const tree = yield* Supervisor.start(Supervisor.make({
          children: [Pool.asChild("workers", Workers, undefined, { name: "workers" })]
        }))
        const pool = yield* Pool.named(Work, "workers")
        assert.strictEqual(yield* who(pool, 3), "010")
        yield* Pool.resize(pool, 3)
        yield* Process.kill({ name: "workers" })
        yield* TestNode.settle
        assert.strictEqual(yield* who(pool, 3), "010")
        assert.strictEqual((yield* Pool.stats(pool)).size, 2)
        yield* Supervisor.terminateChild(tree, "workers")
        assert.deepStrictEqual(yield* reasonOf(pool.Who()), new CallError.NoProcess({}))
        assert.deepStrictEqual(yield* reasonOf(Pool.stats(pool)), new CallError.NoProcess({}))
      })
  )

  onNode("is a layer for a service that does not show whether it is one process or many", () =>
    Effect.gen(function*() {
      class Workers extends Pool.Service<Workers>()("test/Workers", Work) {}
      const use = Effect.flatMap(Workers, (workers) => who(workers, 3))
      const many = Pool.layer(Workers, Pool.make(workServer(), numbered({ size: 2 })))
      const one = GenServer.layer(Workers, workServer(), 5)
      assert.strictEqual(yield* Effect.provide(use, many), "010")
      assert.strictEqual(yield* Effect.provide(use, one), "555")
      const failing = Pool.layer(
        Workers,
        Pool.make(workServer({ start: () => Effect.fail(new Broken({ child: "x" })) }), { size: 1 }),
        1
      )
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(failing)))
      assert.isTrue(Exit.isFailure(exit))
    }))

  onNode("gives its environment to its workers, and its statistics to whoever asks", () =>
    Effect.gen(function*() {
      class Env extends Protocol.make("Env", Message.Call("Read", { success: Schema.Unknown })) {}
      const server = GenServer.make(Env, {
        init: () => Effect.void,
        handlers: { Read: () => Effect.map(Process.getEnv("colour"), Option.getOrNull) }
      })
      const pool = yield* Pool.start(Pool.make(server, { size: 2 }), undefined, { environment: { colour: "red" } })
      assert.strictEqual(yield* pool.Read(), "red")
      yield* pool.Read()
      yield* pool.Read()
      const { handled, restarts, size, waiting, workers } = yield* Pool.stats(pool)
      assert.deepStrictEqual({ handled, restarts, size, waiting }, { handled: 3, restarts: 0, size: 2, waiting: 0 })
      assert.deepStrictEqual(workers.map(({ capacity, handled, worker }) => [worker, handled, capacity]), [
        [0, 2, 100_000],
        [1, 1, 100_000]
      ])
    }))

  onNode("goes with the scope in which it was started", () =>
    Effect.gen(function*() {
      const log = new Log()
      const scope = yield* Scope.make()
      yield* Effect.provideService(
        Pool.start(Pool.make(workServer({ log }), numbered({ size: 2 }))),
        Scope.Scope,
        scope
      )
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(log.take().split(" ").sort(), ["+0", "+1", "-0", "-1"])
    }))
})
