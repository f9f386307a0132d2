/**
 * State machines as processes: what the core decides is told in internal/StateMachineCore.test.ts; here it happens.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Option, Schema } from "effect"
import {
  ExitReason,
  type GenServer,
  type Handler,
  Message,
  Node,
  Process,
  Protocol,
  StateMachine,
  Supervisor
} from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class Jam extends Schema.TaggedError<Jam>()("Jam", { cents: Schema.Int }) {}

class Turnstile extends Protocol.make(
  "Turnstile",
  Message.Cast("Coin", { payload: { cents: Schema.Int } }),
  Message.Call("Push", { success: Schema.Boolean, error: Jam }),
  Message.Call("Cents", { success: Schema.Int })
) {}

const TurnstileMachine = StateMachine.make(Turnstile, {
  init: (cents: number) => Effect.succeed(StateMachine.started("Locked", cents)),
  states: {
    Locked: {
      Coin: ({ cents }, total) => StateMachine.nextState("Open", total + cents),
      Push: (_, total) => total === 13 ? Effect.fail(new Jam({ cents: total })) : false
    },
    Open: {
      Coin: () => StateMachine.keep(StateMachine.postpone),
      Push: (_, total) => StateMachine.nextState("Locked", total, StateMachine.reply(true))
    }
  },
  any: {
    Cents: (_, total) => total
  }
})

describe("a state machine", () => {
  everySeed("has handlers for each state, and some for all", () =>
    Effect.gen(function*() {
      const turnstile = yield* StateMachine.start(TurnstileMachine, 0)
      assert.isFalse(yield* turnstile.Push())
      yield* turnstile.Coin({ cents: 50 })
      yield* turnstile.Coin({ cents: 20 })
      assert.strictEqual(yield* turnstile.Cents(), 50)
      // The second coin waited for the state in which it counts.
      assert.isTrue(yield* turnstile.Push())
      assert.strictEqual(yield* turnstile.Cents(), 70)
      assert.isTrue(yield* turnstile.Push())
      assert.isFalse(yield* turnstile.Push())
    }))

  onNode("answers a call with its declared failure, and stays as it is", () =>
    Effect.gen(function*() {
      const turnstile = yield* StateMachine.start(TurnstileMachine, 13)
      assert.deepStrictEqual(yield* Effect.flip(turnstile.Push()), new Jam({ cents: 13 }))
      assert.strictEqual(yield* turnstile.Cents(), 13)
    }))

  it("can be tested without a process", () => {
    const { Locked, Open } = TurnstileMachine.states
    assert.deepStrictEqual(Locked.Coin({ cents: 5 }, 1), StateMachine.nextState("Open", 6))
    assert.deepStrictEqual(Open.Coin(), StateMachine.keep(StateMachine.postpone))
    assert.deepStrictEqual(Open.Push(undefined, 7), StateMachine.nextState("Locked", 7, StateMachine.reply(true)))
  })

  onNode("has names, services and layers, and is shown by what format makes of it", () =>
    Effect.gen(function*() {
      class MyTurnstile extends StateMachine.Service<MyTurnstile>()("test/MyTurnstile", Turnstile) {}
      const layer = StateMachine.layer(MyTurnstile, TurnstileMachine, 5, { name: "gate" })
      yield* Effect.gen(function*() {
        const turnstile = yield* MyTurnstile
        const named = yield* StateMachine.named(Turnstile, "gate")
        yield* named.Coin({ cents: 1 })
        yield* named.Coin({ cents: 1 })
        assert.strictEqual(yield* turnstile.Cents(), 6)
        const info = Option.getOrThrow(yield* Process.info(turnstile))
        assert.deepStrictEqual(info.state, { state: "Open", data: 6, postponed: 1 })
        assert.strictEqual(info.behaviour, "Turnstile")
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(yield* Process.whereis("gate"), Option.none())
    }))

  onNode(
    "asks the state before the handlers for all states, and who names the message before otherwise",
    () =>
      Effect.gen(function*() {
        const machine = StateMachine.make(Turnstile, {
          init: () => Effect.succeed(StateMachine.started("A")),
          states: {
            A: {
              Cents: () => 1,
              otherwise: (event) => event.kind === "Call" ? StateMachine.keep() : StateMachine.nextState("B")
            },
            B: { Coin: () => {} }
          },
          any: {
            Cents: () => 2,
            Push: () => true,
            otherwise: () => StateMachine.stop(ExitReason.error("never"))
          }
        })
        const ref = yield* StateMachine.start(machine)
        assert.strictEqual(yield* ref.Cents(), 1)
        assert.isTrue(yield* ref.Push())
        yield* ref.Coin({ cents: 1 })
        assert.strictEqual(yield* ref.Cents(), 2)
      })
  )

  onNode(
    "is a child of a supervisor as any server, and begins anew when it is restarted",
    () =>
      Effect.gen(function*() {
        yield* Supervisor.start(Supervisor.make({
          strategy: "one_for_one",
          children: [Supervisor.child("gate", TurnstileMachine, 3, { name: "gate" })]
        }))
        const turnstile = yield* StateMachine.named(Turnstile, "gate")
        yield* turnstile.Coin({ cents: 1 })
        assert.strictEqual(yield* turnstile.Cents(), 4)
        yield* Process.kill(turnstile)
        yield* TestNode.settle
        assert.strictEqual(yield* turnstile.Cents(), 3)
        assert.isFalse(yield* turnstile.Push())
      })
  )

  it("is refused when it could meet a message it does not handle, by those who go past the types", () => {
    const init = () => Effect.succeed(StateMachine.started("A"))
    const make = (parts: object) => () => StateMachine.make(Turnstile as never, { init, ...parts } as never)
    assert.throws(make({ states: { A: { Coin: () => {} } } }), /Turnstile, state A: nothing handles Push/)
    assert.throws(
      make({ states: { A: { otherwise: () => {}, Pussh: () => {} } } }),
      /Turnstile, A: Pussh is no message of the machine/
    )
    const clash = Protocol.make("Clash", Message.Cast("enter"))
    assert.throws(
      () => StateMachine.make(clash as never, { init, states: { A: { enter: () => {} } } } as never),
      /cannot be called enter/
    )
  })
})

// --- a machine that does what it is told -----------------------------------------------------------------------------

const Note = Message.Info("Note", { payload: { text: Schema.String } })

class Bench extends Protocol.make(
  "Bench",
  Message.Cast("Do", { payload: { what: Schema.String } }),
  Message.Call("Log", { success: Schema.Array(Schema.String) }),
  Message.Call("Wait", { success: Schema.String, error: Jam }),
  Message.Info("Ping", { payload: { n: Schema.Int } })
) {}

type Entry = string
interface BenchData {
  readonly log: Array<Entry>
  readonly open: ReadonlyArray<Handler.From<string, Jam>>
}

type BenchAction = StateMachine.Action<typeof Note>

/** What the texts of `Do` mean, in any state. */
const deeds: {
  readonly [what: string]: (
    data: BenchData
  ) => StateMachine.Transition<"A" | "B" | StateMachine.RepeatedState, BenchData, BenchAction>
} = {
  a: () => StateMachine.nextState("A"),
  b: () => StateMachine.nextState("B"),
  repeat: () => StateMachine.repeat(),
  postpone: () => StateMachine.keep(StateMachine.postpone),
  state: () => StateMachine.keep(StateMachine.stateTimeout("1 second")),
  stateNote: () => StateMachine.keep(StateMachine.stateTimeout("1 second", Note, { text: "state" })),
  stateUpdate: () => StateMachine.keep(StateMachine.updateStateTimeout(Note, { text: "updated" })),
  stateCancel: () => StateMachine.keep(StateMachine.cancelStateTimeout),
  event: () => StateMachine.keep(StateMachine.eventTimeout("1 second")),
  eventCancel: () => StateMachine.keep(StateMachine.eventTimeout("1 second"), StateMachine.cancelEventTimeout),
  named: () => StateMachine.keep(StateMachine.timeout(Note, "1 second", { text: "named" })),
  keyed: () =>
    StateMachine.keep(
      StateMachine.timeout(Note, "2 seconds", { text: "k1" }, { key: 1 }),
      StateMachine.timeout(Note, "1 second", { text: "k2" }, { key: "1" })
    ),
  unkey: () =>
    StateMachine.keep(
      StateMachine.cancelTimeout(Note, { key: 1 }),
      StateMachine.updateTimeout(Note, { text: "new" }, { key: "1" })
    ),
  zero: () =>
    StateMachine.keep(
      StateMachine.stateTimeout(0),
      StateMachine.nextEvent(Note, { text: "1" }),
      StateMachine.nextEvent(Note, { text: "2" })
    ),
  release: (data) =>
    StateMachine.keepState(
      { ...data, open: [] },
      ...data.open.map((from, i) =>
        i === 0 ? StateMachine.replyTo(from, "released") : StateMachine.failTo(from, new Jam({ cents: i }))
      )
    ),
  stop: () => StateMachine.stop(ExitReason.shutdown)
}

const make = (
  options?: { readonly slow?: Deferred.Deferred<void>; readonly ended?: Deferred.Deferred<ReadonlyArray<unknown>> }
) =>
  StateMachine.make(Bench, {
    internal: [Note],
    init: () => Effect.succeed(StateMachine.started("A", { log: [], open: [] } as BenchData)),
    states: {
      A: {
        enter: (previous, { log }, context) => {
          log.push(`enter ${previous} -> ${context.state}`)
        },
        Wait: () => StateMachine.keep(StateMachine.postpone)
      },
      B: {
        enter: (previous, { log }, context) =>
          Effect.sync(() => {
            log.push(`enter ${previous} -> ${context.state}`)
          }),
        Wait: (_, data, { from }) => StateMachine.keepState({ ...data, open: [...data.open, from] })
      }
    },
    any: {
      Do: ({ what }, data, context) => {
        data.log.push(`${what} in ${context.state}`)
        if (what === "slow") return Effect.as(Deferred.await(options!.slow!), StateMachine.nextState("B"))
        if (what === "die") throw new Error("told to")
        if (what === "fail") return Effect.fail("undeclared")
        return deeds[what]!(data)
      },
      Log: (_, { log }) => [...log],
      Ping: ({ n }, { log }) => {
        log.push(`ping ${n}`)
      },
      Note: ({ text }, { log }, context) => {
        log.push(`note ${text} in ${context.state}`)
      },
      stateTimeout: ({ log }, context) => {
        log.push(`state timeout in ${context.state}`)
      },
      eventTimeout: ({ log }) => {
        log.push("event timeout")
      },
      down: (signal, { log }) => {
        log.push(`down ${ExitReason.format(signal.reason)}`)
      },
      exit: (signal, { log }) => {
        log.push(`exit ${ExitReason.format(signal.reason)}`)
      }
    },
    terminate: (reason, state, { log }) =>
      options?.ended === undefined
        ? Effect.void
        : Deferred.succeed(options.ended, [ExitReason.format(reason), state, log.at(-1)])
  })

type BenchRef = Effect.Success<ReturnType<typeof begin>>
const begin = (options?: Parameters<typeof make>[0], start?: GenServer.StartOptions) =>
  StateMachine.start(make(options), undefined, start)

const tell = (ref: BenchRef, ...whats: ReadonlyArray<string>) =>
  Effect.forEach(whats, (what) => ref.Do({ what }), { discard: true })

/** The log since the start, without the entry into the first state. */
const logOf = (ref: BenchRef) => Effect.map(ref.Log(), (log) => log.slice(1))

describe("enter", () => {
  everySeed(
    "runs before any message for the first state, with itself as the previous one",
    () =>
      Effect.gen(function*() {
        const ref = yield* begin()
        yield* tell(ref, "b", "b", "repeat", "a")
        assert.deepStrictEqual(yield* ref.Log(), [
          "enter A -> A",
          "b in A",
          "enter A -> B",
          "b in B",
          "repeat in B",
          "enter B -> B",
          "a in B",
          "enter B -> A"
        ])
      })
  )

  onNode(
    "may be an Effect, use services, start timeouts and stop; a start does not wait for it",
    () =>
      Effect.gen(function*() {
        class Gate extends Context.Service<Gate, Deferred.Deferred<void>>()("test/Gate") {}
        const machine = StateMachine.make(Turnstile, {
          init: () => Effect.succeed(StateMachine.started("Opening")),
          states: {
            Opening: {
              enter: () =>
                Effect.gen(function*() {
                  yield* Deferred.await(yield* Gate)
                  return StateMachine.keep(StateMachine.stateTimeout(0))
                }),
              stateTimeout: () => StateMachine.nextState("Closing"),
              otherwise: () => StateMachine.keep(StateMachine.postpone)
            },
            Closing: {
              enter: () => StateMachine.stop(ExitReason.shutdownWith("closed")),
              otherwise: () => {}
            }
          }
        })
        const gate = yield* Deferred.make<void>()
        const ref = yield* StateMachine.start(machine).pipe(Effect.provideService(Gate, gate))
        const ended = yield* endOf(ref)
        const call = yield* Effect.forkChild(Effect.flip(ref.Cents()))
        yield* TestNode.settle
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* Fiber.join(ended), ExitReason.shutdownWith("closed"))
        const error = yield* Fiber.join(call)
        assert.isTrue(error._tag === "CallError" && error.reason._tag === "ProcessExit")
      })
  )

  onNode("that fails ends the machine, with the state it was to enter", () =>
    Effect.gen(function*() {
      const states: Array<string> = []
      const machine = StateMachine.make(Turnstile, {
        init: () => Effect.succeed(StateMachine.started("A")),
        states: {
          A: { otherwise: () => StateMachine.nextState("B") },
          B: { enter: () => Effect.fail("no entry"), otherwise: () => {} }
        },
        terminate: (_, state) =>
          Effect.sync(() => {
            states.push(state)
          })
      })
      const ref = yield* StateMachine.startDetached(machine)
      const ended = yield* endOf(ref)
      yield* ref.Coin({ cents: 1 })
      assert.strictEqual(ExitReason.format(yield* Fiber.join(ended)), "no entry")
      assert.deepStrictEqual(states, ["B"])
    }))
})

describe("an enter that fails", () => {
  onNode("is no error reply to the call that led there", () =>
    Effect.gen(function*() {
      const machine = StateMachine.make(Turnstile, {
        init: () => Effect.succeed(StateMachine.started("A")),
        states: {
          A: { Push: () => StateMachine.nextState("B"), otherwise: () => {} },
          B: { enter: () => Effect.fail(new Jam({ cents: 1 })), otherwise: () => {} }
        }
      })
      const ref = yield* StateMachine.startDetached(machine)
      const error = yield* Effect.flip(ref.Push())
      assert.isTrue(error._tag === "CallError" && error.reason._tag === "ProcessExit")
      assert.isFalse(yield* Process.isAlive(ref))
    }))
})

describe("timeouts", () => {
  everySeed("of the state fire once, in the state, and not after it was left", () =>
    Effect.gen(function*() {
      const ref = yield* begin()
      yield* tell(ref, "state")
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(yield* logOf(ref), ["state in A"])
      yield* TestClock.adjust("1 millis")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* logOf(ref), ["state in A", "state timeout in A"])
      yield* tell(ref, "state", "b", "a")
      yield* TestClock.adjust("10 seconds")
      assert.notInclude((yield* logOf(ref)).slice(2), "state timeout in A")
      yield* tell(ref, "state", "stateCancel")
      yield* TestClock.adjust("10 seconds")
      assert.notInclude((yield* logOf(ref)).slice(2), "state timeout in A")
    }))

  onNode(
    "restart when they are started again, and may have a message, which an update replaces",
    () =>
      Effect.gen(function*() {
        const ref = yield* begin()
        yield* tell(ref, "stateNote")
        yield* TestClock.adjust("900 millis")
        yield* tell(ref, "stateNote")
        yield* TestClock.adjust("900 millis")
        yield* tell(ref, "stateUpdate")
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual((yield* logOf(ref)).slice(3), ["note updated in A"])
        yield* tell(ref, "stateUpdate")
        assert.deepStrictEqual((yield* logOf(ref)).slice(4), ["stateUpdate in A", "note updated in A"])
      })
  )

  everySeed("of the event fire unless any event comes", () =>
    Effect.gen(function*() {
      const ref = yield* begin()
      yield* tell(ref, "event")
      yield* TestClock.adjust("500 millis")
      yield* Process.send(ref, { _tag: "Ping", n: 1 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* logOf(ref), ["event in A", "ping 1"])
      yield* tell(ref, "event")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* logOf(ref)).slice(2), ["event in A", "event timeout"])
      yield* tell(ref, "eventCancel")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* logOf(ref)).slice(4), ["eventCancel in A"])
    }))

  everySeed("of a name go on through changes of state, each key for itself", () =>
    Effect.gen(function*() {
      const ref = yield* begin()
      yield* tell(ref, "named", "keyed", "b")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* logOf(ref)).slice(4), ["note named in B", "note k2 in B", "note k1 in B"])
      yield* tell(ref, "keyed", "unkey")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* logOf(ref)).slice(9), ["note new in B"])
    }))

  everySeed("of zero come before the next message, after what the machine has inserted", () =>
    Effect.gen(function*() {
      const ref = yield* begin()
      yield* tell(ref, "zero", "b")
      assert.deepStrictEqual(yield* logOf(ref), [
        "zero in A",
        "note 1 in A",
        "note 2 in A",
        "state timeout in A",
        "b in A",
        "enter A -> B"
      ])
    }))

  onNode("without a handler for them end the machine, and the reason says what to do", () =>
    Effect.gen(function*() {
      const machine = StateMachine.make(Turnstile, {
        init: () => Effect.succeed(StateMachine.started("A", undefined, StateMachine.stateTimeout("1 second"))),
        states: { A: { otherwise: () => {} } }
      })
      const ref = yield* StateMachine.startDetached(machine)
      const ended = yield* endOf(ref)
      yield* TestClock.adjust("1 second")
      assert.match(
        ExitReason.format(yield* Fiber.join(ended)),
        /state A: a stateTimeout has passed and nothing handles it/
      )
    }))

  onNode("are disarmed when the machine is killed, so that nothing keeps it", () =>
    Effect.gen(function*() {
      // The lists of armed timers by duration, which only the clock shows otherwise.
      const { lists } = (yield* Node.Node).runtime.timers as unknown as {
        readonly lists: ReadonlyMap<number, { readonly first: unknown }>
      }
      const armed = () => [...lists.values()].filter((list) => list.first !== undefined).length
      const ref = yield* begin()
      yield* tell(ref, "state", "keyed")
      yield* TestNode.settle
      assert.strictEqual(armed(), 2)
      yield* Process.kill(ref)
      yield* TestNode.settle
      assert.strictEqual(armed(), 0)
    }))
})

describe("calls", () => {
  everySeed(
    "that are postponed are answered when their state comes, or by a later event",
    () =>
      Effect.gen(function*() {
        const ref = yield* begin()
        const first = yield* Effect.forkChild(ref.Wait())
        yield* TestNode.settle
        const second = yield* Effect.forkChild(Effect.flip(ref.Wait()))
        yield* TestNode.settle
        yield* tell(ref, "b")
        yield* tell(ref, "release")
        assert.strictEqual(yield* Fiber.join(first), "released")
        assert.deepStrictEqual(yield* Fiber.join(second), new Jam({ cents: 1 }))
      })
  )

  onNode("that are open or postponed learn why the machine ended", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<ReadonlyArray<unknown>>()
      const ref = yield* begin({ ended })
      yield* tell(ref, "b")
      const open = yield* Effect.forkChild(Effect.flip(ref.Wait()))
      yield* TestNode.settle
      yield* tell(ref, "a")
      const postponed = yield* Effect.forkChild(Effect.flip(ref.Wait()))
      yield* TestNode.settle
      yield* tell(ref, "stop")
      for (const fiber of [open, postponed]) {
        const error = yield* Fiber.join(fiber)
        assert.isTrue(error._tag === "CallError" && error.reason._tag === "ProcessExit")
        if (error._tag === "CallError" && error.reason._tag === "ProcessExit") {
          assert.deepStrictEqual(error.reason.exitReason, ExitReason.shutdown)
        }
      }
      assert.deepStrictEqual(yield* Deferred.await(ended), ["shutdown", "A", "stop in A"])
    }))

  onNode("whose caller has gone are not handled when they come back", () =>
    Effect.gen(function*() {
      const ref = yield* begin()
      const caller = yield* Effect.forkChild(ref.Wait())
      yield* TestNode.settle
      yield* Fiber.interrupt(caller)
      yield* tell(ref, "b")
      const open = yield* Effect.forkChild(ref.Wait())
      yield* TestNode.settle
      yield* tell(ref, "release")
      assert.strictEqual(yield* Fiber.join(open), "released")
    }))

  onNode(
    "past the bound of postponed events fail with MailboxFull; casts are dropped and counted",
    () =>
      Effect.gen(function*() {
        const ref = yield* begin({}, { mailbox: { capacity: 2 } })
        yield* tell(ref, "postpone", "postpone")
        const error = yield* Effect.flip(ref.Wait())
        assert.isTrue(error._tag === "CallError" && error.reason._tag === "MailboxFull")
        yield* tell(ref, "postpone")
        assert.strictEqual(Option.getOrThrow(yield* Process.info(ref)).dropped, 2)
        yield* tell(ref, "b")
        // Both that were kept came back, and were postponed again.
        assert.deepStrictEqual((yield* logOf(ref)).slice(-3), ["enter A -> B", "postpone in B", "postpone in B"])
      })
  )

  onNode("are answered before the machine stops, by stopAndReply", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const machine = StateMachine.make(Turnstile, {
        init: () => Effect.succeed(StateMachine.started("A")),
        states: {
          A: {
            otherwise: () => {},
            Push: () => StateMachine.stopAndReply([StateMachine.reply(true)], ExitReason.shutdown)
          }
        },
        terminate: (reason) =>
          Effect.sync(() => {
            order.push(`terminate ${ExitReason.format(reason)}`)
          })
      })
      const ref = yield* StateMachine.startDetached(machine)
      assert.isTrue(yield* ref.Push())
      yield* TestNode.settle
      assert.deepStrictEqual(order, ["terminate shutdown"])
      assert.isFalse(yield* Process.isAlive(ref))
    }))

  onNode("that `otherwise` leaves open are answered by whoever has from", () =>
    Effect.gen(function*() {
      const machine = StateMachine.make(Turnstile, {
        init: () => Effect.succeed(StateMachine.started("A")),
        states: {
          A: {
            otherwise: (event) =>
              event._tag === "Cents"
                ? StateMachine.keep(StateMachine.replyTo(event.from, event.kind.length))
                : undefined
          }
        }
      })
      const ref = yield* StateMachine.start(machine)
      assert.strictEqual(yield* ref.Cents(), 4)
      const push = yield* Effect.forkChild(Effect.flip(ref.Push()))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(push)
      assert.isTrue(error._tag === "CallError" && error.reason._tag === "CallTimeout")
    }))
})

describe("handlers", () => {
  everySeed("that are Effects keep their turn: what is sent meanwhile waits", () =>
    Effect.gen(function*() {
      const slow = yield* Deferred.make<void>()
      const ref = yield* begin({ slow })
      yield* tell(ref, "slow", "repeat", "a")
      yield* TestNode.settle
      yield* Deferred.succeed(slow, undefined)
      assert.deepStrictEqual(yield* logOf(ref), [
        "slow in A",
        "enter A -> B",
        "repeat in B",
        "enter B -> B",
        "a in B",
        "enter B -> A"
      ])
    }))

  for (const what of ["die", "fail"]) {
    onNode(`that ${what} end the machine after terminate, with the state of that moment`, () =>
      Effect.gen(function*() {
        const ended = yield* Deferred.make<ReadonlyArray<unknown>>()
        const ref = yield* begin({ ended })
        yield* tell(ref, "b", what)
        const [reason, state, last] = yield* Deferred.await(ended)
        assert.deepStrictEqual([state, last], ["B", `${what} in B`])
        assert.strictEqual(reason, what === "die" ? "Error: told to" : "undeclared")
      }))
  }

  onNode("are interrupted by a kill, and postponed casts count as discarded", () =>
    Effect.gen(function*() {
      const slow = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<ReadonlyArray<unknown>>()
      const ref = yield* begin({ slow, ended })
      yield* tell(ref, "postpone", "postpone", "slow", "b")
      yield* TestNode.settle
      const before = (yield* Node.statistics).discarded
      yield* Process.kill(ref)
      yield* TestNode.settle
      assert.isFalse(yield* Process.isAlive(ref))
      assert.isFalse(yield* Deferred.isDone(ended))
      assert.strictEqual((yield* Node.statistics).discarded - before, 3)
    }))

  onNode("get trapped exits, Downs and unknown terms; without one these are counted", () =>
    Effect.gen(function*() {
      const ref = yield* begin({}, { trapExit: true })
      yield* Process.exit(ref, ExitReason.error("boo"))
      assert.deepStrictEqual(yield* logOf(ref), ["exit boo"])
      yield* Process.send(ref, "what")
      // An internal message is nobody else's to send.
      yield* Process.send(ref, { _tag: "Note", text: "forged" })
      yield* Process.send(ref, { _tag: "Ping", n: 3 })
      assert.deepStrictEqual(yield* logOf(ref), ["exit boo", "ping 3"])
      assert.strictEqual((yield* Node.statistics).unhandled, 2)
    }))

  onNode("get Downs of what they monitor", () =>
    Effect.gen(function*() {
      const downs = yield* Deferred.make<string>()
      const machine = StateMachine.make(Turnstile, {
        init: () =>
          Effect.gen(function*() {
            const pid = yield* Process.spawn(() => Effect.void)
            yield* Process.monitor(pid)
            return StateMachine.started("A")
          }),
        states: {
          A: { otherwise: () => {}, down: ({ reason }) => Effect.asVoid(Deferred.succeed(downs, reason._tag)) }
        }
      })
      yield* StateMachine.start(machine)
      assert.include(["Normal", "NoProc"], yield* Deferred.await(downs))
    }))

  onNode("that insert events for ever leave others their turn, and can be killed", () =>
    Effect.gen(function*() {
      const machine = StateMachine.make(Turnstile, {
        internal: [Note],
        init: () => Effect.succeed(StateMachine.started("A", 0, StateMachine.nextEvent(Note, { text: "again" }))),
        states: {
          A: {
            otherwise: () => {},
            Note: (_, n) => StateMachine.keepState(n + 1, StateMachine.nextEvent(Note, { text: "again" }))
          }
        }
      })
      const ref = yield* StateMachine.startDetached(machine)
      const turnstile = yield* StateMachine.start(TurnstileMachine, 7)
      assert.strictEqual(yield* turnstile.Cents(), 7)
      yield* Process.kill(ref)
      assert.deepStrictEqual(yield* Process.awaitExit(ref), ExitReason.killed)
    }))
})

describe("init", () => {
  class NoLock extends Schema.TaggedError<NoLock>()("NoLock", {}) {}

  onNode("may fail with a typed error, or ignore", () =>
    Effect.gen(function*() {
      const machine = StateMachine.make(Turnstile, {
        init: (how: "fail" | "ignore") =>
          how === "fail" ? Effect.fail(new NoLock()) : Effect.as(Effect.void, StateMachine.ignore),
        states: { A: { otherwise: () => {} } }
      })
      assert.deepStrictEqual(yield* Effect.flip(StateMachine.start(machine, "fail", { name: "m" })), new NoLock())
      const error = yield* Effect.flip(StateMachine.start(machine, "ignore", { name: "m" }))
      assert.isTrue(error._tag === "StartError" && error.reason._tag === "Ignored")
      assert.deepStrictEqual(yield* Process.whereis("m"), Option.none())
    }))

  onNode("may ask for events and timeouts, which the first enter follows", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const machine = StateMachine.make(Turnstile, {
        internal: [Note],
        init: () =>
          Effect.succeed(
            StateMachine.started("A", 1, StateMachine.nextEvent(Note, { text: "first" }), StateMachine.stateTimeout(0))
          ),
        states: {
          A: {
            enter: () => {
              log.push("enter")
            },
            Note: ({ text }) => {
              log.push(text)
            },
            stateTimeout: () => {
              log.push("timeout")
            },
            otherwise: () => {
              log.push("message")
            }
          }
        }
      })
      const ref = yield* StateMachine.start(machine)
      yield* ref.Coin({ cents: 1 })
      yield* TestNode.settle
      assert.deepStrictEqual(log, ["enter", "first", "timeout", "message"])
    }))
})

describe("states with fields", () => {
  const Connection = Schema.TaggedUnion({ Idle: {}, Retrying: { attempt: Schema.Int } })

  class Link extends Protocol.make(
    "Link",
    Message.Cast("Retry"),
    Message.Cast("Same"),
    Message.Call("Attempt", { success: Schema.Int }),
    Message.Call("Entered", { success: Schema.Int })
  ) {}

  const LinkMachine = StateMachine.make(Link, {
    state: Connection,
    init: () => Effect.succeed(StateMachine.started({ _tag: "Idle" }, 0)),
    states: {
      Idle: {
        Retry: () => StateMachine.nextState({ _tag: "Retrying", attempt: 1 }),
        Attempt: () => StateMachine.keep(StateMachine.postpone)
      },
      Retrying: {
        enter: (previous, entered) => StateMachine.keepState(entered + (previous._tag === "Retrying" ? 10 : 1)),
        Retry: (_, data, { state }) => StateMachine.nextState({ _tag: "Retrying", attempt: state.attempt + 1 }, data),
        Attempt: (_, _data, { state }) => state.attempt < 3 ? StateMachine.keep(StateMachine.postpone) : state.attempt
      }
    },
    any: {
      // Another value, the same state.
      Same: (_, data, { state }) => StateMachine.nextState({ ...state }, data),
      Entered: (_, entered) => entered
    }
  })

  everySeed("change when a field does, and not when an equal state is named", () =>
    Effect.gen(function*() {
      const link = yield* StateMachine.start(LinkMachine)
      const attempt = yield* Effect.forkChild(link.Attempt())
      yield* TestNode.settle
      yield* link.Retry()
      yield* link.Same()
      assert.strictEqual(yield* link.Entered(), 1)
      yield* link.Retry()
      yield* link.Retry()
      assert.strictEqual(yield* Fiber.join(attempt), 3)
      assert.strictEqual(yield* link.Entered(), 21)
    }))

  onNode("that the machine does not have end it", () =>
    Effect.gen(function*() {
      const machine = StateMachine.make(Link, {
        init: () => Effect.succeed(StateMachine.started("A")),
        states: { A: { otherwise: () => StateMachine.nextState("B" as "A") } }
      })
      const ref = yield* StateMachine.startDetached(machine)
      const ended = yield* endOf(ref)
      yield* ref.Retry()
      assert.match(ExitReason.format(yield* Fiber.join(ended)), /went to the state B, which it does not have; it has A/)
    }))
})
