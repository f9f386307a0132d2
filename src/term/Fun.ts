/**
 * Functions of other nodes, as data.
 *
 * A fun that arrives is never called here; it is kept with everything it came with and goes back so that its owner can
 * call it. `Fun` is a closure (`NEW_FUN_EXT`), `ExportFun` a reference to an exported function (`EXPORT_EXT`).
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import type { Atom } from "./Atom.ts"
import * as order from "./internal/order.ts"
import type { Pid } from "./Pid.ts"
import type { Term } from "./Term.ts"

/**
 * A closure of another node, opaque.
 *
 * `uniq` is the 16-byte checksum of the module's code, `index` and `oldIndex` number the fun in it, `free` are the
 * captured variables, `pid` is who made it.
 *
 * @category models
 * @since 0.1.0
 */
export class Fun implements Equal.Equal {
  readonly arity: number
  readonly uniq: Uint8Array
  readonly index: number
  readonly module: Atom
  readonly oldIndex: number
  readonly oldUniq: number
  readonly pid: Pid
  readonly free: ReadonlyArray<Term>

  constructor(fields: {
    readonly arity: number
    readonly uniq: Uint8Array
    readonly index: number
    readonly module: Atom
    readonly oldIndex: number
    readonly oldUniq: number
    readonly pid: Pid
    readonly free: ReadonlyArray<Term>
  }) {
    this.arity = fields.arity
    this.uniq = fields.uniq
    this.index = fields.index
    this.module = fields.module
    this.oldIndex = fields.oldIndex
    this.oldUniq = fields.oldUniq
    this.pid = fields.pid
    this.free = fields.free
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.fun })
  }

  /** Equality as Erlang's `=:=`: module, index, old uniq and captured variables; the creator does not count. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof Fun && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Fun", module: this.module.name, index: this.index, arity: this.arity }
  }
}

/**
 * A reference to an exported function: `fun module:name/arity`.
 *
 * @category models
 * @since 0.1.0
 */
export class ExportFun implements Equal.Equal {
  readonly module: Atom
  readonly name: Atom
  readonly arity: number

  constructor(module: Atom, name: Atom, arity: number) {
    this.module = module
    this.name = name
    this.arity = arity
  }

  static {
    Object.defineProperty(this.prototype, order.KindId, { value: order.Kind.exportFun })
  }

  /** Structural equality of all three parts. */
  "~effect/Equal"(that: unknown): boolean {
    return that instanceof ExportFun && order.equals(this, that)
  }

  /** A hash consistent with equality. */
  "~effect/Hash"(): number {
    return order.hash(this)
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "ExportFun", module: this.module.name, name: this.name.name, arity: this.arity }
  }
}

/**
 * Whether a value is a closure of another node.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFun = (u: unknown): u is Fun => u instanceof Fun

/**
 * Whether a value is a reference to an exported function.
 *
 * @category guards
 * @since 0.1.0
 */
export const isExportFun = (u: unknown): u is ExportFun => u instanceof ExportFun
