/**
 * Commits of a Raft group: three operating-system processes on the loopback, each with its files on the disk under the
 * repository; a command is acknowledged when a majority has synced it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as EpmdServer from "../../src/dist/EpmdServer.ts"
import * as NodeNetwork from "../../src/dist/NodeNetwork.ts"
import { GenServer, type Node } from "../../src/index.ts"
import { Raft } from "../../src/raft/index.ts"
import { absolute, type Benchmark, calibrated, type Values } from "../harness/Benchmark.ts"
import { check, microsEach } from "../harness/Timing.ts"
import { nodeLayer, type Peer, startProcess } from "../network/World.ts"
import { group, members, startMember, Tally } from "./Tally.ts"

/** Callers at once. */
const callers = 1000

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url))

const begin = async () => {
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, "bench-raft-"))
  const scope = Scope.makeUnsafe()
  const { port } = await Effect.runPromise(
    EpmdServer.make({ port: 0 }).pipe(Scope.provide(scope), Effect.provide(NodeNetwork.layer))
  )
  const runtime = ManagedRuntime.make(nodeLayer(members[0]!, port))
  const peers: ReadonlyArray<Peer> = await Promise.all(
    members.slice(1).map((name) =>
      startProcess(new URL("./member.ts", import.meta.url), [name, String(port), join(directory, name)])
    )
  )
  await runtime.runPromise(Effect.gen(function*() {
    yield* startMember(join(directory, members[0]!))
    // The member of this process leads, so that every run measures the same.
    for (;;) {
      const { leader } = yield* Raft.status(group)
      if (leader === members[0]) return
      if (leader !== undefined) yield* Effect.ignore(Raft.transfer({ name: group, node: leader }, members[0]))
      yield* Effect.sleep("50 millis")
    }
  }))
  return {
    runtime,
    close: async () => {
      await runtime.dispose()
      await Promise.all(peers.map((peer) => peer.stop()))
      await Effect.runPromise(Scope.close(scope, Exit.void))
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** Rate and latency of commits, and what ends the group. */
export const load = (): { readonly benchmarks: ReadonlyArray<Benchmark>; readonly close: () => Promise<void> } => {
  // Begun by the first that is run: a run of other benchmarks needs no group.
  let world: ReturnType<typeof begin> | undefined
  const run = async (program: Effect.Effect<Values, unknown, Node.Node>): Promise<Values> =>
    (await (world ??= begin())).runtime.runPromise(program)
  const adding = (count: number, concurrency: number) =>
    Effect.gen(function*() {
      const tally = yield* GenServer.named(Tally, group)
      const before = yield* tally.Get()
      const share = Math.max(1, Math.floor(count / concurrency))
      const add = Effect.gen(function*() {
        for (let i = 0; i < share; i++) yield* tally.Add({ n: 1 })
      })
      const micros = yield* microsEach(
        share * concurrency,
        Effect.forEach(Array.from({ length: concurrency }), () => add, { concurrency: "unbounded", discard: true })
      )
      yield* check("commands committed", (yield* tally.Get()) - before, share * concurrency)
      return micros
    })
  return {
    benchmarks: [
      {
        rows: [{ name: "raft_commits_per_s", unit: "1/s", target: absolute(1000, 5000, 20_000) }],
        count: calibrated(callers, 1_000_000),
        ours: (count) =>
          run(Effect.map(adding(count, callers), (micros) => ({ raft_commits_per_s: 1_000_000 / micros })))
      },
      {
        rows: [{ name: "raft_commit_1", unit: "us" }],
        count: calibrated(10, 100_000),
        ours: (count) => run(Effect.map(adding(count, 1), (micros) => ({ raft_commit_1: micros })))
      }
    ],
    close: async () => (await world)?.close()
  }
}
