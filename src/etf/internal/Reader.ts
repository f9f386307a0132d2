/**
 * The cursor behind `Decoder`: reads one term, or parts of one, and throws a `DecodeFailure` where it cannot.
 *
 * Ordinary terms are read by recursion, which is fastest; below a fixed depth it changes to a loop with its own stack.
 * The same loop finds the path of a failure. The parts are for compiled codecs, which read values without terms.
 *
 * @since 0.1.0
 */
import { Atom } from "../../term/Atom.ts"
import { ErlMap, findDuplicate } from "../../term/ErlMap.ts"
import { Float } from "../../term/Float.ts"
import { ExportFun, Fun } from "../../term/Fun.ts"
import { make as makeImproper } from "../../term/ImproperList.ts"
import { LocalTerm } from "../../term/LocalTerm.ts"
import type { Term } from "../../term/Term.ts"
import { print } from "../../term/TermPrinter.ts"
import { Tuple } from "../../term/Tuple.ts"
import type { DecodeLimits } from "../DecodeLimits.ts"
import { Cursor, DecodeFailure } from "./Cursor.ts"

/** Levels read by recursion before the loop takes over. */
const recursionMax = 200

/** Arrays up to this length are made at once, longer ones grow with what really comes. */
const preallocationMax = 65_536

const frameTuple = 0
const frameList = 1
const frameMap = 2
const frameFun = 3

interface Frame {
  readonly kind: number
  /** {@link nothing} until there is one: an open level of a deep term must not cost an array. */
  items: Array<Term>
  count: number
  readonly start: number
  readonly evictions: number
  readonly fun: Omit<ConstructorParameters<typeof Fun>[0], "free"> | undefined
}

const nothing: Array<Term> = []

let mapNumber = 0

/** See the file's comment. */
export class Reader extends Cursor {
  private budget: number
  private readonly recursion: number
  private readonly frames: Array<Frame>

  constructor(limits: DecodeLimits, share: boolean) {
    super(limits, share)
    this.budget = 0
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

  // Takes a container's elements from the budget; each needs at least one byte.
  private claim(count: number): void {
    if (count > this.end - this.pos) {
      throw this.fail("Truncated", `${count} elements announced, ${this.end - this.pos} bytes left`)
    }
    this.budget -= count
    if (this.budget < 0) throw this.fail("Limit", `more than ${this.limits.maxElements} elements`)
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
      case 110:
        return this.smallBig()
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
        throw this.fail(
          "UnsupportedTag",
          "a compressed term (80) is legal only behind the version byte of a whole term"
        )
      case 67:
        throw this.fail("UnsupportedTag", "native records (67) of OTP 29 are not supported and were not negotiated")
      default:
        throw this.fail("UnknownTag", `tag ${tag}`)
    }
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
          frame = { kind: frameTuple, items: nothing, count, start: at, evictions: 0, fun: undefined }
          break
        }
        case 105:
          this.pos = at + 1
          frame = {
            kind: frameTuple,
            items: nothing,
            count: this.largeArity(),
            start: at,
            evictions: 0,
            fun: undefined
          }
          break
        case 108: {
          this.pos = at + 1
          const top = frames.length > base ? frames[frames.length - 1]! : undefined
          if (top !== undefined && top.kind === frameList && top.items.length === top.count - 1) {
            top.count += this.listCount()
            continue
          }
          frame = {
            kind: frameList,
            items: nothing,
            count: this.listCount() + 1,
            start: at,
            evictions: 0,
            fun: undefined
          }
          break
        }
        case 116:
          this.pos = at + 1
          frame = {
            kind: frameMap,
            items: nothing,
            count: this.mapCount() * 2,
            start: at,
            evictions: this.table.evictions,
            fun: undefined
          }
          break
        case 112: {
          this.pos = at + 1
          const { count, fields } = this.funHead()
          frame = { kind: frameFun, items: nothing, count, start: at, evictions: 0, fun: fields }
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
        frame.items = []
        value = this.close(frame)
      } else {
        value = this.term(recursionMax)
      }
      for (;;) {
        if (frames.length === base) return value
        const top = frames[frames.length - 1]!
        if (top.items === nothing) top.items = [value]
        else top.items.push(value)
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
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
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
