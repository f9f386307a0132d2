/**
 * How a server ends: when `terminate` runs [S10], in which order the end is seen [S11], what exit(normal) does [S15].
 */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, Schema } from "effect"
import { ExitReason, GenServer, Message, Process, type ProcessRef, Protocol, Signal, type Transition } from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

/** What a test has a handler return. The messages carry it as `any`, so that it may be what the types would not allow. */
type Step = Transition.Transition<never, string, () => Decision>
type Decision = Step | Effect.Effect<Step>

class Stage extends Protocol.make(
  "Stage",
  Message.Call("Ask", { payload: { decide: Schema.Any }, success: Schema.String }),
  Message.Call("Seen", { success: Schema.Array(Schema.String) }),
  Message.Cast("Tell", { payload: { decide: Schema.Any } }),
  Message.Info("Note", { payload: { decide: Schema.Any } })
) {}

type Ref = ProcessRef.ProcessRef<Protocol.Messages<typeof Stage>>

/** Does what it is told, and notes in `log` why and with which state it was terminated. */
const makeStage = (log: Array<string>) => {
  const run = ({ decide }: { readonly decide: unknown }) => (decide as () => Decision)()
  return GenServer.make(Stage, {
    init: () =>
      Effect.as(
        Effect.addFinalizer(() => Effect.sync(() => log.push("released"))),
        "start"
      ),
    handlers: {
      Ask: run,
      Seen: () => [...log],
      Tell: run,
      Note: run,
      exit: ({ reason }) => {
        log.push(`exit ${ExitReason.format(reason)}`)
      },
      unhandled: (term) => run(term as never)
    },
    continue: (decide: () => Decision) => decide(),
    timeout: () => GenServer.stop(ExitReason.error("idle")),
    terminate: (reason, state) => Effect.sync(() => log.push(`terminate ${ExitReason.format(reason)} ${state}`))
  })
}

const bad = ExitReason.error("bad")

/** Every way to end a server: what is done to it, its reason, and whether `terminate` ran with that reason. */
const endings: ReadonlyArray<
  readonly [
    what: string,
    trapExit: boolean,
    end: (ref: Ref) => Effect.Effect<unknown, unknown, any>,
    reason: string,
    terminate: boolean
  ]
> = [
  ["stop from a call", false, (ref) => Effect.exit(ref.Ask({ decide: () => GenServer.stop() })), "normal", true],
  ["stop from a cast", false, (ref) => ref.Tell({ decide: () => GenServer.stop(bad) }), "bad", true],
  [
    "stop from an Effect",
    false,
    (ref) => ref.Tell({ decide: () => Effect.as(Effect.yieldNow, GenServer.stop(bad)) }),
    "bad",
    true
  ],
  ["stop from an info", false, (ref) => ref.Note({ decide: () => GenServer.stop(bad) }), "bad", true],
  ["stop from a term", false, (ref) => Process.send(ref, { decide: () => GenServer.stop(bad) }), "bad", true],
  [
    "stop from continue",
    false,
    (ref) => ref.Tell({ decide: () => GenServer.next("start", { continue: () => GenServer.stop(bad) }) }),
    "bad",
    true
  ],
  [
    "stop from timeout",
    false,
    (ref) => ref.Tell({ decide: () => GenServer.next("start", { timeout: 0 }) }),
    "idle",
    true
  ],
  [
    "replyAndStop",
    false,
    (ref) => ref.Ask({ decide: () => GenServer.replyAndStop("bye", ExitReason.shutdown) }),
    "shutdown",
    true
  ],
  [
    "a handler that throws",
    false,
    (ref) =>
      ref.Tell({
        decide: () => {
          throw new Error("thrown")
        }
      }),
    "Error: thrown",
    true
  ],
  ["a handler that dies", false, (ref) => ref.Tell({ decide: () => Effect.die("dead") }), "dead", true],
  [
    "a handler that dies later",
    false,
    (ref) => ref.Tell({ decide: () => Effect.andThen(Effect.yieldNow, Effect.die("dead")) }),
    "dead",
    true
  ],
  [
    "a failure that the message does not declare",
    false,
    (ref) => Effect.exit(ref.Ask({ decide: () => Effect.fail("undeclared") })),
    "undeclared",
    true
  ],
  ["a failure of a cast", false, (ref) => ref.Tell({ decide: () => Effect.fail("failed") }), "failed", true],
  ["exitSelf in a handler", false, (ref) => ref.Tell({ decide: () => Process.exitSelf(bad) }), "bad", true],
  [
    "exitSelf with normal",
    false,
    (ref) => ref.Tell({ decide: () => Process.exitSelf(ExitReason.normal) }),
    "normal",
    true
  ],
  [
    "a handler that interrupts itself",
    false,
    (ref) => ref.Tell({ decide: () => Effect.interrupt }),
    "interrupted",
    true
  ],
  ["Process.stop", false, (ref) => Process.stop(ref), "normal", true],
  ["Process.stop with a reason", true, (ref) => Process.stop(ref, { reason: bad }), "bad", true],
  ["an exit signal, not trapping", false, (ref) => Process.exit(ref, bad), "bad", false],
  ["shutdown, not trapping", false, (ref) => Process.exit(ref, ExitReason.shutdown), "shutdown", false],
  ["a kill", false, (ref) => Process.kill(ref), "killed", false],
  ["a kill, trapping", true, (ref) => Process.kill(ref), "killed", false]
]

describe("terminate", () => {
  for (const [what, trapExit, end, reason, terminate] of endings) {
    everySeed(`[S10] ${terminate ? "runs" : "does not run"} after ${what}`, () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const stage = yield* GenServer.startDetached(makeStage(log), undefined, { trapExit })
        const exit = yield* endOf(stage)
        yield* end(stage) as Effect.Effect<unknown>
        assert.include(ExitReason.format(yield* Fiber.join(exit)), reason)
        assert.strictEqual(log.length, terminate ? 2 : 1, log.join(", "))
        if (terminate) {
          assert.include(log[0]!, `terminate`)
          assert.include(log[0]!, reason)
        }
        assert.strictEqual(log.at(-1), "released")
      }))
  }

  for (
    const [trapExit, reason, log] of [
      [true, ExitReason.shutdown, ["terminate shutdown start", "released"]],
      [true, bad, ["terminate bad start", "released"]],
      [false, ExitReason.shutdown, ["released"]],
      [false, bad, ["released"]]
    ] as const
  ) {
    everySeed(
      `[S10] ${trapExit ? "runs" : "does not run"} when the parent ends with ${
        ExitReason.format(reason)
      } and exits are ${trapExit ? "" : "not "}trapped`,
      () =>
        Effect.gen(function*() {
          const seen: Array<string> = []
          const started = yield* Deferred.make<Ref>()
          yield* Process.spawnDetached(() =>
            Effect.gen(function*() {
              const stage = yield* GenServer.startDetached(makeStage(seen), undefined, { trapExit, link: true })
              yield* Deferred.succeed(started, stage)
              return yield* Process.exitSelf(reason)
            })
          )
          const stage = yield* Deferred.await(started)
          yield* Process.awaitExit(stage)
          yield* TestNode.settle
          assert.deepStrictEqual(seen, [...log])
        })
    )
  }

  everySeed(
    "[S10] does not run for an exit signal of another process while exits are trapped: that is a message",
    () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const stage = yield* GenServer.startDetached(makeStage(log), undefined, { trapExit: true })
        yield* Process.exit(stage, bad)
        assert.deepStrictEqual(yield* stage.Seen(), ["exit bad"])
      })
  )

  onNode("[S10] does not run when init fails", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const server = GenServer.make(Stage, {
        init: () => Effect.fail(new Broken()) as Effect.Effect<string, Broken>,
        handlers: makeStage(log).handlers,
        continue: (decide: () => Decision) => decide(),
        terminate: () => Effect.sync(() => log.push("terminate"))
      })
      yield* Effect.flip(GenServer.startDetached(server))
      assert.deepStrictEqual(log, [])
    }))

  for (const how of ["dies", "throws", "fails"] as const) {
    everySeed(`[S10] that ${how} replaces the reason`, () =>
      Effect.gen(function*() {
        const server = GenServer.make(Stage, {
          init: () => Effect.succeed("start"),
          handlers: makeStage([]).handlers,
          continue: (decide: () => Decision) => decide(),
          terminate: () => {
            if (how === "throws") throw new Error("in terminate")
            return Effect.andThen(
              Effect.yieldNow,
              how === "dies" ? Effect.die("in terminate") : Effect.fail("in terminate")
            )
          }
        })
        const stage = yield* GenServer.startDetached(server)
        const exit = yield* endOf(stage)
        const call = yield* Effect.flip(stage.Ask({ decide: () => GenServer.stop(ExitReason.shutdown) }))
        const reason = yield* Fiber.join(exit)
        assert.include(ExitReason.format(reason), "in terminate")
        assert.include(call.message, "in terminate")
      }))
  }

  onNode("[S10] sees the state that stop gives, else the present one", () =>
    Effect.gen(function*() {
      for (
        const [decide, state] of [
          [() => GenServer.stop(ExitReason.normal, "given"), "given"],
          [() => GenServer.stop(), "start"],
          [() => Effect.die("x"), "start"]
        ] as const
      ) {
        const log: Array<string> = []
        const stage = yield* GenServer.startDetached(makeStage(log))
        const exit = yield* endOf(stage)
        yield* stage.Tell({ decide })
        yield* Fiber.join(exit)
        assert.isTrue(log[0]!.endsWith(` ${state}`), log[0])
      }
    }))

  onNode("[S10] is cut short by a kill, and nothing of it remains", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Stage, {
        init: () => Effect.succeed("start"),
        handlers: makeStage([]).handlers,
        continue: (decide: () => Decision) => decide(),
        terminate: () => Effect.never
      })
      const stage = yield* GenServer.startDetached(server)
      const exit = yield* endOf(stage)
      yield* stage.Tell({ decide: () => GenServer.stop() })
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(exit.pollUnsafe())
      yield* Process.kill(stage)
      assert.deepStrictEqual(yield* Fiber.join(exit), ExitReason.killed)
    }))

  onNode(
    "handles no message that waits after a stop; callers among them learn the reason",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const log: Array<string> = []
        const stage = yield* GenServer.startDetached(makeStage(log))
        yield* stage.Tell({ decide: () => Effect.as(Deferred.await(gate), GenServer.stop(bad)) })
        let handled = false
        yield* stage.Tell({
          decide: () => {
            handled = true
          }
        })
        const waiting = yield* Effect.forkChild(Effect.flip(stage.Seen()), { startImmediately: true })
        yield* TestNode.settle
        yield* Deferred.succeed(gate, undefined)
        const error = yield* Fiber.join(waiting)
        assert.isTrue(error.reason._tag === "ProcessExit" && error.reason.exitReason === bad)
        assert.isFalse(handled)
      })
  )

  for (const trapExit of [true, false]) {
    everySeed(
      `[S10] never runs beside a handler: one that waits in a call ${
        trapExit ? "ends first when exits are trapped" : "is interrupted when they are not"
      }`,
      () =>
        Effect.gen(function*() {
          const log: Array<string> = []
          const slow = yield* GenServer.startDetached(makeStage([]))
          const owner = yield* Process.spawnDetached(() =>
            Effect.andThen(
              GenServer.startDetached(makeStage(log), undefined, { name: "stage", trapExit, link: true }),
              Effect.never
            )
          )
          yield* TestNode.settle
          const stage = yield* GenServer.named(Stage, "stage")
          const exit = yield* endOf({ name: "stage" })
          yield* stage.Tell({
            decide: () =>
              slow.Ask({ decide: () => Effect.as(Effect.sleep("1 second"), GenServer.reply("late", "")) }).pipe(
                Effect.onExit((exit) => Effect.sync(() => log.push(`handler ${exit._tag}`))),
                Effect.as(GenServer.next("after"))
              )
          })
          yield* TestNode.settle
          yield* Process.exit(owner, bad)
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* Fiber.join(exit), bad)
          assert.deepStrictEqual(
            log,
            trapExit ? ["handler Success", "terminate bad after", "released"] : ["handler Failure", "released"]
          )
        })
    )
  }

  onNode("lets the messages that wait go first when it is asked to stop", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      const stage = yield* GenServer.startDetached(makeStage(log))
      yield* stage.Tell({ decide: () => Effect.asVoid(Deferred.await(gate)) })
      yield* stage.Tell({ decide: () => Effect.sync(() => void log.push("handled")) })
      const stopping = yield* Effect.forkChild(Process.stop(stage), { startImmediately: true })
      yield* TestNode.settle
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(log, ["handled", "terminate normal start", "released"])
    }))
})

describe("replyAndStop", () => {
  everySeed(
    "[S11] terminates first, then replies, then is DOWN; the caller never sees an exit",
    () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const stage = yield* GenServer.startDetached(makeStage(log), undefined, { name: "stage" })
        yield* Process.run(Effect.gen(function*() {
          yield* Process.monitor(stage)
          const reply = yield* stage.Ask({ decide: () => GenServer.replyAndStop("bye", ExitReason.normal, "last") })
          log.push(reply)
          const down = yield* Process.receive(Signal.DownSchema)
          log.push(`down ${ExitReason.format(down.reason)}`)
        }))
        assert.deepStrictEqual(log, ["terminate normal last", "released", "bye", "down normal"])
      })
  )

  everySeed("[S11] has freed the name when the caller has the reply", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 3; i++) {
        const stage = yield* GenServer.startDetached(makeStage([]), undefined, { name: "stage" })
        yield* stage.Ask({ decide: () => GenServer.replyAndStop("bye") })
      }
    }))

  everySeed(
    "[S11] of a linked caller that traps exits is the reply, then the exit message",
    () =>
      Effect.gen(function*() {
        const order = yield* Process.run(Effect.gen(function*() {
          yield* Process.trapExit(true)
          const stage = yield* GenServer.startDetached(makeStage([]), undefined, { link: true })
          const reply = yield* stage.Ask({ decide: () => GenServer.replyAndStop("bye", bad) })
          const exit = yield* Process.receive(Signal.ExitSchema)
          return [reply, exit.reason] as const
        }))
        assert.deepStrictEqual(order, ["bye", bad])
      })
  )

  for (
    const [what, terminate] of [["dies", Effect.die("in terminate")], ["fails", Effect.fail("in terminate")]] as const
  ) {
    onNode(`[S11] replies also when terminate ${what}; only the others see that`, () =>
      Effect.gen(function*() {
        const server = GenServer.make(Stage, {
          init: () => Effect.succeed("start"),
          handlers: makeStage([]).handlers,
          continue: (decide: () => Decision) => decide(),
          terminate: () => terminate
        })
        const stage = yield* GenServer.startDetached(server)
        const exit = yield* endOf(stage)
        assert.strictEqual(yield* stage.Ask({ decide: () => GenServer.replyAndStop("bye") }), "bye")
        assert.include(ExitReason.format(yield* Fiber.join(exit)), "in terminate")
      }))
  }

  onNode("[S11] that is killed while it terminates owes the caller the reason instead", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Stage, {
        init: () => Effect.succeed("start"),
        handlers: makeStage([]).handlers,
        continue: (decide: () => Decision) => decide(),
        terminate: () => Effect.never
      })
      const stage = yield* GenServer.startDetached(server)
      const call = yield* Effect.forkChild(
        Effect.flip(stage.Ask({ decide: () => GenServer.replyAndStop("bye") }, { timeout: "Infinity" })),
        { startImmediately: true }
      )
      yield* TestNode.settle
      yield* Process.kill(stage)
      const error = yield* Fiber.join(call)
      assert.isTrue(error.reason._tag === "ProcessExit" && error.reason.exitReason === ExitReason.killed)
    }))

  onNode("in an Effect does the same", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const stage = yield* GenServer.startDetached(makeStage(log))
      const reply = yield* stage.Ask({ decide: () => Effect.as(Effect.yieldNow, GenServer.replyAndStop("bye")) })
      assert.strictEqual(reply, "bye")
      assert.deepStrictEqual(log, ["terminate normal start", "released"])
    }))
})

describe("exit(normal)", () => {
  /** Sends exit(normal) to a server from its parent, from another process and from itself. */
  const outcomes = (trapExit: boolean, from: "parent" | "other" | "self") =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const server = makeStage(log)
      const ends = yield* Queue.unbounded<string>()
      yield* Process.run(Effect.gen(function*() {
        const stage = yield* GenServer.startDetached(server, undefined, { trapExit })
        const watcher = yield* Effect.forkChild(
          Effect.flatMap(Process.awaitExit(stage), (reason) => Queue.offer(ends, ExitReason.format(reason))),
          { startImmediately: true }
        )
        yield* TestNode.settle
        switch (from) {
          case "parent":
            yield* Process.exit(stage, ExitReason.normal)
            break
          case "other":
            yield* Process.run(Process.exit(stage, ExitReason.normal))
            break
          case "self":
            yield* stage.Tell({ decide: () => Process.exit(stage, ExitReason.normal) })
        }
        yield* TestNode.settle
        yield* Fiber.interrupt(watcher)
      }))
      return [log, yield* Queue.clear(ends)] as const
    })

  const ignored = [[], []]
  const message = [["exit normal"], []]
  const ended = [["released"], ["normal"]]
  const obeyed = [["terminate normal start", "released"], ["normal"]]
  for (
    const [trapExit, from, what, outcome] of [
      [false, "other", "another process, not trapping, is ignored", ignored],
      [false, "parent", "the parent, not trapping, is ignored", ignored],
      [false, "self", "itself, not trapping, ends the process", ended],
      [true, "other", "another process, trapping, is a message", message],
      [true, "parent", "the parent, trapping, is obeyed", obeyed],
      [true, "self", "itself, trapping, is a message", message]
    ] as const
  ) {
    everySeed(
      `[S15] from ${what}`,
      () => Effect.map(outcomes(trapExit, from), (actual) => assert.deepStrictEqual(actual, outcome as never))
    )
  }
})
