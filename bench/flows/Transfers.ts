/**
 * Two-phase commit: a coordinator and three participants on one node, with one SQLite journal on the disk under the
 * repository. A transaction counts when all three have carried it out: three syncs one after the other, which
 * transactions that are under way at the same time share.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { GenServer, Message, Node, Protocol } from "../../src/index.ts"
import { TwoPhaseCommit } from "../../src/saga/index.ts"
import * as NodeSqliteJournal from "../../src/saga/NodeSqliteJournal.ts"
import { absolute, type Benchmark, calibrated, type Values } from "../harness/Benchmark.ts"
import { check, microsEach } from "../harness/Timing.ts"

/** Transactions at once. */
const callers = 1000

const Add = TwoPhaseCommit.work({ request: Schema.Struct({ n: Schema.Int }) })

class Tally extends Protocol.make("Tally", Message.Call("Get", { success: Schema.Int })) {}

const TallyServer = TwoPhaseCommit.participant(Tally, Add, {
  state: Schema.Struct({ total: Schema.Int, prepared: Schema.Int }),
  initial: () => ({ total: 0, prepared: 0 }),
  prepare: ({ n }, { prepared, total }) => TwoPhaseCommit.yes({ total, prepared: prepared + n }),
  commit: ({ n }, { prepared, total }) => ({ total: total + n, prepared: prepared - n }),
  abort: ({ n }, { prepared, total }) => ({ total, prepared: prepared - n }),
  handlers: { Get: (_, { total }) => total }
})

const names = ["a", "b", "c"]
const coordinator = "coordinator"
const cache = fileURLToPath(new URL("../../.cache/", import.meta.url))

const begin = async () => {
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, "bench-saga-"))
  const runtime = ManagedRuntime.make(
    Layer.merge(Node.layerLocal(), NodeSqliteJournal.layer(join(directory, "journal.sqlite")))
  )
  await runtime.runPromise(Effect.gen(function*() {
    yield* GenServer.startDetached(TwoPhaseCommit.coordinator, { name: coordinator })
    for (const name of names) yield* GenServer.startDetached(TallyServer, { name })
  }))
  return {
    runtime,
    close: async () => {
      await runtime.dispose()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** Rate and latency of transactions, and what ends the participants. */
export const load = (): { readonly benchmarks: ReadonlyArray<Benchmark>; readonly close: () => Promise<void> } => {
  let world: ReturnType<typeof begin> | undefined
  const run = async (program: Effect.Effect<Values, unknown, Node.Node>): Promise<Values> =>
    (await (world ??= begin())).runtime.runPromise(program)
  const totals = Effect.forEach(
    names,
    (name) => Effect.flatMap(GenServer.named(Tally, name), (tally) => tally.Get())
  )
  const adding = (count: number, concurrency: number) =>
    Effect.gen(function*() {
      const before = yield* totals
      const share = Math.max(1, Math.floor(count / concurrency))
      const branches = names.map((name) => TwoPhaseCommit.branch(Add, name, { n: 1 }))
      const add = Effect.gen(function*() {
        for (let i = 0; i < share; i++) {
          const { _tag } = yield* TwoPhaseCommit.transact(coordinator, branches, { timeout: "1 minute" })
          if (_tag === "Aborted") return yield* Effect.die(new Error("a transaction was aborted"))
        }
      })
      const micros = yield* microsEach(
        share * concurrency,
        Effect.forEach(Array.from({ length: concurrency }), () => add, { concurrency: "unbounded", discard: true })
      )
      const after = yield* totals
      for (let i = 0; i < names.length; i++) yield* check("added", after[i]! - before[i]!, share * concurrency)
      return micros
    })
  return {
    benchmarks: [
      {
        rows: [{ name: "saga_2pc_per_s", unit: "1/s", target: absolute(500, 2000, 5000) }],
        count: calibrated(callers, 1_000_000),
        ours: (count) => run(Effect.map(adding(count, callers), (micros) => ({ saga_2pc_per_s: 1_000_000 / micros })))
      },
      {
        rows: [{ name: "saga_2pc_1", unit: "us" }],
        count: calibrated(10, 100_000),
        ours: (count) => run(Effect.map(adding(count, 1), (micros) => ({ saga_2pc_1: micros })))
      }
    ],
    close: async () => (await world)?.close()
  }
}
