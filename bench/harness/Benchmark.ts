/**
 * What a benchmark is to the harness: named rows, a program of ours that yields a value for each, and the Erlang module
 * that does the same work.
 *
 * A program does its own timing, so that preparing and clearing away stay out of the figure, and checks its own result, so
 * that it cannot measure nothing. It is called again and again with a count the harness chose, in one warm process.
 *
 * @since 0.1.0
 */

/**
 * What a value is counted in: `%` is a share of one processor, `x` a multiple of something else. Smaller is better for all of
 * them but `1/s` and `x`.
 *
 * @category models
 * @since 0.1.0
 */
export type Unit = "ns" | "us" | "ms" | "B" | "1/s" | "%" | "x"

/**
 * A bound a row is held to: a share of Erlang's figure in the same run, or an absolute one with the levels must, goal
 * and stretch.
 *
 * @category models
 * @since 0.1.0
 */
export type Target =
  | { readonly _tag: "Ratio"; readonly atMost: number; readonly floor?: number }
  | { readonly _tag: "Absolute"; readonly must: number; readonly goal: number; readonly stretch?: number }

/**
 * A share of Erlang's figure: `atMost` is the target, `floor` what is acceptable at least.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ratio = (atMost: number, floor?: number): Target =>
  floor === undefined ? { _tag: "Ratio", atMost } : { _tag: "Ratio", atMost, floor }

/**
 * An absolute bound in the unit of the row.
 *
 * @category constructors
 * @since 0.1.0
 */
export const absolute = (must: number, goal: number, stretch?: number): Target =>
  stretch === undefined
    ? { _tag: "Absolute", must, goal }
    : { _tag: "Absolute", must, goal, stretch }

/**
 * One line of the table.
 *
 * - `name` is also the key of our value in the answer of the program.
 * - `erlang` is the key of Erlang's value in the answer of the module; without one the row has no counterpart.
 * - `per` is how many operations one value stands for, for the rate that is printed (default 1; 0 prints none).
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly name: string
  readonly unit: Unit
  readonly erlang?: string
  readonly target?: Target
  readonly per?: number
}

/**
 * Values by row name.
 *
 * @category models
 * @since 0.1.0
 */
export type Values = Readonly<Record<string, number>>

/**
 * How often a program repeats its operation in one round: found by trial so that a round takes the budgeted time, from
 * `start` up to `max`, or always the same.
 *
 * @category models
 * @since 0.1.0
 */
export type Count =
  | { readonly _tag: "Calibrated"; readonly start: number; readonly max: number }
  | { readonly _tag: "Fixed"; readonly count: number; readonly warmup: number }

/**
 * A count that is found by trial.
 *
 * @category constructors
 * @since 0.1.0
 */
export const calibrated = (start: number, max: number): Count => ({ _tag: "Calibrated", start, max })

/**
 * A count that is always the same, after a warm-up with a smaller one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fixed = (count: number, warmup: number): Count => ({ _tag: "Fixed", count, warmup })

/**
 * One piece of work, done by both sides.
 *
 * `rounds` lowers the number of rounds for work that is slow by nature.
 *
 * @category models
 * @since 0.1.0
 */
export interface Benchmark {
  readonly rows: ReadonlyArray<Row>
  readonly module?: string
  readonly count: Count
  readonly rounds?: number
  readonly ours: (count: number) => Promise<Values>
}

/**
 * Benchmarks that belong together, for example all local work.
 *
 * `sources` is the folder with the Erlang modules; `erlang` is what their node needs besides; `close` ends what the group
 * has started.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group {
  readonly name: string
  readonly sources: URL
  readonly erlang?: { readonly flags: ReadonlyArray<string>; readonly env: Readonly<Record<string, string>> }
  readonly benchmarks: ReadonlyArray<Benchmark>
  readonly close: () => Promise<void>
}
