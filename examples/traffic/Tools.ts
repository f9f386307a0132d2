/**
 * What the programs that send have in common: where to, and how.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option, Schema } from "effect"
import { Node } from "effect-otp"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import { Flag } from "effect/cli"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import * as Sender from "./Sender.ts"
import { Report } from "./Statistics.ts"

/** The flags of a program that sends. */
export const flags = {
  by: Flag.Literals("by", ["tcp", "udp"]).pipe(
    Flag.withDefault("tcp"),
    Flag.withDescription("tcp: in messages that are answered when they are stored; udp: each position in a datagram")
  ),
  host: Flag.String("host").pipe(Flag.withDefault("127.0.0.1"), Flag.withDescription("Where the application runs")),
  port: Flag.Int("port").pipe(
    Flag.filter((port) => port >= 1 && port <= 65_535, () => "a port is a number from 1 to 65535"),
    Flag.optional,
    Flag.withDescription("The port of the receiver: 9091 for tcp, 9092 for udp")
  ),
  unanswered: Flag.Boolean("unanswered").pipe(
    Flag.withDefault(false),
    Flag.withDescription("With udp: asks for no answers, as vehicles do")
  )
}

export interface Target {
  readonly by: "tcp" | "udp"
  readonly host: string
  readonly port: Option.Option<number>
  readonly unanswered: boolean
}

export const senderOf = ({ by, host, port, unanswered }: Target) =>
  by === "tcp"
    ? Sender.tcp({ host, port: Option.getOrElse(port, () => 9091) })
    : Sender.udp({ host, port: Option.getOrElse(port, () => 9092) }, { acknowledged: !unanswered })

/** What the programs need. */
export const services = Layer.mergeAll(
  Node.layerLocal(),
  NodeTcpNetwork.layer,
  FetchHttpClient.layer,
  NodeServices.layer
)

const Totals = Schema.Struct({ counts: Schema.NullOr(Report) })

/** What the application has counted so far; none when its API is not there. */
export const countsAt = (url: string) =>
  Effect.flatMap(HttpClient.HttpClient, (client) => client.get(`${url}/api/statistics`)).pipe(
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Totals)),
    Effect.map(({ counts }) => Option.fromNullOr(counts)),
    Effect.orElseSucceed(() => Option.none())
  )
