/**
 * Giving up a role, and the time until the next is sought.
 *
 * @since 0.1.0
 */
import type { Role } from "../RaftCore.ts"
import type { MemberId } from "../RaftEntry.ts"
import type { Draft } from "./Draft.ts"

const follower: Role = { _tag: "Follower" }

/** Waits from now on, for one to two election timeouts. */
export const rest = <C, S>(draft: Draft<C, S>): void => {
  const { electionTimeout } = draft.state.options
  draft.state.electionAt = draft.now + electionTimeout * (1 + draft.random())
}

/** Refuses the reads that wait: this member no longer leads. */
const abandonReads = <C, S>(draft: Draft<C, S>): void => {
  for (const { ref } of draft.leading?.reads ?? []) draft.refuse(ref, { _tag: "NotLeader", leader: undefined })
}

/** Follows whoever leads the term, which nobody may be known to do yet. */
export const follow = <C, S>(draft: Draft<C, S>, term: number, leader: MemberId | undefined): void => {
  const { state } = draft
  abandonReads(draft)
  if (term !== state.term) {
    state.term = term
    state.votedFor = undefined
  }
  if (state.role._tag !== "Follower") {
    state.role = follower
    rest(draft)
  }
  state.leader = leader
}

/** Leads no longer. */
export const resign = <C, S>(draft: Draft<C, S>): void => follow(draft, draft.state.term, undefined)
