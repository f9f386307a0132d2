/**
 * The reading half of a connection: bytes as they arrive become control messages.
 *
 * Complete packets are parsed where they arrived; only what is incomplete is copied. Fragments are put together, the
 * atom cache is kept, and for each control message `handle` is called with the decoder behind it, at its payload.
 *
 * Guarantees: what is held is bounded by the limits; whatever is malformed ends in an exception of `receive`, after which
 * the connection is to be closed.
 *
 * @since 0.1.0
 */
import { AtomCacheReader } from "../../etf/AtomCache.ts"
import type { Inflate } from "../../etf/Compression.ts"
import { Decoder } from "../../etf/Decoder.ts"
import type { Atom } from "../../term/Atom.ts"
import * as Control from "../Control.ts"
import { FragmentError, Fragments, progressBytes } from "../Fragments.ts"
import { readU32, readU64 } from "./Bytes.ts"
import { decompress } from "./compression.ts"
import { Growing } from "./Growing.ts"

/** The limits of what is read. */
export interface IncomingLimits {
  /** Bytes of one packet that is read. */
  readonly maxFrameBytes: number
  /** Bytes of unfinished messages that are read. */
  readonly maxFragmentBytes: number
  /** Unfinished messages that are read. */
  readonly maxFragments: number
  /** Bytes of those among them that were only begun. */
  readonly maxBegunBytes: number
  /** Levels of nesting in what is read. */
  readonly maxDepth: number
  /** Bytes of a compressed payload when it is inflated. */
  readonly maxInflatedBytes: number
  /** Elements in one term. */
  readonly maxElements: number
  /** Atoms that are remembered to be recognised. */
  readonly maxAtoms: number
}

/** Fragments from this size on are not collected before they are looked at. */
const streamedBytes = 16 * 1024
/** A buffer for incomplete packets that is larger is given back when it is empty. */
const keepBytes = 256 * 1024
const nothing = new Uint8Array(0)
/** At how many calls of `age` in succession something may be found where it was. */
const ages = 4
/** What an atom costs besides its characters, about. */
const atomBytes = 64

/** About how many bytes the atoms of a header keep in memory. */
const weightOf = (atoms: ReadonlyArray<Atom>): number =>
  atoms.reduce((bytes, { name }) => bytes + atomBytes + 2 * name.length, 0)

/** @since 0.1.0 */
export class Incoming {
  /** At the payload of the control message that is being handled. */
  decoder: Decoder
  packets = 0
  bytes = 0
  private readonly limits: IncomingLimits
  private readonly passThrough: boolean
  /** How payloads are inflated, when it was agreed that they may be compressed. */
  private readonly inflate: Inflate | undefined
  private readonly handle: (control: Control.Control) => void
  private readonly small: Decoder
  private large: Decoder | undefined = undefined
  private readonly readCache: AtomCacheReader = new AtomCacheReader()
  /** Control messages and payloads as they stood in their packets, with the atoms of the first. */
  private readonly fragments: Fragments<ReadonlyArray<Atom>>
  private readonly held = new Growing(0)
  /** The packet that was incomplete at the last call of `age`: the number of those before it, its bytes, its age. */
  private readonly standing = { packets: 0, bytes: 0, age: 0 }
  /** Bytes that are still to come of a fragment that is taken in pieces. */
  private missing = 0
  private open = true

  /** `passThrough` says that packets have no header. */
  constructor(
    limits: IncomingLimits,
    passThrough: boolean,
    handle: (control: Control.Control) => void,
    inflate?: Inflate
  ) {
    this.inflate = inflate
    this.limits = limits
    this.passThrough = passThrough
    this.handle = handle
    this.small = this.decoder = this.makeDecoder("copy")
    this.fragments = new Fragments({
      maxSequences: limits.maxFragments,
      maxBytes: limits.maxFragmentBytes,
      maxBegunBytes: limits.maxBegunBytes
    })
  }

  private makeDecoder(binaries: "copy" | "share"): Decoder {
    const { maxAtoms, maxDepth, maxElements } = this.limits
    return new Decoder({ maxDepth, maxElements, atomTableSize: maxAtoms, binaries })
  }

  /** Nothing more is handled, not even what has arrived already; what was incomplete is freed. */
  close(): void {
    this.open = false
    this.fragments.clear()
    // Who waits for an answer of a process keeps this reader, but not what it read last.
    this.decoder.open(nothing, 0, 0)
    this.large = undefined
    this.held.bytes = new Uint8Array(0)
    this.held.length = 0
  }

  /**
   * Called four times per tick time: an error when a packet or message was begun and has not gone on for three quarters
   * of it. What does not come to {@link progressBytes} is no going on.
   */
  age(): FragmentError | Control.ControlError | undefined {
    const { held, packets, standing } = this
    if (held.length < 4 || packets !== standing.packets || held.length - standing.bytes >= progressBytes) {
      standing.packets = packets
      standing.bytes = held.length
      standing.age = 0
    } else if (++standing.age >= ages) {
      return new Control.ControlError("a packet was begun and is not gone on with")
    }
    return this.fragments.age(ages)
  }

  /** Handles what arrived. Throws when it is malformed. */
  receive(chunk: Uint8Array): void {
    // Once for all packets: a decoder works on plain arrays, because a Buffer's `slice` does not copy.
    const bytes = chunk.constructor === Uint8Array
      ? chunk
      : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)
    this.bytes += bytes.length
    const { held } = this
    let at = 0
    if (this.missing > 0) {
      at = Math.min(bytes.length, this.missing)
      this.piece(bytes.subarray(0, at))
    }
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
    if (at < bytes.length && this.open && !this.beginFragment(bytes, at)) held.append(bytes.subarray(at))
  }

  /**
   * A large further fragment of which only the beginning has arrived: its bytes go where they belong as they come. False
   * when it is something else.
   */
  private beginFragment(bytes: Uint8Array, at: number): boolean {
    if (this.passThrough || bytes.length - at < 22 || bytes[at + 4] !== 131 || bytes[at + 5] !== 70) return false
    const length = this.lengthAt(bytes, at)
    if (length < streamedBytes) return false
    const failure = this.fragments.begin(readU64(bytes, at + 6), readU64(bytes, at + 14))
    if (failure !== undefined) throw failure
    this.packets++
    this.missing = 4 + length - 22
    this.piece(bytes.subarray(at + 22))
    return true
  }

  private piece(bytes: Uint8Array): void {
    const failure = this.fragments.push(bytes, true)
    if (failure !== undefined) throw failure
    this.missing -= bytes.length
    if (this.missing === 0) this.fragment(this.fragments.end())
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
    this.packets++
    if (bytes[start] === 112 && this.passThrough) return this.bare(bytes, start + 1, end)
    if (bytes[start] !== 131 || end - start < 2) {
      throw new Control.ControlError(`a packet that starts with ${bytes[start]}`)
    }
    switch (bytes[start + 1]) {
      case 68:
        this.openAt(bytes, start + 2, end)
        return this.take(Control.readUnsafe(this.decoder), this.readCache.atoms)
      case 69: {
        if (end - start < 18) throw new Control.ControlError("a first fragment without its numbers")
        this.openAt(bytes, start + 18, end)
        const control = Control.readUnsafe(this.decoder)
        if (!Control.hasPayload(control)) throw new Control.ControlError(`a ${control._tag} in fragments`)
        const count = readU64(bytes, start + 10)
        const { atoms, offset } = this.readCache
        // All of it: as any other packet.
        if (count === 1n) return this.take(control, atoms)
        // The control message is kept as bytes: as terms it could be many times as large.
        const id = readU64(bytes, start + 2)
        return this.fragment(this.fragments.first(id, count, atoms, bytes.subarray(offset, end), weightOf(atoms)))
      }
      case 70:
        if (end - start < 18) throw new Control.ControlError("a fragment without its numbers")
        return this.fragment(
          this.fragments.next(
            readU64(bytes, start + 2),
            readU64(bytes, start + 10),
            bytes.subarray(start + 18, end),
            bytes !== this.held.bytes
          )
        )
      default:
        throw new Control.ControlError(`a packet of kind ${bytes[start + 1]}`)
    }
  }

  /** Opens the decoder behind the header of a packet. */
  private openAt(bytes: Uint8Array, at: number, end: number): void {
    const failure = this.readCache.read(bytes, at, end)
    if (failure !== undefined) throw failure
    this.decoder.open(bytes, this.readCache.offset, end, this.readCache.atoms)
  }

  private fragment(result: ReturnType<typeof this.fragments.next>): void {
    if (result === undefined) return
    if (result instanceof FragmentError) throw result
    // The bytes of an assembled message are its own: large binaries need not be copied out of them.
    const { head, payload } = result
    const large = this.decoder = this.large ??= this.makeDecoder("share")
    large.open(payload, 0, payload.length, head)
    this.take(Control.readUnsafe(large), head)
    // The message is with whom it is for: nothing here keeps it alive until the next.
    large.open(nothing, 0, 0)
    this.decoder = this.small
  }

  /** Handles a control message, with its payload as it was before it was compressed. */
  private take(control: Control.Control, atoms: ReadonlyArray<Atom>): void {
    const { decoder, inflate } = this
    const { cursor } = decoder
    if (inflate === undefined || decoder.remaining === 0 || cursor.peek() !== 80 || !Control.hasPayload(control)) {
      return this.handle(control)
    }
    const payload = decompress(cursor.source.subarray(cursor.pos, cursor.end), inflate, this.limits.maxInflatedBytes)
    this.decoder = this.large ??= this.makeDecoder("share")
    this.decoder.open(payload, 0, payload.length, atoms)
    this.handle(control)
    this.decoder.open(nothing, 0, 0)
    this.decoder = this.small
  }

  private bare(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] !== 131) throw new Control.ControlError("a control message without a version")
    this.decoder.open(bytes, start + 1, end)
    const control = Control.readUnsafe(this.decoder)
    if (Control.hasPayload(control)) {
      if (this.decoder.cursor.peek() !== 131) throw new Control.ControlError("a payload without a version")
      this.decoder.cursor.pos++
    }
    this.handle(control)
  }
}
