/**
 * Rounds: warms both sides up, finds how much work fills a round, then measures ours and Erlang's in turn.
 *
 * A forced collection before each of our rounds keeps the garbage of one benchmark out of the next; what a round leaves
 * behind itself is collected on its own time.
 *
 * @since 0.1.0
 */
import type { Benchmark, Row, Values } from "./Benchmark.ts"
import type { Erlang } from "./Erlang.ts"
import { type Summary, summarize } from "./Statistics.ts"

/**
 * How long and how often.
 *
 * @category models
 * @since 0.1.0
 */
export interface Effort {
  readonly rounds: number
  readonly roundMillis: number
}

/**
 * The effort of a whole run, and of a quick one.
 *
 * @category models
 * @since 0.1.0
 */
export const effort: { readonly full: Effort; readonly quick: Effort } = {
  full: { rounds: 9, roundMillis: 200 },
  quick: { rounds: 3, roundMillis: 60 }
}

/**
 * A measured row. `erlang` is null without a counterpart or without Erlang.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result {
  readonly row: Row
  readonly ours: Summary
  readonly erlang: Summary | null
  readonly ratio: number | null
}

type Side = (count: number) => Promise<Values>

const collect = (): void => {
  (globalThis as { gc?: () => void }).gc?.()
}

const elapsed = async (side: Side, count: number): Promise<number> => {
  const start = performance.now()
  await side(count)
  return performance.now() - start
}

/** Runs the side with growing counts until a round takes about as long as it should; that is its warm-up as well. */
const calibrate = async (side: Side, benchmark: Benchmark, roundMillis: number): Promise<number> => {
  const { count } = benchmark
  if (count._tag === "Fixed") {
    await side(count.warmup)
    return count.count
  }
  let current = count.start
  for (let attempt = 0; attempt < 12; attempt++) {
    const millis = await elapsed(side, current)
    const factor = roundMillis / Math.max(millis, 0.01)
    if (factor < 1.3 && factor > 0.5 && attempt > 1) return current
    const next = Math.min(count.max, Math.max(count.start, Math.round(current * Math.min(factor, 8))))
    if (next === current && attempt > 1) return current
    current = next
  }
  return current
}

/**
 * Measures one benchmark, rounds of both sides alternating, and yields a result for each of its rows.
 *
 * @category running
 * @since 0.1.0
 */
export const measure = async (
  benchmark: Benchmark,
  erlang: Erlang | undefined,
  effort: Effort
): Promise<ReadonlyArray<Result>> => {
  const { module } = benchmark
  const theirs: Side | undefined = erlang === undefined || module === undefined
    ? undefined
    : (count) => erlang.run(module, count)
  const ourCount = await calibrate(benchmark.ours, benchmark, effort.roundMillis)
  const theirCount = theirs === undefined ? 0 : await calibrate(theirs, benchmark, effort.roundMillis)
  const ourValues: Array<Values> = []
  const theirValues: Array<Values> = []
  const rounds = Math.min(effort.rounds, benchmark.rounds ?? effort.rounds)
  for (let round = 0; round < rounds; round++) {
    collect()
    ourValues.push(await benchmark.ours(ourCount))
    if (theirs !== undefined) theirValues.push(await theirs(theirCount))
  }
  return benchmark.rows.map((row): Result => {
    const key = row.erlang
    const ours = summarize(ourValues.map((values) => valueOf(values, row.name, "our program")))
    const erlang = key === undefined || theirValues.length === 0
      ? null
      : summarize(theirValues.map((values) => valueOf(values, key, module!)))
    return { row, ours, erlang, ratio: erlang === null ? null : ours.median / erlang.median }
  })
}

const valueOf = (values: Values, name: string, source: string): number => {
  const value = values[name]
  if (value === undefined || !Number.isFinite(value)) {
    throw new Error(`${source} gave no value for "${name}": ${JSON.stringify(values)}`)
  }
  return value
}
