/**
 * One established connection: packets in, packets out.
 *
 * Reading (`Incoming`): control messages become signals of the node's `Inbound`, and the payload of a message is decoded
 * once its receiver is known (`IncomingMessages`). Writing (`Outgoing`): packets are collected in one buffer and written
 * once per turn of the event loop.
 *
 * Guarantees: signals of one process keep their order, whatever their size; a large message travels in fragments
 * between which others find room; a peer that does not read costs at most the documented bytes, because senders wait;
 * nothing that a peer sends throws past `receive` (it closes the connection).
 *
 * @since 0.1.0
 */
import type * as Exit from "effect/Exit"
import type { Inflate } from "../../etf/Compression.ts"
import type { Encoder } from "../../etf/Encoder.ts"
import { EtfEncodeError } from "../../etf/EtfError.ts"
import type { Address, Name } from "../../process/Address.ts"
import type * as Message from "../../process/Message.ts"
import type { Inbound, Outbound } from "../../process/Transport.ts"
import { Atom } from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import * as Control from "../Control.ts"
import * as DistFlags from "../DistFlags.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import { FragmentError } from "../Fragments.ts"
import type * as Handshake from "../Handshake.ts"
import type { Link } from "../Network.ts"
import { utf8 } from "./Bytes.ts"
import type { Compress } from "./compression.ts"
import { Incoming, type IncomingLimits } from "./Incoming.ts"
import { addressOf, IncomingMessages } from "./IncomingMessages.ts"
import { type Ended, Outgoing, type OutgoingLimits } from "./Outgoing.ts"
import { type ReplyTag, writeAlias, writeBody, writeHead, writeReply } from "./payload.ts"

/** The limits of a connection. */
export interface Limits extends OutgoingLimits, IncomingLimits {
  /** Links between this node and the peer. */
  readonly maxLinks: number
  /** Monitors of the peer on processes of this node. */
  readonly maxMonitors: number
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
  /** How payloads are compressed and inflated, when both ends can. */
  readonly compression?: { readonly compress: Compress; readonly inflate: Inflate } | undefined
  readonly onClosed: (connection: Connection, detail: string | undefined) => void
  readonly onSpawn: SpawnHandler | undefined
  readonly onSpawnReply: ((reply: Control.Control & { readonly _tag: "SpawnReply" }, node: string) => void) | undefined
}

/** What became of a message that was to be sent. `Full`: nothing happened, try again later. */
export type Sent = "sent" | "full" | "closed" | { readonly _tag: "Refused"; readonly error: unknown }

export class Connection {
  readonly peer: Handshake.Peer
  readonly link: Link
  private readonly options: ConnectionOptions
  private readonly inbound: Inbound
  private readonly limits: Limits
  private readonly able: Control.Abilities
  private readonly out: Outgoing
  private readonly incoming: Incoming
  private readonly messages: IncomingMessages
  private readonly unlinking: Map<string, number> = new Map()
  private unlinkIds = 0
  private received = false
  private silent = 0
  private open = true

  constructor(options: ConnectionOptions) {
    this.options = options
    this.peer = options.peer
    this.link = options.link
    this.inbound = options.inbound
    this.limits = options.limits
    this.able = Control.abilities(options.peer.flags)
    const compression = DistFlags.has(options.peer.flags, "compression") ? options.compression : undefined
    this.out = new Outgoing(
      options.link,
      options.peer.flags,
      options.limits,
      options.self.pid,
      options.turn,
      compression?.compress
    )
    this.incoming = new Incoming(
      options.limits,
      this.out.passThrough,
      (control) => this.dispatch(control),
      compression?.inflate
    )
    this.messages = new IncomingMessages(
      this.incoming,
      options.inbound,
      options.peer.name,
      options.self,
      (receiver, caller, tag, message, exit) => this.reply(receiver, caller, tag, message, exit)
    )
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
    this.incoming.close()
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
      packetsIn: this.incoming.packets,
      packetsOut: this.out.packets,
      bytesIn: this.incoming.bytes,
      bytesOut: this.out.bytes
    }
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  receive(bytes: Uint8Array): void {
    if (!this.open) return
    this.received = true
    // oxlint-disable-next-line effect-otp/no-try -- whatever a peer sends must not get past its connection
    try {
      this.incoming.receive(bytes)
    } catch (error) {
      this.close(describe(error))
    }
  }

  private dispatch(control: Control.Control): void {
    const { inbound } = this
    switch (control._tag) {
      case "Send":
        return this.messages.take(control.from, control.to)
      case "Monitor":
        this.mustBePeers(control.from)
        return this.limited(
          inbound.monitor(control.from, addressOf(control.to, this.options.self.name), control.ref),
          this.limits.maxMonitors,
          "monitors"
        )
      case "Demonitor":
        this.mustBePeers(control.from)
        return inbound.demonitor(control.from, control.ref)
      case "Down":
        return inbound.down(
          control.ref,
          ExitReasonTerm.fromTerm(control.reason ?? this.incoming.decoder.readUnsafe()),
          this.peer.name
        )
      case "Link":
        this.mustBePeers(control.from)
        // While an unlink of this end is not acknowledged, the link of the other is one that it ends.
        if (this.unlinking.has(pairKey(control.to, control.from))) return
        return this.limited(inbound.link(control.from, control.to), this.limits.maxLinks, "links")
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
        const reason = ExitReasonTerm.fromTerm(control.reason ?? this.incoming.decoder.readUnsafe())
        if (control.kind === "link" && isPid(control.to) && this.unlinking.delete(pairKey(control.to, control.from))) {
          return
        }
        return inbound.exit(control.from, addressOf(control.to, this.options.self.name), reason, control.kind)
      }
      case "SpawnRequest": {
        this.mustBePeers(control.from)
        const args = this.incoming.decoder.readUnsafe()
        if (this.options.onSpawn !== undefined) return this.options.onSpawn(this, control, args)
        return this.control(
          { _tag: "SpawnReply", ref: control.ref, to: control.from, flags: 0, result: new Atom("notsup") },
          this.options.self.pid
        )
      }
      case "SpawnReply":
        return this.options.onSpawnReply?.(control, this.peer.name)
      case "GroupLeader":
        return
    }
  }

  private limited(count: number, limit: number, what: string): void {
    if (count > limit) throw new Control.ControlError(`more than ${limit} ${what}`)
  }

  private mustBePeers(pid: Pid): void {
    if (pid.node !== this.peer.name) {
      throw new Control.ControlError(`a signal in the name of ${pid}, which is not of ${this.peer.name}`)
    }
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
    if (this.out.writing) return this.sendBehind(from, to, message)
    const { out } = this
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      const encoder = out.begin(from, to)
      out.beginning(encoder, from, to, message, this.beginning)
      writeBody(encoder, message)
      return this.settled(out.end(true))
    } catch (error) {
      return this.abandoned(error)
    } finally {
      if (this.deferred.length > 0) this.release()
    }
  }

  private readonly beginning = (encoder: Encoder, from: Pid, to: Address, message: Outbound): void => {
    Control.writeSend(encoder, this.able, from, isPid(to) || isReference(to) ? to : to.name)
    this.out.payload(encoder)
    writeHead(encoder, from, message)
  }

  private sendBehind(from: Pid, to: Address, message: Outbound): Sent {
    return this.defer(() => this.orRefused(this.send(from, to, message)))
  }

  /** Begins or ends a monitor. */
  monitor(what: "Monitor" | "Demonitor", from: Pid, to: Pid | Name, ref: Reference): void {
    if (!this.open) return
    if (this.out.writing) return this.monitorBehind(what, from, to, ref)
    const { out } = this
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      Control.writeMonitor(out.begin(from, to), what, from, isPid(to) ? to : to.name, ref)
      this.settled(out.end(false))
    } catch (error) {
      this.refused?.(this.abandoned(error).error)
    } finally {
      if (this.deferred.length > 0) this.release()
    }
  }

  private monitorBehind(what: "Monitor" | "Demonitor", from: Pid, to: Pid | Name, ref: Reference): void {
    this.defer(() => this.monitor(what, from, to, ref))
  }

  /** Asks the peer to start a process, unless senders are to wait. */
  spawn(request: Control.Control & { readonly _tag: "SpawnRequest" }, args: Term): Sent {
    if (!this.open) return "closed"
    if (this.out.full) return "full"
    if (this.out.writing) return this.defer(() => this.orRefused(this.spawn(request, args)))
    return this.write(request.from, undefined, true, (encoder) => {
      Control.write(encoder, this.able, request)
      this.out.payload(encoder)
      encoder.writeUnsafe(args)
    })
  }

  /** Sends a control message, whatever waits. */
  control(control: Control.Control, sender: Pid): void {
    if (!this.open) return
    if (this.out.writing) return void this.defer(() => this.control(control, sender))
    const sent = this.write(
      sender,
      "to" in control ? addressOf(control.to, this.peer.name) : undefined,
      false,
      (encoder) => Control.write(encoder, this.able, control, () => this.out.payload(encoder))
    )
    if (typeof sent !== "object") return
    const { error } = sent
    // The reason holds something that is no term: that it ended must be told all the same.
    if (error instanceof EtfEncodeError && (control._tag === "Exit" || control._tag === "Down")) {
      this.control({ ...control, reason: utf8(`a reason that has no form as a term: ${error.message}`) }, sender)
    } else this.refused?.(error)
  }

  /** Writes one packet; nothing is left of it when its content throws. */
  private write(sender: Pid, to: Address | undefined, mayWait: boolean, content: (encoder: Encoder) => void): Sent {
    const { out } = this
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      content(out.begin(sender, to))
      return this.settled(out.end(mayWait))
    } catch (error) {
      return this.abandoned(error)
    } finally {
      if (this.deferred.length > 0) this.release()
    }
  }

  private abandoned(error: unknown): { readonly _tag: "Refused"; readonly error: unknown } {
    this.out.abort()
    return { _tag: "Refused", error }
  }

  /** Sends what had to wait while a packet was being written. */
  private release(): void {
    for (const f of this.deferred.splice(0)) f()
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
    if (this.unlinking.size > this.limits.maxLinks) {
      return this.close(`more than ${this.limits.maxLinks} unlinks that it does not acknowledge`)
    }
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
    if (this.out.writing) return this.replyBehind(receiver, caller, tag, message, exit)
    const from = receiver ?? this.options.self.pid
    const to = isReference(tag) ? tag : tag._tag === "Plain" ? caller : tag.alias
    const { out } = this
    // oxlint-disable-next-line effect-otp/no-try -- encoders report by throwing
    try {
      const encoder = out.begin(from, to)
      Control.writeSend(encoder, this.able, from, to)
      out.payload(encoder)
      encoder.output.tag8(104, 2)
      if (isReference(tag)) writeAlias(encoder, tag)
      else encoder.writeUnsafe(tag.term)
      writeReply(encoder, message, exit)
      this.settled(out.end(false))
    } catch (error) {
      this.refused?.(this.abandoned(error).error)
    } finally {
      if (this.deferred.length > 0) this.release()
    }
  }

  private replyBehind(...args: Parameters<Connection["reply"]>): void {
    this.defer(() => this.reply(...args))
  }

  /** Told of replies and signals that could not be written. */
  refused: ((error: unknown) => void) | undefined = undefined

  // --- liveness ------------------------------------------------------------------------------------------------------

  /** Four times per tick time: says that this end is alive, and counts the silence of the other. */
  tick(): void {
    if (!this.open) return
    this.out.tick()
    const stale = this.incoming.age()
    if (stale !== undefined) return this.close(stale.detail)
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

const pairKey = (local: Pid, remote: Pid): string =>
  `${local.id}.${local.serial}>${remote.id}.${remote.serial}.${remote.creation}`

const describe = (error: unknown): string => {
  if (error instanceof Control.ControlError || error instanceof FragmentError) return error.detail
  if (error instanceof Error) return error.message
  if (typeof error === "object" && error !== null && "detail" in error) return String(error.detail)
  return String(error)
}
