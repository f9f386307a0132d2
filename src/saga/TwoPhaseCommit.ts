/**
 * Transactions over several processes, on one node or many, that all commit or all abort: two-phase commit that
 * really votes.
 *
 * A participant is a server that can be asked to prepare a piece of work, and then to commit or abort it. It keeps
 * its state in a `Journal`, and changes it in transactions only. A coordinator is a server that asks all participants
 * of a transaction to prepare, puts its decision on disk when all have said yes, and tells them. Both are found by
 * their names, and go on from their journals when they start again.
 *
 * Guarantees: all participants of a transaction commit or none does, also when any of them is killed at any moment;
 * who was told `Committed` or `Aborted` was told the truth; a handler's change and the record of it are on disk
 * together, so that no commit counts twice; a participant that has said yes keeps to it until it knows the outcome,
 * and asks for it. Without a decision on disk the outcome is abort.
 *
 * A participant in doubt cannot go on with what it has locked while its coordinator is away: that is the price of
 * agreement. {@link status} shows it, and {@link resolve} lets an operator decide, at the risk of a mismatch that is
 * reported then.
 *
 * Refuses: participants without a name (a pid does not outlive its process); a journal that is damaged. One that was
 * lost it cannot tell from a new one: what was promised in it is not kept.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Compiled } from "../etf/Compiled.ts"
import * as Etf from "../etf/EtfSchema.ts"
import * as GenServer from "../otp/GenServer.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import type { Context as HandlerContext, Handlers } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import * as ProcessRef from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Options, Outcome } from "./CommitCore.ts"
import { CommitManager } from "./internal/CommitManager.ts"
import { CommitMember, type Context, type Prepared as PreparedState } from "./internal/CommitMember.ts"
import { setup } from "./internal/CommitShell.ts"
import {
  type Answer,
  codec,
  Coordination,
  memberAt as addressOf,
  memberId,
  Participation,
  type ParticipationMessage,
  type ToCoordinator,
  type ToParticipant,
  type TransactionStatus
} from "./internal/CommitWire.ts"
import type { Journal } from "./Journal.ts"
import type { JournalError } from "./JournalError.ts"

// --- work ------------------------------------------------------------------------------------------------------------

/**
 * What a participant can be asked to prepare, and how it refuses: the contract between whoever begins transactions
 * and the participants of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Work<in out Q, in out E> {
  /** The codec of requests, which travel and are written down as bytes. */
  readonly request: Compiled<Q>
  readonly refusal: Compiled<E>
}

/**
 * Makes the contract of the schema of requests and, if participants may refuse, that of refusals.
 *
 * @category constructors
 * @since 0.1.0
 */
export const work = <Q, QI, E = never, EI = never>(options: {
  readonly request: Schema.Codec<Q, QI>
  readonly refusal?: Schema.Codec<E, EI>
}): Work<Q, E> => ({
  request: Etf.compile(options.request),
  // Without a schema of refusals there is none to encode.
  refusal: Etf.compile(options.refusal ?? Schema.Never as unknown as Schema.Codec<E, EI>)
})

// --- participants ----------------------------------------------------------------------------------------------------

/**
 * That a participant has prepared its work. See {@link yes} and {@link readOnly}.
 *
 * @category models
 * @since 0.1.0
 */
export class Prepared<out S> implements PreparedState {
  readonly readOnly: boolean
  /** Whether `state` is the next state; otherwise it stays as it is. */
  readonly updates: boolean
  readonly state: S

  constructor(readOnly: boolean, updates: boolean, state: S) {
    this.readOnly = readOnly
    this.updates = updates
    this.state = state
  }
}

/**
 * The promise to commit if that is the outcome, with the state that keeps it: what is set aside or locked. Without a
 * state it stays as it is.
 *
 * @category votes
 * @since 0.1.0
 */
export const yes = <S = never>(...state: readonly [] | readonly [state: S]): Prepared<S> =>
  new Prepared(false, state.length > 0, state[0] as S) // not read when there is none

/**
 * The vote of a participant that has nothing to commit: it does not hear of the outcome, and holds nothing.
 *
 * @category votes
 * @since 0.1.0
 */
export const readOnly: Prepared<never> = new Prepared<never>(true, false, undefined as never) // not read

/**
 * The refusal of a participant: the transaction is aborted. A handler that fails with a typed error says the same.
 *
 * @category votes
 * @since 0.1.0
 */
export const no = <E>(refusal: E): Effect.Effect<never, E> => Effect.fail(refusal)

/** What handlers of the participant's own protocol return: they read. */
type Reads<M extends Message.Any, S> = {
  readonly [T in M as T["_tag"]]: (
    payload: Message.Payload<T>,
    state: S,
    context: HandlerContext
  ) => T extends { readonly kind: "Call" }
    // `any`: the services are inferred from the handlers.
    ? Message.Success<T> | Effect.Effect<Message.Success<T>, Message.Error<T>, any>
    : void | Effect.Effect<void, unknown, any>
}

/** The services of what the handlers return. */
type ServicesOf<H> = {
  readonly [K in keyof H]: H[K] extends (...args: never) => infer Result
    ? Result extends Effect.Effect<unknown, unknown, infer R> ? R : never
    : never
}[keyof H]

/**
 * How a participant is started.
 *
 * @category models
 * @since 0.1.0
 */
export type ParticipantOptions<Args> =
  & MemberOptions
  // What `initial` takes may be left out when it takes nothing.
  & (undefined extends Args ? { readonly args?: Args } : { readonly args: Args })

/**
 * What a coordinator and a participant are told when they start.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemberOptions {
  /**
   * The name under which it is registered on its node and found by the others, and its book in the journal: always
   * the same.
   */
  readonly name: string
  /** How long it waits before it says something again, see `CommitCore.defaultOptions`. */
  readonly options?: Partial<Options> | undefined
  /**
   * Transactions that are not finished here, at most: 10 000. A coordinator and a participant refuse what goes beyond
   * it.
   */
  readonly maxTransactions?: number | undefined
}

/**
 * A participant: a server of its protocol that takes part in transactions besides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Participant<Args, in out M extends Message.Any, out R>
  extends GenServer.GenServer<ParticipantOptions<Args>, M, JournalError | StartError, R | Journal | Node>
{}

/**
 * Which branch of which transaction a handler works for.
 *
 * @category models
 * @since 0.1.0
 */
export type { Context }

/**
 * Makes a participant of a protocol and the work that it can be asked for.
 *
 * `prepare` looks whether the work can be done and sets aside what it needs, so that nothing can come in between;
 * then `commit` or `abort` is called for it, also after a crash and a restart. Each gets the request and the state
 * and gives the next state, as a value or by an Effect. The state is on disk with the vote, and with the end of the
 * transaction, both or none. What a handler does elsewhere, in a database of its own say, may be done again after a
 * crash: the number of the transaction in the context tells.
 *
 * The handlers of the protocol read. `initial` counts at the first start only. A handler that dies ends the process;
 * a transaction that was being prepared is aborted then, and one that was to be committed is committed after the
 * restart.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 * import { Journal, TwoPhaseCommit } from "effect-otp/saga"
 *
 * class TooLittle extends Schema.TaggedError<TooLittle>()("TooLittle", { left: Schema.Int }) {}
 *
 * // Takes from an account when the amount is negative.
 * const Move = TwoPhaseCommit.work({ request: Schema.Struct({ amount: Schema.Int }), refusal: TooLittle })
 *
 * class Account extends Protocol.make("Account", Message.Call("Balance", { success: Schema.Int })) {}
 *
 * const AccountServer = TwoPhaseCommit.participant(Account, Move, {
 *   state: Schema.Struct({ balance: Schema.Int, reserved: Schema.Int }),
 *   initial: (balance: number) => ({ balance, reserved: 0 }),
 *   prepare: ({ amount }, { balance, reserved }) =>
 *     balance - reserved + amount < 0
 *       ? TwoPhaseCommit.no(new TooLittle({ left: balance - reserved }))
 *       : TwoPhaseCommit.yes({ balance, reserved: reserved + Math.max(0, -amount) }),
 *   commit: ({ amount }, { balance, reserved }) => ({
 *     balance: balance + amount,
 *     reserved: reserved - Math.max(0, -amount)
 *   }),
 *   abort: ({ amount }, { balance, reserved }) => ({ balance, reserved: reserved - Math.max(0, -amount) }),
 *   handlers: { Balance: (_, { balance }) => balance }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const coordinator = yield* GenServer.start(TwoPhaseCommit.coordinator, { name: "transfers" })
 *   yield* GenServer.start(AccountServer, { name: "alice", args: 100 })
 *   yield* GenServer.start(AccountServer, { name: "bob", args: 0 })
 *   return yield* TwoPhaseCommit.transact(coordinator, [
 *     TwoPhaseCommit.branch(Move, "alice", { amount: -30 }),
 *     TwoPhaseCommit.branch(Move, "bob", { amount: 30 })
 *   ])
 * }).pipe(Effect.scoped, Effect.provide(Journal.memory))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const participant = <
  Name extends string,
  M extends Message.Any,
  Q,
  E,
  S,
  I,
  H extends Reads<M, NoInfer<S>>,
  Args = void,
  RP = never,
  RC = never,
  RA = never
>(
  protocol: Protocol.Protocol<Name, M>,
  work: Work<Q, E>,
  options: {
    /** The state, as the journal holds it. */
    readonly state: Schema.Codec<S, I>
    /** The state at the first start. */
    readonly initial: (args: Args) => NoInfer<S>
    /** Votes: {@link yes}, {@link readOnly} or {@link no}. */
    readonly prepare: (
      request: Q,
      state: NoInfer<S>,
      context: Context
    ) => Prepared<NoInfer<S>> | Effect.Effect<Prepared<NoInfer<S>>, NoInfer<E>, RP>
    /** Carries the work out, and gives the next state. */
    readonly commit: (
      request: Q,
      state: NoInfer<S>,
      context: Context
    ) => NoInfer<S> | Effect.Effect<NoInfer<S>, never, RC>
    /** Lets go of what was set aside for the work, and gives the next state. */
    readonly abort: (
      request: Q,
      state: NoInfer<S>,
      context: Context
    ) => NoInfer<S> | Effect.Effect<NoInfer<S>, never, RA>
    /** One function per message of the protocol. */
    readonly handlers: H & { readonly [X in Exclude<keyof H, M["_tag"]>]: never }
  }
): Participant<Args, M, Exclude<RP | RC | RA | ServicesOf<H>, Process.CurrentProcess>> => {
  const { abort, commit, initial, prepare } = options
  // The member hands to each function what its schema has made, and gives back what the functions made of it.
  const untyped = {
    request: work.request as Compiled<unknown>,
    refusal: work.refusal as Compiled<unknown>,
    state: codec(options.state as Schema.Codec<unknown, unknown>),
    prepare: prepare as (request: unknown, state: unknown, context: Context) => unknown,
    commit: commit as (request: unknown, state: unknown, context: Context) => unknown,
    abort: abort as (request: unknown, state: unknown, context: Context) => unknown
  }
  const handlers = options.handlers as unknown as {
    readonly [tag: string]: (payload: unknown, state: unknown, context: HandlerContext) => unknown
  }
  const reads = Object.fromEntries(protocol.messages.map(({ _tag }) => [
    _tag,
    (payload: unknown, member: CommitMember, context: HandlerContext) => handlers[_tag]!(payload, member.state, context)
  ]))
  const server = GenServer.make(
    // The handlers of the protocol are made from it, so that the compiler cannot see that there is one for each message.
    protocol.add(...Participation.messages) as unknown as typeof Participation,
    {
      init: ({ args, ...given }: MemberOptions & { readonly args?: Args }) =>
        Effect.flatMap(
          setup<ToCoordinator>(given, (from, to, messages) =>
            Effect.flatMap(ProcessRef.named(Coordination, addressOf(to)), (coordinator) =>
              coordinator.TwoPhaseAnswers({ from, messages }))),
          (setup) =>
            CommitMember.make(setup, untyped, () =>
              initial(args as Args)) // left out when it is undefined
        ),
      handlers: { ...reads, ...participate } as typeof participate,
      format: (member) => ({ state: member.state, transactions: member.status })
    }
  )
  return server as unknown as Participant<Args, M, Exclude<RP | RC | RA | ServicesOf<H>, Process.CurrentProcess>>
}

/** A call is its own `From`. */
const callOf = (from: unknown): Behaviour.CallEnvelope => from as Behaviour.CallEnvelope

const participate: Handlers<ParticipationMessage, CommitMember> = {
  TwoPhaseOrders: ({ from, messages }, member) => member.receive(from, messages),
  TwoPhaseStatus: (_, member) => member.status,
  TwoPhaseResolve: ({ outcome, transaction }, member, { from }) => {
    const work = member.resolve(transaction, outcome, callOf(from))
    // The call is answered when it is on disk.
    return work === undefined ? GenServer.noReply(member) : Effect.as(work, GenServer.noReply(member))
  },
  TwoPhaseDismiss: ({ transaction }, member) => member.dismiss(transaction)
}

// --- coordinators ----------------------------------------------------------------------------------------------------

/**
 * A coordinator: a server that carries out transactions. Any number of them may be under way.
 *
 * It must be started again under its name, on its node and with its journal, for participants in doubt to learn the
 * outcome.
 *
 * @category coordinator
 * @since 0.1.0
 */
export const coordinator: GenServer.GenServer<MemberOptions, never, JournalError | StartError, Journal | Node> =
  GenServer
    .make(Coordination, {
      init: (given: MemberOptions) =>
        Effect.flatMap(
          setup<ToParticipant>(given, (from, to, messages) =>
            Effect.flatMap(ProcessRef.named(Participation, addressOf(to)), (participant) =>
              participant.TwoPhaseOrders({ from, messages }))),
          (setup) =>
            CommitManager.make(setup)
        ),
      handlers: {
        TwoPhaseAnswers: ({ from, messages }, manager) => manager.receive(from, messages),
        Transact: (order, manager, { from }) => {
          manager.transact(order, callOf(from))
          return GenServer.noReply(manager)
        },
        TwoPhaseStatus: (_, manager) => manager.status,
        TwoPhaseForget: ({ transaction }, manager) => manager.forget(transaction),
        down: (signal, manager) => manager.down(signal)
      },
      format: (manager) => manager.status
      // Its messages are for the functions of this module.
    }) as unknown as GenServer.GenServer<MemberOptions, never, JournalError | StartError, Journal | Node>

/**
 * Whom a name stands for: the process of that name on a node, by default on this one.
 *
 * @category models
 * @since 0.1.0
 */
export type Named = string | { readonly name: string; readonly node?: string | undefined }

/**
 * One participant's part of a transaction. `E` is how it may refuse. See {@link branch}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch<out E> {
  readonly participant: Named
  /** The request in bytes. */
  readonly work: Uint8Array
  /** What a refusal in bytes says. */
  readonly refusal: (bytes: Uint8Array) => Result.Result<E, Schema.SchemaError>
}

/**
 * A piece of work for a participant. A request that its schema refuses is a defect.
 *
 * @category transactions
 * @since 0.1.0
 */
export const branch = <Q, E>(work: Work<Q, E>, participant: Named, request: Q): Branch<E> => ({
  participant,
  work: Result.getOrThrow(work.request.encode(request)),
  refusal: work.refusal.decode
})

/**
 * All participants have said yes, and the decision is on disk: each has committed, except those that are `pending`
 * (`name@node`), which will as soon as they can.
 *
 * @category models
 * @since 0.1.0
 */
export interface Committed {
  readonly _tag: "Committed"
  readonly transaction: string
  readonly pending: ReadonlyArray<string>
}

/**
 * Nobody commits, for these reasons.
 *
 * @category models
 * @since 0.1.0
 */
export interface Aborted<out E> {
  readonly _tag: "Aborted"
  readonly transaction: string
  readonly reasons: ReadonlyArray<Reason<E>>
}

/**
 * Why a transaction was aborted. `branch` is the position in the list of branches, `participant` is `name@node`.
 *
 * `Refused`: the participant said no. `Unreachable`: it was not there, or ended before it voted. `TimedOut`: it has
 * not voted in time. `Overloaded`: it, or without a participant the coordinator, has as many transactions as it may.
 * `Invalid`: the participant does not understand the request, or its refusal is not understood.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason<E> =
  | { readonly _tag: "Refused"; readonly branch: number; readonly participant: string; readonly refusal: E }
  | { readonly _tag: "Unreachable"; readonly branch: number; readonly participant: string }
  | { readonly _tag: "TimedOut"; readonly branch: number; readonly participant: string }
  | { readonly _tag: "Overloaded"; readonly branch: number | undefined; readonly participant: string | undefined }
  | { readonly _tag: "Invalid"; readonly branch: number; readonly participant: string; readonly detail: string }

/** How the participants of branches may refuse. */
type RefusalOf<B> = B extends Branch<infer E> ? E : never

/**
 * Carries out a transaction: asks all participants to prepare their branches, and has them commit when all have said
 * yes.
 *
 * It ends when the outcome is decided, at most `timeout` (5 seconds) after the participants were asked and a sync of
 * the disk later. A commit is carried out before it ends, so that whoever asks a participant next sees it; it waits
 * for that as long again, and then names those that are `pending`.
 *
 * When the coordinator ends or cannot be reached this fails with a `CallError`, and so it does when a disk hangs for
 * 5 seconds more: then the outcome is not known to the caller. The transaction is decided all the same.
 *
 * @category transactions
 * @since 0.1.0
 */
export const transact = <const B extends ReadonlyArray<Branch<unknown>>>(
  coordinator: Process.Target | string,
  branches: B,
  options?: {
    /** How long participants may take to vote. */
    readonly timeout?: Duration.Input
    /** Whether to wait until a commit is carried out by all participants, or only until it is decided: `applied`. */
    readonly until?: "applied" | "decided"
  }
): Effect.Effect<Committed | Aborted<RefusalOf<B[number]>>, CallError, Node> =>
  Effect.gen(function*() {
    const { name: here } = yield* Node
    const timeoutMillis = Duration.toMillis(options?.timeout ?? "5 seconds")
    const answer = (yield* Behaviour.call(
      Coordination.protocol,
      targetOf(coordinator),
      "Transact",
      {
        branches: branches.map(({ participant, work }) => ({ participant: idOf(participant, here), work })),
        timeoutMillis,
        applied: options?.until !== "decided"
      },
      { timeout: 2 * timeoutMillis + 5000 }
      // The coordinator has made it.
    )) as Answer
    const { outcome, pending, reasons, transaction } = answer
    return outcome === "Commit"
      ? { _tag: "Committed", transaction, pending }
      : { _tag: "Aborted", transaction, reasons: reasons.flatMap((reason) => explain(branches, reason)) }
    // A call without errors of its own fails with those of any call; what refuses are the participants of the branches.
  }) as Effect.Effect<Committed | Aborted<RefusalOf<B[number]>>, CallError, Node>

const explain = (
  branches: ReadonlyArray<Branch<unknown>>,
  reason: Answer["reasons"][number]
): ReadonlyArray<Reason<unknown>> => {
  switch (reason._tag) {
    case "Unreachable":
    case "TimedOut":
      return [reason]
    case "Overloaded":
      return [{ _tag: "Overloaded", branch: undefined, participant: undefined }]
    case "Cancelled":
      return []
    case "Refused": {
      const { branch, participant, refusal } = reason
      if (refusal._tag !== "Refused") return [{ ...refusal, branch, participant }]
      const decoded = branches[branch]!.refusal(refusal.refusal)
      return Result.isSuccess(decoded)
        ? [{ _tag: "Refused", branch, participant, refusal: decoded.success }]
        : [{ _tag: "Invalid", branch, participant, detail: decoded.failure.message }]
    }
  }
}

const targetOf = (target: Process.Target | string): Process.Target =>
  typeof target === "string" ? { name: target } : target

const idOf = (named: Named, here: string): string =>
  typeof named === "string" ? memberId(named, here) : memberId(named.name, named.node ?? here)

// --- administration --------------------------------------------------------------------------------------------------

const ask = (
  member: Process.Target | string,
  protocol: Protocol.Core,
  tag: string,
  payload: unknown
): Effect.Effect<unknown, CallError, Node> =>
  // The errors of an administrative call are those of any call; it has no own.
  Behaviour.call(protocol, targetOf(member), tag, payload) as Effect.Effect<unknown, CallError, Node>

/**
 * How a transaction, or one branch of it, is where it was asked for.
 *
 * @category administration
 * @since 0.1.0
 */
export type { TransactionStatus }

/**
 * The transactions that are not finished at a coordinator or a participant. At a participant `Prepared` means in
 * doubt: it waits for its coordinator. A `mismatch` stays until it is dismissed.
 *
 * @category administration
 * @since 0.1.0
 */
export const status = (
  member: Process.Target | string
): Effect.Effect<ReadonlyArray<TransactionStatus>, CallError, Node> =>
  ask(member, Participation.protocol, "TwoPhaseStatus", undefined) as Effect.Effect<
    ReadonlyArray<TransactionStatus>,
    CallError,
    Node
  > // both kinds answer alike

/**
 * Decides by hand for a participant in doubt, when its coordinator will not come back in time, and gives the number
 * of branches. It ends when that is on disk.
 *
 * This may be the wrong way: the decision of the coordinator is compared with it when it becomes known, and a
 * mismatch is logged at both and shown by {@link status}.
 *
 * @category administration
 * @since 0.1.0
 */
export const resolve = (
  participant: Process.Target | string,
  transaction: string,
  outcome: Outcome
): Effect.Effect<number, CallError, Node> =>
  ask(participant, Participation.protocol, "TwoPhaseResolve", { transaction, outcome }) as Effect.Effect<
    number,
    CallError,
    Node
  > // as its schema says

/**
 * Forgets what was decided by hand for a transaction, and whether it was right; gives the number of branches.
 *
 * @category administration
 * @since 0.1.0
 */
export const dismiss = (
  participant: Process.Target | string,
  transaction: string
): Effect.Effect<number, CallError, Node> =>
  ask(participant, Participation.protocol, "TwoPhaseDismiss", { transaction }) as Effect.Effect<
    number,
    CallError,
    Node
  > // as its schema says

/**
 * Has a coordinator forget a committed transaction whose participants have not all acknowledged, and never will:
 * their machines are gone. One that comes back after all is told to abort, against the others. True when there was
 * such a transaction.
 *
 * @category administration
 * @since 0.1.0
 */
export const forget = (
  coordinator: Process.Target | string,
  transaction: string
): Effect.Effect<boolean, CallError, Node> =>
  ask(coordinator, Coordination.protocol, "TwoPhaseForget", { transaction }) as Effect.Effect<
    boolean,
    CallError,
    Node
  > // as its schema says
