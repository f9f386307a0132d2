/**
 * The process around a supervisor's core: carries out its actions and feeds it what happens.
 *
 * Everything that happens comes through the mailbox of the supervisor, in order: exit signals, requests, timers, the
 * outcomes of starts. The only exception is the outcome of a start that is there at once, which is fed at once. The
 * exit of a process whose start is under way is held back until the outcome of that start is fed, so that it cannot
 * overtake it.
 *
 * A child counts as ended when its process is gone: an exit signal that a living child sends its supervisor means
 * nothing. A child that has taken its link away is linked again when it is told to stop, so that its end is seen.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Behaviour from "../../process/Behaviour.ts"
import { StartError } from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type * as Message from "../../process/Message.ts"
import type { Core } from "../../process/Protocol.ts"
import type { Exit as ExitSignal } from "../../process/Signal.ts"
import { stop, Transition } from "../../process/Transition.ts"
import type { Pid } from "../../term/Pid.ts"
import { SupervisorStartError } from "../OtpError.ts"
import { RestartBackoff } from "./RestartBackoff.ts"
import { SupervisorCore } from "./SupervisorCore.ts"
import type { Action, Answer, Event, ExitClass, ExitWith, Report, Request, Types } from "./SupervisorProtocol.ts"
import type { ChildSpec, SupervisorSpec } from "./SupervisorSpec.ts"

/** How a child is started: linked, and with the supervisor as its parent. `onSpawn` gets the process before it runs. */
export type StartFunction = (
  args: unknown,
  onSpawn: (process: Behaviour.Process) => void
) => Effect.Effect<Behaviour.Process, unknown, unknown>

/** How this shell fills in the opaque types of the core. */
export interface ShellTypes extends Types {
  readonly Key: Pid
  readonly Start: StartFunction
  readonly Args: unknown
  readonly From: (answer: Answer<ShellTypes>) => void
  readonly Reason: ExitReason.ExitReason
}

/** What is needed to run a supervisor. */
export interface ShellOptions {
  readonly spec: SupervisorSpec<StartFunction>
  readonly backoff: Schedule.Schedule<unknown, ExitReason.ExitReason> | undefined
}

/** The transition that says nothing: a call is answered later, the state stays. */
export const nothing: Transition<never, never, never> = new Transition(
  false,
  undefined as never,
  false,
  undefined as never,
  undefined,
  undefined
)

class ShellTimer extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

/** A start that is under way. */
interface Starting {
  readonly child: number
  process: Behaviour.Process | undefined
  /** What to tell the process, once there is one. */
  abort: ExitReason.ExitReason | undefined
  /** The end of the process, when it was heard of before its start. */
  exit: ExitSignal | undefined
}

/** @since 0.1.0 */
export class SupervisorShell {
  readonly instance: Behaviour.Instance
  readonly options: ShellOptions
  readonly core: SupervisorCore<ShellTypes>
  private readonly clock: Clock.Clock
  private readonly processes = new Map<Pid, Behaviour.Process>()
  private readonly timers = new Map<number, ShellTimer>()
  private readonly backoff: RestartBackoff | undefined
  private starting: Starting | undefined = undefined
  private todo: Array<Action<ShellTypes>> = []
  private acting = false
  private end: ExitReason.ExitReason | undefined = undefined

  constructor(instance: Behaviour.Instance, options: ShellOptions) {
    this.instance = instance
    this.options = options
    this.core = new SupervisorCore<ShellTypes>(options.spec)
    this.clock = Context.get(instance.node.context, Clock.Clock)
    this.backoff = options.backoff === undefined
      ? undefined
      : new RestartBackoff(instance, options.backoff, (child) => this.later({ _tag: "Retry", child }))
  }

  /**
   * What `init` of a supervisor does. The children are started from the loop, so that exits and the parent's signal are
   * heard meanwhile.
   */
  begin(): Effect.Effect<Behaviour.Started> {
    const { instance } = this
    instance.system(() => this.feed({ _tag: "Start" }))
    return Effect.as(
      // A supervisor that is killed leaves no timers behind.
      Scope.addFinalizer(instance.scope, Effect.sync(() => this.release())),
      new Behaviour.Started(this, undefined, true)
    )
  }

  /** Feeds an event and does what follows from it; the transition with which the handler ends. */
  feed(event: Event<ShellTypes>): Transition<never, never, never> {
    this.step(event)
    return this.act()
  }

  /** A request to the core; the answer goes to `from`. */
  ask(request: Request<ShellTypes>, from: (answer: Answer<ShellTypes>) => void): Transition<never, never, never> {
    return this.feed({ _tag: "Request", request, from })
  }

  /** An exit signal that is not the parent's. */
  exited(signal: ExitSignal): Transition<never, never, never> {
    const { from } = signal
    const { starting } = this
    if (this.instance.node.resolve(from) !== undefined) return nothing
    if (this.processes.has(from)) {
      this.stepExit(signal)
      return this.act()
    }
    if (starting?.process?.pid === from) starting.exit = signal
    return nothing
  }

  private step(event: Event<ShellTypes>): void {
    if (this.end !== undefined) return
    const actions = this.core.step(this.now(), event)
    for (let i = 0; i < actions.length; i++) this.todo.push(actions[i]!)
  }

  private stepExit({ from, reason }: ExitSignal): void {
    this.processes.delete(from)
    this.step({ _tag: "ChildExited", key: from, exitClass: classOf(reason), reason })
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  /** Actions in order; what they feed appends to them, so that no step of the core runs inside another. */
  private act(): Transition<never, never, never> {
    if (this.acting) return nothing
    this.acting = true
    for (let i = 0; i < this.todo.length; i++) this.perform(this.todo[i]!)
    this.todo = []
    this.acting = false
    return this.end === undefined ? nothing : stop(this.end)
  }

  private perform(action: Action<ShellTypes>): void {
    switch (action._tag) {
      case "StartChild":
        return this.start(action.child, action.spec, action.args)
      case "AbortStart":
        return this.abort(action.kill ? ExitReason.kill : ExitReason.shutdown)
      case "ExitChild": {
        const child = this.linked(action.key)
        return child === undefined ? undefined : this.askToEnd(child)
      }
      case "KillChild":
        return this.linked(action.key)?.exitSignal(this.instance.pid, ExitReason.kill, false)
      case "ArmTimer": {
        const timer = new ShellTimer(() => {
          this.timers.delete(action.timer)
          this.later({ _tag: "TimerFired", timer: action.timer })
        })
        this.timers.set(action.timer, timer)
        return Behaviour.armTimer(this.instance, timer, action.millis)
      }
      case "CancelTimer":
        return this.disarm(action.timer)
      case "DelayRestart":
        // Without back-off the next attempt comes behind what waits.
        if (this.backoff === undefined) return this.later({ _tag: "Retry", child: action.child })
        return this.backoff.delay(action, this.now())
      case "CancelRestart":
        return this.backoff?.cancel(action.child)
      case "Reply":
        return action.from(action.answer)
      case "Report":
        return this.report(action.report)
      case "Initialized":
        return this.instance.acknowledge({ _tag: "Started" })
      case "Exit":
        return this.exit(action.reason)
    }
  }

  /** Feeds an event behind what is in the mailbox. */
  private later(event: Event<ShellTypes>): void {
    this.instance.system(() => this.feed(event))
  }

  /** Asks a running child to end. */
  protected askToEnd(child: Behaviour.Process): void {
    child.exitSignal(this.instance.pid, ExitReason.shutdown, false, true)
  }

  private disarm(key: number): void {
    const timer = this.timers.get(key)
    if (timer === undefined) return
    this.timers.delete(key)
    Behaviour.cancelTimer(this.instance, timer)
  }

  /** The process of a child whose end the supervisor will hear of, whatever the child did to its links. */
  private linked(key: Pid): Behaviour.Process | undefined {
    const process = this.processes.get(key)
    if (process !== undefined && this.instance.links?.has(process) !== true) this.instance.link(process)
    return process
  }

  // --- starting ------------------------------------------------------------------------------------------------------

  private start(child: number, spec: ChildSpec<StartFunction>, args: unknown): void {
    const starting: Starting = { child, process: undefined, abort: undefined, exit: undefined }
    this.starting = starting
    const effect = spec.start(args, (process) => {
      starting.process = process
      if (starting.abort !== undefined) this.abort(starting.abort)
    })
    // The services of the child were provided when the supervisor was started; its fiber has them, and the identity that
    // makes this process the parent.
    const fiber = Effect.runForkWith(this.instance.fiber!.context)(effect as Effect.Effect<Behaviour.Process, unknown>)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      this.settle(starting, exit)
    } else {
      fiber.addObserver((late) => {
        this.instance.system(() => {
          this.settle(starting, late)
          return this.act()
        })
      })
    }
  }

  /** Asks a half-started process to end, or kills it. It may not be there yet. */
  private abort(reason: ExitReason.ExitReason): void {
    const { starting } = this
    if (starting === undefined) return
    starting.abort = reason
    starting.process?.exitSignal(this.instance.pid, reason, false, true)
  }

  private settle(starting: Starting, exit: Exit.Exit<Behaviour.Process, unknown>): void {
    this.starting = undefined
    const { child } = starting
    if (Exit.isSuccess(exit)) {
      const process = exit.value
      this.processes.set(process.pid, process)
      this.step({ _tag: "ChildStarted", child, key: process.pid })
      if (starting.exit !== undefined) this.stepExit(starting.exit)
    } else if (isIgnored(exit.cause, starting.process)) {
      this.step({ _tag: "ChildIgnored", child })
    } else {
      this.step({ _tag: "ChildStartFailed", child, reason: ExitReason.fromCause(exit.cause) })
    }
  }

  // --- end -----------------------------------------------------------------------------------------------------------

  private release(): void {
    for (const timer of [...this.timers.keys()]) this.disarm(timer)
    this.backoff?.close()
  }

  private exit(exitWith: ExitWith<ShellTypes>): void {
    this.release()
    switch (exitWith._tag) {
      case "Shutdown":
        this.end = ExitReason.shutdown
        return
      case "Parent":
        this.end = exitWith.reason
        return
      case "FailedToStart": {
        const error = startErrorOf(this.instance.displayName, exitWith.id, exitWith.reason)
        this.end = ExitReason.shutdownWith(error)
        this.instance.acknowledge({ _tag: "Failed", cause: Cause.fail(error) })
      }
    }
  }

  private report(report: Report<ShellTypes>): void {
    const { offender } = report
    const { node } = this.instance
    const logged = this.logs(report.kind === "progress" ? "Debug" : "Error")
    if (!logged && node.tracer === undefined) return
    const fields = {
      supervisor: this.instance.displayName,
      context: report.kind,
      reason: report.kind === "progress"
        ? undefined
        : typeof report.reason === "string"
        ? report.reason
        : ExitReason.format(report.reason),
      offender: {
        id: offender.spec.id,
        pid: offender.key?.toString(),
        restart: offender.spec.restart,
        shutdown: offender.spec.shutdown,
        type: offender.spec.type,
        ...(offender.count === undefined ? {} : { count: offender.count })
      }
    }
    if (node.tracer !== undefined) {
      node.tracer({ _tag: "Report", pid: this.instance.pid, name: this.instance.displayName, report: fields })
    }
    if (!logged) return
    const text = `supervisor ${fields.supervisor}: ${report.kind} ${offender.spec.id}`
    this.instance.log(
      report.kind === "progress"
        ? Effect.annotateLogs(Effect.logDebug(text), fields)
        : Effect.annotateLogs(Effect.logError(`${text}: ${fields.reason}`), fields)
    )
  }

  /** Whether anybody would see a log of this level: reports are many, and most of them debug. */
  private logs(level: LogLevel.LogLevel): boolean {
    const { context } = this.instance.fiber!
    return !LogLevel.isGreaterThan(Context.get(context, References.MinimumLogLevel), level) &&
      Context.get(context, Logger.CurrentLoggers).size > 0
  }
}

const classOf = (reason: ExitReason.ExitReason): ExitClass => {
  switch (reason._tag) {
    case "Normal":
      return "normal"
    case "Shutdown":
      return reason.detail === undefined ? "shutdown" : "shutdownDetail"
    case "Killed":
      return "killed"
    default:
      return "error"
  }
}

/** Whether it was this process that chose not to start, and not another one that it wanted to start. */
const isIgnored = (cause: Cause.Cause<unknown>, process: Behaviour.Process | undefined): boolean => {
  const error = Cause.squash(cause)
  return error instanceof StartError && error.reason._tag === "Ignored" && process?.exitReason?._tag === "Normal"
}

/** The error of a supervisor that did not start, with the path of ids to the child at fault. */
const startErrorOf = (
  supervisor: string,
  id: string,
  reason: ExitReason.ExitReason
): SupervisorStartError<unknown> => {
  const error = reason._tag === "Error" ? reason.error : reason
  return error instanceof SupervisorStartError
    ? new SupervisorStartError({ supervisor, child: `${id}.${error.child}`, error: error.error })
    : new SupervisorStartError({ supervisor, child: id, error })
}

/** What a supervisor is to the loop. `request` gives the request to the core that a call stands for. */
export const supervisorBehaviour = (
  name: string,
  protocol: Core,
  options: ShellOptions,
  request: (message: Message.Any, payload: unknown, instance: Behaviour.Instance) => {
    readonly request: Request<ShellTypes>
    readonly reply: (answer: Answer<ShellTypes>) => Exit.Exit<unknown, unknown>
  }
): Behaviour.Behaviour => ({
  name,
  protocol,
  ownsExit: true,
  init: (instance) => Effect.suspend(() => new SupervisorShell(instance, options).begin()),
  handle: (instance, envelope) => {
    const shell = instance.state as SupervisorShell
    switch (envelope.kind) {
      case Behaviour.CALL: {
        const { reply, request: asked } = request(envelope.message, envelope.payload, instance)
        return shell.ask(asked, (answer) => {
          envelope.complete(reply(answer))
        })
      }
      case Behaviour.EXIT:
        return envelope.fromParent
          ? shell.feed({ _tag: "ParentExited", reason: envelope.payload.reason })
          : shell.exited(envelope.payload)
      case Behaviour.STOP:
        return shell.feed({ _tag: "ParentExited", reason: envelope.payload })
      default:
        // A supervisor has no use for other messages: counted like any that nobody handles.
        instance.node.unhandled++
        return nothing
    }
  },
  terminate: () => undefined,
  format: (state) => (state as SupervisorShell).core.inspect()
})
