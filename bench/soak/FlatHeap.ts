/**
 * "Flat heap", as the reliability targets define it: heap after a forced collection, sampled every 30 s; from minute 2 on the
 * linear trend is at most 0.5 MiB per minute and the last sample at most 105 % of the one at minute 2; RSS at most 115 %.
 *
 * @since 0.1.0
 */
import { slope } from "../harness/Statistics.ts"

/** One look at the memory, at a time in minutes since the load began. */
export interface Sample {
  readonly minute: number
  readonly heapMiB: number
  readonly rssMiB: number
}

/** From when on samples count, and how many it takes for a verdict. */
const settledMinute = 2
const samplesNeeded = 4

const mebi = 1024 * 1024

/** Collects garbage, then looks. */
export const sample = (minute: number): Sample => {
  const { gc } = globalThis as unknown as { readonly gc: () => void }
  gc()
  // Buffers that nobody has any more are swept behind the collection; the next one waits for that.
  gc()
  const { arrayBuffers, heapUsed, rss } = process.memoryUsage()
  return { minute, heapMiB: (heapUsed + arrayBuffers) / mebi, rssMiB: rss / mebi }
}

/** The verdict; `flat` is undefined when the run was too short for one. */
export interface Verdict {
  readonly flat: boolean | undefined
  readonly text: string
}

/** Judges the samples. */
export const judge = (samples: ReadonlyArray<Sample>): Verdict => {
  const settled = samples.filter((sample) => sample.minute >= settledMinute - 0.01)
  if (settled.length < samplesNeeded) {
    return {
      flat: undefined,
      text: `heap: NOT JUDGED, ${settled.length} samples after minute ${settledMinute}; run longer`
    }
  }
  const first = settled[0]!
  const last = settled[settled.length - 1]!
  const trend = slope(settled.map(({ heapMiB, minute }) => ({ x: minute, y: heapMiB })))
  const heap = last.heapMiB / first.heapMiB
  const rss = last.rssMiB / first.rssMiB
  return {
    flat: trend <= 0.5 && heap <= 1.05 && rss <= 1.15,
    text:
      `heap: trend ${trend.toFixed(3)} MiB/min (at most 0.5), last/first ${(heap * 100).toFixed(1)} % (at most 105), ` +
      `RSS ${(rss * 100).toFixed(1)} % (at most 115), from ${first.heapMiB.toFixed(1)} to ${
        last.heapMiB.toFixed(1)
      } MiB ` +
      `over ${settled.length} samples`
  }
}
