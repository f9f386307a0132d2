/**
 * Events through a pipe of three stages with the default demand: a producer of numbers, a stage that adds one to each, and a
 * consumer that adds them up.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import { GenServer, Node } from "../../src/index.ts"
import { GenStage } from "../../src/stage/index.ts"
import { absolute, type Benchmark, calibrated } from "../harness/Benchmark.ts"
import { check, microsEach } from "../harness/Timing.ts"

/** Has the next numbers, as many as are asked for and no more than there are. */
const numbers = (count: number) =>
  GenStage.producer({
    event: Schema.Int,
    init: () => Effect.succeed(0),
    demand: (asked, next) => {
      const events = Array.from({ length: Math.min(asked, count - next) }, (_, i) => next + i)
      return GenStage.emit(events, GenServer.next(next + events.length))
    }
  })

const addOne = GenStage.producerConsumer({
  input: Schema.Int,
  event: Schema.Int,
  init: () => Effect.void,
  events: (events) => GenStage.emit(events.map((n) => n + 1))
})

interface Sum {
  readonly events: number
  readonly total: number
}

/** Says the sum of the events when it has had so many. */
const adder = (count: number, done: Deferred.Deferred<number>) =>
  GenStage.consumer({
    input: Schema.Int,
    init: (): Effect.Effect<Sum> => Effect.succeed({ events: 0, total: 0 }),
    events: (events, before) => {
      const sum = events.reduce(
        ({ events, total }, n) => ({ events: events + 1, total: total + n }),
        before
      )
      if (sum.events >= count) Deferred.doneUnsafe(done, Effect.succeed(sum.total))
      return GenServer.next(sum)
    }
  })

const pipe = (count: number) =>
  Effect.gen(function*() {
    const done = yield* Deferred.make<number>()
    const consumer = yield* GenStage.start(adder(count, done))
    const middle = yield* GenStage.start(addOne)
    const producer = yield* GenStage.start(numbers(count))
    yield* GenStage.subscribe(consumer, middle)
    const micros = yield* microsEach(
      count,
      Effect.andThen(GenStage.subscribe(middle, producer), Deferred.await(done))
    )
    yield* check("sum of the events", yield* Deferred.await(done), count * (count + 1) / 2)
    return { stage_events_per_s: 1_000_000 / micros }
  })

/** The benchmark, and what ends its node. */
export const load = (): { readonly benchmarks: ReadonlyArray<Benchmark>; readonly close: () => Promise<void> } => {
  const runtime = ManagedRuntime.make(Node.layerLocal())
  return {
    benchmarks: [
      {
        rows: [{ name: "stage_events_per_s", unit: "1/s", target: absolute(100_000, 300_000, 600_000) }],
        count: calibrated(10_000, 20_000_000),
        ours: (count) => runtime.runPromise(Effect.scoped(pipe(count)))
      }
    ],
    close: () => runtime.dispose()
  }
}
