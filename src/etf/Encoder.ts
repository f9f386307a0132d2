/**
 * Terms to bytes.
 *
 * An `Encoder` writes the External Term Format as Erlang/OTP 26 and later does: the smallest form of every value, UTF-8
 * atoms, new identifiers. It is made once and reused; its buffer grows as needed, and nothing is allocated per term.
 *
 * Guarantees: nesting of any allowed depth leaves the call stack flat; the only error is `EtfEncodeError`. Refused: NaN,
 * the infinities and whatever is no term, each with the path to it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { LocalTerm } from "../term/LocalTerm.ts"
import type { Term } from "../term/Term.ts"
import { EtfEncodeError } from "./EtfError.ts"
import { EncodeFailure } from "./internal/Output.ts"
import { type AtomSink, Writer } from "./internal/Writer.ts"

/**
 * Options of an encoder.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncoderOptions {
  /** Bytes of the first buffer. Default 1024. */
  readonly initialBytes?: number | undefined
  /** Bytes of one encoded term at most. Default 128 MiB. */
  readonly maxBytes?: number | undefined
  /** Levels of nesting at most, which also ends a value that contains itself. Default 1 048 576. */
  readonly maxDepth?: number | undefined
}

/**
 * Decides which atoms travel as references to the header of a packet. See `AtomCache`.
 *
 * @category models
 * @since 0.1.0
 */
export type AtomReferences = AtomSink

/**
 * Writes terms to bytes. See {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export class Encoder {
  private readonly writer: Writer
  private readonly maxBytes: number

  constructor(options: EncoderOptions = {}) {
    this.maxBytes = options.maxBytes ?? 128 * 1024 * 1024
    this.writer = new Writer(options.initialBytes ?? 1024, this.maxBytes, options.maxDepth ?? 1_048_576)
  }

  /**
   * The stand-alone encoding of a term, version byte first. The bytes are the caller's; small outputs are parts of a
   * common `ArrayBuffer`, so pass the array on and never its `buffer`.
   */
  encode(term: Term): Result.Result<Uint8Array, EtfEncodeError> {
    // oxlint-disable-next-line effect-otp/no-try -- the writer leaves a value that is no term by throwing: that costs nothing on the way that succeeds
    try {
      return Result.succeed(this.encodeUnsafe(term))
    } catch (error) {
      if (error instanceof EtfEncodeError) return Result.fail(error)
      throw error
    }
  }

  /**
   * Like {@link encode}, but throws the `EtfEncodeError`.
   */
  encodeUnsafe(term: Term): Uint8Array {
    const { writer } = this
    writer.reset()
    writer.u8(131)
    if (term instanceof LocalTerm) {
      writer.u8(121)
      writer.raw(term.bytes)
    } else this.writeUnsafe(term)
    return writer.take()
  }

  /**
   * Starts a new output. `atoms` decides from now on which atoms are written as references.
   */
  begin(atoms?: AtomReferences): void {
    this.writer.reset()
    this.writer.atoms = atoms
  }

  /**
   * Appends one term without a version byte. Throws `EtfEncodeError` and then leaves the output as it was before.
   */
  writeUnsafe(term: Term): void {
    const writer = this.writer
    const start = writer.pos
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
    try {
      writer.term(term, 0)
      if (writer.pos - writer.base > this.maxBytes) {
        throw new EncodeFailure("Limit", `larger than ${this.maxBytes} bytes`)
      }
    } catch (failure) {
      writer.pos = start
      if (!(failure instanceof EncodeFailure)) throw failure
      // Written a second time, slowly, to learn the path.
      const path = writer.trace(term)
      writer.pos = start
      throw new EtfEncodeError({ reason: failure.reason, path, detail: failure.detail })
    }
  }

  /** The number of bytes written since {@link begin}. */
  get length(): number {
    return this.writer.pos - this.writer.base
  }

  /**
   * What was written, as a view of the buffer: valid until the next use of the encoder.
   */
  view(): Uint8Array {
    return this.writer.buffer.subarray(this.writer.base, this.writer.pos)
  }

  /** What was written; it is the caller's. As with {@link encode}, small outputs share an `ArrayBuffer`. */
  take(): Uint8Array {
    return this.writer.take()
  }

  /**
   * The buffer itself, for compiled codecs.
   *
   * @internal
   */
  get output(): Writer {
    return this.writer
  }
}

/**
 * An encoder.
 *
 * @example
 * ```ts
 * import { Encoder } from "effect-otp/etf"
 *
 * Encoder.make().encodeUnsafe([1, 2]) // => Uint8Array.of(131, 107, 0, 2, 1, 2)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: EncoderOptions): Encoder => new Encoder(options)
