/**
 * The transport of a node: leads signals to the connection of the node they are for.
 *
 * What is sent while a connection is being opened waits in order; a sender whose connection is full waits for room.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Address, Name } from "../../process/Address.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { NodeChange, TransportService } from "../../process/Transport.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import type { Connection } from "./Connection.ts"
import type { Distribution } from "./Distribution.ts"

/** @since 0.1.0 */
export class WireTransport implements TransportService {
  private readonly distribution: Distribution

  constructor(distribution: Distribution) {
    this.distribution = distribution
  }

  send(from: Pid, to: Address, message: Parameters<TransportService["send"]>[2]): ReturnType<TransportService["send"]> {
    const name = to.node!
    const connection = this.distribution.connectionTo(name)
    if (connection === undefined) return this.sendLater(name, from, to, message)
    if (isPid(to) && to.creation !== connection.peer.creation) return Effect.void
    const sent = connection.send(from, to, message)
    if (sent === "sent") return Effect.void
    if (sent === "closed") return Effect.fail(nodeDown)
    if (sent === "full") return this.sendWhenRoom(connection, from, to, message)
    return Effect.die(sent.error)
  }

  /** Opens the connection; the message is in the queue from now on. */
  private sendLater(
    name: string,
    from: Pid,
    to: Address,
    message: Parameters<TransportService["send"]>[2]
  ): ReturnType<TransportService["send"]> {
    const state = this.distribution.wanted(name)
    if (state === undefined) return Effect.fail(nodeDown)
    let outcome: Exit.Exit<void, typeof nodeDown> | undefined
    let tell: ((exit: Exit.Exit<void, typeof nodeDown>) => void) | undefined
    const settle = (exit: Exit.Exit<void, typeof nodeDown>): void => {
      outcome = exit
      tell?.(exit)
    }
    state.queue.push((connection) => {
      if (isPid(to) && to.creation !== connection.peer.creation) return settle(Exit.void)
      // What waited for the connection goes out whole: senders wait again with their next message.
      const sent = connection.send(from, to, message)
      if (typeof sent === "object") settle(Exit.die(sent.error))
      else if (sent === "full") {
        this.distribution.fork(Effect.exit(this.sendWhenRoom(connection, from, to, message))).addObserver((exit) => {
          if (Exit.isSuccess(exit)) settle(exit.value)
        })
      } else settle(sent === "sent" ? Exit.void : Exit.fail(nodeDown))
    })
    state.waiters.push((failure) => {
      if (failure !== undefined) settle(Exit.fail(nodeDown))
    })
    return Effect.callback<void, typeof nodeDown>((resume) => {
      if (outcome !== undefined) return resume(outcome)
      tell = resume
    })
  }

  private sendWhenRoom(
    connection: Connection,
    from: Pid,
    to: Address,
    message: Parameters<TransportService["send"]>[2]
  ): ReturnType<TransportService["send"]> {
    return Effect.callback<void, typeof nodeDown>((resume) => {
      let undo: (() => void) | undefined
      const attempt = (): void => {
        const sent = connection.send(from, to, message)
        if (sent === "full") undo = connection.whenRoom(attempt)
        else if (sent === "sent") resume(Effect.void)
        else resume(sent === "closed" ? Effect.fail(nodeDown) : Effect.die(sent.error))
      }
      undo = connection.whenRoom(attempt)
      return Effect.sync(() => undo?.())
    })
  }

  /** A signal that opens a connection. */
  private signal(name: string, f: (connection: Connection) => void): void {
    const connection = this.distribution.connectionTo(name)
    if (connection !== undefined) return f(connection)
    const state = this.distribution.wanted(name)
    if (state === undefined) {
      // Told in a turn of its own: whoever sends the signal is in the middle of something.
      this.distribution.node.runtime.runQueue.push({ run: () => this.distribution.inbound.nodeDown(name) })
    } else state.queue.push(f)
  }

  /** A signal that is of no use without a connection. */
  private follow(name: string, f: (connection: Connection) => void): void {
    const state = this.distribution.peers.get(name)
    if (state?.connection !== undefined) f(state.connection)
    else if (state?.attempt !== undefined) state.queue.push(f)
  }

  link(from: Pid, to: Pid): void {
    this.signal(to.node, (connection) => {
      if (to.creation !== connection.peer.creation) this.distribution.inbound.exit(to, from, ExitReason.noProc, "link")
      else connection.link_(from, to)
    })
  }

  unlink(from: Pid, to: Pid): void {
    this.follow(to.node, (connection) => connection.unlink(from, to))
  }

  exit(from: Pid, to: Pid, reason: ExitReason.ExitReason, kind: "link" | "signal"): void {
    const send = (connection: Connection): void => {
      if (to.creation === connection.peer.creation) {
        connection.control({ _tag: "Exit", kind, from, to, reason: ExitReasonTerm.toTerm(reason) }, from)
      }
    }
    if (kind === "signal") this.signal(to.node, send)
    else this.follow(to.node, send)
  }

  monitor(from: Pid, to: Address, ref: Reference): void {
    const connection = this.distribution.connectionTo(to.node!)
    if (connection !== undefined) this.monitorOver(connection, from, to, ref)
    else this.monitorLater(from, to, ref)
  }

  // Of its own, so that the ordinary way makes no function.
  private monitorLater(from: Pid, to: Address, ref: Reference): void {
    this.signal(to.node!, (connection) => this.monitorOver(connection, from, to, ref))
  }

  private monitorOver(connection: Connection, from: Pid, to: Address, ref: Reference): void {
    if (isReference(to) || (isPid(to) && to.creation !== connection.peer.creation)) {
      this.distribution.inbound.down(ref, ExitReason.noProc)
    } else connection.monitor("Monitor", from, to, ref)
  }

  demonitor(from: Pid, to: Address, ref: Reference): void {
    if (isReference(to)) return
    const connection = this.distribution.connectionTo(to.node!)
    if (connection !== undefined) connection.monitor("Demonitor", from, to, ref)
    else this.demonitorLater(from, to, ref)
  }

  private demonitorLater(from: Pid, to: Pid | Name, ref: Reference): void {
    this.follow(to.node!, (connection) => connection.monitor("Demonitor", from, to, ref))
  }

  down(to: Pid, of: Address, ref: Reference, reason: ExitReason.ExitReason, process?: Pid): void {
    if (isReference(of)) return
    const from = isPid(of) ? of : of.name
    this.follow(to.node, (connection) =>
      connection.control(
        { _tag: "Down", from, to, ref, reason: ExitReasonTerm.toTerm(reason) },
        process ?? (isPid(of) ? of : this.distribution.node.runtime.pid)
      ))
  }

  nodes(): ReadonlyArray<string> {
    return this.distribution.connected("visible")
  }

  isConnected(node: string): boolean {
    return this.distribution.connectionTo(node) !== undefined
  }

  subscribe(listener: (change: NodeChange) => void): () => void {
    return this.distribution.subscribe(listener)
  }
}

const nodeDown = { _tag: "NodeDown" } as const
