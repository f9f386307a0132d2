/**
 * The loop of every process that serves a behaviour: one place that takes messages, hands them to the behaviour, and
 * interprets what it decided.
 *
 * The loop is a few effects shared by all processes; a process is found through its fiber. When the process is idle, has
 * no waiting message and the stack is shallow, a message is handled in the turn of its sender, whose call then finds its
 * answer without having waited. The order of messages is untouched, because the mailbox is empty. A plain transition
 * costs no fiber switch; an Effect runs in the fiber of the process, which is woken in that same turn.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as Scope from "effect/Scope"
import type { Reference } from "../../term/Reference.ts"
import { equals as sameReference } from "../../term/Reference.ts"
import * as CallError from "../CallError.ts"
import * as ExitReason from "../ExitReason.ts"
import { Forwarded } from "../Mailbox.ts"
import type * as Message from "../Message.ts"
import { toValue } from "../Message.ts"
import type * as Protocol from "../Protocol.ts"
import { type Down, type Exit as ExitSignal, Request } from "../Signal.ts"
import { type Next, Transition } from "../Transition.ts"
import type { CallEnvelope } from "./Envelope.ts"
import {
  CALL,
  CAST,
  CastEnvelope,
  CONTINUE,
  ContinueEnvelope,
  DOWN,
  DownEnvelope,
  type Envelope,
  EXIT,
  ExitEnvelope,
  STOP,
  StopEnvelope,
  SYSTEM,
  SystemEnvelope,
  TERM,
  TermEnvelope,
  TIMEOUT,
  TimeoutEnvelope
} from "./Envelope.ts"
import { currentOf, CurrentProcess, EXITING, finalize, LocalProcess, RUNNING, STARTING } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import { Ring } from "./Ring.ts"
import { Timer } from "./Timers.ts"

/** What a behaviour is to the loop. One value serves all processes of a behaviour. */
export interface ServerBehaviour {
  readonly name: string
  readonly protocol: Protocol.Core
  /** The first state, as an Effect of {@link Started}, or of an `Ignore`. */
  init(process: ServerProcess, args: unknown): Effect.Effect<unknown, unknown, unknown>
  /** Handles one message: a transition, a plain reply, nothing, or an Effect of these. */
  handle(process: ServerProcess, envelope: Envelope): unknown
  /** The `terminate` callback; undefined when there is none. */
  terminate(process: ServerProcess, reason: ExitReason.ExitReason): Effect.Effect<unknown, unknown, unknown> | undefined
  /** What an observer may see of the state. */
  format(state: unknown): unknown
  /**
   * Whether the behaviour itself decides what the parent's exit signal and a request to stop mean: both go to `handle`,
   * and exits are trapped from the start. Otherwise they end the process, after `terminate`.
   */
  readonly ownsExit?: boolean
}

/** What `init` hands over: the state, and what follows. */
export class Started {
  readonly state: unknown
  readonly next: Next<unknown> | undefined
  /** Whether the starter goes on waiting until {@link ServerProcess.acknowledge}: the start is to be finished in the loop. */
  readonly pending: boolean

  constructor(state: unknown, next: Next<unknown> | undefined, pending = false) {
    this.state = state
    this.next = next
    this.pending = pending
  }
}

/** What `init` returns when it chose not to start. */
export class Ignore {
  readonly _tag = "Ignore" as const
}

/** How many messages one turn may handle before others get theirs. */
const budget = 256

/** A sender that waits for room. */
interface Waiting {
  readonly envelope: Envelope
  readonly resume: (exit: Exit.Exit<void>) => void
  gone: boolean
}

class IdleTimer extends Timer {
  readonly process: ServerProcess
  round = 0

  constructor(process: ServerProcess) {
    super()
    this.process = process
  }

  fire(): void {
    this.process.push(new TimeoutEnvelope(this.process, this.round))
  }
}

/** How the start of a process ended, as its starter learns it. */
export type StartResult =
  | { readonly _tag: "Started" }
  | { readonly _tag: "Ignored" }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "Exited"; readonly reason: ExitReason.ExitReason }

/** @since 0.1.0 */
export class ServerProcess extends LocalProcess {
  behaviour: ServerBehaviour
  args: unknown
  state: unknown = undefined
  /** The handlers by number of their message: those of the behaviour, or the closures that `init` made. */
  handlers: unknown = undefined
  /** How many calls, casts and terms were handed to the behaviour. */
  handled = 0
  /** Told once how the start went. */
  onStarted: ((result: StartResult) => void) | undefined
  private wake: ((effect: Effect.Effect<unknown, unknown>) => void) | undefined = undefined
  private queued = false
  private interrupted = false
  private requeue = false
  /** Whether the fiber runs in the turn of a sender. */
  private borrowed = false
  private nextEffect: Effect.Effect<unknown, unknown> | undefined = undefined
  private box: Ring<Envelope> | undefined = undefined
  private continuation: ContinueEnvelope | undefined = undefined
  private current: Envelope | undefined = undefined
  private idle: IdleTimer | undefined = undefined
  private deferred: Set<CallEnvelope> | undefined = undefined
  /** The reply of a call that stops the process: due when termination has come to its end. */
  private stopReply: { readonly call: CallEnvelope; readonly exit: Exit.Exit<unknown>; due: boolean } | undefined =
    undefined
  private waiting: Ring<Waiting> | undefined = undefined
  private ending = false

  constructor(
    node: NodeRuntime,
    parent: LocalProcess | undefined,
    behaviour: ServerBehaviour,
    args: unknown,
    onStarted: ((result: StartResult) => void) | undefined
  ) {
    super(node, parent)
    this.behaviour = behaviour
    this.args = args
    this.onStarted = onStarted
  }

  get mailboxLength(): number {
    return (this.box?.length ?? 0) + (this.waiting?.length ?? 0)
  }

  /** How much there is to do: messages that wait, the one that is handled now, and calls to be answered later. */
  get load(): number {
    return this.mailboxLength + (this.wake === undefined ? 1 : 0) + (this.deferred?.size ?? 0)
  }

  // --- sending -------------------------------------------------------------------------------------------------------

  /** Whether a message may be handled in the turn of its sender: the process is idle, and nothing waits. */
  private get mayInline(): boolean {
    return this.wake !== undefined && !this.queued && this.status === RUNNING &&
      (this.box === undefined || this.box.length === 0) &&
      this.node.runQueue.shallow
  }

  /**
   * Handles a message in the sender's turn. An Effect is run by the fiber of the process, which is woken in that turn as
   * well: it goes as far as it can without waiting. Only what ends the process takes its own turn: a cascade of ends does
   * not grow the stack, and who sent the last message can still watch what it does.
   */
  private inline(envelope: Envelope): void {
    const queue = this.node.runQueue
    const wake = this.wake
    this.wake = undefined // busy: whatever is sent meanwhile is queued
    queue.depth++
    const effect = this.step(envelope)
    if (effect === undefined) {
      this.wake = wake
      this.current = undefined
      if (this.continuation !== undefined || (this.box !== undefined && this.box.length > 0)) this.schedule()
    } else if (this.ending) {
      this.wake = wake
      this.nextEffect = effect
      this.schedule()
    } else {
      this.borrowed = true
      wake!(effect)
      this.borrowed = false
    }
    queue.depth--
  }

  /** A call arrives. It is answered, waits in the mailbox, or the mailbox is full (false). */
  call(envelope: CallEnvelope): boolean {
    if (this.mayInline) {
      this.inline(envelope)
      return true
    }
    if (this.box !== undefined && this.box.length >= this.capacity && !this.makeRoom(envelope)) return false
    this.push(envelope)
    return true
  }

  /** A cast, info or term arrives. The Effect completes when it was delivered, dropped or forwarded. */
  cast(envelope: Envelope, sender: Fiber.Fiber<unknown, unknown> | undefined): Effect.Effect<void, "full"> {
    if (envelope.kind === CAST && this.mayInline) {
      this.inline(envelope)
      return Effect.void
    }
    if (this.box === undefined || this.box.length < this.capacity) {
      this.push(envelope)
      return Effect.void
    }
    return this.overflowed(envelope, sender)
  }

  deliverValue(value: unknown, sender: Fiber.Fiber<unknown, unknown> | undefined): Effect.Effect<void, "full"> {
    return this.cast(this.infoEnvelope(value), sender)
  }

  receiveCall(call: CallEnvelope): void {
    if (call.fiber !== undefined) {
      call.deferred = true
      ;(this.deferred ??= new Set()).add(call)
    }
    this.push(new TermEnvelope(this, new Request(call.message._tag, call.payload, call)))
  }

  /** A value outside call and cast: an info of the protocol when one fits, else a term. */
  infoEnvelope(value: unknown): Envelope {
    if (typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string") {
      const core = this.behaviour.protocol
      const index = core.indexByTag.get(value._tag)
      if (index !== undefined && core.messages[index]!.kind === "Info") {
        const payload = payloadOfValue(core.messages[index]!, value)
        if (payload !== notAPayload) return new CastEnvelope(this, index, payload)
      }
    }
    return new TermEnvelope(this, value)
  }

  /** Puts an envelope behind the others, whatever the bound. */
  push(envelope: Envelope): void {
    if (this.status >= EXITING) {
      if (envelope.kind === CALL) this.refuse(envelope)
      else if (envelope.kind <= TERM) this.node.discarded++
      return
    }
    ;(this.box ??= new Ring()).push(envelope)
    this.schedule()
  }

  deliverExit(signal: ExitSignal, fromParent: boolean): void {
    this.push(new ExitEnvelope(this, signal, fromParent))
  }

  deliverDown(signal: Down): void {
    this.push(new DownEnvelope(this, signal))
  }

  flushDown(ref: Reference): boolean {
    return this.box?.remove((e) => e.kind === DOWN && sameReference(e.payload.ref, ref)) !== undefined
  }

  /** Asks the process to stop in an orderly way, behind the messages that wait. */
  requestStop(reason: ExitReason.ExitReason): void {
    this.push(new StopEnvelope(this, reason))
  }

  /** Runs a function between two messages. It may return what a handler of a cast may. */
  system(run: () => unknown): void {
    this.push(new SystemEnvelope(this, run))
  }

  /**
   * Goes on with another behaviour and with further services. Between two messages only; the messages that wait are
   * renumbered for the new protocol, which has all of the old one's.
   */
  become(behaviour: ServerBehaviour, services: Context.Context<never>): void {
    const fiber = this.fiber!
    const merged = Context.add(Context.merge(fiber.context, services), Scope.Scope, this.scope)
    fiber.setContext(Context.add(merged, CurrentProcess, this) as Context.Context<never>)
    const { protocol: old } = this.behaviour
    this.behaviour = behaviour
    const { indexByTag } = behaviour.protocol
    if (old === behaviour.protocol) return
    const renumber = (envelope: Envelope): void => {
      if (envelope.kind <= CAST) {
        const message = envelope as CallEnvelope | CastEnvelope
        message.index = indexByTag.get(old.messages[message.index]!._tag)!
      }
    }
    for (let i = 0; i < (this.box?.length ?? 0); i++) renumber(this.box!.at(i)!)
    for (let i = 0; i < (this.waiting?.length ?? 0); i++) renumber(this.waiting!.at(i)!.envelope)
  }

  override breakDown(cause: Cause.Cause<unknown>): void {
    this.system(() => {
      throw Cause.squash(cause)
    })
  }

  private refuse(call: CallEnvelope): void {
    call.failWith(new CallError.ProcessExit({ exitReason: this.exitReason ?? ExitReason.noProc }))
  }

  // --- overflow ------------------------------------------------------------------------------------------------------

  /** Under `dropOld`, drops the oldest message to make room. */
  private makeRoom(_for: Envelope): boolean {
    if (this.overflow !== "dropOld") return false
    const dropped = this.box!.remove((e) => e.kind <= TERM)
    if (dropped === undefined) return false
    this.countDropped()
    if (dropped.kind === CALL) {
      dropped.failWith(new CallError.MailboxFull({ capacity: this.capacity }))
    }
    return true
  }

  private overflowed(
    envelope: Envelope,
    sender: Fiber.Fiber<unknown, unknown> | undefined
  ): Effect.Effect<void, "full"> {
    // Any fiber of this process: the process may wait for it, and would then wait for itself.
    if (sender !== undefined && this.node.processOf(sender) === this) {
      this.push(envelope)
      return Effect.void
    }
    const overflow = this.overflow
    if (overflow === "suspend" && sender !== undefined) {
      return Effect.callback<void>((resume) => {
        // The sender may have yielded since it found the mailbox full.
        if (this.status >= EXITING || this.box === undefined || this.box.length < this.capacity) {
          this.push(envelope)
          return resume(Effect.void)
        }
        const waiting: Waiting = { envelope, resume, gone: false }
        ;(this.waiting ??= new Ring()).push(waiting)
        return Effect.sync(() => {
          waiting.gone = true
        })
      })
    }
    if (overflow === "fail" && sender !== undefined) return Effect.fail("full")
    if (overflow === "dropOld" && this.makeRoom(envelope)) {
      this.push(envelope)
      return Effect.void
    }
    const forwarded = envelope.kind === TERM && envelope.payload instanceof Forwarded
    if (typeof overflow === "object" && !forwarded) {
      return Effect.catch(
        this.node.sendFrom(
          undefined,
          overflow.forward,
          new Forwarded(this.pid, overflow.tag, this.asValue(envelope))
        ),
        () => Effect.sync(() => this.countDropped())
      )
    }
    this.countDropped()
    return Effect.void
  }

  /** An envelope as the value that a fallback process receives. */
  private asValue(envelope: Envelope): unknown {
    return envelope.kind === CAST || envelope.kind === CALL
      ? toValue(this.behaviour.protocol.messages[envelope.index]!, envelope.payload)
      : envelope.payload
  }

  private admit(): void {
    while (this.waiting !== undefined && this.waiting.length > 0 && this.box!.length < this.capacity) {
      const waiting = this.waiting.shift()!
      if (waiting.gone) continue
      this.box!.push(waiting.envelope)
      // In its turn: a chain of processes that wait for one another must not resume on one stack.
      this.node.runQueue.push({ run: () => waiting.resume(Exit.void) })
    }
  }

  // --- loop ----------------------------------------------------------------------------------------------------------

  private schedule(): void {
    if (this.wake !== undefined && !this.queued) {
      this.queued = true
      this.node.runQueue.push(this)
    }
  }

  run(): void {
    this.queued = false
    if (this.status === EXITING) {
      if (!this.interrupted) {
        this.interrupted = true
        this.fiber?.interruptUnsafe()
      }
      return
    }
    const wake = this.wake
    if (wake !== undefined) {
      this.wake = undefined
      wake(WOKEN)
    }
  }

  /** The loop parks here until something is sent. */
  park(wake: (effect: Effect.Effect<unknown, unknown>) => void): void {
    if (!this.ending) this.current = undefined
    this.wake = wake
    // Something may have been sent since the mailbox was found empty: the fiber may have yielded before it came here.
    if (this.requeue || this.nextEffect !== undefined || (this.box !== undefined && this.box.length > 0)) {
      this.requeue = false
      this.schedule()
    }
  }

  /** Handles what waits, as far as the budget allows. */
  drain(): Effect.Effect<unknown, unknown> {
    const next = this.nextEffect
    if (next !== undefined) {
      this.nextEffect = undefined
      return next
    }
    for (let i = 0; i < budget; i++) {
      let envelope: Envelope | undefined
      if (this.continuation !== undefined) {
        envelope = this.continuation
        this.continuation = undefined
      } else {
        envelope = this.box?.shift()
        if (envelope === undefined) return LOOP
        if (this.waiting !== undefined) this.admit()
      }
      if (envelope.kind === CALL && envelope.abandoned) {
        this.node.discarded++
        continue
      }
      const effect = this.step(envelope)
      if (effect !== undefined) return this.ending ? this.lastTurn(effect) : Effect.flatMap(effect, afterHandler)
      if (this.status === EXITING) return LOOP
    }
    this.requeue = true
    this.node.runQueue.spend(budget)
    return LOOP
  }

  /**
   * Handles one message. An Effect in return is to be run by the fiber of the process: that of the handler, whose value is
   * for {@link resumeAfter}, or the last one, when the process is ending.
   */
  private step(envelope: Envelope): Effect.Effect<unknown, unknown> | undefined {
    this.current = envelope
    const kind = envelope.kind
    if (kind <= TERM) this.handled++
    if (this.idle !== undefined && kind <= DOWN) this.cancelIdle()
    if (this.node.tracer !== undefined) this.trace(envelope)
    switch (kind) {
      case EXIT:
        if (envelope.fromParent && this.behaviour.ownsExit !== true) return this.stopping(envelope.payload.reason)
        break
      case TIMEOUT:
        if (envelope.payload !== this.idle?.round) return undefined
        break
      case STOP:
        if (this.behaviour.ownsExit !== true) return this.stopping(envelope.payload)
        break
      case SYSTEM:
        return this.interpret(envelope.payload(), envelope)
    }
    let decided: unknown
    // oxlint-disable-next-line effect-otp/no-try -- user code is called here and may throw
    try {
      decided = this.behaviour.handle(this, envelope)
    } catch (defect) {
      return this.crash(Cause.die(defect))
    }
    return this.interpret(decided, envelope)
  }

  /** The one place that gives meaning to what a behaviour returned. */
  private interpret(decided: unknown, envelope: Envelope): Effect.Effect<unknown, unknown> | undefined {
    if (decided instanceof Transition) return this.apply(decided, envelope)
    if (Effect.isEffect(decided)) {
      if (Exit.isExit(decided)) {
        return Exit.isSuccess(decided) ? this.settle(decided.value, envelope) : this.failed(decided.cause, envelope)
      }
      // Services were provided when the process was started.
      return decided as Effect.Effect<unknown, unknown>
    }
    return this.settle(decided, envelope)
  }

  private settle(value: unknown, envelope: Envelope): Effect.Effect<unknown, unknown> | undefined {
    if (value instanceof Transition) return this.apply(value, envelope)
    if (envelope.kind === CALL) envelope.complete(Exit.succeed(value))
    return undefined
  }

  private apply(
    transition: Transition<unknown, unknown, unknown>,
    envelope: Envelope
  ): Effect.Effect<unknown, unknown> | undefined {
    if (transition.updates) this.state = transition.state
    if (transition.reason !== undefined) {
      if (transition.replies && envelope.kind === CALL) {
        this.stopReply = { call: envelope, exit: Exit.succeed(transition.reply), due: false }
      }
      return this.stopping(transition.reason)
    }
    if (transition.next !== undefined) this.follow(transition.next)
    if (envelope.kind === CALL) {
      if (transition.replies) envelope.complete(Exit.succeed(transition.reply))
      else if (!envelope.done && envelope.fiber !== undefined) {
        // Not those of other nodes: their callers watch the process, and who gave up would be kept here for ever.
        envelope.deferred = true
        ;(this.deferred ??= new Set()).add(envelope)
      }
    }
    return undefined
  }

  private follow(next: Next<unknown>): void {
    if ("continue" in next) this.continuation = new ContinueEnvelope(this, next.continue)
    if (next.timeout !== undefined) this.armIdle(next.timeout)
  }

  private armIdle(timeout: Duration.Input): void {
    const idle = this.idle ??= new IdleTimer(this)
    this.node.timers.cancel(idle)
    idle.round++
    const millis = Duration.toMillis(Duration.fromInputUnsafe(timeout))
    if (millis <= 0) this.push(new TimeoutEnvelope(this, idle.round))
    else this.node.timers.arm(idle, millis)
  }

  private cancelIdle(): void {
    this.node.timers.cancel(this.idle!)
    this.idle!.round++
  }

  /** A typed failure of a call is its error reply; everything else ends the process. */
  private failed(cause: Cause.Cause<unknown>, envelope: Envelope): Effect.Effect<unknown, unknown> | undefined {
    if (envelope.kind === CALL && !SchemaAST.isNever(envelope.message.errorSchema.ast) && !Cause.hasDies(cause)) {
      const error = Cause.findError(cause)
      if (Result.isSuccess(error)) {
        envelope.complete(Exit.fail(error.success))
        return undefined
      }
    }
    return this.crash(cause)
  }

  private crash(cause: Cause.Cause<unknown>): Effect.Effect<unknown, unknown> {
    return this.stopping(ExitReason.fromCause(cause))
  }

  /** Ends the loop: `terminate` runs as part of it, so that a kill can still interrupt it. */
  private stopping(reason: ExitReason.ExitReason): Effect.Effect<unknown, unknown> {
    this.exitReason = reason
    if (this.ending) return Effect.void
    this.ending = true
    let terminate: Effect.Effect<unknown, unknown, unknown> | undefined
    // oxlint-disable-next-line effect-otp/no-try -- user code is called here and may throw
    try {
      terminate = this.behaviour.terminate(this, reason)
    } catch (defect) {
      terminate = Effect.die(defect)
    }
    if (terminate === undefined) {
      this.terminationEnded()
      return Effect.void
    }
    return Effect.matchCause(
      terminate as Effect.Effect<unknown, unknown>, // services as in `interpret`
      {
        onSuccess: () => this.terminationEnded(),
        onFailure: (cause) => {
          if (this.status !== EXITING) this.exitReason = ExitReason.fromCause(cause)
          this.terminationEnded()
        }
      }
    )
  }

  /** `terminate` has ended, well or not. A signal that cuts it short does not come here: it is what the caller learns. */
  private terminationEnded(): void {
    if (this.stopReply !== undefined) this.stopReply.due = true
  }

  /** Goes on when the loop was woken: by its turn, or with the Effect of a handler, which has given this value. */
  woken(value: unknown): Effect.Effect<unknown, unknown> {
    return value === turn ? this.drain() : this.resumeAfter(value)
  }

  /** Goes on after a handler that was an Effect. */
  resumeAfter(value: unknown): Effect.Effect<unknown, unknown> {
    const envelope = this.current!
    const end = this.settle(value, envelope)
    return end === undefined ? this.drain() : this.lastTurn(end)
  }

  /** The end of the process, in a turn of its own. */
  private lastTurn(end: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> {
    if (!this.borrowed) return end
    this.nextEffect = end
    return LOOP
  }

  /** A handler, or the loop itself, failed in the fiber. */
  caught(cause: Cause.Cause<unknown>): Effect.Effect<unknown, unknown> {
    if (this.status === EXITING || this.ending) return Effect.failCause(cause)
    const envelope = this.current
    if (this.status === STARTING) {
      this.exitReason = ExitReason.fromCause(cause)
      this.startEnded({ _tag: "Failed", cause })
      return Effect.void
    }
    if (envelope === undefined) return this.crash(cause)
    const end = this.failed(cause, envelope)
    return end === undefined ? MAIN : this.lastTurn(end)
  }

  /** `init` is done. */
  started(result: unknown): Effect.Effect<unknown, unknown> {
    // An exit signal came while `init` ran, and its interruption has not had its turn yet.
    if (this.status !== STARTING) return Effect.interrupt
    if (result instanceof Ignore) {
      this.exitReason = ExitReason.normal
      this.startEnded({ _tag: "Ignored" })
      return Effect.void
    }
    const { next, pending, state } = result as Started
    this.state = state
    this.status = RUNNING
    this.args = undefined
    if (next !== undefined) this.follow(next)
    if (!pending) this.acknowledge({ _tag: "Started" })
    return this.drain()
  }

  /** Tells the starter how the start went; only the first word counts. A start that failed is told when it has ended. */
  acknowledge(result: StartResult): void {
    if (result._tag !== "Started") return this.startEnded(result)
    const tell = this.onStarted
    this.onStarted = undefined
    tell?.(result)
  }

  /**
   * The start is over without a server. The starter learns of it when the process has ended: then the name is free and
   * what `init` acquired is released, so that it may start another one at once.
   */
  private startEnded(result: StartResult): void {
    this.ending = true
    const tell = this.onStarted
    if (tell !== undefined) this.onStarted = () => tell(result)
  }

  // --- end -----------------------------------------------------------------------------------------------------------

  undefer(call: CallEnvelope): void {
    this.deferred?.delete(call)
  }

  /** The fiber is at its end. */
  ended(reason: ExitReason.ExitReason): void {
    const current = this.current
    const report = this.onStarted === undefined && this.status !== STARTING
    this.terminated(reason)
    if (report) this.reportCrash(reason, current === undefined ? undefined : this.nameOf(current))
    this.state = undefined
    this.handlers = undefined
    this.current = undefined
    this.nextEffect = undefined
    this.wake = undefined
  }

  protected abortWaiting(reason: ExitReason.ExitReason): void {
    if (this.idle !== undefined) this.node.timers.cancel(this.idle)
    const stopReply = this.stopReply
    if (stopReply !== undefined) {
      this.stopReply = undefined
      if (stopReply.due) stopReply.call.complete(stopReply.exit)
    }
    const failure = new CallError.ProcessExit({ exitReason: reason })
    const current = this.current
    if (current !== undefined && current.kind === CALL) current.failWith(failure)
    const deferred = this.deferred
    if (deferred !== undefined) {
      this.deferred = undefined
      for (const call of deferred) call.failWith(failure)
    }
    const box = this.box
    if (box !== undefined) {
      this.box = undefined
      for (let e = box.shift(); e !== undefined; e = box.shift()) {
        if (e.kind === CALL) e.failWith(failure)
        else if (e.kind <= TERM) this.node.discarded++
      }
    }
    const waiting = this.waiting
    if (waiting !== undefined) {
      this.waiting = undefined
      for (let w = waiting.shift(); w !== undefined; w = waiting.shift()) {
        if (w.gone) continue
        this.node.discarded++
        w.resume(Exit.void)
      }
    }
    const tell = this.onStarted
    if (tell !== undefined) {
      this.onStarted = undefined
      tell({ _tag: "Exited", reason })
    }
  }

  // --- inspection ----------------------------------------------------------------------------------------------------

  describe(): { readonly currentMessage: string | undefined; readonly state: unknown; readonly behaviour: string } {
    return {
      currentMessage: this.current === undefined || this.wake !== undefined ? undefined : this.nameOf(this.current),
      state: this.status === RUNNING ? this.behaviour.format(this.state) : undefined,
      behaviour: this.behaviour.name
    }
  }

  /** The messages that wait, oldest first, for an observer. */
  peek(limit: number): ReadonlyArray<unknown> {
    const out: Array<unknown> = []
    for (let i = 0; i < limit; i++) {
      const envelope = this.box?.at(i)
      if (envelope === undefined) break
      out.push(this.asValue(envelope))
    }
    return out
  }

  private nameOf(envelope: Envelope): string {
    switch (envelope.kind) {
      case CALL:
      case CAST:
        return this.behaviour.protocol.messages[envelope.index]!._tag
      case EXIT:
        return "Exit"
      case DOWN:
        return "Down"
      case TIMEOUT:
        return "timeout"
      case CONTINUE:
        return "continue"
      case STOP:
        return "stop"
      default:
        return "term"
    }
  }

  private trace(envelope: Envelope): void {
    this.node.tracer!({
      _tag: "Message",
      pid: this.pid,
      name: this.displayName,
      message: this.nameOf(envelope),
      payload: envelope.payload
    })
  }
}

/** The payload of a value that looks like a message, or `notAPayload` when it does not fit the schema. */
const payloadOfValue = (message: Message.Any, value: object): unknown => {
  const schema = message.payloadSchema
  if (SchemaAST.isVoid(schema.ast)) return undefined
  const { _tag, ...payload } = value as { readonly _tag: string; readonly payload?: unknown }
  if (isPayload(message, payload)) return payload
  return "payload" in payload && isPayload(message, payload.payload) ? payload.payload : notAPayload
}

const notAPayload: unique symbol = Symbol("notAPayload")
const guards = new WeakMap<Message.Any, (u: unknown) => boolean>()

const isPayload = (message: Message.Any, u: unknown): boolean => {
  let guard = guards.get(message)
  if (guard === undefined) guards.set(message, guard = Schema.is(message.payloadSchema))
  // oxlint-disable-next-line effect-otp/no-try -- a schema may hold user code; a value it throws at does not fit
  try {
    return guard(u)
  } catch {
    return false
  }
}

// --- the effects of the loop, shared by all processes ---------------------------------------------------------------

const serverOf = (fiber: Fiber.Fiber<unknown, unknown>): ServerProcess => currentOf(fiber) as ServerProcess

const loopEffect = (
  label: string,
  evaluate: (process: ServerProcess, fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<unknown, unknown>
): Effect.Effect<unknown, unknown> =>
  Object.create(Effectable.Prototype<Effect.Effect<unknown, unknown>>({
    label,
    evaluate: (fiber) => evaluate(serverOf(fiber), fiber)
  }))

const DRAIN = loopEffect("effect-otp/drain", (process) => process.drain())

/** What a loop is woken with when it is the turn of its process. */
const turn: unique symbol = Symbol("effect-otp/turn")

const WOKEN = Exit.succeed(turn)

const PARK = Effect.callback<unknown, unknown>((resume) => {
  serverOf(Fiber.getCurrent()!).park(resume)
})

const LOOP: Effect.Effect<unknown, unknown> = Effect.flatMap(
  PARK,
  (value) => serverOf(Fiber.getCurrent()!).woken(value)
)

const afterHandler = (value: unknown): Effect.Effect<unknown, unknown> =>
  serverOf(Fiber.getCurrent()!).resumeAfter(value)

const onCaught = (cause: Cause.Cause<unknown>): Effect.Effect<unknown, unknown> =>
  serverOf(Fiber.getCurrent()!).caught(cause)

const MAIN: Effect.Effect<unknown, unknown> = Effect.catchCause(DRAIN, onCaught)

const onStarted = (result: unknown): Effect.Effect<unknown, unknown> => serverOf(Fiber.getCurrent()!).started(result)

const START = Effect.catchCause(
  loopEffect("effect-otp/start", (process, fiber) => {
    process.fiber = fiber
    if (process.status !== STARTING) return Effect.interrupt
    // Services as in `interpret`.
    const init = process.behaviour.init(process, process.args) as Effect.Effect<unknown, unknown>
    return Exit.isExit(init) && Exit.isSuccess(init) ? process.started(init.value) : Effect.flatMap(init, onStarted)
  }),
  onCaught
)

/** What the fiber of a server runs. */
export const serverProgram: Effect.Effect<unknown, unknown> = Effect.onExit(
  START,
  (exit) => finalize(serverOf(Fiber.getCurrent()!), exit)
)
