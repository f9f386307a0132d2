/**
 * The soak: minutes of mixed load while a random child is killed every 50 ms.
 *
 * ```
 * npm run bench -- soak                 10 minutes of kills, with a calm second after each four
 *   --minutes 0.5                       shorter, for a try; the heap is judged from about five minutes on
 *   --seed 7                            another course of events
 *   --every 50                          milliseconds from kill to kill
 * ```
 *
 * Ends with 1 when a message is lost that was not counted, one comes twice or out of order, a call ends without an answer or a
 * typed error, the heap is not flat, or the load with kills falls below 90 % of the undisturbed one. Both are counted per
 * second of CPU, so that other work on the machine does not count, and in turns, so that its slow drift meets both alike:
 * on a shared machine one and the same load differs by a third from one minute to the next.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Node } from "../src/index.ts"
import * as FlatHeap from "./soak/FlatHeap.ts"
import * as Ledger from "./soak/Ledger.ts"
import * as Load from "./soak/Load.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    every: { type: "string", default: "50" }
  }
})
const minutes = Number(values.minutes)
const every = Number(values.every)
const warmUp = Math.min(0.25, minutes * 0.1)
const killing = 4 / 60
const calm = 1 / 60
const rounds = Math.max(1, Math.round(minutes / killing))
const sampleEvery = Math.min(0.5, minutes / 10)

const scope = globalThis as { gc?: () => void }
if (scope.gc === undefined) {
  setFlagsFromString("--expose-gc")
  scope.gc = runInNewContext("gc") as () => void
}

const say = (text: string): void => void process.stdout.write(text + "\n")

/** Operations, CPU seconds and wall seconds, to be subtracted from one another. */
interface Mark {
  readonly operations: number
  readonly cpu: number
  readonly wall: number
}

const nothing: Mark = { operations: 0, cpu: 0, wall: 0 }

/** The sum of a stretch and others. */
const plus = (sum: Mark, from: Mark, to: Mark): Mark => ({
  operations: sum.operations + to.operations - from.operations,
  cpu: sum.cpu + to.cpu - from.cpu,
  wall: sum.wall + to.wall - from.wall
})

/** What looking at the heap, with its full collections, has cost so far: no part of the load. */
let looking: Mark = nothing

const mark = (ledger: Ledger.Ledger): Mark => {
  const { system, user } = process.cpuUsage()
  return {
    operations: ledger.operations,
    cpu: (user + system) / 1e6 - looking.cpu,
    wall: performance.now() / 1000 - looking.wall
  }
}

const rates = (from: Mark, to: Mark): { readonly perCpu: number; readonly perSecond: number } => ({
  perCpu: (to.operations - from.operations) / (to.cpu - from.cpu),
  perSecond: (to.operations - from.operations) / (to.wall - from.wall)
})

const soak = Effect.gen(function*() {
  const before = yield* Node.statistics
  const ledger = new Ledger.Ledger(Load.streams, Load.servers)
  const begin = performance.now()
  const minute = (): number => (performance.now() - begin) / 60_000
  const samples: Array<FlatHeap.Sample> = []
  const { finish, world } = yield* Load.start(ledger, Number(values.seed))

  let previous = mark(ledger)
  let nextSample = sampleEvery
  const look = Effect.gen(function*() {
    if (minute() < nextSample) return
    const now = mark(ledger)
    const sample = FlatHeap.sample(nextSample)
    looking = plus(looking, now, mark(ledger))
    const { processes } = yield* Node.statistics
    samples.push(sample)
    say(
      `minute ${nextSample.toFixed(2)}: heap ${sample.heapMiB.toFixed(1)} MiB, RSS ${sample.rssMiB.toFixed(0)} MiB, ` +
        `${
          (rates(previous, now).perSecond / 1000).toFixed(0)
        } k operations/s, ${processes} processes, ${ledger.kills} killed`
    )
    previous = mark(ledger)
    nextSample += sampleEvery
  })

  /** Does something every so often until a minute, at fixed times however long it takes. */
  const repeat = (until: number, millis: number, action: Effect.Effect<unknown, never, Node.Node>) =>
    Effect.gen(function*() {
      const first = performance.now()
      for (let times = 1; minute() < until; times++) {
        yield* action
        yield* look
        yield* Effect.sleep(Math.max(0, first + times * millis - performance.now()))
      }
    })

  yield* repeat(warmUp, every, Effect.void)
  let undisturbed = nothing
  let disturbed = nothing
  for (let round = 0; round < rounds; round++) {
    const begun = warmUp + round * (calm + killing)
    const start = mark(ledger)
    yield* repeat(begun + calm, every, Effect.void)
    const middle = mark(ledger)
    yield* repeat(begun + calm + killing, every, Load.killOne(world))
    undisturbed = plus(undisturbed, start, middle)
    disturbed = plus(disturbed, middle, mark(ledger))
  }
  yield* finish

  const after = yield* Node.statistics
  const counted = { discarded: after.discarded - before.discarded, dropped: after.dropped - before.dropped }
  const killRates = rates(nothing, disturbed)
  const share = killRates.perCpu / rates(nothing, undisturbed).perCpu
  const problems = [...Ledger.discrepancies(ledger, counted)]
  const heap = FlatHeap.judge(samples)
  if (heap.flat === false) problems.push(heap.text)
  const judged = rounds >= 15
  if (judged && share < 0.9) {
    problems.push(`the load with kills is ${(share * 100).toFixed(1)} % of the undisturbed one, below 90 %`)
  }
  const expected = minutes * 60_000 / every
  if (ledger.kills < expected * 0.9) problems.push(`only ${ledger.kills} of ${expected} children were killed in time`)

  say(`\n${Ledger.render(ledger, counted)}`)
  say(
    `rate: ${(killRates.perSecond / 1000).toFixed(0)} k operations/s with kills; ` +
      `${(share * 100).toFixed(1)} % of the undisturbed one per second of CPU ` +
      (judged ? "(at least 90)" : "(NOT JUDGED, the run is too short)")
  )
  say(heap.text)
  say(problems.length === 0 ? "\nPASS" : `\nFAIL\n- ${problems.join("\n- ")}`)
  return problems.length === 0
})

const quiet = Layer.succeed(References.MinimumLogLevel, "None")
const passed = await Effect.runPromise(
  Effect.provide(Effect.scoped(soak), Layer.provideMerge(Node.layerLocal(), quiet))
)
process.exitCode = passed ? 0 : 1
