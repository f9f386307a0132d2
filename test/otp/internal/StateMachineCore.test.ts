import { assert, describe, it } from "@effect/vitest"
import * as Exit from "effect/Exit"
import {
  type Action,
  eventTimer,
  KEEP,
  NEXT,
  NextEvent,
  Postpone,
  REPEAT,
  ReplyTo,
  StateMachineCore,
  stateTimer,
  StateTransition,
  stay,
  STOP,
  Timeout,
  UpdateTimeout
} from "../../../src/otp/internal/StateMachineCore.ts"
import { runModel } from "./StateMachineModel.ts"
import { randomScript, runScript, showScript } from "./StateMachineScript.ts"

type A = Action<string>

const core = (state = "a", postponedMax = 100) =>
  new StateMachineCore<string>(state, 0, (x, y) => x === y, postponedMax)

const next = (state: string, ...actions: ReadonlyArray<A>) =>
  new StateTransition(NEXT, state, false, undefined, actions, undefined)
const keep = (...actions: ReadonlyArray<A>) =>
  new StateTransition(KEEP, undefined, false, undefined, actions, undefined)
const repeat = (...actions: ReadonlyArray<A>) =>
  new StateTransition(REPEAT, undefined, false, undefined, actions, undefined)
const stop = (...actions: ReadonlyArray<A>) =>
  new StateTransition(STOP, undefined, false, undefined, actions, { _tag: "Normal" } as const)
const postpone = new Postpone()
const insert = (event: string) => new NextEvent(undefined, event)
const start = (key: string, millis: number, event: string) => new Timeout(undefined, key, millis, event)
const update = (key: string, event: string) => new UpdateTimeout(undefined, key, event)
const reply = (n: number) => new ReplyTo(undefined, Exit.succeed(n))

/** Handles everything that waits with one decision per event, `stay` for those not listed; gives what was handled. */
const drain = (
  machine: StateMachineCore<string>,
  on: { readonly [event: string]: StateTransition<unknown, unknown, A> } = {}
) => {
  const handled: Array<string> = []
  for (let event = machine.take(); event !== undefined; event = machine.take()) {
    handled.push(`${event}@${String(machine.state)}`)
    if (machine.decide(on[event] ?? stay) === "enter") machine.entered(stay)
  }
  return handled
}

describe("StateMachineCore", () => {
  it("handles postponed events again, oldest first, after a change of state only", () => {
    const machine = core()
    machine.receive("1")
    assert.deepStrictEqual(drain(machine, { 1: keep(postpone) }), ["1@a"])
    machine.receive("2")
    assert.deepStrictEqual(drain(machine, { 2: keep(postpone) }), ["2@a"])
    machine.receive("same")
    assert.deepStrictEqual(drain(machine, { same: next("a") }), ["same@a"])
    machine.receive("again")
    assert.deepStrictEqual(drain(machine, { again: repeat() }), ["again@a"])
    machine.receive("go")
    assert.deepStrictEqual(drain(machine, { go: next("b") }), ["go@a", "1@b", "2@b"])
    assert.strictEqual(machine.postponedCount, 0)
  })

  it("hands an event that postpones itself and changes the state to the new state", () => {
    const machine = core()
    machine.receive("x")
    machine.take()
    assert.strictEqual(machine.decide(next("b", postpone)), "enter")
    assert.strictEqual(machine.entered(stay), "done")
    assert.deepStrictEqual(drain(machine), ["x@b"])
  })

  it("handles inserted events first and in order, then postponed ones, then timeouts of zero", () => {
    const machine = core()
    machine.receive("late")
    drain(machine, { late: keep(postpone) })
    machine.receive("go")
    assert.deepStrictEqual(
      drain(machine, {
        go: next("b", start(stateTimer, 0, "zero"), insert("i1"), insert("i2")),
        i1: keep(insert("i3"))
      }),
      ["go@a", "i1@b", "i3@b", "i2@b", "late@b", "zero@b"]
    )
  })

  it("ends the state timeout when the state changes, and only then", () => {
    const machine = core()
    machine.receive("arm")
    drain(machine, { arm: keep(start(stateTimer, 50, "up")) })
    assert.deepStrictEqual(machine.flush(), [{ _tag: "Arm", key: "state", millis: 50, generation: 1 }])
    machine.receive("repeat")
    machine.receive("same")
    drain(machine, { repeat: repeat(), same: next("a") })
    assert.strictEqual(machine.flush(), undefined)
    machine.receive("go")
    drain(machine, { go: next("b") })
    assert.deepStrictEqual(machine.flush(), [{ _tag: "Disarm", key: "state" }])
    machine.fired("state", 1)
    assert.deepStrictEqual(drain(machine), [])
  })

  it("starts a state timeout of the same transition for the new state", () => {
    const machine = core()
    machine.receive("go")
    drain(machine, { go: next("b", start(stateTimer, 50, "up")) })
    machine.fired("state", 1)
    assert.deepStrictEqual(drain(machine), ["up@b"])
  })

  it("ends the event timeout with any event, also one of its own", () => {
    const machine = core()
    machine.receive("arm")
    drain(machine, { arm: keep(start(eventTimer, 50, "idle"), insert("own")) })
    assert.deepStrictEqual(machine.flush(), [
      { _tag: "Arm", key: "event", millis: 50, generation: 1 },
      { _tag: "Disarm", key: "event" }
    ])
    machine.receive("arm")
    drain(machine, { arm: keep(start(eventTimer, 50, "idle")) })
    machine.fired("event", 2)
    assert.deepStrictEqual(drain(machine), ["idle@a"])
  })

  it("lets an event timeout of zero come only when nothing else does", () => {
    const machine = core()
    machine.receive("1")
    assert.deepStrictEqual(
      drain(machine, { 1: keep(start(stateTimer, 0, "state"), start(eventTimer, 0, "idle")) }),
      ["1@a", "state@a"]
    )
    machine.receive("2")
    assert.deepStrictEqual(
      drain(machine, { 2: keep(start(eventTimer, 0, "idle"), start(stateTimer, 0, "state")) }),
      ["2@a", "idle@a", "state@a"]
    )
  })

  it("restarts, ends and updates named timeouts, which a change of state does not touch", () => {
    const machine = core()
    machine.receive("arm")
    drain(machine, { arm: keep(start("n", 50, "old"), start("m", 60, "m")) })
    machine.receive("again")
    drain(machine, { again: next("b", start("n", 70, "new")) })
    machine.receive("update")
    drain(machine, { update: keep(update("n", "newest"), start("m", Infinity, "")) })
    assert.deepStrictEqual(machine.flush(), [
      { _tag: "Arm", key: "n", millis: 50, generation: 1 },
      { _tag: "Arm", key: "m", millis: 60, generation: 2 },
      { _tag: "Disarm", key: "n" },
      { _tag: "Arm", key: "n", millis: 70, generation: 3 },
      { _tag: "Disarm", key: "m" }
    ])
    machine.fired("n", 1)
    machine.fired("m", 2)
    assert.deepStrictEqual(drain(machine), [])
    machine.fired("n", 3)
    assert.deepStrictEqual(drain(machine), ["newest@b"])
  })

  it("fires at once when a timeout that does not run is updated", () => {
    const machine = core()
    machine.receive("x")
    assert.deepStrictEqual(drain(machine, { x: keep(update("n", "now")) }), ["x@a", "now@a"])
  })

  it("counts the last of several actions for one timeout", () => {
    const machine = core()
    machine.receive("x")
    const actions = [start("n", 0, "1"), start("m", 0, "m"), start("n", 0, "2")]
    assert.deepStrictEqual(drain(machine, { x: keep(...actions) }), ["x@a", "m@a", "2@a"])
    machine.receive("y")
    assert.deepStrictEqual(drain(machine, { y: keep(start("n", 0, "1"), start("n", Infinity, "")) }), ["y@a"])
  })

  it("sends replies before the state is entered, and those of enter before anything else", () => {
    const machine = core()
    machine.receive("go")
    machine.take()
    assert.strictEqual(machine.decide(next("b", reply(1), start("n", 5, "n"), reply(2))), "enter")
    assert.deepStrictEqual(machine.flush(), [reply(1), reply(2)])
    assert.strictEqual(machine.previous, "a")
    machine.entered(keep(start("m", 6, "m"), reply(3)))
    assert.deepStrictEqual(machine.flush(), [
      reply(3),
      { _tag: "Arm", key: "n", millis: 5, generation: 1 },
      { _tag: "Arm", key: "m", millis: 6, generation: 2 }
    ])
  })

  it("refuses an enter that changes or repeats the state, postpones or inserts", () => {
    for (const decision of [next("c"), repeat(), keep(postpone), keep(insert("x"))]) {
      const machine = core()
      machine.receive("go")
      machine.take()
      machine.decide(next("b"))
      assert.throws(() => machine.entered(decision), /an enter handler cannot/)
    }
    const machine = core()
    machine.receive("go")
    machine.take()
    machine.decide(next("b"))
    assert.strictEqual(machine.entered(next("b")), "done")
  })

  it("stops, with replies, from a handler and from enter", () => {
    const machine = core()
    machine.receive("x")
    machine.take()
    assert.strictEqual(machine.decide(stop(reply(1))), "stop")
    assert.deepStrictEqual(machine.flush(), [reply(1)])
    assert.deepStrictEqual(machine.reason, { _tag: "Normal" })
    const other = core()
    other.receive("x")
    other.take()
    other.decide(next("b"))
    assert.strictEqual(other.entered(stop()), "stop")
  })

  it("hands back what is postponed past the bound", () => {
    const machine = core("a", 2)
    for (const event of ["1", "2", "3"]) machine.receive(event)
    drain(machine, { 1: keep(postpone), 2: keep(postpone), 3: keep(postpone) })
    assert.deepStrictEqual(machine.flush(), [{ _tag: "Drop", event: "3" }])
    assert.deepStrictEqual(machine.abandon(), ["1", "2"])
  })

  it("agrees with the manual in 10 000 random scripts with timers that fire", { timeout: 60_000 }, () => {
    let longest = 0
    for (let seed = 1; seed <= 10_000; seed++) {
      const script = randomScript(seed, true)
      const log = runScript(script)
      longest = Math.max(longest, log.length)
      assert.deepStrictEqual(log, runModel(script), `seed ${seed}: ${showScript(script)}`)
    }
    assert.isAbove(longest, 20)
  })
})
