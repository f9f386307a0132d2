/**
 * The term writer behind `Encoder`: writes terms, or parts of one, and throws an `EncodeFailure` where it cannot.
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
import { type KnownAtom, knownAtom } from "./knownAtoms.ts"
import { EncodeFailure, Output, roomy } from "./Output.ts"
import { encodeUtf8 } from "./text.ts"

/** Maps the text of an atom to its reference in a packet's header, or to -1 for an atom written in full. */
export interface AtomSink {
  reference(name: string): number
}

/** Levels written by recursion before the loop takes over. */
const recursionMax = 200

interface Frame {
  readonly term: unknown
  readonly items: ReadonlyArray<unknown>
  readonly start: number
  at: number
}

const isWord = (n: number): boolean => n >>> 0 === n

/** See the file's comment. */
export class Writer extends Output {
  atoms: AtomSink | undefined
  /** The node of the identifier written last, which is likely to be that of the next one. */
  private node = ""
  private nodeKnown: KnownAtom | undefined
  private readonly maxDepth: number
  private readonly recursion: number

  constructor(initial: number, maxBytes: number, maxDepth: number) {
    super(initial, maxBytes)
    this.maxDepth = maxDepth
    this.recursion = Math.min(recursionMax, maxDepth)
  }

  /** The atom with this text. */
  atom(name: string): void {
    this.ensure(roomy)
    this.pos = this.putAtom(name, this.pos)
  }

  private putAtom(name: string, at: number): number {
    const end = this.putReferred(name, at)
    return end !== at ? end : this.putKnown(knownAtom(name), name, at)
  }

  // The nodes of a message are mostly one and the same: a comparison finds it, without a look at the characters.
  private putNode(name: string, at: number): number {
    const end = this.putReferred(name, at)
    if (end !== at) return end
    if (name !== this.node) {
      this.node = name
      this.nodeKnown = knownAtom(name)
    }
    return this.putKnown(this.nodeKnown, name, at)
  }

  // The atom as a reference to the header; where it is to be written in full, nothing.
  private putReferred(name: string, at: number): number {
    if (this.atoms === undefined) return at
    const reference = this.atoms.reference(name)
    if (reference < 0) return at
    const { buffer } = this
    buffer[at] = 82
    buffer[at + 1] = reference
    return at + 2
  }

  private putKnown(known: KnownAtom | undefined, name: string, at: number): number {
    if (known === undefined) return this.spell(name, at)
    const { words } = this
    const parts = known.words
    const count = parts.length
    // The last word may go beyond the atom, where nothing stands yet. Most atoms are short: a loop costs more than these.
    words.setInt32(at, parts[0]!)
    if (count > 1) words.setInt32(at + 4, parts[1]!)
    if (count > 2) words.setInt32(at + 8, parts[2]!)
    for (let i = 3; i < count; i++) words.setInt32(at + 4 * i, parts[i]!)
    return at + known.length
  }

  // Leaves as much room behind the atom as was there: an identifier goes on after its node.
  private spell(name: string, at: number): number {
    this.pos = at
    const length = name.length
    if (length <= 255) {
      this.ensure(length + roomy)
      const buffer = this.buffer
      const start = at + 2
      let i = 0
      for (; i < length; i++) {
        const unit = name.charCodeAt(i)
        if (unit > 127) break
        buffer[start + i] = unit
      }
      if (i === length) {
        buffer[start - 2] = 119
        buffer[start - 1] = length
        return start + length
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
    this.ensure(roomy)
    return this.pos
  }

  pid(pid: Pid): void {
    this.ensure(roomy)
    this.pos = this.putPid(pid, this.pos)
  }

  private putPid(pid: Pid, start: number): number {
    const { creation, id, serial } = pid
    if (!isWord(id) || !isWord(serial) || !isWord(creation)) {
      throw new EncodeFailure("InvalidIdentifier", `the parts of ${pid} are unsigned 32-bit integers`)
    }
    this.buffer[start] = 88
    const at = this.putNode(pid.node, start + 1)
    const { words } = this
    words.setUint32(at, id)
    words.setUint32(at + 4, serial)
    words.setUint32(at + 8, creation)
    return at + 12
  }

  reference(reference: Reference): void {
    this.ensure(roomy)
    this.pos = this.putReference(reference, this.pos)
  }

  private putReference(reference: Reference, start: number): number {
    const { creation, ids } = reference
    const count = ids.length
    let valid = count >= 1 && count <= 5 && isWord(creation)
    for (let i = 0; valid && i < count; i++) valid = isWord(ids[i]!)
    if (!valid) throw new EncodeFailure("InvalidIdentifier", `${reference} is not one to five unsigned 32-bit words`)
    const { buffer } = this
    buffer[start] = 90
    buffer[start + 1] = 0
    buffer[start + 2] = count
    const at = this.putNode(reference.node, start + 3)
    const { words } = this
    words.setUint32(at, creation)
    for (let i = 0; i < count; i++) words.setUint32(at + 4 + 4 * i, ids[i]!)
    return at + 4 + 4 * count
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
    this.ensure(roomy)
    const { pos } = this
    if (term instanceof Tuple && depth < this.recursion) {
      const { elements } = term
      this.pos = this.putEach(elements, 0, this.putArity(elements.length, pos), depth + 1)
    } else if (typeof term === "number") this.pos = this.putNumber(term, pos)
    else if (term instanceof Atom) this.pos = this.putAtom(term.name, pos)
    else this.pos = this.putOther(term, pos, depth)
  }

  // A call for each tuple costs more than most tuples do. One that comes last needs none, as nothing is left to come back
  // to; for another, `outer` keeps the place, once: a tuple inside that one is written by recursion.
  private putEach(list: ReadonlyArray<unknown>, from: number, start: number, depth: number): number {
    let terms = list
    let next = from
    let level = depth
    let at = start
    let outer: ReadonlyArray<unknown> | undefined = undefined
    let outerNext = 0
    let outerLevel = 0
    for (;;) {
      if (next === terms.length) {
        if (outer === undefined) return at
        terms = outer
        next = outerNext
        level = outerLevel
        outer = undefined
        continue
      }
      if (at + roomy > this.end) this.growAt(at)
      const term = terms[next++]
      if (typeof term === "number") at = this.putNumber(term, at)
      else if (term instanceof Atom) at = this.putAtom(term.name, at)
      else if (term instanceof Tuple && level < this.recursion) {
        const { elements } = term
        at = this.putArity(elements.length, at)
        if (next < terms.length) {
          if (outer !== undefined) {
            at = this.putEach(elements, 0, at, level + 1)
            continue
          }
          outer = terms
          outerNext = next
          outerLevel = level
        }
        terms = elements
        next = 0
        level++
      } else at = this.putOther(term, at, level)
    }
  }

  // Writes the small integers that a list begins with, and gives their number: many a list has nothing else.
  private integers(list: ReadonlyArray<unknown>): number {
    let at = this.pos
    let count = 0
    for (; count < list.length; count++) {
      const item = list[count]
      if (typeof item !== "number" || (item | 0) !== item) break
      if (at + roomy > this.end) this.growAt(at)
      at = this.putNumber(item, at)
    }
    this.pos = at
    return count
  }

  private putOther(term: unknown, start: number, depth: number): number {
    if (term instanceof Pid) return this.putPid(term, start)
    if (depth >= this.recursion) {
      this.pos = start
      this.loop(term, depth)
      return this.pos
    }
    if (term instanceof ImproperList && term.elements.length > 0) return this.putImproper(term, start, depth)
    if (term instanceof Reference) return this.putReference(term, start)
    this.pos = start
    this.compound(term, depth)
    return this.pos
  }

  private putImproper(list: ImproperList, start: number, depth: number): number {
    const { elements, tail } = list
    this.buffer[start] = 108
    this.words.setUint32(start + 1, elements.length)
    const first = elements[0]
    // The tag of a call is `[alias | Reference]`.
    const at = elements.length === 1 && first instanceof Atom
      ? this.putAtom(first.name, start + 5)
      : this.putEach(elements, 0, start + 5, depth + 1)
    if (at + roomy > this.end) this.growAt(at)
    if (tail instanceof Reference) return this.putReference(tail, at)
    this.pos = at
    this.term(tail, depth + 1)
    return this.pos
  }

  private compound(term: unknown, depth: number): void {
    if (Array.isArray(term)) return this.list(term, depth)
    if (term instanceof Uint8Array) return this.binary(term)
    if (term instanceof ErlMap) {
      this.tag32(116, term.entries.length / 2)
      this.pos = this.putEach(term.entries, 0, this.pos, depth + 1)
      return
    }
    const start = this.pos
    const items = this.open(term)
    if (items === undefined) return
    this.pos = this.putEach(items, 0, this.pos, depth + 1)
    if (term instanceof Fun) this.close(start)
  }

  private list(list: ReadonlyArray<unknown>, depth: number): void {
    if (this.short(list)) return
    this.tag32(108, list.length)
    const count = this.integers(list)
    if (count < list.length) this.pos = this.putEach(list, count, this.pos, depth + 1)
    this.u8(106)
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
