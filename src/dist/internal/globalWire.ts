/**
 * How the name servers of `global` reach each other: calls, casts and messages of any term to one registered name.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Node, Service } from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import * as ProcessRef from "../../process/ProcessRef.ts"
import { Atom } from "../../term/Atom.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import { RawTerm } from "./RawTerm.ts"

/** The name of the name server on every node. */
export const serverName = "global_name_server"

export const atom = (name: string): Atom => new Atom(name)

export const tuple = (...elements: ReadonlyArray<Term>): Tuple => new Tuple(elements)

/** The text of an atom; undefined of anything else. */
export const nameOf = (term: unknown): string | undefined => term instanceof Atom ? term.name : undefined

/** The elements of a tuple behind the atom it starts with; undefined when the term is something else. */
export const tagged = (
  term: unknown
): { readonly tag: string; readonly fields: ReadonlyArray<Term> } | undefined => {
  if (!(term instanceof Tuple)) return undefined
  const tag = nameOf(term.elements[0])
  return tag === undefined ? undefined : { tag, fields: term.elements.slice(1) }
}

export const listOf = (term: Term | undefined): ReadonlyArray<Term> =>
  Array.isArray(term) ? term as ReadonlyArray<Term> : []

const yes = atom("true")

export const boolean = (value: boolean): Atom => value ? yes : atom("false")

export const isTrue = (term: unknown): boolean => nameOf(term) === "true"

/** Casts to the name server of a node, unless that is not connected. */
export const cast = (self: Service, node: string, term: Term): Effect.Effect<void, never, Node> =>
  Behaviour.isConnected(self, node)
    ? Effect.flatMap(ProcessRef.named(RawTerm, { name: serverName, node }), (ref) => ref.Cast(term))
    : Effect.void

/** Sends to the name server of a node, unless that is not connected. */
export const send = (self: Service, node: string, term: Term): Effect.Effect<void, never, Node> =>
  Behaviour.isConnected(self, node) ? Process.send({ name: serverName, node }, term) : Effect.void

/** Asks the name servers of all these nodes at once; who does not answer is missing in the result. */
const multicall = (
  self: Service,
  nodes: ReadonlyArray<string>,
  request: Term
): Effect.Effect<ReadonlyArray<{ readonly node: string; readonly reply: unknown }>, never, Node> =>
  Effect.map(
    Effect.forEach(
      nodes.filter((node) => node === self.name || Behaviour.isConnected(self, node)),
      (node) =>
        Effect.match(
          Effect.flatMap(
            ProcessRef.named(RawTerm, node === self.name ? { name: serverName } : { name: serverName, node }),
            (ref) => ref.Call(request, { timeout: "60 seconds" })
          ),
          { onSuccess: (reply) => [{ node, reply }], onFailure: () => [] }
        ),
      { concurrency: "unbounded" }
    ),
    (replies) => replies.flat()
  )

/** Sets a lock for the calling process on all nodes that answer, or on none. */
export const setLock = (
  self: Service,
  id: Term,
  nodes: ReadonlyArray<string>
): Effect.Effect<boolean, never, Node> =>
  Effect.gen(function*() {
    const replies = yield* multicall(self, nodes, tuple(atom("set_lock"), id))
    const refused = replies.some(({ reply }) => !isTrue(reply))
    if (refused) yield* deleteLock(self, id, replies.filter(({ reply }) => isTrue(reply)).map(({ node }) => node))
    return !refused
  })

export const deleteLock = (self: Service, id: Term, nodes: ReadonlyArray<string>): Effect.Effect<void, never, Node> =>
  Effect.asVoid(multicall(self, nodes, tuple(atom("del_lock"), id)))

/** Tells all nodes the same, and waits for them. */
export const tellAll = (self: Service, nodes: ReadonlyArray<string>, request: Term): Effect.Effect<void, never, Node> =>
  Effect.asVoid(multicall(self, nodes, request))

/** The node that is locked first, so that few fail late. */
export const bossOf = (nodes: ReadonlyArray<string>): string => nodes.reduce((a, b) => a > b ? a : b)
