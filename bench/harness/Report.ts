/**
 * How results are shown, kept as JSON and set beside a baseline.
 *
 * The JSON is an array of `{ name, unit, ours, erlang, ratio }`; `ratio` is our figure divided by Erlang's, so below 1 we are
 * faster or smaller, and `erlang` and `ratio` are null where there is nothing to compare with.
 *
 * @since 0.1.0
 */
import { readFile, writeFile } from "node:fs/promises"
import type { Row, Target, Unit } from "./Benchmark.ts"
import type { Result } from "./Measure.ts"
import type { Summary } from "./Statistics.ts"

/**
 * One record of the JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly name: string
  readonly unit: Unit
  readonly ours: number
  readonly erlang: number | null
  readonly ratio: number | null
}

const significant = (value: number): number => Number(value.toPrecision(5))

/**
 * The record of a result, with five significant digits.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toEntry = (result: Result): Entry => ({
  name: result.row.name,
  unit: result.row.unit,
  ours: significant(result.ours.median),
  erlang: result.erlang === null ? null : significant(result.erlang.median),
  ratio: result.ratio === null ? null : significant(result.ratio)
})

/**
 * Writes records, one per line, so that a changed figure is a changed line.
 *
 * @category files
 * @since 0.1.0
 */
export const write = (file: string | URL, entries: ReadonlyArray<Entry>): Promise<void> =>
  writeFile(file, "[\n" + entries.map((entry) => "  " + JSON.stringify(entry)).join(",\n") + "\n]\n")

/**
 * Reads records; `undefined` when there is no such file.
 *
 * @category files
 * @since 0.1.0
 */
export const read = async (file: string | URL): Promise<ReadonlyArray<Entry> | undefined> => {
  try {
    return JSON.parse(await readFile(file, "utf8")) as ReadonlyArray<Entry>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

/**
 * How a row stands to its target: `ok`, `floor` (acceptable, short of the target), `MISS`; for absolute targets the level
 * that is reached; `-` without a target or without Erlang.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const verdict = (result: Result): "ok" | "floor" | "MISS" | "stretch" | "goal" | "must" | "-" => {
  const { target } = result.row
  if (target === undefined) return "-"
  if (target._tag === "Absolute") {
    if (result.row.unit === "1/s" || result.row.unit === "x") return rateVerdict(result.ours.median, target)
    const value = result.ours.median
    if (target.stretch !== undefined && value <= target.stretch) return "stretch"
    return value <= target.goal ? "goal" : value <= target.must ? "must" : "MISS"
  }
  if (result.ratio === null) return "-"
  if (result.ratio <= target.atMost) return "ok"
  return target.floor !== undefined && result.ratio <= target.floor ? "floor" : "MISS"
}

const rateVerdict = (
  value: number,
  { goal, must, stretch }: Extract<Target, { readonly _tag: "Absolute" }>
): "stretch" | "goal" | "must" | "MISS" => {
  if (stretch !== undefined && value >= stretch) return "stretch"
  return value >= goal ? "goal" : value >= must ? "must" : "MISS"
}

const digits = (value: number): string =>
  value >= 1000
    ? Math.round(value).toString()
    : value >= 100
    ? value.toFixed(0)
    : value >= 10
    ? value.toFixed(1)
    : value.toFixed(2)

const spread = (summary: Summary | null): string =>
  summary === null ? "-" : `${digits(summary.median)} (${digits(summary.min)}..${digits(summary.max)})`

const perSecond: Record<Unit, number> = { ns: 1e9, us: 1e6, ms: 1e3, B: 0, "1/s": 0, "%": 0, x: 0 }

const rate = (row: Row, value: number): string => {
  const each = perSecond[row.unit] * (row.per ?? 1) / value
  if (each === 0) return "-"
  return each >= 1e6
    ? `${(each / 1e6).toFixed(2)} M/s`
    : each >= 1e3
    ? `${(each / 1e3).toFixed(1)} k/s`
    : `${each.toFixed(1)} /s`
}

const bound = (target: Target | undefined): string => {
  if (target === undefined) return "-"
  if (target._tag === "Absolute") {
    return [target.must, target.goal, target.stretch].filter((n) => n !== undefined).join(" / ")
  }
  const short = (n: number): string => `${Number(n.toPrecision(2))}x`
  return target.floor === undefined ? short(target.atMost) : `${short(target.atMost)} (${short(target.floor)})`
}

/**
 * The table, with a column for the baseline when one is given. `change` compares ratios where both have one, else our own
 * figures; minus is better.
 *
 * @category rendering
 * @since 0.1.0
 */
export const table = (results: ReadonlyArray<Result>, baseline?: ReadonlyArray<Entry>): string => {
  const head = [
    "name",
    "unit",
    "ours (min..max)",
    "erlang (min..max)",
    "ratio",
    "target",
    "verdict",
    "our rate",
    "erlang rate"
  ]
  if (baseline !== undefined) head.push("baseline", "change")
  const lines = results.map((result) => {
    const { row } = result
    const cells = [
      row.name,
      row.unit,
      spread(result.ours),
      spread(result.erlang),
      result.ratio === null ? "-" : `${result.ratio.toFixed(2)}x`,
      bound(row.target),
      verdict(result),
      rate(row, result.ours.median),
      result.erlang === null ? "-" : rate(row, result.erlang.median)
    ]
    if (baseline !== undefined) cells.push(...beside(result, baseline))
    return cells
  })
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((cells) => cells[column]!.length)))
  const render = (cells: ReadonlyArray<string>): string =>
    cells.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join("  ")
  return [render(head), widths.map((width) => "-".repeat(width)).join("  "), ...lines.map(render)].join("\n")
}

const beside = (result: Result, baseline: ReadonlyArray<Entry>): [string, string] => {
  const entry = baseline.find((entry) => entry.name === result.row.name)
  if (entry === undefined) return ["-", "new"]
  const [before, now] = entry.ratio !== null && result.ratio !== null
    ? [entry.ratio, result.ratio]
    : [entry.ours, result.ours.median]
  const change = (now / before - 1) * 100
  const shown = entry.ratio === null ? digits(entry.ours) : `${entry.ratio.toFixed(2)}x`
  return [shown, `${change >= 0 ? "+" : ""}${change.toFixed(0)} %`]
}

/**
 * One line that says how many rows reach their target, and which do not.
 *
 * @category rendering
 * @since 0.1.0
 */
export const summary = (results: ReadonlyArray<Result>): string => {
  const judged = results.filter((result) => verdict(result) !== "-")
  const named = (verdicts: ReadonlyArray<string>): string => {
    const rows = judged.filter((result) => verdicts.includes(verdict(result)))
    return rows.length === 0 ? "none" : rows.map((result) => result.row.name).join(", ")
  }
  const reached = judged.filter((result) => ["ok", "goal", "stretch"].includes(verdict(result))).length
  return `${reached} of ${judged.length} rows reach their target; acceptable but short of it: ${
    named(["floor", "must"])
  }; missed: ${named(["MISS"])}`
}
