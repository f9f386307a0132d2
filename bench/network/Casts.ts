/**
 * Casts to a server of another process, over the wire, closed by a call that sees what arrived: small ones, and binaries of
 * a thousand and of a million bytes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Node from "../../src/dist/Node.ts"
import { type Benchmark, calibrated, type Row } from "../harness/Benchmark.ts"
import { check, microsEach } from "../harness/Timing.ts"
import type { Run } from "./Calls.ts"
import { Sink } from "./Protocols.ts"

const castsOf = (node: string, name: string, size: number, count: number) =>
  Effect.gen(function*() {
    const sink = yield* Node.remote(Sink, { name: "bench_sink", node })
    const bytes = new Uint8Array(size).fill(7)
    yield* sink.Take()
    const each = yield* microsEach(
      count,
      Effect.gen(function*() {
        if (size === 0) { for (let i = 0; i < count; i++) yield* sink.Plus({ n: 1 }) }
        else for (let i = 0; i < count; i++) yield* sink.Data({ bytes })
        yield* check(
          "what arrived",
          yield* sink.Take(undefined, { timeout: "1 minute" }),
          size === 0 ? count : count * size
        )
      })
    )
    return { [name]: each }
  })

/** Casts with a binary of a size; of size 0, small tuples. */
export const casting = (run: Run, node: string, module: string, size: number, start: number, row: Row): Benchmark => ({
  rows: [row],
  module,
  count: calibrated(start, 4_000_000),
  ours: (count) => run(castsOf(node, row.name, size, count))
})
