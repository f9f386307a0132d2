/**
 * Stages as processes of one node: subscriptions, demand, cancellation, buffers, streams.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Schema, Stream } from "effect"
import type { Scope } from "effect"
import { ExitReason, GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { Dispatcher, GenStage, StageError } from "effect-otp/stage"
import { TestClock } from "effect/testing"

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

/** Counts up, and remembers what it was asked for. */
const counter = (asked: Array<number> = [], dispatcher: Dispatcher.Dispatcher<number> = Dispatcher.demand()) =>
  GenStage.producer({
    event: Schema.Int,
    dispatcher,
    init: (from: number) => Effect.succeed(from),
    demand: (count, from) => {
      asked.push(count)
      return GenStage.emit(range(from, count), GenServer.next(from + count))
    }
  })

/** Emits what it is told to. */
class Source extends Protocol.make(
  "Source",
  Message.Call("Push", { payload: { events: Schema.Array(Schema.Int) }, success: Schema.Int }),
  Message.Cast("Later", { payload: { events: Schema.Array(Schema.Int) } })
) {}

const source = (options?: {
  readonly dispatcher?: Dispatcher.Dispatcher<number>
  readonly bufferSize?: number
  readonly cancelled?: (peer: GenStage.Cancelled) => void
}) =>
  GenStage.producer({
    event: Schema.Int,
    protocol: Source,
    init: () => Effect.succeed(0),
    handlers: {
      Push: ({ events }, pushed) =>
        GenStage.emit(events, GenServer.reply(pushed + events.length, pushed + events.length)),
      Later: ({ events }, pushed) => Effect.succeed(GenStage.emit(events, GenServer.next(pushed + events.length)))
    },
    ...options
  })

/** Puts every batch into a queue. */
const collector = (
  batches: Queue.Queue<ReadonlyArray<number>>,
  cancelled?: (peer: GenStage.Cancelled) => void
) =>
  GenStage.consumer({
    input: Schema.Int,
    init: () => Effect.void,
    events: (batch) => {
      Queue.offerUnsafe(batches, batch)
    },
    ...(cancelled === undefined ? {} : { cancelled: (peer: GenStage.Cancelled) => cancelled(peer) })
  })

const take = (batches: Queue.Queue<ReadonlyArray<number>>, count: number) =>
  Effect.gen(function*() {
    const all: Array<number> = []
    while (all.length < count) all.push(...yield* Queue.take(batches))
    return all
  })

const settled = Effect.forEach(range(0, 20), () => Effect.yieldNow, { discard: true })

const test = (title: string, body: () => Effect.Effect<void, unknown, Node.Node | Scope.Scope>) =>
  it.effect(title, () => Effect.scoped(body()).pipe(Effect.provide(Node.layerLocal())))

describe("a producer and a consumer", () => {
  test("[S24] the first ask is max, later asks are max - min, and no more is ever asked for", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const producer = yield* GenStage.start(counter(asked), 0)
      let left = 20
      const slow = GenStage.consumer({
        input: Schema.Int,
        init: () => Effect.void,
        events: (batch) => {
          Queue.offerUnsafe(batches, batch)
          return --left === 0 ? GenServer.stop() : undefined
        }
      })
      const consumer = yield* GenStage.start(slow)
      yield* GenStage.subscribe(consumer, producer, { minDemand: 500, maxDemand: 1000 })
      assert.deepStrictEqual(yield* take(batches, 10_000), range(0, 10_000))
      yield* Process.awaitExit(consumer)
      assert.strictEqual(asked[0], 1000)
      assert.deepStrictEqual([...new Set(asked.slice(1))], [500])
    }))

  test("what a call emits goes to consumers, and the caller has its reply", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const producer = yield* GenStage.start(source())
      const consumer = yield* GenStage.start(collector(batches))
      yield* GenStage.subscribe(consumer, producer)
      assert.strictEqual(yield* producer.Push({ events: [1, 2] }), 2)
      yield* producer.Later({ events: [3] })
      assert.deepStrictEqual(yield* take(batches, 3), [1, 2, 3])
    }))

  test("events wait in the buffer; its estimate can be asked for; an info keeps its place [S25]", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const order: Array<unknown> = []
      const producer = yield* GenStage.start(GenStage.producer({
        event: Schema.Int,
        protocol: Source,
        init: () => Effect.succeed(0),
        handlers: {
          Push: ({ events }) => GenStage.emit(events, 0),
          Later: ({ events }) => GenStage.emit(events)
        },
        info: (value) => {
          order.push(value)
        }
      }))
      yield* producer.Push({ events: [1, 2, 3] })
      yield* GenStage.info(producer, "after three")
      yield* producer.Push({ events: [4] })
      assert.strictEqual(yield* GenStage.buffered(producer), 4)
      const consumer = yield* GenStage.start(collector(batches))
      const subscription = yield* GenStage.subscribe(consumer, producer, { demand: "manual" })
      yield* GenStage.ask(subscription, 2)
      assert.deepStrictEqual(yield* take(batches, 2), [1, 2])
      assert.deepStrictEqual(order, [])
      yield* GenStage.ask(subscription, 1)
      assert.deepStrictEqual(yield* take(batches, 1), [3])
      assert.strictEqual(yield* GenStage.buffered(producer), 1)
      assert.deepStrictEqual(order, ["after three"])
    }))

  test("a handler that takes its time asks for more only when it is done", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const producer = yield* GenStage.start(counter(asked), 0)
      const consumer = yield* GenStage.start(GenStage.consumer({
        input: Schema.Int,
        init: () => Effect.void,
        events: () => Effect.sleep("1 second")
      }))
      yield* GenStage.subscribe(consumer, producer, { minDemand: 2, maxDemand: 4 })
      yield* settled
      assert.deepStrictEqual(asked, [4])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(asked, [4, 2])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(asked, [4, 2, 2])
    }))

  test("demand that is accumulated is passed on when the producer is told to", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const producer = yield* GenStage.start(GenStage.producer({
        event: Schema.Int,
        demandMode: "accumulate",
        init: () => Effect.succeed(0),
        demand: (count, from) => {
          asked.push(count)
          return GenStage.emit(range(from, 1), GenServer.next(from + 1))
        }
      }))
      for (let i = 0; i < 2; i++) {
        yield* GenStage.subscribe(yield* GenStage.start(collector(batches)), producer, { maxDemand: 10 })
      }
      yield* settled
      assert.deepStrictEqual(asked, [])
      yield* GenStage.demand(producer, "forward")
      yield* take(batches, 1)
      assert.deepStrictEqual(asked, [20])
    }))

  test("several producers and consumers: each event goes to one, from both", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const producers = [yield* GenStage.start(source()), yield* GenStage.start(source())]
      for (let i = 0; i < 2; i++) {
        const consumer = yield* GenStage.start(collector(batches))
        for (const producer of producers) yield* GenStage.subscribe(consumer, producer, { maxDemand: 10 })
      }
      yield* producers[0]!.Push({ events: range(0, 100) })
      yield* producers[1]!.Push({ events: range(100, 100) })
      const all = yield* take(batches, 200)
      assert.deepStrictEqual(all.toSorted((a, b) => a - b), range(0, 200))
    }))

  test("a broadcast with a selector, and a rate that follows the clock", () =>
    Effect.gen(function*() {
      const even = yield* Queue.unbounded<ReadonlyArray<number>>()
      const limited = Dispatcher.rateLimited(Dispatcher.broadcast<number>(), { limit: 4, everyMillis: 1000 })
      const producer = yield* GenStage.start(source({ dispatcher: limited }))
      const consumer = yield* GenStage.start(collector(even))
      yield* GenStage.subscribe(consumer, producer, { selector: (n) => n % 2 === 0 })
      yield* producer.Push({ events: range(0, 8) })
      assert.deepStrictEqual(yield* take(even, 2), [0, 2])
      yield* settled
      assert.strictEqual(yield* GenStage.buffered(producer), 4)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* take(even, 2), [4, 6])
    }))

  test("[S26] a partition that there is not is a crash", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const dispatcher = Dispatcher.partition<number>({ partitions: 2, hash: (n) => n })
      const producer = yield* GenStage.start(source({ dispatcher }))
      const consumer = yield* GenStage.start(collector(batches))
      yield* GenStage.subscribe(consumer, producer, { partition: 0, cancel: "temporary" })
      yield* producer.Later({ events: [7] })
      const reason = yield* Process.awaitExit(producer)
      assert.include(ExitReason.format(reason), "there are only 0, 1")
    }))
})

describe("the end of a subscription", () => {
  const lifeUnder = (cancel: GenStage.CancelMode, reason: ExitReason.ExitReason) =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const reasons: Array<string> = []
      const producer = yield* GenStage.startDetached(source())
      const consumer = yield* GenStage.startDetached(
        collector(batches, (peer) => void reasons.push(ExitReason.format(peer.reason)))
      )
      yield* GenStage.subscribe(consumer, producer, { cancel })
      yield* Process.stop(producer, { reason })
      yield* settled
      const alive = yield* Process.isAlive(consumer)
      if (alive) yield* Process.kill(consumer)
      assert.deepStrictEqual(reasons, [ExitReason.format(reason)])
      return alive
    })

  const crash = ExitReason.error("boom")
  const cases: ReadonlyArray<readonly [GenStage.CancelMode, ExitReason.ExitReason, boolean]> = [
    ["permanent", ExitReason.normal, false],
    ["permanent", crash, false],
    ["transient", ExitReason.normal, true],
    ["transient", ExitReason.shutdown, true],
    ["transient", ExitReason.shutdownWith("deploy"), true],
    ["transient", crash, false],
    ["temporary", crash, true],
    ["temporary", ExitReason.normal, true]
  ]
  for (const [mode, reason, lives] of cases) {
    test(`[S27] a ${mode} consumer ${lives ? "survives" : "dies of"} ${ExitReason.format(reason)}`, () =>
      Effect.map(lifeUnder(mode, reason), (alive) => assert.strictEqual(alive, lives)))
  }

  test("[S27] a transient consumer dies of noproc; under temporary it is told", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const producer = yield* GenStage.named(source(), "nobody")
      const consumer = yield* GenStage.startDetached(collector(batches))
      const error = yield* Effect.flip(GenStage.subscribe(consumer, producer, { cancel: "temporary" }))
      assert.instanceOf(error, StageError.SubscribeError)
      assert.include(error.message, "cannot subscribe to nobody: there is no such process")
      yield* GenStage.subscribe(consumer, producer, { cancel: "transient" })
      assert.deepStrictEqual(yield* Process.awaitExit(consumer), ExitReason.noProc)
    }))

  test("both sides can cancel, and both learn of it", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const told: Array<string> = []
      const note = (peer: GenStage.Cancelled) => void told.push(`${peer.role} ${ExitReason.format(peer.reason)}`)
      const producer = yield* GenStage.start(source({ cancelled: note }))
      const consumer = yield* GenStage.start(collector(batches, note))
      const one = yield* GenStage.subscribe(consumer, producer, { cancel: "temporary" })
      yield* GenStage.cancel(one)
      yield* settled
      assert.deepStrictEqual(told.splice(0).toSorted(), ["consumer shutdown", "producer shutdown"])
      const two = yield* GenStage.subscribe(consumer, producer, { cancel: "temporary" })
      yield* GenStage.cancel({ stage: producer, tag: two.tag }, ExitReason.error("enough"))
      yield* settled
      assert.deepStrictEqual(told.toSorted(), ["consumer enough", "producer enough"])
    }))

  test("resubscribing changes the options and does not end a permanent consumer", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const asked: Array<number> = []
      const never = GenStage.producer({
        event: Schema.Int,
        init: () => Effect.void,
        demand: (count) => {
          asked.push(count)
        }
      })
      const first = yield* GenStage.start(never)
      const second = yield* GenStage.start(never)
      const consumer = yield* GenStage.start(collector(batches))
      const one = yield* GenStage.subscribe(consumer, first, { maxDemand: 10 })
      const two = yield* GenStage.resubscribe(consumer, one, first, { maxDemand: 15 })
      yield* settled
      assert.deepStrictEqual(asked, [10, 5], "what the first subscription asked for is still owed")
      yield* GenStage.resubscribe(consumer, two, second, { maxDemand: 3 })
      yield* settled
      assert.deepStrictEqual(asked, [10, 5, 3])
      yield* Process.stop(first)
      yield* settled
      assert.isTrue(yield* Process.isAlive(consumer))
      yield* Process.stop(second)
      yield* settled
      assert.isFalse(yield* Process.isAlive(consumer), "it is permanent, and this was its subscription")
    }))

  test("a consumer is no producer, and demand that cannot be is refused", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const told: Array<string> = []
      const consumer = yield* GenStage.start(
        collector(batches, (peer) => void told.push(ExitReason.format(peer.reason)))
      )
      const other = yield* GenStage.start(collector(batches))
      // @ts-expect-error a consumer produces nothing
      yield* GenStage.subscribe(consumer, other, { cancel: "temporary" })
      yield* settled
      assert.deepStrictEqual(told, ["not_a_producer"])
      const producer = yield* GenStage.start(source())
      const error = yield* Effect.flip(GenStage.subscribe(consumer, producer, { maxDemand: 5, minDemand: 5 }))
      assert.include(error.message, "minimum demand")
    }))
})

describe("a producer-consumer", () => {
  const flat = GenStage.producerConsumer({
    input: Schema.Int,
    event: Schema.String,
    init: () => Effect.void,
    events: (batch) => GenStage.emit(batch.flatMap((n) => [`${n}a`, `${n}b`]))
  })

  test("events go through in order, and what goes in follows what is wanted", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const producer = yield* GenStage.start(counter(asked), 0)
      const middle = yield* GenStage.start(flat)
      yield* GenStage.subscribe(middle, producer, { maxDemand: 10 })
      yield* settled
      assert.deepStrictEqual(
        asked,
        [10],
        "nobody wants what comes of it: nothing is handled, nothing is asked for again"
      )
      const got = yield* GenStage.toStream(middle, { maxDemand: 7 }).pipe(Stream.take(1000), Stream.runCollect)
      assert.deepStrictEqual(got, range(0, 500).flatMap((n) => [`${n}a`, `${n}b`]))
    }))

  test("the end of what comes in is the end of what goes out, after the last event", () =>
    Effect.gen(function*() {
      const middle = yield* GenStage.startDetached(flat)
      const producer = yield* GenStage.start(GenStage.fromStream(Schema.Int, Stream.range(1, 1000)))
      yield* GenStage.subscribe(middle, producer)
      const got = yield* GenStage.toStream(middle, { maxDemand: 3 }).pipe(Stream.runCollect)
      assert.strictEqual(got.length, 2000)
      assert.isFalse(yield* Process.isAlive(middle))
    }))

  it("does not compile when the ends differ", () => {
    const program = Effect.gen(function*() {
      const producer = yield* GenStage.start(counter(), 0)
      const middle = yield* GenStage.start(flat)
      const queue = yield* Queue.unbounded<ReadonlyArray<number>>()
      const numbers = yield* GenStage.start(collector(queue))
      yield* GenStage.subscribe(middle, producer)
      yield* GenStage.subscribe(numbers, producer)
      // @ts-expect-error numbers are wanted, strings are made
      yield* GenStage.subscribe(numbers, middle)
      // @ts-expect-error a producer consumes nothing
      yield* GenStage.subscribe(producer, producer)
    })
    assert.isTrue(Effect.isEffect(program))
  })
})

describe("streams", () => {
  test("the pull is the demand: no more is asked for than was pulled and one time the maximum", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const producer = yield* GenStage.start(counter(asked), 0)
      const got = yield* GenStage.toStream(producer, { maxDemand: 4 }).pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(got, [0, 1])
      assert.deepStrictEqual(asked, [4])
    }))

  test("a stream is pulled only while somebody wants events", () =>
    Effect.gen(function*() {
      let pulled = 0
      const stream = Stream.range(1, 100).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sync(() => pulled++)))
      const producer = yield* GenStage.start(GenStage.fromStream(Schema.Int, stream))
      yield* settled
      assert.strictEqual(pulled, 0)
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const consumer = yield* GenStage.start(collector(batches))
      const subscription = yield* GenStage.subscribe(consumer, producer, { demand: "manual" })
      yield* GenStage.ask(subscription, 3)
      assert.deepStrictEqual(yield* take(batches, 3), [1, 2, 3])
      yield* settled
      assert.strictEqual(pulled, 3)
    }))

  test("from a stream to a stream: all of it, in order, and then the end", () =>
    Effect.gen(function*() {
      const producer = yield* GenStage.start(GenStage.fromStream(Schema.Int, Stream.range(1, 5000)))
      const got = yield* GenStage.toStream(producer).pipe(Stream.runCollect)
      assert.deepStrictEqual(got, range(1, 5000))
    }))

  test("a stream that fails crashes its stage, and the stream of that fails with the reason", () =>
    Effect.gen(function*() {
      const stream = Stream.concat(Stream.range(1, 3), Stream.fail("broken" as const))
      const producer = yield* GenStage.startDetached(GenStage.fromStream(Schema.Int, stream))
      const error = yield* Effect.flip(GenStage.toStream(producer, { maxDemand: 10 }).pipe(Stream.runDrain))
      assert.instanceOf(error, StageError.SubscriptionEnded)
      assert.include(error.message, "broken")
    }))

  test("interruption cancels the subscription", () =>
    Effect.gen(function*() {
      const ended = yield* Queue.unbounded<string>()
      const producer = yield* GenStage.start(
        source({ cancelled: ({ reason }) => void Queue.offerUnsafe(ended, ExitReason.format(reason)) })
      )
      const fiber = yield* Effect.forkChild(Stream.runDrain(GenStage.toStream(producer)))
      yield* settled
      yield* producer.Push({ events: [1] })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Queue.take(ended), "shutdown")
      assert.strictEqual(yield* Queue.size(ended), 0)
    }))

  test("a sink hands a stream to a consumer, at its pace, and ends with the last event", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const consumer = yield* GenStage.start(collector(batches))
      yield* Stream.run(Stream.range(1, 3000), GenStage.sink(consumer, { maxDemand: 16 }))
      assert.deepStrictEqual(yield* take(batches, 3000), range(1, 3000))
      assert.isTrue(yield* Process.isAlive(consumer))
      yield* Stream.run(Stream.empty, GenStage.sink(consumer))
    }))

  test("the failure of a stream is that of its run, and its sink ends the subscription", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const consumer = yield* GenStage.start(collector(batches))
      const stream = Stream.concat(Stream.range(1, 3), Stream.fail("broken" as const))
      const exit = yield* Effect.exit(Stream.run(stream, GenStage.sink(consumer)))
      assert.deepStrictEqual(exit, Exit.fail("broken" as const))
      assert.isTrue(yield* Process.isAlive(consumer))
    }))
})

describe("supervised stages", () => {
  test("subscribe where they are told to as soon as they start, and again after a restart", () =>
    Effect.gen(function*() {
      const batches = yield* Queue.unbounded<ReadonlyArray<number>>()
      const numbers = source()
      const producer = yield* GenStage.named(numbers, "numbers")
      const reader = GenStage.consumer({
        input: Schema.Int,
        init: () => Effect.void,
        subscribeTo: () => [{ to: producer, maxDemand: 10 }],
        events: (batch) => {
          Queue.offerUnsafe(batches, batch)
        }
      })
      yield* Supervisor.start(Supervisor.make({
        strategy: "rest_for_one",
        intensity: 3,
        period: "5 seconds",
        children: [
          Supervisor.child("numbers", numbers, undefined, { name: "numbers" }),
          Supervisor.child("reader", reader, undefined)
        ]
      }))
      yield* producer.Push({ events: [1] })
      assert.deepStrictEqual(yield* take(batches, 1), [1])
      yield* Process.kill({ name: "numbers" })
      yield* settled
      yield* producer.Push({ events: [2] })
      assert.deepStrictEqual(yield* take(batches, 1), [2])
    }))
})
