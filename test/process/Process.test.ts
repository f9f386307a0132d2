/**
 * What a process knows of itself and others: identity, environment, sending, and what `info` shows.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Option, Queue, Schema } from "effect"
import type { CallError } from "effect-otp"
import { GenServer, Message, Node, Process, ProcessRef, Protocol, Signal } from "effect-otp"
import { Probe, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { Counter, counterServer, seen } from "./CounterServer.ts"

const infoOf = (target: Process.Target) => Effect.map(Process.info(target), Option.getOrThrow)

class Config extends Context.Service<Config, { readonly value: number }>()("test/Config") {}

describe("a process", () => {
  everySeed(
    "has a pid of its own, of its node, and a parent when a process has started it",
    () =>
      Effect.gen(function*() {
        const node = yield* Node.Node
        const got = yield* Process.run(Effect.gen(function*() {
          const self = yield* Process.self
          const child = yield* Probe.make()
          return { self, parent: yield* Process.parent, childsParent: yield* child.as(Process.parent) }
        }))
        assert.deepStrictEqual([got.self.node, got.self.creation], [node.name, node.creation])
        assert.isTrue(Option.isNone(got.parent))
        assert.strictEqual(String(Option.getOrThrow(got.childsParent)), String(got.self))
        const pids = yield* Effect.forEach([1, 2, 3], () => Process.spawn(() => Effect.void))
        assert.strictEqual(new Set(pids.map(String)).size, 3)
      })
  )

  everySeed("has the services of whoever starts it, and a scope of its own", () =>
    Effect.gen(function*() {
      const got = yield* Process.run(
        Effect.gen(function*() {
          const { value } = yield* Config
          let released = false
          const inner = yield* Process.spawn(() =>
            Effect.acquireRelease(Config, () => Effect.sync(() => released = true))
          )
          yield* Process.awaitExit(inner)
          return [value, released]
        })
      ).pipe(Effect.provideService(Config, { value: 7 }))
      assert.deepStrictEqual(got, [7, true])
    }))

  everySeed("takes its messages from its mailbox, in order", () =>
    Effect.gen(function*() {
      const got: Array<unknown> = []
      const pid = yield* Process.spawn((mailbox) =>
        Effect.forever(Effect.map(Queue.take(mailbox), (value) => void got.push(value)))
      )
      for (let n = 0; n < 100; n++) yield* Process.send(pid, n)
      yield* TestNode.settle
      assert.deepStrictEqual(got, Array.from({ length: 100 }, (_, n) => n))
    }))

  everySeed("gets typed calls as requests, and answers them once", () =>
    Effect.gen(function*() {
      const pid = yield* Process.spawn(() =>
        Effect.forever(Effect.flatMap(Process.receive(Signal.RequestSchema), (request) =>
          Effect.andThen(
            request.from.reply((request.payload as { readonly n: number }).n * 2),
            request.from.reply(-1)
          )))
      )
      const ref = yield* ProcessRef.fromPid(Counter, pid)
      assert.strictEqual(yield* ref.Add({ n: 21 }), 42)
    }))

  everySeed("that ends fails the calls that wait for it with its reason", () =>
    Effect.gen(function*() {
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(Process.receive(Signal.RequestSchema), Effect.die("boom"))
      )
      const ref = yield* ProcessRef.fromPid(Counter, pid)
      const calls = yield* Effect.forEach([1, 2, 3], (n) => Effect.forkChild(Effect.flip(ref.Add({ n }))))
      for (const error of yield* Fiber.joinAll(calls)) {
        assert.oneOf((error as CallError.CallError).reason._tag, ["ProcessExit", "NoProcess"])
      }
    }))
})

describe("the environment", () => {
  everySeed("is inherited down the tree, the nearest value first, the node's last", () =>
    Effect.gen(function*() {
      yield* Process.setNodeEnv("where", "node")
      yield* Process.setNodeEnv("only", "node")
      const got = yield* Process.run(
        Effect.gen(function*() {
          const child = yield* Probe.make()
          yield* Process.setEnv("late", "parent")
          const grandchild = yield* child.as(Probe.make())
          yield* child.as(Process.setEnv("where", "child"))
          const read = (key: string) => Effect.map(Process.getEnv(key), Option.getOrUndefined)
          const all = yield* grandchild.as(Process.listEnv)
          return {
            self: yield* read("where"),
            grandchild: yield* grandchild.as(read("where")),
            late: yield* grandchild.as(read("late")),
            only: yield* grandchild.as(read("only")),
            missing: yield* read("missing"),
            all: Object.fromEntries(all)
          }
        }),
        { environment: { where: "parent", own: 1 } }
      )
      assert.deepStrictEqual(got, {
        self: "parent",
        grandchild: "child",
        late: "parent",
        only: "node",
        missing: undefined,
        all: { where: "child", only: "node", own: 1, late: "parent" }
      })
    }))

  everySeed("gives the value further up again when the nearer one is taken out", () =>
    Effect.gen(function*() {
      yield* Process.setNodeEnv("where", "node")
      const probe = yield* Probe.make()
      const read = Effect.map(probe.as(Process.getEnv("where")), Option.getOrUndefined)
      yield* probe.as(Process.setEnv("where", "process"))
      assert.strictEqual(yield* read, "process")
      assert.isTrue(yield* probe.as(Process.unsetEnv("where")))
      assert.isFalse(yield* probe.as(Process.unsetEnv("where")))
      assert.strictEqual(yield* read, "node")
      assert.isTrue(yield* Process.unsetNodeEnv("where"))
      assert.isFalse(yield* Process.unsetNodeEnv("where"))
      assert.strictEqual(yield* read, undefined)
      assert.deepStrictEqual([...yield* probe.as(Process.listEnv)], [])
    }))

  everySeed("of the node is seen by processes that run already", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      assert.isTrue(Option.isNone(yield* probe.as(Process.getEnv("key"))))
      yield* Process.setNodeEnv("key", undefined)
      assert.deepStrictEqual(yield* probe.as(Process.getEnv("key")), Option.some(undefined))
    }))

  everySeed("of a server comes from its options and its parent", () =>
    Effect.gen(function*() {
      class Env
        extends Protocol.make("Env", Message.Call("Get", { payload: { key: Schema.String }, success: Schema.Unknown }))
      {}
      const server = GenServer.make(Env, () =>
        Effect.succeed(Env.of({ Get: ({ key }) => Effect.map(Process.getEnv(key), Option.getOrUndefined) })))
      const parent = yield* Probe.make()
      yield* parent.as(Process.setEnv("a", "parent"))
      const ref = yield* parent.as(GenServer.start(server, undefined, { environment: { b: "option" } }))
      assert.deepStrictEqual([yield* ref.Get({ key: "a" }), yield* ref.Get({ key: "b" })], ["parent", "option"])
    }))
})

describe("sending", () => {
  everySeed("to nobody is counted and harmless; trySend says so", () =>
    Effect.gen(function*() {
      const gone = yield* Probe.make()
      yield* gone.end()
      const before = (yield* Node.statistics).discarded
      yield* Process.send(gone, 1)
      yield* Process.send({ name: "nobody" }, 1)
      assert.strictEqual((yield* Node.statistics).discarded - before, 2)
      for (const target of [gone.pid, { name: "nobody" }]) {
        const error = yield* Effect.flip(Process.trySend(target, 1))
        assert.strictEqual(error.reason._tag, "NoProcess")
        assert.include(error.message, "OTP_NOPROC")
      }
    }))

  everySeed("to a process that is ending fails with trySend", () =>
    Effect.gen(function*() {
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(Effect.addFinalizer(() => Effect.sleep("1 second")), Effect.never)
      )
      yield* TestNode.settle
      yield* Process.exit(pid)
      const error = yield* Effect.flip(Process.trySend(pid, 1))
      assert.strictEqual(error.reason._tag, "NoProcess")
    }))

  everySeed("passes values as they are", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const value = { deep: { map: new Map([[1, 2]]) } }
      yield* Process.send(probe, value)
      assert.strictEqual(yield* probe.expectMessage(Schema.Unknown), value)
    }))

  everySeed(
    "reaches a server as an info when tag and payload fit, whatever the payload, else through unhandled",
    () =>
      Effect.gen(function*() {
        const got: Array<unknown> = []
        class Infos extends Protocol.make(
          "Infos",
          Message.Info("Fields", { payload: { n: Schema.Int } }),
          Message.Info("Plain", { payload: Schema.Int }),
          Message.Info("List", { payload: Schema.Array(Schema.Int) }),
          Message.Info("Empty"),
          Message.Cast("NoInfo", { payload: { n: Schema.Int } })
        ) {}
        const ref = yield* GenServer.start(GenServer.make(Infos, () =>
          Effect.succeed(Infos.of({
            Fields: ({ n }) => void got.push(["Fields", n]),
            Plain: (n) => void got.push(["Plain", n]),
            List: (list) => void got.push(["List", ...list]),
            Empty: () => void got.push(["Empty"]),
            NoInfo: () => void got.push(["NoInfo"]),
            unhandled: (term) => void got.push(term)
          }))))
        yield* ref.Fields({ n: 1 })
        yield* ref.Plain(2)
        yield* ref.List([3, 4])
        yield* ref.Empty()
        const values: ReadonlyArray<unknown> = [
          { _tag: "Fields", n: 5 },
          { _tag: "Plain", payload: 6 },
          { _tag: "List", payload: [7] },
          { _tag: "Empty" },
          { _tag: "NoInfo", n: 8 },
          { _tag: "Fields", n: "bad" },
          { _tag: "Other" },
          null,
          "text",
          { _tag: 9 }
        ]
        for (const value of values) yield* Process.send(ref, value)
        yield* TestNode.settle
        assert.deepStrictEqual(got, [
          ["Fields", 1],
          ["Plain", 2],
          ["List", 3, 4],
          ["Empty"],
          ["Fields", 5],
          ["Plain", 6],
          ["List", 7],
          ["Empty"],
          ...values.slice(4)
        ])
      })
  )

  everySeed("F19: a schema that throws at a value ends neither sender nor receiver", () =>
    Effect.gen(function*() {
      const got: Array<unknown> = []
      const Broken = Schema.Int.check(Schema.makeFilter((n: number): boolean => {
        if (n === 13) throw new Error("the filter broke")
        return true
      }))
      class Infos extends Protocol.make("Infos", Message.Info("Tick", { payload: { n: Broken } })) {}
      const ref = yield* GenServer.start(GenServer.make(Infos, () =>
        Effect.succeed(Infos.of({
          Tick: ({ n }) => void got.push(n),
          unhandled: (term) => void got.push(term)
        }))))
      for (const n of [1, 13, 2]) {
        yield* Process.send(ref, { _tag: "Tick", n })
      }
      yield* Process.sendAfter(ref, { _tag: "Tick", n: 13 }, 0)
      yield* Process.sendAfter(ref, { _tag: "Tick", n: 3 }, 0)
      yield* TestNode.settle
      assert.deepStrictEqual(got, [1, { _tag: "Tick", n: 13 }, 2, { _tag: "Tick", n: 13 }, 3])
    }))
})

describe("Process.info", () => {
  everySeed("shows a server", () =>
    Effect.gen(function*() {
      const parent = yield* Probe.make()
      const server = yield* parent.as(
        GenServer.startDetached(counterServer(), 3, {
          name: "counter",
          label: "the counter",
          trapExit: true,
          mailbox: { capacity: 10 }
        })
      )
      yield* parent.link(server)
      yield* parent.monitor(server)
      const sleeping = yield* Effect.forkChild(server.Sleep({ millis: 1000 }))
      yield* TestNode.settle
      yield* server.Note({ n: 1 })
      const info = yield* infoOf(server)
      assert.deepStrictEqual(
        {
          ...info,
          pid: String(info.pid),
          links: info.links.map(String),
          parent: String(Option.getOrThrow(info.parent))
        },
        {
          pid: String(server.pid),
          names: ["counter"],
          label: Option.some("the counter"),
          status: "running",
          behaviour: "Counter",
          parent: String(parent.pid),
          children: [],
          links: [String(parent.pid)],
          monitors: [],
          monitoredBy: 1,
          aliases: 0,
          trapExit: true,
          mailboxLength: 1,
          mailboxCapacity: 10,
          dropped: 0,
          currentMessage: Option.some("Sleep"),
          state: { sum: 3 }
        }
      )
      assert.deepStrictEqual((yield* infoOf(parent)).children.map(String), [String(server.pid)])
      yield* Fiber.interrupt(sleeping)
    }))

  everySeed("shows a low-level process, its label, and that it is ending", () =>
    Effect.gen(function*() {
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(
          Process.label("worker 7"),
          Effect.andThen(Effect.addFinalizer(() => Effect.sleep(10)), Effect.never)
        )
      )
      yield* TestNode.settle
      const info = yield* infoOf(pid)
      assert.deepStrictEqual([info.behaviour, info.label, info.status], ["process", Option.some("worker 7"), "running"])
      yield* Process.exit(pid)
      yield* TestNode.settle
      assert.strictEqual((yield* infoOf(pid)).status, "exiting")
      assert.isFalse(yield* Process.isAlive(pid))
    }))

  everySeed("shows a server that starts", () =>
    Effect.gen(function*() {
      const slow = GenServer.make(Counter, {
        init: () => Effect.as(Effect.sleep("1 second"), 0),
        handlers: counterServer().handlers
      })
      yield* Effect.forkChild(GenServer.startDetached(slow, undefined, { name: "slow" }))
      yield* TestNode.settle
      const info = yield* infoOf({ name: "slow" })
      assert.deepStrictEqual([info.status, info.state], ["starting", undefined])
    }))

  everySeed("shows nothing of who is gone", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      yield* probe.end()
      assert.isTrue(Option.isNone(yield* Process.info(probe)))
    }))
})

describe("a hog", () => {
  everySeed("that never waits does not starve the others", () =>
    Effect.gen(function*() {
      let spins = 0
      yield* Process.spawn(() => Effect.forever(Effect.sync(() => spins++)))
      const log = seen()
      const server = yield* GenServer.start(counterServer(log), 0)
      for (let n = 0; n < 20; n++) assert.strictEqual(yield* server.Add({ n: 1 }), n + 1)
      yield* TestClock.adjust(1)
      assert.isAbove(spins, 0)
    }))

  everySeed(
    "that sends itself messages for ever does not starve the others, nor its own signals",
    () =>
      Effect.gen(function*() {
        class Hog extends Protocol.make("Hog", Message.Cast("Again"), Message.Call("Count", { success: Schema.Int })) {}
        const hog = yield* GenServer.startDetached(
          GenServer.make(Hog, {
            init: () => Effect.succeed(0),
            handlers: {
              Again: (_, count, { self }) => Effect.as(Process.send(self, { _tag: "x" }), GenServer.next(count + 1)),
              Count: (_, count) => GenServer.reply(count, count),
              unhandled: (_, count, { self }) => Effect.as(Process.send(self, { _tag: "x" }), GenServer.next(count + 1))
            }
          })
        )
        yield* hog.Again()
        const server = yield* GenServer.start(counterServer(), 0)
        for (let n = 0; n < 10; n++) yield* server.Add({ n: 1 })
        assert.isAbove(yield* hog.Count(), 0)
        const probe = yield* Probe.make()
        yield* probe.monitor(hog)
        yield* Process.exit(hog)
        yield* probe.expectDown({ of: hog, reason: "Shutdown" })
      })
  )

  it.effect("with a full mailbox takes turns with others", () =>
    Effect.gen(function*() {
      class Busy extends Protocol.make("Busy", Message.Cast("Wait"), Message.Cast("Put")) {}
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      for (const name of ["a", "b"]) {
        const server = yield* GenServer.start(GenServer.make(Busy, () =>
          Effect.succeed(Busy.of({
            Wait: () => Deferred.await(gate),
            Put: () => void log.push(name)
          }))))
        yield* server.Wait()
        yield* TestNode.settle
        for (let n = 0; n < 5000; n++) {
          yield* server.Put()
        }
      }
      yield* Deferred.succeed(gate, undefined)
      yield* TestNode.settle
      assert.strictEqual(log.length, 10_000)
      const changes = log.filter((name, i) => i > 0 && name !== log[i - 1]).length
      assert.isAbove(changes, 10)
    }).pipe(Effect.provide(TestNode.layer())))

  it.live("leaves the event loop its turns", () =>
    Effect.gen(function*() {
      yield* Process.spawn(() => Effect.forever(Effect.void))
      class Hog extends Protocol.make("Hog", Message.Cast("Again")) {}
      const hog: ProcessRef.ProcessRef<Protocol.Messages<typeof Hog>> = yield* GenServer.start(
        GenServer.make(Hog, () => Effect.succeed(Hog.of({ Again: () => hog.Again() })))
      )
      yield* hog.Again()
      // Timers of the host fire although both are always busy.
      for (let i = 0; i < 10; i++) yield* Effect.sleep(1)
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))
})
