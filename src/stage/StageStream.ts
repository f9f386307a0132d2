/**
 * Stages and streams: the pull of a stream is the demand of a stage, here and across nodes.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import type { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { type Stage as RunningStage, stageOf } from "./internal/Stage.ts"
import { Finish } from "./internal/StageModel.ts"
import * as Stage from "./Stage.ts"
import { type SubscribeError, SubscriptionEnded } from "./StageError.ts"
import * as Subscription from "./Subscription.ts"

/** How a producer over a stream stands: what it has been asked for, and who waits to hear of it. */
interface Gauge {
  wanted: number
  wake: ((exit: Exit.Exit<void>) => void) | undefined
}

const untilWanted = (gauge: Gauge): Effect.Effect<void> =>
  Effect.suspend(() =>
    gauge.wanted > 0 ? Effect.void : Effect.callback<void>((resume) => {
      gauge.wake = resume
    })
  )

/**
 * A producer of the elements of a stream. The stream is pulled only while somebody wants events, and by the process of the
 * stage; when it ends, the stage ends with `normal` after its last event has gone out, and when it fails, the stage
 * crashes with that failure.
 *
 * @category streams
 * @since 0.1.0
 */
export const fromStream = <Ev extends Schema.Top, E, R>(
  event: Ev,
  stream: Stream.Stream<NoInfer<Ev["Type"]>, E, R>,
  options?: Omit<Stage.Output<Ev>, "event" | "bufferSize" | "bufferKeep">
): Stage.Stage<void, never, never, Exclude<R, Scope.Scope | Process.CurrentProcess> | Node, never, Ev["Type"]> =>
  Stage.producer({
    event,
    ...options,
    // What is pulled was wanted; of a chunk that is larger the rest waits, and nothing is dropped.
    bufferSize: Infinity,
    init: () =>
      Effect.gen(function*() {
        // The process in whose fiber this runs is the stage itself.
        const instance = (yield* Behaviour.current) as Behaviour.Instance
        const gauge: Gauge = { wanted: 0, wake: undefined }
        const pull = yield* Stream.toPull(stream)
        const inProcess = (run: (stage: RunningStage) => unknown): Effect.Effect<void> =>
          Effect.sync(() => instance.system(() => run(stageOf(instance)!)))
        const pump = untilWanted(gauge).pipe(
          Effect.andThen(pull),
          Effect.flatMap((chunk) => {
            gauge.wanted = Math.max(0, gauge.wanted - chunk.length)
            return inProcess((stage) => stage.emit(chunk))
          }),
          Effect.forever({ disableYield: true }),
          Pull.catchDone(() => inProcess((stage) => stage.mark(new Finish(ExitReason.normal)))),
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => instance.breakDown(cause))
          )
        )
        yield* Effect.forkScoped(pump)
        return gauge
      }),
    demand: (count, gauge) => {
      gauge.wanted += count
      const { wake } = gauge
      gauge.wake = undefined
      wake?.(Exit.void)
    },
    format: ({ wanted }) => ({ wanted })
  }) as never // the services of the stream, less what the process provides

/** What the consumer behind a stream gets. */
type Part<E> = { readonly _tag: "Events"; readonly events: Arr.NonEmptyReadonlyArray<E> } | {
  readonly _tag: "End"
  readonly reason: ExitReason.ExitReason
}

const named = (target: { readonly address: { toString(): string } }): string => {
  const { address } = target
  return typeof address === "object" && "name" in address ? String(address.name) : address.toString()
}

/**
 * The events of a producer as a stream, of this node or another one. The first pull subscribes and asks for `maxDemand`;
 * with each chunk that is pulled, as much is asked for again. The stream ends when the producer ends in an orderly way,
 * and fails with `SubscriptionEnded` otherwise; interruption and early ends cancel the subscription with `shutdown`.
 *
 * @category streams
 * @since 0.1.0
 */
export const toStream = <E>(
  producer: Stage.Producer<E>,
  options?: Omit<Subscription.SubscribeOptions<E>, "demand" | "cancel" | "minDemand">
): Stream.Stream<E, SubscriptionEnded | SubscribeError | CallError | StartError, Node> =>
  Stream.unwrap(Effect.gen(function*() {
    const maxDemand = options?.maxDemand ?? 1000
    // At most `maxDemand` events: no more than these are asked for.
    const parts = yield* Queue.unbounded<Part<E>>()
    const tap = Stage.consumer({
      // Refs of processes of this node have no schema, and need none.
      input: ((producer as { readonly event?: Schema.Top }).event ?? Schema.Unknown) as Schema.Codec<E, unknown>,
      init: () => Effect.void,
      events: (events) => {
        if (events.length > 0) {
          Queue.offerUnsafe(parts, { _tag: "Events", events: events as Arr.NonEmptyReadonlyArray<E> })
        }
      },
      cancelled: ({ reason }) => {
        Queue.offerUnsafe(parts, { _tag: "End", reason })
      }
    })
    const consumer = yield* Stage.start(tap, undefined, { label: `stream of ${named(producer)}` })
    const subscription = yield* Subscription.subscribe(consumer as unknown as Stage.Consumer<E>, producer, {
      ...options,
      maxDemand,
      minDemand: 0,
      demand: "manual",
      cancel: "temporary"
    })
    yield* Subscription.ask(subscription, maxDemand)
    let pulled = 0
    const pull = Effect.flatMap(
      Effect.suspend(() => {
        // What was pulled before is done: there is room for as much.
        const again = pulled
        pulled = 0
        return again === 0
          ? Queue.take(parts)
          : Effect.andThen(Subscription.ask(subscription, again), Queue.take(parts))
      }),
      (part): Pull.Pull<Arr.NonEmptyReadonlyArray<E>, SubscriptionEnded, void> => {
        if (part._tag === "Events") {
          pulled = part.events.length
          return Effect.succeed(part.events)
        }
        return ExitReason.isOrderly(part.reason)
          ? Cause.done()
          : Effect.fail(new SubscriptionEnded({ producer: named(producer), reason: part.reason }))
      }
    )
    return Stream.fromPull(Effect.succeed(pull))
  }))

/**
 * Options of {@link sink}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SinkOptions<in E> extends Omit<Subscription.SubscribeOptions<E>, "cancel"> {
  /** What becomes of the consumer when the stream has ended; `temporary` by default. */
  readonly cancel?: Subscription.CancelMode
}

/**
 * A sink that hands the elements of a stream to a consumer of this node, which subscribes to it: the stream is pulled as
 * the consumer asks. It is done when the last event has gone out to the consumer.
 *
 * @category streams
 * @since 0.1.0
 */
export const sink = <E>(
  consumer: Stage.Consumer<E>,
  options?: SinkOptions<E>
): Sink.Sink<void, E, never, StartError | SubscribeError | CallError, Node> =>
  Sink.fromTransform((upstream, scope) =>
    Effect.gen(function*() {
      // Not an end of the stage: whoever runs the stream is to have its failure, as it is.
      let failure: Cause.Cause<never> | undefined
      const source = Effect.catchCause(upstream, (cause) => {
        if (!Pull.isDoneCause(cause)) failure = cause as Cause.Cause<never>
        return Cause.done()
      })
      const elements = fromStream(
        Schema.Unknown as unknown as Schema.Codec<E, unknown>, // for consumers of this node
        Stream.fromPull(Effect.succeed(source))
      )
      // That E is not `never` cannot be seen here.
      const producer = (yield* Stage.start(elements)) as unknown as Stage.Producer<E>
      yield* Subscription.subscribe(consumer, producer, { cancel: "temporary", ...options })
      const reason = yield* Process.awaitExit(producer)
      if (failure !== undefined) return yield* Effect.failCause(failure)
      if (reason._tag === "Error") return yield* Effect.die(reason.error)
      return [undefined] as Sink.End<void>
    }).pipe(Scope.provide(scope))
  )
