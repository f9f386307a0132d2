/**
 * The growing buffer under `Writer`: bytes, words, texts and numbers one after another.
 *
 * A method whose name begins with `put` is given a position that has {@link roomy} bytes behind it, and returns the next
 * one. So a position can stay in a register over many of them, and the end of the buffer is looked at once for each term;
 * all others write at `pos` and make room themselves.
 *
 * Refused, with an `EncodeFailure`: more bytes than allowed, and numbers that Erlang has not.
 *
 * @since 0.1.0
 */
import type { EncodeReason } from "../EtfError.ts"
import { encodeUtf8Into } from "./text.ts"

/** Thrown inside the codec; never seen outside. */
export class EncodeFailure {
  readonly reason: EncodeReason
  readonly detail: string

  constructor(reason: EncodeReason, detail: string) {
    this.reason = reason
    this.detail = detail
  }
}

/** More bytes than any term takes whose size is bounded; the largest is a reference. */
export const roomy = 96

/** A buffer larger than this is given back after use. */
const keepMax = 1024 * 1024

// Small outputs share a buffer: allocating one for each costs more than writing it.
const sharedBytes = 16_384
const sharedMax = 2048
/** So much room a new output finds at least; one that needs more moves to a larger buffer. */
const roomMin = 512

const wordsOf = (buffer: Uint8Array): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length)

/** See the file's comment. */
export class Output {
  buffer: Uint8Array
  pos: number
  /** Where the output begins: what is before belongs to those who took it. */
  base = 0
  /** The buffer again, for words and floats, for outputs to be parts of, and its length. */
  protected words: DataView
  private memory: ArrayBufferLike
  protected end: number
  /** Where the next output may begin. */
  private free = 0
  private room = roomMin
  private readonly initial: number
  private readonly maxBytes: number

  constructor(initial: number, maxBytes: number) {
    this.initial = initial
    this.maxBytes = maxBytes
    this.buffer = new Uint8Array(initial)
    this.words = wordsOf(this.buffer)
    this.memory = this.buffer.buffer
    this.end = initial
    this.pos = 0
  }

  /** Starts a new output. */
  reset(): void {
    const { buffer, free } = this
    if (free === 0 ? buffer.length > keepMax : buffer.length > sharedBytes || buffer.length - free < this.room) {
      this.replace(new Uint8Array(free === 0 ? this.initial : sharedBytes))
      this.free = 0
    }
    this.pos = this.base = this.free
  }

  /** Goes on in another buffer. */
  replace(buffer: Uint8Array): void {
    this.buffer = buffer
    this.words = wordsOf(buffer)
    this.memory = buffer.buffer
    this.end = buffer.length
  }

  /** What was written: a small output stays where it is, a large one is copied. */
  take(): Uint8Array {
    const { base, buffer, pos } = this
    const size = pos - base
    if (size > sharedMax) return buffer.slice(base, pos)
    this.free = pos
    // The next one is likely to be of its kind.
    this.room = Math.max(roomMin, size + (size >> 1))
    return new Uint8Array(this.memory, buffer.byteOffset + base, size)
  }

  /** Makes room for `count` more bytes. Small, so that it is inlined wherever something is written. */
  ensure(count: number): void {
    if (this.pos + count > this.end) this.grow(count)
  }

  private grow(count: number): void {
    const needed = this.pos + count
    // Room is asked for in advance; whether the output itself is too large, its end shows.
    if (needed - this.base > this.maxBytes + roomy) {
      throw new EncodeFailure("Limit", `larger than ${this.maxBytes} bytes`)
    }
    const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2))
    grown.set(this.buffer.subarray(this.base, this.pos), this.base)
    this.replace(grown)
  }

  /** Makes room for one more term behind what is written up to `at`. */
  protected growAt(at: number): void {
    this.pos = at
    this.grow(roomy)
  }

  u8(value: number): void {
    this.ensure(1)
    this.buffer[this.pos++] = value
  }

  /** A tag and a byte. */
  tag8(tag: number, value: number): void {
    this.ensure(2)
    const buffer = this.buffer
    buffer[this.pos] = tag
    buffer[this.pos + 1] = value
    this.pos += 2
  }

  /** A tag and a 32-bit word. */
  tag32(tag: number, value: number): void {
    this.ensure(5)
    const at = this.pos
    this.buffer[at] = tag
    this.words.setUint32(at + 1, value)
    this.pos = at + 5
  }

  u32(value: number): void {
    this.ensure(4)
    this.words.setUint32(this.pos, value)
    this.pos += 4
  }

  raw(bytes: Uint8Array): void {
    const count = bytes.length
    this.ensure(count)
    if (count < 16) {
      const buffer = this.buffer
      const at = this.pos
      for (let i = 0; i < count; i++) buffer[at + i] = bytes[i]!
    } else this.buffer.set(bytes, this.pos)
    this.pos += count
  }

  binary(bytes: Uint8Array): void {
    this.tag32(109, bytes.length)
    this.raw(bytes)
  }

  /** A text as a binary in UTF-8. The text has no lone surrogates. */
  text(text: string): void {
    const length = text.length
    this.ensure(5 + length * 3)
    const start = this.pos + 5
    const buffer = this.buffer
    let written = 0
    if (length <= 40) {
      for (; written < length; written++) {
        const unit = text.charCodeAt(written)
        if (unit > 127) break
        buffer[start + written] = unit
      }
    }
    if (written < length) written = encodeUtf8Into(text, buffer, start)
    this.tag32(109, written)
    this.pos = start + written
  }

  arity(count: number): void {
    this.ensure(roomy)
    this.pos = this.putArity(count, this.pos)
  }

  /** The head of a tuple. */
  protected putArity(count: number, at: number): number {
    const { buffer } = this
    if (count < 256) {
      buffer[at] = 104
      buffer[at + 1] = count
      return at + 2
    }
    buffer[at] = 105
    this.words.setUint32(at + 1, count)
    return at + 5
  }

  integer(value: number): void {
    if (value >= 0 && value <= 255) this.tag8(97, value)
    else if (value >= -0x80000000 && value <= 0x7fffffff) this.tag32(98, value)
    else {
      this.ensure(11)
      const buffer = this.buffer
      let at = this.pos
      let rest = Math.abs(value)
      buffer[at] = 110
      buffer[at + 2] = value < 0 ? 1 : 0
      at += 3
      const start = at
      while (rest > 0) {
        buffer[at++] = rest % 256
        rest = Math.floor(rest / 256)
      }
      buffer[start - 2] = at - start
      this.pos = at
    }
  }

  bigint(value: bigint): void {
    if (value >= -9007199254740991n && value <= 9007199254740991n) return this.integer(Number(value))
    const negative = value < 0n
    const digits = (negative ? -value : value).toString(16)
    const count = (digits.length + 1) >> 1
    this.ensure(count + 6)
    if (count < 256) this.tag8(110, count)
    else this.tag32(111, count)
    const buffer = this.buffer
    buffer[this.pos++] = negative ? 1 : 0
    for (let end = digits.length; end > 0; end -= 2) {
      buffer[this.pos++] = parseInt(digits.slice(Math.max(0, end - 2), end), 16)
    }
  }

  float(value: number): void {
    if (!Number.isFinite(value)) {
      throw new EncodeFailure("NotFinite", `${value} has no Erlang float; send an atom instead`)
    }
    this.ensure(9)
    const at = this.pos
    this.buffer[at] = 70
    this.words.setFloat64(at + 1, value)
    this.pos = at + 9
  }

  /** A number that stands for itself: an integer when it is a safe one, else a float. */
  number(value: number): void {
    this.ensure(roomy)
    this.pos = this.putNumber(value, this.pos)
  }

  protected putNumber(value: number, at: number): number {
    const { buffer } = this
    if ((value & 255) === value) {
      buffer[at] = 97
      buffer[at + 1] = value
      return at + 2
    }
    if ((value | 0) === value) {
      buffer[at] = 98
      this.words.setInt32(at + 1, value)
      return at + 5
    }
    this.pos = at
    if (Number.isSafeInteger(value)) this.integer(value)
    else this.float(value)
    return this.pos
  }
}
