/**
 * The questions that `effect-otp new` asks at a terminal when it was told nothing.
 *
 * What they come to are the same declarations that flags would have given, so that the answer is also a command that can be
 * run again.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import type * as Terminal from "effect/Terminal"
import { type Declaration, type Kind, nameProblem } from "./NewDeclaration.ts"

/** What was asked for. */
export interface Answers {
  readonly project: string
  readonly declarations: ReadonlyArray<Declaration>
}

/** Asks for a name; no answer is the standard one. */
const name = (message: string, standard: string): Prompt.Prompt<string> =>
  Prompt.String({
    message: `${message} (${standard})`,
    validate: (text) => {
      const given = text === "" ? standard : text
      const problem = nameProblem(given)
      return problem === undefined ? Effect.succeed(given) : Effect.fail(problem)
    }
  })

/** What can be in a project, and what it is called when nobody says otherwise. */
const parts = [
  { kind: "server", standard: "counter", title: "a server", description: "a process with a state and typed messages" },
  { kind: "pool", standard: "workers", title: "a pool", description: "many processes behind the client of one" },
  {
    kind: "dynamic",
    standard: "sessions",
    title: "dynamic servers",
    description: "processes that are started while it runs"
  },
  { kind: "web", standard: "web", title: "a web server", description: "HTTP in front, processes behind" },
  { kind: "tcp", standard: "lines", title: "a TCP server", description: "a process for each connection" },
  { kind: "udp", standard: "meter", title: "a UDP server", description: "datagrams, spread over handlers" },
  { kind: "stage", standard: "events", title: "stages", description: "a producer and a consumer with back-pressure" },
  { kind: "raft", standard: "store", title: "replicated state", description: "what several nodes keep in common" },
  { kind: "saga", standard: "order", title: "a saga", description: "transactions over several processes" }
] as const satisfies ReadonlyArray<{ readonly kind: Kind; readonly [key: string]: string }>

const strategies = [
  { value: "one_for_one", title: "one_for_one", description: "only what has ended" },
  { value: "rest_for_one", title: "rest_for_one", description: "what has ended, and what was started after it" },
  { value: "one_for_all", title: "one_for_all", description: "all of them" }
] as const

/** The declarations of a part: stages are two. */
const declarationsOf = (kind: Kind, parent: string, name: string): ReadonlyArray<Declaration> =>
  kind === "stage"
    ? [
      { kind, text: `${parent}:${name}` },
      { kind, text: `${parent}:${name}-reader{from:${name}}` }
    ]
    : [{ kind, text: `${parent}:${name}` }]

/** Asks. Where the project goes is asked only when nobody has said it. */
export const ask = (
  given: string | undefined
): Effect.Effect<Answers, Terminal.QuitError, Prompt.Environment> =>
  Effect.gen(function*() {
    const project = given ?? (yield* name("What is the project called?", "my-node"))
    const chosen = yield* Prompt.MultiSelect({
      message: "What is in it?",
      choices: parts.map((part, i) => ({ ...part, value: part, selected: i === 0 })),
      min: 1
    })
    const supervised = yield* Prompt.Confirm({
      message: "A supervisor of its own for them, below that of the application?",
      initial: false
    })
    const strategy = !supervised ? "one_for_one" : yield* Prompt.Select({
      message: "What does it start again when one of them ends?",
      choices: strategies
    })
    const declarations: Array<Declaration> = [{ kind: "app", text: project }]
    const parent = supervised ? `${project}-parts` : project
    if (supervised) declarations.push({ kind: "sup", text: `${project}:${parent}{strategy:${strategy}}` })
    for (const { kind, standard, title } of chosen) {
      const called = yield* name(`What is ${title} called?`, standard)
      declarations.push(...declarationsOf(kind, parent, called))
    }
    return { project, declarations }
  })
