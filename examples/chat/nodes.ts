/**
 * The nodes of the chat: everybody knows where everybody is, so that no EPMD is needed, and nobody without a certificate of
 * our authority gets in.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Config, Effect, Layer } from "effect"
import { Epmd, Node, Tls } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"

/** Who may chat, and where. Each has a node of that name. */
const ports = { anna: 4380, ben: 4381 }

export const people: ReadonlyArray<string> = Object.keys(ports)

export const nodeOf = (person: string): string => `${person}@127.0.0.1`

const settings = Config.all({
  cookie: Config.Redacted("COOKIE"),
  certs: Config.String("CERTS").pipe(Config.withDefault("certs")),
  ports: Config.all({
    anna: Config.Port("ANNA_PORT").pipe(Config.withDefault(ports.anna)),
    ben: Config.Port("BEN_PORT").pipe(Config.withDefault(ports.ben))
  })
})

/** The node of a person, with the certificate of that name. */
export const layer = (person: string) =>
  Layer.unwrap(Effect.gen(function*() {
    const { certs, cookie, ports } = yield* settings
    const tls = yield* Tls.fromFiles({
      cert: `${certs}/${person}.pem`,
      key: `${certs}/${person}.key`,
      ca: `${certs}/ca.pem`,
      minVersion: "TLSv1.3",
      // Both sides show a certificate for the host of their name.
      names: "both"
    })
    const endpoints = Object.entries(ports).map(([name, port]) => [nodeOf(name), { host: "127.0.0.1", port }] as const)
    const nodes = Object.fromEntries(endpoints)
    return Node.layer({
      name: nodeOf(person),
      cookie,
      tls,
      listen: nodes[nodeOf(person)]!,
      discovery: Epmd.makeStatic(nodes)
    })
  })).pipe(Layer.provide([NodeNetwork.layer, NodeServices.layer]))
