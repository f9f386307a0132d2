/**
 * Plain processes and the signals between them: monitors, links, short lives, selective receive.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { ExitReason, Process, Signal } from "../../src/index.ts"
import type { Pid } from "../../src/term/Pid.ts"
import { absolute, type Benchmark, calibrated, fixed } from "../harness/Benchmark.ts"
import { benchmark, check, nanosEach } from "./Program.ts"

const untilTold = (mailbox: Queue.Dequeue<unknown>): Effect.Effect<unknown> => Queue.take(mailbox)

const monitorDown = benchmark({
  rows: [{ name: "monitor_down", unit: "ns", erlang: "monitor_down" }],
  module: "bench_monitor_down",
  count: calibrated(500, 20_000),
  program: (count) =>
    Effect.gen(function*() {
      const pids: Array<Pid> = []
      for (let i = 0; i < count; i++) pids.push(yield* Process.spawnDetached(untilTold))
      let downs = 0
      const watch = (mailbox: Queue.Dequeue<unknown>) =>
        Effect.gen(function*() {
          for (const pid of pids) yield* Process.monitor(pid)
          for (const pid of pids) yield* Process.send(pid, "stop")
          for (let i = 0; i < count; i++) {
            const message = yield* Queue.take(mailbox)
            if (message instanceof Signal.Down && message.reason._tag === "Normal") downs++
          }
        })
      const each = yield* nanosEach(
        count,
        Effect.flatMap(Process.spawnDetached(watch), (watcher) => Process.awaitExit(watcher))
      )
      yield* check("downs", downs, count)
      return { monitor_down: each }
    })
})

const atOnce = 100

const work = (n: number): number => {
  let total = 0
  for (let i = 1; i <= n; i++) total += i
  return total
}

const spawnExit = benchmark({
  rows: [{ name: "spawn_exit", unit: "ns", erlang: "spawn_exit", target: absolute(50_000, 20_000, 10_000) }],
  module: "bench_spawn_exit",
  count: calibrated(200, 200_000),
  program: (count) =>
    Effect.gen(function*() {
      const batches = Math.max(1, Math.floor(count / atOnce))
      let total = 0
      const owner = (mailbox: Queue.Dequeue<unknown>) =>
        Effect.gen(function*() {
          const self = yield* Process.self
          const worker = () => Effect.suspend(() => Process.send(self, work(100)))
          for (let batch = 0; batch < batches; batch++) {
            for (let i = 0; i < atOnce; i++) yield* Process.monitor(yield* Process.spawnDetached(worker))
            for (let i = 0; i < 2 * atOnce; i++) {
              const message = yield* Queue.take(mailbox)
              if (typeof message === "number") total += message
            }
          }
        })
      const each = yield* nanosEach(
        batches * atOnce,
        Effect.flatMap(Process.spawnDetached(owner), (pid) => Process.awaitExit(pid))
      )
      yield* check("sum of the work", total, batches * atOnce * 5050)
      return { spawn_exit: each }
    })
})

const cascade = benchmark({
  rows: [{ name: "link_cascade", unit: "ns", erlang: "cascade" }],
  module: "bench_cascade",
  count: fixed(10_000, 1000),
  program: (count) =>
    Effect.gen(function*() {
      const first = yield* Process.spawnDetached(() => Effect.never)
      let last = first
      for (let i = 1; i < count; i++) {
        const previous = last
        last = yield* Process.spawnDetached(() => Effect.andThen(Process.link(previous), Effect.never))
      }
      let reason: ExitReason.ExitReason = ExitReason.normal
      const each = yield* nanosEach(
        count,
        Effect.andThen(
          Process.exit(first, ExitReason.shutdown),
          Effect.tap(Process.awaitExit(last), (seen) => Effect.sync(() => reason = seen))
        )
      )
      yield* check("the last link went down with the reason of the first", reason._tag === "Shutdown" ? 1 : 0, 1)
      return { link_cascade: each }
    })
})

const noise = 1000
const Wanted = Schema.TaggedStruct("Wanted", { n: Schema.Int })
const Noise = Schema.TaggedStruct("Noise", { n: Schema.Int })

const receive = benchmark({
  rows: [
    { name: "receive_selective_1000", unit: "ns", erlang: "selective" },
    { name: "receive_first_of_1000", unit: "ns", erlang: "first" }
  ],
  module: "bench_receive",
  count: calibrated(50, 20_000),
  program: (count) =>
    Effect.gen(function*() {
      let wanted = 0
      let flushed = 0
      let selective = 0
      let first = 0
      const body = Effect.gen(function*() {
        const self = yield* Process.self
        for (let i = 0; i < noise; i++) yield* Process.send(self, { _tag: "Noise", n: i })
        selective = yield* nanosEach(
          count,
          Effect.gen(function*() {
            for (let i = 0; i < count; i++) {
              yield* Process.send(self, { _tag: "Wanted", n: i })
              yield* Process.receive(Wanted)
              wanted++
            }
          })
        )
        first = yield* nanosEach(
          noise,
          Effect.gen(function*() {
            for (let i = 0; i < noise; i++) flushed += (yield* Process.receive(Noise)).n === i ? 1 : 0
          })
        )
      })
      yield* Process.run(body)
      yield* check("wanted", wanted, count)
      yield* check("noise, in order", flushed, noise)
      return { receive_selective_1000: selective, receive_first_of_1000: first }
    })
})

/** What signals cost. */
export const benchmarks: ReadonlyArray<Benchmark> = [monitorDown, spawnExit, cascade, receive]
