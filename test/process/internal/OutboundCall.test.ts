/**
 * The monitors of calls to other nodes, as a transport sees them: shared by the calls of one turn, and by nobody else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope } from "effect"
import { CallError, ExitReason, GenServer, Node } from "effect-otp"
import type { Inbound, TransportService } from "../../../src/process/Transport.ts"
import type { Reference } from "../../../src/term/Reference.ts"
import { Counter } from "../CounterServer.ts"

const far = "far@away"
const server = { name: "counter", node: far }

/** A node whose other node is this test: what it was sent, and the means to answer. */
interface World {
  readonly inbound: Inbound
  /** Monitors in force, and references of the calls that are to be answered, in the order in which they came. */
  readonly monitors: Array<Reference>
  readonly calls: Array<Reference>
  /** Every signal, in order. */
  readonly signals: Array<string>
  readonly waiting: () => ReadonlyArray<number>
}

const live = (title: string, test: (world: World) => Effect.Effect<void, unknown, Node.Node | Scope.Scope>): void =>
  it.live(title, () =>
    Effect.gen(function*() {
      const node = yield* Node.Node
      const monitors: Array<Reference> = []
      const calls: Array<Reference> = []
      const signals: Array<string> = []
      const transport: TransportService = {
        send: (_from, _to, message) => {
          if (message._tag === "Call") calls.push(message.reply)
          signals.push(message._tag)
          return Effect.void
        },
        monitor: (_from, _to, ref) => {
          monitors.push(ref)
          signals.push("monitor")
        },
        demonitor: (_from, _to, ref) => {
          monitors.splice(monitors.indexOf(ref), 1)
          signals.push("demonitor")
        },
        link: () => {},
        unlink: () => {},
        exit: () => {},
        down: () => {},
        nodes: () => [far],
        isConnected: () => true,
        subscribe: () => () => {}
      }
      const inbound = yield* Node.attach(node, transport)
      const { peers } = node.runtime.remote
      const waiting = () => [peers.get(far)?.calls.size ?? 0, peers.get(far)?.guards.size ?? 0]
      yield* test({ inbound, monitors, calls, signals, waiting })
    }).pipe(Effect.scoped, Effect.provide(Node.layerLocal())))

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const several = <A, E>(count: number, call: Effect.Effect<A, E>) =>
  Effect.tap(
    Effect.forEach(Array.from({ length: count }), () => Effect.forkChild(call)),
    () => Effect.andThen(turn, turn)
  )

const reasonOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.flip(effect),
    (error) => error instanceof CallError.CallError ? error.reason : assert.fail(`no CallError: ${String(error)}`)
  )

describe("the monitors of calls to another node", () => {
  live(
    "are shared by the calls of one turn, go first, and are taken back after the last of them",
    (world) =>
      Effect.gen(function*() {
        const { calls, inbound, monitors, signals, waiting } = world
        const ref = yield* GenServer.named(Counter, server)
        const first = yield* several(50, ref.Get())
        assert.deepStrictEqual(signals.slice(0, 2), ["monitor", "Call"])
        assert.deepStrictEqual([monitors.length, calls.length, waiting()], [1, 50, [50, 1]])
        // The reference of the first call is that of the monitor, as Erlang has it; every call has one of its own.
        assert.strictEqual(monitors[0], calls[0])
        assert.strictEqual(new Set(calls.map(String)).size, 50)

        const second = yield* several(1, ref.Get())
        assert.deepStrictEqual([monitors.length, waiting()], [2, [51, 2]])

        for (const call of first.slice(25)) yield* Fiber.interrupt(call)
        for (const call of calls.slice(1, 25)) assert.isTrue(inbound.reply(call, () => Exit.succeed(3), far))
        yield* turn
        assert.deepStrictEqual([monitors.length, waiting()], [2, [2, 2]])
        assert.isTrue(inbound.reply(calls[0]!, () => Exit.succeed(3), far))
        yield* turn
        assert.deepStrictEqual([monitors, waiting()], [[calls[50]], [1, 1]])
        for (const call of first.slice(0, 25)) assert.strictEqual(yield* Fiber.join(call), 3)

        // Late answers, and a Down for what is taken back, find nobody.
        assert.isFalse(inbound.reply(calls[0]!, () => Exit.succeed(4), far))
        inbound.down(calls[0]!, ExitReason.normal, far)
        inbound.reply(calls[50]!, () => Exit.succeed(5), far)
        assert.strictEqual(yield* Fiber.join(second[0]!), 5)
        yield* turn
        assert.deepStrictEqual([monitors, waiting()], [[], [0, 0]])
      })
  )

  live(
    "tell each call of the end of the server, once; who calls again in that moment has a new one",
    (world) =>
      Effect.gen(function*() {
        const { calls, inbound, monitors, waiting } = world
        const ref = yield* GenServer.named(Counter, server)
        let ends = 0
        const again = Effect.catchTag(ref.Get(), "CallError", (error) => {
          ends++
          assert.strictEqual(error.reason._tag, "ProcessExit")
          return ref.Get()
        })
        const callers = yield* several(20, again)
        inbound.down(monitors.shift()!, ExitReason.shutdown, far)
        inbound.down(calls[0]!, ExitReason.shutdown, far)
        yield* turn
        assert.deepStrictEqual([ends, calls.length, monitors, waiting()], [20, 40, [calls[20]], [20, 1]])
        for (const call of calls.slice(20)) inbound.reply(call, () => Exit.succeed(1), far)
        for (const caller of callers) assert.strictEqual(yield* Fiber.join(caller), 1)
        yield* turn
        assert.deepStrictEqual([monitors, waiting()], [[], [0, 0]])
      })
  )

  live("end with the connection, and are not taken back over the next one", (world) =>
    Effect.gen(function*() {
      const { calls, inbound, monitors, signals, waiting } = world
      const ref = yield* GenServer.named(Counter, server)
      const callers = yield* several(
        20,
        Effect.catchTag(ref.Get(), "CallError", ({ reason }) => {
          assert.deepStrictEqual(reason, new CallError.NodeDown({ node: far }))
          return ref.Get()
        })
      )
      monitors.length = 0
      inbound.nodeDown(far)
      yield* turn
      assert.deepStrictEqual([calls.length, monitors, waiting()], [40, [calls[20]], [20, 1]])
      assert.notInclude(signals, "demonitor")
      inbound.nodeDown(far)
      for (const caller of callers) assert.strictEqual((yield* reasonOf(Fiber.join(caller)))._tag, "NodeDown")
    }))

  live(
    "are not shared by refs to different servers",
    ({ calls, inbound, monitors, waiting }) =>
      Effect.gen(function*() {
        const refs = [
          yield* GenServer.named(Counter, server),
          yield* GenServer.named(Counter, { name: "b", node: far })
        ]
        const callers = yield* several(
          1,
          Effect.all(refs.map((ref) => reasonOf(ref.Get())), { concurrency: "unbounded" })
        )
        assert.deepStrictEqual([monitors.length, calls.length], [2, 2])
        inbound.down(monitors.shift()!, ExitReason.noProc, far)
        assert.deepStrictEqual(waiting(), [1, 1])
        inbound.down(monitors.shift()!, ExitReason.shutdown, far)
        const [a, b] = yield* Fiber.join(callers[0]!)
        assert.deepStrictEqual([a!._tag, b!._tag], ["NoProcess", "ProcessExit"])
        assert.deepStrictEqual(waiting(), [0, 0])
      })
  )
})
