/**
 * A node of ours as an operating-system process of its own, for tests that attack it or need a good peer: it is told what
 * to do by lines of JSON on its standard input, and answers each with one on its standard output.
 */
import { Effect, Layer, Metric, Queue, Redacted, References, Schema, Stream } from "effect"
import { GenServer, Message, Process, Protocol } from "effect-otp"
import type * as Dist from "effect-otp/dist/Node"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Etf } from "effect-otp/etf"
import { createInterface } from "node:readline"

interface Start {
  readonly name: string
  readonly cookie: string
  readonly epmd: number
  readonly serve?: boolean
  readonly options?: Partial<Dist.LayerOptions>
}

const start = JSON.parse(process.argv[2]!) as Start

class Worker extends Protocol.make(
  "Worker",
  Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term }),
  Message.Call("Count", { success: Schema.Int }),
  Message.Call("Never"),
  Message.Cast("Note", { payload: { n: Schema.Int, body: Schema.Uint8Array } })
) {}

const WorkerServer = GenServer.make(Worker, {
  init: () => Effect.succeed(0),
  handlers: {
    Echo: ({ value }, count) => GenServer.reply(value, count),
    Count: (_, count) => GenServer.reply(count, count),
    Never: (_, count) => GenServer.noReply(count),
    Note: (_, count) => GenServer.next(count + 1)
  }
})

let fibers = 0
const counting: Metric.FiberRuntimeMetricsService = {
  recordFiberStart: () => void fibers++,
  recordFiberEnd: () => void fibers--
}

/** What only tests look at. */
interface Inside {
  readonly peers: Map<string, unknown>
  readonly pending: { readonly size: number }
  readonly attempts: number
  readonly tickers: Map<unknown, unknown>
}

const count = (what: string): number => process.getActiveResourcesInfo().filter((name) => name === what).length

const program = Effect.gen(function*() {
  const node = yield* Node.Node
  const inside = Node.distributionUnsafe(node) as unknown as Inside
  yield* GenServer.start(WorkerServer, undefined, { name: "worker" })
  // Takes whatever comes, and throws it away.
  yield* Process.spawn((mailbox) => Effect.forever(Queue.take(mailbox)), { name: "sink" })
  yield* Effect.forkScoped(Stream.runDrain(Node.events))

  let worst = 0
  let failures = 0
  let pings = 0
  let watching = false
  /** Asks another node again and again, over a connection of its own each time if wanted. */
  const watch = (peer: string, anew: boolean) =>
    Effect.gen(function*() {
      while (watching) {
        const before = performance.now()
        const answer = yield* Node.ping(peer)
        if (answer === "pong") worst = Math.max(worst, performance.now() - before)
        else failures++
        pings++
        if (anew) yield* Node.disconnect(peer)
        yield* Effect.sleep(50)
      }
    })

  const stats = Effect.gen(function*() {
    // What is closed is given back in later turns.
    for (let i = 0; i < 3; i++) {
      yield* Effect.sleep(20)
      ;(globalThis as unknown as { gc: () => void }).gc()
    }
    const { arrayBuffers, external, heapUsed, rss } = process.memoryUsage()
    const { runtime } = node
    let links = 0
    let watchers = 0
    let calls = 0
    for (const peer of runtime.remote.peers.values()) {
      links += peer.linkCount
      watchers += peer.watchers.size
      calls += peer.calls.size
    }
    return {
      heap: heapUsed + external,
      arrayBuffers,
      rss,
      sockets: count("TCPSocketWrap"),
      servers: count("TCPServerWrap"),
      timers: count("Timeout"),
      fibers,
      peers: inside.peers.size,
      pending: inside.pending.size,
      attempts: inside.attempts,
      connections: inside.tickers.size,
      tables: runtime.remote.peers.size,
      links,
      watchers,
      calls,
      processes: runtime.processes.size,
      names: runtime.names.size,
      aliases: runtime.aliases.size
    }
  })

  const commands: { readonly [name: string]: (argument: never) => Effect.Effect<unknown, unknown, Node.Node> } = {
    stats: () => stats,
    nodes: () => Node.nodes("all"),
    ping: (peer: string) => Node.ping(peer),
    connect: (peer: string) => Effect.as(Node.connect(peer), true),
    disconnect: (peer: string) => Node.disconnect(peer),
    count: () => Effect.flatMap(GenServer.named(Worker, "worker"), (worker) => worker.Count()),
    /** Some of everything that one node sends to another. */
    traffic: (peer: string) =>
      Process.run(Effect.gen(function*() {
        const worker = yield* Node.remote(Worker, { name: "worker", node: peer })
        yield* Process.trapExit(true)
        yield* worker.Count()
        for (const value of [1, [1, 2, 3], new Uint8Array(40), "x".repeat(3) as never]) {
          yield* Effect.exit(worker.Echo({ value }))
        }
        yield* worker.Note({ n: 1, body: new Uint8Array(10) })
        yield* Effect.exit(worker.Never(undefined, { timeout: 20 }))
        const ref = yield* Process.monitor({ name: "sink", node: peer })
        yield* Process.monitor({ name: "nobody", node: peer })
        const pid = yield* Effect.map(Process.self, (self) => self)
        yield* Process.send({ name: "sink", node: peer }, [pid, ref])
        yield* Process.demonitor(ref)
        yield* worker.Note({ n: 2, body: new Uint8Array(300) })
        yield* worker.Count()
      })),
    large: (peer: string) =>
      Process.run(Effect.gen(function*() {
        const worker = yield* Node.remote(Worker, { name: "worker", node: peer })
        yield* worker.Note({ n: 3, body: new Uint8Array(200_000) })
        yield* worker.Count()
      })),
    watch: (argument: { readonly peer: string; readonly anew: boolean }) =>
      Effect.suspend(() => {
        worst = failures = pings = 0
        watching = true
        Effect.runForkWith(runtimeContext)(watch(argument.peer, argument.anew))
        return Effect.succeed(true)
      }),
    watched: () =>
      Effect.sync(() => {
        watching = false
        return { worst, failures, pings }
      })
  }

  const runtimeContext = yield* Effect.context<Node.Node>()
  console.log(JSON.stringify({ ready: node.creation }))
  const lines = createInterface({ input: process.stdin })
  lines.on("line", (line) => {
    const { argument, command, id } = JSON.parse(line) as { id: number; command: string; argument: never }
    Effect.runCallbackWith(runtimeContext)(commands[command]!(argument), {
      onExit: (exit) =>
        console.log(JSON.stringify(
          exit._tag === "Success" ? { id, value: exit.value } : { id, error: String(exit.cause) }
        ))
    })
  })
  yield* Effect.callback<void>((resume) => {
    lines.on("close", () => resume(Effect.void))
  })
})

Effect.runPromise(
  Effect.scoped(program).pipe(
    Effect.provide(
      Node.layer({
        name: start.name,
        cookie: Redacted.make(start.cookie),
        discovery: { port: start.epmd, serve: start.serve === true },
        ...start.options
      }).pipe(Layer.provide(NodeNetwork.layer))
    ),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provideService(Metric.FiberRuntimeMetrics, counting)
  )
).then(() => process.exit(0), (error: unknown) => {
  console.log(JSON.stringify({ failed: String(error) }))
  process.exit(1)
})
