import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import { Node, Process } from "effect-otp"
import { Journal, MemoryCluster, Probe, TestNode } from "effect-otp/testing"
import { everySeedOn } from "./EverySeed.ts"

const [A, B, C] = ["a@test", "b@test", "c@test"]

describe("MemoryCluster", () => {
  everySeedOn(
    [A, B],
    "nodes have their names, and what is sent arrives in a later turn, as it is",
    (cluster) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(cluster.names, [A, B])
        const probe = yield* cluster.on(B, Probe.make())
        const value = { n: 1 }
        yield* cluster.on(A, Process.send(probe, value))
        assert.isAtLeast(cluster.underWay + (yield* probe.waiting).length, 1)
        assert.strictEqual(yield* probe.expectMessage(Schema.Unknown), value)
        assert.strictEqual(cluster.underWay, 0)
      })
  )

  everySeedOn([A, B], "what one node sends to another keeps its order", (cluster) =>
    Effect.gen(function*() {
      const probe = yield* cluster.on(B, Probe.make())
      for (let n = 0; n < 50; n++) yield* cluster.on(A, Process.send(probe, n))
      for (let n = 0; n < 50; n++) yield* probe.expectMessage(Schema.Literal(n))
    }))

  it.effect("the seed decides between connections", () =>
    Effect.gen(function*() {
      const orders = yield* Effect.forEach(TestNode.seeds(20), (seed) =>
        Effect.gen(function*() {
          const cluster = yield* MemoryCluster.MemoryCluster
          const probe = yield* cluster.on(C, Probe.make())
          for (let n = 0; n < 5; n++) {
            yield* cluster.on(A, Process.send(probe, `a${n}`))
            yield* cluster.on(B, Process.send(probe, `b${n}`))
          }
          yield* TestNode.settle
          return (yield* probe.waiting).join()
        }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer([A, B, C], { seed }))))
      assert.isAtLeast(new Set(orders).size, 10)
    }))

  everySeedOn(
    [A, B, C],
    "a cut loses what is under way, and only between the two",
    (cluster) =>
      Effect.gen(function*() {
        const probe = yield* cluster.on(B, Probe.make())
        const silent = Effect.sync(() => {
          // In one turn: nothing of this is delivered before the cut.
          Effect.runSync(cluster.on(A, Effect.forEach([1, 2, 3], (n) => Process.send(probe, n), { discard: true })))
          Effect.runSync(cluster.disconnect(A, B))
        })
        yield* silent
        yield* cluster.on(C, Process.send(probe, "from c"))
        yield* probe.expectMessage(Schema.Literal("from c"))
        yield* probe.expectNoMessage()
        assert.strictEqual(cluster.lost, 3)
        yield* cluster.on(A, Process.send(probe, "nobody hears this"))
        yield* probe.expectNoMessage()
        yield* cluster.connect(A, B)
        yield* cluster.on(A, Process.send(probe, "again"))
        yield* probe.expectMessage(Schema.Literal("again"))
      })
  )

  everySeedOn(
    [A, B],
    "a killed node goes without a word, and its processes do not speak any more",
    (cluster) =>
      Effect.gen(function*() {
        const probe = yield* cluster.on(A, Probe.make())
        let ended = false
        const there = yield* cluster.on(
          B,
          Process.spawnDetached(() =>
            Effect.andThen(
              Effect.addFinalizer(() =>
                Effect.andThen(Process.send(probe, "last words"), Effect.sync(() => ended = true))
              ),
              Effect.never
            )
          )
        )
        yield* TestNode.settle
        yield* probe.monitor(there)
        yield* TestNode.settle
        yield* cluster.kill(B)
        yield* probe.expectDown({ of: there, reason: "NoConnection" })
        yield* probe.expectNoMessage("1 minute")
        assert.isTrue(ended)
        assert.deepStrictEqual(cluster.names, [A])
      })
  )

  everySeedOn(
    [A, B],
    "a restarted node has its name and another creation: old pids reach nobody",
    (cluster) =>
      Effect.gen(function*() {
        const old = yield* cluster.on(B, Probe.make({ name: "p" }))
        const before = cluster.node(B).creation
        const node = yield* cluster.restart(B)
        assert.strictEqual(node.creation, before + 1)
        const fresh = yield* cluster.on(B, Probe.make({ name: "p" }))
        assert.strictEqual(fresh.pid.id, old.pid.id)
        yield* cluster.on(A, Process.send(old.pid, "old"))
        yield* cluster.on(A, Process.send(fresh.pid, "new"))
        yield* cluster.on(A, Process.send({ name: "p", node: B }, "by name"))
        yield* fresh.expectMessage(Schema.Literal("new"))
        yield* fresh.expectMessage(Schema.Literal("by name"))
        yield* fresh.expectNoMessage()
      })
  )

  it.effect("an unknown node is a defect that names those there are", () =>
    Effect.gen(function*() {
      const cluster = yield* MemoryCluster.MemoryCluster
      const exit = yield* Effect.exit(cluster.on("z@test", Node.statistics))
      assert.isTrue(
        Exit.isFailure(exit) &&
          Cause.pretty(exit.cause).includes("no node z@test in the cluster; there are a@test, b@test")
      )
    }).pipe(Effect.provide(MemoryCluster.layer([A, B]))))

  it.effect.each(TestNode.seeds(20))(
    "the same seed gives the same journal of all nodes (seed %s)",
    (seed) =>
      Effect.gen(function*() {
        const run = Effect.gen(function*() {
          const cluster = yield* MemoryCluster.MemoryCluster
          const journal = yield* cluster.on(A, Journal.make)
          yield* cluster.on(B, Journal.record(journal))
          const probe = yield* cluster.on(A, Probe.make())
          for (const n of [1, 2, 3]) {
            const pid = yield* cluster.on(
              B,
              Process.spawnDetached(() => Effect.andThen(Process.send(probe, n), Effect.sleep(n * 10)))
            )
            yield* probe.monitor(pid)
          }
          for (let i = 0; i < 6; i++) yield* probe.fishFor(() => true, { within: "1 second" })
          return journal.print()
        }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer([A, B], { seed })))
        assert.strictEqual(yield* run, yield* run)
      })
  )
})
