/**
 * Messages and calls between nodes, through an in-memory transport: what `RemoteTable`, `InboundSignals` and the remote
 * calls of a ref do with what a transport carries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Queue, Result, Schema } from "effect"
import { CallError, ExitReason, GenServer, Message, Node, Process, ProcessRef, Protocol, Signal } from "effect-otp"
import type { MemoryCluster } from "effect-otp/testing"
import { Probe, TestNode, TestProcess } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeedOn } from "../testing/EverySeed.ts"
import { Counter, counterServer, seen, TooMuch } from "./CounterServer.ts"

const [A, B] = ["a@test", "b@test"]

/** A counter on node b, and a ref to it on node a. */
const remoteCounter = (
  cluster: MemoryCluster.Service,
  options: { readonly log?: ReturnType<typeof seen>; readonly start?: GenServer.StartOptions } = {}
) =>
  Effect.gen(function*() {
    const local = yield* cluster.on(B, GenServer.startDetached(counterServer(options.log), 1, options.start ?? {}))
    const remote = yield* cluster.on(A, ProcessRef.fromPid(Counter, local.pid))
    return { local, remote }
  })

const reasonOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.flip(effect),
    (error) => error instanceof CallError.CallError ? error.reason : assert.fail(`no CallError: ${String(error)}`)
  )

/** Nothing is left in the tables of both nodes. */
const assertNothingKept = (cluster: MemoryCluster.Service) =>
  Effect.gen(function*() {
    yield* TestNode.settle
    for (const name of cluster.names) {
      for (const peer of cluster.node(name).runtime.remote.peers.values()) {
        const kept = [peer.calls, peer.guards, peer.links, peer.monitors, peer.watchers].map(({ size }) => size)
        assert.deepStrictEqual(kept, [0, 0, 0, 0, 0], `${name} keeps something of ${peer.name}`)
      }
    }
  })

describe("messages to another node", () => {
  everySeedOn([A, B], "reach pids, names and aliases; what nobody takes vanishes", (cluster) =>
    Effect.gen(function*() {
      const probe = yield* cluster.on(B, Probe.make({ name: "p" }))
      const alias = yield* probe.as(Process.alias)
      const send = (to: Process.Target, value: unknown) => cluster.on(A, Process.send(to, value))
      yield* send(probe.pid, "pid")
      yield* send({ name: "p", node: B }, "name")
      yield* send(alias, "alias")
      yield* send({ name: "nobody", node: B }, "lost")
      for (const value of ["pid", "name", "alias"]) yield* probe.expectMessage(Schema.Literal(value))
      yield* probe.as(Process.unalias(alias))
      yield* send(alias, "too late")
      yield* probe.expectNoMessage()
    }))

  everySeedOn(
    [A, B],
    "casts and infos are typed; undeclared ones go to unhandled",
    (cluster) =>
      Effect.gen(function*() {
        const log = seen()
        const { remote, local } = yield* remoteCounter(cluster, { log })
        yield* remote.Note({ n: 1 })
        yield* remote.Set(7)
        yield* remote.Tick({ n: 2 })
        yield* cluster.on(A, Process.send(local.pid, { _tag: "Tick", n: 3 }))
        yield* cluster.on(A, Process.send(local.pid, "anything"))
        yield* TestNode.settle
        assert.deepStrictEqual(log.notes, [1, "tick 2", "tick 3", "anything"])
        assert.strictEqual(yield* remote.Get(), 7)
      })
  )

  everySeedOn([A, B], "casts reach a low-level process as tagged values", (cluster) =>
    Effect.gen(function*() {
      const probe = yield* cluster.on(B, Probe.make(Counter))
      const remote = yield* cluster.on(A, ProcessRef.fromPid(Counter, probe.pid))
      yield* remote.Note({ n: 1 })
      yield* remote.Set(7)
      yield* remote.Stop()
      yield* remote.Tick({ n: 2 })
      assert.deepStrictEqual((yield* probe.expectMessage("Note")).payload, { n: 1 })
      assert.strictEqual((yield* probe.expectMessage("Set")).payload, 7)
      yield* probe.expectMessage("Stop")
      assert.deepStrictEqual((yield* probe.expectMessage("Tick")).payload, { n: 2 })
    }))

  everySeedOn([A, B], "trySend says that the node is down, send does not", (cluster) =>
    Effect.gen(function*() {
      const probe = yield* cluster.on(B, Probe.make())
      yield* cluster.disconnect(A, B)
      const error = yield* Effect.flip(cluster.on(A, Process.trySend(probe, 1)))
      assert.deepStrictEqual(error.reason, new CallError.NodeDown({ node: B }))
      yield* cluster.on(A, Process.send(probe, 1))
    }))

  everySeedOn(
    [A, B],
    "a full mailbox drops what it cannot take from another node, and counts it",
    (cluster) =>
      Effect.gen(function*() {
        for (const overflow of ["suspend", "fail", "dropNew"] as const) {
          const pid = yield* cluster.on(
            B,
            Process.spawnDetached(() => Effect.never, { mailbox: { capacity: 2, overflow } })
          )
          for (let n = 1; n <= 5; n++) yield* cluster.on(A, Process.send(pid, n))
          yield* TestNode.settle
          const info = yield* cluster.on(B, TestProcess.inspect(pid))
          assert.deepStrictEqual(info.pipe((o) => o._tag === "Some" ? [o.value.messages, o.value.dropped] : []), [[
            1,
            2
          ], 3])
        }
        const log = seen()
        const { remote, local } = yield* remoteCounter(cluster, { log, start: { mailbox: { capacity: 2 } } })
        const busy = yield* Effect.forkChild(remote.Sleep({ millis: 1000 }))
        yield* TestNode.settle
        for (let n = 1; n <= 5; n++) yield* remote.Note({ n })
        const reason = yield* Effect.forkChild(reasonOf(remote.Get()))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(busy)
        assert.deepStrictEqual(log.notes, [1, 2])
        // A call from another node that finds no place is dropped and counted as well; its caller runs into its limit.
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual((yield* Fiber.join(reason))._tag, "CallTimeout")
        const counted = yield* cluster.on(B, Process.info(local))
        assert.strictEqual(counted._tag === "Some" ? counted.value.dropped : 0, 4)
        assert.strictEqual((yield* cluster.on(B, Node.statistics)).dropped, 13)
      })
  )

  it.effect("without a transport every other node is down", () =>
    Effect.gen(function*() {
      const there = { name: "server", node: "far@away" }
      const error = yield* Effect.flip(Process.trySend(there, 1))
      assert.deepStrictEqual(error.reason, new CallError.NodeDown({ node: "far@away" }))
      const ref = yield* GenServer.named(Counter, there)
      assert.strictEqual((yield* reasonOf(ref.Get()))._tag, "NodeDown")
      yield* ref.Stop()
      const probe = yield* Probe.make()
      const { runtime } = yield* Node.Node
      const stranger = Object.assign(Object.create(Object.getPrototypeOf(probe.pid)), probe.pid, { node: "far@away" })
      yield* probe.link(stranger)
      yield* probe.expectExit({ of: stranger, reason: "NoConnection" })
      yield* probe.monitor(there)
      yield* probe.expectDown({ of: there, reason: "NoConnection" })
      assert.strictEqual(runtime.remote.peers.size, 0)
    }).pipe(Effect.provide(TestNode.layer())))
})

describe("calls to another node", () => {
  everySeedOn([A, B], "give replies and domain errors, by pid and by name", (cluster) =>
    Effect.gen(function*() {
      const { remote } = yield* remoteCounter(cluster, { start: { name: "counter" } })
      assert.strictEqual(yield* remote.Add({ n: 2 }), 3)
      assert.deepStrictEqual(yield* Effect.flip(remote.Add({ n: 1000 })), new TooMuch({ max: 100 }))
      const named = yield* cluster.on(A, GenServer.named(Counter, { name: "counter", node: B }))
      assert.strictEqual(yield* named.Get(), 3)
      yield* assertNothingKept(cluster)
    }))

  everySeedOn([A, B], "reach the owner of an alias, until it is taken back", (cluster) =>
    Effect.gen(function*() {
      const probe = yield* cluster.on(B, Probe.make(Counter))
      const alias = yield* probe.as(Process.alias)
      const ref = yield* cluster.on(A, ProcessRef.fromAlias(Counter, alias))
      yield* ref.Set(7)
      assert.strictEqual((yield* probe.expectMessage("Set")).payload, 7)
      const call = yield* Effect.forkChild(ref.Get())
      yield* probe.reply(yield* probe.expectMessage("Get"), 7)
      assert.strictEqual(yield* Fiber.join(call), 7)
      yield* probe.as(Process.unalias(alias))
      assert.strictEqual((yield* reasonOf(ref.Get()))._tag, "NoProcess")
      yield* ref.Set(8)
      yield* probe.expectNoMessage()
    }))

  everySeedOn([A, B], "keep the order of one caller with its casts", (cluster) =>
    Effect.gen(function*() {
      const log = seen()
      const { remote } = yield* remoteCounter(cluster, { log })
      for (let n = 1; n <= 10; n++) {
        yield* remote.Note({ n })
        assert.strictEqual(yield* remote.Add({ n: 1 }), 1 + n)
        assert.strictEqual(log.notes.length, n)
      }
    }))

  everySeedOn(
    [A, B],
    "can be answered later, by the server or by a process that got the call as a value",
    (cluster) =>
      Effect.gen(function*() {
        const { remote } = yield* remoteCounter(cluster)
        const later = yield* Effect.forkChild(remote.Later())
        yield* TestNode.settle
        yield* remote.Answer({ value: 42 })
        assert.strictEqual(yield* Fiber.join(later), 42)

        const probe = yield* cluster.on(B, Probe.make(Counter))
        const toProbe = yield* cluster.on(A, ProcessRef.fromPid(Counter, probe.pid))
        const call = yield* Effect.forkChild(toProbe.Add({ n: 5 }))
        const request = yield* probe.expectMessage("Add")
        assert.strictEqual(request.payload.n, 5)
        assert.strictEqual(request.from.caller.node, A)
        yield* probe.reply(request, 6)
        yield* probe.reply(request, 7)
        assert.strictEqual(yield* Fiber.join(call), 6)
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "a call that the server's protocol does not have reaches unhandled, and can be answered there",
    (cluster) =>
      Effect.gen(function*() {
        class Wide
          extends Protocol.make("Wide", Message.Call("Other", { payload: { n: Schema.Int }, success: Schema.Int }))
        {}
        const requests = yield* Queue.unbounded<Signal.Request>()
        class Narrow extends Protocol.make("Narrow", Message.Cast("Nothing")) {}
        const server = GenServer.make(Narrow, () =>
          Effect.succeed(Narrow.of({
            Nothing: () => {},
            unhandled: (term) =>
              term instanceof Signal.Request ? Effect.asVoid(Queue.offer(requests, term)) : Effect.void
          })))
        const local = yield* cluster.on(B, GenServer.startDetached(server))
        const remote = yield* cluster.on(A, ProcessRef.fromPid(Wide, local.pid))
        const call = yield* Effect.forkChild(remote.Other({ n: 3 }))
        const request = yield* Queue.take(requests)
        assert.deepStrictEqual([request.message, request.payload], ["$gen_call", { _tag: "Other", n: 3 }])
        yield* request.from.reply(4)
        assert.strictEqual(yield* Fiber.join(call), 4)
      })
  )

  everySeedOn([A, B], "fail with NoProcess when nobody is there", (cluster) =>
    Effect.gen(function*() {
      const { remote, local } = yield* remoteCounter(cluster)
      yield* local.Stop()
      yield* TestNode.settle
      assert.strictEqual((yield* reasonOf(remote.Get()))._tag, "NoProcess")
      const named = yield* cluster.on(A, GenServer.named(Counter, { name: "nobody", node: B }))
      assert.strictEqual((yield* reasonOf(named.Get()))._tag, "NoProcess")
      yield* assertNothingKept(cluster)
    }))

  everySeedOn([A, B], "fail with the reason of the server when it ends first", (cluster) =>
    Effect.gen(function*() {
      const { remote } = yield* remoteCounter(cluster)
      const reason = yield* reasonOf(remote.Crash({ defect: "boom" }))
      assert.deepStrictEqual(
        reason,
        new CallError.ProcessExit({ exitReason: (reason as CallError.ProcessExit).exitReason })
      )
      assert.strictEqual(ExitReason.format((reason as CallError.ProcessExit).exitReason), "boom")

      const other = yield* remoteCounter(cluster)
      const waiting = yield* Effect.forkChild(reasonOf(other.remote.Later()))
      yield* TestNode.settle
      yield* other.remote.Stop()
      assert.deepStrictEqual(
        yield* Fiber.join(waiting),
        new CallError.ProcessExit({ exitReason: ExitReason.shutdownWith("asked") })
      )
      yield* assertNothingKept(cluster)
    }))

  everySeedOn(
    [A, B],
    "a server that replies and stops is not seen to end by its caller",
    (cluster) =>
      Effect.gen(function*() {
        const { remote } = yield* remoteCounter(cluster)
        assert.strictEqual(yield* remote.StopAfterReply(), 1)
        assert.strictEqual((yield* reasonOf(remote.Get()))._tag, "NoProcess")
      })
  )

  everySeedOn([A, B], "run into their limit, and the late reply vanishes", (cluster) =>
    Effect.gen(function*() {
      const { remote } = yield* remoteCounter(cluster)
      const call = yield* Effect.forkChild(reasonOf(remote.Later(undefined, { timeout: "2 seconds" })))
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(call.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(call), new CallError.CallTimeout({ timeoutMillis: 2000 }))
      yield* remote.Answer({ value: 1 })
      yield* assertNothingKept(cluster)
      assert.strictEqual(yield* remote.Get(), 1)
    }))

  everySeedOn(
    [A, B],
    "fail with NodeDown when there is no connection, or none any more",
    (cluster) =>
      Effect.gen(function*() {
        const { remote } = yield* remoteCounter(cluster)
        const calls = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(reasonOf(remote.Later())))
        yield* TestNode.settle
        yield* cluster.disconnect(A, B)
        for (const call of calls) assert.deepStrictEqual(yield* Fiber.join(call), new CallError.NodeDown({ node: B }))
        assert.deepStrictEqual(yield* reasonOf(remote.Get()), new CallError.NodeDown({ node: B }))
        yield* cluster.connect(A, B)
        assert.strictEqual(yield* remote.Get(), 1)
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn([A, B], "an interrupted caller leaves nothing behind", (cluster) =>
    Effect.gen(function*() {
      const { remote } = yield* remoteCounter(cluster)
      const call = yield* Effect.forkChild(remote.Later())
      yield* TestNode.settle
      yield* Fiber.interrupt(call)
      yield* assertNothingKept(cluster)
      yield* remote.Answer({ value: 1 })
      assert.strictEqual(yield* remote.Get(), 1)
    }))

  everySeedOn(
    [A, B],
    "a call interrupted at any moment leaves nothing behind",
    (cluster, seed) =>
      Effect.gen(function*() {
        const { remote } = yield* remoteCounter(cluster)
        const call = yield* Effect.forkChild(remote.Get())
        for (let i = 0; i < seed % 7; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(call)
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "many at once, both ways, get the replies that belong to them",
    (cluster) =>
      Effect.gen(function*() {
        const there = (yield* remoteCounter(cluster)).remote
        const local = yield* cluster.on(A, GenServer.startDetached(counterServer(), 0))
        const back = yield* cluster.on(B, ProcessRef.fromPid(Counter, local.pid))
        const results = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, n) => n),
          (n) => n % 2 === 0 ? Effect.result(there.Add({ n: 1 })) : Effect.result(back.Add({ n: 2 })),
          { concurrency: "unbounded" }
        )
        const values = results.map((result) => Result.isSuccess(result) ? result.success : -1)
        assert.deepStrictEqual(
          values.filter((_, n) => n % 2 === 0).toSorted((a, b) => a - b),
          Array.from({ length: 20 }, (_, n) => n + 2)
        )
        assert.deepStrictEqual(
          values.filter((_, n) => n % 2 === 1).toSorted((a, b) => a - b),
          Array.from({ length: 20 }, (_, n) => 2 * n + 2)
        )
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn([A, B], "a defect in the answer reaches the caller as a defect", (cluster) =>
    Effect.gen(function*() {
      const local = yield* cluster.on(B, GenServer.startDetached(counterServer(), 0))
      yield* TestProcess.inspect(local).pipe((effect) => cluster.on(B, effect))
      const remote = yield* cluster.on(A, ProcessRef.fromPid(Counter, local.pid))
      const exit = yield* Effect.exit(remote.Crash({ defect: new Error("boom") }))
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("Counter.Crash"))
    }))
})
