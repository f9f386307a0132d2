/**
 * A process of this node: identity, links, monitors, names and the way it ends. What it does with its messages is up to
 * its two kinds, `ServerProcess` (a loop that hands messages to a behaviour) and `QueueProcess` (user code that takes
 * them).
 *
 * Order of signals. A signal acts when it is sent: a message stands in the mailbox, a trapped exit signal stands behind
 * what its sender sent before, and a deadly one marks its target as exiting, which refuses every later message. Only the
 * interruption of the fiber waits for the run queue, so that a cascade through thousands of links needs no stack.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Address } from "../Address.ts"
import * as ExitReason from "../ExitReason.ts"
import type { MailboxOptions, Overflow } from "../Mailbox.ts"
import { defaultCapacity } from "../Mailbox.ts"
import { Down, Exit as ExitSignal } from "../Signal.ts"
import type { CallEnvelope } from "./Envelope.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import type { RemoteWatchers } from "./RemoteWatchers.ts"
import type { Runnable } from "./RunQueue.ts"
import { Timer } from "./Timers.ts"

/** `init` has not finished. */
export const STARTING = 0
/** Handles messages. */
export const RUNNING = 1
/** An exit signal has hit; the fiber unwinds. */
export const EXITING = 2
/** Ended; nobody can reach it. */
export const DEAD = 3

/** At least so long between two reports of dropped messages. */
const dropReportMillis = 1000

/** Who is told when a process ends. */
export interface Watcher {
  /** Called once, after the name of the process is free. It must not run user code directly. */
  down(monitor: Monitor, reason: ExitReason.ExitReason): void
}

/** One monitor: the watching side and the watched. */
export class Monitor {
  readonly key: number
  readonly watcher: Watcher
  /** The watched process when it is of this node. */
  readonly target: LocalProcess | undefined
  readonly address: Address

  private readonly node: NodeRuntime
  private made: Reference | undefined = undefined

  constructor(
    key: number,
    node: NodeRuntime,
    watcher: Watcher,
    target: LocalProcess | undefined,
    address: Address
  ) {
    this.key = key
    this.node = node
    this.watcher = watcher
    this.target = target
    this.address = address
  }

  /** The reference of the monitor, made when somebody asks for it. */
  get ref(): Reference {
    return this.made ??= this.node.referenceOfKey(this.key)
  }
}

/** A monitor that a process of another node holds on one of this node. */
export class RemoteWatcher {
  readonly process: LocalProcess
  readonly ref: Reference
  readonly by: Pid
  readonly address: Address
  earlier: RemoteWatcher | undefined = undefined
  later: RemoteWatcher | undefined = undefined

  constructor(process: LocalProcess, ref: Reference, by: Pid, address: Address) {
    this.process = process
    this.ref = ref
    this.by = by
    this.address = address
  }
}

/** What few processes have, kept out of the record of the many. */
class Extra {
  names: Set<string> | undefined = undefined
  aliases: Set<number> | undefined = undefined
  environment: Map<string, unknown> | undefined = undefined
  label: string | undefined = undefined
  remoteLinks: Map<string, Pid> | undefined = undefined
  /** Monitors of other nodes on this process. */
  remoteWatchers: RemoteWatchers | undefined = undefined
  mailbox: MailboxOptions | undefined = undefined
  dropped = 0
  /** The time until which dropped messages are counted only. */
  quietUntil: number = -Infinity
  kill: KillGrace | undefined = undefined
  /** Whether its end is somebody else's business: a crash is not logged. */
  quiet = false
}

/** Declares a killed process dead whose finalizers do not end. */
class KillGrace extends Timer {
  readonly process: LocalProcess

  constructor(process: LocalProcess) {
    super()
    this.process = process
  }

  fire(): void {
    this.process.abandon()
  }
}

/** The process in whose fiber an effect runs. */
export const CurrentProcess: Context.Service<LocalProcess, LocalProcess> = Context.Service<LocalProcess>(
  "effect-otp/Process/CurrentProcess"
)

/** The process of a fiber that is known to belong to one. */
export const currentOf = (fiber: Fiber.Fiber<unknown, unknown>): LocalProcess =>
  // The fibers that call this were started with the key in their context.
  Context.getUnsafe(fiber.context as Context.Context<LocalProcess>, CurrentProcess)

/** @since 0.1.0 */
export abstract class LocalProcess implements Runnable, Watcher {
  readonly node: NodeRuntime
  readonly key: number
  readonly pid: Pid
  readonly parent: LocalProcess | undefined
  readonly scope: Scope.Closeable
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  status: number = STARTING
  trapExit = false
  /** The reason of the exit signal that hit, or the one with which the process stops by itself. */
  exitReason: ExitReason.ExitReason | undefined = undefined
  links: Set<LocalProcess> | undefined = undefined
  /** Monitors that this process holds, by key of their reference. */
  monitors: Map<number, Monitor> | undefined = undefined
  /** Monitors on this process. */
  watchers: Map<number, Monitor> | undefined = undefined
  /** The name it was started with. */
  name: string | undefined = undefined
  capacity: number = defaultCapacity
  extra: Extra | undefined = undefined

  constructor(node: NodeRuntime, parent: LocalProcess | undefined) {
    this.node = node
    this.parent = parent
    this.key = node.takeKey()
    this.pid = node.pidOfKey(this.key)
    this.scope = Scope.makeUnsafe()
    node.processes.set(this.key, this)
  }

  /** How many messages wait. */
  abstract readonly mailboxLength: number

  /** The messages that wait, oldest first. */
  abstract peek(limit: number): ReadonlyArray<unknown>

  /** Puts a signal into the mailbox, whatever its bound. */
  abstract deliverExit(signal: ExitSignal, fromParent: boolean): void

  /** Puts a Down into the mailbox, whatever its bound. */
  abstract deliverDown(signal: Down): void

  /** Delivers a value as an info: the receiving side of `Process.send`. */
  abstract deliverValue(value: unknown, sender: Fiber.Fiber<unknown, unknown> | undefined): Effect.Effect<void, "full">

  /** Delivers a call whose message the process does not know by type. The caller has checked the bound. */
  abstract receiveCall(call: CallEnvelope): void

  /** Takes a Down that has not been seen out of the mailbox. */
  abstract flushDown(ref: Reference): boolean

  /** Wakes the loop so that it sees that it must end. Called from the run queue. */
  abstract run(): void

  /** Ends what waits for this process: callers, suspended senders. Called once, when the name is free. */
  protected abstract abortWaiting(reason: ExitReason.ExitReason): void

  /** The fiber is at its end, finalizers included. */
  abstract ended(reason: ExitReason.ExitReason): void

  /** Forgets a call that was to be answered later. */
  abstract undefer(call: CallEnvelope): void

  /** What the process does at this moment, for `Process.info`. */
  abstract describe(): {
    readonly currentMessage: string | undefined
    readonly state: unknown
    readonly behaviour: string
  }

  get more(): Extra {
    return this.extra ??= new Extra()
  }

  get alive(): boolean {
    return this.status < EXITING
  }

  /** How it appears in logs and errors: its label, name or pid. */
  get displayName(): string {
    return this.extra?.label ?? this.name ?? this.pid.toString()
  }

  get overflow(): Overflow {
    return this.extra?.mailbox?.overflow ?? "suspend"
  }

  configure(options: { readonly mailbox?: MailboxOptions | undefined; readonly label?: string | undefined }): void {
    if (options.mailbox !== undefined) {
      const capacity = options.mailbox.capacity ?? defaultCapacity
      if (!(capacity >= 1)) {
        this.node.processes.delete(this.key)
        throw new Error(`${this.displayName}: a mailbox holds at least one message, and its capacity is ${capacity}`)
      }
      this.more.mailbox = options.mailbox
      this.capacity = capacity
    }
    if (options.label !== undefined) this.more.label = options.label
  }

  /** Counts a message that the full mailbox did not take, and says so, at most once per second. */
  countDropped(): void {
    const extra = this.more
    extra.dropped++
    this.node.dropped++
    const now = this.node.timers.now()
    if (now < extra.quietUntil) return
    extra.quietUntil = now + dropReportMillis
    this.log(
      Effect.logWarning(
        `the mailbox of ${this.displayName} is full (${this.capacity} messages): ${extra.dropped} dropped so far. ` +
          "It is slower than its senders; raise the bound, or slow them down with the policy suspend"
      )
    )
  }

  // --- links ---------------------------------------------------------------------------------------------------------

  link(other: LocalProcess): void {
    if (other === this) return
    if (other.status === DEAD) {
      this.exitSignal(other.pid, ExitReason.noProc, true)
      return
    }
    ;(this.links ??= new Set()).add(other)
    ;(other.links ??= new Set()).add(this)
  }

  unlink(other: LocalProcess): void {
    this.links?.delete(other)
    other.links?.delete(this)
  }

  /**
   * An exit signal arrives: from a link that ended (`viaLink`), or from `Process.exit`.
   *
   * `kill` that is sent cannot be trapped and is seen as `killed`; `kill` as the reason of a link is an ordinary reason.
   * `normal` is ignored unless trapped, or sent by the process to itself or by its owner, who wants it to stop.
   */
  exitSignal(from: Pid, reason: ExitReason.ExitReason, viaLink: boolean, fromOwner = false): void {
    if (this.status >= EXITING) {
      if (this.status === EXITING && reason._tag === "Kill" && !viaLink) this.armKillGrace()
      return
    }
    if (reason._tag === "Kill" && !viaLink) {
      this.beginExit(ExitReason.killed)
      this.armKillGrace()
    } else if (this.trapExit) {
      const fromParent = fromOwner || (this.parent !== undefined && this.parent.pid === from)
      this.deliverExit(new ExitSignal(from, reason), fromParent)
    } else if (reason._tag !== "Normal" || from === this.pid || fromOwner) {
      this.beginExit(reason)
    }
  }

  /** Ends the process as if its own code had failed with this cause, whatever it traps. A tool of tests. */
  breakDown(cause: Cause.Cause<unknown>): void {
    if (this.alive) this.beginExit(ExitReason.fromCause(cause))
  }

  /** Marks the process as exiting and has its fiber interrupted in its turn. */
  private beginExit(reason: ExitReason.ExitReason): void {
    this.status = EXITING
    this.exitReason = reason
    this.node.runQueue.push(this)
  }

  private armKillGrace(): void {
    const extra = this.more
    if (extra.kill !== undefined) return
    extra.kill = new KillGrace(this)
    this.node.timers.arm(extra.kill, this.node.killGraceMillis)
  }

  /** The grace after a kill has passed and finalizers still run: the process counts as dead from now on. */
  abandon(): void {
    if (this.status === DEAD) return
    this.log(
      Effect.logWarning(
        `process ${this.displayName} was killed and its finalizers did not end within ` +
          `${this.node.killGraceMillis} ms: it counts as dead, its finalizers go on by themselves`
      )
    )
    this.terminated(this.exitReason ?? ExitReason.killed)
  }

  // --- monitors ------------------------------------------------------------------------------------------------------

  /** Monitors a process of this node. */
  monitor(target: LocalProcess | undefined, address: Address): Monitor {
    const monitor = this.node.makeMonitor(this, target, address)
    if (target === undefined || target.status === DEAD) {
      this.deliverDown(new Down(monitor.ref, address, ExitReason.noProc))
    } else {
      ;(this.monitors ??= new Map()).set(monitor.key, monitor)
      ;(target.watchers ??= new Map()).set(monitor.key, monitor)
    }
    return monitor
  }

  demonitor(key: number): boolean {
    const monitor = this.monitors?.get(key)
    if (monitor === undefined) return false
    this.monitors!.delete(key)
    monitor.target?.watchers?.delete(key)
    return true
  }

  /** A process that this one monitors has ended. */
  down(monitor: Monitor, reason: ExitReason.ExitReason): void {
    if (this.monitors?.delete(monitor.key) === true && this.alive) {
      this.deliverDown(new Down(monitor.ref, monitor.address, reason))
    }
  }

  // --- end -----------------------------------------------------------------------------------------------------------

  /**
   * The fiber has ended, finalizers included. First the names are free, then waiting callers learn of it, then links and
   * monitors.
   */
  terminated(reason: ExitReason.ExitReason): void {
    if (this.status === DEAD) return
    const node = this.node
    const extra = this.extra
    this.status = DEAD
    this.exitReason = reason
    node.processes.delete(this.key)
    if (this.name !== undefined) node.releaseName(this.name, this)
    if (extra !== undefined) {
      if (extra.kill !== undefined) node.timers.cancel(extra.kill)
      if (extra.names !== undefined) { for (const name of extra.names) node.releaseName(name, this) }
      if (extra.aliases !== undefined) { for (const key of extra.aliases) node.aliases.delete(key) }
    }
    if (node.tracer !== undefined) node.tracer({ _tag: "Exit", pid: this.pid, name: this.displayName, reason })
    const monitors = this.monitors
    if (monitors !== undefined) {
      this.monitors = undefined
      for (const monitor of monitors.values()) {
        if (monitor.target === undefined) node.remote.demonitor(this, monitor)
        else monitor.target.watchers?.delete(monitor.key)
      }
    }
    this.abortWaiting(reason)
    const links = this.links
    if (links !== undefined) {
      this.links = undefined
      for (const peer of links) {
        peer.links?.delete(this)
        peer.exitSignal(this.pid, reason, true)
      }
    }
    const watchers = this.watchers
    if (watchers !== undefined) {
      this.watchers = undefined
      for (const monitor of watchers.values()) monitor.watcher.down(monitor, reason)
    }
    if (extra !== undefined) node.remote.ended(this, reason)
  }

  /** Runs a log effect with the loggers of the process, or of the node when its fiber has ended. */
  log(effect: Effect.Effect<void>): void {
    const { fiber } = this
    const context = fiber === undefined || fiber.pollUnsafe() !== undefined ? this.node.context : fiber.context
    Effect.runForkWith(context)(effect)
  }

  /** Reports an end that nobody asked for, with the fields of an OTP crash report. */
  protected reportCrash(reason: ExitReason.ExitReason, lastMessage: string | undefined): void {
    if (reason._tag !== "Error" || this.extra?.quiet === true) return
    const text = `process ${this.displayName} crashed: ${ExitReason.format(reason)}`
    this.log(
      (reason.cause === undefined ? Effect.logError(text) : Effect.logError(text, reason.cause)).pipe(
        Effect.annotateLogs({
          pid: this.pid.toString(),
          behaviour: this.describe().behaviour,
          ...(lastMessage === undefined ? {} : { lastMessage })
        })
      )
    )
  }
}

/** The exit that finalizers see: a failure exactly when the process did not end in an orderly way. */
const scopeExit = (reason: ExitReason.ExitReason, exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> =>
  ExitReason.isOrderly(reason)
    ? Exit.void
    : Exit.isFailure(exit)
    ? exit
    : Exit.failCause(reason._tag === "Error" && reason.cause !== undefined ? reason.cause : Cause.die(reason))

/**
 * The last step of the fiber of every process: closes its scope (which stops what it owns), then lets the world know.
 * A defect in a finalizer is the reason of a process that would have ended well.
 */
export const finalize = (process: LocalProcess, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  const reason = process.exitReason ?? (Exit.isSuccess(exit) ? ExitReason.normal : ExitReason.fromCause(exit.cause))
  const close = Scope.closeUnsafe(process.scope, scopeExit(reason, exit))
  if (close === undefined) {
    whenOver(process, reason)
    return Effect.void
  }
  return Effect.flatMap(Effect.exit(close), (closed) => {
    whenOver(
      process,
      Exit.isFailure(closed) && ExitReason.isOrderly(reason) ? ExitReason.fromCause(closed.cause) : reason
    )
    return Effect.void
  })
}

/** The fiber interrupts what it has forked and waits for that after its own last step: only then is the process over. */
const whenOver = (process: LocalProcess, reason: ExitReason.ExitReason): void => {
  process.fiber!.addObserver(() => process.ended(reason))
}
