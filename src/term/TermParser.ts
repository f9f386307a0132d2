/**
 * Terms from Erlang syntax.
 *
 * Reads what `TermPrinter` writes and what a person types: atoms bare and quoted, integers in any base and with
 * underscores, characters, floats, strings (adjacent ones are one), binaries with sizes and `/utf8`, lists, tuples, maps,
 * `fun m:f/1`, identifiers in their printed form, comments to the end of the line, and a full stop at the end if there is
 * one. It reads values: variables, operators other than a sign, and calls are errors, as is `#Fun<...>`, which names a
 * closure without holding it.
 *
 * Depth is not limited and leaves the call stack flat. Time is linear, but for lists nested in tails (`[a|[b|[c]]]`), which
 * are copied level by level.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Atom from "./Atom.ts"
import * as BitString from "./BitString.ts"
import { make as makeMap } from "./ErlMap.ts"
import { Float } from "./Float.ts"
import { ExportFun } from "./Fun.ts"
import { make as makeImproper } from "./ImproperList.ts"
import { Scanner } from "./internal/Scanner.ts"
import { Pid } from "./Pid.ts"
import { Port } from "./Port.ts"
import { Reference } from "./Reference.ts"
import type { Term } from "./Term.ts"
import type { TermParseError } from "./TermError.ts"
import { TermParseError as ParseError } from "./TermError.ts"
import { Tuple } from "./Tuple.ts"

/**
 * How to parse.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParseOptions {
  /** The node that identifiers with the number 0 (`<0.42.0>`) belong to. Default `nonode@nohost`. */
  readonly node?: string | undefined
  /** The creation of every identifier: the text does not have it. Default 0. */
  readonly creation?: number | undefined
}

/**
 * The term a text stands for.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import { Term } from "effect-otp/term"
 *
 * const term = Term.parse("{add, #{n => 16#ff}}  % a comment")
 * Term.print(Result.getOrThrow(term)) // => "{add,#{n => 255}}"
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string, options?: ParseOptions): Result.Result<Term, TermParseError> => {
  // oxlint-disable-next-line effect-otp/no-try -- the parser leaves a malformed text by throwing, from any depth of its helpers
  try {
    return Result.succeed(parseUnsafe(text, options))
  } catch (error) {
    if (error instanceof ParseError) return Result.fail(error)
    throw error
  }
}

interface Frame {
  readonly close: "]" | "}" | "map"
  readonly items: Array<Term>
  // Where a `|` stood in a list: the number of elements before it.
  tailAt: number
}

/**
 * Like {@link parse}, but throws the `TermParseError`.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseUnsafe = (text: string, options: ParseOptions = {}): Term => {
  const scanner = new Scanner(text)
  const frames: Array<Frame> = []
  for (;;) {
    scanner.blanks()
    const open = frames[frames.length - 1]
    let value: Term
    if (open !== undefined && open.items.length === 0 && closes(scanner, open)) {
      frames.pop()
      value = finish(scanner, open)
    } else if (opened(scanner, frames)) continue
    else value = leaf(scanner, options)
    // Hand the value to the innermost container, and close every one that ends here.
    for (;;) {
      const top = frames[frames.length - 1]
      if (top === undefined) {
        scanner.blanks()
        scanner.accept(".")
        scanner.blanks()
        if (!scanner.atEnd()) throw scanner.fail("nothing more expected behind the term")
        return value
      }
      top.items.push(value)
      if (separator(scanner, top)) break
      frames.pop()
      value = finish(scanner, top)
    }
  }
}

const opened = (scanner: Scanner, frames: Array<Frame>): boolean => {
  if (scanner.accept("[")) frames.push({ close: "]", items: [], tailAt: -1 })
  else if (scanner.accept("{")) frames.push({ close: "}", items: [], tailAt: -1 })
  else if (scanner.accept("#{")) frames.push({ close: "map", items: [], tailAt: -1 })
  else return false
  return true
}

const closes = (scanner: Scanner, frame: Frame): boolean => {
  scanner.blanks()
  return scanner.accept(frame.close === "]" ? "]" : "}")
}

// True when another element follows, false when the container is closed.
const separator = (scanner: Scanner, frame: Frame): boolean => {
  scanner.blanks()
  if (frame.close === "map" && frame.items.length % 2 === 1) {
    if (scanner.accept("=>") || scanner.accept(":=")) return true
    throw scanner.fail("`=>` expected behind a key of a map")
  }
  if (frame.tailAt >= 0) {
    if (closes(scanner, frame)) return false
    throw scanner.fail("`]` expected behind the tail of a list")
  }
  if (scanner.accept(",")) return true
  if (frame.close === "]" && scanner.accept("|")) {
    frame.tailAt = frame.items.length
    return true
  }
  if (closes(scanner, frame)) return false
  throw scanner.fail(`\`,\` or \`${frame.close === "]" ? "]" : "}"}\` expected`)
}

const finish = (scanner: Scanner, frame: Frame): Term => {
  if (frame.close === "}") return new Tuple(frame.items)
  if (frame.close === "]") {
    if (frame.tailAt < 0) return frame.items
    return makeImproper(frame.items.slice(0, frame.tailAt), frame.items[frame.tailAt]!)
  }
  if (frame.items.length % 2 === 1) throw scanner.fail("a key of a map without a value")
  const pairs: Array<readonly [Term, Term]> = []
  for (let i = 0; i < frame.items.length; i += 2) pairs.push([frame.items[i]!, frame.items[i + 1]!])
  return makeMap(pairs)
}

const leaf = (scanner: Scanner, options: ParseOptions): Term => {
  if (scanner.atEnd()) throw scanner.fail("a term expected, the text ends")
  if (scanner.accept("<<")) return binary(scanner)
  if (scanner.accept("#Ref<")) return reference(scanner, options)
  if (scanner.accept("#Port<")) return port(scanner, options)
  if (scanner.looksAt("#Fun<")) {
    throw scanner.fail("the text of a fun does not hold the fun; only `fun m:f/1` can be read")
  }
  if (scanner.accept("<")) return pid(scanner, options)
  if (scanner.looksAt("\"")) {
    const codes = scanner.quoted("\"")
    for (;;) {
      scanner.blanks()
      if (!scanner.looksAt("\"")) return codes
      for (const code of scanner.quoted("\"")) codes.push(code)
    }
  }
  if (scanner.looksAt("'")) return quotedAtom(scanner)
  const number = scanner.number()
  if (number !== undefined) return typeof number === "object" ? floatTerm(number.float) : number
  const word = scanner.word()
  if (word === undefined) throw scanner.fail("a term expected")
  if (word === "fun") return exported(scanner)
  return Atom.make(word)
}

const floatTerm = (value: number): Term => Number.isInteger(value) ? new Float(value) : value

const quotedAtom = (scanner: Scanner): Atom.Atom => {
  const at = scanner.pos
  const codes = scanner.quoted("'")
  if (codes.length > 255) throw scanner.fail("an atom has at most 255 characters", at)
  return Atom.make(String.fromCodePoint(...codes))
}

const atom = (scanner: Scanner): Atom.Atom => {
  scanner.blanks()
  if (scanner.looksAt("'")) return quotedAtom(scanner)
  const word = scanner.word()
  if (word === undefined) throw scanner.fail("an atom expected")
  return Atom.make(word)
}

const exported = (scanner: Scanner): ExportFun => {
  const module = atom(scanner)
  scanner.blanks()
  scanner.expect(":")
  const name = atom(scanner)
  scanner.blanks()
  scanner.expect("/")
  scanner.blanks()
  const arity = scanner.number()
  if (typeof arity !== "number" || arity < 0 || arity > 255) throw scanner.fail("an arity from 0 to 255 expected")
  return new ExportFun(module, name, arity)
}

// The parts of an identifier up to `>`: the node, or the number 0 for the own one, then numbers.
const identifier = (scanner: Scanner, options: ParseOptions): readonly [string, ReadonlyArray<bigint>] => {
  const at = scanner.pos
  const body = scanner.until(">")
  const match = /^(.+?)((?:\.\d+)+)$/.exec(body ?? "")
  if (match === null || match[2] === undefined || match[1] === undefined) {
    throw scanner.fail("an identifier such as <0.42.0> expected", at)
  }
  const numbers = match[2].slice(1).split(".").map(BigInt)
  if (/^[1-9]\d*$/.test(match[1])) {
    throw scanner.fail(`the node number ${match[1]} means nothing outside the node that printed it`, at)
  }
  return [match[1] === "0" ? options.node ?? "nonode@nohost" : match[1], numbers]
}

const words = (
  scanner: Scanner,
  at: number,
  numbers: ReadonlyArray<bigint>,
  min: number,
  max: number
): Array<number> => {
  if (numbers.length < min || numbers.length > max || numbers.some((n) => n > 0xffffffffn)) {
    throw scanner.fail("an identifier with numbers of 32 bits expected", at)
  }
  return numbers.map(Number)
}

// A node name may contain dots and end in digits, so the numbers are counted from the right.
const splitNode = (parts: readonly [string, ReadonlyArray<bigint>], count: number): typeof parts => {
  const [node, numbers] = parts
  const extra = numbers.length - count
  return extra <= 0 ? parts : [[node, ...numbers.slice(0, extra)].join("."), numbers.slice(extra)]
}

const pid = (scanner: Scanner, options: ParseOptions): Pid => {
  const at = scanner.pos
  const [node, numbers] = splitNode(identifier(scanner, options), 2)
  const [id, serial] = words(scanner, at, numbers, 2, 2)
  return new Pid(node, id!, serial!, options.creation ?? 0)
}

const port = (scanner: Scanner, options: ParseOptions): Port => {
  const at = scanner.pos
  const [node, numbers] = splitNode(identifier(scanner, options), 1)
  if (numbers.length !== 1 || numbers[0]! > 0xffffffffffffffffn) {
    throw scanner.fail("a port such as #Port<0.5> expected", at)
  }
  return new Port(node, numbers[0]!, options.creation ?? 0)
}

const reference = (scanner: Scanner, options: ParseOptions): Reference => {
  const at = scanner.pos
  // Behind a node name with dots and digits one cannot tell; a reference as nodes make them has three words.
  const parts = identifier(scanner, options)
  const [node, numbers] = /@/.test(parts[0]) && parts[1].length > 5 ? splitNode(parts, 3) : parts
  return new Reference(node, options.creation ?? 0, words(scanner, at, numbers, 1, 5).reverse())
}

const binary = (scanner: Scanner): Uint8Array | BitString.BitString => {
  const bytes: Array<number> = []
  // Bits that do not fill a byte yet.
  let pending = 0n
  let pendingBits = 0
  const push = (value: bigint, size: number): void => {
    pending = (pending << BigInt(size)) | BigInt.asUintN(size, value)
    pendingBits += size
    while (pendingBits >= 8) {
      pendingBits -= 8
      bytes.push(Number((pending >> BigInt(pendingBits)) & 0xffn))
      pending = BigInt.asUintN(pendingBits, pending)
    }
  }
  scanner.blanks()
  if (!scanner.accept(">>")) {
    for (;;) {
      scanner.blanks()
      segment(scanner, push)
      scanner.blanks()
      if (scanner.accept(">>")) break
      if (!scanner.accept(",")) throw scanner.fail("`,` or `>>` expected")
    }
  }
  if (pendingBits === 0) return Uint8Array.from(bytes)
  bytes.push(Number(pending) << (8 - pendingBits))
  return BitString.make(Uint8Array.from(bytes), pendingBits)
}

/** Bits of one segment at most: a text must not ask for a gigabyte with a few digits. */
const segmentMax = 65_536

const segment = (scanner: Scanner, push: (value: bigint, size: number) => void): void => {
  const at = scanner.pos
  if (scanner.looksAt("\"")) {
    const codes = scanner.quoted("\"")
    if (scanner.accept("/utf8")) {
      const text = codes.map((code) => String.fromCodePoint(code)).join("")
      for (const byte of new TextEncoder().encode(text)) push(BigInt(byte), 8)
    } else for (const code of codes) push(BigInt(code), 8)
    return
  }
  const value = scanner.number()
  if (value === undefined) throw scanner.fail("an integer, a float or a string expected in a binary")
  const size = scanner.accept(":") ? scanner.number() : undefined
  if (size !== undefined && (typeof size !== "number" || size < 0 || size > segmentMax)) {
    throw scanner.fail(`a size from 0 to ${segmentMax} expected`, at)
  }
  if (typeof value === "object") {
    if (size !== undefined && size !== 64) throw scanner.fail("a float in a binary has 64 bits", at)
    scanner.accept("/float")
    const view = new DataView(new ArrayBuffer(8))
    view.setFloat64(0, value.float)
    push(view.getBigUint64(0), 64)
    return
  }
  push(BigInt(value), size ?? 8)
}
