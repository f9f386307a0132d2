/**
 * Answers that come later, and handlers that end with their callers.
 */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { ExitReason, GenServer, type Handler, Message, Node, Process, Protocol } from "effect-otp"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Desk extends Protocol.make(
  "Desk",
  Message.Call("Ask", { payload: { question: Schema.String }, success: Schema.String, error: Refused }),
  Message.Cast("Answer", { payload: { text: Schema.String } }),
  Message.Cast("Refuse", { payload: { why: Schema.String } }),
  Message.Call("Open", { success: Schema.Int }),
  Message.Cast("Close")
) {}

type From = Handler.From<string, Refused>

/** Keeps the callers, and answers the eldest when it is told to. */
const DeskServer = GenServer.make(Desk, {
  init: () => Effect.succeed<ReadonlyArray<From>>([]),
  handlers: {
    Ask: (_, waiting, { from }) => GenServer.noReply([...waiting, from]),
    Answer: ({ text }, [first, ...rest]) => Effect.as(GenServer.replyTo(first!, text), GenServer.next(rest)),
    Refuse: ({ why }, [first, ...rest]) =>
      Effect.as(GenServer.failTo(first!, new Refused({ why })), GenServer.next(rest)),
    Open: (_, waiting) => waiting.length,
    Close: () => GenServer.stop(ExitReason.shutdown)
  }
})

describe("a reply", () => {
  everySeed("can come later, from another message; the server goes on meanwhile", () =>
    Effect.gen(function*() {
      const desk = yield* GenServer.start(DeskServer)
      const first = yield* Effect.forkChild(desk.Ask({ question: "1" }), { startImmediately: true })
      while ((yield* desk.Open()) < 1) yield* Effect.yieldNow
      const second = yield* Effect.forkChild(Effect.flip(desk.Ask({ question: "2" })), { startImmediately: true })
      while ((yield* desk.Open()) < 2) yield* Effect.yieldNow
      yield* desk.Answer({ text: "one" })
      yield* desk.Refuse({ why: "no" })
      assert.strictEqual(yield* Fiber.join(first), "one")
      assert.deepStrictEqual(yield* Fiber.join(second), new Refused({ why: "no" }))
    }))

  onNode("can come from another process", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Desk, {
        init: () => Effect.succeed<ReadonlyArray<From>>([]),
        handlers: {
          ...DeskServer.handlers,
          Ask: ({ question }, state, { from }) =>
            Effect.as(
              Process.spawn(() => Effect.andThen(Effect.yieldNow, GenServer.replyTo(from, `${question}!`))),
              GenServer.noReply(state)
            ).pipe(Effect.orDie)
        }
      })
      const desk = yield* GenServer.start(server)
      assert.strictEqual(yield* desk.Ask({ question: "well" }), "well!")
    }))

  onNode("may be given before the handler ends, and the handler's own then vanishes", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Desk, {
        init: () => Effect.succeed<ReadonlyArray<From>>([]),
        handlers: {
          ...DeskServer.handlers,
          Ask: (_, state, { from }) =>
            Effect.andThen(GenServer.replyTo(from, "early"), Effect.as(Effect.yieldNow, GenServer.reply("late", state)))
        }
      })
      const desk = yield* GenServer.start(server)
      assert.strictEqual(yield* desk.Ask({ question: "" }), "early")
      assert.strictEqual(yield* desk.Open(), 0)
    }))

  onNode("[S12] vanishes when it is the second one", () =>
    Effect.gen(function*() {
      const froms: Array<From> = []
      const server = GenServer.make(Desk, {
        init: () => Effect.succeed<ReadonlyArray<From>>([]),
        handlers: {
          ...DeskServer.handlers,
          Ask: (_, state, { from }) => {
            froms.push(from)
            return GenServer.noReply(state)
          }
        }
      })
      const desk = yield* GenServer.start(server)
      const asking = yield* Effect.forkChild(
        Process.run(Effect.gen(function*() {
          const reply = yield* desk.Ask({ question: "" })
          const rest = yield* Process.receive(Schema.Unknown, { timeout: "1 second" })
          return [reply, rest._tag] as const
        })),
        { startImmediately: true }
      )
      yield* TestClock.adjust(0)
      yield* GenServer.replyTo(froms[0]!, "first")
      yield* GenServer.replyTo(froms[0]!, "second")
      yield* GenServer.failTo(froms[0]!, new Refused({ why: "third" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(asking), ["first", "None"])
      assert.strictEqual(yield* desk.Open(), 0)
    }))

  onNode("[S12] that is still owed when the server ends is the server's exit reason", () =>
    Effect.gen(function*() {
      const desk = yield* GenServer.startDetached(DeskServer)
      const asking = yield* Effect.forkChild(Effect.flip(desk.Ask({ question: "" })), { startImmediately: true })
      yield* TestClock.adjust(0)
      yield* desk.Close()
      const error = yield* Fiber.join(asking)
      assert.strictEqual(error._tag === "CallError" ? error.reason._tag : error._tag, "ProcessExit")
    }))

  onNode("to a caller that has given up does nothing, and is no longer remembered", () =>
    Effect.gen(function*() {
      const desk = yield* GenServer.start(DeskServer)
      const error = yield* Effect.flip(desk.Ask({ question: "" }, { timeout: 0 })).pipe(
        Effect.raceFirst(Effect.andThen(TestClock.adjust(1), Effect.never))
      )
      assert.strictEqual(error._tag === "CallError" ? error.reason._tag : error._tag, "CallTimeout")
      yield* desk.Answer({ text: "too late" })
      assert.strictEqual(yield* desk.Open(), 0)
    }))
})

class Work extends Protocol.make(
  "Work",
  Message.Call("Run", { payload: { job: Schema.Any }, success: Schema.String, error: Refused }),
  Message.Call("Done", { success: Schema.Int })
) {}

type Job = Effect.Effect<string, Refused>

const WorkServer = GenServer.make(Work, {
  init: () => Effect.succeed(0),
  handlers: {
    Run: ({ job }, done, context) =>
      GenServer.cancellable(Effect.map(job as Job, (result) => GenServer.reply(result, done + 1)), context),
    Done: (_, done) => done
  }
})

describe("a cancellable handler", () => {
  const interrupted = (events: Array<string>, first: Effect.Effect<unknown> = Effect.void) =>
    Effect.onInterrupt(Effect.andThen(first, Effect.never), () => Effect.sync(() => events.push("interrupted")))

  everySeed("is interrupted when its caller is: the state stays and the server goes on", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const started = yield* Deferred.make<void>()
      const work = yield* GenServer.start(WorkServer)
      const caller = yield* Effect.forkChild(
        work.Run({ job: interrupted(events, Deferred.succeed(started, undefined)) })
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(caller)
      assert.strictEqual(yield* work.Done(), 0)
      assert.deepStrictEqual(events, ["interrupted"])
      assert.strictEqual(yield* work.Run({ job: Effect.succeed("next") }), "next")
      assert.strictEqual(yield* work.Done(), 1)
    }))

  onNode("is interrupted when Effect's own timeout ends the caller", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const work = yield* GenServer.start(WorkServer)
      const caller = yield* Effect.forkChild(
        Effect.timeoutOption(work.Run({ job: interrupted(events) }), "2 seconds"),
        { startImmediately: true }
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(caller))._tag, "None")
      assert.deepStrictEqual(events, ["interrupted"])
      assert.strictEqual(yield* work.Done(), 0)
    }))

  onNode("is interrupted when the process that calls dies", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const work = yield* GenServer.start(WorkServer)
      const caller = yield* Process.spawn(() => work.Run({ job: interrupted(events) }))
      yield* TestClock.adjust(0)
      yield* Process.kill(caller)
      yield* Process.awaitExit(caller)
      assert.strictEqual(yield* work.Done(), 0)
      assert.deepStrictEqual(events, ["interrupted"])
    }))

  onNode("goes on when only the call limit has passed, and its reply is dropped", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const work = yield* GenServer.start(WorkServer)
      const job: Job = Effect.onInterrupt(
        Effect.as(Effect.sleep("10 seconds"), "late"),
        () => Effect.sync(() => events.push("interrupted"))
      )
      const caller = yield* Effect.forkChild(
        Effect.andThen(Effect.flip(work.Run({ job })), Effect.never),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* work.Done(), 1)
      assert.deepStrictEqual(events, [])
      yield* Fiber.interrupt(caller)
    }))

  onNode(
    "ends its uninterruptible part before the server goes on, and its state stays all the same",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        let committed = false
        const work = yield* GenServer.start(WorkServer)
        const job: Job = Effect.uninterruptible(
          Effect.andThen(Deferred.await(gate), Effect.sync(() => (committed = true, "committed")))
        )
        const caller = yield* Effect.forkChild(work.Run({ job }), { startImmediately: true })
        yield* TestClock.adjust(0)
        yield* Fiber.interrupt(caller)
        const next = yield* Effect.forkChild(work.Done(), { startImmediately: true })
        yield* TestClock.adjust(0)
        assert.isUndefined(next.pollUnsafe())
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(next), 0)
        assert.isTrue(committed)
      })
  )

  onNode("answers with its result and with its domain error as any other", () =>
    Effect.gen(function*() {
      const work = yield* GenServer.start(WorkServer)
      assert.strictEqual(yield* work.Run({ job: Effect.as(Effect.yieldNow, "ok") }), "ok")
      const refused = new Refused({ why: "no" })
      assert.deepStrictEqual(
        yield* Effect.flip(work.Run({ job: Effect.andThen(Effect.yieldNow, Effect.fail(refused)) })),
        refused
      )
      assert.strictEqual(yield* work.Done(), 1)
    }))

  onNode("that dies ends the server, also when that happens while it is interrupted", () =>
    Effect.gen(function*() {
      for (const cancel of [false, true]) {
        const work = yield* GenServer.startDetached(WorkServer)
        const end = yield* endOf(work)
        const job = cancel
          ? Effect.onInterrupt(Effect.never, () => Effect.die("broken"))
          : Effect.andThen(Effect.yieldNow, Effect.die("broken"))
        const caller = yield* Effect.forkChild(Effect.exit(work.Run({ job })), { startImmediately: true })
        yield* TestClock.adjust(0)
        if (cancel) yield* Fiber.interrupt(caller)
        assert.include(ExitReason.format(yield* Fiber.join(end)), "broken")
      }
    }))

  onNode(
    "is interrupted when the server is killed, and has released what it holds when the end is seen",
    () =>
      Effect.gen(function*() {
        const events: Array<string> = []
        const work = yield* GenServer.startDetached(WorkServer)
        const caller = yield* Effect.forkChild(Effect.exit(work.Run({ job: interrupted(events) })), {
          startImmediately: true
        })
        yield* TestClock.adjust(0)
        const end = yield* endOf(work)
        yield* Process.kill(work)
        assert.deepStrictEqual(yield* Fiber.join(end), ExitReason.killed)
        assert.deepStrictEqual(events, ["interrupted"])
        assert.isTrue(Exit.isFailure(yield* Fiber.join(caller)))
      })
  )
})

describe("a handler that is not cancellable", () => {
  onNode("runs to its end, whoever waits", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const server = GenServer.make(Work, {
        init: () => Effect.succeed(0),
        handlers: {
          ...WorkServer.handlers,
          Run: ({ job }, done) => Effect.map(job as Job, (result) => GenServer.reply(result, done + 1))
        }
      })
      const work = yield* GenServer.start(server)
      const caller = yield* Effect.forkChild(work.Run({ job: Effect.as(Deferred.await(gate), "ok") }), {
        startImmediately: true
      })
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(caller)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* work.Done(), 1)
    }))

  onNode(
    "is not begun any more when its caller is gone before its turn; that is counted",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const work = yield* GenServer.start(WorkServer)
        const busy = yield* Effect.forkChild(work.Run({ job: Effect.as(Deferred.await(gate), "busy") }), {
          startImmediately: true
        })
        let begun = false
        const caller = yield* Effect.forkChild(work.Run({ job: Effect.sync(() => begun = true) }), {
          startImmediately: true
        })
        yield* TestClock.adjust(0)
        const before = (yield* Node.statistics).discarded
        yield* Fiber.interrupt(caller)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(busy)
        assert.strictEqual(yield* work.Done(), 1)
        assert.isFalse(begun)
        assert.strictEqual((yield* Node.statistics).discarded, before + 1)
      })
  )
})
