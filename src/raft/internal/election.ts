/**
 * Who leads: time-outs, votes, resignation.
 *
 * A member that heard from a leader less than an election timeout ago refuses its vote to everybody else, whatever their
 * term; a leader that has not heard from a majority for as long resigns. A member that has just started counts as having heard,
 * because it may have promised a leader its loyalty before it was restarted.
 *
 * @since 0.1.0
 */
import { isVoter, type MemberId } from "../RaftEntry.ts"
import type { TimeoutNow, VoteReply, VoteRequest } from "../RaftMessage.ts"
import type { Draft } from "./Draft.ts"
import * as Members from "./membership.ts"
import * as Replication from "./replication.ts"
import * as Role from "./role.ts"

/** Does what is due. */
export const tick = <C, S>(draft: Draft<C, S>): void => {
  const { now, state } = draft
  const leading = draft.leading
  if (leading === undefined) {
    if (now < state.electionAt) return
    if (Members.mayStand(state)) campaign(draft, true, false)
    else Role.rest(draft)
    return
  }
  if (now >= leading.checkAt) {
    leading.checkAt = now + state.options.electionTimeout
    const since = now - state.options.electionTimeout
    if (!draft.isQuorum((member) => member === state.id || (leading.progress.get(member)?.heardAt ?? 0) > since)) {
      return Role.resign(draft)
    }
  }
  if (leading.transfer !== undefined && now >= leading.transfer.until) leading.transfer = undefined
  if (now >= leading.heartbeatAt) Replication.heartbeat(draft)
}

/** Stands for election: first asks whether it would be elected, then is. */
export const campaign = <C, S>(draft: Draft<C, S>, poll: boolean, transfer: boolean): void => {
  const { state } = draft
  state.leader = undefined
  state.role = { _tag: "Candidate", poll, transfer, granted: [] }
  Role.rest(draft)
  if (poll) grant(draft, state.id)
  else {
    // Its own vote counts when it can no longer be forgotten.
    state.term += 1
    state.votedFor = state.id
  }
  if (state.role._tag !== "Candidate" || state.role.poll !== poll) return
  const request: VoteRequest = {
    _tag: "VoteRequest",
    term: poll ? state.term + 1 : state.term,
    poll,
    lastIndex: state.log.lastIndex,
    lastTerm: state.log.lastTerm,
    transfer
  }
  for (const voter of draft.membership.voters) {
    if (voter === state.id) continue
    // A poll promises nothing; a candidate has voted for itself, and must not forget that.
    if (poll) draft.tell(voter, request)
    else draft.promise(voter, request)
  }
}

/** Somebody asks for a vote. */
export const requested = <C, S>(draft: Draft<C, S>, from: MemberId, request: VoteRequest): void => {
  const { now, state } = draft
  const answer = (term: number, granted: boolean): void => {
    const reply: VoteReply = { _tag: "VoteReply", term, poll: request.poll, granted }
    if (granted && !request.poll) draft.promise(from, reply)
    else draft.tell(from, reply)
  }
  if (request.term < state.term) return answer(state.term, false)
  const loyal = state.role._tag === "Leader" || now < state.heardAt + state.options.electionTimeout
  if (loyal && !request.transfer && request.term > state.term) return answer(state.term, false)
  const { lastIndex, lastTerm } = state.log
  const current = request.lastTerm > lastTerm || (request.lastTerm === lastTerm && request.lastIndex >= lastIndex)
  if (request.poll) {
    const granted = current && request.term > state.term
    return answer(granted ? request.term : state.term, granted)
  }
  if (request.term > state.term) Role.follow(draft, request.term, undefined)
  if (!current || (state.votedFor !== undefined && state.votedFor !== from)) return answer(state.term, false)
  state.votedFor = from
  Role.rest(draft)
  answer(state.term, true)
}

/** Somebody gave or refused a vote. */
export const voted = <C, S>(draft: Draft<C, S>, from: MemberId, reply: VoteReply): void => {
  const { state } = draft
  const role = state.role
  if (!reply.granted) {
    if (reply.term > state.term) Role.follow(draft, reply.term, undefined)
    return
  }
  if (role._tag !== "Candidate" || role.poll !== reply.poll) return
  if (reply.term !== (role.poll ? state.term + 1 : state.term) || role.granted.includes(from)) return
  grant(draft, from)
}

/** The vote of a term is on disk: a candidate may count its own. */
export const persisted = <C, S>(draft: Draft<C, S>, term: number): void => {
  const { state } = draft
  const { role } = state
  if (role._tag !== "Candidate" || role.poll || term !== state.term || role.granted.includes(state.id)) return
  grant(draft, state.id)
}

/** Counts a vote, and goes on when it decides. */
const grant = <C, S>(draft: Draft<C, S>, from: MemberId): void => {
  const { role } = draft.state
  if (role._tag !== "Candidate") return
  const granted = [...role.granted, from]
  draft.state.role = { ...role, granted }
  if (!draft.isQuorum((member) => granted.includes(member))) return
  if (role.poll) campaign(draft, false, role.transfer)
  else lead(draft)
}

/** Takes the lead, and begins the term with an entry of its own so that it learns what is committed. */
const lead = <C, S>(draft: Draft<C, S>): void => {
  const { now, state } = draft
  const next = state.log.lastIndex + 1
  state.role = {
    _tag: "Leader",
    begun: next,
    progress: new Map(),
    heartbeatAt: now,
    checkAt: now + state.options.electionTimeout,
    round: 0,
    rounds: [],
    reads: [],
    leaseUntil: -Infinity,
    mayLease: true,
    transfer: undefined
  }
  state.leader = state.id
  Replication.observe(draft)
  draft.extend([{ index: next, term: state.term, content: { _tag: "Noop" } }])
  Replication.heartbeat(draft)
}

/** The leader wants this member to take over. */
export const summoned = <C, S>(draft: Draft<C, S>, from: MemberId, message: TimeoutNow): void => {
  const { state } = draft
  if (message.term !== state.term || state.leader !== from || !isVoter(draft.membership, state.id)) return
  campaign(draft, false, true)
}
