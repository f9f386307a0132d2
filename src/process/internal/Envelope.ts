/**
 * What stands in the mailbox of a server: a message with what is needed to handle and to answer it.
 *
 * An envelope is also the context that its handler receives (`self`, `node`, `from`), so that a message costs one
 * allocation.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Pid } from "../../term/Pid.ts"
import { CallError, type CallErrorReason, CallTimeout } from "../CallError.ts"
import type { ExitReason } from "../ExitReason.ts"
import type { Context, From } from "../Handler.ts"
import type * as Message from "../Message.ts"
import type { Down, Exit as ExitSignal } from "../Signal.ts"
import type { LocalProcess } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import { type Awaited, park, type Waiter } from "./Park.ts"
import { Timer } from "./Timers.ts"

/** A call. */
export const CALL = 0
/** A cast or an info of the protocol. */
export const CAST = 1
/** A term that no message of the protocol describes. */
export const TERM = 2
/** A trapped exit signal. */
export const EXIT = 3
/** A monitor that has fired. */
export const DOWN = 4
/** The idle timeout. */
export const TIMEOUT = 5
/** A request to stop in an orderly way. */
export const STOP = 6
/** A function that the runtime runs between two messages. */
export const SYSTEM = 7
/** The value of a `continue`. */
export const CONTINUE = 8

/** @since 0.1.0 */
export type Envelope =
  | CallEnvelope
  | CastEnvelope
  | TermEnvelope
  | ExitEnvelope
  | DownEnvelope
  | TimeoutEnvelope
  | StopEnvelope
  | SystemEnvelope
  | ContinueEnvelope

abstract class Base implements Context {
  readonly process: LocalProcess

  constructor(process: LocalProcess) {
    this.process = process
  }

  get self(): Pid {
    return this.process.pid
  }

  get node(): string {
    return this.process.node.name
  }
}

/** A cast or info: the number of its message in the protocol of the server, and the payload. */
export class CastEnvelope extends Base {
  readonly kind: typeof CAST = CAST
  /** Changed only when the server goes on with another protocol. */
  index: number
  readonly payload: unknown

  constructor(process: LocalProcess, index: number, payload: unknown) {
    super(process)
    this.index = index
    this.payload = payload
  }
}

/** @since 0.1.0 */
export class TermEnvelope extends Base {
  readonly kind: typeof TERM = TERM
  readonly payload: unknown

  constructor(process: LocalProcess, payload: unknown) {
    super(process)
    this.payload = payload
  }
}

/** @since 0.1.0 */
export class ExitEnvelope extends Base {
  readonly kind: typeof EXIT = EXIT
  readonly payload: ExitSignal
  readonly fromParent: boolean

  constructor(process: LocalProcess, payload: ExitSignal, fromParent: boolean) {
    super(process)
    this.payload = payload
    this.fromParent = fromParent
  }
}

/** @since 0.1.0 */
export class DownEnvelope extends Base {
  readonly kind: typeof DOWN = DOWN
  readonly payload: Down

  constructor(process: LocalProcess, payload: Down) {
    super(process)
    this.payload = payload
  }
}

/** An idle timeout that has passed, unless a message was handled since (`round` has moved on). */
export class TimeoutEnvelope extends Base {
  readonly kind: typeof TIMEOUT = TIMEOUT
  readonly payload: number

  constructor(process: LocalProcess, round: number) {
    super(process)
    this.payload = round
  }
}

/** @since 0.1.0 */
export class StopEnvelope extends Base {
  readonly kind: typeof STOP = STOP
  readonly payload: ExitReason

  constructor(process: LocalProcess, reason: ExitReason) {
    super(process)
    this.payload = reason
  }
}

/** @since 0.1.0 */
export class SystemEnvelope extends Base {
  readonly kind: typeof SYSTEM = SYSTEM
  readonly payload: () => unknown

  constructor(process: LocalProcess, run: () => unknown) {
    super(process)
    this.payload = run
  }
}

/** @since 0.1.0 */
export class ContinueEnvelope extends Base {
  readonly kind: typeof CONTINUE = CONTINUE
  readonly payload: unknown

  constructor(process: LocalProcess, value: unknown) {
    super(process)
    this.payload = value
  }
}

/** Whom a call is for: a process of this node, or the address of one elsewhere. */
export interface CallTarget {
  readonly node: NodeRuntime
  readonly pid: Pid
  readonly displayName: string
  undefer(call: CallEnvelope): void
}

/**
 * A call that waits for its answer. It is its own timer, so that a call limit costs no further object, and its own
 * `From`.
 */
export class CallEnvelope extends Timer implements From<unknown, unknown>, Awaited {
  readonly kind: typeof CALL = CALL
  readonly process: CallTarget
  readonly protocolName: string
  readonly message: Message.Any
  /** As for a cast. */
  index: number
  readonly payload: unknown
  /** After how long the caller gives up, in milliseconds. */
  limitMillis = 5000
  /** The fiber that waits; undefined for a caller of another node. */
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Set once by the first answer; later ones vanish. */
  done = false
  exit: Exit.Exit<unknown, unknown> | undefined = undefined
  waiter: Waiter | undefined = undefined
  /** Whether the server keeps it in its list of calls to be answered later. */
  deferred = false

  constructor(
    process: CallTarget,
    protocolName: string,
    message: Message.Any,
    index: number,
    payload: unknown,
    fiber: Fiber.Fiber<unknown, unknown> | undefined
  ) {
    super()
    this.process = process
    this.protocolName = protocolName
    this.message = message
    this.index = index
    this.payload = payload
    this.fiber = fiber
  }

  get self(): Pid {
    return this.process.pid
  }

  get node(): string {
    return this.process.node.name
  }

  get from(): From<unknown, unknown> {
    return this
  }

  get caller(): Pid {
    return this.process.node.pidOf(this.fiber)
  }

  reply(value: unknown): Effect.Effect<void> {
    return Effect.sync(() => {
      this.complete(Exit.succeed(value))
    })
  }

  fail(error: unknown): Effect.Effect<void> {
    return Effect.sync(() => {
      this.complete(Exit.fail(error))
    })
  }

  /** Whether the caller is gone for good, so that nobody can see the answer. A caller that only timed out is not. */
  get abandoned(): boolean {
    return !this.done && this.fiber !== undefined && this.fiber.pollUnsafe() !== undefined
  }

  /** Answers the call; false when it was answered before. */
  complete(exit: Exit.Exit<unknown, unknown>): boolean {
    if (this.done) return false
    this.done = true
    const node = this.process.node
    if (this.awaited !== 0 || this.list !== undefined) node.timers.cancel(this)
    if (this.deferred) this.process.undefer(this)
    this.exit = exit
    const { waiter } = this
    if (waiter !== undefined) {
      const queue = node.runQueue
      if (queue.shallow) {
        queue.depth++
        waiter.evaluate(exit)
        queue.depth--
      } else {
        queue.push(this)
      }
    }
    return true
  }

  /** Answers the call with a failure of the call itself. The error is built here, because somebody waits for it. */
  failWith(reason: CallErrorReason): void {
    if (this.done) return
    this.complete(
      Exit.fail(
        new CallError({
          target: this.process.displayName,
          protocol: this.protocolName,
          request: this.message._tag,
          reason
        })
      )
    )
  }

  /** Resumes the caller from the run queue, unless it was interrupted meanwhile. */
  run(): void {
    this.waiter?.evaluate(this.exit!)
  }

  /** Has the caller wait for the answer, for so long. To be returned to its run loop at once. */
  wait(limitMillis: number, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, unknown> {
    this.limitMillis = limitMillis
    this.process.node.timers.armAfterBurst(this, limitMillis)
    return this.exit ?? park(this, fiber)
  }

  /** The caller goes on. When it was interrupted, the answer vanishes. */
  released(): void {}

  /** The call limit has passed. */
  fire(): void {
    this.failWith(new CallTimeout({ timeoutMillis: this.limitMillis }))
  }
}
