/**
 * Stages: processes that exchange events, where nobody sends what the receiver has not asked for (Elixir's `GenStage`).
 *
 * A {@link producer} makes events, a {@link consumer} handles them, a {@link producerConsumer} does both. A consumer
 * subscribes to a producer and asks for events; the producer's `demand` callback is told how many are wanted. A callback
 * answers with {@link emit}, with a transition of `GenServer`, or with nothing; or with an Effect of these. Event types
 * are schemas on both ends, and a subscription whose ends differ does not compile.
 *
 * Guarantees: outstanding demand of a subscription is never above its maximum (1000); a subscription gets events in the
 * order in which they were dispatched; events without demand wait in a buffer (10 000, the last are kept) and what is
 * dropped is counted. The messages are those of Elixir's GenStage 1.x, so that its stages subscribe to these, and these
 * to its, across nodes. What comes from another node is decoded by the schema of the events; what does not fit cancels
 * the subscription and reaches no callback.
 *
 * Refuses: demand of more than a million events in one subscription, because a producer would have to make that many at
 * once; it is cancelled. And to promise delivery. Events on their way to a consumer that crashes are lost with it, as messages are.
 *
 * @example
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { GenServer, Node } from "effect-otp"
 * import { GenStage } from "effect-otp/stage"
 *
 * const Counter = GenStage.producer({
 *   event: Schema.Int,
 *   init: (from: number) => Effect.succeed(from),
 *   demand: (count, from) =>
 *     GenStage.emit(Array.from({ length: count }, (_, i) => from + i), GenServer.next(from + count))
 * })
 *
 * const Doubler = GenStage.producerConsumer({
 *   input: Schema.Int,
 *   event: Schema.Int,
 *   init: () => Effect.void,
 *   events: (batch) => GenStage.emit(batch.map((n) => 2 * n))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* GenStage.start(Counter, 1)
 *   const doubler = yield* GenStage.start(Doubler)
 *   yield* GenStage.subscribe(doubler, counter, { maxDemand: 10 })
 *   return yield* GenStage.toStream(doubler, { maxDemand: 10 }).pipe(Stream.take(3), Stream.runCollect)
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => [2, 4, 6]
 * ```
 *
 * @since 0.1.0
 */
export * from "./Stage.ts"
export * from "./StageStream.ts"
export * from "./Subscription.ts"
