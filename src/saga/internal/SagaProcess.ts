/**
 * Runs the sides of transactions on the loop of processes: what others say and the wishes of callbacks go to the core, and what it
 * answers is sent, started, ended or handed to callbacks, in its order.
 *
 * Callbacks run one at a time, in the fiber of the process. A job has a process of its own, linked to this one.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import { Node, type Service as NodeService } from "../../process/Node.ts"
import type * as Process from "../../process/Process.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import * as SagaCore from "../SagaCore.ts"
import * as SagaError from "../SagaError.ts"
import * as SagaMessage from "./SagaMessage.ts"
import { type Callback, type Definition, keyOf } from "./SagaModel.ts"
import { SagaOutbox } from "./SagaOutbox.ts"
import { type BranchRecord, SideRecord } from "./SideRecord.ts"
import { Transaction } from "./Transaction.ts"

/** A callback that is due. */
type Task = () => Effect.Effect<void, unknown>

type Work = Effect.Effect<void> | undefined

/** A running saga. It is the state of its process, as the loop sees it. */
export class SagaProcess {
  readonly instance: Behaviour.Instance
  readonly definition: Definition
  /** What `init` gave, and what the handlers of its own protocol make of it. */
  user: unknown
  limit: number
  private readonly node: NodeService
  private readonly sides = new Map<string, SideRecord>()
  /** The sides that each transaction has here. */
  private readonly transactions = new Map<string, Set<SideRecord>>()
  /** Whose branch it is, by the key of the branch. */
  private readonly owners = new Map<string, SideRecord>()
  /** Whom a monitor watches: a parent, or the branch of that key. */
  private readonly monitors = new Map<
    string,
    { readonly record: SideRecord; readonly branch: string | undefined; readonly subject: string }
  >()
  /** The processes of jobs, until their end was seen. */
  private readonly workers = new Map<string, { readonly record: SideRecord; readonly job: string }>()
  private readonly tasks: Array<Task> = []
  private readonly outbox: SagaOutbox
  private running = false
  private jobs = 0

  constructor(instance: Behaviour.Instance, node: NodeService, definition: Definition, user: unknown) {
    this.instance = instance
    this.node = node
    this.outbox = new SagaOutbox(instance, node, definition.contract.messages)
    this.definition = definition
    this.user = user
    this.limit = definition.maxTransactions
  }

  get now(): number {
    return this.instance.node.timers.now()
  }

  // --- what others say -----------------------------------------------------------------------------------------------

  /** A branch arrives. */
  arrive(begin: SagaMessage.Begin): Work {
    const key = keyOf(begin.branch)
    if (this.sides.has(key)) return undefined
    const transaction = keyOf(begin.transaction)
    const self = keyOf(this.instance.pid)
    const { name } = this.definition.contract
    const reason = SagaCore.refusal({
      saga: name,
      onPath: begin.path.some((pid) => keyOf(pid) === self),
      known: this.transactions.has(transaction),
      transactions: this.transactions.size,
      limit: this.limit
    })
    if (reason !== undefined) {
      this.outbox.answer(begin.parent, "cancelled", { branch: begin.branch, reason })
      return this.proceed()
    }
    const monitor = Behaviour.monitor(this.instance, begin.parent)
    const core = SagaCore.begin(name, begin.hops, begin.lifespanMillis, this.now)
    const record = new SideRecord(core, begin, monitor, this)
    this.sides.set(key, record)
    const others = this.transactions.get(transaction)
    if (others === undefined) this.transactions.set(transaction, new Set([record]))
    else others.add(record)
    this.monitors.set(keyOf(monitor), { record, branch: undefined, subject: begin.parent.toString() })
    this.arm(record)
    this.tasks.push(this.beginning(record))
    return this.proceed()
  }

  /** The parent of a branch has cancelled it. */
  parentCancelled(branch: Reference, reason: SagaError.CancelReason): Work {
    const record = this.sides.get(keyOf(branch))
    if (record === undefined) return undefined
    this.input(record, { _tag: "ParentCancelled", reason })
    return this.proceed()
  }

  /** A branch of this saga says something. */
  told(kind: SagaMessage.Answer, { branch, error, reason, value }: SagaMessage.Told): Work {
    const key = keyOf(branch)
    const record = this.owners.get(key)
    if (record === undefined) return undefined
    switch (kind) {
      case "result":
        this.input(record, { _tag: "BranchResult", branch: key, value })
        break
      case "interim":
        this.input(record, { _tag: "BranchInterim", branch: key, value })
        break
      case "failed":
        this.input(record, { _tag: "BranchFailed", branch: key, error, detail: describe(error) })
        break
      case "cancelled":
        this.input(record, { _tag: "BranchCancelled", branch: key, reason: reason! })
    }
    return this.proceed()
  }

  /** A monitor has fired; false when it was none of this saga. */
  down(ref: Reference, why: ExitReason.ExitReason): Work | false {
    const watched = this.monitors.get(keyOf(ref))
    if (watched === undefined) return false
    const reason = new SagaError.Lost({ process: watched.subject, detail: ExitReason.format(why) })
    this.input(
      watched.record,
      watched.branch === undefined
        ? { _tag: "ParentCancelled", reason }
        : { _tag: "BranchCancelled", branch: watched.branch, reason }
    )
    return this.proceed()
  }

  /** A linked process has ended; false when it was no job. */
  exited(pid: Pid, why: ExitReason.ExitReason): Work | false {
    const known = this.workers.get(keyOf(pid))
    if (known === undefined) return false
    this.workers.delete(keyOf(pid))
    // What a job has to say it has said before: this one was killed.
    this.input(known.record, { _tag: "JobFailed", job: known.job, error: why, detail: ExitReason.format(why) })
    return this.proceed()
  }

  /** A term that is a message of sagas by its head, and does not fit. */
  malformed(term: unknown): Work | false {
    const about = SagaMessage.malformed(term)
    if (about === undefined) return false
    const reason = new SagaError.Malformed({ detail: `${this.definition.contract.name} does not understand it` })
    if (about.parent !== undefined) this.outbox.answer(about.parent, "cancelled", { branch: about.branch, reason })
    const key = keyOf(about.branch)
    const owner = this.owners.get(key)
    // The branch has to be told: it may believe that all is well.
    if (owner !== undefined) {
      this.tellBranch(owner.branches.get(key)!, reason)
      this.input(owner, { _tag: "BranchCancelled", branch: key, reason })
    }
    return this.proceed()
  }

  /** Cancels a transaction on all sides that it has here. */
  cancelTransaction(transaction: Reference, reason: SagaError.CancelReason): boolean {
    const records = this.transactions.get(keyOf(transaction))
    if (records === undefined) return false
    for (const record of [...records]) this.input(record, { _tag: "Cancel", reason })
    return true
  }

  /** The time of a side has come. */
  due(record: SideRecord): Work {
    if (record.core.over) return undefined
    record.armedFor = undefined
    this.input(record, { _tag: "Tick", now: this.now })
    this.arm(record)
    return this.proceed()
  }

  // --- wishes of callbacks -------------------------------------------------------------------------------------------

  next(
    record: SideRecord,
    name: string,
    target: Process.Target,
    value: unknown,
    options: { readonly timeoutMillis: number | undefined; readonly trap: boolean }
  ): Effect.Effect<Reference, SagaError.SagaRefused> {
    const contract = this.definition.next[name]
    if (contract === undefined) return Effect.die(new Error(`${this.title} has no contract called ${name} in next`))
    if (options.trap && this.definition.trouble === undefined) {
      return Effect.die(new Error(`${this.title} traps the branch ${name}, but has no trouble callback`))
    }
    const ref = this.instance.node.makeReference()
    const key = keyOf(ref)
    const branch: BranchRecord = { ref, target, contract: contract.messages, value, monitor: undefined }
    record.branches.set(key, branch)
    this.owners.set(key, record)
    const refused = this.input(record, { _tag: "Next", branch: key, name, now: this.now, ...options })
    if (refused !== undefined) this.dropBranch(record, key)
    return this.granted("next", refused, ref)
  }

  startJob(
    record: SideRecord,
    name: string,
    value: unknown,
    timeoutMillis: number | undefined
  ): Effect.Effect<string, SagaError.SagaRefused> {
    if (this.definition.jobs[name] === undefined) {
      return Effect.die(new Error(`${this.title} has no job called ${name}`))
    }
    const job = `${name} ${++this.jobs}`
    record.jobs.set(job, { value, worker: undefined })
    const trap = this.definition.jobFailed !== undefined
    const refused = this.input(record, { _tag: "StartJob", job, name, trap, timeoutMillis, now: this.now })
    if (refused !== undefined) record.jobs.delete(job)
    return this.granted("job", refused, job)
  }

  result(record: SideRecord, value: unknown): Effect.Effect<void, SagaError.SagaRefused> {
    return this.granted("result", this.input(record, { _tag: "Result", value }), undefined)
  }

  interim(record: SideRecord, value: unknown): Effect.Effect<void, SagaError.SagaRefused> {
    return this.granted("interim", this.input(record, { _tag: "Interim", value }), undefined)
  }

  /** Ends a side, a branch or a job. */
  end(
    record: SideRecord,
    input: Extract<SagaCore.Input, { readonly _tag: "Cancel" | "CancelBranch" | "CancelJob" }>
  ): Effect.Effect<void> {
    this.input(record, input)
    return this.settled(undefined)
  }

  private granted<A>(
    action: SagaError.SagaRefused["action"],
    refused: SagaError.SagaRefused["reason"] | undefined,
    value: A
  ): Effect.Effect<A, SagaError.SagaRefused> {
    return refused === undefined
      ? this.settled(value)
      : Effect.fail(new SagaError.SagaRefused({ saga: this.title, action, reason: refused }))
  }

  /** What was asked for goes out; callbacks wait for the end of the one that asked, unless that is no callback. */
  private settled<A>(value: A): Effect.Effect<A> {
    if (!this.running && this.tasks.length > 0) this.instance.system(() => this.proceed())
    const sends = this.outbox.take()
    return sends === undefined ? Effect.succeed(value) : Effect.as(sends, value)
  }

  // --- the core ------------------------------------------------------------------------------------------------------

  /** One step of the core, and what follows from it. Gives the reason of a refusal. */
  private input(record: SideRecord, input: SagaCore.Input): SagaError.SagaRefused["reason"] | undefined {
    const { outputs, side } = SagaCore.step(record.core, input)
    record.core = side
    let refused: SagaError.SagaRefused["reason"] | undefined
    for (const output of outputs) {
      if (output._tag === "Refused") refused = output.reason
      else this.perform(record, output)
    }
    if (!side.over) this.arm(record)
    return refused
  }

  private perform(record: SideRecord, output: Exclude<SagaCore.Output, { readonly _tag: "Refused" }>): void {
    const { definition } = this
    const { branch, parent } = record.arrival
    switch (output._tag) {
      case "Begin":
        return this.begin(record, output)
      case "RunJob":
        return this.runJob(record, output.job)
      case "CancelBranch":
        this.tellBranch(record.branches.get(output.branch)!, output.reason)
        return this.dropBranch(record, output.branch)
      case "CloseBranch":
        return this.dropBranch(record, output.branch)
      case "StopJob":
        return this.stopJob(record, output.job)
      case "TellResult":
        if (record.origin && definition.done !== undefined) {
          this.tasks.push(this.completing(record, definition.done, output.value))
          return
        }
        return this.outbox.answer(parent, "result", { branch, value: output.value })
      case "TellInterim":
        return this.outbox.answer(parent, "interim", { branch, value: output.value })
      case "TellFailed":
        return this.outbox.answer(parent, "failed", { branch, error: output.error })
      case "TellCancelled":
        return this.outbox.answer(parent, "cancelled", { branch, reason: output.reason })
      case "OnResult":
        return this.tell(record, definition.result, { from: output.name, value: output.value })
      case "OnInterim":
        return this.tell(record, definition.interim, { from: output.name, value: output.value })
      case "OnTrouble":
        return this.tell(record, definition.trouble, { from: output.name, ...output.trouble })
      case "OnJobResult":
        record.jobs.delete(output.job)
        return this.tell(record, definition.jobResult, { job: output.name, id: output.job, value: output.value })
      case "OnJobInterim":
        return this.tell(record, definition.jobInterim, { job: output.name, id: output.job, value: output.value })
      case "OnJobFailed":
        record.jobs.delete(output.job)
        return this.tell(record, definition.jobFailed, { job: output.name, id: output.job, ...output.trouble })
      case "OnCancelled":
        return this.tell(record, definition.cancelled, output.reason)
      case "Over":
        return this.forget(record)
    }
  }

  private begin(record: SideRecord, output: Extract<SagaCore.Output, { readonly _tag: "Begin" }>): void {
    const branch = record.branches.get(output.branch)!
    // A name stands for who has it now: messages and monitor are for one process.
    const address = "address" in branch.target ? branch.target.address : branch.target
    const target = this.instance.node.resolve(address)?.pid ?? address
    branch.monitor = Behaviour.monitor(this.instance, target)
    this.monitors.set(keyOf(branch.monitor), { record, branch: output.branch, subject: String(subjectOf(address)) })
    const { path, transaction } = record.arrival
    const begin: SagaMessage.Begin = {
      transaction,
      branch: branch.ref,
      parent: this.instance.pid,
      path: [...path, this.instance.pid],
      hops: output.hops,
      // Rounded down: a branch has no more time than its parent.
      lifespanMillis: Math.floor(output.lifespanMillis),
      value: branch.value
    }
    this.outbox.send(branch.contract.toBranch, target, branch.contract.begin, begin)
  }

  private tellBranch({ contract, ref, target }: BranchRecord, reason: SagaError.CancelReason): void {
    this.outbox.send(contract.toBranch, target, contract.cancel, { branch: ref, reason })
  }

  private dropBranch(record: SideRecord, key: string): void {
    const branch = record.branches.get(key)
    if (branch === undefined) return
    record.branches.delete(key)
    this.owners.delete(key)
    if (branch.monitor !== undefined) this.unwatch(branch.monitor)
  }

  private unwatch(monitor: Reference): void {
    this.monitors.delete(keyOf(monitor))
    Behaviour.demonitor(this.instance, monitor)
  }

  /** Nothing of a side is left but the callbacks that are due. */
  private forget(record: SideRecord): void {
    this.sides.delete(record.key)
    const transaction = keyOf(record.arrival.transaction)
    const records = this.transactions.get(transaction)!
    records.delete(record)
    if (records.size === 0) this.transactions.delete(transaction)
    this.unwatch(record.monitor)
    if (record.armedFor !== undefined) Behaviour.cancelTimer(this.instance, record.timer)
    record.armedFor = undefined
  }

  private arm(record: SideRecord): void {
    const at = SagaCore.due(record.core)
    if (record.core.over || record.armedFor === at) return
    if (record.armedFor !== undefined) Behaviour.cancelTimer(this.instance, record.timer)
    record.armedFor = at
    Behaviour.armTimer(this.instance, record.timer, Math.max(0, at - this.now))
  }

  // --- jobs ----------------------------------------------------------------------------------------------------------

  /** Starts the process of a job, with the services of the saga. It tells its end itself, then goes in peace. */
  private runJob(record: SideRecord, job: string): void {
    const entry = record.jobs.get(job)!
    const { name } = record.core.jobs.get(job)!
    const { run } = this.definition.jobs[name]!
    const say = (input: SagaCore.Input): Effect.Effect<void> =>
      Effect.sync(() =>
        this.instance.system(() => {
          this.input(record, input)
          return this.proceed()
        })
      )
    const context = { interim: (value: unknown) => say({ _tag: "JobInterim", job, value }) }
    // The services of jobs are those of the server, which its process has.
    const body = Effect.suspend(() =>
      (run as (value: unknown, context: unknown) => Effect.Effect<unknown, unknown>)(entry.value, context)
    )
    const reported = Effect.matchCauseEffect(body, {
      onSuccess: (value) => say({ _tag: "JobResult", job, value }),
      onFailure: (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : say({ _tag: "JobFailed", job, error: Cause.squash(cause), detail: describe(Cause.squash(cause)) })
    })
    const started = Behaviour.spawnDetached(() => reported, {
      link: true,
      label: `${this.title}: ${job}`,
      onSpawn: (worker) => {
        entry.worker = worker
        this.workers.set(keyOf(worker.pid), { record, job })
        // A stop can come before the process had its first turn.
        if (!record.jobs.has(job)) worker.exitSignal(this.instance.pid, ExitReason.shutdown, false)
      }
    })
    this.outbox.push(
      Effect.catch(
        Effect.provideService(started, Node, this.node),
        (error) => say({ _tag: "JobFailed", job, error, detail: error.message })
      ) as Effect.Effect<void>
    )
  }

  private stopJob(record: SideRecord, job: string): void {
    const entry = record.jobs.get(job)
    record.jobs.delete(job)
    entry?.worker?.exitSignal(this.instance.pid, ExitReason.shutdown, false)
  }

  /** The saga stops: its jobs do not outlive it. Parents and branches learn of it by their monitors. */
  stop(): void {
    for (const record of this.sides.values()) for (const job of [...record.jobs.keys()]) this.stopJob(record, job)
  }

  // --- callbacks -----------------------------------------------------------------------------------------------------

  /** Does what is due. Undefined when that is nothing. */
  proceed(): Work {
    if (this.tasks.length === 0) return this.outbox.take()
    return Effect.gen({ self: this }, function*() {
      this.running = true
      for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) {
        const sends = this.outbox.take()
        if (sends !== undefined) yield* sends
        yield* task()
      }
      this.running = false
      const sends = this.outbox.take()
      if (sends !== undefined) yield* sends
    }) as Effect.Effect<void> // what a callback does not declare is a defect of the process
  }

  private beginning(record: SideRecord): Task {
    // Cancelled before its turn: there is nothing to take back.
    return () => record.core.over ? Effect.void : this.guarded(record, this.definition.begin, record.arrival.value)
  }

  private tell(record: SideRecord, callback: Callback | undefined, event: unknown): void {
    if (callback === undefined) return
    // A `begin` that failed has no state, and has taken back itself what it had done.
    this.tasks.push(() => record.begun ? this.guarded(record, callback, event, record.state) : Effect.void)
  }

  /** Runs a callback: its value is the next state, its failure the end of the transaction. */
  private guarded(
    record: SideRecord,
    callback: Callback,
    ...args: ReadonlyArray<unknown>
  ): Effect.Effect<void, unknown> {
    return Effect.matchCauseEffect(this.called(record, callback, args), {
      onSuccess: (state) =>
        Effect.sync(() => {
          record.state = state
          record.begun = true
        }),
      onFailure: (cause) => {
        const failure = errorOf(cause)
        if (failure === undefined) return Effect.failCause(cause)
        return Effect.suspend(() => this.failed(record, failure.error))
      }
    })
  }

  /** What the origin has at last is what it makes of its result. */
  private completing(record: SideRecord, done: Callback, value: unknown): Task {
    const { branch, parent } = record.arrival
    return () =>
      Effect.matchCauseEffect(this.called(record, done, [value, record.state]), {
        onSuccess: (final) => Effect.sync(() => this.outbox.answer(parent, "result", { branch, value: final })),
        onFailure: (cause) => {
          const failure = errorOf(cause)
          if (failure === undefined) return Effect.failCause(cause)
          return Effect.sync(() => this.outbox.answer(parent, "failed", { branch, error: failure.error }))
        }
      })
  }

  private called(
    record: SideRecord,
    callback: Callback,
    args: ReadonlyArray<unknown>
  ): Effect.Effect<unknown, unknown> {
    // The public constructor has checked the parameters; services are there since the process was started.
    return Effect.suspend(() =>
      (callback as (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, unknown>)(
        ...args,
        new Transaction(this, record)
      )
    )
  }

  private failed(record: SideRecord, error: unknown): Effect.Effect<void> {
    const detail = describe(error)
    if (record.core.over) {
      // It went on when the transaction had ended meanwhile: it has been told.
      if (error instanceof SagaError.SagaRefused) return Effect.void
      return Effect.logWarning(`${this.title}: a callback failed when its transaction was over: ${detail}`)
    }
    this.input(
      record,
      error instanceof SagaError.SagaRefused
        ? { _tag: "Cancel", reason: new SagaError.Requested({ detail: error.message }) }
        : { _tag: "Fail", error, detail }
    )
    return Effect.void
  }

  // --- inspection ----------------------------------------------------------------------------------------------------

  private get title(): string {
    return this.instance.displayName
  }

  /** How many transactions there are. */
  get count(): number {
    return this.transactions.size
  }

  /** What an observer may see. */
  describe(): unknown {
    return {
      saga: this.definition.contract.name,
      limit: this.limit,
      transactions: [...this.sides.values()].map(({ arrival, core }) => ({
        transaction: arrival.transaction.toString(),
        parent: arrival.parent.toString(),
        depth: arrival.path.length,
        hops: core.hops,
        leftMillis: Math.max(0, core.deadline - this.now),
        branches: [...core.branches.values()].map(({ name }) => name),
        jobs: [...core.jobs.keys()]
      }))
    }
  }
}

/** The typed failure of a cause; none when it has a defect or an interruption. */
const errorOf = (cause: Cause.Cause<unknown>): { readonly error: unknown } | undefined => {
  const fails = cause.reasons.filter(Cause.isFailReason)
  return fails.length > 0 && fails.length === cause.reasons.length ? { error: fails[0]!.error } : undefined
}

const subjectOf = (address: { readonly name?: string } | Pid | Reference): unknown =>
  "name" in address && address.name !== undefined ? address.name : address

const describe = (error: unknown): string => {
  if (error instanceof Error && error.message !== "") return error.message
  if (typeof error === "object" && error !== null && "_tag" in error) return String(error._tag)
  return String(error)
}
