/**
 * `effect-otp tree`: the applications of a node, their supervisors, and what those look after.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import type { Network } from "../../dist/Network.ts"
import { CommandError } from "./CommandError.ts"
import * as Connect from "./Connect.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"
import { type Supervised, trees } from "./Supervision.ts"
import { printable } from "./Text.ts"
import * as TreeView from "./TreeView.ts"

const states = {
  running: [],
  restarting: ["(restarting)"],
  down: ["(not running)"],
  silent: ["(does not answer)"]
} as const

/** The line of what stands in a tree, with its own line for everything below. */
export const drawn = ({ children, id, module, name, pid, status, type }: Supervised): TreeView.Tree => ({
  text: [
    ...(type === "application" ? ["application"] : []),
    // A registered name that is the id as well is said once.
    printable(id ?? name ?? (type === "supervisor" ? "supervisor" : "process")),
    ...(pid === null ? [] : [pid]),
    ...(name === null || id === null || name === id ? [] : [`registered as ${printable(name)}`]),
    ...(module === null || module === id ? [] : [printable(module)]),
    ...states[status]
  ].join(" "),
  children: children.map(drawn)
})

export const tree: Subcommand<"tree", Network | FileSystem.FileSystem | Path.Path> = Command.make("tree", {
  node: Connect.node,
  application: Flag.String("application").pipe(
    Flag.withMetavar("NAME"),
    Flag.optional,
    Flag.withDescription("Only the tree of this application")
  ),
  connection: Connect.flags,
  json: Output.json
}, ({ application, connection, json, node }) =>
  Output.reported(
    json,
    Connect.withNode(connection, node, ({ timeout }) =>
      Effect.gen(function*() {
        const all = yield* trees({ node, timeout })
        const shown = Option.match(application, {
          onNone: () => all,
          onSome: (name) => all.filter(({ id, type }) => type === "application" && id === name)
        })
        if (Option.isSome(application) && shown.length === 0) {
          return yield* new CommandError({
            reason: "NoSuchApplication",
            detail: `${node} runs no application ${printable(application.value)} that has processes`
          })
        }
        yield* Output.show(
          json,
          { node, trees: shown },
          TreeView.draw({ text: node, children: shown.map(drawn) })
        )
      }))
  )).pipe(
    Command.withDescription(
      "The supervision tree of a node: its applications, supervisors outside of any, and what each supervisor looks after"
    ),
    Command.withShortDescription("The supervision tree of a node"),
    Command.withExamples([
      { command: "effect-otp tree shop@127.0.0.1" },
      { command: "effect-otp tree calc@127.0.0.1 --application kernel" }
    ])
  )
