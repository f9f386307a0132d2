import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Queue, Schema, Scope, Stream } from "effect"
import {
  Behaviour,
  Events,
  ExitReason,
  GenServer,
  type Mailbox,
  Message,
  Node,
  Process,
  Protocol,
  Signal
} from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { onNode } from "./OnNode.ts"

const Price = Events.topic("PriceChanged", { symbol: Schema.String, price: Schema.Int })
const Tick = Events.topic("Tick", Schema.Int)

const price = (n: number) => ({ symbol: "ACME", price: n })

/** A process that subscribes as it starts, and tells what it has seen. */
class Chart extends Protocol.make(
  "Chart",
  Price.message,
  Message.Info("Mapped", { payload: { text: Schema.String } }),
  Message.Call("Seen", { success: Schema.Array(Schema.Unknown) }),
  Message.Call("Do", {
    payload: { what: Schema.Literals(["subscribe", "unsubscribe", "block"]) },
    success: Schema.Unknown
  })
) {}

const ChartServer = (subscribe: Effect.Effect<unknown, Events.EventsError, Process.CurrentProcess | Node.Node>) =>
  GenServer.make(Chart, {
    init: () => Effect.as(Effect.orDie(subscribe), [] as ReadonlyArray<unknown>),
    handlers: {
      PriceChanged: (event, seen) => GenServer.next([...seen, event.price]),
      Mapped: ({ text }, seen) => GenServer.next([...seen, text]),
      Seen: (_, seen) => seen,
      Do: ({ what }) =>
        what === "subscribe"
          ? Effect.orDie(Effect.asVoid(subscribe))
          : what === "unsubscribe"
          ? Events.unsubscribe(Price)
          : Effect.never,
      down: ({ address, reason }, seen) =>
        GenServer.next([...seen, `down ${"name" in address ? address.name : "?"} ${ExitReason.format(reason)}`])
    }
  })

const chart = (options?: GenServer.StartOptions) =>
  GenServer.startDetached(ChartServer(Events.subscribe(Price)), undefined, options)

/** Opens a topic in a process of its own. */
const owner = (options?: Events.OpenOptions) =>
  Effect.gen(function*() {
    const ready = yield* Deferred.make<void>()
    const pid = yield* Process.spawnDetached(() =>
      Events.open(Price, options).pipe(
        Effect.orDie,
        Effect.andThen(Deferred.succeed(ready, undefined)),
        Effect.andThen(Effect.never)
      )
    )
    yield* Deferred.await(ready)
    return pid
  })

const publish = (...prices: ReadonlyArray<number>) =>
  Effect.forEach(prices, (n) => Events.publish(Price, price(n)), { discard: true })

describe("a topic", () => {
  onNode("brings events to processes as typed infos, in order, and to each once", () =>
    Effect.gen(function*() {
      yield* Events.open(Price)
      const [a, b] = [yield* chart(), yield* chart()]
      yield* publish(1, 2)
      // The same again changes nothing.
      yield* a.Do({ what: "subscribe" })
      yield* publish(3)
      assert.deepStrictEqual(yield* a.Seen(), [1, 2, 3])
      assert.deepStrictEqual(yield* b.Seen(), [1, 2, 3])
      assert.deepStrictEqual(yield* Events.info(Price), {
        name: "PriceChanged",
        subscribers: 2,
        published: 3,
        delivered: 6,
        dropped: 0,
        replay: 0
      })
    }))

  onNode("gives the same reference to whoever subscribes twice", () =>
    Effect.gen(function*() {
      yield* Events.open(Price)
      yield* Process.run(Effect.gen(function*() {
        const first = yield* Events.subscribe(Price)
        assert.strictEqual(yield* Events.subscribe(Price), first)
        yield* publish(7)
        const Shape = Schema.TaggedStruct("PriceChanged", { price: Schema.Int })
        assert.strictEqual((yield* Process.receive(Shape)).price, 7)
        assert.isTrue(Option.isNone(yield* Process.receive(Shape, { timeout: 0 })))
      }))
    }))

  onNode(
    "can hand events over as another message of the subscriber; a mapping that throws harms nobody else",
    () =>
      Effect.gen(function*() {
        yield* Events.open(Price)
        const mapped = yield* GenServer.startDetached(ChartServer(Events.subscribe(Price, {
          as: Chart.messages[1] as Extract<Protocol.Messages<typeof Chart>, { readonly _tag: "Mapped" }>,
          map: ({ price }) => {
            if (price === 2) throw new Error("no twos")
            return { text: `p${price}` }
          }
        })))
        const plain = yield* chart()
        yield* publish(1, 2, 3)
        assert.deepStrictEqual(yield* mapped.Seen(), ["p1", "p3"])
        assert.deepStrictEqual(yield* plain.Seen(), [1, 2, 3])
        assert.strictEqual((yield* Events.info(Price)).dropped, 1)
      })
  )

  onNode(
    "may be subscribed to by its owner, who gets what it publishes itself",
    () =>
      Process.run(Effect.gen(function*() {
        yield* Events.open(Tick)
        yield* Events.subscribe(Tick)
        yield* Events.publish(Tick, 7)
        const Shape = Schema.TaggedStruct("Tick", { payload: Schema.Int })
        assert.strictEqual((yield* Process.receive(Shape)).payload, 7)
      }))
  )

  onNode("may be of any schema, or of a message that exists", () =>
    Effect.gen(function*() {
      yield* Events.open(Tick)
      const Alarm = Message.Info("Alarm", {
        payload: { level: Schema.Int.pipe(Schema.withConstructorDefault(Effect.succeed(3))) }
      })
      const alarms = Events.fromMessage(Alarm)
      yield* Events.open(alarms, { replay: 1 })
      yield* Process.run(Effect.gen(function*() {
        yield* Events.subscribe(Tick)
        yield* Events.publish(Tick, 5)
        assert.deepStrictEqual(yield* Process.receive(Schema.TaggedStruct("Tick", { payload: Schema.Int })), {
          _tag: "Tick",
          payload: 5
        })
        yield* Events.publish(alarms)
        yield* Events.subscribe(alarms)
        assert.strictEqual((yield* Process.receive(Schema.TaggedStruct("Alarm", { level: Schema.Int }))).level, 3)
      }))
    }))

  onNode("is one per name and node, as long as it is open", () =>
    Effect.gen(function*() {
      const closed = yield* Effect.flip(Events.publish(Price, price(1)))
      assert.strictEqual(closed.reason, "NotOpen")
      assert.match(closed.message, /the topic PriceChanged is not open on this node/)
      const scope = yield* Scope.make()
      yield* Scope.provide(Events.open(Price), scope)
      assert.strictEqual((yield* Effect.flip(Events.open(Price))).reason, "AlreadyOpen")
      const other = Events.named(Price, "prices/2")
      yield* Events.open(other)
      assert.deepStrictEqual(yield* Events.opened, ["PriceChanged", "prices/2"])
      // The other node of this program has topics of its own.
      const elsewhere = yield* Effect.flip(Events.publish(Price, price(1))).pipe(Effect.provide(Node.layerLocal()))
      assert.strictEqual(elsewhere.reason, "NotOpen")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Events.opened, ["prices/2"])
      assert.strictEqual((yield* Effect.flip(publish(1))).reason, "NotOpen")
      yield* Events.open(Price)
    }))

  onNode("can be a layer", () =>
    Effect.gen(function*() {
      yield* Effect.provide(publish(1), Events.layer(Price), { local: true })
      assert.deepStrictEqual(yield* Events.opened, [])
    }))

  onNode("keeps the last events for those who come late", () =>
    Effect.gen(function*() {
      yield* Events.open(Price, { replay: 2 })
      yield* publish(1, 2, 3)
      const late = yield* chart()
      const one = yield* GenServer.startDetached(ChartServer(Events.subscribe(Price, { replay: 1 })))
      const none = yield* GenServer.startDetached(ChartServer(Events.subscribe(Price, { replay: 0 })))
      yield* publish(4)
      assert.deepStrictEqual(yield* late.Seen(), [2, 3, 4])
      assert.deepStrictEqual(yield* one.Seen(), [3, 4])
      assert.deepStrictEqual(yield* none.Seen(), [4])
      assert.strictEqual((yield* Events.info(Price)).replay, 2)
    }))

  everySeed(
    "shows all subscribers one order, however many publish, also from the midst of a delivery",
    () =>
      Effect.gen(function*() {
        yield* Events.open(Price, { replay: 1000 })
        const echo = GenServer.make(Chart, {
          init: () => Effect.as(Effect.orDie(Events.subscribe(Price)), 0),
          handlers: {
            ...ChartServer(Effect.void).handlers,
            PriceChanged: ({ price: n }, count) =>
              n < 100
                ? Effect.as(Effect.orDie(Events.publish(Price, price(n + 100))), GenServer.next(count + 1))
                : undefined,
            Mapped: () => {},
            Seen: () => [],
            Do: () => 0,
            down: () => {}
          }
        })
        const [a, , b] = [yield* chart(), yield* GenServer.startDetached(echo), yield* chart()]
        yield* Effect.forEach(
          [0, 1, 2],
          (k) => Effect.forEach([1, 2, 3], (n) => Effect.andThen(Effect.yieldNow, publish(10 * k + n))),
          { concurrency: "unbounded" }
        )
        yield* TestNode.settle
        const c = yield* chart()
        const seen = yield* a.Seen()
        assert.strictEqual(seen.length, 18)
        assert.deepStrictEqual(yield* b.Seen(), seen)
        assert.deepStrictEqual(yield* c.Seen(), seen)
        for (const k of [0, 1, 2]) {
          assert.deepStrictEqual(seen.filter((n) => Math.floor(Number(n) / 10) === k), [
            10 * k + 1,
            10 * k + 2,
            10 * k + 3
          ])
        }
      })
  )
})

describe("an event that is published while another is on its way", () => {
  onNode("comes after it everywhere, and once to those who subscribe in between", () =>
    Effect.gen(function*() {
      yield* Events.open(Price, { replay: 10 })
      const context = yield* Effect.context<Node.Node | Scope.Scope>()
      const early = yield* Events.subscription(Price)
      let between: Events.Subscription<{ readonly price: number }> | undefined
      yield* Process.spawnDetached(() =>
        Effect.andThen(
          Events.subscribe(Price, {
            as: Tick.message,
            map: (event) => {
              if (event.price === 1) {
                Effect.runSyncWith(context)(publish(2))
                between = Effect.runSyncWith(context)(Events.subscription(Price))
              }
              return event.price
            }
          }),
          Effect.never
        )
      )
      yield* TestNode.settle
      const late = yield* Events.subscription(Price)
      yield* publish(1)
      for (const subscription of [early, between!, late]) {
        const events = yield* Stream.runCollect(Stream.take(subscription.stream, 2))
        assert.deepStrictEqual(events.map((event) => event.price), [1, 2])
      }
      assert.strictEqual((yield* Events.info(Price)).delivered, 8)
    }))
})

describe("subscribers", () => {
  everySeed(
    "that end are forgotten in that moment, and nothing watches them longer than they subscribe",
    () =>
      Effect.gen(function*() {
        yield* Events.open(Price)
        const [a, b] = [yield* chart(), yield* chart()]
        yield* Process.kill(a)
        yield* TestNode.settle
        assert.strictEqual((yield* Events.info(Price)).subscribers, 1)
        const node = yield* Node.Node
        assert.strictEqual(Behaviour.processAt(node, b)!.watchers!.size, 1)
        assert.isTrue(yield* b.Do({ what: "unsubscribe" }))
        assert.isFalse(yield* b.Do({ what: "unsubscribe" }))
        assert.strictEqual(Behaviour.processAt(node, b)!.watchers!.size, 0)
        assert.strictEqual((yield* Events.info(Price)).subscribers, 0)
        yield* publish(1)
        assert.deepStrictEqual(yield* b.Seen(), [])
      })
  )

  onNode(
    "are told of by messages when the first comes and the last goes, streams included",
    () =>
      Effect.gen(function*() {
        const told = yield* Queue.make<unknown>()
        const listener = yield* Process.spawnDetached((mailbox) =>
          Effect.forever(Effect.flatMap(Queue.take(mailbox), (value) => Queue.offer(told, value)))
        )
        yield* Events.open(Price, { notify: listener })
        const a = yield* chart()
        yield* chart()
        yield* Effect.scoped(Events.subscription(Price))
        yield* a.Do({ what: "unsubscribe" })
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Queue.takeAll(told), [{ _tag: "TopicWatched", topic: "PriceChanged" }])
        for (const pid of yield* Node.processes) if (pid !== listener) yield* Process.kill(pid)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Queue.takeAll(told), [{ _tag: "TopicUnwatched", topic: "PriceChanged" }])
        yield* chart()
        assert.deepStrictEqual(yield* Queue.take(told), { _tag: "TopicWatched", topic: "PriceChanged" })
      })
  )

  onNode("that are slow delay neither the publisher nor the others", () =>
    Effect.gen(function*() {
      yield* Events.open(Price)
      const slow = yield* chart({ mailbox: { capacity: 2, overflow: "suspend" } })
      const quick = yield* chart()
      yield* Effect.forkChild(Effect.ignore(slow.Do({ what: "block" })))
      yield* TestNode.settle
      yield* publish(1, 2, 3, 4)
      assert.deepStrictEqual(yield* quick.Seen(), [1, 2, 3, 4])
      // Nobody could wait for the two that found the mailbox full: they are dropped and counted.
      const info = Option.getOrThrow(yield* Process.info(slow))
      assert.deepStrictEqual([info.mailboxLength, info.dropped], [2, 2])
    }))

  for (
    const [overflow, kept] of [["dropNew", [1, 2]], ["dropOld", [3, 4]], ["fail", [1, 2]]] as ReadonlyArray<
      [Mailbox.Overflow, ReadonlyArray<number>]
    >
  ) {
    onNode(`meet the policy of their own mailbox when it is full: ${String(overflow)}`, () =>
      Effect.gen(function*() {
        yield* Events.open(Price)
        const gate = yield* Deferred.make<void>()
        const seen = yield* Deferred.make<ReadonlyArray<unknown>>()
        const ready = yield* Deferred.make<void>()
        yield* Process.spawnDetached(
          (mailbox) =>
            Effect.gen(function*() {
              yield* Events.subscribe(Price)
              yield* Deferred.succeed(ready, undefined)
              yield* Deferred.await(gate)
              yield* Deferred.succeed(seen, yield* Queue.takeAll(mailbox))
            }),
          { mailbox: { capacity: 2, overflow } }
        )
        yield* Deferred.await(ready)
        yield* publish(1, 2, 3, 4)
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(
          (yield* Deferred.await(seen)).map((event) => (event as { readonly price: number }).price),
          kept
        )
      }))
  }
})

describe("the end of a topic", () => {
  for (
    const [how, end, reason] of [
      ["is killed", Process.kill, "killed"],
      ["is shut down", (pid: Process.Target) => Process.exit(pid, ExitReason.shutdown), "shutdown"],
      ["crashes", (pid: Process.Target) => Process.exit(pid, ExitReason.error("bad")), "bad"]
    ] as const
  ) {
    everySeed(`comes when its owner ${how}: one Down behind all events, with the reason`, () =>
      Effect.gen(function*() {
        const pid = yield* owner()
        const a = yield* chart()
        yield* a.Do({ what: "subscribe" })
        yield* publish(1)
        yield* end(pid)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* a.Seen(), [1, `down PriceChanged ${reason}`])
        // The name is free: the next owner may open it, and the old subscription is gone.
        yield* owner()
        yield* publish(2)
        assert.deepStrictEqual(yield* a.Seen(), [1, `down PriceChanged ${reason}`])
        yield* a.Do({ what: "subscribe" })
        yield* publish(3)
        assert.deepStrictEqual((yield* a.Seen()).slice(2), [3])
      }))
  }

  onNode("comes with the scope that it was opened in", () =>
    Effect.gen(function*() {
      for (
        const [exit, reason] of [
          [Exit.void, "normal"],
          [Exit.fail("bad"), "bad"],
          [Exit.interrupt(), "shutdown"]
        ] as const
      ) {
        const scope = yield* Scope.make()
        yield* Scope.provide(Events.open(Price), scope)
        const a = yield* chart()
        const ended = yield* Effect.forkChild(Events.awaitEnd(Price))
        yield* TestNode.settle
        yield* Scope.close(scope, exit)
        assert.deepStrictEqual(yield* a.Seen(), [`down PriceChanged ${reason}`])
        assert.strictEqual(ExitReason.format(yield* Fiber.join(ended)), reason)
      }
    }))

  onNode(
    "reaches subscribers whose mailbox is full, and those of a nested scope of the owner",
    () =>
      Effect.gen(function*() {
        const closed = yield* Deferred.make<void>()
        yield* Process.spawnDetached(() =>
          Effect.gen(function*() {
            yield* Effect.scoped(Effect.andThen(Events.open(Price), Deferred.await(closed)))
            return yield* Effect.never
          })
        )
        yield* TestNode.settle
        const got = yield* Deferred.make<ReadonlyArray<unknown>>()
        const gate = yield* Deferred.make<void>()
        yield* Process.spawnDetached(
          (mailbox) =>
            Effect.gen(function*() {
              yield* Events.subscribe(Price)
              yield* Deferred.await(gate)
              yield* Deferred.succeed(got, yield* Queue.takeAll(mailbox))
            }),
          { mailbox: { capacity: 1, overflow: "dropNew" } }
        )
        yield* TestNode.settle
        yield* publish(1, 2)
        yield* Deferred.succeed(closed, undefined)
        yield* TestNode.settle
        yield* Deferred.succeed(gate, undefined)
        const [event, down, ...more] = yield* Deferred.await(got)
        assert.deepStrictEqual(event, { _tag: "PriceChanged", ...price(1) })
        assert.isTrue(down instanceof Signal.Down && down.reason._tag === "Normal")
        assert.deepStrictEqual(more, [])
      })
  )

  onNode("is nothing to those who have unsubscribed", () =>
    Effect.gen(function*() {
      const pid = yield* owner()
      const a = yield* chart()
      yield* a.Do({ what: "unsubscribe" })
      yield* Process.kill(pid)
      yield* TestNode.settle
      assert.deepStrictEqual(yield* a.Seen(), [])
      assert.isFalse(yield* a.Do({ what: "unsubscribe" }))
    }))
})

describe("a stream of a topic", () => {
  everySeed(
    "has the events from its subscription on, and ends when the owner ends in good order",
    () =>
      Effect.gen(function*() {
        const pid = yield* owner({ replay: 1 })
        yield* publish(1, 2)
        const collected = yield* Effect.forkChild(Stream.runCollect(Events.stream(Price)))
        yield* TestNode.settle
        yield* publish(3, 4)
        yield* Process.exit(pid, ExitReason.shutdown)
        assert.deepStrictEqual((yield* Fiber.join(collected)).map((event) => event.price), [2, 3, 4])
      })
  )

  onNode("fails when the owner crashes, after the events before", () =>
    Effect.gen(function*() {
      const pid = yield* owner()
      const seen: Array<number> = []
      const run = yield* Effect.forkChild(Effect.flip(Stream.runForEach(Events.stream(Price), (event) =>
        Effect.sync(() => {
          seen.push(event.price)
        }))))
      yield* TestNode.settle
      yield* publish(1, 2)
      yield* Process.kill(pid)
      const error = yield* Fiber.join(run)
      assert.strictEqual(error.reason, "Ended")
      assert.deepStrictEqual(error.exitReason, ExitReason.killed)
      assert.deepStrictEqual(seen, [1, 2])
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(Events.stream(Price)))).reason, "NotOpen")
    }))

  for (const [overflow, kept] of [["dropOld", [3, 4]], ["dropNew", [1, 2]]] as const) {
    onNode(`that is too slow loses by ${overflow}, and counts`, () =>
      Effect.gen(function*() {
        yield* Events.open(Price)
        const slow = yield* Events.subscription(Price, { capacity: 2, overflow })
        const quick = yield* Events.subscription(Price)
        yield* publish(1, 2, 3, 4)
        assert.strictEqual(yield* slow.dropped, 2)
        assert.strictEqual(yield* quick.dropped, 0)
        const read = (
          subscription: Events.Subscription<{ readonly price: number }>,
          n: number
        ): Effect.Effect<ReadonlyArray<number>, Events.EventsError> =>
          Effect.map(Stream.runCollect(Stream.take(subscription.stream, n)), (events) => events.map((e) => e.price))
        assert.deepStrictEqual(yield* read(slow, 2), [...kept])
        assert.deepStrictEqual(yield* read(quick, 4), [1, 2, 3, 4])
        assert.strictEqual((yield* Events.info(Price)).dropped, 2)
      }))
  }

  onNode("leaves when its scope closes", () =>
    Effect.gen(function*() {
      yield* Events.open(Price)
      const run = yield* Effect.forkChild(Stream.runDrain(Events.stream(Price)))
      yield* TestNode.settle
      assert.strictEqual((yield* Events.info(Price)).subscribers, 1)
      yield* Fiber.interrupt(run)
      assert.strictEqual((yield* Events.info(Price)).subscribers, 0)
    }))
})
