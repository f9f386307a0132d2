/**
 * How a local benchmark is written: an Effect program that is run once per round in one long-lived node, measures the part
 * that counts, and checks what came out.
 *
 * Logging is off for the node, as it is for Erlang: what is compared is the work, not the printing of crash reports.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { Node } from "../../src/index.ts"
import type { Benchmark, Count, Row, Values } from "../harness/Benchmark.ts"

export { check, millis, nanosEach } from "../harness/Timing.ts"

/** The node in which all rounds run. */
export const runtime: ManagedRuntime.ManagedRuntime<Node.Node, never> = ManagedRuntime.make(
  Layer.provideMerge(Node.layerLocal(), Layer.succeed(References.MinimumLogLevel, "None"))
)

/** What a benchmark is written as. */
export interface Program {
  readonly rows: ReadonlyArray<Row>
  readonly module?: string
  readonly count: Count
  readonly rounds?: number
  readonly program: (count: number) => Effect.Effect<Values, unknown, Node.Node | Scope.Scope>
}

/** A program as the harness runs it; what it started in its scope has ended when the round is over. */
export const benchmark = ({ program, ...rest }: Program): Benchmark => ({
  ...rest,
  ours: (count) => runtime.runPromise(Effect.scoped(program(count)))
})
