/**
 * What a coordinator and a participant at work have in common: a table of transactions that go through the core, a
 * book in the journal, an alarm, and boxes for what is to be sent.
 *
 * Everything but writing and sending happens in the turn of whoever brings something, so that no two inputs overlap.
 * What is to be written in one turn is one write. Guarantees that a receipt comes back only when its record is on
 * disk. Refuses to go on after a failed write: the process ends with that error, and what was promised is in the
 * journal.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../../process/Behaviour.ts"
import type { StartError } from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import { Node } from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import * as CommitCore from "../CommitCore.ts"
import * as Journal from "../Journal.ts"
import type { JournalError } from "../JournalError.ts"
import { CommitOutboxes } from "./CommitOutboxes.ts"
import { codec, memberId } from "./CommitWire.ts"

/** How a member is set up. */
export interface Setup<in M> {
  readonly id: CommitCore.MemberId
  readonly instance: Behaviour.Instance
  readonly book: Journal.Book
  /** What the book held, but for what is the shell's own. */
  readonly records: ReadonlyArray<Journal.Entry>
  /** Differs from that of every other life of the member. */
  readonly session: string
  readonly options: CommitCore.Options
  /** Transactions that it knows of at once, at most. */
  readonly maxTransactions: number
  /** Hands messages to another member; they may be lost. */
  readonly send: (to: CommitCore.MemberId, messages: ReadonlyArray<M>) => Effect.Effect<void>
  /** Runs something as part of the process, until that ends. */
  readonly fork: (effect: Effect.Effect<unknown>) => void
  /** Ends the process. */
  readonly end: (reason: ExitReason.ExitReason) => void
}

/** What whoever starts a member may say. */
export interface MemberOptions {
  readonly name: string
  readonly options?: Partial<CommitCore.Options> | undefined
  readonly maxTransactions?: number | undefined
}

/** Under this key a book counts the lives of its member. */
const lifeKey = "life"
const lifeRecord = codec(Schema.Int)

/** Registers the process that runs this under its name, opens its book, and gives what its shell needs. */
export const setup = <M>(
  { maxTransactions, name, options }: MemberOptions,
  send: (
    id: CommitCore.MemberId,
    to: CommitCore.MemberId,
    messages: ReadonlyArray<M>
  ) => Effect.Effect<void, never, Node>
): Effect.Effect<Setup<M>, JournalError | StartError, Journal.Journal | Node | Scope.Scope> =>
  Effect.gen(function*() {
    const node = yield* Node
    const context = yield* Effect.context<Node>()
    const scope = yield* Effect.scope
    // The process in whose fiber this runs is the server itself.
    const instance = (yield* Behaviour.current) as Behaviour.Instance
    const self = instance.pid
    // Others find it by its name, in this life and in the next.
    yield* Process.register(name, self)
    const book = yield* (yield* Journal.Journal).open(`2pc:${name}`)
    const id = memberId(name, node.name)
    const before = book.entries.find(({ key }) => key === lifeKey)
    const life = before === undefined ? 1 : (yield* lifeRecord.decode(id, before)) + 1
    yield* book.write([Journal.put(lifeKey, lifeRecord.encode(life))])
    const end = (reason: ExitReason.ExitReason): void => {
      Effect.runForkWith(context)(Effect.forkIn(Process.exit(self, reason), scope))
    }
    return {
      id,
      instance,
      book,
      records: book.entries.filter(({ key }) => key !== lifeKey),
      // The number tells the lives of one journal apart, chance those of a journal that was lost.
      session: `${life}-${(yield* Random.nextIntBetween(1, Number.MAX_SAFE_INTEGER)).toString(36)}`,
      options: { ...CommitCore.defaultOptions, ...options },
      maxTransactions: maxTransactions ?? 10_000,
      send: (to, messages) => Effect.provideService(send(id, to, messages), Node, node),
      end,
      // A part of the member that fails silently would leave a member that promises and does not keep.
      fork: (effect) => {
        Effect.runForkWith(context)(Effect.forkIn(
          Effect.catchCause(
            effect,
            (cause) => Effect.sync(() => Cause.hasInterruptsOnly(cause) || end(ExitReason.error(Cause.squash(cause))))
          ),
          scope
        ))
      }
    }
  })

/** Changes that may be lost go to disk by themselves when there are so many. */
const mostLazy = 1000

class Alarm extends Behaviour.Timer {
  private readonly ring: () => void

  constructor(ring: () => void) {
    super()
    this.ring = ring
  }

  fire(): void {
    this.ring()
  }
}

/** @since 0.1.0 */
export abstract class CommitShell<S extends Parameters<typeof CommitCore.wakeAt>[0], M> {
  protected readonly setup: Setup<M>
  protected readonly table: Map<string, S> = new Map()
  private readonly outboxes: CommitOutboxes<M>
  private readonly alarm = new Alarm(() => this.ring())
  private alarmAt = Infinity
  private changes: Array<Journal.Change> = []
  private receipts: Array<() => void> = []
  private flushing = false

  constructor(setup: Setup<M>) {
    this.setup = setup
    this.outboxes = new CommitOutboxes(setup.send, setup.fork)
  }

  /** Gives a state the time. */
  protected abstract tick(key: string, state: S): void

  /** When a state wants to be given the time. */
  protected dueAt(_key: string, state: S): number {
    return CommitCore.wakeAt(state)
  }

  /** What is to go to disk with the next write beside its records. */
  protected abstract accompany(): ReadonlyArray<Journal.Change>

  protected get now(): number {
    return this.setup.instance.node.timers.now()
  }

  /** Begins with what the disk holds. */
  protected begin(states: ReadonlyArray<readonly [key: string, state: S]>): Effect.Effect<void, never, Scope.Scope> {
    return Effect.andThen(
      Effect.addFinalizer(() => this.close),
      Effect.sync(() => {
        for (const [key, state] of states) this.set(key, state)
      })
    )
  }

  protected set(key: string, state: S | undefined): void {
    if (state === undefined) {
      this.table.delete(key)
      return
    }
    this.table.set(key, state)
    this.arm(this.dueAt(key, state))
  }

  protected post(to: CommitCore.MemberId, message: M): void {
    this.outboxes.put(to, message)
  }

  /** Puts a change on disk in this turn, if somebody waits for that, or else with what comes after it. */
  protected write(change: Journal.Change, receipt: (() => void) | undefined): void {
    this.changes.push(change)
    if (receipt !== undefined) this.receipts.push(receipt)
    if (this.flushing || (receipt === undefined && this.changes.length < mostLazy)) return
    this.flushing = true
    this.setup.fork(Effect.andThen(Effect.yieldNow, this.flush))
  }

  private readonly flush: Effect.Effect<void> = Effect.suspend(() => {
    const { receipts } = this
    this.flushing = false
    this.receipts = []
    return Effect.match(this.setup.book.write(this.takeChanges()), {
      onFailure: (error) => this.setup.end(ExitReason.error(error)),
      onSuccess: () => {
        for (const receipt of receipts) receipt()
      }
    })
  })

  private takeChanges(): ReadonlyArray<Journal.Change> {
    const { changes } = this
    this.changes = []
    return [...changes, ...this.accompany()]
  }

  protected arm(due: number): void {
    if (due >= this.alarmAt) return
    const { instance } = this.setup
    if (this.alarmAt !== Infinity) Behaviour.cancelTimer(instance, this.alarm)
    this.alarmAt = due
    Behaviour.armTimer(instance, this.alarm, Math.max(1, Math.ceil(due - this.now)))
  }

  private ring(): void {
    this.alarmAt = Infinity
    // A throw in here would hit whoever drives the timers of the node.
    const done = Result.try(() => {
      const { now } = this
      let next = Infinity
      for (const [key, state] of [...this.table]) {
        if (this.dueAt(key, state) <= now) this.tick(key, state)
        const left = this.table.get(key)
        if (left !== undefined) next = Math.min(next, this.dueAt(key, left))
      }
      this.arm(next)
    })
    if (Result.isFailure(done)) this.setup.end(ExitReason.error(done.failure))
  }

  /** What was put off is written down on the way out. If that fails, it was allowed to be lost. */
  private readonly close: Effect.Effect<void> = Effect.suspend(() => {
    Behaviour.cancelTimer(this.setup.instance, this.alarm)
    this.alarmAt = -Infinity
    const changes = this.takeChanges()
    return changes.length === 0 ? Effect.void : Effect.ignore(this.setup.book.write(changes))
  })
}
