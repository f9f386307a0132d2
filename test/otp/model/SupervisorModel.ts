/**
 * OTP's rules of supervision, as a program to be read.
 *
 * Processes start and stop at once, nothing is asynchronous but the mailbox of a supervisor, and nothing is optimised.
 * It was written from the rules (the numbered statements S1 to S9 of the semantics page) and does not use the core it
 * is compared with. Where the rules leave a choice, Erlang's `supervisor` decides: the generated cases are run against
 * it too.
 */
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

interface Worker {
  readonly kind: "worker"
  readonly node: WorkerNode
  readonly name: string
}

interface Supervisor {
  readonly kind: "supervisor"
  readonly node: SupervisorNode
  readonly name: string
  readonly mailbox: Array<Mail>
  kids: Array<Kid>
  restarts: Array<number>
}

type Process = Worker | Supervisor

/** A place in a supervisor. `process` may be dead without its supervisor having noticed: then `dead` says of what. */
interface Kid {
  readonly name: string
  readonly node: Node
  state: "up" | "down" | "restarting"
  process: Process | undefined
  dead: Reason | undefined
}

type Mail = { readonly about: "exit"; readonly kid: Kid; readonly process: Process } | {
  readonly about: "retry"
  readonly kid: Kid
}

const orderly = (reason: Reason): boolean => reason === "normal" || reason === "shutdown" || reason === "detail"

/** [S3] What a child that was told to stop may die of without being reported. */
const expected = (node: Node, reason: Reason): boolean =>
  reason === (node.shutdown === "brutal_kill" ? "killed" : "shutdown") ||
  (node.restart !== "permanent" && orderly(reason))

class World {
  now = 0
  end: Reason | undefined
  lines: Array<string> = []
  orphans: Array<string> = []
  readonly plans = new Map<string, Array<"error" | "ignore">>()
  root: Supervisor | undefined

  // --- starting (S4) ---

  /** Starts a process; its children first, if it is a supervisor. */
  startProcess(node: Node, name: string): Process | "ignore" | { readonly error: Reason } {
    const started = node.kind === "worker" ? this.startWorker(node, name) : this.startSupervisor(node, name)
    this.lines.push(`start ${name} ${started === "ignore" ? "ignore" : "error" in started ? "error" : "ok"}`)
    return started
  }

  startWorker(node: WorkerNode, name: string): Process | "ignore" | { readonly error: Reason } {
    const outcome = this.plans.get(name)?.shift()
    return outcome === "error" ? { error: "error" } : outcome ?? { kind: "worker", node, name }
  }

  startSupervisor(node: SupervisorNode, name: string): Process | { readonly error: Reason } {
    const sup: Supervisor = { kind: "supervisor", node, name, mailbox: [], kids: [], restarts: [] }
    if (node.strategy === "simple_one_for_one") return sup
    sup.kids = node.children.map((child) => ({
      name: child.id,
      node: child,
      state: "down",
      process: undefined,
      dead: undefined
    }))
    const failed = this.startKids(sup, sup.kids)
    if (failed === undefined) return sup
    this.stopKids(sup, sup.kids)
    return { error: `failed:${failed.name}` }
  }

  /** Starts these children from left to right; the first that fails is returned, after a report. */
  startKids(sup: Supervisor, kids: ReadonlyArray<Kid>): Kid | undefined {
    for (const kid of kids) {
      if (!this.startKid(sup, kid)) return kid
    }
    return undefined
  }

  startKid(sup: Supervisor, kid: Kid): boolean {
    const started = this.startProcess(kid.node, kid.name)
    if (started !== "ignore" && "error" in started) {
      this.report(sup, "start_error", started.error, kid.name)
      return false
    }
    this.place(sup, kid, started)
    return true
  }

  /** [S5] A temporary child that is ignored disappears; so does any dynamic one. */
  place(sup: Supervisor, kid: Kid, started: Process | "ignore"): void {
    kid.dead = undefined
    kid.state = started === "ignore" ? "down" : "up"
    kid.process = started === "ignore" ? undefined : started
    if (started === "ignore" && (kid.node.restart === "temporary" || isDynamic(sup))) this.erase(sup, kid)
  }

  erase(sup: Supervisor, kid: Kid): void {
    sup.kids = sup.kids.filter((other) => other !== kid)
  }

  // --- stopping (S3) ---

  /** [S5] After its end a child is down, or gone when it is temporary or dynamic. */
  settle(sup: Supervisor, kid: Kid): void {
    kid.state = "down"
    kid.process = undefined
    kid.dead = undefined
    if (kid.node.restart === "temporary" || isDynamic(sup)) this.erase(sup, kid)
  }

  stopKids(sup: Supervisor, kids: ReadonlyArray<Kid>): void {
    for (const kid of [...kids].reverse()) this.stopKid(sup, kid)
  }

  stopKid(sup: Supervisor, kid: Kid): void {
    if (kid.process !== undefined && kid.state === "up") {
      const reason = kid.dead ?? this.stopProcess(kid.process, kid.node)
      if (!expected(kid.node, reason)) this.report(sup, "shutdown_error", reason, kid.name)
    }
    this.settle(sup, kid)
  }

  stopProcess(process: Process, node: Node): Reason {
    const reason = node.shutdown === "brutal_kill"
      ? "killed"
      : process.kind === "supervisor"
      ? "shutdown"
      : ending(process.node)
    if (process.kind === "supervisor") {
      if (reason === "killed") return this.killSupervisor(process)
      this.stopAllOf(process)
    }
    this.stopped(process, reason)
    return reason
  }

  /** [S3] Static children one after another from the last, dynamic ones together, with one report for each reason. */
  stopAllOf(sup: Supervisor): void {
    sup.mailbox.length = 0
    if (!isDynamic(sup)) return this.stopKids(sup, sup.kids)
    const errors = new Map<Reason, number>()
    for (const kid of [...sup.kids]) {
      if (kid.process === undefined || kid.state !== "up") continue
      const reason = kid.dead ?? this.stopProcess(kid.process, kid.node)
      if (!expected(kid.node, reason)) errors.set(reason, (errors.get(reason) ?? 0) + 1)
    }
    for (const [reason, count] of errors) this.report(sup, "shutdown_error", reason, `${sup.name}*${count}`)
    sup.kids = []
  }

  /**
   * A killed supervisor stops nobody. Its children get its exit signal: workers die of it, supervisors stop in order.
   */
  killSupervisor(sup: Supervisor): Reason {
    this.stopped(sup, "killed")
    const { lines } = this
    this.lines = []
    this.orphan(sup)
    this.orphans.push(...this.lines)
    this.lines = lines
    return "killed"
  }

  orphan(sup: Supervisor): void {
    sup.mailbox.length = 0
    for (const kid of sup.kids) {
      if (kid.process === undefined || kid.state !== "up" || kid.dead !== undefined) continue
      if (kid.process.kind === "supervisor") this.stopAllOf(kid.process)
      this.stopped(kid.process, "killed")
    }
  }

  stopped(process: Process, reason: Reason): void {
    this.lines.push(`stop ${process.name} ${reason}`)
    if (process === this.root) this.end = reason
  }

  // --- an exit, and what follows (S1, S2, S5, S6, S8) ---

  handle(sup: Supervisor, mail: Mail): void {
    const { kid } = mail
    if (mail.about === "retry") {
      if (kid.state === "restarting") this.restart(sup, kid)
      return
    }
    if (kid.process !== mail.process || kid.dead === undefined) return
    const reason = kid.dead
    const { restart, significant } = kid.node
    if (restart === "permanent" || !orderly(reason)) this.report(sup, "child_terminated", reason, kid.name)
    if (restart === "permanent" || (restart === "transient" && !orderly(reason))) return this.restart(sup, kid)
    this.settle(sup, kid)
    if (!significant || sup.node.autoShutdown === "never") return
    const others = sup.kids.some((other) => other.node.significant && other.state !== "down")
    if (sup.node.autoShutdown === "any_significant" || !others) this.giveUp(sup)
  }

  /** [S1] Every attempt counts, a group once; more than `intensity` within the period is too many. */
  restart(sup: Supervisor, kid: Kid): void {
    sup.restarts.push(this.now)
    const recent = sup.restarts.filter((then) => within(then, this.now, sup.node.periodMillis))
    if (recent.length > sup.node.intensity) {
      this.report(sup, "shutdown", "reached_max_restart_intensity", kid.name)
      this.settle(sup, kid)
      return this.giveUp(sup)
    }
    const at = sup.kids.indexOf(kid)
    const group = sup.node.strategy === "one_for_all"
      ? sup.kids
      : sup.node.strategy === "rest_for_one"
      ? sup.kids.slice(at)
      : [kid]
    kid.dead = undefined
    kid.process = undefined
    kid.state = "down"
    this.stopKids(sup, group.filter((other) => other !== kid))
    // [S6] Temporary members have gone; the others come back, also those that were down before.
    const failed = this.startKids(sup, group.filter((other) => sup.kids.includes(other)))
    if (failed === undefined) return
    failed.state = "restarting"
    sup.mailbox.push({ about: "retry", kid: failed })
  }

  /** [S2] Stops all children and ends with `shutdown`, which is for the level above to judge. */
  giveUp(sup: Supervisor): void {
    this.stopAllOf(sup)
    this.ends(sup, "shutdown")
  }

  /** A process ends by itself: its supervisor will find out. */
  ends(process: Process, reason: Reason): void {
    this.stopped(process, reason)
    this.notice(process, reason)
  }

  notice(process: Process, reason: Reason): void {
    const place = this.placeOf(process)
    if (place === undefined) return
    place.kid.dead = reason
    place.sup.mailbox.push({ about: "exit", kid: place.kid, process })
  }

  report(sup: Supervisor, context: string, reason: string, offender: string): void {
    this.lines.push(`report ${sup.name} ${context} ${reason} ${offender}`)
  }

  // --- the tree ---

  supervisors(): Array<Supervisor> {
    const found: Array<Supervisor> = []
    const walk = (sup: Supervisor) => {
      found.push(sup)
      for (const kid of sup.kids) {
        if (kid.process?.kind === "supervisor" && kid.dead === undefined) walk(kid.process)
      }
    }
    if (this.root !== undefined && this.end === undefined) walk(this.root)
    return found
  }

  placeOf(process: Process): { readonly sup: Supervisor; readonly kid: Kid } | undefined {
    for (const sup of this.supervisors()) {
      for (const kid of sup.kids) if (kid.process === process) return { sup, kid }
    }
    return undefined
  }

  findSupervisor(name: string): Supervisor | undefined {
    return this.supervisors().find((sup) => sup.name === name)
  }

  findWorker(name: string): { readonly sup: Supervisor; readonly kid: Kid } | undefined {
    for (const sup of this.supervisors()) {
      for (const kid of sup.kids) {
        if (kid.name === name && kid.state === "up" && kid.process?.kind === "worker") return { sup, kid }
      }
    }
    return undefined
  }

  /** Lets every supervisor handle its mail until there is none. */
  rest(): void {
    for (;;) {
      const busy = this.supervisors().find((sup) => sup.mailbox.length > 0)
      if (busy === undefined) return
      this.handle(busy, busy.mailbox.shift()!)
    }
  }

  tree(): Array<string> {
    return this.supervisors().map((sup) => {
      const kids = isDynamic(sup) ? [...sup.kids].sort((a, b) => a.name < b.name ? 1 : -1) : [...sup.kids].reverse()
      const shown = kids.map((kid) => `${kid.name}=${kid.state}`).join(" ")
      const type = (kind: Node["kind"]) => sup.kids.filter((kid) => kid.node.kind === kind).length
      const specs = isDynamic(sup) ? 1 : sup.kids.length
      const active = sup.kids.filter((kid) => kid.state === "up").length
      return `${sup.name}: ${shown} | ${specs} ${active} ${type("supervisor")} ${type("worker")}`
    })
  }

  // --- faults ---

  apply(fault: Fault): void {
    switch (fault.kind) {
      case "advance":
        this.now += fault.millis
        return
      case "plan": {
        const plan = Array.from({ length: fault.count }, () => fault.outcome)
        this.plans.set(fault.target, plan)
        return
      }
      case "crash": {
        const places = fault.targets.flatMap((name) => this.findWorker(name) ?? [])
        for (const { kid } of places) this.ends(kid.process!, fault.reason)
        return
      }
      case "kill": {
        const sup = this.findSupervisor(fault.target)
        if (sup === undefined) return
        const place = this.placeOf(sup)
        this.killSupervisor(sup)
        if (place !== undefined) {
          place.kid.dead = "killed"
          place.sup.mailbox.push({ about: "exit", kid: place.kid, process: sup })
        }
        return
      }
      case "stranger":
        return
      case "stop":
        // [S7] The parent's reason becomes the supervisor's.
        this.stopAllOf(this.root!)
        return this.stopped(this.root!, fault.reason)
      default: {
        const sup = this.findSupervisor(fault.parent)
        this.lines.push(...sup === undefined ? ["skip"] : [`reply ${this.administrate(sup, fault)}`])
      }
    }
  }

  /** [S9] The administration calls. */
  administrate(sup: Supervisor, fault: Extract<Fault, { readonly parent: string }>): string {
    if (fault.kind === "startDynamic") {
      if (!isDynamic(sup)) return "not_simple"
      const started = this.startProcess(sup.node.children[0]!, fault.name)
      if (started === "ignore") return "ignored"
      if ("error" in started) return "failed"
      sup.kids.push({ name: fault.name, node: sup.node.children[0]!, state: "up", process: started, dead: undefined })
      return "started"
    }
    if (isDynamic(sup)) {
      if (fault.kind !== "terminate") return "simple"
      const kid = sup.kids.find((kid) => kid.name === fault.target)
      if (kid === undefined) return "not_found"
      this.stopKid(sup, kid)
      return "ok"
    }
    const kid = sup.kids.find((kid) => kid.name === (fault.kind === "start" ? fault.child.id : fault.target))
    if (fault.kind === "start") {
      if (kid !== undefined) return kid.state === "up" ? "already_started" : "already_present"
      const started = this.startProcess(fault.child, fault.child.id)
      if (started !== "ignore" && "error" in started) return "failed"
      const added: Kid = { name: fault.child.id, node: fault.child, state: "down", process: undefined, dead: undefined }
      sup.kids.push(added)
      this.place(sup, added, started)
      return started === "ignore" ? "ignored" : "started"
    }
    if (kid === undefined) return "not_found"
    if (fault.kind === "terminate") {
      this.stopKid(sup, kid)
      return "ok"
    }
    if (kid.state !== "down") return kid.state === "up" ? "running" : "restarting"
    if (fault.kind === "delete") {
      this.erase(sup, kid)
      return "ok"
    }
    const started = this.startProcess(kid.node, kid.name)
    if (started !== "ignore" && "error" in started) return "failed"
    this.place(sup, kid, started)
    return started === "ignore" ? "ignored" : "started"
  }

  step(fault: string, act: () => void): Step {
    this.lines = []
    this.orphans = []
    act()
    this.rest()
    return { fault, lines: sortTogether(this.lines), orphans: this.orphans.sort(), tree: this.tree() }
  }
}

const isDynamic = (sup: Supervisor): boolean => sup.node.strategy === "simple_one_for_one"

/** [S3] What a worker that is told to shut down dies of. */
const ending = (node: WorkerNode): Reason =>
  ({ obey: "shutdown", normal: "normal", detail: "detail", crash: "error", refuse: "killed" } as const)[node.onShutdown]

/** [S1] Whole seconds are compared as whole seconds, both ends inclusive; other periods to the millisecond. */
const within = (then: number, now: number, period: number): boolean =>
  period % 1000 === 0 ? Math.floor(now / 1000) - Math.floor(then / 1000) <= period / 1000 : now - then <= period

/** Runs a case by the rules. */
export const runModel = (input: Case): Trace => {
  const world = new World()
  const steps: Array<Step> = []
  for (const plan of input.plans) world.apply(plan)
  steps.push(world.step("start", () => {
    const started = world.startProcess(input.root, input.root.id)
    if (started !== "ignore" && "error" in started) world.end = started.error
    else if (started !== "ignore") world.root = started as Supervisor
  }))
  for (const fault of input.faults) {
    if (world.end !== undefined) break
    steps.push(world.step(showFault(fault), () => world.apply(fault)))
  }
  return { steps, end: world.end }
}
