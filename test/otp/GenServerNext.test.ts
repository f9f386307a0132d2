/**
 * What follows a transition: continuations and idle timeouts [S13].
 */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { ExitReason, GenServer, Message, Process, type ProcessRef, Protocol, type Transition } from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { onNode } from "./OnNode.ts"

/** What a test has the server do; it notes everything that happens. */
class Script extends Protocol.make(
  "Script",
  Message.Call("Do", { payload: { next: Schema.Any }, success: Schema.String }),
  Message.Call("Seen", { success: Schema.Array(Schema.String) }),
  Message.Cast("Note", { payload: { text: Schema.String } }),
  Message.Cast("Then", { payload: { next: Schema.Any } }),
  Message.Cast("Wait", { payload: { gate: Schema.Any } }),
  Message.Cast("Watch", { payload: { target: Schema.Any } }),
  Message.Info("Ping")
) {}

type Seen = ReadonlyArray<string>
type Next = Transition.Next<string>

const makeScript = (log: Array<string>) =>
  GenServer.make(Script, {
    init: (next?: Next) => Effect.succeed(GenServer.started<Seen, string>([], next)),
    handlers: {
      Do: ({ next }, seen) => GenServer.reply("done", seen, next as Next),
      Seen: (_, seen) => seen,
      Note: ({ text }, seen) => GenServer.next([...seen, text]),
      Then: ({ next }, seen) => GenServer.next(seen, next as Next),
      Wait: ({ gate }, seen) => Effect.as(Deferred.await(gate as Deferred.Deferred<void>), GenServer.next(seen)),
      Watch: ({ target }, seen) => Effect.as(Process.monitor(target as Process.Target), GenServer.next(seen)),
      Ping: (_, seen) => GenServer.next([...seen, "ping"]),
      exit: ({ reason }, seen) => GenServer.next([...seen, `exit ${ExitReason.format(reason)}`]),
      down: ({ reason }, seen) => GenServer.next([...seen, `down ${ExitReason.format(reason)}`]),
      unhandled: (term, seen) => GenServer.next([...seen, `unhandled ${String(term)}`])
    },
    continue: (value: string, seen) => {
      log.push(`continue ${value}`)
      const [first, ...rest] = value.split(",")
      return rest.length === 0
        ? GenServer.next([...seen, first!])
        : GenServer.next([...seen, first!], { continue: rest.join(",") })
    },
    timeout: (seen) => {
      log.push("timeout")
      return GenServer.next([...seen, "timeout"])
    }
  })

const Quiet = makeScript([])

describe("a continuation", () => {
  everySeed("[S13] runs before every queued message, and after the reply was sent", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const script = yield* GenServer.start(makeScript(log))
      const gate = yield* Deferred.make<void>()
      yield* script.Wait({ gate })
      const call = yield* Effect.forkChild(
        Effect.tap(script.Do({ next: { continue: "continued" } }), () => Effect.sync(() => log.push("reply")))
      )
      yield* TestNode.settle // the call waits in the mailbox
      yield* script.Note({ text: "queued" })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(call)
      assert.deepStrictEqual(yield* script.Seen(), ["continued", "queued"])
      assert.sameMembers(log, ["reply", "continue continued"])
    }))

  onNode(
    "[S13] runs after the reply was sent, also when the call is handled in the turn of its caller",
    () =>
      Effect.gen(function*() {
        const script = yield* GenServer.start(Quiet)
        const order: Array<string> = []
        class Slow extends Protocol.make("Slow", Message.Call("Do", { success: Schema.String })) {}
        const server = GenServer.make(Slow, {
          init: () => Effect.succeed(0),
          handlers: { Do: (_, n) => GenServer.reply("done", n, { continue: "work" }) },
          continue: (_: string, n) =>
            Effect.map(Effect.sync(() => order.push("continued")), () => GenServer.next(n + 1))
        })
        const slow = yield* GenServer.start(server)
        order.push(yield* slow.Do())
        yield* slow.Do()
        assert.deepStrictEqual(order, ["done", "continued"])
        assert.strictEqual(yield* script.Do({ next: {} }), "done")
      })
  )

  onNode("[S13] may be followed by another, and still no message comes between", () =>
    Effect.gen(function*() {
      const script = yield* GenServer.start(Quiet)
      yield* script.Then({ next: { continue: "a,b,c" } })
      yield* script.Note({ text: "after" })
      assert.deepStrictEqual(yield* script.Seen(), ["a", "b", "c", "after"])
    }))

  onNode("[S13] of init runs before whatever was sent at once", () =>
    Effect.gen(function*() {
      const script = yield* GenServer.start(Quiet, { continue: "first" })
      yield* script.Note({ text: "second" })
      assert.deepStrictEqual(yield* script.Seen(), ["first", "second"])
    }))

  onNode(
    "that fails ends the process with the reason, and has the caller its reply before",
    () =>
      Effect.gen(function*() {
        class Fragile extends Protocol.make("Fragile", Message.Call("Do", { success: Schema.String })) {}
        const server = GenServer.make(Fragile, {
          init: () => Effect.succeed(0),
          handlers: { Do: (_, n) => GenServer.reply("done", n, { continue: "boom" }) },
          continue: (text: string) => Effect.die(text)
        })
        const fragile = yield* GenServer.startDetached(server)
        assert.strictEqual(yield* fragile.Do(), "done")
        assert.include(ExitReason.format(yield* Process.awaitExit(fragile)), "boom")
      })
  )
})

describe("an idle timeout", () => {
  onNode("[S13] fires once, when no message came for so long", () =>
    Effect.gen(function*() {
      const script = yield* GenServer.start(Quiet)
      yield* script.Then({ next: { timeout: "10 seconds" } })
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(
        yield* Process.info(script).pipe(Effect.flatMap(Effect.fromOption), Effect.map((i) => i.state)),
        []
      )
      yield* TestClock.adjust("1 millis")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* script.Seen(), ["timeout"])
    }))

  onNode("[S13] of init counts from the start", () =>
    Effect.gen(function*() {
      const script = yield* GenServer.start(Quiet, { timeout: "10 seconds" })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* script.Seen(), ["timeout"])
    }))

  onNode("[S13] comes again when its own transition asks for it", () =>
    Effect.gen(function*() {
      class Beat extends Protocol.make("Beat", Message.Call("Count", { success: Schema.Int })) {}
      const server = GenServer.make(Beat, {
        init: () => Effect.succeed(GenServer.started(0, { timeout: "1 second" })),
        handlers: { Count: (_, n) => n },
        timeout: (n) => GenServer.next(n + 1, { timeout: "1 second" })
      })
      const beat = yield* GenServer.start(server)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* beat.Count(), 3)
    }))

  type Ref = ProcessRef.ProcessRef<Protocol.Messages<typeof Script>>
  const messages: ReadonlyArray<readonly [what: string, send: (script: Ref) => Effect.Effect<unknown, unknown, any>]> =
    [
      ["a call", (script) => script.Seen()],
      ["a cast", (script) => script.Note({ text: "cast" })],
      ["an info", (script) => Process.send(script, { _tag: "Ping" })],
      ["a term that no message describes", (script) => Process.send(script, "?")],
      ["a trapped exit signal", (script) => Process.exit(script, ExitReason.error("x"))],
      ["a Down", () => Process.kill({ name: "watched" })]
    ]
  for (const [what, send] of messages) {
    onNode(`[S13] is cancelled by ${what}`, () =>
      Effect.gen(function*() {
        const script = yield* GenServer.start(Quiet, undefined, { trapExit: true })
        yield* script.Watch({ target: yield* Process.spawn(() => Effect.never, { name: "watched" }) })
        yield* script.Then({ next: { timeout: "10 seconds" } })
        yield* TestClock.adjust("9 seconds")
        yield* send(script) as Effect.Effect<unknown>
        yield* TestClock.adjust("1 hour")
        const seen = yield* script.Seen()
        assert.notInclude(seen, "timeout")
        assert.strictEqual(seen.length, what === "a call" ? 0 : 1)
      }))
  }

  everySeed(
    "[S13] of zero lets the messages that wait go first, and is cancelled by the first of them",
    () =>
      Effect.gen(function*() {
        const script = yield* GenServer.start(Quiet)
        const gate = yield* Deferred.make<void>()
        yield* script.Wait({ gate })
        yield* script.Then({ next: { timeout: 0 } })
        yield* script.Note({ text: "waiting" })
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* script.Seen(), ["waiting"])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* script.Seen(), ["waiting"])
      })
  )

  onNode("[S13] of zero fires at once when nothing waits", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const script = yield* GenServer.start(makeScript(log))
      yield* script.Then({ next: { timeout: 0 } })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(log, ["timeout"])
    }))

  onNode("does not count while a handler works", () =>
    Effect.gen(function*() {
      const script = yield* GenServer.start(Quiet)
      const gate = yield* Deferred.make<void>()
      yield* script.Then({ next: { timeout: "10 seconds" } })
      yield* script.Wait({ gate })
      yield* TestClock.adjust("1 minute")
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* script.Seen(), [])
    }))

  onNode("beyond 2^31 milliseconds does not come early", () =>
    Effect.gen(function*() {
      const script = yield* GenServer.start(Quiet)
      yield* script.Then({ next: { timeout: "30 days" } })
      yield* TestClock.adjust("29 days")
      yield* TestClock.adjust("23 hours")
      const before = yield* Process.info(script).pipe(Effect.flatMap(Effect.fromOption))
      assert.deepStrictEqual(before.state, [])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* script.Seen(), ["timeout"])
    }))

  onNode("without a timeout callback ends the process and says so", () =>
    Effect.gen(function*() {
      class Bare extends Protocol.make("Bare", Message.Cast("Sleep")) {}
      const server = GenServer.make(Bare, {
        init: () => Effect.succeed(0),
        handlers: { Sleep: (_, n) => GenServer.next(n, { timeout: 0 }) }
      })
      const bare = yield* GenServer.startDetached(server)
      yield* bare.Sleep()
      assert.include(ExitReason.format(yield* Process.awaitExit(bare)), "timeout callback")
    }))
})
