/**
 * The beginning of packets that are alike: what stands before the request is the same for all calls, or all casts, of one
 * sender to one receiver, but for the reference of a call. It is written in full once and then copied.
 *
 * The copy refers to atoms by their places in the fixed part of the header. It is good as long as that stays the same
 * ({@link OutgoingAtoms.version}), and nothing is learnt from a packet that needed other atoms before its request.
 *
 * Guarantees: the bytes are those of a packet that is written in full. One beginning is kept for each connection, and only
 * once a packet was like the one before it.
 *
 * @since 0.1.0
 */
import type { Encoder } from "../../etf/Encoder.ts"
import type { Address } from "../../process/Address.ts"
import type { Outbound } from "../../process/Transport.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { OutgoingAtoms } from "./OutgoingAtoms.ts"

/** The bytes of the words of a reference, which stand behind the beginning of a call. */
const wordsSize = 12
/** A longer beginning is not worth keeping. */
const sizeMax = 512

const replyOf = (message: Outbound): Reference | undefined => message._tag === "Call" ? message.reply : undefined

export class Preamble {
  private readonly atoms: OutgoingAtoms
  // What the last packet that was written in full was like.
  private from: Pid | undefined = undefined
  private to: Address | undefined = undefined
  private kind: Outbound["_tag"] | undefined = undefined
  /** What stands at its beginning, once it is known; of a call, up to the words of the reference. */
  private bytes: Uint8Array | undefined = undefined
  private version = -1
  /** The reference of the call from which it was learnt. */
  private reply: Reference | undefined = undefined
  /** Where the payload begins in it. */
  private payloadAt = 0

  constructor(atoms: OutgoingAtoms) {
    this.atoms = atoms
  }

  /** Writes the beginning of a packet when it is known, and gives where the payload begins; else -1. */
  write(encoder: Encoder, from: Pid, to: Address, message: Outbound): number {
    const { bytes } = this
    if (bytes === undefined || from !== this.from || to !== this.to || message._tag !== this.kind) return -1
    if (this.version !== this.atoms.version) return -1
    const reply = replyOf(message)
    if (reply !== undefined && !this.isLike(reply)) return -1
    const writer = encoder.output
    const count = bytes.length
    writer.ensure(count)
    const { buffer, pos } = writer
    for (let i = 0; i < count; i++) buffer[pos + i] = bytes[i]!
    writer.pos = pos + count
    if (reply !== undefined) {
      writer.u32(reply.ids[0]!)
      writer.u32(reply.ids[1]!)
      writer.u32(reply.ids[2]!)
    }
    return pos + this.payloadAt
  }

  /** Whether a reference differs in its words only. */
  private isLike({ creation, ids, node }: Reference): boolean {
    const known = this.reply!
    return ids.length === 3 && creation === known.creation && node === known.node
  }

  /**
   * Learns from a packet that was written in full: its beginning starts at `start`, its payload at `payloadAt`, and its request
   * where the encoder is.
   */
  learn(encoder: Encoder, start: number, payloadAt: number, from: Pid, to: Address, message: Outbound): void {
    const again = from === this.from && to === this.to && message._tag === this.kind
    this.from = from
    this.to = to
    this.kind = message._tag
    this.bytes = undefined
    if (!again || !this.atoms.isFixed) return
    const reply = replyOf(message)
    if (reply !== undefined && reply.ids.length * 4 !== wordsSize) return
    const { buffer, pos } = encoder.output
    const end = reply === undefined ? pos : pos - wordsSize
    if (end - start > sizeMax) return
    this.bytes = buffer.slice(start, end)
    this.payloadAt = payloadAt - start
    this.version = this.atoms.version
    this.reply = reply
  }
}
