/**
 * Shapes: how one node of a schema looks on the wire.
 *
 * A shape converts between a JavaScript value and a term, and between the value and bytes. The two ways agree on every
 * value they both accept. The way through terms reports what is wrong and where, with `Mismatch`; the direct way may
 * also give up with `GiveUp` as soon as something is out of the ordinary, and the caller goes the other way.
 *
 * @since 0.1.0
 */
import { Atom, isValidName, make as makeAtom } from "../../term/Atom.ts"
import { Float } from "../../term/Float.ts"
import type { Term } from "../../term/Term.ts"
import { print } from "../../term/TermPrinter.ts"
import { DecodeFailure } from "./Cursor.ts"
import { EncodeFailure } from "./Output.ts"
import type { Reader } from "./Reader.ts"
import { decodeUtf8, encodeUtf8, hasLoneSurrogate } from "./text.ts"
import type { Writer } from "./Writer.ts"

/** See the file's comment. */
export interface Shape {
  /** What it is, for error messages: "a binary in UTF-8". */
  readonly expected: string
  readonly toTerm: (value: unknown) => Term
  readonly fromTerm: (term: Term) => unknown
  readonly write: (writer: Writer, value: unknown) => void
  readonly read: (reader: Reader) => unknown
  /** False when a term is certainly not of this shape: a cheap look, to choose between the members of a union. */
  readonly mayBe: (term: Term) => boolean
  /** The same for the bytes at the cursor, which does not move. */
  readonly mayRead: (reader: Reader) => boolean
  /** Whether the value `undefined`, or the atom, is of this shape: it then cannot stand for something absent. */
  readonly takesUndefined: boolean
}

/** The direct way does not go here: thrown by `write` and `read`, never seen outside. */
export const GiveUp: { readonly _tag: "GiveUp" } = { _tag: "GiveUp" }

/** A value or term is not of the shape. `path` grows while the failure travels outwards. */
export class Mismatch {
  readonly path: Array<PropertyKey>
  readonly message: string

  constructor(message: string) {
    this.path = []
    this.message = message
  }
}

/** How much of an offending term an error shows. */
const shownMax = 200

/** The failure of a term that should have been something else. */
export const unexpectedTerm = (expected: string, term: unknown): Mismatch =>
  new Mismatch(`Expected ${expected}, got ${print(term, { maxLength: shownMax })}`)

/** The failure of a value that should have been something else. Its content stays out: it may be a secret. */
export const unexpectedValue = (expected: string, value: unknown): Mismatch =>
  new Mismatch(`Expected a value for ${expected}, got ${value === null ? "null" : typeof value}`)

/** Runs a step inside a container; a failure gets the step's key. */
export const inside = <A, B>(key: PropertyKey, f: (a: A) => B, a: A): B => {
  // oxlint-disable-next-line effect-otp/no-try -- paths are built while a failure unwinds, so that success pays nothing for them
  try {
    return f(a)
  } catch (failure) {
    if (failure instanceof Mismatch) failure.path.unshift(key)
    throw failure
  }
}

const always = (): boolean => true

/** A shape; what is not given is derived from the way through terms. */
export const make = (
  shape: Pick<Shape, "expected" | "toTerm" | "fromTerm"> & Partial<Shape>
): Shape => ({
  mayBe: always,
  mayRead: always,
  takesUndefined: false,
  write: (writer, value) => writer.term(shape.toTerm(value), 0),
  read: (reader) => shape.fromTerm(reader.term(0)),
  ...shape
})

const isAtomTag = (tag: number): boolean => tag === 119 || tag === 118 || tag === 82 || tag === 100 || tag === 115

/** Whether an exception is one of the codec's own: the direct way ends here, for whatever reason. */
export const isExpected = (failure: unknown): boolean =>
  failure === GiveUp || failure instanceof Mismatch || failure instanceof DecodeFailure ||
  failure instanceof EncodeFailure

/** The atom at the cursor, which does not move; undefined when there is none. */
export const peekAtom = (reader: Reader): Atom | undefined => {
  if (!isAtomTag(reader.peek())) return undefined
  const start = reader.pos
  const atom = reader.atom()
  reader.pos = start
  return atom
}

/** The atom at the cursor; gives up on anything else. */
export const readAtom = (reader: Reader): Atom => {
  if (!isAtomTag(reader.peek())) throw GiveUp
  return reader.atom()
}

// ---------------------------------------------------------------------------------------------------------------------
// Leaves
// ---------------------------------------------------------------------------------------------------------------------

const textOf = (term: Term): string | undefined =>
  term instanceof Uint8Array ? decodeUtf8(term, 0, term.length) : undefined

/** A text as a binary in UTF-8. */
export const text: Shape = make({
  expected: "a binary in UTF-8",
  toTerm: (value) => {
    if (typeof value !== "string" || hasLoneSurrogate(value)) throw unexpectedValue("a binary in UTF-8", value)
    return encodeUtf8(value)
  },
  fromTerm: (term) => {
    const found = textOf(term)
    if (found === undefined) throw unexpectedTerm("a binary in UTF-8", term)
    return found
  },
  write: (writer, value) => {
    if (typeof value !== "string") throw GiveUp
    const start = writer.pos
    writer.text(value)
    // Only text beyond ASCII can have a surrogate.
    if (writer.pos - start - 5 !== value.length && hasLoneSurrogate(value)) throw GiveUp
  },
  read: (reader) => {
    if (reader.peek() !== 109) throw GiveUp
    reader.pos++
    const length = reader.u32()
    reader.need(length)
    const found = decodeUtf8(reader.source, reader.pos, reader.pos + length)
    if (found === undefined) throw GiveUp
    reader.pos += length
    return found
  },
  mayBe: (term) => term instanceof Uint8Array,
  mayRead: (reader) => reader.peek() === 109
})

/** A text as a list of code points. */
export const charlist: Shape = make({
  expected: "a list of characters",
  toTerm: (value) => {
    if (typeof value !== "string" || hasLoneSurrogate(value)) throw unexpectedValue("a list of characters", value)
    return Array.from(value, (character) => character.codePointAt(0)!)
  },
  fromTerm: (term) => {
    if (!Array.isArray(term)) throw unexpectedTerm("a list of characters", term)
    let found = ""
    for (const code of term as ReadonlyArray<Term>) {
      if (
        typeof code !== "number" || !Number.isInteger(code) || code < 0 || code > 0x10ffff ||
        (code >= 0xd800 && code <= 0xdfff)
      ) {
        throw unexpectedTerm("a list of characters", term)
      }
      found += String.fromCodePoint(code)
    }
    return found
  },
  mayBe: Array.isArray,
  mayRead: (reader) => reader.peek() === 106 || reader.peek() === 107 || reader.peek() === 108
})

/** A text as an atom, whatever it is. */
export const atomText: Shape = make({
  expected: "an atom",
  toTerm: (value) => {
    if (typeof value !== "string" || !isValidName(value)) {
      throw unexpectedValue("an atom of at most 255 characters", value)
    }
    return new Atom(value)
  },
  fromTerm: (term) => {
    if (!(term instanceof Atom)) throw unexpectedTerm("an atom", term)
    return term.name
  },
  write: (writer, value) => {
    if (typeof value !== "string" || !isValidName(value)) throw GiveUp
    writer.atom(value)
  },
  read: (reader) => readAtom(reader).name,
  mayBe: (term) => term instanceof Atom,
  mayRead: (reader) => isAtomTag(reader.peek())
})

/** One of some constants, each with its own term. */
export const constants = (pairs: ReadonlyArray<readonly [value: unknown, term: Atom]>): Shape => {
  const byValue = new Map(pairs)
  const byName = new Map(pairs.map(([value, atom]) => [atom.name, value] as const))
  const names = pairs.map(([, atom]) => print(atom))
  const expected = names.length === 1 ? `the atom ${names[0]}` : `one of the atoms ${names.join(", ")}`
  return make({
    expected,
    toTerm: (value) => {
      const atom = byValue.get(value)
      if (atom === undefined) throw unexpectedValue(expected, value)
      return atom
    },
    fromTerm: (term) => {
      if (!(term instanceof Atom) || !byName.has(term.name)) throw unexpectedTerm(expected, term)
      return byName.get(term.name)
    },
    write: (writer, value) => {
      const atom = byValue.get(value)
      if (atom === undefined) throw GiveUp
      writer.atom(atom.name)
    },
    read: (reader) => {
      const { name } = readAtom(reader)
      const value = byName.get(name)
      if (value === undefined && !byName.has(name)) throw GiveUp
      return value
    },
    mayBe: (term) => term instanceof Atom && byName.has(term.name),
    mayRead: (reader) => {
      const atom = peekAtom(reader)
      return atom !== undefined && byName.has(atom.name)
    },
    takesUndefined: byName.has("undefined")
  })
}

/** `true` and `false`. */
export const boolean: Shape = constants([[true, makeAtom("true")], [false, makeAtom("false")]])

const exactNumber = (term: Term): number | undefined => {
  if (typeof term === "number") return term
  if (term instanceof Float) return term.value
  if (typeof term === "bigint") {
    const value = Number(term)
    return Number.isFinite(value) && BigInt(value) === term ? value : undefined
  }
  return undefined
}

const numberTerm = (value: number): Term =>
  Number.isInteger(value) && (!Number.isSafeInteger(value) || Object.is(value, -0)) ? new Float(value) : value

const isNumberTag = (tag: number): boolean =>
  tag === 97 || tag === 98 || tag === 110 || tag === 70 || tag === 111 || tag === 99

/** A number: an integer when it is a safe one, else a float. Both are read. */
export const number: Shape = make({
  expected: "a number",
  toTerm: (value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw unexpectedValue("a finite number", value)
    return numberTerm(value)
  },
  fromTerm: (term) => {
    const value = exactNumber(term)
    if (value === undefined) {
      throw unexpectedTerm(
        typeof term === "bigint" ? "a number that a double holds exactly (or a schema of BigInt)" : "a number",
        term
      )
    }
    return value
  },
  write: (writer, value) => {
    if (typeof value !== "number") throw GiveUp
    if ((value | 0) === value && !Object.is(value, -0)) writer.integer(value)
    else if (Number.isSafeInteger(value) && value !== 0) writer.integer(value)
    else if (Number.isFinite(value)) writer.float(value)
    else throw GiveUp
  },
  read: (reader) => {
    const tag = reader.peek()
    if (tag === 97 || tag === 98) return reader.term(0)
    if (tag === 70) return reader.float()
    if (!isNumberTag(tag)) throw GiveUp
    const value = exactNumber(reader.term(0))
    if (value === undefined) throw GiveUp
    return value
  },
  mayBe: (term) => typeof term === "number" || typeof term === "bigint" || term instanceof Float,
  mayRead: (reader) => isNumberTag(reader.peek())
})

/** A number that is always written as a float. Both are read. */
export const float: Shape = make({
  ...number,
  toTerm: (value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw unexpectedValue("a finite number", value)
    return Number.isInteger(value) ? new Float(value) : value
  },
  write: (writer, value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw GiveUp
    writer.float(value)
  }
})

const isInteger = (term: Term): term is number | bigint => typeof term === "bigint" || Number.isSafeInteger(term)

/** An integer of any size. */
export const bigint: Shape = make({
  expected: "an integer",
  toTerm: (value) => {
    if (typeof value !== "bigint") throw unexpectedValue("an integer", value)
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  },
  fromTerm: (term) => {
    if (!isInteger(term)) throw unexpectedTerm("an integer", term)
    return BigInt(term)
  },
  write: (writer, value) => {
    if (typeof value !== "bigint") throw GiveUp
    writer.bigint(value)
  },
  mayBe: isInteger,
  mayRead: (reader) => isNumberTag(reader.peek())
})

/** A constant that is a number. */
export const numberConstant = (constant: number | bigint): Shape => {
  const base = typeof constant === "bigint" ? bigint : number
  const expected = `the number ${constant}`
  return make({
    expected,
    toTerm: (value) => {
      if (value !== constant) throw unexpectedValue(expected, value)
      return base.toTerm(value)
    },
    fromTerm: (term) => {
      if (!base.mayBe(term) || base.fromTerm(term) !== constant) throw unexpectedTerm(expected, term)
      return constant
    },
    mayBe: base.mayBe,
    mayRead: base.mayRead
  })
}

/** A constant text as a binary. */
export const textConstant = (constants: ReadonlyArray<string>): Shape => {
  const known = new Set(constants)
  const expected = `one of the binaries ${constants.map((constant) => JSON.stringify(constant)).join(", ")}`
  return make({
    expected,
    toTerm: (value) => {
      if (typeof value !== "string" || !known.has(value)) throw unexpectedValue(expected, value)
      return text.toTerm(value)
    },
    fromTerm: (term) => {
      const found = textOf(term)
      if (found === undefined || !known.has(found)) throw unexpectedTerm(expected, term)
      return found
    },
    mayBe: text.mayBe,
    mayRead: text.mayRead
  })
}

/** Bytes as a binary. */
export const bytes: Shape = make({
  expected: "a binary",
  toTerm: (value) => {
    if (!(value instanceof Uint8Array)) throw unexpectedValue("a binary", value)
    return value
  },
  fromTerm: (term) => {
    if (!(term instanceof Uint8Array)) throw unexpectedTerm("a binary", term)
    return term
  },
  write: (writer, value) => {
    if (!(value instanceof Uint8Array)) throw GiveUp
    writer.binary(value)
  },
  read: (reader) => {
    if (reader.peek() !== 109) throw GiveUp
    reader.pos++
    return reader.bytes(reader.u32())
  },
  mayBe: text.mayBe,
  mayRead: text.mayRead
})

/** A term as it is, of the kinds a guard lets through. */
export const identity = (expected: string, guard: (value: unknown) => value is Term): Shape =>
  make({
    expected,
    toTerm: (value) => {
      if (!guard(value)) throw unexpectedValue(expected, value)
      return value
    },
    fromTerm: (term) => {
      if (!guard(term)) throw unexpectedTerm(expected, term)
      return term
    },
    write: (writer, value) => {
      if (!guard(value)) throw GiveUp
      writer.term(value, 0)
    },
    read: (reader) => {
      const term = reader.term(0)
      if (!guard(term)) throw GiveUp
      return term
    },
    mayBe: guard
  })

/** What no value is. */
export const never: Shape = make({
  expected: "nothing",
  toTerm: (value) => {
    throw unexpectedValue("nothing", value)
  },
  fromTerm: (term) => {
    throw unexpectedTerm("nothing", term)
  },
  mayBe: () => false,
  mayRead: () => false
})

/** A shape behind a conversion that may fail with undefined. */
export const convert = (
  inner: Shape,
  expected: string,
  decode: (value: unknown) => unknown,
  encode: (value: unknown) => unknown
): Shape =>
  make({
    expected,
    toTerm: (value) => {
      const encoded = encode(value)
      if (encoded === undefined) throw unexpectedValue(expected, value)
      return inner.toTerm(encoded)
    },
    fromTerm: (term) => {
      if (!inner.mayBe(term)) throw unexpectedTerm(expected, term)
      const decoded = decode(inner.fromTerm(term))
      if (decoded === undefined) throw unexpectedTerm(expected, term)
      return decoded
    },
    write: (writer, value) => {
      const encoded = encode(value)
      if (encoded === undefined) throw GiveUp
      inner.write(writer, encoded)
    },
    read: (reader) => {
      const decoded = decode(inner.read(reader))
      if (decoded === undefined) throw GiveUp
      return decoded
    },
    mayBe: inner.mayBe,
    mayRead: inner.mayRead
  })
