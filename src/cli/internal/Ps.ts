/**
 * `effect-otp ps`: the processes of a node.
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
import * as Connect from "./Connect.ts"
import * as Output from "./Output.ts"
import { processes } from "./ProcessFacts.ts"
import * as ProcessTable from "./ProcessTable.ts"
import type { Subcommand } from "./Subcommand.ts"

export const ps: Subcommand<"ps", Network | FileSystem.FileSystem | Path.Path> = Command.make("ps", {
  node: Connect.node,
  sort: ProcessTable.sortFlag.pipe(Flag.optional),
  limit: Flag.Int("limit").pipe(
    Flag.withMetavar("N"),
    Flag.filter((limit) => limit >= 0, () => "a number from 0 on"),
    Flag.optional,
    Flag.withDescription("Show the first N only")
  ),
  connection: Connect.flags,
  json: Output.json
}, ({ connection, json, limit, node, sort }) =>
  Output.reported(
    json,
    Connect.withNode(connection, node, ({ timeout }) =>
      Effect.flatMap(processes({ node, timeout }), (all) => {
        const sorted = Option.isSome(sort) ? ProcessTable.sorted(all, sort.value) : all
        const shown = sorted.slice(0, Option.getOrUndefined(limit))
        return Output.show(json, { node, count: all.length, processes: shown }, ProcessTable.text(shown))
      }))
  )).pipe(
    Command.withDescription(
      "The processes of a node: what they are, what they do, how much they have done, how many messages wait"
    ),
    Command.withShortDescription("The processes of a node"),
    Command.withExamples([
      { command: "effect-otp ps shop@127.0.0.1" },
      { command: "effect-otp ps shop@127.0.0.1 --sort messages --limit 10" }
    ])
  )
