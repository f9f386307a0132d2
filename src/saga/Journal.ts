/**
 * Where sagas and transactions keep what they must not forget.
 *
 * A journal has a book for each owner: a coordinator, a participant, a saga. A book holds records under keys, in the
 * order in which they were written; a key is as a rule one transaction, whose records go when it is finished.
 * `NodeSqliteJournal` keeps the books in one SQLite database, {@link memory} for as long as the program runs.
 *
 * Guarantees: the changes of one `write` are kept all or none, in the order of the calls, and are on the disk when it
 * has ended; what comes while the disk is busy shares its next sync, also among books. What a crash tore off at the
 * end, which nobody was told to be on disk, is not there at the next start; any other byte that is not what was
 * written is found when the journal is opened, which fails then with `Corrupt`.
 *
 * Refuses to go on after a failed write or sync, even if the next one would succeed: what is on the disk is unknown
 * then, and known again once the journal has been opened anew. Refuses a second opening of a book that is open.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Etf from "../etf/EtfSchema.ts"
import * as JournalBooks from "./internal/JournalBooks.ts"
import * as JournalMemory from "./internal/JournalMemory.ts"
import { JournalError } from "./JournalError.ts"

/**
 * One record of a book.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly key: string
  readonly value: Uint8Array
}

/**
 * One change of a book. See {@link append}, {@link put} and {@link remove}.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | { readonly _tag: "Append"; readonly key: string; readonly value: Uint8Array }
  | { readonly _tag: "Put"; readonly key: string; readonly value: Uint8Array }
  | { readonly _tag: "Remove"; readonly key: string }

/**
 * Adds a record after those that its key has.
 *
 * @category changes
 * @since 0.1.0
 */
export const append = (key: string, value: Uint8Array): Change => ({ _tag: "Append", key, value })

/**
 * Puts one record in the place of all that its key has.
 *
 * @category changes
 * @since 0.1.0
 */
export const put = (key: string, value: Uint8Array): Change => ({ _tag: "Put", key, value })

/**
 * Removes all records of a key.
 *
 * @category changes
 * @since 0.1.0
 */
export const remove = (key: string): Change => ({ _tag: "Remove", key })

/**
 * An open book.
 *
 * @category models
 * @since 0.1.0
 */
export interface Book {
  /** What it held when it was opened, oldest first. */
  readonly entries: ReadonlyArray<Entry>
  /** Makes changes, all or none, that are on disk when it ends. An interruption does not take them back. */
  readonly write: (changes: ReadonlyArray<Change>) => Effect.Effect<void, JournalError>
  /**
   * Makes changes that may be lost in a crash: they go to disk with the next write, or when the book is closed. For
   * what need not be remembered, only not kept for ever.
   */
  readonly later: (changes: ReadonlyArray<Change>) => Effect.Effect<void, JournalError>
}

/**
 * Opens books by the names of their owners.
 *
 * @category services
 * @since 0.1.0
 */
export interface Service {
  /** A book, for as long as the surrounding scope lives. */
  readonly open: (owner: string) => Effect.Effect<Book, JournalError, Scope.Scope>
}

/**
 * The key of the service.
 *
 * @category services
 * @since 0.1.0
 */
export const Journal: Context.Key<Journal, Service> = Context.Service<Journal, Service>("~effect-otp/Journal")

/**
 * The identity of the service in types.
 *
 * @category services
 * @since 0.1.0
 */
export interface Journal {
  readonly _: unique symbol
}

/**
 * A book whose records are values of a schema.
 *
 * @category typed
 * @since 0.1.0
 */
export interface TypedBook<in out A> {
  /** What it held when it was opened, oldest first. */
  readonly entries: ReadonlyArray<{ readonly key: string; readonly value: A }>
  /** Adds a record after those that its key has. It is on disk when this ends. */
  readonly append: (key: string, value: A) => Effect.Effect<void, JournalError>
  /** Puts a record in the place of all that its key has. It is on disk when this ends. */
  readonly put: (key: string, value: A) => Effect.Effect<void, JournalError>
  /** Removes all records of a key. They are gone from the disk when this ends. */
  readonly remove: (key: string) => Effect.Effect<void, JournalError>
  /** Removes all records of a key, with the next write: after a crash they may be there again. */
  readonly forget: (key: string) => Effect.Effect<void, JournalError>
}

/**
 * Opens the book of an owner with records of a schema, for as long as the surrounding scope lives. A value that its
 * schema refuses is a defect; a record that the schema does not know fails with `Corrupt`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Journal } from "effect-otp/saga"
 *
 * const program = Effect.gen(function*() {
 *   const book = yield* Journal.openTyped("orders", Schema.Struct({ step: Schema.Int }))
 *   yield* book.append("order 7", { step: 1 })
 *   return book.entries.length
 * }).pipe(Effect.scoped, Effect.provide(Journal.memory))
 * ```
 *
 * @category typed
 * @since 0.1.0
 */
export const openTyped = <A, I>(
  owner: string,
  schema: Schema.Codec<A, I>
): Effect.Effect<TypedBook<A>, JournalError, Journal | Scope.Scope> =>
  Effect.gen(function*() {
    const codec = Etf.compile(schema)
    const book = yield* (yield* Journal).open(owner)
    const entries: Array<{ readonly key: string; readonly value: A }> = []
    for (const { key, value } of book.entries) {
      const decoded = codec.decode(value)
      if (Result.isFailure(decoded)) {
        return yield* new JournalError({
          journal: owner,
          reason: "Corrupt",
          detail: `a record of ${key} is not of its schema: ${decoded.failure.message}`
        })
      }
      entries.push({ key, value: decoded.success })
    }
    const encoded = (value: A, change: (bytes: Uint8Array) => Change) => {
      const bytes = codec.encode(value)
      return Result.isFailure(bytes) ? Effect.die(bytes.failure) : book.write([change(bytes.success)])
    }
    return {
      entries,
      append: (key, value) => encoded(value, (bytes) => append(key, bytes)),
      put: (key, value) => encoded(value, (bytes) => put(key, bytes)),
      remove: (key) => book.write([remove(key)]),
      forget: (key) => book.later([remove(key)])
    }
  })

/**
 * What a test does to a journal in memory.
 *
 * @category testing
 * @since 0.1.0
 */
export interface Control {
  /**
   * Has the next write fail, and with it all books that are open. They may be opened anew, as with a disk that works
   * again.
   */
  readonly fail: (detail: string) => Effect.Effect<void>
  /** Has writes wait from now on, as for a slow disk. */
  readonly hold: Effect.Effect<void>
  /** Lets those that wait go on. */
  readonly release: Effect.Effect<void>
  /**
   * Ends all books that are open, as if the program had been killed: what is not on disk is lost. They may be opened
   * anew.
   */
  readonly crash: Effect.Effect<void>
  /** Changes a byte of the last record of an owner, so that its book is `Corrupt`. */
  readonly damage: (owner: string) => Effect.Effect<void>
}

/**
 * A journal in memory and the means to make it fail: for tests.
 *
 * @category testing
 * @since 0.1.0
 */
export const makeMemory: Effect.Effect<
  { readonly journal: Service; readonly control: Control },
  JournalError,
  Scope.Scope
> = Effect.suspend(() => {
  const disk = new JournalMemory.MemoryDisk()
  return Effect.map(
    JournalBooks.make(JournalMemory.name, disk.open),
    (journal) => ({ journal, control: disk.control })
  )
})

/**
 * A journal in memory: it lasts as long as the layer, also when an owner ends and starts again.
 *
 * @category layers
 * @since 0.1.0
 */
export const memory: Layer.Layer<Journal> = Layer.effect(
  Journal,
  // Nothing makes it fail.
  Effect.orDie(Effect.map(makeMemory, ({ journal }) => journal))
)
