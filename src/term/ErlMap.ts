/**
 * Maps whose keys are any terms.
 *
 * Keys compare as Erlang's `=:=` does: `1` and `1.0` are two keys, two equal tuples are one. A map is immutable and keeps
 * its entries in the order in which they were written or received; equality does not look at the order. Small maps are
 * searched in place, larger ones build an index at the first look-up.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import { Atom, make as makeAtom } from "./Atom.ts"
import { Float } from "./Float.ts"
import * as order from "./internal/order.ts"
import type { Term } from "./Term.ts"

type SimpleKey = number | bigint | string

// What no atom can start with, so that keys of other kinds never meet the text of an atom.
const prefix = "\ud800"

/** Entries (keys and values) up to which a map is searched in place. */
const smallMax = 16

/** Binaries up to this size are indexed by their text, longer ones by their hash. */
const binaryKeyMax = 256

/** Entries (keys and values) from which on numbers are indexed by their text. */
const largeMin = 128

/**
 * The primitive under which a key is indexed, or undefined when it needs a hash.
 *
 * JavaScript hashes numbers without a secret, so a peer can choose numbers that all fall together; texts are hashed with
 * one. In an index that is large enough to matter numbers are therefore texts.
 */
const simpleKey = (key: unknown, large: boolean): SimpleKey | undefined => {
  if (key instanceof Atom) return key.name
  if (typeof key === "number") {
    if (Number.isInteger(key) && !Number.isSafeInteger(key)) return `${prefix}f${key}`
    return large ? `${prefix}n${key}` : key === 0 ? 0 : key
  }
  if (typeof key === "bigint") {
    if (key >= Number.MIN_SAFE_INTEGER && key <= Number.MAX_SAFE_INTEGER) return simpleKey(Number(key), large)
    return large ? `${prefix}n${key.toString(16)}n` : key
  }
  if (key instanceof Float) {
    if (!Number.isInteger(key.value)) return simpleKey(key.value, large)
    return `${prefix}f${Object.is(key.value, -0) ? "-0" : key.value}`
  }
  if (key instanceof Uint8Array && key.length <= binaryKeyMax) {
    let text = `${prefix}b`
    for (let i = 0; i < key.length; i++) text += String.fromCharCode(key[i]!)
    return text
  }
  return undefined
}

interface Index {
  readonly simple: Map<SimpleKey, number>
  readonly large: boolean
  // By hash: the positions of the compound keys that share it.
  readonly compound: Map<number, Array<number>> | undefined
}

/**
 * A map. `entries` is flat: key, value, key, value.
 *
 * The constructor takes the array over and trusts that no key is there twice; use {@link make} where that is not known.
 *
 * @category models
 * @since 0.1.0
 */
export class ErlMap implements Equal.Equal, Iterable<readonly [Term, Term]> {
  readonly entries: ReadonlyArray<Term>
  private index: Index | undefined
  /** @internal */
  hashCache: number | undefined
  /** @internal */
  sortedCache: ReadonlyArray<number> | undefined

  constructor(entries: ReadonlyArray<Term>) {
    this.entries = entries
    this.index = undefined
    this.hashCache = undefined
    this.sortedCache = undefined
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.map })
  }

  /** The number of keys. */
  get size(): number {
    return this.entries.length / 2
  }

  /**
   * The position of a key in `entries`, or -1.
   *
   * @internal
   */
  find(key: Term): number {
    const entries = this.entries
    if (entries.length <= smallMax) {
      if (key instanceof Atom) {
        for (let i = 0; i < entries.length; i += 2) {
          const other = entries[i]
          if (other === key || (other instanceof Atom && other.name === key.name)) return i
        }
        return -1
      }
      for (let i = 0; i < entries.length; i += 2) if (order.equals(entries[i], key)) return i
      return -1
    }
    const index = this.index ??= buildIndex(entries).index
    const simple = simpleKey(key, index.large)
    if (simple !== undefined) return index.simple.get(simple) ?? -1
    for (const at of index.compound?.get(order.hash(key)) ?? []) if (order.equals(entries[at], key)) return at
    return -1
  }

  /**
   * Whether no key needs a structural comparison.
   *
   * @internal
   */
  hasSimpleKeys(): boolean {
    const entries = this.entries
    for (let i = 0; i < entries.length; i += 2) if (simpleKey(entries[i], false) === undefined) return false
    return true
  }

  /** The value of a key, or undefined when the key is not there. */
  get(key: Term): Term | undefined {
    const at = this.find(key)
    return at < 0 ? undefined : this.entries[at + 1]
  }

  /** The value of the key that is the atom with this text, or undefined. */
  getAtom(name: string): Term | undefined {
    const entries = this.entries
    if (entries.length > smallMax) return this.get(new Atom(name))
    for (let i = 0; i < entries.length; i += 2) {
      const key = entries[i]
      if (key instanceof Atom && key.name === name) return entries[i + 1]
    }
    return undefined
  }

  /** Whether the key is there. */
  has(key: Term): boolean {
    return this.find(key) >= 0
  }

  /** The pairs in their order. */
  *[Symbol.iterator](): IterableIterator<readonly [Term, Term]> {
    for (let i = 0; i < this.entries.length; i += 2) yield [this.entries[i]!, this.entries[i + 1]!] as const
  }

  /** Equality as Erlang's `=:=`. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof ErlMap && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "ErlMap", entries: [...this] }
  }
}

const buildIndex = (entries: ReadonlyArray<Term>): { readonly index: Index; readonly duplicate: number } => {
  const simple = new Map<SimpleKey, number>()
  const large = entries.length >= largeMin
  let compound: Map<number, Array<number>> | undefined
  let duplicate = -1
  for (let i = 0; i < entries.length; i += 2) {
    const key = simpleKey(entries[i], large)
    if (key !== undefined) {
      if (duplicate < 0 && simple.has(key)) duplicate = i
      simple.set(key, i)
    } else {
      compound ??= new Map()
      const hash = order.hash(entries[i])
      const chain = compound.get(hash)
      if (chain === undefined) compound.set(hash, [i])
      else {
        // A chain this long is no accident but somebody's work: treat it as a duplicate rather than compare it all.
        if (
          duplicate < 0 && (chain.length >= chainMax || chain.some((at) => order.equals(entries[at], entries[i])))
        ) duplicate = i
        chain.push(i)
      }
    }
  }
  return { index: { simple, large, compound }, duplicate }
}

/** How many different compound keys with one hash the check for duplicates compares. */
const chainMax = 64

/**
 * The position of a key in flat entries that is there already, or -1.
 *
 * More than 64 different compound keys with the same hash count as duplicates: that does not happen by accident, and
 * comparing them all would give a peer quadratic work for free.
 *
 * @internal
 */
export const findDuplicate = (entries: ReadonlyArray<Term>): number => {
  if (entries.length > smallMax) return buildIndex(entries).duplicate
  for (let i = 2; i < entries.length; i += 2) {
    for (let j = 0; j < i; j += 2) if (order.equals(entries[i], entries[j])) return i
  }
  return -1
}

/**
 * Whether a value is an `ErlMap`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isErlMap = (u: unknown): u is ErlMap => u instanceof ErlMap

/**
 * The map without keys.
 *
 * @category constants
 * @since 0.1.0
 */
export const empty: ErlMap = new ErlMap([])

/**
 * A map of pairs. Of equal keys the first keeps its place and the last its value.
 *
 * @example
 * ```ts
 * import { Atom, ErlMap, Float, Term } from "effect-otp/term"
 *
 * const map = ErlMap.make([[1, Atom.ok], [Float.make(1), Atom.error]])
 * map.size // => 2
 * Term.print(map) // => "#{1 => ok,1.0 => error}"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (pairs: Iterable<readonly [Term, Term]>): ErlMap => {
  const entries: Array<Term> = []
  const simple = new Map<SimpleKey, number>()
  const compound = new Map<number, Array<number>>()
  for (const [key, value] of pairs) {
    const primitive = simpleKey(key, true)
    let at: number | undefined
    if (primitive !== undefined) {
      at = simple.get(primitive)
      if (at === undefined) simple.set(primitive, entries.length)
    } else {
      const hash = order.hash(key)
      const chain = compound.get(hash)
      at = chain?.find((i) => order.equals(entries[i], key))
      if (chain === undefined) compound.set(hash, [entries.length])
      else if (at === undefined) chain.push(entries.length)
    }
    if (at === undefined) entries.push(key, value)
    else entries[at + 1] = value
  }
  return new ErlMap(entries)
}

/**
 * A map with atom keys from the own enumerable properties of an object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStruct = (struct: { readonly [key: string]: Term }): ErlMap => {
  const entries: Array<Term> = []
  for (const key of Object.keys(struct)) entries.push(makeAtom(key), struct[key]!)
  return new ErlMap(entries)
}

/**
 * The map with one key set.
 *
 * @category combinators
 * @since 0.1.0
 */
export const set = (self: ErlMap, key: Term, value: Term): ErlMap => {
  const at = self.find(key)
  if (at < 0) return new ErlMap([...self.entries, key, value])
  const entries = self.entries.slice()
  entries[at + 1] = value
  return new ErlMap(entries)
}

/**
 * The map without one key.
 *
 * @category combinators
 * @since 0.1.0
 */
export const remove = (self: ErlMap, key: Term): ErlMap => {
  const at = self.find(key)
  return at < 0 ? self : new ErlMap([...self.entries.slice(0, at), ...self.entries.slice(at + 2)])
}
