/**
 * What can be asked of a running server besides its messages: its state, a snapshot, and to go on with other code.
 */
import { assert, describe } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Option, Schema } from "effect"
import {
  type CallError,
  ExitReason,
  GenServer,
  type Handler,
  Message,
  Node,
  Process,
  Protocol,
  Signal,
  StateUpgrade
} from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Wait", { payload: { gate: Schema.Any } }),
  Message.Call("Park", { success: Schema.String })
) {}

const wait = ({ gate }: { readonly gate: unknown }) => Effect.asVoid(Deferred.await(gate as Deferred.Deferred<void>))

/** The state is a number, and nothing is said about it. */
const First = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Get: (_, count) => count,
    Wait: wait,
    Park: (_, count) => GenServer.noReply(count)
  }
})

const State = Schema.Struct({ count: Schema.Int, steps: Schema.Int })

const upgrade = StateUpgrade.make(Schema.Int).next(State, (count) => ({ count, steps: 0 }))

/** The state has become a record; each step counts double. */
const Second = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed({ count: from, steps: 0 }),
  handlers: {
    Add: ({ n }, { count, steps }) => GenServer.reply(count + 2 * n, { count: count + 2 * n, steps: steps + 1 }),
    Get: (_, { count }) => count,
    Wait: wait,
    Park: (_, state) => GenServer.noReply(state)
  },
  format: ({ count, steps }) => `${count} after ${steps}`,
  upgrade
})

/** With further messages, in another order. */
class Wide extends Protocol.make(
  "Wide",
  Message.Call("Steps", { success: Schema.Int }),
  Message.Cast("Wait", { payload: { gate: Schema.Any } }),
  Message.Call("Park", { success: Schema.String }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int })
) {}

describe("getState", () => {
  onNode("gives the state between two messages, as format shows it", () =>
    Effect.gen(function*() {
      const first = yield* GenServer.start(First, 1)
      assert.strictEqual(yield* GenServer.getState(first), 1)
      const second = yield* GenServer.start(Second, 1)
      yield* second.Add({ n: 2 })
      assert.strictEqual(yield* GenServer.getState(second), "5 after 1")
    }))

  everySeed("stands behind what was sent before", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const counter = yield* GenServer.start(First, 1, { name: "counter" })
      yield* counter.Wait({ gate })
      const add = yield* Effect.forkChild(counter.Add({ n: 1 }))
      yield* TestNode.settle
      const named = yield* GenServer.named(Counter, "counter")
      const state = yield* Effect.forkChild(GenServer.getState(named))
      yield* TestNode.settle
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(state), 2)
      yield* Fiber.join(add)
    }))

  onNode("does not cancel an idle timeout, and is no message", () =>
    Effect.gen(function*() {
      const idle = GenServer.make(Counter, {
        init: () => Effect.succeed(GenServer.started(0, { timeout: "10 seconds" })),
        handlers: First.handlers,
        timeout: () => GenServer.next(99)
      })
      const counter = yield* GenServer.start(idle)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* GenServer.getState(counter), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* GenServer.getState(counter), 99)
    }))

  onNode(
    "[S12] fails as a call does: nobody there, the server ends, too late, called on itself",
    () =>
      Effect.gen(function*() {
        const reasonOf = (call: Effect.Effect<unknown, CallError.CallError>) =>
          Effect.map(Effect.flip(call), (error) => {
            assert.strictEqual(error.request, "getState")
            return error.reason._tag
          })
        const nobody = yield* GenServer.named(Counter, "nobody")
        assert.strictEqual(yield* reasonOf(GenServer.getState(nobody)), "NoProcess")

        const busy = yield* GenServer.startDetached(First, 0)
        yield* busy.Wait({ gate: yield* Deferred.make<void>() })
        const late = yield* Effect.forkChild(reasonOf(GenServer.getState(busy, { timeout: "1 second" })))
        const usual = yield* Effect.forkChild(reasonOf(GenServer.getState(busy)))
        const ended = yield* Effect.forkChild(reasonOf(GenServer.getState(busy, { timeout: "1 minute" })))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(late), "CallTimeout")
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual(yield* Fiber.join(usual), "CallTimeout")
        yield* Process.kill(busy)
        assert.strictEqual(yield* Fiber.join(ended), "ProcessExit")

        class Inner extends Protocol.make("Inner", Message.Call("Look", { success: Schema.Unknown })) {}
        const inner = GenServer.make(Inner, {
          init: () => Effect.succeed(0),
          handlers: {
            Look: () => Effect.flatMap(GenServer.named(Inner, "inner"), (self) => Effect.flip(GenServer.getState(self)))
          }
        })
        const self = yield* GenServer.start(inner, undefined, { name: "inner" })
        assert.strictEqual(((yield* self.Look()) as CallError.CallError).reason._tag, "CallingSelf")
      })
  )

  onNode("of a format that throws is a defect of whoever asks; the server goes on", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Counter, {
        init: () => Effect.succeed(0),
        handlers: First.handlers,
        format: () => {
          throw new Error("in format")
        }
      })
      const counter = yield* GenServer.start(server)
      const exit = yield* Effect.exit(GenServer.getState(counter))
      assert.strictEqual(exit._tag, "Failure")
      assert.strictEqual(yield* counter.Get(), 0)
    }))
})

describe("a snapshot", () => {
  onNode(
    "is the encoded state with the version of the server; a server starts from it and init does not run",
    () =>
      Effect.gen(function*() {
        const counter = yield* GenServer.start(Second, 1)
        yield* counter.Add({ n: 2 })
        const snapshot = yield* GenServer.snapshot(counter)
        assert.deepStrictEqual(snapshot, { version: 2, state: { count: 5, steps: 1 } })
        let inits = 0
        const server = GenServer.make(Counter, {
          init: (from: number) => Effect.sync(() => ({ count: from, steps: ++inits })),
          handlers: Second.handlers,
          upgrade
        })
        const again = yield* GenServer.startFrom(server, snapshot, { name: "again" })
        assert.strictEqual(yield* again.Add({ n: 1 }), 7)
        assert.deepStrictEqual(yield* GenServer.getState(again), { count: 7, steps: 2 })
        assert.strictEqual(inits, 0)
        assert.isTrue(Option.isSome(yield* Process.whereis("again")))
      })
  )

  onNode("of an earlier version is brought up", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.startFrom(Second, { version: 1, state: 7 })
      assert.strictEqual(yield* counter.Get(), 7)
    }))

  onNode("[S14] that is refused leaves no process and no name", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        GenServer.startFrom(Second, { version: 2, state: { count: 1, steps: "many" } }, { name: "counter" })
      )
      assert.instanceOf(error, StateUpgrade.UpgradeError)
      assert.strictEqual(error.subject, "counter")
      assert.deepInclude(error.reason, { _tag: "MalformedState", version: 2, path: ["steps"] })
      assert.deepStrictEqual(yield* Process.registered, [])
      assert.strictEqual((yield* Node.statistics).processes, 0)
      const newer = yield* Effect.flip(GenServer.startFrom(Second, { version: 3, state: 1 }))
      assert.strictEqual(newer.reason._tag, "VersionTooNew")
    }))

  onNode("of a server without upgrade is refused, both ways", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.start(First, 1)
      const out = yield* Effect.flip(GenServer.snapshot(counter))
      assert.strictEqual(out.reason._tag, "NoUpgrade")
      assert.strictEqual(yield* counter.Get(), 1)
      const back = yield* Effect.flip(GenServer.startFrom(First, { version: 1, state: 1 }))
      assert.strictEqual(back.reason._tag, "NoUpgrade")
    }))

  onNode("of a state that does not fit its schema is refused, and the server goes on", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.start(Second, 0.5)
      const error = yield* Effect.flip(GenServer.snapshot(counter))
      assert.deepInclude(error.reason, { _tag: "MalformedState", path: ["count"] })
      assert.strictEqual(yield* counter.Get(), 0.5)
    }))

  onNode("can be an argument of init, for a server that acquires something besides", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Counter, {
        init: (snapshot?: StateUpgrade.Snapshot) =>
          snapshot === undefined ? Effect.succeed({ count: 0, steps: 0 }) : StateUpgrade.decode(upgrade, snapshot),
        handlers: Second.handlers,
        upgrade
      })
      assert.strictEqual(yield* Effect.flatMap(GenServer.start(server), (ref) => ref.Get()), 0)
      assert.strictEqual(
        yield* Effect.flatMap(GenServer.start(server, { version: 1, state: 3 }), (ref) => ref.Get()),
        3
      )
      const error = yield* Effect.flip(GenServer.start(server, { version: 5, state: 3 }))
      assert.instanceOf(error, StateUpgrade.UpgradeError)
    }))
})

describe("changeCode", () => {
  everySeed(
    "goes on with the new handlers and the upgraded state; pid, name and links stay",
    () =>
      Effect.gen(function*() {
        const first = yield* GenServer.start(First, 1, { name: "counter" })
        const watcher = yield* Process.spawnDetached(() =>
          Effect.gen(function*() {
            yield* Process.trapExit(true)
            yield* Process.link(first)
            yield* Process.monitor(first)
            return yield* Effect.never
          })
        )
        yield* TestNode.settle
        assert.strictEqual(yield* first.Add({ n: 1 }), 2)
        const second = yield* GenServer.changeCode(first, Second)
        assert.strictEqual(yield* second.Add({ n: 1 }), 4)
        assert.strictEqual(yield* first.Get(), 4)
        assert.strictEqual(second.pid, first.pid)
        const info = Option.getOrThrow(yield* Process.info(first))
        assert.deepStrictEqual(info.names, ["counter"])
        assert.deepStrictEqual(info.links, [watcher])
        assert.strictEqual(info.monitoredBy > 0, true)
        assert.strictEqual(info.state, "4 after 1")
      })
  )

  everySeed(
    "comes between two messages: what waits is handled by the new server, in order",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const counter = yield* GenServer.start(First, 1)
        yield* counter.Wait({ gate })
        yield* TestNode.settle
        const before = yield* Effect.forkChild(counter.Add({ n: 1 }))
        yield* TestNode.settle
        const change = yield* Effect.forkChild(GenServer.changeCode(counter, Second))
        yield* TestNode.settle
        const after = yield* Effect.forkChild(counter.Add({ n: 1 }))
        yield* TestNode.settle
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(change)
        assert.deepStrictEqual([yield* Fiber.join(before), yield* Fiber.join(after)], [2, 4])
      })
  )

  everySeed("finds waiting messages again in a protocol that orders them otherwise", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const WideServer = GenServer.make(Wide, {
        init: () => Effect.succeed({ count: 0, steps: 0 }),
        handlers: { ...Second.handlers, Steps: (_, { steps }) => steps },
        upgrade
      })
      // One place in the mailbox: the second cast waits outside of it.
      const counter = yield* GenServer.start(First, 1, { mailbox: { capacity: 1 } })
      yield* counter.Wait({ gate })
      yield* TestNode.settle
      const change = yield* Effect.forkChild(GenServer.changeCode(counter, WideServer))
      yield* TestNode.settle
      const open = yield* Deferred.make<void>()
      yield* Deferred.succeed(open, undefined)
      const casts = yield* Effect.forkChild(
        Effect.all([counter.Wait({ gate: open }), counter.Wait({ gate: open })], { concurrency: 2, discard: true })
      )
      yield* TestNode.settle
      yield* Deferred.succeed(gate, undefined)
      const wide = yield* Fiber.join(change)
      yield* Fiber.join(casts)
      yield* TestNode.settle // the mailbox has one place
      assert.strictEqual(yield* wide.Add({ n: 1 }), 3)
      assert.strictEqual(yield* wide.Steps(), 1)
      assert.strictEqual(yield* counter.Add({ n: 1 }), 5)
    }))

  onNode("keeps the callers that are to be answered later", () =>
    Effect.gen(function*() {
      class Desk extends Protocol.make(
        "Desk",
        Message.Call("Ask", { success: Schema.String }),
        Message.Cast("Answer")
      ) {}
      type Waiting = ReadonlyArray<Handler.From<string>>
      const server = GenServer.make(Desk, {
        init: () => Effect.succeed<Waiting>([]),
        handlers: {
          Ask: (_, waiting, { from }) => GenServer.noReply([...waiting, from]),
          Answer: () => {}
        }
      })
      const Waiting = Schema.Any as Schema.Codec<Waiting>
      const answering = GenServer.make(Desk, {
        init: () => Effect.succeed<Waiting>([]),
        handlers: {
          Ask: server.handlers.Ask,
          Answer: (_, waiting) =>
            Effect.as(Effect.forEach(waiting, (from) => GenServer.replyTo(from, "at last")), GenServer.next([]))
        },
        upgrade: StateUpgrade.make(Waiting)
      })
      const desk = yield* GenServer.start(server)
      const asking = yield* Effect.forkChild(desk.Ask())
      yield* TestNode.settle
      yield* GenServer.changeCode(desk, answering)
      yield* desk.Answer()
      assert.strictEqual(yield* Fiber.join(asking), "at last")
    }))

  onNode("gives the new server the services of whoever asks", () =>
    Effect.gen(function*() {
      class Rate extends Context.Service<Rate, number>()("test/Rate") {}
      const server = GenServer.make(Counter, {
        init: () => Effect.succeed({ count: 0, steps: 0 }),
        handlers: {
          ...Second.handlers,
          Add: ({ n }, state) =>
            Effect.map(Rate, (rate) =>
              GenServer.reply(state.count + rate * n, { ...state, count: state.count + rate * n }))
        },
        upgrade
      })
      const counter = yield* GenServer.start(First, 1)
      yield* Effect.provideService(GenServer.changeCode(counter, server), Rate, 10)
      assert.strictEqual(yield* counter.Add({ n: 2 }), 21)
      assert.strictEqual(yield* counter.Add({ n: 2 }), 41)
      const self = yield* GenServer.getState(counter)
      assert.deepStrictEqual(self, { count: 41, steps: 0 })
    }))

  onNode(
    "can be done again and again; terminate and format are those of the present server",
    () =>
      Effect.gen(function*() {
        const ends: Array<unknown> = []
        const Third = GenServer.make(Counter, {
          init: () => Effect.succeed({ count: 0 }),
          handlers: {
            Add: (_, state) => GenServer.reply(-1, state),
            Get: (_, { count }) => count,
            Wait: wait,
            Park: (_, state) => GenServer.noReply(state)
          },
          terminate: (_, state) => Effect.sync(() => ends.push(state)),
          upgrade: upgrade.next(Schema.Struct({ count: Schema.Int }), ({ count }) => ({ count }))
        })
        const counter = yield* GenServer.startDetached(First, 5)
        yield* GenServer.changeCode(counter, Second)
        yield* GenServer.changeCode(counter, Second)
        yield* GenServer.changeCode(counter, Third)
        assert.deepStrictEqual(yield* GenServer.snapshot(counter), { version: 3, state: { count: 5 } })
        yield* Process.stop(counter)
        assert.deepStrictEqual(ends, [{ count: 5 }])
      })
  )

  const broken: ReadonlyArray<readonly [what: string, server: typeof Second, tag: string]> = [
    [
      "whose step throws",
      GenServer.make(Counter, {
        init: Second.init,
        handlers: Second.handlers,
        upgrade: StateUpgrade.make(Schema.Int).next(State, (): never => {
          throw new Error("in a step")
        })
      }),
      "StepFailed"
    ],
    [
      "whose step fails later",
      GenServer.make(Counter, {
        init: Second.init,
        handlers: Second.handlers,
        upgrade: StateUpgrade.make(Schema.Int).next(
          State,
          () => Effect.andThen(Effect.yieldNow, Effect.fail("in a step"))
        )
      }),
      "StepFailed"
    ],
    [
      "that takes the old state for something else",
      GenServer.make(Counter, {
        init: Second.init,
        handlers: Second.handlers,
        upgrade: StateUpgrade.make(Schema.String).next(State, () => ({ count: 0, steps: 0 }))
      }),
      "MalformedState"
    ],
    ["without upgrade", GenServer.make(Counter, { init: Second.init, handlers: Second.handlers }), "NoUpgrade"]
  ]
  for (const [what, server, tag] of broken) {
    everySeed(
      `to a server ${what} fails, and the old one goes on as if nothing had been`,
      () =>
        Effect.gen(function*() {
          const counter = yield* GenServer.start(First, 1, { name: "counter" })
          const error = yield* Effect.flip(GenServer.changeCode(counter, server))
          assert.instanceOf(error, StateUpgrade.UpgradeError)
          assert.strictEqual(error.reason._tag, tag)
          assert.strictEqual(error.subject, "counter")
          assert.strictEqual(yield* counter.Add({ n: 1 }), 2)
          assert.strictEqual(yield* GenServer.getState(counter), 2)
        })
    )
  }

  onNode("to an older version is refused", () =>
    Effect.gen(function*() {
      const counter = yield* GenServer.start(Second, 1)
      const older = GenServer.make(Counter, {
        init: (from: number) => Effect.succeed(from),
        handlers: First.handlers,
        upgrade: StateUpgrade.make(Schema.Int)
      })
      const error = yield* Effect.flip(GenServer.changeCode(counter, older))
      assert.deepStrictEqual(error.reason, new StateUpgrade.VersionTooNew({ version: 2, newest: 1 }))
      assert.strictEqual(yield* counter.Add({ n: 1 }), 3)
    }))

  onNode("to a protocol that lacks messages is refused, where the types did not see it", () =>
    Effect.gen(function*() {
      class Narrow extends Protocol.make("Narrow", Message.Call("Get", { success: Schema.Int })) {}
      const narrow = GenServer.make(Narrow, {
        init: () => Effect.succeed(1),
        handlers: { Get: (_, count) => count },
        upgrade: StateUpgrade.make(Schema.Int)
      })
      const counter = yield* GenServer.start(First, 1)
      const unseen = narrow as unknown as GenServer.GenServer<void, Protocol.Messages<typeof Counter>, never, never>
      const error = yield* Effect.flip(GenServer.changeCode(counter, unseen))
      assert.deepStrictEqual(
        error.reason,
        new StateUpgrade.MessagesMissing({ messages: ["Add", "Wait", "Park"] })
      )
      assert.strictEqual(yield* counter.Get(), 1)
    }))

  onNode("in the middle of a step can be killed, and whoever asked learns of it", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Counter, {
        init: Second.init,
        handlers: Second.handlers,
        upgrade: StateUpgrade.make(Schema.Int).next(State, () => Effect.never)
      })
      const counter = yield* GenServer.startDetached(First, 1)
      const end = yield* endOf(counter)
      const change = yield* Effect.forkChild(Effect.flip(GenServer.changeCode(counter, server)))
      yield* TestNode.settle
      yield* Process.kill(counter)
      assert.deepStrictEqual(yield* Fiber.join(end), ExitReason.killed)
      assert.strictEqual((yield* Fiber.join(change)).reason._tag, "ProcessExit")
    }))

  onNode("that nobody waits for any more does not happen", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const counter = yield* GenServer.start(First, 1)
      yield* counter.Wait({ gate })
      const change = yield* Effect.forkChild(GenServer.changeCode(counter, Second))
      yield* TestNode.settle
      yield* Fiber.interrupt(change)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* counter.Add({ n: 1 }), 2)
    }))

  onNode("of a server in closure style is refused: its state is in its variables", () =>
    Effect.gen(function*() {
      const closure = GenServer.make(Counter, (from: number) =>
        Effect.sync(() => {
          let count = from
          return Counter.of({
            Add: ({ n }) => count += n,
            Get: () => count,
            Wait: wait,
            Park: () => "now"
          })
        }))
      const counter = yield* GenServer.start(closure, 1)
      const from = yield* Effect.flip(GenServer.changeCode(counter, Second))
      assert.strictEqual(from.reason._tag, "MalformedState")
      assert.strictEqual(yield* counter.Add({ n: 1 }), 2)
      const other = yield* GenServer.start(First, 1)
      const to = yield* Effect.flip(GenServer.changeCode(other, closure))
      assert.strictEqual(to.reason._tag, "NoUpgrade")
    }))

  onNode("shows in info and in what observers see", () =>
    Effect.gen(function*() {
      class Renamed extends Protocol.make("Renamed", ...Counter.messages, Message.Cast("Extra")) {}
      const renamed = GenServer.make(Renamed, {
        init: () => Effect.succeed({ count: 0, steps: 0 }),
        handlers: { ...Second.handlers, Extra: () => {} },
        upgrade
      })
      const counter = yield* GenServer.start(First, 1)
      yield* GenServer.changeCode(counter, renamed)
      const info = Option.getOrThrow(yield* Process.info(counter))
      assert.strictEqual(info.behaviour, "Renamed")
      assert.deepStrictEqual(info.state, { count: 1, steps: 0 })
    }))
})

// A Down is what observers of the process get, whichever code it ran last.
describe("after a change", () => {
  onNode("the end is seen as ever", () =>
    Effect.gen(function*() {
      const reason = yield* Process.run(Effect.gen(function*() {
        const counter = yield* GenServer.startDetached(First, 1)
        yield* Process.monitor(counter)
        yield* GenServer.changeCode(counter, Second)
        yield* Process.exit(counter, ExitReason.error("bad"))
        return (yield* Process.receive(Signal.DownSchema)).reason
      }))
      assert.deepStrictEqual(reason, ExitReason.error("bad"))
    }))
})
