/**
 * Calls to a server of another process, over the wire: with one, a hundred and a thousand of them in flight.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Node from "../../src/dist/Node.ts"
import type { ProcessRef, Protocol } from "../../src/index.ts"
import { type Benchmark, calibrated, type Row, type Values } from "../harness/Benchmark.ts"
import { check, microsEach } from "../harness/Timing.ts"
import { Counter } from "./Protocols.ts"

type CounterRef = ProcessRef.NamedRef<Protocol.Messages<typeof Counter>>

const calls = Effect.fnUntraced(function*(server: CounterRef, count: number) {
  for (let i = 0; i < count; i++) yield* server.Add({ n: 1 })
})

const callsOf = (node: string, name: string, count: number, callers: number) =>
  Effect.gen(function*() {
    const server = yield* Node.remote(Counter, { name: "bench_counter", node })
    const share = Math.max(1, Math.floor(count / callers))
    const before = yield* server.Get()
    const each = yield* microsEach(
      share * callers,
      callers === 1
        ? calls(server, share)
        : Effect.forEach(Array.from({ length: callers }), () => calls(server, share), {
          concurrency: "unbounded",
          discard: true
        })
    )
    yield* check("calls handled", (yield* server.Get()) - before, share * callers)
    return { [name]: each }
  })

/** Runs a program in the node of this process. */
export type Run = (program: Effect.Effect<Values, unknown, Node.Node>) => Promise<Values>

/** Calls with so many in flight; `module` takes the time of Erlang's. */
export const calling = (run: Run, node: string, module: string, callers: number, row: Row): Benchmark => ({
  rows: [row],
  module,
  count: calibrated(callers * 4, 1_000_000),
  ours: (count) => run(callsOf(node, row.name, count, callers))
})
