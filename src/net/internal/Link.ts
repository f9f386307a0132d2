/**
 * One connection at work: bytes in, frames out; frames in, bytes out; and the times that a peer is given for it.
 *
 * A chunk is read, cut into frames and handed over; the next is read when those are handled, so that at most one chunk of
 * a connection is in memory, and a slow program slows the peer down through TCP itself. Writes go to the host until it
 * says that its buffer is full, and then wait in order.
 *
 * One timer serves all limits of a connection: it looks at what is due when it fires, and costs nothing per chunk.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Behaviour from "../../process/Behaviour.ts"
import * as Connection from "../Connection.ts"
import type { Decoder, Framing } from "../Framing.ts"
import { ConnectionClosed, type FrameError, type NetError } from "../NetError.ts"
import type { HostPort, Socket } from "../TcpNetwork.ts"

/** The times of a connection, in milliseconds. */
export interface Limits {
  readonly idleMillis: number
  readonly frameMillis: number
  readonly writeMillis: number
  readonly lingerMillis: number
}

/** What is counted over all connections of a server or client. */
export interface Counters {
  framesIn: number
  framesOut: number
  bytesIn: number
  bytesOut: number
  /** Frames that `offer` did not write. */
  notOffered: number
}

/** Whom a link tells. The functions must not throw. */
export interface Owner<In> {
  /** Frames have come; {@link Link.handled} is to be called when they are handled. */
  readonly onFrames: (frames: ReadonlyArray<In>) => void
  /** It is over, for reading. Called once. */
  readonly onEnd: (end: Connection.End) => void
  /** Nothing went either way for the idle time; without it, that is the end. */
  readonly onIdle: (() => void) | undefined
}

interface Waiting {
  /** Undefined when the bytes are written and only room is waited for. */
  bytes: Uint8Array | undefined
  readonly frames: number
  readonly resume: (exit: Exit.Exit<void, ConnectionClosed>) => void
  gone: boolean
}

class Watchdog extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

const nothing = (): void => {}

/** A time that has not come. */
const never = -1

/** @since 0.1.0 */
export class Link<In, Out> implements Connection.Connection<Out> {
  readonly id: number
  readonly peer: HostPort
  readonly local: HostPort
  readonly peerSubject: string | undefined
  private readonly socket: Socket
  private readonly framing: Framing<In, Out>
  private readonly decoder: Decoder<In>
  private readonly limits: Limits
  private readonly counters: Counters
  private readonly instance: Behaviour.Instance
  private readonly owner: Owner<In>
  private readonly watchdog: Watchdog
  /** When the timer is due that is armed. */
  private armedUntil = never
  /** Reading is over, and the owner knows why. */
  private end: Connection.End | undefined = undefined
  /** What is to end it once the frames before it are handled. */
  private endAfterFrames: Connection.End | undefined = undefined
  /** Nothing can be written any more. */
  private finished = false
  private gone = false
  private onGone: () => void = nothing
  private handling = false
  private draining = false
  private lastActivity: number
  /** Since when a frame is under way. */
  private partialSince = never
  /** Since when the host has no room. */
  private fullSince = never
  private writes: Array<Waiting> = []

  constructor(
    id: number,
    socket: Socket,
    framing: Framing<In, Out>,
    limits: Limits,
    counters: Counters,
    instance: Behaviour.Instance,
    owner: Owner<In>
  ) {
    this.id = id
    this.peer = socket.peer
    this.local = socket.local
    this.peerSubject = socket.peerSubject
    this.socket = socket
    this.framing = framing
    this.decoder = framing.makeDecoder()
    this.limits = limits
    this.counters = counters
    this.instance = instance
    this.owner = owner
    this.lastActivity = this.now()
    this.watchdog = new Watchdog(() => this.look())
    socket.closed = (error) => this.onClosed(error)
    socket.drained = () => this.onDrained()
  }

  private now(): number {
    return this.instance.node.timers.now()
  }

  get isOpen(): boolean {
    return !this.finished
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  start(): void {
    if (this.gone) return
    const { socket } = this
    socket.received = (bytes) => this.onBytes(bytes)
    socket.ended = () => this.onEnded()
    this.lastActivity = this.now()
    this.watch()
    socket.start()
  }

  private onBytes(bytes: Uint8Array): void {
    this.counters.bytesIn += bytes.length
    // After the end, what still comes is read and thrown away: closing with unread bytes would cost the peer our last words.
    if (this.end !== undefined) return
    const now = this.lastActivity = this.now()
    const { error, frames } = this.decoder.feed(bytes)
    if (error !== undefined) this.endAfterFrames = { _tag: "BadFrame", error }
    if (this.decoder.pending === 0) this.partialSince = never
    else if (this.partialSince === never || frames.length > 0) this.partialSince = now
    if (frames.length > 0) {
      this.counters.framesIn += frames.length
      this.handling = true
      this.socket.pause()
      this.owner.onFrames(frames)
    } else if (error !== undefined) {
      this.stopReading(this.endAfterFrames!)
    } else {
      this.watch()
    }
  }

  private onEnded(): void {
    const error = this.decoder.finish()
    const end: Connection.End = error === undefined ? { _tag: "PeerClosed" } : { _tag: "BadFrame", error }
    if (this.handling) this.endAfterFrames ??= end
    else this.stopReading(end)
  }

  /** The frames that were handed over are handled: the next may come. */
  handled(): void {
    this.handling = false
    if (this.end !== undefined) return
    if (this.endAfterFrames !== undefined) return this.stopReading(this.endAfterFrames)
    if (this.draining && this.decoder.pending === 0) return this.stopReading({ _tag: "Closed" })
    this.lastActivity = this.now()
    // Our own time is not the peer's.
    if (this.partialSince !== never) this.partialSince = this.lastActivity
    this.watch()
    this.socket.resume()
  }

  private stopReading(end: Connection.End): void {
    if (this.end !== undefined) return
    this.end = end
    this.partialSince = never
    this.owner.onEnd(end)
  }

  /** Ends when no frame is under way: at once, or behind it. */
  drain(): void {
    this.draining = true
    if (!this.handling && this.decoder.pending === 0) this.stopReading({ _tag: "Closed" })
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  write(frame: Out): Effect.Effect<void, ConnectionClosed | FrameError> {
    return Effect.suspend((): Effect.Effect<void, ConnectionClosed | FrameError> => {
      const bytes = this.framing.encodeFrame(frame)
      return Result.isFailure(bytes) ? Effect.fail(bytes.failure) : this.send(bytes.success, 1)
    })
  }

  writeAll(frames: ReadonlyArray<Out>): Effect.Effect<void, ConnectionClosed | FrameError> {
    if (this.socket.isMessages === true) {
      return Effect.forEach(frames, (frame) => this.write(frame), { discard: true })
    }
    return Effect.suspend((): Effect.Effect<void, ConnectionClosed | FrameError> => {
      const parts: Array<Uint8Array> = []
      let length = 0
      for (const frame of frames) {
        const bytes = this.framing.encodeFrame(frame)
        if (Result.isFailure(bytes)) return Effect.fail(bytes.failure)
        parts.push(bytes.success)
        length += bytes.success.length
      }
      if (parts.length === 0) return Effect.void
      const whole = new Uint8Array(length)
      let at = 0
      for (const part of parts) {
        whole.set(part, at)
        at += part.length
      }
      return this.send(whole, frames.length)
    })
  }

  offer(frame: Out): Effect.Effect<boolean, FrameError> {
    return Effect.suspend(() => {
      const bytes = this.framing.encodeFrame(frame)
      if (Result.isFailure(bytes)) return Effect.fail(bytes.failure)
      if (this.finished || this.fullSince !== never) {
        this.counters.notOffered++
        return Effect.succeed(false)
      }
      this.put(bytes.success, 1)
      return Effect.succeed(true)
    })
  }

  private send(bytes: Uint8Array, frames: number): Effect.Effect<void, ConnectionClosed> {
    if (this.finished) return Effect.fail(this.closedError())
    if (this.fullSince !== never) return this.wait(bytes, frames)
    return this.put(bytes, frames) ? Effect.void : this.wait(undefined, 0)
  }

  /** Waits until these bytes are written and there is room for more; without bytes, for the room alone. */
  private wait(bytes: Uint8Array | undefined, frames: number): Effect.Effect<void, ConnectionClosed> {
    return Effect.callback<void, ConnectionClosed>((resume) => {
      // Looked at here again: the fiber may yield between two effects, and room be made or the end come meanwhile.
      if (this.finished) return resume(bytes === undefined ? Exit.void : Exit.fail(this.closedError()))
      const full = this.fullSince !== never
      if (!full && (bytes === undefined || this.put(bytes, frames))) return resume(Exit.void)
      const waiting: Waiting = { bytes: full ? bytes : undefined, frames, resume, gone: false }
      this.writes.push(waiting)
      return Effect.sync(() => {
        waiting.gone = true
      })
    })
  }

  /** Hands bytes to the host. False when it is full now. */
  private put(bytes: Uint8Array, frames: number): boolean {
    this.counters.framesOut += frames
    this.counters.bytesOut += bytes.length
    this.lastActivity = this.now()
    if (this.socket.write(bytes)) return true
    this.fullSince = this.lastActivity
    this.watch()
    return false
  }

  private onDrained(): void {
    this.fullSince = never
    this.lastActivity = this.now()
    const { writes } = this
    let at = 0
    while (at < writes.length && this.fullSince === never) {
      const next = writes[at]!
      if (next.gone || next.bytes === undefined || this.put(next.bytes, next.frames)) {
        this.resume(next, Exit.void)
        at++
      } else {
        // Written, and waiting for room from now on.
        next.bytes = undefined
      }
    }
    this.writes = writes.slice(at)
  }

  private resume(waiting: Waiting, exit: Exit.Exit<void, ConnectionClosed>): void {
    if (!waiting.gone) this.instance.node.runQueue.push({ run: () => waiting.resume(exit) })
  }

  private closedError(): ConnectionClosed {
    return new ConnectionClosed({
      peer: `${this.peer.host}:${this.peer.port}`,
      detail: this.end === undefined ? "it is closed" : Connection.format(this.end)
    })
  }

  // --- end -----------------------------------------------------------------------------------------------------------

  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.stopReading({ _tag: "Closed" }))
  }

  private onClosed(error: NetError | undefined): void {
    this.gone = true
    this.stopReading(error === undefined ? { _tag: "PeerClosed" } : { _tag: "Broken", error })
    this.finish()
    Behaviour.cancelTimer(this.instance, this.watchdog)
    this.armedUntil = never
    this.onGone()
  }

  /** Nothing is written any more; those who wait to write learn of it. */
  private finish(): void {
    if (this.finished) return
    this.finished = true
    const { writes } = this
    this.writes = []
    if (writes.length === 0) return
    const failure = Exit.fail(this.closedError())
    for (const waiting of writes) this.resume(waiting, waiting.bytes === undefined ? Exit.void : failure)
  }

  /** Ends this side once what was written is sent, and waits until the peer has done the same, or has had its time. */
  finishing(failed = false): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.end ??= { _tag: "Closed" }
      this.finish()
      if (this.gone) return resume(Effect.void)
      const timer = new Watchdog(() => {
        this.onGone = nothing
        this.destroy(failed)
        resume(Effect.void)
      })
      this.onGone = () => {
        Behaviour.cancelTimer(this.instance, timer)
        this.onGone = nothing
        resume(Effect.void)
      }
      this.socket.end(failed)
      this.socket.resume()
      Behaviour.armTimer(this.instance, timer, this.limits.lingerMillis)
      return Effect.sync(() => {
        Behaviour.cancelTimer(this.instance, timer)
        this.onGone = nothing
        this.destroy(failed)
      })
    })
  }

  /** Ends the connection at once. */
  destroy(failed = false): void {
    this.end ??= { _tag: "Closed" }
    this.finish()
    if (!this.gone) this.socket.destroy(failed)
  }

  /** Why it ended; undefined while frames may come. */
  get ended(): Connection.End | undefined {
    return this.end
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  /** Sees to it that the timer fires when the next limit could pass, or before. */
  private watch(): void {
    const due = this.due()
    if (due === Infinity || (this.armedUntil !== never && this.armedUntil <= due)) return
    if (this.armedUntil !== never) Behaviour.cancelTimer(this.instance, this.watchdog)
    this.armedUntil = due
    Behaviour.armTimer(this.instance, this.watchdog, Math.max(0, due - this.now()))
  }

  private due(): number {
    const { frameMillis, idleMillis, writeMillis } = this.limits
    let due = this.fullSince === never ? Infinity : this.fullSince + writeMillis
    // While frames are handled here, the peer is not the one who is late.
    if (this.end === undefined && !this.handling) {
      due = Math.min(due, this.lastActivity + idleMillis)
      if (this.partialSince !== never) due = Math.min(due, this.partialSince + frameMillis)
    }
    return due
  }

  private look(): void {
    this.armedUntil = never
    const now = this.now()
    const { frameMillis, idleMillis, writeMillis } = this.limits
    if (this.fullSince !== never && now >= this.fullSince + writeMillis) {
      this.stopReading({ _tag: "Slow" })
      return this.destroy()
    }
    if (this.end === undefined && !this.handling) {
      if (this.partialSince !== never && now >= this.partialSince + frameMillis) {
        return this.stopReading({ _tag: "Deadline" })
      }
      if (now >= this.lastActivity + idleMillis) {
        if (this.owner.onIdle === undefined) return this.stopReading({ _tag: "Idle" })
        this.lastActivity = now
        this.owner.onIdle()
      }
    }
    this.watch()
  }
}
