/**
 * Runs a test on a node of its own, once or under twenty seeds, for tests whose order can vary.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { type ExitReason, type Node, Process } from "effect-otp"
import * as TestNode from "../../src/testing/TestNode.ts"

type Body = () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>

/** A test on a node of its own, under the test clock; what could go on takes turns. */
export const onNode = (title: string, body: Body): void =>
  it.effect(title, () => Effect.provide(Effect.scoped(body()), TestNode.layer()))

/** The same under each of twenty seeds, which decide what goes on first. */
export const seeded = (title: string, body: Body): void => {
  it.effect.each(TestNode.seeds(20))(`${title} (seed %s)`, (seed) =>
    Effect.provide(Effect.scoped(body()), TestNode.layer({ seed })))
}

/** Waits for the end of a process in the background, from now on: a process that is gone has no reason any more. */
export const endOf = (target: Process.Target): Effect.Effect<Fiber.Fiber<ExitReason.ExitReason>, never, Node.Node> =>
  Effect.tap(Effect.forkChild(Process.awaitExit(target)), () => TestNode.settle)
