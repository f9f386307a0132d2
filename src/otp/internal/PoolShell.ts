/**
 * The process of a pool: a supervisor that knows who of its workers gets a message, changes their number, and lets them
 * finish what they have when it ends.
 *
 * Senders that hold the pool's ref ask {@link PoolShell.route} in their own turn and send to the worker; the process is
 * not involved. What arrives at the process itself (by its name, from another node, by `Process.send`) it hands on, so
 * that the worker answers the caller.
 *
 * Resizing goes step by step between other work: one worker is started or stopped at a time, until the number is the one
 * that was asked for last. Everyone who asked meanwhile is answered then.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Behaviour from "../../process/Behaviour.ts"
import { NoProcess } from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"
import { SupervisorError } from "../OtpError.ts"
import type { Key } from "./KeyHash.ts"
import { PoolDispatch, type Rule, shareOf, workerOf } from "./PoolDispatch.ts"
import { inSlot, Slot, SlotShell } from "./SlotShell.ts"
import { supervisorProtocol } from "./SupervisorMessages.ts"
import { nothing, type ShellOptions, type StartFunction } from "./SupervisorShell.ts"
import type { ChildOptions, Shutdown } from "./SupervisorSpec.ts"

/** What a pool is made of. */
export interface PoolOptions {
  /** The protocol of the server. */
  readonly protocol: Protocol.Core
  readonly size: number
  readonly rule: Rule
  /** By number of the message: the key of a payload; undefined for messages that go by the rule. */
  readonly keys: ReadonlyArray<((payload: unknown) => Key) | undefined> | undefined
  /** How many messages may wait in all mailboxes together. */
  readonly bound: number | undefined
  readonly drain: boolean
  readonly shutdown: Shutdown
  /** Starts a worker with this mailbox bound; undefined for that of its own options. */
  readonly start: (
    slot: number,
    args: unknown,
    capacity: number | undefined,
    onSpawn: (process: Behaviour.Process) => void
  ) => Effect.Effect<Behaviour.Instance, unknown, unknown>
}

/** The messages of a pool besides those of its server and of a supervisor. */
const adminMessages = [
  Message.Call("ResizePool", { payload: { size: Schema.Number }, error: SupervisorError }),
  Message.Call("PoolStats", { success: Schema.Unknown })
] as const

/** For calls to a pool of any server. */
export const poolAdmin: Protocol.Core = Protocol.make("Pool", ...adminMessages).protocol

/** What the process of a pool understands: its server's messages first, with their own numbers. */
export const poolProtocol = (server: Protocol.Core): Protocol.Core =>
  Protocol.make(server.name, ...server.messages, ...supervisorProtocol.messages, ...adminMessages).protocol

/** A place in a pool; it goes on counting when a worker is replaced. */
class PoolSlot extends Slot<Behaviour.Instance> {
  private handledBefore = 0
  private droppedBefore = 0

  override fill(worker: Behaviour.Instance): void {
    this.handledBefore = this.handled
    this.droppedBefore = this.dropped
    super.fill(worker)
  }

  get handled(): number {
    return this.handledBefore + (this.worker?.handled ?? 0)
  }

  get dropped(): number {
    return this.droppedBefore + (this.worker?.extra?.dropped ?? 0)
  }
}

class KillTimer extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

/** The statistics of a pool, as its ref gives them. */
export interface PoolStats {
  readonly size: number
  readonly waiting: number
  readonly handled: number
  readonly dropped: number
  readonly restarts: number
  readonly workers: ReadonlyArray<{
    readonly worker: number
    readonly pid: Option.Option<Behaviour.Instance["pid"]>
    readonly waiting: number
    readonly capacity: number
    readonly handled: number
    readonly dropped: number
    readonly restarts: number
  }>
}

type Waiting = (exit: Exit.Exit<void, SupervisorError>) => void

/** @since 0.1.0 */
export class PoolShell extends SlotShell<PoolSlot> {
  readonly pool: PoolOptions
  private readonly dispatch: PoolDispatch<Behaviour.Instance>
  /** The places that get messages; none when the pool has begun to end. */
  private places: Array<PoolSlot> = []
  private readonly newcomers = new Map<number, PoolSlot>()
  private target: number
  private resizing: Array<Waiting> | undefined = undefined
  /** Set when the pool has begun to end: what kills workers that do not finish. */
  private limit: KillTimer | undefined = undefined
  private closed = false

  constructor(instance: Behaviour.Instance, options: ShellOptions, pool: PoolOptions, args: unknown) {
    super(instance, options, args)
    this.pool = pool
    this.target = pool.size
    this.dispatch = new PoolDispatch(pool.rule)
    for (let i = 0; i < pool.size; i++) this.places.push(new PoolSlot(i))
  }

  slotOf(number: number): PoolSlot {
    const place = this.places[number]
    if (place !== undefined) return place
    let slot = this.newcomers.get(number)
    if (slot === undefined) this.newcomers.set(number, slot = new PoolSlot(number))
    return slot
  }

  /** The number of a message in the protocol of the server, from its number in another one; -1 when it is not there. */
  numberOf(core: Protocol.Core, index: number): number {
    const { protocol } = this.pool
    return core === protocol ? index : protocol.indexByTag.get(core.messages[index]!._tag) ?? -1
  }

  /** Who gets a message of the server: its number, or -1 for a term. */
  route(index: number, payload: unknown, sender: unknown): Behaviour.Instance | undefined {
    const keyOf = this.pool.keys?.[index]
    return keyOf === undefined
      ? this.dispatch.choose(this.places, sender)
      : workerOf(this.places, keyOf(payload))
  }

  /** Takes what is for the workers, and the calls of a pool. Undefined for what is the supervisor's. */
  take(instance: Behaviour.Instance, envelope: Behaviour.Envelope, messages: number): unknown {
    switch (envelope.kind) {
      case Behaviour.CALL:
        if (envelope.index < messages) break
        if (envelope.message._tag === "PoolStats") return this.stats()
        if (envelope.message._tag !== "ResizePool") return undefined
        return this.resize((envelope.payload as { readonly size: number }).size, (exit) => {
          envelope.complete(exit)
        })
      case Behaviour.CAST:
      case Behaviour.TERM:
        break
      default:
        return undefined
    }
    const worker = this.route(envelope.kind === Behaviour.TERM ? -1 : envelope.index, envelope.payload, undefined)
    if (worker !== undefined) Behaviour.forward(instance, envelope, worker)
    else if (envelope.kind === Behaviour.CALL) envelope.failWith(new NoProcess({}))
    else instance.node.discarded++
    return nothing
  }

  // --- size ----------------------------------------------------------------------------------------------------------

  private resize(size: number, done: Waiting): unknown {
    if (!Number.isSafeInteger(size) || size < 1) {
      done(this.refuse("InvalidSpec", `the size of a pool must be an integer, 1 or more; found ${size}`))
      return nothing
    }
    this.target = size
    if (this.resizing !== undefined) {
      this.resizing.push(done)
      return nothing
    }
    this.resizing = [done]
    return this.adjust()
  }

  /** One step towards the size that is wanted. */
  private adjust(): unknown {
    const count = this.places.length
    // A pool that ends answers nobody any more: those who wait learn of its end.
    if (this.closed) return nothing
    if (count === this.target) return this.answerResize(Exit.void)
    return count < this.target ? this.grow(count) : this.shrink(count - 1)
  }

  private grow(number: number): unknown {
    return this.ask({ _tag: "StartChild", spec: workerSpec(this.pool, number) }, (answer) => {
      const slot = this.slotOf(number)
      this.newcomers.delete(number)
      if (answer._tag !== "Started" && answer._tag !== "Ignored") {
        return this.answerResize(
          answer._tag === "StartFailed"
            ? this.refuse("StartFailed", answer.reason._tag === "Error" ? answer.reason.error : answer.reason)
            : this.refuse("InvalidSpec", answer._tag)
        )
      }
      this.places.push(slot)
      this.divide()
      return this.adjust()
    })
  }

  private shrink(number: number): unknown {
    // From now on nothing new goes there.
    this.places.pop()
    this.divide()
    const id = workerId(number)
    return this.ask(
      { _tag: "TerminateChild", id },
      () => this.ask({ _tag: "DeleteChild", id }, () => this.adjust())
    )
  }

  private answerResize(exit: Exit.Exit<void, SupervisorError>): unknown {
    const waiting = this.resizing ?? []
    this.resizing = undefined
    for (const done of waiting) done(exit)
    return nothing
  }

  private refuse(reason: SupervisorError["reason"], detail: unknown): Exit.Exit<never, SupervisorError> {
    return Exit.fail(new SupervisorError({ supervisor: this.instance.displayName, child: "worker", reason, detail }))
  }

  /** The bound of the mailbox of one worker, when the pool has one for all. */
  capacityOf(number: number): number | undefined {
    return this.pool.bound === undefined
      ? undefined
      : shareOf(this.pool.bound, Math.max(this.places.length, number + 1), number)
  }

  private divide(): void {
    const { bound } = this.pool
    if (bound === undefined) return
    const { places } = this
    for (let i = 0; i < places.length; i++) {
      const { worker } = places[i]!
      if (worker !== undefined) worker.capacity = shareOf(bound, places.length, i)
    }
  }

  // --- end -----------------------------------------------------------------------------------------------------------

  protected override askToEnd(child: Behaviour.Process): void {
    if (this.core.inspect().phase === "exiting") this.close()
    else this.finish(child)
  }

  /** The pool ends: all workers finish at the same time, with one limit for all of them. */
  private close(): void {
    if (this.closed) return
    this.closed = true
    const { places } = this
    this.places = []
    for (const { worker } of places) if (worker !== undefined) this.finish(worker)
    const { shutdown } = this.pool
    if (typeof shutdown !== "number") return
    this.limit = new KillTimer(() => {
      for (const { worker } of places) worker?.exitSignal(this.instance.pid, ExitReason.kill, false)
    })
    Behaviour.armTimer(this.instance, this.limit, shutdown)
  }

  /** The process is at its end. */
  ended(): void {
    if (this.limit !== undefined) Behaviour.cancelTimer(this.instance, this.limit)
  }

  private finish(worker: Behaviour.Process): void {
    // A request to stop stands behind the messages that wait; an exit signal does not.
    if (this.pool.drain && worker instanceof Behaviour.Instance) worker.requestStop(ExitReason.shutdown)
    else super.askToEnd(worker)
  }

  // --- inspection ----------------------------------------------------------------------------------------------------

  private stats(): PoolStats {
    const workers = this.places.map((slot) => {
      const worker = slot.worker?.alive === true ? slot.worker : undefined
      return {
        worker: slot.number,
        pid: Option.fromUndefinedOr(worker?.pid),
        waiting: worker?.mailboxLength ?? 0,
        capacity: worker?.capacity ?? 0,
        handled: slot.handled,
        dropped: slot.dropped,
        restarts: Math.max(0, slot.starts - 1)
      }
    })
    const sum = (of: (worker: PoolStats["workers"][number]) => number): number =>
      workers.reduce((total, worker) => total + of(worker), 0)
    return {
      size: workers.length,
      waiting: sum((worker) => worker.waiting),
      handled: sum((worker) => worker.handled),
      dropped: sum((worker) => worker.dropped),
      restarts: sum((worker) => worker.restarts),
      workers
    }
  }
}

const workerId = (number: number): string => `worker-${number}`

/** The specification of one worker. */
export const workerSpec = (pool: PoolOptions, number: number): ChildOptions<StartFunction> => ({
  id: workerId(number),
  restart: "permanent",
  shutdown: pool.shutdown,
  type: "worker",
  start: inSlot<PoolSlot, PoolShell>(
    number,
    (shell, slot, onSpawn) => pool.start(slot.number, shell.args, shell.capacityOf(number), onSpawn)
  )
})
