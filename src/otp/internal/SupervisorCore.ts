/**
 * The restart logic of a supervisor: a state machine without I/O, clock or processes.
 *
 * `step(now, event)` changes the state and returns the actions the shell must carry out, in order. The state is mutable
 * and private for speed, but the machine is deterministic: the same events at the same times give the same actions.
 *
 * Guarantees OTP 25's rules. At most one child is being started or stopped at any time (the children of a
 * `simple_one_for_one` supervisor are stopped together). While that is so, exits of other children and requests wait in
 * one queue in order of arrival, as they would in the mailbox of a process that blocks; a child that is stopped before
 * its turn in the queue comes is thereby handled, so two deaths met by one group restart count once. The queue is here
 * and not in the shell because the exits that concern the operation under way must pass it.
 *
 * Only the parent's exit does not wait: a start under way is aborted, a group is stopped but not started again, and
 * then everything is stopped in reverse order. Requests that wait are not answered: the caller sees the process end.
 *
 * A restart that fails is not tried again in the same step. The child is `restarting` and the core asks for a retry, so
 * that the mailbox gets its turn. Back-off uses the same way for the first attempt. The retry counts against the
 * intensity when it is made, so a delay long enough never exhausts it. Under the group strategies the group is stopped
 * before the delay.
 *
 * Differs from OTP 25 where OTP harms itself: a dynamic child that answers `ignore` to its restart is forgotten (OTP
 * keeps it without a process and fails when it stops), and a specification sent to a dynamic supervisor is refused (OTP
 * crashes).
 *
 * Refuses to repair a shell that breaks the protocol: the outcome of a start that is not under way is a defect.
 *
 * @since 0.1.0
 */
import * as MutableHashMap from "effect/MutableHashMap"
import * as Result from "effect/Result"
import { RestartWindow } from "./RestartWindow.ts"
import type { Starting, StartPurpose, Stopping, StoppingAll, StopPurpose, Waiting } from "./SupervisorActivity.ts"
import { type Child, Children, offender, stoppedAsTold } from "./SupervisorChildren.ts"
import type { Action, Answer, Event, ExitClass, ExitWith, Report, Request, Types } from "./SupervisorProtocol.ts"
import {
  type ChildOptions,
  type ChildSpec,
  type Shutdown,
  type SupervisorSpec,
  validateChild
} from "./SupervisorSpec.ts"

const noTimer = 0

/** The limit for an aborted start of a worker whose shutdown is `infinity`. */
const abortMillis = 5000

/**
 * A view of the state for tests and observers.
 *
 * @since 0.1.0
 */
export interface Inspection {
  readonly phase: "new" | "running" | "exiting" | "exited"
  readonly activity: "idle" | "starting" | "stopping"
  readonly waiting: number
  readonly children: number
  readonly restarts: number
}

/** @since 0.1.0 */
export class SupervisorCore<T extends Types> {
  readonly spec: SupervisorSpec<T["Start"]>
  private readonly template: ChildSpec<T["Start"]> | undefined
  private readonly children: Children<T>
  private readonly window: RestartWindow
  private phase: Inspection["phase"] = "new"
  private activity: Starting<T> | Stopping<T> | StoppingAll<T> | undefined
  private exitWith: ExitWith<T> = { _tag: "Shutdown" }
  private queue: Array<Waiting<T>> = []
  private queueHead = 0
  private timers = noTimer
  private now = Number.NEGATIVE_INFINITY
  private actions: Array<Action<T>> = []

  constructor(spec: SupervisorSpec<T["Start"]>) {
    const dynamic = spec.strategy === "simple_one_for_one"
    this.spec = spec
    this.template = dynamic ? spec.children[0] : undefined
    this.children = new Children(dynamic)
    this.window = new RestartWindow(spec.intensity, spec.periodMillis)
  }

  /** Takes one event at a time in milliseconds (which must not run backwards) and says what to do. */
  step(nowMillis: number, event: Event<T>): ReadonlyArray<Action<T>> {
    if (nowMillis > this.now) this.now = nowMillis
    this.actions = []
    this.take(event)
    this.drain()
    return this.actions
  }

  /** What the supervisor is doing. */
  inspect(): Inspection {
    return {
      phase: this.phase,
      activity: this.activity === undefined ? "idle" : this.activity.kind === "starting" ? "starting" : "stopping",
      waiting: this.queue.length - this.queueHead,
      children: this.children.size,
      restarts: this.window.count
    }
  }

  // --- events ---

  private take(event: Event<T>): void {
    switch (event._tag) {
      case "Start":
        return this.init()
      case "ChildStarted":
        return this.started(this.outcome(event._tag, event.child), event.key)
      case "ChildIgnored":
        return this.ignored(this.outcome(event._tag, event.child))
      case "ChildStartFailed":
        return this.startFailed(this.outcome(event._tag, event.child), event.reason)
      case "ChildExited":
        return this.exited(event.key, event.exitClass, event.reason)
      case "TimerFired":
        return this.timerFired(event.timer)
      case "Retry":
        return this.enqueue({ kind: "retry", child: event.child })
      case "ParentExited":
        return this.parentExited(event.reason)
      case "Request":
        return this.enqueue({ kind: "request", from: event.from, request: event.request })
    }
  }

  private enqueue(item: Waiting<T>): void {
    if (this.phase === "exiting" || this.phase === "exited") return
    if (this.idle && this.queueHead === this.queue.length) this.handle(item)
    else this.queue.push(item)
  }

  private drain(): void {
    while (this.idle && this.queueHead < this.queue.length) this.handle(this.queue[this.queueHead++]!)
    if (this.queueHead === this.queue.length && this.queueHead > 0) {
      this.queue = []
      this.queueHead = 0
    }
  }

  private get idle(): boolean {
    return this.activity === undefined && this.phase === "running"
  }

  private handle(item: Waiting<T>): void {
    switch (item.kind) {
      case "exit":
        // An exit that was met while the child was being stopped is done with.
        return item.child.exit !== undefined && item.child.key === item.key ? this.handleExit(item.child) : undefined
      case "request":
        return this.handleRequest(item.from, item.request)
      case "retry": {
        const child = this.children.findWaiting(item.child)
        return child === undefined ? undefined : this.restart(child)
      }
    }
  }

  private exited(key: T["Key"], exitClass: ExitClass, reason: T["Reason"]): void {
    const child = this.children.findProcess(key)
    if (child === undefined || child.status !== "running" || child.exit !== undefined) return
    child.exit = { exitClass, reason }
    const activity = this.activity
    if (activity?.kind === "stopping" && activity.children[activity.at] === child) return this.stopped(activity)
    if (activity?.kind === "stoppingAll") return this.stoppedOne(activity, child)
    this.enqueue({ kind: "exit", child, key })
  }

  private timerFired(timer: number): void {
    const activity = this.activity
    if (activity === undefined || activity.timer !== timer || timer === noTimer) return
    activity.timer = noTimer
    if (activity.kind === "starting") {
      this.do({ _tag: "AbortStart", child: activity.children[activity.at]!.number, kill: true })
    } else if (activity.kind === "stopping") {
      this.kill(activity.children[activity.at]!)
    } else {
      for (const child of activity.left) this.kill(child)
    }
  }

  private parentExited(reason: T["Reason"]): void {
    if (this.phase === "exiting" || this.phase === "exited") return
    const activity = this.activity
    this.leave({ _tag: "Parent", reason })
    // A stop under way goes on to the end of its group, which is the beginning of the reverse order of all.
    if (activity?.kind === "starting") this.abort(activity)
  }

  // --- the life of the supervisor ---

  private init(): void {
    if (this.phase !== "new") throw new Error("SupervisorCore.step: Start was fed twice")
    this.phase = "running"
    if (this.template === undefined) {
      for (const spec of this.spec.children) this.children.insert(this.children.make(spec, undefined))
      this.start({ kind: "init" }, this.children.all())
    } else {
      this.do({ _tag: "Initialized" })
    }
  }

  /** Decides to end; children are stopped as soon as nothing else is under way. */
  private leave(exitWith: ExitWith<T>): void {
    this.phase = "exiting"
    this.exitWith = exitWith
    this.queue = []
    this.queueHead = 0
    if (this.activity === undefined) this.stopEverything()
  }

  private stopEverything(): void {
    if (this.template === undefined) return this.stop({ kind: "exit" }, this.children.all())
    this.stopAll(this.template)
  }

  private exit(): void {
    this.activity = undefined
    this.phase = "exited"
    this.do({ _tag: "Exit", reason: this.exitWith })
  }

  // --- exits and restarts ---

  private handleExit(child: Child<T>): void {
    const { exitClass, reason } = child.exit!
    const restart = child.spec.restart
    const orderly = exitClass === "normal" || exitClass === "shutdown" || exitClass === "shutdownDetail"
    if (restart === "permanent" || !orderly) {
      this.report({ kind: "child_terminated", reason, offender: offender(child) })
    }
    if (restart === "permanent" || (restart === "transient" && !orderly)) {
      const stable = this.now - child.upSince >= (this.spec.backoff?.resetAfterMillis ?? this.spec.periodMillis)
      child.attempt = stable ? 1 : child.attempt + 1
      this.children.restarting(child, reason)
      if (this.spec.backoff === undefined) this.restart(child)
      else this.delay(child)
    } else {
      this.children.down(child)
      if (child.spec.significant && this.significantEnd()) this.leave({ _tag: "Shutdown" })
    }
  }

  private significantEnd(): boolean {
    switch (this.spec.autoShutdown) {
      case "never":
        return false
      case "any_significant":
        return true
      case "all_significant":
        return this.children.significant === 0
    }
  }

  /** Makes a restart attempt for a child that is `restarting`, unless it is one too many. */
  private restart(child: Child<T>): void {
    if (!this.window.add(this.now)) {
      this.report({ kind: "shutdown", reason: "reached_max_restart_intensity", offender: offender(child) })
      this.children.down(child)
      return this.leave({ _tag: "Shutdown" })
    }
    const group = this.group(child)
    if (group === undefined) return this.start({ kind: "restart", child }, [child])
    this.children.down(child)
    this.stop({ kind: "restart", child }, group)
  }

  /** Puts the first attempt off. Those who are restarted with the child do not run without it in the meantime. */
  private delay(child: Child<T>): void {
    const group = this.group(child)
    if (group === undefined) this.retryLater(child)
    else this.stop({ kind: "delay", child }, group.filter((other) => other !== child))
  }

  private retryLater(child: Child<T>): void {
    const { attempt, number, spec, why } = child
    this.do({ _tag: "DelayRestart", child: number, spec, attempt, reason: why, memory: child })
  }

  /** The children that are restarted together with this one, and it, in start order. */
  private group(child: Child<T>): ReadonlyArray<Child<T>> | undefined {
    switch (this.spec.strategy) {
      case "one_for_all":
        return this.children.all()
      case "rest_for_one":
        return this.children.from(child)
      default:
        return undefined
    }
  }

  // --- starting ---

  private start(purpose: StartPurpose<T>, children: ReadonlyArray<Child<T>>): void {
    const activity: Starting<T> = { kind: "starting", purpose, children, at: 0, aborted: false, timer: noTimer }
    this.activity = activity
    this.startNext(activity)
  }

  private startNext(activity: Starting<T>): void {
    const child = activity.children[activity.at]
    if (child !== undefined && this.phase === "running") {
      const { args, number, spec } = child
      this.do({
        _tag: "StartChild",
        child: number,
        spec,
        args,
        attempt: isCause(activity.purpose, child) ? child.attempt : 0
      })
    } else {
      this.endStart(activity)
    }
  }

  private endStart(activity: Starting<T>): void {
    this.disarm(activity)
    this.activity = undefined
    if (this.phase === "exiting") this.stopEverything()
    else if (activity.purpose.kind === "init") this.do({ _tag: "Initialized" })
  }

  private outcome(event: string, number: number): Starting<T> {
    const activity = this.activity
    if (activity?.kind === "starting" && activity.children[activity.at]?.number === number) return activity
    throw new Error(`SupervisorCore.step: ${event} for child ${number}, but this start is not under way`)
  }

  private started(activity: Starting<T>, key: T["Key"]): void {
    const child = activity.children[activity.at]!
    const { purpose } = activity
    if (purpose.kind === "add") this.children.insert(child)
    this.children.attach(child, key, this.now)
    if (this.template === undefined) this.report({ kind: "progress", offender: offender(child) })
    if (purpose.kind === "add" || purpose.kind === "again") this.reply(purpose.from, { _tag: "Started", key })
    activity.at++
    this.startNext(activity)
  }

  private ignored(activity: Starting<T>): void {
    const child = activity.children[activity.at]!
    const { purpose } = activity
    if (purpose.kind === "add" && child.spec.restart !== "temporary") this.children.insert(child)
    else if (purpose.kind === "restart") this.children.down(child)
    else if (child.spec.restart === "temporary") this.children.remove(child)
    if (purpose.kind === "add" || purpose.kind === "again") this.reply(purpose.from, ignoredAnswer)
    activity.at++
    this.startNext(activity)
  }

  private startFailed(activity: Starting<T>, reason: T["Reason"]): void {
    const child = activity.children[activity.at]!
    const { aborted, purpose } = activity
    this.disarm(activity)
    this.activity = undefined
    if (purpose.kind === "add" || purpose.kind === "again") {
      this.reply(purpose.from, { _tag: "StartFailed", reason })
    } else if (!aborted) {
      this.report({ kind: "start_error", reason, offender: offender(child) })
      if (purpose.kind === "init") return this.leave({ _tag: "FailedToStart", id: child.spec.id, reason })
      child.attempt = isCause(purpose, child) ? child.attempt + 1 : 1
      this.children.restarting(child, reason)
      this.retryLater(child)
    }
    if (this.phase === "exiting") this.stopEverything()
  }

  /**
   * Asks a start under way to end, with the patience the child's shutdown allows. A worker that may take for ever to
   * stop may not do so when it has not even started; a supervisor may, for its own children are limited in turn.
   */
  private abort(activity: Starting<T>): void {
    const { number, spec } = activity.children[activity.at]!
    activity.aborted = true
    this.do({ _tag: "AbortStart", child: number, kill: spec.shutdown === "brutal_kill" })
    activity.timer = this.arm(spec.shutdown === "infinity" && spec.type === "worker" ? abortMillis : spec.shutdown)
  }

  // --- stopping ---

  private stop(purpose: StopPurpose<T>, children: ReadonlyArray<Child<T>>): void {
    const activity: Stopping<T> = { kind: "stopping", purpose, children, at: children.length - 1, timer: noTimer }
    this.activity = activity
    this.stopNext(activity)
  }

  private stopNext(activity: Stopping<T>): void {
    for (; activity.at >= 0; activity.at--) {
      const child = activity.children[activity.at]!
      if (child.status !== "running") {
        this.forget(child)
      } else if (child.exit !== undefined) {
        this.reap(child)
      } else {
        this.tell(child)
        activity.timer = this.arm(child.spec.shutdown)
        return
      }
    }
    this.endStop(activity)
  }

  /** The awaited exit has come. */
  private stopped(activity: Stopping<T>): void {
    this.disarm(activity)
    this.reap(activity.children[activity.at]!)
    activity.at--
    this.stopNext(activity)
  }

  private endStop(activity: Stopping<T>): void {
    const { children, purpose } = activity
    this.activity = undefined
    if (purpose.kind === "terminate") this.reply(purpose.from, doneAnswer)
    if (purpose.kind === "exit") return this.exit()
    if (this.phase === "exiting") return this.stopEverything()
    if (purpose.kind === "delay") this.retryLater(purpose.child)
    // Those that are not temporary come back, whether they ran before or not.
    if (purpose.kind === "restart") this.start(purpose, children.filter((child) => this.children.has(child)))
  }

  /** Files the end of a child that was to be stopped. */
  private reap(child: Child<T>): void {
    const { exitClass, reason } = child.exit!
    if (!stoppedAsTold(child.spec, exitClass)) {
      this.report({ kind: "shutdown_error", reason, offender: offender(child) })
    }
    this.children.down(child)
  }

  /** A child that is stopped without having a process: a restart it waits for is off. */
  private forget(child: Child<T>): void {
    if (child.status === "restarting") this.do({ _tag: "CancelRestart", child: child.number })
    this.children.down(child)
  }

  private stopAll(template: ChildSpec<T["Start"]>): void {
    const left = new Set<Child<T>>()
    const activity: StoppingAll<T> = { kind: "stoppingAll", left, errors: MutableHashMap.empty(), timer: noTimer }
    this.activity = activity
    for (const child of this.children.all().reverse()) {
      if (child.status !== "running") this.forget(child)
      else left.add(child)
    }
    for (const child of left) {
      if (child.exit !== undefined) this.stoppedOne(activity, child, true)
      else this.tell(child)
    }
    if (left.size === 0) this.endStopAll(activity)
    else activity.timer = this.arm(template.shutdown)
  }

  private stoppedOne(activity: StoppingAll<T>, child: Child<T>, before = false): void {
    const { exitClass, reason } = child.exit!
    if (!activity.left.delete(child)) return
    if (!stoppedAsTold(child.spec, exitClass)) {
      const found = MutableHashMap.get(activity.errors, reason)
      if (found._tag === "Some") found.value.push(child)
      else MutableHashMap.set(activity.errors, reason, [child])
    }
    if (!before && activity.left.size === 0) this.endStopAll(activity)
  }

  private endStopAll(activity: StoppingAll<T>): void {
    this.disarm(activity)
    MutableHashMap.forEach(activity.errors, (children, reason) => {
      const { args, key, spec } = children[0]!
      const count = children.length
      const about = count === 1 ? { spec, args, key, count } : { spec, args: undefined, key: undefined, count }
      this.report({ kind: "shutdown_error", reason, offender: about })
    })
    this.exit()
  }

  /** Sends a child the signal its specification asks for. */
  private tell(child: Child<T>): void {
    if (child.spec.shutdown === "brutal_kill") this.kill(child)
    else this.do({ _tag: "ExitChild", child: child.number, key: child.key })
  }

  private kill(child: Child<T>): void {
    this.do({ _tag: "KillChild", child: child.number, key: child.key })
  }

  private arm(shutdown: Shutdown): number {
    if (typeof shutdown !== "number") return noTimer
    const timer = ++this.timers
    this.do({ _tag: "ArmTimer", timer, millis: shutdown })
    return timer
  }

  private disarm(activity: { timer: number }): void {
    if (activity.timer === noTimer) return
    this.do({ _tag: "CancelTimer", timer: activity.timer })
    activity.timer = noTimer
  }

  // --- administration ---

  private handleRequest(from: T["From"], request: Request<T>): void {
    switch (request._tag) {
      case "StartChild":
        return this.startChild(from, request.spec)
      case "StartDynamicChild":
        return this.startDynamicChild(from, request.args)
      case "TerminateChild":
        return this.withChild(from, request.id, (child) => this.stop({ kind: "terminate", from }, [child]))
      case "TerminateDynamicChild":
        return this.terminateDynamicChild(from, request.key, request.alive ?? true)
      case "RestartChild":
        return this.withChild(from, request.id, (child) => {
          if (child.status === "down") this.start({ kind: "again", from }, [child])
          else this.reply(from, notDown(child))
        })
      case "DeleteChild":
        return this.withChild(from, request.id, (child) => {
          if (child.status === "down") this.children.remove(child)
          this.reply(from, child.status === "down" ? doneAnswer : notDown(child))
        })
      case "GetChildSpec":
        if (this.template !== undefined) return this.reply(from, { _tag: "Spec", spec: this.template })
        return this.withChild(from, request.id, ({ spec }) => this.reply(from, { _tag: "Spec", spec }))
      case "WhichChildren":
        return this.reply(from, { _tag: "Children", children: this.children.which() })
      case "CountChildren":
        return this.reply(from, { _tag: "Counts", ...this.children.counts(this.template) })
    }
  }

  private withChild(from: T["From"], id: string, use: (child: Child<T>) => void): void {
    if (this.template !== undefined) return this.reply(from, simpleAnswer)
    const child = this.children.find(id)
    if (child === undefined) this.reply(from, notFoundAnswer)
    else use(child)
  }

  private startChild(from: T["From"], options: ChildOptions<T["Start"]>): void {
    if (this.template !== undefined) return this.reply(from, simpleAnswer)
    const checked = validateChild(options, this.spec.autoShutdown)
    if (Result.isFailure(checked)) return this.reply(from, { _tag: "InvalidSpec", error: checked.failure })
    const present = this.children.find(checked.success.id)
    if (present === undefined) this.start({ kind: "add", from }, [this.children.make(checked.success, undefined)])
    else if (present.status === "running") this.reply(from, { _tag: "AlreadyStarted", key: present.key })
    else this.reply(from, { _tag: "AlreadyPresent" })
  }

  private startDynamicChild(from: T["From"], args: T["Args"]): void {
    if (this.template === undefined) return this.reply(from, { _tag: "NotSimpleOneForOne" })
    const { maxChildren } = this.spec
    if (this.children.size >= maxChildren) return this.reply(from, { _tag: "MaxChildren", maxChildren })
    this.start({ kind: "add", from }, [this.children.make(this.template, args)])
  }

  private terminateDynamicChild(from: T["From"], key: T["Key"], alive: boolean): void {
    if (this.template === undefined) return this.reply(from, { _tag: "NotSimpleOneForOne" })
    const child = this.children.findProcess(key)
    if (child === undefined) return this.reply(from, alive ? notFoundAnswer : doneAnswer)
    this.stop({ kind: "terminate", from }, [child])
  }

  private do(action: Action<T>): void {
    this.actions.push(action)
  }

  private reply(from: T["From"], answer: Answer<T>): void {
    this.actions.push({ _tag: "Reply", from, answer })
  }

  private report(report: Report<T>): void {
    this.actions.push({ _tag: "Report", report })
  }
}

const ignoredAnswer: Answer<never> = { _tag: "Ignored" }
const doneAnswer: Answer<never> = { _tag: "Done" }
const notFoundAnswer: Answer<never> = { _tag: "NotFound" }
const simpleAnswer: Answer<never> = { _tag: "SimpleOneForOne" }

/** Whether this child is the one for which a group is restarted. */
const isCause = <T extends Types>(purpose: StartPurpose<T>, child: Child<T>): boolean =>
  purpose.kind === "restart" && purpose.child === child

const notDown = <T extends Types>(child: Child<T>): Answer<T> =>
  child.status === "running" ? { _tag: "Running", key: child.key } : { _tag: "Restarting" }
