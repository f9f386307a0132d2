/**
 * One side of a transaction as a pure function: what a saga knows of one branch that was handed to it, and what follows from each
 * thing that happens. No clock, no messages, no processes; `SagaServer` runs it.
 *
 * A side has a parent that waits for it, branches that it has handed on, and jobs. Guarantees: it has one end, a result or a
 * cancellation. Whoever is still under way then is told once, and never who has told it. What comes later has no effect. A
 * branch never has more time than the side itself, and no side outlives its deadline. How often a transaction may be passed on is
 * counted along the path.
 *
 * @since 0.1.0
 */
import * as SagaError from "./SagaError.ts"

/**
 * What a branch is to the side that has handed it on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch {
  readonly name: string
  /** Whether its failure is told to the saga instead of ending the transaction. */
  readonly trap: boolean
  /** When it must be done, by this side's clock. */
  readonly deadline: number
  /** Set when it has less time than the side itself. */
  readonly timeoutMillis: number | undefined
}

/**
 * A job under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Job {
  readonly name: string
  readonly trap: boolean
  readonly deadline: number
  readonly timeoutMillis: number | undefined
}

/**
 * One side of a transaction. Branches and jobs have keys, chosen by whoever runs it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Side {
  /** What its saga is called. */
  readonly saga: string
  /** How many times more it may be passed on. */
  readonly hops: number
  /** When it ends at the latest, in milliseconds of this side's clock. */
  readonly deadline: number
  readonly branches: ReadonlyMap<string, Branch>
  readonly jobs: ReadonlyMap<string, Job>
  readonly over: boolean
}

/**
 * What happens to a side: the wishes of its saga, what others say, and time.
 *
 * @category models
 * @since 0.1.0
 */
export type Input =
  | {
    readonly _tag: "Next"
    readonly branch: string
    readonly name: string
    readonly trap: boolean
    readonly timeoutMillis: number | undefined
    readonly now: number
  }
  | {
    readonly _tag: "StartJob"
    readonly job: string
    readonly name: string
    readonly trap: boolean
    readonly timeoutMillis: number | undefined
    readonly now: number
  }
  | { readonly _tag: "Result"; readonly value: unknown }
  | { readonly _tag: "Interim"; readonly value: unknown }
  | { readonly _tag: "Fail"; readonly error: unknown; readonly detail: string }
  | { readonly _tag: "Cancel"; readonly reason: SagaError.CancelReason }
  | { readonly _tag: "CancelBranch"; readonly branch: string; readonly reason: SagaError.CancelReason }
  | { readonly _tag: "CancelJob"; readonly job: string }
  /** The parent has cancelled, or is gone: it is not told anything any more. */
  | { readonly _tag: "ParentCancelled"; readonly reason: SagaError.CancelReason }
  | { readonly _tag: "BranchResult"; readonly branch: string; readonly value: unknown }
  | { readonly _tag: "BranchInterim"; readonly branch: string; readonly value: unknown }
  | { readonly _tag: "BranchFailed"; readonly branch: string; readonly error: unknown; readonly detail: string }
  /** The branch has cancelled, or is gone. */
  | { readonly _tag: "BranchCancelled"; readonly branch: string; readonly reason: SagaError.CancelReason }
  | { readonly _tag: "JobResult"; readonly job: string; readonly value: unknown }
  | { readonly _tag: "JobInterim"; readonly job: string; readonly value: unknown }
  | { readonly _tag: "JobFailed"; readonly job: string; readonly error: unknown; readonly detail: string }
  | { readonly _tag: "Tick"; readonly now: number }

/**
 * Why a branch has no result: an error of its contract, or a cancellation.
 *
 * @category models
 * @since 0.1.0
 */
export type Trouble =
  | { readonly _tag: "Failed"; readonly error: unknown }
  | { readonly _tag: "Cancelled"; readonly reason: SagaError.CancelReason }

/**
 * What is to be done.
 *
 * @category models
 * @since 0.1.0
 */
export type Output =
  /** The wish cannot be granted. Nothing has changed. */
  | { readonly _tag: "Refused"; readonly reason: SagaError.SagaRefused["reason"] }
  | { readonly _tag: "Begin"; readonly branch: string; readonly hops: number; readonly lifespanMillis: number }
  | { readonly _tag: "RunJob"; readonly job: string }
  /** The branch is to be told; nothing is heard of it any more. */
  | { readonly _tag: "CancelBranch"; readonly branch: string; readonly reason: SagaError.CancelReason }
  /** The branch has ended by itself; nothing is heard of it any more. */
  | { readonly _tag: "CloseBranch"; readonly branch: string }
  /** The job is to be ended. */
  | { readonly _tag: "StopJob"; readonly job: string }
  /** What the parent is told. */
  | { readonly _tag: "TellResult"; readonly value: unknown }
  | { readonly _tag: "TellInterim"; readonly value: unknown }
  | { readonly _tag: "TellFailed"; readonly error: unknown }
  | { readonly _tag: "TellCancelled"; readonly reason: SagaError.CancelReason }
  /** What the saga is told. */
  | { readonly _tag: "OnResult"; readonly branch: string; readonly name: string; readonly value: unknown }
  | { readonly _tag: "OnInterim"; readonly branch: string; readonly name: string; readonly value: unknown }
  | { readonly _tag: "OnTrouble"; readonly branch: string; readonly name: string; readonly trouble: Trouble }
  | { readonly _tag: "OnJobResult"; readonly job: string; readonly name: string; readonly value: unknown }
  | { readonly _tag: "OnJobInterim"; readonly job: string; readonly name: string; readonly value: unknown }
  | { readonly _tag: "OnJobFailed"; readonly job: string; readonly name: string; readonly trouble: Trouble }
  | { readonly _tag: "OnCancelled"; readonly reason: SagaError.CancelReason }
  /** The side has ended and is to be forgotten. Always the last. */
  | { readonly _tag: "Over" }

/**
 * A side after a step, and what is to be done, in this order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Step {
  readonly side: Side
  readonly outputs: ReadonlyArray<Output>
}

/**
 * A side that begins.
 *
 * @category constructors
 * @since 0.1.0
 */
export const begin = (saga: string, hops: number, lifespanMillis: number, now: number): Side => ({
  saga,
  hops,
  deadline: now + lifespanMillis,
  branches: new Map(),
  jobs: new Map(),
  over: false
})

/**
 * What speaks against a branch that arrives: the saga is on its path already, or has as many transactions as it may have.
 * Another branch of a transaction that it has counts as none, so that two branches may meet.
 *
 * @category arrival
 * @since 0.1.0
 */
export const refusal = (arrival: {
  readonly saga: string
  readonly onPath: boolean
  readonly known: boolean
  readonly transactions: number
  /** The most it may have; `Infinity` for no limit. */
  readonly limit: number
}): SagaError.CancelReason | undefined =>
  arrival.onPath
    ? new SagaError.Loop({ saga: arrival.saga })
    : !arrival.known && arrival.transactions >= arrival.limit
    ? new SagaError.Overloaded({ saga: arrival.saga, limit: arrival.limit })
    : undefined

/**
 * When a `Tick` is due at the latest.
 *
 * @category time
 * @since 0.1.0
 */
export const due = (side: Side): number => {
  let first = side.deadline
  for (const { deadline } of side.branches.values()) if (deadline < first) first = deadline
  for (const { deadline } of side.jobs.values()) if (deadline < first) first = deadline
  return first
}

const none: ReadonlyArray<Output> = []
const stay = (side: Side): Step => ({ side, outputs: none })
const refused = (side: Side, reason: SagaError.SagaRefused["reason"]): Step => ({
  side,
  outputs: [{ _tag: "Refused", reason }]
})

const without = <A>(map: ReadonlyMap<string, A>, key: string): ReadonlyMap<string, A> => {
  const next = new Map(map)
  next.delete(key)
  return next
}

const withEntry = <A>(map: ReadonlyMap<string, A>, key: string, value: A): ReadonlyMap<string, A> =>
  new Map(map).set(key, value)

/** The end of a side: everyone under way is told, then the parent, then the saga itself. */
const end = (
  side: Side,
  reason: SagaError.CancelReason | undefined,
  before: ReadonlyArray<Output>,
  parent: Output | undefined
): Step => {
  const outputs: Array<Output> = [...before]
  if (reason !== undefined) {
    for (const branch of side.branches.keys()) outputs.push({ _tag: "CancelBranch", branch, reason })
    for (const job of side.jobs.keys()) outputs.push({ _tag: "StopJob", job })
  }
  if (parent !== undefined) outputs.push(parent)
  if (reason !== undefined) outputs.push({ _tag: "OnCancelled", reason })
  outputs.push({ _tag: "Over" })
  return { side: { ...side, branches: new Map(), jobs: new Map(), over: true }, outputs }
}

const cancelled = (side: Side, reason: SagaError.CancelReason, before: ReadonlyArray<Output> = none): Step =>
  end(side, reason, before, { _tag: "TellCancelled", reason })

/** The time that something may take, or why it may not have it. */
const timeOf = (
  side: Side,
  timeoutMillis: number | undefined,
  now: number
): { readonly deadline: number } | SagaError.SagaRefused["reason"] => {
  const left = side.deadline - now
  if (left <= 0) return "Over"
  if (timeoutMillis === undefined) return { deadline: side.deadline }
  return timeoutMillis > left ? "TooLong" : { deadline: now + timeoutMillis }
}

/** A branch has ended without a result. */
const trouble = (side: Side, branch: string, what: Trouble, detail: string, first: Output): Step => {
  const { name, timeoutMillis, trap } = side.branches.get(branch)!
  const rest = { ...side, branches: without(side.branches, branch) }
  // The lifespan of a branch with a time of its own is that time: it matters not whose timer comes first.
  const known: Trouble = timeoutMillis !== undefined && what._tag === "Cancelled" && what.reason._tag === "Lifespan"
    ? { _tag: "Cancelled", reason: new SagaError.Timeout({ timeoutMillis }) }
    : what
  if (trap) return { side: rest, outputs: [first, { _tag: "OnTrouble", branch, name, trouble: known }] }
  const reason = known._tag === "Cancelled" ? known.reason : new SagaError.BranchFailed({ branch: name, detail })
  return cancelled(rest, reason, [first])
}

/** A job has ended without a result. */
const jobTrouble = (side: Side, job: string, what: Trouble, detail: string, before: ReadonlyArray<Output>): Step => {
  const { name, trap } = side.jobs.get(job)!
  const rest = { ...side, jobs: without(side.jobs, job) }
  if (trap) return { side: rest, outputs: [...before, { _tag: "OnJobFailed", job, name, trouble: what }] }
  const reason = what._tag === "Cancelled" ? what.reason : new SagaError.JobFailed({ job: name, detail })
  return cancelled(rest, reason, before)
}

/** What is due: all of it, unless an end makes the rest pointless. */
const tick = (side: Side, now: number): Step => {
  if (now >= side.deadline) return cancelled(side, new SagaError.Lifespan({}))
  const outputs: Array<Output> = []
  let current = side
  const take = (step: Step): boolean => {
    current = step.side
    outputs.push(...step.outputs)
    return current.over
  }
  for (const [branch, { deadline, timeoutMillis }] of side.branches) {
    if (now < deadline) continue
    const reason = new SagaError.Timeout({ timeoutMillis: timeoutMillis! }) // it has a deadline of its own
    const what: Trouble = { _tag: "Cancelled", reason }
    if (take(trouble(current, branch, what, "", { _tag: "CancelBranch", branch, reason }))) break
  }
  for (const [job, { deadline, timeoutMillis }] of current.jobs) {
    if (now < deadline) continue
    const reason = new SagaError.Timeout({ timeoutMillis: timeoutMillis! }) // as above
    if (take(jobTrouble(current, job, { _tag: "Cancelled", reason }, "", [{ _tag: "StopJob", job }]))) break
  }
  return { side: current, outputs }
}

/**
 * What follows from an input.
 *
 * @category steps
 * @since 0.1.0
 */
export const step = (side: Side, input: Input): Step => {
  if (side.over) {
    const isWish = input._tag === "Next" || input._tag === "StartJob" || input._tag === "Result" ||
      input._tag === "Interim"
    return isWish ? refused(side, "Over") : stay(side)
  }
  switch (input._tag) {
    case "Next": {
      if (side.hops <= 0) return refused(side, "HopLimit")
      const time = timeOf(side, input.timeoutMillis, input.now)
      if (typeof time === "string") return refused(side, time)
      const { branch, name, timeoutMillis, trap } = input
      return {
        side: {
          ...side,
          branches: withEntry(side.branches, branch, { name, trap, timeoutMillis, deadline: time.deadline })
        },
        outputs: [{ _tag: "Begin", branch, hops: side.hops - 1, lifespanMillis: time.deadline - input.now }]
      }
    }
    case "StartJob": {
      const time = timeOf(side, input.timeoutMillis, input.now)
      if (typeof time === "string") return refused(side, time)
      const { job, name, timeoutMillis, trap } = input
      return {
        side: { ...side, jobs: withEntry(side.jobs, job, { name, trap, timeoutMillis, deadline: time.deadline }) },
        outputs: [{ _tag: "RunJob", job }]
      }
    }
    case "Result":
      return side.branches.size + side.jobs.size > 0
        ? refused(side, "InProgress")
        : end(side, undefined, none, { _tag: "TellResult", value: input.value })
    case "Interim":
      return { side, outputs: [{ _tag: "TellInterim", value: input.value }] }
    case "Fail": {
      const reason = new SagaError.BranchFailed({ branch: side.saga, detail: input.detail })
      return end(side, reason, none, { _tag: "TellFailed", error: input.error })
    }
    case "Cancel":
      return cancelled(side, input.reason)
    case "ParentCancelled":
      return end(side, input.reason, none, undefined)
    case "CancelBranch": {
      if (!side.branches.has(input.branch)) return stay(side)
      const { branch, reason } = input
      return {
        side: { ...side, branches: without(side.branches, branch) },
        outputs: [{ _tag: "CancelBranch", branch, reason }]
      }
    }
    case "CancelJob":
      return side.jobs.has(input.job)
        ? { side: { ...side, jobs: without(side.jobs, input.job) }, outputs: [{ _tag: "StopJob", job: input.job }] }
        : stay(side)
    case "BranchResult": {
      const known = side.branches.get(input.branch)
      if (known === undefined) return stay(side)
      const { branch, value } = input
      return {
        side: { ...side, branches: without(side.branches, branch) },
        outputs: [{ _tag: "CloseBranch", branch }, { _tag: "OnResult", branch, name: known.name, value }]
      }
    }
    case "BranchInterim": {
      const known = side.branches.get(input.branch)
      if (known === undefined) return stay(side)
      return { side, outputs: [{ _tag: "OnInterim", branch: input.branch, name: known.name, value: input.value }] }
    }
    case "BranchFailed":
    case "BranchCancelled": {
      if (!side.branches.has(input.branch)) return stay(side)
      const close: Output = { _tag: "CloseBranch", branch: input.branch }
      return input._tag === "BranchFailed"
        ? trouble(side, input.branch, { _tag: "Failed", error: input.error }, input.detail, close)
        : trouble(side, input.branch, { _tag: "Cancelled", reason: input.reason }, "", close)
    }
    case "JobResult": {
      const known = side.jobs.get(input.job)
      if (known === undefined) return stay(side)
      return {
        side: { ...side, jobs: without(side.jobs, input.job) },
        outputs: [{ _tag: "OnJobResult", job: input.job, name: known.name, value: input.value }]
      }
    }
    case "JobInterim": {
      const known = side.jobs.get(input.job)
      if (known === undefined) return stay(side)
      return { side, outputs: [{ _tag: "OnJobInterim", job: input.job, name: known.name, value: input.value }] }
    }
    case "JobFailed":
      return side.jobs.has(input.job)
        ? jobTrouble(side, input.job, { _tag: "Failed", error: input.error }, input.detail, none)
        : stay(side)
    case "Tick":
      return tick(side, input.now)
  }
}
