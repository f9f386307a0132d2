/**
 * Who of a pool gets the next message: a decision without I/O over what is known of its workers.
 *
 * Guarantees: the first message goes to the first worker; a worker that is gone or whose mailbox is full is passed over
 * while another one can take the message; when all are full, one of them is chosen all the same, in turn, so that its
 * bound and its policy apply. A worker is chosen by key whatever its state, since the key belongs to it.
 *
 * A worker that sends to its own pool is passed over as well, unless it is the only one.
 *
 * @since 0.1.0
 */
import { jumpTo, type Key } from "./KeyHash.ts"

/** What the decision needs to know of a worker. */
export interface Candidate {
  readonly alive: boolean
  readonly mailboxLength: number
  readonly capacity: number
  /** Waiting messages, the one being handled, and calls to be answered later. */
  readonly load: number
  readonly fiber: unknown
}

/** A place in a pool, whoever fills it. */
export interface Place<out W> {
  readonly worker: W | undefined
}

/** The rule by which workers are chosen. */
export type Rule = "round_robin" | "least_loaded"

/** @since 0.1.0 */
export class PoolDispatch<W extends Candidate> {
  readonly rule: Rule
  private next = 0

  constructor(rule: Rule) {
    this.rule = rule
  }

  /** Chooses by the rule; undefined when no worker is alive. */
  choose(places: ReadonlyArray<Place<W>>, sender: unknown): W | undefined {
    return this.rule === "round_robin" ? this.inTurn(places, sender) : this.leastLoaded(places, sender)
  }

  private inTurn(places: ReadonlyArray<Place<W>>, sender: unknown): W | undefined {
    const count = places.length
    let at = this.next < count ? this.next : 0
    let full: W | undefined
    let afterFull = 0
    let self: W | undefined
    for (let i = 0; i < count; i++) {
      const worker = places[at]!.worker
      at = at + 1 === count ? 0 : at + 1
      if (worker === undefined || !worker.alive) continue
      if (worker.fiber === sender) {
        self = worker
      } else if (worker.mailboxLength < worker.capacity) {
        this.next = at
        return worker
      } else if (full === undefined) {
        full = worker
        afterFull = at
      }
    }
    if (full === undefined) return self
    this.next = afterFull
    return full
  }

  /** Among equals, in turn. */
  private leastLoaded(places: ReadonlyArray<Place<W>>, sender: unknown): W | undefined {
    const count = places.length
    let at = this.next < count ? this.next : 0
    let best: W | undefined
    let bestLoad = Infinity
    let after = this.next
    let self: W | undefined
    for (let i = 0; i < count; i++) {
      const worker = places[at]!.worker
      at = at + 1 === count ? 0 : at + 1
      if (worker === undefined || !worker.alive) continue
      if (worker.fiber === sender) {
        self = worker
        continue
      }
      // A full one is the last resort, however little it has to do.
      const load = worker.mailboxLength < worker.capacity ? worker.load : Number.MAX_VALUE
      if (load < bestLoad) {
        best = worker
        bestLoad = load
        after = at
        if (load === 0) break
      }
    }
    this.next = after
    return best ?? self
  }
}

/** The worker of a key; undefined while its place is empty. */
export const workerOf = <W extends Candidate>(places: ReadonlyArray<Place<W>>, key: Key): W | undefined => {
  const worker = places.length === 0 ? undefined : places[jumpTo(key, places.length)]!.worker
  return worker !== undefined && worker.alive ? worker : undefined
}

/** The part of a bound that falls to one of several places; each gets at least 1. */
export const shareOf = (bound: number, places: number, place: number): number =>
  bound === Infinity ? Infinity : Math.max(1, Math.floor(bound / places) + (place < bound % places ? 1 : 0))
