/**
 * Atoms: named constants of the Erlang world.
 *
 * An `Atom` is an object, so it can never be mistaken for a string, and its text is what decides equality. Atoms made
 * by a program with {@link make} are interned in a bounded table, so comparing two of them is usually one pointer
 * comparison; {@link is} and {@link equals} are right in every case. Nothing that arrives from outside the program is
 * added to that table: a decoder has its own, bounded as well.
 *
 * Refused: text beyond 255 code points, and text with lone surrogates, which has no UTF-8 form.
 *
 * @since 0.1.0
 */
import type * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { InvalidTerm } from "./TermError.ts"

const TypeId = "~effect-otp/Atom"

/** The largest number of code points in an atom. */
const lengthMax = 255

/** How many atoms {@link make} keeps; beyond it atoms are still made, but not shared. */
const internMax = 65_536

/**
 * An atom. Use {@link make} to construct one; the constructor itself checks nothing.
 *
 * @category models
 * @since 0.1.0
 */
export class Atom implements Equal.Equal {
  declare readonly "~effect-otp/Atom": "~effect-otp/Atom"
  readonly name: string
  /**
   * Scratch of the decoder: the number of the map that last had this atom as a key. Finds duplicate keys in one pass.
   *
   * @internal
   */
  mark: number

  constructor(name: string) {
    this.name = name
    this.mark = 0
  }

  static {
    // What the console of Node.js prints.
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: Atom): string {
        return `Atom(${this.name})`
      }
    })
    Object.defineProperty(this.prototype, TypeId, { value: TypeId })
  }

  /** Equality of the text. */
  "~effect/Equal"(that: unknown): boolean {
    return this === that || (that instanceof Atom && that.name === this.name)
  }

  /** A hash of the text. */
  "~effect/Hash"(): number {
    return Hash.string(this.name)
  }

  /** The bare text, without quotes. `Term.print` gives Erlang's form. */
  toString(): string {
    return this.name
  }

  /** The parts, for structured logs. */
  toJSON(): unknown {
    return { _id: "Atom", name: this.name }
  }
}

const table = new Map<string, Atom>()

/**
 * Whether a text can be an atom: at most 255 code points, no lone surrogates.
 *
 * @category guards
 * @since 0.1.0
 */
export const isValidName = (name: string): boolean => {
  const length = name.length
  if (length > 2 * lengthMax) return false
  let points = length
  for (let i = 0; i < length; i++) {
    const unit = name.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const next = name.charCodeAt(i + 1)
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false
      points--
      i++
    }
  }
  return points <= lengthMax
}

/**
 * The atom with the given text, interned.
 *
 * Throws `InvalidTerm` when the text cannot be an atom; for text that is not a constant of the program ask
 * {@link isValidName} first. Up to 65 536 atoms are shared; more are made but not kept.
 *
 * @example
 * ```ts
 * import { Atom } from "effect-otp/term"
 *
 * Atom.make("ok") === Atom.ok // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string): Atom => {
  const known = table.get(name)
  if (known !== undefined) return known
  if (!isValidName(name)) {
    throw new InvalidTerm({
      reason: "InvalidAtom",
      detail: `an atom has at most ${lengthMax} code points and no lone surrogates, this text has ${name.length} units`
    })
  }
  const atom = new Atom(name)
  if (table.size < internMax) table.set(name, atom)
  return atom
}

/**
 * The interned atom with this text, if the program has one. Never adds to the table.
 *
 * @category getters
 * @since 0.1.0
 */
export const interned = (name: string): Atom | undefined => table.get(name)

/**
 * Whether a value is an `Atom`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAtom = (u: unknown): u is Atom => u instanceof Atom

/**
 * Whether a value is the atom with this text.
 *
 * @category guards
 * @since 0.1.0
 */
export const is = (u: unknown, name: string): u is Atom => u instanceof Atom && u.name === name

/**
 * Whether two atoms are the same.
 *
 * @category comparisons
 * @since 0.1.0
 */
export const equals = (a: Atom, b: Atom): boolean => a === b || a.name === b.name

/**
 * The atom `true`.
 *
 * @category constants
 * @since 0.1.0
 */
export const true_: Atom = make("true")

/**
 * The atom `false`.
 *
 * @category constants
 * @since 0.1.0
 */
export const false_: Atom = make("false")

/**
 * The atom `ok`.
 *
 * @category constants
 * @since 0.1.0
 */
export const ok: Atom = make("ok")

/**
 * The atom `error`.
 *
 * @category constants
 * @since 0.1.0
 */
export const error: Atom = make("error")

/**
 * The atom `undefined`.
 *
 * @category constants
 * @since 0.1.0
 */
export const undefined_: Atom = make("undefined")

/**
 * The atom `nil`, Elixir's null.
 *
 * @category constants
 * @since 0.1.0
 */
export const nil: Atom = make("nil")

/**
 * The atom of a boolean.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBoolean = (value: boolean): Atom => value ? true_ : false_
