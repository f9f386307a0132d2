/**
 * A small language for conversations with a {@link SupervisorCore}.
 *
 * A scenario is a text. First the supervisor, then a line for each child, then lines `event -> actions`. The actions
 * must be exactly those the core gives, in order; a line without an arrow expects none. The time stays as it is until
 * `at` moves it.
 *
 * ```
 * rest_for_one intensity 2 period 5000
 * child a
 * child b transient shutdown 100
 *
 * start          -> start a
 * ok a           -> start b
 * ok b           -> ready
 * down a boom    -> report child_terminated a boom, exit b.1, arm 100
 * ```
 *
 * Events: `start`, `ok ID`, `ignore ID`, `fail ID REASON` (outcomes of a start), `down PROCESS REASON`, `timer` (the
 * last one armed), `retry ID`, `parent REASON`, `at MILLIS` (may stand before another event), and requests `WHO:
 * REQUEST`. The processes of a child `a` are `a.1`, `a.2` and so on, in the order of their starts; `a` alone is its
 * last one. Reasons: `normal`, `shutdown`, `{shutdown}`, `killed`; anything else is an error. Progress reports are
 * shown only after a line `with progress` at the top.
 */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import { SupervisorCore } from "../../../src/otp/internal/SupervisorCore.ts"
import type {
  Action,
  Answer,
  Event,
  ExitClass,
  Offender,
  Request,
  Types
} from "../../../src/otp/internal/SupervisorProtocol.ts"
import {
  type ChildOptions,
  type Restart,
  type Shutdown,
  type SupervisorOptions,
  validate
} from "../../../src/otp/internal/SupervisorSpec.ts"

export interface ScenarioTypes extends Types {
  readonly Key: string
  readonly Start: string
  readonly Args: string
  readonly From: string
  readonly Reason: string
}

export const exitClass = (reason: string): ExitClass =>
  reason === "normal" || reason === "shutdown" || reason === "killed"
    ? reason
    : reason === "{shutdown}"
    ? "shutdownDetail"
    : "error"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const parseShutdown = (word: string): Shutdown => word === "infinity" || word === "brutal_kill" ? word : Number(word)

const parseChild = (words: ReadonlyArray<string>): ChildOptions<string> => {
  const child: Mutable<ChildOptions<string>> = { id: words[0]!, start: words[0]! }
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!
    if (word === "shutdown") child.shutdown = parseShutdown(words[++i]!)
    else if (word === "significant") child.significant = true
    else if (word === "supervisor") child.type = "supervisor"
    else child.restart = word as Restart
  }
  return child
}

const parseSupervisor = (
  words: ReadonlyArray<string>,
  children: ReadonlyArray<ChildOptions<string>>
): SupervisorOptions<string> => {
  const options: Mutable<SupervisorOptions<string>> = { strategy: words[0] as never, children }
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!
    if (word === "intensity") options.intensity = Number(words[++i])
    else if (word === "period") options.periodMillis = Number(words[++i])
    else if (word === "max") options.maxChildren = Number(words[++i])
    else if (word === "reset") options.backoff = { resetAfterMillis: Number(words[++i]) }
    else if (word === "backoff") options.backoff = {}
    else options.autoShutdown = word as never
  }
  return options
}

class Scenario {
  readonly core: SupervisorCore<ScenarioTypes>
  private readonly progress: boolean
  private readonly incarnations = new Map<string, number>()
  private readonly numbers = new Map<string, number>()
  private readonly names = new Map<number, string>()
  private timer = 0
  private now = 0

  constructor(options: SupervisorOptions<string>, progress: boolean) {
    this.core = new SupervisorCore<ScenarioTypes>(Result.getOrThrow(validate(options)))
    this.progress = progress
  }

  play(line: string): string {
    let words = line.split(/\s+/)
    if (words[0] === "at") {
      this.now = Number(words[1])
      words = words.slice(2)
      if (words.length === 0) return ""
    }
    const shown = this.core.step(this.now, this.event(words)).flatMap((action) => this.show(action))
    return shown.join(", ")
  }

  private event(words: ReadonlyArray<string>): Event<ScenarioTypes> {
    const [verb, name = "", reason = ""] = words
    switch (verb) {
      case "start":
        return { _tag: "Start" }
      case "ok":
        return { _tag: "ChildStarted", child: this.number(name), key: this.born(name) }
      case "ignore":
        return { _tag: "ChildIgnored", child: this.number(name) }
      case "fail":
        return { _tag: "ChildStartFailed", child: this.number(name), reason }
      case "down":
        return { _tag: "ChildExited", key: this.process(name), exitClass: exitClass(reason), reason }
      case "timer":
        return { _tag: "TimerFired", timer: this.timer }
      case "retry":
        return { _tag: "Retry", child: this.number(name) }
      case "parent":
        return { _tag: "ParentExited", reason: name }
      default:
        assert.isTrue(verb!.endsWith(":"), `unknown event ${verb}`)
        return { _tag: "Request", from: verb!.slice(0, -1), request: this.request(words.slice(1)) }
    }
  }

  private request(words: ReadonlyArray<string>): Request<ScenarioTypes> {
    const [verb, name = ""] = words
    switch (verb) {
      case "start":
        return { _tag: "StartChild", spec: parseChild(words.slice(1)) }
      case "spawn":
        return { _tag: "StartDynamicChild", args: name }
      case "terminate":
        return name.includes(".")
          ? { _tag: "TerminateDynamicChild", key: name, ...(words[2] === "dead" ? { alive: false } : {}) }
          : { _tag: "TerminateChild", id: name }
      case "restart":
        return { _tag: "RestartChild", id: name }
      case "delete":
        return { _tag: "DeleteChild", id: name }
      case "spec":
        return { _tag: "GetChildSpec", id: name }
      case "which":
        return { _tag: "WhichChildren" }
      default:
        assert.strictEqual(verb, "count")
        return { _tag: "CountChildren" }
    }
  }

  private show(action: Action<ScenarioTypes>): Array<string> {
    switch (action._tag) {
      case "StartChild": {
        const name = action.args === undefined ? action.spec.id : `${action.spec.id}(${action.args})`
        this.numbers.set(action.spec.id, action.child)
        this.names.set(action.child, name)
        return [`start ${name}${action.attempt > 0 ? ` #${action.attempt}` : ""}`]
      }
      case "AbortStart":
        return [`abort ${this.names.get(action.child)}${action.kill ? " kill" : ""}`]
      case "ExitChild":
        return [`exit ${action.key}`]
      case "KillChild":
        return [`kill ${action.key}`]
      case "ArmTimer":
        this.timer = action.timer
        return [`arm ${action.millis}`]
      case "CancelTimer":
        return ["disarm"]
      case "DelayRestart":
        return [`delay ${this.names.get(action.child)} #${action.attempt}`]
      case "CancelRestart":
        return [`undelay ${this.names.get(action.child)}`]
      case "Reply":
        return [`${action.from}: ${this.answer(action.answer)}`]
      case "Report": {
        const { report } = action
        if (report.kind === "progress") return this.progress ? [`progress ${this.offender(report.offender)}`] : []
        return [`report ${report.kind} ${this.offender(report.offender)} ${report.reason}`]
      }
      case "Initialized":
        return ["ready"]
      case "Exit":
        switch (action.reason._tag) {
          case "Shutdown":
            return ["END shutdown"]
          case "Parent":
            return [`END parent ${action.reason.reason}`]
          case "FailedToStart":
            return [`END failed ${action.reason.id} ${action.reason.reason}`]
        }
    }
  }

  private offender(offender: Offender<ScenarioTypes>): string {
    const name = offender.key ?? offender.spec.id
    return offender.count === undefined ? name : `${name}*${offender.count}`
  }

  private answer(answer: Answer<ScenarioTypes>): string {
    switch (answer._tag) {
      case "Started":
      case "AlreadyStarted":
      case "Running":
        return `${answer._tag} ${answer.key}`
      case "StartFailed":
        return `StartFailed ${answer.reason}`
      case "MaxChildren":
        return `MaxChildren ${answer.maxChildren}`
      case "Spec":
        return `Spec ${answer.spec.id} ${answer.spec.restart} ${answer.spec.shutdown} ${answer.spec.type}`
      case "InvalidSpec":
        return `InvalidSpec ${answer.error.problem}`
      case "Counts":
        return `specs ${answer.specs} active ${answer.active} supervisors ${answer.supervisors} workers ${answer.workers}`
      case "Children":
        return `[${
          answer.children.map(({ id, key, status }) => key ?? (id === undefined ? status : `${id}:${status}`)).join(" ")
        }]`
      default:
        return answer._tag
    }
  }

  private number(name: string): number {
    return this.numbers.get(name) ?? assert.fail(`${name} was never started`)
  }

  private born(id: string): string {
    const incarnation = (this.incarnations.get(id) ?? 0) + 1
    this.incarnations.set(id, incarnation)
    return `${id}.${incarnation}`
  }

  private process(name: string): string {
    return name.includes(".") ? name : `${name}.${this.incarnations.get(name)}`
  }
}

/** Plays a scenario and compares every line. */
export const play = (text: string): SupervisorCore<ScenarioTypes> => {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
  const progress = lines[0] === "with progress"
  if (progress) lines.shift()
  const supervisor = lines.shift()!
  const children: Array<ChildOptions<string>> = []
  while (lines[0]?.startsWith("child ")) children.push(parseChild(lines.shift()!.split(/\s+/).slice(1)))
  const scenario = new Scenario(parseSupervisor(supervisor.split(/\s+/), children), progress)
  const width = Math.max(...lines.map((line) => line.split("->")[0]!.trim().length))
  const show = (event: string, actions: string): string =>
    actions === "" ? event : `${event.padEnd(width)} -> ${actions}`
  const expected: Array<string> = []
  const actual: Array<string> = []
  for (const line of lines) {
    const [event = "", actions = ""] = line.split("->").map((part) => part.trim())
    expected.push(show(event, actions))
    actual.push(show(event, scenario.play(event)))
    if (actual.at(-1) !== expected.at(-1)) break
  }
  assert.strictEqual(actual.join("\n"), expected.join("\n"))
  return scenario.core
}
