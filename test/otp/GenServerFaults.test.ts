/**
 * What goes wrong in user code, and terms that nobody expects: each ends only what it should, and nothing is lost
 * silently.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Layer, Logger, References, Schema } from "effect"
import { ExitReason, GenServer, Message, Node, Process, Protocol, Signal } from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import * as Atom from "../../src/term/Atom.ts"
import * as Tuple from "../../src/term/Tuple.ts"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class Bench extends Protocol.make(
  "Bench",
  Message.Call("Run", { payload: { effect: Schema.Any }, success: Schema.Unknown }),
  Message.Call("Count", { success: Schema.Int }),
  Message.Cast("Do", { payload: { handler: Schema.Any } }),
  Message.Info("Tick", { payload: { at: Schema.Int } })
) {}

const BenchServer = GenServer.make(Bench, {
  init: () => Effect.succeed(0),
  handlers: {
    Run: ({ effect }) => effect as Effect.Effect<unknown>,
    Count: (_, count) => count,
    Do: ({ handler }, count) => {
      const result = (handler as () => unknown)()
      return Effect.isEffect(result)
        ? Effect.as(result as Effect.Effect<unknown>, GenServer.next(count + 1))
        : GenServer.next(count + 1)
    },
    Tick: (_, count) => GenServer.next(count + 1)
  }
})

interface Entry {
  readonly level: string
  readonly text: string
  readonly annotations: { readonly [key: string]: unknown }
  readonly cause: string
}

/** Runs a test with what is logged meanwhile. */
const logged = (title: string, body: (log: Array<Entry>) => Effect.Effect<unknown, unknown, any>) =>
  it.effect(title, () => {
    const log: Array<Entry> = []
    const logger = Logger.make<unknown, void>(({ cause, fiber, logLevel, message }) => {
      log.push({
        level: logLevel,
        text: (Array.isArray(message) ? message : [message]).map(String).join(" "),
        annotations: { ...fiber.getRef(References.CurrentLogAnnotations) },
        cause: Cause.pretty(cause)
      })
    })
    // The node keeps the loggers of where it is made.
    const layer = Layer.provideMerge(TestNode.layer(), Logger.layer([logger]))
    return Effect.provide(Effect.scoped(body(log)), layer) as Effect.Effect<unknown, unknown>
  })

const faults: ReadonlyArray<readonly [what: string, handler: () => unknown, reason: string]> = [
  ["throws", () => {
    throw new Error("broken")
  }, "Error: broken"],
  ["throws no Error", () => {
    throw { code: 7 } // oxlint-disable-line no-throw-literal -- users do
  }, "7"],
  ["dies at once", () => Effect.die(new Error("broken")), "Error: broken"],
  ["dies later", () => Effect.andThen(Effect.yieldNow, Effect.die(new Error("broken"))), "Error: broken"],
  ["fails, with nothing declared", () => Effect.fail("undeclared"), "undeclared"],
  ["fails later", () => Effect.andThen(Effect.yieldNow, Effect.fail("undeclared")), "undeclared"],
  ["is interrupted", () => Effect.interrupt, "interrupted"],
  ["has a promise rejected", () => Effect.promise(() => Promise.reject(new Error("broken"))), "Error: broken"],
  ["has a callback throw later", () =>
    Effect.callback(() => {
      throw new Error("broken")
    }), "Error: broken"],
  ["dies of something circular", () => {
    const circular: { self?: unknown } = {}
    circular.self = circular
    return Effect.die(circular)
  }, "ircular"],
  ["dies of something without a prototype", () => Effect.die(Object.create(null)), "{}"],
  ["dies of a symbol", () => Effect.die(Symbol("broken")), "broken"]
]

describe("a handler that goes wrong", () => {
  for (const [what, handler, reason] of faults) {
    everySeed(`and ${what} ends its process with that reason, and only that`, () =>
      Effect.gen(function*() {
        const neighbour = yield* GenServer.start(BenchServer)
        const bench = yield* GenServer.startDetached(BenchServer)
        const end = yield* endOf(bench)
        yield* bench.Do({ handler })
        assert.include(ExitReason.format(yield* Fiber.join(end)), reason)
        assert.strictEqual((yield* Effect.flip(bench.Count())).reason._tag, "NoProcess")
        assert.strictEqual(yield* neighbour.Count(), 0)
      }))

    everySeed(`in a call and ${what} gives the caller the reason as a typed error`, () =>
      Effect.gen(function*() {
        const bench = yield* GenServer.startDetached(BenchServer)
        const error = yield* Effect.flip(bench.Run({ effect: Effect.suspend(() => handler() as Effect.Effect<never>) }))
        assert.strictEqual(error.reason._tag, "ProcessExit")
        assert.include(error.message, reason)
      }))
  }

  onNode("and throws in the turn of its caller leaves the caller alone", () =>
    Effect.gen(function*() {
      class Inline extends Protocol.make("Inline", Message.Call("Throw", { success: Schema.Int })) {}
      const server = GenServer.make(Inline, {
        init: () => Effect.succeed(0),
        handlers: {
          Throw: () => {
            throw new Error("broken")
          }
        }
      })
      const inline = yield* GenServer.startDetached(server)
      const [error, after] = yield* Effect.all([Effect.flip(inline.Throw()), Effect.succeed("goes on")])
      assert.strictEqual(error.reason._tag, "ProcessExit")
      assert.strictEqual(after, "goes on")
    }))

  onNode("and never returns can be killed; its callers learn of it, or give up", () =>
    Effect.gen(function*() {
      const bench = yield* GenServer.startDetached(BenchServer)
      const patient = yield* Effect.forkChild(Effect.flip(bench.Run({ effect: Effect.never }, { timeout: "Infinity" })))
      const usual = yield* Effect.forkChild(Effect.flip(bench.Count()))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(usual)).reason._tag, "CallTimeout")
      yield* Process.kill(bench)
      const error = yield* Fiber.join(patient)
      assert.isTrue(error.reason._tag === "ProcessExit" && error.reason.exitReason === ExitReason.killed)
    }))

  onNode("and cannot be interrupted is given up after the grace of a kill", () =>
    Effect.gen(function*() {
      const bench = yield* GenServer.startDetached(BenchServer, undefined, { name: "bench" })
      const end = yield* endOf(bench)
      yield* bench.Do({ handler: () => Effect.uninterruptible(Effect.never) })
      yield* TestNode.settle
      yield* Process.kill(bench)
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(end.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(end), ExitReason.killed)
      yield* GenServer.start(BenchServer, undefined, { name: "bench" })
    }))

  everySeed("takes what it had started with it: that is over when the end is seen", () =>
    Effect.gen(function*() {
      const bench = yield* GenServer.startDetached(BenchServer)
      const end = yield* endOf(bench)
      let interrupted = 0
      const background = Effect.onInterrupt(
        Effect.never,
        () => Effect.andThen(Effect.yieldNow, Effect.sync(() => interrupted++))
      )
      yield* bench.Do({ handler: () => Effect.forkChild(background, { startImmediately: true }) })
      yield* bench.Do({ handler: () => Effect.forkScoped(background, { startImmediately: true }) })
      yield* TestNode.settle
      yield* bench.Do({ handler: () => Effect.die("broken") })
      yield* Fiber.join(end)
      assert.strictEqual(interrupted, 2)
    }))
})

describe("a finalizer that goes wrong", () => {
  const withFinalizer = (finalizer: Effect.Effect<unknown>) =>
    GenServer.make(Bench, {
      init: () => Effect.as(Effect.addFinalizer(() => finalizer), 0),
      handlers: BenchServer.handlers
    })

  everySeed("is the reason of a process that would have ended well", () =>
    Effect.gen(function*() {
      const bench = yield* GenServer.startDetached(withFinalizer(Effect.die("in a finalizer")), undefined, {
        name: "b"
      })
      const end = yield* endOf(bench)
      yield* Process.stop(bench)
      assert.include(ExitReason.format(yield* Fiber.join(end)), "in a finalizer")
      assert.deepStrictEqual(yield* Process.registered, [])
    }))

  everySeed("does not hide the crash before it", () =>
    Effect.gen(function*() {
      const bench = yield* GenServer.startDetached(withFinalizer(Effect.die("in a finalizer")))
      const end = yield* endOf(bench)
      yield* bench.Do({ handler: () => Effect.die("first") })
      assert.include(ExitReason.format(yield* Fiber.join(end)), "first")
    }))

  everySeed("has the others run all the same", () =>
    Effect.gen(function*() {
      let released = 0
      const server = GenServer.make(Bench, {
        init: () =>
          Effect.gen(function*() {
            yield* Effect.addFinalizer(() => Effect.sync(() => released++))
            yield* Effect.addFinalizer(() => Effect.die("in a finalizer"))
            yield* Effect.addFinalizer(() => Effect.sync(() => released++))
            return 0
          }),
        handlers: BenchServer.handlers
      })
      const bench = yield* GenServer.startDetached(server)
      yield* Process.stop(bench)
      assert.strictEqual(released, 2)
    }))
})

describe("a crash", () => {
  logged("is reported once, with the process, the message and the cause", (log) =>
    Effect.gen(function*() {
      const bench = yield* GenServer.startDetached(BenchServer, undefined, { name: "bench" })
      const end = yield* endOf(bench)
      yield* bench.Do({ handler: () => Effect.die(new Error("broken")) })
      yield* Fiber.join(end)
      yield* TestNode.settle
      assert.strictEqual(log.length, 1)
      const [entry] = log
      assert.strictEqual(entry!.level, "Error")
      assert.include(entry!.text, "bench")
      assert.include(entry!.text, "broken")
      assert.deepInclude(entry!.annotations, { behaviour: "Bench", lastMessage: "Do" })
      assert.include(entry!.cause, "broken")
    }))

  logged(
    "is not reported where there was none: normal, shutdown, a domain error, a kill",
    (log) =>
      Effect.gen(function*() {
        for (
          const end of [
            (pid: Process.Target) => Process.stop(pid),
            (pid: Process.Target) => Process.exit(pid, ExitReason.shutdownWith("deploy")),
            (pid: Process.Target) => Process.kill(pid)
          ]
        ) {
          const bench = yield* GenServer.startDetached(BenchServer)
          yield* end(bench)
          yield* TestNode.settle
        }
        assert.deepStrictEqual(log, [])
      })
  )
})

describe("a term that no message describes", () => {
  logged("is logged once per shape and counted every time", (log) =>
    Effect.gen(function*() {
      // Shapes are remembered per server: one of its own.
      const server = GenServer.make(Bench, { init: () => Effect.succeed(0), handlers: BenchServer.handlers })
      const bench = yield* GenServer.start(server, undefined, { name: "bench" })
      const terms: ReadonlyArray<unknown> = [
        "a string",
        "another",
        1,
        { _tag: "Unknown", n: 1 },
        { _tag: "Unknown", n: 2 },
        { _tag: "Tick", at: "not a number" },
        { a: 1, b: 2 },
        [1, 2],
        [3],
        Atom.make("hello"),
        Tuple.make(Atom.make("tag"), 1),
        Tuple.make(Atom.make("tag"), 2),
        Tuple.make(Atom.make("other"), 2),
        undefined,
        null
      ]
      for (const term of terms) yield* Process.send(bench, term)
      assert.strictEqual(yield* bench.Count(), 0)
      yield* TestNode.settle
      assert.strictEqual((yield* Node.statistics).unhandled, terms.length)
      assert.strictEqual(log.length, 11, log.map(({ text }) => text).join("\n"))
      for (const { level, text } of log) {
        assert.strictEqual(level, "Warn")
        assert.include(text, "Bench bench")
      }
    }))

  logged(
    "has at most a hundred shapes remembered, so that nobody can fill memory or log",
    (log) =>
      Effect.gen(function*() {
        const server = GenServer.make(Bench, { init: () => Effect.succeed(0), handlers: BenchServer.handlers })
        const bench = yield* GenServer.start(server)
        for (let i = 0; i < 200; i++) yield* Process.send(bench, { _tag: `Shape${i}` })
        yield* bench.Count()
        yield* TestNode.settle
        assert.strictEqual(log.length, 100)
        assert.strictEqual((yield* Node.statistics).unhandled, 200)
      })
  )

  logged("of any kind ends nothing", (log) =>
    Effect.gen(function*() {
      const server = GenServer.make(Bench, { init: () => Effect.succeed(0), handlers: BenchServer.handlers })
      const bench = yield* GenServer.start(server)
      const hostile: ReadonlyArray<unknown> = [
        Object.create(null),
        { _tag: Object.create(null) },
        { _tag: Symbol("tag") },
        () => {},
        Symbol("x"),
        10n,
        Number.NaN
      ]
      for (const term of hostile) yield* Process.send(bench, term)
      assert.strictEqual(yield* bench.Count(), 0)
      assert.isAbove(log.length, 0)
    }))

  onNode("goes to the unhandled handler when there is one, and is not counted", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Bench, {
        init: () => Effect.succeed(0),
        handlers: {
          ...BenchServer.handlers,
          unhandled: (term, count) => term === "two" ? Effect.as(Effect.yieldNow, GenServer.next(count + 2)) : undefined
        }
      })
      const bench = yield* GenServer.start(server)
      yield* Process.send(bench, "two")
      yield* Process.send(bench, "nothing")
      assert.strictEqual(yield* bench.Count(), 2)
      assert.strictEqual((yield* Node.statistics).unhandled, 0)
    }))

  onNode(
    "may be a call that the server does not serve: it is answered by hand, or times out",
    () =>
      Effect.gen(function*() {
        const Wide = Bench.add(Message.Call("Extra", { payload: { n: Schema.Int }, success: Schema.Int }))
        const server = GenServer.make(Bench, {
          init: () => Effect.succeed(0),
          handlers: {
            ...BenchServer.handlers,
            unhandled: (term) => {
              if (!(term instanceof Signal.Request) || term.message !== "Extra") return undefined
              const { n } = term.payload as { readonly n: number }
              return n > 0 ? term.from.reply(n * 2) : undefined
            }
          }
        })
        yield* GenServer.start(server, undefined, { name: "bench" })
        const bench = yield* GenServer.named(Wide, "bench")
        assert.strictEqual(yield* bench.Extra({ n: 4 }), 8)
        const call = yield* Effect.forkChild(Effect.flip(bench.Extra({ n: 0 })))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(call)).reason._tag, "CallTimeout")
      })
  )
})

describe("signals without a handler", () => {
  logged("are counted and logged, and end nothing", (log) =>
    Effect.gen(function*() {
      const server = GenServer.make(Bench, { init: () => Effect.succeed(0), handlers: BenchServer.handlers })
      const bench = yield* GenServer.start(server, undefined, { trapExit: true })
      const target = yield* Process.spawn(() => Effect.never)
      yield* bench.Run({ effect: Process.monitor(target) })
      yield* Process.kill(target)
      yield* Process.exit(bench, ExitReason.error("x"))
      yield* TestNode.settle
      assert.strictEqual(yield* bench.Count(), 0)
      assert.strictEqual((yield* Node.statistics).unhandled, 2)
      assert.deepStrictEqual(log.map(({ text }) => /\((\w+)\)/.exec(text)?.[1]).toSorted(), ["Down", "Exit"])
    }))

  onNode("with one are its business, with the reason and the sender", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const gate = yield* Deferred.make<void>()
      const server = GenServer.make(Bench, {
        init: () => Effect.succeed(0),
        handlers: {
          ...BenchServer.handlers,
          exit: (signal) => {
            seen.push([signal.from, signal.reason])
          },
          down: (down) =>
            Effect.andThen(Effect.sync(() => seen.push([down.address, down.reason])), Deferred.succeed(gate, undefined))
              .pipe(
                Effect.asVoid
              )
        }
      })
      const bench = yield* GenServer.start(server, undefined, { trapExit: true })
      const target = yield* Process.spawn(() => Effect.never)
      yield* bench.Run({ effect: Effect.andThen(Process.monitor(target), Process.link(target)) })
      yield* Process.kill(target)
      yield* Deferred.await(gate)
      assert.deepStrictEqual(seen, [[target, ExitReason.killed], [target, ExitReason.killed]])
    }))
})
