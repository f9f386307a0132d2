/**
 * Timers: a message set for later and cancelled, and many that fire.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { Process } from "../../src/index.ts"
import { type Benchmark, calibrated } from "../harness/Benchmark.ts"
import { benchmark, check, nanosEach } from "./Program.ts"

const timer = benchmark({
  rows: [
    { name: "timer", unit: "ns", erlang: "arm" },
    { name: "timer_fire", unit: "ns", erlang: "fire" }
  ],
  module: "bench_timer",
  count: calibrated(1000, 1_000_000),
  program: (count) =>
    Effect.gen(function*() {
      const fires = Math.max(1, Math.floor(count / 10))
      let armed = 0
      let fired = 0
      let cancelled = 0
      let ticks = 0
      const body = (mailbox: Queue.Dequeue<unknown>) =>
        Effect.gen(function*() {
          const self = yield* Process.self
          armed = yield* nanosEach(
            count,
            Effect.gen(function*() {
              for (let i = 0; i < count; i++) {
                const timer = yield* Process.sendAfter(self, "never", 60_000)
                if (Option.isSome(yield* timer.cancel)) cancelled++
              }
            })
          )
          fired = yield* nanosEach(
            fires,
            Effect.gen(function*() {
              for (let i = 0; i < fires; i++) yield* Process.sendAfter(self, "tick", 1)
              for (; ticks < fires; ticks++) yield* Queue.take(mailbox)
            })
          )
        })
      yield* Effect.flatMap(Process.spawnDetached(body), (pid) => Process.awaitExit(pid))
      yield* check("timers cancelled before they fired", cancelled, count)
      yield* check("ticks", ticks, fires)
      return { timer: armed, timer_fire: fired }
    })
})

/** What timers cost. */
export const benchmarks: ReadonlyArray<Benchmark> = [timer]
