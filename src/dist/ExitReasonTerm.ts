/**
 * Exit reasons as Erlang terms, and back.
 *
 * The reasons of OTP's own are their atoms; any other term is an `Error` that holds it, and goes back as it came. A
 * crash of this node (a JavaScript error, a typed failure) becomes a term that an Erlang programmer can read: a tagged
 * error is
 * `{Tag, Message}`, any other error `{error, <<"Name: message">>}`. What has no form as a term is told as text.
 *
 * @since 0.1.0
 */
import * as ExitReason from "../process/ExitReason.ts"
import * as Atom from "../term/Atom.ts"
import { isTerm, type Term } from "../term/Term.ts"
import { Tuple } from "../term/Tuple.ts"
import { utf8 } from "./internal/Bytes.ts"

const atoms = {
  normal: Atom.make("normal"),
  shutdown: Atom.make("shutdown"),
  kill: Atom.make("kill"),
  killed: Atom.make("killed"),
  noproc: Atom.make("noproc"),
  noconnection: Atom.make("noconnection")
}

const byName: ReadonlyMap<string, ExitReason.ExitReason> = new Map<string, ExitReason.ExitReason>([
  ["normal", ExitReason.normal],
  ["shutdown", ExitReason.shutdown],
  ["kill", ExitReason.kill],
  ["killed", ExitReason.killed],
  ["noproc", ExitReason.noProc],
  ["noconnection", ExitReason.noConnection()]
])

/**
 * The exit reason of a term.
 *
 * @category converting
 * @since 0.1.0
 */
export const fromTerm = (term: Term): ExitReason.ExitReason => {
  if (term instanceof Atom.Atom) return byName.get(term.name) ?? ExitReason.error(term)
  if (term instanceof Tuple && term.arity === 2 && Atom.is(term.elements[0], "shutdown")) {
    return ExitReason.shutdownWith(term.elements[1])
  }
  return ExitReason.error(term)
}

/**
 * The term of an exit reason.
 *
 * @category converting
 * @since 0.1.0
 */
export const toTerm = (reason: ExitReason.ExitReason): Term => {
  switch (reason._tag) {
    case "Normal":
      return atoms.normal
    case "Shutdown":
      return reason.detail === undefined ? atoms.shutdown : new Tuple([atoms.shutdown, valueToTerm(reason.detail)])
    case "Kill":
      return atoms.kill
    case "Killed":
      return atoms.killed
    case "NoProc":
      return atoms.noproc
    case "NoConnection":
      return atoms.noconnection
    case "Error":
      return valueToTerm(reason.error)
  }
}

/** Any value as a term: itself when it is one. */
const valueToTerm = (value: unknown): Term => {
  if (isTerm(value)) return value
  if (typeof value === "string") return utf8(value)
  if (typeof value === "boolean") return Atom.fromBoolean(value)
  if (value === undefined || value === null) return Atom.undefined_
  if (ExitReason.isExitReason(value)) return toTerm(value)
  if (value instanceof Error) {
    const tag = (value as { readonly _tag?: unknown })._tag
    return typeof tag === "string" && Atom.isValidName(tag)
      ? new Tuple([Atom.make(tag), utf8(value.message)])
      : new Tuple([Atom.error, utf8(`${value.name}: ${value.message}`)])
  }
  return utf8(ExitReason.format(ExitReason.error(value)))
}
