/**
 * What comes in from other nodes, as signals for the processes of this one. The receiving half of a transport.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Address } from "../Address.ts"
import * as CallError from "../CallError.ts"
import * as ExitReason from "../ExitReason.ts"
import type * as Message from "../Message.ts"
import { Call } from "../Message.ts"
import type { Inbound, InboundRequest } from "../Transport.ts"
import { CallEnvelope, CastEnvelope, TermEnvelope } from "./Envelope.ts"
import { DEAD, type LocalProcess, RemoteWatcher } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import type { Peer, RemoteTable } from "./RemoteTable.ts"
import { RemoteWatchers } from "./RemoteWatchers.ts"
import { ServerProcess } from "./ServerProcess.ts"

/** A call that no message of the receiver describes. */
const untyped: Message.Any = Call("$gen_call", { payload: Schema.Unknown, success: Schema.Unknown })

/** A call from another node: the answer goes back through the transport. */
class InboundCall extends CallEnvelope {
  private readonly request: InboundRequest

  constructor(
    process: LocalProcess,
    message: Message.Any,
    index: number,
    payload: unknown,
    request: InboundRequest
  ) {
    super(process, process.displayName, message, index, payload, undefined)
    this.request = request
  }

  override get caller(): Pid {
    return this.request.caller
  }

  override complete(exit: Exit.Exit<unknown, unknown>): boolean {
    if (this.done) return false
    this.done = true
    if (this.deferred) this.process.undefer(this)
    this.request.reply(this.message === untyped ? undefined : this.message, exit, this.process.pid)
    return true
  }

  // The caller monitors the process and learns from the monitor what happened.
  override failWith(): void {
    this.done = true
  }
}

/** @since 0.1.0 */
export class InboundSignals implements Inbound {
  readonly node: NodeRuntime
  private readonly table: RemoteTable

  constructor(node: NodeRuntime) {
    this.node = node
    this.table = node.remote
  }

  deliver(to: Address, value: unknown): boolean {
    const process = this.node.resolve(to)
    if (process === undefined) return this.nobody()
    this.settle(process.deliverValue(value, undefined))
    return true
  }

  info(to: Address, request: Omit<InboundRequest, "reply" | "caller">): boolean {
    const process = this.node.resolve(to)
    if (process === undefined) return this.nobody()
    if (!(process instanceof ServerProcess)) {
      this.settle(process.deliverValue(request.raw, undefined))
      return true
    }
    this.settle(process.cast(this.envelope(process, request), undefined))
    return true
  }

  call(to: Address, request: InboundRequest): boolean {
    const process = this.node.resolve(to)
    if (process === undefined) return this.nobody()
    if (process instanceof ServerProcess) {
      const decoded = request.decode(process.behaviour.protocol.messages)
      if (decoded !== undefined) {
        const index = process.behaviour.protocol.indexByTag.get(decoded.message._tag)!
        const accepted = process.call(new InboundCall(process, decoded.message, index, decoded.payload, request))
        if (!accepted) process.countDropped()
        return accepted
      }
    }
    if (process.mailboxLength >= process.capacity) {
      process.countDropped()
      return false
    }
    process.receiveCall(new InboundCall(process, untyped, -1, request.raw, request))
    return true
  }

  cast(to: Address, request: Omit<InboundRequest, "reply" | "caller">): boolean {
    return this.info(to, request)
  }

  /** The message of the protocol that a request is, or the term that it is. */
  private envelope(
    process: ServerProcess,
    request: Omit<InboundRequest, "reply" | "caller">
  ): CastEnvelope | TermEnvelope {
    const { protocol } = process.behaviour
    const decoded = request.decode(protocol.messages)
    return decoded === undefined
      ? new TermEnvelope(process, request.raw)
      : new CastEnvelope(process, protocol.indexByTag.get(decoded.message._tag)!, decoded.payload)
  }

  /** Lets what a mailbox still has to do with a message run: forwarding it, say. A remote sender cannot wait for it. */
  private settle(sent: Effect.Effect<void, "full">): void {
    if (sent !== Effect.void) Effect.runForkWith(this.node.context)(Effect.ignore(sent))
  }

  private nobody(): false {
    this.node.discarded++
    return false
  }

  reply(ref: Reference, decode: (message: Message.Any) => Exit.Exit<unknown, unknown>, node?: string): boolean {
    const key = this.node.keyOfReference(ref)
    if (key === undefined) return false
    const likely = node === undefined ? undefined : this.table.peers.get(node)
    const call = likely?.calls.get(key)
    if (call !== undefined) return answer(call, decode)
    for (const peer of this.table.peers.values()) {
      const call = peer.calls.get(key)
      if (call !== undefined) return answer(call, decode)
    }
    return false
  }

  link(from: Pid, to: Pid): number {
    const process = this.node.resolve(to)
    if (process === undefined) {
      this.table.transport?.exit(to, from, ExitReason.noProc, "link")
      return 0
    }
    const peer = this.table.peer(from.node)
    peer.addLink(process, from)
    return peer.linkCount
  }

  unlink(from: Pid, to: Pid): void {
    const process = this.node.resolve(to)
    if (process !== undefined) this.table.dropLink(process, from)
  }

  exit(from: Pid, to: Address, reason: ExitReason.ExitReason, kind: "link" | "signal"): void {
    const process = this.node.resolve(to)
    if (process === undefined) return
    if (kind === "link" && !this.table.dropLink(process, from)) return
    process.exitSignal(from, reason, kind === "link")
  }

  monitor(from: Pid, to: Address, ref: Reference): number {
    const process = this.node.resolve(to)
    if (process === undefined || process.status === DEAD) {
      this.table.transport?.down(from, to, ref, ExitReason.noProc)
      return 0
    }
    const watcher = new RemoteWatcher(process, ref, from, to)
    ;(process.more.remoteWatchers ??= new RemoteWatchers()).add(watcher)
    const { watchers } = this.table.peer(from.node)
    // A second monitor under one reference takes the place of the first.
    const before = watchers.add(watcher)
    before?.process.extra?.remoteWatchers?.delete(before)
    return watchers.size
  }

  demonitor(from: Pid, ref: Reference): void {
    const watcher = this.table.peers.get(from.node)?.watchers.take(ref)
    watcher?.process.extra?.remoteWatchers?.delete(watcher)
  }

  down(ref: Reference, reason: ExitReason.ExitReason, node?: string): void {
    const key = this.node.keyOfReference(ref)
    if (key === undefined) return
    if (node !== undefined) {
      const peer = this.table.peers.get(node)
      if (peer !== undefined) this.downOf(peer, key, reason)
      return
    }
    for (const peer of this.table.peers.values()) if (this.downOf(peer, key, reason)) return
  }

  private downOf(peer: Peer, key: number, reason: ExitReason.ExitReason): boolean {
    const guard = peer.guards.get(key)
    if (guard !== undefined) {
      guard.down(reason)
      return true
    }
    const entry = peer.monitors.get(key)
    if (entry === undefined) return false
    peer.monitors.delete(key)
    entry.process.down(entry.monitor, reason)
    return true
  }

  nodeDown(nodeName: string): void {
    const peer = this.table.peers.get(nodeName)
    if (peer === undefined) return
    this.table.peers.delete(nodeName)
    const reason = ExitReason.noConnection(nodeName)
    // Who calls again at once is to be guarded anew.
    for (const guard of peer.guards.values()) guard.end()
    for (const call of peer.calls.values()) call.failWith(new CallError.NodeDown({ node: nodeName }))
    for (const [process, pids] of peer.links) {
      for (const [printed, pid] of pids) {
        process.extra?.remoteLinks?.delete(printed)
        process.exitSignal(pid, reason, true)
      }
    }
    for (const { monitor, process } of peer.monitors.values()) process.down(monitor, reason)
    for (const watcher of peer.watchers) watcher.process.extra?.remoteWatchers?.delete(watcher)
  }
}

const answer = (call: CallEnvelope, decode: (message: Message.Any) => Exit.Exit<unknown, unknown>): boolean => {
  const exit = decode(call.message)
  if (exit._tag === "Failure") {
    const failure = exit.cause.reasons[0]
    if (failure?._tag === "Fail" && failure.error instanceof CallError.MalformedReply) {
      call.failWith(failure.error)
      return true
    }
  }
  return call.complete(exit)
}
