/**
 * The few statistics a table of medians needs.
 *
 * @since 0.1.0
 */

/**
 * What is kept of the rounds of one side of one row.
 *
 * @category models
 * @since 0.1.0
 */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

const ascending = (values: ReadonlyArray<number>): Array<number> => [...values].sort((a, b) => a - b)

/**
 * Nearest-rank percentile, the same rule as on the Erlang side. The list must not be empty.
 *
 * @category statistics
 * @since 0.1.0
 */
export const percentile = (fraction: number, values: ReadonlyArray<number>): number =>
  ascending(values)[Math.max(1, Math.ceil(fraction * values.length)) - 1]!

/**
 * Median and spread. The list must not be empty.
 *
 * @category statistics
 * @since 0.1.0
 */
export const summarize = (values: ReadonlyArray<number>): Summary => {
  const sorted = ascending(values)
  const middle = sorted.length >> 1
  return {
    median: sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2,
    min: sorted[0]!,
    max: sorted[sorted.length - 1]!
  }
}

/**
 * Least-squares slope of `y` over `x`. Needs two points or more with different `x`.
 *
 * @category statistics
 * @since 0.1.0
 */
export const slope = (points: ReadonlyArray<{ readonly x: number; readonly y: number }>): number => {
  const meanX = points.reduce((sum, p) => sum + p.x, 0) / points.length
  const meanY = points.reduce((sum, p) => sum + p.y, 0) / points.length
  let above = 0
  let below = 0
  for (const { x, y } of points) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  return above / below
}
