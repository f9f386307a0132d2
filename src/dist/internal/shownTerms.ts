/**
 * Small terms of which the answers to the tools of Erlang are made.
 *
 * @since 0.1.0
 */
import * as Atom from "../../term/Atom.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import { utf8 } from "./Bytes.ts"

/** An atom; a text that can be none is shown in a way that can. */
export const atom = (name: string): Atom.Atom => Atom.isValidName(name) ? new Atom.Atom(name) : new Atom.Atom("...")

/** A name as an atom, or as text when it cannot be one. */
export const atomOrText = (name: string): Term => Atom.isValidName(name) ? new Atom.Atom(name) : utf8(name)

/** A text as Erlang's string. */
export const list = (text: string): Term => [...text].map((character) => character.codePointAt(0)!)

/** `{Module, Function, Arity}`. */
export const function_ = (module: string, name: string, arity: number): Tuple =>
  new Tuple([atom(module), atom(name), arity])
