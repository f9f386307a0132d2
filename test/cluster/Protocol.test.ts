/**
 * Protocols as groups of Effect's remote procedures, and back: what is kept, what is left out, and a server behind them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, type Scope } from "effect"
import { CallError, GenServer, Message, Node, Process } from "effect-otp"
import { Rpc, RpcGroup, RpcTest } from "effect/rpc"
import * as Protocol from "../../src/cluster/Protocol.ts"
import * as ProcessProtocol from "../../src/process/Protocol.ts"
import { assertType, type Equal } from "../types/Assert.ts"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

class Route extends Context.Service<Route, string>()("test/Route") {}

class Counter extends Protocol.make(
  "Counter",
  Message.annotate(
    Message.Call("Add", {
      payload: { n: Schema.Int.pipe(Schema.withConstructorDefault(Effect.succeed(1))) },
      success: Schema.Int,
      error: Overflow
    }),
    Route,
    "/add"
  ),
  Message.Call("Get", { success: Schema.Int }),
  Message.Call("Wait", { payload: { gate: Schema.Any } }),
  Message.Call("Crash"),
  Message.Cast("Reset", { payload: { to: Schema.Int } }),
  Message.Info("Tick")
) {}

const CounterServer = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: {
    Add: ({ n }, count) =>
      count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : GenServer.reply(count + n, count + n),
    Get: (_, count) => count,
    Wait: ({ gate }, _, context) =>
      GenServer.cancellable(Effect.asVoid(Deferred.await(gate as Deferred.Deferred<void>)), context),
    Crash: () => Effect.die("broken"),
    Reset: ({ to }) => GenServer.next(to),
    Tick: (_, count) => GenServer.next(count + 1)
  }
})

class CounterRpcs extends Protocol.toRpcGroup(Counter) {}

describe("a protocol as a group", () => {
  it("is the protocol module with two more functions", () => {
    for (const name of Object.keys(ProcessProtocol)) {
      assert.strictEqual(
        (Protocol as Record<string, unknown>)[name],
        (ProcessProtocol as Record<string, unknown>)[name]
      )
    }
  })

  it("has a procedure per call and cast, with its schemas and annotations; infos are left out", () => {
    assert.deepStrictEqual([...CounterRpcs.requests.keys()], ["Add", "Get", "Wait", "Crash", "Reset"])
    const [add] = Counter.messages
    const rpc = CounterRpcs.requests.get("Add") as unknown as Rpc.AnyWithProps
    assert.strictEqual(rpc.payloadSchema, add!.payloadSchema)
    assert.strictEqual(rpc.successSchema, add!.successSchema)
    assert.strictEqual(rpc.errorSchema, add!.errorSchema)
    assert.strictEqual(Context.getUnsafe(rpc.annotations as Context.Context<Route>, Route), "/add")
    const reset = CounterRpcs.requests.get("Reset") as unknown as Rpc.AnyWithProps
    assert.strictEqual(reset.successSchema, Schema.Void)
    assert.strictEqual(reset.errorSchema, Schema.Never)
  })

  it("has the types of procedures written by hand", () => {
    class Small extends Protocol.make(
      "Small",
      Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
      Message.Cast("Reset"),
      Message.Info("Tick")
    ) {}
    const group = Protocol.toRpcGroup(Small)
    const byHand = RpcGroup.make(
      Rpc.make("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
      Rpc.make("Reset")
    )
    assertType<Equal<typeof group, typeof byHand>>()
  })
})

/** A server, and a client of its procedures, in one memory. */
const served = Effect.gen(function*() {
  const counter = yield* GenServer.startDetached(CounterServer, 1, { name: "counter" })
  const handlers = yield* Layer.build(CounterRpcs.toLayer(Protocol.rpcHandlers(counter)))
  const client = yield* Effect.provideContext(RpcTest.makeClient(CounterRpcs, { disableFatalDefects: true }), handlers)
  return { client, counter }
})

const onNode = (title: string, body: () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>) =>
  it.effect(title, () => Effect.provide(Effect.scoped(body()), Node.layerLocal()))

describe("a server behind procedures", () => {
  onNode("answers them as it answers calls", () =>
    Effect.gen(function*() {
      const { client, counter } = yield* served
      assert.strictEqual(yield* client.Add({ n: 2 }), 3)
      assert.strictEqual(yield* client.Add({}), 4)
      assert.strictEqual(yield* counter.Get(), 4)
      assert.strictEqual(yield* client.Get(), 4)
    }))

  onNode("takes casts, which have no result", () =>
    Effect.gen(function*() {
      const { client } = yield* served
      const nothing: void = yield* client.Reset({ to: 50 })
      assert.isUndefined(nothing)
      assert.strictEqual(yield* client.Get(), 50)
    }))

  onNode("fails with the domain error, typed", () =>
    Effect.gen(function*() {
      const { client } = yield* served
      const error = yield* Effect.flip(client.Add({ n: 100 }))
      assertType<Equal<typeof error, Overflow>>()
      assert.deepStrictEqual(error, new Overflow({ max: 100 }))
    }))

  onNode("dies with CallError when it crashes, and when it is gone", () =>
    Effect.gen(function*() {
      const { client, counter } = yield* served
      const crash: Exit.Exit<unknown> = yield* Effect.exit(client.Crash())
      const gone: Exit.Exit<unknown> = yield* Effect.exit(client.Get())
      assert.isFalse(yield* Process.isAlive(counter))
      for (const [exit, reason] of [[crash, "ProcessExit"], [gone, "NoProcess"]] as const) {
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(defect, CallError.CallError)
        assert.strictEqual(defect.reason._tag, reason)
      }
    }))

  onNode("has its call given up when the client interrupts the request", () =>
    Effect.gen(function*() {
      const { client, counter } = yield* served
      const gate = yield* Deferred.make<void>()
      const waiting = yield* Effect.forkChild(client.Wait({ gate }), { startImmediately: true })
      while ((yield* Effect.flatMap(Process.info(counter), Effect.fromOption)).currentMessage._tag === "None") {
        yield* Effect.yieldNow
      }
      yield* Fiber.interrupt(waiting)
      // The handler is cancellable: the server is free again though nobody opened the gate.
      assert.strictEqual(yield* counter.Get(), 1)
    }))

  onNode("may be whoever has a name when a request comes", () =>
    Effect.gen(function*() {
      const handlers = CounterRpcs.toLayer(Effect.map(GenServer.named(Counter, "counter"), Protocol.rpcHandlers))
      const client = yield* Effect.provideContext(RpcTest.makeClient(CounterRpcs), yield* Layer.build(handlers))
      const first = yield* GenServer.start(CounterServer, 1, { name: "counter" })
      assert.strictEqual(yield* client.Get(), 1)
      yield* Process.stop(first)
      yield* GenServer.start(CounterServer, 2, { name: "counter" })
      assert.strictEqual(yield* client.Get(), 2)
    }))
})

class Users extends RpcGroup.make(
  Rpc.make("Find", { payload: { id: Schema.String }, success: Schema.String, error: Overflow }).annotate(
    Route,
    "/users"
  ),
  Rpc.make("Watch", { success: Schema.String, stream: true }),
  Rpc.make("Count", { success: Schema.Int })
) {}

describe("a group as a protocol", () => {
  it("has a call per procedure, with its schemas and annotations; streams are left out", () => {
    class UserProtocol extends Protocol.fromRpcGroup("Users", Users) {}
    assert.deepStrictEqual(UserProtocol.messages.map(({ _tag, kind }) => [_tag, kind]), [["Find", "Call"], [
      "Count",
      "Call"
    ]])
    const [find] = UserProtocol.messages
    assert.strictEqual(Context.getUnsafe(find!.annotations as Context.Context<Route>, Route), "/users")
    assert.strictEqual(find!.errorSchema, Overflow)
    type M = Protocol.Messages<typeof UserProtocol>
    assertType<Equal<M["_tag"], "Find" | "Count">>()
  })

  onNode("can be served by a process, with a ref of the types of the group", () =>
    Effect.gen(function*() {
      class UserProtocol extends Protocol.fromRpcGroup("Users", Users) {}
      const server = GenServer.make(UserProtocol, {
        init: () => Effect.succeed(0),
        handlers: {
          Find: ({ id }, count) =>
            id === "" ? Effect.fail(new Overflow({ max: 0 })) : GenServer.reply(`user ${id}`, count + 1),
          Count: (_, count) => count
        }
      })
      const users = yield* GenServer.start(server)
      const find = users.Find({ id: "a" })
      assertType<Equal<typeof find, Effect.Effect<string, Overflow | CallError.CallError>>>()
      assert.strictEqual(yield* find, "user a")
      assert.strictEqual(yield* users.Count(), 1)
      assert.deepStrictEqual(yield* Effect.flip(users.Find({ id: "" })), new Overflow({ max: 0 }))
    }))

  it("and back is the group without its streams", () => {
    const back = Protocol.toRpcGroup(Protocol.fromRpcGroup("Users", Users))
    assert.deepStrictEqual([...back.requests.keys()], ["Find", "Count"])
  })
})
