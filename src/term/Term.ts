/**
 * Any value of the Erlang world, untyped and lossless.
 *
 * | Erlang | here |
 * |---|---|
 * | integer | `number` when it is a safe integer, else `bigint` |
 * | float | `number` when it has a fraction, else `Float` |
 * | atom | `Atom` (`true`, `nil`, `undefined` too) |
 * | list, string | array (`"abc"` is `[97, 98, 99]`); `ImproperList` with another tail |
 * | tuple | `Tuple` |
 * | map | `ErlMap` |
 * | binary, bit string | `Uint8Array`, `BitString` |
 * | pid, port, reference, fun | `Pid`, `Port`, `Reference`, `Fun`, `ExportFun` |
 *
 * Two different Erlang terms never have the same representation. JavaScript strings, booleans, null and undefined are
 * no terms: which atom, list or binary they stand for is the business of a schema (`Etf.toCodecTerm`). Terms are
 * values: nothing here changes one, and whoever does breaks the hashes others remember.
 *
 * @since 0.1.0
 */
import type { Atom } from "./Atom.ts"
import type { BitString } from "./BitString.ts"
import type { ErlMap } from "./ErlMap.ts"
import type { Float } from "./Float.ts"
import type { ExportFun, Fun } from "./Fun.ts"
import type { ImproperList } from "./ImproperList.ts"
import * as order from "./internal/order.ts"
import type { LocalTerm } from "./LocalTerm.ts"
import type { Pid } from "./Pid.ts"
import type { Port } from "./Port.ts"
import type { Reference } from "./Reference.ts"
import type { Tuple } from "./Tuple.ts"

export {
  /**
   * A term as Erlang's `~0p` prints it. See `TermPrinter`.
   *
   * @category printing
   * @since 0.1.0
   */
  print
} from "./TermPrinter.ts"

export {
  /**
   * A term from Erlang syntax. See `TermParser`.
   *
   * @category parsing
   * @since 0.1.0
   */
  parse,
  /**
   * A term from Erlang syntax, throwing `TermParseError`. See `TermParser`.
   *
   * @category parsing
   * @since 0.1.0
   */
  parseUnsafe
} from "./TermParser.ts"

/**
 * A term.
 *
 * @category models
 * @since 0.1.0
 */
export type Term =
  | number
  | bigint
  | Float
  | Atom
  | Pid
  | Port
  | Reference
  | Fun
  | ExportFun
  | Tuple
  | ErlMap
  | ReadonlyArray<Term>
  | ImproperList
  | Uint8Array
  | BitString
  | LocalTerm

/**
 * Whether a value is a term, judged by its outermost layer only: elements of lists, tuples and maps are looked at when
 * they are encoded.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTerm = (u: unknown): u is Term =>
  typeof u === "number" ? Number.isFinite(u) : order.kindOf(u) !== order.Kind.none

/**
 * Erlang's `=:=`: equal in type and value. Depth is not limited.
 *
 * @category comparisons
 * @since 0.1.0
 */
export const equals = (a: Term, b: Term): boolean => order.equals(a, b)

/**
 * Erlang's standard order (`<`, `lists:sort/1`): -1, 0 or 1. Integers and floats compare by value, so 1 and 1.0 give 0.
 *
 * @category comparisons
 * @since 0.1.0
 */
export const compare = (a: Term, b: Term): number => order.compare(a, b, false)

/**
 * The order of keys in maps: as {@link compare}, but every integer comes before every float, so only equal terms give 0
 * (references that differ in trailing zero words excepted).
 *
 * @category comparisons
 * @since 0.1.0
 */
export const compareExact = (a: Term, b: Term): number => order.compare(a, b, true)

/**
 * A hash consistent with {@link equals}.
 *
 * @category comparisons
 * @since 0.1.0
 */
export const hash = (term: Term): number => order.hash(term)

/**
 * Erlang's name for the type of a term, as guards spell it: `integer`, `float`, `atom`, `list` and so on.
 *
 * @category getters
 * @since 0.1.0
 */
export const typeName = (term: unknown): string => {
  switch (order.kindOf(term)) {
    case order.Kind.number:
      return order.isFloat(term) ? "float" : "integer"
    case order.Kind.atom:
      return "atom"
    case order.Kind.reference:
      return "reference"
    case order.Kind.fun:
    case order.Kind.exportFun:
      return "function"
    case order.Kind.port:
      return "port"
    case order.Kind.pid:
      return "pid"
    case order.Kind.tuple:
      return "tuple"
    case order.Kind.map:
      return "map"
    case order.Kind.nil:
    case order.Kind.list:
    case order.Kind.improper:
      return "list"
    case order.Kind.binary:
      return "binary"
    case order.Kind.bits:
      return "bitstring"
    case order.Kind.local:
      return "local"
    default:
      return "no term"
  }
}
