/**
 * The soak of the network: casts of 100 bytes from this node to one of ours in another process (L3 of the reliability
 * targets), and both ways with a real Erlang node (L4), for minutes.
 *
 * ```
 * npm run bench -- soak-network                 10 minutes
 *   --minutes 1                                 shorter, for a try; the heap is judged from about five minutes on
 *   --rate 50000                                casts per second and direction; what the machine cannot do is reported
 * ```
 *
 * Ends with 1 when a cast is lost, doubled or out of order, when a connection was lost, or when the heap of one of the
 * two processes of ours is not flat.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Node from "../src/dist/Node.ts"
import { GenServer } from "../src/index.ts"
import * as Erlang from "./harness/Erlang.ts"
import { cookie, driverName, erlangDriverName, peerName, start } from "./network/World.ts"
import * as FlatHeap from "./soak/FlatHeap.ts"
import { ErlangSide, Receiver, ReceiverServer } from "./soak/Receiver.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    rate: { type: "string", default: "50000" }
  }
})
const minutes = Number(values.minutes)
const rate = Number(values.rate)
const sampleEvery = Math.min(0.5, minutes / 10)
const data = new Uint8Array(100).fill(7)

const say = (text: string): void => void process.stdout.write(text + "\n")

/** Casts in one batch at most: far fewer than a mailbox takes. */
const batchMax = rate / 5

/**
 * Sends numbered casts at the rate until told to stop; gives how many. After each batch it waits until all of it was
 * handled, so that a machine that is busy with other things fills no mailbox. What it is behind by then, up to a second,
 * it catches up on.
 */
const flood = Effect.fnUntraced(function*(
  send: (n: number) => Effect.Effect<void>,
  handled: Effect.Effect<unknown, unknown>,
  state: { going: boolean; paused: boolean }
) {
  let sent = 0
  let owed = 0
  let before = performance.now()
  while (state.going) {
    const now = performance.now()
    if (!state.paused) owed = Math.min(owed + (now - before) / 1000 * rate, rate)
    before = now
    const due = sent + (state.paused ? 0 : Math.floor(Math.min(owed, batchMax)))
    owed -= due - sent
    while (sent < due) yield* send(++sent)
    yield* handled
    yield* Effect.sleep(10)
  }
  return sent
})

interface Counts {
  readonly at: number
  readonly ours: number
  readonly toErlang: number
  readonly fromErlang: number
}

const soak = (erlang: boolean): Effect.Effect<void, unknown, Node.Node> =>
  Effect.scoped(Effect.gen(function*() {
    const own = yield* GenServer.start(ReceiverServer, undefined, { name: "soak_receiver" })
    const peer = yield* Node.remote(Receiver, { name: "soak_receiver", node: peerName })
    const other = yield* Node.remote(ErlangSide, { name: "soak_erlang", node: erlangDriverName })
    const patient = { timeout: "1 minute" } as const
    const toErlang = erlang ? Effect.map(other.Seen(undefined, patient), ({ count }) => count) : Effect.succeed(0)
    const counts: Effect.Effect<Counts, unknown> = Effect.gen(function*() {
      return {
        ours: (yield* peer.Seen(undefined, patient)).count,
        toErlang: yield* toErlang,
        fromErlang: (yield* own.Seen(undefined, patient)).count,
        at: performance.now()
      }
    })
    let previous = yield* counts
    const problems: Array<string> = []
    yield* Effect.forkScoped(Stream.runForEach(Node.events, (event) =>
      Effect.sync(() => {
        if (event._tag === "NodeDown") problems.push(`the connection to ${event.node} was lost: ${event.detail}`)
      })))

    const begin = performance.now()
    let resumed = begin
    const state = { going: true, paused: false }
    const floods = [flood((n) => peer.Note({ n, data }), peer.Seen(undefined, patient), state)]
    if (erlang) floods.push(flood((n) => other.Note({ n, data }), other.Seen(undefined, patient), state))
    const running = yield* Effect.forkScoped(Effect.all(floods, { concurrency: "unbounded" }))
    if (erlang) yield* other.Flood({ node: driverName, rate })

    const here: Array<FlatHeap.Sample> = []
    const there: Array<FlatHeap.Sample> = []
    for (let minute = sampleEvery; minute <= minutes + 1e-9; minute += sampleEvery) {
      yield* Effect.sleep(Math.max(0, minute * 60_000 - (performance.now() - begin)))
      // What is just under way is no growth: it is looked at in a moment of calm.
      const calm = performance.now()
      state.paused = true
      yield* Effect.sleep(300)
      const now = yield* counts
      const a = FlatHeap.sample(minute)
      const b = { minute, ...(yield* peer.Memory(undefined, patient)) }
      here.push(a)
      there.push(b)
      // Erlang goes on in the meantime.
      const perSecond = (key: "ours" | "toErlang" | "fromErlang"): string =>
        `${
          ((now[key] - previous[key]) / (key === "fromErlang" ? now.at - previous.at : calm - resumed)).toFixed(1)
        } k/s`
      say(
        `minute ${minute.toFixed(2)}: to ours ${perSecond("ours")}, to Erlang ${perSecond("toErlang")}, from Erlang ` +
          `${perSecond("fromErlang")}; heap ${a.heapMiB.toFixed(1)} and ${b.heapMiB.toFixed(1)} MiB, ` +
          `RSS ${a.rssMiB.toFixed(0)} and ${b.rssMiB.toFixed(0)} MiB`
      )
      previous = now
      state.paused = false
      resumed = performance.now()
    }

    state.going = false
    const [sentToOurs, sentToErlang] = yield* Fiber.join(running)
    const sentByErlang = erlang ? yield* other.Halt(undefined, patient) : 0
    // Whatever was cast before these calls has been handled when they are answered.
    const books = [
      { what: "casts to ours", sent: sentToOurs!, seen: yield* peer.Seen(undefined, patient) },
      ...(erlang
        ? [
          { what: "casts to Erlang", sent: sentToErlang!, seen: yield* other.Seen(undefined, patient) },
          { what: "casts from Erlang", sent: sentByErlang, seen: yield* own.Seen(undefined, patient) }
        ]
        : [])
    ]
    say("")
    for (const { seen, sent, what } of books) {
      say(`${what}: ${sent} sent, ${seen.count} seen, ${seen.disorder} out of order`)
      if (seen.count !== sent) problems.push(`${what}: ${seen.count} of ${sent} were seen`)
      if (seen.disorder > 0) problems.push(`${what}: ${seen.disorder} out of order`)
    }
    for (const [where, samples] of [["here", here], ["in the other process", there]] as const) {
      const heap = FlatHeap.judge(samples)
      say(`${where}: ${heap.text}`)
      if (heap.flat === false) problems.push(`${where}: ${heap.text}`)
    }
    say(problems.length === 0 ? "PASS" : `FAIL\n${problems.join("\n")}`)
    if (problems.length > 0) process.exitCode = 1
  }))

const scope = globalThis as { gc?: () => void }
if (scope.gc === undefined) {
  setFlagsFromString("--expose-gc")
  scope.gc = runInNewContext("gc") as () => void
}

const world = await start()
const erlang = await Erlang.start(
  new URL("./erlang/", import.meta.url),
  ["-name", erlangDriverName, "-setcookie", cookie, "-start_epmd", "false", "-s", "bench_soak", "start"],
  { ERL_EPMD_PORT: String(world.epmdPort) }
)
if (erlang === undefined) say("!!! Erlang is not installed: casts between our two nodes only (L3 without L4)")
try {
  await world.runtime.runPromise(soak(erlang !== undefined))
} finally {
  await erlang?.stop()
  await world.close()
}
