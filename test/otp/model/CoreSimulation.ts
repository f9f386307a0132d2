/**
 * A tree of {@link SupervisorCore}s with processes that start and stop at once: the shell of the core, without a
 * runtime.
 *
 * Every supervisor has its mailbox in one queue of the world, first come first served; so events meet a core in the
 * order in which they happened, and some of them while it is busy.
 */
import * as Result from "effect/Result"
import { SupervisorCore } from "../../../src/otp/internal/SupervisorCore.ts"
import type { Action, Answer, Event, ExitClass, ExitWith, Types } from "../../../src/otp/internal/SupervisorProtocol.ts"
import { type ChildOptions, type SupervisorOptions, validate } from "../../../src/otp/internal/SupervisorSpec.ts"
import {
  type Case,
  type Fault,
  type Node,
  type Reason,
  showFault,
  sortTogether,
  type Step,
  type SupervisorNode,
  type Trace,
  type WorkerNode
} from "./SupervisionCase.ts"

interface SimTypes extends Types {
  readonly Key: Process
  readonly Start: Node
  readonly Args: string
  readonly From: (answer: string) => void
  readonly Reason: Reason
}

interface Process {
  readonly name: string
  readonly node: Node
  readonly parent: Supervisor | undefined
  alive: boolean
  orphaned: boolean
  supervisor: Supervisor | undefined
}

interface Supervisor {
  readonly process: Process
  readonly core: SupervisorCore<SimTypes>
  readonly children: Set<Process>
  /** The number of this supervisor's start in its parent, until it has answered. */
  starting: number | undefined
}

const exitClass = (reason: Reason): ExitClass =>
  reason === "normal" || reason === "shutdown" || reason === "killed"
    ? reason
    : reason === "detail"
    ? "shutdownDetail"
    : "error"

const childOptions = (node: Node): ChildOptions<Node> => ({
  id: node.id,
  start: node,
  restart: node.restart,
  shutdown: node.shutdown,
  type: node.kind,
  significant: node.significant
})

const supervisorOptions = (node: SupervisorNode): SupervisorOptions<Node> => ({
  strategy: node.strategy,
  intensity: node.intensity,
  periodMillis: node.periodMillis,
  autoShutdown: node.autoShutdown,
  children: node.children.map(childOptions)
})

const exitReason = (reason: ExitWith<SimTypes>): Reason =>
  reason._tag === "Shutdown" ? "shutdown" : reason._tag === "Parent" ? reason.reason : `failed:${reason.id}`

const answers: { readonly [K in Answer<SimTypes>["_tag"]]?: string } = {
  Started: "started",
  Ignored: "ignored",
  Done: "ok",
  AlreadyStarted: "already_started",
  AlreadyPresent: "already_present",
  Running: "running",
  Restarting: "restarting",
  NotFound: "not_found",
  SimpleOneForOne: "simple",
  NotSimpleOneForOne: "not_simple",
  StartFailed: "failed"
}

class World {
  now = 0
  end: Reason | undefined
  root: Supervisor | undefined
  lines: Array<string> = []
  orphans: Array<string> = []
  readonly plans = new Map<string, Array<"error" | "ignore">>()
  readonly queue: Array<() => void> = []
  /** Shutdown limits. They run out when nothing else happens; the time they take is not the time of the case. */
  timers: Array<{ readonly sup: Supervisor; readonly timer: number; readonly due: number }> = []
  waited = 0

  say(process: Process, line: string): void {
    if (process.orphaned) this.orphans.push(line)
    else this.lines.push(line)
  }

  feed(sup: Supervisor, event: Event<SimTypes>): void {
    this.queue.push(() => {
      if (!sup.process.alive) return
      for (const action of sup.core.step(this.now, event)) this.perform(sup, action)
    })
  }

  rest(): void {
    for (;;) {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) next()
      this.timers.sort((a, b) => a.due - b.due)
      const first = this.timers.shift()
      if (first === undefined) return
      this.waited = first.due
      this.feed(first.sup, { _tag: "TimerFired", timer: first.timer })
    }
  }

  // --- the shell ---

  perform(sup: Supervisor, action: Action<SimTypes>): void {
    switch (action._tag) {
      case "StartChild":
        return this.start(sup, action.child, action.spec.start, action.args ?? action.spec.id)
      case "AbortStart":
        throw new Error("nothing is slow here")
      case "ExitChild":
        return this.tell(action.key, "shutdown")
      case "KillChild":
        return this.kill(action.key)
      case "ArmTimer":
        this.timers.push({ sup, timer: action.timer, due: this.waited + action.millis })
        return
      case "CancelTimer":
        this.timers = this.timers.filter((armed) => armed.sup !== sup || armed.timer !== action.timer)
        return
      case "CancelRestart":
        return
      case "DelayRestart":
        return this.feed(sup, { _tag: "Retry", child: action.child })
      case "Reply":
        return action.from(answers[action.answer._tag] ?? action.answer._tag)
      case "Report": {
        const { report } = action
        if (report.kind === "progress") return
        const { args, count, key, spec } = report.offender
        const name = count === undefined ? args ?? key?.name ?? spec.id : `${sup.process.name}*${count}`
        return this.say(sup.process, `report ${sup.process.name} ${report.kind} ${report.reason} ${name}`)
      }
      case "Initialized":
        return this.initialized(sup)
      case "Exit":
        return this.exit(sup, exitReason(action.reason))
    }
  }

  start(sup: Supervisor, child: number, node: Node, name: string): void {
    const process: Process = {
      name,
      node,
      parent: sup,
      alive: true,
      orphaned: sup.process.orphaned,
      supervisor: undefined
    }
    if (node.kind === "supervisor") {
      process.supervisor = makeSupervisor(process, node, child)
      return this.feed(process.supervisor, { _tag: "Start" })
    }
    const outcome = this.plans.get(name)?.shift()
    this.say(sup.process, `start ${name} ${outcome ?? "ok"}`)
    if (outcome === "error") return this.feed(sup, { _tag: "ChildStartFailed", child, reason: "error" })
    if (outcome === "ignore") return this.feed(sup, { _tag: "ChildIgnored", child })
    sup.children.add(process)
    this.feed(sup, { _tag: "ChildStarted", child, key: process })
  }

  initialized(sup: Supervisor): void {
    const { parent } = sup.process
    this.say(sup.process, `start ${sup.process.name} ok`)
    const child = sup.starting
    sup.starting = undefined
    if (parent === undefined || child === undefined) return
    parent.children.add(sup.process)
    this.feed(parent, { _tag: "ChildStarted", child, key: sup.process })
  }

  exit(sup: Supervisor, reason: Reason): void {
    const { parent } = sup.process
    if (sup.starting === undefined) return this.dies(sup.process, reason)
    sup.process.alive = false
    this.say(sup.process, `start ${sup.process.name} error`)
    if (parent === undefined) this.end = reason
    else this.feed(parent, { _tag: "ChildStartFailed", child: sup.starting, reason })
  }

  // --- processes ---

  tell(process: Process, reason: Reason): void {
    if (!process.alive) return
    if (process.supervisor !== undefined) return this.feed(process.supervisor, { _tag: "ParentExited", reason })
    const { onShutdown } = process.node as WorkerNode
    if (onShutdown === "refuse") return
    this.dies(process, ({ obey: "shutdown", normal: "normal", detail: "detail", crash: "error" } as const)[onShutdown])
  }

  kill(process: Process): void {
    if (!process.alive) return
    this.dies(process, "killed")
    if (process.supervisor !== undefined) this.orphan(process.supervisor)
  }

  dies(process: Process, reason: Reason): void {
    process.alive = false
    this.say(process, `stop ${process.name} ${reason}`)
    const { parent } = process
    if (parent === undefined) this.end = reason
    else {
      parent.children.delete(process)
      this.feed(parent, { _tag: "ChildExited", key: process, exitClass: exitClass(reason), reason })
    }
  }

  orphan(sup: Supervisor): void {
    const mark = (process: Process) => {
      process.orphaned = true
      for (const child of process.supervisor?.children ?? []) mark(child)
    }
    for (const child of [...sup.children]) {
      mark(child)
      if (child.supervisor === undefined) this.dies(child, "killed")
      else this.feed(child.supervisor, { _tag: "ParentExited", reason: "killed" })
    }
  }

  // --- looking ---

  supervisors(): Array<Supervisor> {
    const below = (sup: Supervisor): Array<Supervisor> =>
      !sup.process.alive
        ? []
        : [
          sup,
          ...this.childrenInOrder(sup).flatMap((child) => child.supervisor === undefined ? [] : below(child.supervisor))
        ]
    return this.root === undefined ? [] : below(this.root)
  }

  /** In start order, as the supervisor itself tells. */
  childrenInOrder(sup: Supervisor): Array<Process> {
    const { children } = this.ask(sup, { _tag: "WhichChildren" }) as Extract<Answer<SimTypes>, { _tag: "Children" }>
    return children.flatMap(({ key }) => key === undefined ? [] : [key]).reverse()
  }

  /** A request whose answer comes at once. */
  ask(sup: Supervisor, request: Extract<Event<SimTypes>, { _tag: "Request" }>["request"]): Answer<SimTypes> {
    const [action] = sup.core.step(this.now, { _tag: "Request", from: () => {}, request })
    if (action?._tag !== "Reply") throw new Error("the supervisor is not at rest")
    return action.answer
  }

  findWorker(name: string): Process | undefined {
    for (const sup of this.supervisors()) {
      for (const child of sup.children) if (child.name === name && child.supervisor === undefined) return child
    }
    return undefined
  }

  tree(): Array<string> {
    return this.supervisors().map((sup) => {
      const which = this.ask(sup, { _tag: "WhichChildren" }) as Extract<Answer<SimTypes>, { _tag: "Children" }>
      const counts = this.ask(sup, { _tag: "CountChildren" }) as Extract<Answer<SimTypes>, { _tag: "Counts" }>
      const dynamic = sup.core.spec.strategy === "simple_one_for_one"
      const children = which.children.map(({ id, key, status }) => ({ name: id ?? key!.name, status }))
      if (dynamic) children.sort((a, b) => a.name < b.name ? 1 : -1)
      const shown = children.map(({ name, status }) => `${name}=${status === "running" ? "up" : status}`).join(" ")
      return `${sup.process.name}: ${shown} | ${counts.specs} ${counts.active} ${counts.supervisors} ${counts.workers}`
    })
  }

  // --- faults ---

  apply(fault: Fault): void {
    switch (fault.kind) {
      case "advance":
        this.now += fault.millis
        return
      case "plan":
        this.plans.set(fault.target, Array.from({ length: fault.count }, () => fault.outcome))
        return
      case "crash":
        for (const process of fault.targets.map((name) => this.findWorker(name))) {
          if (process !== undefined) this.dies(process, fault.reason)
        }
        return
      case "kill": {
        const sup = this.supervisors().find((sup) => sup.process.name === fault.target)
        return sup === undefined ? undefined : this.kill(sup.process)
      }
      case "stranger": {
        const sup = this.supervisors().find((sup) => sup.process.name === fault.target)
        const stranger: Process = {
          name: "stranger",
          node: this.root!.process.node,
          parent: undefined,
          alive: false,
          orphaned: false,
          supervisor: undefined
        }
        if (sup === undefined) return
        return this.feed(sup, {
          _tag: "ChildExited",
          key: stranger,
          exitClass: exitClass(fault.reason),
          reason: fault.reason
        })
      }
      case "stop":
        return this.feed(this.root!, { _tag: "ParentExited", reason: fault.reason })
      default: {
        const sup = this.supervisors().find((sup) => sup.process.name === fault.parent)
        if (sup === undefined) this.lines.push("skip")
        else this.administrate(sup, fault)
      }
    }
  }

  administrate(sup: Supervisor, fault: Extract<Fault, { readonly parent: string }>): void {
    const from = (answer: string) => this.lines.push(`reply ${answer}`)
    const request = (request: Extract<Event<SimTypes>, { _tag: "Request" }>["request"]) =>
      this.feed(sup, { _tag: "Request", from, request })
    const dynamic = sup.core.spec.strategy === "simple_one_for_one"
    switch (fault.kind) {
      case "start":
        return request({ _tag: "StartChild", spec: childOptions(fault.child) })
      case "startDynamic":
        return request({ _tag: "StartDynamicChild", args: fault.name })
      case "restart":
        return request({ _tag: "RestartChild", id: fault.target })
      case "delete":
        return request({ _tag: "DeleteChild", id: fault.target })
      case "terminate": {
        if (!dynamic) return request({ _tag: "TerminateChild", id: fault.target })
        const key = [...sup.children].find((child) => child.name === fault.target)
        return key === undefined ? void from("not_found") : request({ _tag: "TerminateDynamicChild", key })
      }
    }
  }

  step(fault: string, act: () => void): Step {
    this.lines = []
    this.orphans = []
    act()
    this.rest()
    return { fault, lines: sortTogether(this.lines), orphans: this.orphans.sort(), tree: this.tree() }
  }
}

const makeSupervisor = (process: Process, node: SupervisorNode, starting: number): Supervisor => ({
  process,
  core: new SupervisorCore(Result.getOrThrow(validate(supervisorOptions(node)))),
  children: new Set(),
  starting
})

/** Runs a case with the core. */
export const runCore = (input: Case): Trace => {
  const world = new World()
  const steps: Array<Step> = []
  for (const plan of input.plans) world.apply(plan)
  steps.push(world.step("start", () => {
    const process: Process = {
      name: input.root.id,
      node: input.root,
      parent: undefined,
      alive: true,
      orphaned: false,
      supervisor: undefined
    }
    process.supervisor = world.root = makeSupervisor(process, input.root, 0)
    world.feed(process.supervisor, { _tag: "Start" })
  }))
  for (const fault of input.faults) {
    if (world.end !== undefined) break
    steps.push(world.step(showFault(fault), () => world.apply(fault)))
  }
  return { steps, end: world.end }
}
