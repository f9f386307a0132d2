/**
 * Bit strings whose length is not a multiple of eight.
 *
 * A binary is a `Uint8Array`; a `BitString` is what does not fit one. Guarantee: at least one byte, 1 to 7 bits used
 * in the last, and the unused low bits of it are zero, so equal bit strings have equal bytes.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as order from "./internal/order.ts"
import { InvalidTerm } from "./TermError.ts"

/**
 * A bit string: `bytes`, of the last of which only the highest `bits` (1 to 7) count. Use {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export class BitString implements Equal.Equal {
  readonly bytes: Uint8Array
  readonly bits: number

  constructor(bytes: Uint8Array, bits: number) {
    this.bytes = bytes
    this.bits = bits
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.bits })
  }

  /** The length in bits. */
  get bitLength(): number {
    return (this.bytes.length - 1) * 8 + this.bits
  }

  /** Equality as Erlang's `=:=`. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof BitString && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "BitString", bytes: Array.from(this.bytes), bits: this.bits }
  }
}

/**
 * Whether a value is a `BitString`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBitString = (u: unknown): u is BitString => u instanceof BitString

/**
 * The bit string of `bytes` with `bits` (1 to 8) used in the last byte. With 8 it is the binary itself. Unused bits
 * are cleared, in a copy when that changes something. Throws `InvalidTerm` for a bit count outside 1..8 or no bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (bytes: Uint8Array, bits: number): Uint8Array | BitString => {
  if (!Number.isInteger(bits) || bits < 1 || bits > 8 || bytes.length === 0) {
    throw new InvalidTerm({
      reason: "InvalidBits",
      detail: `a bit string has 1 to 8 bits in its last byte and at least one byte, not ${bits} in ${bytes.length}`
    })
  }
  if (bits === 8) return bytes
  const last = bytes[bytes.length - 1]!
  const masked = last & (0xff00 >> bits) & 0xff
  if (masked === last) return new BitString(bytes, bits)
  const copy = Uint8Array.from(bytes)
  copy[copy.length - 1] = masked
  return new BitString(copy, bits)
}
