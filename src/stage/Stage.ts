/**
 * What stages are made of: the three kinds, their callbacks, and the types of their ends. See `GenStage`, which exports
 * all of this.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as GenServer from "../otp/GenServer.ts"
import type { Address, Name } from "../process/Address.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { CallContext, Context } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { NamedRef, ProcessRef } from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"
import type { Down, Exit as ExitSignal } from "../process/Signal.ts"
import type { Transition } from "../process/Transition.ts"
import * as Dispatcher from "./Dispatcher.ts"
import type { Keep } from "./EventBuffer.ts"
import { compile } from "./internal/stageBehaviour.ts"
import * as StageMessage from "./internal/StageMessage.ts"
import { type Definition, Emit as EmitClass } from "./internal/StageModel.ts"
import type { SubscribeOptions } from "./Subscription.ts"

// --- types -----------------------------------------------------------------------------------------------------------

/**
 * Something that produces events of a type: a ref of a stage of this node or another one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Producer<out E> {
  /** For the compiler alone. */
  readonly "~effect-otp/GenStage/Producer": (_: never) => E
  readonly address: Address
}

/**
 * Something that consumes events of a type.
 *
 * @category models
 * @since 0.1.0
 */
export interface Consumer<in E> {
  /** For the compiler alone. */
  readonly "~effect-otp/GenStage/Consumer": (_: E) => void
  readonly address: Address
}

type Ends<In, Out> =
  & ([In] extends [never] ? unknown : Consumer<In>)
  & ([Out] extends [never] ? unknown : Producer<Out>)

/**
 * The ref of a running stage: the methods of its protocol, and the types of its ends.
 *
 * @category models
 * @since 0.1.0
 */
export type StageRef<M extends Message.Any, In, Out> = ProcessRef<M> & Ends<In, Out>

/**
 * A stage as a value: it is a server as far as starting, naming and supervising go. `In` and `Out` are the events at its
 * ends, `never` where it has none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stage<in Args, in out M extends Message.Any, out E, out R, in In, out Out>
  extends GenServer.GenServer<Args, M, E, R>
{
  /** For the compiler alone. */
  readonly "~effect-otp/GenStage": { readonly in: (_: In) => void; readonly out: (_: never) => Out }
}

/**
 * Events that a callback emits, with the transition that goes with them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Emit<out E, out T> {
  readonly events: ReadonlyArray<E>
  readonly transition: T
}

type Decision<E, S> = Emit<E, Transition<never, S> | void> | Transition<never, S> | void

/**
 * What a callback may return: events with {@link emit}, a transition, nothing, or an Effect of these.
 *
 * @category models
 * @since 0.1.0
 */
export type Result<E, S> =
  | Decision<E, S>
  | Effect.Effect<Decision<E, S>, unknown, any> // `any`: the services are inferred from the callbacks

type CallDecision<E, S, A> = Emit<E, Transition<A, S> | A> | Transition<A, S> | A

/**
 * What the handler of a message may return: as that of a server, and events besides.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<M extends Message.Any, E, S> = M extends { readonly kind: "Call" } ? (
    payload: Message.Payload<M>,
    state: S,
    context: CallContext<Message.Success<M>, Message.Error<M>>
  ) =>
    | CallDecision<E, S, Message.Success<M>>
    | Effect.Effect<CallDecision<E, S, Message.Success<M>>, Message.Error<M>, any> // as above
  : (payload: Message.Payload<M>, state: S, context: Context) => Result<E, S>

/**
 * One handler per message of the protocol of a stage, and those for signals and unknown terms.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<M extends Message.Any, E, S> = { readonly [T in M as T["_tag"]]: Handler<T, E, S> } & {
  /** A trapped exit signal. */
  readonly exit?: (signal: ExitSignal, state: S, context: Context) => Result<E, S>
  /** A monitored process has ended that is no end of a subscription. */
  readonly down?: (signal: Down, state: S, context: Context) => Result<E, S>
  /** A term that no message of the protocol describes. */
  readonly unhandled?: (term: unknown, state: S, context: Context) => Result<E, S>
}

/**
 * The other end of a subscription, as callbacks see it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** What the other end is. */
  readonly role: "producer" | "consumer"
  readonly target: Process.Target
  /** What the subscription is called on both ends: a reference, or whatever a foreign consumer has chosen. */
  readonly tag: unknown
}

/**
 * A subscription that has ended, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cancelled extends Peer {
  readonly reason: ExitReason
}

/**
 * What a callback for events may know besides.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventsContext extends Context {
  /** From whom they are. */
  readonly from: Peer
}

/**
 * What all stages may have. `X` is what the further callbacks return.
 *
 * @category models
 * @since 0.1.0
 */
export interface Common<Args, S, E, RI, Out, M extends Message.Any, H, X, RT> {
  /** Makes the first state. It may fail with a typed error, and may return `GenServer.ignore`. */
  readonly init: (args: Args) => Effect.Effect<S | Behaviour.Ignore, E, RI>
  /** Messages besides those of stages, and their handlers, which may emit events. */
  readonly protocol?: Protocol.Protocol<string, M>
  readonly handlers?: H & { readonly [K in Exclude<keyof H, keyof Handlers<M, Out, S>>]: never }
  /** A subscription has begun, on either side. */
  readonly subscribed?: (peer: Peer, state: NoInfer<S>, context: Context) => X
  /** A subscription has ended, on either side. Then its cancel mode says whether a consumer goes on. */
  readonly cancelled?: (peer: Cancelled, state: NoInfer<S>, context: Context) => X
  /** A value of {@link info} whose turn has come. */
  readonly info?: (value: unknown, state: NoInfer<S>, context: Context) => X
  /** Runs before the end, as that of a server does. */
  readonly terminate?: (reason: ExitReason, state: NoInfer<S>) => Effect.Effect<unknown, unknown, RT>
  /** What observers may show of the state. They see the accounts of the stage besides. */
  readonly format?: (state: NoInfer<S>) => unknown
}

/**
 * What stages that produce may have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Output<Ev extends Schema.Top> {
  /** The events it produces. */
  readonly event: Ev
  /** Who gets which event; `Dispatcher.demand()` by default. */
  readonly dispatcher?: Dispatcher.Dispatcher<Ev["Type"]>
  /** How many events wait when nobody has asked for them; 10 000 by default. */
  readonly bufferSize?: number
  /** Which events a full buffer keeps; the `last` by default. */
  readonly bufferKeep?: Keep
  /** Whether demand is passed on from the start, or kept back until {@link demand} says so. `forward` by default. */
  readonly demandMode?: "forward" | "accumulate"
}

/**
 * What stages that consume may have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Input<Args, In, S, V> {
  /** Handles a batch of events: at most maximum less minimum demand. When it is done more is asked for. */
  readonly events: (batch: ReadonlyArray<In>, state: NoInfer<S>, context: EventsContext) => V
  /** Where it subscribes as soon as it has started. For supervised stages. */
  readonly subscribeTo?: (args: Args) => ReadonlyArray<SubscribeOptions<In> & { readonly to: Producer<In> }>
}

type ServicesOf<R> = R extends Effect.Effect<any, any, infer Services> ? Services : never
type ResultsOf<H> = { readonly [K in keyof H]: H[K] extends (...args: any) => infer R ? R : never }[keyof H]
type Provided = Scope.Scope | Process.CurrentProcess

// --- constructors ----------------------------------------------------------------------------------------------------

type Untyped = {
  readonly event?: Schema.Top
  readonly input?: Schema.Top
  readonly protocol?: Protocol.Any
  readonly dispatcher?: unknown
  readonly bufferSize?: number
  readonly bufferKeep?: Keep
  readonly demandMode?: "forward" | "accumulate"
}

const build = (kind: string, options: Untyped, bufferSize: number | undefined): never => {
  const { dispatcher, event, input, protocol } = options
  const name = protocol?.protocolName ?? kind
  const produces = event === undefined ? undefined : StageMessage.toConsumer(event)
  const full = Protocol.make(
    name,
    ...(protocol?.messages ?? []),
    StageMessage.toProducer,
    ...(input === undefined ? [] : [StageMessage.toConsumer(input)])
  ).protocol
  // The public constructors have checked the rest against their types.
  const definition = {
    demand: undefined,
    events: undefined,
    subscribed: undefined,
    cancelled: undefined,
    info: undefined,
    terminate: undefined,
    format: undefined,
    subscribeTo: undefined,
    holds: false,
    handlers: {},
    ...options,
    name,
    protocol: full,
    produces,
    consumes: input !== undefined,
    outlet: produces === undefined ? undefined : {
      dispatcher: (dispatcher ?? Dispatcher.demand()) as Dispatcher.Dispatcher<unknown>,
      bufferSize: options.bufferSize ?? bufferSize,
      bufferKeep: options.bufferKeep,
      forward: options.demandMode !== "accumulate"
    }
  } as unknown as Definition
  return {
    "~effect-otp/GenServer": "~effect-otp/GenServer",
    protocol: full,
    behaviour: compile(definition),
    event
  } as never
}

/**
 * A stage that makes events. `demand` is told how many are wanted and not asked for yet; it emits as many, now or later:
 * whatever it emits counts. Without `demand`, events come from handlers alone.
 *
 * @category constructors
 * @since 0.1.0
 */
export const producer = <
  Ev extends Schema.Top,
  S,
  E,
  RI,
  D extends Result<Ev["Type"], NoInfer<S>> = void,
  X extends Result<Ev["Type"], NoInfer<S>> = void,
  Args = void,
  M extends Message.Any = never,
  H extends Handlers<M, Ev["Type"], NoInfer<S>> = Handlers<M, Ev["Type"], NoInfer<S>>,
  RT = never
>(
  options: Output<Ev> & Common<Args, S, E, RI, NoInfer<Ev["Type"]>, M, H, X, RT> & {
    readonly demand?: (count: number, state: NoInfer<S>, context: Context) => D
  }
): Stage<Args, M, E, Exclude<RI | RT | ServicesOf<D | X | ResultsOf<H>>, Provided>, never, Ev["Type"]> =>
  build("producer", options, undefined)

/**
 * A stage that handles events.
 *
 * @category constructors
 * @since 0.1.0
 */
export const consumer = <
  Ev extends Schema.Top,
  S,
  E,
  RI,
  V extends Result<never, NoInfer<S>> = void,
  X extends Result<never, NoInfer<S>> = void,
  Args = void,
  M extends Message.Any = never,
  H extends Handlers<M, never, NoInfer<S>> = Handlers<M, never, NoInfer<S>>,
  RT = never
>(
  options: Input<Args, NoInfer<Ev["Type"]>, S, V> & Common<Args, S, E, RI, never, M, H, X, RT> & {
    /** The events it consumes. */
    readonly input: Ev
  }
): Stage<Args, M, E, Exclude<RI | RT | ServicesOf<V | X | ResultsOf<H>>, Provided>, Ev["Type"], never> =>
  build("consumer", options, undefined)

/**
 * A stage that makes events from events. It handles a batch only while somebody wants what comes of it, and everything a
 * batch comes to is kept, unless `bufferSize` says otherwise. Events and their handling follow the demand of its
 * consumers through the whole line of stages.
 *
 * @category constructors
 * @since 0.1.0
 */
export const producerConsumer = <
  In extends Schema.Top,
  Ev extends Schema.Top,
  S,
  E,
  RI,
  V extends Result<Ev["Type"], NoInfer<S>> = void,
  X extends Result<Ev["Type"], NoInfer<S>> = void,
  Args = void,
  M extends Message.Any = never,
  H extends Handlers<M, Ev["Type"], NoInfer<S>> = Handlers<M, Ev["Type"], NoInfer<S>>,
  RT = never
>(
  options:
    & Output<Ev>
    & Input<Args, NoInfer<In["Type"]>, S, V>
    & Common<Args, S, E, RI, NoInfer<Ev["Type"]>, M, H, X, RT>
    & {
      /** The events it consumes. */
      readonly input: In
    }
): Stage<Args, M, E, Exclude<RI | RT | ServicesOf<V | X | ResultsOf<H>>, Provided>, In["Type"], Ev["Type"]> =>
  build("producer_consumer", options, Infinity)

/**
 * Emits events. The second argument is what the callback would have returned without them: a transition, a plain reply, or
 * nothing when the state stays as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const emit: {
  <E>(events: ReadonlyArray<E>): Emit<E, void>
  <E, T>(events: ReadonlyArray<E>, transition: T): Emit<E, T>
} = <E, T>(events: ReadonlyArray<E>, transition?: T): Emit<E, never> =>
  new EmitClass(events, transition) as Emit<E, never> // one implementation for both

// --- starting --------------------------------------------------------------------------------------------------------

type StartArguments<Args> = undefined extends Args ? [args?: Args, options?: GenServer.StartOptions]
  : [args: Args, options?: GenServer.StartOptions]

/**
 * Starts a stage, tied to the surrounding scope, as `GenServer.start` does it.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Args, M extends Message.Any, E, R, In, Out>(
  stage: Stage<Args, M, E, R, In, Out>,
  ...rest: StartArguments<Args>
): Effect.Effect<StageRef<M, In, Out>, E | StartError, R | Node | Scope.Scope> =>
  GenServer.start(stage, ...rest) as Effect.Effect<
    StageRef<M, In, Out>, // the ends are for the compiler alone
    E | StartError,
    R | Node | Scope.Scope
  >

/**
 * Starts a stage that belongs to nobody.
 *
 * @category starting
 * @since 0.1.0
 */
export const startDetached = <Args, M extends Message.Any, E, R, In, Out>(
  stage: Stage<Args, M, E, R, In, Out>,
  ...rest: StartArguments<Args>
): Effect.Effect<StageRef<M, In, Out>, E | StartError, R | Node> =>
  GenServer.startDetached(stage, ...rest) as Effect.Effect<StageRef<M, In, Out>, E | StartError, R | Node> // as above

/**
 * The ref of whoever has a name, here or on another node, as a stage of this kind.
 *
 * @category refs
 * @since 0.1.0
 */
export const named = <Args, M extends Message.Any, E, R, In, Out>(
  stage: Stage<Args, M, E, R, In, Out>,
  name: string | Name
): Effect.Effect<NamedRef<M> & Ends<In, Out>, never, Node> =>
  Effect.map(
    Node,
    (node) =>
      // As above. The schema is for `toStream`, which has no other.
      Object.assign(Behaviour.refAt(node, stage.protocol, typeof name === "string" ? { name } : name) as object, {
        event: (stage as unknown as { readonly event: Schema.Top | undefined }).event
      }) as unknown as NamedRef<M> & Ends<In, Out>
  )

/**
 * A producer that is known by its address and the schema of its events alone: one of Elixir's, say. A stage that
 * subscribes decodes what it sends by its own schema, a stream by this one.
 *
 * @category refs
 * @since 0.1.0
 */
export const producerAt = <Ev extends Schema.Top>(event: Ev, address: Address): Producer<Ev["Type"]> =>
  ({ address, event }) as unknown as Producer<Ev["Type"]> // as above
