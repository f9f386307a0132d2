/**
 * What `effect-otp top` shows and how it reacts: a picture of a state, and the next state for a key or for new facts. It
 * knows neither terminal nor network.
 *
 * @since 0.1.0
 */
import { type LoadFacts, ownRelease } from "./LoadFacts.ts"
import type { ProcessFacts } from "./ProcessFacts.ts"
import * as ProcessTable from "./ProcessTable.ts"
import { table } from "./Table.ts"
import { bytes, cut, printable, time } from "./Text.ts"

/** A node at one moment. */
export interface Snapshot {
  readonly node: string
  /** When it was taken, in milliseconds. */
  readonly at: number
  readonly facts: LoadFacts
  readonly processes: ReadonlyArray<ProcessFacts>
}

/** A process with what it has done per second since the last snapshot; none in the first. */
interface Row extends ProcessFacts {
  readonly rate: number | undefined
}

/** What is shown. */
export interface View {
  readonly snapshot: Snapshot | undefined
  readonly previous: Snapshot | undefined
  readonly sort: ProcessTable.Sort
  /** How many rows are above the first that is shown. */
  readonly offset: number
  readonly size: Size
}

/** The room that there is. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** What happens to a view. */
export type Event =
  | { readonly _tag: "Snapshot"; readonly snapshot: Snapshot }
  | { readonly _tag: "Resized"; readonly size: Size }
  | { readonly _tag: "Key"; readonly name: string }

/** How many rows of a screen are no processes. */
const headRows = 4

/** Before anything is known. */
export const initial = (sort: ProcessTable.Sort): View => ({
  snapshot: undefined,
  previous: undefined,
  sort,
  offset: 0,
  size: { columns: 80, rows: 24 }
})

const sorts: { readonly [key: string]: ProcessTable.Sort } = {
  r: "reductions",
  m: "memory",
  w: "messages",
  n: "name"
}

const scrolled = (view: View, by: number): View => {
  const last = Math.max(0, (view.snapshot?.processes.length ?? 0) - 1)
  return { ...view, offset: Math.min(last, Math.max(0, view.offset + by)) }
}

/** The view after an event; undefined when it is the end. */
export const update = (view: View, event: Event): View | undefined => {
  switch (event._tag) {
    case "Snapshot":
      return scrolled({ ...view, previous: view.snapshot, snapshot: event.snapshot }, 0)
    case "Resized": {
      // Some terminals do not know how large they are.
      const { columns, rows } = event.size
      return { ...view, size: { columns: columns || 80, rows: rows || 24 } }
    }
    case "Key":
      return pressed(view, event.name)
  }
}

const pressed = (view: View, key: string): View | undefined => {
  const page = Math.max(1, view.size.rows - headRows)
  switch (key) {
    case "q":
      return undefined
    case "down":
      return scrolled(view, 1)
    case "up":
      return scrolled(view, -1)
    case "pagedown":
      return scrolled(view, page)
    case "pageup":
      return scrolled(view, -page)
    case "home":
      return { ...view, offset: 0 }
    default:
      return Object.hasOwn(sorts, key) ? { ...view, sort: sorts[key]!, offset: 0 } : view
  }
}

const perSecond = (now: number, before: number, millis: number): number =>
  millis <= 0 ? 0 : Math.max(0, (now - before) / (millis / 1000))

/** Sorted by work, what has worked since the last snapshot comes first. */
const rows = ({ previous, snapshot, sort }: View & { readonly snapshot: Snapshot }): ReadonlyArray<Row> => {
  const before = new Map(previous?.processes.map(({ pid, reductions }) => [pid, reductions]))
  const millis = snapshot.at - (previous?.at ?? snapshot.at)
  const rated = snapshot.processes.map((process): Row => ({
    ...process,
    rate: previous === undefined
      ? undefined
      : perSecond(process.reductions, before.get(process.pid) ?? 0, millis)
  }))
  const all = ProcessTable.sorted(rated, sort)
  return sort === "reductions" && previous !== undefined ? all.toSorted((a, b) => b.rate! - a.rate!) : all
}

/** The head: what the node says of itself. */
const head = ({ facts, node, processes, at }: Snapshot, previous: Snapshot | undefined): string => {
  const millis = at - (previous?.at ?? at)
  const rates = previous === undefined ? [] : [
    `busy ${Math.round(perSecond(facts.busyMillis, previous.facts.busyMillis, millis) / 10)} %`,
    `in ${bytes(Math.round(perSecond(facts.input, previous.facts.input, millis)))}/s`,
    `out ${bytes(Math.round(perSecond(facts.output, previous.facts.output, millis)))}/s`
  ]
  return [
    node,
    facts.release === ownRelease ? facts.release : `Erlang/OTP ${printable(facts.release)}`,
    `up ${time(facts.uptimeMillis)}`,
    `${processes.length} processes`,
    `memory ${bytes(facts.memory)}`,
    ...rates
  ].join("  ")
}

/** The picture: its lines, as many and as long as there is room for. */
export const render = (view: View): ReadonlyArray<string> => {
  const { offset, previous, size, snapshot, sort } = view
  if (snapshot === undefined) return [cut("waiting for the first answer; q quits", size.columns)]
  const keys = `by ${sort}   sort: r reductions, m memory, w waiting messages, n name   scroll: arrows   quit: q`
  const lines = [cut(head(snapshot, previous), size.columns), cut(keys, size.columns), ""]
  const shown = rows({ ...view, snapshot }).slice(offset, offset + Math.max(0, size.rows - headRows))
  const columns = ProcessTable.columns<Row>([
    { title: "PER SECOND", of: ({ rate }) => rate === undefined ? "-" : rate.toFixed(0), align: "right" }
  ])
  return [...lines, ...table(columns, shown, size.columns).split("\n")].slice(0, size.rows)
}

/** One snapshot as a text. */
export const still = (snapshot: Snapshot, sort: ProcessTable.Sort, limit: number): string =>
  [head(snapshot, undefined), "", ProcessTable.text(ProcessTable.sorted(snapshot.processes, sort).slice(0, limit))]
    .join("\n")
