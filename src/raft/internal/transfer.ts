/**
 * Handing leadership over.
 *
 * @since 0.1.0
 */
import { isVoter, type MemberId } from "../RaftEntry.ts"
import type { Draft } from "./Draft.ts"

/** The shell wants another leader. */
export const transfer = <C, S>(draft: Draft<C, S>, ref: number, wanted: MemberId | undefined): void => {
  const { now, state } = draft
  const leading = draft.leading
  if (leading === undefined) return draft.refuseNotLeader(ref)
  if (leading.transfer !== undefined) return draft.refuse(ref, { _tag: "Transferring", to: leading.transfer.to })
  const furthest = draft.membership.voters
    .filter((voter) => voter !== state.id)
    .reduce<MemberId | undefined>((best, voter) => {
      const match = (member: MemberId): number => leading.progress.get(member)?.match ?? 0
      return best === undefined || match(voter) > match(best) ? voter : best
    }, undefined)
  const to = wanted ?? furthest
  if (to === undefined || to === state.id || !isVoter(draft.membership, to)) {
    return draft.refuse(ref, { _tag: "BadMember", member: to })
  }
  leading.transfer = { to, until: now + state.options.electionTimeout, told: false }
  draft.reply({ _tag: "Transferring", ref, to })
  handOver(draft)
}

/** Tells the successor as soon as it has everything. */
export const handOver = <C, S>(draft: Draft<C, S>): void => {
  const leading = draft.leading
  if (leading?.transfer === undefined || leading.transfer.told) return
  const { to } = leading.transfer
  if (leading.progress.get(to)?.match !== draft.state.log.lastIndex) return
  leading.transfer = { ...leading.transfer, told: true }
  leading.mayLease = false
  draft.tell(to, { _tag: "TimeoutNow", term: draft.state.term })
}
