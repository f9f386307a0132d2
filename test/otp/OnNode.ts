/**
 * A test on a node of its own. What can come in another order runs under `everySeed` instead.
 */
import { it } from "@effect/vitest"
import { Effect, type Fiber, type Scope } from "effect"
import { type ExitReason, type Node, Process } from "effect-otp"
import { TestNode } from "effect-otp/testing"

/** A test on a node of its own, under the test clock; what could go on takes turns. */
export const onNode = (title: string, body: () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>): void =>
  it.effect(title, () => Effect.provide(body(), TestNode.layer()))

/** Waits for the end of a process in the background, from now on: a process that is gone has no reason any more. */
export const endOf = (target: Process.Target): Effect.Effect<Fiber.Fiber<ExitReason.ExitReason>, never, Node.Node> =>
  Effect.tap(Effect.forkChild(Process.awaitExit(target)), () => TestNode.settle)
