/**
 * How entries get from the leader's log into the others', and when they are committed.
 *
 * @since 0.1.0
 */
import type { Change, Input, Progress } from "../RaftCore.ts"
import type { Entry, MemberId, Snapshot } from "../RaftEntry.ts"
import type { Append, AppendReply, InstallSnapshot } from "../RaftMessage.ts"
import type { Draft, Leading } from "./Draft.ts"
import { Log } from "./Log.ts"
import * as Members from "./membership.ts"
import * as Reading from "./reading.ts"
import * as Role from "./role.ts"
import * as Transfer from "./transfer.ts"

type Commands<C> = Extract<Input<C, never>, { readonly _tag: "Propose" }>["commands"]

// --- the leader ---

/** Takes commands into the log and sends them out. */
export const propose = <C, S>(draft: Draft<C, S>, commands: Commands<C>): void => {
  const { state } = draft
  const leading = draft.leading
  const entries: Array<Entry<C>> = []
  for (const { command, ref, size } of commands) {
    const index = state.log.lastIndex + entries.length + 1
    const uncommitted = index - 1 - state.commit
    if (leading === undefined) draft.refuseNotLeader(ref)
    else if (leading.transfer !== undefined) draft.refuse(ref, { _tag: "Transferring", to: leading.transfer.to })
    else if (uncommitted >= state.options.maxUncommitted) draft.refuse(ref, { _tag: "Overloaded", uncommitted })
    else {
      entries.push({ index, term: state.term, content: { _tag: "Command", command, size } })
      draft.reply({ _tag: "Accepted", ref, index, term: state.term })
    }
  }
  if (leading === undefined || entries.length === 0) return
  draft.extend(entries)
  replicate(draft, leading)
}

/** Keeps account of exactly the members that there are. */
export const observe = <C, S>(draft: Draft<C, S>): void => {
  const leading = draft.leading
  if (leading === undefined) return
  const { now, state } = draft
  const others = draft.others
  for (const member of leading.progress.keys()) if (!others.includes(member)) leading.progress.delete(member)
  for (const member of others) {
    if (leading.progress.has(member)) continue
    const next = state.log.lastIndex + 1
    leading.progress.set(member, {
      match: 0,
      next,
      mode: "probe",
      inFlight: [],
      heardAt: now,
      round: 0,
      snapshotAt: now
    })
  }
}

/** A sign of life to everybody, with entries for those who lack some. */
export const heartbeat = <C, S>(draft: Draft<C, S>): void => {
  const leading = draft.leading
  if (leading === undefined) return
  const { now, state } = draft
  leading.heartbeatAt = now + state.options.heartbeat
  leading.round += 1
  leading.rounds = [...leading.rounds, { number: leading.round, sentAt: now }]
  for (const member of leading.progress.keys()) {
    // What was sent to a prober may be lost: it gets another message.
    const progress = leading.progress.get(member)!
    if (progress.mode === "probe" && progress.inFlight.length > 0) {
      leading.progress.set(member, { ...progress, inFlight: [] })
    }
    if (!supply(draft, leading, member)) sendTo(draft, leading, member, [])
  }
  confirmReads(draft)
}

/** Releases the reads that are confirmed, and begins a round for those that came meanwhile. */
const confirmReads = <C, S>(draft: Draft<C, S>): void => {
  if (Reading.confirm(draft)) heartbeat(draft)
}

/** The shell wants to read. */
export const read = <C, S>(draft: Draft<C, S>, ref: number): void => {
  if (Reading.read(draft, ref)) heartbeat(draft)
}

/** Sends whatever the windows allow. */
export const replicate = <C, S>(draft: Draft<C, S>, leading: Leading): void => {
  for (const member of leading.progress.keys()) supply(draft, leading, member)
}

/** Tells those who keep up that more is committed, unless they hear it anyway: they need not wait for the next sign of life. */
export const announce = <C, S>(draft: Draft<C, S>): void => {
  const leading = draft.leading
  if (leading === undefined || !draft.hasCommitted) return
  for (const [member, { mode }] of leading.progress) {
    if (mode === "stream" && !draft.hasTold(member)) sendTo(draft, leading, member, [])
  }
}

/** Sends a member the entries that it lacks; false when there are none to send now. */
const supply = <C, S>(draft: Draft<C, S>, leading: Leading, member: MemberId): boolean => {
  const { log, options, snapshot } = draft.state
  let sent = false
  for (;;) {
    const progress = leading.progress.get(member)!
    if (progress.mode === "snapshot" || progress.next > log.lastIndex) return sent
    // However much is under way: what it needs next is no longer in the log.
    if (progress.next <= log.baseIndex && snapshot !== undefined) {
      sendSnapshot(draft, leading, member, snapshot)
      return true
    }
    if (progress.inFlight.length >= (progress.mode === "stream" ? options.window : 1)) return sent
    const last = lastOfMessage(draft, progress.next)
    sendTo(draft, leading, member, log.slice(progress.next, last))
    leading.progress.set(member, {
      ...progress,
      // A prober is sent nothing further until it has answered; a streamer's answer is taken for granted.
      next: progress.mode === "stream" ? last + 1 : progress.next,
      inFlight: [...progress.inFlight, last]
    })
    sent = true
  }
}

const sendSnapshot = <C, S>(draft: Draft<C, S>, leading: Leading, member: MemberId, snapshot: Snapshot<S>): void => {
  const progress = leading.progress.get(member)!
  leading.progress.set(member, {
    ...progress,
    mode: "snapshot",
    inFlight: [],
    next: snapshot.index + 1,
    snapshotAt: draft.now
  })
  draft.tell(member, { _tag: "InstallSnapshot", term: draft.state.term, snapshot, round: leading.round })
}

/** The last index that fits into a message which begins at an index. */
const lastOfMessage = <C, S>(draft: Draft<C, S>, from: number): number => {
  const { log, options } = draft.state
  const limit = Math.min(log.lastIndex, from + options.maxEntries - 1)
  let bytes = 0
  let last = from
  for (let index = from; index <= limit; index++) {
    const { content } = log.at(index)
    if (content._tag === "Command") bytes += content.size
    if (index > from && bytes > options.maxBytes) break
    last = index
  }
  return last
}

const sendTo = <C, S>(
  draft: Draft<C, S>,
  leading: Leading,
  member: MemberId,
  entries: Append<C>["entries"]
): void => {
  const { state } = draft
  const { log } = state
  // Behind the log there is nothing to compare with: the snapshot under way will say what matters.
  const previousIndex = Math.max(log.baseIndex, leading.progress.get(member)!.next - 1)
  draft.tell(member, {
    _tag: "Append",
    term: state.term,
    previousIndex,
    previousTerm: log.termAt(previousIndex)!,
    entries,
    commit: state.commit,
    round: leading.round
  })
}

/** The shell wants a change. */
export const change = <C, S>(draft: Draft<C, S>, ref: number, change: Change): void => {
  const { state } = draft
  const leading = draft.leading
  if (leading === undefined) return draft.refuseNotLeader(ref)
  if (leading.transfer !== undefined) return draft.refuse(ref, { _tag: "Transferring", to: leading.transfer.to })
  if (state.commit < leading.begun || state.memberships.at(-1)!.index > state.commit) {
    return draft.refuse(ref, { _tag: "ChangeInProgress" })
  }
  const membership = Members.changed(draft.membership, change)
  if (membership === undefined) return draft.refuse(ref, { _tag: "BadMember", member: change.member })
  const index = state.log.lastIndex + 1
  draft.extend([{ index, term: state.term, content: { _tag: "Membership", membership } }])
  Members.appended(draft, index)
  observe(draft)
  draft.reply({ _tag: "Accepted", ref, index, term: state.term })
  replicate(draft, leading)
}

/** A member answered. */
export const answered = <C, S>(draft: Draft<C, S>, from: MemberId, reply: AppendReply): void => {
  const { now, state } = draft
  if (reply.term > state.term) return Role.follow(draft, reply.term, undefined)
  const leading = draft.leading
  const known = leading?.progress.get(from)
  if (leading === undefined || known === undefined || reply.term < state.term) return
  const progress: Progress = { ...known, heardAt: now, round: Math.max(known.round, reply.round) }
  leading.progress.set(from, reply.accepted ? accepted(state.log, progress, reply) : refused(draft, progress, reply))
  if (reply.accepted && reply.index > known.match) commit(draft)
  confirmReads(draft)
  // Losing a member of the quorum, or having removed itself, may have ended the lead.
  if (draft.leading === undefined) return
  supply(draft, leading, from)
  Transfer.handOver(draft)
}

const accepted = <C>(log: Log<C>, progress: Progress, reply: AppendReply): Progress => {
  const match = Math.max(progress.match, Math.min(reply.index, log.lastIndex))
  const arrived = progress.mode !== "snapshot" || match >= progress.next - 1
  return {
    ...progress,
    match,
    next: Math.max(progress.next, match + 1),
    mode: arrived ? "stream" : "snapshot",
    inFlight: progress.inFlight.filter((last) => last > match)
  }
}

const refused = <C, S>(draft: Draft<C, S>, progress: Progress, reply: AppendReply): Progress => {
  const lost = progress.mode === "snapshot"
    // The snapshot is on its way, unless it takes too long.
    ? draft.now >= progress.snapshotAt + draft.state.options.snapshotTimeout
    // What an old answer refused has been accepted since, or something else has been tried.
    : reply.index > progress.match && reply.index < progress.next
  if (!lost) return progress
  const next = Math.max(progress.match + 1, Math.min(reply.retry, reply.index))
  return { ...progress, mode: "probe", inFlight: [], next }
}

/** Commits what a majority has on disk, if it is of this term; earlier entries come with it. */
const commit = <C, S>(draft: Draft<C, S>): void => {
  const { state } = draft
  const leading = draft.leading
  if (leading === undefined) return
  const { voters } = draft.membership
  const matches = voters
    .map((voter) => voter === state.id ? state.persisted : leading.progress.get(voter)?.match ?? 0)
    .sort((a, b) => b - a)
  const index = matches[Math.floor(voters.length / 2)] ?? 0
  if (index <= state.commit || state.log.termAt(index) !== state.term) return
  const first = state.commit < leading.begun
  state.commit = index
  Members.committed(draft)
  if (first) confirmReads(draft)
}

// --- every member ---

/** The shell has written something. */
export const persisted = <C, S>(draft: Draft<C, S>, index: number, term: number): void => {
  const { state } = draft
  // What has been replaced since does not count.
  if (state.log.termAt(index) !== term || index <= state.persisted) return
  state.persisted = index
  commit(draft)
}

/** Drops what a snapshot of the own state machine covers. */
export const compact = <C, S>(draft: Draft<C, S>, index: number, data: S, keep: number): void => {
  const { state } = draft
  if (index > state.applied || index <= (state.snapshot?.index ?? 0)) return
  const term = state.log.termAt(index)
  if (term === undefined) return
  draft.keep({ index, term, membership: Members.at(state.memberships, index), data })
  const base = index - keep
  if (base <= state.log.baseIndex) return
  state.log = state.log.compact(base)
  state.memberships = Members.from(state.memberships, base)
}

// --- the follower ---

/** Follows who leads the term of a message; false when that term is over. */
const heed = <C, S>(draft: Draft<C, S>, from: MemberId, term: number, round: number): boolean => {
  const { now, state } = draft
  if (term < state.term) {
    draft.tell(from, { _tag: "AppendReply", term: state.term, round, accepted: false, index: 0, retry: 1 })
    return false
  }
  if (term > state.term || state.role._tag !== "Follower" || state.leader !== from) Role.follow(draft, term, from)
  state.heardAt = now
  Role.rest(draft)
  return true
}

/** The leader sent entries, or a sign of life. */
export const append = <C, S>(draft: Draft<C, S>, from: MemberId, message: Append<C>): void => {
  if (!heed(draft, from, message.term, message.round)) return
  const { state } = draft
  const { log } = state
  const refuse = (retry: number): void =>
    draft.tell(from, {
      _tag: "AppendReply",
      term: state.term,
      round: message.round,
      accepted: false,
      index: message.previousIndex,
      retry
    })
  if (message.previousIndex > log.lastIndex) return refuse(log.lastIndex + 1)
  const own = log.termAt(message.previousIndex)
  // Entries of another term: none of them can be right, so the leader is asked for what comes before all of them.
  if (own !== undefined && own !== message.previousTerm) return refuse(log.firstOfTerm(message.previousIndex))
  const last = message.previousIndex + message.entries.length
  // What the snapshot covers is committed: every leader has the same.
  const first = message.entries.find((entry) => entry.index > log.baseIndex && log.termAt(entry.index) !== entry.term)
  if (first !== undefined) {
    // No leader of this group replaces what is committed: this one is of another group, or has forgotten what it promised.
    if (first.index <= state.commit) return
    if (first.index <= log.lastIndex) {
      draft.truncate(first.index - 1)
      state.memberships = Members.until(state.memberships, first.index - 1)
    }
    draft.extend(message.entries.slice(first.index - message.previousIndex - 1))
    Members.appended(draft, first.index)
  }
  advance(draft, Math.min(message.commit, last))
  draft.promise(from, {
    _tag: "AppendReply",
    term: state.term,
    round: message.round,
    accepted: true,
    index: last,
    retry: last + 1
  })
}

/** The leader sent its snapshot, because it no longer has what would come next. */
export const install = <C, S>(draft: Draft<C, S>, from: MemberId, message: InstallSnapshot<S>): void => {
  if (!heed(draft, from, message.term, message.round)) return
  const { state } = draft
  const { snapshot } = message
  if (snapshot.index > state.commit) {
    if (state.log.termAt(snapshot.index) === snapshot.term) advance(draft, snapshot.index)
    else {
      draft.truncate(Math.min(state.log.lastIndex, state.commit))
      draft.replace(snapshot)
      state.log = Log.empty(snapshot.index, snapshot.term)
      state.memberships = [{ index: snapshot.index, membership: snapshot.membership }]
      state.commit = snapshot.index
      state.applied = snapshot.index
      draft.report({ _tag: "MembershipChanged", index: snapshot.index, membership: snapshot.membership })
    }
  }
  draft.promise(from, {
    _tag: "AppendReply",
    term: state.term,
    round: message.round,
    accepted: true,
    index: Math.max(snapshot.index, state.commit),
    retry: state.log.lastIndex + 1
  })
}

const advance = <C, S>(draft: Draft<C, S>, commit: number): void => {
  const { state } = draft
  if (commit <= state.commit) return
  state.commit = commit
  Members.committed(draft)
}
