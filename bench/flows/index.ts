/**
 * The group `flows`: stages, and agreement among processes. Erlang/OTP has no counterpart.
 *
 * @since 0.1.0
 */
import type { Group } from "../harness/Benchmark.ts"
import * as Commits from "./Commits.ts"
import * as Pipe from "./Pipe.ts"
import * as Transfers from "./Transfers.ts"

/** Loads the group. */
export const load = (): Group => {
  const parts = [Pipe.load(), Commits.load(), Transfers.load()]
  return {
    name: "flows",
    sources: new URL("../erlang/", import.meta.url),
    benchmarks: parts.flatMap(({ benchmarks }) => benchmarks),
    close: async () => {
      for (const { close } of parts) await close()
    }
  }
}
