/**
 * References: values that are unique within a cluster.
 *
 * They identify monitors, timers, calls and aliases. A `Reference` is an immutable value of one to five unsigned
 * 32-bit words plus the node and the incarnation that made it; equality is structural.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"

const TypeId = "~effect-otp/Reference"

/**
 * A reference as it travels on the Erlang wire (`NEWER_REFERENCE_EXT`): `ids` are its words in wire order.
 *
 * @category models
 * @since 0.1.0
 */
export class Reference implements Equal.Equal {
  declare readonly "~effect-otp/Reference": "~effect-otp/Reference"
  readonly node: string
  readonly creation: number
  readonly ids: ReadonlyArray<number>

  constructor(node: string, creation: number, ids: ReadonlyArray<number>) {
    this.node = node
    this.creation = creation
    this.ids = ids
  }

  static {
    // On the prototype: a node has many of these values.
    Object.defineProperty(this.prototype, TypeId, { value: TypeId })
    // What the console of Node.js prints.
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: Reference): string {
        return this.toString()
      }
    })
  }

  /** Structural equality of node, creation and every word. */
  "~effect/Equal"(that: unknown): boolean {
    return this === that || (isReference(that) && equals(this, that))
  }

  /** A hash consistent with {@link equals}. */
  "~effect/Hash"(): number {
    let hash = this.creation
    for (const word of this.ids) hash = (hash * 31 + word) | 0
    return Hash.number(hash) ^ Hash.string(this.node)
  }

  /** `#Ref<node.w.w.w>`, words in the order in which Erlang prints them. */
  toString(): string {
    return `#Ref<${this.node}.${[...this.ids].reverse().join(".")}>`
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Reference", node: this.node, creation: this.creation, ids: this.ids }
  }
}

/**
 * Whether a value is a `Reference`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isReference = (u: unknown): u is Reference => typeof u === "object" && u !== null && TypeId in u

/**
 * Whether two references are the same.
 *
 * @category comparisons
 * @since 0.1.0
 */
export const equals = (a: Reference, b: Reference): boolean => {
  if (a.creation !== b.creation || a.node !== b.node || a.ids.length !== b.ids.length) return false
  for (let i = 0; i < a.ids.length; i++) if (a.ids[i] !== b.ids[i]) return false
  return true
}
