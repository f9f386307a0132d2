/**
 * Questions about a node, by the functions that Erlang's own tools call: nodes of Erlang and nodes of ours that provide
 * `RuntimeTools` are asked in the same way.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Node } from "../../dist/Node.ts"
import * as Rpc from "../../dist/Rpc.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { print, type Term } from "../../term/Term.ts"
import { isTuple } from "../../term/Tuple.ts"
import { CommandError } from "./CommandError.ts"
import * as Remote from "./Remote.ts"

/** A node, and how long it may take to answer. */
export interface Source {
  readonly node: string
  readonly timeout: Duration.Duration
}

/** The error for an answer that means nothing. */
export const malformed = (node: string, what: string, term: Term): CommandError =>
  new CommandError({
    reason: "Malformed",
    detail: `${node} answered something that is not ${what}: ${print(term, { maxLength: 200 })}`
  })

const noTools = (node: string): CommandError =>
  new CommandError({
    reason: "NoTools",
    detail: `${node} tells others nothing about itself. If it is a node of effect-otp, provide ` +
      "NodeRuntimeTools.layer() (from effect-otp/dist/NodeRuntimeTools) beside its Node.layer; " +
      "`effect-otp run` does so by itself"
  })

/** Asks a function that every node of Erlang has. */
export const ask = (
  { node, timeout }: Source,
  module: string,
  name: string,
  ...args: ReadonlyArray<Term>
): Effect.Effect<Term, CommandError, Node> =>
  Effect.mapError(
    Rpc.callTerm(node, module, name, args, { timeout }),
    (error) => error.reason._tag === "Undefined" ? noTools(node) : Remote.ofRpc(error)
  )

/** A pid as its own node prints it. */
export const pidText = (pid: Pid): string => print(pid, { node: pid.node })

/** `module:function/arity`; of what a node of ours says of itself, only what tells one from another. */
export const callText = (term: Term | undefined): string | undefined => {
  if (!isTuple(term, 3)) return undefined
  const [module, name, arity] = term.elements
  if (Atom.is(module, "effect_otp") && name instanceof Atom.Atom) return name.name
  return `${print(module, { unicode: true })}:${print(name, { unicode: true })}/${print(arity)}`
}

/** Names are atoms; those of ours that can be none are binaries. */
export const nameText = (term: Term): string =>
  term instanceof Atom.Atom ? term.name : term instanceof Uint8Array ? new TextDecoder().decode(term) : print(term)

/** A number; 0 for what is none. */
export const count = (term: Term | undefined): number =>
  typeof term === "number" ? term : typeof term === "bigint" ? Number(term) : 0

/** The processes of a node. */
export const pids = (source: Source): Effect.Effect<ReadonlyArray<Pid>, CommandError, Node> =>
  Effect.flatMap(
    ask(source, "erlang", "processes"),
    (pids) =>
      Array.isArray(pids)
        ? Effect.succeed((pids as ReadonlyArray<Term>).filter(isPid))
        : Effect.fail(malformed(source.node, "a list of processes", pids))
  )
