/**
 * A Raft group in simulated time: members with clocks and disks, a network between them, clients, and everything that
 * can go wrong.
 *
 * What is written goes to disk in order, all that waits at once; a kill leaves a beginning of it. Guarantees that
 * nothing which was begun in an earlier life of a member is carried out in a later one, and that the laws hear of every
 * step. Refuses nothing itself: what must not be, the laws say.
 *
 * @since 0.1.0
 */
import * as RaftCore from "../../raft/RaftCore.ts"
import type { Entry, MemberId, Membership, Snapshot } from "../../raft/RaftEntry.ts"
import type { Message } from "../../raft/RaftMessage.ts"
import type { Core, Digest, Options } from "../RaftSimulation.ts"
import { RaftLaws } from "./RaftLaws.ts"
import { SimulatedNetwork, Simulator } from "./Simulator.ts"

type State = RaftCore.State<number, Digest>
type Output = RaftCore.Output<number, Digest>

interface Disk {
  term: number
  votedFor: MemberId | undefined
  snapshot: Snapshot<Digest> | undefined
  entries: Array<Entry<number>>
}

interface Write {
  readonly persist: RaftCore.Persist<number, Digest>
  /** What may be sent once it is on disk. */
  readonly release: Array<RaftCore.Envelope<number, Digest>>
}

interface Member {
  readonly id: MemberId
  readonly disk: Disk
  /** How its clock differs from the simulated time. */
  readonly clock: { readonly offset: number; readonly rate: number }
  state: State | undefined
  /** Counts its lives: what was begun in an earlier one is void. */
  life: number
  pausedUntil: number
  machine: Digest
  applied: number
  writes: Array<Write>
  writing: boolean
  wakes: number
  /** What clients wait for, by number. */
  waiting: Map<number, { readonly index: number; readonly term: number }>
  asked: Map<number, number>
}

/** What is counted in a run. */
type Counts = Record<"elections" | "acknowledged" | "reads" | "kills" | "snapshots" | "changes", number>

const options: Partial<RaftCore.Options> = {
  maxEntries: 16,
  window: 4
}
const empty: Digest = { commands: 0, hash: 17 }
const nobody: Membership = { voters: [], learners: [] }

const mix = (digest: Digest, command: number): Digest => ({
  commands: digest.commands + 1,
  hash: (Math.imul(digest.hash, 31) + command) | 0
})

const write = (disk: Disk, { entries, first, snapshot, term, truncate, votedFor }: Write["persist"]): void => {
  disk.term = term
  disk.votedFor = votedFor
  if (truncate !== undefined) disk.entries = disk.entries.filter((entry) => entry.index <= truncate)
  for (const entry of entries) disk.entries.push(entry)
  if (snapshot !== undefined) {
    disk.snapshot = snapshot
    disk.entries = disk.entries.filter((entry) => entry.index >= first)
  }
}

/** @since 0.1.0 */
export class RaftGroup {
  readonly simulator: Simulator
  readonly counts: Counts = { elections: 0, acknowledged: 0, reads: 0, kills: 0, snapshots: 0, changes: 0 }
  readonly laws: RaftLaws = new RaftLaws()
  private readonly core: Core
  private readonly reads: RaftCore.Options["reads"]
  private readonly network: SimulatedNetwork<Message<number, Digest>>
  private readonly members = new Map<MemberId, Member>()
  private readonly ids: ReadonlyArray<MemberId>
  private readonly founders: Membership
  private readonly electionTimeout: number
  /** Whether all members draw the same election timeouts, so that they stand for election together. */
  private readonly twins: boolean
  /** Milliseconds that a write takes at most, and how likely it is that a member is killed while one is under way. */
  private slowestWrite: number
  private readonly killOnWrite: number
  private commands = 0
  private refs = 0
  private faulty = true

  constructor(seed: number, { core, reads, traced }: Options) {
    this.core = core
    this.simulator = new Simulator(seed, traced)
    const { simulator } = this
    const founders = simulator.pick([1, 2, 3, 3, 3, 4, 5, 5])
    const names = Array.from({ length: founders + simulator.below(3) }, (_, i) => "abcdefgh"[i]!)
    this.ids = names
    this.founders = { voters: names.slice(0, founders), learners: [] }
    this.reads = reads ?? simulator.pick(["confirmed", "lease"])
    const calm = simulator.chance(0.3)
    const loss = calm ? 0 : simulator.pick([0, 0.02, 0.1, 0.3])
    const duplication = calm ? 0 : simulator.pick([0, 0.05, 0.2])
    const slowest = simulator.pick([2, 10, 60, 200])
    this.electionTimeout = simulator.pick([100, 400, 400])
    this.twins = simulator.chance(0.2)
    this.slowestWrite = simulator.pick([2, 8, 8, 50, 300])
    this.killOnWrite = simulator.pick([0, 0, 0.002, 0.02])
    this.network = new SimulatedNetwork(
      simulator,
      { delay: [0.2, slowest], loss, duplication },
      (from, to, message) => this.receive(to, { _tag: "Receive", from, message })
    )
    for (const id of names) {
      this.members.set(id, {
        id,
        disk: { term: 0, votedFor: undefined, snapshot: undefined, entries: [] },
        // Leases allow for a tenth; clocks that differ by less than that must do no harm.
        clock: { offset: simulator.below(100_000), rate: 1 + simulator.between(-0.02, 0.02) },
        state: undefined,
        life: 0,
        pausedUntil: 0,
        machine: empty,
        applied: 0,
        writes: [],
        writing: false,
        wakes: 0,
        waiting: new Map(),
        asked: new Map()
      })
    }
    for (const member of this.members.values()) this.start(member)
    this.client()
    this.chaos()
  }

  // --- members ---

  private clock(member: Member): number {
    return member.clock.offset + this.simulator.now * member.clock.rate
  }

  private start(member: Member): void {
    const { disk } = member
    this.simulator.note(() => `${member.id} starts in term ${disk.term} with ${disk.entries.length} entries`)
    member.life++
    member.writes = []
    member.writing = false
    member.waiting = new Map()
    member.asked = new Map()
    member.machine = disk.snapshot?.data ?? empty
    member.applied = disk.snapshot?.index ?? 0
    member.state = this.core.make({
      id: member.id,
      membership: this.founders.voters.includes(member.id) ? this.founders : nobody,
      options: {
        ...options,
        electionTimeout: this.electionTimeout,
        heartbeat: this.electionTimeout / 4,
        // A snapshot that was lost with the last fault must be on its way again before a leader is overdue.
        snapshotTimeout: Math.min(1500, 5 * this.electionTimeout),
        reads: this.reads
      },
      recovered: { term: disk.term, votedFor: disk.votedFor, snapshot: disk.snapshot, entries: [...disk.entries] },
      now: this.clock(member),
      seed: this.twins ? 1 : this.simulator.below(2 ** 31)
    })
    this.wake(member)
  }

  /** What it had not written is lost, but for what the disk had begun with: a part of it may be there. */
  private kill(member: Member): void {
    if (member.state === undefined) return
    const { simulator } = this
    simulator.note(() => `${member.id} is killed with ${member.writes.length} writes under way`)
    this.counts.kills++
    for (let survivors = simulator.below(member.writes.length + 1); survivors > 0; survivors--) {
      write(member.disk, member.writes.shift()!.persist)
    }
    const torn = member.writes[0]?.persist
    if (torn !== undefined && torn.snapshot === undefined && simulator.chance(0.5)) {
      write(member.disk, { ...torn, entries: torn.entries.slice(0, simulator.below(torn.entries.length + 1)) })
    }
    member.state = undefined
    member.life++
  }

  /** Kills a member, and starts it again: often before anybody has noticed. */
  private restart(member: Member): void {
    const { simulator } = this
    this.kill(member)
    simulator.after(simulator.chance(0.5) ? simulator.between(1, 50) : simulator.between(50, 3000), () => {
      if (member.state === undefined) this.start(member)
    })
  }

  private wake(member: Member): void {
    const { life, state } = member
    if (state === undefined) return
    const wake = ++member.wakes
    const at = (RaftCore.wakeAt(state) - member.clock.offset) / member.clock.rate
    if (at === Infinity) return
    // A little late, so that rounding never makes it a little early.
    this.simulator.after(Math.max(0, at - this.simulator.now) + 0.01, () => {
      if (member.life === life && member.wakes === wake) this.feed(member, { _tag: "Tick" })
    })
  }

  private receive(to: MemberId, input: RaftCore.Input<number, Digest>): void {
    const member = this.members.get(to)
    if (member !== undefined) this.feed(member, input)
  }

  /** Gives a member an input: now, or when its pause is over. */
  private feed(member: Member, input: RaftCore.Input<number, Digest>): void {
    const { simulator } = this
    if (member.state === undefined) return
    if (simulator.now < member.pausedUntil) {
      const { life } = member
      return simulator.after(member.pausedUntil - simulator.now + 0.01, () => {
        if (member.life === life) this.feed(member, input)
      })
    }
    const before = member.state
    const [state, output] = this.core.step(before, this.clock(member), input)
    member.state = state
    if (state.role._tag === "Leader" && before.role._tag !== "Leader") {
      this.counts.elections++
      simulator.note(() => `${member.id} leads term ${state.term}`)
    }
    this.laws.stepped(member.id, before, state, output)
    this.carryOut(member, output)
    if (member.state !== undefined) this.wake(member)
  }

  private carryOut(member: Member, output: Output): void {
    const { network } = this
    for (const { message, to } of output.send) network.send(member.id, to, message)
    if (output.persist !== undefined) {
      member.writes.push({ persist: output.persist, release: [...output.sendAfterPersist] })
      this.disk(member)
      // The worst moment to die is when something has just been decided.
      if (this.faulty && this.simulator.chance(this.killOnWrite)) {
        const { life } = member
        this.simulator.after(this.simulator.between(0, 20), () => {
          if (member.life === life) this.restart(member)
        })
      }
    } else {
      const pending = member.writes.at(-1)
      for (const envelope of output.sendAfterPersist) {
        if (pending === undefined) network.send(member.id, envelope.to, envelope.message)
        else pending.release.push(envelope)
      }
    }
    if (output.install !== undefined) {
      member.machine = output.install.data
      member.applied = output.install.index
    }
    for (const entry of output.apply) this.apply(member, entry)
    for (const reply of output.replies) this.answer(member, reply)
    const size = member.state!.log.lastIndex - member.state!.log.baseIndex
    if (size > 60 && member.applied > (member.state!.snapshot?.index ?? 0) + 30) {
      this.counts.snapshots++
      this.feed(member, {
        _tag: "Snapshot",
        index: member.applied,
        data: member.machine,
        keep: this.simulator.below(20)
      })
    }
  }

  /** Writes what waits, all at once; what comes meanwhile is the next to be written. */
  private disk(member: Member): void {
    const { life } = member
    if (member.writing || member.writes.length === 0) return
    member.writing = true
    const batch = member.writes.length
    const { simulator } = this
    simulator.after(simulator.between(0.1, this.slowestWrite), () => {
      if (member.life !== life) return
      if (this.faulty && simulator.chance(0.0005)) {
        simulator.note(() => `the disk of ${member.id} fails, which is final`)
        return this.restart(member)
      }
      const done = member.writes.splice(0, batch)
      member.writing = false
      for (const { persist } of done) write(member.disk, persist)
      for (const { release } of done) for (const { message, to } of release) this.network.send(member.id, to, message)
      this.disk(member)
      this.feed(member, done.at(-1)!.persist.receipt)
    })
  }

  private apply(member: Member, entry: Entry<number>): void {
    const { laws } = this
    laws.follows(member.id, member.applied, entry)
    member.applied = entry.index
    if (entry.content._tag === "Command") member.machine = mix(member.machine, entry.content.command)
    laws.applied(member.id, member.state!.term, entry, member.machine)
    for (const [ref, { index, term }] of member.waiting) {
      if (index > entry.index) continue
      member.waiting.delete(ref)
      if (index === entry.index && term === entry.term) {
        this.counts.acknowledged++
        laws.wrote(index)
      }
    }
  }

  private answer(member: Member, reply: RaftCore.Reply): void {
    if (reply._tag === "Accepted") member.waiting.set(reply.ref, reply)
    const asked = member.asked.get(reply.ref)
    member.asked.delete(reply.ref)
    if (reply._tag !== "Readable" || asked === undefined) return
    this.counts.reads++
    this.laws.read(member.id, reply.index, asked)
  }

  // --- clients and faults ---

  private client(): void {
    const { simulator } = this
    const member = this.members.get(simulator.pick(this.ids))!
    const ref = ++this.refs
    if (simulator.chance(0.7)) {
      const commands = Array.from({ length: 1 + simulator.below(4) }, () => ({
        ref: ++this.refs,
        command: ++this.commands,
        size: 1 + simulator.below(100)
      }))
      this.feed(member, { _tag: "Propose", commands })
    } else {
      member.asked.set(ref, this.laws.acknowledged)
      this.feed(member, { _tag: "Read", ref })
    }
    simulator.after(simulator.between(1, 80), () => this.client())
  }

  private chaos(): void {
    if (!this.faulty) return
    const { network, simulator } = this
    const member = this.members.get(simulator.pick(this.ids))!
    switch (simulator.below(9)) {
      case 0:
      case 1:
        this.restart(member)
        break
      case 2:
        simulator.note(() => `${member.id} pauses`)
        member.pausedUntil = simulator.now + simulator.between(10, 2000)
        break
      case 3: {
        const side = this.ids.filter(() => simulator.chance(0.5))
        simulator.note(() => `[${side.join()}] is cut off`)
        for (const a of this.ids) {
          for (const b of this.ids) if (side.includes(a) !== side.includes(b)) network.cut(a, b)
        }
        simulator.after(simulator.between(50, 5000), () => network.heal())
        break
      }
      case 4: {
        const other = simulator.pick(this.ids)
        simulator.note(() => `nothing gets from ${member.id} to ${other}`)
        network.cut(member.id, other)
        simulator.after(simulator.between(50, 5000), () => network.heal())
        break
      }
      case 5:
        this.feed(member, {
          _tag: "Transfer",
          ref: ++this.refs,
          to: simulator.chance(0.5) ? simulator.pick(this.ids) : undefined
        })
        break
      case 6:
      case 7: {
        const tag = simulator.pick(["AddLearner", "AddVoter", "Remove"] as const)
        const change: RaftCore.Change = { _tag: tag, member: simulator.pick(this.ids) }
        for (const leader of this.members.values()) {
          if (leader.state?.role._tag !== "Leader") continue
          const { memberships } = leader.state
          this.feed(leader, { _tag: "Change", ref: ++this.refs, change })
          if (leader.state !== undefined && leader.state.memberships !== memberships) {
            this.counts.changes++
            simulator.note(() => `${leader.id}: ${tag} ${change.member}`)
          }
        }
        break
      }
      case 8:
        network.heal()
        break
    }
    simulator.after(simulator.between(20, 1500), () => this.chaos())
  }

  /** Ends the faults, and waits for the group to recover. */
  recover(): void {
    const { network, simulator } = this
    this.faulty = false
    network.heal()
    this.slowestWrite = 8
    network.weather = { delay: [0.2, 2], loss: 0, duplication: 0 }
    for (const member of this.members.values()) {
      member.pausedUntil = 0
      if (member.state === undefined) this.start(member)
    }
    simulator.note(() => "the faults end")
    const healed = simulator.now
    simulator.until(
      healed + 10 * this.electionTimeout,
      () => this.leader() !== undefined,
      "there is no leader after ten election timeouts"
    )
    const leader = this.leader()!
    const target = leader.state!.log.lastIndex
    const membership = RaftCore.membership(leader.state!)
    const all = [...membership.voters, ...membership.learners].map((id) => this.members.get(id)!)
    simulator.until(
      healed + 10 * this.electionTimeout + 5000,
      () => all.every((member) => member.applied >= target),
      `not everybody has applied ${target} five seconds later`
    )
  }

  /** Notes how everybody is. */
  describe(): void {
    for (const { applied, id, state } of this.members.values()) {
      this.simulator.note(() => {
        if (state === undefined) return `${id} is down`
        const { commit, log, persisted, role, term } = state
        const { learners, voters } = RaftCore.membership(state)
        const progress = role._tag !== "Leader" ? "" : Array.from(
          role.progress,
          ([member, { match, mode, next }]) => `, ${member} ${mode} at ${match} < ${next}`
        ).join("")
        return `${id}: ${role._tag} of term ${term}, log ${log.baseIndex}..${log.lastIndex} (term ${log.lastTerm}), ` +
          `persisted ${persisted}, commit ${commit}, applied ${applied}, voters ${voters.join()}, ` +
          `learners ${learners.join()}${progress}`
      })
    }
  }

  private leader(): Member | undefined {
    // A leader counts once its term has begun: what it has then is committed.
    for (const member of this.members.values()) {
      const state = member.state
      if (state?.role._tag === "Leader" && state.commit >= state.role.begun) return member
    }
    return undefined
  }
}
