/**
 * `effect-otp ping`: whether a node can be reached and welcomes others.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type { Network } from "../../dist/Network.ts"
import * as Node from "../../dist/Node.ts"
import { CommandError } from "./CommandError.ts"
import * as Connect from "./Connect.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"
import { millis } from "./Text.ts"

const pong = (node: string) => (connected: Connect.Connected) =>
  Effect.gen(function*() {
    const [took, answer] = yield* Effect.timed(Node.ping(node))
    if (answer === "pang") {
      return yield* new CommandError({
        reason: "Pang",
        detail: `${node} was reached, but its net_kernel did not answer that this node is welcome`
      })
    }
    return { node, answer, connectMillis: connected.millis, pingMillis: Duration.toMillis(took) }
  })

export const ping: Subcommand<"ping", Network | FileSystem.FileSystem | Path.Path> = Command.make("ping", {
  node: Connect.node,
  connection: Connect.flags,
  json: Output.json
}, (
  { connection, json, node }
) =>
  Effect.matchEffect(Connect.withNode(connection, node, pong(node)), {
    onSuccess: (said) =>
      Output.show(
        json,
        said,
        `pong from ${node}: connected in ${millis(said.connectMillis)}, answered in ${millis(said.pingMillis)}`
      ),
    // That there is no answer is an answer too: it goes where the other one would have gone.
    onFailure: ({ detail, reason }) =>
      Effect.andThen(
        Output.show(json, { node, answer: "pang", reason, detail }, `pang: ${detail}`),
        Effect.fail(new Output.Told())
      )
  })).pipe(
    Command.withDescription("Whether a node can be reached and welcomes others: pong, or pang with the reason"),
    Command.withShortDescription("Whether a node can be reached"),
    Command.withExamples([{ command: "effect-otp ping shop@127.0.0.1" }])
  )
