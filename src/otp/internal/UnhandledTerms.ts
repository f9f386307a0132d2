/**
 * The fate of what nobody handles: it is counted, and logged once per shape, so that neither a typing error stays
 * unseen nor a hostile sender fills the log.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Behaviour from "../../process/Behaviour.ts"
import { isAtom } from "../../term/Atom.ts"
import { typeName } from "../../term/Term.ts"
import { isTuple } from "../../term/Tuple.ts"

/** How many shapes are remembered per behaviour, so that a hostile sender cannot grow the list. */
const shapesMax = 100

/** What terms that mean the same have in common: the tag, or the type and the number of parts. */
const shapeOf = (term: unknown): string => {
  if (isTuple(term)) {
    const [tag] = term.elements
    return `tuple of ${term.elements.length}${isAtom(tag) ? `, the first ${tag.name}` : ""}`
  }
  if (isAtom(term)) return `atom ${term.name}`
  if (Array.isArray(term)) return "list"
  if (typeof term !== "object" || term === null) return term === null ? "null" : typeof term
  if ("_tag" in term && typeof term._tag === "string") return term._tag.slice(0, 100)
  const type = typeName(term)
  return type === "local" || type === "no term" || type === "map"
    ? `object with ${Object.keys(term).slice(0, 8).join(", ")}`
    : type
}

/** The shapes that the processes of one behaviour have met and not handled. */
export class UnhandledTerms {
  private readonly protocolName: string
  private readonly shapes = new Set<string>()

  constructor(protocolName: string) {
    this.protocolName = protocolName
  }

  /** Counts a term that no handler took, and logs it when it is the first of its shape. */
  report(instance: Behaviour.Instance, term: unknown): void {
    instance.node.unhandled++
    const shape = shapeOf(term)
    if (this.shapes.has(shape) || this.shapes.size >= shapesMax) return
    this.shapes.add(shape)
    instance.log(
      Effect.logWarning(
        `${this.protocolName} ${instance.displayName} got a message that its protocol does not describe (${shape}). ` +
          "It is counted and dropped; further ones of this shape are not logged. " +
          "Add a message to the protocol, or an `unhandled` handler"
      )
    )
  }
}
