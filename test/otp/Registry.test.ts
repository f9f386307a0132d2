import { assert, describe } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Queue, Schema, Scope } from "effect"
import { Behaviour, ExitReason, GenServer, Message, Node, Process, Protocol, Registry, Signal } from "effect-otp"
import type { Pid } from "effect-otp/term"
import { TestNode } from "effect-otp/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { onNode } from "./OnNode.ts"

/** A process that does nothing until it is ended. */
const idle = Process.spawnDetached(() => Effect.never)

/** Runs an effect as a process and leaves the process alive; gives what the effect gave, and the pid. */
const alive = <A, E>(effect: Effect.Effect<A, E, Process.CurrentProcess | Node.Node>) =>
  Effect.gen(function*() {
    const result = yield* Deferred.make<A, E>()
    const pid = yield* Process.spawnDetached(() => Effect.andThen(Deferred.into(effect, result), Effect.never))
    return { pid, result: yield* Effect.exit(Deferred.await(result)) }
  })

/** How many watch a process, of whatever kind. */
const watchersOf = (pid: Pid.Pid) =>
  Effect.map(Node.Node, (node) => Behaviour.processAt(node, pid)?.watchers?.size ?? 0)

const rooms = Registry.unique({ name: "rooms", key: Schema.String, value: Schema.Int })
const topics = Registry.duplicate({ name: "topics", key: Schema.String, value: Schema.Int })

const Room = Protocol.make("Room", Message.Call("Id", { success: Schema.String }), Message.Cast("Crash"))

describe("a unique registry", () => {
  onNode("gives a key to one process at a time, with a value that only it can change", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      const first = yield* alive(Registry.register(registry, "a", 1))
      assert.deepStrictEqual(first.result, Exit.void)
      const second = yield* alive(Registry.register(registry, "a", 2))
      assert.deepStrictEqual(
        second.result,
        Exit.fail(
          new Registry.RegistryError({
            registry: "rooms",
            key: "a",
            reason: "AlreadyRegistered",
            process: first.pid.toString()
          })
        )
      )
      assert.deepStrictEqual(
        yield* Registry.lookup(registry, "a"),
        Option.some({ key: "a", pid: first.pid, value: 1 })
      )
      assert.deepStrictEqual(yield* Registry.whereis(registry, "a"), Option.some(first.pid))
      assert.deepStrictEqual(yield* Registry.lookup(registry, "b"), Option.none())
      const stranger = yield* alive(Registry.updateValue(registry, "a", (n) => n + 1))
      assert.isTrue(Exit.isFailure(stranger.result))
      assert.strictEqual(yield* Registry.count(registry), 1)
    }))

  onNode("lets the process update its value, see its keys and leave", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      yield* Process.run(Effect.gen(function*() {
        yield* Registry.register(registry, "a", 1)
        yield* Registry.register(registry, "b", 2)
        assert.strictEqual(yield* Registry.updateValue(registry, "a", (n) => n + 10), 11)
        assert.strictEqual((yield* Effect.flip(Registry.updateValue(registry, "c", (n) => n))).reason, "NotRegistered")
        assert.strictEqual((yield* Effect.flip(Registry.register(registry, "a", 5))).reason, "AlreadyRegistered")
        const self = yield* Process.self
        assert.deepStrictEqual(yield* Registry.keysOf(registry, self), ["a", "b"])
        assert.deepStrictEqual(yield* Registry.valuesOf(registry, self, "a"), [11])
        assert.strictEqual(yield* Registry.unregister(registry, "a", (n) => n === 1), 0)
        assert.strictEqual(yield* Registry.unregister(registry, "a"), 1)
        assert.strictEqual(yield* Registry.unregister(registry, "a"), 0)
        assert.deepStrictEqual(yield* Registry.keysOf(registry, self), ["b"])
      }))
      assert.strictEqual(yield* Registry.count(registry), 0)
    }))

  everySeed("frees the keys of a process before anyone learns of its end", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      for (const end of [Process.kill, (pid: Process.Target) => Process.exit(pid, ExitReason.shutdown)]) {
        const { pid } = yield* alive(Registry.register(registry, "a", 1))
        const seen = yield* Deferred.make<Option.Option<unknown>>()
        yield* Process.spawnDetached((mailbox) =>
          Effect.gen(function*() {
            yield* Process.monitor(pid)
            yield* Queue.take(mailbox)
            yield* Deferred.succeed(seen, yield* Registry.lookup(registry, "a"))
          })
        )
        yield* TestNode.settle
        yield* end(pid)
        assert.deepStrictEqual(yield* Deferred.await(seen), Option.none())
      }
    }))

  everySeed("gives a key to exactly one of those who want it at once", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      const results = yield* Effect.forEach(
        [1, 2, 3, 4],
        (n) => alive(Effect.andThen(Effect.yieldNow, Registry.register(registry, "a", n))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter(({ result }) => Exit.isSuccess(result)).length, 1)
      assert.strictEqual(yield* Registry.count(registry), 1)
    }))

  onNode("compares keys by structure", () =>
    Effect.gen(function*() {
      const registry = yield* Registry.unique({ key: Schema.Struct({ shop: Schema.String, id: Schema.Int }) })
      const { pid } = yield* alive(Registry.register(registry, { shop: "x", id: 1 }))
      assert.deepStrictEqual(yield* Registry.whereis(registry, { id: 1, shop: "x" }), Option.some(pid))
      assert.deepStrictEqual(yield* Registry.whereis(registry, { shop: "x", id: 2 }), Option.none())
      const error = yield* Effect.flip(Registry.registerFor(registry, pid, { id: 1, shop: "x" }))
      assert.match(error.message, /registry registry, key .*"shop":"x".*is registered under it/)
    }))

  onNode(
    "registers others by pid, name or ref, as long as they live and are of this node",
    () =>
      Effect.gen(function*() {
        const registry = yield* rooms
        const pid = yield* Process.spawnDetached(() => Effect.never, { name: "someone" })
        yield* Registry.registerFor(registry, { name: "someone" }, "a", 1)
        yield* Registry.registerFor(registry, pid, "b", 2)
        assert.deepStrictEqual(yield* Registry.keysOf(registry, pid), ["a", "b"])
        assert.strictEqual(yield* Registry.unregisterFor(registry, pid, "a"), 1)
        yield* Process.kill(pid)
        yield* TestNode.settle
        assert.strictEqual((yield* Effect.flip(Registry.registerFor(registry, pid, "c", 1))).reason, "NoProcess")
        const elsewhere = yield* Effect.flip(Registry.registerFor(registry, { name: "x", node: "other@host" }, "c", 1))
        assert.strictEqual(elsewhere.reason, "NoProcess")
        assert.match(elsewhere.message, /there is no process x on other@host/)
      })
  )

  onNode("watches a process once, and not longer than it has entries", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      const pid = yield* idle
      const watchers = watchersOf(pid)
      yield* Registry.registerFor(registry, pid, "a", 1)
      yield* Registry.registerFor(registry, pid, "b", 1)
      assert.strictEqual(yield* watchers, 1)
      yield* Registry.unregisterFor(registry, pid, "a")
      yield* Registry.unregisterFor(registry, pid, "b")
      assert.strictEqual(yield* watchers, 0)
    }))

  onNode("is empty when its scope has closed, and takes nothing any more", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const registry = yield* Scope.provide(rooms, scope)
      const pid = yield* idle
      yield* Registry.registerFor(registry, pid, "a", 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Registry.select(registry), [])
      assert.strictEqual(yield* watchersOf(pid), 0)
      const exit = yield* Effect.exit(Registry.registerFor(registry, pid, "a", 1))
      assert.isTrue(Exit.hasDies(exit))
    }))

  onNode("can be a layer", () => {
    class Rooms extends Context.Service<Rooms, Registry.Unique<string, number>>()("test/Rooms") {}
    const RoomsLive = Registry.layer(Rooms, rooms)
    return Effect.gen(function*() {
      const registry = yield* Rooms
      const { pid } = yield* alive(Registry.register(registry, "a", 1))
      assert.deepStrictEqual(yield* Registry.whereis(registry, "a"), Option.some(pid))
    }).pipe(Effect.provide(Layer.fresh(RoomsLive)))
  })
})

describe("a ref through a registry", () => {
  const RoomServer = (registry: Registry.Unique<string, number>) =>
    GenServer.make(Room, {
      init: (id: string) => Effect.as(Registry.register(registry, id, 0), id),
      handlers: { Id: (_, id) => id, Crash: () => Effect.die("crash") }
    })

  onNode("reaches whoever has the key now, also after a restart", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      const room = yield* Registry.ref(Room, registry, "r1")
      const absent = yield* Effect.flip(room.Id())
      assert.strictEqual(absent.reason._tag, "NoProcess")
      assert.strictEqual(absent.target, "rooms(\"r1\")")
      yield* room.Crash()
      const server = RoomServer(registry)
      const first = yield* GenServer.startDetached(server, "r1")
      assert.strictEqual(yield* room.Id(), "r1")
      // The key is taken: the start fails with the error of the registry, and leaves nothing.
      const taken = yield* Effect.flip(GenServer.startDetached(server, "r1"))
      assert.strictEqual(taken._tag, "RegistryError")
      yield* room.Crash()
      yield* TestNode.settle
      assert.isFalse(yield* Process.isAlive(first))
      const second = yield* GenServer.startDetached(server, "r1")
      assert.strictEqual(yield* room.Id(), "r1")
      assert.deepStrictEqual(yield* Registry.whereis(registry, "r1"), Option.some(second.pid))
    }))

  onNode("works wherever a name does: send, monitor, stop, whereis", () =>
    Effect.gen(function*() {
      const registry = yield* rooms
      yield* GenServer.startDetached(RoomServer(registry), "r1")
      const room = yield* Registry.ref(Room, registry, "r1")
      assert.isTrue(yield* Process.isAlive(room))
      yield* Process.run(Effect.gen(function*() {
        const monitor = yield* Process.monitor(room)
        yield* Process.stop(room)
        const down = yield* Process.receive(Signal.DownSchema)
        assert.deepStrictEqual([down.ref, down.reason], [monitor, ExitReason.normal])
      }))
      assert.isFalse(yield* Process.isAlive(room))
      assert.strictEqual((yield* Effect.flip(Process.trySend(room, "x"))).reason._tag, "NoProcess")
    }))
})

describe("a duplicate registry", () => {
  onNode("has any number of processes under a key, and a process any number of times", () =>
    Effect.gen(function*() {
      const registry = yield* topics
      const first = yield* alive(Registry.register(registry, "t", 1))
      const second = yield* alive(
        Effect.andThen(Registry.register(registry, "t", 2), Registry.register(registry, "t", 3))
      )
      const entries = yield* Registry.lookup(registry, "t")
      assert.deepStrictEqual(entries, [
        { key: "t", pid: first.pid, value: 1 },
        { key: "t", pid: second.pid, value: 2 },
        { key: "t", pid: second.pid, value: 3 }
      ])
      assert.deepStrictEqual(yield* Registry.keysOf(registry, second.pid), ["t", "t"])
      assert.deepStrictEqual(yield* Registry.valuesOf(registry, second.pid, "t"), [2, 3])
      assert.deepStrictEqual((yield* Registry.match(registry, "t", (n) => n > 1)).map((e) => e.value), [2, 3])
      assert.strictEqual(yield* Registry.count(registry, (e) => e.pid === first.pid), 1)
      assert.strictEqual(yield* Registry.unregisterFor(registry, second.pid, "t", (n) => n === 2), 1)
      assert.deepStrictEqual((yield* Registry.select(registry)).map((e) => e.value), [1, 3])
      yield* Process.kill(second.pid)
      yield* TestNode.settle
      assert.deepStrictEqual(yield* Registry.lookup(registry, "t"), entries.slice(0, 1))
    }))

  onNode("hands all entries of a key to dispatch, which is not called for none", () =>
    Effect.gen(function*() {
      const registry = yield* topics
      const got = yield* Queue.make<string>()
      for (const name of ["a", "b"]) {
        const pid = yield* Process.spawnDetached((mailbox) =>
          Effect.flatMap(Queue.take(mailbox), (value) => Queue.offer(got, `${name} ${String(value)}`))
        )
        yield* Registry.registerFor(registry, pid, "news", 0)
      }
      let calls = 0
      const publish = (key: string) =>
        Registry.dispatch(registry, key, (entries) => {
          calls++
          return Effect.forEach(entries, ({ pid }) => Process.send(pid, "extra"))
        })
      yield* publish("news")
      yield* publish("nobody listens")
      assert.deepStrictEqual(yield* Queue.takeN(got, 2), ["a extra", "b extra"])
      assert.strictEqual(calls, 1)
    }))
})

describe("listeners", () => {
  onNode(
    "get each change once, as typed messages, in order, also at the end of a process",
    () =>
      Effect.gen(function*() {
        class Watch extends Protocol.make(
          "Watch",
          Registry.Registered,
          Registry.Unregistered,
          Message.Call("Seen", { success: Schema.Array(Schema.String) })
        ) {}
        const watch = yield* GenServer.start(GenServer.make(Watch, {
          init: () => Effect.succeed<ReadonlyArray<string>>([]),
          handlers: {
            Registered: ({ key, registry, value }, seen) =>
              GenServer.next([...seen, `${registry}: + ${String(key)} ${String(value)}`]),
            Unregistered: ({ key, value }, seen) => GenServer.next([...seen, `- ${String(key)} ${String(value)}`]),
            Seen: (_, seen) => seen
          }
        }))
        const registry = yield* Registry.unique({
          name: "rooms",
          key: Schema.String,
          value: Schema.Int,
          listeners: [watch, { name: "nobody" }]
        })
        const { pid } = yield* alive(Effect.gen(function*() {
          yield* Registry.register(registry, "a", 1)
          yield* Registry.register(registry, "b", 2)
          yield* Effect.exit(Registry.register(registry, "a", 3))
          yield* Registry.updateValue(registry, "b", () => 4)
          yield* Registry.unregister(registry, "a")
        }))
        yield* Process.kill(pid)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* watch.Seen(), ["rooms: + a 1", "rooms: + b 2", "- a 1", "- b 4"])
      })
  )

  onNode("may be low-level processes", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Process.run(
        Effect.gen(function*() {
          const registry = yield* Registry.unique({ key: Schema.Int, listeners: [yield* Process.self] })
          const pid = yield* idle
          yield* Registry.registerFor(registry, pid, 7)
          const { key } = yield* Process.receive(Schema.TaggedStruct("Registered", { key: Schema.Int }))
          return key
        })
      ))
      assert.strictEqual(yield* Fiber.join(fiber), 7)
    }))
})
