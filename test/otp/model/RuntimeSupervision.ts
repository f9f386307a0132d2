/**
 * A case of supervision on the real runtime: real supervisors, with servers, Effects and Layers as workers, on a node
 * under the test clock.
 *
 * The journal of the node says what started, ended and was reported; supervisors are asked, by their administration
 * calls, who is alive. Faults are real ones: crashes in handlers, exit signals, kills, the death of the parent. Where the
 * model says that several workers end before their supervisor notices any, the supervisor is held between two messages
 * meanwhile, so that the same order comes about under every schedule.
 *
 * Between two faults the node comes to rest. Who runs a case says how: see {@link Rest}.
 */
import { Deferred, Effect, Fiber, Layer, Option, Schema, Scope } from "effect"
import {
  DynamicSupervisor,
  ExitReason,
  GenServer,
  Message,
  Node,
  OtpError,
  Process,
  Protocol,
  Supervisor
} from "effect-otp"
import { TestClock } from "effect/testing"
import type { Inspection } from "../../../src/otp/internal/SupervisorCore.ts"
import type { ServerProcess } from "../../../src/process/internal/ServerProcess.ts"
import type { Pid } from "../../../src/term/Pid.ts"
import * as TestNode from "../../../src/testing/TestNode.ts"
import { reasonOf, reasonOfText, reasons } from "./RuntimeReasons.ts"
import {
  type Case,
  type Fault,
  type Node as TreeNode,
  type Reason,
  showFault,
  sortTogether,
  type Step,
  type SupervisorNode,
  type Trace,
  type WorkerNode
} from "./SupervisionCase.ts"
import { Dice } from "./SupervisionGenerator.ts"

/** What a worker is made of. */
type Kind = "server" | "effect" | "layer"

/** How a server ends by itself: by a transition, or in one of two ways to crash. */
const Manner = Schema.Literals(["stop", "throw", "die"])

class Worker extends Protocol.make(
  "Worker",
  Message.Cast("End", { payload: { reason: ExitReason.ExitReason, manner: Manner } })
) {}

class StartFailure extends Schema.TaggedError<StartFailure>()("StartFailure", { worker: Schema.String }) {}

/** A process of the case. */
interface Entry {
  readonly pid: Pid
  readonly parent: Entry | undefined
  name: string
  supervisor: boolean
  started: boolean
  alive: boolean
  orphaned: boolean
  kind: Kind
}

/**
 * How a case waits. `settle` lets happen what can happen without time; `wait` lets ten milliseconds pass, for workers that
 * have to be killed, when supervisors are still busy then.
 */
export interface Rest {
  readonly settle: Effect.Effect<void>
  readonly wait: Effect.Effect<void>
}

/** Under `TestNode.layer`. */
export const virtualRest: Rest = { settle: TestNode.settle, wait: TestClock.adjust(10) }

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** On a node as in production, for cases in which no time passes. */
export const liveRest: Rest = { settle: Effect.andThen(turn, turn), wait: turn }

/** What a report of a supervisor shows. */
interface ReportFields {
  readonly context: string
  readonly reason: string | undefined
  readonly offender: { readonly id: string; readonly pid: string | undefined; readonly count?: number }
}

const waitsMax = 1000

class World {
  readonly input: Case
  readonly dice: Dice
  readonly how: Rest
  readonly entries = new Map<string, Entry>()
  readonly plans = new Map<string, Array<"error" | "ignore">>()
  /** How to end the workers that are Effects. */
  readonly ends = new Map<string, Deferred.Deferred<ExitReason.ExitReason>>()
  readonly parentEnd = Deferred.makeUnsafe<ExitReason.ExitReason>()
  lines: Array<string> = []
  orphans: Array<string> = []
  root: Entry | undefined
  end: Reason | undefined
  /** How often it had to wait. */
  waits = 0

  constructor(input: Case, how: Rest) {
    this.input = input
    this.how = how
    this.dice = new Dice(input.seed + 1)
  }

  say(entry: Entry | undefined, line: string): void {
    if (entry?.orphaned === true) this.orphans.push(line)
    else this.lines.push(line)
  }

  // --- the journal ---

  readonly onTrace = (event: Node.Trace): void => {
    const key = event.pid.toString()
    switch (event._tag) {
      case "Spawn": {
        const parent = event.parent === undefined ? undefined : this.entries.get(event.parent.toString())
        const isRoot = event.name === this.input.root.id
        if (!isRoot && parent === undefined) return
        // Workers are labelled with their kind; dynamic ones have no label, and give their name in `init`.
        const label = /^(server|effect|layer) (.*)$/.exec(event.name)
        const entry: Entry = {
          pid: event.pid,
          parent,
          name: label?.[2] ?? event.name,
          supervisor: label === null && /^s\d+$/.test(event.name),
          started: false,
          alive: true,
          orphaned: parent?.orphaned === true,
          kind: (label?.[1] ?? "server") as Kind
        }
        this.entries.set(key, entry)
        // To run is all that the start of an Effect is, and it runs in its turn.
        if (entry.kind === "effect") this.startedAs(entry, entry.name)
        if (isRoot) this.root = entry
        return
      }
      case "Exit": {
        const entry = this.entries.get(key)
        if (entry !== undefined) this.exited(entry, reasonOf(event.reason))
        return
      }
      case "Report":
        return this.reported(this.entries.get(key)!, event.report as ReportFields)
    }
  }

  exited(entry: Entry, reason: Reason): void {
    entry.alive = false
    if (entry.started) this.say(entry, `stop ${entry.name} ${reason}`)
    else if (entry.supervisor) this.say(entry, `start ${entry.name} error`)
    if (entry === this.root) this.end = reason
    // Those below a killed supervisor end by themselves, at the same time as what follows above it.
    if (entry.supervisor && reason === "killed") {
      for (const other of this.entries.values()) if (other.alive && this.isBelow(other, entry)) other.orphaned = true
    }
  }

  isBelow(entry: Entry, top: Entry): boolean {
    for (let at = entry.parent; at !== undefined; at = at.parent) if (at === top) return true
    return false
  }

  reported(supervisor: Entry, { context, offender, reason }: ReportFields): void {
    const child = offender.pid === undefined ? undefined : this.entries.get(offender.pid)
    if (context === "progress") {
      if (child!.supervisor) this.startedAs(child!, child!.name)
      if (!child!.started) this.say(supervisor, `progress of ${child!.name}, which has not started`)
      return
    }
    const name = offender.count === undefined ? child?.name ?? offender.id : `${supervisor.name}*${offender.count}`
    this.say(supervisor, `report ${supervisor.name} ${context} ${reasonOfText(reason!)} ${name}`)
  }

  startedAs(entry: Entry, name: string): void {
    entry.name = name
    entry.started = true
    this.say(entry, `start ${name} ok`)
  }

  // --- workers ---

  /** What a worker does first: it starts as it was planned. */
  readonly starts = (name: string): Effect.Effect<"ok" | "ignore", StartFailure, Process.CurrentProcess> =>
    Effect.flatMap(Process.self, (pid) => {
      const entry = this.entries.get(pid.toString())!
      const outcome = this.plans.get(name)?.shift()
      if (outcome === undefined) {
        this.startedAs(entry, name)
        return Effect.succeed("ok" as const)
      }
      entry.name = name
      this.say(entry, `start ${name} ${outcome}`)
      return outcome === "error" ? Effect.fail(new StartFailure({ worker: name })) : Effect.succeed("ignore" as const)
    })

  server(node: WorkerNode) {
    return GenServer.make(Worker, {
      init: (name: string) =>
        Effect.map(
          this.starts(name),
          (outcome) => outcome === "ignore" ? GenServer.ignore : { ending: false }
        ),
      handlers: {
        End: ({ manner, reason }) => {
          if (manner === "throw") throw new Error("boom")
          return manner === "die" ? Effect.die(new Error("boom")) : GenServer.stop(reason, { ending: true })
        }
      },
      terminate: (reason, { ending }) => {
        if (ending || reason._tag !== "Shutdown") return Effect.void
        switch (node.onShutdown) {
          case "obey":
            return Effect.void
          case "normal":
            return Process.exitSelf(ExitReason.normal)
          case "detail":
            return Process.exitSelf(ExitReason.shutdownWith("a detail"))
          case "crash":
            return Effect.die(new Error("crash on shutdown"))
          case "refuse":
            return Effect.never
        }
      }
    })
  }

  /** Only servers can refuse to start or to stop as told. */
  kindOf(node: WorkerNode): Kind {
    const planned = [...this.input.plans, ...this.input.faults].some((fault) =>
      fault.kind === "plan" && fault.target === node.id
    )
    return planned || node.onShutdown !== "obey"
      ? "server"
      : this.dice.weighted<Kind>([[60, "server"], [25, "effect"], [15, "layer"]])
  }

  child(node: TreeNode): Supervisor.Child<string, any, any> {
    const { id, restart, shutdown, significant } = node
    if (node.kind === "supervisor") {
      return node.strategy === "simple_one_for_one"
        ? DynamicSupervisor.asChild(id, this.dynamic(node), { restart, shutdown, significant })
        : Supervisor.nested(id, this.supervisor(node), { restart, shutdown, significant })
    }
    switch (this.kindOf(node)) {
      case "effect":
        return Supervisor.worker(
          id,
          Effect.gen({ self: this }, function*() {
            const end = Deferred.makeUnsafe<ExitReason.ExitReason>()
            this.ends.set((yield* Process.self).toString(), end)
            const reason = yield* Deferred.await(end)
            if (reason._tag !== "Normal") yield* Process.exitSelf(reason)
          }),
          { restart, shutdown, significant, label: `effect ${id}` }
        )
      case "layer":
        return Supervisor.fromLayer(id, Layer.effectDiscard(this.starts(id)), {
          restart,
          shutdown,
          significant,
          label: `layer ${id}`
        })
      case "server":
        return Supervisor.child(id, this.server(node), id, {
          restart,
          shutdown,
          significant,
          label: `server ${id}`,
          trapExit: node.onShutdown !== "obey" || this.dice.chance(30)
        })
    }
  }

  supervisor(node: SupervisorNode): Supervisor.Supervisor<string, any, any> {
    return Supervisor.make({
      strategy: node.strategy as Exclude<SupervisorNode["strategy"], "simple_one_for_one">,
      intensity: node.intensity,
      period: node.periodMillis,
      autoShutdown: node.autoShutdown,
      children: node.children.map((child) => this.child(child))
    })
  }

  dynamic(node: SupervisorNode): DynamicSupervisor.DynamicSupervisor<string, any, any, any> {
    const template = node.children[0] as WorkerNode
    return DynamicSupervisor.make(this.server(template), {
      intensity: node.intensity,
      period: node.periodMillis,
      autoShutdown: node.autoShutdown,
      restart: template.restart,
      shutdown: template.shutdown,
      significant: template.significant,
      trapExit: template.onShutdown !== "obey"
    })
  }

  // --- looking ---

  find(name: string, test: (entry: Entry) => boolean): Entry | undefined {
    let found: Entry | undefined
    for (const entry of this.entries.values()) {
      if (entry.alive && entry.started && !entry.orphaned && entry.name === name && test(entry)) found = entry
    }
    return found
  }

  findSupervisor(name: string): Entry | undefined {
    return this.end === undefined ? this.find(name, (entry) => entry.supervisor) : undefined
  }

  findWorker(name: string): Entry | undefined {
    return this.find(name, (entry) => !entry.supervisor)
  }

  nodeOf(name: string): SupervisorNode {
    const search = (node: TreeNode): SupervisorNode | undefined => {
      if (node.kind === "worker") return undefined
      if (node.id === name) return node
      for (const child of node.children) {
        const found = search(child)
        if (found !== undefined) return found
      }
      return undefined
    }
    return search(this.input.root)!
  }

  /** The tree as its supervisors tell it, from the top. */
  tree(pid: Pid, name: string): Effect.Effect<Array<string>, unknown, Node.Node> {
    return Effect.gen({ self: this }, function*() {
      const children = (yield* Supervisor.whichChildren(pid)).map((child) => ({
        name: Option.getOrElse(child.id, () => this.entries.get(Option.getOrThrow(child.pid).toString())!.name),
        ...child
      }))
      const counts = yield* Supervisor.countChildren(pid)
      if (this.nodeOf(name).strategy === "simple_one_for_one") children.sort((a, b) => a.name < b.name ? 1 : -1)
      const shown = children.map((child) => `${child.name}=${child.status === "running" ? "up" : child.status}`)
      const { active, specs, supervisors, workers } = counts
      const lines = [`${name}: ${shown.join(" ")} | ${specs} ${active} ${supervisors} ${workers}`]
      for (const child of children.reverse()) {
        if (child.type === "supervisor" && child.pid._tag === "Some") {
          lines.push(...yield* this.tree(child.pid.value, child.name))
        }
      }
      return lines
    })
  }

  // --- time ---

  /** Everything that can happen happens; limits of a shutdown run out when nothing else does. */
  readonly rest: Effect.Effect<void, never, Node.Node> = Effect.gen({ self: this }, function*() {
    yield* this.how.settle
    while (yield* this.busy) {
      if (this.waits++ > waitsMax) return this.say(undefined, "the tree does not come to rest")
      yield* this.how.wait
      yield* this.how.settle
    }
  })

  readonly busy: Effect.Effect<boolean, never, Node.Node> = Effect.gen({ self: this }, function*() {
    for (const entry of this.entries.values()) {
      if (!entry.supervisor || !entry.alive) continue
      const info = yield* Process.info(entry.pid)
      const state = Option.getOrUndefined(info)?.state as Inspection | undefined
      if (state === undefined || state.activity !== "idle" || state.waiting > 0 || state.phase !== "running") {
        return true
      }
    }
    return false
  })

  // --- faults ---

  crash(entry: Entry, reason: Reason): Effect.Effect<unknown, never, Node.Node> {
    const { dice } = this
    if (reason === "killed") return Process.kill(entry.pid)
    const exitReason = reasons[reason as keyof typeof reasons]
    switch (entry.kind) {
      case "effect":
        return reason !== "normal" && dice.chance(40)
          ? Process.exit(entry.pid, exitReason)
          : Deferred.succeed(this.ends.get(entry.pid.toString())!, exitReason)
      case "layer":
        return reason !== "normal" && dice.chance(40)
          ? Process.exit(entry.pid, exitReason)
          : Effect.ignore(Process.stop(entry.pid, { reason: exitReason }))
      case "server":
        return Effect.flatMap(
          GenServer.fromPid(Worker, entry.pid),
          (ref) =>
            ref.End({ reason: exitReason, manner: reason === "error" ? dice.pick(["stop", "throw", "die"]) : "stop" })
        )
    }
  }

  /** Several at once: their supervisor is busy until all have ended. */
  crashes(targets: ReadonlyArray<Entry>, reason: Reason): Effect.Effect<void, never, Node.Node> {
    return Effect.gen({ self: this }, function*() {
      const { runtime } = yield* Node.Node
      const held = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const supervisor = runtime.resolve(targets[0]!.parent!.pid) as ServerProcess
      supervisor.system(() => Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(release)))
      yield* Deferred.await(held)
      for (const target of targets) {
        const gone = yield* Effect.forkChild(Process.awaitExit(target.pid), { startImmediately: true })
        yield* this.crash(target, reason)
        yield* Fiber.join(gone)
      }
      yield* Deferred.succeed(release, undefined)
    })
  }

  apply(fault: Fault): Effect.Effect<unknown, never, Node.Node> {
    switch (fault.kind) {
      case "advance":
        return TestClock.adjust(fault.millis)
      case "plan":
        this.plans.set(fault.target, Array.from({ length: fault.count }, () => fault.outcome))
        return Effect.void
      case "crash": {
        const targets = fault.targets.flatMap((name) => this.findWorker(name) ?? [])
        if (targets.length === 0) return Effect.void
        return targets.length === 1 && this.dice.chance(50)
          ? this.crash(targets[0]!, fault.reason)
          : this.crashes(targets, fault.reason)
      }
      case "kill": {
        const target = this.findSupervisor(fault.target)
        return target === undefined ? Effect.void : Process.kill(target.pid)
      }
      case "stranger": {
        const target = this.findSupervisor(fault.target)
        const reason = fault.reason === "killed" ? ExitReason.killed : reasons[fault.reason as keyof typeof reasons]
        return target === undefined ? Effect.void : Process.exit(target.pid, reason)
      }
      case "stop":
        return Deferred.succeed(this.parentEnd, reasons[fault.reason as keyof typeof reasons])
      default: {
        const target = this.findSupervisor(fault.parent)
        if (target !== undefined) return Effect.forkChild(this.administrate(target, fault), { startImmediately: true })
        this.lines.push("skip")
        return Effect.void
      }
    }
  }

  administrate(
    { name, pid }: Entry,
    fault: Extract<Fault, { readonly parent: string }>
  ): Effect.Effect<unknown, never, Node.Node> {
    const answers: { readonly [key: string]: string } = {
      AlreadyStarted: "already_started",
      AlreadyPresent: "already_present",
      Running: "running",
      Restarting: "restarting",
      NotFound: "not_found",
      NotStatic: "simple",
      StartFailed: "failed"
    }
    const reply = (effect: Effect.Effect<string, unknown, Node.Node>) =>
      Effect.matchCause(effect, {
        onFailure: (cause) => {
          const error = cause.reasons[0]?._tag === "Fail" ? cause.reasons[0].error : cause
          this.lines.push(
            `reply ${error instanceof OtpError.SupervisorError ? answers[error.reason] ?? error.reason : String(error)}`
          )
        },
        onSuccess: (answer) => this.lines.push(`reply ${answer}`)
      })
    const started = (pid: Option.Option<Pid>) => Option.isSome(pid) ? "started" : "ignored"
    const ok = () => "ok"
    const dynamic = this.nodeOf(name).strategy === "simple_one_for_one"
    switch (fault.kind) {
      case "start":
        return reply(Effect.map(Supervisor.startChild(pid, this.child(fault.child)), started))
      case "startDynamic":
        return reply(
          Effect.gen({ self: this }, function*() {
            const ref = DynamicSupervisor.fromPid(this.dynamic(this.nodeOf(name)), pid)
            return yield* DynamicSupervisor.startChild(ref, fault.name)
          }).pipe(
            Effect.as("started"),
            Effect.catchIf(
              (error) => (error as { readonly _tag?: string })._tag === "StartError",
              () => Effect.succeed("ignored")
            ),
            Effect.catchIf((error) => error instanceof StartFailure, () => Effect.succeed("failed"))
          )
        )
      case "restart":
        return reply(Effect.map(Supervisor.restartChild(pid, fault.target), started))
      case "delete":
        return reply(Effect.map(Supervisor.deleteChild(pid, fault.target), ok))
      case "terminate": {
        if (!dynamic) return reply(Effect.map(Supervisor.terminateChild(pid, fault.target), ok))
        const child = this.find(fault.target, (entry) => entry.parent?.pid === pid)
        return child === undefined
          ? Effect.sync(() => this.lines.push("reply not_found"))
          : reply(Effect.map(DynamicSupervisor.terminateChild(pid, child.pid), ok))
      }
    }
  }

  step(fault: string, act: Effect.Effect<unknown, never, Node.Node>): Effect.Effect<Step, never, Node.Node> {
    return Effect.gen({ self: this }, function*() {
      this.lines = []
      this.orphans = []
      yield* act
      yield* this.rest
      const lines = sortTogether(this.lines)
      const orphans = [...this.orphans].sort()
      if (this.end !== undefined) return { fault, lines, orphans, tree: [] }
      const asking = yield* Effect.forkChild(this.tree(this.root!.pid, this.root!.name))
      yield* this.how.settle
      const exit = asking.pollUnsafe()
      const tree = exit?._tag === "Success" ? exit.value : ["supervisors do not answer"]
      return { fault, lines, orphans, tree }
    })
  }

  /** Starts the root below a process of its own, whose end is the `stop` of a case. */
  readonly start: Effect.Effect<void, never, Node.Node> = Effect.gen({ self: this }, function*() {
    const { root } = this.input
    const options = { name: root.id, link: true }
    const start: Effect.Effect<unknown, unknown, any> = root.strategy === "simple_one_for_one"
      ? DynamicSupervisor.start(this.dynamic(root), options)
      : Supervisor.start(this.supervisor(root), options)
    yield* Process.spawnDetached(() =>
      Effect.gen({ self: this }, function*() {
        // In a scope that nobody closes: the end of this process is to reach the tree as an exit signal.
        yield* Effect.provideService(start, Scope.Scope, Scope.makeUnsafe())
        this.startedAs(this.root!, root.id)
        return yield* Process.exitSelf(yield* Deferred.await(this.parentEnd))
      })
    )
  }).pipe(Effect.orDie)
}

/** How a case went on the real runtime, and how often it had to wait. */
export interface RuntimeTrace extends Trace {
  readonly waits: number
}

/** Runs a case on the node that is provided. */
export const runRuntime = (input: Case, how: Rest): Effect.Effect<RuntimeTrace, never, Node.Node> =>
  Effect.scoped(Effect.gen(function*() {
    const world = new World(input, how)
    yield* Node.trace(world.onTrace)
    const steps: Array<Step> = []
    for (const plan of input.plans) yield* world.apply(plan)
    steps.push(yield* world.step("start", world.start))
    for (const fault of input.faults) {
      if (world.end !== undefined) break
      steps.push(yield* world.step(showFault(fault), Effect.suspend(() => world.apply(fault))))
    }
    return { steps, end: world.end, waits: world.waits }
  }))
