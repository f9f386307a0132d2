/**
 * Text as Erlang's io protocol carries it: nested lists of code points and binaries.
 *
 * @since 0.1.0
 */
import { ImproperList } from "../../term/ImproperList.ts"
import type { Term } from "../../term/Term.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text of `unicode:chardata()` or, with `latin1`, of `iodata()`; undefined when it is neither. Depth is not limited. */
export const textOf = (data: Term, encoding: "unicode" | "latin1"): string | undefined => {
  let text = ""
  const stack: Array<Term> = [data]
  for (let term = stack.pop(); term !== undefined; term = stack.pop()) {
    if (typeof term === "number") {
      if (!isCharacter(term, encoding)) return undefined
      text += String.fromCodePoint(term)
    } else if (Array.isArray(term)) {
      for (let i = term.length - 1; i >= 0; i--) stack.push((term as ReadonlyArray<Term>)[i]!)
    } else if (term instanceof ImproperList) {
      stack.push(term.tail)
      for (let i = term.elements.length - 1; i >= 0; i--) stack.push(term.elements[i]!)
    } else if (term instanceof Uint8Array) {
      const part = binaryText(term, encoding)
      if (part === undefined) return undefined
      text += part
    } else return undefined
  }
  return text
}

const isCharacter = (code: number, encoding: "unicode" | "latin1"): boolean =>
  Number.isInteger(code) && code >= 0 && code <= (encoding === "latin1" ? 255 : 0x10ffff) &&
  !(code >= 0xd800 && code <= 0xdfff)

const binaryText = (bytes: Uint8Array, encoding: "unicode" | "latin1"): string | undefined => {
  if (encoding === "latin1") {
    let text = ""
    for (const byte of bytes) text += String.fromCharCode(byte)
    return text
  }
  // oxlint-disable-next-line effect-otp/no-try -- the decoder of the platform reports by throwing
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
