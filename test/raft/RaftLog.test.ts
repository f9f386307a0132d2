/**
 * The numbered list, on nodes that come and go, and in groups of every size that is promised.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Duration, Effect, Fiber, Layer, Option, Schema } from "effect"
import { CallError, GenServer } from "effect-otp"
import { Raft, RaftError, RaftLog, RaftStorage } from "effect-otp/raft"
import { MemoryCluster } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeedOn } from "../testing/EverySeed.ts"

class Order extends Schema.Class<Order>("Order")({ item: Schema.String, pieces: Schema.Int }) {}

const Orders = RaftLog.make("Orders", { key: Schema.String, value: Order, keep: 300 })

/** What each node keeps on its disk, for as long as the test. */
type Disks = ReadonlyMap<string, Context.Context<RaftStorage.RaftStorage>>

const disksOf = (nodes: ReadonlyArray<string>): Effect.Effect<Disks, never, never> =>
  Effect.map(
    Effect.forEach(
      nodes,
      (node) => Effect.map(Effect.scoped(Layer.build(Layer.fresh(RaftStorage.memory))), (disk) => [node, disk] as const)
    ),
    (built) => new Map(built)
  )

const startOn = (
  cluster: MemoryCluster.Service,
  disks: Disks,
  node: string,
  given: Partial<Raft.MemberOptions> & Pick<Raft.MemberOptions, "members">
) =>
  cluster.on(
    node,
    Effect.provideContext(
      GenServer.startDetached(Orders.server, {
        group: "orders",
        options: { electionTimeout: 500, heartbeat: 50 },
        ...given
      }),
      disks.get(node)!
    )
  )

/** Lets time go by in small steps, so that nobody misses a sign of life. */
const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.repeat(TestClock.adjust("25 millis"), {
    times: Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(duration)) / 25) - 1
  })

/** Runs something while time goes by. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    for (let i = 0; i < 200 && fiber.pollUnsafe() === undefined; i++) yield* pass("50 millis")
    return yield* Fiber.join(fiber)
  })

/** The name of a member that leads and has begun its term. */
const leader = (cluster: MemoryCluster.Service) =>
  Effect.gen(function*() {
    for (let i = 0; i < 100; i++) {
      for (const node of cluster.names) {
        const status = yield* cluster.on(node, Effect.option(Raft.status("orders")))
        if (Option.isSome(status) && status.value.role === "Leader" && status.value.commit >= 1) return node
      }
      yield* pass("100 millis")
    }
    return assert.fail("nobody leads")
  })

const named = (n: number) => `n${n}@test`
const three = [1, 2, 3].map(named)

describe("a numbered list", () => {
  everySeedOn(
    three,
    "numbers what all members append without gaps, and has it by serial at each",
    (cluster) =>
      Effect.gen(function*() {
        const disks = yield* disksOf(three)
        const members = yield* Effect.forEach(three, (node) => startOn(cluster, disks, node, { members: three }))
        yield* leader(cluster)
        assert.strictEqual(yield* inTime(members[0]!.Last()), 0)
        const appended = yield* inTime(Effect.forEach(
          Array.from({ length: 12 }, (_, i) => i),
          (i) => {
            const value = new Order({ item: `item ${i}`, pieces: i })
            return Effect.map(members[i % 3]!.Append({ key: `key ${i}`, value }), (serial) => ({ serial, value, i }))
          },
          { concurrency: "unbounded" }
        ))
        assert.deepStrictEqual(
          appended.map(({ serial }) => serial).sort((a, b) => a - b),
          [...Array(12).keys()].map((n) => n + 1)
        )
        for (const member of members) {
          for (const { i, serial, value } of appended) {
            assert.deepStrictEqual(yield* inTime(member.Get({ serial })), { serial, key: `key ${i}`, value })
          }
        }
        assert.deepStrictEqual(
          (yield* inTime(members[1]!.After({ serial: 9, limit: 100 }))).map(({ serial }) => serial),
          [10, 11, 12]
        )
        const missing = yield* Effect.flip(inTime(members[2]!.Get({ serial: 13 })))
        assert.instanceOf(missing, RaftError.NoSerial)
        assert.strictEqual(missing.message, "there is no record 13: there are 1 to 12")
      })
  )

  it.effect("keeps so many at least, in blocks, also over a restart from a snapshot", () =>
    MemoryCluster.MemoryCluster.use((cluster) =>
      Effect.gen(function*() {
        const [node] = three as [string]
        const disks = yield* disksOf([node])
        const start = startOn(cluster, disks, node, { members: [node], snapshotEvery: 100 })
        const list = yield* start
        yield* leader(cluster)
        const count = 2000
        const checkAt = new Set([1, 255, 256, 257, 299, 300, 301, 511, 512, 513, 555, 556, 557, 1000, count])
        const check = (member: typeof list, last: number) =>
          Effect.gen(function*() {
            const caughtUp = yield* inTime(member.After({ serial: 0, limit: 10_000 }))
            const present = caughtUp.map(({ serial }) => serial)
            const first = present[0]!
            // Without a gap to the newest, as many as are to be kept, and not a whole block more.
            assert.deepStrictEqual(present, Array.from({ length: last - first + 1 }, (_, i) => first + i))
            assert.isAtLeast(present.length, Math.min(last, 300))
            assert.isBelow(present.length, 300 + RaftLog.blockSize)
            for (const serial of [first, Math.ceil((first + last) / 2), last]) {
              assert.strictEqual((yield* inTime(member.Get({ serial }))).value.pieces, serial)
            }
            for (const serial of [-1, 0, first - 1, last + 1]) {
              const missing = yield* Effect.flip(inTime(member.Get({ serial })))
              assert.deepStrictEqual(missing, new RaftError.NoSerial({ serial, first, last }))
            }
          })
        for (let n = 1; n <= count; n++) {
          assert.strictEqual(yield* inTime(list.Append({ key: "k", value: new Order({ item: "i", pieces: n }) })), n)
          if (checkAt.has(n)) yield* check(list, n)
        }
        yield* cluster.kill(node)
        yield* cluster.restart(node)
        const again = yield* start
        yield* leader(cluster)
        yield* check(again, count)
      })
    ).pipe(Effect.provide(MemoryCluster.layer(three.slice(0, 1), { seed: 1 }))))
})

describe("groups of every size", () => {
  for (const size of [3, 5, 7, 9, 11]) {
    const voters = Array.from({ length: size }, (_, i) => named(i))
    const learners = ["l1@test", "l2@test"]
    const all = [...voters, ...learners]
    const bearable = (size - 1) / 2
    it.effect(
      `${size} members and two learners go on without ${bearable}, and not without ${bearable + 1}`,
      () =>
        MemoryCluster.MemoryCluster.use((cluster) =>
          Effect.gen(function*() {
            const disks = yield* disksOf(all)
            const refs = new Map<string, Effect.Success<ReturnType<typeof startOn>>>()
            for (const node of all) refs.set(node, yield* startOn(cluster, disks, node, { members: voters, learners }))
            let serial = 0
            const appended: Array<string> = []
            const append = (node: string) =>
              inTime(refs.get(node)!.Append({ key: node, value: new Order({ item: node, pieces: 1 }) }))
            for (let dead = 0; dead <= bearable; dead++) {
              const leads = yield* leader(cluster)
              const other = cluster.names.find((name) => name !== leads && !learners.includes(name))!
              // Through the leader, another member, and a learner.
              for (const node of [leads, other, learners[0]!]) {
                assert.strictEqual(yield* append(node), ++serial)
                appended.push(node)
              }
              yield* cluster.kill(leads)
            }
            const left = cluster.names.find((name) => !learners.includes(name))!
            const failed = yield* Effect.flip(append(left))
            assert.instanceOf(failed, CallError.CallError)
            assert.strictEqual(failed.reason._tag, "CallTimeout")
            // One of the dead returns, and with it a majority: everything that was acknowledged is there.
            const dead = voters.find((name) => !cluster.names.includes(name))!
            yield* cluster.restart(dead)
            yield* startOn(cluster, disks, dead, { members: voters, learners })
            yield* leader(cluster)
            const next = yield* append(left)
            // The append that got no answer may have been carried out.
            assert.include([serial + 1, serial + 2], next)
            const records = yield* inTime(refs.get(left)!.After({ serial: 0, limit: 10_000 }))
            assert.deepStrictEqual(
              records.map((record) => record.serial),
              Array.from({ length: next }, (_, i) => i + 1)
            )
            assert.deepStrictEqual(records.slice(0, serial).map(({ key }) => key), appended)
          })
        ).pipe(Effect.provide(MemoryCluster.layer(all, { seed: size }))),
      60_000
    )
  }
})
