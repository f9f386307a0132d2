/**
 * Dispatchers: which consumer gets which event of a producer. Each is a pure state machine without clock, messages or
 * randomness of its own; the shell that runs it is `GenStage`.
 *
 * A state is an immutable value ({@link Dispatching}). It is told of subscriptions, demand, cancellations and events, and
 * answers with the next state and with what is to be delivered. It says how many events it could take now (`wanted`);
 * how many of them the producer has been asked for already is counted once, outside, for all dispatchers alike.
 *
 * Guarantees, of each dispatcher here: an event is delivered, kept inside (`held`), given back (`leftover`) or counted as
 * discarded; nobody gets more than was asked for; each consumer gets events in the order in which they were dispatched.
 *
 * @since 0.1.0
 */
import * as BroadcastDispatcher from "./internal/BroadcastDispatcher.ts"
import * as DemandDispatcher from "./internal/DemandDispatcher.ts"
import * as FairDispatcher from "./internal/FairDispatcher.ts"
import * as PartitionDispatcher from "./internal/PartitionDispatcher.ts"
import * as RateLimitedDispatcher from "./internal/RateLimitedDispatcher.ts"

/**
 * A subscription, as a dispatcher knows it.
 *
 * @category models
 * @since 0.1.0
 */
export type ConsumerId = number

/**
 * What a consumer says about itself when it subscribes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumerOptions<in E> {
  /** The most events it will have asked for at one time, when it says so. */
  readonly maxDemand?: number | undefined
  /** For `broadcast`: the events that it wants; all of them by default. */
  readonly selector?: ((event: E) => boolean) | undefined
  /** For `partition`: which one. */
  readonly partition?: number | string | undefined
  /** For `fair`: its share in relation to those of others, 1 by default. */
  readonly weight?: number | undefined
}

/**
 * Events for one consumer, in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery<out E> {
  readonly consumer: ConsumerId
  readonly events: ReadonlyArray<E>
}

/**
 * The next state, and what is to be delivered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Step<in out E> {
  readonly _tag: "Step"
  readonly next: Dispatching<E>
  readonly deliveries: ReadonlyArray<Delivery<E>>
}

/**
 * A subscription or a demand that the dispatcher does not accept, and why. The state is as it was.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refused {
  readonly _tag: "Refused"
  readonly reason: string
}

/**
 * What became of events: delivered, given back because nobody can take them now, or discarded on purpose.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatched<in out E> {
  readonly next: Dispatching<E>
  readonly deliveries: ReadonlyArray<Delivery<E>>
  readonly leftover: ReadonlyArray<E>
  /** How many events nobody is to get: the hash of a partition said so. */
  readonly discarded: number
}

/**
 * A state of a dispatcher: an immutable value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatching<in out E> {
  /** How many events it would take now, without giving any back. */
  readonly wanted: number
  /** How many events it keeps for consumers that have not asked for them yet. */
  readonly held: number
  /** After how many milliseconds it wants a {@link Dispatching.tick}; undefined when it needs none. */
  readonly tickAfterMillis: number | undefined
  subscribe(consumer: ConsumerId, options: ConsumerOptions<E>): Dispatching<E> | Refused
  /** More demand of a subscribed consumer, at least 1. */
  ask(consumer: ConsumerId, count: number): Step<E> | Refused
  /** The end of a subscription; its demand is forgotten. */
  cancel(consumer: ConsumerId): Dispatching<E>
  dispatch(events: ReadonlyArray<E>): Dispatched<E>
  /** Time has passed. */
  tick(): Dispatching<E>
}

/**
 * A kind of dispatcher: how its first state is made. `seed` is the only source of randomness.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatcher<in out E> {
  readonly name: string
  readonly begin: (seed: number) => Dispatching<E>
}

export {
  /**
   * Whether a subscription or demand was refused.
   *
   * @category guards
   * @since 0.1.0
   */
  isRefused
} from "./internal/Demands.ts"

/**
 * Options of {@link demand}.
 *
 * @category models
 * @since 0.1.0
 */
export interface DemandOptions {
  /** The most that a consumer may have asked for at one time. Who announces or asks more is refused. No limit by default. */
  readonly maxDemand?: number | undefined
  /** Mixes the consumers before the first dispatch, so that not always the first to come is served first. Default false. */
  readonly shuffle?: boolean | undefined
}

/**
 * Each event to one consumer: to the one that has asked for most, as many as it asked for, then to the next. The default.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const demand = <E>(options?: DemandOptions): Dispatcher<E> => DemandDispatcher.make(options ?? {})

/**
 * Each event to every consumer, at the pace of the slowest. An event that the `selector` of a consumer does not want
 * costs that consumer no demand. Who subscribes later gets what is dispatched later.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const broadcast = <E>(): Dispatcher<E> => BroadcastDispatcher.make()

/**
 * Options of {@link partition}.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartitionOptions<in E> {
  /** How many (then they are 0, 1, ...), or their names. */
  readonly partitions: number | ReadonlyArray<string>
  /**
   * The partition of an event; undefined discards it. A partition that there is not is a crash of the producer. By
   * default the structural hash of the event, over all partitions alike.
   */
  readonly hash?: ((event: E) => number | string | undefined) | undefined
}

/**
 * Each event to the partition that its hash says. Events of a partition without demand are kept for it, and the producer
 * is asked for nothing on their account: when all demand of the others is answered with events for an absent consumer, the
 * stage pauses until that one comes. Several consumers of one partition share it as under {@link demand}.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const partition = <E>(options: PartitionOptions<E>): Dispatcher<E> => PartitionDispatcher.make(options)

/**
 * Each event to one consumer, in proportion to the `weight` of its subscription among those that have demand. A consumer
 * that had none for a while does not catch up on what it missed.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const fair = <E>(): Dispatcher<E> => FairDispatcher.make()

/**
 * Options of {@link rateLimited}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateOptions {
  /** How many events at most per interval, at least 1. */
  readonly limit: number
  /** The length of an interval in milliseconds, 1000 by default. */
  readonly everyMillis?: number | undefined
}

/**
 * Another dispatcher, with at most so many events per interval. The producer is asked for no more than that either.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const rateLimited = <E>(dispatcher: Dispatcher<E>, options: RateOptions): Dispatcher<E> =>
  RateLimitedDispatcher.make(dispatcher, options)
