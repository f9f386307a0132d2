/**
 * The formats of Erlang's `io:format/2`, for output that reaches this node as a format and its arguments.
 *
 * All control sequences are known, with width, precision, padding and the modifier `t`. Two things differ from Erlang:
 * `~p` keeps a term on one line, however long, and `~P` and `~W` print the whole term instead of a part of it.
 *
 * @since 0.1.0
 */
import * as Atom from "../../term/Atom.ts"
import { Float } from "../../term/Float.ts"
import { print, type Term } from "../../term/Term.ts"
import { textOf } from "./chardata.ts"

/** The longest field: a format must not make more text than was sent. */
const widthMax = 4096

interface Sequence {
  readonly width: number | undefined
  readonly precision: number | undefined
  readonly pad: string
  readonly unicode: boolean
}

/** The text of a format with its arguments; undefined when they do not fit each other. */
export const format = (pattern: Term, args: Term): string | undefined => {
  const text = pattern instanceof Atom.Atom ? pattern.name : textOf(pattern, "unicode")
  if (text === undefined || !Array.isArray(args)) return undefined
  return new Formatter([...text], args as ReadonlyArray<Term>).run()
}

class Formatter {
  private readonly input: ReadonlyArray<string>
  private readonly args: ReadonlyArray<Term>
  private at = 0
  private next = 0

  constructor(input: ReadonlyArray<string>, args: ReadonlyArray<Term>) {
    this.input = input
    this.args = args
  }

  run(): string | undefined {
    let out = ""
    while (this.at < this.input.length) {
      const character = this.input[this.at++]!
      const text = character === "~" ? this.sequence() : character
      if (text === undefined) return undefined
      out += text
    }
    return this.next === this.args.length ? out : undefined
  }

  /** What stands behind a `~`. */
  private sequence(): string | undefined {
    const width = this.number(true)
    let precision: number | undefined | "bad"
    let pad = " "
    if (this.input[this.at] === ".") {
      this.at++
      precision = this.number(false)
      if (this.input[this.at] === ".") {
        this.at++
        const character = this.input[this.at++]
        const given = character === "*" ? this.args[this.next++] : character
        if (given === undefined) return undefined
        pad = typeof given === "number" ? textOf([given], "unicode") ?? " " : String(given)
      }
    }
    let unicode = false
    while (/^[tlkK]$/.test(this.input[this.at] ?? "")) if (this.input[this.at++] === "t") unicode = true
    const control = this.input[this.at++]
    if (control === undefined || width === "bad" || precision === "bad") return undefined
    return this.convert(control, { width, precision, pad, unicode })
  }

  private number(signed: boolean): number | undefined | "bad" {
    let digits = ""
    if (signed && this.input[this.at] === "-") digits += this.input[this.at++]
    if (this.input[this.at] === "*") {
      this.at++
      const value = this.args[this.next++]
      if (typeof value !== "number" || !Number.isInteger(value) || Math.abs(value) > widthMax) return "bad"
      return digits === "-" ? -value : value
    }
    while (/^[0-9]$/.test(this.input[this.at] ?? "")) digits += this.input[this.at++]
    if (digits === "" || digits === "-") return undefined
    const value = Number(digits)
    return Math.abs(value) <= widthMax ? value : "bad"
  }

  private argument(): Term | undefined {
    return this.args[this.next++]
  }

  private convert(control: string, sequence: Sequence): string | undefined {
    if (control === "~") return "~"
    if (control === "n") return "\n".repeat(Math.max(1, sequence.width ?? 1))
    const term = this.argument()
    if (term === undefined) return undefined
    switch (control) {
      case "i":
        return ""
      case "c": {
        const character = textOf([term], sequence.unicode ? "unicode" : "latin1")
        const count = sequence.precision ?? Math.abs(sequence.width ?? 1)
        return typeof term === "number" && character !== undefined
          ? adjust(character.repeat(count), sequence, false)
          : undefined
      }
      case "s": {
        const text = term instanceof Atom.Atom ? term.name : textOf(term, sequence.unicode ? "unicode" : "latin1")
        return text === undefined || typeof term === "number" ? undefined : string(text, sequence)
      }
      case "w":
      case "p":
      case "W":
      case "P": {
        if (control === "W" || control === "P") this.argument()
        const text = print(term, { unicode: sequence.unicode, strings: control === "p" || control === "P" })
        // The width of ~p is where lines end.
        return control === "p" || control === "P" ? text : adjust(text, sequence, true)
      }
      case "e":
      case "f":
      case "g":
        return float(control, term, sequence)
      case "b":
      case "B":
      case "x":
      case "X":
      case "+":
      case "#":
        return this.integer(control, term, sequence)
      default:
        return undefined
    }
  }

  private integer(control: string, term: Term, sequence: Sequence): string | undefined {
    const base = sequence.precision ?? 10
    if (!(typeof term === "bigint" || (typeof term === "number" && Number.isInteger(term)))) return undefined
    if (base < 2 || base > 36) return undefined
    let prefix = ""
    if (control === "x" || control === "X") {
      const given = this.argument()
      const text = given instanceof Atom.Atom ? given.name : given === undefined ? undefined : textOf(given, "unicode")
      if (text === undefined) return undefined
      prefix = text
    } else if (control === "+" || control === "#") prefix = `${base}#`
    const negative = term < 0
    const digits = (negative ? -term : term).toString(base)
    const shown = control === "B" || control === "X" || control === "#" ? digits.toUpperCase() : digits
    return adjust(`${negative ? "-" : ""}${prefix}${shown}`, sequence, true)
  }
}

const float = (control: string, term: Term, sequence: Sequence): string | undefined => {
  const value = term instanceof Float ? term.value : typeof term === "number" ? term : undefined
  // A float that is a whole number is a Float; this is an integer.
  if (value === undefined || (typeof term === "number" && Number.isInteger(term))) return undefined
  const digits = Math.min(100, sequence.precision ?? 6)
  if (digits < 1) return undefined
  if (control === "f") return adjust(value.toFixed(digits), sequence, true)
  if (control === "g") {
    const size = Math.abs(value)
    // The exponent, where it is one that is left out.
    const exponent = size >= 0.1 && size < 10_000 ? Math.max(-1, Math.floor(Math.log10(size))) : undefined
    if (exponent !== undefined && (digits - 1 > exponent || (digits === 1 && exponent === -1))) {
      return adjust(value.toFixed(digits - 1 - exponent), sequence, true)
    }
    return adjust(scientific(value, Math.max(2, digits)), sequence, true)
  }
  return digits < 2 ? undefined : adjust(scientific(value, digits), sequence, true)
}

const scientific = (value: number, digits: number): string => value.toExponential(digits - 1)

/** A string is cut to its precision, or else to its width. */
const string = (text: string, sequence: Sequence): string => {
  const { precision, width } = sequence
  const limit = precision ?? (width === undefined ? undefined : Math.abs(width))
  const characters = [...text]
  const cut = limit === undefined || characters.length <= limit ? text : characters.slice(0, limit).join("")
  return adjust(cut, sequence, false)
}

/** A negative width puts the text to the left. What does not fit is shown as stars, where it must not be cut. */
const adjust = (text: string, { pad, width }: Sequence, starred: boolean): string => {
  if (width === undefined) return text
  const room = Math.abs(width)
  const length = [...text].length
  if (length > room) return starred ? "*".repeat(room) : text
  const padding = pad.repeat(room - length)
  return width < 0 ? text + padding : padding + text
}
