/**
 * The state under work in one step: a copy that may be changed, and the output that gathers.
 *
 * @since 0.1.0
 */
import type { Envelope, Event, Output, Persist, Progress, Refusal, Reply, Role, State } from "../RaftCore.ts"
import type { Entry, MemberId, Membership, Snapshot } from "../RaftEntry.ts"
import type { AppendReply, Message, VoteReply, VoteRequest } from "../RaftMessage.ts"

type Changing<A> = { -readonly [K in keyof A]: A[K] }

/** The role of a leader, which may be changed until the step ends. */
export type Leading = Changing<Extract<Role, { readonly _tag: "Leader" }>> & { progress: Map<MemberId, Progress> }

/** @since 0.1.0 */
export class Draft<C, S> {
  readonly state: Changing<State<C, S>>
  readonly now: number
  private readonly before: State<C, S>
  private readonly send: Array<Envelope<C, S>> = []
  private readonly sendAfterPersist: Array<Envelope<C, S>> = []
  private readonly replies: Array<Reply> = []
  private readonly events: Array<Event> = []
  private truncated: number | undefined = undefined
  private added: Array<Entry<C>> = []
  private snapshot: Snapshot<S> | undefined = undefined
  private installed: Snapshot<S> | undefined = undefined

  constructor(before: State<C, S>, now: number) {
    this.before = before
    this.now = now
    this.state = { ...before }
    const role = before.role
    if (role._tag === "Leader") this.state.role = { ...role, progress: new Map(role.progress) } as Leading
  }

  /** The role of a leader; undefined for others. */
  get leading(): Leading | undefined {
    // The copies of this role that a draft makes are changeable ones.
    return this.state.role._tag === "Leader" ? this.state.role as Leading : undefined
  }

  get membership(): Membership {
    return this.state.memberships.at(-1)!.membership
  }

  /** All members but this one. */
  get others(): ReadonlyArray<MemberId> {
    const { learners, voters } = this.membership
    return [...voters, ...learners].filter((member) => member !== this.state.id)
  }

  /** Whether these members are a majority of the voters. */
  isQuorum(agreed: (member: MemberId) => boolean): boolean {
    const { voters } = this.membership
    let count = 0
    for (const voter of voters) if (agreed(voter)) count++
    return count * 2 > voters.length
  }

  /** A number from 0 up to 1 from the seed (mulberry32). */
  random(): number {
    const seed = (this.state.seed + 0x6d2b79f5) >>> 0
    this.state.seed = seed
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** Sends what promises nothing about this member's disk. */
  tell(to: MemberId, message: Message<C, S>): void {
    this.send.push({ to, message })
  }

  /** Whether the step has already sent something to a member that carries the commit index. */
  hasTold(to: MemberId): boolean {
    return this.send.some((envelope) => envelope.to === to && envelope.message._tag === "Append")
  }

  /** Whether more is committed than before the step. */
  get hasCommitted(): boolean {
    return this.state.commit > this.before.commit
  }

  /** Sends what promises that this member will remember. */
  promise(to: MemberId, message: VoteRequest | VoteReply | AppendReply): void {
    this.sendAfterPersist.push({ to, message })
  }

  reply(reply: Reply): void {
    this.replies.push(reply)
  }

  refuse(ref: number, reason: Refusal): void {
    this.replies.push({ _tag: "Refused", ref, reason })
  }

  refuseNotLeader(ref: number): void {
    this.refuse(ref, { _tag: "NotLeader", leader: this.state.leader })
  }

  report(event: Event): void {
    this.events.push(event)
  }

  /** Adds entries to the end of the log, here and on disk. */
  extend(entries: ReadonlyArray<Entry<C>>): void {
    this.state.log = this.state.log.append(entries)
    for (const entry of entries) this.added.push(entry)
  }

  /** Cuts the log back, here and on disk. */
  truncate(lastIndex: number): void {
    this.state.log = this.state.log.truncate(lastIndex)
    this.state.persisted = Math.min(this.state.persisted, lastIndex)
    this.truncated = Math.min(this.truncated ?? lastIndex, lastIndex)
    this.added = this.added.filter((entry) => entry.index <= lastIndex)
  }

  /** Puts a snapshot of this member's own state machine on disk. */
  keep(snapshot: Snapshot<S>): void {
    this.state.snapshot = snapshot
    this.snapshot = snapshot
  }

  /** Puts the snapshot of a leader on disk and into the state machine. */
  replace(snapshot: Snapshot<S>): void {
    this.keep(snapshot)
    this.installed = snapshot
  }

  /** The state and the output of the step. */
  finish(): readonly [State<C, S>, Output<C, S>] {
    const { before, state } = this
    const apply = state.applied < state.commit ? this.handOut() : []
    if (state.role._tag !== before.role._tag) {
      this.report({ _tag: "RoleChanged", term: state.term, role: state.role._tag })
    }
    if (state.leader !== before.leader || (state.term !== before.term && state.leader !== undefined)) {
      this.report({ _tag: "LeaderChanged", term: state.term, leader: state.leader })
    }
    return [state, {
      persist: this.persist(),
      send: this.send,
      sendAfterPersist: this.sendAfterPersist,
      install: this.installed,
      apply,
      replies: this.replies,
      events: this.events
    }]
  }

  /** What is committed and on this member's own disk, so that a restart never finds less than was applied. */
  private handOut(): ReadonlyArray<Entry<C>> {
    const { state } = this
    const until = Math.min(state.commit, state.persisted)
    if (until <= state.applied) return []
    const entries = state.log.slice(state.applied + 1, until)
    state.applied = until
    return entries
  }

  private persist(): Persist<C, S> | undefined {
    const { before, state } = this
    if (
      state.term === before.term && state.votedFor === before.votedFor && this.truncated === undefined &&
      this.added.length === 0 && this.snapshot === undefined
    ) return undefined
    return {
      term: state.term,
      votedFor: state.votedFor,
      truncate: this.truncated,
      entries: this.added,
      snapshot: this.snapshot,
      first: state.log.baseIndex + 1,
      receipt: { _tag: "Persisted", index: state.log.lastIndex, term: state.log.lastTerm, votedIn: state.term }
    }
  }
}
