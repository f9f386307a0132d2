/**
 * Decides whether what clients saw of one register could have come from a register that does one thing at a time, each at some
 * moment between its invocation and its answer.
 *
 * The history is gone through in time. Kept is every way in which things may stand: the value, and which of the operations
 * under way have already taken effect. When an operation is answered, each way must get it done, with that very answer, by
 * letting operations under way take effect in some order; ways that cannot are dropped. When none is left there is no
 * explanation. (After Wing and Gong, with the pruning of Lowe.)
 *
 * An operation without an answer may take effect at any later time, or never. Written values are unique; one that nobody
 * ever saw may as well not have been written, if nobody was told that it was.
 */

/** What a client did, and what came of it. Times in any unit, on one clock. */
export interface Operation {
  readonly kind: "write" | "swap" | "read"
  /** What was written. */
  readonly value?: number
  /** What was read, by a read or swap. */
  readonly seen?: number
  readonly invoked: number
  /** Infinity when there was no answer. */
  readonly answered: number
}

interface Way {
  readonly value: number
  /** Operations under way that have taken effect. */
  readonly done: ReadonlySet<number>
}

/** The operation that has no explanation; undefined when all have one. */
export const unexplained = (history: ReadonlyArray<Operation>, initial = 0): Operation | undefined => {
  const seen = new Set(history.map((operation) => operation.seen))
  const operations = history.filter((operation) =>
    operation.answered !== Infinity || (operation.kind !== "read" && seen.has(operation.value))
  )
  const events = operations.flatMap((operation, id) => [
    { at: operation.invoked, id, answer: false },
    { at: operation.answered, id, answer: true }
  ]).filter(({ at }) => at !== Infinity)
    // Operations that touch at one moment overlap: that may only excuse more.
    .sort((a, b) => a.at - b.at || Number(a.answer) - Number(b.answer))
  const open = new Set<number>()
  let ways = new Map<string, Way>([["", { value: initial, done: new Set() }]])
  for (const { answer, id } of events) {
    if (!answer) {
      open.add(id)
      continue
    }
    const next = new Map<string, Way>()
    const visited = new Set<string>()
    const explore = (way: Way): void => {
      const key = keyOf(way)
      if (visited.has(key)) return
      visited.add(key)
      if (way.done.has(id)) {
        const done = new Set(way.done)
        done.delete(id)
        const kept = { value: way.value, done }
        next.set(keyOf(kept), kept)
        return
      }
      for (const candidate of open) {
        if (way.done.has(candidate)) continue
        const { kind, seen, value } = operations[candidate]!
        // One without an answer may have seen anything.
        if (kind !== "write" && seen !== undefined && seen !== way.value) continue
        explore({ value: kind === "read" ? way.value : value!, done: new Set(way.done).add(candidate) })
      }
    }
    for (const way of ways.values()) explore(way)
    if (next.size === 0) return operations[id]
    open.delete(id)
    ways = next
  }
  return undefined
}

const keyOf = ({ done, value }: Way): string => `${value}:${[...done].sort((a, b) => a - b).join()}`
