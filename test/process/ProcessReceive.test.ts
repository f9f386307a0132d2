import { assert, describe } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Option, Queue, Schema } from "effect"
import { GenServer, Message, Node, Process, Protocol, Signal } from "effect-otp"
import { Probe, TestNode, TestProcess } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"

const Ping = Schema.TaggedStruct("Ping", { n: Schema.Int })
const Pong = Schema.TaggedStruct("Pong", { n: Schema.Int })
const ping = (n: number) => ({ _tag: "Ping", n })
const pong = (n: number) => ({ _tag: "Pong", n })

/** A low-level process that hands its result over. */
const spawnFor = <A, E>(
  body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<A, E, Process.CurrentProcess | Node.Node>,
  options?: Process.SpawnOptions
) =>
  Effect.gen(function*() {
    const results: Array<A> = []
    const pid = yield* Process.spawn((mailbox) => Effect.map(body(mailbox), (a) => void results.push(a)), options)
    return { pid, results }
  })

const messagesOf = (target: Process.Target) =>
  Effect.map(TestProcess.inspect(target), (found) => Option.getOrThrow(found).messages)

describe("Process.receive", () => {
  everySeed("takes the first that fits and leaves the others in their order", () =>
    Effect.gen(function*() {
      const got = yield* Process.run(Effect.gen(function*() {
        const me = yield* Process.self
        for (const value of [ping(1), pong(2), ping(3), pong(4)]) yield* Process.send(me, value)
        const first = yield* Process.receive(Pong)
        const rest = [yield* Process.receive(Schema.Unknown), yield* Process.receive(Schema.Unknown)]
        return [first, ...rest, yield* Process.receive(Pong)]
      }))
      assert.deepStrictEqual(got, [pong(2), ping(1), ping(3), pong(4)])
    }))

  everySeed(
    "waits for one that fits; those that do not stay, in order, before later ones",
    () =>
      Effect.gen(function*() {
        const { pid, results } = yield* spawnFor(() => Effect.andThen(Process.receive(Pong), Effect.never))
        const waiter = yield* spawnFor(() =>
          Effect.gen(function*() {
            const first = yield* Process.receive(Pong)
            const rest = yield* Effect.forEach([1, 2, 3], () => Process.receive(Ping))
            return [first.n, ...rest.map(({ n }) => n)]
          })
        )
        yield* TestNode.settle
        for (const value of [ping(1), ping(2), pong(3), ping(4)]) yield* Process.send(waiter.pid, value)
        yield* TestNode.settle
        assert.deepStrictEqual(waiter.results, [[3, 1, 2, 4]])
        assert.deepStrictEqual([pid.node, results], ["nonode@nohost", []])
      })
  )

  everySeed("looks at each message once, and is woken only by the one that fits", () =>
    Effect.gen(function*() {
      let looked = 0
      const Even = Schema.Int.check(Schema.makeFilter((n: number) => {
        looked++
        return n % 2 === 0
      }))
      const { pid, results } = yield* spawnFor(() => Process.receive(Even))
      yield* TestNode.settle
      for (let n = 1; n < 200; n += 2) yield* Process.send(pid, n)
      yield* TestNode.settle
      const { runtime } = yield* Node.Node
      let woken = 0
      const push = runtime.runQueue.push.bind(runtime.runQueue)
      runtime.runQueue.push = (item) => {
        woken++
        push(item)
      }
      for (let n = 201; n < 400; n += 2) yield* Process.send(pid, n)
      yield* TestNode.settle
      assert.deepStrictEqual([woken, looked], [0, 200])
      yield* Process.send(pid, 1000)
      assert.isAtLeast(woken, 1)
      yield* TestNode.settle
      assert.deepStrictEqual([looked, results], [201, [1000]])
    }))

  everySeed("gives none when the time is up, and not before", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(() =>
        Effect.flatMap(Process.receive(Pong, { timeout: "2 seconds" }), (found) =>
          Effect.map(Clock.currentTimeMillis, (at) => [Option.isNone(found), at]))
      )
      yield* TestNode.settle
      yield* TestClock.adjust("1 second")
      yield* Process.send(pid, ping(1))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(results, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(results, [[true, 2000]])
    }))

  everySeed("with a timeout gives what comes in time, and its timer does not stay", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(() =>
        Effect.gen(function*() {
          const first = yield* Process.receive(Ping, { timeout: "2 seconds" })
          const second = yield* Process.receive(Pong)
          return [Option.getOrThrow(first).n, second.n]
        })
      )
      yield* TestNode.settle
      yield* TestClock.adjust("1 second")
      yield* Process.send(pid, ping(1))
      yield* TestNode.settle
      const { runtime } = yield* Node.Node
      const lists = (runtime.timers as unknown as { readonly lists: Map<number, { readonly first: unknown }> }).lists
      assert.isTrue([...lists.values()].every(({ first }) => first === undefined))
      yield* TestClock.adjust("5 seconds")
      yield* Process.send(pid, pong(2))
      yield* TestNode.settle
      assert.deepStrictEqual(results, [[1, 2]])
    }))

  everySeed("with a message and a timeout at the same moment loses neither", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(() =>
        Effect.gen(function*() {
          const first = yield* Process.receive(Ping, { timeout: "1 second" })
          const second = yield* Process.receive(Ping, { timeout: 0 })
          return [first, second].map(Option.isSome)
        })
      )
      yield* TestNode.settle
      yield* Process.sendAfter(pid, ping(1), "1 second")
      yield* TestClock.adjust("1 second")
      yield* TestNode.settle
      // The message came in time, or just after: then it is still there.
      if (results[0]!.every((there) => !there)) assert.deepStrictEqual(results, [[false, false]])
      assert.isAtMost(results[0]!.filter((there) => there).length, 1)
    }))

  everySeed("with a zero timeout looks at what is there, without waiting", () =>
    Effect.gen(function*() {
      const got = yield* Process.run(Effect.gen(function*() {
        const me = yield* Process.self
        const before = yield* Process.receive(Pong, { timeout: 0 })
        yield* Process.send(me, ping(1))
        yield* Process.send(me, pong(2))
        const there = yield* Process.receive(Pong, { timeout: 0 })
        const gone = yield* Process.receive(Pong, { timeout: 0 })
        const other = yield* Process.receive(Ping, { timeout: 0 })
        return [before, there, gone, other].map((found: Option.Option<unknown>) => Option.getOrUndefined(found))
      }))
      assert.deepStrictEqual(got, [undefined, pong(2), undefined, ping(1)])
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    }))

  everySeed("with an infinite timeout waits for ever", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(() => Process.receive(Pong, { timeout: "Infinity" }))
      yield* TestClock.adjust("365 days")
      yield* Process.send(pid, pong(1))
      yield* TestNode.settle
      assert.deepStrictEqual(results, [Option.some(pong(1))])
    }))

  everySeed("that is interrupted loses nothing", (seed) =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(() =>
        Effect.gen(function*() {
          const first = yield* Effect.timeoutOption(Process.receive(Pong), "1 second")
          const second = yield* Process.receive(Pong, { timeout: "10 seconds" })
          const third = yield* Process.receive(Ping, { timeout: 0 })
          return [first, second, third].map((found: Option.Option<unknown>) => Option.isSome(found))
        })
      )
      yield* TestNode.settle
      yield* Process.send(pid, ping(0))
      if (seed % 2 === 0) yield* TestClock.adjust("1 second")
      else yield* Process.sendAfter(pid, pong(1), "1 second")
      yield* TestClock.adjust("1 second")
      yield* Process.send(pid, pong(2))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(results.length, 1)
      assert.isTrue(results[0]![2])
      assert.isTrue(results[0]![1])
    }))

  everySeed("is interrupted by an exit signal while it waits", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const { pid } = yield* spawnFor(() => Process.receive(Pong))
      yield* probe.monitor(pid)
      yield* TestNode.settle
      yield* Process.exit(pid)
      yield* probe.expectDown({ of: pid, reason: "Shutdown" })
    }))

  everySeed("takes signals and requests by their schemas", () =>
    Effect.gen(function*() {
      const got = yield* Process.run(
        Effect.gen(function*() {
          const child = yield* Process.spawn(() => Effect.void)
          yield* Process.link(child)
          const ref = yield* Process.monitor(child)
          const exit = yield* Process.receive(Signal.ExitSchema)
          const down = yield* Process.receive(Signal.DownSchema)
          return [exit.from === child || String(exit.from) === String(child), String(down.ref) === String(ref)]
        }),
        { trapExit: true }
      )
      assert.deepStrictEqual(got, [true, true])
    }))

  everySeed("of a guard that throws dies where it waits, and the sender does not notice", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const Broken = Schema.Unknown.check(Schema.makeFilter((value: unknown): boolean => {
        if (value === "bomb") throw new Error("the guard broke")
        return false
      }))
      const { pid } = yield* spawnFor(() => Process.receive(Broken))
      yield* probe.monitor(pid)
      yield* TestNode.settle
      yield* Process.send(pid, "harmless")
      yield* probe.expectNoMessage()
      yield* Process.send(pid, "bomb")
      const down = yield* probe.expectDown({ of: pid, reason: "Error" })
      const { error } = down.reason as { readonly error: Error }
      assert.include(`${String(error)} ${Cause.isCause(error.cause) ? Cause.pretty(error.cause) : ""}`, "guard")
    }))

  everySeed("shares the mailbox with Queue.take, in order", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor((mailbox) =>
        Effect.gen(function*() {
          const first = yield* Process.receive(Pong)
          const second = yield* Queue.take(mailbox)
          const third = yield* Queue.take(mailbox)
          return [first, second, third]
        })
      )
      yield* TestNode.settle
      for (const value of [ping(1), pong(2), ping(3)]) yield* Process.send(pid, value)
      yield* TestNode.settle
      assert.deepStrictEqual(results, [[pong(2), ping(1), ping(3)]])
    }))

  everySeed("of several fibers of a process gives each message to one of them", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor((mailbox) =>
        Effect.gen(function*() {
          const takers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Process.receive(Ping)))
          const queue = yield* Effect.forkChild(Queue.take(mailbox))
          const odd = yield* Effect.forkChild(Process.receive(Pong))
          const all = yield* Fiber.joinAll([...takers, odd])
          const any = yield* Fiber.join(queue)
          return [...all, any]
        })
      )
      yield* TestNode.settle
      for (const value of [ping(1), ping(2), pong(3), ping(4), ping(5), pong(6)]) yield* Process.send(pid, value)
      yield* TestNode.settle
      assert.strictEqual(results.length, 1)
      assert.strictEqual(new Set(results[0]!.map((value) => (value as { readonly n: number }).n)).size, 5)
    }))

  everySeed("in a server is a defect that says where messages go", () =>
    Effect.gen(function*() {
      class Odd extends Protocol.make("Odd", Message.Call("Go")) {}
      const ref = yield* GenServer.start(
        GenServer.make(Odd, () => Effect.succeed(Odd.of({ Go: () => Effect.asVoid(Process.receive(Pong)) })))
      )
      const error = yield* Effect.flip(ref.Go())
      assert.include(error.message, "is a server; its messages go to its handlers")
    }))

  everySeed("outside of processes does not exist", () =>
    Effect.gen(function*() {
      // The type asks for CurrentProcess; without the type checker it is a defect.
      const exit = yield* Effect.exit(Process.receive(Pong) as Effect.Effect<unknown>)
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("CurrentProcess"))
    }))
})

describe("Process.receive and the bound of the mailbox", () => {
  everySeed("the message that is awaited has a place, the others do not", () =>
    Effect.gen(function*() {
      for (const overflow of ["suspend", "fail", "dropNew", "dropOld"] as const) {
        const { pid, results } = yield* spawnFor(() => Process.receive(Pong), { mailbox: { capacity: 2, overflow } })
        yield* TestNode.settle
        const noise = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], (n) => Process.send(pid, ping(n))))
        yield* TestNode.settle
        assert.strictEqual((yield* messagesOf(pid)).length, 2, overflow)
        yield* Process.send(pid, pong(9))
        yield* TestNode.settle
        assert.deepStrictEqual(results, [pong(9)], overflow)
        yield* Fiber.interrupt(noise)
      }
    }))

  everySeed("a burst of messages in one turn is counted to the last", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(
        () =>
          Effect.gen(function*() {
            const pong = yield* Process.receive(Pong)
            const pings = yield* Effect.forEach(Array.from({ length: 10 }), () => Process.receive(Ping))
            return [pong.n, ...pings.map(({ n }) => n)]
          }),
        { mailbox: { capacity: 10, overflow: "dropNew" } }
      )
      yield* TestNode.settle
      for (let n = 1; n <= 9; n++) yield* Process.send(pid, ping(n))
      yield* TestNode.settle
      const burst = Effect.forEach([ping(10), ping(11), pong(12), ping(13)], (value) => Process.send(pid, value))
      const node = yield* Node.Node
      yield* Effect.sync(() => Effect.runSync(Effect.provideService(burst, Node.Node, node)))
      yield* TestNode.settle
      assert.deepStrictEqual(results, [[12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
      assert.strictEqual((yield* Node.statistics).dropped, 2)
    }))

  everySeed("taking one lets a suspended sender in", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(
        () =>
          Effect.gen(function*() {
            yield* Effect.sleep("1 second")
            return yield* Effect.forEach([1, 2, 3, 4], () => Process.receive(Ping))
          }),
        { mailbox: { capacity: 1 } }
      )
      const sender = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4], (n) => Process.send(pid, ping(n))))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(sender)
      yield* TestNode.settle
      assert.deepStrictEqual(results.map((all) => all.map(({ n }) => n)), [[1, 2, 3, 4]])
    }))

  everySeed("taking one lets a sender in whose message does not fit", () =>
    Effect.gen(function*() {
      const { pid } = yield* spawnFor(
        () => Effect.andThen(Effect.sleep("1 second"), Effect.andThen(Process.receive(Ping), Effect.never)),
        { mailbox: { capacity: 1 } }
      )
      yield* Process.send(pid, ping(1))
      const sender = yield* Effect.forkChild(Process.send(pid, pong(2)))
      yield* TestNode.settle
      assert.strictEqual(sender.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 second")
      assert.notStrictEqual(sender.pollUnsafe(), undefined)
      assert.deepStrictEqual(yield* messagesOf(pid), [pong(2)])
    }))

  everySeed("what fits is found in the hands of a suspended sender, too", () =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(
        () => Effect.andThen(Effect.sleep("1 second"), Process.receive(Pong)),
        { mailbox: { capacity: 1 } }
      )
      yield* Process.send(pid, ping(1))
      const first = yield* Effect.forkChild(Process.send(pid, ping(2)))
      const second = yield* Effect.forkChild(Process.send(pid, pong(3)))
      yield* TestClock.adjust("1 second")
      yield* TestNode.settle
      assert.deepStrictEqual(results, [pong(3)])
      yield* Fiber.joinAll([first, second])
    }))

  everySeed("a suspended sender does not miss a receive that starts while it comes", (seed) =>
    Effect.gen(function*() {
      const { pid, results } = yield* spawnFor(
        () => Effect.andThen(Effect.sleep("1 second"), Process.receive(Pong)),
        { mailbox: { capacity: 1 } }
      )
      yield* Process.send(pid, ping(1))
      yield* TestNode.settle
      const clock = yield* Effect.forkChild(TestClock.adjust("1 second"))
      for (let i = 0; i < seed; i++) yield* Effect.yieldNow
      yield* Process.send(pid, pong(2))
      yield* Fiber.join(clock)
      yield* TestNode.settle
      assert.deepStrictEqual(results, [pong(2)])
    }))
})
