/**
 * The shapes that have others inside, in the order of their elements: lists, tuples, unions, recursion.
 *
 * @since 0.1.0
 */
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import { GiveUp, inside, isExpected, make, Mismatch, type Shape, unexpectedTerm, unexpectedValue } from "./Shape.ts"

const isListTag = (tag: number): boolean => tag === 106 || tag === 107 || tag === 108

/** A list of one shape. */
export const list = (item: Shape): Shape =>
  make({
    expected: "a list",
    toTerm: (value) => {
      if (!Array.isArray(value)) throw unexpectedValue("a list", value)
      return value.map((element: unknown, i) => inside(i, item.toTerm, element))
    },
    fromTerm: (term) => {
      if (!Array.isArray(term)) throw unexpectedTerm("a list", term)
      return (term as ReadonlyArray<Term>).map((element, i) => inside(i, item.fromTerm, element))
    },
    write: (writer, value) => {
      if (!Array.isArray(value)) throw GiveUp
      const length = value.length
      if (length === 0) return writer.u8(106)
      const start = writer.pos
      writer.tag32(108, length)
      for (let i = 0; i < length; i++) item.write(writer, value[i])
      if (writer.buffer[start + 5] === 97) {
        writer.shorten(start, length)
        if (writer.buffer[start] === 107) return
      }
      writer.u8(106)
    },
    read: (reader) => {
      const tag = reader.peek()
      if (tag === 106) {
        reader.pos++
        return []
      }
      const values: Array<unknown> = []
      if (tag === 107) {
        for (const byte of reader.term(0) as ReadonlyArray<number>) values.push(item.fromTerm(byte))
        return values
      }
      if (tag !== 108) throw GiveUp
      reader.pos++
      const length = reader.listCount()
      for (let i = 0; i < length; i++) values.push(item.read(reader))
      if (reader.peek() !== 106) throw GiveUp
      reader.pos++
      return values
    },
    mayBe: Array.isArray,
    mayRead: (reader) => isListTag(reader.peek())
  })

/** A list with fixed elements at its start and end, and any number of one shape between. */
export const fixedList = (head: ReadonlyArray<Shape>, item: Shape, tail: ReadonlyArray<Shape>): Shape => {
  const fixed = head.length + tail.length
  const at = (i: number, length: number): Shape =>
    i < head.length ? head[i]! : i >= length - tail.length ? tail[i - length + tail.length]! : item
  const expected = `a list of at least ${fixed} elements`
  return make({
    expected,
    toTerm: (value) => {
      if (!Array.isArray(value) || value.length < fixed) throw unexpectedValue(expected, value)
      return value.map((element: unknown, i) => inside(i, at(i, value.length).toTerm, element))
    },
    fromTerm: (term) => {
      if (!Array.isArray(term) || term.length < fixed) throw unexpectedTerm(expected, term)
      return (term as ReadonlyArray<Term>).map((element, i) => inside(i, at(i, term.length).fromTerm, element))
    },
    mayBe: Array.isArray,
    mayRead: (reader) => isListTag(reader.peek())
  })
}

/** A tuple of fixed elements, of which those from `required` on may be missing at the end. */
export const tuple = (elements: ReadonlyArray<Shape>, required: number): Shape => {
  const count = elements.length
  const expected = required === count
    ? `a tuple of ${count} elements`
    : `a tuple of ${required} to ${count} elements`
  return make({
    expected,
    toTerm: (value) => {
      if (!Array.isArray(value) || value.length < required || value.length > count) {
        throw unexpectedValue(expected, value)
      }
      return new Tuple(value.map((element: unknown, i) => inside(i, elements[i]!.toTerm, element)))
    },
    fromTerm: (term) => {
      if (!(term instanceof Tuple) || term.elements.length < required || term.elements.length > count) {
        throw unexpectedTerm(expected, term)
      }
      return term.elements.map((element, i) => inside(i, elements[i]!.fromTerm, element))
    },
    write: (writer, value) => {
      if (!Array.isArray(value) || value.length < required || value.length > count) throw GiveUp
      writer.arity(value.length)
      for (let i = 0; i < value.length; i++) elements[i]!.write(writer, value[i])
    },
    read: (reader) => {
      if (reader.peek() !== 104) throw GiveUp
      reader.pos++
      const arity = reader.u8()
      if (arity < required || arity > count) throw GiveUp
      const values: Array<unknown> = []
      for (let i = 0; i < arity; i++) values.push(elements[i]!.read(reader))
      return values
    },
    mayBe: (term) => term instanceof Tuple && term.elements.length >= required && term.elements.length <= count,
    mayRead: (reader) =>
      reader.peek() === 105 || (reader.peek() === 104 && reader.end > reader.pos + 1 &&
        reader.source[reader.pos + 1]! >= required && reader.source[reader.pos + 1]! <= count)
  })
}

/** The first of several shapes that fits. */
export const union = (members: ReadonlyArray<Shape>): Shape => {
  const expected = members.map((member) => member.expected).join(" or ")
  return make({
    expected,
    toTerm: (value) => {
      const failures: Array<Mismatch> = []
      for (const member of members) {
        // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
        try {
          return member.toTerm(value)
        } catch (failure) {
          if (!(failure instanceof Mismatch)) throw failure
          failures.push(failure)
        }
      }
      throw deepest(failures) ?? unexpectedValue(expected, value)
    },
    fromTerm: (term) => {
      const failures: Array<Mismatch> = []
      for (const member of members) {
        if (!member.mayBe(term)) continue
        // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
        try {
          return member.fromTerm(term)
        } catch (failure) {
          if (!(failure instanceof Mismatch)) throw failure
          failures.push(failure)
        }
      }
      throw deepest(failures) ?? unexpectedTerm(expected, term)
    },
    write: (writer, value) => {
      const start = writer.pos
      for (const member of members) {
        // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
        try {
          return member.write(writer, value)
        } catch (failure) {
          if (!isExpected(failure)) throw failure
          writer.pos = start
        }
      }
      throw GiveUp
    },
    read: (reader) => {
      const start = reader.pos
      for (const member of members) {
        if (!member.mayRead(reader)) continue
        // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
        try {
          return member.read(reader)
        } catch (failure) {
          if (!isExpected(failure)) throw failure
          reader.pos = start
        }
      }
      throw GiveUp
    },
    mayBe: (term) => members.some((member) => member.mayBe(term)),
    mayRead: (reader) => members.some((member) => member.mayRead(reader)),
    takesUndefined: members.some((member) => member.takesUndefined)
  })
}

// Of several failures the one that got furthest says most; when none got anywhere, the list of all members does.
const deepest = (failures: ReadonlyArray<Mismatch>): Mismatch | undefined => {
  let best: Mismatch | undefined
  for (const failure of failures) {
    if (failure.path.length > (best?.path.length ?? 0)) best = failure
  }
  return best ?? (failures.length === 1 ? failures[0] : undefined)
}

/**
 * Levels of a recursive schema at most. Reading it, and the schema's own parser behind, recurse on the call stack, which
 * must not be exhausted by what a peer sends.
 */
export const recursionMax = 256

/** A shape that is known only later, because it contains itself. */
export const suspend = (thunk: () => Shape): Shape => {
  let depth = 0
  const deeper = <A>(f: () => A): A => {
    if (depth >= recursionMax) throw new Mismatch(`Expected at most ${recursionMax} levels of a recursive schema`)
    depth++
    // oxlint-disable-next-line effect-otp/no-try -- the depth goes back whatever happens
    try {
      return f()
    } finally {
      depth--
    }
  }
  return {
    get expected() {
      return depth === 0 ? deeper(() => thunk().expected) : "the same again"
    },
    toTerm: (value) => deeper(() => thunk().toTerm(value)),
    fromTerm: (term) => deeper(() => thunk().fromTerm(term)),
    write: (writer, value) => deeper(() => thunk().write(writer, value)),
    read: (reader) => deeper(() => thunk().read(reader)),
    mayBe: (term) => thunk().mayBe(term),
    mayRead: (reader) => thunk().mayRead(reader),
    takesUndefined: false
  }
}

/** A shape whose values meet a condition; `problem` says what is wrong with one that does not. */
export const refine = (inner: Shape, problem: (value: unknown) => string | undefined): Shape => {
  const check = (value: unknown): void => {
    const found = problem(value)
    if (found !== undefined) throw new Mismatch(found)
  }
  return {
    ...inner,
    toTerm: (value) => {
      check(value)
      return inner.toTerm(value)
    },
    fromTerm: (term) => {
      const value = inner.fromTerm(term)
      check(value)
      return value
    },
    write: (writer, value) => {
      check(value)
      inner.write(writer, value)
    },
    read: (reader) => {
      const value = inner.read(reader)
      check(value)
      return value
    }
  }
}
