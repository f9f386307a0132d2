/**
 * What other nodes may run on this one: the functions and entry points that were provided, by module, name and arity.
 *
 * Nothing else can be run. The names come from outside and are looked up in a `Map`, so that none of them can reach a
 * property of a JavaScript object.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Queue from "effect/Queue"
import type { Behaviour } from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import * as Atom from "../../term/Atom.ts"
import { print, type Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import { Raise } from "./Raise.ts"

/** Module, name and arguments of something that another node wants to have run. */
export interface Application {
  readonly module: Atom.Atom
  readonly name: Atom.Atom
  readonly args: ReadonlyArray<Term>
  /** The node that wants it, where that is proven: a message can claim to be of anybody. */
  readonly caller: string | undefined
}

/** Which nodes may run an entry; without it, all that know the cookie. */
export type Allow = (node: string) => boolean

/** A function: runs in a process of its own and gives a term. */
export interface FunctionEntry {
  readonly _tag: "Function"
  readonly module: string
  readonly name: string
  readonly arity: number
  readonly context: Context.Context<never>
  readonly allow: Allow | undefined
  readonly run: (args: ReadonlyArray<Term>, mailbox: Queue.Dequeue<unknown>) => Effect.Effect<Term, unknown>
}

/** A server that can be started. `args` may throw what `Functions.apply` makes an error of. */
export interface ServerEntry {
  readonly _tag: "Server"
  readonly module: string
  readonly name: string
  readonly arity: number
  readonly context: Context.Context<never>
  readonly allow: Allow | undefined
  readonly behaviour: Behaviour
  readonly args: (args: ReadonlyArray<Term>) => Effect.Effect<unknown, unknown>
}

export type Entry = FunctionEntry | ServerEntry

/** What became of the application of a function. */
export type Outcome =
  | { readonly _tag: "Return"; readonly value: Term }
  | { readonly _tag: "Throw"; readonly value: Term }
  | { readonly _tag: "Exit"; readonly reason: Term }
  | {
    readonly _tag: "Error"
    readonly error: Term
    readonly stack: Term
    readonly cause: Cause.Cause<unknown> | undefined
  }

const apply_ = Atom.make("apply")
const badarg = Atom.make("badarg")
const erlang = Atom.make("erlang")
const undef = Atom.make("undef")
const nocatch = Atom.make("nocatch")

const keyOf = (module: string, name: string, arity: number): string => `${arity}\0${module}\0${name}`

/** The functions of one node. */
export class Functions {
  private readonly node: string
  private readonly entries: Map<string, Entry> = new Map()
  /** Processes of the node beyond which nothing is started for others. */
  maxProcesses: number = Infinity
  private refusals = 0
  private quietUntil = -Infinity

  constructor(node: string) {
    this.node = node
  }

  /** All of them, as `module:name/arity`. */
  get targets(): ReadonlyArray<string> {
    return [...this.entries.values()].map(({ arity, module, name }) => `${module}:${name}/${arity}`)
  }

  /** Adds an entry; false when there is one already. */
  add(entry: Entry): boolean {
    const key = keyOf(entry.module, entry.name, entry.arity)
    if (this.entries.has(key)) return false
    this.entries.set(key, entry)
    return true
  }

  remove(entry: Entry): void {
    const key = keyOf(entry.module, entry.name, entry.arity)
    if (this.entries.get(key) === entry) this.entries.delete(key)
  }

  /** The entry that an application names, if whoever wants it may run it. */
  find({ args, caller, module, name }: Application): Entry | undefined {
    const entry = this.entries.get(keyOf(module.name, name.name, args.length))
    if (entry?.allow === undefined || caller === this.node) return entry
    return caller !== undefined && entry.allow(caller) ? entry : undefined
  }

  /** Counts a request of another node that was refused; what is to be logged, at most once per second. */
  refused({ args, caller, module, name }: Application, now: number): string | undefined {
    if (caller === this.node) return undefined
    this.refusals++
    if (now < this.quietUntil) return undefined
    this.quietUntil = now + 1000
    const what = `${print(module)}:${print(name)}/${args.length}`
    return `${caller ?? "another node"} asked for ${what}, which is not provided to it: it got undef ` +
      `(${this.refusals} such request(s) so far)`
  }

  /** Applies a function in the process that runs this. Signals that end the process end it; anything else is an outcome. */
  apply(application: Application, mailbox: Queue.Dequeue<unknown>): Effect.Effect<Outcome> {
    const entry = this.find(application)
    return entry?._tag === "Function" ? runEntry(entry, application, mailbox) : Effect.succeed(undefined_(application))
  }
}

/** Runs an entry that was found. */
export const runEntry = (
  entry: FunctionEntry,
  application: Application,
  mailbox: Queue.Dequeue<unknown>
): Effect.Effect<Outcome> =>
  Effect.flatMap(
    Effect.exit(Effect.suspend(() => entry.run(application.args, mailbox))),
    (exit) => Exit.isSuccess(exit) ? Effect.succeed({ _tag: "Return", value: exit.value }) : failed(exit, application)
  )

const failed = (exit: Exit.Failure<unknown, unknown>, application: Application): Effect.Effect<Outcome> => {
  // The process was hit by an exit signal: that is no outcome of the function.
  if (Cause.hasInterruptsOnly(exit.cause)) return Effect.failCause(exit.cause as Cause.Cause<never>)
  return Effect.succeed(outcomeOfCause(exit.cause, application))
}

/** The outcome of a failure, as Erlang would see it. */
export const outcomeOfCause = (cause: Cause.Cause<unknown>, application: Application): Outcome => {
  const defect = Cause.squash(cause)
  if (defect instanceof Raise) {
    switch (defect.class) {
      case "throw":
        return { _tag: "Throw", value: defect.value }
      case "exit":
        return { _tag: "Exit", reason: defect.value }
      case "error":
        return {
          _tag: "Error",
          error: defect.value,
          stack: stackOf(application, defect.withArguments),
          cause: undefined
        }
    }
  }
  const reason = ExitReason.fromCause(cause)
  if (defect instanceof ExitReason.ExitSelf) return { _tag: "Exit", reason: ExitReasonTerm.toTerm(reason) }
  return { _tag: "Error", error: ExitReasonTerm.toTerm(reason), stack: stackOf(application, false), cause }
}

/** What happens to who calls something that does not exist. */
export const undefined_ = (application: Application): Outcome => ({
  _tag: "Error",
  error: undef,
  stack: stackOf(application, true),
  cause: undefined
})

/** What happens to who applies something that is no function or no list of arguments. */
export const badApplication = (module: Term, name: Term, args: Term): Outcome => ({
  _tag: "Error",
  error: badarg,
  stack: [new Tuple([erlang, apply_, [module, name, args], []])],
  cause: undefined
})

/** A stack with one frame; the arguments are shown where they matter. */
const stackOf = ({ args, module, name }: Application, withArguments: boolean): Term => [
  new Tuple([module, name, withArguments ? args : args.length, []])
]

/** The reason with which a process ends whose function came to this. */
export const exitReasonOf = (outcome: Outcome): ExitReason.ExitReason => {
  switch (outcome._tag) {
    case "Return":
      return ExitReason.normal
    case "Throw":
      return ExitReason.error(new Tuple([new Tuple([nocatch, outcome.value]), []]))
    case "Exit":
      return ExitReasonTerm.fromTerm(outcome.reason)
    case "Error": {
      const error = new Tuple([outcome.error, outcome.stack])
      return outcome.cause === undefined ? ExitReason.error(error) : { _tag: "Error", error, cause: outcome.cause }
    }
  }
}

const tables = new WeakMap<object, Functions>()

/** The functions of a node, by its runtime. */
export const functionsOf = (runtime: { readonly name: string }): Functions => {
  let functions = tables.get(runtime)
  if (functions === undefined) tables.set(runtime, functions = new Functions(runtime.name))
  return functions
}

/** Module, name and arguments, when three terms are such. */
export const applicationOf = (
  module: Term | undefined,
  name: Term | undefined,
  args: Term | undefined,
  caller: string | undefined
): Application | undefined =>
  module instanceof Atom.Atom && name instanceof Atom.Atom && Array.isArray(args)
    ? { module, name, args: args as ReadonlyArray<Term>, caller }
    : undefined
