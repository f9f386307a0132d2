/**
 * The law of order: what one process sends to another arrives in the order in which it was sent, exit signals, the EXIT of
 * a link and the DOWN of a monitor included; whatever others do meanwhile, and whatever order the scheduler chooses.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope } from "effect"
import { ExitReason, GenServer, Message, Node, Process, ProcessRef, Protocol, Signal } from "effect-otp"
import { MemoryCluster, Probe, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"

class Collector extends Protocol.make(
  "Collector",
  Message.Call("Ask", { payload: { sender: Schema.Int, n: Schema.Int } }),
  Message.Cast("Put", { payload: { sender: Schema.Int, n: Schema.Int } }),
  Message.Info("Tell", { payload: { sender: Schema.Int, n: Schema.Int } })
) {}

/** A server that writes down everything it gets; `slow` ones take several turns for each message. */
const collector = (got: Array<unknown>, slow: boolean) => {
  const note = (value: unknown): Effect.Effect<void> =>
    slow
      ? Effect.andThen(Effect.yieldNow, Effect.sync(() => void got.push(value)))
      : Effect.sync(() => void got.push(value))
  const record = (value: unknown): void => void got.push(value)
  return GenServer.make(Collector, () =>
    Effect.succeed(Collector.of({
      Ask: (payload) => slow ? note(payload) : record(payload),
      Put: (payload) => slow ? note(payload) : record(payload),
      Tell: (payload) => slow ? note(payload) : record(payload),
      exit: (signal) => slow ? note(signal) : record(signal),
      down: (signal) => slow ? note(signal) : record(signal),
      unhandled: (term) => slow ? note(term) : record(term)
    })))
}

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))

const Step = Schema.Struct({
  sender: below(4),
  receiver: below(3),
  op: Schema.Literals(["send", "send", "cast", "info", "call", "signal", "link", "unlink", "monitor", "pause"])
})

const Case = Schema.Struct({
  steps: Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(100)),
  /** How each sender ends: by itself, badly, or killed by a bystander when the clock gets there. */
  ends: Schema.Tuple(
    [0, 1, 2, 3].map(() => Schema.Literals(["normal", "bad", "killed"])) as never
  ) as unknown as Schema.Codec<
    ReadonlyArray<"normal" | "bad" | "killed">
  >,
  seed: below(1000)
})
type Case = typeof Case.Type

interface World {
  /** Where the senders run. */
  readonly there: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Node.Node>>
  /** Where the receivers run. */
  readonly here: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Node.Node>>
}

const endReason = { normal: ExitReason.normal, bad: ExitReason.error("bad") } as const

/** Plays a case and checks the law. */
const play = (world: World, { ends, steps }: Case): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    // Receivers: a probe, a fast server and a slow one. They outlive everybody.
    const probe = yield* world.here(Probe.make())
    const logs: Array<Array<unknown>> = [[], [], []]
    const servers = yield* Effect.forEach(
      [1, 2],
      (i) => world.here(GenServer.startDetached(collector(logs[i]!, i === 2), undefined, { trapExit: true }))
    )
    const pids = [probe.pid, ...servers.map((server) => server.pid)]
    const node = yield* world.here(Node.Node)
    const monitors: Array<{ readonly receiver: number; readonly sender: number; readonly ref: string }> = []

    const body = (sender: number) =>
      Effect.gen(function*() {
        const self = yield* Process.self
        let n = 0
        for (const { op, receiver } of steps.filter((step) => step.sender === sender)) {
          const to = pids[receiver]!
          const item = { sender, n: n++ }
          const ref = yield* ProcessRef.fromPid(Collector, to)
          switch (op) {
            case "send":
              yield* Process.send(to, item)
              break
            case "cast":
              yield* ref.Put(item)
              break
            case "info":
              yield* ref.Tell(item)
              break
            case "call":
              if (receiver === 0) yield* ref.Put(item)
              else yield* Effect.orDie(ref.Ask(item))
              break
            case "signal":
              yield* Process.exit(to, ExitReason.error(item))
              break
            case "link":
              yield* Process.link(to)
              break
            case "unlink":
              yield* Process.unlink(to)
              break
            case "monitor": {
              const process = node.runtime.resolve(to)!
              const monitor = node.runtime.isRemote(self)
                ? node.runtime.remote.monitor(process, self)
                : process.monitor(node.runtime.resolve(self), self)
              monitors.push({ receiver, sender, ref: String(monitor.ref) })
              break
            }
            case "pause":
              yield* Effect.yieldNow
          }
        }
        const end = ends[sender]!
        return yield* end === "killed" ? Effect.never : Process.exitSelf(endReason[end])
      })

    const senders = yield* Effect.forEach(
      [0, 1, 2, 3],
      (sender) => world.there(Process.spawnDetached(() => body(sender)))
    )
    for (const [sender, pid] of senders.entries()) {
      if (ends[sender] === "killed") yield* Effect.forkChild(world.there(Process.kill(pid)))
    }
    yield* TestNode.settle
    logs[0] = [...yield* probe.waiting]

    for (const [receiver, log] of logs.entries()) {
      for (const [sender, pid] of senders.entries()) {
        const seen: Array<string> = []
        let last = -1
        for (const value of log) {
          const isFrom = value instanceof Signal.Exit && String(value.from) === String(pid)
          const numbered = isFrom && value.reason._tag === "Error" && typeof value.reason.error === "object"
            ? value.reason.error as { readonly n: number }
            : !(value instanceof Signal.Exit) && !(value instanceof Signal.Down) &&
                (value as { readonly sender: number }).sender === sender
            ? value as { readonly n: number }
            : undefined
          if (numbered !== undefined) {
            assert.isAbove(numbered.n, last, `receiver ${receiver} got ${numbered.n} of sender ${sender} after ${last}`)
            assert.deepStrictEqual(seen, [], `receiver ${receiver} got ${numbered.n} of sender ${sender} after its end`)
            last = numbered.n
          } else if (isFrom) {
            seen.push("exit")
            assert.deepStrictEqual(
              value.reason,
              ends[sender] === "killed" ? ExitReason.killed : endReason[ends[sender]!]
            )
          } else if (
            value instanceof Signal.Down && monitors.some((m) => m.ref === String(value.ref) && m.sender === sender)
          ) {
            seen.push("down")
          }
        }
        assert.isAtMost(seen.filter((what) => what === "exit").length, 1)
        if (ends[sender] !== "killed") {
          // Nothing was lost on the way, and the last word on the link decides whether its end was told.
          const own = steps.filter((step) => step.sender === sender)
          const sent = own.filter((step) =>
            step.receiver === receiver && ["send", "cast", "info", "call", "signal"].includes(step.op)
          )
          const gotten = log.filter((value) =>
            value instanceof Signal.Exit
              ? String(value.from) === String(pid) && value.reason._tag === "Error" &&
                typeof value.reason.error === "object"
              : (value as { readonly sender?: number }).sender === sender
          )
          assert.strictEqual(gotten.length, sent.length)
          const linking = own.findLast((step) => step.receiver === receiver && ["link", "unlink"].includes(step.op))
          assert.strictEqual(seen.includes("exit"), linking?.op === "link")
        }
      }
    }
    // Exactly one Down for each monitor.
    for (const { receiver, ref } of monitors) {
      const downs = logs[receiver]!.filter((value) => value instanceof Signal.Down && String(value.ref) === ref)
      assert.strictEqual(downs.length, 1, `receiver ${receiver} got ${downs.length} Downs for one monitor`)
    }
  })

/** Senders and receivers on one node. */
const local: World = { there: (effect) => effect as never, here: (effect) => effect as never }

describe("the order of signals", () => {
  it.effect.prop("[S20] holds on one node, with exactly one Down per monitor", [Case], ([one]) =>
    // Node is in the context, which `local` does not show in its type.
    Effect.as(play(local, one) as Effect.Effect<void, unknown, Scope.Scope>, true).pipe(
      Effect.scoped,
      Effect.provide(TestNode.layer({ seed: one.seed }))
    ), { arbitrary: { runs: 300, size: 100 }, timeout: 60_000 })

  it.effect.prop(
    "[S20] holds between nodes, with exactly one Down per monitor",
    [Case],
    ([one]) =>
      Effect.gen(function*() {
        const cluster = yield* MemoryCluster.MemoryCluster
        yield* play({
          here: (effect) => cluster.on("here@test", effect),
          there: (effect) => cluster.on("there@test", effect)
        }, one)
        return true
      }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer(["here@test", "there@test"], { seed: one.seed }))),
    {
      arbitrary: { runs: 300, size: 100 },
      timeout: 60_000
    }
  )

  everySeed(
    "[S20] an EXIT and a DOWN are behind everything that was sent before the end",
    () =>
      Effect.gen(function*() {
        for (const slow of [false, true]) {
          const got: Array<unknown> = []
          const server = yield* GenServer.startDetached(collector(got, slow), undefined, { trapExit: true })
          const pid = yield* Process.spawnDetached(() =>
            Effect.gen(function*() {
              yield* Process.link(server)
              for (let n = 0; n < 20; n++) yield* Process.send(server, n)
              return yield* Effect.die("over")
            })
          )
          yield* TestNode.settle
          assert.deepStrictEqual(got.slice(0, 20), Array.from({ length: 20 }, (_, n) => n))
          assert.strictEqual(String((got[20] as Signal.Exit).from), String(pid))
          assert.strictEqual(got.length, 21)
        }
      })
  )

  everySeed("[S20] a handler that becomes slow does not let later messages overtake", () =>
    Effect.gen(function*() {
      const got: Array<number> = []
      class Mixed extends Protocol.make("Mixed", Message.Cast("Put", { payload: { n: Schema.Int } })) {}
      const server = yield* GenServer.start(
        GenServer.make(Mixed, {
          init: () => Effect.succeed(0),
          handlers: {
            // Plain, suspending, and synchronous Effects by turns.
            Put: ({ n }, state) => {
              if (n % 3 === 0) {
                got.push(n)
                return GenServer.next(state)
              }
              const note = Effect.sync(() => {
                got.push(n)
                return GenServer.next(state)
              })
              return n % 3 === 1 ? Effect.andThen(Effect.yieldNow, note) : note
            }
          }
        })
      )
      for (let n = 0; n < 60; n++) {
        yield* server.Put({ n })
        if (n % 7 === 0) yield* Effect.yieldNow
      }
      yield* TestNode.settle
      assert.deepStrictEqual(got, Array.from({ length: 60 }, (_, n) => n))
    }))

  it.effect("a message to an idle server is handled in the turn of its sender, as far as its Effect goes without waiting", () =>
    Effect.gen(function*() {
      const got: Array<string> = []
      class Steps extends Protocol.make("Steps", Message.Cast("Put", { payload: { n: Schema.Int } })) {}
      const server = yield* GenServer.start(
        GenServer.make(Steps, {
          init: () => Effect.succeed(0),
          handlers: {
            Put: Effect.fnUntraced(function*({ n }: { readonly n: number }, state: number) {
              got.push(`first ${n}`)
              yield* Effect.sync(() => got.push(`second ${n}`))
              yield* Effect.yieldNow
              got.push(`last ${n}`)
              return GenServer.next(state)
            })
          }
        })
      )
      yield* Effect.andThen(server.Put({ n: 1 }), Effect.sync(() => got.push("sent 1")))
      yield* Effect.andThen(server.Put({ n: 2 }), Effect.sync(() => got.push("sent 2")))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(got, [
        "first 1",
        "second 1",
        "sent 1",
        "sent 2",
        "last 1",
        "first 2",
        "second 2",
        "last 2"
      ])
    }).pipe(Effect.provide(Node.layerLocal())))

  it.effect("who sends the message that ends a server can still watch how it ends", () =>
    Effect.gen(function*() {
      class Last extends Protocol.make("Last", Message.Cast("End", { payload: { how: Schema.String } })) {}
      const make = GenServer.start(
        GenServer.make(Last, {
          init: () => Effect.succeed(0),
          handlers: {
            End: ({ how }) => {
              switch (how) {
                case "stop":
                  return GenServer.stop(ExitReason.shutdownWith(how))
                case "stop later":
                  return Effect.sync(() => GenServer.stop(ExitReason.shutdownWith(how)))
                case "throw":
                  throw new Error(how)
                default:
                  return Effect.die(new Error(how))
              }
            }
          }
        }),
        undefined
      )
      for (const how of ["stop", "stop later", "throw", "die"]) {
        const server = yield* make
        yield* server.End({ how })
        assert.include(ExitReason.format(yield* Process.awaitExit(server)), how)
      }
    }).pipe(Effect.provide(Node.layerLocal())))

  everySeed("[S20] two servers that cast to each other keep each other's order", () =>
    Effect.gen(function*() {
      class Ring
        extends Protocol.make("Ring", Message.Cast("Pass", { payload: { n: Schema.Int, left: Schema.Int } }))
      {}
      const got: Array<Array<number>> = [[], []]
      const refs: Array<ProcessRef.ProcessRef<Protocol.Messages<typeof Ring>>> = []
      for (const i of [0, 1]) {
        refs.push(
          yield* GenServer.start(GenServer.make(Ring, () =>
            Effect.succeed(Ring.of({
              Pass: ({ left, n }) => {
                got[i]!.push(n)
                return left === 0 ? Effect.void : refs[1 - i]!.Pass({ n, left: left - 1 })
              }
            }))))
        )
      }
      for (let n = 0; n < 20; n++) yield* refs[0]!.Pass({ n, left: 9 })
      yield* TestNode.settle
      for (const i of [0, 1]) {
        // Each of the twenty comes by five times; those that come for the first time come in order.
        assert.strictEqual(got[i]!.length, 100)
        assert.deepStrictEqual([...new Set(got[i])], Array.from({ length: 20 }, (_, n) => n))
      }
    }))
})
