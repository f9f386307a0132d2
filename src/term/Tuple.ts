/**
 * Tuples, kept apart from lists.
 *
 * A list is a JavaScript array; a tuple is a `Tuple` that wraps one. The elements must not be changed after
 * construction: terms are shared, and their hashes are remembered.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as order from "./internal/order.ts"
import type { Term } from "./Term.ts"

/**
 * A tuple of terms.
 *
 * @category models
 * @since 0.1.0
 */
export class Tuple implements Equal.Equal {
  readonly elements: ReadonlyArray<Term>

  constructor(elements: ReadonlyArray<Term>) {
    this.elements = elements
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.tuple })
  }

  /** The number of elements. */
  get arity(): number {
    return this.elements.length
  }

  /** Equality as Erlang's `=:=`. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof Tuple && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The elements in order. */
  [Symbol.iterator](): Iterator<Term> {
    return this.elements[Symbol.iterator]()
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Tuple", elements: this.elements }
  }
}

/**
 * Whether a value is a `Tuple`, optionally of the given arity.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTuple = (u: unknown, arity?: number): u is Tuple =>
  u instanceof Tuple && (arity === undefined || u.elements.length === arity)

/**
 * A tuple of its arguments.
 *
 * @example
 * ```ts
 * import { Atom, Term, Tuple } from "effect-otp/term"
 *
 * Term.print(Tuple.make(Atom.ok, 1)) // => "{ok,1}"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (...elements: ReadonlyArray<Term>): Tuple => new Tuple(elements)

/**
 * A tuple of an array of elements. The array is taken over, not copied.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromArray = (elements: ReadonlyArray<Term>): Tuple => new Tuple(elements)
