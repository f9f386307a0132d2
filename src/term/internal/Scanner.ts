/**
 * The characters of Erlang's syntax, under a cursor.
 *
 * @since 0.1.0
 */
import { TermParseError } from "../TermError.ts"

const letter = /[a-z\u00df-\u00f6\u00f8-\u00ff]/
const wordPattern = /[a-z\u00df-\u00f6\u00f8-\u00ff][0-9A-Za-z_@\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]*/y
const numberPattern =
  /[+-]?\s*(?:(\d+(?:_\d+)*)#([0-9A-Za-z]+(?:_[0-9A-Za-z]+)*)|(\d+(?:_\d+)*)(\.\d+(?:_\d+)*(?:[eE][+-]?\d+)?)?)/y
const characterPattern = /[+-]?\s*\$/y

const escapes: { readonly [letter: string]: number } = {
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  e: 27,
  s: 32,
  d: 127
}

/** See the file's comment. */
export class Scanner {
  pos: number
  private readonly text: string

  constructor(text: string) {
    this.text = text
    this.pos = 0
  }

  atEnd(): boolean {
    return this.pos >= this.text.length
  }

  /** An error at a position, default the cursor. */
  fail(detail: string, offset: number = this.pos): TermParseError {
    const before = this.text.slice(0, offset)
    const line = before.split("\n").length
    return new TermParseError({ line, column: offset - before.lastIndexOf("\n"), offset, detail })
  }

  /** Skips blanks and comments. */
  blanks(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.pos)
      if (code <= 32 || code === 160) this.pos++
      else if (code === 37) {
        const end = this.text.indexOf("\n", this.pos)
        this.pos = end < 0 ? this.text.length : end + 1
      } else return
    }
  }

  looksAt(token: string): boolean {
    return this.text.startsWith(token, this.pos)
  }

  accept(token: string): boolean {
    if (!this.looksAt(token)) return false
    this.pos += token.length
    return true
  }

  expect(token: string): void {
    if (!this.accept(token)) throw this.fail(`\`${token}\` expected`)
  }

  /** The text up to a mark, which is skipped; undefined when it does not come. */
  until(mark: string): string | undefined {
    const end = this.text.indexOf(mark, this.pos)
    if (end < 0) return undefined
    const found = this.text.slice(this.pos, end)
    this.pos = end + mark.length
    return found
  }

  /** A bare atom. */
  word(): string | undefined {
    if (!letter.test(this.text.charAt(this.pos))) return undefined
    wordPattern.lastIndex = this.pos
    const match = wordPattern.exec(this.text)
    if (match === null) return undefined
    if (match[0].length > 255) throw this.fail("an atom has at most 255 characters")
    this.pos += match[0].length
    return match[0]
  }

  /** An integer, a character or a float, with its sign. */
  number(): number | bigint | { readonly float: number } | undefined {
    characterPattern.lastIndex = this.pos
    const character = characterPattern.exec(this.text)
    if (character !== null) {
      this.pos += character[0].length
      const code = this.character()
      if (code === undefined) throw this.fail("a character expected behind `$`")
      return character[0].startsWith("-") ? -code : code
    }
    numberPattern.lastIndex = this.pos
    const match = numberPattern.exec(this.text)
    if (match === null) return undefined
    const at = this.pos
    this.pos += match[0].length
    const negative = match[0].startsWith("-")
    if (match[1] !== undefined && match[2] !== undefined) {
      const base = Number(match[1].replaceAll("_", ""))
      if (!(base >= 2 && base <= 36)) throw this.fail("a base from 2 to 36 expected", at)
      return normal(
        inBase(match[2].replaceAll("_", ""), base, () => this.fail(`a digit outside base ${base}`, at)),
        negative
      )
    }
    const whole = match[3]!.replaceAll("_", "")
    if (match[4] !== undefined) {
      const value = Number(whole + match[4].replaceAll("_", ""))
      if (!Number.isFinite(value)) throw this.fail("a float out of range", at)
      return { float: negative ? -value : value }
    }
    return normal(BigInt(whole), negative)
  }

  // The next character, an escape resolved; undefined at the end.
  private character(): number | undefined {
    const code = this.text.codePointAt(this.pos)
    if (code === 92) return this.escape()
    if (code !== undefined && code >= 0xd800 && code <= 0xdfff) {
      throw this.fail("a surrogate without its other half")
    }
    if (code !== undefined) this.pos += code > 0xffff ? 2 : 1
    return code
  }

  /** The code points between two marks, escapes resolved. */
  quoted(mark: string): Array<number> {
    const start = this.pos
    this.pos += mark.length
    const codes: Array<number> = []
    for (;;) {
      if (this.accept(mark)) return codes
      const code = this.character()
      if (code === undefined) throw this.fail(`the closing ${mark} is missing`, start)
      codes.push(code)
    }
  }

  // The code point behind a backslash, which the cursor is at.
  private escape(): number {
    const at = this.pos
    const character = this.text.charAt(this.pos + 1)
    const octal = /^[0-7]{1,3}/.exec(this.text.slice(this.pos + 1, this.pos + 4))
    if (octal !== null) {
      this.pos += 1 + octal[0].length
      return parseInt(octal[0], 8)
    }
    if (character === "x") {
      const match = /^(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2}))/.exec(this.text.slice(this.pos + 2, this.pos + 10))
      const code = match === null ? NaN : parseInt(match[1] ?? match[2] ?? "", 16)
      if (match === null || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        throw this.fail("`\\xHH` or `\\x{H...}` with a character expected", at)
      }
      this.pos += 2 + match[0].length
      return code
    }
    if (character === "^") {
      const code = this.text.charCodeAt(this.pos + 2)
      if (Number.isNaN(code)) throw this.fail("a control character expected behind `\\^`", at)
      this.pos += 3
      return code & 31
    }
    const code = this.text.codePointAt(this.pos + 1)
    if (code === undefined || (code >= 0xd800 && code <= 0xdfff)) {
      throw this.fail("a character expected behind `\\`", at)
    }
    this.pos += code > 0xffff ? 3 : 2
    return escapes[character] ?? code
  }
}

const normal = (value: bigint, negative: boolean): number | bigint => {
  const signed = negative ? -value : value
  return signed >= Number.MIN_SAFE_INTEGER && signed <= Number.MAX_SAFE_INTEGER ? Number(signed) : signed
}

const prefixes: { readonly [base: number]: string } = { 2: "0b", 8: "0o", 16: "0x" }

const inBase = (digits: string, base: number, fail: () => TermParseError): bigint => {
  const values = Array.from(digits, (digit) => parseInt(digit, 36))
  if (values.some((value) => !(value < base))) throw fail()
  const prefix = prefixes[base]
  if (prefix !== undefined) return BigInt(prefix + digits)
  if (base === 10) return BigInt(digits)
  // The general case is quadratic, and nobody writes long numbers in base 7.
  if (digits.length > 10_000) throw fail()
  return values.reduce((sum, value) => sum * BigInt(base) + BigInt(value), 0n)
}
