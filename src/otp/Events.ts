/**
 * Events: typed topics to which anyone may publish, and to which processes and streams subscribe.
 *
 * A topic is a value made from a schema or a message. Someone *opens* it on a node and so owns it; everyone who has the
 * topic may publish and subscribe, wherever they are on that node: no reference is handed around. A process gets the
 * events as the typed info of the topic (put `topic.message` into its protocol) or as another message of its own, a
 * stream gets them from a buffer.
 *
 * Guarantees. All subscribers see the events in one order, that in which they were published. Publishing never waits:
 * an event goes into the mailbox of each subscriber, and what a full mailbox does is its own policy (`suspend` and
 * `fail` have nobody who could wait, so they drop and count); a stream that is too slow loses the oldest or the newest,
 * and counts. One slow subscriber delays nobody. Subscribing twice is subscribing once. When the owner ends, however it
 * ends, each process gets one Down with the owner's reason, behind all events and whatever the bound of its mailbox; a
 * stream ends, or fails with `EventsError` when the owner crashed. Subscribers that end are forgotten in that moment.
 *
 * Refuses: to open a topic twice, and to publish to one that is not open.
 *
 * @example
 * ```ts
 * import { Effect, Fiber, Schema, Stream } from "effect"
 * import { Events, Node } from "effect-otp"
 *
 * const PriceChanged = Events.topic("PriceChanged", { symbol: Schema.String, price: Schema.Number })
 *
 * const program = Effect.gen(function*() {
 *   yield* Events.open(PriceChanged, { replay: 1 })
 *   yield* Events.publish(PriceChanged, { symbol: "ACME", price: 7 })
 *   // Who comes late gets the last event first.
 *   const prices = yield* Effect.forkChild(Stream.runCollect(Stream.take(Events.stream(PriceChanged), 2)))
 *   while ((yield* Events.info(PriceChanged)).subscribers === 0) yield* Effect.yieldNow
 *   yield* Events.publish(PriceChanged, { symbol: "ACME", price: 8 })
 *   return (yield* Fiber.join(prices)).map(({ price }) => price)
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => [7, 8]
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Behaviour from "../process/Behaviour.ts"
import * as ExitReason from "../process/ExitReason.ts"
import * as Message from "../process/Message.ts"
import { Node, type Service as NodeService } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { Reference } from "../term/Reference.ts"
import { EventsError } from "./internal/EventsError.ts"
import { LiveTopic, StreamSubscriber } from "./internal/LiveTopic.ts"

export { EventsError } from "./internal/EventsError.ts"
export { TopicUnwatched, TopicWatched } from "./internal/LiveTopic.ts"

const TypeId = "~effect-otp/Events/Topic"

/**
 * A message that says nothing about who is to answer.
 *
 * @category models
 * @since 0.1.0
 */
export type OneWay = Message.Any & { readonly kind: "Cast" | "Info" }

/**
 * A topic: a name, and the message of which each event is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topic<in out M extends Message.Any> {
  readonly [TypeId]: { readonly _M: (_: M) => M }
  /** The name under which it is open on a node. */
  readonly name: string
  /** How events arrive at processes: make it a message of their protocol. */
  readonly message: M
}

/**
 * The events of a topic.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Event<T> = T extends Topic<infer M> ? Message.Payload<M> : never

type PayloadSchema<P> = P extends Schema.Top ? P : P extends Schema.Struct.Fields ? Schema.Struct<P> : never

// --- topics ----------------------------------------------------------------------------------------------------------

/**
 * A topic of events of a message, under the tag of the message.
 *
 * @category topics
 * @since 0.1.0
 */
export const fromMessage = <M extends OneWay>(message: M): Topic<M> =>
  ({ [TypeId]: TypeId, name: message._tag, message }) as unknown as Topic<M> // the type id has its types only

/**
 * A topic of events of a schema, or of a record of fields. Its message has the name as its tag.
 *
 * @category topics
 * @since 0.1.0
 */
export const topic = <const Name extends string, P extends Schema.Top | Schema.Struct.Fields>(
  name: Name,
  payload: P
): Topic<Message.Message<Name, "Info", PayloadSchema<P>, Schema.Void, Schema.Never>> =>
  fromMessage(Message.Info(name, { payload }))

/**
 * Another topic with the same events: one per room, say. Subscribers of both tell them apart by the message that `as`
 * names.
 *
 * @category topics
 * @since 0.1.0
 */
export const named = <M extends Message.Any>(topic: Topic<M>, name: string): Topic<M> => ({ ...topic, name })

// --- opening ---------------------------------------------------------------------------------------------------------

/** The open topics of each node, by name. */
const nodes = new WeakMap<NodeService["runtime"], Map<string, LiveTopic>>()

const topicsOf = (node: NodeService): Map<string, LiveTopic> => {
  let topics = nodes.get(node.runtime)
  if (topics === undefined) nodes.set(node.runtime, topics = new Map())
  return topics
}

/** Does something with the open topic, in one step, or fails because there is none. */
const withTopic = <M extends Message.Any, A, E = never>(
  topic: Topic<M>,
  use: (opened: LiveTopic) => Effect.Effect<A, E>
): Effect.Effect<A, E | EventsError, Node> =>
  Effect.flatMap(Node, (node): Effect.Effect<A, E | EventsError> => {
    const found = nodes.get(node.runtime)?.get(topic.name)
    return found === undefined ? Effect.fail(new EventsError({ topic: topic.name, reason: "NotOpen" })) : use(found)
  })

/**
 * The options of an open topic.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenOptions {
  /** How many of the last events a new subscriber gets first: none by default. */
  readonly replay?: number
  /** Who gets {@link TopicWatched} and {@link TopicUnwatched}: a pid, name or ref, looked up each time. */
  readonly notify?: Process.Target
}

/** How a scope has closed, as the reason of the end of what it held. */
const reasonOf = (exit: Exit.Exit<unknown, unknown>): ExitReason.ExitReason => {
  if (Exit.isSuccess(exit)) return ExitReason.normal
  if (Exit.hasInterrupts(exit) && !Exit.hasFails(exit) && !Exit.hasDies(exit)) return ExitReason.shutdown
  const squashed = Cause.squash(exit.cause)
  return ExitReason.isExitReason(squashed) ? squashed : ExitReason.fromCause(exit.cause)
}

/**
 * Opens a topic on this node, until the surrounding scope closes or, in a process, the process ends. `AlreadyOpen` when
 * a topic of that name is open.
 *
 * @category opening
 * @since 0.1.0
 */
export const open = <M extends Message.Any>(
  topic: Topic<M>,
  options?: OpenOptions
): Effect.Effect<void, EventsError, Node | Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const node = yield* Node
    const scope = yield* Effect.scope
    const owner = yield* Behaviour.current
    const topics = topicsOf(node)
    if (topics.has(topic.name)) return yield* new EventsError({ topic: topic.name, reason: "AlreadyOpen" })
    let unwatch: (() => void) | undefined
    const opened = new LiveTopic(topic.name, node, options ?? {}, () => {
      topics.delete(topic.name)
      unwatch?.()
    })
    topics.set(topic.name, opened)
    if (owner?.node === node.runtime) unwatch = Behaviour.watch(owner, (reason) => opened.end(reason))
    // The process itself knows the reason of its end better than its scope does.
    if (scope !== owner?.scope) {
      yield* Scope.addFinalizerExit(scope, (exit) => Effect.sync(() => opened.end(reasonOf(exit))))
    }
  }))

/**
 * A topic that is open for as long as a layer is.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <M extends Message.Any>(
  topic: Topic<M>,
  options?: OpenOptions
): Layer.Layer<never, EventsError, Node> => Layer.effectDiscard(open(topic, options))

// --- publishing ------------------------------------------------------------------------------------------------------

/** The arguments for an event. */
type Payload<M extends Message.Any> = [Message.PayloadInput<M>] extends [void] ? [payload?: void]
  : {} extends Message.PayloadInput<M> ? [payload?: Message.PayloadInput<M>]
  : [payload: Message.PayloadInput<M>]

/**
 * Publishes an event. It is in the mailboxes and buffers of all subscribers when this returns, and nobody was waited
 * for.
 *
 * @category publishing
 * @since 0.1.0
 */
export const publish = <M extends Message.Any>(
  topic: Topic<M>,
  ...[payload]: Payload<M>
): Effect.Effect<void, EventsError, Node> =>
  withTopic(topic, (opened) => {
    const { makePayload } = topic.message
    opened.publish(makePayload === undefined ? payload : makePayload(payload))
    return Effect.void
  })

// --- subscribing -----------------------------------------------------------------------------------------------------

/**
 * The options of a subscription.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions {
  /** At most how many of the last events come first: as many as the topic keeps, by default. */
  readonly replay?: number
}

/**
 * Options with which events arrive as another message.
 *
 * @category models
 * @since 0.1.0
 */
export interface MapOptions<M extends Message.Any, As extends OneWay> extends SubscribeOptions {
  readonly as: As
  /** Makes its payload of an event. Must be quick. An event at which it throws is dropped and counted. */
  readonly map: (event: Message.Payload<M>) => Message.Payload<As>
}

/**
 * Subscribes the calling process: events arrive as the message of the topic, or as another one (`as` and `map`). The
 * same again changes nothing. Gives the reference of the Down that comes when the topic ends.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const subscribe: {
  <M extends Message.Any>(
    topic: Topic<M>,
    options?: SubscribeOptions
  ): Effect.Effect<Reference, EventsError, Process.CurrentProcess | Node>
  <M extends Message.Any, As extends OneWay>(
    topic: Topic<M>,
    options: MapOptions<M, As>
  ): Effect.Effect<Reference, EventsError, Process.CurrentProcess | Node>
} = <M extends Message.Any>(
  topic: Topic<M>,
  options?: SubscribeOptions & Partial<MapOptions<M, OneWay>>
): Effect.Effect<Reference, EventsError, Process.CurrentProcess | Node> =>
  Effect.flatMap(current, (process) =>
    withTopic(topic, (opened) => {
      const subscriber = opened.subscriberOf(process) ??
        opened.addProcess(
          process,
          options?.as ?? topic.message,
          options?.map as ((event: unknown) => unknown) | undefined, // of the events of this topic
          options?.replay ?? Infinity
        )
      return Effect.succeed(subscriber.ref)
    }))

const current: Effect.Effect<Behaviour.Process, never, Process.CurrentProcess> = Effect.map(
  Behaviour.current,
  (process) => process! // the requirement says that there is one
)

/**
 * Ends the subscription of the calling process: nothing more comes, also no Down; what waits in the mailbox stays
 * there. False when there was none.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const unsubscribe = <M extends Message.Any>(
  topic: Topic<M>
): Effect.Effect<boolean, never, Process.CurrentProcess | Node> =>
  Effect.flatMap(current, (process) =>
    Effect.map(Node, (node) => {
      const opened = nodes.get(node.runtime)?.get(topic.name)
      const subscriber = opened?.subscriberOf(process)
      if (subscriber === undefined) return false
      opened!.removeProcess(subscriber)
      return true
    }))

/**
 * The options of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions extends SubscribeOptions {
  /** How many events may wait for the stream: 1024 by default. */
  readonly capacity?: number
  /** What is lost when it is full: the oldest (default) or the newest. */
  readonly overflow?: "dropOld" | "dropNew"
}

/**
 * A subscription as a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscription<out A> {
  /** The events, to be consumed once. It ends with the topic, and fails when the owner of the topic crashed. */
  readonly stream: Stream.Stream<A, EventsError>
  /** How many events the full buffer has lost. */
  readonly dropped: Effect.Effect<number>
}

/**
 * Subscribes now, until the scope closes; the events wait in a buffer.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const subscription = <M extends Message.Any>(
  topic: Topic<M>,
  options?: StreamOptions
): Effect.Effect<Subscription<Message.Payload<M>>, EventsError, Node | Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Queue.make<unknown, EventsError | Cause.Done>({
      capacity: options?.capacity ?? 1024,
      strategy: options?.overflow === "dropNew" ? "dropping" : "sliding"
    })
    const [, subscriber] = yield* Effect.acquireRelease(
      withTopic(topic, (opened) => {
        const added = new StreamSubscriber(opened.published, queue)
        opened.add(added, options?.replay ?? Infinity)
        return Effect.succeed([opened, added] as const)
      }),
      ([opened, added]) => Effect.sync(() => opened.remove(added))
    )
    return {
      // Only events of the topic are put into the queue.
      stream: Stream.fromQueue(queue) as Stream.Stream<Message.Payload<M>, EventsError>,
      dropped: Effect.sync(() => subscriber.dropped)
    }
  })

/**
 * The events of a topic as a stream. Each run subscribes anew, when it begins.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const stream = <M extends Message.Any>(
  topic: Topic<M>,
  options?: StreamOptions
): Stream.Stream<Message.Payload<M>, EventsError, Node> =>
  Stream.unwrap(Effect.map(subscription(topic, options), (made) => made.stream))

// --- inspection ------------------------------------------------------------------------------------------------------

/**
 * What an open topic counts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly name: string
  /** Processes and streams. */
  readonly subscribers: number
  readonly published: number
  /** Events handed to subscribers, replayed ones included. What a full mailbox drops is counted by its process. */
  readonly delivered: number
  /** Events lost in full buffers of streams, or by a mapping that threw. */
  readonly dropped: number
  /** How many events are kept for new subscribers. */
  readonly replay: number
}

/**
 * What an open topic has counted so far.
 *
 * @category inspection
 * @since 0.1.0
 */
export const info = <M extends Message.Any>(topic: Topic<M>): Effect.Effect<Info, EventsError, Node> =>
  withTopic(topic, (opened) =>
    Effect.succeed({
      name: opened.name,
      subscribers: opened.subscriberCount,
      published: opened.published,
      delivered: opened.delivered,
      dropped: opened.dropped,
      replay: opened.replayLength
    }))

/**
 * The names of all topics that are open on this node.
 *
 * @category inspection
 * @since 0.1.0
 */
export const opened: Effect.Effect<ReadonlyArray<string>, never, Node> = Effect.map(
  Node,
  (node) => [...nodes.get(node.runtime)?.keys() ?? []]
)

/**
 * Waits until an open topic ends, and gives the reason.
 *
 * @category inspection
 * @since 0.1.0
 */
export const awaitEnd = <M extends Message.Any>(
  topic: Topic<M>
): Effect.Effect<ExitReason.ExitReason, EventsError, Node> =>
  withTopic(topic, (opened) =>
    Effect.callback<ExitReason.ExitReason>((resume) => {
      const waiting = { resume: (reason: ExitReason.ExitReason) => resume(Effect.succeed(reason)) }
      // It may have ended since: the fiber may have yielded.
      if (opened.reason !== undefined) return waiting.resume(opened.reason)
      opened.waiting.add(waiting)
      return Effect.sync(() => opened.waiting.delete(waiting))
    }))
