/**
 * Tables in columns, as wide as what they hold.
 *
 * @since 0.1.0
 */
import { cut, pad } from "./Text.ts"

/** A column: its title and what stands in it. */
export interface Column<in A> {
  readonly title: string
  readonly of: (row: A) => string
  /** Numbers stand on the right. */
  readonly align?: "left" | "right"
}

/** The table, without a line break at its end; no line is longer than `width`. */
export const table = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  width: number = Infinity
): string => {
  const cells = rows.map((row) => columns.map(({ of }) => of(row)))
  const widths = columns.map(({ title }, i) =>
    cells.reduce((most, row) => Math.max(most, Array.from(row[i]!).length), title.length)
  )
  return [columns.map(({ title }) => title), ...cells].map((line) =>
    cut(line.map((cell, i) => pad(cell, widths[i]!, columns[i]!.align ?? "left")).join("  ").trimEnd(), width)
  ).join("\n")
}
