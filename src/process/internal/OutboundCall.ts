/**
 * Calls to processes of other nodes, and the monitors that tell of the end of those processes.
 *
 * A call is known by its reference, the alias to which its answer comes. Calls that leave through one ref in one turn
 * share the monitor of the first, so that what many calls cost on the wire is mostly the calls. None is shared beyond the
 * turn: whatever a caller knows when it calls, the node had been told before the monitor left, so that a server that is
 * known to have ended gives `NoProcess`, and one that was restarted under its name is the one that is monitored.
 *
 * Guarantees: a monitor leaves before the calls that it guards, and each of them ends once, with the first of answer,
 * Down, loss of the connection, limit and interruption; a monitor that guards nothing is taken back by the end of the turn.
 *
 * @since 0.1.0
 */
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import { type Address, format as formatAddress } from "../Address.ts"
import * as CallError from "../CallError.ts"
import type * as ExitReason from "../ExitReason.ts"
import type * as Message from "../Message.ts"
import { CallEnvelope, type CallTarget } from "./Envelope.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import type { Peer } from "./RemoteTable.ts"

/** The monitor of a process of another node, for the calls that wait for that process. */
export class CallGuard implements CallTarget {
  readonly node: NodeRuntime
  /** What the other node shares with this one. */
  readonly peer: Peer
  readonly address: Address
  /** The number of its reference, which is that of the first call. */
  readonly key: number
  /** Whether more calls may come under this monitor: in the turn in which it was made, where there are turns. */
  open: boolean
  private readonly ref: Reference
  private readonly watcher: Pid
  /** The calls that wait, in a list through themselves. */
  private first: OutboundCall | undefined = undefined
  /** Whether the end of the turn finds out what is to become of the monitor. */
  private due = false

  /** The process is monitored in the name of `watcher`: whoever calls first. */
  constructor(peer: Peer, node: NodeRuntime, address: Address, watcher: Pid, key: number, ref: Reference) {
    this.peer = peer
    this.node = node
    this.address = address
    this.watcher = watcher
    this.key = key
    this.ref = ref
    this.open = node.runQueue.bursts
  }

  get pid(): Pid {
    return this.node.pid
  }

  get displayName(): string {
    return formatAddress(this.address)
  }

  undefer(): void {}

  /** Monitors the process, once the first call is there to hear of it. */
  begin(): void {
    this.settle()
    this.node.remote.transport?.monitor(this.watcher, this.address, this.ref)
  }

  add(call: OutboundCall): void {
    const { first } = this
    call.after = first
    if (first !== undefined) first.before = call
    this.first = call
  }

  remove(call: OutboundCall): void {
    const { after, before } = call
    if (before === undefined) this.first = after
    else before.after = after
    if (after !== undefined) after.before = before
    call.before = call.after = undefined
    if (this.first !== undefined) return
    if (this.open) this.settle()
    // Nobody can come any more. At once, so that it leaves together with what the caller does next.
    else this.endTurn()
  }

  private settle(): void {
    if (this.due) return
    this.due = true
    this.node.remote.atEndOfTurn(this)
  }

  endTurn(): void {
    this.due = false
    this.open = false
    if (this.first !== undefined || !this.peer.guards.delete(this.key)) return
    this.node.remote.transport?.demonitor(this.watcher, this.address, this.ref)
  }

  /** The monitor is no more: it has fired, or the connection is lost. */
  end(): void {
    this.open = false
    this.peer.guards.delete(this.key)
  }

  /** The process has ended, or was never there. */
  down(reason: ExitReason.ExitReason): void {
    this.end()
    const failure = reasonOfDown(this.address.node!, reason)
    while (this.first !== undefined) this.first.failWith(failure)
  }
}

const reasonOfDown = (node: string, reason: ExitReason.ExitReason): CallError.CallErrorReason => {
  switch (reason._tag) {
    case "NoProc":
      return new CallError.NoProcess({})
    case "NoConnection":
      return new CallError.NodeDown({ node: reason.node ?? node })
    default:
      return new CallError.ProcessExit({ exitReason: reason })
  }
}

/** A call to another node. */
export class OutboundCall extends CallEnvelope {
  readonly ref: Reference
  before: OutboundCall | undefined = undefined
  after: OutboundCall | undefined = undefined
  declare readonly process: CallGuard
  private readonly key: number

  constructor(
    guard: CallGuard,
    key: number,
    ref: Reference,
    protocolName: string,
    message: Message.Any,
    payload: unknown,
    fiber: Fiber.Fiber<unknown, unknown>
  ) {
    super(guard, protocolName, message, -1, payload, fiber)
    this.key = key
    this.ref = ref
    guard.add(this)
    guard.peer.calls.set(key, this)
  }

  override complete(exit: Exit.Exit<unknown, unknown>): boolean {
    if (this.done) return false
    this.forget()
    return super.complete(exit)
  }

  /** When the caller was interrupted, nobody waits any more. */
  override released(): void {
    if (this.done) return
    this.forget()
    super.complete(Exit.interrupt())
  }

  private forget(): void {
    const guard = this.process
    guard.peer.calls.delete(this.key)
    guard.remove(this)
  }
}
