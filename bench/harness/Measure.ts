/**
 * Rounds: warms both sides up, finds how much work fills a round, then measures ours and Erlang's in turn.
 *
 * A forced collection before each benchmark keeps the garbage of one out of the next. There is none between rounds: it
 * makes V8 throw optimised code away (what it had specialised on is gone), and a round would measure the compiler.
 *
 * @since 0.1.0
 */
import type { Benchmark, Row, Values } from "./Benchmark.ts"
import type { Erlang } from "./Erlang.ts"
import { summarize, type Summary } from "./Statistics.ts"

/**
 * How long and how often.
 *
 * @category models
 * @since 0.1.0
 */
export interface Effort {
  readonly rounds: number
  readonly roundMillis: number
  /** How long each side works before anything is measured. */
  readonly warmupMillis: number
  /** How many of its rounds a benchmark that is slow by nature does. */
  readonly slowShare: number
}

/**
 * The effort of a whole run, and of a quick one.
 *
 * @category models
 * @since 0.1.0
 */
export const effort: { readonly full: Effort; readonly quick: Effort } = {
  full: { rounds: 9, roundMillis: 250, warmupMillis: 1500, slowShare: 1 },
  quick: { rounds: 3, roundMillis: 100, warmupMillis: 300, slowShare: 0.4 }
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
  ;(globalThis as { gc?: () => void }).gc?.()
}

const elapsed = async (side: Side, count: number): Promise<number> => {
  const start = performance.now()
  await side(count)
  return performance.now() - start
}

/**
 * Runs the side with growing counts until a round takes about as long as it should and the warm-up is over. Which count that
 * is may still fall while the side gets faster, so that the last trials decide.
 */
const calibrate = async (side: Side, benchmark: Benchmark, effort: Effort): Promise<number> => {
  const { count } = benchmark
  if (count._tag === "Fixed") {
    await side(count.warmup)
    return count.count
  }
  const start = performance.now()
  let current = count.start
  for (;;) {
    const factor = effort.roundMillis / Math.max(await elapsed(side, current), 0.01)
    const next = Math.min(count.max, Math.max(count.start, Math.round(current * Math.min(factor, 8))))
    const settled = next === current || (factor < 1.3 && factor > 0.7)
    current = next
    if (settled && performance.now() - start > effort.warmupMillis) return current
  }
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
  collect()
  const ourCount = await calibrate(benchmark.ours, benchmark, effort)
  const theirCount = theirs === undefined ? 0 : await calibrate(theirs, benchmark, effort)
  const ourValues: Array<Values> = []
  const theirValues: Array<Values> = []
  const rounds = benchmark.rounds === undefined ? effort.rounds : Math.ceil(benchmark.rounds * effort.slowShare)
  for (let round = 0; round < rounds; round++) {
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
