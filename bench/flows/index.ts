/**
 * The group `flows`: agreement among processes. Erlang/OTP has no counterpart.
 *
 * @since 0.1.0
 */
import type { Group } from "../harness/Benchmark.ts"
import * as Commits from "./Commits.ts"

/** Loads the group. */
export const load = (): Group => {
  const commits = Commits.load()
  return {
    name: "flows",
    sources: new URL("../erlang/", import.meta.url),
    benchmarks: commits.benchmarks,
    close: commits.close
  }
}
