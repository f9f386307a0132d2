/**
 * One counter, as small as a server can be: what calls, casts, starts and idle servers cost.
 *
 * The handler is written in the four ways there are, all of which do what the Erlang counter does. The Erlang figure of all
 * calls with one caller is the same plain `gen_server:call`, taken in the same round.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { GenServer, Message, type Node, Process, type ProcessRef, Protocol } from "../../src/index.ts"
import { type Benchmark, calibrated, fixed, ratio } from "../harness/Benchmark.ts"
import { benchmark, check, nanosEach } from "./Program.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Plus", { payload: { n: Schema.Int } })
) {}

type CounterRef = ProcessRef.ProcessRef<Protocol.Messages<typeof Counter>>

const init = (from: number): Effect.Effect<number> => Effect.succeed(from)
const sum = (a: number, b: number): Effect.Effect<number> => Effect.sync(() => a + b)

/** The handler returns a plain transition. */
const Transition = GenServer.make(Counter, {
  init,
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

/** The handler returns an `Effect` that has yet to run. */
const Effectful = GenServer.make(Counter, {
  init,
  handlers: {
    Add: ({ n }, count) => Effect.sync(() => GenServer.reply(count + n, count + n)),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

/** The handler is a generator function made once: how a handler of several steps is best written. */
const Generator = GenServer.make(Counter, {
  init,
  handlers: {
    Add: Effect.fnUntraced(function*({ n }: { readonly n: number }, count: number) {
      const total = yield* sum(count, n)
      return GenServer.reply(total, total)
    }),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

/** The handler makes a generator function for each message: how many will write it. */
const InlineGenerator = GenServer.make(Counter, {
  init,
  handlers: {
    Add: ({ n }, count) =>
      Effect.gen(function*() {
        const total = yield* sum(count, n)
        return GenServer.reply(total, total)
      }),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

const calls = Effect.fnUntraced(function*(server: CounterRef, count: number) {
  for (let i = 0; i < count; i++) yield* server.Add({ n: 1 })
})

const timedCalls = (
  start: Effect.Effect<CounterRef, unknown, Node.Node>,
  count: number,
  callers: number
): Effect.Effect<number, unknown, Node.Node> =>
  Effect.gen(function*() {
    const server = yield* start
    const share = Math.max(1, Math.floor(count / callers))
    const each = yield* nanosEach(
      share * callers,
      callers === 1
        ? calls(server, share)
        : Effect.forEach(Array.from({ length: callers }), () => calls(server, share), {
          concurrency: "unbounded",
          discard: true
        })
    )
    yield* check("calls handled", yield* server.Get(), share * callers)
    yield* Process.stop(server)
    return each
  })

const oneCaller = benchmark({
  rows: [
    { name: "call_transition_1", unit: "ns", erlang: "call", target: ratio(0.3, 0.5) },
    { name: "call_effect_1", unit: "ns", erlang: "call" },
    { name: "call_generator_1", unit: "ns", erlang: "call", target: ratio(0.8, 1) },
    { name: "call_inline_generator_1", unit: "ns", erlang: "call" }
  ],
  module: "bench_call_1",
  count: calibrated(1000, 1_000_000),
  program: (count) =>
    Effect.gen(function*() {
      return {
        call_transition_1: yield* timedCalls(GenServer.startDetached(Transition, 0), count, 1),
        call_effect_1: yield* timedCalls(GenServer.startDetached(Effectful, 0), count, 1),
        call_generator_1: yield* timedCalls(GenServer.startDetached(Generator, 0), count, 1),
        call_inline_generator_1: yield* timedCalls(GenServer.startDetached(InlineGenerator, 0), count, 1)
      }
    })
})

const hundredCallers = benchmark({
  rows: [
    { name: "call_transition_100", unit: "ns", erlang: "call", target: ratio(0.3) },
    { name: "call_generator_100", unit: "ns", erlang: "call" }
  ],
  module: "bench_call_100",
  count: calibrated(1000, 1_000_000),
  program: (count) =>
    Effect.gen(function*() {
      return {
        call_transition_100: yield* timedCalls(GenServer.startDetached(Transition, 0), count, 100),
        call_generator_100: yield* timedCalls(GenServer.startDetached(Generator, 0), count, 100)
      }
    })
})

const casts = Effect.fnUntraced(function*(server: CounterRef, count: number) {
  for (let i = 0; i < count; i++) yield* server.Plus({ n: 1 })
  return yield* server.Get()
})

const cast = benchmark({
  rows: [{ name: "cast", unit: "ns", erlang: "cast", target: ratio(0.8, 2) }],
  module: "bench_cast",
  count: calibrated(1000, 5_000_000),
  program: (count) =>
    Effect.gen(function*() {
      const server = yield* GenServer.startDetached(Transition, 0)
      let handled = 0
      const each = yield* nanosEach(
        count,
        Effect.tap(casts(server, count), (total) => Effect.sync(() => handled = total))
      )
      yield* check("casts handled", handled, count)
      yield* Process.stop(server)
      return { cast: each }
    })
})

const startMany = Effect.fnUntraced(function*(servers: Array<CounterRef>) {
  for (let i = 0; i < servers.length; i++) servers[i] = yield* GenServer.startDetached(Transition, 0)
})

const killAll = (servers: ReadonlyArray<CounterRef>): Effect.Effect<void, never, Node.Node> =>
  Effect.forEach(servers, (server) => Effect.andThen(Process.kill(server), Process.awaitExit(server)), {
    discard: true
  })

const spawn = benchmark({
  rows: [{ name: "spawn", unit: "ns", erlang: "spawn", target: ratio(0.8, 1.5) }],
  module: "bench_spawn",
  count: calibrated(500, 10_000),
  program: (count) =>
    Effect.gen(function*() {
      const servers: Array<CounterRef> = new Array(count)
      const each = yield* nanosEach(count, startMany(servers))
      yield* check("a started server answers", yield* servers[count - 1]!.Add({ n: 1 }), 1)
      yield* killAll(servers)
      return { spawn: each }
    })
})

/** Bytes in use after everything that can be collected was: twice, with a turn of the event loop for finalizers. */
const heap: Effect.Effect<number> = Effect.promise(async () => {
  for (let i = 0; i < 3; i++) {
    ;(globalThis as unknown as { gc: () => void }).gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
})

const serveMany = Effect.fnUntraced(function*(servers: ReadonlyArray<CounterRef>) {
  let last = 0
  for (const server of servers) {
    yield* server.Plus({ n: 1 })
    last = yield* server.Add({ n: 1 })
  }
  return last
})

const memory = benchmark({
  rows: [
    { name: "memory_idle", unit: "B", erlang: "idle", target: ratio(0.5, 0.7) },
    { name: "memory_served", unit: "B", erlang: "served" }
  ],
  module: "bench_memory",
  count: fixed(20_000, 1000),
  rounds: 5,
  program: (count) =>
    Effect.gen(function*() {
      const servers: Array<CounterRef> = new Array(count)
      const before = yield* heap
      yield* startMany(servers)
      const idle = yield* heap
      yield* check("served", yield* serveMany(servers), 2)
      const served = yield* heap
      yield* killAll(servers)
      return { memory_idle: (idle - before) / count, memory_served: (served - before) / count }
    })
})

/** Everything that a counter shows. */
export const benchmarks: ReadonlyArray<Benchmark> = [oneCaller, hundredCallers, cast, spawn, memory]
