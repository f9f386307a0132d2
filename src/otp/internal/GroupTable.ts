/**
 * Groups and their members as a scope keeps them, and the two faces of a group's name: as people write it, and as it
 * travels.
 *
 * @since 0.1.0
 */
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Etf from "../../etf/EtfSchema.ts"
import { Atom } from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"

const text = Etf.compile(Schema.String)
const anything = Etf.compile(Schema.Unknown)

/** A group as it travels: a string is a binary. Undefined when it is no term. */
export const toWire = (group: string | Term): Term | undefined =>
  typeof group === "string"
    ? Result.getOrUndefined(text.toTerm(group))
    : typeof group === "number" || Result.isSuccess(anything.encode(group))
    ? group
    : undefined

/** A group as people write it: a binary that is text is a string. */
export const fromWire = (term: Term): string | Term =>
  term instanceof Uint8Array ? Result.getOrElse(text.fromTerm(term), () => term) : term

/** The pids of a term that is one, or a list of them; undefined when it is neither. */
export const pidsOf = (term: unknown): ReadonlyArray<Pid> | undefined =>
  isPid(term) ? [term] : Array.isArray(term) && term.every(isPid) ? term : undefined

/** A map by pid. */
export class PidMap<V> {
  private readonly map: Map<string, readonly [Pid, V]> = new Map()

  get size(): number {
    return this.map.size
  }

  get(pid: Pid): V | undefined {
    return this.map.get(pidKey(pid))?.[1]
  }

  set(pid: Pid, value: V): void {
    this.map.set(pidKey(pid), [pid, value])
  }

  delete(pid: Pid): void {
    this.map.delete(pidKey(pid))
  }

  [Symbol.iterator](): Iterator<readonly [Pid, V]> {
    return this.map.values()
  }
}

const pidKey = (pid: Pid): string => `${pid.id}.${pid.serial}.${pid.creation}.${pid.node}`

/** A map by term, compared as Erlang does it. What most groups are called is found by its text. */
export class TermMap<V> {
  private readonly simple: Map<string | number, readonly [Term, V]> = new Map()
  private readonly others: MutableHashMap.MutableHashMap<Tuple, readonly [Term, V]> = MutableHashMap.empty()

  get(term: Term): V | undefined {
    const key = simpleKey(term)
    return key !== undefined
      ? this.simple.get(key)?.[1]
      : Option.getOrUndefined(MutableHashMap.get(this.others, new Tuple([term])))?.[1]
  }

  set(term: Term, value: V): void {
    const key = simpleKey(term)
    if (key !== undefined) this.simple.set(key, [term, value])
    // Whatever JavaScript takes for equal: elements of a tuple are compared as terms.
    else MutableHashMap.set(this.others, new Tuple([term]), [term, value])
  }

  delete(term: Term): void {
    const key = simpleKey(term)
    if (key !== undefined) this.simple.delete(key)
    else MutableHashMap.remove(this.others, new Tuple([term]))
  }

  get size(): number {
    return this.simple.size + MutableHashMap.size(this.others)
  }

  *[Symbol.iterator](): Iterator<readonly [Term, V]> {
    yield* this.simple.values()
    yield* MutableHashMap.values(this.others)
  }
}

/** Atoms, numbers and short binaries; undefined of anything else. */
const simpleKey = (term: Term): string | number | undefined => {
  if (typeof term === "number") return Object.is(term, -0) ? undefined : term
  if (term instanceof Atom) return `a${term.name}`
  return term instanceof Uint8Array && term.length <= 256 ? `b${String.fromCharCode(...term)}` : undefined
}

/** Adds to a count; what becomes nothing is taken out. The count before. */
const change = <K>(
  map: { get(key: K): number | undefined; set(key: K, count: number): void; delete(key: K): void },
  key: K,
  by: number
): number => {
  const count = map.get(key) ?? 0
  if (count + by > 0) map.set(key, count + by)
  else if (count > 0) map.delete(key)
  return count
}

/** The groups of one process, each as often as it is in. */
export class Memberships {
  private readonly counts: TermMap<number> = new TermMap()

  add(group: Term): void {
    change(this.counts, group, 1)
  }

  remove(group: Term): void {
    change(this.counts, group, -1)
  }

  get isEmpty(): boolean {
    return this.counts.size === 0
  }

  /** Each as often as the process is in. */
  list(): ReadonlyArray<Term> {
    return repeated(this.counts)
  }
}

/** Which processes are in which groups, each as often as it has joined. */
export class GroupTable {
  private readonly entries: TermMap<PidMap<number>> = new TermMap()

  static from(groups: Iterable<readonly [Term, ReadonlyArray<Pid>]>): GroupTable {
    const table = new GroupTable()
    for (const [group, pids] of groups) table.add(group, pids)
    return table
  }

  add(group: Term, pids: ReadonlyArray<Pid>): void {
    if (pids.length === 0) return
    let counts = this.entries.get(group)
    if (counts === undefined) this.entries.set(group, counts = new PidMap())
    for (const pid of pids) change(counts, pid, 1)
  }

  /** Takes each pid out once; those that were in. */
  remove(group: Term, pids: ReadonlyArray<Pid>): ReadonlyArray<Pid> {
    const counts = this.entries.get(group)
    if (counts === undefined) return []
    const removed = pids.filter((pid) => change(counts, pid, -1) > 0)
    if (counts.size === 0) this.entries.delete(group)
    return removed
  }

  /** The members of a group, each as often as it is in. */
  members(group: Term): ReadonlyArray<Pid> {
    const counts = this.entries.get(group)
    return counts === undefined ? [] : repeated(counts)
  }

  get groups(): ReadonlyArray<Term> {
    return [...this.entries].map(([group]) => group)
  }

  /** All groups with their members. */
  snapshot(): ReadonlyArray<readonly [Term, ReadonlyArray<Pid>]> {
    return [...this.entries].map(([group, counts]) => [group, repeated(counts)] as const)
  }

  /** The members of a group that are in it more often here than there, as often as that. */
  beyond(group: Term, other: GroupTable): ReadonlyArray<Pid> {
    const counts = this.entries.get(group)
    if (counts === undefined) return []
    const theirs = other.entries.get(group)
    return repeated([...counts].map(([pid, count]) => [pid, count - (theirs?.get(pid) ?? 0)] as const))
  }
}

const repeated = <K>(counts: Iterable<readonly [K, number]>): ReadonlyArray<K> => {
  const list: Array<K> = []
  for (const [key, count] of counts) for (let i = 0; i < count; i++) list.push(key)
  return list
}
