/**
 * A coordinator at work: it numbers transactions, answers those who asked for them, and watches those who have not
 * voted yet.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Down } from "../../process/Signal.ts"
import type { Reference } from "../../term/Reference.ts"
import * as CommitCore from "../CommitCore.ts"
import * as Journal from "../Journal.ts"
import type { JournalError } from "../JournalError.ts"
import { CommitShell, type Setup } from "./CommitShell.ts"
import {
  type Answer,
  coordinatorRecord,
  memberAt,
  memberId,
  type Order,
  type Refusal,
  type ToCoordinator,
  type ToParticipant,
  type TransactionStatus
} from "./CommitWire.ts"

type State = CommitCore.Coordination<Uint8Array, Refusal>
type Input = CommitCore.CoordinatorInput<Uint8Array, Refusal>

/** Who waits for a transaction, and whose votes are watched for it. */
interface Asked {
  readonly call: Behaviour.CallEnvelope
  readonly participants: ReadonlySet<CommitCore.MemberId>
  readonly timeout: number
  /** Whether a commit is to be carried out before it is answered. */
  readonly applied: boolean
  /** When a commit is answered although it is not carried out everywhere. */
  until: number
}

/** A participant that some transactions wait for. */
interface Watched {
  readonly monitor: Reference
  readonly transactions: Set<string>
}

/** @since 0.1.0 */
export class CommitManager extends CommitShell<State, ToParticipant> {
  private readonly asked = new Map<string, Asked>()
  private readonly watched = new Map<CommitCore.MemberId, Watched>()
  private begun = 0

  /** A coordinator with what its journal holds, at work until the scope closes. */
  static make(setup: Setup<ToParticipant>): Effect.Effect<CommitManager, JournalError, Scope.Scope> {
    return Effect.gen(function*() {
      const manager = new CommitManager(setup)
      const records = yield* Effect.forEach(setup.records, (entry) => coordinatorRecord.decode(setup.id, entry))
      const { now } = manager
      yield* manager.begin(records.map((record) => [record.transaction, CommitCore.recoverCoordination(record, now)]))
      return manager
    })
  }

  /** Begins a transaction; the call is answered when it is decided, or carried out. */
  transact({ applied, branches, timeoutMillis: timeout }: Order, call: Behaviour.CallEnvelope): void {
    const transaction = `${this.setup.id}/${this.setup.session}.${++this.begun}`
    const participants = new Set(branches.map(({ participant }) => participant))
    const asked: Asked = { call, participants, timeout, applied, until: Infinity }
    if (this.table.size >= this.setup.maxTransactions) {
      return this.complete(asked, { transaction, outcome: "Abort", reasons: [{ _tag: "Overloaded" }], pending: [] })
    }
    this.asked.set(transaction, asked)
    for (const participant of participants) this.watch(participant, transaction)
    this.take(transaction, { _tag: "Begin", transaction, branches, timeout })
  }

  /** What came from a participant. */
  receive(from: CommitCore.MemberId, messages: ReadonlyArray<ToCoordinator>): void {
    for (const message of messages) this.take(message.transaction, { _tag: "Receive", from, message })
  }

  /** A watched participant is not there. */
  down({ address, ref }: Down): void {
    if (!("name" in address)) return
    const participant = memberId(address.name, address.node ?? this.setup.instance.node.name)
    const watched = this.watched.get(participant)
    if (watched?.monitor !== ref) return
    this.watched.delete(participant)
    for (const transaction of watched.transactions) this.take(transaction, { _tag: "Unreachable", participant })
  }

  /** Gives up on those who have not acknowledged. */
  forget(transaction: string): boolean {
    const known = this.table.get(transaction)?._tag === "Committed"
    this.take(transaction, { _tag: "Forget" })
    return known
  }

  get status(): ReadonlyArray<TransactionStatus> {
    return Array.from(this.table.values(), (state) => ({
      transaction: state.transaction,
      branch: undefined,
      state: state._tag,
      waitingFor: waitingFor(state),
      heuristic: undefined,
      mismatch: undefined
    }))
  }

  protected override dueAt(transaction: string, state: State): number {
    return Math.min(super.dueAt(transaction, state), this.asked.get(transaction)?.until ?? Infinity)
  }

  protected tick(transaction: string, state: State): void {
    const asked = this.asked.get(transaction)
    if (asked !== undefined && asked.until <= this.now) this.committed(transaction, asked, waitingFor(state))
    // Nobody waits for a transaction whose caller has gone: there is no need to hold what it has locked.
    this.take(transaction, { _tag: asked?.call.abandoned === true ? "Cancel" : "Tick" })
  }

  protected accompany(): ReadonlyArray<Journal.Change> {
    return []
  }

  private take(transaction: string, input: Input): void {
    const before = this.table.get(transaction)
    const [state, output] = CommitCore.coordinate(before, this.now, input, this.setup.options)
    if (state !== before) this.set(transaction, state)
    const { decided, events, persist, send } = output
    if (persist !== undefined) {
      const { receipt, record } = persist
      this.write(
        record === undefined ? Journal.remove(transaction) : Journal.put(transaction, coordinatorRecord.encode(record)),
        receipt === undefined ? undefined : () => this.take(transaction, receipt)
      )
    }
    for (const { message, to } of send) this.post(to, message)
    const asked = this.asked.get(transaction)
    if (asked !== undefined && decided !== undefined) this.decided(transaction, asked, decided)
    else if (asked !== undefined && asked.until !== Infinity && state === undefined) {
      this.committed(transaction, asked, [])
    }
    for (const event of events) {
      if (event._tag === "HeuristicMismatch") {
        this.setup.fork(Effect.logError(
          `${transaction} is committed, but an operator has aborted it at ${event.participant}: they disagree for ever`
        ))
      }
    }
  }

  private decided(transaction: string, asked: Asked, decided: CommitCore.Decided<Refusal>): void {
    for (const participant of asked.participants) this.unwatch(participant, transaction)
    const state = this.table.get(transaction)
    if (decided.outcome === "Abort") {
      this.asked.delete(transaction)
      this.complete(asked, { transaction, outcome: "Abort", reasons: decided.reasons, pending: [] })
    } else if (state === undefined || !asked.applied) {
      this.committed(transaction, asked, state === undefined ? [] : waitingFor(state))
    } else {
      asked.until = this.now + asked.timeout
      this.arm(asked.until)
    }
  }

  private committed(transaction: string, asked: Asked, pending: ReadonlyArray<CommitCore.MemberId>): void {
    this.asked.delete(transaction)
    this.complete(asked, { transaction, outcome: "Commit", reasons: [], pending })
  }

  /**
   * Answers, behind what has just been put into the boxes: whoever asks a participant of this node next comes after
   * that.
   */
  private complete({ call }: Asked, answer: Answer): void {
    this.setup.fork(Effect.andThen(Effect.yieldNow, Effect.sync(() => call.complete(Exit.succeed(answer)))))
  }

  private watch(participant: CommitCore.MemberId, transaction: string): void {
    const watched = this.watched.get(participant)
    if (watched !== undefined) watched.transactions.add(transaction)
    else {
      const monitor = Behaviour.monitor(this.setup.instance, memberAt(participant))
      this.watched.set(participant, { monitor, transactions: new Set([transaction]) })
    }
  }

  private unwatch(participant: CommitCore.MemberId, transaction: string): void {
    const watched = this.watched.get(participant)
    if (watched === undefined || !watched.transactions.delete(transaction) || watched.transactions.size > 0) return
    this.watched.delete(participant)
    Behaviour.demonitor(this.setup.instance, watched.monitor)
  }
}

const waitingFor = (state: State): ReadonlyArray<CommitCore.MemberId> => {
  switch (state._tag) {
    case "Voting":
      return state.branches.flatMap(({ participant }, branch) => state.votes[branch] === undefined ? [participant] : [])
    case "Deciding":
      return []
    case "Committed":
      return state.promises.flatMap(({ branch, participant }) =>
        state.acknowledged.includes(branch) ? [] : [participant]
      )
  }
}
