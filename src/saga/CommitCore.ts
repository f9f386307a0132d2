/**
 * Two-phase commit as functions: what a coordinator and a participant know of one transaction, and an input, give
 * what they know next and what is to be done.
 *
 * There is no clock, no randomness and no I/O in here. Time comes with each input; what must be written, sent or
 * carried out comes out as data. A transaction that nobody knows of is `undefined`, and an input to that is as good
 * as any other: what is presumed then is the heart of the protocol.
 *
 * The shell owes this: it carries out what is to be persisted in the order in which it comes out, for all
 * transactions together, and gives the receipt back when it has one; what a handler changes is on disk with the
 * record that follows it, both or none; it gives a `Tick` not later than {@link wakeAt}; and when it starts it goes
 * on with what its disk holds ({@link recoverCoordination}, {@link recoverParticipation}).
 *
 * Guarantees, whatever is lost, doubled, reordered or restarted: all participants of a transaction commit, or none
 * does. The outcome is decided when the coordinator's record is on disk; nobody hears of a commit before. Without
 * that record the outcome is abort, and whoever asks is told so. A participant that has said yes keeps to it until it
 * knows the outcome, and asks for it. It carries an outcome out once for each yes.
 *
 * Each yes has a ballot of its own. A decision names the ballots on which it rests, so that the second yes of a
 * participant, which a delayed message may bring about after the first was carried out and forgotten, is told to
 * abort.
 *
 * Refuses to guess: an operator may decide for a participant in doubt, but that is kept and compared with the
 * decision when it is known.
 *
 * @since 0.1.0
 */
import * as Coordinator from "./internal/CommitCoordinator.ts"
import * as Participant from "./internal/CommitParticipant.ts"

/**
 * What a transaction comes to.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "Commit" | "Abort"

/**
 * Who takes part: a name under which a coordinator or participant is found again after a restart.
 *
 * @category models
 * @since 0.1.0
 */
export type MemberId = string

/**
 * The part of a transaction that is one participant's. A participant may have several.
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch<out W> {
  readonly participant: MemberId
  readonly work: W
}

/**
 * What a participant says to its part of a transaction. With `ReadOnly` it has nothing to commit, and does not hear
 * of the outcome.
 *
 * @category models
 * @since 0.1.0
 */
export type Vote<E> =
  | { readonly _tag: "Yes"; readonly ballot: string }
  | { readonly _tag: "ReadOnly" }
  | { readonly _tag: "No"; readonly refusal: E }

/**
 * What coordinators and participants say to each other about a branch.
 *
 * @category models
 * @since 0.1.0
 */
export type Message<W, E> = MessageToParticipant<W> | MessageToCoordinator<E>

/**
 * Which branch of which transaction a message is about.
 *
 * @category models
 * @since 0.1.0
 */
export interface About {
  readonly transaction: string
  /** The number of the branch in its transaction. */
  readonly branch: number
}

/**
 * What a coordinator says.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageToParticipant<W> =
  | About & { readonly _tag: "Prepare"; readonly work: W }
  /** The outcome for one ballot; an abort without a ballot is for all. */
  | About & { readonly _tag: "Decision"; readonly ballot: string | undefined; readonly outcome: Outcome }

/**
 * What a participant says.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageToCoordinator<E> =
  | About & { readonly _tag: "Vote"; readonly vote: Vote<E> }
  /** The commit is carried out and on disk; or an operator had decided otherwise. */
  | About & { readonly _tag: "Acknowledge"; readonly ballot: string; readonly heuristic: Outcome | undefined }
  | About & { readonly _tag: "Inquire"; readonly ballot: string }

/**
 * How long to wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Milliseconds after which something unanswered is said again: the first time, and then twice as long each time. */
  readonly retry: number
  /** Milliseconds from one time to the next at most. */
  readonly retryAtMost: number
}

/**
 * Options for members in one data centre.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultOptions: Options = { retry: 1000, retryAtMost: 30_000 }

/**
 * Why a transaction was aborted: a reason for each branch that stood in its way.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason<E> =
  | { readonly _tag: "Refused"; readonly branch: number; readonly participant: MemberId; readonly refusal: E }
  /** It is not there, or has gone before it voted. */
  | { readonly _tag: "Unreachable"; readonly branch: number; readonly participant: MemberId }
  /** It has not voted in time. */
  | { readonly _tag: "TimedOut"; readonly branch: number; readonly participant: MemberId }
  /** Whoever had asked for the transaction has given up. */
  | { readonly _tag: "Cancelled" }

/**
 * What a coordinator knows of a transaction.
 *
 * @category coordinator
 * @since 0.1.0
 */
export type Coordination<W, E> =
  | {
    readonly _tag: "Voting"
    readonly transaction: string
    readonly branches: ReadonlyArray<Branch<W>>
    /** By the number of the branch. */
    readonly votes: ReadonlyArray<Vote<E> | undefined>
    readonly deadline: number
    readonly retryAt: number
    readonly tries: number
  }
  /** The decision to commit is on its way to disk. */
  | { readonly _tag: "Deciding"; readonly transaction: string; readonly promises: ReadonlyArray<Promised> }
  | {
    readonly _tag: "Committed"
    readonly transaction: string
    readonly promises: ReadonlyArray<Promised>
    /** The branches that have acknowledged. */
    readonly acknowledged: ReadonlyArray<number>
    readonly retryAt: number
    readonly tries: number
  }

/**
 * A yes on which a decision rests.
 *
 * @category coordinator
 * @since 0.1.0
 */
export interface Promised {
  readonly branch: number
  readonly participant: MemberId
  readonly ballot: string
}

/**
 * What a coordinator has on disk of a transaction: that it is committed, and who has to hear of it.
 *
 * @category coordinator
 * @since 0.1.0
 */
export interface CoordinatorRecord {
  readonly transaction: string
  readonly promises: ReadonlyArray<Promised>
}

/**
 * What happens to a coordinator.
 *
 * @category coordinator
 * @since 0.1.0
 */
export type CoordinatorInput<W, E> =
  /** A new transaction, to be voted on within so many milliseconds. */
  | {
    readonly _tag: "Begin"
    readonly transaction: string
    readonly branches: ReadonlyArray<Branch<W>>
    readonly timeout: number
  }
  | { readonly _tag: "Receive"; readonly from: MemberId; readonly message: MessageToCoordinator<E> }
  /** A participant is not there. */
  | { readonly _tag: "Unreachable"; readonly participant: MemberId }
  /** Nobody waits for the outcome: no need to vote on. */
  | { readonly _tag: "Cancel" }
  | CoordinatorPersisted
  | Tick
  /** An operator knows that those who have not acknowledged never will. If one comes back, it is told to abort. */
  | { readonly _tag: "Forget" }

/**
 * The decision of a coordinator is on disk.
 *
 * @category coordinator
 * @since 0.1.0
 */
export interface CoordinatorPersisted {
  readonly _tag: "Persisted"
}

/**
 * What a participant wanted to be persisted is on disk: its yes, that the outcome is carried out, what an operator
 * did, that it was wrong.
 *
 * @category participant
 * @since 0.1.0
 */
export interface ParticipantPersisted {
  readonly _tag: "Persisted"
  readonly ballot: string
  readonly stage: "Promised" | "Finished" | "Resolved" | "Mismatched"
}

/**
 * Time has passed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tick {
  readonly _tag: "Tick"
}

/**
 * What must be on disk of a transaction, or that nothing need be any more.
 *
 * @category models
 * @since 0.1.0
 */
export interface Persist<out Record, out Receipt> {
  readonly record: Record | undefined
  /** The input to give when it is on disk. Without one it may be lost, and goes to disk with whatever comes next. */
  readonly receipt: Receipt | undefined
}

/**
 * A message and its receiver.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope<out M> {
  readonly to: MemberId
  readonly message: M
}

/**
 * The answer to whoever asked for a transaction.
 *
 * @category coordinator
 * @since 0.1.0
 */
export type Decided<E> =
  | { readonly outcome: "Commit" }
  | { readonly outcome: "Abort"; readonly reasons: ReadonlyArray<Reason<E>> }

/**
 * What somebody should look at.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  /** An operator has decided for a participant. */
  | About & { readonly _tag: "Heuristic"; readonly outcome: Outcome }
  /** It was the wrong way: the participant and the others disagree for ever. */
  | About & {
    readonly _tag: "HeuristicMismatch"
    readonly participant: MemberId | undefined
    readonly outcome: Outcome
    readonly decided: Outcome
  }

/**
 * What a coordinator is to do.
 *
 * @category coordinator
 * @since 0.1.0
 */
export interface CoordinatorOutput<W, E> {
  readonly send: ReadonlyArray<Envelope<MessageToParticipant<W>>>
  readonly persist: Persist<CoordinatorRecord, CoordinatorPersisted> | undefined
  readonly decided: Decided<E> | undefined
  readonly events: ReadonlyArray<Event>
}

/**
 * What a participant knows of its branch of a transaction.
 *
 * @category participant
 * @since 0.1.0
 */
export type Participation<W> =
  /** Its handler is asked; when it has voted, its vote no longer counts if it was aborted meanwhile. */
  | ParticipantBranch<W> & { readonly _tag: "Preparing"; readonly aborted: boolean }
  /** The yes is on its way to disk. */
  | PromisedBranch<W> & { readonly _tag: "Promising" }
  /** In doubt: it may not decide alone. */
  | PromisedBranch<W> & { readonly _tag: "Prepared"; readonly askAt: number; readonly tries: number }
  /** The outcome is known, and its handler at work. */
  | PromisedBranch<W> & {
    readonly _tag: "Resolving"
    readonly outcome: Outcome
    /** Whether an operator said so. */
    readonly heuristic: boolean
    /** The decision, if it came meanwhile. */
    readonly decided: Outcome | undefined
  }
  /** Carried out, and on its way to disk. */
  | PromisedBranch<W> & { readonly _tag: "Finishing" }
  /**
   * Decided by an operator, and kept until that is compared with the decision; after a mismatch until it is
   * dismissed.
   */
  | PromisedBranch<W> & {
    readonly _tag: "Heuristic"
    readonly outcome: Outcome
    readonly decided: Outcome | undefined
    /** Whether all this is on disk. */
    readonly stored: boolean
    readonly askAt: number
    readonly tries: number
  }

/**
 * A branch as its participant knows it.
 *
 * @category participant
 * @since 0.1.0
 */
export interface ParticipantBranch<out W> extends About {
  readonly coordinator: MemberId
  readonly work: W
}

/**
 * A branch to which its participant has said yes.
 *
 * @category participant
 * @since 0.1.0
 */
export interface PromisedBranch<out W> extends ParticipantBranch<W> {
  readonly ballot: string
}

/**
 * What a participant has on disk of a branch: its yes, and what an operator has done with it.
 *
 * @category participant
 * @since 0.1.0
 */
export interface ParticipantRecord<out W> extends PromisedBranch<W> {
  readonly heuristic: Outcome | undefined
  readonly decided: Outcome | undefined
}

/**
 * What happens to a participant.
 *
 * @category participant
 * @since 0.1.0
 */
export type ParticipantInput<W, E> =
  | { readonly _tag: "Receive"; readonly from: MemberId; readonly message: MessageToParticipant<W> }
  /** The handler has prepared, or refused. The ballot of a yes must differ from every other. */
  | { readonly _tag: "Voted"; readonly vote: Vote<E> }
  /** The handler has carried out the outcome. */
  | { readonly _tag: "Applied" }
  | ParticipantPersisted
  | Tick
  /** An operator decides for a participant in doubt. */
  | { readonly _tag: "Resolve"; readonly outcome: Outcome }
  /** An operator has seen a mismatch, or needs no comparison. */
  | { readonly _tag: "Dismiss" }

/**
 * What the handlers of a participant are to do.
 *
 * @category participant
 * @since 0.1.0
 */
export type Task<W> =
  | { readonly _tag: "Prepare"; readonly work: W }
  | { readonly _tag: "Apply"; readonly outcome: Outcome; readonly work: W; readonly ballot: string }

/**
 * What a participant is to do.
 *
 * @category participant
 * @since 0.1.0
 */
export interface ParticipantOutput<W, E> {
  readonly send: ReadonlyArray<Envelope<MessageToCoordinator<E>>>
  readonly persist: Persist<ParticipantRecord<W>, ParticipantPersisted> | undefined
  readonly task: Task<W> | undefined
  readonly events: ReadonlyArray<Event>
}

/**
 * Takes one input to what a coordinator knows of a transaction at a time in milliseconds.
 *
 * @category coordinator
 * @since 0.1.0
 */
export const coordinate: <W, E>(
  state: Coordination<W, E> | undefined,
  now: number,
  input: CoordinatorInput<W, E>,
  options: Options
) => readonly [Coordination<W, E> | undefined, CoordinatorOutput<W, E>] = Coordinator.step

/**
 * Takes one input to what a participant knows of a branch at a time in milliseconds.
 *
 * @category participant
 * @since 0.1.0
 */
export const participate: <W, E>(
  state: Participation<W> | undefined,
  now: number,
  input: ParticipantInput<W, E>,
  options: Options
) => readonly [Participation<W> | undefined, ParticipantOutput<W, E>] = Participant.step

/**
 * What a coordinator that starts knows of a transaction on its disk: that it is committed. It says so again at once.
 *
 * @category coordinator
 * @since 0.1.0
 */
export const recoverCoordination = <W, E>(
  { promises, transaction }: CoordinatorRecord,
  now: number
): Coordination<W, E> => ({
  _tag: "Committed",
  transaction,
  promises,
  acknowledged: [],
  retryAt: now,
  tries: 0
})

/**
 * What a participant that starts knows of a branch on its disk: that it is in doubt, or what an operator did. It asks
 * at once.
 *
 * @category participant
 * @since 0.1.0
 */
export const recoverParticipation = <W>(
  { decided, heuristic, ...branch }: ParticipantRecord<W>,
  now: number
): Participation<W> => {
  if (heuristic === undefined) return { ...branch, _tag: "Prepared", askAt: now, tries: 0 }
  const askAt = decided === undefined ? now : Infinity
  return { ...branch, _tag: "Heuristic", outcome: heuristic, decided, stored: true, askAt, tries: 0 }
}

/**
 * When the next `Tick` is due; infinity for never.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wakeAt = (state: Coordination<unknown, unknown> | Participation<unknown>): number => {
  switch (state._tag) {
    case "Voting":
      return Math.min(state.deadline, state.retryAt)
    case "Committed":
      return state.retryAt
    case "Prepared":
    case "Heuristic":
      return state.askAt
    default:
      return Infinity
  }
}
