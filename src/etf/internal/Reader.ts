/**
 * The cursor behind `Decoder`: reads one term, or parts of one, and throws a `DecodeFailure` where it cannot.
 *
 * Ordinary terms are read by recursion, which is fastest; below a fixed depth it changes to a loop with its own stack.
 * The same loop finds the path of a failure. The parts are for compiled codecs, which read values without terms.
 *
 * @since 0.1.0
 */
import { Atom } from "../../term/Atom.ts"
import { make as makeBits } from "../../term/BitString.ts"
import { ErlMap, findDuplicate } from "../../term/ErlMap.ts"
import { Float } from "../../term/Float.ts"
import { ExportFun, Fun } from "../../term/Fun.ts"
import { make as makeImproper } from "../../term/ImproperList.ts"
import { LocalTerm } from "../../term/LocalTerm.ts"
import { Pid } from "../../term/Pid.ts"
import { Port } from "../../term/Port.ts"
import { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import { print } from "../../term/TermPrinter.ts"
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

/** Levels read by recursion before the loop takes over. */
const recursionMax = 200

/** Arrays up to this length are made at once, longer ones grow with what really comes. */
const preallocationMax = 65_536

/** Binaries up to this size are copied by hand: V8 keeps such small arrays on its heap, and `slice` costs more. */
const smallBytesMax = 64

const scratch = new DataView(new ArrayBuffer(8))

const frameTuple = 0
const frameList = 1
const frameMap = 2
const frameFun = 3

interface Frame {
  readonly kind: number
  readonly items: Array<Term>
  count: number
  readonly start: number
  readonly evictions: number
  readonly fun: Omit<ConstructorParameters<typeof Fun>[0], "free"> | undefined
}

const floatText = /^\s*[+-]?\d+\.\d+(?:[eE][+-]?\d+)?\s*$/

let mapNumber = 0

/** See the file's comment. */
export class Reader {
  source: Uint8Array
  pos: number
  end: number
  private atoms: ReadonlyArray<Atom> | undefined
  private budget: number
  private readonly limits: DecodeLimits
  private readonly share: boolean
  private readonly table: AtomTable
  private readonly recursion: number
  private readonly frames: Array<Frame>

  constructor(limits: DecodeLimits, share: boolean) {
    this.source = new Uint8Array(0)
    this.pos = 0
    this.end = 0
    this.atoms = undefined
    this.budget = 0
    this.limits = limits
    this.share = share
    this.table = new AtomTable(limits.atomTableSize)
    this.recursion = Math.min(recursionMax, limits.maxDepth)
    this.frames = []
  }

  open(bytes: Uint8Array, start: number, end: number, atoms: ReadonlyArray<Atom> | undefined): void {
    this.source = bytes
    this.pos = start
    this.end = end
    this.atoms = atoms
    this.begin()
  }

  /** Starts a term: the budget of elements is per term. */
  begin(): void {
    this.budget = this.limits.maxElements
    // A failed read leaves them behind.
    if (this.frames.length > 0) this.frames.length = 0
  }

  rewind(pos: number): void {
    this.pos = pos
    this.begin()
  }

  version(): void {
    if (this.end - this.pos > this.limits.maxBytes) {
      throw this.fail("Limit", `${this.end - this.pos} bytes, the limit is ${this.limits.maxBytes}`)
    }
    this.need(1)
    if (this.source[this.pos] !== 131) {
      throw this.fail("Version", `the first byte is ${this.source[this.pos]}, not 131`)
    }
    this.pos++
  }

  /** The next tag, or -1 at the end. */
  peek(): number {
    return this.pos < this.end ? this.source[this.pos]! : -1
  }

  done(): void {
    if (this.pos !== this.end) throw this.fail("TrailingBytes", `${this.end - this.pos} bytes behind the term`)
  }

  compressed(): { readonly size: number; readonly bytes: Uint8Array } {
    this.need(5)
    this.pos++
    const size = this.u32()
    return { size, bytes: this.source.subarray(this.pos, this.end) }
  }

  local(): LocalTerm {
    const bytes = Uint8Array.prototype.slice.call(this.source, this.pos + 1, this.end)
    this.pos = this.end
    return new LocalTerm(bytes)
  }

  fail(reason: DecodeReason, detail: string, offset: number = this.pos): DecodeFailure {
    return new DecodeFailure(reason, offset, detail)
  }

  need(count: number): void {
    if (this.end - this.pos < count) {
      throw this.fail("Truncated", `${count} bytes needed, ${this.end - this.pos} left`)
    }
  }

  // Takes a container's elements from the budget; each needs at least one byte.
  private claim(count: number): void {
    if (count > this.end - this.pos) {
      throw this.fail("Truncated", `${count} elements announced, ${this.end - this.pos} bytes left`)
    }
    this.budget -= count
    if (this.budget < 0) throw this.fail("Limit", `more than ${this.limits.maxElements} elements`)
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

  /** The next term. `depth` is how many containers are open around it. */
  term(depth: number): Term {
    const source = this.source
    const at = this.pos
    if (at >= this.end) throw this.fail("Truncated", "a term needed, the input ends")
    switch (source[at]) {
      case 97:
        if (this.end - at < 2) throw this.fail("Truncated", "an integer needed, the input ends")
        this.pos = at + 2
        return source[at + 1]!
      case 98:
        if (this.end - at < 5) throw this.fail("Truncated", "an integer needed, the input ends")
        this.pos = at + 5
        return (source[at + 1]! << 24) | (source[at + 2]! << 16) | (source[at + 3]! << 8) | source[at + 4]!
      case 104: {
        if (depth >= this.recursion) return this.loop(depth)
        this.pos = at + 1
        const arity = this.u8()
        this.claim(arity)
        return new Tuple(this.items(arity, depth + 1))
      }
      case 105: {
        if (depth >= this.recursion) return this.loop(depth)
        this.pos = at + 1
        return new Tuple(this.items(this.largeArity(), depth + 1))
      }
      case 106:
        this.pos = at + 1
        return []
      case 108: {
        if (depth >= this.recursion) return this.loop(depth)
        this.pos = at + 1
        const count = this.listCount()
        const items = this.items(count, depth + 1)
        // A list as tail continues this one: merged here, because a chain of them would be copied over and over.
        while (this.peek() === 108) {
          this.pos++
          for (let more = this.listCount(); more > 0; more--) items.push(this.term(depth + 1))
        }
        if (this.pos < this.end && source[this.pos] === 106) {
          this.pos++
          return items
        }
        return makeImproper(items, this.term(depth + 1))
      }
      case 116: {
        if (depth >= this.recursion) return this.loop(depth)
        this.pos = at + 1
        const count = this.mapCount()
        const evictions = this.table.evictions
        return this.map(this.items(count * 2, depth + 1), at, evictions)
      }
      case 112: {
        if (depth >= this.recursion) return this.loop(depth)
        this.pos = at + 1
        const { count, fields } = this.funHead()
        return new Fun({ ...fields, free: this.items(count, depth + 1) })
      }
      default:
        return this.leaf()
    }
  }

  private items(count: number, depth: number): Array<Term> {
    // Literals keep small arrays packed, and tuples of two and three are most of what travels.
    switch (count) {
      case 0:
        return []
      case 1:
        return [this.term(depth)]
      case 2:
        return [this.term(depth), this.term(depth)]
      case 3:
        return [this.term(depth), this.term(depth), this.term(depth)]
      default: {
        const items: Array<Term> = count <= preallocationMax ? new Array(count) : []
        const source = this.source
        for (let i = 0; i < count; i++) {
          const at = this.pos
          // Long lists are mostly of integers: one call less for each.
          if (source[at] === 98 && this.end - at >= 5) {
            this.pos = at + 5
            items[i] = (source[at + 1]! << 24) | (source[at + 2]! << 16) | (source[at + 3]! << 8) | source[at + 4]!
          } else items[i] = this.term(depth)
        }
        return items
      }
    }
  }

  private largeArity(): number {
    const arity = this.u32()
    if (arity > this.limits.maxTupleArity) {
      throw this.fail("Limit", `a tuple of ${arity} elements, the limit is ${this.limits.maxTupleArity}`)
    }
    this.claim(arity)
    return arity
  }

  /** The number of elements of a list, behind its tag. The tail is not counted. */
  listCount(): number {
    const count = this.u32()
    this.claim(count + 1)
    return count
  }

  /** The number of pairs of a map, behind its tag. */
  mapCount(): number {
    const count = this.u32()
    if (count > this.limits.maxMapSize) {
      throw this.fail("Limit", `a map of ${count} pairs, the limit is ${this.limits.maxMapSize}`)
    }
    this.claim(count * 2)
    return count
  }

  // A finished map. Atoms are checked for duplicates by a mark, which needs equal ones to be identical: they are when
  // all come from the table and none was evicted since the map began.
  private map(entries: Array<Term>, start: number, evictions: number): ErlMap {
    const count = entries.length
    if (count > 2) {
      const mark = ++mapNumber
      let i = 0
      for (; i < count; i += 2) {
        const key = entries[i]
        if (!(key instanceof Atom)) break
        if (key.mark === mark) throw this.duplicate(key, start)
        key.mark = mark
      }
      if (i < count || evictions !== this.table.evictions || this.atoms !== undefined) {
        const duplicate = findDuplicate(entries)
        if (duplicate >= 0) throw this.duplicate(entries[duplicate], start)
      }
    }
    return new ErlMap(entries)
  }

  private duplicate(key: unknown, start: number): DecodeFailure {
    return this.fail("DuplicateKey", `key ${print(key, { maxLength: 80 })} is there twice`, start)
  }

  private leaf(): Term {
    const source = this.source
    const at = this.pos
    const tag = source[at]!
    switch (tag) {
      case 119:
      case 118:
      case 115:
      case 100:
      case 82:
        return this.atom()
      case 109:
        this.pos = at + 1
        return this.bytes(this.u32())
      case 107: {
        this.pos = at + 1
        const count = this.u16()
        this.claim(count)
        const start = this.pos
        const items: Array<number> = new Array(count)
        for (let i = 0; i < count; i++) items[i] = source[start + i]!
        this.pos = start + count
        return items
      }
      case 110: {
        this.pos = at + 1
        const size = this.u8()
        return this.big(size)
      }
      case 111: {
        this.pos = at + 1
        const size = this.u32()
        return this.big(size)
      }
      case 70:
      case 99: {
        const value = this.float()
        return Number.isInteger(value) ? new Float(value) : value
      }
      case 77:
        return this.bits()
      case 88:
      case 103:
        return this.pid()
      case 90:
      case 114:
      case 101:
        return this.reference()
      case 120:
      case 89:
      case 102:
        return this.port()
      case 113: {
        this.pos = at + 1
        const module = this.atom()
        const name = this.atom()
        const arity = this.smallInteger(at)
        if (arity < 0 || arity > 255) {
          throw this.fail("InvalidFun", "the arity of an exported function is an integer from 0 to 255", at)
        }
        return new ExportFun(module, name, arity)
      }
      case 117:
        throw this.fail("UnsupportedTag", "FUN_EXT (117) was removed in OTP 23")
      case 121:
        throw this.fail("UnsupportedTag", "a local term (121) can only stand alone: its length is unknown")
      case 80:
        throw this.fail("UnsupportedTag", "a compressed term (80) is legal only behind the version byte of a whole term")
      case 67:
        throw this.fail("UnsupportedTag", "native records (67) of OTP 29 are not supported and were not negotiated")
      default:
        throw this.fail("UnknownTag", `tag ${tag}`)
    }
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
    return this.share ? this.source.subarray(start, start + count) : this.source.slice(start, start + count)
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

  private bits(): Term {
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
    return new Pid(node, id, serial, old ? this.u8() & 3 : this.u32())
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
    const ids: Array<number> = []
    for (let i = 0; i < count; i++) ids.push(this.u32())
    return new Reference(node, creation, ids)
  }

  private port(): Port {
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

  // Everything of a fun but its variables. The size field is known to be wrong from some releases: not looked at.
  private funHead(): { readonly count: number; readonly fields: Omit<ConstructorParameters<typeof Fun>[0], "free"> } {
    const at = this.pos - 1
    this.need(29)
    this.u32()
    const arity = this.u8()
    const uniq = this.source.slice(this.pos, this.pos + 16)
    this.pos += 16
    const index = this.u32()
    const count = this.u32()
    const module = this.atom()
    const oldIndex = this.smallInteger(at)
    const oldUniq = this.smallInteger(at)
    const tag = this.peek()
    if (tag !== 88 && tag !== 103) throw this.fail("InvalidFun", "the creator of a fun is a pid", at)
    const pid = this.pid()
    this.claim(count)
    return { count, fields: { arity, uniq, index, module, oldIndex, oldUniq, pid } }
  }

  // An integer that is one by its tag: nothing nested, so no recursion.
  private smallInteger(at: number): number {
    const tag = this.peek()
    if (tag === 97 || tag === 98 || tag === 110) {
      const value = this.term(recursionMax)
      if (typeof value === "number") return value
    }
    throw this.fail("InvalidFun", "arity, index and uniq of a fun are small integers", at)
  }

  /** Skips one term. */
  skip(): void {
    this.term(0)
  }

  // ------------------------------------------------------------------------------------------------------------------
  // The loop
  // ------------------------------------------------------------------------------------------------------------------

  private loop(depth: number): Term {
    const frames = this.frames
    const base = frames.length
    const depthMax = this.limits.maxDepth - depth
    for (;;) {
      const at = this.pos
      let value: Term
      let frame: Frame | undefined
      switch (this.peek()) {
        case 104: {
          this.pos = at + 1
          const count = this.u8()
          this.claim(count)
          frame = { kind: frameTuple, items: [], count, start: at, evictions: 0, fun: undefined }
          break
        }
        case 105:
          this.pos = at + 1
          frame = { kind: frameTuple, items: [], count: this.largeArity(), start: at, evictions: 0, fun: undefined }
          break
        case 108: {
          this.pos = at + 1
          const top = frames.length > base ? frames[frames.length - 1]! : undefined
          if (top !== undefined && top.kind === frameList && top.items.length === top.count - 1) {
            top.count += this.listCount()
            continue
          }
          frame = { kind: frameList, items: [], count: this.listCount() + 1, start: at, evictions: 0, fun: undefined }
          break
        }
        case 116:
          this.pos = at + 1
          frame = {
            kind: frameMap,
            items: [],
            count: this.mapCount() * 2,
            start: at,
            evictions: this.table.evictions,
            fun: undefined
          }
          break
        case 112: {
          this.pos = at + 1
          const { count, fields } = this.funHead()
          frame = { kind: frameFun, items: [], count, start: at, evictions: 0, fun: fields }
          break
        }
      }
      if (frame !== undefined) {
        if (frames.length - base >= depthMax) {
          throw this.fail("Limit", `nested deeper than ${this.limits.maxDepth}`, at)
        }
        frames.push(frame)
        if (frame.count > 0) continue
        frames.pop()
        value = this.close(frame)
      } else {
        value = this.term(recursionMax)
      }
      for (;;) {
        if (frames.length === base) return value
        const top = frames[frames.length - 1]!
        top.items.push(value)
        if (top.items.length < top.count) break
        value = this.close(top)
        frames.pop()
      }
    }
  }

  private close(frame: Frame): Term {
    switch (frame.kind) {
      case frameTuple:
        return new Tuple(frame.items)
      case frameList: {
        const tail = frame.items.pop()!
        return Array.isArray(tail) && tail.length === 0 ? frame.items : makeImproper(frame.items, tail)
      }
      case frameMap:
        return this.map(frame.items, frame.start, frame.evictions)
      default:
        return new Fun({ ...frame.fun!, free: frame.items })
    }
  }

  /** Reads the term at the cursor, which is known to fail, and says where it does. */
  trace(): ReadonlyArray<string> {
    const frames = this.frames
    frames.length = 0
    const path: Array<string> = []
    try {
      this.loop(0)
    } catch (failure) {
      if (!(failure instanceof DecodeFailure)) throw failure
      const count = Math.min(frames.length, 64)
      for (let i = 0; i < count; i++) {
        const frame = frames[i]!
        // A duplicate key is found when the map is complete: the place is the map.
        if (frame.items.length >= frame.count && frame.kind === frameMap) break
        path.push(step(frame))
      }
    }
    frames.length = 0
    return path
  }
}

const step = (frame: Frame): string => {
  const at = frame.items.length
  switch (frame.kind) {
    case frameTuple:
      return `{${at + 1}}`
    case frameList:
      return at === frame.count - 1 ? "|" : `[${at}]`
    case frameMap:
      return at % 2 === 0 ? `#key(${at / 2})` : `#{${print(frame.items[at - 1], { maxLength: 80 })}}`
    default:
      return `fun(${at})`
  }
}

const hex: ReadonlyArray<string> = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))
