/**
 * Floats that a JavaScript number would take for an integer.
 *
 * Erlang keeps `1` and `1.0` apart, JavaScript does not. At the term level a `number` that is a safe integer is an
 * Erlang integer and any other finite number is a float; a float whose value is integral (`1.0`, `-0.0`, `1.0e300`)
 * is a `Float`. NaN and the infinities do not exist in Erlang: {@link make} refuses them.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { InvalidTerm } from "./TermError.ts"

const TypeId = "~effect-otp/Float"

/**
 * A float, boxed. Use {@link make} or {@link term} to construct one.
 *
 * @category models
 * @since 0.1.0
 */
export class Float implements Equal.Equal {
  declare readonly "~effect-otp/Float": "~effect-otp/Float"
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  static {
    // What the console of Node.js prints.
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: Float): string {
        return `Float(${Object.is(this.value, -0) ? "-0" : this.value})`
      }
    })
    Object.defineProperty(this.prototype, TypeId, { value: TypeId })
  }

  /** Equality of type and bits: 0.0 and -0.0 differ, as in Erlang/OTP 27 and later. */
  "~effect/Equal"(that: unknown): boolean {
    return this === that || (that instanceof Float && Object.is(this.value, that.value))
  }

  /** A hash of the value. */
  "~effect/Hash"(): number {
    return Hash.number(this.value) ^ 0x466c_6f61
  }

  /** The number. */
  valueOf(): number {
    return this.value
  }

  /** The number as JavaScript prints it. */
  toString(): string {
    return String(this.value)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Float", value: this.value }
  }
}

/**
 * Whether a value is a `Float`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFloat = (u: unknown): u is Float => u instanceof Float

/**
 * A boxed float. Throws `InvalidTerm` for NaN and the infinities.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (value: number): Float => {
  if (!Number.isFinite(value)) {
    throw new InvalidTerm({ reason: "NotFinite", detail: `${value} has no Erlang float; send an atom instead` })
  }
  return new Float(value)
}

/**
 * The canonical term of a float: the number itself when it has a fraction, a `Float` when it is integral.
 *
 * @example
 * ```ts
 * import { Float } from "effect-otp/term"
 *
 * Float.term(1.5) // => 1.5
 * Float.isFloat(Float.term(1)) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const term = (value: number): number | Float => Number.isInteger(value) ? new Float(value) : make(value).value
