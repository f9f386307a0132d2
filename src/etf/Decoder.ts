/**
 * Bytes to terms.
 *
 * A `Decoder` reads the External Term Format: everything Erlang/OTP 25 to 28 sends, and the old tags that
 * `term_to_binary` of the past wrote. It is made once and reused; it holds the limits, the table of recent atoms and
 * a cursor, so it serves one input at a time.
 *
 * Guarantees: every length is checked before it is believed; nesting of any allowed depth leaves the call stack flat; the
 * only error is `EtfDecodeError`; a decoded binary never shares memory with the input unless asked to. Refused: NaN and
 * infinities, duplicate keys, the removed `FUN_EXT`, native records of OTP 29, nested or unlimited compression.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Atom } from "../term/Atom.ts"
import type { Term } from "../term/Term.ts"
import type { Inflate } from "./Compression.ts"
import * as Limits from "./DecodeLimits.ts"
import { EtfDecodeError } from "./EtfError.ts"
import { DecodeFailure } from "./internal/Cursor.ts"
import { Reader } from "./internal/Reader.ts"

/**
 * Options of a decoder: any of the limits, and what follows.
 *
 * @category models
 * @since 0.1.0
 */
export interface DecoderOptions extends Partial<Limits.DecodeLimits> {
  /** How to inflate compressed terms. Without it they are refused. */
  readonly inflate?: Inflate | undefined
  /**
   * Whether binaries are copied out of the input or share its memory. `share` is faster for large binaries, keeps the
   * whole input alive and is wrong when the input's buffer is reused. Default `copy`.
   */
  readonly binaries?: "copy" | "share" | undefined
}

/** A failure further into the input than this gets no path: finding it would take as long again. */
const traceMax = 1024 * 1024

/**
 * Reads terms from bytes. See {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export class Decoder {
  private readonly reader: Reader
  private readonly limits: Limits.DecodeLimits
  private readonly inflate: Inflate | undefined
  /** Where the term that is being read starts, -1 before it is known. */
  private start: number

  constructor(options: DecoderOptions = {}) {
    const { binaries, inflate, ...limits } = options
    this.limits = { ...Limits.defaults, ...limits }
    this.reader = new Reader(this.limits, binaries === "share")
    this.inflate = inflate
    this.start = -1
  }

  /**
   * The term of a stand-alone encoding: version byte, one term, nothing behind it.
   */
  decode(bytes: Uint8Array): Result.Result<Term, EtfDecodeError> {
    // oxlint-disable-next-line effect-otp/no-try -- the reader leaves a malformed input by throwing: that costs nothing on the way that succeeds
    try {
      return Result.succeed(this.decodeUnsafe(bytes))
    } catch (error) {
      if (error instanceof EtfDecodeError) return Result.fail(error)
      throw error
    }
  }

  /**
   * Like {@link decode}, but throws the `EtfDecodeError`.
   */
  decodeUnsafe(bytes: Uint8Array): Term {
    const reader = this.reader
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
    try {
      this.prepare(bytes)
      const term = reader.peek() === 121 ? reader.local() : reader.term(0)
      reader.done()
      return term
    } catch (failure) {
      throw this.explain(failure)
    }
  }

  /**
   * Points the decoder at a part of a buffer, without a version byte: the inside of a distribution packet.
   *
   * `atoms` are the atoms of the packet's header, in its order; without them tag 82 is refused. Then
   * {@link readUnsafe} takes one term after the other. The limit of bytes does not apply here: packets have their own.
   */
  open(bytes: Uint8Array, start: number, end: number, atoms?: ReadonlyArray<Atom>): void {
    // A Buffer's `slice` does not copy: work on the plain view.
    const plain = bytes.constructor === Uint8Array
      ? bytes
      : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    this.start = -1
    this.reader.open(plain, start, end, atoms)
  }

  /**
   * The next term of what {@link open} was given. Throws `EtfDecodeError`.
   */
  readUnsafe(): Term {
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
    try {
      this.start = this.reader.pos
      this.reader.begin()
      return this.reader.term(0)
    } catch (failure) {
      throw this.explain(failure)
    }
  }

  /**
   * Where the next {@link readUnsafe} starts: an offset into the buffer given to {@link open}.
   */
  get offset(): number {
    return this.reader.pos
  }

  /**
   * The bytes that are left of what {@link open} was given.
   */
  get remaining(): number {
    return this.reader.end - this.reader.pos
  }

  /**
   * The cursor itself, for compiled codecs.
   *
   * @internal
   */
  get cursor(): Reader {
    return this.reader
  }

  /**
   * Reads a stand-alone term's prologue, for compiled codecs: version byte and compression. Throws.
   *
   * @internal
   */
  prepare(bytes: Uint8Array): Reader {
    this.open(bytes, 0, bytes.length)
    this.reader.version()
    if (this.reader.peek() === 80) this.openCompressed()
    this.start = this.reader.pos
    return this.reader
  }

  private openCompressed(): void {
    const reader = this.reader
    const packed = reader.compressed()
    if (this.inflate === undefined) {
      throw new DecodeFailure("Compressed", reader.pos, "this decoder does not inflate; give it `inflate`")
    }
    if (packed.size > this.limits.maxInflatedBytes) {
      throw new DecodeFailure(
        "Limit",
        reader.pos,
        `${packed.size} bytes when inflated, the limit is ${this.limits.maxInflatedBytes}`
      )
    }
    const inflated = this.inflate(packed.bytes, packed.size)
    if (Result.isFailure(inflated) || inflated.success.length !== packed.size) {
      throw new DecodeFailure("Compressed", reader.pos, `not a zlib stream of ${packed.size} bytes`)
    }
    reader.open(inflated.success, 0, packed.size, undefined)
    if (reader.peek() === 80) throw new DecodeFailure("Compressed", 0, "a compressed term inside a compressed term")
  }

  // Malformed input is read a second time, slowly, to learn the path: the fast reader does not keep one.
  private explain(failure: unknown): unknown {
    if (!(failure instanceof DecodeFailure)) return failure
    const { detail, offset, reason } = failure
    let path: ReadonlyArray<string> = []
    if (this.start >= 0 && reason !== "TrailingBytes" && offset - this.start <= traceMax) {
      this.reader.rewind(this.start)
      path = this.reader.trace()
    }
    return new EtfDecodeError({ reason, offset, path, detail })
  }
}

/**
 * A decoder with the given limits.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import { Decoder } from "effect-otp/etf"
 *
 * const decoder = Decoder.make({ maxDepth: 1000 })
 * Result.getOrThrow(decoder.decode(Uint8Array.of(131, 107, 0, 2, 104, 105))) // => [104, 105]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: DecoderOptions): Decoder => new Decoder(options)
