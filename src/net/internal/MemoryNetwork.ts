/**
 * TCP inside of one program: pairs of sockets, each with a buffer in either direction.
 *
 * What happens to the other end happens in a turn of its own, through the scheduler of whoever made the connection, so
 * that a test clock waits for it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { NetError } from "../NetError.ts"
import type * as TcpNetwork from "../TcpNetwork.ts"

const nothing = (): void => {}

type Turn = (run: () => void) => void

class MemorySocket implements TcpNetwork.Socket {
  readonly peer: TcpNetwork.HostPort
  readonly local: TcpNetwork.HostPort
  readonly peerSubject = undefined
  received: (bytes: Uint8Array) => void = nothing
  ended: () => void = nothing
  drained: () => void = nothing
  closed: (error: NetError | undefined) => void = nothing
  other!: MemorySocket
  /** Called when it is over, for whoever counts. */
  onGone: () => void = nothing
  private readonly turn: Turn
  private readonly bufferBytes: number
  /** What the other end has sent and this one has not read. */
  private readonly inbox: Array<Uint8Array> = []
  private waiting = 0
  private reading = false
  private due = false
  private finished = false
  private peerFinished = false
  private told = false
  private full = false
  private destroyed = false

  constructor(local: TcpNetwork.HostPort, peer: TcpNetwork.HostPort, turn: Turn, bufferBytes: number) {
    this.local = local
    this.peer = peer
    this.turn = turn
    this.bufferBytes = bufferBytes
  }

  start(): void {
    if (this.destroyed) return this.turn(() => this.tellClosed(undefined))
    this.resume()
  }

  pause(): void {
    this.reading = false
  }

  resume(): void {
    this.reading = true
    this.schedule()
  }

  write(bytes: Uint8Array): boolean {
    if (this.destroyed || this.finished || bytes.length === 0) return true
    const { other } = this
    other.inbox.push(bytes.slice())
    other.waiting += bytes.length
    other.schedule()
    this.full = other.waiting >= this.bufferBytes
    return !this.full
  }

  end(): void {
    if (this.destroyed || this.finished) return
    this.finished = true
    this.other.peerFinished = true
    this.other.schedule()
    this.schedule()
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.turn(() => this.tellClosed(undefined))
    const { other } = this
    if (other.destroyed) return
    if (this.finished) return other.schedule()
    // As a reset: what the other end has not read is lost.
    other.destroyed = true
    other.turn(() =>
      other.tellClosed(
        new NetError({
          operation: "read",
          address: `${other.peer.host}:${other.peer.port}`,
          code: "ECONNRESET",
          detail: "the peer closed the connection"
        })
      )
    )
  }

  private schedule(): void {
    if (this.due || this.destroyed) return
    this.due = true
    this.turn(() => {
      this.due = false
      this.step()
    })
  }

  private step(): void {
    if (!this.reading || this.destroyed) return
    const chunk = this.inbox.shift()
    if (chunk !== undefined) {
      this.waiting -= chunk.length
      this.received(chunk)
      const { other } = this
      if (other.full && this.waiting === 0) {
        other.full = false
        other.turn(() => other.drained())
      }
      return this.schedule()
    }
    if (this.peerFinished && !this.told) {
      this.told = true
      this.ended()
    }
    if (this.peerFinished && this.finished) this.destroy()
  }

  private tellClosed(error: NetError | undefined): void {
    const { closed, onGone } = this
    this.onGone = nothing
    onGone()
    this.received = nothing
    this.ended = nothing
    this.drained = nothing
    this.closed = nothing
    closed(error)
  }
}

interface Place {
  readonly options: Parameters<TcpNetwork.Service["listen"]>[0]
  readonly onSocket: (socket: TcpNetwork.Socket) => void
  readonly turn: Turn
  open: number
}

const turnOf: Effect.Effect<Turn> = Effect.map(Scheduler.Scheduler, (scheduler) => {
  const dispatcher = scheduler.makeDispatcher()
  return (run) => dispatcher.scheduleTask(run, 0)
})

/** @since 0.1.0 */
export class MemoryNetwork implements TcpNetwork.Service {
  private readonly bufferBytes: number
  private readonly places = new Map<number, Place>()
  private lastPort = 49_151

  constructor(bufferBytes: number) {
    this.bufferBytes = bufferBytes
  }

  listen(
    options: Parameters<TcpNetwork.Service["listen"]>[0],
    onSocket: (socket: TcpNetwork.Socket) => void
  ): Effect.Effect<TcpNetwork.Listener, NetError, Scope.Scope> {
    return Effect.flatMap(turnOf, (turn) => {
      const port = options.port === 0 ? ++this.lastPort : options.port
      const address = `${options.host}:${port}`
      const refuse = (
        operation: "listen" | "certificate",
        code: string,
        detail: string
      ): Effect.Effect<never, NetError> => Effect.fail(new NetError({ operation, address, code, detail }))
      if (options.tls !== undefined) return refuse("listen", "ENOTSUP", "the network in memory knows no TLS")
      if (this.places.has(port)) return refuse("listen", "EADDRINUSE", "the port is in use")
      const place: Place = { options, onSocket, turn, open: 0 }
      const close = Effect.sync(() => {
        if (this.places.get(port) === place) this.places.delete(port)
      })
      return Effect.as(
        Effect.acquireRelease(Effect.sync(() => this.places.set(port, place)), () => close),
        {
          address: { host: options.host, port },
          close,
          reload: () => refuse("certificate", "ENOTSUP", "the network in memory knows no TLS")
        }
      )
    })
  }

  connect(
    options: Parameters<TcpNetwork.Service["connect"]>[0]
  ): Effect.Effect<TcpNetwork.Socket, NetError> {
    return Effect.flatMap(turnOf, (turn) => {
      const { host, port } = options
      const place = this.places.get(port)
      if (place === undefined) {
        return Effect.fail(
          new NetError({
            operation: "connect",
            address: `${host}:${port}`,
            code: "ECONNREFUSED",
            detail: "nobody listens there"
          })
        )
      }
      const here = { host: "127.0.0.1", port: ++this.lastPort }
      const there = { host: place.options.host, port }
      const client = new MemorySocket(here, there, turn, this.bufferBytes)
      const server = new MemorySocket(there, here, place.turn, this.bufferBytes)
      client.other = server
      server.other = client
      if (place.open >= place.options.maxConnections) {
        place.options.onRefused()
        server.destroy()
      } else {
        place.open++
        server.onGone = () => place.open--
        place.turn(() => place.onSocket(server))
      }
      return Effect.succeed(client)
    })
  }
}
