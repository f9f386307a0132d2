/**
 * What a node says of itself: what it is, how long it runs, how much it works.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Node } from "../../dist/Node.ts"
import * as Atom from "../../term/Atom.ts"
import { print, type Term } from "../../term/Term.ts"
import { isTuple } from "../../term/Tuple.ts"
import * as Asking from "./Asking.ts"
import type { CommandError } from "./CommandError.ts"

/** The release that a node of ours says it is. */
export const ownRelease = "effect-otp"

/** A node as the head of `top` shows it. */
export interface LoadFacts {
  /** `effect-otp`, or the release of Erlang. */
  readonly release: string
  readonly uptimeMillis: number
  /** How long it has computed; of Erlang on all its threads. */
  readonly busyMillis: number
  readonly memory: number
  /** Bytes that came from and went to others. */
  readonly input: number
  readonly output: number
}

/** A string of Erlang without its quotes. */
const unquoted = (term: Term): string => print(term).replace(/^"(.*)"$/, "$1")

const firstOf = (term: Term): number => isTuple(term, 2) ? Asking.count(term.elements[0]) : 0

/** The second of a pair that is the i-th element of a tuple. */
const valueAt = (term: Term, i: number): number => {
  const pair = isTuple(term) ? term.elements[i] : undefined
  return isTuple(pair, 2) ? Asking.count(pair.elements[1]) : 0
}

/** What a node says of itself. */
export const loadOf = (source: Asking.Source): Effect.Effect<LoadFacts, CommandError, Node> =>
  Effect.map(
    Effect.all([
      Asking.ask(source, "erlang", "system_info", Atom.make("otp_release")),
      Asking.ask(source, "erlang", "statistics", Atom.make("wall_clock")),
      Asking.ask(source, "erlang", "statistics", Atom.make("runtime")),
      Asking.ask(source, "erlang", "statistics", Atom.make("io")),
      Asking.ask(source, "erlang", "memory", Atom.make("total"))
    ], { concurrency: "unbounded" }),
    ([release, wall, runtime, io, memory]) => ({
      release: unquoted(release),
      uptimeMillis: firstOf(wall),
      busyMillis: firstOf(runtime),
      memory: Asking.count(memory),
      input: valueAt(io, 0),
      output: valueAt(io, 1)
    })
  )
