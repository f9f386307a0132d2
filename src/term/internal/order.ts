/**
 * Kinds, hash, equality and order of terms.
 *
 * Everything here works with explicit stacks: a term nested a million levels deep is legal on the wire and small, and
 * none of these functions may exhaust the call stack on it. Values that are not terms compare by identity and sort
 * last, so that a wrong value in a term fails where it is encoded, with a path, and not here.
 *
 * @since 0.1.0
 */
import * as Hash from "effect/Hash"
import { Atom } from "../Atom.ts"
import type { BitString } from "../BitString.ts"
import type { ErlMap } from "../ErlMap.ts"
import { Float } from "../Float.ts"
import type { ExportFun, Fun } from "../Fun.ts"
import type { ImproperList } from "../ImproperList.ts"
import type { LocalTerm } from "../LocalTerm.ts"
import type { Pid } from "../Pid.ts"
import { isPid } from "../Pid.ts"
import type { Port } from "../Port.ts"
import type { Reference } from "../Reference.ts"
import { equals as equalReferences, isReference } from "../Reference.ts"
import type { Term } from "../Term.ts"
import type { Tuple } from "../Tuple.ts"

/** The property that holds the kind of a boxed term, on its prototype. */
export const KindId = "~effect-otp/term/kind"

/** What a term is, in the order in which Erlang sorts the types. */
export const Kind = {
  number: 1,
  atom: 2,
  reference: 3,
  fun: 4,
  exportFun: 5,
  port: 6,
  pid: 7,
  tuple: 8,
  map: 9,
  nil: 10,
  list: 11,
  improper: 12,
  binary: 13,
  bits: 14,
  local: 15,
  none: 16
} as const

/** One of {@link Kind}. */
export type Kind = typeof Kind[keyof typeof Kind]

/** The kind of any value; `Kind.none` for what is not a term. */
export const kindOf = (term: unknown): Kind => {
  if (typeof term === "number" || typeof term === "bigint") return Kind.number
  if (typeof term !== "object" || term === null) return Kind.none
  if (term instanceof Atom) return Kind.atom
  if (Array.isArray(term)) return term.length === 0 ? Kind.nil : Kind.list
  if (term instanceof Uint8Array) return Kind.binary
  const kind = (term as { readonly [KindId]?: Kind })[KindId]
  if (kind !== undefined) return kind
  if (term instanceof Float) return Kind.number
  if (isPid(term)) return Kind.pid
  if (isReference(term)) return Kind.reference
  return Kind.none
}

/** Whether a term of kind `number` is an Erlang float. */
export const isFloat = (term: unknown): boolean =>
  typeof term === "number" ? !Number.isSafeInteger(term) : term instanceof Float

// The value of a term of kind `number`, for comparison: JavaScript compares bigint with number exactly.
const numeric = (term: unknown): number | bigint => term instanceof Float ? term.value : term as number | bigint

const mix = (a: number, b: number): number => Math.imul(a ^ b, 0x9e3779b1) ^ ((a << 13) | (a >>> 19))

const hashBytes = (bytes: Uint8Array): number => {
  let hash = bytes.length | 0
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash
}

const hashNumber = (term: unknown): number => {
  if (term instanceof Float) return Hash.number(term.value) ^ 0x466c6f61
  if (typeof term === "bigint") {
    return Number.isSafeInteger(Number(term)) ? Hash.number(Number(term)) : Hash.string(term.toString(36))
  }
  const value = term as number
  // An integral number beyond the safe range is a float, and equal to the boxed one.
  return Number.isInteger(value) && !Number.isSafeInteger(value)
    ? Hash.number(value) ^ 0x466c6f61
    : Hash.number(value === 0 ? 0 : value)
}

interface HashFrame {
  readonly items: ReadonlyArray<unknown>
  readonly owner: ErlMap | undefined
  at: number
  acc: number
  key: number
}

const withTail = (list: ImproperList): ReadonlyArray<Term> => [...list.elements, list.tail]

/** A hash that agrees with {@link equals}. */
export const hash = (root: unknown): number => {
  const stack: Array<HashFrame> = []
  let term = root
  for (;;) {
    let value = 0
    let frame: HashFrame | undefined
    const kind = kindOf(term)
    switch (kind) {
      case Kind.number:
        value = hashNumber(term)
        break
      case Kind.atom:
        value = Hash.string((term as Atom).name)
        break
      case Kind.reference:
      case Kind.pid:
        value = Hash.hash(term)
        break
      case Kind.port:
        value = Hash.string((term as Port).node) ^ Number((term as Port).id & 0xffffffffn) ^ (term as Port).creation
        break
      case Kind.exportFun: {
        const fun = term as ExportFun
        value = mix(mix(Hash.string(fun.module.name), Hash.string(fun.name.name)), fun.arity)
        break
      }
      case Kind.binary:
        value = hashBytes(term as Uint8Array)
        break
      case Kind.bits:
        value = mix(hashBytes((term as BitString).bytes), (term as BitString).bits)
        break
      case Kind.local:
        value = hashBytes((term as LocalTerm).bytes) ^ 121
        break
      case Kind.nil:
        value = 106
        break
      case Kind.list:
        frame = { items: term as ReadonlyArray<Term>, owner: undefined, at: 0, acc: 108, key: 0 }
        break
      case Kind.improper:
        frame = { items: withTail(term as ImproperList), owner: undefined, at: 0, acc: 109, key: 0 }
        break
      case Kind.tuple:
        frame = { items: (term as Tuple).elements, owner: undefined, at: 0, acc: 104, key: 0 }
        break
      case Kind.fun: {
        const fun = term as Fun
        const acc = mix(mix(Hash.string(fun.module.name), fun.index), fun.oldUniq)
        frame = { items: fun.free, owner: undefined, at: 0, acc, key: 0 }
        break
      }
      case Kind.map: {
        const map = term as ErlMap
        const known = map.hashCache
        if (known !== undefined) value = known
        else frame = { items: map.entries, owner: map, at: 0, acc: 116, key: 0 }
        break
      }
      default:
        value = Hash.hash(term)
    }
    if (frame !== undefined) stack.push(frame)
    else if (stack.length === 0) return value
    else feed(stack[stack.length - 1]!, value)
    // Close every frame that is complete, then go on with the next item of the innermost open one.
    for (;;) {
      const top = stack[stack.length - 1]!
      if (top.at < top.items.length) {
        term = top.items[top.at]
        break
      }
      stack.pop()
      const done = mix(top.acc, top.items.length)
      if (top.owner !== undefined) top.owner.hashCache = done
      if (stack.length === 0) return done
      feed(stack[stack.length - 1]!, done)
    }
  }
}

const feed = (frame: HashFrame, value: number): void => {
  if (frame.owner === undefined) frame.acc = mix(frame.acc, value)
  else if (frame.at % 2 === 0) frame.key = value
  // The order of a map's entries does not count.
  else frame.acc = (frame.acc + mix(frame.key, value)) | 0
  frame.at++
}

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

const equalNumbers = (a: unknown, b: unknown): boolean => {
  if (isFloat(a) !== isFloat(b)) return false
  const x = numeric(a)
  const y = numeric(b)
  // Integers compare as numbers; floats bit by bit, so that 0.0 and -0.0 differ.
  return a instanceof Float || b instanceof Float ? Object.is(x, y) : x == y
}

/** Erlang's `=:=`: type and value, 1 and 1.0 differ. */
export const equals = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  const left: Array<unknown> = [a]
  const right: Array<unknown> = [b]
  const push = (xs: ReadonlyArray<unknown>, ys: ReadonlyArray<unknown>): boolean => {
    if (xs.length !== ys.length) return false
    for (let i = xs.length - 1; i >= 0; i--) {
      if (xs[i] !== ys[i]) {
        left.push(xs[i])
        right.push(ys[i])
      }
    }
    return true
  }
  while (left.length > 0) {
    const x = left.pop()
    const y = right.pop()
    if (x === y) continue
    const kind = kindOf(x)
    if (kind !== kindOf(y)) return false
    let same: boolean
    switch (kind) {
      case Kind.number:
        same = equalNumbers(x, y)
        break
      case Kind.atom:
        same = (x as Atom).name === (y as Atom).name
        break
      case Kind.pid: {
        const p = x as Pid
        const q = y as Pid
        same = p.id === q.id && p.serial === q.serial && p.creation === q.creation && p.node === q.node
        break
      }
      case Kind.reference:
        same = equalReferences(x as Reference, y as Reference)
        break
      case Kind.port: {
        const p = x as Port
        const q = y as Port
        same = p.id === q.id && p.creation === q.creation && p.node === q.node
        break
      }
      case Kind.exportFun: {
        const f = x as ExportFun
        const g = y as ExportFun
        same = f.arity === g.arity && f.name.name === g.name.name && f.module.name === g.module.name
        break
      }
      case Kind.fun: {
        const f = x as Fun
        const g = y as Fun
        same = f.index === g.index && f.oldUniq === g.oldUniq && f.module.name === g.module.name &&
          push(f.free, g.free)
        break
      }
      case Kind.binary:
        same = equalBytes(x as Uint8Array, y as Uint8Array)
        break
      case Kind.bits:
        same = (x as BitString).bits === (y as BitString).bits &&
          equalBytes((x as BitString).bytes, (y as BitString).bytes)
        break
      case Kind.local:
        same = equalBytes((x as LocalTerm).bytes, (y as LocalTerm).bytes)
        break
      case Kind.nil:
        same = true
        break
      case Kind.list:
        same = push(x as ReadonlyArray<Term>, y as ReadonlyArray<Term>)
        break
      case Kind.improper:
        left.push((x as ImproperList).tail)
        right.push((y as ImproperList).tail)
        same = push((x as ImproperList).elements, (y as ImproperList).elements)
        break
      case Kind.tuple:
        same = push((x as Tuple).elements, (y as Tuple).elements)
        break
      case Kind.map:
        same = pushMaps(x as ErlMap, y as ErlMap, left, right)
        break
      default:
        same = false
    }
    if (!same) return false
  }
  return true
}

const pushMaps = (x: ErlMap, y: ErlMap, left: Array<unknown>, right: Array<unknown>): boolean => {
  if (x.size !== y.size) return false
  if (x.hasSimpleKeys() && y.hasSimpleKeys()) {
    const entries = x.entries
    for (let i = 0; i < entries.length; i += 2) {
      const at = y.find(entries[i]!)
      if (at < 0) return false
      left.push(entries[i + 1])
      right.push(y.entries[at + 1])
    }
    return true
  }
  const xs = sortedKeys(x)
  const ys = sortedKeys(y)
  for (let i = 0; i < xs.length; i++) {
    left.push(x.entries[xs[i]! + 1], x.entries[xs[i]!])
    right.push(y.entries[ys[i]! + 1], y.entries[ys[i]!])
  }
  return true
}

/**
 * Text in the order of its code points, which is also that of its UTF-8 bytes. JavaScript's `<` goes by UTF-16 units
 * and would put astral characters before U+E000.
 */
export const compareText = (a: string, b: string): number => {
  if (a === b) return 0
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    let x = a.charCodeAt(i)
    let y = b.charCodeAt(i)
    if (x !== y) {
      if (x >= 0xd800) x = x >= 0xe000 ? x - 0x800 : x + 0x2000
      if (y >= 0xd800) y = y >= 0xe000 ? y - 0x800 : y + 0x2000
      return x < y ? -1 : 1
    }
  }
  return a.length < b.length ? -1 : 1
}

const sign = (a: number | bigint, b: number | bigint): number => a < b ? -1 : a > b ? 1 : 0

const compareNumbers = (a: unknown, b: unknown, exact: boolean): number => {
  if (exact) {
    const x = isFloat(a)
    if (x !== isFloat(b)) return x ? 1 : -1
    if (x && numeric(a) === 0 && numeric(b) === 0) return sign(1 / Number(numeric(a)), 1 / Number(numeric(b)))
  }
  return sign(numeric(a), numeric(b))
}

const compareReferences = (a: Reference, b: Reference): number => {
  const order = compareText(a.node, b.node) || sign(a.creation, b.creation)
  if (order !== 0) return order
  for (let i = Math.max(a.ids.length, b.ids.length) - 1; i >= 0; i--) {
    const word = sign(a.ids[i] ?? 0, b.ids[i] ?? 0)
    if (word !== 0) return word
  }
  return 0
}

const comparePids = (a: Pid, b: Pid): number =>
  sign(a.serial, b.serial) || sign(a.id, b.id) || compareText(a.node, b.node) || sign(a.creation, b.creation)

const comparePorts = (a: Port, b: Port): number =>
  compareText(a.node, b.node) || sign(a.creation, b.creation) || sign(a.id, b.id)

const compareBits = (a: Uint8Array, aBits: number, b: Uint8Array, bBits: number): number => {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    let x = a[i]!
    let y = b[i]!
    if (x === y) continue
    // In the last byte only the bits that both have are compared; the unused ones are zero.
    const common = Math.min(i === a.length - 1 ? aBits : 8, i === b.length - 1 ? bBits : 8)
    x >>= 8 - common
    y >>= 8 - common
    if (x !== y) return x < y ? -1 : 1
  }
  return sign(a.length * 8 + aBits, b.length * 8 + bBits)
}

// Funs, lists and bit strings have two representations each but one place in the order.
const rank = (kind: Kind): number => {
  switch (kind) {
    case Kind.exportFun:
      return Kind.fun
    case Kind.improper:
      return Kind.list
    case Kind.bits:
      return Kind.binary
    default:
      return kind
  }
}

interface CompareFrame {
  readonly xs: ReadonlyArray<unknown>
  readonly ys: ReadonlyArray<unknown>
  readonly count: number
  // The verdict when all pairs are equal.
  readonly otherwise: number
  readonly exact: boolean
  at: number
}

const listFrame = (x: unknown, y: unknown, exact: boolean): CompareFrame => {
  const xs = Array.isArray(x) ? x as ReadonlyArray<unknown> : (x as ImproperList).elements
  const ys = Array.isArray(y) ? y as ReadonlyArray<unknown> : (y as ImproperList).elements
  if (Array.isArray(x) && Array.isArray(y)) {
    return { xs, ys, count: Math.min(xs.length, ys.length), otherwise: sign(xs.length, ys.length), exact, at: 0 }
  }
  const xt = Array.isArray(x) ? [] : (x as ImproperList).tail
  const yt = Array.isArray(y) ? [] : (y as ImproperList).tail
  if (xs.length === ys.length) {
    return { xs: [...xs, xt], ys: [...ys, yt], count: xs.length + 1, otherwise: 0, exact, at: 0 }
  }
  // One is at its tail, which is no cons cell, where the other goes on with one: the types decide.
  const otherwise = xs.length < ys.length ? sign(rank(kindOf(xt)), Kind.list) : sign(Kind.list, rank(kindOf(yt)))
  return { xs, ys, count: Math.min(xs.length, ys.length), otherwise, exact, at: 0 }
}

/**
 * Erlang's order of terms: -1, 0 or 1. With `exact` the one used for keys of maps, where every integer comes before
 * every float; without, integers and floats compare by value and 1 and 1.0 give 0.
 */
export const compare = (a: unknown, b: unknown, exact: boolean): number => {
  const stack: Array<CompareFrame> = []
  let x = a
  let y = b
  let mode = exact
  for (;;) {
    let order = 0
    if (x !== y) {
      const kx = kindOf(x)
      const ky = kindOf(y)
      order = sign(rank(kx), rank(ky))
      if (order === 0) {
        switch (kx) {
          case Kind.number:
            order = compareNumbers(x, y, mode)
            break
          case Kind.atom:
            order = compareText((x as Atom).name, (y as Atom).name)
            break
          case Kind.reference:
            order = compareReferences(x as Reference, y as Reference)
            break
          case Kind.pid:
            order = comparePids(x as Pid, y as Pid)
            break
          case Kind.port:
            order = comparePorts(x as Port, y as Port)
            break
          case Kind.fun:
          case Kind.exportFun:
            order = sign(kx, ky)
            if (order === 0 && kx === Kind.exportFun) {
              const f = x as ExportFun
              const g = y as ExportFun
              order = compareText(f.module.name, g.module.name) || compareText(f.name.name, g.name.name) ||
                sign(f.arity, g.arity)
            } else if (order === 0) {
              const f = x as Fun
              const g = y as Fun
              order = compareText(f.module.name, g.module.name) || sign(f.index, g.index) ||
                sign(f.oldUniq, g.oldUniq) || sign(f.free.length, g.free.length)
              if (order === 0) {
                stack.push({ xs: f.free, ys: g.free, count: f.free.length, otherwise: 0, exact: mode, at: 0 })
              }
            }
            break
          case Kind.tuple: {
            const xs = (x as Tuple).elements
            const ys = (y as Tuple).elements
            order = sign(xs.length, ys.length)
            if (order === 0) stack.push({ xs, ys, count: xs.length, otherwise: 0, exact: mode, at: 0 })
            break
          }
          case Kind.map: {
            const m = x as ErlMap
            const n = y as ErlMap
            order = sign(m.size, n.size)
            if (order === 0) {
              const ms = sortedKeys(m)
              const ns = sortedKeys(n)
              stack.push(
                {
                  xs: ms.map((i) => m.entries[i + 1]),
                  ys: ns.map((i) => n.entries[i + 1]),
                  count: m.size,
                  otherwise: 0,
                  exact: mode,
                  at: 0
                },
                {
                  xs: ms.map((i) => m.entries[i]),
                  ys: ns.map((i) => n.entries[i]),
                  count: m.size,
                  otherwise: 0,
                  exact: true,
                  at: 0
                }
              )
            }
            break
          }
          case Kind.list:
          case Kind.improper:
            stack.push(listFrame(x, y, mode))
            break
          case Kind.binary:
          case Kind.bits: {
            const p = kx === Kind.bits ? x as BitString : undefined
            const q = ky === Kind.bits ? y as BitString : undefined
            order = compareBits(p?.bytes ?? x as Uint8Array, p?.bits ?? 8, q?.bytes ?? y as Uint8Array, q?.bits ?? 8)
            break
          }
          case Kind.local:
            order = compareBits((x as LocalTerm).bytes, 8, (y as LocalTerm).bytes, 8)
            break
        }
      }
    }
    while (order === 0 && stack.length > 0) {
      const top = stack[stack.length - 1]!
      if (top.at < top.count) break
      stack.pop()
      order = top.otherwise
    }
    if (order !== 0 || stack.length === 0) return order
    const top = stack[stack.length - 1]!
    x = top.xs[top.at]
    y = top.ys[top.at]
    mode = top.exact
    top.at++
  }
}

/**
 * The positions of a map's keys in its entries, sorted as Erlang sorts keys. Remembered in the map.
 *
 * Maps inside the keys are sorted first, innermost first, so that comparing keys never has to sort again and the call
 * stack stays flat however deep maps are nested in keys.
 */
export const sortedKeys = (map: ErlMap): ReadonlyArray<number> => {
  if (map.sortedCache !== undefined) return map.sortedCache
  const found: Array<ErlMap> = [map]
  const stack: Array<unknown> = []
  for (let m = 0; m < found.length; m++) {
    const entries = found[m]!.entries
    for (let i = 0; i < entries.length; i += 2) stack.push(entries[i])
    while (stack.length > 0) {
      const term = stack.pop()
      switch (kindOf(term)) {
        case Kind.map:
          if ((term as ErlMap).sortedCache === undefined) {
            found.push(term as ErlMap)
            // Its values take part in a comparison of keys as well.
            const inner = (term as ErlMap).entries
            for (let i = 1; i < inner.length; i += 2) stack.push(inner[i])
          }
          break
        case Kind.list:
          for (const item of term as ReadonlyArray<Term>) stack.push(item)
          break
        case Kind.improper:
          for (const item of withTail(term as ImproperList)) stack.push(item)
          break
        case Kind.tuple:
          for (const item of (term as Tuple).elements) stack.push(item)
          break
        case Kind.fun:
          for (const item of (term as Fun).free) stack.push(item)
          break
      }
    }
  }
  for (let m = found.length - 1; m >= 0; m--) {
    const { entries } = found[m]!
    const keys: Array<number> = []
    for (let i = 0; i < entries.length; i += 2) keys.push(i)
    if (keys.length > 1) keys.sort((i, j) => compare(entries[i], entries[j], true))
    found[m]!.sortedCache = keys
  }
  return map.sortedCache!
}
