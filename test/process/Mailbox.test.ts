/**
 * The bound of a mailbox under each policy, for servers and for low-level processes (B4 of the reliability targets).
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Queue, Schema } from "effect"
import { CallError, ExitReason, GenServer, Mailbox, Message, Node, Process, Protocol, Signal } from "effect-otp"
import { Probe, TestNode, TestProcess } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"

class Sink extends Protocol.make(
  "Sink",
  Message.Call("Get", { success: Schema.Array(Schema.Unknown) }),
  Message.Call("Busy", { payload: { millis: Schema.Number } }),
  Message.Cast("Put", { payload: { n: Schema.Int } }),
  Message.Cast("Plain", { payload: Schema.Int })
) {}

interface Kind {
  readonly name: string
  /** Starts one with this mailbox that takes nothing until {@link open} is run; gives what it has got so far. */
  readonly start: (mailbox: Mailbox.MailboxOptions, trapExit?: boolean) => Effect.Effect<Closed, never, Node.Node>
}

interface Closed {
  readonly address: Process.Target
  readonly got: Array<unknown>
  readonly open: Effect.Effect<void, never, Node.Node>
}

/** A server that is busy with one message until the clock has moved an hour. */
const server: Kind = {
  name: "server",
  start: (mailbox, trapExit) =>
    Effect.gen(function*() {
      const got: Array<unknown> = []
      const note = (value: unknown) => void got.push(value)
      const ref = yield* Effect.orDie(GenServer.startDetached(
        GenServer.make(Sink, {
          init: () => Effect.succeed(0),
          handlers: {
            Get: () => got,
            Busy: ({ millis }, state) => Effect.as(Effect.sleep(millis), GenServer.reply(undefined, state)),
            Put: ({ n }) => note(n),
            Plain: (n) => note(n),
            unhandled: note,
            exit: note,
            down: note
          }
        }),
        undefined,
        { mailbox, trapExit: trapExit ?? false }
      ))
      yield* Effect.forkChild(Effect.ignore(ref.Busy({ millis: 3_600_000 }, { timeout: "Infinity" })))
      yield* TestNode.settle
      return { address: ref, got, open: TestClock.adjust("1 hour") }
    })
}

/** A low-level process that sleeps for an hour before it takes messages. */
const process: Kind = {
  name: "process",
  start: (mailbox, trapExit) =>
    Effect.gen(function*() {
      const got: Array<unknown> = []
      const pid = yield* Effect.orDie(Process.spawnDetached(
        (queue) =>
          Effect.andThen(
            Effect.sleep("1 hour"),
            Effect.forever(Effect.map(Queue.take(queue), (value) => void got.push(value)))
          ),
        { mailbox, trapExit: trapExit ?? false }
      ))
      yield* TestNode.settle
      return { address: pid, got, open: TestClock.adjust("1 hour") }
    })
}

const sendAll = (to: Process.Target, values: ReadonlyArray<unknown>) =>
  Effect.forEach(values, (value) => Process.send(to, value), { discard: true })

const droppedOf = (target: Process.Target) =>
  Effect.map(Process.info(target), Option.match({ onNone: () => -1, onSome: (info) => info.dropped }))

const lengthOf = (target: Process.Target) =>
  Effect.map(Process.info(target), Option.match({ onNone: () => -1, onSome: (info) => info.mailboxLength }))

for (const kind of [server, process]) {
  describe(`the mailbox of a ${kind.name}`, () => {
    everySeed("holds 100 000 messages by default", () =>
      Effect.gen(function*() {
        const { address } = yield* kind.start({})
        assert.strictEqual(Option.getOrThrow(yield* Process.info(address)).mailboxCapacity, 100_000)
        assert.strictEqual(Mailbox.defaultCapacity, 100_000)
      }))

    everySeed("suspend: a local sender waits until there is room, and its order is kept", () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* kind.start({ capacity: 2 })
        const senders = yield* Effect.forEach(["a", "b", "c"], (name) =>
          Effect.forkChild(sendAll(address, [1, 2, 3, 4].map((n) => `${name}${n}`))))
        yield* TestNode.settle
        assert.isTrue(senders.some((sender) =>
          sender.pollUnsafe() === undefined
        ))
        assert.strictEqual((yield* Effect.map(TestProcess.inspect(address), Option.getOrThrow)).messages.length, 2)
        yield* open
        yield* Fiber.joinAll(senders)
        yield* TestNode.settle
        assert.strictEqual(got.length, 12)
        for (const name of ["a", "b", "c"]) {
          assert.deepStrictEqual(
            got.filter((value) => String(value).startsWith(name)),
            [1, 2, 3, 4].map((n) => `${name}${n}`)
          )
        }
        assert.strictEqual(yield* droppedOf(address), 0)
      }))

    everySeed("suspend: a sender that is interrupted while it waits has sent nothing", () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* kind.start({ capacity: 1 })
        yield* Process.send(address, "first")
        const waiting = yield* Effect.forkChild(Process.send(address, "never"))
        const patient = yield* Effect.forkChild(Process.send(address, "second"))
        yield* TestNode.settle
        assert.strictEqual(waiting.pollUnsafe(), undefined)
        yield* Fiber.interrupt(waiting)
        yield* open
        yield* Fiber.join(patient)
        yield* TestNode.settle
        assert.deepStrictEqual(got, ["first", "second"])
      }))

    everySeed(
      "suspend: senders go on when the process ends, and what they had is counted as discarded",
      () =>
        Effect.gen(function*() {
          const { address } = yield* kind.start({ capacity: 1 })
          const before = (yield* Node.statistics).discarded
          yield* Process.send(address, "waits")
          const senders = yield* Effect.forEach([1, 2, 3], (n) => Effect.forkChild(Process.send(address, n)))
          yield* TestNode.settle
          yield* Process.kill(address)
          yield* Fiber.joinAll(senders)
          assert.strictEqual((yield* Node.statistics).discarded - before, 4)
        })
    )

    everySeed("suspend: senders that come while it ends are not left waiting", (seed) =>
      Effect.gen(function*() {
        const { address } = yield* kind.start({ capacity: 1 })
        yield* Process.send(address, "waits")
        const before = (yield* Node.statistics).discarded
        const senders = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => Effect.forkChild(Process.send(address, n)))
        for (let i = 0; i < seed % 6; i++) yield* Effect.yieldNow
        yield* Process.kill(address)
        yield* Fiber.joinAll(senders)
        yield* TestNode.settle
        assert.strictEqual((yield* Node.statistics).discarded - before, 6)
      }))

    everySeed("fail: the sender gets a typed error; send drops and counts", () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* kind.start({ capacity: 2, overflow: "fail" })
        yield* Process.trySend(address, 1)
        yield* Process.trySend(address, 2)
        const error = yield* Effect.flip(Process.trySend(address, 3))
        assert.deepStrictEqual(error.reason, new CallError.MailboxFull({ capacity: 2 }))
        assert.include(error.message, "OTP_MAILBOX_FULL")
        assert.strictEqual(yield* droppedOf(address), 0)
        yield* Process.send(address, 4)
        assert.strictEqual(yield* droppedOf(address), 1)
        yield* open
        assert.deepStrictEqual(got, [1, 2])
      }))

    everySeed("dropNew: the message is dropped and counted", () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* kind.start({ capacity: 2, overflow: "dropNew" })
        yield* sendAll(address, [1, 2, 3, 4])
        assert.strictEqual(yield* droppedOf(address), 2)
        assert.strictEqual((yield* Node.statistics).dropped, 2)
        yield* open
        assert.deepStrictEqual(got, [1, 2])
      }))

    everySeed("dropOld: the oldest is dropped and counted", () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* kind.start({ capacity: 3, overflow: "dropOld" })
        yield* sendAll(address, [1, 2, 3, 4, 5])
        assert.strictEqual(yield* droppedOf(address), 2)
        assert.strictEqual(yield* lengthOf(address), 3)
        yield* open
        assert.deepStrictEqual(got, [3, 4, 5])
      }))

    everySeed("forward: the message goes to the fallback, tagged", () =>
      Effect.gen(function*() {
        const probe = yield* Probe.make({ name: "fallback" })
        const { address, got, open } = yield* kind.start({
          capacity: 1,
          overflow: { forward: { name: "fallback" }, tag: "overload" }
        })
        yield* sendAll(address, [1, { n: 2 }])
        const forwarded = yield* probe.expectMessage(Schema.instanceOf(Mailbox.Forwarded))
        assert.deepStrictEqual([forwarded.tag, forwarded.message], ["overload", { n: 2 }])
        assert.deepStrictEqual(forwarded.process, Process.toAddress(address))
        assert.strictEqual(yield* droppedOf(address), 0)
        yield* open
        assert.deepStrictEqual(got, [1])
      }))

    everySeed("forward: to nobody, the message is discarded and counted", () =>
      Effect.gen(function*() {
        const { address } = yield* kind.start({ capacity: 1, overflow: { forward: { name: "nobody" }, tag: "x" } })
        const before = (yield* Node.statistics).discarded
        yield* sendAll(address, [1, 2, 3])
        assert.strictEqual((yield* Node.statistics).discarded - before, 2)
      }))

    everySeed(
      "forward: two full processes that are each other's fallback drop and count",
      () =>
        Effect.gen(function*() {
          const a = yield* kind.start({ capacity: 1, overflow: { forward: { name: "b" }, tag: "a" } })
          const b = yield* kind.start({ capacity: 1, overflow: { forward: { name: "a" }, tag: "b" } })
          yield* Process.register("a", a.address)
          yield* Process.register("b", b.address)
          yield* sendAll(a.address, [1, 2, 3])
          yield* TestNode.settle
          assert.deepStrictEqual([yield* lengthOf(a.address), yield* lengthOf(b.address)], [1, 1])
          assert.deepStrictEqual([yield* droppedOf(a.address), yield* droppedOf(b.address)], [0, 1])
        })
    )

    for (const overflow of ["suspend", "fail", "dropNew", "dropOld"] as const) {
      everySeed(`${overflow}: exits and Downs are never dropped, and keep their place`, () =>
        Effect.gen(function*() {
          const { address, got, open } = yield* kind.start({ capacity: 2, overflow }, true)
          const runtime = (yield* Node.Node).runtime
          const target = runtime.resolve(Process.toAddress(address))!
          yield* sendAll(address, [1, 2])
          const probe = yield* Probe.make()
          for (let n = 0; n < 5; n++) yield* probe.as(Process.exit(address, ExitReason.error(n)))
          // The process itself monitors somebody who is not there.
          target.monitor(undefined, { name: "nobody" })
          assert.strictEqual(yield* lengthOf(address), 8)
          if (overflow === "dropOld") yield* Process.send(address, 3)
          yield* open
          const tags = got.map((value) =>
            value instanceof Signal.Exit
              ? ExitReason.format(value.reason)
              : value instanceof Signal.Down
              ? "down"
              : value
          )
          assert.deepStrictEqual(
            tags,
            overflow === "dropOld" ? [2, "0", "1", "2", "3", "4", "down", 3] : [1, 2, "0", "1", "2", "3", "4", "down"]
          )
        }))
    }

    everySeed("dropOld: signals that are older than the messages stay", () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* kind.start({ capacity: 2, overflow: "dropOld" }, true)
        const probe = yield* Probe.make()
        yield* probe.as(Process.exit(address, ExitReason.error("early")))
        yield* sendAll(address, [1, 2, 3])
        yield* open
        assert.strictEqual(got.length, 2)
        assert.instanceOf(got[0], Signal.Exit)
        assert.strictEqual(got[1], 3)
        assert.strictEqual(yield* droppedOf(address), 2)
      }))

    everySeed("timers cannot wait: suspend and fail drop and count, the others act", () =>
      Effect.gen(function*() {
        for (const overflow of ["suspend", "fail", "dropNew"] as const) {
          const { address } = yield* kind.start({ capacity: 1, overflow })
          yield* Process.send(address, 1)
          yield* Process.sendAfter(address, 2, "1 second")
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual([yield* lengthOf(address), yield* droppedOf(address)], [1, 1])
        }
        const old = yield* kind.start({ capacity: 1, overflow: "dropOld" })
        yield* Process.send(old.address, 1)
        yield* Process.sendAfter(old.address, 2, "1 second")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(Option.getOrThrow(yield* TestProcess.inspect(old.address)).messages, [2])
        const probe = yield* Probe.make({ name: "fallback" })
        const forward = yield* kind.start({ capacity: 1, overflow: { forward: probe.address, tag: "t" } })
        yield* Process.send(forward.address, 1)
        yield* Process.sendAfter(forward.address, 2, "1 second")
        const forwarded = yield* probe.expectMessage(Schema.instanceOf(Mailbox.Forwarded), { within: "1 second" })
        assert.strictEqual(forwarded.message, 2)
      }))

    everySeed("drops are logged at most once per second", () =>
      Effect.gen(function*() {
        const { address } = yield* kind.start({ capacity: 1, overflow: "dropNew" })
        const logged: Array<number> = []
        const { runtime } = yield* Node.Node
        const target = runtime.resolve(Process.toAddress(address))!
        const log = target.log.bind(target)
        Object.assign(target, {
          log: (effect: Effect.Effect<void>) => {
            logged.push(target.extra!.dropped)
            log(effect)
          }
        })
        yield* sendAll(address, [1, 2, 3, 4])
        yield* TestClock.adjust("999 millis")
        yield* sendAll(address, [5, 6])
        assert.deepStrictEqual(logged, [1])
        yield* TestClock.adjust("1 millis")
        yield* sendAll(address, [7, 8])
        assert.deepStrictEqual(logged, [1, 6])
      }))

    everySeed("has room for at least one message", () =>
      Effect.gen(function*() {
        for (const capacity of [0, -1, Number.NaN]) {
          const exit = yield* Effect.exit(kind.start({ capacity }))
          assert.isTrue(
            Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("a mailbox holds at least one message")
          )
        }
        assert.strictEqual((yield* Node.processes).length, 0)
      }))

    everySeed("what waits when the process ends is counted as discarded", () =>
      Effect.gen(function*() {
        const { address } = yield* kind.start({})
        const before = (yield* Node.statistics).discarded
        yield* sendAll(address, [1, 2, 3])
        const probe = yield* Probe.make()
        yield* probe.monitor(address)
        yield* Process.kill(address)
        yield* probe.expectDown({ reason: "Killed" })
        yield* Process.send(address, 4)
        assert.strictEqual((yield* Node.statistics).discarded - before, 4)
      }))
  })
}

describe("a call to a full mailbox", () => {
  everySeed("fails at once with MailboxFull, whatever the policy", () =>
    Effect.gen(function*() {
      for (const overflow of ["suspend", "fail", "dropNew", { forward: { name: "nobody" }, tag: "x" }] as const) {
        for (const kind of [server, process]) {
          const { address } = yield* kind.start({ capacity: 1, overflow })
          yield* Process.send(address, 1)
          const ref = yield* GenServer.fromPid(Sink, (yield* Effect.map(Process.info(address), Option.getOrThrow)).pid)
          const error = yield* Effect.flip(ref.Get())
          assert.deepStrictEqual(error.reason, new CallError.MailboxFull({ capacity: 1 }))
          assert.strictEqual(yield* droppedOf(address), 1)
        }
      }
    }))

  everySeed(
    "under dropOld takes the place of the oldest; a call that is dropped so fails with MailboxFull",
    () =>
      Effect.gen(function*() {
        const { address, got, open } = yield* server.start({ capacity: 2, overflow: "dropOld" })
        const ref = yield* GenServer.fromPid(Sink, (yield* Effect.map(Process.info(address), Option.getOrThrow)).pid)
        const dropped = yield* Effect.forkChild(Effect.flip(ref.Get(undefined, { timeout: "Infinity" })))
        yield* TestNode.settle
        yield* Process.send(address, 1)
        const kept = yield* Effect.forkChild(ref.Get(undefined, { timeout: "Infinity" }))
        yield* TestNode.settle
        assert.deepStrictEqual((yield* Fiber.join(dropped)).reason, new CallError.MailboxFull({ capacity: 2 }))
        yield* open
        assert.deepStrictEqual(yield* Fiber.join(kept), [1])
        assert.deepStrictEqual(got, [1])
      })
  )

  everySeed("of a low-level process: one that dropOld drops fails with MailboxFull", () =>
    Effect.gen(function*() {
      const { address } = yield* process.start({ capacity: 1, overflow: "dropOld" })
      const ref = yield* GenServer.fromPid(Sink, (yield* Effect.map(Process.info(address), Option.getOrThrow)).pid)
      const call = yield* Effect.forkChild(Effect.flip(ref.Get(undefined, { timeout: "Infinity" })))
      yield* TestNode.settle
      yield* Process.send(address, 1)
      assert.deepStrictEqual((yield* Fiber.join(call)).reason, new CallError.MailboxFull({ capacity: 1 }))
    }))
})

describe("casts to a full mailbox", () => {
  everySeed(
    "of a checked ref fail with a typed error, those of a plain ref are dropped and counted",
    () =>
      Effect.gen(function*() {
        for (const kind of [server, process]) {
          const { address } = yield* kind.start({ capacity: 1, overflow: "fail" })
          const ref = yield* GenServer.fromPid(Sink, (yield* Effect.map(Process.info(address), Option.getOrThrow)).pid)
          const checked = GenServer.checked(ref)
          yield* checked.Put({ n: 1 })
          const error = yield* Effect.flip(checked.Put({ n: 2 }))
          assert.deepStrictEqual(error.reason, new CallError.MailboxFull({ capacity: 1 }))
          yield* ref.Put({ n: 3 })
          assert.strictEqual(yield* droppedOf(address), 1)
        }
      })
  )

  everySeed("are forwarded as a process without the protocol would receive them", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.make()
      const { address } = yield* server.start({ capacity: 1, overflow: { forward: probe.address, tag: "t" } })
      const ref = yield* GenServer.fromPid(Sink, (yield* Effect.map(Process.info(address), Option.getOrThrow)).pid)
      yield* ref.Put({ n: 1 })
      yield* ref.Put({ n: 2 })
      yield* ref.Plain(3)
      const messages = [
        (yield* probe.expectMessage(Schema.instanceOf(Mailbox.Forwarded))).message,
        (yield* probe.expectMessage(Schema.instanceOf(Mailbox.Forwarded))).message
      ]
      assert.deepStrictEqual(messages, [{ _tag: "Put", n: 2 }, { _tag: "Plain", payload: 3 }])
    }))
})

describe("a send to oneself", () => {
  everySeed("never waits: a low-level process", () =>
    Effect.gen(function*() {
      const got = yield* Process.run(
        Effect.gen(function*() {
          const me = yield* Process.self
          for (let n = 0; n < 5; n++) yield* Process.send(me, n)
          yield* Effect.forEach([5, 6], (n) => Process.send(me, n), { concurrency: "unbounded" })
          return yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6], () => Process.receive(Schema.Int))
        }),
        { mailbox: { capacity: 1 } }
      )
      assert.deepStrictEqual(got.slice(0, 5), [0, 1, 2, 3, 4])
    }))

  everySeed("never waits: a server, also from a fiber that its handler waits for", () =>
    Effect.gen(function*() {
      const got: Array<number> = []
      class Own extends Protocol.make("Own", Message.Call("Go"), Message.Cast("Put", { payload: { n: Schema.Int } })) {}
      const ref = yield* GenServer.start(
        GenServer.make(Own, () =>
          Effect.succeed(Own.of({
            Go: () =>
              Effect.gen(function*() {
                const me = yield* Process.self
                yield* Effect.forEach([1, 2, 3], (n) => Process.send(me, { n }))
                yield* Effect.forEach([4, 5, 6], (n) => Process.send(me, { n }), { concurrency: "unbounded" })
              }),
            Put: ({ n }) => void got.push(n),
            unhandled: (term) => void got.push((term as { readonly n: number }).n)
          }))),
        undefined,
        { mailbox: { capacity: 1 } }
      )
      yield* ref.Go()
      yield* TestNode.settle
      assert.deepStrictEqual([...got.slice(0, 3), ...got.slice(3).toSorted()], [1, 2, 3, 4, 5, 6])
    }))
})

describe("a mailbox without a bound", () => {
  it.effect("takes everything", () =>
    Effect.gen(function*() {
      for (const kind of [server, process]) {
        const { address } = yield* kind.start({ capacity: Infinity })
        for (let n = 0; n < 100_500; n++) yield* Process.send(address, n)
        assert.strictEqual(yield* lengthOf(address), 100_500)
      }
    }).pipe(Effect.provide(TestNode.layer())))
})
