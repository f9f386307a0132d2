/**
 * What a Raft group agrees on: entries of the log, the membership that some of them change, and the snapshot that replaces
 * the oldest of them.
 *
 * @since 0.1.0
 */

/**
 * Names a member of a group: the name of its node, or whatever tells members apart.
 *
 * @category models
 * @since 0.1.0
 */
export type MemberId = string

/**
 * Who belongs to a group. Voters elect and commit; learners only receive what is committed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Membership {
  readonly voters: ReadonlyArray<MemberId>
  readonly learners: ReadonlyArray<MemberId>
}

/**
 * What an entry says: nothing (the first entry of each leader), a command for the replicated state machine, or the
 * membership that holds from this entry on.
 *
 * @category models
 * @since 0.1.0
 */
export type Content<C> =
  | { readonly _tag: "Noop" }
  | { readonly _tag: "Command"; readonly command: C; readonly size: number }
  | { readonly _tag: "Membership"; readonly membership: Membership }

/**
 * One entry of the log. Index and term identify it for ever: two logs that hold an entry with the same two numbers
 * agree on it and on everything before it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<C> {
  readonly index: number
  readonly term: number
  readonly content: Content<C>
}

/**
 * The state machine after the entry `index`, with what Raft must know about the entries it replaces.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot<S> {
  readonly index: number
  readonly term: number
  readonly membership: Membership
  readonly data: S
}

/**
 * Whether a member has a vote.
 *
 * @category guards
 * @since 0.1.0
 */
export const isVoter = (membership: Membership, member: MemberId): boolean => membership.voters.includes(member)

/**
 * All members, voters first.
 *
 * @category combinators
 * @since 0.1.0
 */
export const members = (membership: Membership): ReadonlyArray<MemberId> => [
  ...membership.voters,
  ...membership.learners
]

/**
 * How many voters make a majority.
 *
 * @category combinators
 * @since 0.1.0
 */
export const quorum = (membership: Membership): number => Math.floor(membership.voters.length / 2) + 1
