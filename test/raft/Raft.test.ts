/**
 * A replicated state machine as its users see it, on nodes that come and go.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Duration, Effect, Exit, Fiber, Layer, Option, Schema, Stream } from "effect"
import { CallError, ExitReason, GenServer, Message, Node, Process, Protocol } from "effect-otp"
import { Raft, RaftError, RaftStorage } from "effect-otp/raft"
import { type MemoryCluster, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeedOn } from "../testing/EverySeed.ts"

const nodes = ["a@test", "b@test", "c@test"] as const
const [A] = nodes

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Int }) {}

class Account extends Protocol.make(
  "Account",
  Message.Call("Deposit", { payload: { amount: Schema.Int }, success: Schema.Int }),
  Message.Call("Withdraw", { payload: { amount: Schema.Int }, success: Schema.Int, error: Overdrawn }),
  Message.Call("Balance", { success: Schema.Int }),
  Message.Call("BalanceOver", { payload: { least: Schema.Int }, success: Schema.Int, error: Overdrawn }),
  Message.Call("Explode"),
  Message.Cast("Reset")
) {}

const AccountRaft = Raft.make(Account, {
  state: Schema.Struct({ balance: Schema.Int }),
  initial: { balance: 0 },
  reads: ["Balance", "BalanceOver"],
  apply: {
    Deposit: ({ amount }, { balance }) => Raft.reply(balance + amount, { balance: balance + amount }),
    Withdraw: ({ amount }, { balance }) =>
      balance < amount
        ? Raft.fail(new Overdrawn({ balance }))
        : Raft.reply(balance - amount, { balance: balance - amount }),
    Explode: () => {
      throw new Error("told to explode")
    },
    Reset: () => Raft.next({ balance: 0 }),
    Balance: (_, { balance }) => balance,
    BalanceOver: ({ least }, { balance }) => balance < least ? Raft.fail(new Overdrawn({ balance })) : balance
  }
})

const options: Raft.MemberOptions = {
  group: "account",
  members: nodes,
  options: { electionTimeout: 500, heartbeat: 50 }
}

/** What each node keeps on its disk, for as long as the test. */
const disks = Effect.map(
  Effect.forEach(
    [...nodes, "d@test"],
    (node) => Effect.map(Layer.build(Layer.fresh(RaftStorage.memory)), (context) => [node, context] as const)
  ),
  (built) => new Map(built)
)

type Disks = ReadonlyMap<string, Context.Context<RaftStorage.RaftStorage>>

const startOn = (
  cluster: MemoryCluster.Service,
  kept: Disks,
  node: string,
  given: Partial<Raft.MemberOptions> = {}
) =>
  cluster.on(
    node,
    Effect.provideContext(GenServer.startDetached(AccountRaft, { ...options, ...given }), kept.get(node)!)
  )

/** Lets time go by in small steps, so that nobody misses a sign of life. */
const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.repeat(TestClock.adjust("25 millis"), {
    times: Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(duration)) / 25) - 1
  })

const leaderOf = (cluster: MemoryCluster.Service, among: ReadonlyArray<string> = nodes) =>
  Effect.gen(function*() {
    for (let i = 0; i < 100; i++) {
      for (const node of among) {
        if (!cluster.names.includes(node)) continue
        const status = yield* cluster.on(node, Effect.option(Raft.status("account")))
        if (Option.isSome(status) && status.value.role === "Leader" && status.value.commit >= 1) return node
      }
      yield* pass("100 millis")
    }
    return assert.fail("nobody leads")
  })

/** Runs something while time goes by. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    for (let i = 0; i < 100; i++) {
      if (fiber.pollUnsafe() !== undefined) break
      yield* pass("50 millis")
    }
    return yield* Fiber.join(fiber)
  })

describe("a replicated state machine", () => {
  everySeedOn(nodes, "answers at every member, and all members have the same", (cluster) =>
    Effect.gen(function*() {
      const kept = yield* disks
      const refs = yield* Effect.forEach(nodes, (node) => startOn(cluster, kept, node))
      yield* leaderOf(cluster)
      let balance = 0
      for (const ref of refs) {
        balance += 5
        assert.strictEqual(yield* inTime(ref.Deposit({ amount: 5 })), balance)
      }
      for (const ref of refs) assert.strictEqual(yield* inTime(ref.Balance()), 15)
      yield* pass("1 second")
      const all = yield* Effect.forEach(nodes, (node) => cluster.on(node, Raft.status("account")))
      assert.strictEqual(new Set(all.map(({ applied }) => applied)).size, 1)
      assert.strictEqual(all.filter(({ role }) => role === "Leader").length, 1)
    }))

  everySeedOn(
    nodes,
    "errors are typed, a throw changes nothing, casts are commands",
    (cluster) =>
      Effect.gen(function*() {
        const kept = yield* disks
        const refs = yield* Effect.forEach(nodes, (node) => startOn(cluster, kept, node))
        yield* leaderOf(cluster)
        for (const ref of refs) {
          yield* inTime(ref.Deposit({ amount: 10 }))
          const overdrawn = yield* inTime(Effect.flip(ref.Withdraw({ amount: 11 })))
          assert.deepStrictEqual(overdrawn, new Overdrawn({ balance: 10 }))
          assert.deepStrictEqual(
            yield* inTime(Effect.flip(ref.BalanceOver({ least: 11 }))),
            new Overdrawn({ balance: 10 })
          )
          const exploded = yield* inTime(Effect.flip(ref.Explode()))
          assert.instanceOf(exploded, CallError.CallError)
          assert.include(exploded.message, "told to explode")
          assert.strictEqual(yield* inTime(ref.Balance()), 10)
          yield* ref.Reset()
          yield* pass("1 second")
          assert.strictEqual(yield* inTime(ref.Balance()), 0)
        }
      })
  )

  everySeedOn(
    nodes,
    "[S31] the leader dies: the others go on, and it finds everything when it returns",
    (cluster) =>
      Effect.gen(function*() {
        const kept = yield* disks
        for (const node of nodes) yield* startOn(cluster, kept, node)
        const leader = yield* leaderOf(cluster)
        const ref = yield* cluster.on(leader, GenServer.named(Account, "account"))
        yield* inTime(ref.Deposit({ amount: 7 }))
        yield* cluster.kill(leader)
        const rest = nodes.filter((node) => node !== leader)
        const next = yield* leaderOf(cluster, rest)
        const other = yield* cluster.on(rest.find((node) => node !== next)!, GenServer.named(Account, "account"))
        assert.strictEqual(yield* inTime(other.Deposit({ amount: 1 })), 8)
        yield* cluster.restart(leader)
        const back = yield* startOn(cluster, kept, leader)
        assert.strictEqual(yield* inTime(back.Balance()), 8)
      })
  )

  everySeedOn(
    nodes,
    "[S33] a leader that is cut off answers no read, and what it took is done once it is back",
    (cluster) =>
      Effect.gen(function*() {
        const kept = yield* disks
        for (const node of nodes) yield* startOn(cluster, kept, node)
        const leader = yield* leaderOf(cluster)
        const rest = nodes.filter((node) => node !== leader)
        const lonely = yield* cluster.on(leader, GenServer.named(Account, "account"))
        yield* inTime(lonely.Deposit({ amount: 1 }))
        for (const node of rest) yield* cluster.disconnect(leader, node)
        const read = yield* Effect.forkChild(Effect.exit(lonely.Balance()))
        const write = yield* Effect.forkChild(Effect.exit(lonely.Deposit({ amount: 10 }, { timeout: "1 minute" })))
        yield* leaderOf(cluster, rest)
        const there = yield* cluster.on(rest[0]!, GenServer.named(Account, "account"))
        assert.strictEqual(yield* inTime(there.Deposit({ amount: 100 })), 101)
        yield* pass("6 seconds")
        const failed = yield* Fiber.join(read)
        assert.isTrue(Exit.isFailure(failed))
        assert.isUndefined(write.pollUnsafe())
        for (const node of rest) yield* cluster.connect(leader, node)
        assert.deepStrictEqual(yield* inTime(Fiber.join(write)), Exit.succeed(111))
        assert.strictEqual(yield* inTime(there.Balance()), 111)
      })
  )

  everySeedOn(
    nodes,
    "a request whose way to the leader is cut is sent again, and answered",
    (cluster) =>
      Effect.gen(function*() {
        const kept = yield* disks
        for (const node of nodes) yield* startOn(cluster, kept, node)
        const leader = yield* leaderOf(cluster)
        const follower = nodes.find((node) => node !== leader)!
        const ref = yield* cluster.on(follower, GenServer.named(Account, "account"))
        for (let i = 1; i <= 10; i++) {
          const deposit = yield* Effect.forkChild(ref.Deposit({ amount: 1 }, { timeout: "1 minute" }))
          // Now the request is on its way, or its entry, or the answer.
          yield* TestClock.adjust(Duration.millis(i % 3))
          yield* cluster.disconnect(leader, follower)
          yield* pass("700 millis")
          yield* cluster.connect(leader, follower)
          assert.strictEqual(yield* inTime(Fiber.join(deposit)), i)
        }
      })
  )

  everySeedOn(
    [...nodes, "d@test"],
    "[S34] members join and leave one at a time, through a snapshot",
    (cluster) =>
      Effect.gen(function*() {
        const kept = yield* disks
        for (const node of nodes) yield* startOn(cluster, kept, node, { snapshotEvery: 5 })
        let leader = yield* leaderOf(cluster)
        const ref = yield* cluster.on(leader, GenServer.named(Account, "account"))
        for (let i = 0; i < 20; i++) yield* inTime(ref.Deposit({ amount: 1 }))
        assert.isAbove((yield* cluster.on(leader, Raft.status("account"))).snapshotIndex, 10)
        const d = yield* startOn(cluster, kept, "d@test", { snapshotEvery: 5 })
        yield* inTime(cluster.on(leader, Raft.addLearner("account", "d@test")))
        yield* inTime(cluster.on(leader, Raft.addVoter("account", "d@test")))
        assert.strictEqual(yield* inTime(d.Balance()), 20)
        const gone = nodes.find((node) => node !== leader)!
        yield* inTime(cluster.on(leader, Raft.remove("account", gone)))
        yield* inTime(cluster.on(leader, Raft.transfer("account", "d@test")))
        yield* pass("2 seconds")
        leader = yield* leaderOf(cluster, ["d@test"])
        assert.strictEqual(yield* inTime(d.Deposit({ amount: 1 })), 21)
        const { membership } = yield* cluster.on("d@test", Raft.status("account"))
        assert.deepStrictEqual(
          [...membership.voters].sort(),
          [...nodes.filter((node) => node !== gone), "d@test"].sort()
        )
        const refused = yield* inTime(Effect.flip(cluster.on("d@test", Raft.remove("account", "stranger@test"))))
        assert.deepStrictEqual(refused, { _tag: "BadMember", member: "stranger@test" })
      })
  )

  everySeedOn(nodes, "tells who leads", (cluster) =>
    Effect.gen(function*() {
      const kept = yield* disks
      for (const node of nodes) yield* startOn(cluster, kept, node)
      const seen = yield* Effect.forkChild(
        cluster.on(A, Stream.runHead(Stream.filter(Raft.events("account"), (event) => event._tag === "LeaderChanged")))
      )
      yield* TestNode.settle
      const leader = yield* leaderOf(cluster)
      yield* pass("1 second")
      const event = Option.getOrThrow(yield* Fiber.join(seen))
      assert.strictEqual(event._tag === "LeaderChanged" ? event.leader : undefined, leader)
    }))
})

describe("a member alone", () => {
  const alone = { ...options, members: ["nonode@nohost"] }

  it.effect("is a group of one, supervised like any server", () =>
    Effect.gen(function*() {
      const node = yield* Node.Node
      const account = yield* GenServer.start(AccountRaft, { ...alone, members: [node.name] })
      yield* pass("2 seconds")
      assert.strictEqual(yield* inTime(account.Deposit({ amount: 3 })), 3)
      assert.strictEqual((yield* Raft.status("account")).leader, node.name)
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("without a majority its callers time out", () =>
    Effect.gen(function*() {
      const node = yield* Node.Node
      const account = yield* GenServer.start(AccountRaft, { ...alone, members: [node.name, "x@test", "y@test"] })
      const error = yield* inTime(Effect.flip(account.Deposit({ amount: 3 }, { timeout: "2 seconds" })))
      assert.strictEqual(error.reason._tag, "CallTimeout")
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("takes only so many requests at once", () =>
    Effect.gen(function*() {
      const node = yield* Node.Node
      const account = yield* GenServer.start(AccountRaft, {
        ...alone,
        members: [node.name, "x@test", "y@test"],
        maxWaiting: 2
      })
      yield* Effect.forkChild(Effect.exit(account.Deposit({ amount: 1 })))
      yield* Effect.forkChild(Effect.exit(account.Balance()))
      yield* TestNode.settle
      const error = yield* Effect.flip(account.Deposit({ amount: 1 }))
      assert.deepStrictEqual({ ...error.reason }, { _tag: "MailboxFull", capacity: 2 })
    }).pipe(Effect.scoped, Effect.provide([TestNode.layer(), RaftStorage.memory])))

  it.effect("[S34] ends when its disk refuses, with the reason, and acknowledges nothing", () =>
    Effect.gen(function*() {
      const node = yield* Node.Node
      const failure = new RaftError.RaftStorageError({ path: "disk", reason: "Io", detail: "no space left" })
      let full = false
      const storage = Layer.succeed(RaftStorage.RaftStorage, {
        open: () =>
          Effect.succeed({
            recover: Effect.succeed({ term: 0, votedFor: undefined, snapshot: undefined, entries: [] }),
            persist: () => Effect.suspend(() => full ? Effect.fail(failure) : Effect.void)
          })
      })
      const account = yield* GenServer.startDetached(AccountRaft, { ...alone, members: [node.name] }).pipe(
        Effect.provide(storage)
      )
      yield* pass("2 seconds")
      yield* inTime(account.Deposit({ amount: 3 }))
      full = true
      const ended = yield* Effect.forkChild(Process.awaitExit(account))
      const error = yield* inTime(Effect.flip(account.Deposit({ amount: 3 })))
      assert.strictEqual(error.reason._tag, "ProcessExit")
      assert.deepStrictEqual(yield* Fiber.join(ended), ExitReason.error(failure))
    }).pipe(Effect.scoped, Effect.provide(TestNode.layer())))

  it.effect("does not start from damaged files, and says which", () =>
    Effect.gen(function*() {
      const failure = new RaftError.RaftStorageError({ path: "log", reason: "Corrupt", detail: "at byte 7" })
      const storage = Layer.succeed(RaftStorage.RaftStorage, {
        open: () => Effect.succeed({ recover: Effect.fail(failure), persist: () => Effect.void })
      })
      const error = yield* GenServer.start(AccountRaft, alone).pipe(Effect.provide(storage), Effect.flip)
      assert.strictEqual(error, failure)
    }).pipe(Effect.scoped, Effect.provide(TestNode.layer())))
})
