/**
 * A participant at work: it has its handlers vote and carry out, and keeps what they change together with what it has
 * promised.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Compiled } from "../../etf/Compiled.ts"
import type * as Behaviour from "../../process/Behaviour.ts"
import * as CommitCore from "../CommitCore.ts"
import * as Journal from "../Journal.ts"
import type { JournalError } from "../JournalError.ts"
import { CommitShell, type Setup } from "./CommitShell.ts"
import {
  type Codec,
  participantRecord,
  type Refusal,
  type ToCoordinator,
  type ToParticipant,
  type TransactionStatus
} from "./CommitWire.ts"

type State = CommitCore.Participation<Uint8Array>
type Input = CommitCore.ParticipantInput<Uint8Array, Refusal>

/** What a handler said to a request: whether it has something to carry out, and its next state. */
export interface Prepared {
  readonly readOnly: boolean
  readonly updates: boolean
  readonly state: unknown
}

/** Which branch a handler works for. */
export interface Context {
  readonly transaction: string
  readonly branch: number
}

/** What a participant does, its types forgotten. */
export interface Handlers {
  readonly request: Compiled<unknown>
  readonly refusal: Compiled<unknown>
  readonly state: Codec<unknown>
  readonly prepare: (request: unknown, state: unknown, context: Context) => unknown
  readonly commit: (request: unknown, state: unknown, context: Context) => unknown
  readonly abort: (request: unknown, state: unknown, context: Context) => unknown
}

const stateKey = "state"

const keyOf = ({ branch, transaction }: CommitCore.About): string => `${transaction}#${branch}`

/** @since 0.1.0 */
export class CommitMember extends CommitShell<State, ToCoordinator> {
  /** What the handlers have made of it so far. */
  state: unknown
  private readonly handlers: Handlers
  /** Whether the state differs from what is on disk or on its way there. */
  private changed = false
  private ballots = 0
  /** What an operator waits for, by key. */
  private readonly waiting = new Map<string, () => void>()

  private constructor(setup: Setup<ToCoordinator>, handlers: Handlers, state: unknown) {
    super(setup)
    this.handlers = handlers
    this.state = state
  }

  /** A participant with what its journal holds, at work until the scope closes. */
  static make(
    setup: Setup<ToCoordinator>,
    handlers: Handlers,
    initial: () => unknown
  ): Effect.Effect<CommitMember, JournalError, Scope.Scope> {
    return Effect.gen(function*() {
      const { book, id, records } = setup
      const kept = records.find(({ key }) => key === stateKey)
      const state = kept === undefined ? initial() : yield* handlers.state.decode(id, kept)
      // From now on it is what it was at the first start, whatever a later program begins with.
      if (kept === undefined) yield* book.write([Journal.put(stateKey, handlers.state.encode(state))])
      const member = new CommitMember(setup, handlers, state)
      const branches = yield* Effect.forEach(
        records.filter(({ key }) => key !== stateKey),
        (entry) => participantRecord.decode(id, entry)
      )
      const { now } = member
      yield* member.begin(branches.map((record) => [keyOf(record), CommitCore.recoverParticipation(record, now)]))
      return member
    })
  }

  /** What came from a coordinator, one after the other. */
  receive(from: CommitCore.MemberId, messages: ReadonlyArray<ToParticipant>): void | Effect.Effect<void> {
    return this.each(messages, (message) => {
      const key = keyOf(message)
      if (message._tag === "Prepare" && this.table.size >= this.setup.maxTransactions && !this.table.has(key)) {
        const vote = { _tag: "No", refusal: { _tag: "Overloaded" } } as const
        return this.post(from, { _tag: "Vote", transaction: message.transaction, branch: message.branch, vote })
      }
      return this.take(key, { _tag: "Receive", from, message })
    })
  }

  /**
   * Has an operator decide for all branches of a transaction that are in doubt. The call is answered when that is on
   * disk.
   */
  resolve(
    transaction: string,
    outcome: CommitCore.Outcome,
    call: Behaviour.CallEnvelope
  ): void | Effect.Effect<void> {
    const keys = this.keysOf(transaction, "Prepared")
    let left = keys.length
    const done = (): void => {
      if (left === 0) call.complete(Exit.succeed(keys.length))
    }
    done()
    return this.each(keys, (key) => {
      this.waiting.set(key, () => {
        left--
        done()
      })
      return this.take(key, { _tag: "Resolve", outcome })
    })
  }

  /** Forgets what an operator has decided for a transaction, and whether it was right. */
  dismiss(transaction: string): number {
    const keys = this.keysOf(transaction, "Heuristic")
    for (const key of keys) void this.take(key, { _tag: "Dismiss" })
    return keys.length
  }

  get status(): ReadonlyArray<TransactionStatus> {
    return Array.from(this.table.values(), (state) => {
      const heuristic = state._tag === "Heuristic" ? state : undefined
      return {
        transaction: state.transaction,
        branch: state.branch,
        state: state._tag,
        waitingFor: state._tag === "Prepared" || (heuristic !== undefined && heuristic.decided === undefined)
          ? [state.coordinator]
          : [],
        heuristic: heuristic?.outcome,
        mismatch: heuristic?.decided
      }
    })
  }

  protected tick(key: string): void {
    void this.take(key, { _tag: "Tick" })
  }

  protected accompany(): ReadonlyArray<Journal.Change> {
    if (!this.changed) return []
    this.changed = false
    return [Journal.put(stateKey, this.handlers.state.encode(this.state))]
  }

  private keysOf(transaction: string, tag: State["_tag"]): ReadonlyArray<string> {
    return [...this.table].flatMap(([key, state]) =>
      state.transaction === transaction && state._tag === tag ? [key] : []
    )
  }

  /** One after the other: what takes no time is done in this turn. */
  private each<A>(
    items: ReadonlyArray<A>,
    work: (item: A) => void | Effect.Effect<void>,
    from = 0
  ): void | Effect.Effect<void> {
    for (let at = from; at < items.length; at++) {
      const result = work(items[at]!)
      if (result !== undefined) return Effect.flatMap(result, () => lifted(this.each(items, work, at + 1)))
    }
  }

  /** Takes an input; what comes back is the handler that it has set to work, if that takes its time. */
  private take(key: string, input: Input): void | Effect.Effect<void> {
    const before = this.table.get(key)
    const [state, output] = CommitCore.participate(before, this.now, input, this.setup.options)
    if (state !== before) this.set(key, state)
    const { events, persist, send, task } = output
    if (persist !== undefined) {
      const { receipt, record } = persist
      this.write(
        record === undefined ? Journal.remove(key) : Journal.put(key, participantRecord.encode(record)),
        receipt === undefined ? undefined : () => this.written(key, receipt)
      )
    }
    for (const { message, to } of send) this.post(to, message)
    for (const event of events) this.report(event)
    return task === undefined ? undefined : this.perform(key, state!, task)
  }

  private written(key: string, receipt: CommitCore.ParticipantPersisted): void {
    // No receipt sets a handler to work.
    void this.take(key, receipt)
    if (receipt.stage !== "Resolved" && receipt.stage !== "Finished") return
    this.waiting.get(key)?.()
    this.waiting.delete(key)
  }

  private perform(key: string, about: Context, task: CommitCore.Task<Uint8Array>): void | Effect.Effect<void> {
    const { handlers } = this
    const context: Context = { transaction: about.transaction, branch: about.branch }
    const request = handlers.request.decode(task.work)
    if (task._tag === "Prepare") {
      if (Result.isFailure(request)) {
        const detail = request.failure.message
        return this.voted(key, { _tag: "No", refusal: { _tag: "Invalid", detail } })
      }
      const prepared = handlers.prepare(request.success, this.state, context)
      return Effect.isEffect(prepared)
        ? Effect.flatMap(
          // Its services are those of the process, its failures the refusals of the participant.
          Effect.result(prepared as Effect.Effect<Prepared, unknown>),
          (result) => lifted(this.prepared(key, result))
        )
        : this.prepared(key, Result.succeed(prepared as Prepared))
    }
    // It said yes to this request before: the schema has become another since.
    if (Result.isFailure(request)) throw request.failure
    const work = task.outcome === "Commit" ? handlers.commit : handlers.abort
    const state = work(request.success, this.state, context)
    return Effect.isEffect(state)
      ? Effect.flatMap(state as Effect.Effect<unknown>, (state) => lifted(this.applied(key, state)))
      : this.applied(key, state)
  }

  private prepared(key: string, result: Result.Result<Prepared, unknown>): void | Effect.Effect<void> {
    if (Result.isFailure(result)) {
      const refusal = Result.getOrThrow(this.handlers.refusal.encode(result.failure))
      return this.voted(key, { _tag: "No", refusal: { _tag: "Refused", refusal } })
    }
    const { readOnly, state, updates } = result.success
    if (readOnly) return this.voted(key, { _tag: "ReadOnly" })
    if (updates) this.become(state)
    return this.voted(key, { _tag: "Yes", ballot: `${this.setup.session}.${++this.ballots}` })
  }

  private voted(key: string, vote: CommitCore.Vote<Refusal>): void | Effect.Effect<void> {
    return this.take(key, { _tag: "Voted", vote })
  }

  private applied(key: string, state: unknown): void | Effect.Effect<void> {
    this.become(state)
    return this.take(key, { _tag: "Applied" })
  }

  private become(state: unknown): void {
    if (state === this.state) return
    this.state = state
    this.changed = true
  }

  private report(event: CommitCore.Event): void {
    const { id } = this.setup
    const { outcome, transaction } = event
    this.setup.fork(
      event._tag === "Heuristic"
        ? Effect.logWarning(`${transaction} at ${id}: an operator has decided to ${outcome.toLowerCase()}`)
        : Effect.logError(
          `${transaction} at ${id}: an operator has decided to ${outcome.toLowerCase()}, and the decision is ` +
            `${event.decided.toLowerCase()}: they disagree for ever`
        )
    )
  }
}

const lifted = (result: void | Effect.Effect<void>): Effect.Effect<void> => result ?? Effect.void
