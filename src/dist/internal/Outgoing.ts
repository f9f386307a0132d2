/**
 * The writing half of a connection: packets are collected in one buffer and written once per turn of the event loop.
 *
 * A packet is written between `begin` and `end` by whoever knows its content; `abort` leaves nothing of it behind. A
 * large one leaves in fragments, between which others find room; what its sender sends meanwhile waits behind it.
 *
 * Guarantees: packets of one sender leave in order, whatever their size; small packets wait for one fragment at most;
 * what waits for a peer that does not read is bounded by the limits.
 *
 * @since 0.1.0
 */
import { Encoder } from "../../etf/Encoder.ts"
import type { Address } from "../../process/Address.ts"
import type { Outbound } from "../../process/Transport.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference } from "../../term/Reference.ts"
import * as DistFlags from "../DistFlags.ts"
import type { Link } from "../Network.ts"
import { u32, u64 } from "./Bytes.ts"
import { type Compress, thresholdMin } from "./compression.ts"
import { OutgoingAtoms } from "./OutgoingAtoms.ts"
import { Preamble } from "./Preamble.ts"

/** The limits of what is written. */
export interface OutgoingLimits {
  /** Bytes that wait to be written before senders wait. */
  readonly maxOutputBytes: number
  /** Bytes that wait to be written, replies and signals included, before the peer counts as lost. */
  readonly maxStalledBytes: number
  /** Payload bytes in one fragment. */
  readonly fragmentBytes: number
}

/** What became of a packet. `full`: nothing happened, try again later. */
export type Ended = "sent" | "full" | "stalled"

/** How packets start: with a header and its atoms, with an empty header, or with none. */
type Mode = "cache" | "header" | "pass"

/** Writes what stands before the request of a message. */
export type InFull = (encoder: Encoder, from: Pid, to: Address, message: Outbound) => void

interface Sequence {
  /** Whose later packets wait: a sender, or for what no process has sent the receiver. */
  readonly key: string
  readonly id: Uint8Array
  readonly buffer: Uint8Array
  pos: number
  readonly end: number
  left: number
  /** Whole packets of the same sender, in order. */
  readonly waiting: ReadonlyArray<Uint8Array> & { push(packet: Uint8Array): number }
}

const tickBytes = new Uint8Array(4)
/** Output is written at once from here on. */
const flushAt = 64 * 1024
/** So many packets of one turn are written before its end, so that the peer has something to do meanwhile; then twice as many. */
const earlyPackets = 48
/** Fragments are written while fewer bytes than this wait in the socket. */
const fragmentWindow = 256 * 1024
/** Bytes of fragments in one turn. */
const fragmentBurst = 1024 * 1024
/** The size of buffers, and the largest that are used again. */
const bufferBytes = 128 * 1024
const keepBuffer = 2 * 1024 * 1024
/** Bytes of buffers kept for the next time, beside those in use. */
const keptMax = 8 * 1024 * 1024
const encoderMax = 1024 * 1024 * 1024

/** @since 0.1.0 */
export class Outgoing {
  /** Bytes and packets written so far. */
  bytes = 0
  packets = 0
  /** Whether anything was written since this was last reset. */
  wrote = false
  /** Whether a packet has begun that has not ended: there is no room for another. */
  writing = false
  private readonly link: Link
  private readonly limits: OutgoingLimits
  private readonly turn: (f: () => void) => void
  /** How payloads are compressed, where the peer understands it. */
  private readonly compress: Compress | undefined
  /** Stands for all senders that are no process: what they send keeps its order towards each receiver. */
  private readonly nobody: Pid
  private readonly mode: Mode
  private readonly fragmented: boolean
  private readonly main: Encoder = new Encoder({ initialBytes: bufferBytes, maxBytes: encoderMax })
  private readonly side: Encoder = new Encoder({ initialBytes: 256, maxBytes: encoderMax })
  private readonly atoms: OutgoingAtoms = new OutgoingAtoms()
  private readonly preamble: Preamble = new Preamble(this.atoms)
  /** Buffers that the socket still reads, and such that nobody uses. */
  private readonly busy: Array<Uint8Array> = []
  private readonly spare: Array<Uint8Array> = []
  private kept = 0
  private readonly sequences: Array<Sequence> = []
  private sequenceBytes = 0
  private sequenceCount = 0
  private readonly waiters: Array<() => void> = []
  private armed = false
  private early = earlyPackets
  private untilEarly = earlyPackets
  private closed = false
  // The packet that is being written.
  private sender: Pid
  private receiver: Address | undefined = undefined
  private behind: Sequence | undefined = undefined
  private start = 0
  private payloadAt = -1

  constructor(
    link: Link,
    flags: DistFlags.DistFlags,
    limits: OutgoingLimits,
    nobody: Pid,
    turn: (f: () => void) => void,
    compress?: Compress
  ) {
    this.link = link
    this.limits = limits
    this.nobody = this.sender = nobody
    this.turn = turn
    this.compress = compress
    this.fragmented = DistFlags.has(flags, "fragments")
    this.mode = DistFlags.has(flags, "distHeaderAtomCache") ? "cache" : this.fragmented ? "header" : "pass"
    link.drained = this.onDrained
  }

  /** Whether packets have no header. */
  get passThrough(): boolean {
    return this.mode === "pass"
  }

  /** Whether senders are to wait. */
  get full(): boolean {
    return this.main.output.pos + this.link.pending >= this.limits.maxOutputBytes
  }

  /** Bytes that wait to be written. */
  get pending(): number {
    return this.main.output.pos + this.link.pending + this.sequenceBytes
  }

  /** Has a function called once there is room again, or the connection has ended. The way to take it back is returned. */
  whenRoom(f: () => void): () => void {
    this.waiters.push(f)
    this.arm()
    return () => {
      const at = this.waiters.indexOf(f)
      if (at >= 0) this.waiters.splice(at, 1)
    }
  }

  /** Says that this end is alive, if nothing else did. */
  tick(): void {
    if (!this.wrote && this.pending === 0) {
      this.link.write(tickBytes)
      this.bytes += 4
      // A quiet connection gives its memory back.
      for (const buffer of this.spare.splice(0)) this.kept -= buffer.length
    }
    this.wrote = false
  }

  /** Nothing is written any more; who waits for room goes on. */
  close(): void {
    this.closed = true
    this.sequences.length = 0
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  // --- one packet ----------------------------------------------------------------------------------------------------

  /** Starts a packet. The control message is written to the encoder that is returned. */
  begin(sender: Pid, to: Address | undefined): Encoder {
    this.writing = true
    this.sender = sender
    this.receiver = to
    this.payloadAt = -1
    this.behind = this.sequences.length > 0 ? this.sequenceOf(sender, to) : undefined
    const encoder = this.behind === undefined ? this.main : this.side
    const writer = encoder.output
    // What waits for its turn cannot refer to a cache that goes on meanwhile.
    const mode = this.behind === undefined ? this.mode : "header"
    if (this.behind !== undefined) encoder.begin()
    this.start = writer.pos
    writer.ensure(8)
    writer.pos += 4
    if (mode === "pass") writer.tag8(112, 131)
    else {
      writer.tag8(131, 68)
      if (mode === "cache") this.atoms.begin(encoder)
      else writer.u8(0)
    }
    return encoder
  }

  /** The control message is written; what follows is the payload. */
  payload(encoder: Encoder): void {
    if (this.mode === "pass" && encoder === this.main) encoder.output.u8(131)
    this.payloadAt = encoder.output.pos
  }

  /**
   * Writes what stands before the request of a message: as the last time, where that was the same.
   * `inFull` writes it, and says where the payload begins by {@link payload}.
   */
  beginning(encoder: Encoder, from: Pid, to: Address, message: Outbound, inFull: InFull): void {
    if (this.mode !== "cache" || encoder !== this.main) return inFull(encoder, from, to, message)
    const payloadAt = this.preamble.write(encoder, from, to, message)
    if (payloadAt >= 0) {
      this.payloadAt = payloadAt
      return
    }
    const start = encoder.output.pos
    inFull(encoder, from, to, message)
    this.preamble.learn(encoder, start, this.payloadAt, from, to, message)
  }

  /** Ends a packet. With `mayWait` a large one is turned away while others are under way. */
  end(mayWait: boolean): Ended {
    this.writing = false
    const { behind, limits, start } = this
    if (behind !== undefined) {
      if (this.compress !== undefined) this.pack(this.side)
      const { buffer, pos } = this.side.output
      if (mayWait && this.sequenceBytes > limits.maxOutputBytes / 2) return "full"
      // A large one takes its buffer along.
      const packet = pos < flushAt ? buffer.slice(0, pos) : buffer.subarray(0, pos)
      if (packet.buffer === buffer.buffer) this.side.output.replace(this.freeBuffer())
      writeU32(packet, 0, pos - 4)
      behind.waiting.push(packet)
      this.sequenceBytes += pos
      this.packets++
      return "sent"
    }
    const { main, mode } = this
    const writer = main.output
    if (mode === "cache") {
      const moved = this.atoms.finish(main)
      if (this.payloadAt >= 0) this.payloadAt += moved
    }
    if (this.compress !== undefined) this.pack(main)
    const length = writer.pos - start - 4
    if (length > limits.fragmentBytes && this.fragmented && this.payloadAt >= 0) {
      if (mayWait && this.sequenceBytes > limits.maxOutputBytes / 2) {
        writer.pos = start
        if (mode === "cache") this.atoms.undo()
        return "full"
      }
      this.fragmentOut(this.keyOf(this.sender, this.receiver), start, this.payloadAt)
    } else writeU32(writer.buffer, start, length)
    this.packets++
    if (!mayWait && this.pending > limits.maxStalledBytes) return "stalled"
    if (writer.pos >= flushAt) this.flush()
    else {
      if (!this.armed) this.arm()
      if (--this.untilEarly === 0) {
        this.untilEarly = this.early *= 2
        if (this.link.pending === 0) this.flushBuffer()
      }
    }
    return "sent"
  }

  /** Compresses the payload, if its sender wants that and it gets smaller. */
  private pack({ output }: Encoder): void {
    const { payloadAt } = this
    if (payloadAt < 0 || output.pos - payloadAt < thresholdMin) return
    const packed = this.compress!(this.sender, output.buffer.subarray(payloadAt, output.pos))
    if (packed === undefined) return
    output.buffer.set(packed, payloadAt)
    output.pos = payloadAt + packed.length
  }

  /** Gives the packet up. */
  abort(): void {
    if (!this.writing) return
    this.writing = false
    if (this.behind !== undefined) return
    if (this.mode === "cache") this.atoms.rollback(this.main)
    this.main.output.pos = this.start
  }

  // --- writing out ---------------------------------------------------------------------------------------------------

  private arm(): void {
    if (this.armed) return
    this.armed = true
    this.turn(this.onTurn)
  }

  private readonly onTurn = (): void => {
    this.armed = false
    this.untilEarly = this.early = earlyPackets
    this.flush()
  }

  /** Writes what was collected, then fragments as far as they find room. */
  flush(): void {
    if (this.closed) return
    this.flushBuffer()
    let budget = fragmentBurst
    while (this.sequences.length > 0 && budget > 0 && this.link.pending < fragmentWindow) {
      budget -= this.nextFragment()
      this.flushBuffer()
    }
    if (this.sequences.length > 0 && this.link.pending < fragmentWindow) this.arm()
    this.wake()
  }

  /** Writes what was collected. */
  flushBuffer(): void {
    const writer = this.main.output
    const { buffer, pos } = writer
    // A packet that is half written stays.
    if (pos === 0 || this.writing) return
    this.wrote = true
    this.bytes += pos
    writer.pos = 0
    if (this.link.write(buffer.subarray(0, pos)) && buffer.length <= keepBuffer) return
    this.keep(buffer)
    writer.replace(this.freeBuffer())
  }

  /** A buffer that was written: it is used again once the socket has let go of it. */
  private keep(buffer: Uint8Array): void {
    if (buffer.length > keepBuffer || this.kept + buffer.length > keptMax) return
    this.kept += buffer.length
    this.busy.push(buffer)
    this.reclaim()
  }

  private reclaim(): void {
    if (this.link.pending > 0 || this.busy.length === 0) return
    for (const buffer of this.busy.splice(0)) this.spare.push(buffer)
  }

  private freeBuffer(): Uint8Array {
    const buffer = this.spare.pop()
    if (buffer === undefined) return new Uint8Array(bufferBytes)
    this.kept -= buffer.length
    return buffer
  }

  // What the socket had to keep has left: its buffers are used again.
  private readonly onDrained = (): void => {
    this.reclaim()
    this.flush()
  }

  private wake(): void {
    if (this.waiters.length === 0) return
    const low = this.limits.maxOutputBytes / 2
    if (this.main.output.pos + this.link.pending > low || this.sequenceBytes > low) return
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  private emit(parts: ReadonlyArray<Uint8Array>): void {
    this.wrote = true
    for (const part of parts) this.bytes += part.length
    this.link.writeAll(parts)
  }

  // --- fragments -----------------------------------------------------------------------------------------------------

  /** Whose order a packet keeps. */
  private keyOf(sender: Pid, to: Address | undefined): string {
    if (sender !== this.nobody) return `${sender.id}.${sender.serial}`
    return to === undefined ? "" : isPid(to) || isReference(to) ? String(to) : `name ${to.name}`
  }

  private sequenceOf(sender: Pid, to: Address | undefined): Sequence | undefined {
    const key = this.keyOf(sender, to)
    return key === "" ? undefined : this.sequences.find((sequence) => sequence.key === key)
  }

  /** The packet from `start` on becomes fragments: the first leaves now, in its turn, the others follow in time. */
  private fragmentOut(key: string, start: number, payloadAt: number): void {
    const writer = this.main.output
    const { buffer, pos: end } = writer
    // The buffer leaves with the packet.
    writer.replace(this.freeBuffer())
    writer.pos = 0
    const firstEnd = Math.min(end, payloadAt + this.limits.fragmentBytes)
    const left = Math.ceil((end - firstEnd) / this.limits.fragmentBytes)
    const id = u64(BigInt(++this.sequenceCount))
    // `131, 68` stands at start + 4; the header goes on behind it.
    this.emit([
      buffer.subarray(0, start),
      fragmentHead(69, id, left + 1, firstEnd - start - 6),
      buffer.subarray(start + 6, firstEnd)
    ])
    if (left === 0) return
    this.sequences.push({ key, id, buffer, pos: firstEnd, end, left, waiting: [] })
    this.sequenceBytes += end - firstEnd
    this.arm()
  }

  /** Writes one fragment of the message whose turn it is. */
  private nextFragment(): number {
    const sequence = this.sequences.shift()!
    const { buffer, end, id, left, pos } = sequence
    const next = Math.min(end, pos + this.limits.fragmentBytes)
    this.emit([fragmentHead(70, id, left, next - pos), buffer.subarray(pos, next)])
    sequence.pos = next
    sequence.left--
    this.sequenceBytes -= next - pos
    if (sequence.left > 0) this.sequences.push(sequence)
    else {
      this.keep(buffer)
      this.release(sequence)
    }
    return next - pos
  }

  /** A large message has left; what waited behind it follows. */
  private release(sequence: Sequence): void {
    const { waiting } = sequence
    const { fragmentBytes } = this.limits
    for (let i = 0; i < waiting.length; i++) {
      const packet = waiting[i]!
      const end = packet.length
      this.sequenceBytes -= end
      if (end - 4 <= fragmentBytes) {
        this.main.output.raw(packet)
        continue
      }
      // A further large one: its header is empty and its control message short, so that its first fragment has both.
      const firstEnd = Math.min(end, 7 + fragmentBytes)
      const left = Math.ceil((end - firstEnd) / fragmentBytes)
      const id = u64(BigInt(++this.sequenceCount))
      this.flushBuffer()
      this.emit([fragmentHead(69, id, left + 1, firstEnd - 6), packet.subarray(6, firstEnd)])
      if (left === 0) continue
      this.sequences.push({
        key: sequence.key,
        id,
        buffer: packet,
        pos: firstEnd,
        end,
        left,
        waiting: waiting.slice(i + 1)
      })
      this.sequenceBytes += end - firstEnd
      return
    }
  }
}

/** Length, kind, number of the message, number of the fragment; `size` is that of what follows. */
const fragmentHead = (kind: 69 | 70, id: Uint8Array, number: number, size: number): Uint8Array => {
  const head = new Uint8Array(22)
  head.set(u32(size + 18), 0)
  head[4] = 131
  head[5] = kind
  head.set(id, 6)
  head.set(u64(BigInt(number)), 14)
  return head
}

const writeU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
