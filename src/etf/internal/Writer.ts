/**
 * The growing buffer behind `Encoder`: writes terms, or parts of one, and throws an `EncodeFailure` where it cannot.
 *
 * As in the reader, ordinary terms are written by recursion and deep ones by a loop that also knows the path.
 *
 * @since 0.1.0
 */
import { Atom, isValidName } from "../../term/Atom.ts"
import { BitString } from "../../term/BitString.ts"
import { ErlMap } from "../../term/ErlMap.ts"
import { Float } from "../../term/Float.ts"
import { ExportFun, Fun } from "../../term/Fun.ts"
import { ImproperList } from "../../term/ImproperList.ts"
import { LocalTerm } from "../../term/LocalTerm.ts"
import { Pid } from "../../term/Pid.ts"
import { Port } from "../../term/Port.ts"
import { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import { print } from "../../term/TermPrinter.ts"
import { Tuple } from "../../term/Tuple.ts"
import type { EncodeReason } from "../EtfError.ts"
import { knownAtom } from "./knownAtoms.ts"
import { encodeUtf8, encodeUtf8Into } from "./text.ts"

/** Thrown inside the codec; never seen outside. */
export class EncodeFailure {
  readonly reason: EncodeReason
  readonly detail: string

  constructor(reason: EncodeReason, detail: string) {
    this.reason = reason
    this.detail = detail
  }
}

/** Maps the text of an atom to its reference in a packet's header, or to -1 for an atom written in full. */
export interface AtomSink {
  reference(name: string): number
}

/** Levels written by recursion before the loop takes over. */
const recursionMax = 200

/** A buffer larger than this is given back after use. */
const keepMax = 1024 * 1024

// Small outputs share a buffer: allocating one for each costs more than writing it.
const sharedBytes = 16_384
const sharedMax = 2048
/** So much room a new output finds at least; one that needs more moves to a larger buffer. */
const roomMin = 512

interface Frame {
  readonly term: unknown
  readonly items: ReadonlyArray<unknown>
  readonly start: number
  at: number
}

const wordsOf = (buffer: Uint8Array): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length)

const isWord = (n: number): boolean => n >>> 0 === n

/** See the file's comment. */
export class Writer {
  buffer: Uint8Array
  pos: number
  /** Where the output begins: what is before belongs to those who took it. */
  base = 0
  atoms: AtomSink | undefined
  /** The buffer again, for words and floats, and its length. */
  private words: DataView
  private end: number
  /** Where the next output may begin. */
  private free = 0
  private room = roomMin
  private readonly initial: number
  private readonly maxBytes: number
  private readonly maxDepth: number
  private readonly recursion: number

  constructor(initial: number, maxBytes: number, maxDepth: number) {
    this.initial = initial
    this.maxBytes = maxBytes
    this.maxDepth = maxDepth
    this.recursion = Math.min(recursionMax, maxDepth)
    this.buffer = new Uint8Array(initial)
    this.words = wordsOf(this.buffer)
    this.end = initial
    this.pos = 0
    this.atoms = undefined
  }

  /** Starts a new output. */
  reset(): void {
    const { buffer, free } = this
    if (free === 0 ? buffer.length > keepMax : buffer.length > sharedBytes || buffer.length - free < this.room) {
      this.replace(new Uint8Array(free === 0 ? this.initial : sharedBytes))
      this.free = 0
    }
    this.pos = this.base = this.free
  }

  /** Goes on in another buffer. */
  replace(buffer: Uint8Array): void {
    this.buffer = buffer
    this.words = wordsOf(buffer)
    this.end = buffer.length
  }

  /** What was written: a small output stays where it is, a large one is copied. */
  take(): Uint8Array {
    const { base, buffer, pos } = this
    const size = pos - base
    if (size > sharedMax) return buffer.slice(base, pos)
    this.free = pos
    // The next one is likely to be of its kind.
    this.room = Math.max(roomMin, size + (size >> 1))
    return buffer.subarray(base, pos)
  }

  /** Makes room for `count` more bytes. Small, so that it is inlined wherever something is written. */
  ensure(count: number): void {
    if (this.pos + count > this.end) this.grow(count)
  }

  private grow(count: number): void {
    const needed = this.pos + count
    if (needed - this.base > this.maxBytes + 64) {
      throw new EncodeFailure("Limit", `larger than ${this.maxBytes} bytes`)
    }
    const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2))
    grown.set(this.buffer.subarray(this.base, this.pos), this.base)
    this.replace(grown)
  }

  u8(value: number): void {
    this.ensure(1)
    this.buffer[this.pos++] = value
  }

  /** A tag and a byte. */
  tag8(tag: number, value: number): void {
    this.ensure(2)
    const buffer = this.buffer
    buffer[this.pos] = tag
    buffer[this.pos + 1] = value
    this.pos += 2
  }

  /** A tag and a 32-bit word. */
  tag32(tag: number, value: number): void {
    this.ensure(5)
    const at = this.pos
    this.buffer[at] = tag
    this.words.setUint32(at + 1, value)
    this.pos = at + 5
  }

  u32(value: number): void {
    this.ensure(4)
    this.words.setUint32(this.pos, value)
    this.pos += 4
  }

  raw(bytes: Uint8Array): void {
    const count = bytes.length
    this.ensure(count)
    if (count < 16) {
      const buffer = this.buffer
      const at = this.pos
      for (let i = 0; i < count; i++) buffer[at + i] = bytes[i]!
    } else this.buffer.set(bytes, this.pos)
    this.pos += count
  }

  binary(bytes: Uint8Array): void {
    this.tag32(109, bytes.length)
    this.raw(bytes)
  }

  /** A text as a binary in UTF-8. The text has no lone surrogates. */
  text(text: string): void {
    const length = text.length
    this.ensure(5 + length * 3)
    const start = this.pos + 5
    const buffer = this.buffer
    let written = 0
    if (length <= 40) {
      for (; written < length; written++) {
        const unit = text.charCodeAt(written)
        if (unit > 127) break
        buffer[start + written] = unit
      }
    }
    if (written < length) written = encodeUtf8Into(text, buffer, start)
    this.tag32(109, written)
    this.pos = start + written
  }

  arity(count: number): void {
    if (count < 256) this.tag8(104, count)
    else this.tag32(105, count)
  }

  integer(value: number): void {
    if (value >= 0 && value <= 255) this.tag8(97, value)
    else if (value >= -0x80000000 && value <= 0x7fffffff) this.tag32(98, value)
    else {
      this.ensure(11)
      const buffer = this.buffer
      let at = this.pos
      let rest = Math.abs(value)
      buffer[at] = 110
      buffer[at + 2] = value < 0 ? 1 : 0
      at += 3
      const start = at
      while (rest > 0) {
        buffer[at++] = rest % 256
        rest = Math.floor(rest / 256)
      }
      buffer[start - 2] = at - start
      this.pos = at
    }
  }

  bigint(value: bigint): void {
    if (value >= -9007199254740991n && value <= 9007199254740991n) return this.integer(Number(value))
    const negative = value < 0n
    const digits = (negative ? -value : value).toString(16)
    const count = (digits.length + 1) >> 1
    this.ensure(count + 6)
    if (count < 256) this.tag8(110, count)
    else this.tag32(111, count)
    const buffer = this.buffer
    buffer[this.pos++] = negative ? 1 : 0
    for (let end = digits.length; end > 0; end -= 2) {
      buffer[this.pos++] = parseInt(digits.slice(Math.max(0, end - 2), end), 16)
    }
  }

  float(value: number): void {
    if (!Number.isFinite(value)) {
      throw new EncodeFailure("NotFinite", `${value} has no Erlang float; send an atom instead`)
    }
    this.ensure(9)
    const at = this.pos
    this.buffer[at] = 70
    this.words.setFloat64(at + 1, value)
    this.pos = at + 9
  }

  /** A number that stands for itself: an integer when it is a safe one, else a float. */
  number(value: number): void {
    if ((value | 0) === value) {
      if (value >= 0 && value <= 255) this.tag8(97, value)
      else this.tag32(98, value)
    } else if (Number.isSafeInteger(value)) this.integer(value)
    else this.float(value)
  }

  /** The atom with this text. */
  atom(name: string): void {
    if (this.atoms !== undefined) {
      const reference = this.atoms.reference(name)
      if (reference >= 0) return this.tag8(82, reference)
    }
    const known = knownAtom(name)
    if (known === undefined) return this.spell(name)
    const parts = known.words
    this.ensure(4 * parts.length)
    const { pos, words } = this
    // The last word may go beyond the atom, where nothing stands yet.
    for (let i = 0; i < parts.length; i++) words.setInt32(pos + 4 * i, parts[i]!)
    this.pos = pos + known.length
  }

  private spell(name: string): void {
    const length = name.length
    if (length <= 255) {
      this.ensure(length + 2)
      const buffer = this.buffer
      const start = this.pos + 2
      let i = 0
      for (; i < length; i++) {
        const unit = name.charCodeAt(i)
        if (unit > 127) break
        buffer[start + i] = unit
      }
      if (i === length) {
        buffer[start - 2] = 119
        buffer[start - 1] = length
        this.pos = start + length
        return
      }
    }
    if (!isValidName(name)) {
      throw new EncodeFailure("InvalidAtom", "an atom has at most 255 characters and no lone surrogates")
    }
    const bytes = encodeUtf8(name)
    if (bytes.length < 256) this.tag8(119, bytes.length)
    else {
      this.ensure(3)
      this.buffer[this.pos] = 118
      this.buffer[this.pos + 1] = bytes.length >>> 8
      this.buffer[this.pos + 2] = bytes.length
      this.pos += 3
    }
    this.raw(bytes)
  }

  pid(pid: Pid): void {
    const { creation, id, serial } = pid
    if (!isWord(id) || !isWord(serial) || !isWord(creation)) {
      throw new EncodeFailure("InvalidIdentifier", `the parts of ${pid} are unsigned 32-bit integers`)
    }
    this.u8(88)
    this.atom(pid.node)
    this.ensure(12)
    const { pos, words } = this
    words.setUint32(pos, id)
    words.setUint32(pos + 4, serial)
    words.setUint32(pos + 8, creation)
    this.pos = pos + 12
  }

  reference(reference: Reference): void {
    const { creation, ids } = reference
    const count = ids.length
    let valid = count >= 1 && count <= 5 && isWord(creation)
    for (let i = 0; valid && i < count; i++) valid = isWord(ids[i]!)
    if (!valid) throw new EncodeFailure("InvalidIdentifier", `${reference} is not one to five unsigned 32-bit words`)
    this.tag8(90, 0)
    this.u8(count)
    this.atom(reference.node)
    this.ensure(4 + 4 * count)
    const { pos, words } = this
    words.setUint32(pos, creation)
    for (let i = 0; i < count; i++) words.setUint32(pos + 4 + 4 * i, ids[i]!)
    this.pos = pos + 4 + 4 * count
  }

  private port(port: Port): void {
    if (typeof port.id !== "bigint" || port.id < 0n || port.id > 0xffffffffffffffffn || !isWord(port.creation)) {
      throw new EncodeFailure("InvalidIdentifier", `${port} has no unsigned 64-bit number and 32-bit creation`)
    }
    this.u8(120)
    this.atom(port.node)
    this.u32(Number(port.id >> 32n))
    this.u32(Number(port.id & 0xffffffffn))
    this.u32(port.creation)
  }

  /** The next term. `depth` is how many containers are open around it. */
  term(term: unknown, depth: number): void {
    if (typeof term === "number") this.number(term)
    else if (term instanceof Atom) this.atom(term.name)
    else this.compound(term, depth)
  }

  // Like `term` for each of them, without a call for what most of them are.
  private each(terms: ReadonlyArray<unknown>, depth: number): void {
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i]
      if (typeof term === "number") this.number(term)
      else if (term instanceof Atom) this.atom(term.name)
      else this.compound(term, depth)
    }
  }

  private compound(term: unknown, depth: number): void {
    if (depth >= this.recursion) this.loop(term, depth)
    else if (term instanceof Tuple) {
      this.arity(term.elements.length)
      this.each(term.elements, depth + 1)
    } else if (Array.isArray(term)) this.list(term, depth)
    else if (term instanceof Pid) this.pid(term)
    else this.other(term, depth)
  }

  private list(list: ReadonlyArray<unknown>, depth: number): void {
    if (this.short(list)) return
    this.tag32(108, list.length)
    this.each(list, depth + 1)
    this.u8(106)
  }

  private other(term: unknown, depth: number): void {
    if (term instanceof ImproperList && term.elements.length > 0) {
      this.tag32(108, term.elements.length)
      this.each(term.elements, depth + 1)
      // The tag of a call is `[alias | Reference]`.
      return term.tail instanceof Reference ? this.reference(term.tail) : this.term(term.tail, depth + 1)
    }
    if (term instanceof Reference) return this.reference(term)
    if (term instanceof Uint8Array) return this.binary(term)
    if (term instanceof ErlMap) {
      this.tag32(116, term.entries.length / 2)
      return this.each(term.entries, depth + 1)
    }
    const start = this.pos
    const items = this.open(term)
    if (items === undefined) return
    this.each(items, depth + 1)
    if (term instanceof Fun) this.close(start)
  }

  /** Writes a term without recursion. `frames`, when given, still holds the open containers after a failure. */
  loop(root: unknown, depth: number, frames: Array<Frame> = []): void {
    const depthMax = this.maxDepth - depth
    let term = root
    for (;;) {
      const start = this.pos
      const items = this.open(term)
      if (items !== undefined) {
        if (frames.length >= depthMax) throw new EncodeFailure("Limit", `nested deeper than ${this.maxDepth}`)
        frames.push({ term, items, start, at: -1 })
      }
      for (;;) {
        const top = frames[frames.length - 1]
        if (top === undefined) return
        if (++top.at < top.items.length) {
          term = top.items[top.at]
          break
        }
        if (top.term instanceof Fun) this.close(top.start)
        frames.pop()
      }
    }
  }

  // The size of a fun counts everything behind its tag.
  private close(start: number): void {
    const size = this.pos - start - 1
    for (let i = 0; i < 4; i++) this.buffer[start + 1 + i] = size >>> (24 - 8 * i)
  }

  /** Writes a term that is known to fail, and says where it does. */
  trace(term: unknown): ReadonlyArray<string> {
    const frames: Array<Frame> = []
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
    try {
      this.loop(term, 0, frames)
    } catch (failure) {
      if (!(failure instanceof EncodeFailure)) throw failure
      return frames.slice(0, 64).map(step)
    }
    return []
  }

  // The empty list, and lists of bytes: written whole.
  private short(list: ReadonlyArray<unknown>): boolean {
    const length = list.length
    if (length === 0) {
      this.u8(106)
      return true
    }
    if (length > 0xffff) return false
    for (let i = 0; i < length; i++) {
      const item = list[i]
      if (typeof item !== "number" || item < 0 || item > 255 || item !== Math.floor(item)) return false
    }
    this.ensure(length + 3)
    const buffer = this.buffer
    let at = this.pos
    buffer[at] = 107
    buffer[at + 1] = length >>> 8
    buffer[at + 2] = length
    at += 3
    for (let i = 0; i < length; i++) buffer[at + i] = list[i] as number
    this.pos = at + length
    return true
  }

  /** Turns the list of `length` elements written at `start` into the short form, when all of them are bytes. */
  shorten(start: number, length: number): void {
    const buffer = this.buffer
    const first = start + 5
    if (length > 0xffff || this.pos !== first + 2 * length) return
    for (let at = first; at < this.pos; at += 2) if (buffer[at] !== 97) return
    buffer[start] = 107
    buffer[start + 1] = length >>> 8
    buffer[start + 2] = length
    for (let i = 0; i < length; i++) buffer[start + 3 + i] = buffer[first + 2 * i + 1]!
    this.pos = start + 3 + length
  }

  // Writes a leaf whole and gives undefined, or writes the head of a container and gives what follows it.
  private open(term: unknown): ReadonlyArray<unknown> | undefined {
    if (typeof term === "number") return this.done(this.number(term))
    if (typeof term === "bigint") return this.done(this.bigint(term))
    if (typeof term !== "object" || term === null) throw notATerm(term)
    if (term instanceof Atom) return this.done(this.atom(term.name))
    if (term instanceof Uint8Array) return this.done(this.binary(term))
    if (term instanceof Pid) return this.done(this.pid(term))
    if (term instanceof Reference) return this.done(this.reference(term))
    if (term instanceof Float) return this.done(this.float(term.value))
    if (Array.isArray(term)) {
      if (this.short(term)) return undefined
      this.tag32(108, term.length)
      return [...term, empty]
    }
    if (term instanceof Tuple) {
      this.arity(term.elements.length)
      return term.elements
    }
    if (term instanceof ErlMap) {
      this.tag32(116, term.entries.length / 2)
      return term.entries
    }
    if (term instanceof ImproperList) {
      if (term.elements.length === 0) {
        throw new EncodeFailure("NotATerm", "an improper list without elements: use ImproperList.make")
      }
      this.tag32(108, term.elements.length)
      return [...term.elements, term.tail]
    }
    if (term instanceof BitString) {
      const { bits, bytes } = term
      if (bytes.length === 0 || !(bits >= 1 && bits <= 8)) {
        throw new EncodeFailure("NotATerm", `a bit string with ${bits} bits in the last of ${bytes.length} bytes`)
      }
      this.tag32(77, bytes.length)
      this.u8(bits)
      this.raw(bytes)
      this.buffer[this.pos - 1]! &= 0xff00 >> bits
      return undefined
    }
    if (term instanceof Port) return this.done(this.port(term))
    if (term instanceof ExportFun) {
      if (!(Number.isInteger(term.arity) && term.arity >= 0 && term.arity <= 255)) {
        throw new EncodeFailure("InvalidFun", `an arity from 0 to 255 needed, not ${term.arity}`)
      }
      this.u8(113)
      this.atom(term.module.name)
      this.atom(term.name.name)
      this.tag8(97, term.arity)
      return undefined
    }
    if (term instanceof Fun) {
      if (term.uniq.length !== 16 || !isWord(term.index) || !(term.arity >= 0 && term.arity <= 255)) {
        throw new EncodeFailure("InvalidFun", "16 bytes of uniq, an unsigned index and an arity up to 255 needed")
      }
      // The size is known when the variables are written: `close` fills it in.
      this.tag32(112, 0)
      this.u8(term.arity)
      this.raw(term.uniq)
      this.u32(term.index)
      this.u32(term.free.length)
      this.atom(term.module.name)
      this.integer(term.oldIndex)
      this.integer(term.oldUniq)
      this.pid(term.pid)
      return term.free
    }
    if (term instanceof LocalTerm) {
      throw new EncodeFailure("NotATerm", "a local term can only be written alone, not inside another")
    }
    throw notATerm(term)
  }

  // A leaf was written: nothing follows it.
  private done(_written: void): undefined {
    return undefined
  }
}

const empty: ReadonlyArray<Term> = []

const notATerm = (value: unknown): EncodeFailure =>
  new EncodeFailure(
    "NotATerm",
    typeof value === "string"
      ? `a string is no term: use an Atom, a Uint8Array or an array of code points, or a schema`
      : `${value === null ? "null" : typeof value === "object" ? nameOf(value) : typeof value} is no term`
  )

const nameOf = (value: object): string => {
  const name: unknown = (value as { readonly constructor?: { readonly name?: unknown } }).constructor?.name
  return typeof name === "string" ? `a value of class ${name}` : "an object"
}

const step = (frame: Frame): string => {
  const { at, items, term } = frame
  if (term instanceof Tuple) return `{${at + 1}}`
  if (term instanceof ErlMap) {
    return at % 2 === 0 ? `#key(${at / 2})` : `#{${print(items[at - 1], { maxLength: 80 })}}`
  }
  if (term instanceof Fun) return `fun(${at})`
  return at === items.length - 1 ? "|" : `[${at}]`
}
