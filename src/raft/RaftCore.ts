/**
 * Raft as a function: a state and an input give the next state and what is to be done.
 *
 * There is no clock, no randomness and no I/O in here. Time comes with each input, the seed of the election timeouts is
 * part of the state, and what must be written or sent comes out as data. The same inputs give the same outputs, so that a
 * simulator can run years of it.
 *
 * The shell owes three things. It carries out `persist` in order and gives its `receipt` back; it sends `sendAfterPersist`
 * only when everything that was to be persisted until then is on disk; and it calls `step` again not later than `wakeAt`.
 *
 * Guarantees, whatever is lost, doubled, reordered or restarted: one leader per term; logs that agree on an entry agree on
 * all before it; a committed entry is in the log of every later leader; entries are handed out in order, each once in the
 * life of a member, and none that could still be replaced. A confirmed read sees everything committed before it was asked.
 *
 * Beyond the paper: a vote before the vote and a leader that resigns when it hears no majority (a member that was cut off
 * deposes nobody and serves nothing stale), learners, transfer of leadership, reads by confirmation or by lease,
 * replication in a window of several messages, membership changes of one voter at a time.
 *
 * Refuses to work with a disk that lies: a member that forgets what it said was persisted may break every guarantee.
 *
 * Source: D. Ongaro, Consensus: Bridging Theory and Practice, 2014.
 *
 * @since 0.1.0
 */
import { Draft } from "./internal/Draft.ts"
import * as Election from "./internal/election.ts"
import { Log } from "./internal/Log.ts"
import * as Members from "./internal/membership.ts"
import * as Replication from "./internal/replication.ts"
import { rest } from "./internal/role.ts"
import * as Transfer from "./internal/transfer.ts"
import type { Entry, MemberId, Membership, Snapshot } from "./RaftEntry.ts"
import type { Message } from "./RaftMessage.ts"

/**
 * How a group behaves. All members should have the same.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Milliseconds without a leader after which a member stands for election, at least; at most twice that. */
  readonly electionTimeout: number
  /** Milliseconds from one sign of life of the leader to the next. */
  readonly heartbeat: number
  /** Entries in one message. */
  readonly maxEntries: number
  /** Bytes of commands in one message; one command may be larger. */
  readonly maxBytes: number
  /** Messages with entries under way to one member. */
  readonly window: number
  /** Milliseconds after which a snapshot that has not arrived is sent again. */
  readonly snapshotTimeout: number
  /** Entries that may wait to be committed before the leader refuses more. */
  readonly maxUncommitted: number
  /**
   * `confirmed`: the leader asks a majority whether it still leads before it reads. `lease`: it trusts that no other can
   * be elected within the election timeout after a majority answered, less `clockDrift`; wrong if clocks run apart faster.
   */
  readonly reads: "confirmed" | "lease"
  /** The part of the election timeout by which the clocks of two members may run apart within one timeout, 0 to 1. */
  readonly clockDrift: number
}

/**
 * Options for members in one data centre.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultOptions: Options = {
  electionTimeout: 1000,
  heartbeat: 100,
  maxEntries: 1000,
  maxBytes: 1024 * 1024,
  window: 32,
  snapshotTimeout: 10_000,
  maxUncommitted: 100_000,
  reads: "confirmed",
  clockDrift: 0.1
}

/**
 * What the leader knows about another member.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** The last index that is on the member's disk and agrees. */
  readonly match: number
  /** The next index to send. */
  readonly next: number
  /**
   * `probe`: one message at a time until one is accepted. `stream`: a window of them. `snapshot`: nothing but signs of
   * life until the snapshot has arrived.
   */
  readonly mode: "probe" | "stream" | "snapshot"
  /** Last indexes of messages under way, oldest first. */
  readonly inFlight: ReadonlyArray<number>
  /** When the member last answered, on the leader's clock. */
  readonly heardAt: number
  /** The last round that the member confirmed. */
  readonly round: number
  /** When a snapshot was sent to it, on the leader's clock. */
  readonly snapshotAt: number
}

/**
 * A sign of life to all members, and when it was sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Round {
  readonly number: number
  readonly sentAt: number
}

/**
 * A read that waits for its confirmation.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitingRead {
  readonly ref: number
  /** The commit index when it was asked. */
  readonly index: number
  /** The round that confirms it; zero while none has been sent for it. */
  readonly round: number
}

/**
 * What a member is at the moment, with what only that role knows.
 *
 * @category models
 * @since 0.1.0
 */
export type Role =
  | { readonly _tag: "Follower" }
  | {
    readonly _tag: "Candidate"
    readonly poll: boolean
    readonly transfer: boolean
    readonly granted: ReadonlyArray<MemberId>
  }
  | {
    readonly _tag: "Leader"
    /** The index of the entry with which its term began. Until that is committed it knows no commit index to read at. */
    readonly begun: number
    readonly progress: ReadonlyMap<MemberId, Progress>
    readonly heartbeatAt: number
    readonly checkAt: number
    readonly round: number
    readonly rounds: ReadonlyArray<Round>
    readonly reads: ReadonlyArray<WaitingRead>
    readonly leaseUntil: number
    /** Whether it may read by lease: not once it has told another to stand for election, which may happen at any later time. */
    readonly mayLease: boolean
    readonly transfer: { readonly to: MemberId; readonly until: number; readonly told: boolean } | undefined
  }

/**
 * Everything that a member knows. `term`, `votedFor`, `log` and `snapshot` are what must survive.
 *
 * @category models
 * @since 0.1.0
 */
export interface State<C, S> {
  readonly id: MemberId
  readonly options: Options
  readonly term: number
  readonly votedFor: MemberId | undefined
  readonly log: Log<C>
  readonly snapshot: Snapshot<S> | undefined
  /** The membership before the first entry of the log, and each that the log brings, oldest first. The last one holds. */
  readonly memberships: ReadonlyArray<{ readonly index: number; readonly membership: Membership }>
  /** The last index known to be committed. */
  readonly commit: number
  /** The last index that was handed out. */
  readonly applied: number
  /** The last index known to be on this member's disk. */
  readonly persisted: number
  readonly role: Role
  readonly leader: MemberId | undefined
  /** When it last heard from the leader of its term. A member that has just started counts as having heard. */
  readonly heardAt: number
  readonly electionAt: number
  readonly seed: number
}

/**
 * What happens to a member.
 *
 * @category models
 * @since 0.1.0
 */
export type Input<C, S> =
  /** Time has passed. */
  | { readonly _tag: "Tick" }
  /** A message came from another member. */
  | { readonly _tag: "Receive"; readonly from: MemberId; readonly message: Message<C, S> }
  | Persisted
  /** Commands to be replicated, each with a number of the shell's to know the answer by, and its size in bytes. */
  | {
    readonly _tag: "Propose"
    readonly commands: ReadonlyArray<{ readonly ref: number; readonly command: C; readonly size: number }>
  }
  /** Asks for an index at which the state machine may be read. */
  | { readonly _tag: "Read"; readonly ref: number }
  /** Changes the membership by one member. */
  | { readonly _tag: "Change"; readonly ref: number; readonly change: Change }
  /** Hands leadership to a voter, or to the one that is furthest. */
  | { readonly _tag: "Transfer"; readonly ref: number; readonly to: MemberId | undefined }
  /** The state machine after an applied entry: what comes before may be forgotten, except for some entries for those who lag. */
  | { readonly _tag: "Snapshot"; readonly index: number; readonly data: S; readonly keep: number }

/**
 * Everything up to an entry is on disk, and so is the vote of a term.
 *
 * @category models
 * @since 0.1.0
 */
export interface Persisted {
  readonly _tag: "Persisted"
  readonly index: number
  /** The term of that entry. */
  readonly term: number
  /** The term whose vote, or none, is on disk. */
  readonly votedIn: number
}

/**
 * A change of the membership. A voter that is added should have been a learner until it had caught up.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | { readonly _tag: "AddLearner"; readonly member: MemberId }
  | { readonly _tag: "AddVoter"; readonly member: MemberId }
  | { readonly _tag: "Remove"; readonly member: MemberId }

/**
 * What must be on disk, in this order: the log cut back, entries added, term and vote, a snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface Persist<C, S> {
  readonly term: number
  readonly votedFor: MemberId | undefined
  /** The log ends here before the entries are added. With a snapshot that replaces the log, all of it goes. */
  readonly truncate: number | undefined
  readonly entries: ReadonlyArray<Entry<C>>
  readonly snapshot: Snapshot<S> | undefined
  /** The first entry of the log that is still needed beside the snapshot. */
  readonly first: number
  /** The input to give when this, and all before it, is on disk. Several writes at once need only the last one's. */
  readonly receipt: Persisted
}

/**
 * The answer to a request of the shell.
 *
 * @category models
 * @since 0.1.0
 */
export type Reply =
  /** The command, or change, has this place in the log. If the entry that is handed out there has another term, it was lost. */
  | { readonly _tag: "Accepted"; readonly ref: number; readonly index: number; readonly term: number }
  /** The state machine may be read once this index has been applied. */
  | { readonly _tag: "Readable"; readonly ref: number; readonly index: number }
  /** The named member was told to stand for election. */
  | { readonly _tag: "Transferring"; readonly ref: number; readonly to: MemberId }
  | { readonly _tag: "Refused"; readonly ref: number; readonly reason: Refusal }

/**
 * Why a request was refused. Nothing of it was done.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal =
  | { readonly _tag: "NotLeader"; readonly leader: MemberId | undefined }
  /** Leadership is being handed over. */
  | { readonly _tag: "Transferring"; readonly to: MemberId }
  /** Too many entries wait to be committed. */
  | { readonly _tag: "Overloaded"; readonly uncommitted: number }
  /** An earlier change, or the leader's first entry, is not committed yet. */
  | { readonly _tag: "ChangeInProgress" }
  /** The change would change nothing, leave no voter, or names nobody who could lead. */
  | { readonly _tag: "BadMember"; readonly member: MemberId | undefined }

/**
 * What the shell may want to tell others.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "LeaderChanged"; readonly term: number; readonly leader: MemberId | undefined }
  | { readonly _tag: "RoleChanged"; readonly term: number; readonly role: Role["_tag"] }
  | { readonly _tag: "MembershipChanged"; readonly index: number; readonly membership: Membership }

/**
 * A message and its receiver.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope<C, S> {
  readonly to: MemberId
  readonly message: Message<C, S>
}

/**
 * What is to be done after a step.
 *
 * @category models
 * @since 0.1.0
 */
export interface Output<C, S> {
  readonly persist: Persist<C, S> | undefined
  /** To be sent at once. */
  readonly send: ReadonlyArray<Envelope<C, S>>
  /** To be sent when everything that this and earlier steps wanted persisted is on disk. */
  readonly sendAfterPersist: ReadonlyArray<Envelope<C, S>>
  /** Takes the place of the state machine, before `apply`. */
  readonly install: Snapshot<S> | undefined
  /** Committed entries, in order. */
  readonly apply: ReadonlyArray<Entry<C>>
  readonly replies: ReadonlyArray<Reply>
  readonly events: ReadonlyArray<Event>
}

/**
 * What a member had on disk when it starts, or nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recovered<C, S> {
  readonly term: number
  readonly votedFor: MemberId | undefined
  readonly snapshot: Snapshot<S> | undefined
  /** What follows the snapshot; it may begin before its end. */
  readonly entries: ReadonlyArray<Entry<C>>
}

/**
 * How a member begins.
 *
 * @category models
 * @since 0.1.0
 */
export interface Beginning<C, S> {
  readonly id: MemberId
  /** The membership of a group that begins, the same for all of it; nobody for a member that joins one. */
  readonly membership: Membership
  readonly options?: Partial<Options> | undefined
  readonly recovered?: Recovered<C, S> | undefined
  /** Milliseconds on the clock that all inputs will carry. */
  readonly now: number
  /** Any number; it should differ from member to member. */
  readonly seed: number
}

/**
 * The state of a member that starts. If it had a snapshot, the shell gives it to the state machine first; entries after it
 * are handed out again as they turn out to be committed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <C, S>(beginning: Beginning<C, S>): State<C, S> => {
  const { id, membership, now, recovered, seed } = beginning
  const snapshot = recovered?.snapshot
  const index = snapshot?.index ?? 0
  const entries = recovered === undefined ? [] : recovered.entries.filter((entry) => entry.index > index)
  const log = Log.empty<C>(index, snapshot?.term ?? 0).append(entries)
  const draft = new Draft<C, S>({
    id,
    options: { ...defaultOptions, ...beginning.options },
    term: recovered?.term ?? 0,
    votedFor: recovered?.votedFor,
    log,
    snapshot,
    memberships: Members.within([{ index, membership: snapshot?.membership ?? membership }], entries),
    commit: index,
    applied: index,
    persisted: log.lastIndex,
    role: { _tag: "Follower" },
    leader: undefined,
    heardAt: now,
    electionAt: now,
    seed: seed >>> 0
  }, now)
  rest(draft)
  return draft.state
}

/**
 * Takes one input at a time in milliseconds, which must not run backwards.
 *
 * @category combinators
 * @since 0.1.0
 */
export const step = <C, S>(
  state: State<C, S>,
  now: number,
  input: Input<C, S>
): readonly [State<C, S>, Output<C, S>] => {
  const draft = new Draft<C, S>(state, now)
  switch (input._tag) {
    case "Tick":
      break
    case "Receive":
      receive(draft, input.from, input.message)
      break
    case "Persisted":
      Replication.persisted(draft, input.index, input.term)
      Election.persisted(draft, input.votedIn)
      break
    case "Propose":
      Replication.propose(draft, input.commands)
      break
    case "Read":
      Replication.read(draft, input.ref)
      break
    case "Change":
      Replication.change(draft, input.ref, input.change)
      break
    case "Transfer":
      Transfer.transfer(draft, input.ref, input.to)
      break
    case "Snapshot":
      Replication.compact(draft, input.index, input.data, input.keep)
      break
  }
  Election.tick(draft)
  Replication.announce(draft)
  return draft.finish()
}

const receive = <C, S>(draft: Draft<C, S>, from: MemberId, message: Message<C, S>): void => {
  switch (message._tag) {
    case "VoteRequest":
      return Election.requested(draft, from, message)
    case "VoteReply":
      return Election.voted(draft, from, message)
    case "Append":
      return Replication.append(draft, from, message)
    case "AppendReply":
      return Replication.answered(draft, from, message)
    case "InstallSnapshot":
      return Replication.install(draft, from, message)
    case "TimeoutNow":
      return Election.summoned(draft, from, message)
  }
}

/**
 * The membership that holds.
 *
 * @category getters
 * @since 0.1.0
 */
export const membership = <C, S>(state: State<C, S>): Membership => state.memberships.at(-1)!.membership

/**
 * When `step` is wanted again at the latest, with a `Tick` if there is nothing else; infinity when nothing is due.
 *
 * @category getters
 * @since 0.1.0
 */
export const wakeAt = <C, S>(state: State<C, S>): number => {
  const { role } = state
  if (role._tag !== "Leader") return Members.mayStand(state) ? state.electionAt : Infinity
  return Math.min(role.heartbeatAt, role.checkAt, role.transfer?.until ?? Infinity)
}
