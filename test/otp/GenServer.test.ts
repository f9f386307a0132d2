/**
 * What a server is: both styles, the transitions and what they do, refs, services and layers, calls to many.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, type Duration, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import {
  CallError,
  ExitReason,
  GenServer,
  type Handler,
  Message,
  Node,
  Process,
  Protocol,
  Supervisor,
  Transition
} from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { onNode } from "./OnNode.ts"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", {
    payload: { n: Schema.Int.pipe(Schema.withConstructorDefault(Effect.succeed(1))) },
    success: Schema.Int,
    error: Overflow
  }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Reset"),
  Message.Info("Tick", { payload: { at: Schema.Int } })
) {}

/** Explicit state. */
const CounterServer = GenServer.make(Counter, {
  init: (args: { readonly from: number }) => Effect.succeed(args.from),
  handlers: {
    Add: ({ n }, count) =>
      count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : GenServer.reply(count + n, count + n),
    Get: (_, count) => count,
    Reset: () => GenServer.next(0),
    Tick: ({ at }, count) => Effect.as(Effect.yieldNow, GenServer.next(count + at))
  }
})

/** Closure style. */
const ClosureServer = GenServer.make(Counter, (args: { readonly from: number }) =>
  Effect.sync(() => {
    let count = args.from
    return Counter.of({
      Add: ({ n }) => count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : Effect.sync(() => count += n),
      Get: () => count,
      Reset: () => {
        count = 0
      },
      Tick: ({ at }) =>
        Effect.sync(() => {
          count += at
        })
    })
  }))

describe("a server", () => {
  for (
    const [style, server] of [["with explicit state", CounterServer], ["in closure style", ClosureServer]] as const
  ) {
    onNode(
      `${style} answers calls, takes casts and infos, and keeps its state between them`,
      () =>
        Effect.gen(function*() {
          const counter = yield* GenServer.start(server, { from: 10 })
          assert.strictEqual(yield* counter.Add({ n: 2 }), 12)
          assert.strictEqual(yield* counter.Get(), 12)
          yield* counter.Tick({ at: 5 })
          assert.strictEqual(yield* counter.Get(), 17)
          yield* counter.Reset()
          assert.strictEqual(yield* counter.Get(), 0)
        })
    )

    onNode(`${style} answers with the domain error, and its state stays`, () =>
      Effect.gen(function*() {
        const counter = yield* GenServer.start(server, { from: 99 })
        const error = yield* Effect.flip(counter.Add({ n: 2 }))
        assert.deepStrictEqual(error, new Overflow({ max: 100 }))
        assert.strictEqual(yield* counter.Get(), 99)
      }))

    onNode(`${style} gets the defaults of a payload, made by the sender`, () =>
      Effect.gen(function*() {
        const counter = yield* GenServer.start(server, { from: 0 })
        assert.strictEqual(yield* counter.Add(), 1)
        assert.strictEqual(yield* counter.Add({}), 2)
      }))

    onNode(`${style} takes an info that came as a plain value`, () =>
      Effect.gen(function*() {
        const counter = yield* GenServer.start(server, { from: 0 })
        yield* Process.send(counter, { _tag: "Tick", at: 3 })
        assert.strictEqual(yield* counter.Get(), 3)
      }))
  }

  onNode(
    "gets a cast after a time when it is delayed as any Effect, unless it is taken back",
    () =>
      Effect.gen(function*() {
        const counter = yield* GenServer.start(CounterServer, { from: 10 })
        const later = (delay: Duration.Input) => Effect.forkChild(Effect.delay(counter.Reset(), delay))
        const taken = yield* later("1 second")
        yield* later("2 seconds")
        yield* TestClock.adjust("999 millis")
        yield* Fiber.interrupt(taken)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* counter.Get(), 10)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* counter.Get(), 0)
      })
  )

  onNode("handles one message at a time, in the order of the sender", () =>
    Effect.gen(function*() {
      class Log extends Protocol.make(
        "Log",
        Message.Cast("Slow", { payload: { n: Schema.Int } }),
        Message.Cast("Fast", { payload: { n: Schema.Int } }),
        Message.Call("All", { success: Schema.Array(Schema.Int) })
      ) {}
      let inside = 0
      const server = GenServer.make(Log, {
        init: () => Effect.succeed<ReadonlyArray<number>>([]),
        handlers: {
          Slow: ({ n }, seen) =>
            Effect.gen(function*() {
              inside++
              yield* Effect.yieldNow
              assert.strictEqual(inside, 1)
              inside--
              return GenServer.next([...seen, n])
            }),
          Fast: ({ n }, seen) => {
            assert.strictEqual(inside, 0)
            return GenServer.next([...seen, n])
          },
          All: (_, seen) => seen
        }
      })
      const log = yield* GenServer.start(server)
      for (let n = 0; n < 10; n++) yield* n % 3 === 0 ? log.Slow({ n }) : log.Fast({ n })
      assert.deepStrictEqual(yield* log.All(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }))

  onNode("may answer with an Effect of a plain reply, which leaves its state as it is", () =>
    Effect.gen(function*() {
      class Twice extends Protocol.make("Twice", Message.Call("Get", { success: Schema.Int })) {}
      const server = GenServer.make(Twice, {
        init: () => Effect.succeed(21),
        handlers: { Get: (_, n) => Effect.as(Effect.yieldNow, n * 2) }
      })
      const twice = yield* GenServer.start(server)
      assert.strictEqual(yield* twice.Get(), 42)
      assert.strictEqual(yield* twice.Get(), 42)
    }))

  onNode("sees itself and its node in the context of a handler", () =>
    Effect.gen(function*() {
      class Who extends Protocol.make("Who", Message.Call("Are", { success: Schema.Unknown })) {}
      const server = GenServer.make(Who, {
        init: () => Effect.void,
        handlers: {
          Are: (_, _state, context) =>
            Effect.map(Process.self, (self) => ({
              self: self === context.self,
              node: context.node,
              caller: context.from.caller.toString()
            }))
        }
      })
      const node = yield* Node.Node
      const who = yield* GenServer.start(server)
      const outside = yield* who.Are()
      assert.deepInclude(outside, { self: true, node: node.name })
      const inside = yield* Process.run(
        Effect.gen(function*() {
          const self = yield* Process.self
          return [self.toString(), (yield* who.Are()) as { readonly caller: string }] as const
        })
      )
      assert.strictEqual(inside[1].caller, inside[0])
      assert.notStrictEqual((outside as { readonly caller: string }).caller, inside[0])
    }))

  onNode("releases what it acquired when it ends, newest first", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const server = GenServer.make(Counter, {
        init: () =>
          Effect.gen(function*() {
            yield* Effect.addFinalizer(() => Effect.sync(() => events.push("first")))
            yield* Effect.addFinalizer(() => Effect.sync(() => events.push("second")))
            return 0
          }),
        handlers: CounterServer.handlers,
        terminate: () => Effect.sync(() => events.push("terminate"))
      })
      const counter = yield* GenServer.startDetached(server)
      yield* Process.stop(counter)
      assert.deepStrictEqual(events, ["terminate", "second", "first"])
    }))

  onNode("owns the processes that it starts: they end with it", () =>
    Effect.gen(function*() {
      class Parent extends Protocol.make("Parent", Message.Call("Child", { success: Schema.Unknown })) {}
      const server = GenServer.make(Parent, {
        init: () => GenServer.start(CounterServer, { from: 0 }, { name: "child" }),
        handlers: { Child: (_, child) => child.pid }
      })
      const parent = yield* GenServer.startDetached(server)
      const child = yield* GenServer.named(Counter, "child")
      yield* child.Add({ n: 1 })
      yield* Process.stop(parent)
      assert.isTrue(Option.isNone(yield* Process.whereis("child")))
    }))

  onNode("ends with the scope in which it was started", () =>
    Effect.gen(function*() {
      const seen: Array<ExitReason.ExitReason> = []
      const server = GenServer.make(Counter, {
        init: () => Effect.succeed(0),
        handlers: CounterServer.handlers,
        terminate: (reason) => Effect.sync(() => seen.push(reason))
      })
      const pid = yield* Effect.scoped(
        Effect.gen(function*() {
          const counter = yield* GenServer.start(server, undefined, { trapExit: true })
          yield* counter.Get()
          return counter.pid
        })
      )
      assert.isFalse(yield* Process.isAlive(pid))
      assert.deepStrictEqual(seen, [ExitReason.shutdown])
    }))
})

describe("a ref", () => {
  onNode("by name finds whoever has the name when the message is sent", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.named(Counter, "counter")
      const absent = yield* Effect.flip(counter.Get())
      assert.instanceOf(absent, CallError.CallError)
      assert.strictEqual(absent.reason._tag, "NoProcess")
      const first = yield* GenServer.start(CounterServer, { from: 1 }, { name: "counter" })
      assert.strictEqual(yield* counter.Get(), 1)
      yield* Process.stop(first)
      yield* GenServer.start(CounterServer, { from: 2 }, { name: "counter" })
      assert.strictEqual(yield* counter.Get(), 2)
    }))

  onNode("by pid reaches that process only", () =>
    Effect.gen(function*() {
      const first = yield* GenServer.start(CounterServer, { from: 1 }, { name: "counter" })
      const ref = yield* GenServer.fromPid(Counter, first.pid)
      assert.strictEqual(yield* ref.Get(), 1)
      yield* Process.stop(first)
      yield* GenServer.start(CounterServer, { from: 2 }, { name: "counter" })
      assert.strictEqual((yield* Effect.flip(ref.Get())).reason._tag, "NoProcess")
    }))

  onNode("of a wider protocol reaches a server by the tags that both have", () =>
    Effect.gen(function*() {
      const Wide = Counter.add(Message.Call("Forget"))
      const counter = yield* GenServer.start(CounterServer, { from: 7 }, { name: "counter" })
      const wide = yield* GenServer.named(Wide, "counter")
      assert.strictEqual(yield* wide.Get(), 7)
      assert.strictEqual(yield* wide.Add({ n: 1 }), 8)
      assert.strictEqual(yield* counter.Get(), 8)
    }))
})

class MyCounter extends GenServer.Service<MyCounter>()("app/MyCounter", Counter) {
  static readonly layer = GenServer.layer(MyCounter, CounterServer, { from: 5 }, { name: "my-counter" })
}

describe("a server as a layer", () => {
  it.effect("starts with the layer, gives its ref as the service, and is shut down with it", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const counter = yield* MyCounter
        return [yield* counter.Add({ n: 1 }), Option.isSome(yield* Process.whereis("my-counter"))] as const
      })
      const after = yield* Effect.gen(function*() {
        const result = yield* Effect.provide(program, MyCounter.layer)
        return [result, Option.isNone(yield* Process.whereis("my-counter"))] as const
      }).pipe(Effect.provide(Node.layerLocal()))
      assert.deepStrictEqual(after, [[6, true], true])
    }))

  it.effect("fails with the typed error of init, and with StartError", () =>
    Effect.gen(function*() {
      const failing = GenServer.make(Counter, {
        init: () => Effect.fail(new Overflow({ max: 1 })) as Effect.Effect<number, Overflow>,
        handlers: CounterServer.handlers
      })
      const build = (layer: Layer.Layer<MyCounter, Overflow | CallError.StartError, Node.Node>) =>
        Effect.flip(Effect.provide(MyCounter, layer))
      const [typed, taken] = yield* Effect.all([
        build(GenServer.layer(MyCounter, failing)),
        Effect.andThen(
          GenServer.start(CounterServer, { from: 0 }, { name: "my-counter" }),
          build(MyCounter.layer)
        )
      ]).pipe(Effect.provide(Node.layerLocal()))
      assert.instanceOf(typed, Overflow)
      assert.instanceOf(taken, CallError.StartError)
      assert.strictEqual(taken.reason._tag, "NameTaken")
    }))

  onNode("of a name survives the restart of the server, which a supervisor starts", () =>
    Effect.gen(function*() {
      const tree = Supervisor.make({
        children: [Supervisor.child("counter", CounterServer, { from: 1 }, { name: "my-counter" })]
      })
      yield* Supervisor.start(tree)
      const program = Effect.gen(function*() {
        const counter = yield* MyCounter
        const before = yield* counter.Add({ n: 1 })
        yield* Process.kill({ name: "my-counter" })
        yield* TestNode.settle
        return [before, yield* counter.Get()]
      })
      assert.deepStrictEqual(
        yield* Effect.provide(program, GenServer.layerNamed(MyCounter, Counter, "my-counter")),
        [2, 1]
      )
    }))

  onNode("gets the services that its handlers need from the layer's surroundings", () =>
    Effect.gen(function*() {
      class Rate extends Context.Service<Rate, number>()("test/Rate") {}
      class Price
        extends Protocol.make("Price", Message.Call("Of", { payload: { n: Schema.Int }, success: Schema.Int }))
      {}
      const server = GenServer.make(Price, {
        init: () => Effect.succeed(undefined),
        handlers: { Of: ({ n }) => Effect.map(Rate, (rate) => rate * n) }
      })
      class MyPrice extends GenServer.Service<MyPrice>()("app/MyPrice", Price) {
        static readonly layer = GenServer.layer(MyPrice, server)
      }
      const price = Effect.flatMap(MyPrice, (price) => price.Of({ n: 4 }))
      const provided = Layer.provide(MyPrice.layer, Layer.succeed(Rate, 3))
      assert.strictEqual(yield* Effect.provide(price, provided), 12)
    }))
})

describe("multiCall", () => {
  onNode("gives replies and failures apart, each with its ref, in the order of the refs", () =>
    Effect.gen(function*() {
      const one = yield* GenServer.start(CounterServer, { from: 1 })
      const full = yield* GenServer.start(CounterServer, { from: 100 })
      const two = yield* GenServer.start(CounterServer, { from: 2 })
      const gone = yield* GenServer.start(CounterServer, { from: 0 })
      yield* Process.stop(gone)
      const { failures, replies } = yield* GenServer.multiCall([one, full, gone, two], (ref) => ref.Add({ n: 1 }))
      assert.deepStrictEqual(replies, [[one, 2], [two, 3]])
      assert.deepStrictEqual(failures.map(([ref]) => ref), [full, gone])
      assert.deepStrictEqual(
        failures.map(([, error]) => error._tag === "CallError" ? error.reason._tag : error._tag),
        ["Overflow", "NoProcess"]
      )
    }))

  onNode("waits for all at once, and has the others' replies when one never answers", () =>
    Effect.gen(function*() {
      class Slow extends Protocol.make("Slow", Message.Call("Get", { success: Schema.Int })) {}
      const never = yield* Deferred.make<number>()
      const server = GenServer.make(Slow, {
        init: (n: number) => Effect.succeed(n),
        handlers: { Get: (_, n) => n === 2 ? Deferred.await(never) : n }
      })
      const refs = yield* Effect.forEach([1, 2, 3], (n) => GenServer.start(server, n))
      const calling = yield* Effect.forkChild(
        GenServer.multiCall(refs, (ref) => ref.Get(undefined, { timeout: "1 second" })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      const { failures, replies } = yield* Fiber.join(calling)
      assert.deepStrictEqual(replies.map(([, n]) => n), [1, 3])
      assert.deepStrictEqual(failures.map(([, error]) => error.reason._tag), ["CallTimeout"])
    }))
})

describe("handlers", () => {
  it("are plain functions of what they take, and can be tested without a process", () => {
    const { Add, Get, Reset } = CounterServer.handlers
    assert.deepStrictEqual(Add({ n: 2 }, 40), GenServer.reply(42, 42))
    assert.deepStrictEqual(Add({ n: 2 }, 99), Exit.fail(new Overflow({ max: 100 })))
    assert.strictEqual(Get(undefined, 7), 7)
    assert.deepStrictEqual(Reset(), GenServer.next(0))
    assert.isTrue(Transition.isTransition(Reset()))
  })

  it.effect("that are Effects are run as such, and so is init", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* CounterServer.init({ from: 3 }), 3)
      assert.deepStrictEqual(yield* CounterServer.handlers.Tick({ at: 2 }, 3), GenServer.next(5))
    }))

  it.effect("that take the context get one made by hand", () =>
    Effect.gen(function*() {
      class Later extends Protocol.make("Later", Message.Call("Get", { success: Schema.Int })) {}
      const { handlers } = GenServer.make(Later, {
        init: () => Effect.succeed(1),
        handlers: {
          Get: (_, n, { from }) => Effect.as(GenServer.replyTo(from, n + 1), GenServer.noReply(n))
        }
      })
      const answers: Array<number> = []
      const from: Handler.From<number> = {
        caller: undefined as never,
        reply: (n) => Effect.sync(() => answers.push(n)),
        fail: () => Effect.void
      }
      const context: Handler.CallContext<number, never> = { self: undefined as never, node: "here", from }
      assert.deepStrictEqual(yield* handlers.Get(undefined, 1, context), GenServer.noReply(1))
      assert.deepStrictEqual(answers, [2])
    }))
})
