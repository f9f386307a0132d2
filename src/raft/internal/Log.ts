/**
 * The log of one member as an immutable value: what follows the last snapshot.
 *
 * Logs share their storage: appending to the newest value costs only the new entries, and older values stay what they
 * were. Appending to an older value, which happens when a follower's entries are replaced, copies.
 *
 * @since 0.1.0
 */
import type { Entry } from "../RaftEntry.ts"

/** @since 0.1.0 */
export class Log<C> {
  /** The entry before the first of this log: index and term of the snapshot, or zero. */
  readonly baseIndex: number
  readonly baseTerm: number
  readonly lastIndex: number
  /** Entries from `storedFrom` on. Beyond `lastIndex` they belong to newer values. */
  private readonly stored: Array<Entry<C>>
  private readonly storedFrom: number

  private constructor(
    baseIndex: number,
    baseTerm: number,
    lastIndex: number,
    stored: Array<Entry<C>>,
    storedFrom: number
  ) {
    this.baseIndex = baseIndex
    this.baseTerm = baseTerm
    this.lastIndex = lastIndex
    this.stored = stored
    this.storedFrom = storedFrom
  }

  /** A log without entries after a snapshot. */
  static empty<C>(baseIndex = 0, baseTerm = 0): Log<C> {
    return new Log<C>(baseIndex, baseTerm, baseIndex, [], baseIndex + 1)
  }

  get lastTerm(): number {
    return this.lastIndex === this.baseIndex ? this.baseTerm : this.at(this.lastIndex).term
  }

  /** The term of an entry; undefined when it is not known: behind the snapshot or not there yet. */
  termAt(index: number): number | undefined {
    if (index === this.baseIndex) return this.baseTerm
    return index < this.baseIndex || index > this.lastIndex ? undefined : this.at(index).term
  }

  /** An entry, which must be there. */
  at(index: number): Entry<C> {
    return this.stored[index - this.storedFrom]!
  }

  /** Entries from one index to another, both included, which must be there. */
  slice(from: number, to: number): ReadonlyArray<Entry<C>> {
    return from > to ? [] : this.stored.slice(from - this.storedFrom, to + 1 - this.storedFrom)
  }

  /** The log with entries at its end. */
  append(entries: ReadonlyArray<Entry<C>>): Log<C> {
    if (entries.length === 0) return this
    const held = this.lastIndex + 1 - this.storedFrom
    const lastIndex = this.lastIndex + entries.length
    if (this.stored.length === held) {
      for (const entry of entries) this.stored.push(entry)
      return new Log(this.baseIndex, this.baseTerm, lastIndex, this.stored, this.storedFrom)
    }
    const stored = this.stored.slice(this.baseIndex + 1 - this.storedFrom, held)
    for (const entry of entries) stored.push(entry)
    return new Log(this.baseIndex, this.baseTerm, lastIndex, stored, this.baseIndex + 1)
  }

  /** The log up to an index. */
  truncate(lastIndex: number): Log<C> {
    return new Log(this.baseIndex, this.baseTerm, lastIndex, this.stored, this.storedFrom)
  }

  /** The log after an index whose entry, and everything before it, is now in a snapshot. */
  compact(index: number): Log<C> {
    const term = this.termAt(index)!
    const stored = this.stored.slice(index + 1 - this.storedFrom, this.lastIndex + 1 - this.storedFrom)
    return new Log(index, term, this.lastIndex, stored, index + 1)
  }

  /** The index of the first entry that has the term of a given one. */
  firstOfTerm(index: number): number {
    const term = this.termAt(index)
    let first = index
    while (first - 1 > this.baseIndex && this.at(first - 1).term === term) first--
    return first
  }
}
