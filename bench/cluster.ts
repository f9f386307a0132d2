/**
 * The cluster: three Erlang nodes and one of ours for minutes, under load, with one of the Erlang nodes killed and restarted
 * every minute.
 *
 * ```
 * npm run bench -- cluster              10 minutes
 *   --minutes 1                         shorter, for a try; the heap is judged from about five minutes on
 *   --every 60                          seconds from kill to kill
 *   --down 5                            seconds that a killed node is away
 *   --global                            with our node as a member of `global`; by default it is outside
 * ```
 *
 * Ends with 1 when two live nodes are not connected, a call fails that should not or without a typed error, a death or a
 * return is not seen exactly once by every other node, a group does not converge, or the heap is not flat.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Cluster from "./cluster/Cluster.ts"
import * as FlatHeap from "./soak/FlatHeap.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    every: { type: "string", default: "60" },
    down: { type: "string", default: "5" },
    global: { type: "boolean", default: false }
  }
})
const minutes = Number(values.minutes)
const every = Number(values.every)

const scope = globalThis as { gc?: () => void }
if (scope.gc === undefined) {
  setFlagsFromString("--expose-gc")
  scope.gc = runInNewContext("gc") as () => void
}

/**
 * Lets V8's space for young objects reach the size that a burst gives it, whenever that comes: it is kept, and would look
 * like a leak in what the operating system counts.
 */
const growYoungSpace = (): void => {
  const kept: Array<unknown> = []
  for (let i = 0; i < 1_000_000; i++) kept.push({ i })
}
growYoungSpace()
scope.gc()

const begin = performance.now()
const minute = (): number => (performance.now() - begin) / 60_000
const say = (text: string): void => void process.stdout.write(`${minute().toFixed(2).padStart(6)} ${text}\n`)

const samples: Array<FlatHeap.Sample> = []
let nextSample = 0.5
const look = (): void => {
  if (minute() < nextSample) return
  // The first collection frees what has finalizers, the second what these have held.
  FlatHeap.sample(nextSample)
  const sample = FlatHeap.sample(nextSample)
  samples.push(sample)
  say(`heap ${sample.heapMiB.toFixed(1)} MiB, RSS ${sample.rssMiB.toFixed(0)} MiB`)
  nextSample += 0.5
}

const outcome = await Effect.runPromise(
  Effect.provideService(
    Cluster.run({
      kills: Math.max(1, Math.round(minutes * 60 / every)),
      cycleMillis: every * 1000,
      downMillis: Number(values.down) * 1000,
      netTickSeconds: 16,
      pauseMillis: 5,
      global: values.global,
      say,
      look
    }),
    References.MinimumLogLevel,
    "None"
  )
)

// From when on each of the nodes has been away once: before that, memory takes the size that a return needs, and keeps it.
const heap = FlatHeap.judge(samples.filter((sample) => sample.minute >= minutes * 0.35))
const problems = [...outcome.problems, ...heap.flat === false ? [heap.text] : []]
process.stdout.write(
  `\n${outcome.kills} kills; ours: ${outcome.answered} calls answered, ${outcome.failed} failed with a typed error while their ` +
    `node was away; Erlang: ${outcome.served} calls answered by ours; whole again after ${
      outcome.slowestReturn.toFixed(0)
    } ms at most\n${heap.text}\n${problems.length === 0 ? "\nPASS" : `\nFAIL\n- ${problems.join("\n- ")}`}\n`
)
process.exitCode = problems.length === 0 ? 0 : 1
