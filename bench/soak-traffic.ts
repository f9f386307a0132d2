/**
 * The soak of the traffic application: positions by UDP at a steady rate, a datagram for each, for minutes.
 *
 * ```
 * npm run bench -- soak-traffic                 10 minutes at 5000 positions per second
 *   --minutes 1                                 shorter, for a try; the heap is judged from about five minutes on
 *   --rate 5000                                 positions per second
 * ```
 *
 * Ends with 1 when a position is lost, or when the heap of the application is not flat.
 *
 * @since 0.1.0
 */
import { parseArgs } from "node:util"
import * as FlatHeap from "./soak/FlatHeap.ts"
import { start, wait } from "./traffic/World.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    rate: { type: "string", default: "5000" }
  }
})
const minutes = Number(values.minutes)
const rate = Number(values.rate)
const sampleEvery = Math.min(0.5, minutes / 10)

const say = (text: string): void => void process.stdout.write(text + "\n")

const world = await start()
const samples: Array<FlatHeap.Sample> = []
const problems: Array<string> = []
let sent = 0
try {
  const begin = performance.now()
  for (let minute = sampleEvery; minute <= minutes + 1e-9; minute += sampleEvery) {
    const before = await world.state()
    const part = await world.paced(rate, () => wait(Math.max(0, minute * 60_000 - (performance.now() - begin))))
    sent += part.sent.positions
    // What is just under way is no growth: it is looked at in a moment of calm.
    const now = await world.stored(sent)
    const sample = await world.memory(minute)
    samples.push(sample)
    say(
      `minute ${minute.toFixed(2)}: ${(part.sent.positions / part.sent.millis * 1000).toFixed(0)} per second, ` +
        `${((now.cpuMillis - before.cpuMillis) / part.sent.millis * 100).toFixed(1)} % of a processor, ` +
        `heap ${sample.heapMiB.toFixed(1)} MiB, RSS ${sample.rssMiB.toFixed(0)} MiB`
    )
  }
  const { duplicates, refused, stored } = await world.stored(sent)
  say(`\n${sent} sent, ${stored} stored, ${duplicates} duplicates, ${refused} refused`)
  if (stored !== sent) problems.push(`${sent - stored} positions were not stored`)
  const heap = FlatHeap.judge(samples)
  say(heap.text)
  if (heap.flat === false) problems.push(heap.text)
} finally {
  await world.close()
}
say(problems.length === 0 ? "PASS" : `FAIL\n${problems.join("\n")}`)
if (problems.length > 0) process.exitCode = 1
