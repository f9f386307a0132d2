/**
 * Stages across nodes: peers on a real Erlang and a real Elixir node that speak the protocol of GenStage 1.x subscribe to
 * ours, and ours to theirs.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Deferred, Effect, Layer, Option, Queue, Redacted, Schema, Stream } from "effect"
import { ExitReason, GenServer, Process } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Dispatcher, GenStage } from "effect-otp/stage"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { cookie, elixirAvailable, ErlangEpmd, type ErlangNode, startElixir, startErlang } from "../dist/ErlangNode.ts"

const erlangAvailable = spawnSync("erl", ["-noshell", "-eval", "halt()."]).status === 0
if (!erlangAvailable) console.warn("\n*** SKIPPED: Erlang is not installed, no stage is tested against it here ***\n")
if (!elixirAvailable) console.warn("\n*** SKIPPED: Elixir is not installed, no stage is tested against it here ***\n")

const OursLive = Layer.unwrap(
  Effect.map(
    ErlangEpmd,
    ({ port }) => Node.layer({ name: "ours@127.0.0.1", cookie: Redacted.make(cookie), discovery: { port } })
  )
).pipe(Layer.provide(NodeNetwork.layer), Layer.provideMerge(ErlangEpmd.layer))

const peer = JSON.stringify(fileURLToPath(new URL("../erlang/gen_stage_peer", import.meta.url)))

const erlang = (name: string) =>
  Effect.gen(function*() {
    const { port } = yield* ErlangEpmd
    const erl = yield* startErlang(name, { epmdPort: port })
    const loaded = yield* erl.eval(
      `(fun() -> {ok, M, B} = compile:file(${peer}, [binary]), code:load_binary(M, "", B) end)()`
    )
    assert.strictEqual(loaded, "{module,gen_stage_peer}")
    assert.strictEqual(yield* erl.eval("net_kernel:connect_node('ours@127.0.0.1')"), "true")
    return erl
  })

const ours = (name: string) => `{${name}, 'ours@127.0.0.1'}`
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
const total = 100_000

const numbers = (dispatcher: Dispatcher.Dispatcher<number> = Dispatcher.demand()) =>
  GenStage.producer({
    event: Schema.Int,
    dispatcher,
    init: () => Effect.succeed(0),
    demand: (count, from) => GenStage.emit(range(from, count), GenServer.next(from + count))
  })

/** Checks the order, and tells when it has had enough. */
const reader = (done: Deferred.Deferred<number>, enough: number, cancelled?: (reason: string) => void) =>
  GenStage.consumer({
    input: Schema.Int,
    init: () => Effect.succeed(0),
    events: (batch, next) => {
      for (const event of batch) if (event !== next++) throw new Error(`${event} came instead of ${next - 1}`)
      if (next >= enough) Deferred.doneUnsafe(done, Effect.succeed(next))
      return GenServer.next(next)
    },
    cancelled: ({ reason }) => cancelled?.(ExitReason.format(reason))
  })

const reported = (erl: ErlangNode, name: string) => erl.eval(`gen_stage_peer:report(${name})`)

const droppedBy = (target: Process.Target) =>
  Effect.map(Process.info(target), (info) => Option.getOrThrow(info).dropped)

/** Waits until a report on the other node is as wanted; the last one when it never is. */
const eventually = (report: Effect.Effect<string>, wanted: (text: string) => boolean) =>
  Effect.gen(function*() {
    let text = ""
    for (let i = 0; i < 200; i++) {
      text = yield* report
      if (wanted(text)) break
      yield* Effect.sleep("20 millis")
    }
    return text
  })

describe.skipIf(!erlangAvailable)("stages against Erlang", () => {
  layer(OursLive, { timeout: "30 seconds", excludeTestServices: true })((it) => {
    it.effect(
      "100 000 events from our producer to their consumer, with bounded mailboxes [S24]",
      () =>
        Effect.gen(function*() {
          const erl = yield* erlang("consumer@127.0.0.1")
          yield* GenStage.start(numbers(), undefined, { name: "numbers", mailbox: { capacity: 50 } })
          const result = yield* erl.eval(`gen_stage_peer:consume(${ours("numbers")}, 1000, 500, ${total})`)
          const [, count, queue, confirmation] = /^\{ok,(\d+),(\d+),(\w+)\}$/.exec(result) ?? assert.fail(result)
          assert.isAtLeast(Number(count), total)
          // 1000 events are never more than 1000 messages; in batches of half the demand they are a few.
          assert.isBelow(Number(queue), 10)
          assert.strictEqual(confirmation, "normal")
          assert.strictEqual(yield* droppedBy({ name: "numbers" }), 0)
        }),
      60_000
    )

    it.effect(
      "100 000 events from their producer to our consumer, with bounded mailboxes [S24]",
      () =>
        Effect.gen(function*() {
          const erl = yield* erlang("producer@127.0.0.1")
          yield* erl.eval("gen_stage_peer:start_producer(theirs)")
          const done = yield* Deferred.make<number>()
          const consumer = yield* GenStage.start(reader(done, total), undefined, { mailbox: { capacity: 50 } })
          const theirs = GenStage.producerAt(Schema.Int, { name: "theirs", node: "producer@127.0.0.1" })
          const subscription = yield* GenStage.subscribe(consumer, theirs, { cancel: "temporary", partition: "a" })
          assert.isAtLeast(yield* Deferred.await(done), total)
          assert.strictEqual(yield* droppedBy(consumer), 0)
          yield* GenStage.cancel(subscription)
          const report = yield* eventually(reported(erl, "theirs"), (text) => text.endsWith("[shutdown]}"))
          const [, sent, asked, queue] = /^\{(\d+),(\d+),(\d+),0,/.exec(report) ?? assert.fail(report)
          assert.strictEqual(sent, asked)
          assert.isBelow(Number(queue), 10)
          assert.include(report, "[{max_demand,1000},{min_demand,500},{cancel,temporary},{partition,a}]")
        }),
      60_000
    )

    it.effect("each side learns how the other ends", () =>
      Effect.gen(function*() {
        const erl = yield* erlang("ending@127.0.0.1")
        // Ours ends: theirs gets a Down.
        const producer = yield* GenStage.start(numbers(), undefined, { name: "brief" })
        yield* Effect.forkChild(Effect.andThen(Effect.sleep("200 millis"), Process.stop(producer)))
        const result = yield* erl.eval(`gen_stage_peer:consume(${ours("brief")}, 2, 1, 100000000)`)
        assert.match(result, /^\{down,normal,\d+\}$/)
        // Theirs ends: our consumer is told, and under transient survives `normal`.
        yield* erl.eval("gen_stage_peer:start_producer(theirs)")
        const told = yield* Queue.unbounded<string>()
        const done = yield* Deferred.make<number>()
        const consumer = yield* GenStage.start(reader(done, 1, (reason) => void Queue.offerUnsafe(told, reason)))
        const theirs = GenStage.producerAt(Schema.Int, { name: "theirs", node: "ending@127.0.0.1" })
        yield* GenStage.subscribe(consumer, theirs, { cancel: "transient", maxDemand: 2 })
        yield* Deferred.await(done)
        yield* erl.eval("gen_stage_peer:stop_producer(theirs)")
        assert.strictEqual(yield* Queue.take(told), "normal")
        assert.isTrue(yield* Process.isAlive(consumer))
        // Its node goes.
        yield* erl.eval("gen_stage_peer:start_producer(again)")
        const again = GenStage.producerAt(Schema.Int, { name: "again", node: "ending@127.0.0.1" })
        yield* GenStage.subscribe(consumer, again, { cancel: "temporary", maxDemand: 2, demand: "manual" })
        yield* erl.kill
        assert.include(yield* Queue.take(told), "noconnection")
      }), 60_000)

    it.effect("a partition is chosen, and a subscription refused, across the wire", () =>
      Effect.gen(function*() {
        const erl = yield* erlang("parts@127.0.0.1")
        const dispatcher = Dispatcher.partition<number>({ partitions: ["all", "none"], hash: () => "all" })
        yield* GenStage.start(numbers(dispatcher), undefined, { name: "parts" })
        const consume = (partition: string) =>
          erl.eval(`gen_stage_peer:consume(${ours("parts")}, 10, 5, 50, [{partition, ${partition}}])`)
        assert.match(yield* consume("all"), /^\{ok,/)
        assert.match(yield* consume("<<\"third\">>"), /^\{cancelled,<<"there is no partition/)
      }), 60_000)

    it.effect(
      "strangers get an answer, and nonsense ends its subscription and nothing else",
      () =>
        Effect.gen(function*() {
          const erl = yield* erlang("strange@127.0.0.1")
          const producer = yield* GenStage.start(numbers(), undefined, { name: "numbers" })
          const say = (request: string) => erl.eval(`gen_stage_peer:stranger(${ours("numbers")}, ${request})`)
          assert.strictEqual(yield* say("{ask, 5}"), "{cancel,unknown_subscription}")
          assert.strictEqual(yield* say("{cancel, normal}"), "{cancel,unknown_subscription}")
          assert.strictEqual(yield* say("{ask, many}"), "{cancel,malformed_message}")
          assert.strictEqual(yield* say("what"), "{cancel,malformed_message}")
          assert.strictEqual(
            yield* erl.eval(`gen_stage_peer:subscribe_and_cancel(${ours("numbers")})`),
            "{cancel,duplicated_subscription}"
          )
          // No consumer makes a producer make more than a million events.
          assert.match(
            yield* erl.eval(`gen_stage_peer:consume(${ours("numbers")}, 2000000, 1, 10)`),
            /^\{cancelled,<<"a demand of 2000000, and a consumer may have 1000000">>,0\}$/
          )
          assert.isTrue(yield* Process.isAlive(producer))
          yield* erl.eval("gen_stage_peer:garbage(garbage)")
          const told = yield* Queue.unbounded<string>()
          const done = yield* Deferred.make<number>()
          const consumer = yield* GenStage.start(
            reader(done, 1, (reason) => void Queue.offerUnsafe(told, reason)),
            undefined,
            { name: "reader" }
          )
          const garbage = GenStage.producerAt(Schema.Int, { name: "garbage", node: "strange@127.0.0.1" })
          yield* GenStage.subscribe(consumer, garbage, { cancel: "temporary", maxDemand: 10 })
          assert.strictEqual(yield* Queue.take(told), "malformed_message")
          assert.strictEqual(yield* reported(erl, "garbage"), "malformed_message")
          assert.isTrue(yield* Process.isAlive(consumer))
          // A consumer is no producer.
          assert.strictEqual(
            yield* erl.eval(`gen_stage_peer:stranger(${ours("reader")}, {subscribe, nil, []})`),
            "{cancel,not_a_producer}"
          )
        }),
      60_000
    )

    it.effect("the pull of a stream is the demand across the wire, and its end cancels", () =>
      Effect.gen(function*() {
        const erl = yield* erlang("stream@127.0.0.1")
        yield* erl.eval("gen_stage_peer:start_producer(theirs)")
        const theirs = GenStage.producerAt(Schema.Int, { name: "theirs", node: "stream@127.0.0.1" })
        const got = yield* GenStage.toStream(theirs, { maxDemand: 8 }).pipe(Stream.take(20), Stream.runCollect)
        assert.deepStrictEqual(got, range(0, 20))
        const report = yield* eventually(reported(erl, "theirs"), (text) => text.endsWith("[{down,shutdown}]}"))
        const [, sent] = /^\{(\d+),.*\[\{down,shutdown\}\]\}$/.exec(report) ?? assert.fail(report)
        assert.isAtMost(Number(sent), 28)
      }), 60_000)

    it.effect("events are of their schema on the wire", () =>
      Effect.gen(function*() {
        const erl = yield* erlang("typed@127.0.0.1")
        const Order = Schema.Struct({ id: Schema.Int, item: Schema.String })
        const orders = GenStage.producer({
          event: Order,
          init: () => Effect.void,
          demand: (count) => GenStage.emit(range(0, count).map((id) => ({ id, item: "tea" })))
        })
        yield* GenStage.start(orders, undefined, { name: "orders" })
        const result = yield* erl.eval(
          `(fun() -> T = make_ref(), P = ${ours("orders")}, P ! {'$gen_producer', {self(), T}, {subscribe, nil, []}},
            P ! {'$gen_producer', {self(), T}, {ask, 1}},
            receive {'$gen_consumer', {_, T}, [#{id := 0, item := <<"tea">>}]} -> good; X -> X after 5000 -> none end
          end)()`
        )
        assert.strictEqual(result, "good")
      }), 60_000)
  })
})

describe.skipIf(!erlangAvailable || !elixirAvailable)("stages against Elixir", () => {
  layer(OursLive, { timeout: "30 seconds", excludeTestServices: true })((it) => {
    it.effect("100 000 events each way with peers on an Elixir node", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const elixir = yield* startElixir("ex@127.0.0.1", { epmdPort: port })
        yield* elixir.eval(
          `(fn -> {:ok, m, b} = :compile.file(to_charlist(${peer}), [:binary]); :code.load_binary(m, '', b) end).()`
        )
        assert.strictEqual(yield* elixir.eval("Node.connect(:\"ours@127.0.0.1\")"), "true")
        yield* GenStage.start(numbers(), undefined, { name: "numbers", mailbox: { capacity: 50 } })
        const result = yield* elixir.eval(
          `:gen_stage_peer.consume({:numbers, :"ours@127.0.0.1"}, 1000, 500, ${total})`
        )
        assert.match(result, /^\{:ok, \d{6}, \d, :normal\}$/)
        yield* elixir.eval(":gen_stage_peer.start_producer(:theirs)")
        const done = yield* Deferred.make<number>()
        const consumer = yield* GenStage.start(reader(done, total), undefined, { mailbox: { capacity: 50 } })
        const theirs = GenStage.producerAt(Schema.Int, { name: "theirs", node: "ex@127.0.0.1" })
        yield* GenStage.subscribe(consumer, theirs, { cancel: "temporary" })
        assert.isAtLeast(yield* Deferred.await(done), total)
      }), 60_000)
  })
})
