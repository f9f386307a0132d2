/**
 * What coordinators and participants of two-phase commit send to each other, what an operator asks of them, and what
 * they write down.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Etf from "../../etf/EtfSchema.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"
import type * as CommitCore from "../CommitCore.ts"
import type { Entry } from "../Journal.ts"
import { JournalError } from "../JournalError.ts"

/** What a participant has against a branch: its own refusal in bytes, or a reason that all participants share. */
export type Refusal =
  | { readonly _tag: "Refused"; readonly refusal: Uint8Array }
  | { readonly _tag: "Overloaded" }
  | { readonly _tag: "Invalid"; readonly detail: string }

/** Work is a request in bytes. */
export type ToParticipant = CommitCore.MessageToParticipant<Uint8Array>
export type ToCoordinator = CommitCore.MessageToCoordinator<Refusal>

const OutcomeSchema = Schema.Literals(["Commit", "Abort"])

const RefusalSchema: Schema.Codec<Refusal, unknown> = Schema.Union([
  Schema.TaggedStruct("Refused", { refusal: Schema.Uint8Array }),
  Schema.TaggedStruct("Overloaded", {}),
  Schema.TaggedStruct("Invalid", { detail: Schema.String })
])

const about = { transaction: Schema.String, branch: Schema.Int }

const ToParticipantSchema: Schema.Codec<ToParticipant, unknown> = Schema.Union([
  Schema.TaggedStruct("Prepare", { ...about, work: Schema.Uint8Array }),
  Schema.TaggedStruct("Decision", { ...about, ballot: Schema.UndefinedOr(Schema.String), outcome: OutcomeSchema })
])

const VoteSchema: Schema.Codec<CommitCore.Vote<Refusal>, unknown> = Schema.Union([
  Schema.TaggedStruct("Yes", { ballot: Schema.String }),
  Schema.TaggedStruct("ReadOnly", {}),
  Schema.TaggedStruct("No", { refusal: RefusalSchema })
])

const ToCoordinatorSchema: Schema.Codec<ToCoordinator, unknown> = Schema.Union([
  Schema.TaggedStruct("Vote", { ...about, vote: VoteSchema }),
  Schema.TaggedStruct("Acknowledge", {
    ...about,
    ballot: Schema.String,
    heuristic: Schema.UndefinedOr(OutcomeSchema)
  }),
  Schema.TaggedStruct("Inquire", { ...about, ballot: Schema.String })
])

/** How a transaction, or a branch of one, is where it is looked at. */
export interface TransactionStatus {
  readonly transaction: string
  /** At a participant the number of the branch. */
  readonly branch: number | undefined
  /** At a coordinator `Voting`, `Deciding`, `Committed`; at a participant what `CommitCore.Participation` calls it. */
  readonly state: string
  /** Who has to say something: the participants that have not voted or acknowledged, or the coordinator. */
  readonly waitingFor: ReadonlyArray<CommitCore.MemberId>
  /** What an operator has decided here. */
  readonly heuristic: CommitCore.Outcome | undefined
  /** What was decided otherwise, once it is known. */
  readonly mismatch: CommitCore.Outcome | undefined
}

const TransactionStatusSchema: Schema.Codec<TransactionStatus, unknown> = Schema.Struct({
  transaction: Schema.String,
  branch: Schema.UndefinedOr(Schema.Int),
  state: Schema.String,
  waitingFor: Schema.Array(Schema.String),
  heuristic: Schema.UndefinedOr(OutcomeSchema),
  mismatch: Schema.UndefinedOr(OutcomeSchema)
})

const ReasonSchema: Schema.Codec<CommitCore.Reason<Refusal> | { readonly _tag: "Overloaded" }, unknown> = Schema.Union([
  Schema.TaggedStruct("Refused", { branch: Schema.Int, participant: Schema.String, refusal: RefusalSchema }),
  Schema.TaggedStruct("Unreachable", { branch: Schema.Int, participant: Schema.String }),
  Schema.TaggedStruct("TimedOut", { branch: Schema.Int, participant: Schema.String }),
  Schema.TaggedStruct("Cancelled", {}),
  Schema.TaggedStruct("Overloaded", {})
])

/** The answer to whoever asked for a transaction. */
export interface Answer {
  readonly transaction: string
  readonly outcome: CommitCore.Outcome
  readonly reasons: ReadonlyArray<CommitCore.Reason<Refusal> | { readonly _tag: "Overloaded" }>
  /** The participants of a commit that have not acknowledged yet. */
  readonly pending: ReadonlyArray<CommitCore.MemberId>
}

const AnswerSchema: Schema.Codec<Answer, unknown> = Schema.Struct({
  transaction: Schema.String,
  outcome: OutcomeSchema,
  reasons: Schema.Array(ReasonSchema),
  pending: Schema.Array(Schema.String)
})

/** What is told at once. */
export interface Told<out M> {
  /** Who says it. */
  readonly from: CommitCore.MemberId
  readonly messages: ReadonlyArray<M>
}

/** A transaction as it is asked for. */
export interface Order {
  readonly branches: ReadonlyArray<CommitCore.Branch<Uint8Array>>
  readonly timeoutMillis: number
  /** Whether to wait, as long again, until a commit is carried out everywhere. */
  readonly applied: boolean
}

/** What an operator decides. */
export interface Resolution {
  readonly transaction: string
  readonly outcome: CommitCore.Outcome
}

/** Which transaction an operator means. */
export interface Subject {
  readonly transaction: string
}

// Explicit types of the messages: declarations must be writable file by file (`isolatedDeclarations`).
type CastOf<Tag extends string, P> = Message.Message<Tag, "Cast", Plain<P>, Schema.Void, Schema.Never>
type CallOf<Tag extends string, P, A> = Message.Message<Tag, "Call", Plain<P>, Plain<A>, Schema.Never>
type Plain<A> = Schema.Codec<A, unknown> & { readonly "~type.make.in": A }

/** A schema without defaults: what its values are made of are they themselves. */
const plain = <A, I>(schema: Schema.Codec<A, I>): Plain<A> => schema as unknown as Plain<A>

const nothing: Plain<void> = plain(Schema.Void)
const subject: Plain<Subject> = plain(Schema.Struct({ transaction: Schema.String }))
const told = <M>(message: Schema.Codec<M, unknown>): Plain<Told<M>> =>
  plain(Schema.Struct({ from: Schema.String, messages: Schema.Array(message) }))

const Status: CallOf<"TwoPhaseStatus", void, ReadonlyArray<TransactionStatus>> = Message.Call("TwoPhaseStatus", {
  payload: nothing,
  success: plain(Schema.Array(TransactionStatusSchema))
})

/** The messages of a coordinator. */
export type CoordinationMessage =
  | CastOf<"TwoPhaseAnswers", Told<ToCoordinator>>
  | CallOf<"Transact", Order, Answer>
  | CallOf<"TwoPhaseStatus", void, ReadonlyArray<TransactionStatus>>
  /** True when there was something to forget. */
  | CallOf<"TwoPhaseForget", Subject, boolean>

/** What a coordinator serves. */
export const Coordination: Protocol.Protocol<"TwoPhaseCoordinator", CoordinationMessage> = Protocol.make(
  "TwoPhaseCoordinator",
  Message.Cast("TwoPhaseAnswers", { payload: told(ToCoordinatorSchema) }),
  Message.Call("Transact", {
    payload: plain(Schema.Struct({
      branches: Schema.Array(Schema.Struct({ participant: Schema.String, work: Schema.Uint8Array })),
      timeoutMillis: Schema.Finite,
      applied: Schema.Boolean
    })),
    success: plain(AnswerSchema)
  }),
  Status,
  Message.Call("TwoPhaseForget", { payload: subject, success: plain(Schema.Boolean) })
)

/** The messages of a participant, beside those of its own protocol. */
export type ParticipationMessage =
  | CastOf<"TwoPhaseOrders", Told<ToParticipant>>
  | CallOf<"TwoPhaseStatus", void, ReadonlyArray<TransactionStatus>>
  /** How many branches it was. */
  | CallOf<"TwoPhaseResolve", Resolution, number>
  | CallOf<"TwoPhaseDismiss", Subject, number>

/** A participant as coordinators and operators know it. */
export const Participation: Protocol.Protocol<"TwoPhaseParticipant", ParticipationMessage> = Protocol.make(
  "TwoPhaseParticipant",
  Message.Cast("TwoPhaseOrders", { payload: told(ToParticipantSchema) }),
  Status,
  Message.Call("TwoPhaseResolve", {
    payload: plain(Schema.Struct({ transaction: Schema.String, outcome: OutcomeSchema })),
    success: plain(Schema.Int)
  }),
  Message.Call("TwoPhaseDismiss", { payload: subject, success: plain(Schema.Int) })
)

// --- members ---------------------------------------------------------------------------------------------------------

/** Whom a name on a node is for ever. */
export const memberId = (name: string, node: string): CommitCore.MemberId => `${name}@${node}`

/** The name and node of a member. A node has one `@`, a name may have any. */
export const memberAt = (id: CommitCore.MemberId): { readonly name: string; readonly node: string } => {
  const at = id.lastIndexOf("@", id.lastIndexOf("@") - 1)
  return { name: id.slice(0, at), node: id.slice(at + 1) }
}

// --- records ---------------------------------------------------------------------------------------------------------

/** A record of a book and its bytes. */
export interface Codec<A> {
  readonly encode: (value: A) => Uint8Array
  readonly decode: (journal: string, entry: Entry) => Effect.Effect<A, JournalError>
}

/** The codec of a schema. A value that its schema refuses is a defect. */
export const codec = <A, I>(schema: Schema.Codec<A, I>): Codec<A> => {
  const compiled = Etf.compile(schema)
  return {
    encode: (value) => Result.getOrThrow(compiled.encode(value)),
    decode: (journal, { key, value }) => {
      const decoded = compiled.decode(value)
      if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
      const detail = `the record ${key} is not of its schema: ${decoded.failure.message}`
      return Effect.fail(new JournalError({ journal, reason: "Corrupt", detail }))
    }
  }
}

/** What a coordinator writes down. */
export const coordinatorRecord: Codec<CommitCore.CoordinatorRecord> = codec(Schema.Struct({
  transaction: Schema.String,
  promises: Schema.Array(
    Schema.Struct({ branch: Schema.Int, participant: Schema.String, ballot: Schema.String })
  )
}))

/** What a participant writes down. */
export const participantRecord: Codec<CommitCore.ParticipantRecord<Uint8Array>> = codec(Schema.Struct({
  ...about,
  coordinator: Schema.String,
  work: Schema.Uint8Array,
  ballot: Schema.String,
  heuristic: Schema.UndefinedOr(OutcomeSchema),
  decided: Schema.UndefinedOr(OutcomeSchema)
}))
