/**
 * The sending side of the atom cache of a connection, made for packets that are written in place.
 *
 * The atoms that nearly every packet has (node names, `$gen_call`) stand in every header, so that a header is mostly a
 * copy of fixed bytes written before the terms. Other atoms are added to the header of the packet that needs them,
 * which moves the terms behind it. Atoms beyond what a header can hold are written in full.
 *
 * Guarantees: bounded by the 2048 slots; a packet that was given up (`rollback`, or `undo` after `finish`) leaves the
 * table in step with the peer.
 *
 * @since 0.1.0
 */
import type { AtomReferences, Encoder } from "../../etf/Encoder.ts"
import { isValidName } from "../../term/Atom.ts"
import { utf8 } from "./Bytes.ts"

const slotCount = 2048
/** Atoms found without a look-up, a power of two. */
const recentMax = 64
/** References that one header can have. */
const referencesMax = 255
/** Atoms that stand in every header, at most. */
const hotMax = 16
/** So often must an atom have been added to a header before it stands in every one. */
const promoteAfter = 4
/** After so many packets, atoms that fewer than one packet in 32 needed leave the fixed part. */
const reviewAfter = 8192

class Entry {
  readonly name: string
  readonly bytes: Uint8Array
  readonly slot: number
  /** Whether the peer has it. */
  known = false
  /** Its number in the header of the packet `stamp`, or in every header while it is hot. */
  at = 0
  stamp = 0
  hot = false
  uses = 0

  constructor(name: string, bytes: Uint8Array, slot: number) {
    this.name = name
    this.bytes = bytes
    this.slot = slot
  }
}

/** For each packet: `begin`, the terms, `finish` or `rollback`. */
export class OutgoingAtoms implements AtomReferences {
  private readonly entries: Map<string, Entry> = new Map()
  /** Those that were asked for last, to spare the look-up. */
  private readonly recent: Array<Entry | undefined> = new Array<Entry | undefined>(recentMax).fill(undefined)
  private readonly slots: Array<Entry | undefined> = new Array<Entry | undefined>(slotCount).fill(undefined)
  private nextSlot = 0
  /** Changes with the fixed part of the header, and so with the places of its atoms. */
  version = 0
  private hot: Array<Entry> = []
  private fixed: Uint8Array = Uint8Array.of(0)
  private extras: Array<Entry> = []
  /** The atoms that the last packet has told the peer. */
  private told: Array<Entry> = []
  private stamp = 0
  private reviewAt = reviewAfter
  private start = 0

  /** Starts a packet: writes the fixed part of the header where the encoder is. */
  begin(encoder: Encoder): void {
    const writer = encoder.output
    const { fixed } = this
    const count = fixed.length
    writer.ensure(count)
    const { buffer } = writer
    const start = writer.pos
    for (let i = 0; i < count; i++) buffer[start + i] = fixed[i]!
    writer.pos = start + count
    this.start = start
    this.stamp++
    if (this.extras.length > 0) this.extras = []
    if (this.told.length > 0) this.told = []
    writer.atoms = this
  }

  reference(name: string): number {
    const place = (name.length ^ name.charCodeAt(0)) & (recentMax - 1)
    let entry = this.recent[place]
    if (entry === undefined || entry.name !== name) {
      entry = this.entries.get(name) ?? this.add(name)
      if (entry === undefined) return -1
      this.recent[place] = entry
    }
    entry.uses++
    if (entry.hot || entry.stamp === this.stamp) return entry.at
    const at = this.hot.length + this.extras.length
    if (at >= referencesMax) return -1
    entry.at = at
    entry.stamp = this.stamp
    this.extras.push(entry)
    return at
  }

  /** Ends a packet whose terms are written; gives how many bytes they moved. */
  finish(encoder: Encoder): number {
    encoder.output.atoms = undefined
    const moved = this.extras.length > 0 ? this.extend(encoder) : 0
    if (this.stamp >= this.reviewAt) this.review()
    return moved
  }

  /** Gives a packet up before its end. */
  rollback(encoder: Encoder): void {
    encoder.output.atoms = undefined
    this.extras = []
  }

  /** Gives the last packet up after its end: the peer does not learn its new atoms. */
  undo(): void {
    if (this.told.length === 0) return
    for (const entry of this.told) entry.known = entry.hot = false
    this.told = []
    this.hot = this.hot.filter((entry) => entry.hot)
    this.fix()
  }

  private add(name: string): Entry | undefined {
    if (name.length > 255 || !isValidName(name)) return undefined
    const bytes = utf8(name)
    if (bytes.length > 255) return undefined
    let slot = this.nextSlot
    // Of so many slots in a row, no more than these can be in use by this header.
    for (let tries = 0; tries <= referencesMax + hotMax; tries++) {
      const there = this.slots[slot]
      if (there === undefined || !(there.hot || there.stamp === this.stamp)) {
        if (there !== undefined) {
          this.entries.delete(there.name)
          this.recent.fill(undefined)
        }
        const entry = new Entry(name, bytes, slot)
        this.slots[slot] = entry
        this.entries.set(name, entry)
        this.nextSlot = (slot + 1) % slotCount
        return entry
      }
      slot = (slot + 1) % slotCount
    }
    return undefined
  }

  // The header with what this packet needs besides the fixed part; the terms move.
  private extend(encoder: Encoder): number {
    const { extras, hot, start } = this
    const writer = encoder.output
    const header = headerOf([...hot, ...extras])
    const moved = header.length - this.fixed.length
    writer.ensure(moved)
    const { buffer } = writer
    buffer.copyWithin(start + header.length, start + this.fixed.length, writer.pos)
    buffer.set(header, start)
    writer.pos += moved
    let promoted = false
    for (const entry of extras) {
      if (!entry.known) {
        entry.known = true
        this.told.push(entry)
      }
      if (entry.uses >= promoteAfter && hot.length < hotMax) {
        entry.hot = true
        hot.push(entry)
        promoted = true
      }
    }
    this.extras = []
    if (promoted) this.fix()
    return moved
  }

  /** Whether the packet has only needed atoms of the fixed part so far. */
  get isFixed(): boolean {
    return this.extras.length === 0
  }

  private fix(): void {
    this.version++
    this.hot.forEach((entry, i) => {
      entry.at = i
    })
    this.fixed = headerOf(this.hot)
  }

  private review(): void {
    this.reviewAt = this.stamp + reviewAfter
    const stay = this.hot.filter((entry) => entry.uses >= reviewAfter / 32)
    if (stay.length < this.hot.length) {
      for (const entry of this.hot) entry.hot = false
      for (const entry of stay) entry.hot = true
      this.hot = stay
      this.fix()
    }
    for (const entry of this.entries.values()) entry.uses = 0
  }
}

/** The header of these references, from their number on. */
const headerOf = (entries: ReadonlyArray<Entry>): Uint8Array => {
  const count = entries.length
  if (count === 0) return Uint8Array.of(0)
  let size = 2 + (count >> 1)
  for (const entry of entries) size += entry.known ? 1 : 2 + entry.bytes.length
  const header = new Uint8Array(size)
  header[0] = count
  let at = 2 + (count >> 1)
  entries.forEach((entry, i) => {
    header[1 + (i >> 1)]! |= ((entry.slot >> 8) | (entry.known ? 0 : 8)) << ((i & 1) << 2)
    header[at++] = entry.slot & 255
    if (!entry.known) {
      header[at++] = entry.bytes.length
      header.set(entry.bytes, at)
      at += entry.bytes.length
    }
  })
  return header
}
