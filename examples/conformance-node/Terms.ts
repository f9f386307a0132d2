/**
 * What the servers share: destinations, tuples, and the bound of their mailboxes.
 */
import { Schema } from "effect"
import type { Address, Mailbox } from "effect-otp"
import { Etf } from "effect-otp/etf"
import { Atom, Pid, type Term, Tuple } from "effect-otp/term"

/** Where something is sent: a pid, or `{Name, Node}`. */
export const Destination = Schema.Union([Etf.Pid, Schema.Tuple([Etf.AtomName, Etf.AtomName])])

/** A destination as an address. */
export const addressOf = (to: typeof Destination.Type): Address.Address =>
  Pid.isPid(to) ? to : { name: to[0], node: to[1] }

/** An address as Erlang writes it in `'DOWN'` messages: a pid, or `{Name, Node}`. */
export const addressTerm = (address: Address.Address, node: string): Term.Term =>
  "name" in address ? Tuple.make(Atom.make(address.name), Atom.make(address.node ?? node)) : address

/** A tuple that starts with an atom. */
export const tagged = (tag: string, ...elements: ReadonlyArray<Term.Term>): Tuple.Tuple =>
  Tuple.make(Atom.make(tag), ...elements)

/** The elements of a tuple of this arity that starts with a pid. */
export const fromPid = (term: unknown, arity: number): readonly [Pid.Pid, ...ReadonlyArray<Term.Term>] | undefined =>
  Tuple.isTuple(term, arity) && Pid.isPid(term.elements[0])
    ? term.elements as readonly [Pid.Pid, ...ReadonlyArray<Term.Term>]
    : undefined

/** The elements of a tuple of this arity that starts with this atom. */
export const fromTag = (term: unknown, tag: string, arity: number): ReadonlyArray<Term.Term> | undefined =>
  Tuple.isTuple(term, arity) && Atom.is(term.elements[0], tag) ? term.elements : undefined

/** The mailbox of an Erlang process: it has no bound, so that nothing that a peer sends is dropped. */
export const unbounded: Mailbox.MailboxOptions = { capacity: Infinity }
