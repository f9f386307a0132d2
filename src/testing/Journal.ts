/**
 * The journal of a node: every start, message, end and report, in the order in which they happened, with the time of
 * Effect's clock. It answers questions, and prints itself when a test fails.
 *
 * A message stands in it at the moment at which its process begins to handle it (a server), or at which it was put into
 * the mailbox (a low-level process).
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as ExitReason from "../process/ExitReason.ts"
import * as Node from "../process/Node.ts"
import type { Pid } from "../term/Pid.ts"
import { equals as samePid } from "../term/Pid.ts"
import { show } from "./internal/show.ts"
import { JournalError } from "./TestingError.ts"

/**
 * Something that happened.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  /** When, in milliseconds of the clock. */
  readonly at: number
  /** The name of the node. */
  readonly node: string
  readonly event: Node.Trace
}

/**
 * What to look for. Whatever is left out may be anything.
 *
 * @category models
 * @since 0.1.0
 */
export interface Query {
  readonly tag?: Node.Trace["_tag"]
  /** The name of the process, or its label, or its printed pid. */
  readonly name?: string
  readonly pid?: Pid
  /** The tag of a message. */
  readonly message?: string
  /** The reason of an end, or its tag. */
  readonly reason?: ExitReason.ExitReason | ExitReason.ExitReason["_tag"]
  readonly node?: string
  /** Anything else. */
  readonly where?: (event: Node.Trace) => boolean
}

/** How many entries are kept; the oldest go first. */
const entriesMax = 100_000

/** How many entries are printed; the newest count most. */
const printedMax = 500

/**
 * A record of what happened. Made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export class Journal {
  private recorded: Array<Entry> = []
  private forgotten = 0
  private readonly clock: Clock.Clock

  /** @internal */
  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  /** Everything that was recorded, oldest first. */
  get entries(): ReadonlyArray<Entry> {
    return this.recorded
  }

  /** @internal */
  add(node: string, event: Node.Trace): void {
    if (this.recorded.length === entriesMax) {
      this.recorded = this.recorded.slice(entriesMax / 2)
      this.forgotten += entriesMax / 2
    }
    this.recorded.push({ at: this.clock.currentTimeMillisUnsafe(), node, event })
  }

  /** The entries that fit. */
  select(query: Query): ReadonlyArray<Entry> {
    return this.recorded.filter((entry) => fits(entry, query))
  }

  /** How many entries fit. */
  count(query: Query): number {
    return this.select(query).length
  }

  /** At least one entry must fit; with `times`, exactly so many. Gives them. */
  expect(query: Query, options?: { readonly times?: number }): Effect.Effect<ReadonlyArray<Entry>, JournalError> {
    return Effect.suspend(() => {
      const found = this.select(query)
      const { times } = options ?? {}
      const isRight = times === undefined ? found.length > 0 : found.length === times
      return isRight ? Effect.succeed(found) : this.fail(
        `${wordsOf(query)}${times === undefined ? "" : ` ${times} times`}`,
        found.length === 0 ? "it did not happen" : `it happened ${found.length} times`
      )
    })
  }

  /** No entry may fit. */
  expectNone(query: Query): Effect.Effect<void, JournalError> {
    return Effect.suspend(() => {
      const first = this.recorded.find((entry) => fits(entry, query))
      return first === undefined ? Effect.void : this.fail(`no ${wordsOf(query)}`, `it happened: ${line(first)}`)
    })
  }

  /** An entry must fit the first query, a later one the second, and so on; there may be others in between. */
  expectOrder(...queries: ReadonlyArray<Query>): Effect.Effect<void, JournalError> {
    return Effect.suspend(() => {
      let from = 0
      for (const [index, query] of queries.entries()) {
        const found = this.recorded.findIndex((entry, position) => position >= from && fits(entry, query))
        if (found < 0) {
          return this.fail(
            `${queries.map(wordsOf).join(", then ")}, in this order`,
            index === 0
              ? `the first, ${wordsOf(query)}, did not happen`
              : `${wordsOf(query)} did not happen after ${wordsOf(queries[index - 1]!)}`
          )
        }
        from = found + 1
      }
      return Effect.void
    })
  }

  /** Forgets everything so far. */
  clear(): void {
    this.recorded = []
    this.forgotten = 0
  }

  /** One line for each entry. */
  print(): string {
    const hidden = this.forgotten + Math.max(0, this.recorded.length - printedMax)
    const lines = this.recorded.slice(-printedMax).map(line)
    if (lines.length === 0) return "nothing happened"
    return (hidden === 0 ? lines : [`(${hidden} earlier entries)`, ...lines]).join("\n")
  }

  private fail(expected: string, found: string): Effect.Effect<never, JournalError> {
    return Effect.fail(new JournalError({ expected, found, journal: this.print() }))
  }
}

/**
 * A journal of the node, from now on until the scope closes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Process } from "effect-otp"
 * import { Journal } from "effect-otp/testing"
 *
 * const test = Effect.gen(function*() {
 *   const journal = yield* Journal.make
 *   const pid = yield* Process.spawn(() => Effect.die("boom"))
 *   yield* Process.awaitExit(pid)
 *   yield* journal.expectOrder({ tag: "Spawn", pid }, { tag: "Exit", pid, reason: "Error" })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Journal, never, Node.Node | Scope.Scope> = Effect.gen(function*() {
  const journal = new Journal(yield* Clock.Clock)
  yield* record(journal)
  return journal
})

/**
 * Has a journal record one more node, until the scope closes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const record = (journal: Journal): Effect.Effect<void, never, Node.Node | Scope.Scope> =>
  Effect.flatMap(Node.Node, ({ name }) => Node.trace((event) => journal.add(name, event)))

/**
 * Keeps a journal while an effect runs, and adds it to the failure when the effect fails: it is shown with the failure,
 * and logged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const printOnFailure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Node.Node> =>
  Effect.acquireUseRelease(
    Scope.make(),
    (scope) =>
      Effect.flatMap(
        Effect.provideService(make, Scope.Scope, scope),
        (journal) =>
          Effect.catchCause(effect, (cause) => {
            if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
            const text = `what happened on the node:\n${journal.print()}`
            // The first failure stays the first; the journal stands behind it.
            return Effect.andThen(
              Effect.logError(text),
              Effect.failCause(Cause.combine(cause, Cause.die(new Report(text))))
            )
          })
      ),
    (scope, exit) => Scope.close(scope, exit)
  )

/** The journal as an error without a stack of its own: where it was printed says nothing. */
class Report extends Error {
  override readonly name = "Journal"
  override readonly stack: string

  constructor(text: string) {
    super(text)
    this.stack = text
  }
}

const sameReason = (reason: ExitReason.ExitReason, expected: Query["reason"]): boolean =>
  typeof expected === "string"
    ? reason._tag === expected
    : expected === undefined || ExitReason.format(reason) === ExitReason.format(expected)

const fits = ({ event, node }: Entry, query: Query): boolean =>
  (query.tag === undefined || event._tag === query.tag) &&
  (query.name === undefined || event.name === query.name || event.pid.toString() === query.name) &&
  (query.pid === undefined || samePid(event.pid, query.pid)) &&
  (query.message === undefined || (event._tag === "Message" && event.message === query.message)) &&
  (query.reason === undefined || (event._tag === "Exit" && sameReason(event.reason, query.reason))) &&
  (query.node === undefined || node === query.node) &&
  (query.where === undefined || query.where(event))

const wordsOf = (query: Query): string => {
  const reason = query.reason
  return (query.tag?.toLowerCase() ??
    (query.message !== undefined ? "message" : reason !== undefined ? "exit" : "event")) +
    (query.message === undefined ? "" : ` ${query.message}`) +
    (query.name === undefined ? "" : ` of ${query.name}`) +
    (query.pid === undefined ? "" : ` of ${query.pid.toString()}`) +
    (reason === undefined ? "" : ` with reason ${typeof reason === "string" ? reason : ExitReason.format(reason)}`) +
    (query.node === undefined ? "" : ` on ${query.node}`) +
    (query.where === undefined ? "" : " that satisfies the predicate")
}

const detailOf = (event: Node.Trace): string => {
  switch (event._tag) {
    case "Spawn":
      return event.parent === undefined ? "" : `by ${event.parent.toString()}`
    case "Message":
      // A low-level process gets the value as it was sent, with its tag.
      return event.payload === undefined ? event.message : `${event.message} ${show(event.payload)}`
    case "Exit":
      return ExitReason.format(event.reason)
    case "Report":
      return show(event.report)
  }
}

const line = ({ at, event }: Entry): string => {
  const printed = event.pid.toString()
  const who = event.name === printed ? printed : `${event.name} ${printed}`
  return `${String(at).padStart(8)} ms  ${event._tag.toLowerCase().padEnd(7)}  ${who}  ${detailOf(event)}`.trimEnd()
}
