/**
 * Runs two-phase commit in simulated time under everything that can go wrong, and checks after every step that
 * nothing did.
 *
 * One seed is one run: two coordinators and three participants, what the network loses, doubles and delays, who is
 * cut off (also in one direction only), who is paused, whose clock runs at half or double speed, whose disk is slow
 * or fails, who is killed while it writes or at any other moment and started again, which participants refuse, what
 * an operator decides for one in doubt. After the faults every transaction must come to its end: nobody in doubt,
 * nothing locked, and new transactions commit.
 *
 * Checked after every step: nobody carries out a commit that is not on the coordinator's disk, nor an abort of what
 * is; no decision rests on a yes that is not on its participant's disk; no yes is said before that, nor after its
 * outcome; nothing is acknowledged that is not on disk; nothing is carried out twice; what a client was told is so,
 * and stays so. An operator's decision against that of the coordinator is reported, and no other.
 *
 * Refuses to guess: a run that found something says what, and when asked again with `traced` prints how it came to it.
 *
 * @since 0.1.0
 */
import * as CommitCore from "../saga/CommitCore.ts"
import { Host, type Wear } from "./internal/CommitHost.ts"
import { SimulatedNetwork, Simulator } from "./internal/Simulator.ts"
import { problemsOf, report, Violation } from "./internal/Verdict.ts"

/** Work is the number of an account to be locked; a refusal says why. */
type Coordination = CommitCore.Coordination<number, string>
type Participation = CommitCore.Participation<number>
type Record = CommitCore.ParticipantRecord<number>
type Message = CommitCore.Message<number, string>

/**
 * The functions under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Core {
  readonly coordinate: (
    state: CommitCore.Coordination<number, string> | undefined,
    now: number,
    input: CommitCore.CoordinatorInput<number, string>,
    options: CommitCore.Options
  ) => readonly [
    CommitCore.Coordination<number, string> | undefined,
    CommitCore.CoordinatorOutput<number, string>
  ]
  readonly participate: (
    state: CommitCore.Participation<number> | undefined,
    now: number,
    input: CommitCore.ParticipantInput<number, string>,
    options: CommitCore.Options
  ) => readonly [CommitCore.Participation<number> | undefined, CommitCore.ParticipantOutput<number, string>]
  readonly recoverParticipation: (
    record: CommitCore.ParticipantRecord<number>,
    now: number
  ) => CommitCore.Participation<number>
}

/**
 * How a run is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Simulated milliseconds with faults: 3000. */
  readonly millis: number
  /** Whether to note what happens, for `explain`: no. */
  readonly traced: boolean
  /** The core to run: the library's own. A test of the simulation puts a broken one here. */
  readonly core: Core
}

/**
 * What came of a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  readonly seed: number
  readonly simulatedMillis: number
  readonly steps: number
  readonly begun: number
  readonly committed: number
  readonly aborted: number
  readonly kills: number
  /** Times that a participant asked for an outcome. */
  readonly inquiries: number
  readonly heuristics: number
  readonly mismatches: number
  /** What was violated; empty when all is well. The run ends with the first. */
  readonly problems: ReadonlyArray<string>
  /** What happened, when it was traced. */
  readonly schedule: ReadonlyArray<string>
}

const keyOf = ({ branch, transaction }: CommitCore.About): string => `${transaction}#${branch}`

/** What is known to nobody in the run: what really is on all disks. */
class Truth {
  readonly counts = { begun: 0, committed: 0, aborted: 0, inquiries: 0, heuristics: 0, mismatches: 0 }
  /** The ballots on which each commit rests that is on its coordinator's disk. */
  readonly decisions = new Map<string, ReadonlyArray<CommitCore.Promised>>()
  readonly told = new Map<string, CommitCore.Outcome>()
  readonly readOnly = new Set<string>()
  /** Ballots by what became of them: carried out, and on disk. */
  readonly applied = new Map<string, CommitCore.Outcome>()
  readonly stored = new Map<string, CommitCore.Outcome>()
  readonly heuristic = new Map<string, CommitCore.Outcome>()
  readonly mismatched = new Set<string>()

  rests(transaction: string, ballot: string): boolean {
    return this.decisions.get(transaction)?.some((promised) => promised.ballot === ballot) === true
  }

  decided(
    transaction: string,
    promises: ReadonlyArray<CommitCore.Promised>,
    branches: ReadonlyArray<CommitCore.Branch<number>>
  ): void {
    if (this.told.get(transaction) === "Abort") throw new Violation(`${transaction} commits, and a client knows better`)
    branches.forEach(({ participant }, branch) => {
      if (promises.some((promised) => promised.branch === branch)) return
      if (this.readOnly.has(keyOf({ transaction, branch }))) return
      throw new Violation(`${transaction} commits without the vote of ${participant}`)
    })
    for (const { ballot, participant } of promises) {
      if (this.applied.get(ballot) === "Abort" && !this.heuristic.has(ballot)) {
        throw new Violation(`${transaction} commits on ${ballot}, which ${participant} has aborted`)
      }
    }
    this.decisions.set(transaction, promises)
  }

  answered(transaction: string, outcome: CommitCore.Outcome, branches: ReadonlyArray<unknown>): void {
    if (this.told.has(transaction)) throw new Violation(`${transaction} is answered twice`)
    const decided = this.decisions.has(transaction)
    const nothing = branches.every((_, branch) => this.readOnly.has(keyOf({ transaction, branch })))
    if (outcome === "Commit" && !decided && !nothing) {
      throw new Violation(`a client is told that ${transaction} is committed, which is not on disk`)
    }
    if (outcome === "Abort" && decided) {
      throw new Violation(`a client is told that ${transaction}, a commit, is aborted`)
    }
    this.told.set(transaction, outcome)
    this.counts[outcome === "Commit" ? "committed" : "aborted"]++
  }

  carriedOut(id: string, transaction: string, ballot: string, outcome: CommitCore.Outcome, heuristic: boolean): void {
    if (this.stored.has(ballot)) throw new Violation(`${id} carries ${ballot} out once more`)
    if (heuristic) this.heuristic.set(ballot, outcome)
    else if (this.rests(transaction, ballot) !== (outcome === "Commit")) {
      throw new Violation(
        outcome === "Commit"
          ? `${id} commits ${ballot}, on which no decision rests`
          : `${id} aborts ${ballot}, and ${transaction} is committed`
      )
    } else this.heuristic.delete(ballot)
    this.applied.set(ballot, outcome)
  }
}

class CoordinatorHost
  extends Host<Coordination, CommitCore.CoordinatorRecord, CommitCore.CoordinatorInput<number, string>>
{
  private readonly world: World
  private readonly branches = new Map<string, ReadonlyArray<CommitCore.Branch<number>>>()
  private begun = 0

  constructor(world: World, id: string) {
    super(world.simulator, id, world.wear)
    this.world = world
  }

  begin(branches: ReadonlyArray<CommitCore.Branch<number>>, timeout: number): string {
    const transaction = `${this.id}.${++this.begun}`
    this.world.truth.counts.begun++
    this.branches.set(transaction, branches)
    this.simulator.note(() => `${transaction} begins: ${branches.map(({ participant }) => participant).join(", ")}`)
    this.take(transaction, { _tag: "Begin", transaction, branches, timeout })
    return transaction
  }

  protected recover(record: CommitCore.CoordinatorRecord): Coordination {
    return CommitCore.recoverCoordination(record, this.now)
  }

  take(transaction: string, input: CommitCore.CoordinatorInput<number, string>): void {
    const { core, network, options, truth } = this.world
    const [state, output] = core.coordinate(this.table.get(transaction), this.now, input, options)
    this.set(transaction, state)
    const { persist } = output
    if (persist !== undefined) {
      const { receipt, record } = persist
      const written = record === undefined ? undefined : () => {
        this.simulator.note(() => `${transaction} is decided: commit`)
        truth.decided(transaction, record.promises, this.branches.get(transaction)!)
      }
      this.write({ key: transaction, record, receipt, written })
    }
    for (const { message, to } of output.send) {
      if (message._tag === "Decision" && message.outcome === "Commit" && !truth.rests(transaction, message.ballot!)) {
        throw new Violation(`${this.id} tells ${to} to commit ${message.ballot}, which is not decided on disk`)
      }
      network.send(this.id, to, message)
    }
    if (output.decided !== undefined) {
      const { outcome } = output.decided
      this.simulator.note(() => `a client hears of ${transaction}: ${JSON.stringify(output.decided)}`)
      truth.answered(transaction, outcome, this.branches.get(transaction)!)
    }
  }
}

class ParticipantHost extends Host<Participation, Record, CommitCore.ParticipantInput<number, string>> {
  /** Which branch has locked which account. */
  readonly locks = new Map<number, string>()
  /** What the handler has changed and the next record of the branch brings to disk. */
  private readonly changes = new Map<string, () => void>()
  private readonly world: World
  private ballots = 0

  constructor(world: World, id: string) {
    super(world.simulator, id, world.wear)
    this.world = world
  }

  override start(): void {
    this.locks.clear()
    this.changes.clear()
    for (const [key, { heuristic, work }] of this.disk) if (heuristic === undefined) this.locks.set(work, key)
    super.start()
  }

  protected recover(record: Record): Participation {
    return this.world.core.recoverParticipation(record, this.now)
  }

  take(key: string, input: CommitCore.ParticipantInput<number, string>): void {
    const { core, network, options } = this.world
    const [state, output] = core.participate(this.table.get(key), this.now, input, options)
    this.set(key, state)
    const { persist, task } = output
    if (persist !== undefined) {
      this.write({ key, ...persist, written: this.changes.get(key) })
      this.changes.delete(key)
    }
    for (const { message, to } of output.send) {
      this.check(key, message)
      network.send(this.id, to, message)
    }
    for (const event of output.events) this.report(key, event)
    // In the midst of its work it may get messages, be paused, or killed.
    if (task !== undefined) this.run(() => this.work(key, task), this.simulator.pick([0, 0, 1, 10]))
  }

  private check(key: string, message: CommitCore.MessageToCoordinator<string>): void {
    const { truth } = this.world
    if (message._tag === "Vote" && message.vote._tag === "Yes") {
      const { ballot } = message.vote
      if (this.disk.get(key)?.ballot !== ballot) throw new Violation(`${this.id} says ${ballot} before it is on disk`)
      if (truth.stored.has(ballot)) throw new Violation(`${this.id} says ${ballot} after it was carried out`)
    }
    if (message._tag === "Vote" && message.vote._tag === "ReadOnly") truth.readOnly.add(key)
    if (message._tag === "Inquire") truth.counts.inquiries++
    if (message._tag === "Acknowledge") {
      const expected = message.heuristic ?? "Commit"
      if (truth.stored.get(message.ballot) !== expected) {
        throw new Violation(`${this.id} acknowledges ${message.ballot}, which is not on its disk`)
      }
    }
  }

  private report(key: string, event: CommitCore.Event): void {
    const { truth } = this.world
    const { ballot } = this.table.get(key) as { readonly ballot: string }
    this.simulator.note(() => `${this.id} reports ${event._tag} of ${ballot}`)
    if (event._tag === "Heuristic") truth.counts.heuristics++
    else {
      truth.counts.mismatches++
      truth.mismatched.add(ballot)
      if (truth.rests(event.transaction, ballot) !== (event.decided === "Commit") || event.outcome === event.decided) {
        throw new Violation(`${this.id} reports a mismatch of ${ballot} that is none`)
      }
    }
  }

  /** The handlers: they lock an account, and let go of it. */
  private work(key: string, task: CommitCore.Task<number>): void {
    const { simulator, world: { truth } } = this
    const state = this.table.get(key)
    if (state === undefined) return
    if (task._tag === "Prepare") {
      const holder = this.locks.get(task.work)
      const ballot = `${this.id}/${++this.ballots}`
      const vote: CommitCore.Vote<string> = holder !== undefined
        ? { _tag: "No", refusal: `locked by ${holder}` }
        : simulator.chance(0.05)
        ? { _tag: "No", refusal: "out of humour" }
        : simulator.chance(0.1)
        ? { _tag: "ReadOnly" }
        : { _tag: "Yes", ballot }
      if (vote._tag === "Yes") this.locks.set(task.work, key)
      simulator.note(() => `${this.id} prepares ${key}: ${JSON.stringify(vote)}`)
      return this.take(key, { _tag: "Voted", vote })
    }
    const { ballot, outcome } = task
    const heuristic = state._tag === "Resolving" && state.heuristic
    simulator.note(() => `${this.id} carries out ${key}: ${outcome} of ${ballot}${heuristic ? " by hand" : ""}`)
    truth.carriedOut(this.id, state.transaction, ballot, outcome, heuristic)
    if (this.locks.get(task.work) === key) this.locks.delete(task.work)
    this.changes.set(key, () => {
      if (truth.stored.has(ballot)) throw new Violation(`${this.id} has carried ${ballot} out twice`)
      truth.stored.set(ballot, outcome)
    })
    this.take(key, { _tag: "Applied" })
  }
}

class World {
  readonly simulator: Simulator
  readonly truth = new Truth()
  readonly core: Core
  readonly options: CommitCore.Options
  readonly wear: Wear
  readonly network: SimulatedNetwork<Message>
  private readonly coordinators: ReadonlyArray<CoordinatorHost>
  private readonly participants: ReadonlyArray<ParticipantHost>
  private readonly hosts = new Map<string, CoordinatorHost | ParticipantHost>()
  private readonly accounts: number
  private readonly operators: boolean
  private faulty = true

  constructor(seed: number, { core, traced }: Options) {
    this.core = core
    this.simulator = new Simulator(seed, traced)
    const { simulator } = this
    this.options = { retry: simulator.pick([20, 100]), retryAtMost: 400 }
    this.wear = {
      slowest: simulator.pick([1, 5, 40]),
      killOnWrite: simulator.pick([0, 0.02, 0.1]),
      failure: simulator.pick([0, 0.01])
    }
    const calm = simulator.chance(0.3)
    this.network = new SimulatedNetwork(
      simulator,
      {
        delay: [0.2, simulator.pick([1, 5, 50])],
        loss: calm ? 0 : simulator.pick([0, 0.05, 0.3]),
        duplication: calm ? 0 : simulator.pick([0, 0.1, 0.3])
      },
      (from, to, message) => this.deliver(from, to, message)
    )
    this.accounts = simulator.pick([1, 3, 10])
    this.operators = simulator.chance(0.15)
    this.coordinators = ["c", "d"].slice(0, simulator.pick([1, 1, 2])).map((id) => new CoordinatorHost(this, id))
    this.participants = ["p", "q", "r"].map((id) => new ParticipantHost(this, id))
    for (const host of [...this.coordinators, ...this.participants]) {
      this.hosts.set(host.id, host)
      host.start()
    }
    this.client()
    this.chaos()
  }

  private deliver(from: string, to: string, message: Message): void {
    const host = this.hosts.get(to)!
    host.run(() => {
      this.simulator.note(() => `${from} > ${to}: ${JSON.stringify(message)}`)
      if (host instanceof CoordinatorHost) {
        if (message._tag === "Prepare" || message._tag === "Decision") return
        host.take(message.transaction, { _tag: "Receive", from, message })
      } else {
        if (message._tag !== "Prepare" && message._tag !== "Decision") return
        host.take(keyOf(message), { _tag: "Receive", from, message })
      }
    })
  }

  private client(): void {
    if (!this.faulty) return
    const { simulator } = this
    const coordinator = simulator.pick(this.coordinators)
    // A participant may have several branches of a transaction.
    const participants = simulator.chance(0.7)
      ? this.participants
      : Array.from({ length: 1 + simulator.below(4) }, () => simulator.pick(this.participants))
    const branches = participants.map(({ id }) => ({ participant: id, work: simulator.below(this.accounts) }))
    coordinator.run(() => coordinator.begin(branches, simulator.pick([50, 200, 1000])))
    simulator.after(simulator.between(5, 200), () => this.client())
  }

  private chaos(): void {
    if (!this.faulty) return
    const { network, simulator } = this
    const all = [...this.hosts.values()]
    const host = simulator.pick(all)
    switch (simulator.below(8)) {
      case 0:
      case 1:
      case 2:
        host.restart()
        break
      case 3:
        simulator.note(() => `${host.id} pauses`)
        host.pausedUntil = simulator.now + simulator.between(10, 500)
        break
      case 4: {
        const side = all.filter(() => simulator.chance(0.5))
        simulator.note(() => `[${side.map(({ id }) => id).join()}] is cut off`)
        for (const a of all) for (const b of all) if (side.includes(a) !== side.includes(b)) network.cut(a.id, b.id)
        simulator.after(simulator.between(20, 600), () => network.heal())
        break
      }
      case 5: {
        const other = simulator.pick(all)
        simulator.note(() => `nothing gets from ${host.id} to ${other.id}`)
        network.cut(host.id, other.id)
        simulator.after(simulator.between(20, 600), () => network.heal())
        break
      }
      case 6:
        if (this.operators && host instanceof ParticipantHost) this.operate(host)
        break
      case 7:
        if (simulator.chance(0.3)) {
          simulator.note(() => "everybody is killed")
          for (const each of all) each.restart()
        }
        break
    }
    simulator.after(simulator.between(10, 300), () => this.chaos())
  }

  /** Somebody who cannot wait. */
  private operate(host: ParticipantHost): void {
    const { simulator } = this
    for (const [key, state] of host.table) {
      if (state._tag !== "Prepared") continue
      const outcome = simulator.pick(["Commit", "Abort"] as const)
      return host.run(() => host.take(key, { _tag: "Resolve", outcome }))
    }
  }

  /** Ends the faults, and waits for every transaction to come to its end. */
  recover(): void {
    const { network, simulator, truth, wear } = this
    this.faulty = false
    network.heal()
    network.weather = { delay: [0.2, 2], loss: 0, duplication: 0 }
    wear.slowest = 5
    wear.killOnWrite = 0
    wear.failure = 0
    simulator.note(() => "the faults end")
    for (const host of this.hosts.values()) {
      host.pausedUntil = 0
      if (!host.up) host.start()
    }
    simulator.until(simulator.now + 5000, () => this.resting(), "not everything has come to its end five seconds later")
    for (const { id, locks } of this.participants) {
      for (const [account, key] of locks) throw new Violation(`${id} keeps account ${account} locked for ${key}`)
    }
    for (const [transaction, promises] of truth.decisions) {
      for (const { ballot, participant } of promises) {
        const stored = truth.stored.get(ballot)
        if (stored !== "Commit" && !truth.mismatched.has(ballot)) {
          throw new Violation(`${transaction} is committed, but for ${ballot} of ${participant}`)
        }
      }
    }
    for (const [ballot, outcome] of truth.heuristic) {
      const decided = [...truth.decisions.values()].flat().some((promised) => promised.ballot === ballot)
      if (truth.stored.has(ballot) && (outcome === "Commit") !== decided && !truth.mismatched.has(ballot)) {
        throw new Violation(`nobody has reported that ${ballot} was resolved against the decision`)
      }
    }
    this.prove()
  }

  /** With nothing wrong any more, a transaction over everybody commits, unless somebody has a reason. */
  private prove(): void {
    const { simulator, truth } = this
    const committed = truth.counts.committed
    for (let tries = 0; tries < 30 && truth.counts.committed === committed; tries++) {
      const branches = this.participants.map(({ id }) => ({ participant: id, work: 0 }))
      const transaction = this.coordinators[0]!.begin(branches, 1000)
      simulator.until(
        simulator.now + 1500,
        () => truth.told.has(transaction) && this.resting(),
        `${transaction} has not come to its end without any fault`
      )
    }
    if (truth.counts.committed === committed) throw new Violation("nothing commits any more")
  }

  private resting(): boolean {
    return this.coordinators.every(({ disk, table }) => table.size === 0 && disk.size === 0) &&
      this.participants.every(({ disk, table }) =>
        [...table.values()].every((state) => state._tag === "Heuristic" && state.decided !== undefined) &&
        [...disk.values()].every(({ decided }) => decided !== undefined)
      )
  }

  /** How often anybody was killed. */
  get kills(): number {
    return [...this.hosts.values()].reduce((sum, { kills }) => sum + kills, 0)
  }

  /** Notes how everybody is. */
  describe(): void {
    for (const { disk, id, table, up } of this.hosts.values()) {
      this.simulator.note(() => `${id}${up ? "" : " is down"}: ${JSON.stringify([...table.values()])}`)
      this.simulator.note(() => `${id} on disk: ${JSON.stringify([...disk.values()])}`)
    }
  }
}

/**
 * One run, decided by its seed.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (seed: number, given: Partial<Options> = {}): Run => {
  const all: Options = { millis: 3000, traced: false, core: CommitCore, ...given }
  const world = new World(seed, all)
  const { simulator, truth } = world
  const problems = problemsOf(() => {
    simulator.pass(all.millis)
    world.recover()
  })
  if (problems.length > 0) world.describe()
  return {
    seed,
    simulatedMillis: simulator.now,
    steps: simulator.steps,
    ...truth.counts,
    kills: world.kills,
    problems,
    schedule: simulator.schedule
  }
}

/**
 * How a run came to what it found, to be read and to be kept with its seed as a test.
 *
 * @category running
 * @since 0.1.0
 */
export const explain = (seed: number, options: Partial<Options> = {}): string =>
  report(run(seed, { ...options, traced: true }))
