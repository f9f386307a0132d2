/**
 * The nodes of the example. No EPMD has to run: the first node on the host is one.
 */
import { Config, Effect, Layer, Redacted } from "effect"
import { Node } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"

export const orchard = "orchard@127.0.0.1"

export const kitchen = "kitchen@127.0.0.1"

export const nodeLayer = (name: string) =>
  Layer.unwrap(
    Effect.map(
      Config.withDefault(Config.Redacted("COOKIE"), Redacted.make("only-for-examples-0123")),
      (cookie) => Node.layer({ name, cookie, discovery: { serve: true } })
    )
  ).pipe(Layer.provide(NodeNetwork.layer))
