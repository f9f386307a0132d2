/**
 * A participant in a branch of a transaction: it votes, keeps its promise, and carries out what was decided.
 *
 * @since 0.1.0
 */
import type {
  Event,
  MemberId,
  MessageToCoordinator,
  MessageToParticipant,
  Options,
  Outcome,
  ParticipantInput,
  ParticipantOutput,
  ParticipantPersisted,
  ParticipantRecord,
  Participation,
  Persist,
  PromisedBranch,
  Vote
} from "../CommitCore.ts"
import { after } from "./commitRetry.ts"

type State<W> = Participation<W> | undefined
type Step<W, E> = readonly [State<W>, ParticipantOutput<W, E>]
type Of<W, Tag extends Participation<W>["_tag"]> = Extract<Participation<W>, { readonly _tag: Tag }>
type Decision<W> = Extract<MessageToParticipant<W>, { readonly _tag: "Decision" }>

const make = <W, E>(state: State<W>, output: Partial<ParticipantOutput<W, E>> = {}): Step<W, E> => [
  state,
  { send: [], persist: undefined, task: undefined, events: [], ...output }
]

/** Takes one input. */
export const step = <W, E>(
  state: State<W>,
  now: number,
  input: ParticipantInput<W, E>,
  options: Options
): Step<W, E> => {
  switch (input._tag) {
    case "Receive":
      return input.message._tag === "Prepare"
        ? prepare(state, input.from, input.message)
        : decision(state, input.from, input.message)
    case "Voted":
      return state?._tag === "Preparing" ? voted(state, input.vote) : make(state)
    case "Persisted":
      return state !== undefined && "ballot" in state && state.ballot === input.ballot
        ? persisted(state, now, input.stage, options)
        : make(state)
    case "Applied":
      return state?._tag === "Resolving" ? applied(state, now, options) : make(state)
    case "Tick":
      return tick(state, now, options)
    case "Resolve":
      return state?._tag === "Prepared" ? resolve(state, input.outcome, true) : make(state)
    case "Dismiss":
      return state?._tag === "Heuristic"
        ? make<W, E>(undefined, { persist: forgotten })
        : make(state)
  }
}

const prepare = <W, E>(
  state: State<W>,
  coordinator: MemberId,
  { branch, transaction, work }: Extract<MessageToParticipant<W>, { readonly _tag: "Prepare" }>
): Step<W, E> => {
  if (state === undefined) {
    return make<W, E>(
      { _tag: "Preparing", transaction, branch, coordinator, work, aborted: false },
      { task: { _tag: "Prepare", work } }
    )
  }
  // Its vote was lost, or is under way. In every other state it has been told the outcome, or soon says its yes itself.
  return state._tag === "Prepared" ? make<W, E>(state, { send: [yes(state)] }) : make(state)
}

const voted = <W, E>(state: Of<W, "Preparing">, vote: Vote<E>): Step<W, E> => {
  const { aborted, branch, coordinator, transaction, work } = state
  if (vote._tag === "Yes") {
    const promised: PromisedBranch<W> = { transaction, branch, coordinator, work, ballot: vote.ballot }
    return aborted
      ? resolve(promised, "Abort", false)
      : make<W, E>({ ...promised, _tag: "Promising" }, { persist: kept(recordOf(promised), "Promised") })
  }
  return make<W, E>(undefined, {
    send: aborted ? [] : [{ to: coordinator, message: { _tag: "Vote", transaction, branch, vote } }]
  })
}

const persisted = <W, E>(
  state: Exclude<Participation<W>, { readonly _tag: "Preparing" }>,
  now: number,
  stage: ParticipantPersisted["stage"],
  options: Options
): Step<W, E> => {
  switch (stage) {
    case "Promised":
      return state._tag === "Promising"
        ? make<W, E>({ ...state, _tag: "Prepared", askAt: after(now, 0, options), tries: 0 }, { send: [yes(state)] })
        : make(state)
    case "Finished":
      return make<W, E>(undefined, { send: [acknowledge(state)] })
    case "Resolved":
      return state._tag === "Heuristic" && state.decided === undefined ? make({ ...state, stored: true }) : make(state)
    case "Mismatched":
      return state._tag === "Heuristic" && state.decided !== undefined
        ? answer({ ...state, stored: true })
        : make(state)
  }
}

const decision = <W, E>(state: State<W>, from: MemberId, message: Decision<W>): Step<W, E> => {
  const { ballot, outcome } = message
  if (state === undefined) return make<W, E>(undefined, { send: done(from, message) })
  if (state._tag === "Preparing") {
    // A commit is for a yes that was carried out and forgotten: nothing will rest on the one that is being prepared.
    return make<W, E>({ ...state, aborted: true }, { send: done(from, message) })
  }
  if (ballot !== undefined && ballot !== state.ballot) return make<W, E>(state, { send: done(from, message) })
  switch (state._tag) {
    case "Promising":
    case "Prepared":
      return resolve(state, outcome, false)
    case "Resolving":
      return make<W, E>(state.heuristic ? { ...state, decided: outcome } : state)
    case "Finishing":
      return make<W, E>(state)
    case "Heuristic":
      return state.decided === undefined ? compare(state, state.outcome, outcome) : answer(state)
  }
}

/** A commit that nobody here knows of any more has been carried out. */
const done = <W>(
  to: MemberId,
  { ballot, branch, outcome, transaction }: Decision<W>
): ReadonlyArray<{ readonly to: MemberId; readonly message: MessageToCoordinator<never> }> =>
  outcome === "Commit" && ballot !== undefined
    ? [{ to, message: { _tag: "Acknowledge", transaction, branch, ballot, heuristic: undefined } }]
    : []

const resolve = <W, E>(
  { ballot, branch, coordinator, transaction, work }: PromisedBranch<W>,
  outcome: Outcome,
  heuristic: boolean
): Step<W, E> => {
  const events: ReadonlyArray<Event> = heuristic ? [{ _tag: "Heuristic", transaction, branch, outcome }] : []
  return make<W, E>(
    {
      _tag: "Resolving",
      transaction,
      branch,
      coordinator,
      work,
      ballot,
      outcome,
      heuristic,
      decided: undefined
    },
    { task: { _tag: "Apply", outcome, work, ballot }, events }
  )
}

const applied = <W, E>(state: Of<W, "Resolving">, now: number, options: Options): Step<W, E> => {
  const { decided, heuristic, outcome } = state
  const branch = branchOf(state)
  if (heuristic) {
    return decided === undefined
      ? make<W, E>(
        { ...branch, _tag: "Heuristic", outcome, decided, stored: false, askAt: after(now, 0, options), tries: 0 },
        { persist: kept(recordOf(branch, outcome), "Resolved") }
      )
      : compare(branch, outcome, decided)
  }
  return finish(branch, outcome)
}

/** An abort that is lost is presumed again. A commit is acknowledged when it is on disk, and only then. */
const finish = <W, E>(branch: PromisedBranch<W>, outcome: Outcome): Step<W, E> =>
  outcome === "Abort"
    ? make<W, E>(undefined, { persist: forgotten })
    : make<W, E>({ ...branchOf(branch), _tag: "Finishing" }, {
      persist: { record: undefined, receipt: { _tag: "Persisted", ballot: branch.ballot, stage: "Finished" } }
    })

/** The decision about what an operator has decided before. */
const compare = <W, E>(branch: PromisedBranch<W>, outcome: Outcome, decided: Outcome): Step<W, E> => {
  if (outcome === decided) return finish(branch, outcome)
  const { branch: number, transaction } = branch
  const event: Event = {
    _tag: "HeuristicMismatch",
    transaction,
    branch: number,
    participant: undefined,
    outcome,
    decided
  }
  const state: Of<W, "Heuristic"> = {
    ...branchOf(branch),
    _tag: "Heuristic",
    outcome,
    decided,
    stored: false,
    askAt: Infinity,
    tries: 0
  }
  return make<W, E>(state, {
    events: [event],
    persist: kept(recordOf(state, outcome, decided), "Mismatched")
  })
}

/**
 * Lets the coordinator of a commit know that it waits in vain. Not before that is on disk: once the coordinator
 * knows, it forgets, and would later presume an abort.
 */
const answer = <W, E>(state: Of<W, "Heuristic">): Step<W, E> =>
  make<W, E>(state, {
    send: state.stored && state.decided === "Commit" ? [acknowledge(state, state.outcome)] : []
  })

const tick = <W, E>(state: State<W>, now: number, options: Options): Step<W, E> => {
  if ((state?._tag !== "Prepared" && state?._tag !== "Heuristic") || now < state.askAt) return make(state)
  const { ballot, branch, coordinator, transaction, tries } = state
  return make<W, E>({ ...state, tries: tries + 1, askAt: after(now, tries + 1, options) }, {
    send: [{ to: coordinator, message: { _tag: "Inquire", transaction, branch, ballot } }]
  })
}

const branchOf = <W>(
  { ballot, branch, coordinator, transaction, work }: PromisedBranch<W>
): PromisedBranch<W> => ({ transaction, branch, coordinator, work, ballot })

const forgotten: Persist<never, never> = { record: undefined, receipt: undefined }

const kept = <W>(
  record: ParticipantRecord<W>,
  stage: ParticipantPersisted["stage"]
): Persist<ParticipantRecord<W>, ParticipantPersisted> => ({
  record,
  receipt: { _tag: "Persisted", ballot: record.ballot, stage }
})

const recordOf = <W>(
  promised: PromisedBranch<W>,
  heuristic?: Outcome,
  decided?: Outcome
): ParticipantRecord<W> => ({ ...branchOf(promised), heuristic, decided })

const yes = <W>({ ballot, branch, coordinator, transaction }: PromisedBranch<W>) =>
  ({
    to: coordinator,
    message: { _tag: "Vote", transaction, branch, vote: { _tag: "Yes", ballot } }
  }) as const

const acknowledge = <W>({ ballot, branch, coordinator, transaction }: PromisedBranch<W>, heuristic?: Outcome) =>
  ({
    to: coordinator,
    message: { _tag: "Acknowledge", transaction, branch, ballot, heuristic }
  }) as const
