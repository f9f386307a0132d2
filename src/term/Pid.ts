/**
 * Process identifiers.
 *
 * A `Pid` names one process of one incarnation of one node, exactly as it travels on the Erlang wire: node name,
 * number, serial and creation. It is a plain immutable value: two pids with equal parts are equal, whoever made them.
 * It holds no process, so keeping a pid keeps nothing alive.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"

const TypeId = "~effect-otp/Pid"

/**
 * The identity of a process.
 *
 * Sources: "External Term Format", `NEW_PID_EXT`. `id` and `serial` are unsigned 32-bit numbers, `creation` is the
 * incarnation of the node (unsigned 32-bit; 0 only in pids that were printed and parsed).
 *
 * @example
 * ```ts
 * import { Pid } from "effect-otp/term"
 *
 * const pid = new Pid.Pid("shop@127.0.0.1", 42, 0, 1)
 * String(pid) // => "<shop@127.0.0.1.42.0>"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class Pid implements Equal.Equal {
  declare readonly "~effect-otp/Pid": "~effect-otp/Pid"
  readonly node: string
  readonly id: number
  readonly serial: number
  readonly creation: number

  constructor(node: string, id: number, serial: number, creation: number) {
    this.node = node
    this.id = id
    this.serial = serial
    this.creation = creation
  }

  static {
    // On the prototype: a node has many of these values.
    Object.defineProperty(this.prototype, TypeId, { value: TypeId })
    // What the console of Node.js prints.
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: Pid): string {
        return `Pid(${this.toString()})`
      }
    })
  }

  /** Structural equality of all four parts. */
  "~effect/Equal"(that: unknown): boolean {
    return this === that || (isPid(that) && equals(this, that))
  }

  /** A hash consistent with {@link equals}. */
  "~effect/Hash"(): number {
    return Hash.number((this.id * 31 + this.serial) ^ this.creation) ^ Hash.string(this.node)
  }

  /** `<node.id.serial>`, the form that is unambiguous in logs of several nodes. */
  toString(): string {
    return `<${this.node}.${this.id}.${this.serial}>`
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Pid", node: this.node, id: this.id, serial: this.serial, creation: this.creation }
  }
}

/**
 * Whether a value is a `Pid`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPid = (u: unknown): u is Pid => typeof u === "object" && u !== null && TypeId in u

/**
 * Whether two pids name the same process of the same incarnation.
 *
 * @category comparisons
 * @since 0.1.0
 */
export const equals = (a: Pid, b: Pid): boolean =>
  a.id === b.id && a.serial === b.serial && a.creation === b.creation && a.node === b.node
