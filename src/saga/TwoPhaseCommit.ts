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
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Compiled } from "../etf/Compiled.ts"
import * as GenServer from "../otp/GenServer.ts"
import type * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import type { Context as HandlerContext, Handlers } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import * as ProcessRef from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Options } from "./CommitCore.ts"
import type { Prepared, Work } from "./CommitWork.ts"
import { CommitManager } from "./internal/CommitManager.ts"
import { CommitMember, type Context } from "./internal/CommitMember.ts"
import { setup } from "./internal/CommitShell.ts"
import {
  codec,
  Coordination,
  memberAt as addressOf,
  Participation,
  type ParticipationMessage,
  type ToCoordinator,
  type ToParticipant
} from "./internal/CommitWire.ts"
import type { Journal } from "./Journal.ts"
import type { JournalError } from "./JournalError.ts"

export * from "./CommitAdministration.ts"
export * from "./CommitTransaction.ts"
export * from "./CommitWork.ts"

// --- participants ----------------------------------------------------------------------------------------------------

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
