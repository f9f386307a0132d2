/**
 * What the members of a Raft group say to each other.
 *
 * The messages are those of the paper, plus a vote before the vote, the rounds that confirm reads, and the transfer of
 * leadership. They are plain data and may be lost, doubled and reordered at will.
 *
 * @since 0.1.0
 */
import type { Entry, Snapshot } from "./RaftEntry.ts"

/**
 * Asks for a vote; before the term is raised (`poll`) it only asks whether one would be given.
 *
 * @category models
 * @since 0.1.0
 */
export interface VoteRequest {
  readonly _tag: "VoteRequest"
  /** The term of the election. While `poll` is set nobody has entered it yet. */
  readonly term: number
  readonly poll: boolean
  readonly lastIndex: number
  readonly lastTerm: number
  /** Whether the leader itself asked for this election, so that hearing from it is no reason to refuse. */
  readonly transfer: boolean
}

/**
 * The answer to a request for a vote.
 *
 * @category models
 * @since 0.1.0
 */
export interface VoteReply {
  readonly _tag: "VoteReply"
  /** The term of the election when granted, else the term of who answers. */
  readonly term: number
  readonly poll: boolean
  readonly granted: boolean
}

/**
 * Entries that follow a known one; without entries a sign of life.
 *
 * @category models
 * @since 0.1.0
 */
export interface Append<C> {
  readonly _tag: "Append"
  readonly term: number
  readonly previousIndex: number
  readonly previousTerm: number
  readonly entries: ReadonlyArray<Entry<C>>
  readonly commit: number
  /** Counts the leader's signs of life. The answer repeats it, which confirms that the leader still led when it sent it. */
  readonly round: number
}

/**
 * The answer to `Append` and `InstallSnapshot`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendReply {
  readonly _tag: "AppendReply"
  readonly term: number
  readonly round: number
  readonly accepted: boolean
  /** Accepted: the last index that is now on disk and known to agree. Refused: the previous index that did not. */
  readonly index: number
  /** Refused: where to try next. */
  readonly retry: number
}

/**
 * The whole state for a member that needs entries the leader no longer has.
 *
 * @category models
 * @since 0.1.0
 */
export interface InstallSnapshot<S> {
  readonly _tag: "InstallSnapshot"
  readonly term: number
  readonly snapshot: Snapshot<S>
  readonly round: number
}

/**
 * The leader's word to its successor: stand for election now.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeoutNow {
  readonly _tag: "TimeoutNow"
  readonly term: number
}

/**
 * Any message between members.
 *
 * @category models
 * @since 0.1.0
 */
export type Message<C, S> =
  | VoteRequest
  | VoteReply
  | Append<C>
  | AppendReply
  | InstallSnapshot<S>
  | TimeoutNow
