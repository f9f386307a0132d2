/**
 * The benchmarks: our runtime and Erlang/OTP side by side on this machine.
 *
 * ```
 * npm run bench                        all groups
 * npm run bench -- local               one group
 *   --quick                            fewer and shorter rounds
 *   --only call_transition_1,cast      benchmarks that have one of these rows
 *   --json FILE                        the figures as an array of { name, unit, ours, erlang, ratio }
 *   --compare                          beside bench/baseline.json
 *   --update-baseline                  writes bench/baseline.json (rows that were not measured stay as they are)
 *   --no-erlang                        without Erlang
 *   --erlang-flags "+S 1:1"            extra flags for erl
 * ```
 *
 * Ends with 1 when a benchmark of ours or of Erlang's fails or its result is wrong. A missed target is printed and does not
 * change the exit code, because it may be the machine's fault.
 *
 * @since 0.1.0
 */
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { groups } from "./groups.ts"
import type { Benchmark, Group } from "./harness/Benchmark.ts"
import * as Erlang from "./harness/Erlang.ts"
import * as Measure from "./harness/Measure.ts"
import * as Report from "./harness/Report.ts"

const baselineFile = new URL("./baseline.json", import.meta.url)

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
    compare: { type: "boolean", default: false },
    "update-baseline": { type: "boolean", default: false },
    "no-erlang": { type: "boolean", default: false },
    "erlang-flags": { type: "string", default: "" }
  }
})

/** Memory is measured after a forced collection; started without `--expose-gc`, the flag is set here. */
const exposeCollector = (): void => {
  const scope = globalThis as { gc?: () => void }
  if (scope.gc !== undefined) return
  setFlagsFromString("--expose-gc")
  scope.gc = runInNewContext("gc") as () => void
}

const loud = (text: string): void => void process.stderr.write(`\n!!! ${text}\n\n`)

const startErlang = async (group: Group): Promise<Erlang.Erlang | undefined> => {
  if (options["no-erlang"]) return undefined
  const flags = options["erlang-flags"].split(" ").filter((flag) => flag !== "")
  const erlang = await Erlang.start(group.sources, [...flags, ...group.erlang?.flags ?? []], group.erlang?.env)
  if (erlang === undefined) {
    loud(
      `Erlang is not installed (erl, erlc): group "${group.name}" runs WITHOUT the comparison. Debian: apt-get install erlang-base`
    )
  }
  return erlang
}

const wanted = (benchmark: Benchmark): boolean => {
  const names = options.only?.split(",")
  return names === undefined || benchmark.rows.some((row) => names.includes(row.name))
}

let failed = false

const runGroup = async (name: string): Promise<ReadonlyArray<Measure.Result>> => {
  const group = await groups[name]!()
  const erlang = await startErlang(group)
  const results: Array<Measure.Result> = []
  const effort = options.quick ? Measure.effort.quick : Measure.effort.full
  try {
    process.stderr.write(`${name}: node ${process.version}; erlang ${erlang?.version ?? "missing"}\n`)
    for (const benchmark of group.benchmarks.filter(wanted)) {
      const names = benchmark.rows.map((row) => row.name).join(", ")
      const start = performance.now()
      try {
        results.push(...await Measure.measure(benchmark, erlang, effort))
        process.stderr.write(`  ${names}: ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
      } catch (error) {
        failed = true
        loud(`${names} FAILED: ${error instanceof Error ? error.stack : String(error)}`)
      }
    }
  } finally {
    await erlang?.stop()
    await group.close()
  }
  return results
}

const merge = (before: ReadonlyArray<Report.Entry>, now: ReadonlyArray<Report.Entry>): ReadonlyArray<Report.Entry> => {
  const fresh = new Map(now.map((entry) => [entry.name, entry]))
  const kept = before.map((entry) => {
    const update = fresh.get(entry.name)
    fresh.delete(entry.name)
    return update ?? entry
  })
  return [...kept, ...fresh.values()]
}

const main = async (): Promise<void> => {
  const unknown = positionals.filter((name) => !(name in groups))
  if (unknown.length > 0) {
    loud(`no such group: ${unknown.join(", ")}; there is ${Object.keys(groups).join(", ")}`)
    process.exitCode = 2
    return
  }
  exposeCollector()
  const start = performance.now()
  const results: Array<Measure.Result> = []
  for (const name of positionals.length > 0 ? positionals : Object.keys(groups)) results.push(...await runGroup(name))
  const entries = results.map(Report.toEntry)
  const baseline = options.compare ? await Report.read(baselineFile) : undefined
  if (options.compare && baseline === undefined) loud("no bench/baseline.json to compare with")
  process.stdout.write("\n" + Report.table(results, baseline) + "\n\n")
  process.stdout.write(Report.summary(results) + "\n")
  process.stdout.write(`took ${((performance.now() - start) / 1000).toFixed(0)} s\n`)
  if (options.json !== undefined) await Report.write(options.json, entries)
  if (options["update-baseline"]) {
    await Report.write(baselineFile, merge(await Report.read(baselineFile) ?? [], entries))
  }
  if (failed) process.exitCode = 1
}

await main()
