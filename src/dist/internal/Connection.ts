/**
 * One established connection: packets in, packets out.
 *
 * Reading: complete packets are parsed where they arrived, control messages become signals of the node's `Inbound`, and
 * the payload of a message is decoded once its receiver is known. Writing: packets are collected in one buffer and written
 * once per turn of the event loop.
 *
 * Guarantees: signals of one process keep their order, whatever their size; a large message travels in fragments between
 * which others find room; a peer that does not read costs at most the documented bytes, because senders wait; nothing that
 * a peer sends throws past `receive` (it closes the connection).
 *
 * @since 0.1.0
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { AtomCacheReader, type AtomHeader } from "../../etf/AtomCache.ts"
import { Decoder } from "../../etf/Decoder.ts"
import { Encoder } from "../../etf/Encoder.ts"
import { EtfEncodeError, EtfSchemaError } from "../../etf/EtfError.ts"
import type { Address } from "../../process/Address.ts"
import * as CallError from "../../process/CallError.ts"
import type * as Message from "../../process/Message.ts"
import type { Inbound, InboundRequest, Outbound } from "../../process/Transport.ts"
import { Atom } from "../../term/Atom.ts"
import { ImproperList } from "../../term/ImproperList.ts"
import { isPid, Pid } from "../../term/Pid.ts"
import { isReference, Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import * as Control from "../Control.ts"
import * as DistFlags from "../DistFlags.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import { FragmentError, Fragments } from "../Fragments.ts"
import type * as Handshake from "../Handshake.ts"
import type { Link } from "../Network.ts"
import { readU32, readU64, u32, u64, utf8 } from "./Bytes.ts"
import { Growing } from "./Growing.ts"
import * as MessageCodec from "./MessageCodec.ts"
import { OutgoingAtoms } from "./OutgoingAtoms.ts"

/** The limits of a connection. */
export interface Limits {
  /** Bytes of one packet that is read. */
  readonly maxFrameBytes: number
  /** Bytes of unfinished messages that are read. */
  readonly maxFragmentBytes: number
  /** Unfinished messages that are read. */
  readonly maxFragments: number
  /** Bytes that wait to be written before senders wait. */
  readonly maxOutputBytes: number
  /** Bytes that wait to be written, replies and signals included, before the peer counts as lost. */
  readonly maxStalledBytes: number
  /** Levels of nesting in what is read. */
  readonly maxDepth: number
  /** Payload bytes in one fragment that is written. */
  readonly fragmentBytes: number
}

/** A spawn request of the peer: answers with a reply. */
export type SpawnHandler = (
  connection: Connection,
  request: Control.Control & { readonly _tag: "SpawnRequest" },
  args: Term
) => void

/** What a connection needs. */
export interface ConnectionOptions {
  readonly link: Link
  readonly peer: Handshake.Peer
  readonly self: { readonly name: string; readonly creation: number; readonly pid: Pid }
  readonly inbound: Inbound
  readonly limits: Limits
  readonly turn: (f: () => void) => void
  readonly onClosed: (connection: Connection, detail: string | undefined) => void
  readonly onSpawn: SpawnHandler | undefined
  readonly onSpawnReply: ((reply: Control.Control & { readonly _tag: "SpawnReply" }) => void) | undefined
}

/** What became of a message that was to be sent. `Full`: nothing happened, try again later. */
export type Sent = "sent" | "full" | "closed" | { readonly _tag: "Refused"; readonly error: unknown }

type Mode = "cache" | "header" | "pass"

interface OutSequence {
  /** Whose later signals wait; undefined for one whose do not. */
  readonly key: string
  readonly id: Uint8Array
  buffer: Uint8Array
  pos: number
  end: number
  left: number
  /** Whole packets of the same sender, in order. */
  readonly waiting: Array<Uint8Array>
}

const tickBytes = new Uint8Array(4)
/** Output is written at once from here on. */
const flushAt = 64 * 1024
/** Fragments are written while fewer bytes than this wait in the socket. */
const fragmentWindow = 256 * 1024
/** Bytes of fragments in one turn. */
const fragmentBurst = 1024 * 1024
/** The size of buffers, and the largest that are used again. */
const bufferBytes = 128 * 1024
const keepBuffer = 512 * 1024
/** Buffers kept for the next time, beside the one in use. */
const spareMax = 3
const encoderMax = 1024 * 1024 * 1024

const aliasName = "alias"
const callName = "$gen_call"
const castName = "$gen_cast"

/** The tag of a call that is to be answered. */
type ReplyTag =
  | { readonly _tag: "Alias"; readonly alias: Reference }
  | { readonly _tag: "NestedAlias"; readonly alias: Reference; readonly term: Term }
  | { readonly _tag: "Plain"; readonly term: Term }

/** A message as it came in; its request is still bytes. Valid until the next packet is read. */
class WireRequest implements InboundRequest {
  readonly caller: Pid
  private readonly connection: Connection
  private readonly kind: Message.Kind
  private readonly tag: ReplyTag | undefined
  private readonly receiver: Pid | undefined
  private readonly start: number
  private readonly whole: number

  constructor(
    connection: Connection,
    kind: Message.Kind,
    caller: Pid,
    tag: ReplyTag | undefined,
    receiver: Pid | undefined,
    start: number,
    whole: number
  ) {
    this.connection = connection
    this.kind = kind
    this.caller = caller
    this.tag = tag
    this.receiver = receiver
    this.start = start
    this.whole = whole
  }

  /** The request of a call; of a cast or an info the whole term. */
  get raw(): Term {
    return this.connection.termAt(this.kind === "Call" ? this.start : this.whole)
  }

  decode(
    messages: ReadonlyArray<Message.Any>
  ): { readonly message: Message.Any; readonly payload: unknown } | undefined {
    const set = MessageCodec.setsOf(messages)[this.kind]
    return set === undefined ? undefined : this.connection.messageAt(this.start, set)
  }

  reply(message: Message.Any | undefined, exit: Exit.Exit<unknown, unknown>): void {
    if (this.tag !== undefined) this.connection.reply(this.receiver, this.caller, this.tag, message, exit)
  }
}

export class Connection {
  readonly peer: Handshake.Peer
  readonly link: Link
  private readonly options: ConnectionOptions
  private readonly inbound: Inbound
  private readonly limits: Limits
  private readonly flags: DistFlags.DistFlags
  private readonly mode: Mode
  private readonly fragmented: boolean
  private readonly decoder: Decoder
  private readonly encoder: Encoder = new Encoder({ initialBytes: 16_384, maxBytes: encoderMax })
  private readonly sideEncoder: Encoder = new Encoder({ initialBytes: 256, maxBytes: encoderMax })
  private readonly readCache: AtomCacheReader = new AtomCacheReader()
  private readonly writeCache: OutgoingAtoms = new OutgoingAtoms()
  private readonly fragments: Fragments<{ readonly control: Control.Control; readonly atoms: ReadonlyArray<Atom> }>
  private readonly held = new Growing(0)
  private readonly sequences: Array<OutSequence> = []
  private sequenceBytes = 0
  private sequenceCount = 0
  private readonly waiters: Array<() => void> = []
  private readonly unlinking: Map<string, number> = new Map()
  private unlinkIds = 0
  /** Buffers that the socket still reads, and such that nobody uses. */
  private readonly busy: Array<Uint8Array> = []
  private readonly spare: Array<Uint8Array> = []
  private armed = false
  private wrote = false
  private received = false
  private silent = 0
  private open = true
  private side = false
  /** Packets and bytes in both directions. */
  readonly counters: { packetsIn: number; packetsOut: number; bytesIn: number; bytesOut: number } = {
    packetsIn: 0,
    packetsOut: 0,
    bytesIn: 0,
    bytesOut: 0
  }

  constructor(options: ConnectionOptions) {
    this.options = options
    this.peer = options.peer
    this.link = options.link
    this.inbound = options.inbound
    this.limits = options.limits
    this.flags = options.peer.flags
    this.mode = DistFlags.has(this.flags, "distHeaderAtomCache")
      ? "cache"
      : DistFlags.has(this.flags, "fragments")
      ? "header"
      : "pass"
    this.fragmented = DistFlags.has(this.flags, "fragments")
    this.decoder = new Decoder({ maxDepth: options.limits.maxDepth })
    this.fragments = new Fragments({
      maxSequences: options.limits.maxFragments,
      maxBytes: options.limits.maxFragmentBytes
    })
  }

  get isOpen(): boolean {
    return this.open
  }

  /** Takes the link over. `rest` is what has arrived behind the handshake. */
  start(rest: Uint8Array): void {
    this.link.received = (bytes) => this.receive(bytes)
    this.link.drained = this.onDrained
    this.link.closed = () => this.close(undefined)
    if (rest.length > 0) this.receive(rest)
  }

  /** Ends the connection once what was collected is written. */
  finish(detail: string): void {
    if (!this.open) return
    this.flushBuffer()
    this.link.end()
    this.ended(detail)
  }

  /** Ends the connection: what waits is dropped, and the node learns of it once. */
  close(detail: string | undefined): void {
    if (!this.open) return
    this.link.close()
    this.ended(detail)
  }

  private ended(detail: string | undefined): void {
    this.open = false
    this.sequences.length = 0
    this.options.onClosed(this, detail)
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  receive(bytes: Uint8Array): void {
    if (!this.open) return
    this.received = true
    this.counters.bytesIn += bytes.length
    const { held } = this
    // oxlint-disable-next-line effect-otp/no-try -- whatever a peer sends must not get past its connection
    try {
      if (held.length === 0) {
        const used = this.parse(bytes, bytes.length)
        if (used < bytes.length && this.open) held.append(bytes.subarray(used))
        return
      }
      held.append(bytes)
      if (held.length < 4 || held.length < 4 + readU32(held.bytes, 0)) return
      const used = this.parse(held.bytes, held.length)
      held.drop(used)
      if (held.length === 0 && held.bytes.length > keepBuffer) held.bytes = new Uint8Array(0)
    } catch (error) {
      this.close(describe(error))
    }
  }

  /** Handles the complete packets of a buffer; gives where the first incomplete one starts. */
  private parse(bytes: Uint8Array, end: number): number {
    let at = 0
    while (end - at >= 4 && this.open) {
      const length = readU32(bytes, at)
      if (length > this.limits.maxFrameBytes) {
        throw new Control.ControlError(`a packet of ${length} bytes, the limit is ${this.limits.maxFrameBytes}`)
      }
      if (length === 0) {
        at += 4
        continue
      }
      if (end - at - 4 < length) break
      this.packet(bytes, at + 4, at + 4 + length)
      at += 4 + length
    }
    return at
  }

  private packet(bytes: Uint8Array, start: number, end: number): void {
    this.counters.packetsIn++
    if (bytes[start] === 112 && this.mode === "pass") return this.passThrough(bytes, start + 1, end)
    if (bytes[start] !== 131 || end - start < 2) throw new Control.ControlError(`a packet that starts with ${bytes[start]}`)
    switch (bytes[start + 1]) {
      case 68: {
        const header = this.headerAt(bytes, start + 2, end)
        this.decoder.open(bytes, header.offset, end, header.atoms)
        return this.dispatch(Control.readUnsafe(this.decoder))
      }
      case 69: {
        if (end - start < 18) throw new Control.ControlError("a first fragment without its numbers")
        const header = this.headerAt(bytes, start + 18, end)
        this.decoder.open(bytes, header.offset, end, header.atoms)
        const control = Control.readUnsafe(this.decoder)
        if (!Control.hasPayload(control)) throw new Control.ControlError(`a ${control._tag} in fragments`)
        const head = { control, atoms: header.atoms }
        return this.fragment(
          this.fragments.first(readU64(bytes, start + 2), readU64(bytes, start + 10), head, bytes.subarray(this.decoder.offset, end))
        )
      }
      case 70:
        if (end - start < 18) throw new Control.ControlError("a fragment without its numbers")
        return this.fragment(
          this.fragments.next(readU64(bytes, start + 2), readU64(bytes, start + 10), bytes.subarray(start + 18, end))
        )
      default:
        throw new Control.ControlError(`a packet of kind ${bytes[start + 1]}`)
    }
  }

  private headerAt(bytes: Uint8Array, at: number, end: number): AtomHeader {
    const header = this.readCache.readHeader(bytes, at, end)
    if (Result.isFailure(header)) throw header.failure
    return header.success
  }

  private fragment(result: ReturnType<typeof this.fragments.next>): void {
    if (result === undefined) return
    if (result instanceof FragmentError) throw result
    this.decoder.open(result.payload, 0, result.payload.length, result.head.atoms)
    this.dispatch(result.head.control)
  }

  private passThrough(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] !== 131) throw new Control.ControlError("a control message without a version")
    this.decoder.open(bytes, start + 1, end)
    const control = Control.readUnsafe(this.decoder)
    if (Control.hasPayload(control)) {
      if (this.decoder.cursor.peek() !== 131) throw new Control.ControlError("a payload without a version")
      this.decoder.cursor.pos++
    }
    this.dispatch(control)
  }

  private dispatch(control: Control.Control): void {
    const { inbound } = this
    switch (control._tag) {
      case "Send":
        return this.message(control.from, control.to)
      case "Monitor":
        this.mustBePeers(control.from)
        return inbound.monitor(control.from, addressOf(control.to, this.options.self.name), control.ref)
      case "Demonitor":
        return inbound.demonitor(control.from, control.ref)
      case "Down":
        return inbound.down(control.ref, ExitReasonTerm.fromTerm(control.reason ?? this.decoder.readUnsafe()))
      case "Link":
        this.mustBePeers(control.from)
        // While an unlink of this end is not acknowledged, the link of the other is one that it ends.
        if (this.unlinking.has(pairKey(control.to, control.from))) return
        return inbound.link(control.from, control.to)
      case "Unlink": {
        this.mustBePeers(control.from)
        if (!this.unlinking.has(pairKey(control.to, control.from))) inbound.unlink(control.from, control.to)
        if (control.id !== 0) {
          this.control({ _tag: "UnlinkAck", id: control.id, from: control.to, to: control.from }, control.to)
        }
        return
      }
      case "UnlinkAck": {
        this.mustBePeers(control.from)
        const key = pairKey(control.to, control.from)
        if (this.unlinking.get(key) === Number(control.id)) this.unlinking.delete(key)
        return
      }
      case "Exit": {
        this.mustBePeers(control.from)
        const reason = ExitReasonTerm.fromTerm(control.reason ?? this.decoder.readUnsafe())
        if (!isPid(control.to)) return
        if (control.kind === "link" && this.unlinking.delete(pairKey(control.to, control.from))) return
        return inbound.exit(control.from, control.to, reason, control.kind)
      }
      case "SpawnRequest": {
        this.mustBePeers(control.from)
        const args = this.decoder.readUnsafe()
        if (this.options.onSpawn !== undefined) return this.options.onSpawn(this, control, args)
        return this.control(
          { _tag: "SpawnReply", ref: control.ref, to: control.from, flags: 0, result: new Atom("notsup") },
          this.options.self.pid
        )
      }
      case "SpawnReply":
        return this.options.onSpawnReply?.(control)
      case "GroupLeader":
        return
    }
  }

  private mustBePeers(pid: Pid): void {
    if (pid.node !== this.peer.name) {
      throw new Control.ControlError(`a signal in the name of ${pid}, which is not of ${this.peer.name}`)
    }
  }

  /** A message: call, cast, reply, or anything else. */
  private message(from: Pid | undefined, to: Pid | Reference | string): void {
    const { inbound } = this
    const reader = this.decoder.cursor
    const whole = reader.pos
    const address = addressOf(to, this.options.self.name)
    reader.begin()
    if (reader.peek() === 104) {
      reader.pos++
      const arity = reader.u8()
      const tag = reader.peek()
      if (arity === 3 && isAtomTag(tag)) {
        if (reader.atom().name === callName) {
          const request = this.callAt(to, whole)
          if (request !== undefined) {
            inbound.call(address, request)
            return
          }
        }
      } else if (arity === 2) {
        if (isAtomTag(tag)) {
          if (reader.atom().name === castName) {
            inbound.cast(address, new WireRequest(this, "Cast", from ?? this.options.self.pid, undefined, undefined, reader.pos, whole))
            return
          }
        } else {
          const ref = this.replyRefAt(tag)
          if (ref !== undefined) {
            const start = reader.pos
            if (inbound.reply(ref, (message) => this.replyAt(start, message), this.peer.name)) return
            // An answer that comes too late.
            if (isReference(to)) return
          }
        }
      }
      reader.pos = whole
    }
    inbound.info(address, new WireRequest(this, "Info", from ?? this.options.self.pid, undefined, undefined, whole, whole))
  }

  /** `{'$gen_call', {Pid, Tag}, Request}` behind its first element; undefined when it is something else. */
  private callAt(to: Pid | Reference | string, whole: number): WireRequest | undefined {
    const reader = this.decoder.cursor
    if (reader.peek() !== 104 || reader.source[reader.pos + 1] !== 2) return undefined
    reader.pos += 2
    const pidTag = reader.peek()
    if (pidTag !== 88 && pidTag !== 103) return undefined
    const caller = reader.pid()
    const tag = this.tagAt()
    return new WireRequest(this, "Call", caller, tag, isPid(to) ? to : undefined, reader.pos, whole)
  }

  private tagAt(): ReplyTag {
    const reader = this.decoder.cursor
    const start = reader.pos
    // [alias | Ref], as nearly every call has it.
    if (reader.peek() === 108) {
      reader.pos++
      if (reader.u32() === 1 && isAtomTag(reader.peek()) && reader.atom().name === aliasName && reader.peek() === 90) {
        return { _tag: "Alias", alias: reader.reference() }
      }
      reader.pos = start
    }
    const term = reader.term(0)
    const inner = term instanceof ImproperList || Array.isArray(term) ? elementsOf(term)[0] : undefined
    if (
      inner instanceof ImproperList && inner.elements.length === 1 && isAlias(inner.elements[0]) && isReference(inner.tail)
    ) {
      return { _tag: "NestedAlias", alias: inner.tail, term }
    }
    return { _tag: "Plain", term }
  }

  /** The reference of a reply, with the cursor behind it; undefined when it is none of this node. */
  private replyRefAt(tag: number): Reference | undefined {
    const reader = this.decoder.cursor
    let ref: Reference | undefined
    if (tag === 90) ref = reader.reference()
    else if (tag === 108) {
      const start = reader.pos
      reader.pos++
      if (reader.u32() === 1 && isAtomTag(reader.peek()) && reader.atom().name === aliasName && reader.peek() === 90) {
        ref = reader.reference()
      } else reader.pos = start
    }
    return ref !== undefined && ref.node === this.options.self.name ? ref : undefined
  }

  private replyAt(start: number, message: Message.Any): Exit.Exit<unknown, unknown> {
    const shape = MessageCodec.replyOf(message)
    if (shape instanceof EtfSchemaError) return Exit.fail(new CallError.MalformedReply({ detail: shape.message }))
    this.decoder.cursor.pos = start
    const result = shape.readFrom(this.decoder)
    if (Result.isFailure(result)) throw result.failure
    const reply = result.success
    switch (reply._tag) {
      case "Success":
        return Exit.succeed(reply.value)
      case "Failure":
        return Exit.fail(reply.error)
      case "Malformed":
        return Exit.fail(new CallError.MalformedReply({ detail: reply.error.message }))
    }
  }

  /** @internal */
  termAt(start: number): Term {
    this.decoder.cursor.pos = start
    return this.decoder.readUnsafe()
  }

  /** @internal */
  messageAt(
    start: number,
    set: MessageCodec.Set
  ): { readonly message: Message.Any; readonly payload: unknown } | undefined {
    this.decoder.cursor.pos = start
    const result = set.shape.readFrom(this.decoder)
    if (Result.isFailure(result)) throw result.failure
    const decoded = result.success
    return decoded._tag === "Message"
      ? { message: set.messages[decoded.index]!, payload: decoded.payload }
      : undefined
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  /** Whether senders are to wait. */
  get full(): boolean {
    return this.encoder.output.pos + this.link.pending >= this.limits.maxOutputBytes
  }

  /** Bytes that wait to be written. */
  get pending(): number {
    return this.encoder.output.pos + this.link.pending + this.sequenceBytes
  }

  /** Has a function called once there is room again, or the connection has ended. The function to take it back is returned. */
  whenRoom(f: () => void): () => void {
    this.waiters.push(f)
    this.arm()
    return () => {
      const at = this.waiters.indexOf(f)
      if (at >= 0) this.waiters.splice(at, 1)
    }
  }

  /** Sends a message, unless senders are to wait. */
  send(from: Pid, to: Address, message: Outbound): Sent {
    if (!this.open) return "closed"
    if (this.full) return "full"
    const target = isPid(to) || isReference(to) ? to : to.name
    return this.write(from, true, (encoder) => Control.writeSend(encoder, this.flags, from, target), (encoder) =>
      writeMessage(encoder, from, message))
  }

  /** Sends a control message, whatever waits. */
  control(control: Control.Control, sender: Pid): void {
    if (!this.open) return
    const sent = this.write(sender, false, (encoder) => Control.write(encoder, this.flags, control), undefined)
    if (typeof sent === "object" && (control._tag === "Exit" || control._tag === "Down")) {
      // The reason holds something that is no term: that it ended must be told all the same.
      const reason = utf8("a reason that has no form as a term")
      this.write(
        sender,
        false,
        (encoder) => Control.write(encoder, this.flags, { ...control, reason }),
        undefined
      )
    }
  }

  link_(from: Pid, to: Pid): void {
    this.unlinking.delete(pairKey(from, to))
    this.control({ _tag: "Link", from, to }, from)
  }

  unlink(from: Pid, to: Pid): void {
    const id = ++this.unlinkIds
    this.unlinking.set(pairKey(from, to), id)
    this.control({ _tag: "Unlink", id, from, to }, from)
  }

  /** Answers a call of the peer. */
  reply(
    receiver: Pid | undefined,
    caller: Pid,
    tag: ReplyTag,
    message: Message.Any | undefined,
    exit: Exit.Exit<unknown, unknown>
  ): void {
    if (!this.open) return
    const from = receiver ?? this.options.self.pid
    const to = tag._tag === "Plain" ? caller : tag.alias
    const sent = this.write(from, false, (encoder) => Control.writeSend(encoder, this.flags, from, to), (encoder) => {
      const writer = encoder.output
      writer.tag8(104, 2)
      if (tag._tag === "Alias") writeAlias(encoder, tag.alias)
      else encoder.writeUnsafe(tag.term)
      writeReply(encoder, message, exit)
    })
    if (typeof sent === "object") this.refused?.(sent.error)
  }

  /** Told of replies that could not be written. */
  refused: ((error: unknown) => void) | undefined = undefined

  /**
   * Writes a packet: the control message, then the payload, if any. Nothing is left behind when one of them throws.
   * `waits` says whether a large one may be turned away because others are under way.
   */
  private write(
    sender: Pid,
    waits: boolean,
    control: (encoder: Encoder) => void,
    payload: ((encoder: Encoder) => void) | undefined
  ): Sent {
    if (this.sequences.length > 0) {
      const behind = this.sequenceOf(sender)
      if (behind !== undefined) return this.writeBehind(behind, control, payload)
    }
    const { encoder, mode, writeCache } = this
    const writer = encoder.output
    const start = writer.pos
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      let payloadAt: number
      if (mode === "pass") {
        writer.ensure(6)
        writer.pos += 4
        writer.tag8(112, 131)
        control(encoder)
        if (payload !== undefined) writer.u8(131)
        payloadAt = writer.pos
        payload?.(encoder)
      } else {
        writer.ensure(8)
        writer.pos += 4
        writer.tag8(131, 68)
        if (mode === "cache") writeCache.begin(encoder)
        else writer.u8(0)
        control(encoder)
        payloadAt = writer.pos
        payload?.(encoder)
        if (mode === "cache") payloadAt += writeCache.finish(encoder)
      }
      const length = writer.pos - start - 4
      if (length > this.limits.fragmentBytes && this.fragmented) {
        const large = writer.pos - payloadAt
        if (waits && this.sequenceBytes > 0 && this.sequenceBytes + large > this.limits.maxOutputBytes) {
          writer.pos = start
          if (mode === "cache") writeCache.undo()
          return "full"
        }
        this.fragmentOut(sender, start, payloadAt)
      } else {
        writeU32(writer.buffer, start, length)
      }
      this.counters.packetsOut++
    } catch (error) {
      if (mode === "cache") writeCache.rollback(encoder)
      writer.pos = start
      return { _tag: "Refused", error }
    }
    if (!waits && this.pending > this.limits.maxStalledBytes) {
      this.close(`more than ${this.limits.maxStalledBytes} bytes wait for a peer that does not read`)
      return "closed"
    }
    if (writer.pos >= flushAt) this.flush()
    else if (!this.armed) this.arm()
    return "sent"
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    this.options.turn(this.onTurn)
  }

  private readonly onTurn = (): void => {
    this.armed = false
    this.flush()
  }

  /** Writes what was collected, then fragments as far as they find room. */
  flush(): void {
    if (!this.open) return
    this.flushBuffer()
    let budget = fragmentBurst
    while (this.sequences.length > 0 && budget > 0 && this.link.pending < fragmentWindow) {
      budget -= this.nextFragment()
      this.flushBuffer()
    }
    if (this.sequences.length > 0 && this.link.pending < fragmentWindow) this.arm()
    this.wake()
  }

  private flushBuffer(): void {
    const writer = this.encoder.output
    const { pos } = writer
    if (pos === 0) return
    this.wrote = true
    this.counters.bytesOut += pos
    const { buffer } = writer
    writer.pos = 0
    const free = this.link.write(buffer.subarray(0, pos))
    if (free && buffer.length <= keepBuffer) return
    if (!free && buffer.length <= keepBuffer) this.busy.push(buffer)
    writer.buffer = this.freeBuffer()
  }

  private freeBuffer(): Uint8Array {
    return this.spare.pop() ?? new Uint8Array(bufferBytes)
  }

  // What the socket had to keep has left: its buffers are used again.
  private readonly onDrained = (): void => {
    if (this.link.pending === 0) {
      for (const buffer of this.busy.splice(0)) if (this.spare.length < spareMax) this.spare.push(buffer)
    }
    this.flush()
  }

  private wake(): void {
    if (this.waiters.length === 0) return
    const low = this.limits.maxOutputBytes / 2
    if (this.encoder.output.pos + this.link.pending > low || this.sequenceBytes > low) return
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  // --- fragments -----------------------------------------------------------------------------------------------------

  private keyOf(sender: Pid): string {
    return `${sender.id}.${sender.serial}`
  }

  private sequenceOf(sender: Pid): OutSequence | undefined {
    // What comes from outside of any process has no order to keep.
    if (sender === this.options.self.pid) return undefined
    const key = this.keyOf(sender)
    return this.sequences.find((sequence) => sequence.key === key)
  }

  /** The packet from `start` on becomes a sequence of fragments: the first stays where it is, the others follow in time. */
  private fragmentOut(sender: Pid, start: number, payloadAt: number): void {
    const writer = this.encoder.output
    const { fragmentBytes } = this.limits
    const { buffer, pos: end } = writer
    const payload = end - payloadAt
    const count = Math.max(1, Math.ceil(payload / fragmentBytes))
    const id = u64(BigInt(++this.sequenceCount))
    // The packet's bytes leave the collecting buffer with it.
    writer.buffer = this.freeBuffer()
    writer.pos = 0
    const firstEnd = Math.min(end, payloadAt + fragmentBytes)
    // `131, 68` at start + 4 give way to `131, 69` and the two numbers.
    const head = new Uint8Array(22)
    head.set(u32(firstEnd - start - 6 + 18), 0)
    head[4] = 131
    head[5] = 69
    head.set(id, 6)
    head.set(u64(BigInt(count)), 14)
    this.emit([buffer.subarray(0, start), head, buffer.subarray(start + 6, firstEnd)])
    if (count === 1) return
    this.sequences.push({
      key: sender === this.options.self.pid ? "" : this.keyOf(sender),
      id,
      buffer,
      pos: firstEnd,
      end,
      left: count - 1,
      waiting: []
    })
    this.sequenceBytes += end - firstEnd
    this.arm()
  }

  private emit(parts: ReadonlyArray<Uint8Array>): void {
    this.wrote = true
    for (const part of parts) this.counters.bytesOut += part.length
    this.link.writeAll(parts)
  }

  /** Writes one fragment of the sequence whose turn it is. */
  private nextFragment(): number {
    const sequence = this.sequences.shift()!
    const { buffer, end, id, pos } = sequence
    const next = Math.min(end, pos + this.limits.fragmentBytes)
    const head = new Uint8Array(22)
    head.set(u32(next - pos + 18), 0)
    head[4] = 131
    head[5] = 70
    head.set(id, 6)
    head.set(u64(BigInt(sequence.left)), 14)
    this.emit([head, buffer.subarray(pos, next)])
    sequence.pos = next
    sequence.left--
    this.sequenceBytes -= next - pos
    if (sequence.left > 0) this.sequences.push(sequence)
    else this.release(sequence)
    return next - pos + 22
  }

  /** A sequence has left; what waited behind it follows. */
  private release(sequence: OutSequence): void {
    const { waiting } = sequence
    for (let i = 0; i < waiting.length; i++) {
      const packet = waiting[i]!
      this.sequenceBytes -= packet.length
      if (packet.length - 4 <= this.limits.fragmentBytes) {
        this.encoder.output.raw(packet)
        continue
      }
      // A further large one: whole packets have no header to keep, so that their payload may start anywhere.
      const again = this.resequence(sequence.key, packet, waiting.slice(i + 1))
      if (again !== undefined) {
        this.sequences.push(again)
        return
      }
    }
  }

  private resequence(key: string, packet: Uint8Array, waiting: Array<Uint8Array>): OutSequence | undefined {
    // The control message of a packet that waited stands within the first fragment: see `writeBehind`.
    const { fragmentBytes } = this.limits
    const firstEnd = Math.min(packet.length, 6 + fragmentBytes)
    const rest = packet.length - firstEnd
    const count = 1 + Math.ceil(rest / fragmentBytes)
    const id = u64(BigInt(++this.sequenceCount))
    const head = new Uint8Array(22)
    head.set(u32(firstEnd - 6 + 18), 0)
    head[4] = 131
    head[5] = 69
    head.set(id, 6)
    head.set(u64(BigInt(count)), 14)
    this.flushBuffer()
    this.emit([head, packet.subarray(6, firstEnd)])
    if (rest === 0) return undefined
    this.sequenceBytes += rest
    return { key, id, buffer: packet, pos: firstEnd, end: packet.length, left: count - 1, waiting }
  }

  /** A packet of a sender whose large message is still under way: it waits, without references to the atom cache. */
  private writeBehind(
    sequence: OutSequence,
    control: (encoder: Encoder) => void,
    payload: ((encoder: Encoder) => void) | undefined
  ): Sent {
    // A payload may itself send (a getter, say): each gets an encoder of its own.
    const encoder = this.side ? new Encoder({ maxBytes: encoderMax }) : this.sideEncoder
    this.side = true
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      encoder.begin()
      const writer = encoder.output
      writer.ensure(7)
      writer.pos += 4
      writer.tag8(131, 68)
      writer.u8(0)
      control(encoder)
      payload?.(encoder)
      const bytes = writer.buffer.slice(0, writer.pos)
      writeU32(bytes, 0, bytes.length - 4)
      sequence.waiting.push(bytes)
      this.sequenceBytes += bytes.length
      this.counters.packetsOut++
      return "sent"
    } catch (error) {
      return { _tag: "Refused", error }
    } finally {
      this.side = false
    }
  }

  // --- liveness ------------------------------------------------------------------------------------------------------

  /** Four times per tick time: says that this end is alive, and counts the silence of the other. */
  tick(): void {
    if (!this.open) return
    if (!this.wrote && this.pending === 0) {
      this.link.write(tickBytes)
      this.counters.bytesOut += 4
    }
    this.wrote = false
    if (this.received) {
      this.received = false
      this.silent = 0
      return
    }
    if (++this.silent < 4) return
    // The loop may have been held up: what has arrived meanwhile is read before the peer is judged.
    this.options.turn(() =>
      this.options.turn(() => {
        if (this.received || !this.open) return
        this.close("nothing was heard of it for a whole tick time")
      })
    )
  }
}

// --- parts -----------------------------------------------------------------------------------------------------------

const isAtomTag = (tag: number): boolean => tag === 82 || tag === 119 || tag === 118 || tag === 115 || tag === 100

const isAlias = (term: Term | undefined): boolean => term instanceof Atom && term.name === aliasName

const elementsOf = (term: Term): ReadonlyArray<Term> =>
  term instanceof ImproperList ? term.elements : Array.isArray(term) ? term as ReadonlyArray<Term> : []

const addressOf = (to: Pid | Reference | string, node: string): Address =>
  typeof to === "string" ? { name: to, node } : to

const pairKey = (local: Pid, remote: Pid): string =>
  `${local.id}.${local.serial}>${remote.id}.${remote.serial}.${remote.creation}`

const writeU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

const writeAlias = (encoder: Encoder, ref: Reference): void => {
  const writer = encoder.output
  writer.tag32(108, 1)
  writer.atom(aliasName)
  writer.reference(ref)
}

const writeRequest = (encoder: Encoder, message: Message.Any, payload: unknown): void => {
  const shape = MessageCodec.requestOf(message)
  if (shape instanceof EtfSchemaError) throw shape
  const written = shape.writeTo(encoder, 0, payload)
  if (Result.isFailure(written)) throw written.failure
}

const writeMessage = (encoder: Encoder, from: Pid, message: Outbound): void => {
  const writer = encoder.output
  switch (message._tag) {
    case "Call":
      writer.tag8(104, 3)
      writer.atom(callName)
      writer.tag8(104, 2)
      writer.pid(from)
      writeAlias(encoder, message.reply)
      return writeRequest(encoder, message.message, message.payload)
    case "Cast":
      writer.tag8(104, 2)
      writer.atom(castName)
      return writeRequest(encoder, message.message, message.payload)
    case "Info":
      return writeRequest(encoder, message.message, message.payload)
    case "Term":
      return encoder.writeUnsafe(message.value as Term) // what is no term is refused by the encoder
    case "Reply":
      return writeReply(encoder, message.message, message.exit)
  }
}

const writeReply = (encoder: Encoder, message: Message.Any | undefined, exit: Exit.Exit<unknown, unknown>): void => {
  if (message === undefined) {
    if (Exit.isSuccess(exit)) return encoder.writeUnsafe(exit.value as Term) // as above
    throw new EtfEncodeError({ reason: "NotATerm", path: [], detail: "a call without a schema has no domain error" })
  }
  const shape = MessageCodec.replyOf(message)
  if (shape instanceof EtfSchemaError) throw shape
  let written: ReturnType<typeof shape.writeFailureTo>
  if (Exit.isSuccess(exit)) written = shape.writeSuccessTo(encoder, exit.value)
  else {
    const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
    if (failure === undefined) throw exit.cause
    written = shape.writeFailureTo(encoder, failure.error)
  }
  if (Result.isFailure(written)) throw written.failure
}

const describe = (error: unknown): string => {
  if (error instanceof Control.ControlError || error instanceof FragmentError) return error.detail
  if (error instanceof Error) return error.message
  if (typeof error === "object" && error !== null && "detail" in error) return String(error.detail)
  return String(error)
}
