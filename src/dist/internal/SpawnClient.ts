/**
 * Requests to other nodes to start a process: for remote spawns, and for the calls that travel as such.
 *
 * Guarantees: each request ends exactly once, with the pid, with a reason, or with the loss of the connection; one that
 * was given up is undone when its answer comes all the same (the monitor and the link are taken back).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Behaviour from "../../process/Behaviour.ts"
import type { ExitReason } from "../../process/ExitReason.ts"
import type * as Local from "../../process/Node.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import type * as Control from "../Control.ts"
import * as DistFlags from "../DistFlags.ts"
import type { Connection } from "./Connection.ts"
import type { Distribution } from "./Distribution.ts"

/** What is to be started. */
export interface SpawnRequest {
  readonly node: string
  readonly leader: Pid
  readonly module: string
  readonly name: string
  readonly args: ReadonlyArray<Term>
  readonly link: boolean
  readonly monitor: boolean
  /** Options besides `link` and `monitor`. */
  readonly options?: ReadonlyArray<Term>
  /** The process in whose name it is asked for; without one the node's own. */
  readonly process: Behaviour.Process | undefined
}

/** Why nothing was started. */
export type Refusal =
  | { readonly _tag: "NoConnection" }
  | { readonly _tag: "NotSupported" }
  | { readonly _tag: "Refused"; readonly detail: Term }
  | { readonly _tag: "NotATerm"; readonly error: unknown }

interface Spawned {
  readonly pid: Pid
  readonly ref: Reference
}

interface Pending {
  readonly request: SpawnRequest
  readonly ref: Reference
  readonly from: Pid
  readonly stopWatching: () => void
  /** The pid, once it is known. */
  pid: Pid | undefined
  abandoned: boolean
  replied: (pid: Pid, flags: number) => void
  refused: (refusal: Refusal) => void
}

const link = Atom.make("link")
const monitor = Atom.make("monitor")

export class SpawnClient {
  private readonly node: Local.Service
  private readonly distribution: Distribution
  private readonly pending: Map<number, Pending> = new Map()

  constructor(node: Local.Service, distribution: Distribution) {
    this.node = node
    this.distribution = distribution
  }

  /** How many requests are under way. */
  get size(): number {
    return this.pending.size
  }

  /** A connection whose peer can be asked. */
  private connect(name: string): Effect.Effect<Connection, Refusal> {
    return Effect.matchEffect(this.distribution.connect(name), {
      onFailure: () => Effect.fail<Refusal>(noConnection),
      onSuccess: () => {
        const connection = this.distribution.connectionTo(name)
        if (connection === undefined) return Effect.fail<Refusal>(noConnection)
        if (!DistFlags.has(connection.peer.flags, "spawn")) return Effect.fail<Refusal>({ _tag: "NotSupported" })
        return Effect.succeed(connection)
      }
    })
  }

  /** Starts a process. The link and the monitor belong to the process of the request from the moment it is known. */
  spawn(request: SpawnRequest): Effect.Effect<Spawned, Refusal> {
    return Effect.flatMap(this.connect(request.node), (connection) =>
      Effect.callback<Spawned, Refusal>((resume) => {
        const pending = this.add(request, () => resume(Effect.fail(noConnection)))
        pending.refused = (refusal) => resume(Effect.fail(refusal))
        pending.replied = (pid, flags) => {
          this.forget(pending)
          const { process } = request
          if (process !== undefined) {
            const { remote } = this.node.runtime
            if (!process.alive) return this.undo(pending, pid, flags)
            if ((flags & 2) !== 0) remote.adoptMonitor(process, this.keyOf(pending), pid)
            if ((flags & 1) !== 0) remote.adoptLink(process, pid)
          }
          resume(Effect.succeed({ pid, ref: pending.ref }))
        }
        const stop = this.write(connection, pending)
        return Effect.sync(() => {
          stop()
          this.abandon(pending)
        })
      }))
  }

  /** Starts a process and waits for its end. Given up, it runs on, and its end interests nobody. */
  run(request: Omit<SpawnRequest, "link" | "monitor">): Effect.Effect<ExitReason, Refusal> {
    return Effect.flatMap(this.connect(request.node), (connection) =>
      Effect.callback<ExitReason, Refusal>((resume) => {
        const pending = this.add({ ...request, link: false, monitor: true }, (reason) => resume(Effect.succeed(reason)))
        pending.refused = (refusal) => resume(Effect.fail(refusal))
        const stop = this.write(connection, pending)
        return Effect.sync(() => {
          stop()
          this.abandon(pending)
        })
      }))
  }

  /** Starts a process and does not wait for anything. */
  cast(request: Omit<SpawnRequest, "link" | "monitor">): Effect.Effect<void, Refusal> {
    return Effect.flatMap(this.connect(request.node), (connection) =>
      Effect.callback<void, Refusal>((resume) => {
        const pending = this.add({ ...request, link: false, monitor: false }, () => {})
        const stop = this.write(connection, pending, (refusal) =>
          resume(refusal === undefined ? Effect.void : Effect.fail(refusal)))
        return Effect.sync(stop)
      }))
  }

  private add(request: SpawnRequest, ended: (reason: ExitReason) => void): Pending {
    const { runtime } = this.node
    const key = runtime.takeReference()
    const pending: Pending = {
      request,
      ref: runtime.referenceOfKey(key),
      from: request.process?.pid ?? runtime.pid,
      stopWatching: runtime.remote.watch(request.node, key, (reason) => {
        this.pending.delete(key)
        if (!pending.abandoned) ended(reason)
      }),
      pid: undefined,
      abandoned: false,
      replied: () => {},
      refused: () => {}
    }
    this.pending.set(key, pending)
    return pending
  }

  /** Sends the request, now or when there is room. The way to give up waiting for room is returned. */
  private write(
    connection: Connection,
    pending: Pending,
    written?: (refusal: Refusal | undefined) => void
  ): () => void {
    const { request } = pending
    const control: Control.Control & { readonly _tag: "SpawnRequest" } = {
      _tag: "SpawnRequest",
      ref: pending.ref,
      from: pending.from,
      leader: request.leader,
      module: request.module,
      name: request.name,
      arity: request.args.length,
      options: [...(request.link ? [link] : []), ...(request.monitor ? [monitor] : []), ...(request.options ?? [])]
    }
    let stop = (): void => {}
    const attempt = (): void => {
      const sent = connection.spawn(control, request.args)
      if (sent === "full") {
        stop = connection.whenRoom(attempt)
        return
      }
      stop = () => {}
      if (sent === "sent") return written?.(undefined)
      this.forget(pending)
      const refusal: Refusal = sent === "closed" ? noConnection : { _tag: "NotATerm", error: sent.error }
      pending.refused(refusal)
      written?.(refusal)
    }
    attempt()
    return () => stop()
  }

  /** The answer to a request; `from` is the node that gives it, which must be the one that was asked. */
  reply(reply: Control.Control & { readonly _tag: "SpawnReply" }, from: string): void {
    const key = this.node.runtime.keyOfReference(reply.ref)
    const pending = key === undefined ? undefined : this.pending.get(key)
    if (pending === undefined || pending.request.node !== from) return
    const { result } = reply
    if (!isPid(result)) {
      this.forget(pending)
      if (!pending.abandoned) pending.refused(refusalOf(result))
      return
    }
    if (pending.abandoned) {
      this.forget(pending)
      return this.undo(pending, result, reply.flags)
    }
    pending.pid = result
    pending.replied(result, reply.flags)
    if (!pending.request.monitor) this.forget(pending)
  }

  /** Nobody waits any more. */
  private abandon(pending: Pending): void {
    if (!this.pending.has(this.keyOf(pending))) return
    pending.abandoned = true
    if (pending.pid === undefined) return
    this.forget(pending)
    this.undo(pending, pending.pid, 2)
  }

  /** Takes back what a late answer has brought. */
  private undo(pending: Pending, pid: Pid, flags: number): void {
    const { transport } = this.distribution
    if ((flags & 2) !== 0) transport.demonitor(pending.from, pid, pending.ref)
    if ((flags & 1) !== 0) transport.unlink(pending.from, pid)
  }

  private keyOf(pending: Pending): number {
    return this.node.runtime.keyOfReference(pending.ref)!
  }

  private forget(pending: Pending): void {
    pending.stopWatching()
    this.pending.delete(this.keyOf(pending))
  }
}

const noConnection: Refusal = { _tag: "NoConnection" }

const refusalOf = (result: Term): Refusal =>
  Atom.is(result, "noconnection")
    ? noConnection
    : Atom.is(result, "notsup")
    ? { _tag: "NotSupported" }
    : { _tag: "Refused", detail: result }
