/**
 * Terms that only the node that wrote them can read.
 *
 * `term_to_binary(T, [local])` writes such bytes (`LOCAL_EXT`). Their inside has no documented form and not even a
 * length, so they are kept whole and go back bit by bit.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as order from "./internal/order.ts"

/**
 * An unread local term: `bytes` is everything behind the tag.
 *
 * @category models
 * @since 0.1.0
 */
export class LocalTerm implements Equal.Equal {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.local })
  }

  /** Equality of the bytes. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof LocalTerm && order.equals(this, that)
  }

  /** A hash of the bytes. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "LocalTerm", bytes: this.bytes.length }
  }
}

/**
 * Whether a value is a `LocalTerm`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLocalTerm = (u: unknown): u is LocalTerm => u instanceof LocalTerm
