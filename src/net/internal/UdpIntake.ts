/**
 * Who gets a datagram, and what is counted: the queue of a UDP server, divided among its handlers.
 *
 * Every datagram that comes in is accounted for: `received` is the sum of what was handled, dropped, lost with a handler,
 * refused, and what waits.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as DatagramSocket from "effect/socket/DatagramSocket"
import type * as Behaviour from "../../process/Behaviour.ts"
import type { Stats } from "../UdpControl.ts"

/** A datagram on its way to a handler. */
export class Received {
  readonly payload: unknown
  private readonly from: DatagramSocket.Datagram
  private readonly intake: UdpIntake

  constructor(payload: unknown, from: DatagramSocket.Datagram, intake: UdpIntake) {
    this.payload = payload
    this.from = from
    this.intake = intake
  }

  get sender(): NetAddress.InetAddress {
    return this.from.address
  }

  /** A function of its own, so that it can be taken out of the datagram. */
  readonly reply = (payload: unknown): Effect.Effect<void, DatagramSocket.DatagramSocketError> =>
    this.intake.send(payload, this.from)
}

/** The client of a handler, as far as the intake uses it. */
export interface HandlerRef {
  Deliver(datagram: Received): Effect.Effect<void>
}

/** The place of a handler. */
class Slot {
  instance: Behaviour.Instance | undefined = undefined
  ref: HandlerRef | undefined = undefined
  waiting = 0
  starts = 0
}

/** @since 0.1.0 */
export class UdpIntake {
  readonly slots: ReadonlyArray<Slot>
  private readonly share: number
  private readonly maxBytes: number
  private readonly bySender: boolean
  private readonly decode: ((bytes: Uint8Array) => Result.Result<unknown, unknown>) | undefined
  private readonly encode: ((payload: unknown) => Uint8Array) | undefined
  private readonly counters = {
    received: 0,
    receivedBytes: 0,
    handled: 0,
    dropped: 0,
    lost: 0,
    oversized: 0,
    malformed: 0,
    sent: 0,
    notSent: 0
  }
  private turn = 0
  /** The socket of the present reader. */
  writer: DatagramSocket.Writer | undefined = undefined

  constructor(options: {
    readonly handlers: number
    readonly capacity: number
    readonly maxBytes: number
    readonly spread: "round_robin" | "sender"
    readonly schema: Schema.Codec<unknown, Uint8Array> | undefined
  }) {
    this.slots = Array.from({ length: options.handlers }, () => new Slot())
    this.share = Math.floor(options.capacity / options.handlers)
    this.maxBytes = options.maxBytes
    this.bySender = options.spread === "sender"
    this.decode = options.schema === undefined ? undefined : Schema.decodeUnknownResult(options.schema)
    this.encode = options.schema === undefined ? undefined : Schema.encodeUnknownSync(options.schema)
  }

  /** Takes a datagram: it goes to a handler, or is counted. */
  take(datagram: DatagramSocket.Datagram): Effect.Effect<void> {
    const { counters } = this
    const { payload } = datagram
    counters.received++
    counters.receivedBytes += payload.length
    if (payload.length > this.maxBytes) {
      counters.oversized++
      return Effect.void
    }
    const slot = this.bySender ? this.slotOf(datagram) : this.next()
    if (slot === undefined) {
      counters.dropped++
      return Effect.void
    }
    let value: unknown = payload
    if (this.decode !== undefined) {
      const decoded = this.tryDecode(this.decode, payload)
      if (Result.isFailure(decoded)) {
        counters.malformed++
        return Effect.void
      }
      value = decoded.success
    }
    slot.waiting++
    return slot.ref!.Deliver(new Received(value, datagram, this))
  }

  private tryDecode(
    decode: (bytes: Uint8Array) => Result.Result<unknown, unknown>,
    payload: Uint8Array
  ): Result.Result<unknown, unknown> {
    // oxlint-disable-next-line effect-otp/no-try -- a schema may hold user code; what it throws at does not fit
    try {
      return decode(payload)
    } catch (defect) {
      return Result.fail(defect)
    }
  }

  private next(): Slot | undefined {
    const { slots } = this
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[this.turn]!
      this.turn = this.turn + 1 === slots.length ? 0 : this.turn + 1
      if (this.hasRoom(slot)) return slot
    }
    return undefined
  }

  private slotOf(datagram: DatagramSocket.Datagram): Slot | undefined {
    const slot = this.slots[hash(datagram.address) % this.slots.length]!
    return this.hasRoom(slot) ? slot : undefined
  }

  private hasRoom(slot: Slot): boolean {
    return slot.instance?.alive === true && slot.waiting < this.share
  }

  /** A handler has started in its place; what waited for the one before is lost. */
  fill(number: number, instance: Behaviour.Instance, ref: HandlerRef): void {
    const slot = this.slots[number]!
    this.counters.lost += slot.waiting
    slot.waiting = 0
    slot.starts++
    slot.instance = instance
    slot.ref = ref
  }

  /** A handler begins with a datagram. */
  begin(number: number): void {
    this.slots[number]!.waiting--
    this.counters.handled++
  }

  send(
    payload: unknown,
    to: NetAddress.InetAddress | DatagramSocket.Datagram
  ): Effect.Effect<void, DatagramSocket.DatagramSocketError> {
    return Effect.suspend(() => {
      const { counters, encode, writer } = this
      const bytes = encode === undefined ? payload as Uint8Array : encode(payload)
      // A handler runs only while there is a socket.
      return Effect.matchEffect(writer!.write({ payload: bytes, address: to }), {
        onFailure: (error) =>
          Effect.suspend(() => {
            counters.notSent++
            return Effect.fail(error)
          }),
        onSuccess: () =>
          Effect.sync(() => {
            counters.sent++
          })
      })
    })
  }

  /** `overflowed`: what the buffer of the socket itself has dropped before it came here. */
  stats(overflowed: number): Stats {
    const { dropped, received, ...counters } = this.counters
    return {
      ...counters,
      received: received + overflowed,
      dropped: dropped + overflowed,
      waiting: this.slots.reduce((sum, slot) => sum + slot.waiting, 0),
      restarts: this.slots.reduce((sum, slot) => sum + Math.max(0, slot.starts - 1), 0)
    }
  }
}

/** FNV-1a of an address, spread over its low bits. */
const hash = ({ address, port }: NetAddress.InetAddress): number => {
  const words = NetAddress.isIpv4Address(address)
    ? NetAddress.ipv4ToOctets(address)
    : NetAddress.ipv6ToSegments(address)
  let hash = 0x811c9dc5 ^ port
  for (const word of words) hash = Math.imul(hash, 0x01000193) ^ word
  hash = Math.imul(hash, 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
