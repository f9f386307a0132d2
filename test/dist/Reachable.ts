/**
 * Nodes of ours that listen on a port of their own and know no other one, but where they are told.
 */
import { type Context, Effect, Exit, Layer, Logger, Redacted, References, Scope } from "effect"
import { Node, type Tls } from "effect-otp/dist"
import type { ConnectError, NodeStartError } from "effect-otp/dist/DistError"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { cookie, freePort } from "./ErlangNode.ts"

/** A node of ours, and what it has logged. */
export interface Member {
  readonly name: string
  readonly port: number
  readonly logs: Array<unknown>
  readonly run: <A, E>(effect: Effect.Effect<A, E, Node.Node>) => Effect.Effect<A, E>
  readonly stop: Effect.Effect<void>
}

/** A node on a port of its own that knows no other one, but where it is told. */
export const member = (
  name: string,
  tls: Tls.Options | Tls.Credentials | undefined,
  options?: Partial<Node.LayerOptions>
): Effect.Effect<Member, NodeStartError, Scope.Scope> =>
  Effect.gen(function*() {
    const port = yield* freePort
    const scope = yield* Scope.fork(yield* Effect.scope)
    const logs: Array<unknown> = []
    const context = yield* Layer.buildWithScope(
      Node.layer({
        name,
        cookie: Redacted.make(cookie),
        listen: { port },
        tls,
        discovery: nowhere,
        ...options
      }).pipe(Layer.provide(NodeNetwork.layer)),
      scope
    ).pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => logs.push(message))])),
      Effect.provideService(References.MinimumLogLevel, "All")
    )
    return {
      name,
      port,
      logs,
      run: <A, E>(effect: Effect.Effect<A, E, Node.Node>) =>
        Effect.provideContext(effect, context as Context.Context<Node.Node>),
      stop: Scope.close(scope, Exit.void)
    }
  })

/** A discovery that knows nobody. */
export const nowhere: Extract<Node.LayerOptions["discovery"], { readonly names: unknown }> = {
  register: () => Effect.succeed({ creation: 0 }),
  resolve: (node) => Effect.fail({ _tag: "DiscoveryError", node, message: "unknown" }),
  names: () => Effect.succeed([])
}

/** The way to another one. */
export const to = (peer: Member): { readonly routes: NonNullable<Node.LayerOptions["routes"]> } => ({
  routes: { [peer.name]: { host: "127.0.0.1", port: peer.port } }
})

/** What keeps `from` from reaching `peer`. */
export const refusal = (from: Member, peer: Member): Effect.Effect<ConnectError, void> =>
  Effect.flip(from.run(Node.connect(peer.name)))
