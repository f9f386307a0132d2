/**
 * The books of a journal over a disk that takes one batch of changes at a time.
 *
 * What comes while a batch is on its way is the next one. Guarantees what `Journal` says of order, of `later` and of
 * failures: the first failure ends the life of the disk, and with it every book that is open; the next that is opened
 * opens the disk anew.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Book, Change, Entry, Service } from "../Journal.ts"
import { JournalError } from "../JournalError.ts"

/** A change and the owner of its book. */
export interface Owned {
  readonly owner: string
  readonly change: Change
}

/** A disk that is open. */
export interface Disk {
  readonly read: (owner: string) => Effect.Effect<ReadonlyArray<Entry>, JournalError>
  /** Brings changes to disk, all or none. One call at a time. */
  readonly commit: (changes: ReadonlyArray<Owned>) => Effect.Effect<void, JournalError>
  /** Why nothing can be committed any more, as far as the disk itself knows. */
  readonly failure: () => JournalError | undefined
}

/** Changes, and who waits for them. */
interface Write {
  readonly changes: ReadonlyArray<Owned>
  readonly done: Deferred.Deferred<void, JournalError> | undefined
}

/** Lazy changes go to disk by themselves when there are so many. */
const mostLazy = 1000

/** A disk from its opening to its first failure. */
class Life {
  readonly owners = new Set<string>()
  readonly disk: Disk
  private failed: JournalError | undefined
  private readonly work = Latch.makeUnsafe(false)
  private writes: Array<Write> = []
  private lazy: Array<Owned> = []

  constructor(disk: Disk) {
    this.disk = disk
  }

  /** Why this life is over. */
  get failure(): JournalError | undefined {
    return this.failed ??= this.disk.failure()
  }

  write(changes: ReadonlyArray<Owned>): Effect.Effect<void, JournalError> {
    return Effect.suspend(() => {
      if (this.failure !== undefined) return Effect.fail(this.failure)
      const done = Deferred.makeUnsafe<void, JournalError>()
      this.put(changes, done)
      return Deferred.await(done)
    })
  }

  later(changes: ReadonlyArray<Owned>): Effect.Effect<void, JournalError> {
    return Effect.suspend(() => {
      if (this.failure !== undefined) return Effect.fail(this.failure)
      for (const change of changes) this.lazy.push(change)
      if (this.lazy.length >= mostLazy) this.put([], undefined)
      return Effect.void
    })
  }

  /** Brings to disk what waits, again and again. */
  readonly run: Effect.Effect<never> = Effect.forever(Effect.suspend(() => this.round()))

  /** Nothing comes after this: who waits, or asks again, hears why. */
  end(failure: JournalError): void {
    this.failed ??= failure
    this.settle(this.writes.splice(0), Exit.fail(this.failed))
  }

  private put(changes: ReadonlyArray<Owned>, done: Write["done"]): void {
    this.writes.push({ changes: this.lazy.length === 0 ? changes : [...this.lazy, ...changes], done })
    this.lazy = []
    this.work.openUnsafe()
  }

  private round(): Effect.Effect<void> {
    return this.work.await.pipe(
      // Whoever has something to write in this turn shares the sync.
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(Effect.uninterruptible(Effect.suspend(() => {
        this.work.closeUnsafe()
        const batch = this.writes.splice(0)
        return Effect.map(
          Effect.exit(this.commit(batch.flatMap(({ changes }) => changes))),
          (exit) => this.settle(batch, exit)
        )
      })))
    )
  }

  private settle(batch: ReadonlyArray<Write>, exit: Exit.Exit<void, JournalError>): void {
    for (const { done } of batch) if (done !== undefined) Deferred.doneUnsafe(done, exit)
  }

  private commit(changes: ReadonlyArray<Owned>): Effect.Effect<void, JournalError> {
    if (this.failure !== undefined) return Effect.fail(this.failure)
    if (changes.length === 0) return Effect.void
    return Effect.tapError(this.disk.commit(changes), (error) =>
      Effect.sync(() => {
        this.failed = error
      }))
  }
}

/**
 * The service over a disk that can be opened as often as it has failed. It is opened at once, so that a damaged one
 * is found at the start.
 */
export const make = (
  journal: string,
  open: Effect.Effect<Disk, JournalError, Scope.Scope>
): Effect.Effect<Service, JournalError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const opening = yield* Semaphore.make(1)
    let lives: Scope.Closeable | undefined
    const begin = Effect.gen(function*() {
      if (lives !== undefined) yield* Scope.close(lives, Exit.void)
      lives = yield* Scope.fork(scope)
      const life = new Life(yield* Scope.provide(open, lives))
      yield* Scope.addFinalizer(
        lives,
        Effect.sync(() => life.end(new JournalError({ journal, reason: "Io", detail: "it is closed" })))
      )
      yield* Effect.forkIn(life.run, lives)
      return life
    })
    let current = yield* begin

    const openBook = (owner: string): Effect.Effect<OpenBook, JournalError> =>
      Effect.gen(function*() {
        if (current.failure !== undefined) current = yield* begin
        const life = current
        if (life.owners.has(owner)) {
          const detail = `the book of ${owner} is open already`
          return yield* new JournalError({ journal, reason: "InUse", detail })
        }
        const entries = yield* life.disk.read(owner)
        life.owners.add(owner)
        const owned = (changes: ReadonlyArray<Change>) => changes.map((change) => ({ owner, change }))
        return {
          entries,
          write: (changes) => life.write(owned(changes)),
          later: (changes) => life.later(owned(changes)),
          // What was put off goes to disk with the last write. If that fails, it was allowed to be lost.
          close: Effect.andThen(Effect.ignore(life.write([])), Effect.sync(() => life.owners.delete(owner)))
        }
      })
    return {
      open: (owner) => Effect.acquireRelease(opening.withPermit(openBook(owner)), ({ close }) => close)
    }
  })

interface OpenBook extends Book {
  readonly close: Effect.Effect<unknown>
}
