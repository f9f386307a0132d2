/**
 * Two-phase commit as a behaviour: a coordinator and participants as processes, their journals, and a test's clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Ref, References, Schema, type Scope } from "effect"
import { GenServer, Message, Node, Process, Protocol } from "effect-otp"
import { Journal, TwoPhaseCommit } from "effect-otp/saga"
import { MemoryCluster } from "effect-otp/testing"
import { TestClock } from "effect/testing"

class TooLittle extends Schema.TaggedError<TooLittle>()("TooLittle", { left: Schema.Int }) {}

const Move = TwoPhaseCommit.work({ request: Schema.Struct({ amount: Schema.Int }), refusal: TooLittle })

class Account extends Protocol.make("Account", Message.Call("Balance", { success: Schema.Int })) {}

const State = Schema.Struct({ balance: Schema.Int, reserved: Schema.Int })

const accountParts = {
  state: State,
  initial: (balance: number) => ({ balance, reserved: 0 }),
  prepare: ({ amount }: { readonly amount: number }, { balance, reserved }: typeof State.Type) =>
    balance - reserved + amount < 0
      ? TwoPhaseCommit.no(new TooLittle({ left: balance - reserved }))
      : TwoPhaseCommit.yes({ balance, reserved: reserved + Math.max(0, -amount) }),
  commit: ({ amount }: { readonly amount: number }, { balance, reserved }: typeof State.Type) => ({
    balance: balance + amount,
    reserved: reserved - Math.max(0, -amount)
  }),
  abort: ({ amount }: { readonly amount: number }, { balance, reserved }: typeof State.Type) => ({
    balance,
    reserved: reserved - Math.max(0, -amount)
  }),
  handlers: { Balance: (_: void, { balance }: typeof State.Type) => balance }
}

const AccountServer = TwoPhaseCommit.participant(Account, Move, accountParts)

const Silent = Layer.succeed(References.MinimumLogLevel, "None")
const Live = Layer.mergeAll(Node.layerLocal(), Journal.memory, Silent)

const coordinator = GenServer.start(TwoPhaseCommit.coordinator, { name: "transfers" })
const account = (name: string, balance: number) => GenServer.start(AccountServer, { name, args: balance })

const transfer = (from: string, to: string, amount: number) =>
  TwoPhaseCommit.transact("transfers", [
    TwoPhaseCommit.branch(Move, from, { amount: -amount }),
    TwoPhaseCommit.branch(Move, to, { amount })
  ])

const balance = (name: string) => Effect.flatMap(GenServer.named(Account, name), (account) => account.Balance())

const stateOf = (name: string) =>
  Effect.map(
    Effect.flatMap(GenServer.named(Account, name), GenServer.getState),
    (shown) => (shown as { readonly state: typeof State.Type }).state
  )

/** A node with a journal that a test can break. */
const withControl = <A, E>(
  use: (control: Journal.Control) => Effect.Effect<A, E, Journal.Journal | Node.Node | Scope.Scope>
) =>
  Effect.flatMap(
    Journal.makeMemory,
    ({ control, journal }) => Effect.provideService(use(control), Journal.Journal, journal)
  ).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(Node.layerLocal(), Silent))
  )

/** Waits until a member has a transaction in a state in which it stays. */
const reaches = (member: Process.Target | string, state: string) =>
  Effect.repeat(TwoPhaseCommit.status(member), {
    until: (transactions) => transactions.some((transaction) => transaction.state === state)
  })

/** What a process does that is killed: nothing at all. */
const kill = (name: string) => Effect.andThen(Process.kill({ name }), Effect.ignore(Process.awaitExit({ name })))

describe("TwoPhaseCommit", () => {
  it.effect("commits at all participants when all say yes, and whoever asks next sees it", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      yield* account("bob", 0)
      const result = yield* transfer("alice", "bob", 30)
      assert.strictEqual(result._tag, "Committed")
      assert.deepStrictEqual(result, { _tag: "Committed", transaction: result.transaction, pending: [] })
      assert.strictEqual(yield* balance("alice"), 70)
      assert.strictEqual(yield* balance("bob"), 30)
      assert.deepStrictEqual(yield* TwoPhaseCommit.status("transfers"), [])
      assert.deepStrictEqual(yield* TwoPhaseCommit.status("alice"), [])
    }).pipe(Effect.provide(Live)))

  it.effect("aborts at all participants when one refuses, and says why in its own words", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      yield* account("bob", 5)
      const result = yield* TwoPhaseCommit.transact("transfers", [
        TwoPhaseCommit.branch(Move, "alice", { amount: -50 }),
        TwoPhaseCommit.branch(Move, "bob", { amount: -50 })
      ])
      assert(result._tag === "Aborted")
      const [reason] = result.reasons
      assert(reason?._tag === "Refused")
      assert.instanceOf(reason.refusal, TooLittle)
      assert.deepStrictEqual([reason.branch, reason.participant, reason.refusal.left], [1, "bob@nonode@nohost", 5])
      assert.deepStrictEqual(yield* stateOf("alice"), { balance: 100, reserved: 0 })
      assert.deepStrictEqual(yield* stateOf("bob"), { balance: 5, reserved: 0 })
    }).pipe(Effect.provide(Live)))

  it.effect("aborts at once when a participant is not there", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      const result = yield* transfer("alice", "nobody", 30)
      assert.deepStrictEqual(result._tag === "Aborted" && result.reasons, [
        { _tag: "Unreachable", branch: 1, participant: "nobody@nonode@nohost" }
      ])
      assert.deepStrictEqual(yield* stateOf("alice"), { balance: 100, reserved: 0 })
    }).pipe(Effect.provide(Live)))

  it.effect("[S29] a participant that does not vote in time has it aborted, by the clock of the test", () =>
    Effect.gen(function*() {
      const asked = yield* Ref.make(0)
      const Slow = TwoPhaseCommit.participant(Account, Move, {
        ...accountParts,
        prepare: () => Effect.andThen(Ref.update(asked, (n) => n + 1), Effect.never)
      })
      yield* coordinator
      yield* account("alice", 100)
      yield* GenServer.start(Slow, { name: "slow", args: 0 })
      const waiting = yield* Effect.forkChild(transfer("alice", "slow", 30))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const result = yield* Fiber.join(waiting)
      assert.deepStrictEqual(result._tag === "Aborted" && result.reasons, [
        { _tag: "TimedOut", branch: 1, participant: "slow@nonode@nohost" }
      ])
      assert.strictEqual(yield* Ref.get(asked), 1)
      assert.deepStrictEqual(yield* stateOf("alice"), { balance: 100, reserved: 0 })
    }).pipe(Effect.provide(Live)))

  it.effect("participants may refuse by an Effect, only read, and have several branches", () =>
    Effect.gen(function*() {
      const applied = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (what: string) => Ref.update(applied, (all) => [...all, what])
      const Watching = TwoPhaseCommit.participant(Account, Move, {
        ...accountParts,
        prepare: ({ amount }, state, { branch, transaction }) =>
          amount === 0
            ? TwoPhaseCommit.readOnly
            : amount > 99
            ? Effect.fail(new TooLittle({ left: -1 }))
            : Effect.as(note(`prepare ${branch} ${transaction === ""}`), TwoPhaseCommit.yes(state)),
        commit: ({ amount }, state, { branch }) =>
          Effect.as(note(`commit ${branch}`), { ...state, balance: state.balance + amount })
      })
      yield* coordinator
      yield* GenServer.start(Watching, { name: "watching", args: 0 })
      const branches = [1, 0, 2].map((amount) => TwoPhaseCommit.branch(Move, "watching", { amount }))
      assert.strictEqual((yield* TwoPhaseCommit.transact("transfers", branches))._tag, "Committed")
      assert.deepStrictEqual(yield* Ref.get(applied), [
        "prepare 0 false",
        "prepare 2 false",
        "commit 0",
        "commit 2"
      ])
      assert.strictEqual(yield* balance("watching"), 3)
      const refused = yield* TwoPhaseCommit.transact("transfers", [
        TwoPhaseCommit.branch(Move, "watching", { amount: 100 })
      ])
      assert.strictEqual(refused._tag, "Aborted")
    }).pipe(Effect.provide(Live)))

  it.effect("many at once: the sum stays the same, and nobody goes below nothing", () =>
    Effect.gen(function*() {
      yield* coordinator
      const names = ["a", "b", "c"]
      for (const name of names) yield* account(name, 100)
      const results = yield* Effect.forEach(
        Array.from({ length: 300 }, (_, i) => i),
        (i) => transfer(names[i % 3]!, names[(i * 7 + 1) % 3]!, (i * 13) % 40),
        { concurrency: 30 }
      )
      const states = yield* Effect.forEach(names, stateOf)
      assert.strictEqual(states.reduce((sum, { balance }) => sum + balance, 0), 300)
      for (const { balance, reserved } of states) {
        assert.isAtLeast(balance, 0)
        assert.strictEqual(reserved, 0)
      }
      assert.isAbove(results.filter(({ _tag }) => _tag === "Committed").length, 50)
    }).pipe(Effect.provide(Live)))

  it.effect("started again, a participant has what it has committed, and not what it once began with", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      const bob = yield* GenServer.startDetached(AccountServer, { name: "bob", args: 0 })
      assert.strictEqual((yield* transfer("alice", "bob", 30))._tag, "Committed")
      yield* kill("bob")
      assert.notDeepEqual((yield* account("bob", 12345)).pid, bob.pid)
      assert.strictEqual(yield* balance("bob"), 30)
    }).pipe(Effect.provide(Live)))

  it.effect("[S28] killed after its yes, a participant asks for the outcome when it is back", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      const begun = yield* Latch.make()
      const blocked = yield* Latch.make()
      const Late = TwoPhaseCommit.participant(Account, Move, {
        ...accountParts,
        commit: (request, state) =>
          Effect.as(Effect.andThen(begun.open, blocked.await), accountParts.commit(request, state))
      })
      const late = yield* GenServer.startDetached(Late, { name: "late", args: 0 })
      const waiting = yield* Effect.forkChild(transfer("alice", "late", 30))
      yield* begun.await
      // It was told to commit, and is killed before it has done so.
      yield* Effect.repeat(TwoPhaseCommit.status("transfers"), { until: ([open]) => open?.waitingFor.length === 1 })
      yield* Process.kill(late)
      yield* Process.awaitExit(late)
      assert.deepStrictEqual(
        (yield* TwoPhaseCommit.status("transfers")).map(({ state, waitingFor }) => [state, waitingFor]),
        [["Committed", ["late@nonode@nohost"]]]
      )
      yield* blocked.open
      yield* GenServer.start(Late, { name: "late", args: 0 })
      yield* TestClock.adjust("1 second")
      const result = yield* Fiber.join(waiting)
      assert.deepStrictEqual(result, { _tag: "Committed", transaction: result.transaction, pending: [] })
      assert.strictEqual(yield* balance("late"), 30)
    }).pipe(Effect.provide(Live)))

  it.effect("answers although a participant is away, and names it", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      const Stuck = TwoPhaseCommit.participant(Account, Move, { ...accountParts, commit: () => Effect.never })
      yield* GenServer.start(Stuck, { name: "stuck", args: 0 })
      const waiting = yield* Effect.forkChild(transfer("alice", "stuck", 30))
      yield* reaches("transfers", "Committed")
      yield* TestClock.adjust("5 seconds")
      const result = yield* Fiber.join(waiting)
      assert.deepStrictEqual(result._tag === "Committed" && result.pending, ["stuck@nonode@nohost"])
      const decided = yield* TwoPhaseCommit.transact(
        "transfers",
        [TwoPhaseCommit.branch(Move, "alice", { amount: 1 })],
        { until: "decided" }
      )
      assert.deepStrictEqual(decided._tag === "Committed" && decided.pending, ["alice@nonode@nohost"])
      assert.isTrue(yield* TwoPhaseCommit.forget("transfers", result.transaction))
      assert.isFalse(yield* TwoPhaseCommit.forget("transfers", result.transaction))
    }).pipe(Effect.provide(Live)))

  it.effect("[S28] killed before its decision is on disk, a coordinator that is back says abort to those in doubt", () =>
    Effect.gen(function*() {
      const Slow = TwoPhaseCommit.participant(Account, Move, { ...accountParts, prepare: () => Effect.never })
      yield* GenServer.startDetached(TwoPhaseCommit.coordinator, { name: "transfers" })
      yield* account("alice", 100)
      yield* GenServer.start(Slow, { name: "slow", args: 0 })
      const waiting = yield* Effect.forkChild(Effect.exit(transfer("alice", "slow", 30)))
      yield* reaches("alice", "Prepared")
      yield* kill("transfers")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Failure")
      // However long that takes: it does not decide alone.
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        (yield* TwoPhaseCommit.status("alice")).map(({ state, waitingFor }) => [state, waitingFor]),
        [["Prepared", ["transfers@nonode@nohost"]]]
      )
      assert.deepStrictEqual(yield* stateOf("alice"), { balance: 100, reserved: 30 })
      yield* coordinator
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* TwoPhaseCommit.status("alice"), [])
      assert.deepStrictEqual(yield* stateOf("alice"), { balance: 100, reserved: 0 })
    }).pipe(Effect.provide(Live)))

  it.effect("[S28] an operator decides for a participant in doubt; a mismatch is shown until it is dismissed", () =>
    Effect.gen(function*() {
      yield* coordinator
      yield* account("alice", 100)
      // The decision does not reach it: from its yes on it has no name.
      const Deaf = TwoPhaseCommit.participant(Account, Move, {
        ...accountParts,
        prepare: (_, state) => Effect.as(Process.unregister("deaf"), TwoPhaseCommit.yes(state))
      })
      const { pid: deaf } = yield* GenServer.start(Deaf, {
        name: "deaf",
        args: 0,
        options: { retry: 3_600_000, retryAtMost: 3_600_000 }
      })
      const waiting = yield* Effect.forkChild(transfer("alice", "deaf", 30))
      yield* reaches("transfers", "Committed")
      yield* TestClock.adjust("5 seconds")
      const result = yield* Fiber.join(waiting)
      assert.strictEqual(result._tag, "Committed")

      assert.strictEqual(yield* TwoPhaseCommit.resolve(deaf, result.transaction, "Abort"), 1)
      assert.strictEqual(yield* TwoPhaseCommit.resolve(deaf, result.transaction, "Abort"), 0)
      assert.deepStrictEqual(
        (yield* TwoPhaseCommit.status(deaf)).map(({ heuristic, mismatch, state }) => [state, heuristic, mismatch]),
        [["Heuristic", "Abort", undefined]]
      )
      yield* Process.register("deaf", deaf)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(
        (yield* TwoPhaseCommit.status(deaf)).map(({ heuristic, mismatch }) => [heuristic, mismatch]),
        [["Abort", "Commit"]]
      )
      // The coordinator knows, and waits no longer.
      assert.deepStrictEqual(yield* TwoPhaseCommit.status("transfers"), [])
      assert.strictEqual(yield* TwoPhaseCommit.dismiss(deaf, result.transaction), 1)
      assert.deepStrictEqual(yield* TwoPhaseCommit.status(deaf), [])
      assert.deepStrictEqual(yield* stateOf("deaf"), { balance: 0, reserved: 0 })
    }).pipe(Effect.provide(Live)))

  it.effect("[S28] [F11] a failed write ends the process and is no yes; when the disk works again all goes on", () =>
    withControl((control) =>
      Effect.gen(function*() {
        yield* account("alice", 100)
        yield* account("bob", 0)
        yield* GenServer.startDetached(TwoPhaseCommit.coordinator, { name: "transfers" })
        yield* control.fail("no space left on the device")
        const result = yield* transfer("alice", "bob", 30)
        assert.strictEqual(result._tag, "Aborted")
        yield* Process.awaitExit({ name: "alice" })
        yield* Process.awaitExit({ name: "bob" })
        // The coordinator shares the disk: it has to be opened anew as well.
        yield* kill("transfers")
        yield* coordinator
        yield* account("alice", 1)
        yield* account("bob", 1)
        assert.strictEqual((yield* transfer("alice", "bob", 30))._tag, "Committed")
        assert.deepStrictEqual(yield* stateOf("alice"), { balance: 70, reserved: 0 })
        assert.deepStrictEqual(yield* stateOf("bob"), { balance: 30, reserved: 0 })
      })
    ))

  it.effect("a handler that dies while it prepares has the transaction aborted", () =>
    Effect.gen(function*() {
      const Dying = TwoPhaseCommit.participant(Account, Move, {
        ...accountParts,
        prepare: () => Effect.die(new Error("oh"))
      })
      yield* coordinator
      yield* account("alice", 100)
      yield* GenServer.startDetached(Dying, { name: "dying", args: 0 })
      const result = yield* transfer("alice", "dying", 30)
      assert.deepStrictEqual(result._tag === "Aborted" && result.reasons, [
        { _tag: "Unreachable", branch: 1, participant: "dying@nonode@nohost" }
      ])
      assert.deepStrictEqual(yield* stateOf("alice"), { balance: 100, reserved: 0 })
    }).pipe(Effect.provide(Live)))

  it.effect("refuses more transactions than it may have, at the coordinator and at a participant", () =>
    Effect.gen(function*() {
      const Stuck = TwoPhaseCommit.participant(Account, Move, { ...accountParts, commit: () => Effect.never })
      yield* GenServer.start(TwoPhaseCommit.coordinator, { name: "transfers", maxTransactions: 1 })
      yield* GenServer.start(TwoPhaseCommit.coordinator, { name: "others" })
      yield* GenServer.start(AccountServer, { name: "alice", args: 100 })
      yield* GenServer.start(Stuck, { name: "stuck", args: 0 })
      yield* GenServer.start(AccountServer, { name: "full", args: 0, maxTransactions: 0 })
      yield* Effect.forkChild(transfer("alice", "stuck", 1))
      yield* reaches("transfers", "Committed")
      const beyond = yield* transfer("alice", "stuck", 1)
      assert.deepStrictEqual(beyond._tag === "Aborted" && beyond.reasons, [
        { _tag: "Overloaded", branch: undefined, participant: undefined }
      ])
      const full = yield* TwoPhaseCommit.transact("others", [TwoPhaseCommit.branch(Move, "full", { amount: 1 })])
      assert.deepStrictEqual(full._tag === "Aborted" && full.reasons, [
        { _tag: "Overloaded", branch: 0, participant: "full@nonode@nohost" }
      ])
    }).pipe(Effect.provide(Live)))

  it.effect("a participant of another kind says that it does not understand", () =>
    Effect.gen(function*() {
      const Other = TwoPhaseCommit.work({ request: Schema.Struct({ name: Schema.String }) })
      yield* coordinator
      yield* account("alice", 100)
      const result = yield* TwoPhaseCommit.transact("transfers", [TwoPhaseCommit.branch(Other, "alice", { name: "x" })])
      assert.strictEqual(result._tag === "Aborted" && result.reasons[0]?._tag, "Invalid")
    }).pipe(Effect.provide(Live)))

  it.effect("a journal that is damaged is refused at the start", () =>
    withControl((control) =>
      Effect.gen(function*() {
        const alice = yield* GenServer.startDetached(AccountServer, { name: "alice", args: 100 })
        yield* Process.stop(alice)
        yield* control.damage("2pc:alice")
        const error = yield* Effect.flip(account("alice", 100))
        assert.strictEqual(error._tag === "JournalError" && error.reason, "Corrupt")
      })
    ))

  it.effect("participants on other nodes, under the clock of the test", () =>
    Effect.gen(function*() {
      const cluster = yield* MemoryCluster.MemoryCluster
      const journal = yield* Effect.map(Journal.makeMemory, ({ journal }) => journal)
      const on = <A, E>(node: string, effect: Effect.Effect<A, E, Node.Node | Journal.Journal>) =>
        cluster.on(node, Effect.provideService(effect, Journal.Journal, journal))
      const names = ["a@x", "b@x", "c@x"]
      yield* on("a@x", GenServer.startDetached(TwoPhaseCommit.coordinator, { name: "transfers" }))
      for (const node of names) {
        yield* on(node, GenServer.startDetached(AccountServer, { name: `account ${node}`, args: 100 }))
      }
      const branches = [-20, 10, 10].map((amount, i) =>
        TwoPhaseCommit.branch(Move, { name: `account ${names[i]}`, node: names[i] }, { amount })
      )
      const result = yield* on("b@x", TwoPhaseCommit.transact({ name: "transfers", node: "a@x" }, branches))
      assert.strictEqual(result._tag, "Committed")
      const all = yield* Effect.forEach(names, (node) => on(node, balance(`account ${node}`)))
      assert.deepStrictEqual(all, [80, 110, 110])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(MemoryCluster.layer(["a@x", "b@x", "c@x"]), Silent))))
})
