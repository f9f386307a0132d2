/**
 * The atom cache of a connection.
 *
 * Packets of the distribution protocol name their atoms in a header and refer to them by position. Each direction of a
 * connection has a table of 2048 slots: the sender decides which atom is in which slot and sends its text once, the
 * receiver follows. {@link AtomCacheReader} is the receiving side, {@link AtomCacheWriter} the sending one.
 *
 * Both are bounded by the number of slots. Headers must be read in the order in which they arrive, also those of packets
 * that are dropped; what a writer assigned counts only once the packet is committed. An error of the reader leaves the
 * table in an undefined state: the connection must be closed.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { Atom, interned } from "../term/Atom.ts"
import type { AtomReferences } from "./Encoder.ts"
import { EtfDecodeError } from "./EtfError.ts"
import { decodeUtf8, encodeUtf8 } from "./internal/text.ts"

/** Slots of one direction. */
const slotCount = 2048

/** Headers that a reader recognises, a power of two. */
const recentMax = 8

/** Atoms of one header at most. */
const headerMax = 255

/**
 * A header that was read: its atoms in order, and where the terms begin.
 *
 * @category models
 * @since 0.1.0
 */
export interface AtomHeader {
  readonly atoms: ReadonlyArray<Atom>
  readonly offset: number
}

const noAtoms: ReadonlyArray<Atom> = []

/**
 * The receiving side of a connection's atom cache.
 *
 * @category models
 * @since 0.1.0
 */
export class AtomCacheReader {
  /**
   * The atoms of the header that was read last.
   *
   * @internal
   */
  atoms: ReadonlyArray<Atom>
  /**
   * Where the terms behind it begin.
   *
   * @internal
   */
  offset: number
  private readonly slots: Array<Atom | undefined>
  /** Headers without new atoms, as they stood on the wire. */
  private readonly recent: Array<{ readonly bytes: Uint8Array; readonly atoms: ReadonlyArray<Atom> } | undefined>

  constructor() {
    this.atoms = noAtoms
    this.offset = 0
    this.slots = new Array<Atom | undefined>(slotCount).fill(undefined)
    this.recent = new Array<undefined>(recentMax).fill(undefined)
  }

  /**
   * Reads a header from its number of atoms on (behind `131, 68`, or behind the two words of a first fragment), and
   * updates the table. The atoms are for `Decoder.open`.
   */
  readHeader(bytes: Uint8Array, start: number, end: number): Result.Result<AtomHeader, EtfDecodeError> {
    const failure = this.read(bytes, start, end)
    return failure === undefined
      ? Result.succeed({ atoms: this.atoms, offset: this.offset })
      : Result.fail(failure)
  }

  /**
   * The same without a result to allocate: the header is in `atoms` and `offset` afterwards.
   *
   * @internal
   */
  read(bytes: Uint8Array, start: number, end: number): EtfDecodeError | undefined {
    if (start >= end) return failed("Truncated", start, "the number of atoms of a header needed, the packet ends")
    const count = bytes[start]!
    if (count === 0) {
      this.atoms = noAtoms
      this.offset = start + 1
      return undefined
    }
    const flags = start + 1
    const first = flags + (count >> 1) + 1
    // Packets of one kind have the same header, when it holds nothing new.
    const plainEnd = first + count
    if (plainEnd <= end) {
      const known = this.recent[(count ^ bytes[plainEnd - 1]!) & (recentMax - 1)]
      if (known !== undefined && same(known.bytes, bytes, start, plainEnd)) {
        this.atoms = known.atoms
        this.offset = plainEnd
        return undefined
      }
    }
    return this.readAnew(bytes, start, end, count, first)
  }

  private readAnew(
    bytes: Uint8Array,
    start: number,
    end: number,
    count: number,
    first: number
  ): EtfDecodeError | undefined {
    const flags = start + 1
    let at = first
    if (at > end) return failed("Truncated", flags, `the flags of ${count} atoms needed, the packet ends`)
    const nibble = (i: number): number => (bytes[flags + (i >> 1)]! >> ((i & 1) * 4)) & 15
    const long = (nibble(count) & 1) === 1
    const atoms: Array<Atom> = []
    let plain = true
    for (let i = 0; i < count; i++) {
      const flag = nibble(i)
      if (at >= end) return failed("Truncated", at, "a reference of the header needed, the packet ends")
      const slot = ((flag & 7) << 8) | bytes[at++]!
      if ((flag & 8) === 0) {
        const known = this.slots[slot]
        if (known === undefined) return failed("AtomCache", at - 1, `slot ${slot} of the atom cache is empty`)
        atoms.push(known)
        continue
      }
      plain = false
      const size = long ? 2 : 1
      if (at + size > end) return failed("Truncated", at, "the length of an atom needed, the packet ends")
      const length = long ? (bytes[at]! << 8) | bytes[at + 1]! : bytes[at]!
      at += size
      if (at + length > end) return failed("Truncated", at, `an atom of ${length} bytes needed, the packet ends`)
      const name = length > 4 * 255 ? undefined : decodeUtf8(bytes, at, at + length)
      if (name === undefined || (name.length > 255 && Array.from(name).length > 255)) {
        return failed("InvalidAtom", at, "not UTF-8, or more than 255 characters")
      }
      at += length
      const atom = interned(name) ?? new Atom(name)
      this.slots[slot] = atom
      atoms.push(atom)
    }
    if (!plain) this.recent.fill(undefined)
    else {
      this.recent[(count ^ bytes[at - 1]!) & (recentMax - 1)] = {
        bytes: Uint8Array.prototype.slice.call(bytes, start, at),
        atoms
      }
    }
    this.atoms = atoms
    this.offset = at
    return undefined
  }
}

const failed = (reason: EtfDecodeError["reason"], offset: number, detail: string): EtfDecodeError =>
  new EtfDecodeError({ reason, offset, path: [], detail })

const same = (known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean => {
  const count = known.length
  if (count !== end - start) return false
  for (let i = 0; i < count; i++) if (known[i] !== bytes[start + i]) return false
  return true
}

interface Entry {
  readonly name: string
  readonly bytes: Uint8Array
  readonly slot: number
  /** The packet that last used it, and its position there. */
  packet: number
  index: number
}

/**
 * The sending side of a connection's atom cache: decides which atoms of a packet travel as references.
 *
 * For each packet: {@link begin}, encode the terms with `encoder.begin(writer)`, {@link writeHeader} in front of them, and
 * {@link commit} when the packet goes out. Without `commit` the packet leaves no trace.
 *
 * @example
 * ```ts
 * import { AtomCache, Encoder } from "effect-otp/etf"
 * import { Atom } from "effect-otp/term"
 *
 * const cache = new AtomCache.AtomCacheWriter()
 * const encoder = Encoder.make()
 * cache.begin()
 * encoder.begin(cache)
 * encoder.writeUnsafe([Atom.ok, Atom.ok])
 * const header = new Uint8Array(cache.headerLength)
 * cache.writeHeader(header, 0)
 * cache.commit()
 * encoder.view() // => Uint8Array.of(108, 0, 0, 0, 2, 82, 0, 82, 0, 106)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class AtomCacheWriter implements AtomReferences {
  /** What the receiver has, by text and by slot. */
  private readonly known: Map<string, Entry>
  private readonly slots: Array<Entry | undefined>
  /** What this packet adds, by text. */
  private readonly added: Map<string, Entry>
  /** The entries of this packet in order, and who has a slot in it. */
  private entries: Array<Entry>
  private readonly owners: Array<Entry | undefined>
  private packet: number
  private length: number

  constructor() {
    this.known = new Map()
    this.slots = new Array<Entry | undefined>(slotCount).fill(undefined)
    this.added = new Map()
    this.entries = []
    this.owners = new Array<Entry | undefined>(slotCount).fill(undefined)
    this.packet = 0
    this.length = 0
  }

  /** Starts a packet. What the one before added is forgotten unless it was committed. */
  begin(): void {
    this.packet++
    this.entries = []
    this.length = 0
    if (this.added.size > 0) this.added.clear()
  }

  /** The position of an atom in the packet's header, or -1 when it is to be written in full. */
  reference(name: string): number {
    const known = this.known.get(name) ?? this.added.get(name)
    if (known !== undefined) {
      if (known.packet === this.packet) return known.index
      const owner = this.owners[known.slot]
      if (this.entries.length >= headerMax || (owner !== undefined && owner.packet === this.packet)) return -1
      return this.take(known, 1)
    }
    if (this.entries.length >= headerMax || name.length > 255) return -1
    let hash = name.length
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & (slotCount - 1)
    const owner = this.owners[slot]
    if (owner !== undefined && owner.packet === this.packet) return -1
    const bytes = encodeUtf8(name)
    // One byte for the length: the flag for longer ones would hold for the whole header.
    if (bytes.length > 255) return -1
    const entry: Entry = { name, bytes, slot, packet: 0, index: 0 }
    this.added.set(name, entry)
    return this.take(entry, 2 + bytes.length)
  }

  private take(entry: Entry, length: number): number {
    entry.packet = this.packet
    entry.index = this.entries.length
    this.entries.push(entry)
    this.owners[entry.slot] = entry
    this.length += length
    return entry.index
  }

  /** The bytes {@link writeHeader} needs. */
  get headerLength(): number {
    const count = this.entries.length
    return count === 0 ? 1 : 2 + (count >> 1) + this.length
  }

  /** Writes the header, from the number of atoms on, and gives the position behind it. */
  writeHeader(target: Uint8Array, start: number): number {
    const { entries } = this
    const count = entries.length
    target[start] = count
    if (count === 0) return start + 1
    const flags = start + 1
    let at = flags + (count >> 1) + 1
    target.fill(0, flags, at)
    for (let i = 0; i < count; i++) {
      const entry = entries[i]!
      const isNew = this.slots[entry.slot] !== entry
      target[flags + (i >> 1)]! |= ((entry.slot >> 8) | (isNew ? 8 : 0)) << ((i & 1) * 4)
      target[at++] = entry.slot & 255
      if (isNew) {
        target[at++] = entry.bytes.length
        target.set(entry.bytes, at)
        at += entry.bytes.length
      }
    }
    return at
  }

  /** The packet is on its way: what it added is now known to the receiver. */
  commit(): void {
    for (const entry of this.added.values()) {
      const evicted = this.slots[entry.slot]
      if (evicted !== undefined) this.known.delete(evicted.name)
      this.slots[entry.slot] = entry
      this.known.set(entry.name, entry)
    }
    if (this.added.size > 0) this.added.clear()
  }
}
