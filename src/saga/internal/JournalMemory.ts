/**
 * A disk in memory that can be made to fail, to wait, to crash and to rot.
 *
 * What was written is kept with a copy, in which damage shows as it would in a checksum. Guarantees that what was
 * committed is there when it is opened again; refuses a book that is damaged.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { Control, Entry } from "../Journal.ts"
import { JournalError } from "../JournalError.ts"
import type { Disk, Owned } from "./JournalBooks.ts"

/** What errors call it. */
export const name = "the journal in memory"

interface Stored extends Entry {
  readonly order: number
  readonly copy: Uint8Array
}

const failing = (detail: string): JournalError => new JournalError({ journal: name, reason: "Io", detail })

const isWhole = ({ copy, value }: Stored): boolean => copy.every((byte, at) => byte === value[at])

/** @since 0.1.0 */
export class MemoryDisk {
  private readonly books = new Map<string, Map<string, Array<Stored>>>()
  private readonly gate = Latch.makeUnsafe(true)
  private orders = 0
  /** Counts how often the program has crashed: what was opened before fails. */
  private crashes = 0
  private planned: JournalError | undefined

  /** The disk, open. */
  readonly open: Effect.Effect<Disk, JournalError, Scope.Scope> = Effect.sync(() => {
    const { crashes } = this
    const failure = () => crashes === this.crashes ? undefined : failing("the program has ended")
    return {
      failure,
      read: (owner) => this.read(owner),
      commit: (changes) =>
        Effect.andThen(
          this.gate.await,
          Effect.suspend(() => {
            const failed = failure() ?? this.planned
            this.planned = undefined
            if (failed !== undefined) return Effect.fail(failed)
            for (const change of changes) this.apply(change)
            return Effect.void
          })
        )
    }
  })

  /** What a test may do to it. */
  readonly control: Control = {
    fail: (detail) =>
      Effect.sync(() => {
        this.planned = failing(detail)
      }),
    hold: Effect.asVoid(this.gate.close),
    release: Effect.asVoid(this.gate.open),
    crash: Effect.suspend(() => {
      this.crashes++
      return this.control.release
    }),
    damage: (owner) =>
      Effect.sync(() => {
        const last = this.sorted(owner).at(-1)
        if (last !== undefined) last.copy[0]! ^= 1
      })
  }

  private read(owner: string): Effect.Effect<ReadonlyArray<Entry>, JournalError> {
    return Effect.suspend(() => {
      const entries = this.sorted(owner)
      const damaged = entries.find((entry) => !isWhole(entry))
      if (damaged === undefined) return Effect.succeed(entries.map(({ key, value }) => ({ key, value })))
      const detail = `a record of ${owner} under ${damaged.key} is not what was written`
      return Effect.fail(new JournalError({ journal: name, reason: "Corrupt", detail }))
    })
  }

  private sorted(owner: string): ReadonlyArray<Stored> {
    return [...this.books.get(owner)?.values() ?? []].flat().sort((a, b) => a.order - b.order)
  }

  private apply({ change, owner }: Owned): void {
    let book = this.books.get(owner)
    if (book === undefined) this.books.set(owner, book = new Map())
    if (change._tag === "Remove") {
      book.delete(change.key)
      return
    }
    const { key, value } = change
    const stored: Stored = { key, value: value.slice(), copy: value.slice(), order: this.orders++ }
    const before = book.get(key)
    if (change._tag === "Append" && before !== undefined) before.push(stored)
    else book.set(key, [stored])
  }
}
