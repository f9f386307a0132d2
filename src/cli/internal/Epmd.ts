/**
 * `effect-otp epmd`: an EPMD of our own in the foreground, and the nodes that one knows.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { defaultPort } from "../../dist/EpmdProtocol.ts"
import * as EpmdServer from "../../dist/EpmdServer.ts"
import type { Network } from "../../dist/Network.ts"
import { CommandError } from "./CommandError.ts"
import * as Connect from "./Connect.ts"
import * as Interruption from "./Interruption.ts"
import { names } from "./Names.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"

const serve = Command.make("serve", {
  host: Flag.String("host").pipe(
    Flag.withDefault("127.0.0.1"),
    Flag.withDescription("The address to listen on; nodes register from this host only, but others may look them up")
  ),
  port: Connect.portFlag("port").pipe(
    Flag.optional,
    Flag.withDescription(`The port, 0 for any that is free; by default that of ERL_EPMD_PORT, else ${defaultPort}`)
  ),
  json: Output.json
}, ({ host, json, port: given }) =>
  Output.reported(
    json,
    Effect.scoped(Effect.gen(function*() {
      const wanted = Option.isSome(given) ? given.value : yield* Connect.epmdPortOf(given)
      const { port } = yield* Effect.mapError(
        EpmdServer.make({ host, port: wanted }),
        ({ code, message }) =>
          new CommandError({
            reason: "Listen",
            detail: code === "EADDRINUSE"
              ? `something listens on ${host}:${wanted} already, most likely another EPMD: \`effect-otp names\` asks it`
              : message
          })
      )
      yield* Interruption.orderly
      yield* Output.show(json, { event: "listening", host, port }, `EPMD listens on ${host}:${port}; Ctrl-C ends it`)
      return yield* Effect.never
    }))
  )).pipe(
    Command.withDescription("Serve EPMD in the foreground: the nodes of a host find each other through it"),
    Command.withExamples([
      { command: "effect-otp epmd serve" },
      { command: "effect-otp epmd serve --port 4370" }
    ])
  )

export const epmd: Subcommand<"epmd", Network | Interruption.Interruption> = Command.make("epmd").pipe(
  Command.withDescription("EPMD, through which the nodes of a host find each other"),
  Command.withShortDescription("Serve EPMD, or ask it"),
  Command.withSubcommands([serve, names])
)
