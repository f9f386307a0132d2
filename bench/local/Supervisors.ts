/**
 * Supervisors at work: one child killed and back, ten thousand dynamic children started, killed and back, and shut down
 * (F15 and F16 of the reliability targets).
 *
 * A child is back when its `init` runs: that is when it tells whoever measures, on both sides.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { DynamicSupervisor, GenServer, Message, type Node, Process, Protocol, Supervisor } from "../../src/index.ts"
import type { Pid } from "../../src/term/Pid.ts"
import { absolute, type Benchmark, fixed } from "../harness/Benchmark.ts"
import { percentile } from "../harness/Statistics.ts"
import { benchmark, check, millis } from "./Program.ts"

class Up extends Protocol.make("Up", Message.Call("Ping")) {}

const UpServer = GenServer.make(Up, {
  init: (tell: (pid: Pid) => void) =>
    Effect.map(Process.self, (pid) => {
      tell(pid)
      return 0
    }),
  handlers: {
    Ping: (_, state) => GenServer.reply(undefined, state)
  }
})

/** Counts children that are up and lets one fiber wait for a number of them. */
class Ups {
  last: Pid | undefined = undefined
  private count = 0
  private wanted = 0
  private done: (() => void) | undefined = undefined

  readonly tell = (pid: Pid): void => {
    this.last = pid
    if (++this.count === this.wanted) this.done?.()
  }

  /** Runs an effect, then waits until so many more children have come up. */
  after<E, R>(count: number, effect: Effect.Effect<unknown, E, R>): Effect.Effect<void, E, R> {
    return Effect.suspend(() => {
      this.wanted = this.count + count
      return Effect.andThen(
        effect,
        Effect.callback<void>((resume) => {
          if (this.count >= this.wanted) return resume(Effect.void)
          // In a turn of its own: what measures must not run inside of what is measured.
          this.done = () => queueMicrotask(() => resume(Effect.void))
        })
      )
    })
  }
}

const active = (target: Supervisor.Target, expected: number): Effect.Effect<void, unknown, Node.Node> =>
  Effect.flatMap(Supervisor.countChildren(target), (counts) => check("active children", counts.active, expected))

const restartChild = benchmark({
  rows: [
    { name: "restart_child", unit: "us", erlang: "p50", target: absolute(1000, 200, 50) },
    { name: "restart_child_p99", unit: "us", erlang: "p99", target: absolute(10_000, 2000, 500) }
  ],
  module: "bench_restart_child",
  count: fixed(200, 200),
  program: (count) =>
    Effect.gen(function*() {
      const ups = new Ups()
      const tree = yield* Supervisor.start(Supervisor.make({
        intensity: 20_000,
        children: [Supervisor.child("child", UpServer, ups.tell)]
      }))
      const times: Array<number> = []
      for (let i = 0; i < count; i++) {
        yield* active(tree, 1)
        const before = ups.last!
        times.push(yield* millis(ups.after(1, Process.kill(before))))
        yield* check("the child is another one", ups.last === before ? 1 : 0, 0)
      }
      yield* Process.stop(tree)
      return {
        restart_child: percentile(0.5, times) * 1000,
        restart_child_p99: percentile(0.99, times) * 1000
      }
    })
})

const dynamic = benchmark({
  rows: [
    { name: "start_10k", unit: "ms", erlang: "start", per: 10_000 },
    { name: "restart_10k", unit: "ms", erlang: "restart", target: absolute(3000, 1000), per: 10_000 },
    { name: "shutdown_10k", unit: "ms", erlang: "shutdown", target: absolute(500, 150), per: 10_000 }
  ],
  module: "bench_dynamic",
  count: fixed(10_000, 1000),
  rounds: 5,
  program: (count) =>
    Effect.gen(function*() {
      const ups = new Ups()
      const tree = yield* DynamicSupervisor.start(DynamicSupervisor.make(UpServer, { intensity: 20_000 }))
      const children: Array<Pid> = []
      const started = yield* millis(Effect.gen(function*() {
        for (let i = 0; i < count; i++) children.push((yield* DynamicSupervisor.startChild(tree, ups.tell)).pid)
      }))
      yield* active(tree, count)
      const kill = Effect.gen(function*() {
        for (const child of children) yield* Process.kill(child)
      })
      const restarted = yield* millis(ups.after(count, kill))
      yield* active(tree, count)
      const stopped = yield* millis(Process.stop(tree))
      return { start_10k: started, restart_10k: restarted, shutdown_10k: stopped }
    })
})

/** What supervision costs. */
export const benchmarks: ReadonlyArray<Benchmark> = [restartChild, dynamic]
