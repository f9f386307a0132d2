/**
 * `effect-otp call`, `cast` and `rpc`: talking to processes and functions of a node in the syntax of Erlang.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import type { Network } from "../../dist/Network.ts"
import * as Node from "../../dist/Node.ts"
import type { Address } from "../../process/Address.ts"
import * as Atom from "../../term/Atom.ts"
import { parse, print, type Term } from "../../term/Term.ts"
import * as Asking from "./Asking.ts"
import { CommandError } from "./CommandError.ts"
import * as Connect from "./Connect.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"
import type { Subcommand } from "./Subcommand.ts"
import * as TermJson from "./TermJson.ts"

const termExpected = (text: string): string =>
  Result.match(parse(text), {
    onSuccess: () => "",
    onFailure: ({ message }) => `a term in the syntax of Erlang, such as {add, 2} or <<"text">> (${message})`
  })

const asTerm = (argument: Argument.Argument<string>): Argument.Argument<Term> =>
  Argument.filterMap(argument, (text) => Result.getSuccess(parse(text)), termExpected)

const asAtom = (argument: Argument.Argument<string>): Argument.Argument<string> =>
  Argument.filter(argument, Atom.isValidName, () => "a name of at most 255 characters")

const process = asAtom(Argument.String("process")).pipe(
  Argument.withDescription("The name under which the process is registered, or its pid as `ps` shows it: '<0.8.0>'")
)

const request = asTerm(Argument.String("term")).pipe(
  Argument.withDescription("The message, as Erlang writes it: reset, {add, 2}, #{name => <<\"x\">>}")
)

/**
 * Where a message goes. A pid as a node prints it lacks the incarnation of the node, which only the node knows: it is looked
 * up among its processes.
 */
const addressOf = (
  source: Asking.Source,
  process: string
): Effect.Effect<Address, CommandError, Node.Node> =>
  !/^<\d+\.\d+\.\d+>$/.test(process)
    ? Effect.succeed({ name: process, node: source.node })
    : Effect.flatMap(Asking.pids(source), (pids) => {
      const pid = pids.find((pid) => Asking.pidText(pid) === process)
      return pid === undefined
        ? Effect.fail(new CommandError({ reason: "NoProcess", detail: `${source.node} has no process ${process}` }))
        : Effect.succeed(pid)
    })

/** What `call` and `cast` take: to whom, what, and how to get there. */
const message = {
  node: Connect.node,
  process,
  request,
  connection: Connect.flags,
  json: Output.json
}

type Message = Command.Command.Config.Infer<typeof message>

/** Connects to the node of a process and uses the address of that process. */
const reaching = <R>(
  { connection, json, node, process }: Message,
  use: (address: Address, timeout: Duration.Duration) => Effect.Effect<void, CommandError, R>
) =>
  Output.reported(
    json,
    Connect.withNode(connection, node, ({ timeout }) =>
      Effect.flatMap(addressOf({ node, timeout }, process), (address) =>
        use(address, timeout)))
  )

/** A term on one line, identifiers as the node itself prints them. */
const text = (term: Term, node: string): string => print(term, { unicode: true, node })

const answer = (json: boolean, node: string, about: object, term: Term): Effect.Effect<void> =>
  Output.show(
    json,
    { node, ...about, term: text(term, node), value: TermJson.fromTerm(term, { node }) },
    text(term, node)
  )

export const call: Subcommand<"call", Network | FileSystem.FileSystem | Path.Path> = Command.make(
  "call",
  message,
  (given) =>
    reaching(given, (address, timeout) => {
      const { json, node, process, request } = given
      return Effect.flatMap(
        Effect.mapError(
          Node.callTerm(address, request, { timeout }),
          (error) => Remote.ofCall(node, process, error)
        ),
        (reply) => answer(json, node, { process }, reply)
      )
    })
).pipe(
  Command.withDescription(
    "Call a process (gen_server:call/3) with a term in the syntax of Erlang, and print its reply"
  ),
  Command.withShortDescription("Call a process with a term"),
  Command.withExamples([
    { command: "effect-otp call shop@127.0.0.1 counter '{add, 2}'" },
    { command: "effect-otp call shop@127.0.0.1 counter get --json", description: "the reply as JSON" }
  ])
)

export const cast: Subcommand<"cast", Network | FileSystem.FileSystem | Path.Path> = Command.make(
  "cast",
  message,
  (given) =>
    reaching(given, (address) =>
      Effect.gen(function*() {
        const { json, node, process, request } = given
        yield* Node.castTerm(address, request)
        // Signals arrive in order: when the node answers, it has the message.
        if ((yield* Node.ping(node)) === "pang") {
          return yield* new CommandError({
            reason: "NodeDown",
            detail: `the connection to ${node} was lost; nobody knows whether the message came through`
          })
        }
        yield* Output.show(json, { node, process, sent: text(request, node) }, "ok")
      }))
).pipe(
  Command.withDescription(
    "Send a process a message that it does not answer (gen_server:cast/2). Nobody says whether there is such a process"
  ),
  Command.withShortDescription("Send a process a message"),
  Command.withExamples([{ command: "effect-otp cast shop@127.0.0.1 counter reset" }])
)

export const rpc: Subcommand<"rpc", Network | FileSystem.FileSystem | Path.Path> = Command.make("rpc", {
  node: Connect.node,
  module: asAtom(Argument.String("module")).pipe(Argument.withDescription("The module; of Elixir as Elixir.String")),
  function: asAtom(Argument.String("function")),
  args: asTerm(Argument.String("term")).pipe(
    Argument.withDescription("The arguments, each as Erlang writes it"),
    Argument.variadic()
  ),
  connection: Connect.flags,
  json: Output.json
}, ({ args, connection, function: name, json, module, node }) =>
  Output.reported(
    json,
    Connect.withNode(connection, node, ({ timeout }) =>
      Effect.flatMap(
        Remote.rpc({ node, module, name, args }, timeout),
        (result) => answer(json, node, { function: `${module}:${name}/${args.length}` }, result)
      ))
  )).pipe(
    Command.withDescription(
      "Call a function of a node (rpc:call/4) and print its result; of a node of effect-otp one that it provides"
    ),
    Command.withShortDescription("Call a function of a node"),
    Command.withExamples([
      { command: "effect-otp rpc calc@127.0.0.1 lists seq 1 5" },
      { command: "effect-otp rpc calc@127.0.0.1 Elixir.String upcase '<<\"text\">>'" }
    ])
  )
