/**
 * Subscriptions of consumers to producers, and what can be asked of running stages. See `GenStage`, which exports all of
 * this.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Address } from "../process/Address.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { Ref } from "../process/ProcessRef.ts"
import type { Reference } from "../term/Reference.ts"
import type { Term } from "../term/Term.ts"
import { type Stage as RunningStage, stageOf } from "./internal/Stage.ts"
import type { CancelMode as InternalCancelMode, SubscribeRequest } from "./internal/StageModel.ts"
import type { Consumer, Producer } from "./Stage.ts"
import type { SubscribeError } from "./StageError.ts"

// --- subscriptions ---------------------------------------------------------------------------------------------------

/**
 * What becomes of a consumer whose subscription ends: under `permanent` it ends with the same reason, whatever that is;
 * under `transient` unless the reason is `normal`, `shutdown` or `{shutdown, _}`; under `temporary` it goes on.
 *
 * @category models
 * @since 0.1.0
 */
export type CancelMode = InternalCancelMode

/**
 * Options of a subscription.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions<in E> {
  /** The most events that are asked for and not received: 1000. */
  readonly maxDemand?: number
  /** More is asked for when no more than these are outstanding: half the maximum by default. */
  readonly minDemand?: number
  /** Whether demand arises by itself, or only with {@link ask}; `automatic` by default. */
  readonly demand?: "automatic" | "manual"
  /** What becomes of the consumer when the subscription ends; `permanent` by default. */
  readonly cancel?: CancelMode
  /** For producers that broadcast, on this node: which events are wanted. */
  readonly selector?: (event: E) => boolean
  /** For producers that partition: which partition is wanted. */
  readonly partition?: number | string
  /** For producers that share by weight: 1 by default. */
  readonly weight?: number
}

/**
 * A subscription: the stage on whose side it is meant, and what it is called on both.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscription {
  readonly stage: Process.Target
  readonly tag: unknown
}

const requestOf = (to: Process.Target, options: object | undefined): SubscribeRequest => ({ ...options, to })

// Only the address of an end is looked at.
const refOf = (end: { readonly address: Address }): Ref<Message.Any> => end as unknown as Ref<Message.Any>

const inside = <A, E>(
  end: { readonly address: Address },
  request: string,
  run: (stage: RunningStage) => Effect.Effect<A, E>
): Effect.Effect<A, E | CallError> =>
  Behaviour.system(refOf(end), request, (instance) => {
    const stage = stageOf(instance)
    return stage === undefined ? Effect.die(new Error(`${instance.displayName} is no stage`)) : run(stage)
  })

/** Lets the process do what follows, in its own turn and behind what waits, and waits for nothing. */
const tell = (
  target: Process.Target,
  run: (stage: RunningStage) => unknown
): Effect.Effect<void, never, Node> =>
  Effect.map(Node, (node) => {
    const process = Behaviour.processAt(node, target)
    if (process instanceof Behaviour.Instance) {
      process.system(() => {
        const stage = stageOf(process)
        return stage === undefined ? undefined : run(stage)
      })
    }
  })

/** Does what a change of subscriptions has led to, behind the answer. */
const andProceed = <E extends { readonly address: Address }>(end: E) => tell(end, (stage) => stage.proceed())

/**
 * Subscribes a consumer of this node to a producer, here or on another node, and waits until it has asked. Demand cannot
 * be: `SubscribeError`. A producer that is not there ends a permanent or transient consumer; under `temporary` it is a
 * `SubscribeError`. What the producer refuses arrives as a cancellation. A consumer may subscribe to several producers,
 * and several times to one.
 *
 * @category subscriptions
 * @since 0.1.0
 */
export const subscribe = <E>(
  consumer: Consumer<E>,
  producer: Producer<NoInfer<E>>,
  options?: SubscribeOptions<NoInfer<E>>
): Effect.Effect<Subscription, SubscribeError | CallError, Node> =>
  Effect.tap(
    Effect.map(
      inside(consumer, "subscribe", (stage) => stage.subscribe(requestOf(producer, options))),
      (tag): Subscription => ({ stage: consumer, tag })
    ),
    () => andProceed(consumer)
  )

/**
 * The same without waiting, for a consumer that may be busy or is the caller itself. What cannot be ends the consumer.
 *
 * @category subscriptions
 * @since 0.1.0
 */
export const subscribeAsync = <E>(
  consumer: Consumer<E>,
  producer: Producer<NoInfer<E>>,
  options?: SubscribeOptions<NoInfer<E>>
): Effect.Effect<void, never, Node> =>
  tell(consumer, (stage) =>
    Effect.flatMap(Effect.orDie(stage.subscribe(requestOf(producer, options))), () => {
      const outcome = stage.proceed()
      return Effect.isEffect(outcome) ? outcome : Effect.succeed(outcome)
    }))

/**
 * Ends a subscription and makes another in its place, with other options or at another producer. The consumer goes on,
 * whatever the cancel mode of the old one. When there was no such subscription, it just subscribes.
 *
 * @category subscriptions
 * @since 0.1.0
 */
export const resubscribe = <E>(
  consumer: Consumer<E>,
  subscription: Subscription,
  producer: Producer<NoInfer<E>>,
  options?: SubscribeOptions<NoInfer<E>> & { readonly reason?: ExitReason.ExitReason }
): Effect.Effect<Subscription, SubscribeError | CallError, Node> =>
  Effect.tap(
    Effect.map(
      inside(
        consumer,
        "resubscribe",
        (stage) =>
          stage.resubscribe(
            subscription.tag as Reference,
            requestOf(producer, options),
            options?.reason ?? ExitReason.normal
          )
      ),
      (tag): Subscription => ({ stage: consumer, tag })
    ),
    () => andProceed(consumer)
  )

/**
 * Cancels a subscription, from either side: `{ stage, tag }` with a stage of this node and the tag that its callbacks are
 * told. The consumer gets `cancelled` with the reason, `shutdown` by default, and its cancel mode applies. Nothing happens
 * when there is no such subscription.
 *
 * @category subscriptions
 * @since 0.1.0
 */
export const cancel = (
  subscription: Subscription,
  reason: ExitReason.ExitReason = ExitReason.shutdown
): Effect.Effect<void, never, Node> =>
  tell(subscription.stage, (stage) => stage.cancel(subscription.tag as Term, reason))

/**
 * Asks for events by hand, under manual demand. What would go above the maximum waits until events have come.
 *
 * @category subscriptions
 * @since 0.1.0
 */
export const ask = (subscription: Subscription, count: number): Effect.Effect<void, never, Node> =>
  tell(subscription.stage, (stage) => stage.ask(subscription.tag as Reference, count))

// --- producers -------------------------------------------------------------------------------------------------------

/**
 * How many events wait at a producer of this node, in its buffer and for absent partitions.
 *
 * @category producers
 * @since 0.1.0
 */
export const buffered = <E>(producer: Producer<E>): Effect.Effect<number, CallError> =>
  inside(producer, "buffered", (stage) => Effect.sync(() => stage.outlet?.buffered ?? 0))

/**
 * Has the `info` callback of a stage called with a value when all events that wait now have gone out. For stages of this
 * node; nothing happens when there is none.
 *
 * @category producers
 * @since 0.1.0
 */
export const info = (stage: { readonly address: Address }, value: unknown): Effect.Effect<void, never, Node> =>
  tell(stage, (running) => running.mark(value))

/**
 * Has demand passed on to the `demand` callback (`forward`), or kept back and added up (`accumulate`): so that a producer
 * begins when all its consumers are there. For producers of this node; nothing happens when there is none.
 *
 * @category producers
 * @since 0.1.0
 */
export const demand = <E>(
  producer: Producer<E>,
  mode: "forward" | "accumulate"
): Effect.Effect<void, never, Node> => tell(producer, (stage) => stage.forward(mode === "forward"))
