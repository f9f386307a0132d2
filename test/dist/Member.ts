/**
 * Nodes of ours for tests: each in a scope of its own, so that one can end before the others.
 */
import { Clock, type Context, Effect, Exit, Layer, Redacted, References, Scope } from "effect"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { cookie } from "./ErlangNode.ts"

/** A node of ours. */
export interface Member {
  readonly name: string
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Node.Node>>
  readonly stop: Effect.Effect<void>
}

/** Starts a node that lives until the scope closes or it is stopped. */
export const member = (
  name: string,
  port: number,
  options?: Partial<Node.LayerOptions>
): Effect.Effect<Member, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const context = yield* Layer.buildWithScope(
      Node.layer({ name, cookie: Redacted.make(cookie), discovery: { port, serve: true }, ...options }).pipe(
        Layer.provide(NodeNetwork.layer),
        Layer.fresh
      ),
      scope
    ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
    return {
      name,
      run: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.provideContext(effect, context as Context.Context<Node.Node>),
      stop: Scope.close(scope, Exit.void)
    }
  })

/** Looks until a value is the expected one; the last value when it is not after the time. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  expected: A,
  millis = 8000
): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const until = (yield* Clock.currentTimeMillis) + millis
    for (;;) {
      const value = yield* look
      if (JSON.stringify(value) === JSON.stringify(expected) || (yield* Clock.currentTimeMillis) > until) return value
      yield* Effect.sleep(10)
    }
  })
