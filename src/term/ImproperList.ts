/**
 * Lists whose tail is not a list, such as `[alias|Ref]`.
 *
 * Guarantee: at least one element, and a tail that is neither an array nor another `ImproperList`; {@link make}
 * normalises everything else to a plain array or merges it.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as order from "./internal/order.ts"
import type { Term } from "./Term.ts"

/**
 * An improper list: `elements`, then `tail`. Use {@link make} unless the tail is known to be no list.
 *
 * @category models
 * @since 0.1.0
 */
export class ImproperList implements Equal.Equal {
  readonly elements: ReadonlyArray<Term>
  readonly tail: Term

  constructor(elements: ReadonlyArray<Term>, tail: Term) {
    this.elements = elements
    this.tail = tail
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.improper })
  }

  /** Equality as Erlang's `=:=`. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof ImproperList && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "ImproperList", elements: this.elements, tail: this.tail }
  }
}

/**
 * Whether a value is an `ImproperList`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isImproperList = (u: unknown): u is ImproperList => u instanceof ImproperList

/**
 * The list `[...elements|tail]`, whatever the tail is: no elements give the tail itself, a list as tail gives a plain
 * list, an improper list as tail is merged.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (elements: ReadonlyArray<Term>, tail: Term): Term => {
  if (elements.length === 0) return tail
  if (Array.isArray(tail)) return elements.concat(tail)
  if (tail instanceof ImproperList) return new ImproperList(elements.concat(tail.elements), tail.tail)
  return new ImproperList(elements, tail)
}
