/**
 * A node under attack: a victim and a good peer, each in a process of its own. While an attack goes on the good peer must be
 * answered within a second, and when it is over the victim must have what it had before.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, loadavg } from "node:os"
import { freePort } from "../ErlangNode.ts"
import { portOf } from "./attack.ts"
import { type NodeProcess, startNode, type StartOptions, type Stats, type Watched } from "./NodeProcess.ts"

const mebibyte = 1024 * 1024

export interface Siege {
  readonly victim: NodeProcess
  readonly good: NodeProcess
  /** Where the victim listens, and its EPMD. */
  readonly port: number
  readonly epmd: number
  /**
   * Runs an attack. `growth` is how much memory the victim may need for it at most, in MiB (resident, at its peak), and
   * `kept` how much of its heap may have grown afterwards.
   */
  readonly withstand: (
    attack: Effect.Effect<unknown>,
    options?: { readonly growth?: number; readonly kept?: number; readonly anew?: boolean }
  ) => Effect.Effect<Watched>
}

/**
 * How much longer things take because this machine does other work besides: 1 as long as there are no more than two
 * programs for each processor, which is what a test of this kind is itself.
 */
export const crowding = (): number => Math.max(1, loadavg()[0]! / (2 * availableParallelism()))

/** The largest resident size since the last reset, in bytes; 0 where the system does not tell. */
const peakOf = (pid: number): number => {
  const file = `/proc/${pid}/status`
  if (!existsSync(file)) return 0
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(file, "utf8"))?.[1] ?? 0) * 1024
}

const resetPeak = (pid: number): void => {
  if (existsSync(`/proc/${pid}/clear_refs`)) writeFileSync(`/proc/${pid}/clear_refs`, "5")
}

/** What must be as before, once everything has settled. */
const tables = (stats: Stats) => {
  const { arrayBuffers: _1, heap: _2, rss: _3, timers: _4, ...rest } = stats
  return rest
}

/** Starts a victim and a good peer. */
export const siege = (
  options?: Pick<StartOptions, "options">,
  goodOptions?: Pick<StartOptions, "options">
): Effect.Effect<Siege, never, Scope.Scope> =>
  Effect.gen(function*() {
    const epmd = yield* freePort
    const victim = yield* startNode("victim@127.0.0.1", { epmd, serve: true, ...options })
    const good = yield* startNode("good@127.0.0.1", { epmd, ...goodOptions })
    const port = yield* portOf("victim", epmd)
    return {
      victim,
      good,
      port,
      epmd,
      withstand: (attack, { anew = true, growth = 256, kept = 12 } = {}) =>
        Effect.gen(function*() {
          // What is made once is made before.
          yield* good.ask("traffic", victim.name)
          yield* good.ask("disconnect", victim.name)
          yield* Effect.sleep(50)
          const before = yield* victim.stats
          resetPeak(victim.pid)
          yield* good.ask("watch", { peer: victim.name, anew })
          yield* attack
          yield* Effect.sleep(100)
          const watched = yield* good.ask<Watched>("watched")
          assert.isAbove(watched.pings, 0)
          assert.strictEqual(watched.failures, 0, "the good peer was turned away")
          assert.isBelow(watched.worst, 1000 * crowding(), "the good peer waited")
          const peak = peakOf(victim.pid) - before.rss
          assert.isBelow(peak / mebibyte, growth, "MiB at the peak")
          yield* good.ask("disconnect", victim.name)
          let after = yield* victim.stats
          for (let i = 0; i < 60; i++) {
            if (JSON.stringify(tables(after)) === JSON.stringify(tables(before))) break
            yield* Effect.sleep(150)
            after = yield* victim.stats
          }
          assert.deepStrictEqual(tables(after), tables(before))
          const heap = after.heap + after.arrayBuffers - before.heap - before.arrayBuffers
          assert.isBelow(heap / mebibyte, kept, "MiB that were kept")
          if (process.env["EFFECT_OTP_HOSTILE_REPORT"] !== undefined) {
            console.log({ ...watched, peak: peak / mebibyte, heap: heap / mebibyte })
          }
          return watched
        })
    }
  })
