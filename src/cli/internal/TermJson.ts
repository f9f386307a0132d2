/**
 * Terms as JSON, for programs that read what a command prints. What JSON has no form for is shown as Erlang prints it:
 * who needs every detail takes the text that stands beside it.
 *
 * | term | JSON |
 * |---|---|
 * | integer that JavaScript holds exactly, float | number |
 * | larger integer | its digits, a string |
 * | `true`, `false`, other atoms | boolean, string |
 * | binary | string when it is UTF-8, else `{"base64": "..."}` |
 * | list, tuple | array |
 * | map | object; keys that are no texts as Erlang prints them |
 * | anything else, and what is nested deeper than 100 levels | as Erlang prints it, a string |
 *
 * @since 0.1.0
 */
import * as Base64 from "effect/encoding/Base64"
import { Atom } from "../../term/Atom.ts"
import { isErlMap } from "../../term/ErlMap.ts"
import { isFloat } from "../../term/Float.ts"
import { print, type Term } from "../../term/Term.ts"
import { isTuple } from "../../term/Tuple.ts"

/** A value that `JSON.stringify` writes. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** The text of a binary; undefined when it is none. */
const textOf = (bytes: Uint8Array): string | undefined => {
  const text = new TextDecoder().decode(bytes)
  // Only a binary with invalid bytes, or with the character itself, gives this one.
  return text.includes("\uFFFD") ? undefined : text
}

/** How terms are printed that JSON has no form for: identifiers as their own node prints them. */
interface Printing {
  readonly node?: string
}

const printed = (term: Term, printing: Printing): string => print(term, { unicode: true, ...printing })

const keyOf = (key: Term, printing: Printing): string => {
  if (key instanceof Atom) return key.name
  const text = key instanceof Uint8Array ? textOf(key) : undefined
  return text ?? printed(key, printing)
}

const maxDepth = 100

/** The JSON of a term. */
export const fromTerm = (term: Term, printing: Printing = {}): Json => {
  const convert = (term: Term, depth: number): Json => {
    if (typeof term === "number") return term
    if (typeof term === "bigint") return String(term)
    if (isFloat(term)) return term.value
    if (term instanceof Atom) return term.name === "true" ? true : term.name === "false" ? false : term.name
    if (term instanceof Uint8Array) return textOf(term) ?? { base64: Base64.encode(term) }
    if (depth === maxDepth) return printed(term, printing)
    const inside = (term: Term): Json => convert(term, depth + 1)
    if (Array.isArray(term)) return (term as ReadonlyArray<Term>).map(inside)
    if (isTuple(term)) return term.elements.map(inside)
    if (isErlMap(term)) {
      return Object.fromEntries(Array.from(term, ([key, value]) => [keyOf(key, printing), inside(value)]))
    }
    return printed(term, printing)
  }
  return convert(term, 0)
}
