/**
 * A process whose messages are taken by user code: its mailbox is an Effect queue.
 *
 * The queue is the mailbox itself, so that `Queue.take`, `Stream.fromQueue` and selective `receive` see the same
 * messages in the same order. The bound is the capacity of the queue; signals go past it, and so does the one message
 * for which a `receive` waits.
 *
 * A `receive` looks at each message once: at those that wait when it starts, then at each new one when it is sent. Its
 * fiber is woken only by the one that fits, and takes it out itself, so that an interruption loses nothing.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as MutableList from "effect/MutableList"
import * as Queue from "effect/Queue"
import type { Reference } from "../../term/Reference.ts"
import { equals as sameReference } from "../../term/Reference.ts"
import * as CallError from "../CallError.ts"
import type * as ExitReason from "../ExitReason.ts"
import { Forwarded, type MailboxOptions } from "../Mailbox.ts"
import { Down, Exit as ExitSignal, Request } from "../Signal.ts"
import type { CallEnvelope } from "./Envelope.ts"
import { currentOf, EXITING, finalize, LocalProcess, RUNNING } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import type { Runnable } from "./RunQueue.ts"
import { Timer } from "./Timers.ts"

const isSignal = (u: unknown): boolean => u instanceof ExitSignal || u instanceof Down

/** What a `receive` gives whose time is up. */
export const nothing: unique symbol = Symbol("nothing")

/** A `receive` that waits. It is its own timer. */
class Receiver extends Timer implements Runnable {
  readonly process: QueueProcess
  readonly matches: (u: unknown) => boolean
  private readonly resume: (effect: Effect.Effect<unknown>) => void
  private outcome: Effect.Effect<unknown> = Effect.succeed(nothing)

  constructor(
    process: QueueProcess,
    matches: (u: unknown) => boolean,
    resume: (effect: Effect.Effect<unknown>) => void
  ) {
    super()
    this.process = process
    this.matches = matches
    this.resume = resume
  }

  /** Whether the wait is over because of this message. A guard that throws ends the wait with its defect. */
  accepts(value: unknown): boolean {
    // oxlint-disable-next-line effect-otp/no-try -- the guard may hold user code; the sender must not suffer from it
    try {
      if (!this.matches(value)) return false
      this.end(this.process.takeAgain(value, this))
    } catch (defect) {
      this.end(Effect.die(defect))
      return false
    }
    return true
  }

  /** The time is up. */
  fire(): void {
    this.end(Effect.succeed(nothing))
  }

  private end(outcome: Effect.Effect<unknown>): void {
    this.outcome = outcome
    this.process.forget(this)
    this.process.node.runQueue.push(this)
  }

  /** Wakes the fiber, in its turn. */
  run(): void {
    this.resume(this.outcome)
  }
}

/** A sender that waits for room, in the form in which the queue admits it. */
class Suspended implements Runnable {
  readonly _tag = "Single" as const
  readonly message: unknown
  readonly resume: (effect: Effect.Effect<boolean>) => void
  private readonly wake: (effect: Effect.Effect<void>) => void

  constructor(node: NodeRuntime, message: unknown, wake: (effect: Effect.Effect<void>) => void) {
    this.message = message
    this.wake = wake
    // In its turn: a chain of processes that wait for one another must not resume on one stack.
    this.resume = () => node.runQueue.push(this)
  }

  run(): void {
    this.wake(Effect.void)
  }
}

/** @since 0.1.0 */
export class QueueProcess extends LocalProcess {
  readonly queue: Queue.Queue<unknown>
  readonly body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>
  private pending: Set<CallEnvelope> | undefined = undefined
  private receivers: Set<Receiver> | undefined = undefined
  private interrupted = false

  constructor(
    node: NodeRuntime,
    parent: LocalProcess | undefined,
    queue: Queue.Queue<unknown>,
    body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>
  ) {
    super(node, parent)
    this.queue = queue
    this.body = body
  }

  override configure(
    options: { readonly mailbox?: MailboxOptions | undefined; readonly label?: string | undefined }
  ): void {
    super.configure(options)
    this.queue.capacity = this.capacity
  }

  get mailboxLength(): number {
    return this.queue.messages.length
  }

  deliverExit(signal: ExitSignal): void {
    this.deliver(signal)
  }

  deliverDown(signal: Down): void {
    this.deliver(signal)
  }

  receiveCall(call: CallEnvelope): void {
    // Callers of other nodes watch the process: they learn of its end without this.
    if (call.fiber !== undefined) {
      ;(this.pending ??= new Set()).add(call)
      call.deferred = true
    }
    this.deliver(new Request(call.message._tag, call.payload, call))
  }

  undefer(call: CallEnvelope): void {
    this.pending?.delete(call)
  }

  /** Puts a value behind the others, whatever the bound. */
  private deliver(value: unknown): void {
    if (this.status >= EXITING) return
    this.trace(value)
    if (this.queue.messages.length < this.capacity) Queue.offerUnsafe(this.queue, value)
    else MutableList.append(this.queue.messages, value)
    if (this.receivers !== undefined) this.offerToReceivers(value)
  }

  /** Whether a `receive` waits for this message, which then has a place whatever the bound. */
  private offerToReceivers(value: unknown): boolean {
    for (const receiver of this.receivers ?? []) if (receiver.accepts(value)) return true
    return false
  }

  deliverValue(value: unknown, sender: Fiber.Fiber<unknown, unknown> | undefined): Effect.Effect<void, "full"> {
    if (this.admits(value, sender)) return Effect.void
    const overflow = this.overflow
    if (overflow === "suspend" && sender !== undefined) return this.suspend(value, sender)
    if (overflow === "fail" && sender !== undefined) return Effect.fail("full")
    if (overflow === "dropOld" && this.dropOldest()) {
      this.deliver(value)
      return Effect.void
    }
    if (typeof overflow === "object" && !(value instanceof Forwarded)) {
      return Effect.catch(
        this.node.sendFrom(undefined, overflow.forward, new Forwarded(this.pid, overflow.tag, value)),
        () => Effect.sync(() => this.countDropped())
      )
    }
    this.countDropped()
    return Effect.void
  }

  /** Delivers a value when it has a place, or nobody is there any more to take it. */
  private admits(value: unknown, sender: Fiber.Fiber<unknown, unknown> | undefined): boolean {
    if (this.status >= EXITING) {
      this.node.discarded++
      return true
    }
    const { messages } = this.queue
    if (messages.length < this.capacity || (sender !== undefined && this.node.processOf(sender) === this)) {
      this.deliver(value)
      return true
    }
    if (this.receivers === undefined || !this.offerToReceivers(value)) return false
    this.trace(value)
    MutableList.append(messages, value)
    return true
  }

  private suspend(value: unknown, sender: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      // The sender may have yielded since its message found no place.
      if (this.admits(value, sender)) return resume(Effect.void)
      const { state } = this.queue
      if (state._tag !== "Open") return resume(Effect.void)
      this.trace(value)
      const suspended = new Suspended(this.node, value, resume)
      state.offers.add(suspended)
      return Effect.sync(() => {
        state.offers.delete(suspended)
      })
    })
  }

  /** Lets waiting senders in, as far as there is room. */
  private releaseSenders(): void {
    const { capacity, messages, state } = this.queue
    if (state._tag === "Done" || state.offers.size === 0) return
    for (const entry of state.offers) {
      if (messages.length >= capacity) return
      if (entry._tag !== "Single") continue // senders are single
      state.offers.delete(entry)
      MutableList.append(messages, entry.message)
      entry.resume(Exit.succeed(true))
    }
  }

  // --- receiving -----------------------------------------------------------------------------------------------------

  /**
   * Takes the first message that fits, of those that wait (those of waiting senders included) or else of those that come,
   * within so many milliseconds; else {@link nothing}.
   */
  receive(matches: (u: unknown) => boolean, millis: number): Effect.Effect<unknown> {
    return Effect.callback<unknown>((resume) => {
      const there = this.take(matches)
      if (there !== nothing || millis <= 0) return resume(Effect.succeed(there))
      const receiver = new Receiver(this, matches, resume)
      ;(this.receivers ??= new Set()).add(receiver)
      this.node.timers.arm(receiver, millis)
      return Effect.sync(() => this.forget(receiver))
    })
  }

  /** A receiver waits no longer. */
  forget(receiver: Receiver): void {
    this.node.timers.cancel(receiver)
    if (this.receivers?.delete(receiver) === true && this.receivers.size === 0) this.receivers = undefined
  }

  /** Takes a message for which a receiver was woken. When another fiber was faster, it goes on waiting. */
  takeAgain(value: unknown, receiver: Receiver): Effect.Effect<unknown> {
    const left = receiver.list === undefined ? Infinity : receiver.expiry - this.node.timers.now()
    return Effect.suspend(() => {
      const taken = this.take((u) => Object.is(u, value))
      return taken === nothing ? this.receive(receiver.matches, left) : Effect.succeed(taken)
    })
  }

  private take(matches: (u: unknown) => boolean): unknown {
    const { messages, state } = this.queue
    const first = messages.head
    let taken: unknown = nothing
    if (first !== undefined && matches(first.array[first.offset])) {
      taken = MutableList.take(messages)
    } else if (first !== undefined) {
      MutableList.filter(messages, (value: unknown, index) => {
        if (index === 0 || taken !== nothing || !matches(value)) return true
        taken = value
        return false
      })
    }
    if (taken === nothing && state._tag === "Open") {
      for (const entry of state.offers) {
        if (entry._tag !== "Single" || !matches(entry.message)) continue
        state.offers.delete(entry)
        entry.resume(Exit.succeed(true))
        return entry.message
      }
    }
    if (taken !== nothing) this.releaseSenders()
    return taken
  }

  // -------------------------------------------------------------------------------------------------------------------

  private dropOldest(): boolean {
    const { messages } = this.queue
    let dropped: unknown = nothing
    MutableList.filter(messages, (value: unknown) => {
      if (dropped !== nothing || isSignal(value)) return true
      dropped = value
      return false
    })
    if (dropped === nothing) return false
    this.countDropped()
    if (dropped instanceof Request) {
      for (const call of this.pending ?? []) {
        if (call === dropped.from) call.failWith(new CallError.MailboxFull({ capacity: this.capacity }))
      }
    }
    return true
  }

  flushDown(ref: Reference): boolean {
    const before = this.queue.messages.length
    MutableList.filter(
      this.queue.messages,
      (value: unknown) => !(value instanceof Down && sameReference(value.ref, ref))
    )
    return this.queue.messages.length < before
  }

  run(): void {
    if (this.status === EXITING && !this.interrupted) {
      this.interrupted = true
      this.fiber?.interruptUnsafe()
    }
  }

  ended(reason: ExitReason.ExitReason): void {
    this.terminated(reason)
    this.reportCrash(reason, undefined)
  }

  protected abortWaiting(reason: ExitReason.ExitReason): void {
    const pending = this.pending
    if (pending !== undefined) {
      this.pending = undefined
      const failure = new CallError.ProcessExit({ exitReason: reason })
      for (const call of pending) call.failWith(failure)
    }
    MutableList.filter(this.queue.messages, (value: unknown) => {
      if (!isSignal(value)) this.node.discarded++
      return false
    })
    const { state } = this.queue
    if (state._tag !== "Done") this.node.discarded += state.offers.size
    // Resumes suspended senders, whose messages nobody will take.
    Queue.shutdownUnsafe(this.queue)
  }

  describe(): { readonly currentMessage: string | undefined; readonly state: unknown; readonly behaviour: string } {
    return { currentMessage: undefined, state: undefined, behaviour: "process" }
  }

  peek(limit: number): ReadonlyArray<unknown> {
    return MutableList.toArrayN(this.queue.messages, limit)
  }

  private trace(value: unknown): void {
    if (this.node.tracer === undefined) return
    const tag = typeof value === "object" && value !== null && "_tag" in value ? String(value._tag) : "term"
    this.node.tracer({ _tag: "Message", pid: this.pid, name: this.displayName, message: tag, payload: value })
  }
}

const START: Effect.Effect<unknown, unknown> = Object.create(
  Effectable.Prototype<Effect.Effect<unknown, unknown>>({
    label: "effect-otp/process",
    evaluate(fiber) {
      const process = currentOf(fiber) as QueueProcess
      process.fiber = fiber
      if (process.status >= EXITING) return Effect.interrupt
      process.status = RUNNING
      return process.body(process.queue)
    }
  })
)

/** What the fiber of a low-level process runs. */
export const queueProgram: Effect.Effect<unknown, unknown> = Effect.onExit(START, (exit) => {
  const process = currentOf(Fiber.getCurrent()!)
  // A body that was interrupted from outside, without an exit signal, was shut down by its owner.
  if (process.exitReason === undefined && exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) {
    process.exitReason = { _tag: "Shutdown" }
  }
  return finalize(process, exit)
})
