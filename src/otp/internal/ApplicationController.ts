/**
 * The applications of one node: which are loaded, which run, in which order they were started, and what the end of one
 * means to the others. There is one per node, made when it is first asked for, and it goes with the node.
 *
 * Guarantees: what an application needs runs before it is started; when a start fails or is interrupted, what it has
 * started is stopped again, in reverse order; an application has ended when its tree, its callbacks and every process
 * that was started inside of it are gone; the node's end stops all, one after another, last started first.
 *
 * Refuses starts on a node that stops, and starts that would wait for themselves: cycles among dependencies, and callbacks
 * that start what needs the application under way.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import * as Node from "../../process/Node.ts"
import { ApplicationError, ApplicationStartError, NodeStopped } from "./ApplicationError.ts"
import { type ApplicationArguments, applicationBehaviour, type Definition, insideOf } from "./ApplicationProcess.ts"
import { startOrder, type StartType, type Step, stopsNode } from "./ApplicationRules.ts"

/** How long applications may take to stop when the node does. Finalizers of what is killed then have 5 seconds more. */
export const defaultStopMillis = 25_000

/** The key under which processes find the name of the application they belong to. */
export const nameKey = "effect-otp:application"

/** The name of an application that is given by it, or as itself. */
export const nameOf = (target: string | { readonly name: string }): string =>
  typeof target === "string" ? target : target.name

type StartFailure = ApplicationError | ApplicationStartError<unknown>

/** A run of an application, from the beginning of its start to its end. */
class Run {
  readonly type: StartType
  /** Whether it was started for others only. */
  implicit: boolean
  process: Behaviour.Instance | undefined = undefined
  top: Behaviour.Process | undefined = undefined
  status: "starting" | "running" | "stopping" = "starting"
  startedAt = 0
  /** Whether somebody asked it to stop: its end has no consequences then. */
  asked = false
  /** Completes when the start has succeeded or failed. */
  readonly settled: Deferred.Deferred<void> = Deferred.makeUnsafe<void>()
  /** Completes when nothing is left of it. */
  readonly ended: Deferred.Deferred<void> = Deferred.makeUnsafe<void>()

  constructor(type: StartType, implicit: boolean) {
    this.type = type
    this.implicit = implicit
  }
}

/** A loaded application. */
export class Entry {
  readonly definition: Definition
  /** The services of whoever loaded or started it last. */
  services: Context.Context<never>
  readonly env: Map<string, unknown>
  run: Run | undefined = undefined

  constructor(definition: Definition, services: Context.Context<never>) {
    this.definition = definition
    this.services = services
    this.env = new Map(Object.entries(definition.env))
  }
}

/** The applications whose start is under way around a fiber, outermost first. */
const Starting: Context.Reference<ReadonlyArray<string>> = Context.Reference<ReadonlyArray<string>>(
  "effect-otp/Application/Starting",
  { defaultValue: () => [] }
)

/** What was done about an application that is needed: it runs, it was started, or there is something to wait for. */
type Found = undefined | Entry | Deferred.Deferred<void>

/** How an application is asked for. */
interface Wanted {
  readonly startType: StartType | undefined
  /** Whether it is fine that it runs already. */
  readonly ensure: boolean
}

/** @since 0.1.0 */
export class ApplicationController {
  readonly entries: Map<string, Entry> = new Map()
  /** What runs, in the order of start. */
  readonly running: Array<Entry> = []
  stopMillis: number = defaultStopMillis
  private readonly node: Node.Service
  private readonly stopped = Deferred.makeUnsafe<void, NodeStopped>()
  private stopping = false

  constructor(node: Node.Service) {
    this.node = node
  }

  /** Completes, or fails with the application at fault, when the node has stopped. */
  get awaitStop(): Effect.Effect<void, NodeStopped> {
    return Deferred.await(this.stopped)
  }

  // --- loading -------------------------------------------------------------------------------------------------------

  load(definition: Definition, services: Context.Context<never>): Effect.Effect<void, ApplicationError> {
    return Effect.suspend(() => {
      const { name } = definition
      if (this.entries.has(name)) return refuse(name, "AlreadyLoaded")
      this.entries.set(name, new Entry(definition, services))
      return Effect.void
    })
  }

  unload(name: string): Effect.Effect<void, ApplicationError> {
    return Effect.suspend(() => {
      const entry = this.entries.get(name)
      if (entry === undefined) return refuse(name, "NotLoaded")
      if (entry.run !== undefined) return refuse(name, "Running")
      this.entries.delete(name)
      return Effect.void
    })
  }

  /** Loads an application unless it is loaded, and what it lists by value; what differs from what is loaded is refused. */
  private ensureLoaded(
    definition: Definition,
    services: Context.Context<never>,
    path: ReadonlyArray<string>
  ): ApplicationError | undefined {
    const { name } = definition
    const here = [...path, name]
    const loaded = this.entries.get(name)
    if (loaded !== undefined && loaded.definition !== definition) {
      return new ApplicationError({ application: name, reason: "AlreadyLoaded", path: here })
    }
    if (loaded === undefined) this.entries.set(name, new Entry(definition, services))
    else if (loaded.run === undefined) loaded.services = services
    for (const dependency of definition.applications) {
      const problem = typeof dependency === "string" ? undefined : this.ensureLoaded(dependency, services, here)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  // --- starting ------------------------------------------------------------------------------------------------------

  /** Starts an application given by value or by name, after all that it needs. What was started is given back. */
  start(
    application: string | Definition,
    wanted: Wanted,
    services: Context.Context<never>
  ): Effect.Effect<ReadonlyArray<Entry>, StartFailure> {
    return Effect.suspend(() => {
      const name = nameOf(application)
      const loaded = typeof application === "string" ? this.entries.get(name) : undefined
      const definition = typeof application === "string" ? loaded?.definition : application
      if (definition === undefined) return refuse(name, "NotLoaded")
      const problem = this.ensureLoaded(definition, loaded?.services ?? services, [])
      if (problem !== undefined) return Effect.fail(problem)
      const order = startOrder(name, (name) => this.entries.get(name)?.definition.applications.map(nameOf))
      return Result.isFailure(order)
        ? Effect.fail(new ApplicationError({ application: name, ...order.failure }))
        : this.startAll(order.success, wanted)
    })
  }

  /** Starts a series of applications, of which the last is the one that was asked for. */
  private startAll(steps: ReadonlyArray<Step>, wanted: Wanted): Effect.Effect<ReadonlyArray<Entry>, StartFailure> {
    return Effect.suspend(() => {
      const started: Array<Entry> = []
      const target = steps[steps.length - 1]!
      return Effect.onError(
        Effect.as(
          Effect.forEach(steps, (step) =>
            Effect.map(this.startStep(step, wanted, step === target), (entry) => {
              if (entry !== undefined) started.push(entry)
            }), { discard: true }),
          started
        ),
        // In reverse order. Those that were running before stay.
        () => Effect.forEach([...started].reverse(), (entry) => this.stopEntry(entry), { discard: true })
      )
    })
  }

  /** Makes sure that an application runs; gives it when that was done here. */
  private startStep(step: Step, wanted: Wanted, isTarget: boolean): Effect.Effect<Entry | undefined, StartFailure> {
    return Effect.flatMap(Starting, (chain) =>
      Effect.flatMap(
        // What is found and what is done about it may not be parted by an interruption or another fiber.
        Effect.uninterruptibleMask((restore): Effect.Effect<Found, StartFailure> => {
          const entry = this.entries.get(step.name)
          if (entry === undefined) return refuse(step.name, "NotLoaded", step.path)
          const { run } = entry
          if (run === undefined) {
            if (this.stopping) return refuse(step.name, "NodeStopping", step.path)
            return this.startEntry(entry, new Run(typeOf(entry, wanted, isTarget), !isTarget), step, chain, restore)
          }
          if (isTarget && !wanted.ensure && run.status !== "stopping") return refuse(step.name, "AlreadyStarted")
          if (run.status === "running") {
            if (isTarget) run.implicit = false
            return Effect.undefined
          }
          const index = chain.indexOf(step.name)
          if (index >= 0) return refuse(step.name, "Cycle", [...chain.slice(index), ...step.path])
          return Effect.succeed(run.status === "starting" ? run.settled : run.ended)
        }),
        (found) =>
          found === undefined || found instanceof Entry
            ? Effect.succeed(found)
            // Somebody else starts or stops it: wait for that, then look again.
            : Effect.flatMap(Deferred.await(found), () => this.startStep(step, wanted, isTarget))
      ))
  }

  private startEntry(
    entry: Entry,
    run: Run,
    step: Step,
    chain: ReadonlyArray<string>,
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ): Effect.Effect<Entry, StartFailure> {
    const { name } = entry.definition
    entry.run = run
    const args: ApplicationArguments = {
      definition: entry.definition,
      startType: run.type,
      onTop: (top) => {
        run.top = top
      }
    }
    // In a fiber of its own, without the caller's process: the application is a root of its own, and whoever starts it
    // may go away.
    const starting = Effect.runForkWith(Context.add(entry.services, Starting, [...chain, name]))(
      Effect.provideService(
        Behaviour.startDetached(applicationBehaviour, args, {
          label: name,
          environment: { ...Object.fromEntries(entry.env), [nameKey]: name },
          onSpawn: (process) => {
            run.process = process as Behaviour.Instance
          }
        }),
        Node.Node,
        this.node
      )
    )
    const abandon = Effect.suspend(() => {
      run.asked = true
      run.process?.requestStop(ExitReason.shutdown)
      return Effect.andThen(
        Effect.flatMap(Fiber.await(starting), (exit) => Effect.ignore(this.settle(entry, run, step, exit))),
        Effect.suspend(() => this.stopEntry(entry))
      )
    })
    return Effect.flatMap(
      Effect.onInterrupt(restore(Fiber.await(starting)), () => abandon),
      (exit) => this.settle(entry, run, step, exit)
    )
  }

  /** The start of an application has succeeded or failed. */
  private settle(
    entry: Entry,
    run: Run,
    step: Step,
    exit: Exit.Exit<Behaviour.Instance, unknown>
  ): Effect.Effect<Entry, StartFailure> {
    const { process } = run
    if (Exit.isSuccess(exit)) {
      run.status = run.asked ? "stopping" : "running"
      run.startedAt = Context.get(this.node.runtime.context, Clock.Clock).currentTimeMillisUnsafe()
      this.running.push(entry)
      this.detached(this.watch(entry, run, exit.value))
      return Effect.as(Deferred.succeed(run.settled, undefined), entry)
    }
    const leave = Effect.suspend(() => {
      entry.run = undefined
      return Effect.andThen(Deferred.succeed(run.ended, undefined), Deferred.succeed(run.settled, undefined))
    })
    const { name } = entry.definition
    const cause = Cause.squash(exit.cause)
    const error = cause instanceof ApplicationStartError
      ? new ApplicationStartError({ application: name, path: step.path, step: cause.step, error: cause.error })
      : new ApplicationStartError({ application: name, path: step.path, step: "tree", error: cause })
    const gone = process === undefined ? Effect.void : Effect.andThen(this.gone(process, run.top), leave)
    return Effect.andThen(process === undefined ? leave : gone, Effect.fail(error))
  }

  // --- the end of an application -------------------------------------------------------------------------------------

  /** Waits for the end of a run and does what follows from it. */
  private watch(entry: Entry, run: Run, process: Behaviour.Instance): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const reason = yield* Behaviour.awaitEnd(process)
      // Asked to stop before it ended, that is: what comes later is too late.
      const { asked } = run
      if (run.status === "running") run.status = "stopping"
      yield* this.gone(process, run.top)
      this.running.splice(this.running.indexOf(entry), 1)
      entry.run = undefined
      yield* Deferred.succeed(run.ended, undefined)
      const takesNode = !asked && !this.stopping && stopsNode(run.type, reason)
      yield* this.report(entry.definition.name, run, reason, takesNode)
      if (takesNode) this.stopNode({ application: entry.definition.name, startType: run.type, exitReason: reason })
    })
  }

  /** Waits until nothing is left of an application whose process has ended; what was started inside of it is killed. */
  private gone(process: Behaviour.Process, top: Behaviour.Process | undefined): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      yield* Behaviour.awaitEnd(process)
      // A killed application has its tree taken down by the link, in order.
      if (top !== undefined) yield* Behaviour.awaitEnd(top)
      yield* Effect.forEach(this.kill(process), Behaviour.awaitEnd, { discard: true })
    })
  }

  /** Kills everything that was started inside of an application. */
  private kill(process: Behaviour.Process): ReadonlyArray<Behaviour.Process> {
    const members = insideOf(process)
    for (const member of members) member.exitSignal(this.node.runtime.pid, ExitReason.kill, false)
    return members
  }

  private report(name: string, run: Run, reason: ExitReason.ExitReason, takesNode: boolean): Effect.Effect<void> {
    const fields = { application: name, exited: ExitReason.format(reason), type: run.type }
    const { process } = run
    const { tracer } = this.node.runtime
    if (tracer !== undefined && process !== undefined) {
      tracer({ _tag: "Report", pid: process.pid, name, report: fields })
    }
    const text = `application ${name} ended: ${fields.exited}`
    return Effect.annotateLogs(
      takesNode
        ? Effect.logError(`${text}. It is ${run.type}: the node stops`)
        : ExitReason.isOrderly(reason)
        ? Effect.logDebug(text)
        : Effect.logWarning(text),
      fields
    )
  }

  // --- stopping ------------------------------------------------------------------------------------------------------

  stop(name: string, limitMillis: number): Effect.Effect<void, ApplicationError> {
    return Effect.suspend(() => {
      const entry = this.entries.get(name)
      if (entry === undefined) return refuse(name, "NotLoaded")
      return entry.run === undefined ? refuse(name, "NotRunning") : this.stopEntry(entry, limitMillis)
    })
  }

  /** Stops an application, if it runs, and waits until nothing is left of it. After the limit it is killed. */
  stopEntry(entry: Entry, limitMillis: number = Infinity): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { run } = entry
      if (run === undefined) return Effect.void
      run.asked = true
      if (run.status === "running") run.status = "stopping"
      run.process?.requestStop(ExitReason.normal)
      const ended = Deferred.await(run.ended)
      if (limitMillis === Infinity) return ended
      return Effect.flatMap(Effect.timeoutOption(ended, limitMillis), (done) => {
        if (done._tag === "Some") return Effect.void
        if (run.process !== undefined) this.kill(run.process)
        return ended
      })
    })
  }

  /** Stops what was started for `entry`: itself, and dependencies that nobody else needs or asked for. */
  release(entry: Entry): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      yield* this.stopEntry(entry)
      for (let unneeded = this.unneeded(); unneeded !== undefined; unneeded = this.unneeded()) {
        yield* this.stopEntry(unneeded)
      }
    })
  }

  /** The last started application that runs for others only, of which none is left. */
  private unneeded(): Entry | undefined {
    const needed = new Set(
      [...this.entries.values()].filter((entry) => entry.run !== undefined)
        .flatMap((entry) => entry.definition.applications.map(nameOf))
    )
    return this.running.findLast((entry) => entry.run!.implicit && !needed.has(entry.definition.name))
  }

  /** Stops all applications, the last started first, and kills what is left after the limit. Nothing starts any more. */
  stopAll(limitMillis: number): Effect.Effect<void> {
    this.stopping = true
    const orderly = Effect.gen({ self: this }, function*() {
      for (let entry = this.last(); entry !== undefined; entry = this.last()) yield* this.stopEntry(entry)
    })
    const all = Effect.flatMap(Effect.timeoutOption(orderly, limitMillis), (done) => {
      if (done._tag === "Some") return Effect.void
      const late = [...this.entries.values()].filter((entry) => entry.run !== undefined)
      for (const { run } of late) {
        run!.asked = true
        if (run!.process !== undefined) this.kill(run!.process)
      }
      return Effect.andThen(
        Effect.logWarning(
          `applications did not stop within ${limitMillis} ms and were killed: ` +
            late.map((entry) => entry.definition.name).join(", ")
        ),
        Effect.forEach(late, ({ run }) => Deferred.await(run!.ended), { discard: true })
      )
    })
    // In a fiber of its own: it goes on whatever becomes of those who wait for it.
    return Effect.suspend(() => Effect.asVoid(Fiber.await(this.detached(all))))
  }

  /** What is to be stopped next: a start under way before what runs. */
  private last(): Entry | undefined {
    for (const entry of this.entries.values()) if (entry.run?.status === "starting") return entry
    return this.running[this.running.length - 1]
  }

  /** Stops the node: all applications, then all other processes. Those who wait for the end are told in between. */
  stopNode(at?: Pick<NodeStopped, "application" | "exitReason" | "startType">): void {
    if (this.stopping) return
    this.stopping = true
    const outcome = at === undefined
      ? Exit.void
      : Exit.fail(new NodeStopped({ node: this.node.name, ...at }))
    this.detached(
      Effect.gen({ self: this }, function*() {
        yield* this.stopAll(this.stopMillis)
        yield* Deferred.done(this.stopped, outcome)
        yield* Node.stop(this.node)
      })
    )
  }

  /** The scope of the node closes. */
  get close(): Effect.Effect<void> {
    return Effect.andThen(
      Effect.suspend(() => this.stopAll(this.stopMillis)),
      Deferred.done(this.stopped, Exit.void)
    )
  }

  private detached(effect: Effect.Effect<void>): Fiber.Fiber<void> {
    return Effect.runForkWith(this.node.runtime.context)(effect)
  }
}

/** An application is started with the type that was asked for, a dependency with its own when it has one. */
const typeOf = ({ definition }: Entry, { startType }: Wanted, isTarget: boolean): StartType =>
  (isTarget ? startType ?? definition.startType : definition.startType ?? startType) ?? "temporary"

const refuse = (
  application: string,
  reason: ApplicationError["reason"],
  path: ReadonlyArray<string> = [application]
): Effect.Effect<never, ApplicationError> => Effect.fail(new ApplicationError({ application, reason, path }))

const controllers = new WeakMap<Node.Service["runtime"], ApplicationController>()

/** The controller of a node. */
export const controllerOf: Effect.Effect<ApplicationController, never, Node.Node> = Effect.flatMap(
  Node.Node,
  (node) =>
    Effect.suspend(() => {
      const existing = controllers.get(node.runtime)
      if (existing !== undefined) return Effect.succeed(existing)
      const controller = new ApplicationController(node)
      controllers.set(node.runtime, controller)
      return Effect.as(Node.onStop(node, controller.close), controller)
    })
)
