/**
 * A Raft group whose every message, disk write and tick is told by hand, so that a test reads like a story.
 */
import { assert } from "@effect/vitest"
import * as RaftCore from "../../src/raft/RaftCore.ts"
import type { Entry, MemberId, Membership, Snapshot } from "../../src/raft/RaftEntry.ts"
import type { Message } from "../../src/raft/RaftMessage.ts"

type State = RaftCore.State<string, string>

interface Letter {
  readonly from: MemberId
  readonly to: MemberId
  readonly message: Message<string, string>
}

interface Member {
  state: State
  writes: Array<{ readonly persist: RaftCore.Persist<string, string>; readonly letters: Array<Letter> }>
  /** Commands in the order in which they were handed out. */
  applied: Array<string>
  replies: Array<RaftCore.Reply>
  events: Array<RaftCore.Event>
  disk: {
    term: number
    votedFor: MemberId | undefined
    entries: Array<Entry<string>>
    snapshot: Snapshot<string> | undefined
  }
}

export class Story {
  now = 0
  /** What is under way, oldest first. */
  mail: Array<Letter> = []
  readonly members = new Map<MemberId, Member>()
  private readonly options: Partial<RaftCore.Options>
  private readonly founders: Membership
  private refs = 0

  constructor(ids: string, options: Partial<RaftCore.Options> = {}, learners = "") {
    this.options = { electionTimeout: 1000, heartbeat: 100, ...options }
    this.founders = { voters: [...ids], learners: [...learners] }
    for (const id of this.founders.voters) this.begin(id)
    for (const id of this.founders.learners) this.begin(id)
  }

  /** Starts a member: a new one, or one that finds what was on its disk. */
  begin(id: MemberId): void {
    const disk = this.members.get(id)?.disk ?? { term: 0, votedFor: undefined, entries: [], snapshot: undefined }
    const founder = this.founders.voters.includes(id) || this.founders.learners.includes(id)
    this.members.set(id, {
      disk,
      writes: [],
      applied: disk.snapshot === undefined ? [] : [disk.snapshot.data],
      replies: [],
      events: [],
      state: RaftCore.make({
        id,
        membership: founder ? this.founders : { voters: [], learners: [] },
        options: this.options,
        recovered: { ...disk, entries: [...disk.entries] },
        now: this.now,
        seed: id.charCodeAt(0)
      })
    })
  }

  member(id: MemberId): Member {
    return this.members.get(id)!
  }

  state(id: MemberId): State {
    return this.member(id).state
  }

  input(id: MemberId, input: RaftCore.Input<string, string>): RaftCore.Output<string, string> {
    const member = this.member(id)
    const [state, output] = RaftCore.step(member.state, this.now, input)
    member.state = state
    const letters = output.sendAfterPersist.map(({ message, to }) => ({ from: id, to, message }))
    for (const { message, to } of output.send) this.mail.push({ from: id, to, message })
    if (output.persist !== undefined) member.writes.push({ persist: output.persist, letters })
    else if (member.writes.length > 0) member.writes.at(-1)!.letters.push(...letters)
    else this.mail.push(...letters)
    if (output.install !== undefined) member.applied = [output.install.data]
    for (const { content } of output.apply) if (content._tag === "Command") member.applied.push(content.command)
    member.replies.push(...output.replies)
    member.events.push(...output.events)
    return output
  }

  /** The disk of a member finishes everything. */
  write(id: MemberId): void {
    const member = this.member(id)
    for (let write = member.writes.shift(); write !== undefined; write = member.writes.shift()) {
      const { entries, first, receipt, snapshot, term, truncate, votedFor } = write.persist
      member.disk.term = term
      member.disk.votedFor = votedFor
      if (truncate !== undefined) member.disk.entries = member.disk.entries.filter((entry) => entry.index <= truncate)
      member.disk.entries.push(...entries)
      if (snapshot !== undefined) {
        member.disk.snapshot = snapshot
        member.disk.entries = member.disk.entries.filter((entry) => entry.index >= first)
      }
      this.mail.push(...write.letters)
      this.input(id, receipt)
    }
  }

  /** Delivers what is under way, and what that leads to, to those who can be reached. */
  deliver(reachable: (letter: Letter) => boolean = () => true): void {
    for (let rounds = 0; rounds < 100; rounds++) {
      for (const id of this.members.keys()) this.write(id)
      const letters = this.mail
      this.mail = []
      if (letters.length === 0) return
      for (const letter of letters) {
        if (this.members.has(letter.to) && reachable(letter)) {
          this.input(letter.to, { _tag: "Receive", from: letter.from, message: letter.message })
        }
      }
    }
    assert.fail("the members never stop talking")
  }

  /** Only these can hear each other. */
  static among(ids: string): (letter: Letter) => boolean {
    return ({ from, to }) => ids.includes(from) && ids.includes(to)
  }

  pass(millis: number): void {
    this.now += millis
  }

  tick(id: MemberId): void {
    this.input(id, { _tag: "Tick" })
  }

  /** A member stands for election: its time-out is the first to end after nobody has heard from a leader. */
  stand(id: MemberId): void {
    this.pass(1000)
    const member = this.member(id)
    member.state = { ...member.state, electionAt: this.now }
    this.tick(id)
  }

  /** A member stands for election and is elected by those who can be reached. */
  elect(id: MemberId, reachable?: (letter: Letter) => boolean): void {
    this.stand(id)
    this.deliver(reachable)
    assert.strictEqual(this.state(id).role._tag, "Leader", `${id} should lead`)
  }

  /** A member is given a command; its number is returned. */
  propose(id: MemberId, ...commands: ReadonlyArray<string>): number {
    const first = this.refs + 1
    this.input(id, {
      _tag: "Propose",
      commands: commands.map((command) => ({ ref: ++this.refs, command, size: command.length }))
    })
    return first
  }

  read(id: MemberId): number {
    this.input(id, { _tag: "Read", ref: ++this.refs })
    return this.refs
  }

  change(id: MemberId, change: RaftCore.Change): number {
    this.input(id, { _tag: "Change", ref: ++this.refs, change })
    return this.refs
  }

  transfer(id: MemberId, to?: MemberId): number {
    this.input(id, { _tag: "Transfer", ref: ++this.refs, to })
    return this.refs
  }

  /** Another heartbeat of the leader reaches whom it can. */
  beat(id: MemberId, reachable?: (letter: Letter) => boolean): void {
    this.pass(100)
    this.tick(id)
    this.deliver(reachable)
  }

  reply(id: MemberId, ref: number): RaftCore.Reply | undefined {
    return this.member(id).replies.find((reply) => reply.ref === ref)
  }

  /** The terms of a member's log. */
  terms(id: MemberId): string {
    const { log } = this.state(id)
    return log.slice(log.baseIndex + 1, log.lastIndex).map((entry) => entry.term).join("")
  }
}
