/**
 * Laws of the supervisor core, in a world where nothing is quick: starts and stops take any number of turns, children
 * die at any time, calls come in between, starts block until they are aborted.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { SupervisorCore } from "../../../src/otp/internal/SupervisorCore.ts"
import type { Action, Answer, ChildInfo, Event, Request } from "../../../src/otp/internal/SupervisorProtocol.ts"
import { type ChildOptions, type SupervisorSpec, validate } from "../../../src/otp/internal/SupervisorSpec.ts"
import { Dice } from "../model/SupervisionGenerator.ts"
import { exitClass, type ScenarioTypes } from "./SupervisorScenario.ts"

interface Running {
  readonly id: string
  readonly refuses: boolean
  told: boolean
  killed: boolean
}

const ids = ["a", "b", "c", "d", "e"]

const makeSpec = (dice: Dice): SupervisorSpec<string> => {
  const strategy = dice.pick(["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"] as const)
  const autoShutdown = dice.pick(["never", "never", "any_significant", "all_significant"] as const)
  const child = (id: string): ChildOptions<string> => {
    const restart = dice.pick(["permanent", "permanent", "transient", "temporary"] as const)
    const significant = autoShutdown !== "never" && restart !== "permanent" && dice.chance(50)
    return { id, start: id, restart, significant, shutdown: dice.pick([100, 200, "infinity", "brutal_kill"] as const) }
  }
  return Result.getOrThrow(validate({
    strategy,
    autoShutdown,
    intensity: dice.below(6),
    periodMillis: dice.pick([1000, 2000, 700]),
    backoff: dice.chance(30) ? {} : undefined,
    children: (strategy === "simple_one_for_one" ? ["t"] : ids.slice(0, 1 + dice.below(4))).map(child)
  }))
}

class World {
  readonly dice: Dice
  readonly spec: SupervisorSpec<string>
  readonly core: SupervisorCore<ScenarioTypes>
  readonly dynamic: boolean
  readonly alive = new Map<string, Running>()
  readonly timers = new Set<number>()
  readonly delays = new Set<number>()
  readonly asked = new Map<string, Request<ScenarioTypes>>()
  readonly log: Array<string> = []
  starting: { readonly child: number; readonly id: string; blocked: boolean } | undefined
  /** Children that may be down at rest. */
  readonly excused = new Set<string>()
  restarts: Array<number> = []
  /** The position of the last child that was told to stop, since anything else was done. */
  lastStop = Infinity
  gaveUp = false
  ended: string | undefined
  now = 0
  private names = 0

  constructor(seed: number) {
    this.dice = new Dice(seed)
    this.spec = makeSpec(this.dice)
    this.core = new SupervisorCore<ScenarioTypes>(this.spec)
    this.dynamic = this.spec.strategy === "simple_one_for_one"
    this.feed({ _tag: "Start" })
  }

  feed(event: Event<ScenarioTypes>): void {
    this.log.push(`${this.now} ${JSON.stringify(event)}`)
    for (const action of this.core.step(this.now, event)) {
      this.log.push(`    ${JSON.stringify(action)}`)
      this.perform(action)
    }
  }

  perform(action: Action<ScenarioTypes>): void {
    assert.isUndefined(this.ended, "nothing happens after the end")
    switch (action._tag) {
      case "StartChild": {
        assert.isUndefined(this.starting, "one start at a time")
        assert.isFalse(this.gaveUp, "no start after giving up")
        if (!this.dynamic) assert.isFalse([...this.alive.values()].some(({ told }) => told), "no start during a stop")
        this.starting = { child: action.child, id: action.spec.id, blocked: this.dice.chance(3) }
        this.lastStop = Infinity
        // Alone, a child is started in the step that decides it; in a group, others are stopped and started first.
        if (action.attempt > 0 && !this.grouped) this.countRestart(this.spec.intensity)
        return
      }
      case "AbortStart":
        assert.strictEqual(this.starting?.child, action.child)
        this.starting!.blocked = action.kill ? false : this.starting!.blocked && this.dice.chance(50)
        return
      case "ExitChild":
      case "KillChild": {
        const process = this.alive.get(action.key)
        assert.isDefined(process, "signals go to processes that were not seen to exit")
        if (!this.dynamic && !process!.told) {
          assert.isFalse([...this.alive.values()].some(({ told }) => told), "one stop at a time")
          const at = this.position(process!.id)
          assert.isBelow(at, this.lastStop, "in reverse order of start")
          this.lastStop = at
        }
        process!.told = true
        if (action._tag === "KillChild") process!.killed = true
        return
      }
      case "ArmTimer":
        this.timers.add(action.timer)
        return
      case "CancelTimer":
        assert.isTrue(this.timers.delete(action.timer), "only armed timers are cancelled")
        return
      case "DelayRestart":
        this.delays.add(action.child)
        return
      case "CancelRestart":
        this.delays.delete(action.child)
        return
      case "Reply": {
        const request = this.asked.get(action.from)
        assert.isDefined(request, "one answer for each request")
        this.asked.delete(action.from)
        this.lastStop = Infinity
        if (request!._tag === "TerminateChild" && action.answer._tag === "Done") this.excuse(request!.id)
        return
      }
      case "Report": {
        const { report } = action
        if (report.kind === "shutdown") this.gaveUp = true
        if (report.kind !== "child_terminated" || report.offender.spec.restart === "temporary") return
        // The decision to restart a group; the one too many is followed by the end.
        if (this.grouped && this.spec.backoff === undefined) this.countRestart(this.spec.intensity + 1)
        return
      }
      case "Initialized":
        return
      case "Exit":
        this.ended = JSON.stringify(action.reason)
        assert.strictEqual(this.alive.size, 0, "nobody is left behind")
        assert.isUndefined(this.starting, "nor half-started")
        assert.strictEqual(this.timers.size, 0, "no timer is left")
        assert.strictEqual(this.delays.size, 0, "no delay is left")
    }
  }

  /** In a group the others wait for the one that is restarting: whoever takes it away leaves them down. */
  excuse(id: string): void {
    this.excused.add(id)
    if (this.spec.strategy !== "one_for_one") { for (const other of ids) this.excused.add(other) }
  }

  get grouped(): boolean {
    return this.spec.strategy === "one_for_all" || this.spec.strategy === "rest_for_one"
  }

  countRestart(allowed: number): void {
    this.restarts.push(this.now)
    const { periodMillis } = this.spec
    const unit = periodMillis % 1000 === 0 ? 1000 : 1
    const second = Math.floor(this.now / unit)
    const recent = this.restarts.filter((then) => second - Math.floor(then / unit) <= periodMillis / unit)
    assert.isAtMost(recent.length, allowed, "never more restarts in the period than the intensity")
  }

  position(id: string): number {
    return this.which().length - this.which().findIndex((child) => child.id === id)
  }

  /** The children in any state, newest first; looks into the core as no shell can. */
  which(): ReadonlyArray<ChildInfo<ScenarioTypes>> {
    const { children } = this.core as unknown as {
      readonly children: { which(): ReadonlyArray<ChildInfo<ScenarioTypes>> }
    }
    return children.which()
  }

  ask(request: Request<ScenarioTypes>): void {
    const from = `r${this.names++}`
    this.asked.set(from, request)
    this.feed({ _tag: "Request", from, request })
  }

  dies(key: string, reason: string): void {
    this.alive.delete(key)
    this.feed({ _tag: "ChildExited", key, exitClass: exitClass(reason), reason })
  }

  finishStart(): void {
    const { child, id } = this.starting!
    this.starting = undefined
    const chance = this.dice.below(100)
    if (chance < 20) return this.feed({ _tag: "ChildStartFailed", child, reason: "busy" })
    if (chance < 25) {
      this.excused.add(id)
      return this.feed({ _tag: "ChildIgnored", child })
    }
    const key = `${id}.${this.names++}`
    this.excused.delete(id)
    this.alive.set(key, { id, refuses: this.dice.chance(15), told: false, killed: false })
    this.feed({ _tag: "ChildStarted", child, key })
  }

  /** What goes on by itself, if anything can. */
  progress(): boolean {
    const possible: Array<() => void> = []
    if (this.starting !== undefined && !this.starting.blocked) possible.push(() => this.finishStart())
    for (const [key, process] of this.alive) {
      if (process.killed) possible.push(() => this.dies(key, "killed"))
      // Who refuses to stop and may take for ever comes to reason some time.
      else if (process.told && (!process.refuses || this.timers.size === 0)) {
        possible.push(() => this.dies(key, this.dice.pick(["shutdown", "shutdown", "normal", "boom"])))
      }
    }
    for (const child of this.delays) {
      possible.push(() => {
        this.delays.delete(child)
        this.feed({ _tag: "Retry", child })
      })
    }
    if (possible.length === 0) {
      for (const timer of this.timers) {
        possible.push(() => {
          this.timers.delete(timer)
          this.feed({ _tag: "TimerFired", timer })
        })
      }
    }
    if (possible.length === 0) return false
    this.dice.pick(possible)()
    return true
  }

  disturb(): void {
    const { dice } = this
    const keys = [...this.alive.keys()]
    const chance = dice.below(100)
    if (chance < 35 && keys.length > 0) {
      this.dies(dice.pick(keys), dice.pick(["boom", "boom", "killed", "normal", "shutdown", "{shutdown}"]))
    } else if (chance < 55) this.now += dice.pick([1, 100, 1000, 3000])
    else if (chance < 56) this.feed({ _tag: "ParentExited", reason: "parent" })
    else if (chance < 60) this.feed({ _tag: "ChildExited", key: "stranger", exitClass: "killed", reason: "killed" })
    else if (chance < 63) this.feed({ _tag: "TimerFired", timer: dice.below(20) + 1000 })
    else if (this.dynamic) {
      if (dice.chance(60) || keys.length === 0) this.ask({ _tag: "StartDynamicChild", args: "x" })
      else this.ask({ _tag: "TerminateDynamicChild", key: dice.pick(keys) })
    } else {
      const id = dice.pick(ids)
      const tag = dice.pick(
        ["TerminateChild", "RestartChild", "DeleteChild", "StartChild", "WhichChildren", "CountChildren"] as const
      )
      if (tag === "StartChild") this.ask({ _tag: tag, spec: { id, start: id } })
      else if (tag === "WhichChildren" || tag === "CountChildren") this.ask({ _tag: tag })
      else this.ask({ _tag: tag, id })
    }
  }

  atRest(): void {
    assert.strictEqual(this.asked.size, 0, "every request is answered")
    assert.strictEqual(this.core.inspect().waiting, 0, "nothing waits")
    assert.strictEqual(this.core.inspect().activity, "idle")
    const running = this.which().flatMap(({ key }) => key === undefined ? [] : [key])
    assert.deepStrictEqual(running.sort(), [...this.alive.keys()].sort(), "it knows who runs")
    for (const { id, status } of this.which()) {
      assert.notStrictEqual(status, "restarting")
      if (id === undefined || status === "running" || this.excused.has(id)) continue
      assert.notStrictEqual(this.restartOf(id), "permanent", `${id} is permanent and down`)
    }
  }

  restartOf(id: string): string {
    let answer: Answer<ScenarioTypes> | undefined
    for (
      const action of this.core.step(this.now, { _tag: "Request", from: "test", request: { _tag: "GetChildSpec", id } })
    ) {
      if (action._tag === "Reply") answer = action.answer
    }
    return answer?._tag === "Spec" ? answer.spec.restart : "unknown"
  }

  run(): void {
    const turns = 20 + this.dice.below(80)
    for (let i = 0; i < turns && this.ended === undefined; i++) {
      if (!this.dice.chance(60) || !this.progress()) this.disturb()
    }
    while (this.ended === undefined && this.progress());
    if (this.ended === undefined && this.starting === undefined) this.atRest()
    // A start that blocks forever does not keep the supervisor from its end.
    if (this.ended === undefined) this.feed({ _tag: "ParentExited", reason: "the end" })
    while (this.ended === undefined && this.progress());
    assert.isDefined(this.ended, "the parent's exit always leads to the end")
  }
}

describe("laws of the supervisor core", () => {
  it("hold in 4000 slow worlds", { timeout: 60_000 }, () => {
    const ends = new Set<string>()
    for (let seed = 1; seed <= 4000; seed++) {
      let world: World | undefined
      try {
        world = new World(seed)
        world.run()
      } catch (error) {
        assert.fail(
          `seed ${seed}: ${String(error)}\n${JSON.stringify(world?.spec)}\n${world?.log.slice(-40).join("\n")}`
        )
      }
      ends.add(world.ended!.replace(/"(id|reason)":.*/, ""))
    }
    assert.strictEqual(ends.size, 3, "all ways to end were met")
  })

  it("are the same for the same events", () => {
    const log = (seed: number): string => {
      const world = new World(seed)
      world.run()
      return world.log.join("\n")
    }
    for (let seed = 1; seed <= 50; seed++) assert.strictEqual(log(seed), log(seed))
  })
})

describe("the cost of a restart", () => {
  /** Kills every child and brings it back, and says how many microseconds one took. */
  const restartAll = (dynamic: boolean, size: number): number => {
    const child: ChildOptions<string> = { id: "t", start: "t" }
    const core = new SupervisorCore<ScenarioTypes>(Result.getOrThrow(validate({
      strategy: dynamic ? "simple_one_for_one" : "one_for_one",
      intensity: 10 * size,
      children: dynamic ? [child] : []
    })))
    const start = (event: Event<ScenarioTypes>, key: string): void => {
      const action = core.step(0, event).find((action) => action._tag === "StartChild")
      assert.isDefined(action)
      core.step(0, { _tag: "ChildStarted", child: (action as { readonly child: number }).child, key })
    }
    core.step(0, { _tag: "Start" })
    for (let i = 0; i < size; i++) {
      const request: Request<ScenarioTypes> = dynamic
        ? { _tag: "StartDynamicChild", args: `${i}` }
        : { _tag: "StartChild", spec: { id: `${i}`, start: "t" } }
      start({ _tag: "Request", from: "test", request }, `${i}.0`)
    }
    const before = performance.now()
    for (let i = 0; i < size; i++) {
      start({ _tag: "ChildExited", key: `${i}.0`, exitClass: "error", reason: "boom" }, `${i}.1`)
    }
    return (performance.now() - before) * 1000 / size
  }

  it.each([["one_for_one", false], ["simple_one_for_one", true]] as const)(
    "does not grow with the number of children: %s",
    (_, dynamic) => {
      restartAll(dynamic, 2000)
      const best = (size: number): number => Math.min(...Array.from({ length: 3 }, () => restartAll(dynamic, size)))
      const small = best(250)
      const large = best(10_000)
      // A scan would make it forty times as slow.
      assert.isBelow(
        large,
        small * 8 + 5,
        `${small.toFixed(2)} us with 250 children, ${large.toFixed(2)} us with 10000`
      )
    }
  )
})
