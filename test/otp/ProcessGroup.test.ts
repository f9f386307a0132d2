import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { Node, Process, ProcessGroup } from "effect-otp"
import { Probe, TestNode } from "effect-otp/testing"
import { everySeed, everySeedOn } from "../testing/EverySeed.ts"

const [A, B] = ["a@test", "b@test"]
const worker = Process.spawnDetached(() => Effect.never)
const names = (pids: ReadonlyArray<unknown>): Array<string> => pids.map(String).sort()

describe("ProcessGroup", () => {
  everySeed("[S22] membership is counted: a member leaves as often as it has joined", () =>
    Effect.gen(function*() {
      yield* ProcessGroup.start()
      const pid = yield* worker
      yield* ProcessGroup.join("g", pid)
      yield* ProcessGroup.join("g", [pid, pid])
      assert.strictEqual((yield* ProcessGroup.members("g")).length, 3)
      yield* ProcessGroup.leave("g", pid)
      yield* ProcessGroup.leave("g", pid)
      assert.deepStrictEqual(names(yield* ProcessGroup.members("g")), names([pid]))
      yield* ProcessGroup.leave("g", pid)
      assert.deepStrictEqual(yield* ProcessGroup.members("g"), [])
      assert.deepStrictEqual(yield* ProcessGroup.groups(), [])
      const error = yield* Effect.flip(ProcessGroup.leave("g", pid))
      assert.strictEqual(error._tag, "NotJoined")
    }))

  everySeed("[S22] death removes every membership of a process, and none of another", () =>
    Effect.gen(function*() {
      yield* ProcessGroup.start()
      const [first, second] = [yield* worker, yield* worker]
      yield* ProcessGroup.join("g", [first, first, second])
      yield* ProcessGroup.join("h", first)
      yield* Process.kill(first)
      yield* TestNode.settle
      assert.deepStrictEqual(names(yield* ProcessGroup.members("g")), names([second]))
      assert.deepStrictEqual(yield* ProcessGroup.groups(), ["g"])
    }))

  everySeed("a process that leaves everything is not watched any more", () =>
    Effect.gen(function*() {
      yield* ProcessGroup.start()
      const pid = yield* worker
      yield* ProcessGroup.join("g", pid)
      yield* ProcessGroup.leave("g", pid)
      const info = Option.getOrThrow(yield* Process.info(pid))
      assert.strictEqual(info.monitoredBy, 0)
    }))

  everySeedOn(
    [A, B],
    "[S22] nodes share their members, and the loss of a connection removes the other side's",
    (cluster) =>
      Effect.gen(function*() {
        yield* cluster.on(A, ProcessGroup.start())
        yield* cluster.on(B, ProcessGroup.start())
        const here = yield* cluster.on(A, worker)
        const there = yield* cluster.on(B, worker)
        yield* cluster.on(A, ProcessGroup.join("g", here))
        yield* cluster.on(B, ProcessGroup.join("g", [there, there]))
        yield* cluster.on(A, ProcessGroup.discover(B))
        yield* TestNode.settle
        const all = names([here, there, there])
        assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.members("g"))), all)
        assert.deepStrictEqual(names(yield* cluster.on(B, ProcessGroup.members("g"))), all)
        assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.localMembers("g"))), names([here]))

        // What changes later is told.
        yield* cluster.on(B, ProcessGroup.leave("g", there))
        yield* TestNode.settle
        assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.members("g"))), names([here, there]))

        yield* cluster.disconnect(A, B)
        yield* TestNode.settle
        assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.members("g"))), names([here]))
        assert.deepStrictEqual(names(yield* cluster.on(B, ProcessGroup.members("g"))), names([there]))

        yield* cluster.connect(A, B)
        yield* cluster.on(B, ProcessGroup.discover(A))
        yield* TestNode.settle
        assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.members("g"))), names([here, there]))
      })
  )

  everySeedOn(
    [A, B],
    "scopes of connected nodes find each other, whichever was there first",
    (cluster) =>
      Effect.gen(function*() {
        yield* cluster.on(A, ProcessGroup.start())
        const here = yield* cluster.on(A, worker)
        yield* cluster.on(A, ProcessGroup.join("g", here))
        yield* cluster.on(B, ProcessGroup.start())
        const there = yield* cluster.on(B, worker)
        yield* cluster.on(B, ProcessGroup.join("g", there))
        const both = names([here, there])
        for (let round = 0; round < 3; round++) {
          yield* TestNode.settle
          assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.members("g"))), both)
          assert.deepStrictEqual(names(yield* cluster.on(B, ProcessGroup.members("g"))), both)
          yield* cluster.disconnect(A, B)
          yield* TestNode.settle
          assert.deepStrictEqual(names(yield* cluster.on(A, ProcessGroup.members("g"))), names([here]))
          yield* cluster.connect(A, B)
        }
      })
  )

  everySeedOn([A, B], "a process of another node cannot join", (cluster) =>
    Effect.gen(function*() {
      yield* cluster.on(A, ProcessGroup.start())
      const there = yield* cluster.on(B, worker)
      const error = yield* Effect.flip(cluster.on(A, ProcessGroup.join("g", there)))
      assert.strictEqual(error._tag, "NotLocal")
      assert.deepStrictEqual(yield* cluster.on(A, ProcessGroup.members("g")), [])
    }))

  everySeedOn([A, B], "a member that dies on one node is gone on the other", (cluster) =>
    Effect.gen(function*() {
      yield* cluster.on(A, ProcessGroup.start({ scope: "jobs" }))
      yield* cluster.on(B, ProcessGroup.start({ scope: "jobs" }))
      yield* cluster.on(A, ProcessGroup.discover(B, { scope: "jobs" }))
      const there = yield* cluster.on(B, worker)
      yield* cluster.on(B, ProcessGroup.join("g", [there, there], { scope: "jobs" }))
      yield* TestNode.settle
      assert.strictEqual((yield* cluster.on(A, ProcessGroup.members("g", { scope: "jobs" }))).length, 2)
      yield* cluster.on(B, Process.kill(there))
      yield* TestNode.settle
      assert.deepStrictEqual(yield* cluster.on(A, ProcessGroup.members("g", { scope: "jobs" })), [])
    }))

  everySeed("a monitor gets what is there, then each join and leave, until it is ended", () =>
    Effect.gen(function*() {
      yield* ProcessGroup.start()
      const [old, fresh] = [yield* worker, yield* worker]
      yield* ProcessGroup.join("g", old)
      yield* Process.run(Effect.gen(function*() {
        const { groups, ref } = yield* ProcessGroup.monitor(Option.some("g"))
        assert.deepStrictEqual(groups, [["g", [old]]])
        yield* ProcessGroup.join("other", fresh)
        yield* ProcessGroup.join("g", fresh)
        yield* Process.kill(old)
        const joined = yield* Process.receive(ProcessGroup.ChangeSchema)
        assert.deepStrictEqual([joined.kind, joined.group, joined.pids], ["join", "g", [fresh]])
        const left = yield* Process.receive(ProcessGroup.ChangeSchema)
        assert.deepStrictEqual([left.kind, left.group, left.pids], ["leave", "g", [old]])
        assert.isTrue(yield* ProcessGroup.demonitor(ref))
        yield* ProcessGroup.leave("g", fresh)
        assert.isTrue(Option.isNone(yield* Process.receive(ProcessGroup.ChangeSchema, { timeout: 0 })))
      }))
    }))

  it.effect("broadcast reaches every membership", () =>
    Effect.gen(function*() {
      yield* ProcessGroup.start()
      const probe = yield* Probe.make()
      yield* ProcessGroup.join("g", [probe.pid, probe.pid])
      yield* ProcessGroup.broadcast("g", { _tag: "Hello" })
      yield* TestNode.settle
      assert.strictEqual((yield* probe.waiting).length, 2)
    }).pipe(Effect.scoped, Effect.provide(TestNode.layer())))

  it.effect("without a scope on the node, membership fails with a typed error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ProcessGroup.members("g"))
      assert.strictEqual(error.reason._tag, "NoProcess")
    }).pipe(Effect.provide(Node.layerLocal())))
})
