/**
 * What this node and the others have in common: links, monitors and calls that cross the wire, by the name of the other
 * node, so that the loss of a connection ends each of them exactly once.
 *
 * Without a transport every other node is unreachable: sends vanish, links and monitors end with `noconnection`, calls
 * with `NodeDown`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Pid } from "../../term/Pid.ts"
import { equals as sameReference, type Reference } from "../../term/Reference.ts"
import type { Address } from "../Address.ts"
import * as ExitReason from "../ExitReason.ts"
import { Down } from "../Signal.ts"
import type { Outbound, TransportService } from "../Transport.ts"
import type { CallEnvelope } from "./Envelope.ts"
import type { LocalProcess, Monitor, RemoteWatcher, Watcher } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import { NumberTable } from "./NumberTable.ts"
import { CallGuard } from "./OutboundCall.ts"

/**
 * Monitors by their reference. Every call of another node sets one and takes it away, so that they are found by a number
 * made of the reference's words. A peer may choose references that share one: those are found by their text.
 */
class WatcherTable {
  size = 0
  private readonly map: NumberTable<RemoteWatcher | Map<string, RemoteWatcher>> = new NumberTable()

  /** Adds a monitor; gives the one that had the same reference. */
  add(watcher: RemoteWatcher): RemoteWatcher | undefined {
    const key = keyOf(watcher.ref)
    const there = this.map.get(key)
    let before: RemoteWatcher | undefined
    if (there === undefined) this.map.set(key, watcher)
    else if (there instanceof Map) {
      const text = textOf(watcher.ref)
      before = there.get(text)
      there.set(text, watcher)
    } else if (sameReference(there.ref, watcher.ref)) {
      before = there
      this.map.set(key, watcher)
    } else this.map.set(key, new Map([[textOf(there.ref), there], [textOf(watcher.ref), watcher]]))
    if (before === undefined) this.size++
    return before
  }

  /** Removes the monitor with a reference, and gives it. */
  take(ref: Reference): RemoteWatcher | undefined {
    const key = keyOf(ref)
    const there = this.map.get(key)
    if (there === undefined) return undefined
    if (!(there instanceof Map)) {
      if (!sameReference(there.ref, ref)) return undefined
      this.map.delete(key)
      this.size--
      return there
    }
    const text = textOf(ref)
    const found = there.get(text)
    if (found === undefined) return undefined
    there.delete(text)
    this.size--
    if (there.size === 0) this.map.delete(key)
    return found
  }

  *[Symbol.iterator](): Iterator<RemoteWatcher> {
    for (const there of this.map.values()) {
      if (there instanceof Map) yield* there.values()
      else yield there
    }
  }
}

const textOf = (ref: Reference): string => `${ref.node} ${ref.creation} ${ref.ids.join()}`

const keyOf = (ref: Reference): number => {
  let key = 0
  for (const word of ref.ids) key = (Math.imul(key, 31) + word) | 0
  return key
}

/** What one other node shares with this one. */
export class Peer {
  readonly name: string
  /** Links by local process and remote pid. */
  readonly links: Map<LocalProcess, Map<string, Pid>> = new Map()
  /** How many links there are. */
  linkCount = 0
  /** Monitors that local processes hold on remote ones, by key. */
  readonly monitors: NumberTable<{ readonly monitor: Monitor; readonly process: Watcher }> = new NumberTable()
  /** Monitors that remote processes hold on local ones. */
  readonly watchers: WatcherTable = new WatcherTable()
  /** Calls under way, by key of their reference. */
  readonly calls: NumberTable<CallEnvelope> = new NumberTable()
  /** What guards them, by key of the monitor. */
  readonly guards: NumberTable<CallGuard> = new NumberTable()

  constructor(name: string) {
    this.name = name
  }

  addLink(process: LocalProcess, pid: Pid): void {
    let of = this.links.get(process)
    if (of === undefined) this.links.set(process, of = new Map())
    const printed = pid.toString()
    if (!of.has(printed)) this.linkCount++
    of.set(printed, pid)
    ;(process.more.remoteLinks ??= new Map()).set(printed, pid)
  }

  /** Forgets all links of a process. */
  dropLinks(process: LocalProcess): void {
    const of = this.links.get(process)
    if (of === undefined) return
    this.linkCount -= of.size
    this.links.delete(process)
  }
}

/** @since 0.1.0 */
export class RemoteTable {
  readonly node: NodeRuntime
  transport: TransportService | undefined = undefined
  readonly peers: Map<string, Peer> = new Map()

  constructor(node: NodeRuntime) {
    this.node = node
  }

  peer(name: string): Peer {
    let peer = this.peers.get(name)
    if (peer === undefined) this.peers.set(name, peer = new Peer(name))
    return peer
  }

  // --- out -----------------------------------------------------------------------------------------------------------

  send(from: Pid, to: Address, message: Outbound): Effect.Effect<void, "nodedown"> {
    if (this.transport === undefined) {
      this.node.discarded++
      return Effect.fail("nodedown")
    }
    const sent = this.transport.send(from, to, message)
    return sent === Effect.void ? Effect.void : Effect.mapError(sent, () => "nodedown" as const)
  }

  /** A monitor for calls to a process of another node, the first of which is about to be made. */
  guard(address: Address, watcher: Pid, key: number, ref: Reference): CallGuard {
    const peer = this.peer(address.node!)
    const guard = new CallGuard(peer, this.node, address, watcher, key, ref)
    peer.guards.set(key, guard)
    return guard
  }

  /** Has a guard looked at once everything on the stack is done. */
  atEndOfTurn(guard: CallGuard): void {
    if (this.turn.push(guard) === 1) this.node.runQueue.afterStack(this.endTurn)
  }

  private turn: Array<CallGuard> = []

  private readonly endTurn = (): void => {
    const guards = this.turn
    this.turn = []
    for (const guard of guards) guard.endTurn()
  }

  link(process: LocalProcess, to: Pid): void {
    if (this.transport === undefined) {
      process.exitSignal(to, ExitReason.noConnection(to.node), true)
      return
    }
    this.peer(to.node).addLink(process, to)
    this.transport.link(process.pid, to)
  }

  unlink(process: LocalProcess, to: Pid): void {
    if (!this.dropLink(process, to)) return
    this.transport?.unlink(process.pid, to)
  }

  monitor(process: LocalProcess, to: Address): Monitor {
    const monitor = this.node.makeMonitor(process, undefined, to)
    const nodeName = to.node!
    if (this.transport === undefined) {
      process.deliverDown(new Down(monitor.ref, to, ExitReason.noConnection(nodeName)))
      return monitor
    }
    ;(process.monitors ??= new Map()).set(monitor.key, monitor)
    this.peer(nodeName).monitors.set(monitor.key, { monitor, process })
    this.transport.monitor(process.pid, to, monitor.ref)
    return monitor
  }

  /** The process at the other end has made this monitor itself when it was started: from now on it is the process's. */
  adoptMonitor(process: LocalProcess, key: number, to: Pid): void {
    const monitor = this.node.makeMonitor(process, undefined, to, key)
    ;(process.monitors ??= new Map()).set(key, monitor)
    this.peer(to.node).monitors.set(key, { monitor, process })
  }

  /** The process at the other end has linked itself when it was started. */
  adoptLink(process: LocalProcess, to: Pid): void {
    this.peer(to.node).addLink(process, to)
  }

  /**
   * Has a function called once, when the monitor of another node with this number fires or the connection to it is lost.
   * The way to forget it is returned.
   */
  watch(nodeName: string, key: number, onDown: (reason: ExitReason.ExitReason) => void): () => void {
    const watcher: Watcher = { down: (_, reason) => onDown(reason) }
    const monitor = this.node.makeMonitor(watcher, undefined, { name: "", node: nodeName }, key)
    this.peer(nodeName).monitors.set(key, { monitor, process: watcher })
    return () => {
      const monitors = this.peers.get(nodeName)?.monitors
      if (monitors?.get(key)?.monitor === monitor) monitors.delete(key)
    }
  }

  demonitor(process: LocalProcess, monitor: Monitor): void {
    if (this.peers.get(monitor.address.node!)?.monitors.delete(monitor.key) === true) {
      this.transport?.demonitor(process.pid, monitor.address, monitor.ref)
    }
  }

  exitTo(from: Pid, to: Pid, reason: ExitReason.ExitReason): void {
    this.transport?.exit(from, to, reason, "signal")
  }

  /** A local process has ended: its links and monitors on other nodes learn of it. */
  ended(process: LocalProcess, reason: ExitReason.ExitReason): void {
    const extra = process.extra!
    if (extra.remoteLinks !== undefined) {
      for (const to of extra.remoteLinks.values()) {
        this.peers.get(to.node)?.dropLinks(process)
        this.transport?.exit(process.pid, to, reason, "link")
      }
    }
    if (extra.remoteWatchers !== undefined) {
      for (const watcher of extra.remoteWatchers) {
        this.peers.get(watcher.by.node)?.watchers.take(watcher.ref)
        this.transport?.down(watcher.by, watcher.address, watcher.ref, reason, process.pid)
      }
    }
  }

  /** Forgets a link; false when there was none. */
  dropLink(process: LocalProcess, to: Pid): boolean {
    const printed = to.toString()
    const peer = this.peers.get(to.node)
    const of = peer?.links.get(process)
    process.extra?.remoteLinks?.delete(printed)
    if (of === undefined || !of.delete(printed)) return false
    peer!.linkCount--
    if (of.size === 0) peer!.links.delete(process)
    return true
  }
}
