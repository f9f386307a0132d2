/**
 * One member and what may come to it: strangers, old letters, slow disks, patient callers.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Duration, Effect, Exit, Fiber, Layer, Result, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol } from "effect-otp"
import { Raft, type RaftCore, RaftStorage } from "effect-otp/raft"
import { MemoryCluster, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import * as EtfSchema from "../../src/etf/EtfSchema.ts"
import * as MessageBytes from "../../src/raft/internal/MessageBytes.ts"
import { makeRandom } from "../term/randomTerm.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int })
) {}

const CounterRaft = Raft.make(Counter, {
  state: Schema.Int,
  initial: 0,
  reads: ["Get"],
  apply: {
    Add: ({ n }, count) => Raft.reply(count + n, count + n),
    Get: (_, count) => count
  }
})

/** What other members say. */
class Steps extends Protocol.make(
  "Steps",
  Message.Cast("RaftStep", { payload: { from: Schema.String, bytes: Schema.Uint8Array } })
) {}

const say = (from: string, bytes: Uint8Array) =>
  Effect.flatMap(GenServer.named(Steps, "counter"), (member) => member.RaftStep({ from, bytes }))

const options = { group: "counter", options: { electionTimeout: 500, heartbeat: 50 } }

/** Milliseconds without a leader, in small steps. */
const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.repeat(TestClock.adjust("25 millis"), {
    times: Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(duration)) / 25) - 1
  })

/** A storage that remembers nothing and takes its time. */
const slow = (pause: Effect.Effect<void>, opened: () => void = () => {}) =>
  Layer.succeed(RaftStorage.RaftStorage, {
    open: () =>
      Effect.sync(() => {
        opened()
        return {
          recover: Effect.succeed({ term: 0, votedFor: undefined, snapshot: undefined, entries: [] }),
          persist: () => pause
        }
      })
  })

describe("a member", () => {
  it.effect("is the only one of its group on its node: a second one comes nowhere near the files", () => {
    let opened = 0
    return Effect.gen(function*() {
      const { name } = yield* Node.Node
      const first = yield* GenServer.start(CounterRaft, { ...options, members: [name] })
      const second = yield* Effect.exit(GenServer.start(CounterRaft, { ...options, members: [name] }))
      assert.isTrue(Exit.isFailure(second))
      assert.strictEqual(opened, 1)
      const fiber = yield* Effect.forkChild(first.Add({ n: 1 }))
      yield* pass("2 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), 1)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), slow(Effect.void, () => opened++)]))
  })

  it.effect("two groups live on one node, each with a state of its own", () =>
    Effect.gen(function*() {
      const { name } = yield* Node.Node
      const one = yield* GenServer.start(CounterRaft, { ...options, group: "one", members: [name] })
      const two = yield* GenServer.start(CounterRaft, { ...options, group: "two", members: [name] })
      yield* pass("2 seconds")
      assert.strictEqual(yield* one.Add({ n: 1 }), 1)
      assert.strictEqual(yield* two.Add({ n: 5 }), 5)
      assert.strictEqual(yield* one.Get(), 1)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("[S33] takes no answer to a read of an earlier life for one of today", () =>
    Effect.gen(function*() {
      const { name } = yield* Node.Node
      const counter = yield* GenServer.start(CounterRaft, { ...options, members: [name, "x@test", "y@test"] })
      const sign = MessageBytes.encode({
        _tag: "Append",
        term: 1,
        previousIndex: 0,
        previousTerm: 0,
        entries: [],
        commit: 0,
        round: 1
      })
      yield* say("x@test", sign)
      assert.strictEqual((yield* Raft.status("counter")).leader, "x@test")
      const read = yield* Effect.forkChild(Effect.exit(counter.Get()))
      yield* TestNode.settle
      // The number may be one of a read of today; the session is not.
      yield* say("x@test", MessageBytes.encode({ _tag: "Readable", session: 1, ref: 1_000_000, index: 0 }))
      yield* TestNode.settle
      assert.isUndefined(read.pollUnsafe())
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(read)))
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("[S34] applies a command that comes twice once, and none that its sender no longer waits for", () =>
    Effect.gen(function*() {
      const { name } = yield* Node.Node
      const counter = yield* GenServer.start(CounterRaft, { ...options, members: [name] })
      yield* pass("2 seconds")
      const payload = Result.getOrThrow(
        EtfSchema.compile(Schema.Struct({ n: Schema.Int })).encode({ n: 1 })
      )
      const add = (serial: number, settled: number, session = 5) =>
        say(
          "x@test",
          MessageBytes.encode({
            _tag: "Command",
            command: MessageBytes.encodeCommand({ origin: "x@test", session, serial, settled, tag: "Add", payload })
          })
        )
      // As after a change of leaders: the old one's entry is committed, and the new one is asked as well.
      yield* add(1, 1)
      yield* add(1, 1)
      yield* add(2, 1)
      yield* pass("1 second")
      yield* add(1, 1)
      yield* pass("1 second")
      assert.strictEqual(yield* counter.Get(), 2)
      yield* add(9, 9)
      yield* add(3, 1)
      yield* pass("1 second")
      assert.strictEqual(yield* counter.Get(), 3)
      // Another life of the same member counts from one again.
      yield* add(1, 1, 6)
      yield* pass("1 second")
      assert.strictEqual(yield* counter.Get(), 4)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("is unmoved by what strangers send, in whatever form", () =>
    Effect.gen(function*() {
      const { name } = yield* Node.Node
      const counter = yield* GenServer.start(CounterRaft, { ...options, members: [name] })
      yield* pass("2 seconds")
      assert.strictEqual(yield* counter.Add({ n: 1 }), 1)
      const random = makeRandom(11)
      const { term } = yield* Raft.status("counter")
      for (let i = 0; i < 2000; i++) {
        const bytes = Uint8Array.from({ length: 2 + Math.floor(random() * 80) }, () => Math.floor(random() * 256))
        bytes[0] = 1
        bytes[1] = 1 + Math.floor(random() * 20)
        yield* say(`stranger${i}@test`, bytes)
      }
      yield* say("stranger@test", MessageBytes.encode({ _tag: "VoteReply", term, poll: false, granted: true }))
      const reply = { _tag: "AppendReply", term, round: 9, accepted: true, index: 9, retry: 9 } as const
      yield* say("stranger@test", MessageBytes.encode(reply))
      yield* say("stranger@test", MessageBytes.encode({ _tag: "Command", command: Uint8Array.of(1, 2, 3) }))
      yield* pass("1 second")
      assert.strictEqual(yield* counter.Get(), 1)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("a leader with a slow disk puts a command into its log once", () => {
    let pause: Duration.Input = 0
    return Effect.gen(function*() {
      const { name } = yield* Node.Node
      const counter = yield* GenServer.start(CounterRaft, { ...options, members: [name] })
      yield* pass("10 seconds")
      assert.strictEqual((yield* Raft.status("counter")).role, "Leader")
      pause = "3 seconds"
      const added = yield* Effect.forkChild(counter.Add({ n: 1 }, { timeout: "1 minute" }))
      yield* pass("10 seconds")
      assert.strictEqual(yield* Fiber.join(added), 1)
      assert.strictEqual((yield* Raft.status("counter")).lastIndex, 2)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), slow(Effect.suspend(() => Effect.sleep(pause)))]))
  })

  it.effect("forgets requests whose callers have given up", () =>
    Effect.gen(function*() {
      const { name } = yield* Node.Node
      const counter = yield* GenServer.start(CounterRaft, { ...options, members: [name, "x@test", "y@test"] })
      const calls = yield* Effect.forkChild(
        Effect.all([Effect.exit(counter.Add({ n: 1 })), Effect.exit(counter.Get())], { concurrency: 2 })
      )
      yield* TestNode.settle
      assert.strictEqual((yield* Raft.status("counter")).waiting, 2)
      yield* pass("7 seconds")
      yield* Fiber.join(calls)
      assert.strictEqual((yield* Raft.status("counter")).waiting, 0)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("a part of it that fails ends all of it, with the reason", () => {
    let broken = false
    const storage = slow(Effect.suspend(() => broken ? Effect.die(new Error("no such thing")) : Effect.void))
    return Effect.gen(function*() {
      const { name } = yield* Node.Node
      const counter = yield* GenServer.startDetached(CounterRaft, { ...options, members: [name] })
      yield* pass("2 seconds")
      const ended = yield* Effect.forkChild(Process.awaitExit(counter))
      broken = true
      const added = yield* Effect.forkChild(Effect.exit(counter.Add({ n: 1 })))
      yield* pass("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(added)))
      const reason = yield* Fiber.join(ended)
      assert.strictEqual(reason._tag, "Error")
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), storage]))
  })
})

describe("a group", () => {
  const nodes = ["a@test", "b@test", "c@test"]

  it.effect("what was under way when the leader died is answered once there is another", () =>
    Effect.gen(function*() {
      const cluster = yield* MemoryCluster.MemoryCluster
      const kept = new Map<string, Context.Context<RaftStorage.RaftStorage>>()
      for (const node of nodes) kept.set(node, yield* Layer.build(Layer.fresh(RaftStorage.memory)))
      const start = (node: string) =>
        cluster.on(node, GenServer.startDetached(CounterRaft, { ...options, members: nodes })).pipe(
          Effect.provideContext(kept.get(node)!)
        )
      for (const node of nodes) yield* start(node)
      yield* pass("5 seconds")
      for (let i = 1; i <= 12; i++) {
        const { leader } = yield* cluster.on("a@test", Raft.status("counter"))
        const [one, other] = nodes.filter((node) => node !== leader)
        const counter = yield* cluster.on(one!, GenServer.named(Counter, "counter"))
        // The one that asks does not hear that its command is in the log: the other one knows, and may lead next.
        const added = yield* Effect.forkChild(counter.Add({ n: 1 }, { timeout: "1 minute" }))
        yield* TestClock.adjust(Duration.millis(i % 4))
        yield* cluster.disconnect(leader!, one!)
        yield* TestClock.adjust("1 millis")
        yield* cluster.kill(leader!)
        yield* pass("4 seconds")
        assert.strictEqual(yield* Fiber.join(added), i)
        const there = yield* cluster.on(other!, GenServer.named(Counter, "counter"))
        const read = yield* Effect.forkChild(there.Get())
        yield* pass("1 second")
        assert.strictEqual(yield* Fiber.join(read), i)
        yield* cluster.restart(leader!)
        yield* cluster.connect(leader!, one!)
        yield* start(leader!)
        yield* pass("3 seconds")
      }
    }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer(nodes))))

  it.effect("a caller that waits for minutes is answered once there is a majority", () =>
    Effect.gen(function*() {
      const cluster = yield* MemoryCluster.MemoryCluster
      const start = (node: string) =>
        cluster.on(node, GenServer.startDetached(CounterRaft, { ...options, members: nodes })).pipe(
          Effect.provide(Layer.fresh(RaftStorage.memory))
        )
      const counter = yield* start("a@test")
      const added = yield* Effect.forkChild(counter.Add({ n: 1 }, { timeout: "1 hour" }))
      const read = yield* Effect.forkChild(counter.Get(undefined, { timeout: "1 hour" }))
      yield* Effect.repeat(TestClock.adjust("1 second"), { times: 180 })
      yield* start("b@test")
      yield* start("c@test")
      yield* pass("20 seconds")
      assert.strictEqual(yield* Fiber.join(added), 1)
      assert.isBelow(yield* Fiber.join(read), 2)
    }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer(nodes))))

  it.effect("asks and answers about itself from any node", () =>
    Effect.gen(function*() {
      const cluster = yield* MemoryCluster.MemoryCluster
      for (const node of nodes) {
        yield* cluster.on(node, GenServer.startDetached(CounterRaft, { ...options, members: nodes })).pipe(
          Effect.provide(Layer.fresh(RaftStorage.memory))
        )
      }
      yield* pass("5 seconds")
      const { leader } = yield* cluster.on("a@test", Raft.status({ name: "counter", node: "b@test" }))
      const away = nodes.find((node) => node !== leader)!
      const there = { name: "counter", node: leader! }
      assert.strictEqual((yield* cluster.on(away, Raft.status(there))).role, "Leader")
      const refused: unknown = yield* cluster.on(away, Effect.flip(Raft.remove(there, "stranger@test")))
      const refusal: RaftCore.Refusal = { _tag: "BadMember", member: "stranger@test" }
      assert.deepStrictEqual(refused, refusal)
      const transferred = yield* Effect.forkChild(cluster.on(away, Raft.transfer(there, away)))
      yield* pass("2 seconds")
      yield* Fiber.join(transferred)
      assert.strictEqual((yield* cluster.on(away, Raft.status("counter"))).leader, away)
    }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer(nodes))))
})
