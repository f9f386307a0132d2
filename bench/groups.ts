/**
 * The groups of benchmarks, loaded when asked for. A new group is a folder with an `index.ts` that exports `load`, and a
 * line here.
 *
 * @since 0.1.0
 */
import type { Group } from "./harness/Benchmark.ts"

/**
 * Groups by the name they have on the command line.
 *
 * @category groups
 * @since 0.1.0
 */
export const groups: Readonly<Record<string, () => Promise<Group>>> = {
  local: async () => (await import("./local/index.ts")).load(),
  etf: async () => (await import("./etf/index.ts")).load(),
  network: async () => (await import("./network/index.ts")).load(),
  flows: async () => (await import("./flows/index.ts")).load(),
  traffic: async () => (await import("./traffic/index.ts")).load()
}
