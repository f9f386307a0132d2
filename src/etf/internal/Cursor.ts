/**
 * A position in some bytes, and what can be read there without looking inside anything: numbers, texts, identifiers.
 *
 * Every read checks first that the bytes are there and throws a `DecodeFailure` when they are not, or are wrong.
 *
 * @since 0.1.0
 */
import type { Atom } from "../../term/Atom.ts"
import { make as makeBits } from "../../term/BitString.ts"
import { Pid } from "../../term/Pid.ts"
import { Port } from "../../term/Port.ts"
import { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import type { DecodeLimits } from "../DecodeLimits.ts"
import type { DecodeReason } from "../EtfError.ts"
import { AtomTable } from "./AtomTable.ts"

/** Thrown inside the codec; never seen outside. No stack: it is made for every malformed input. */
export class DecodeFailure {
  readonly reason: DecodeReason
  readonly offset: number
  readonly detail: string

  constructor(reason: DecodeReason, offset: number, detail: string) {
    this.reason = reason
    this.offset = offset
    this.detail = detail
  }
}

/** Binaries up to this size are copied by hand: V8 keeps such small arrays on its heap, and `slice` costs more. */
const smallBytesMax = 64

/** How many pids a cursor knows, a power of two. */
const knownPids = 64

const scratch = new DataView(new ArrayBuffer(8))

/** Larger ones share slabs up to this size. */
const pooledMax = 2048
const slabSize = 8192
let slab = new Uint8Array(slabSize)
let slabUsed = 0

const floatText = /^\s*[+-]?\d+\.\d+(?:[eE][+-]?\d+)?\s*$/

/** See the file's comment. */
export class Cursor {
  source: Uint8Array
  pos: number
  end: number
  protected atoms: ReadonlyArray<Atom> | undefined
  protected readonly limits: DecodeLimits
  protected readonly table: AtomTable
  private readonly share: boolean
  private readonly pids: Array<Pid | undefined> = new Array<Pid | undefined>(knownPids).fill(undefined)
  private lastReference: Reference | undefined = undefined

  constructor(limits: DecodeLimits, share: boolean) {
    this.source = new Uint8Array(0)
    this.pos = 0
    this.end = 0
    this.atoms = undefined
    this.limits = limits
    this.table = new AtomTable(limits.atomTableSize)
    this.share = share
  }

  /** The next tag, or -1 at the end. */
  peek(): number {
    return this.pos < this.end ? this.source[this.pos]! : -1
  }

  fail(reason: DecodeReason, detail: string, offset: number = this.pos): DecodeFailure {
    return new DecodeFailure(reason, offset, detail)
  }

  need(count: number): void {
    if (this.end - this.pos < count) {
      throw this.fail("Truncated", `${count} bytes needed, ${this.end - this.pos} left`)
    }
  }

  u8(): number {
    this.need(1)
    return this.source[this.pos++]!
  }

  u16(): number {
    this.need(2)
    const source = this.source
    const at = this.pos
    this.pos = at + 2
    return (source[at]! << 8) | source[at + 1]!
  }

  u32(): number {
    this.need(4)
    const source = this.source
    const at = this.pos
    this.pos = at + 4
    return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0
  }

  /** An atom in any encoding. */
  atom(): Atom {
    const at = this.pos
    const tag = this.peek()
    this.pos = at + 1
    let length: number
    switch (tag) {
      case 119:
      case 115:
        length = this.u8()
        break
      case 118:
      case 100:
        length = this.u16()
        break
      case 82: {
        const index = this.u8()
        const atom = this.atoms?.[index]
        if (atom === undefined) {
          throw this.fail(
            "AtomCache",
            this.atoms === undefined
              ? "an atom cache reference without a distribution header"
              : `atom cache reference ${index}, the header has ${this.atoms.length}`,
            at
          )
        }
        return atom
      }
      default:
        this.pos = at
        throw tag < 0
          ? this.fail("Truncated", "an atom needed, the input ends")
          : this.fail("InvalidIdentifier", `an atom needed, tag ${tag} found`)
    }
    this.need(length)
    if (length > (tag === 118 || tag === 119 ? 1020 : 255)) {
      throw this.fail("InvalidAtom", `${length} bytes of text; an atom has at most 255 characters`, at)
    }
    const atom = this.table.lookup(this.source, this.pos, length, tag === 115 || tag === 100)
    if (atom === undefined) throw this.fail("InvalidAtom", "not UTF-8, or more than 255 characters", at)
    this.pos += length
    return atom
  }

  /** The next bytes, copied or shared as the options say. */
  bytes(count: number): Uint8Array {
    this.need(count)
    const start = this.pos
    this.pos = start + count
    if (count <= smallBytesMax && !this.share) {
      const source = this.source
      const bytes = new Uint8Array(count)
      for (let i = 0; i < count; i++) bytes[i] = source[start + i]!
      return bytes
    }
    if (this.share) return this.source.subarray(start, start + count)
    if (count > pooledMax) return this.source.slice(start, start + count)
    // An `ArrayBuffer` of its own costs more than the copy: those of some size share one.
    if (slabUsed + count > slabSize) {
      slab = new Uint8Array(slabSize)
      slabUsed = 0
    }
    const bytes = slab.subarray(slabUsed, slabUsed + count)
    bytes.set(this.source.subarray(start, start + count))
    slabUsed += count
    return bytes
  }

  /** A float, behind nothing: tag 70 or 99 is still to be read. */
  float(): number {
    const at = this.pos
    const tag = this.u8()
    let value: number
    if (tag === 70) {
      this.need(8)
      const source = this.source
      for (let i = 0; i < 8; i++) scratch.setUint8(i, source[at + 1 + i]!)
      value = scratch.getFloat64(0)
      this.pos = at + 9
    } else {
      this.need(31)
      let text = ""
      for (let i = 0; i < 31 && this.source[this.pos + i] !== 0; i++) {
        text += String.fromCharCode(this.source[this.pos + i]!)
      }
      value = floatText.test(text) ? Number(text) : NaN
      this.pos += 31
    }
    if (!Number.isFinite(value)) throw this.fail("InvalidFloat", "not a finite number", at)
    return value
  }

  /** An integer of `size` little-endian bytes behind a sign byte. */
  big(size: number): number | bigint {
    if (size > this.limits.maxIntegerBytes) {
      throw this.fail("Limit", `an integer of ${size} bytes, the limit is ${this.limits.maxIntegerBytes}`)
    }
    this.need(size + 1)
    const source = this.source
    const negative = source[this.pos] !== 0
    const start = this.pos + 1
    this.pos = start + size
    while (size > 0 && source[start + size - 1] === 0) size--
    if (size <= 8) {
      let low = 0
      let high = 0
      for (let i = Math.min(size, 4) - 1; i >= 0; i--) low = low * 256 + source[start + i]!
      for (let i = size - 1; i >= 4; i--) high = high * 256 + source[start + i]!
      if (high < 0x200000) {
        const value = high * 0x100000000 + low
        return negative && value !== 0 ? -value : value
      }
      const value = (BigInt(high) << 32n) | BigInt(low)
      return negative ? -value : value
    }
    const digits: Array<string> = []
    for (let i = size - 1; i >= 0; i--) digits.push(hex[source[start + i]!]!)
    const value = BigInt(`0x${digits.join("")}`)
    return negative ? -value : value
  }

  protected bits(): Term {
    const at = this.pos
    this.need(6)
    this.pos = at + 1
    const count = this.u32()
    const used = this.u8()
    if (count === 0 || used < 1 || used > 8) {
      throw this.fail("InvalidBits", `${used} bits in the last of ${count} bytes`, at)
    }
    return makeBits(this.bytes(count), used)
  }

  /** A process identifier. */
  pid(): Pid {
    const old = this.u8() === 103
    const node = this.atom().name
    this.need(old ? 9 : 12)
    const id = this.u32()
    const serial = this.u32()
    const creation = old ? this.u8() & 3 : this.u32()
    // The pids of those who talk come again and again.
    const slot = id & (knownPids - 1)
    const known = this.pids[slot]
    if (
      known !== undefined && known.id === id && known.serial === serial && known.creation === creation &&
      known.node === node
    ) return known
    return this.pids[slot] = new Pid(node, id, serial, creation)
  }

  /** A reference. */
  reference(): Reference {
    const at = this.pos
    const tag = this.u8()
    if (tag === 101) {
      const node = this.atom().name
      const id = this.u32()
      return new Reference(node, this.u8() & 3, [id])
    }
    const count = this.u16()
    if (count < 1 || count > 5) throw this.fail("InvalidIdentifier", `a reference of ${count} words`, at)
    const node = this.atom().name
    const creation = tag === 114 ? this.u8() & 3 : this.u32()
    this.need(count * 4)
    // A reference stands in a monitor and in the call that it guards, or in front of an answer and inside of it.
    const last = this.lastReference
    const start = this.pos
    if (last !== undefined && last.ids.length === count && last.creation === creation && last.node === node) {
      let i = 0
      while (i < count && this.u32() === last.ids[i]) i++
      if (i === count) return last
      this.pos = start
    }
    const ids: Array<number> = count === 3 ? [this.u32(), this.u32(), this.u32()] : []
    for (let i = ids.length; i < count; i++) ids.push(this.u32())
    return this.lastReference = new Reference(node, creation, ids)
  }

  protected port(): Port {
    const tag = this.u8()
    const node = this.atom().name
    if (tag === 120) {
      const high = this.u32()
      const low = this.u32()
      return new Port(node, (BigInt(high) << 32n) | BigInt(low), this.u32())
    }
    const id = this.u32()
    return new Port(node, BigInt(id), tag === 89 ? this.u32() : this.u8() & 3)
  }

  // An integer that is one by its tag: nothing nested, so no recursion.
  protected smallInteger(at: number): number {
    const tag = this.peek()
    if (tag === 97 || tag === 98 || tag === 110) {
      const value = tag === 97 ? this.byteInteger() : tag === 98 ? this.wordInteger() : this.smallBig()
      if (typeof value === "number") return value
    }
    throw this.fail("InvalidFun", "arity, index and uniq of a fun are small integers", at)
  }

  /** The integer of tag 97, the tag included. */
  protected byteInteger(): number {
    this.pos++
    return this.u8()
  }

  /** The integer of tag 98, the tag included. */
  protected wordInteger(): number {
    this.pos++
    return this.u32() | 0
  }

  /** The integer of tag 110, the tag included. */
  protected smallBig(): number | bigint {
    this.pos++
    return this.big(this.u8())
  }
}

const hex: ReadonlyArray<string> = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))
