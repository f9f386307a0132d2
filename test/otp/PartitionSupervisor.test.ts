/**
 * Partitioned supervisors: which partition a key leads to, before and after restarts, and what may be a partition.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schedule, Schema } from "effect"
import {
  CallError,
  DynamicSupervisor,
  ExitReason,
  GenServer,
  Message,
  OtpError,
  PartitionSupervisor,
  Process,
  Protocol,
  Supervisor
} from "effect-otp"
import * as TestNode from "../../src/testing/TestNode.ts"
import { Broken, Log, onNode, seeded } from "./SupervisorFixtures.ts"

class Tally extends Protocol.make(
  "Tally",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Partition", { success: Schema.Number }),
  Message.Cast("Crash")
) {}

const TallyServer = GenServer.make(Tally, {
  init: (partition: number) => Effect.succeed({ partition, total: 0 }),
  handlers: {
    Add: ({ n }, { partition, total }) => GenServer.reply(total + n, { partition, total: total + n }),
    Partition: (_, { partition }) => partition,
    Crash: () => Effect.die(new Error("boom"))
  }
})

const Tallies = PartitionSupervisor.make(TallyServer, { partitions: 4, args: (partition) => partition, intensity: 10 })

const noProcess = new CallError.NoProcess({})

describe("a partitioned supervisor", () => {
  onNode("leads a key to its partition, always the same", () =>
    Effect.gen(function*() {
      yield* PartitionSupervisor.start(Tallies, { name: "tallies" })
      for (const key of [0, 1, 5, -6, 7n, "ada", "bea", true]) {
        const ref = yield* PartitionSupervisor.ref(Tally, "tallies", key)
        assert.strictEqual(yield* ref.Partition(), PartitionSupervisor.partitionOf(key, 4), String(key))
        const pid = yield* PartitionSupervisor.whereis("tallies", key)
        const same = yield* GenServer.fromPid(Tally, Option.getOrThrow(pid))
        assert.strictEqual(yield* same.Partition(), yield* ref.Partition())
      }
      const [one, five] = [
        yield* PartitionSupervisor.ref(Tally, "tallies", 1),
        yield* PartitionSupervisor.ref(Tally, "tallies", 5)
      ]
      yield* one.Add({ n: 2 })
      assert.strictEqual(yield* five.Add({ n: 3 }), 5)
    }))

  seeded(
    "keeps the refs of a partition that was restarted, and the other partitions as they are",
    () =>
      Effect.gen(function*() {
        yield* PartitionSupervisor.start(Tallies, { name: "tallies" })
        const refs = yield* Effect.forEach([0, 1, 2, 3], (key) => PartitionSupervisor.ref(Tally, "tallies", key))
        for (const ref of refs) yield* ref.Add({ n: 1 })
        for (const round of [1, 2]) {
          const before = yield* PartitionSupervisor.whereis("tallies", 2)
          yield* refs[2]!.Crash()
          yield* TestNode.settle
          assert.notDeepEqual(yield* PartitionSupervisor.whereis("tallies", 2), before, `round ${round}`)
        }
        assert.strictEqual(yield* refs[2]!.Partition(), 2)
        assert.deepStrictEqual(yield* Effect.forEach(refs, (ref) => ref.Add({ n: 1 })), [2, 2, 1, 2])
      })
  )

  onNode(
    "has nobody for a key while the partition is empty, and for no key when there is no such supervisor",
    () =>
      Effect.gen(function*() {
        const slow = PartitionSupervisor.make(TallyServer, {
          partitions: 2,
          args: (partition) => partition,
          backoff: Schedule.spaced("1 hour")
        })
        yield* PartitionSupervisor.start(slow, { name: "tallies" })
        const ref = yield* PartitionSupervisor.ref(Tally, "tallies", 1)
        yield* ref.Crash()
        yield* TestNode.settle
        assert.deepStrictEqual((yield* Effect.flip(ref.Partition())).reason, noProcess)
        assert.isTrue(Option.isNone(yield* PartitionSupervisor.whereis("tallies", 1)))
        assert.isTrue(Option.isSome(yield* PartitionSupervisor.whereis("tallies", 2)))
        const nobody = yield* PartitionSupervisor.ref(Tally, "nobody", 1)
        assert.deepStrictEqual((yield* Effect.flip(nobody.Partition())).reason, noProcess)
        assert.isTrue(Option.isNone(yield* PartitionSupervisor.whereis("nobody", 1)))
        // A process that is no partitioned supervisor has no partitions.
        yield* GenServer.start(TallyServer, 9, { name: "single" })
        const single = yield* PartitionSupervisor.ref(Tally, "single", 1)
        assert.deepStrictEqual((yield* Effect.flip(single.Partition())).reason, noProcess)
      })
  )

  onNode("says how many partitions it has, and what fills them", () =>
    Effect.gen(function*() {
      const supervisor = yield* PartitionSupervisor.start(Tallies, { name: "tallies" })
      assert.deepStrictEqual(yield* PartitionSupervisor.count("tallies"), Option.some(4))
      assert.deepStrictEqual(yield* PartitionSupervisor.count("nobody"), Option.none())
      const children = yield* PartitionSupervisor.whichChildren(supervisor)
      assert.deepStrictEqual(children.map(({ partition, status, type }) => [partition, status, type]), [
        [0, "running", "worker"],
        [1, "running", "worker"],
        [2, "running", "worker"],
        [3, "running", "worker"]
      ])
      assert.deepStrictEqual(children[2]!.pid, yield* PartitionSupervisor.whereis("tallies", 2))
      assert.strictEqual((yield* PartitionSupervisor.countChildren(supervisor)).active, 4)
      assert.strictEqual(Option.getOrThrow(yield* Process.info(supervisor)).behaviour, "PartitionSupervisor")
    }))

  onNode("spreads the children of a dynamic supervisor", () =>
    Effect.gen(function*() {
      const Rooms = DynamicSupervisor.make(TallyServer, { restart: "temporary" })
      yield* PartitionSupervisor.start(
        PartitionSupervisor.of(() => DynamicSupervisor.asChild("rooms", Rooms), { partitions: 3 }),
        { name: "rooms" }
      )
      for (const key of [0, 1, 2, 3, 4]) {
        const pid = Option.getOrThrow(yield* PartitionSupervisor.whereis("rooms", key))
        const room = yield* DynamicSupervisor.startChild(DynamicSupervisor.fromPid(Rooms, pid), key)
        assert.strictEqual(yield* room.Partition(), key)
      }
      const children = yield* PartitionSupervisor.whichChildren({ name: "rooms" })
      const counts = yield* Effect.forEach(children, ({ pid }) =>
        Effect.map(DynamicSupervisor.countChildren(Option.getOrThrow(pid)), ({ active }) => active))
      assert.deepStrictEqual(counts, [2, 2, 1])
    }))

  seeded("restarts by its strategy and gives up by its intensity, as supervisors do", () =>
    Effect.gen(function*() {
      const log = new Log()
      const part = (n: number) =>
        Supervisor.worker(
          "part",
          Effect.gen(function*() {
            yield* Effect.addFinalizer(() => log.add(`-${n}`))
            yield* log.add(`+${n}`)
            return yield* Effect.never
          })
        )
      const all = PartitionSupervisor.of(part, { partitions: 2, strategy: "one_for_all", intensity: 1 })
      const supervisor = yield* PartitionSupervisor.start(all, { name: "parts" })
      const ended = yield* Effect.forkScoped(Process.awaitExit(supervisor))
      yield* TestNode.settle
      log.take()
      yield* Process.kill(Option.getOrThrow(yield* PartitionSupervisor.whereis("parts", 0)))
      yield* TestNode.settle
      // A worker's start does not wait for what its effect does.
      assert.deepStrictEqual(log.take().split(" ").sort(), ["+0", "+1", "-0", "-1"])
      yield* Process.kill(Option.getOrThrow(yield* PartitionSupervisor.whereis("parts", 1)))
      yield* TestNode.settle
      assert.deepStrictEqual(ended.pollUnsafe(), Exit.succeed(ExitReason.shutdown))
    }))

  onNode("names the partition that could not start, and stops the others again", () =>
    Effect.gen(function*() {
      const log = new Log()
      const broken = new Broken({ child: "1" })
      const server = GenServer.make(Tally, {
        init: (partition: number) =>
          Effect.gen(function*() {
            if (partition === 1) return yield* broken
            yield* Effect.addFinalizer(() => log.add(`-${partition}`))
            return partition
          }),
        handlers: { Add: () => 0, Partition: (_, partition) => partition, Crash: () => {} }
      })
      const supervisor = PartitionSupervisor.make(server, { partitions: 3, args: (partition) => partition })
      const error = yield* Effect.flip(PartitionSupervisor.start(supervisor, { name: "tallies" }))
      assert.instanceOf(error, OtpError.SupervisorStartError)
      assert.deepStrictEqual([error.child, error.error], ["1", broken])
      assert.strictEqual(log.take(), "-0")
    }))

  onNode("is a child and a layer", () =>
    Effect.gen(function*() {
      const tree = Supervisor.make({ children: [PartitionSupervisor.asChild("tallies", Tallies, { name: "a" })] })
      yield* Supervisor.start(tree)
      const ref = yield* PartitionSupervisor.ref(Tally, "a", 3)
      assert.strictEqual(yield* ref.Partition(), 3)
      yield* Process.kill({ name: "a" })
      yield* TestNode.settle
      assert.strictEqual(yield* ref.Partition(), 3)
      const other = yield* PartitionSupervisor.ref(Tally, "b", 2)
      assert.strictEqual(
        yield* Effect.provide(other.Partition(), PartitionSupervisor.layer(Tallies, { name: "b" })),
        2
      )
      assert.deepStrictEqual((yield* Effect.flip(other.Partition())).reason, noProcess)
      assert.isTrue(Exit.isFailure(
        yield* Effect.exit(Effect.scoped(Layer.build(
          PartitionSupervisor.layer(Tallies, { name: "a" })
        )))
      ))
    }))

  onNode("refuses numbers that are none, and partitions that would stay empty", () =>
    Effect.sync(() => {
      for (const partitions of [0, -1, 1.5, NaN]) {
        assert.throws(
          () => PartitionSupervisor.make(TallyServer, { partitions, args: (n) => n }),
          `partitions must be an integer, 1 or more; found ${partitions}`
        )
      }
      assert.throws(
        () => PartitionSupervisor.make(TallyServer, { partitions: 1, args: (n) => n, restart: "temporary" }),
        "must not be temporary"
      )
      assert.throws(
        () => PartitionSupervisor.make(TallyServer, { partitions: 1, args: (n) => n, intensity: -1 }),
        "InvalidIntensity"
      )
    }))
})
