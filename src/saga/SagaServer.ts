/**
 * Transactions over saga processes, on one node or on many: a saga takes a value, runs jobs, hands parts of its work on to other
 * sagas, and has a result, an error of its own, or is cancelled; so does the whole transaction.
 *
 * A {@link contract} says with which values, results, errors and interim results two sagas speak; a saga is made of callbacks
 * ({@link make}), {@link start} makes it a process, {@link run} runs a transaction on it. Each callback gets the state of its
 * transaction, acts through the `Transaction`, and gives the next state. A typed failure of a callback is the failure of the
 * transaction; a defect ends the process, as with any server, and with it all its transactions.
 *
 * Guarantees: a cancellation travels to both sides, once; what comes late has no effect; every side has its own timer for what
 * was left of the lifespan when the branch arrived, and a limit to how often it may be passed on, counted along the path;
 * a branch that comes back to a saga on its own path is refused, and two branches may meet. Parents watch their branches and
 * branches their parents, so that the end of a process or a connection ends what depended on it. Jobs end with their transaction.
 * What is over is forgotten. All messages are typed messages of the protocol, on the wire too; what does not fit its schema cancels
 * the branch.
 *
 * Callbacks of a saga run one at a time, as the handlers of a server do: what takes long belongs into a job.
 *
 * Refuses: a result while branches or jobs are under way; more time than is left. And to promise that all sides have the same outcome:
 * a side that has given its result is done with. Where that must not be, use two-phase commit, or make the transaction a step
 * of a `Saga` with a compensation.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Node } from "effect-otp"
 * import { SagaServer } from "effect-otp/saga"
 *
 * const Length = SagaServer.contract("Length", { value: Schema.String, result: Schema.Int })
 * const Total = SagaServer.contract("Total", { value: Schema.Array(Schema.String), result: Schema.Int })
 *
 * const LengthSaga = SagaServer.make(Length, { begin: (text, transaction) => transaction.result(text.length) })
 *
 * const TotalSaga = SagaServer.make(Total, {
 *   next: { length: Length },
 *   init: (lengths: SagaServer.Address<typeof Length>) => Effect.succeed(lengths),
 *   begin: (texts, transaction) =>
 *     Effect.as(
 *       Effect.forEach(texts, (text) => transaction.next("length", transaction.process, text)),
 *       { left: texts.length, sum: 0 }
 *     ),
 *   result: ({ value }, { left, sum }, transaction) =>
 *     Effect.as(
 *       left === 1 ? transaction.result(sum + value) : Effect.void,
 *       { left: left - 1, sum: sum + value }
 *     )
 * })
 *
 * const program = Effect.gen(function*() {
 *   const lengths = yield* SagaServer.start(LengthSaga)
 *   const total = yield* SagaServer.start(TotalSaga, lengths)
 *   return yield* SagaServer.run(total, ["one", "three"])
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => 8
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Etf from "../etf/EtfSchema.ts"
import * as GenServer from "../otp/GenServer.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { Handlers } from "../process/Handler.ts"
import * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { ProcessRef } from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"
import type { Reference } from "../term/Reference.ts"
import { compile, control } from "./internal/sagaBehaviour.ts"
import type { Definition } from "./internal/SagaModel.ts"
import type { Address, AnyContract } from "./SagaContract.ts"
import type { CancelReason, SagaRefused } from "./SagaError.ts"

export * from "./SagaClient.ts"
export * from "./SagaContract.ts"

// --- transactions ----------------------------------------------------------------------------------------------------

/**
 * How a part of the work is handed on.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextOptions {
  /** How long it may take; what is left of the lifespan by default, and never longer. */
  readonly timeout?: Duration.Input
  /**
   * Whether the saga is told when the branch fails or is cancelled (`trouble`), and goes on; otherwise that ends the whole
   * transaction. False by default.
   */
  readonly trap?: boolean
}

/**
 * How a job is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobOptions {
  /** How long it may take; what is left of the lifespan by default, and never longer. */
  readonly timeout?: Duration.Input
}

/**
 * The transaction that a callback is about.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transaction<
  in out C extends AnyContract,
  in out N extends Record<string, AnyContract>,
  in out J extends Record<string, AnyJob>,
  out P
> {
  /** The same on all sides of the transaction, on all nodes. */
  readonly id: Reference
  /** How often it was passed on before it came here: 0 at the origin. */
  readonly depth: number
  /** The state of the process: what `init` gave, and what the handlers of its protocol have made of it. */
  readonly process: P
  /** What is left of its lifespan. */
  readonly remaining: Effect.Effect<Duration.Duration>
  /** Hands a part of the work on to another saga. Several may be under way. */
  next<K extends keyof N & string>(
    name: K,
    to: Address<N[K]>,
    value: N[K]["value"]["Type"],
    options?: NextOptions
  ): Effect.Effect<Reference, SagaRefused>
  /** Starts a job in a process of its own. Gives what it is called. */
  job<K extends keyof J & string>(
    name: K,
    value: Parameters<J[K]["run"]>[0],
    options?: JobOptions
  ): Effect.Effect<string, SagaRefused>
  /** Ends the work of this saga with a result. */
  result(value: C["result"]["Type"]): Effect.Effect<void, SagaRefused>
  /** Tells the parent how far it is. */
  interim(value: C["interim"]["Type"]): Effect.Effect<void, SagaRefused>
  /** Cancels the transaction, in both directions. */
  cancel(detail?: string): Effect.Effect<void>
  /** Cancels one branch. Nothing is heard of it any more. */
  cancelNext(branch: Reference, detail?: string): Effect.Effect<void>
  /** Interrupts one job. Nothing is heard of it any more. */
  cancelJob(job: string): Effect.Effect<void>
}

/**
 * What a job may do besides computing its result.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobContext<in Interim> {
  /** Tells the saga how far it is. */
  readonly interim: (value: Interim) => Effect.Effect<void>
}

/**
 * Work in a process of its own: its value is the result, its failure that of the job, its interruption a cancellation.
 *
 * @category models
 * @since 0.1.0
 */
export interface Job<in Value, out A, out E, out R, out Interim> {
  readonly run: (value: Value, context: JobContext<Interim>) => Effect.Effect<A, E, R>
}

/**
 * Any job.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyJob {
  readonly run: (value: any, context: JobContext<any>) => Effect.Effect<unknown, unknown, any> // `any`: inferred per job
}

/**
 * A job. The type of its interim results is that of the parameter `context`.
 *
 * @category jobs
 * @since 0.1.0
 */
export const job = <Value, A, E, R, Interim = never>(
  run: (value: Value, context: JobContext<Interim>) => Effect.Effect<A, E, R>
): Job<Value, A, E, R, Interim> => ({ run })

// --- events ----------------------------------------------------------------------------------------------------------

/**
 * A result of a branch, with the name under which it was handed on.
 *
 * @category events
 * @since 0.1.0
 */
export type BranchResult<N extends Record<string, AnyContract>> = {
  readonly [K in keyof N]: { readonly from: K; readonly value: N[K]["result"]["Type"] }
}[keyof N]

/**
 * An interim result of a branch.
 *
 * @category events
 * @since 0.1.0
 */
export type BranchInterim<N extends Record<string, AnyContract>> = {
  readonly [K in keyof N]: { readonly from: K; readonly value: N[K]["interim"]["Type"] }
}[keyof N]

/**
 * A branch that was trapped has no result: it failed with the error of its contract, or was cancelled.
 *
 * @category events
 * @since 0.1.0
 */
export type BranchTrouble<N extends Record<string, AnyContract>> = {
  readonly [K in keyof N]:
    | { readonly from: K; readonly _tag: "Failed"; readonly error: N[K]["error"]["Type"] }
    | { readonly from: K; readonly _tag: "Cancelled"; readonly reason: CancelReason }
}[keyof N]

type ValueOf<J extends AnyJob> = J extends Job<any, infer A, any, any, any> ? A : never
type InterimOf<J extends AnyJob> = Parameters<Parameters<J["run"]>[1]["interim"]>[0]

/**
 * The result of a job.
 *
 * @category events
 * @since 0.1.0
 */
export type JobResult<J extends Record<string, AnyJob>> = {
  readonly [K in keyof J]: { readonly job: K; readonly id: string; readonly value: ValueOf<J[K]> }
}[keyof J]

/**
 * An interim result of a job.
 *
 * @category events
 * @since 0.1.0
 */
export type JobInterim<J extends Record<string, AnyJob>> = {
  readonly [K in keyof J]: { readonly job: K; readonly id: string; readonly value: InterimOf<J[K]> }
}[keyof J]

/**
 * A job has no result: it failed, died, was killed (`Failed`), or took too long (`Cancelled`).
 *
 * @category events
 * @since 0.1.0
 */
export type JobTrouble<J extends Record<string, AnyJob>> =
  & { readonly job: keyof J; readonly id: string }
  & (
    | { readonly _tag: "Failed"; readonly error: unknown }
    | { readonly _tag: "Cancelled"; readonly reason: CancelReason }
  )

// --- servers ---------------------------------------------------------------------------------------------------------

/**
 * How full a saga is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly transactions: number
  /** The most it may have; 0 for no limit. */
  readonly limit: number
}

/**
 * A saga as a value: a server as far as starting, naming and supervising go.
 *
 * @category models
 * @since 0.1.0
 */
export interface SagaServer<in Args, in out M extends Message.Any, out E, out R, out C>
  extends GenServer.GenServer<Args, M, E, R>
{
  readonly contract: C
}

/**
 * The ref of a running saga: the methods of its own protocol, and its contract.
 *
 * @category models
 * @since 0.1.0
 */
export type SagaRef<M extends Message.Any, C> = ProcessRef<M> & Address<C>

type ServicesOf<T> = T extends Effect.Effect<any, any, infer R> ? R : never
type ResultsOf<H> = { readonly [K in keyof H]: H[K] extends (...args: any) => infer R ? R : never }[keyof H]
type JobServices<J extends Record<string, AnyJob>> = {
  readonly [K in keyof J]: J[K] extends Job<any, any, any, infer R, any> ? R : never
}[keyof J]
type Provided = Scope.Scope | Process.CurrentProcess
type Failure<C extends AnyContract> = C["error"]["Type"] | SagaRefused

/**
 * The callbacks of a saga. `S` is the state of one transaction: what `begin` gives, and each callback gives anew.
 *
 * @category models
 * @since 0.1.0
 */
export interface Callbacks<
  C extends AnyContract,
  N extends Record<string, AnyContract>,
  J extends Record<string, AnyJob>,
  Args,
  P,
  EI,
  RI,
  S,
  RB,
  X,
  D,
  RT
> {
  /** The contracts of the sagas to which it hands work on, by the names under which it does. */
  readonly next?: N
  /** What it runs in processes of its own. */
  readonly jobs?: J
  /** The most transactions it may have at once; 0, the default, for no limit. See {@link setMaxTransactions}. */
  readonly maxTransactions?: number
  /** Makes the state of the process, when it has one. */
  readonly init?: (args: Args) => Effect.Effect<P | Behaviour.Ignore, EI, RI>
  /** A transaction arrives. When it fails it has to take back itself what it has done. */
  readonly begin: (
    value: C["value"]["Type"],
    transaction: Transaction<C, N, J, P>
  ) => Effect.Effect<S, Failure<C>, RB>
  /** A branch has a result. */
  readonly result?: (event: BranchResult<N>, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /** A branch has an interim result. */
  readonly interim?: (event: BranchInterim<N>, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /** A branch that was trapped has no result. */
  readonly trouble?: (event: BranchTrouble<N>, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /** A job has a result. */
  readonly jobResult?: (event: JobResult<J>, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /** A job has an interim result. */
  readonly jobInterim?: (event: JobInterim<J>, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /** A job has no result. Without this callback that cancels the transaction. */
  readonly jobFailed?: (event: JobTrouble<J>, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /**
   * The transaction ends without a result, for whatever reason: the place to take back what was done. Branches and jobs have been
   * told already.
   */
  readonly cancelled?: (reason: CancelReason, state: NoInfer<S>, transaction: Transaction<C, N, J, P>) => X
  /** At the origin of a transaction: makes the final result of what `result` was given. */
  readonly done?: (
    result: C["result"]["Type"],
    state: NoInfer<S>,
    transaction: Transaction<C, N, J, P>
  ) => D
  /** Runs before the end, as that of a server does. */
  readonly terminate?: (reason: ExitReason, state: NoInfer<P>) => Effect.Effect<unknown, unknown, RT>
}

/**
 * A saga of a contract. Besides its callbacks it may have a protocol of its own with handlers, as a server has; their state is what
 * `init` gives.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  C extends AnyContract,
  N extends Record<string, AnyContract> = {},
  J extends Record<string, AnyJob> = {},
  Args = void,
  P = void,
  EI = never,
  RI = never,
  S = void,
  RB = never,
  X extends Effect.Effect<NoInfer<S>, Failure<C>, any> = Effect.Effect<never>, // `any`: inferred from the callbacks
  D extends Effect.Effect<C["result"]["Type"], C["error"]["Type"], any> = Effect.Effect<never>, // as above
  RT = never,
  M extends Message.Any = never,
  H extends Handlers<M, NoInfer<P>> = Handlers<M, NoInfer<P>>
>(
  contract: C,
  options: Callbacks<C, N, J, Args, P, EI, RI, S, RB, X, D, RT> & {
    /** Messages besides those of sagas, and their handlers. */
    readonly protocol?: Protocol.Protocol<string, M>
    readonly handlers?: H & { readonly [K in Exclude<keyof H, keyof Handlers<M, P>>]: never }
  }
): SagaServer<
  Args,
  M,
  EI,
  Exclude<RI | RB | RT | ServicesOf<X> | ServicesOf<D> | JobServices<J> | ServicesOf<ResultsOf<H>>, Provided>,
  C
> => {
  const { handlers, jobs = {}, maxTransactions = 0, next = {}, protocol } = options
  const { begin: _, ...callbacks } = options
  const contracts = [...new Set(Object.values<AnyContract>(next))]
  if (contracts.length > 0 && options.result === undefined) {
    throw new Error(`saga ${contract.name} hands work on, but has no result callback for what comes back`)
  }
  if (Object.keys(jobs).length > 0 && options.jobResult === undefined) {
    throw new Error(`saga ${contract.name} has jobs, but no jobResult callback for what comes of them`)
  }
  const full = Protocol.make(
    contract.name,
    ...(protocol?.messages ?? []),
    ...contract.messages.toBranch.messages,
    ...contracts.flatMap(({ messages }) => Object.values(messages.answers)),
    ...controls
  ).protocol
  const definition = {
    init: undefined,
    result: undefined,
    interim: undefined,
    trouble: undefined,
    jobResult: undefined,
    jobInterim: undefined,
    jobFailed: undefined,
    cancelled: undefined,
    done: undefined,
    terminate: undefined,
    ...callbacks,
    begin: options.begin,
    contract,
    protocol: full,
    next,
    jobs,
    maxTransactions: maxTransactions === 0 ? Infinity : maxTransactions,
    handlers: handlers ?? {}
  } as unknown as Definition // the types are those of the signature
  return {
    "~effect-otp/GenServer": "~effect-otp/GenServer",
    protocol: full,
    behaviour: compile(definition),
    contract
  } as never // as above
}

const controls: ReadonlyArray<Message.Any> = [
  Message.Call(control.cancel, {
    payload: { transaction: Etf.Reference, detail: Schema.String },
    success: Schema.Boolean
  }),
  Message.Call(control.limit, { payload: { limit: Schema.Int } }),
  Message.Call(control.status, { success: Schema.Struct({ transactions: Schema.Int, limit: Schema.Int }) })
]

const controlProtocol = Protocol.make("Saga", ...controls).protocol

// --- processes -------------------------------------------------------------------------------------------------------

type StartArguments<Args> = undefined extends Args ? [args?: Args, options?: GenServer.StartOptions]
  : [args: Args, options?: GenServer.StartOptions]

/** The ref knows its contract, so that transactions can be started with it. */
const withContract = <M extends Message.Any, C>(ref: ProcessRef<M>, contract: C): SagaRef<M, C> =>
  Object.assign(ref, { contract }) as unknown as SagaRef<M, C> // the rest is for the compiler alone

/**
 * Starts a saga, tied to the surrounding scope, as `GenServer.start` does it.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Args, M extends Message.Any, E, R, C extends AnyContract>(
  saga: SagaServer<Args, M, E, R, C>,
  ...rest: StartArguments<Args>
): Effect.Effect<SagaRef<M, C>, E | StartError, R | Node | Scope.Scope> =>
  Effect.map(GenServer.start(saga, ...rest), (ref) => withContract(ref, saga.contract))

/**
 * Starts a saga that belongs to nobody.
 *
 * @category starting
 * @since 0.1.0
 */
export const startDetached = <Args, M extends Message.Any, E, R, C extends AnyContract>(
  saga: SagaServer<Args, M, E, R, C>,
  ...rest: StartArguments<Args>
): Effect.Effect<SagaRef<M, C>, E | StartError, R | Node> =>
  Effect.map(GenServer.startDetached(saga, ...rest), (ref) => withContract(ref, saga.contract))

/**
 * Cancels a transaction at one of its sagas; from there it travels in both directions. False when the saga does not have it.
 *
 * @category control
 * @since 0.1.0
 */
export const cancel = (
  saga: Process.Target,
  transaction: Reference,
  detail = "cancelled"
): Effect.Effect<boolean, CallError, Node> =>
  Behaviour.call(controlProtocol, saga, control.cancel, { transaction, detail }) as Effect.Effect<
    boolean,
    CallError, // the message has no error of its own
    Node
  >

/**
 * Changes how many transactions a saga may have at once; 0 for no limit. Those that it has go on. One that comes above the limit is
 * cancelled with the reason `Overloaded`.
 *
 * @category control
 * @since 0.1.0
 */
export const setMaxTransactions = (saga: Process.Target, limit: number): Effect.Effect<void, CallError, Node> =>
  Behaviour.call(controlProtocol, saga, control.limit, { limit }) as Effect.Effect<void, CallError, Node> // as above

/**
 * How full a saga is.
 *
 * @category control
 * @since 0.1.0
 */
export const status = (saga: Process.Target): Effect.Effect<Status, CallError, Node> =>
  Behaviour.call(controlProtocol, saga, control.status, undefined) as Effect.Effect<Status, CallError, Node> // as above
