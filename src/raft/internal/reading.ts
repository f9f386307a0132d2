/**
 * Reads that see everything committed before they were asked: the leader notes its commit index, makes sure that it still
 * leads, and says that the state machine may be read once it has come that far.
 *
 * Reads that come while a confirmation is under way share the next one.
 *
 * @since 0.1.0
 */
import type { Draft } from "./Draft.ts"

/** The shell wants to read. True when a round must be sent for it. */
export const read = <C, S>(draft: Draft<C, S>, ref: number): boolean => {
  const { now, state } = draft
  const leading = draft.leading
  if (leading === undefined) {
    draft.refuseNotLeader(ref)
    return false
  }
  const known = state.commit >= leading.begun
  if (known && state.options.reads === "lease" && leading.mayLease && now < leading.leaseUntil) {
    draft.reply({ _tag: "Readable", ref, index: state.commit })
    return false
  }
  const idle = leading.reads.every((waiting) => waiting.round === 0)
  leading.reads = [...leading.reads, { ref, index: state.commit, round: 0 }]
  if (known && idle) prepare(draft)
  return known && idle
}

/** The reads that wait for a round wait for the next one. */
const prepare = <C, S>(draft: Draft<C, S>): void => {
  const { state } = draft
  const leading = draft.leading
  if (leading === undefined) return
  const round = leading.round + 1
  // A read from before the first commit of the term could not know the index then.
  leading.reads = leading.reads.map((waiting) =>
    waiting.round === 0 ? { ...waiting, index: Math.max(waiting.index, state.commit), round } : waiting
  )
}

/** Releases the reads whose round a majority has answered. True when others wait for a round, which must then be sent. */
export const confirm = <C, S>(draft: Draft<C, S>): boolean => {
  const { state } = draft
  const leading = draft.leading
  if (leading === undefined) return false
  const { voters } = draft.membership
  const rounds = voters
    .map((voter) => voter === state.id ? leading.round : leading.progress.get(voter)?.round ?? 0)
    .sort((a, b) => b - a)
  const confirmed = rounds[Math.floor(voters.length / 2)] ?? 0
  const sent = leading.rounds.find((round) => round.number === confirmed)
  if (sent !== undefined) {
    leading.rounds = leading.rounds.filter((round) => round.number > confirmed)
    const lease = state.options.electionTimeout * (1 - state.options.clockDrift)
    leading.leaseUntil = Math.max(leading.leaseUntil, sent.sentAt + lease)
  }
  if (leading.reads.length === 0 || state.commit < leading.begun) return false
  const waiting: Array<(typeof leading.reads)[number]> = []
  for (const read of leading.reads) {
    if (read.round !== 0 && read.round <= confirmed) draft.reply({ _tag: "Readable", ref: read.ref, index: read.index })
    else waiting.push(read)
  }
  leading.reads = waiting
  const next = waiting.length > 0 && waiting.every((read) => read.round === 0)
  if (next) prepare(draft)
  return next
}
