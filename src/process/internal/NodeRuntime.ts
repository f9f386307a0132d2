/**
 * The local part of a node: its processes, names, aliases, timers and run queue, and the way of a message to any address.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import { isPid, Pid } from "../../term/Pid.ts"
import { isReference, Reference } from "../../term/Reference.ts"
import type { Address } from "../Address.ts"
import type { ExitReason } from "../ExitReason.ts"
import { CurrentProcess, type LocalProcess, Monitor, type Watcher } from "./LocalProcess.ts"
import type { LoopWatch } from "./LoopWatch.ts"
import { RemoteTable } from "./RemoteTable.ts"
import { RunQueue } from "./RunQueue.ts"
import { Timers } from "./Timers.ts"

/** What happened, for journals and observers. */
export type TraceEvent =
  | { readonly _tag: "Spawn"; readonly pid: Pid; readonly name: string; readonly parent: Pid | undefined }
  | {
    readonly _tag: "Message"
    readonly pid: Pid
    readonly name: string
    readonly message: string
    readonly payload: unknown
  }
  | { readonly _tag: "Exit"; readonly pid: Pid; readonly name: string; readonly reason: ExitReason }
  | { readonly _tag: "Report"; readonly pid: Pid; readonly name: string; readonly report: unknown }

export interface NodeOptions {
  readonly name: string
  readonly creation: number
  readonly killGraceMillis: number
}

/** Numbers of pids have 28 bits on the wire, the rest is the serial. */
const idBits = 2 ** 28
/** The first word of a reference has 18 bits. */
const firstBits = 18
const firstWord = 2 ** firstBits
/** Below, the number of a reference is a small integer. */
const smallKeys = 2 ** 30
const word = 2 ** 32

/** @since 0.1.0 */
export class NodeRuntime {
  readonly name: string
  readonly creation: number
  readonly killGraceMillis: number
  readonly context: Context.Context<never>
  readonly runQueue: RunQueue
  readonly timers: Timers
  /** Finds who holds up the event loop; only a node that others wait for has one. */
  watch: LoopWatch | undefined = undefined
  /** When the node was made, by the clock of its timers. */
  readonly startedAt: number
  readonly processes: Map<number, LocalProcess> = new Map()
  readonly names: Map<string, LocalProcess> = new Map()
  readonly aliases: Map<number, LocalProcess> = new Map()
  readonly environment: Map<string, unknown> = new Map()
  readonly remote: RemoteTable = new RemoteTable(this)
  /** The pid that stands for everything that is not a process: the caller of calls from plain fibers, the owner of scopes. */
  readonly pid: Pid
  tracer: ((event: TraceEvent) => void) | undefined = undefined
  /** Messages dropped by full mailboxes. */
  dropped = 0
  /** Messages that were waiting when their process ended, or came after. */
  discarded = 0
  /** Terms that no message described and no handler took. */
  unhandled = 0
  /** What runs when the node stops, before its processes are ended, the last one first. */
  readonly finalizers: Array<Effect.Effect<void>> = []
  /** Completes when the node has stopped; there from the moment on when it is to stop. */
  stopped: Deferred.Deferred<void> | undefined = undefined
  /** Set once the node shuts down: nothing starts on it any more. */
  closing = false
  private keys = 1
  private references = 0

  constructor(options: NodeOptions, context: Context.Context<never>) {
    this.name = options.name
    this.creation = (options.creation | 0) === options.creation ? options.creation | 0 : options.creation
    this.killGraceMillis = options.killGraceMillis
    this.context = context
    this.runQueue = new RunQueue(Context.get(context, Scheduler.Scheduler))
    this.timers = new Timers(context, this.runQueue)
    this.startedAt = this.timers.now()
    this.pid = this.pidOfKey(1)
  }

  // --- tracing -------------------------------------------------------------------------------------------------------

  private readonly tracers: Set<{ readonly onEvent: (event: TraceEvent) => void }> = new Set()

  /** Gives every event to one more function; the way to stop it is returned. */
  addTracer(onEvent: (event: TraceEvent) => void): () => void {
    const tracer = { onEvent }
    this.tracers.add(tracer)
    this.composeTracer()
    return () => {
      this.tracers.delete(tracer)
      this.composeTracer()
    }
  }

  private composeTracer(): void {
    const all = [...this.tracers]
    // One field to look at where nobody traces.
    this.tracer = all.length === 0 ? undefined : (event) => {
      for (const tracer of all) tracer.onEvent(event)
    }
  }

  // --- identities ----------------------------------------------------------------------------------------------------

  /** How many processes were ever started. */
  get spawned(): number {
    return this.keys - 1
  }

  takeKey(): number {
    return ++this.keys
  }

  pidOfKey(key: number): Pid {
    // Small integers stay unboxed when no division has touched them.
    return key < idBits
      ? new Pid(this.name, key, 0, this.creation)
      : new Pid(this.name, key % idBits, Math.floor(key / idBits), this.creation)
  }

  keyOfPid(pid: Pid): number {
    return pid.id + pid.serial * idBits
  }

  takeReference(): number {
    return ++this.references
  }

  referenceOfKey(key: number): Reference {
    // In integers as long as they suffice: a division costs more than the rest.
    if (key < smallKeys) return new Reference(this.name, this.creation, [key & (firstWord - 1), key >>> firstBits, 0])
    const high = Math.floor(key / firstWord)
    return new Reference(this.name, this.creation, [key % firstWord, high % word, Math.floor(high / word)])
  }

  makeReference(): Reference {
    return this.referenceOfKey(this.takeReference())
  }

  /** The number of a reference of this node; undefined for one of another node or incarnation. */
  keyOfReference(ref: Reference): number | undefined {
    if (ref.node !== this.name || ref.creation !== this.creation) return undefined
    const [first, second = 0, third = 0] = ref.ids
    return third === 0 && second < smallKeys >>> firstBits && first! < firstWord
      ? (second << firstBits) | first!
      : first! + second * firstWord + third * firstWord * word
  }

  makeMonitor(
    watcher: Watcher,
    target: LocalProcess | undefined,
    address: Address,
    key: number = this.takeReference()
  ): Monitor {
    return new Monitor(key, this, watcher, target, address)
  }

  /** The process of a fiber. */
  processOf(fiber: Fiber.Fiber<unknown, unknown> | undefined): LocalProcess | undefined {
    if (fiber === undefined) return undefined
    const process = Context.getOrUndefined(fiber.context as Context.Context<LocalProcess>, CurrentProcess)
    // A fiber may be that of a process of another node in this program, which is a stranger here.
    return process?.node === this ? process : undefined
  }

  /** The pid of a fiber: that of its process, or the node's own. */
  pidOf(fiber: Fiber.Fiber<unknown, unknown> | undefined): Pid {
    return this.processOf(fiber)?.pid ?? this.pid
  }

  // --- addresses -----------------------------------------------------------------------------------------------------

  /** Whether an address is of another node. */
  isRemote(address: Address): boolean {
    return address.node !== undefined && address.node !== this.name
  }

  /** The live process at an address of this node. A pid or alias of an earlier incarnation has none. */
  resolve(address: Address): LocalProcess | undefined {
    if (isPid(address)) {
      if (address.node !== this.name || address.creation !== this.creation) return undefined
      return this.processes.get(this.keyOfPid(address))
    }
    if (isReference(address)) {
      const key = this.keyOfReference(address)
      return key === undefined ? undefined : this.aliases.get(key)
    }
    if (address.node !== undefined && address.node !== this.name) return undefined
    if (address.via === undefined) return this.names.get(address.name)
    const pid = address.via.whereis()
    return pid === undefined ? undefined : this.resolve(pid)
  }

  /** Sends a value as an info to any address. Nothing happens when nobody is there. */
  sendFrom(
    sender: Fiber.Fiber<unknown, unknown> | undefined,
    address: Address,
    value: unknown
  ): Effect.Effect<void, "full" | "nodedown"> {
    if (this.isRemote(address)) return this.remote.send(this.pidOf(sender), address, { _tag: "Term", value })
    const process = this.resolve(address)
    if (process === undefined) {
      this.discarded++
      return Effect.void
    }
    return process.deliverValue(value, sender)
  }

  // --- names ---------------------------------------------------------------------------------------------------------

  /** Registers a name; the process that has it already, if any. */
  register(name: string, process: LocalProcess): LocalProcess | undefined {
    const holder = this.names.get(name)
    if (holder !== undefined) return holder
    this.names.set(name, process)
    return undefined
  }

  releaseName(name: string, process: LocalProcess): void {
    if (this.names.get(name) === process) this.names.delete(name)
  }
}
