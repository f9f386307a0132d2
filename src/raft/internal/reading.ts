/**
 * Reads that see everything committed before they were asked: the leader notes its commit index, makes sure that it still
 * leads, and says that the state machine may be read once it has come that far.
 *
 * Reads that come while a confirmation is under way share the next one.
 *
 * @since 0.1.0
 */
import type { Draft } from "./Draft.ts"
import * as Replication from "./replication.ts"

/** The shell wants to read. */
export const read = <C, S>(draft: Draft<C, S>, ref: number): void => {
  const { now, state } = draft
  const leading = draft.leading
  if (leading === undefined) return draft.refuseNotLeader(ref)
  const known = state.commit >= leading.begun
  if (known && state.options.reads === "lease" && leading.mayLease && now < leading.leaseUntil) {
    return draft.reply({ _tag: "Readable", ref, index: state.commit })
  }
  const idle = leading.reads.every((waiting) => waiting.round === 0)
  leading.reads = [...leading.reads, { ref, index: state.commit, round: 0 }]
  if (known && idle) begin(draft)
}

/** Sends a round for the reads that wait for one. */
const begin = <C, S>(draft: Draft<C, S>): void => {
  const { state } = draft
  const leading = draft.leading
  if (leading === undefined || leading.reads.length === 0) return
  const round = leading.round + 1
  // A read from before the first commit of the term could not know the index then.
  leading.reads = leading.reads.map((waiting) =>
    waiting.round === 0 ? { ...waiting, index: Math.max(waiting.index, state.commit), round } : waiting
  )
  Replication.heartbeat(draft)
}

/** Releases the reads whose round a majority has answered. */
export const confirm = <C, S>(draft: Draft<C, S>): void => {
  const { state } = draft
  const leading = draft.leading
  if (leading === undefined) return
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
  if (leading.reads.length === 0 || state.commit < leading.begun) return
  const waiting: Array<(typeof leading.reads)[number]> = []
  for (const read of leading.reads) {
    if (read.round !== 0 && read.round <= confirmed) draft.reply({ _tag: "Readable", ref: read.ref, index: read.index })
    else waiting.push(read)
  }
  leading.reads = waiting
  if (waiting.length > 0 && waiting.every((read) => read.round === 0)) begin(draft)
}

/** Refuses the reads that wait: this member no longer leads. */
export const abandon = <C, S>(draft: Draft<C, S>): void => {
  for (const { ref } of draft.leading?.reads ?? []) draft.refuse(ref, { _tag: "NotLeader", leader: undefined })
}
