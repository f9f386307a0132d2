/**
 * A process whose messages are taken by user code: its mailbox is an Effect queue.
 *
 * The queue is the mailbox itself, so that `Queue.take`, `Stream.fromQueue` and selective `receive` see the same
 * messages in the same order. The bound is the capacity of the queue; signals go past it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
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

const isSignal = (u: unknown): boolean => u instanceof ExitSignal || u instanceof Down

/** @since 0.1.0 */
export class QueueProcess extends LocalProcess {
  readonly queue: Queue.Queue<unknown>
  readonly body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>
  private pending: Set<CallEnvelope> | undefined = undefined
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
    ;(this.pending ??= new Set()).add(call)
    call.deferred = true
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
  }

  deliverValue(value: unknown, sender: Fiber.Fiber<unknown, unknown> | undefined): Effect.Effect<void, "full"> {
    if (this.status >= EXITING) {
      this.node.discarded++
      return Effect.void
    }
    if (this.queue.messages.length < this.capacity || (sender !== undefined && sender === this.fiber)) {
      this.deliver(value)
      return Effect.void
    }
    const overflow = this.overflow
    if (overflow === "suspend" && sender !== undefined) {
      this.trace(value)
      return Effect.asVoid(Queue.offer(this.queue, value))
    }
    if (overflow === "fail" && sender !== undefined) return Effect.fail("full")
    if (overflow === "dropOld" && this.dropOldest()) {
      this.deliver(value)
      return Effect.void
    }
    if (typeof overflow === "object") {
      return Effect.catch(
        this.node.sendFrom(undefined, overflow.forward, new Forwarded(this.pid, overflow.tag, value)),
        () => Effect.sync(() => this.countDropped())
      )
    }
    this.countDropped()
    return Effect.void
  }

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
    // Resumes suspended senders, whose messages nobody will take.
    Effect.runForkWith(this.node.context)(Queue.shutdown(this.queue))
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

const nothing: unique symbol = Symbol("nothing")

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
