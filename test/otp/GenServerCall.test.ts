/**
 * How calls fail [S12]: always with a typed error that says what, to whom and why; the caller goes on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { CallError, ExitReason, GenServer, Message, Node, Process, type ProcessRef, Protocol } from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { key: Schema.String }) {}

class Store extends Protocol.make(
  "Store",
  Message.Call("Get", { payload: { key: Schema.String }, success: Schema.String, error: NotFound }),
  Message.Call("Run", { payload: { effect: Schema.Any }, success: Schema.Unknown }),
  Message.Cast("Put", { payload: { key: Schema.String } }),
  Message.Call("Size", { success: Schema.Int })
) {}

type Ref = ProcessRef.ProcessRef<Protocol.Messages<typeof Store>>

const StoreServer = GenServer.make(Store, {
  init: () => Effect.succeed(0),
  handlers: {
    Get: ({ key }) => Effect.fail(new NotFound({ key })),
    Run: ({ effect }) => effect as Effect.Effect<unknown>,
    Put: (_, size) => GenServer.next(size + 1),
    Size: (_, size) => size
  }
})

const reasonOf = (call: Effect.Effect<unknown, CallError.CallError | NotFound>) =>
  Effect.map(Effect.flip(call), (error) => {
    assert.instanceOf(error, CallError.CallError)
    return error.reason
  })

describe("a call fails", () => {
  onNode("with the domain error of its message, which is not a CallError", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer)
      assert.deepStrictEqual(yield* Effect.flip(store.Get({ key: "k" })), new NotFound({ key: "k" }))
    }))

  onNode("[S12] with NoProcess at once when there is no such process, name or any more", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer)
      const named = yield* GenServer.named(Store, "nobody")
      assert.deepStrictEqual(yield* reasonOf(named.Size()), new CallError.NoProcess({}))
      yield* Process.stop(store)
      assert.deepStrictEqual(yield* reasonOf(store.Size()), new CallError.NoProcess({}))
      const fromPid = yield* GenServer.fromPid(Store, store.pid)
      assert.deepStrictEqual(yield* reasonOf(fromPid.Size()), new CallError.NoProcess({}))
    }))

  onNode("[S12] with NodeDown at once when the node is not connected", () =>
    Effect.gen(function*() {
      const there = yield* GenServer.named(Store, { name: "store", node: "other@host" })
      assert.deepStrictEqual(yield* reasonOf(there.Size()), new CallError.NodeDown({ node: "other@host" }))
    }))

  onNode("[S12] with CallingSelf at once when a server calls itself", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer, undefined, { name: "store" })
      const self = yield* GenServer.named(Store, "store")
      const inside = (call: Effect.Effect<unknown, CallError.CallError>) => store.Run({ effect: Effect.flip(call) })
      for (const call of [store.Size(), self.Size()]) {
        const error = yield* inside(call)
        assert.deepStrictEqual((error as CallError.CallError).reason, new CallError.CallingSelf({}))
      }
    }))

  for (
    const [what, end, expected] of [
      ["is killed", (ref: Ref) => Process.kill(ref), ExitReason.killed],
      ["gets an exit signal", (ref: Ref) => Process.exit(ref, ExitReason.error("bad")), ExitReason.error("bad")],
      ["is shut down", (ref: Ref) => Process.exit(ref), ExitReason.shutdown]
    ] as const
  ) {
    everySeed(
      `[S12] with the server's reason when it ${what}: the call that is handled and those that wait`,
      () =>
        Effect.gen(function*() {
          const store = yield* GenServer.startDetached(StoreServer)
          const first = yield* Effect.forkChild(reasonOf(store.Run({ effect: Effect.never })))
          yield* TestNode.settle
          const calls = [
            first,
            yield* Effect.forkChild(reasonOf(store.Size())),
            yield* Effect.forkChild(reasonOf(store.Get({ key: "k" })))
          ]
          yield* TestNode.settle
          yield* end(store)
          for (const call of calls) {
            assert.deepStrictEqual(yield* Fiber.join(call), new CallError.ProcessExit({ exitReason: expected }))
          }
        })
    )
  }

  everySeed("[S12] with the server's reason when a handler crashes", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.startDetached(StoreServer)
      const gate = yield* Deferred.make<void>()
      const handled = yield* Effect.forkChild(
        Effect.flip(store.Run({ effect: Effect.andThen(Deferred.await(gate), Effect.die("broken")) }))
      )
      yield* TestNode.settle
      const queued = yield* Effect.forkChild(Effect.flip(store.Size()))
      yield* TestNode.settle
      yield* Deferred.succeed(gate, undefined)
      const first = yield* Fiber.join(handled)
      const second = yield* Fiber.join(queued)
      assert.include(first.message, "Store.Run")
      assert.include(first.message, "broken")
      assert.strictEqual(first.reason._tag, "ProcessExit")
      assert.deepStrictEqual(second.reason, first.reason)
    }))

  onNode("[S12] with CallTimeout after 5 seconds, or the time that the call says", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer)
      const wait = (call: Effect.Effect<unknown, CallError.CallError>) => Effect.forkChild(reasonOf(call))
      yield* store.Run({ effect: Effect.void })
      const busy = yield* Effect.forkChild(store.Run({ effect: Effect.never }, { timeout: "Infinity" }))
      const short = yield* wait(store.Size(undefined, { timeout: "1 second" }))
      const usual = yield* wait(store.Size())
      const long = yield* wait(store.Size(undefined, { timeout: "40 days" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(short), new CallError.CallTimeout({ timeoutMillis: 1000 }))
      yield* TestClock.adjust("3999 millis")
      assert.isUndefined(usual.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(usual), new CallError.CallTimeout({ timeoutMillis: 5000 }))
      yield* TestClock.adjust("39 days")
      assert.isUndefined(long.pollUnsafe())
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* Fiber.join(long))._tag, "CallTimeout")
      assert.isUndefined(busy.pollUnsafe())
      yield* Fiber.interrupt(busy)
      yield* Process.kill(store)
    }))

  onNode(
    "[S12] and drops the reply that comes too late: no message, and the next call gets its own",
    () =>
      Effect.gen(function*() {
        const store = yield* GenServer.start(StoreServer)
        const calling = yield* Effect.forkChild(
          Process.run(Effect.gen(function*() {
            const late = yield* reasonOf(store.Run({ effect: Effect.as(Effect.sleep("6 seconds"), "late") }))
            const next = yield* store.Run({ effect: Effect.succeed("next") })
            const left = yield* Process.receive(Schema.Unknown, { timeout: "1 minute" })
            return [late._tag, next, left._tag] as const
          }))
        )
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* Fiber.join(calling), ["CallTimeout", "next", "None"])
      })
  )

  onNode("[S12] with MailboxFull at once, which is counted", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer, undefined, { mailbox: { capacity: 2 } })
      const gate = yield* Deferred.make<void>()
      const busy = yield* Effect.forkChild(store.Run({ effect: Deferred.await(gate) }))
      yield* TestNode.settle
      yield* store.Put({ key: "a" })
      yield* store.Put({ key: "b" })
      assert.deepStrictEqual(yield* reasonOf(store.Size()), new CallError.MailboxFull({ capacity: 2 }))
      assert.strictEqual((yield* Effect.flatMap(Process.info(store), Effect.fromOption)).dropped, 1)
      assert.strictEqual((yield* Node.statistics).dropped, 1)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(busy)
      assert.strictEqual(yield* store.Size(), 2)
    }))

  onNode("[S12] by interruption of the caller, which leaves the server as it is", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer)
      const gate = yield* Deferred.make<void>()
      const call = yield* Effect.forkChild(store.Run({ effect: Deferred.await(gate) }))
      yield* TestNode.settle
      yield* Fiber.interrupt(call)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* store.Size(), 0)
    }))

  onNode("with an error that names the server, the protocol, the message and what to do", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer, undefined, { name: "store" })
      yield* Process.stop(store)
      const error = yield* Effect.flip(store.Size())
      assert.strictEqual(error.target, "store")
      assert.strictEqual(error.protocol, "Store")
      assert.strictEqual(error.request, "Size")
      assert.include(error.message, "OTP_NOPROC")
    }))

  onNode("so that one reason can be handled apart from the others", () =>
    Effect.gen(function*() {
      const nobody = yield* GenServer.named(Store, "nobody")
      const size = yield* nobody.Size().pipe(Effect.catchReason("CallError", "NoProcess", () => Effect.succeed(-1)))
      assert.strictEqual(size, -1)
    }))
})

class Node2 extends Protocol.make(
  "Node2",
  Message.Call("Set", { payload: { next: Schema.Any } }),
  Message.Call("Count", { payload: { n: Schema.Int }, success: Schema.Int })
) {}

type Link = ProcessRef.ProcessRef<Protocol.Messages<typeof Node2>>

const LinkServer = GenServer.make(Node2, {
  init: (next?: Link) => Effect.succeed(next),
  handlers: {
    Set: ({ next }) => GenServer.reply(undefined, next as Link),
    Count: ({ n }, next) => next === undefined ? n : Effect.orDie(next.Count({ n: n + 1 }))
  }
})

const chain = Effect.gen(function*() {
  let next = yield* GenServer.start(LinkServer)
  const first = next
  for (let i = 1; i < 5000; i++) next = yield* GenServer.start(LinkServer, next)
  assert.strictEqual(yield* next.Count({ n: 1 }, { timeout: "1 minute" }), 5000)
  assert.strictEqual(yield* first.Count({ n: 1 }), 1)
})

describe("servers that call servers", () => {
  onNode("in a chain of 5000 do not run out of stack", () => chain)

  it.live("in a chain of 5000 do not run out of stack on the real run queue either", () =>
    Effect.provide(Effect.scoped(chain), Node.layerLocal()))

  onNode("in a chain of 5000 all learn when the last one crashes", () =>
    Effect.gen(function*() {
      let next = yield* GenServer.startDetached(LinkServer)
      yield* next.Set({ next: { Count: () => Effect.die("at the end") } })
      for (let i = 1; i < 5000; i++) next = yield* GenServer.startDetached(LinkServer, next)
      const error = yield* Effect.flip(next.Count({ n: 1 }, { timeout: "1 minute" }))
      assert.strictEqual(error.reason._tag, "ProcessExit")
      yield* TestNode.settle
      assert.strictEqual((yield* Node.statistics).processes, 0)
    }))

  onNode("in a cycle end with CallTimeout, and with the crash of the one that waited", () =>
    Effect.gen(function*() {
      const a = yield* GenServer.startDetached(LinkServer)
      const b = yield* GenServer.startDetached(LinkServer, a)
      const ends = [yield* endOf(a), yield* endOf(b)]
      yield* a.Set({ next: b })
      const call = yield* Effect.forkChild(Effect.flip(a.Count({ n: 1 }, { timeout: "1 minute" })))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(call)
      assert.strictEqual(error.reason._tag, "ProcessExit")
      for (const end of ends) assert.include(ExitReason.format(yield* Fiber.join(end)), "OTP_")
    }))
})
