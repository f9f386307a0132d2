/**
 * Terms as Erlang prints them.
 *
 * `print(term)` gives what `io_lib:format("~0p", [Term])` gives on Erlang/OTP 25 and what the parser reads back. Lists of
 * printable Latin-1 characters are strings, floats are in their shortest form, atoms are quoted where the scanner
 * needs it. The keys of maps of up to 32 pairs are sorted as Erlang sorts them; larger maps, which Erlang
 * keeps in the order of its hashes, print last entry first: for one from the wire that is how its sender prints it.
 *
 * What is no term (a JavaScript string, say) prints as `#NotATerm<...>`, so that an error message never fails.
 * Depth is not limited; the length of the output is, when asked.
 *
 * @since 0.1.0
 */
import type { Atom } from "./Atom.ts"
import type { BitString } from "./BitString.ts"
import type { ErlMap } from "./ErlMap.ts"
import { Float } from "./Float.ts"
import type { ExportFun, Fun } from "./Fun.ts"
import type { ImproperList } from "./ImproperList.ts"
import * as order from "./internal/order.ts"
import type { LocalTerm } from "./LocalTerm.ts"
import type { Pid } from "./Pid.ts"
import type { Port } from "./Port.ts"
import type { Reference } from "./Reference.ts"
import type { Tuple } from "./Tuple.ts"

/**
 * How to print.
 *
 * @category models
 * @since 0.1.0
 */
export interface PrintOptions {
  /** Text beyond this many UTF-16 units is cut and replaced by `...`. Default: no limit. */
  readonly maxLength?: number | undefined
  /** As `~tp`: atoms keep characters beyond Latin-1, and UTF-8 binaries print as `<<"..."/utf8>>`. Default false. */
  readonly unicode?: boolean | undefined
  /**
   * The node whose identifiers print with the number 0, as on that node itself. Those of other nodes print with the
   * node's name, `<shop@host.42.0>`, where Erlang prints a number that means something only there. Default: none.
   */
  readonly node?: string | undefined
  /** Whether lists and binaries of printable characters print as text; false as `~w` does. Default true. */
  readonly strings?: boolean | undefined
}

/**
 * A term as Erlang's `~0p` prints it.
 *
 * @example
 * ```ts
 * import { Atom, ErlMap, Float, Term, Tuple } from "effect-otp/term"
 *
 * Term.print(Tuple.make(Atom.make("Hello"), [104, 105], Float.make(1e22))) // => "{'Hello',\"hi\",1.0e22}"
 * Term.print(ErlMap.fromStruct({ b: 1, a: [1, 2] })) // => "#{a => [1,2],b => 1}"
 * ```
 *
 * @category printing
 * @since 0.1.0
 */
export const print = (term: unknown, options: PrintOptions = {}): string => {
  const limit = options.maxLength ?? Infinity
  const unicode = options.unicode ?? false
  const out: Array<string> = []
  let length = 0
  const emit = (text: string): void => {
    out.push(text)
    length += text.length
  }
  // What is still to be printed, innermost last: a text, or an iterator over the parts of a container.
  const stack: Array<Iterator<Part>> = [[term as Part].values()]
  while (stack.length > 0 && length <= limit) {
    const next = stack[stack.length - 1]!.next()
    if (next.done === true) {
      stack.pop()
      continue
    }
    const part = next.value
    if (part instanceof Literal) {
      emit(part.text)
      continue
    }
    const parts = containerParts(part, unicode, options.strings !== false)
    if (parts !== undefined) stack.push(parts)
    else emit(leaf(part, options, limit))
  }
  const text = out.join("")
  return text.length > limit ? `${text.slice(0, Math.max(0, limit - 3))}...` : text
}

class Literal {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = unknown

const comma = new Literal(",")
const bar = new Literal("|")
const arrow = new Literal(" => ")
const openList = new Literal("[")
const closeList = new Literal("]")
const openTuple = new Literal("{")
const closeTuple = new Literal("}")
const openMap = new Literal("#{")

function* separated(open: Literal, items: ReadonlyArray<unknown>, close: Literal, tail?: unknown): Generator<Part> {
  yield open
  for (let i = 0; i < items.length; i++) {
    if (i > 0) yield comma
    yield items[i]
  }
  if (tail !== undefined) {
    yield bar
    yield tail
  }
  yield close
}

function* mapParts(map: ErlMap): Generator<Part> {
  const sorted = map.size <= 32 ? order.sortedKeys(map) : undefined
  yield openMap
  for (let i = 0; i < map.size; i++) {
    const at = sorted === undefined ? (map.size - 1 - i) * 2 : sorted[i]!
    if (i > 0) yield comma
    yield map.entries[at]
    yield arrow
    yield map.entries[at + 1]
  }
  yield closeTuple
}

const containerParts = (term: unknown, unicode: boolean, strings: boolean): Iterator<Part> | undefined => {
  switch (order.kindOf(term)) {
    case order.Kind.tuple:
      return separated(openTuple, (term as Tuple).elements, closeTuple)
    case order.Kind.list:
      return strings && isPrintable(term as ReadonlyArray<unknown>)
        ? [new Literal(quote(term as ReadonlyArray<number>, "\"", unicode))].values()
        : separated(openList, term as ReadonlyArray<unknown>, closeList)
    case order.Kind.improper:
      return separated(openList, (term as ImproperList).elements, closeList, (term as ImproperList).tail)
    case order.Kind.map:
      return mapParts(term as ErlMap)
    default:
      return undefined
  }
}

const leaf = (term: unknown, options: PrintOptions, limit: number): string => {
  switch (order.kindOf(term)) {
    case order.Kind.number:
      return number(term)
    case order.Kind.atom:
      return atom((term as Atom).name, options.unicode ?? false)
    case order.Kind.nil:
      return "[]"
    case order.Kind.binary:
      return binary(term as Uint8Array, options, limit)
    case order.Kind.bits: {
      const { bits, bytes } = term as BitString
      const whole = Array.from(bytes.subarray(0, bytes.length - 1), String)
      return `<<${[...whole, `${bytes[bytes.length - 1]! >> (8 - bits)}:${bits}`].join(",")}>>`
    }
    case order.Kind.pid: {
      const { id, node, serial } = term as Pid
      return `<${nodeName(node, options)}.${id}.${serial}>`
    }
    case order.Kind.port:
      return `#Port<${nodeName((term as Port).node, options)}.${(term as Port).id}>`
    case order.Kind.reference: {
      const { ids, node } = term as Reference
      return `#Ref<${nodeName(node, options)}.${ids.slice().reverse().join(".")}>`
    }
    case order.Kind.exportFun: {
      const { arity, module, name } = term as ExportFun
      return `fun ${functionAtom(module.name, options)}:${functionAtom(name.name, options)}/${arity}`
    }
    case order.Kind.fun: {
      const { module, oldIndex, oldUniq } = term as Fun
      return `#Fun<${module.name}.${oldIndex}.${oldUniq}>`
    }
    case order.Kind.local:
      return `#Local<${(term as LocalTerm).bytes.length} bytes>`
    default:
      return foreign(term)
  }
}

const nodeName = (node: string, options: PrintOptions): string => node === options.node ? "0" : node

const foreign = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return `#NotATerm<${JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value)}>`
    case "object":
      return value === null ? "#NotATerm<null>" : "#NotATerm<object>"
    case "boolean":
    case "undefined":
      return `#NotATerm<${value}>`
    default:
      return `#NotATerm<${typeof value}>`
  }
}

const number = (term: unknown): string => {
  if (!order.isFloat(term)) return Object.is(term, -0) ? "0" : String(term)
  return float(term instanceof Float ? term.value : term as number)
}

// The shortest digits that read back as the same float, in the notation that needs fewer characters; from 2^53 on
// always scientific, because there the digits are not those of the exact value.
const float = (value: number): string => {
  if (!Number.isFinite(value)) return `#NotATerm<${value}>`
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0"
  const [mantissa, exponentText] = Math.abs(value).toExponential().split("e") as [string, string]
  const digits = mantissa.replace(".", "")
  const exponent = Number(exponentText)
  const scientific = `${digits[0]}.${digits.slice(1) || "0"}e${exponent}`
  let decimal: string
  if (exponent < 0) decimal = `0.${"0".repeat(-exponent - 1)}${digits}`
  else if (digits.length <= exponent + 1) decimal = `${digits}${"0".repeat(exponent + 1 - digits.length)}.0`
  else decimal = `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
  const text = Math.abs(value) >= 9007199254740992 || scientific.length < decimal.length ? scientific : decimal
  return value < 0 ? `-${text}` : text
}

const isPrintableUnit = (code: number): boolean =>
  (code >= 32 && code <= 126) || (code >= 160 && code <= 255) || (code >= 8 && code <= 13) || code === 27

const isPrintable = (list: ReadonlyArray<unknown>): boolean => {
  for (let i = 0; i < list.length; i++) {
    const item = list[i]
    if (typeof item !== "number" || !Number.isInteger(item) || !isPrintableUnit(item)) return false
  }
  return true
}

const escapes: { readonly [code: number]: string } = {
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
  27: "\\e",
  92: "\\\\",
  127: "\\d"
}

const quote = (codes: Iterable<number>, mark: string, unicode: boolean): string => {
  let text = mark
  const markCode = mark.charCodeAt(0)
  for (const code of codes) {
    const escape = escapes[code]
    if (code === markCode) text += `\\${mark}`
    else if (escape !== undefined) text += escape
    else if (code < 32 || (code > 127 && code < 160)) text += octal(code)
    else if (code > 255 && !(unicode && isGraphic(code))) text += `\\x{${code.toString(16).toUpperCase()}}`
    else text += String.fromCodePoint(code)
  }
  return text + mark
}

const octal = (code: number): string => code < 128 ? `\\${code.toString(8).padStart(3, "0")}` : `\\${code.toString(8)}`

const isGraphic = (code: number): boolean => !(code >= 0xd800 && code <= 0xdfff) && code !== 0xfffe && code !== 0xffff

const codePoints = function*(text: string): Generator<number> {
  for (const character of text) yield character.codePointAt(0)!
}

const reserved: ReadonlySet<string> = new Set(
  ("after and andalso band begin bnot bor bsl bsr bxor case catch cond div end fun if let not of or orelse receive rem " +
    "try when xor").split(" ")
)

const bare = /^[a-z\u00df-\u00f6\u00f8-\u00ff][0-9A-Za-z_@\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]*$/

const atom = (name: string, unicode: boolean): string =>
  bare.test(name) && !reserved.has(name) ? name : quote(codePoints(name), "'", unicode)

// Names in a fun are printed by another part of Erlang: reserved words stay bare, and `@` needs quotes.
const functionAtom = (name: string, options: PrintOptions): string =>
  /^[a-z][0-9A-Za-z_]*$/.test(name) ? name : quote(codePoints(name), "'", options.unicode ?? false)

const binary = (bytes: Uint8Array, options: PrintOptions, limit: number): string => {
  if (bytes.length === 0) return "<<>>"
  // No more than can be shown: a binary of a gigabyte must not become text to be cut.
  const shown = bytes.length > limit ? bytes.subarray(0, limit) : bytes
  let printable = options.strings !== false
  for (let i = 0; i < shown.length && printable; i++) printable = isPrintableUnit(shown[i]!)
  const rest = shown.length < bytes.length ? "..." : ""
  if (printable) return `<<${quote(shown, "\"", options.unicode ?? false)}>>${rest}`
  return `<<${shown.join(",")}>>${rest}`
}
