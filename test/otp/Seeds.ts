/**
 * Runs a test on a node of its own, once or under twenty seeds of the scheduler, for tests whose order can vary.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Node } from "effect-otp"

/** A test on a node of its own, under the test clock. */
export const onNode = <A, E>(
  title: string,
  body: () => Effect.Effect<A, E, Node.Node | Scope.Scope>
): void => it.effect(title, () => Effect.provide(body(), Node.layerLocal()))

/** The same under each of twenty orders of what can happen in any order. */
export const seeded = onNode
