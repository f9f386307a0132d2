/**
 * Who belongs to the group, entry by entry of the log.
 *
 * A membership holds from the moment its entry is in a log, committed or not; when the entry is replaced, the one before
 * holds again. Voters change one at a time, and the next change waits until the last is committed: any two majorities then
 * share a member.
 *
 * @since 0.1.0
 */
import type { Change, State } from "../RaftCore.ts"
import { type Entry, isVoter, type Membership } from "../RaftEntry.ts"
import type { Draft } from "./Draft.ts"
import * as Role from "./role.ts"

type Memberships = State<never, never>["memberships"]

/** Adds the memberships that entries bring. */
export const within = <C>(memberships: Memberships, entries: ReadonlyArray<Entry<C>>): Memberships => {
  const added = entries.flatMap(({ content, index }) =>
    content._tag === "Membership" ? [{ index, membership: content.membership }] : []
  )
  return added.length === 0 ? memberships : [...memberships, ...added]
}

/** The membership that held at an index. */
export const at = (memberships: Memberships, index: number): Membership =>
  (memberships.findLast((known) => known.index <= index) ?? memberships[0]!).membership

/**
 * Whether a member may stand for election: it has a vote, or had one until a change that is not known to be committed. Nobody
 * else may be able to bring that change about.
 */
export const mayStand = <C, S>({ commit, id, memberships }: State<C, S>): boolean =>
  memberships.some(({ membership }, i) =>
    isVoter(membership, id) && (i === memberships.length - 1 || memberships[i + 1]!.index > commit)
  )

/** Without what comes after an index. */
export const until = (memberships: Memberships, index: number): Memberships =>
  memberships.at(-1)!.index <= index ? memberships : memberships.filter((known) => known.index <= index)

/** Without what an index and later ones have replaced. */
export const from = (memberships: Memberships, index: number): Memberships => {
  const base = memberships.findLastIndex((known) => known.index <= index)
  return base <= 0 ? memberships : memberships.slice(base)
}

/** Entries from an index on are new in the log: some may change who belongs to the group. */
export const appended = <C, S>(draft: Draft<C, S>, from: number): void => {
  const { state } = draft
  const known = state.memberships
  state.memberships = within(known, state.log.slice(from, state.log.lastIndex))
  for (const { index, membership } of state.memberships.slice(known.length)) {
    draft.report({ _tag: "MembershipChanged", index, membership })
  }
}

/** The membership after a change; undefined when it changes nothing or leaves nobody to vote. */
export const changed = (membership: Membership, change: Change): Membership | undefined => {
  const { member } = change
  const learners = membership.learners.filter((learner) => learner !== member)
  const voters = membership.voters.filter((voter) => voter !== member)
  switch (change._tag) {
    case "AddLearner":
      // A voter that is to become a learner is one voter less: that is as large a step as adding one.
      return membership.learners.includes(member) || voters.length === 0
        ? undefined
        : { voters, learners: [...learners, member] }
    case "AddVoter":
      return isVoter(membership, member) ? undefined : { voters: [...voters, member], learners }
    case "Remove":
      if (voters.length === 0) return undefined
      return voters.length === membership.voters.length && learners.length === membership.learners.length
        ? undefined
        : { voters, learners }
  }
}

/** More is committed. A leader that has removed itself has done its duty now. */
export const committed = <C, S>(draft: Draft<C, S>): void => {
  const { state } = draft
  if (state.role._tag !== "Leader" || isVoter(draft.membership, state.id)) return
  if (state.memberships.at(-1)!.index > state.commit) return
  Role.resign(draft)
}
