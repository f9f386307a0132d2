import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Option, Scheduler, Schema } from "effect"
import { GenServer, Message, Node, Process, type ProcessRef, Protocol } from "effect-otp"
import { SeededScheduler, TestNode } from "effect-otp/testing"
import { RunQueue } from "../../../src/process/internal/RunQueue.ts"
import { everySeed } from "../../testing/EverySeed.ts"

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

class Link extends Protocol.make("Link", Message.Call("Depth", { success: Schema.Int })) {}

/** Servers each of which asks the next one before it answers. */
const chain = (length: number) =>
  Effect.gen(function*() {
    let next: ProcessRef.ProcessRef<Protocol.Messages<typeof Link>> | undefined
    for (let i = 0; i < length; i++) {
      const server = GenServer.make(Link, {
        init: (behind: typeof next) => Effect.succeed(behind),
        handlers: {
          Depth: (_, behind) =>
            behind === undefined
              ? 1
              : Effect.map(Effect.orDie(behind.Depth(undefined, { timeout: "1 hour" })), (n) => n + 1)
        }
      })
      next = yield* GenServer.startDetached(server, next)
    }
    return next!
  })

describe("RunQueue", () => {
  it.live("runs its items in order, in a later microtask", () =>
    Effect.gen(function*() {
      const queue = new RunQueue(new Scheduler.MixedScheduler())
      const log: Array<number> = []
      for (let n = 0; n < 10; n++) queue.push({ run: () => log.push(n) })
      assert.deepStrictEqual(log, [])
      yield* Effect.promise(() => Promise.resolve())
      assert.deepStrictEqual(log, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }))

  it.live("lets the event loop have its turn although there is always more to do", () =>
    Effect.gen(function*() {
      const queue = new RunQueue(new Scheduler.MixedScheduler())
      let ran = 0
      let stop = false
      const again = { run: () => void (ran++, stop || queue.push(again)) }
      queue.push(again)
      yield* turn
      yield* turn
      assert.isAtLeast(ran, 1024)
      assert.isAtMost(ran, 4 * 1024)
      stop = true
      yield* turn
    }))

  it.live("goes on after an item that throws; the host learns of the error", () =>
    Effect.gen(function*() {
      const listeners = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      const errors: Array<unknown> = []
      process.on("uncaughtException", (error) => errors.push(error))
      const queue = new RunQueue(new Scheduler.MixedScheduler())
      const log: Array<string> = []
      queue.push({ run: () => log.push("before") })
      queue.push({
        run: () => {
          throw new Error("boom")
        }
      })
      queue.push({ run: () => log.push("behind") })
      yield* turn
      yield* turn
      queue.push({ run: () => log.push("later") })
      yield* turn
      process.removeAllListeners("uncaughtException")
      for (const listener of listeners) process.on("uncaughtException", listener)
      assert.deepStrictEqual(log, ["before", "behind", "later"])
      assert.strictEqual((errors[0] as Error).message, "boom")
      assert.strictEqual(queue.depth, 0)
    }))

  it.live("drains through the scheduler when that is not the usual one", () =>
    Effect.gen(function*() {
      const scheduler = new SeededScheduler.SeededScheduler()
      const queue = new RunQueue(scheduler)
      const log: Array<number> = []
      for (let n = 0; n < 3; n++) queue.push({ run: () => log.push(n) })
      yield* Effect.callback<void>((resume) => void scheduler.onIdle(() => resume(Effect.void)))
      assert.deepStrictEqual([log, scheduler.ran], [[0, 1, 2], 3])
      assert.strictEqual(queue.maxDepth, 16)
    }))

  it.effect("has its order permuted by a seed, and its depth chosen", () =>
    Effect.gen(function*() {
      const orders = yield* Effect.forEach(TestNode.seeds(20), (seed) =>
        Effect.gen(function*() {
          const scheduler = new SeededScheduler.SeededScheduler(seed)
          const queue = new RunQueue(scheduler)
          const log: Array<number> = []
          for (let n = 0; n < 8; n++) queue.push({ run: () => log.push(n) })
          yield* Effect.callback<void>((resume) => void scheduler.onIdle(() => resume(Effect.void)))
          assert.strictEqual(queue.maxDepth, scheduler.maxInlineDepth)
          assert.sameMembers(log, [0, 1, 2, 3, 4, 5, 6, 7])
          return log.join()
        }))
      assert.isAtLeast(new Set(orders).size, 19)
    }))

  it.live("5000 nested calls need no stack", () =>
    Effect.gen(function*() {
      const first = yield* chain(5000)
      assert.strictEqual(yield* first.Depth(undefined, { timeout: "1 hour" }), 5000)
    }).pipe(Effect.provide(Node.layerLocal())))

  everySeed("500 nested calls, under every seed", () =>
    Effect.gen(function*() {
      const first = yield* chain(500)
      assert.strictEqual(yield* first.Depth(undefined, { timeout: "1 hour" }), 500)
    }))

  /** How many messages wait for a process. */
  const waiting = (target: Process.Target) =>
    Effect.map(Process.info(target), (info) => Option.getOrThrow(info).mailboxLength)

  it.live("5000 processes, each suspended on the next, go on one after the other without a stack", () =>
    Effect.gen(function*() {
      const last = yield* Process.spawnDetached(
        () =>
          Effect.gen(function*() {
            yield* Process.receive(Schema.Literal("start"))
            yield* Process.receive(Schema.Literal("item"))
            return yield* Effect.never
          }),
        { mailbox: { capacity: 1 } }
      )
      yield* Process.send(last, "item")
      let next = last
      for (let i = 0; i < 5000; i++) {
        const to = next
        // Without `forever`, which yields in each round.
        const relay: Effect.Effect<never, never, Process.CurrentProcess | Node.Node> = Effect.flatMap(
          Process.receive(Schema.String),
          (item) => Effect.flatMap(Process.send(to, item), () => relay)
        )
        next = yield* Process.spawnDetached(() => relay, { mailbox: { capacity: 1 } })
        // One in its hands, for which the next has no room, and one in its mailbox.
        yield* Process.send(next, "item")
        yield* turn
        yield* Process.send(next, "item")
      }
      assert.strictEqual(yield* waiting(next), 1)
      yield* Process.send(last, "start")
      while ((yield* waiting(next)) > 0) yield* turn
    }).pipe(Effect.provide(Node.layerLocal())))

  it.live("5000 servers, each suspended on the next, go on one after the other without a stack", () =>
    Effect.gen(function*() {
      class Relay extends Protocol.make("Relay", Message.Cast("Item"), Message.Cast("Wait")) {}
      const gate = yield* Deferred.make<void>()
      const last: ProcessRef.ProcessRef<Protocol.Messages<typeof Relay>> = yield* GenServer.startDetached(
        GenServer.make(
          Relay,
          () => Effect.succeed(Relay.of({ Wait: () => Deferred.await(gate), Item: () => Effect.never }))
        ),
        undefined,
        { mailbox: { capacity: 1 } }
      )
      yield* last.Wait()
      yield* turn
      yield* last.Item()
      let next = last
      for (let i = 0; i < 5000; i++) {
        const to = next
        next = yield* GenServer.startDetached(
          GenServer.make(Relay, () => Effect.succeed(Relay.of({ Wait: () => {}, Item: () => to.Item() }))),
          undefined,
          { mailbox: { capacity: 1 } }
        )
        yield* next.Item()
        yield* turn
        yield* next.Item()
      }
      assert.strictEqual(yield* waiting(next), 1)
      yield* Deferred.succeed(gate, undefined)
      while ((yield* waiting(next)) > 0) yield* turn
    }).pipe(Effect.provide(Node.layerLocal())))
})
