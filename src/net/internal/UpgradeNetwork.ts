/**
 * A network whose connections are upgraded requests: it listens to nothing, and is handed sockets of Effect.
 *
 * What a peer sends is one chunk for each message, what is written is one message for each write.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as EffectSocket from "effect/socket/Socket"
import * as Behaviour from "../../process/Behaviour.ts"
import { NetError } from "../NetError.ts"
import type * as TcpNetwork from "../TcpNetwork.ts"

const nothing = (): void => {}

/** So many bytes may wait to be sent before writers wait. */
const highWater = 65_536

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** What a peer is told at the end (RFC 6455, 7.4.1): all is well, or the process that served it has failed. */
const end = new EffectSocket.CloseEvent(1000)
const failure = new EffectSocket.CloseEvent(1011)

type Outgoing = Uint8Array | EffectSocket.CloseEvent

class MessageSocket implements TcpNetwork.Socket {
  readonly peer: TcpNetwork.HostPort
  readonly local: TcpNetwork.HostPort
  readonly peerSubject = undefined
  readonly isMessages = true
  received: (bytes: Uint8Array) => void = nothing
  ended: () => void = nothing
  drained: () => void = nothing
  closed: (error: NetError | undefined) => void = nothing
  readonly outbox: Queue.Queue<Outgoing>
  private waiting = 0
  private full = false
  private isOver = false
  private paused = true
  private onResume: () => void = nothing
  private isDestroyed = false
  private hasFailed = false
  private onDestroy: () => void = nothing
  /** Why it is over, when it is. */
  private error: NetError | undefined = undefined

  constructor(peer: TcpNetwork.HostPort, local: TcpNetwork.HostPort, outbox: Queue.Queue<Outgoing>) {
    this.peer = peer
    this.local = local
    this.outbox = outbox
  }

  start(): void {
    if (this.isOver) this.tellClosed()
    else this.resume()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    const { onResume } = this
    this.onResume = nothing
    onResume()
  }

  /** Waits until somebody reads. */
  readonly reading: Effect.Effect<void> = Effect.suspend(() =>
    this.paused
      ? Effect.callback<void>((resume) => {
        if (!this.paused) return resume(Effect.void)
        this.onResume = () => resume(Effect.void)
      })
      : Effect.void
  )

  write(bytes: Uint8Array): boolean {
    if (this.isOver) return true
    this.waiting += bytes.length
    Queue.offerUnsafe(this.outbox, bytes)
    this.full = this.waiting >= highWater
    return !this.full
  }

  written(bytes: number): void {
    this.waiting -= bytes
    if (this.full && this.waiting < highWater) {
      this.full = false
      this.drained()
    }
  }

  end(failed = false): void {
    if (!this.isOver) Queue.offerUnsafe(this.outbox, failed ? failure : end)
  }

  destroy(failed = false): void {
    this.isDestroyed = true
    this.hasFailed ||= failed
    this.onDestroy()
  }

  /** Completes when this side has had enough, with what is to be said of that. */
  readonly destroyed: Effect.Effect<EffectSocket.CloseEvent> = Effect.callback((resume) => {
    this.onDestroy = () => resume(Effect.succeed(this.hasFailed ? failure : end))
    if (this.isDestroyed) this.onDestroy()
  })

  over(error: NetError | undefined): void {
    if (this.isOver) return
    this.isOver = true
    this.error = error
    this.tellClosed()
  }

  private tellClosed(): void {
    const { closed } = this
    this.received = nothing
    this.ended = nothing
    this.drained = nothing
    this.closed = nothing
    closed(this.error)
  }
}

/** @since 0.1.0 */
export class UpgradeNetwork implements TcpNetwork.Service {
  private readonly asText: boolean
  private place: {
    readonly options: Parameters<TcpNetwork.Service["listen"]>[0]
    readonly onSocket: (socket: TcpNetwork.Socket) => void
  } | undefined = undefined
  private open = 0
  /** The process that listens. */
  instance: Behaviour.Instance | undefined = undefined

  constructor(asText: boolean) {
    this.asText = asText
  }

  listen(
    options: Parameters<TcpNetwork.Service["listen"]>[0],
    onSocket: (socket: TcpNetwork.Socket) => void
  ): Effect.Effect<TcpNetwork.Listener, NetError, Scope.Scope> {
    const place = { options, onSocket }
    const close = Effect.sync(() => {
      if (this.place === place) this.place = undefined
    })
    return Effect.as(
      Effect.acquireRelease(
        Effect.map(Behaviour.current, (process) => {
          this.place = place
          this.instance = process as Behaviour.Instance // a server listens, in its instance
        }),
        () => close
      ),
      {
        address: { host: options.host, port: options.port },
        close,
        reload: () => Effect.void
      }
    )
  }

  connect(): Effect.Effect<never, NetError> {
    return Effect.die(new Error("nobody connects through upgraded requests"))
  }

  /** Whether another connection would be one too many; then it is counted as refused. */
  get isFull(): boolean {
    const { place } = this
    if (place !== undefined && this.open < place.options.maxConnections) return false
    place?.options.onRefused()
    return true
  }

  /** Serves a socket until it is closed. */
  serve(socket: EffectSocket.Socket, remoteAddress: Option.Option<string>): Effect.Effect<void> {
    return Effect.scoped(Effect.gen({ self: this }, function*() {
      const { place } = this
      const peer = { host: remoteAddress._tag === "Some" ? remoteAddress.value : "", port: 0 }
      const own = new MessageSocket(peer, { host: "", port: 0 }, yield* Queue.unbounded<Outgoing>())
      this.open++
      yield* Effect.addFinalizer((exit) =>
        Effect.sync(() => {
          this.open--
          // The web server interrupts the request when its connection is lost.
          own.over(Exit.isFailure(exit) ? brokenAt(peer, "SocketCloseError", "the connection was lost") : undefined)
        })
      )
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      const send = Effect.forever(
        Effect.flatMap(Queue.take(own.outbox), (item) =>
          item instanceof EffectSocket.CloseEvent
            ? writer.write(item)
            : Effect.tap(
              writer.write(this.asText ? decoder.decode(item) : item),
              () => Effect.sync(() => own.written(item.length))
            ))
      )
      const receive = Effect.forever(
        Effect.flatMap(
          reader.pull,
          (messages) =>
            Effect.forEach(
              messages,
              (message) =>
                Effect.map(own.reading, () =>
                  own.received(typeof message === "string" ? encoder.encode(message) : message)),
              { discard: true }
            )
        )
      )
      if (place === undefined) return
      place.onSocket(own)
      const error = yield* Effect.flip(
        Effect.raceFirst(
          Effect.raceFirst(send, receive),
          Effect.andThen(Effect.flatMap(own.destroyed, writer.write), Effect.fail(undefined))
        )
      )
      own.over(errorOf(peer, error))
    })).pipe(Effect.ignore)
  }
}

/** A close is the end that a peer chose, whatever it said; everything else is a broken connection. */
const errorOf = (peer: TcpNetwork.HostPort, error: EffectSocket.SocketError | undefined): NetError | undefined =>
  error === undefined || error.reason._tag === "SocketCloseError" && error.reason.code !== 1006
    ? undefined
    : brokenAt(peer, error.reason._tag, error.message)

const brokenAt = (peer: TcpNetwork.HostPort, code: string, detail: string): NetError =>
  new NetError({ operation: "read", address: peer.host, code, detail })
