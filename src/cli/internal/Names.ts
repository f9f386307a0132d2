/**
 * `effect-otp names`: the nodes that are registered at a host, with their ports.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Epmd from "../../dist/Epmd.ts"
import type { Network } from "../../dist/Network.ts"
import * as Connect from "./Connect.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"
import { table } from "./Table.ts"
import { printable } from "./Text.ts"

interface Registered {
  readonly name: string
  readonly port: number
}

const text = (host: string, nodes: ReadonlyArray<Registered>): string =>
  nodes.length === 0
    ? `no node is registered at ${host}`
    : table<Registered>([
      { title: "NAME", of: ({ name }) => printable(name) },
      { title: "PORT", of: ({ port }) => String(port), align: "right" }
    ], nodes)

export const names: Subcommand<"names", Network> = Command.make("names", {
  host: Flag.String("host").pipe(Flag.withDefault("127.0.0.1"), Flag.withDescription("The host that is asked")),
  port: Connect.portFlag("port").pipe(
    Flag.optional,
    Flag.withDescription("The port of its EPMD; by default that of the variable ERL_EPMD_PORT, else 4369")
  ),
  json: Output.json
}, ({ host, json, port: given }) =>
  Output.reported(
    json,
    Effect.gen(function*() {
      const port = yield* Connect.epmdPortOf(given)
      const epmd = yield* Epmd.make({ port })
      const found = yield* Effect.mapError(epmd.names(host), ({ message }) => Connect.noEpmd(host, port, message))
      const nodes = found.map(({ name, port }): Registered => ({ name: name.slice(0, -host.length - 1), port }))
      yield* Output.show(json, { host, port, nodes }, text(host, nodes))
    })
  )).pipe(
    Command.withDescription("The nodes that are registered at the EPMD of a host, and the ports where they listen"),
    Command.withShortDescription("The nodes of a host"),
    Command.withExamples([
      { command: "effect-otp names" },
      { command: "effect-otp names --host 10.0.0.7 --json" }
    ])
  )
