/**
 * The group `local`: everything that happens inside of one node.
 *
 * @since 0.1.0
 */
import type { Group } from "../harness/Benchmark.ts"
import * as Counter from "./Counter.ts"
import { runtime } from "./Program.ts"
import * as Signals from "./Signals.ts"
import * as Supervisors from "./Supervisors.ts"
import * as Timers from "./Timers.ts"
import * as Traffic from "./Traffic.ts"

/** Loads the group. */
export const load = (): Group => ({
  name: "local",
  sources: new URL("../erlang/", import.meta.url),
  benchmarks: [
    ...Counter.benchmarks,
    ...Supervisors.benchmarks,
    ...Signals.benchmarks,
    ...Timers.benchmarks,
    ...Traffic.benchmarks
  ],
  close: () => runtime.dispose()
})
