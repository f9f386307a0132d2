/**
 * The books of a soak: every message has a stream (who sent it, to whom) and a number in it, so that nothing can be lost,
 * doubled or reordered unseen.
 *
 * The balance that must hold when all is quiet:
 *
 * ```
 * casts + timers that were due = handled + forwarded + counted by the node as discarded or dropped
 * calls                        = answered + failed with a typed CallError
 * ```
 *
 * The ledger stands outside of all processes: it survives their deaths.
 *
 * @since 0.1.0
 */

/** Counts by name. */
export type Tally = Map<string, number>

/** @since 0.1.0 */
export class Ledger {
  /** Casts handed to the runtime, and those whose send came back. */
  casts = 0
  castsReturned = 0
  /** Casts and ticks whose handler has begun, and those that a fallback process got. */
  handled = 0
  forwarded = 0
  timersArmed = 0
  timersCancelled = 0
  ticks = 0
  calls = 0
  callsAnswered = 0
  callsHandled = 0
  readonly callErrors: Tally = new Map()
  /** Failures that are not a `CallError`: there must be none. */
  readonly surprises: Tally = new Map()
  spawned = 0
  workDone = 0
  jobs = 0
  jobsDone = 0
  monitors = 0
  downs = 0
  /** Messages that came twice or after a later one of their stream. */
  outOfOrder = 0
  /** Downs for a monitor that had none left to give. */
  strayDowns = 0
  kills = 0
  private readonly targets: number
  private readonly lastSent: Float64Array
  private readonly lastSeen: Float64Array

  constructor(streams: number, targets: number) {
    this.targets = targets
    this.lastSent = new Float64Array(streams * targets)
    this.lastSeen = new Float64Array(streams * targets)
  }

  /** The number of the next cast of a stream to a target. */
  next(stream: number, target: number): number {
    this.casts++
    return ++this.lastSent[stream * this.targets + target]!
  }

  /** A cast has reached its handler. */
  seen(stream: number, target: number, number: number): void {
    const slot = stream * this.targets + target
    if (number <= this.lastSeen[slot]!) this.outOfOrder++
    this.lastSeen[slot] = number
    this.handled++
  }

  /** Everything that was done, for rates. */
  get operations(): number {
    return this.handled + this.callsAnswered + this.workDone + this.jobsDone
  }

  count(tally: Tally, name: string): void {
    tally.set(name, (tally.get(name) ?? 0) + 1)
  }
}

/** What the node itself counts. */
export interface Counted {
  readonly discarded: number
  readonly dropped: number
}

const total = (tally: Tally): number => [...tally.values()].reduce((sum, n) => sum + n, 0)

/** What does not add up, in words; empty when everything does. */
export const discrepancies = (ledger: Ledger, counted: Counted): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const equal = (what: string, left: number, right: number): void => {
    if (left !== right) problems.push(`${what}: ${left} is not ${right} (difference ${left - right})`)
  }
  const due = ledger.casts + ledger.timersArmed - ledger.timersCancelled
  // A call that a full mailbox refuses is counted as dropped by the node and is a typed error for its caller.
  const lost = counted.discarded + counted.dropped - (ledger.callErrors.get("MailboxFull") ?? 0)
  equal("casts and due timers = handled + forwarded + counted as lost", due, ledger.handled + ledger.forwarded + lost)
  equal("casts sent = sends that returned", ledger.casts, ledger.castsReturned)
  equal("calls = answered + typed errors", ledger.calls, ledger.callsAnswered + total(ledger.callErrors))
  equal("processes spawned = work done", ledger.spawned, ledger.workDone)
  equal("jobs started = jobs done", ledger.jobs, ledger.jobsDone)
  equal("messages doubled or out of order", ledger.outOfOrder, 0)
  equal("Downs without a monitor", ledger.strayDowns, 0)
  if (ledger.callsHandled < ledger.callsAnswered) {
    problems.push(`${ledger.callsAnswered} calls answered, but only ${ledger.callsHandled} handled`)
  }
  for (const [what, times] of ledger.surprises) problems.push(`${times} times: ${what}`)
  return problems
}

/** The books in a few lines. */
export const render = (ledger: Ledger, counted: Counted): string => {
  const errors = [...ledger.callErrors].map(([reason, n]) => `${reason} ${n}`).join(", ") || "none"
  return [
    `casts ${ledger.casts}, timers ${ledger.timersArmed} (cancelled ${ledger.timersCancelled}, fired into a handler ${ledger.ticks})`,
    `handled ${ledger.handled}, forwarded ${ledger.forwarded}, discarded ${counted.discarded}, dropped ${counted.dropped}`,
    `calls ${ledger.calls}: answered ${ledger.callsAnswered}, typed errors: ${errors}`,
    `spawn-work-exit ${ledger.spawned}, dynamic jobs ${ledger.jobs}, monitors ${ledger.monitors}, downs ${ledger.downs}, children killed ${ledger.kills}`
  ].join("\n")
}
