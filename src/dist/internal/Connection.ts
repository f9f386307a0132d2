/**
 * One established connection: packets in, packets out.
 *
 * Reading: complete packets are parsed where they arrived, control messages become signals of the node's `Inbound`, and
 * the payload of a message is decoded once its receiver is known. Writing: packets are collected in one buffer and
 * written once per turn of the event loop.
 *
 * Guarantees: signals of one process keep their order, whatever their size; a large message travels in fragments
 * between which others find room; a peer that does not read costs at most the documented bytes, because senders wait;
 * nothing that a peer sends throws past `receive` (it closes the connection).
 *
 * @since 0.1.0
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { AtomCacheReader, type AtomHeader } from "../../etf/AtomCache.ts"
import { Decoder } from "../../etf/Decoder.ts"
import type { Encoder } from "../../etf/Encoder.ts"
import { EtfEncodeError, EtfSchemaError } from "../../etf/EtfError.ts"
import type { Address } from "../../process/Address.ts"
import * as CallError from "../../process/CallError.ts"
import type * as Message from "../../process/Message.ts"
import type { Inbound, InboundRequest, Outbound } from "../../process/Transport.ts"
import { Atom } from "../../term/Atom.ts"
import { ImproperList } from "../../term/ImproperList.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import * as Control from "../Control.ts"
import type * as DistFlags from "../DistFlags.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import { FragmentError, Fragments } from "../Fragments.ts"
import type * as Handshake from "../Handshake.ts"
import type { Link } from "../Network.ts"
import { readU32, readU64, utf8 } from "./Bytes.ts"
import { Growing } from "./Growing.ts"
import * as MessageCodec from "./MessageCodec.ts"
import { type Ended, Outgoing, type OutgoingLimits } from "./Outgoing.ts"
import { aliasName, callName, castName, type ReplyTag, writeAlias, writeMessage, writeReply } from "./payload.ts"

/** The limits of a connection. */
export interface Limits extends OutgoingLimits {
  /** Bytes of one packet that is read. */
  readonly maxFrameBytes: number
  /** Bytes of unfinished messages that are read. */
  readonly maxFragmentBytes: number
  /** Unfinished messages that are read. */
  readonly maxFragments: number
  /** Levels of nesting in what is read. */
  readonly maxDepth: number
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

/** A buffer for incomplete packets that is larger is given back when it is empty. */
const keepBytes = 256 * 1024

/** A message as it came in; its request is still bytes. Valid until the next packet is read. */
class WireRequest implements InboundRequest {
  readonly caller: Pid
  private readonly connection: Connection
  private readonly kind: Message.Kind
  private readonly tag: ReplyTag | undefined
  private readonly start: number
  private readonly whole: number

  constructor(
    connection: Connection,
    kind: Message.Kind,
    caller: Pid,
    tag: ReplyTag | undefined,
    start: number,
    whole: number
  ) {
    this.connection = connection
    this.kind = kind
    this.caller = caller
    this.tag = tag
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

  reply(message: Message.Any | undefined, exit: Exit.Exit<unknown, unknown>, from?: Pid): void {
    if (this.tag !== undefined) this.connection.reply(from, this.caller, this.tag, message, exit)
  }
}

export class Connection {
  readonly peer: Handshake.Peer
  readonly link: Link
  private readonly options: ConnectionOptions
  private readonly inbound: Inbound
  private readonly limits: Limits
  private readonly flags: DistFlags.DistFlags
  private readonly out: Outgoing
  private readonly small: Decoder
  private readonly large: Decoder
  private decoder: Decoder
  private readonly readCache: AtomCacheReader = new AtomCacheReader()
  private readonly fragments: Fragments<{ readonly control: Control.Control; readonly atoms: ReadonlyArray<Atom> }>
  private readonly held = new Growing(0)
  private readonly unlinking: Map<string, number> = new Map()
  private unlinkIds = 0
  private received = false
  private silent = 0
  private open = true
  private packetsIn = 0
  private bytesIn = 0

  constructor(options: ConnectionOptions) {
    this.options = options
    this.peer = options.peer
    this.link = options.link
    this.inbound = options.inbound
    this.limits = options.limits
    this.flags = options.peer.flags
    this.out = new Outgoing(options.link, this.flags, options.limits, options.self.pid, options.turn)
    this.small = this.decoder = new Decoder({ maxDepth: options.limits.maxDepth })
    this.large = new Decoder({ maxDepth: options.limits.maxDepth, binaries: "share" })
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
    this.link.closed = () => this.close(undefined)
    if (rest.length > 0) this.receive(rest)
  }

  /** Ends the connection once what was collected is written. */
  finish(detail: string): void {
    if (!this.open) return
    this.out.flushBuffer()
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
    this.options.onClosed(this, detail)
    this.out.close()
  }

  /** Packets and bytes in both directions. */
  get counters(): {
    readonly packetsIn: number
    readonly packetsOut: number
    readonly bytesIn: number
    readonly bytesOut: number
  } {
    return {
      packetsIn: this.packetsIn,
      packetsOut: this.out.packets,
      bytesIn: this.bytesIn,
      bytesOut: this.out.bytes
    }
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  receive(bytes: Uint8Array): void {
    if (!this.open) return
    this.received = true
    this.bytesIn += bytes.length
    const { held } = this
    // oxlint-disable-next-line effect-otp/no-try -- whatever a peer sends must not get past its connection
    try {
      let at = 0
      if (held.length > 0) {
        // The packet that is incomplete is completed; what follows is parsed where it is.
        while (this.open && at < bytes.length && held.length > 0) {
          const due = held.length < 4 ? 4 : 4 + this.lengthAt(held.bytes, 0)
          const next = Math.min(bytes.length, at + due - held.length)
          held.append(bytes.subarray(at, next))
          at = next
          if (held.length < 4 || held.length < 4 + this.lengthAt(held.bytes, 0)) continue
          this.parse(held.bytes, 0, held.length)
          held.length = 0
          if (held.bytes.length > keepBytes) held.bytes = new Uint8Array(0)
        }
        if (at === bytes.length) return
      }
      at = this.parse(bytes, at, bytes.length)
      if (at < bytes.length && this.open) held.append(bytes.subarray(at))
    } catch (error) {
      this.close(describe(error))
    }
  }

  /** Handles the complete packets of a part of a buffer; gives where the first incomplete one starts. */
  private parse(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (end - at >= 4 && this.open) {
      const length = this.lengthAt(bytes, at)
      if (end - at - 4 < length) break
      if (length > 0) this.packet(bytes, at + 4, at + 4 + length)
      at += 4 + length
    }
    return at
  }

  private lengthAt(bytes: Uint8Array, at: number): number {
    const length = readU32(bytes, at)
    if (length > this.limits.maxFrameBytes) {
      throw new Control.ControlError(`a packet of ${length} bytes, the limit is ${this.limits.maxFrameBytes}`)
    }
    return length
  }

  private packet(bytes: Uint8Array, start: number, end: number): void {
    this.packetsIn++
    if (bytes[start] === 112 && this.out.passThrough) return this.passThrough(bytes, start + 1, end)
    if (bytes[start] !== 131 || end - start < 2) {
      throw new Control.ControlError(`a packet that starts with ${bytes[start]}`)
    }
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
          this.fragments.first(
            readU64(bytes, start + 2),
            readU64(bytes, start + 10),
            head,
            bytes.subarray(this.decoder.offset, end)
          )
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
    // The bytes of an assembled message are its own: large binaries need not be copied out of them.
    this.decoder = this.large
    this.decoder.open(result.payload, 0, result.payload.length, result.head.atoms)
    this.dispatch(result.head.control)
    this.decoder = this.small
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
        this.mustBePeers(control.from)
        return inbound.demonitor(control.from, control.ref)
      case "Down":
        return inbound.down(
          control.ref,
          ExitReasonTerm.fromTerm(control.reason ?? this.decoder.readUnsafe()),
          this.peer.name
        )
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
        if (control.kind === "link" && isPid(control.to) && this.unlinking.delete(pairKey(control.to, control.from))) {
          return
        }
        return inbound.exit(control.from, addressOf(control.to, this.options.self.name), reason, control.kind)
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
          const request = this.callAt(whole)
          if (request !== undefined) {
            inbound.call(address, request)
            return
          }
        }
      } else if (arity === 2) {
        if (isAtomTag(tag)) {
          if (reader.atom().name === castName) {
            inbound.cast(
              address,
              new WireRequest(this, "Cast", from ?? this.options.self.pid, undefined, reader.pos, whole)
            )
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
    inbound.info(
      address,
      new WireRequest(this, "Info", from ?? this.options.self.pid, undefined, whole, whole)
    )
  }

  /** `{'$gen_call', {Pid, Tag}, Request}` behind its first element; undefined when it is something else. */
  private callAt(whole: number): WireRequest | undefined {
    const reader = this.decoder.cursor
    if (reader.peek() !== 104 || reader.source[reader.pos + 1] !== 2) return undefined
    reader.pos += 2
    const pidTag = reader.peek()
    if (pidTag !== 88 && pidTag !== 103) return undefined
    const caller = reader.pid()
    const tag = this.tagAt()
    return new WireRequest(this, "Call", caller, tag, reader.pos, whole)
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
      inner instanceof ImproperList && inner.elements.length === 1 && isAlias(inner.elements[0]) &&
      isReference(inner.tail)
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

  /** Has a function called once senders need not wait, or the connection has ended. The way to take it back is returned. */
  whenRoom(f: () => void): () => void {
    return this.out.whenRoom(f)
  }

  /** Sends a message, unless senders are to wait. */
  send(from: Pid, to: Address, message: Outbound): Sent {
    if (!this.open) return "closed"
    if (this.out.full) return "full"
    if (this.out.writing) return this.defer(() => this.orRefused(this.send(from, to, message)))
    return this.write(from, true, (encoder) => {
      Control.writeSend(encoder, this.flags, from, isPid(to) || isReference(to) ? to : to.name)
      this.out.payload(encoder)
      writeMessage(encoder, from, message)
    })
  }

  /** Sends a control message, whatever waits. */
  control(control: Control.Control, sender: Pid): void {
    if (!this.open) return
    if (this.out.writing) return void this.defer(() => this.control(control, sender))
    const sent = this.write(
      sender,
      false,
      (encoder) => Control.write(encoder, this.flags, control, () => this.out.payload(encoder))
    )
    if (typeof sent !== "object") return
    const { error } = sent
    // The reason holds something that is no term: that it ended must be told all the same.
    if (error instanceof EtfEncodeError && (control._tag === "Exit" || control._tag === "Down")) {
      this.control({ ...control, reason: utf8(`a reason that has no form as a term: ${error.message}`) }, sender)
    } else this.refused?.(error)
  }

  /** Writes one packet; nothing is left of it when its content throws. */
  private write(sender: Pid, mayWait: boolean, content: (encoder: Encoder) => void): Sent {
    const { out } = this
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      content(out.begin(sender))
      return this.settled(out.end(mayWait))
    } catch (error) {
      out.abort()
      return { _tag: "Refused", error }
    } finally {
      if (this.deferred.length > 0) { for (const f of this.deferred.splice(0)) f() }
    }
  }

  /** What a value sends while it is itself being written: it follows behind. */
  private readonly deferred: Array<() => void> = []

  private defer(f: () => void): Sent {
    this.deferred.push(f)
    return "sent"
  }

  private orRefused(sent: Sent): void {
    if (typeof sent === "object") this.refused?.(sent.error)
  }

  private settled(ended: Ended): Sent {
    if (ended !== "stalled") return ended
    this.close(`more than ${this.limits.maxStalledBytes} bytes wait for a peer that does not read`)
    return "closed"
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
    if (this.out.writing) return void this.defer(() => this.reply(receiver, caller, tag, message, exit))
    const from = receiver ?? this.options.self.pid
    this.orRefused(this.write(from, false, (encoder) => {
      Control.writeSend(encoder, this.flags, from, tag._tag === "Plain" ? caller : tag.alias)
      this.out.payload(encoder)
      encoder.output.tag8(104, 2)
      if (tag._tag === "Alias") writeAlias(encoder, tag.alias)
      else encoder.writeUnsafe(tag.term)
      writeReply(encoder, message, exit)
    }))
  }

  /** Told of replies and signals that could not be written. */
  refused: ((error: unknown) => void) | undefined = undefined

  // --- liveness ------------------------------------------------------------------------------------------------------

  /** Four times per tick time: says that this end is alive, and counts the silence of the other. */
  tick(): void {
    if (!this.open) return
    this.out.tick()
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

const describe = (error: unknown): string => {
  if (error instanceof Control.ControlError || error instanceof FragmentError) return error.detail
  if (error instanceof Error) return error.message
  if (typeof error === "object" && error !== null && "detail" in error) return String(error.detail)
  return String(error)
}
