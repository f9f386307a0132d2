/**
 * Ports: identifiers of the outside world's connections on an Erlang node.
 *
 * A node of this runtime makes none of its own, but ports of others travel through it and come back as they were.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as order from "./internal/order.ts"

/**
 * A port as it travels (`V4_PORT_EXT`): `id` is unsigned 64-bit, `creation` unsigned 32-bit.
 *
 * @category models
 * @since 0.1.0
 */
export class Port implements Equal.Equal {
  readonly node: string
  readonly id: bigint
  readonly creation: number

  constructor(node: string, id: bigint, creation: number) {
    this.node = node
    this.id = id
    this.creation = creation
  }

  static {
    // What the console of Node.js prints.
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: Port): string {
        return this.toString()
      }
    })
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.port })
  }

  /** Structural equality of all three parts. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof Port && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** `#Port<node.id>`. */
  toString(): string {
    return `#Port<${this.node}.${this.id}>`
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Port", node: this.node, id: String(this.id), creation: this.creation }
  }
}

/**
 * Whether a value is a `Port`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPort = (u: unknown): u is Port => u instanceof Port
