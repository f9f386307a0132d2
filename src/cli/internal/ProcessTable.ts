/**
 * Processes as a table, and their order in it.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import type { ProcessFacts } from "./ProcessFacts.ts"
import { type Column, table } from "./Table.ts"
import { bytes, cut, printable } from "./Text.ts"

/** By what processes can be sorted. */
export type Sort = "reductions" | "memory" | "messages" | "name"

/** The flag for it. */
export const sortFlag: Flag.Flag<Sort> = Flag.Literals("sort", ["reductions", "memory", "messages", "name"]).pipe(
  Flag.withDescription("What comes first: the most of something, or the first name")
)

/** The name of a process, or what it runs. */
export const nameOf = ({ initialCall, name }: ProcessFacts): string => name ?? initialCall ?? ""

/** The most first, or the first name; what is equal stays in its order. */
export const sorted = <A extends ProcessFacts>(all: ReadonlyArray<A>, by: Sort): ReadonlyArray<A> =>
  all.toSorted((a, b) => {
    if (by !== "name") return b[by] - a[by]
    const [left, right] = [nameOf(a), nameOf(b)]
    return left < right ? -1 : left > right ? 1 : 0
  })

/** The columns that every table of processes begins and ends with. */
export const columns = <A extends ProcessFacts>(
  between: ReadonlyArray<Column<A>> = []
): ReadonlyArray<Column<A>> => [
  { title: "PID", of: ({ pid }) => pid },
  { title: "NAME", of: (process) => cut(printable(nameOf(process)), 40) },
  { title: "REDUCTIONS", of: ({ reductions }) => String(reductions), align: "right" },
  ...between,
  // Not every node knows it.
  { title: "MEMORY", of: ({ memory }) => memory === 0 ? "-" : bytes(memory), align: "right" },
  { title: "MESSAGES", of: ({ messages }) => String(messages), align: "right" },
  { title: "CURRENT", of: ({ currentFunction }) => printable(currentFunction) }
]

/** The table. */
export const text = (processes: ReadonlyArray<ProcessFacts>): string => table(columns(), processes)
