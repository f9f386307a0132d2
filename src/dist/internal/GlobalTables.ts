/**
 * What a node that takes part in `global` knows: names, locks, the nodes of its partition, and the meetings with others that are
 * under way.
 *
 * Only the name server changes it, in its own turns; everybody on this node may look.
 *
 * @since 0.1.0
 */
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import { Atom } from "../../term/Atom.ts"
import type { Pid } from "../../term/Pid.ts"
import { equals as samePid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import { equals as sameTerm, type Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"

/** A name and its process. `method` decides between two processes of one name. */
export interface NameEntry {
  readonly name: Term
  readonly pid: Pid
  readonly method: Term
  readonly ref: Reference
}

/** Who holds a lock. All holders share one requester. */
export interface LockEntry {
  readonly resource: Term
  readonly requester: Term
  readonly holders: ReadonlyArray<{ readonly pid: Pid; readonly ref: Reference }>
}

/** The meeting with a node that has just connected: from its `nodeup` until both have each other's names. */
export interface Session {
  readonly node: string
  /** Tells this meeting from earlier ones with the same node. */
  readonly myTag: number
  hisTag: Term | undefined
  version: number
  /** Whether the other has introduced itself. */
  introduced: boolean
  /** The own lock is set, or the other was faster and these are its names. */
  waiting: "nothing" | "locked" | ReadonlyArray<Term>
  /** What this node found, or what the other has told before that. */
  operations:
    | ReadonlyArray<Term>
    | { readonly known: ReadonlyArray<Term>; readonly resolved: ReadonlyArray<Term> }
    | undefined
  lock: Term | undefined
}

/** The lock that guards all names. */
export const globalResource = "global"

/** Terms are compared as Erlang does it: as elements of a tuple. */
const keyOf = (term: Term): Tuple => new Tuple([term])

/** @since 0.1.0 */
export class GlobalTables {
  /** The name of this node. */
  readonly node: string
  /** The nodes of this partition, with their protocol version. */
  readonly known: Map<string, number> = new Map()
  readonly synced: Set<string> = new Set()
  readonly sessions: Map<string, Session> = new Map()
  /** Introductions of nodes whose coming is not known yet. */
  readonly early: Map<string, { readonly version: number; readonly tag: Term; readonly locker: Pid }> = new Map()
  /** Lost connections that others have told: creation and number of the last word, by both nodes. */
  readonly lost: Map<string, { readonly creation: Term; readonly number: number | bigint }> = new Map()
  /** Whether the lock of the names went with its holder. */
  lockLost = false
  private readonly names: MutableHashMap.MutableHashMap<Tuple, NameEntry> = MutableHashMap.empty()
  private readonly locks: MutableHashMap.MutableHashMap<Tuple, LockEntry> = MutableHashMap.empty()
  /** The key of a name or lock by the monitor that guards it. */
  private readonly monitors: Map<string, { readonly kind: "name" | "lock"; readonly key: Tuple }> = new Map()

  constructor(node: string) {
    this.node = node
  }

  // --- names ---------------------------------------------------------------------------------------------------------

  nameEntry(name: Term): NameEntry | undefined {
    return Option.getOrUndefined(MutableHashMap.get(this.names, keyOf(name)))
  }

  nameEntries(): ReadonlyArray<NameEntry> {
    return [...MutableHashMap.values(this.names)]
  }

  setName(entry: NameEntry): void {
    const key = keyOf(entry.name)
    MutableHashMap.set(this.names, key, entry)
    this.monitors.set(String(entry.ref), { kind: "name", key })
  }

  /** The entry that was there. */
  deleteName(name: Term): NameEntry | undefined {
    const entry = this.nameEntry(name)
    if (entry === undefined) return undefined
    MutableHashMap.remove(this.names, keyOf(name))
    this.monitors.delete(String(entry.ref))
    return entry
  }

  // --- locks ---------------------------------------------------------------------------------------------------------

  lockEntry(resource: Term): LockEntry | undefined {
    return Option.getOrUndefined(MutableHashMap.get(this.locks, keyOf(resource)))
  }

  /** Whether nobody else holds it. */
  isFree(resource: Term, requester: Term): boolean {
    const entry = this.lockEntry(resource)
    return entry === undefined || sameTerm(entry.requester, requester)
  }

  isHeldBy(resource: Term, pid: Pid): boolean {
    return this.lockEntry(resource)?.holders.some((holder) => samePid(holder.pid, pid)) === true
  }

  addHolder(resource: Term, requester: Term, pid: Pid, ref: Reference): void {
    const key = keyOf(resource)
    const holders = this.lockEntry(resource)?.holders ?? []
    MutableHashMap.set(this.locks, key, { resource, requester, holders: [...holders, { pid, ref }] })
    this.monitors.set(String(ref), { kind: "lock", key })
  }

  /** The monitor on the holder, which is of no use any more. */
  deleteHolder(resource: Term, requester: Term, pid: Pid): Reference | undefined {
    const entry = this.lockEntry(resource)
    const holder = entry?.holders.find((holder) => samePid(holder.pid, pid))
    if (entry === undefined || holder === undefined || !sameTerm(entry.requester, requester)) return undefined
    this.dropHolder(entry, holder.ref, false)
    return holder.ref
  }

  private dropHolder(entry: LockEntry, ref: Reference, lost: boolean): void {
    const key = keyOf(entry.resource)
    this.monitors.delete(String(ref))
    const holders = entry.holders.filter((holder) => String(holder.ref) !== String(ref))
    if (holders.length > 0) MutableHashMap.set(this.locks, key, { ...entry, holders })
    else {
      MutableHashMap.remove(this.locks, key)
      if (isGlobal(entry.resource)) this.lockLost = lost
    }
  }

  /** A process has ended: its name or lock goes with it. */
  down(ref: Reference): void {
    const found = this.monitors.get(String(ref))
    if (found === undefined) return
    this.monitors.delete(String(ref))
    if (found.kind === "name") {
      const entry = Option.getOrUndefined(MutableHashMap.get(this.names, found.key))
      if (entry !== undefined && String(entry.ref) === String(ref)) MutableHashMap.remove(this.names, found.key)
    } else {
      const entry = Option.getOrUndefined(MutableHashMap.get(this.locks, found.key))
      if (entry !== undefined) this.dropHolder(entry, ref, true)
    }
  }

  get isGlobalLocked(): boolean {
    return [...MutableHashMap.values(this.locks)].some((entry) => isGlobal(entry.resource))
  }
}

const isGlobal = (resource: Term): boolean => resource instanceof Atom && resource.name === globalResource
