/**
 * What both nodes have in common: where the certificates are, the cookie, and how they find each other.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Config, Effect, Layer } from "effect"
import { Epmd, Node, Tls } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"

/** Where the warehouse is: everybody knows, so that no EPMD is needed. */
export const warehouse = "warehouse@127.0.0.1"

const settings = Config.all({
  cookie: Config.Redacted("COOKIE"),
  certs: Config.String("CERTS").pipe(Config.withDefault("certs")),
  port: Config.Port("PORT").pipe(Config.withDefault(4370))
})

/** A node with the certificate `name.pem`, which trusts what the authority `ca.pem` has issued. */
export const layer = (name: string, options: { readonly listens: boolean }) =>
  Layer.unwrap(Effect.gen(function*() {
    const { certs, cookie, port } = yield* settings
    const tls = yield* Tls.fromFiles({
      cert: `${certs}/${name}.pem`,
      key: `${certs}/${name}.key`,
      ca: `${certs}/ca.pem`,
      minVersion: "TLSv1.3",
      // Who connects must have a certificate for the host of its name as well.
      names: "both",
      // A new certificate is used from the next connection on.
      reloadEvery: "1 minute"
    })
    return Node.layer({
      name: `${name}@127.0.0.1`,
      cookie,
      tls,
      // With certificates, other addresses than those of this host are possible too: { host: "0.0.0.0", port }.
      listen: options.listens ? { port } : false,
      discovery: Epmd.makeStatic({ [warehouse]: { host: "127.0.0.1", port } })
    })
  })).pipe(Layer.provide([NodeNetwork.layer, NodeServices.layer]))
