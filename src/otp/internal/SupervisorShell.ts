/**
 * The process around a supervisor's core: carries out its actions and feeds it what happens.
 *
 * Everything that happens comes through the mailbox of the supervisor, in order: exit signals, requests, timers, the
 * outcomes of starts. The only exception is the outcome of a start that is there at once, which is fed at once. The
 * exit of a process that is not known (yet) while a start is under way is held back until the outcome of that start is
 * fed, so that it cannot overtake it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Behaviour from "../../process/Behaviour.ts"
import { StartError } from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type * as Message from "../../process/Message.ts"
import type { Core } from "../../process/Protocol.ts"
import type { Exit as ExitSignal } from "../../process/Signal.ts"
import { stop, Transition } from "../../process/Transition.ts"
import type { Pid } from "../../term/Pid.ts"
import { SupervisorStartError } from "../OtpError.ts"
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
const nothing = new Transition(false, undefined as never, false, undefined as never, undefined, undefined)

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
}

type BackoffStep = (
  now: number,
  reason: ExitReason.ExitReason
) => Effect.Effect<readonly [unknown, Duration.Duration], unknown>

/** @since 0.1.0 */
export class SupervisorShell {
  readonly instance: Behaviour.Instance
  readonly options: ShellOptions
  readonly core: SupervisorCore<ShellTypes>
  private readonly clock: Clock.Clock
  private readonly processes = new Map<Pid, { readonly process: Behaviour.Process; readonly child: number }>()
  private readonly timers = new Map<number, ShellTimer>()
  private readonly retries = new Map<number, ShellTimer>()
  private readonly backoffs = new Map<number, BackoffStep>()
  private readonly lastReasons = new Map<number, ExitReason.ExitReason>()
  private lastDelay: Duration.Duration = Duration.zero
  private starting: Starting | undefined = undefined
  private held: Array<ExitSignal> = []
  private todo: Array<Action<ShellTypes>> = []
  private acting = false
  private end: ExitReason.ExitReason | undefined = undefined

  constructor(instance: Behaviour.Instance, options: ShellOptions) {
    this.instance = instance
    this.options = options
    this.core = new SupervisorCore<ShellTypes>(options.spec)
    this.clock = Context.get(instance.node.context, Clock.Clock)
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
    if (this.starting !== undefined && !this.processes.has(signal.from)) {
      this.held.push(signal)
      return nothing
    }
    this.stepExit(signal)
    return this.act()
  }

  private step(event: Event<ShellTypes>): void {
    if (this.end !== undefined) return
    const actions = this.core.step(this.now(), event)
    for (let i = 0; i < actions.length; i++) this.todo.push(actions[i]!)
  }

  private stepExit({ from, reason }: ExitSignal): void {
    const entry = this.processes.get(from)
    if (entry !== undefined) {
      this.processes.delete(from)
      if (this.options.backoff !== undefined) this.lastReasons.set(entry.child, reason)
    }
    this.step({ _tag: "ChildExited", key: from, exitClass: classOf(reason), reason })
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
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
        this.starting?.process?.exitSignal(
          this.instance.pid,
          action.kill ? ExitReason.kill : ExitReason.shutdown,
          false,
          true
        )
        return
      case "ExitChild":
        this.processes.get(action.key)?.process.exitSignal(this.instance.pid, ExitReason.shutdown, false, true)
        return
      case "KillChild":
        this.processes.get(action.key)?.process.exitSignal(this.instance.pid, ExitReason.kill, false)
        return
      case "ArmTimer": {
        const timer = new ShellTimer(() => {
          this.timers.delete(action.timer)
          this.later({ _tag: "TimerFired", timer: action.timer })
        })
        this.timers.set(action.timer, timer)
        return Behaviour.armTimer(this.instance, timer, action.millis)
      }
      case "CancelTimer":
        return this.disarm(this.timers, action.timer)
      case "DelayRestart":
        return this.delay(action.child, action.attempt)
      case "CancelRestart":
        return this.disarm(this.retries, action.child)
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

  private disarm(timers: Map<number, ShellTimer>, key: number): void {
    const timer = timers.get(key)
    if (timer === undefined) return
    timers.delete(key)
    Behaviour.cancelTimer(this.instance, timer)
  }

  // --- starting ------------------------------------------------------------------------------------------------------

  private start(child: number, spec: ChildSpec<StartFunction>, args: unknown): void {
    const starting: Starting = { child, process: undefined }
    this.starting = starting
    const effect = spec.start(args, (process) => {
      starting.process = process
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

  private settle(starting: Starting, exit: Exit.Exit<Behaviour.Process, unknown>): void {
    this.starting = undefined
    const { child } = starting
    if (Exit.isSuccess(exit)) {
      const process = exit.value
      this.processes.set(process.pid, { process, child })
      this.step({ _tag: "ChildStarted", child, key: process.pid })
    } else if (isIgnored(exit.cause)) {
      this.step({ _tag: "ChildIgnored", child })
    } else {
      const reason = ExitReason.fromCause(exit.cause)
      if (this.options.backoff !== undefined) this.lastReasons.set(child, reason)
      this.step({ _tag: "ChildStartFailed", child, reason })
    }
    const held = this.held
    this.held = []
    for (const signal of held) this.stepExit(signal)
  }

  /** Without back-off the next attempt comes behind what waits; with it after the delay that the schedule says. */
  private delay(child: number, attempt: number): void {
    this.disarm(this.retries, child)
    if (this.options.backoff === undefined) return this.later({ _tag: "Retry", child })
    if (attempt <= 1) this.backoffs.delete(child)
    const reason = this.lastReasons.get(child) ?? ExitReason.normal
    Effect.runForkWith(this.instance.node.context)(
      Effect.flatMap(
        this.stepOf(child),
        (step) => step(this.now(), reason)
      )
    ).addObserver((exit) => {
      // A schedule that is at its end keeps its last delay: giving up is the business of the intensity.
      const delay = Exit.isSuccess(exit) ? exit.value[1] : this.lastDelay
      this.lastDelay = delay
      const timer = new ShellTimer(() => {
        this.retries.delete(child)
        this.later({ _tag: "Retry", child })
      })
      this.retries.set(child, timer)
      Behaviour.armTimer(this.instance, timer, Duration.toMillis(delay))
    })
  }

  private stepOf(child: number): Effect.Effect<BackoffStep> {
    const existing = this.backoffs.get(child)
    if (existing !== undefined) return Effect.succeed(existing)
    return Effect.map(Schedule.toStep(this.options.backoff!), (step) => {
      const run: BackoffStep = (now, reason) => Pull.catchDone(step(now, reason), () => Effect.fail("done"))
      this.backoffs.set(child, run)
      return run
    })
  }

  // --- end -----------------------------------------------------------------------------------------------------------

  private exit(exitWith: ExitWith<ShellTypes>): void {
    for (const key of this.timers.keys()) this.disarm(this.timers, key)
    for (const key of this.retries.keys()) this.disarm(this.retries, key)
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
    const text = `supervisor ${fields.supervisor}: ${report.kind} ${offender.spec.id}`
    this.instance.log(
      report.kind === "progress"
        ? Effect.annotateLogs(Effect.logDebug(text), fields)
        : Effect.annotateLogs(Effect.logError(`${text}: ${fields.reason}`), fields)
    )
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

const isIgnored = (cause: Cause.Cause<unknown>): boolean => {
  const error = Cause.squash(cause)
  return error instanceof StartError && error.reason._tag === "Ignored"
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
  synchronous: Behaviour.synchronousAll(protocol),
  ownsExit: true,
  init: (instance) =>
    Effect.sync(() => {
      instance.trapExit = true
      const shell = new SupervisorShell(instance, options)
      // The children are started from the loop, so that exits and the parent's signal are heard meanwhile.
      instance.system(() => shell.feed({ _tag: "Start" }))
      return new Behaviour.Started(shell, undefined, true)
    }),
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
