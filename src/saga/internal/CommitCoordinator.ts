/**
 * The coordinator of a transaction: it asks for votes, decides, and sees to it that everybody who promised hears of a
 * commit.
 *
 * @since 0.1.0
 */
import type {
  Coordination,
  CoordinatorInput,
  CoordinatorOutput,
  Decided,
  Envelope,
  Event,
  MemberId,
  MessageToCoordinator,
  MessageToParticipant,
  Options,
  Persist,
  Promised,
  Reason,
  Vote
} from "../CommitCore.ts"
import { after } from "./commitRetry.ts"

type State<W, E> = Coordination<W, E> | undefined
type Step<W, E> = readonly [State<W, E>, CoordinatorOutput<W, E>]
type Voting<W, E> = Extract<Coordination<W, E>, { readonly _tag: "Voting" }>
type Committed<W, E> = Extract<Coordination<W, E>, { readonly _tag: "Committed" }>

const make = <W, E>(
  state: State<W, E>,
  output: Partial<CoordinatorOutput<W, E>> = {}
): Step<W, E> => [state, { send: [], persist: undefined, decided: undefined, events: [], ...output }]

/** Takes one input. */
export const step = <W, E>(
  state: State<W, E>,
  now: number,
  input: CoordinatorInput<W, E>,
  options: Options
): Step<W, E> => {
  switch (input._tag) {
    case "Begin":
      return begin(now, input, options)
    case "Receive":
      return receive(state, now, input.from, input.message, options)
    case "Persisted":
      return state?._tag === "Deciding" ? decide(state.transaction, state.promises, now, options) : make(state)
    case "Unreachable":
      return state?._tag === "Voting" ? unreachable(state, input.participant) : make(state)
    case "Cancel":
      return state?._tag === "Voting" ? abort(state, [{ _tag: "Cancelled" }]) : make(state)
    case "Tick":
      return tick(state, now, options)
    case "Forget":
      return state?._tag === "Committed" ? make<W, E>(undefined, { persist: forgotten }) : make(state)
  }
}

const begin = <W, E>(
  now: number,
  { branches, timeout, transaction }: Extract<CoordinatorInput<W, E>, { readonly _tag: "Begin" }>,
  options: Options
): Step<W, E> => {
  const state: Voting<W, E> = {
    _tag: "Voting",
    transaction,
    branches,
    votes: branches.map(() => undefined),
    deadline: now + timeout,
    retryAt: after(now, 0, options),
    tries: 0
  }
  return branches.length === 0 ? counted(state, now, options) : make<W, E>(state, { send: prepares(state) })
}

const receive = <W, E>(
  state: State<W, E>,
  now: number,
  from: MemberId,
  message: MessageToCoordinator<E>,
  options: Options
): Step<W, E> => {
  switch (message._tag) {
    case "Vote":
      if (state?._tag === "Voting") return vote(state, now, from, message.branch, message.vote, options)
      return message.vote._tag === "Yes" ? inform(state, from, message, message.vote.ballot) : make(state)
    case "Inquire":
      // Whoever asks has said yes: its vote may be what got lost.
      return state?._tag === "Voting"
        ? vote<W, E>(state, now, from, message.branch, { _tag: "Yes", ballot: message.ballot }, options)
        : inform(state, from, message, message.ballot)
    case "Acknowledge":
      return state?._tag === "Committed" ? acknowledge(state, from, message) : make(state)
  }
}

const vote = <W, E>(
  state: Voting<W, E>,
  now: number,
  from: MemberId,
  branch: number,
  vote: Vote<E>,
  options: Options
): Step<W, E> => {
  if (state.branches[branch]?.participant !== from) return make<W, E>(state)
  const before = state.votes[branch]
  if (before !== undefined) {
    // The first vote counts. Another yes is another promise, on which nothing will rest.
    const other = vote._tag === "Yes" && !(before._tag === "Yes" && before.ballot === vote.ballot)
    return make<W, E>(state, { send: other ? [decision(state.transaction, branch, from, vote.ballot, "Abort")] : [] })
  }
  const next = { ...state, votes: state.votes.with(branch, vote) }
  return vote._tag === "No"
    ? abort(next, [{ _tag: "Refused", branch, participant: from, refusal: vote.refusal }])
    : counted(next, now, options)
}

/** Decides to commit when nobody is missing. */
const counted = <W, E>(state: Voting<W, E>, now: number, options: Options): Step<W, E> => {
  const promises: Array<Promised> = []
  for (let branch = 0; branch < state.votes.length; branch++) {
    const vote = state.votes[branch]
    if (vote === undefined) return make<W, E>(state)
    if (vote._tag === "Yes") {
      promises.push({ branch, participant: state.branches[branch]!.participant, ballot: vote.ballot })
    }
  }
  const { transaction } = state
  // Nobody has promised anything: there is nothing to remember.
  if (promises.length === 0) return decide(transaction, promises, now, options)
  return make<W, E>(
    { _tag: "Deciding", transaction, promises },
    { persist: { record: { transaction, promises }, receipt: { _tag: "Persisted" } } }
  )
}

const decide = <W, E>(
  transaction: string,
  promises: ReadonlyArray<Promised>,
  now: number,
  options: Options
): Step<W, E> => {
  const decided: Decided<E> = { outcome: "Commit" }
  if (promises.length === 0) return make<W, E>(undefined, { decided })
  const state: Committed<W, E> = {
    _tag: "Committed",
    transaction,
    promises,
    acknowledged: [],
    retryAt: after(now, 0, options),
    tries: 0
  }
  return make<W, E>(state, { decided, send: commits(state) })
}

/** Nothing is kept of an abort: whoever asks later is told so because nobody knows of the transaction. */
const abort = <W, E>(state: Voting<W, E>, reasons: ReadonlyArray<Reason<E>>): Step<W, E> => {
  const send: Array<Envelope<MessageToParticipant<W>>> = []
  state.branches.forEach(({ participant }, branch) => {
    const vote = state.votes[branch]
    if (vote === undefined || vote._tag === "Yes") {
      send.push(decision(state.transaction, branch, participant, undefined, "Abort"))
    }
  })
  return make<W, E>(undefined, { send, decided: { outcome: "Abort", reasons } })
}

const unreachable = <W, E>(state: Voting<W, E>, participant: MemberId): Step<W, E> => {
  const reasons = missing(state, "Unreachable").filter((reason) => reason.participant === participant)
  return reasons.length === 0 ? make<W, E>(state) : abort(state, reasons)
}

const missing = <W, E, Tag extends "Unreachable" | "TimedOut">({ branches, votes }: Voting<W, E>, _tag: Tag) =>
  branches.flatMap(({ participant }, branch) => votes[branch] === undefined ? [{ _tag, branch, participant }] : [])

/** Tells somebody who has said yes what has become of it, as far as that is known. */
const inform = <W, E>(
  state: State<W, E>,
  from: MemberId,
  { branch, transaction }: MessageToCoordinator<E>,
  ballot: string
): Step<W, E> => {
  const counts = state !== undefined && state._tag !== "Voting" &&
    state.promises.some((promised) => promised.branch === branch && promised.ballot === ballot)
  if (counts && state._tag === "Deciding") return make<W, E>(state)
  return make<W, E>(state, { send: [decision(transaction, branch, from, ballot, counts ? "Commit" : "Abort")] })
}

const acknowledge = <W, E>(
  state: Committed<W, E>,
  from: MemberId,
  { ballot, branch, heuristic, transaction }: Extract<MessageToCoordinator<E>, { readonly _tag: "Acknowledge" }>
): Step<W, E> => {
  const known = state.promises.some((promised) => promised.branch === branch && promised.ballot === ballot)
  if (!known || state.acknowledged.includes(branch)) return make<W, E>(state)
  const events: ReadonlyArray<Event> = heuristic === "Abort"
    ? [{ _tag: "HeuristicMismatch", transaction, branch, participant: from, outcome: heuristic, decided: "Commit" }]
    : []
  const acknowledged = [...state.acknowledged, branch]
  return acknowledged.length === state.promises.length
    ? make<W, E>(undefined, { persist: forgotten, events })
    : make<W, E>({ ...state, acknowledged }, { events })
}

const tick = <W, E>(state: State<W, E>, now: number, options: Options): Step<W, E> => {
  if (state?._tag === "Voting") {
    if (now >= state.deadline) return abort(state, missing(state, "TimedOut"))
    if (now >= state.retryAt) return make<W, E>(again(state, now, options), { send: prepares(state) })
  } else if (state?._tag === "Committed" && now >= state.retryAt) {
    return make<W, E>(again(state, now, options), { send: commits(state) })
  }
  return make(state)
}

const again = <S extends { readonly tries: number }>(state: S, now: number, options: Options): S => ({
  ...state,
  tries: state.tries + 1,
  retryAt: after(now, state.tries + 1, options)
})

const prepares = <W, E>(
  { branches, transaction, votes }: Voting<W, E>
): ReadonlyArray<Envelope<MessageToParticipant<W>>> =>
  branches.flatMap(({ participant, work }, branch) =>
    votes[branch] === undefined ? [{ to: participant, message: { _tag: "Prepare", transaction, branch, work } }] : []
  )

const commits = <W, E>({ acknowledged, promises, transaction }: Committed<W, E>) =>
  promises.flatMap(({ ballot, branch, participant }) =>
    acknowledged.includes(branch) ? [] : [decision(transaction, branch, participant, ballot, "Commit")]
  )

const decision = (
  transaction: string,
  branch: number,
  to: MemberId,
  ballot: string | undefined,
  outcome: "Commit" | "Abort"
): Envelope<MessageToParticipant<never>> => ({
  to,
  message: { _tag: "Decision", transaction, branch, ballot, outcome }
})

/** That everybody knows need not be remembered: after a crash they are told once more. */
const forgotten: Persist<never, never> = { record: undefined, receipt: undefined }
