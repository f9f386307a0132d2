/**
 * A journal in a SQLite database, by Node's own `node:sqlite`: one file, and nothing to install.
 *
 * The database has a thread of its own, so that nobody else waits while the disk syncs; what comes meanwhile goes to
 * disk together with the next sync. It runs with a write-ahead log and `synchronous = FULL`.
 *
 * Guarantees what `Journal` says. Every record has a checksum, and one row knows how many there are and what these
 * add up to; the write-ahead log, whose end SQLite would drop silently after a flipped bit, is read before SQLite's
 * word is taken for it. All of it is checked each time the database is opened.
 *
 * Refuses a file that another program has open (`InUse`), and one that is not whole (`Corrupt`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import * as JournalBooks from "./internal/JournalBooks.ts"
import type { Request, Response } from "./internal/NodeJournalWorker.ts"
import { type Entry, Journal, type Service } from "./Journal.ts"
import { JournalError } from "./JournalError.ts"

/**
 * A journal in the database of a file, for as long as the surrounding scope lives. The file, and the folder in which
 * it is to be, are made when they are not there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (path: string): Effect.Effect<Service, JournalError, Scope.Scope> =>
  JournalBooks.make(path, open(path))

/**
 * The same as a layer.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Journal } from "effect-otp/saga"
 * import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
 *
 * const program = Effect.gen(function*() {
 *   const book = yield* (yield* Journal.Journal).open("orders")
 *   yield* book.write([Journal.append("order 7", new TextEncoder().encode("paid"))])
 * }).pipe(Effect.scoped, Effect.provide(NodeSqliteJournal.layer("data/journal.sqlite")))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (path: string): Layer.Layer<Journal, JournalError> => Layer.effect(Journal, make(path))

// The sources run as they are where Node strips types, and compiled elsewhere.
const script = new URL(
  `./internal/NodeJournalWorker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url
)

const open = (path: string): Effect.Effect<JournalBooks.Disk, JournalError, Scope.Scope> =>
  Effect.gen(function*() {
    const thread = yield* Effect.acquireRelease(
      Effect.sync(() => new Thread(path)),
      (thread) => Effect.ignore(thread.ask({ _tag: "Close" })).pipe(Effect.andThen(thread.end))
    )
    yield* thread.ask({ _tag: "Open" })
    return {
      read: (owner) => thread.ask({ _tag: "Read", owner }),
      commit: (changes) => Effect.asVoid(thread.ask({ _tag: "Commit", changes })),
      failure: () => thread.failure
    }
  })

/** The thread of a database: it answers in the order in which it is asked. */
class Thread {
  /** Why it answers no more. */
  failure: JournalError | undefined
  private readonly path: string
  private readonly worker: Worker
  private readonly waiting: Array<(answer: Effect.Effect<ReadonlyArray<Entry>, JournalError>) => void> = []

  constructor(path: string) {
    this.path = path
    this.worker = new Worker(script, { workerData: path, execArgv: [] })
    // The journal alone keeps no program running; whoever waits for it does.
    this.worker.unref()
    this.worker.on("message", (response: Response) => this.answered(response))
    this.worker.on("error", (error) => this.broken("Io", `its thread has failed: ${error.message}`))
    this.worker.on("exit", () => this.broken("Io", "its thread has ended"))
  }

  ask(request: Request): Effect.Effect<ReadonlyArray<Entry>, JournalError> {
    return Effect.callback((resume) => {
      if (this.failure !== undefined) return resume(Effect.fail(this.failure))
      this.waiting.push(resume)
      this.worker.ref()
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window: it has no origin
      this.worker.postMessage(request)
    })
  }

  get end(): Effect.Effect<void> {
    return Effect.asVoid(Effect.promise(() => this.worker.terminate()))
  }

  private answered(response: Response): void {
    if (response._tag === "Failed") return this.broken(response.reason, response.detail)
    const resume = this.waiting.shift()
    if (this.waiting.length === 0) this.worker.unref()
    resume?.(Effect.succeed(response.entries))
  }

  private broken(reason: JournalError["reason"], detail: string): void {
    this.failure ??= new JournalError({ journal: this.path, reason, detail })
    this.worker.unref()
    for (const resume of this.waiting.splice(0)) resume(Effect.fail(this.failure))
  }
}
