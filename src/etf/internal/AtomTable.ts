/**
 * The atoms a decoder has seen lately, found by their bytes.
 *
 * A direct-mapped table: an atom whose slot is taken replaces what is there, so the table never grows, whatever a peer
 * sends. A hit costs no string and gives the same object every time, which lets the decoder compare keys by identity.
 *
 * @since 0.1.0
 */
import { Atom, interned } from "../../term/Atom.ts"
import { decodeLatin1, decodeUtf8 } from "./text.ts"

interface Slot {
  readonly atom: Atom
  readonly bytes: Uint8Array
  readonly ascii: boolean
}

/** See the file's comment. */
export class AtomTable {
  private readonly slots: Array<Slot | undefined>
  private readonly mask: number
  /** How often an atom had to give way. While it stands still, equal atoms are identical. */
  evictions: number

  constructor(size: number) {
    let slots = 16
    while (slots < size && slots < 1 << 20) slots *= 2
    this.slots = new Array(slots).fill(undefined)
    this.mask = slots - 1
    this.evictions = 0
  }

  /** The atom with these bytes as text, or undefined when they are no atom. */
  lookup(bytes: Uint8Array, start: number, length: number, latin1: boolean): Atom | undefined {
    const end = start + length
    let hash = length
    if (length > 0) {
      hash = Math.imul(hash ^ bytes[start]!, 0x01000193)
      hash = Math.imul(hash ^ bytes[end - 1]!, 0x01000193)
      hash = Math.imul(hash ^ bytes[start + (length >> 1)]!, 0x01000193)
      if (length > 2) hash = Math.imul(hash ^ bytes[end - 2]!, 0x01000193)
      hash ^= hash >>> 15
    }
    const at = hash & this.mask
    const slot = this.slots[at]
    if (slot !== undefined && slot.bytes.length === length && (slot.ascii || !latin1)) {
      const known = slot.bytes
      let i = 0
      while (i < length && known[i] === bytes[start + i]) i++
      if (i === length) return slot.atom
    }
    return this.add(bytes, start, end, latin1, at)
  }

  private add(bytes: Uint8Array, start: number, end: number, latin1: boolean, at: number): Atom | undefined {
    const name = latin1 ? decodeLatin1(bytes, start, end) : decodeUtf8(bytes, start, end)
    if (name === undefined) return undefined
    let points = name.length
    let ascii = true
    for (let i = 0; i < name.length; i++) {
      const unit = name.charCodeAt(i)
      if (unit > 127) {
        ascii = false
        if (unit >= 0xd800 && unit <= 0xdbff) points--
      }
    }
    if (points > 255) return undefined
    const atom = interned(name) ?? new Atom(name)
    // The table is by UTF-8 bytes; Latin-1 beyond ASCII is old and rare, and counts as an eviction: it has no identity.
    if (latin1 && !ascii) this.evictions++
    else {
      if (this.slots[at] !== undefined) this.evictions++
      this.slots[at] = { atom, bytes: Uint8Array.prototype.slice.call(bytes, start, end), ascii }
    }
    return atom
  }
}
