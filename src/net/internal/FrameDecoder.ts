/**
 * The one decoder of framings, and the one that makes values of frames.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Decoder, Fed, Found } from "../Framing.ts"
import { FrameError } from "../NetError.ts"
import { Carry } from "./Carry.ts"

/**
 * Looks for the first frame in `bytes` from `start` to `end`. `seen` bytes of them were looked at before, without success.
 */
export type Find<In> = (bytes: Uint8Array, start: number, end: number, seen: number) => Found<In>

/** Cuts bytes into frames, whatever the chunks they come in. */
export class FrameDecoder<In> implements Decoder<In> {
  private readonly name: string
  private readonly maxBytes: number
  private readonly find: Find<In>
  private readonly carry = new Carry()
  private seen = 0
  private needed = 1
  private error: FrameError | undefined = undefined

  /** `maxBytes` is the limit for a frame with all that belongs to it on the wire. */
  constructor(name: string, maxBytes: number, find: Find<In>) {
    this.name = name
    this.maxBytes = maxBytes
    this.find = find
  }

  get pending(): number {
    return this.carry.length
  }

  feed(chunk: Uint8Array): Fed<In> {
    if (this.error !== undefined) return { frames: [], error: this.error }
    const { carry } = this
    const frames: Array<In> = []
    carry.append(chunk)
    while (carry.length > 0 && carry.length >= this.needed) {
      const found = this.look()
      if (found._tag === "Frame") {
        // Zero would find the same frame for ever, and bytes that are not there belong to nobody.
        if (!(found.size > 0 && found.size <= carry.length)) {
          this.fail("Malformed", `a frame of ${found.size} bytes was found among ${carry.length}`)
          break
        }
        if (found.size > this.maxBytes) {
          this.tooLarge(found.size)
          break
        }
        frames.push(found.frame)
        carry.skip(found.size)
        this.seen = 0
        this.needed = 1
      } else if (found._tag === "More") {
        this.seen = carry.length
        this.needed = Math.max(found.atLeast, carry.length + 1)
        if (this.needed > this.maxBytes) this.tooLarge(found.atLeast)
        break
      } else {
        this.fail("Malformed", found.detail)
        break
      }
    }
    carry.settle()
    return { frames, error: this.error }
  }

  finish(): FrameError | undefined {
    if (this.error === undefined && this.carry.length > 0) {
      this.fail("Incomplete", `the stream ended after ${this.carry.length} bytes of a frame`)
    }
    return this.error
  }

  private look(): Found<In> {
    const { carry } = this
    // oxlint-disable-next-line effect-otp/no-try -- a decoder may be user code; bytes it throws at are no frame
    try {
      return this.find(carry.bytes, carry.start, carry.end, this.seen)
    } catch (defect) {
      return { _tag: "Broken", detail: `the decoder threw ${String(defect)}` }
    }
  }

  private tooLarge(size: number): void {
    const what = size > this.maxBytes ? `a frame of ${size} bytes` : "a frame without an end"
    this.fail("TooLarge", `${what}, where ${this.maxBytes} bytes are allowed`)
  }

  private fail(reason: FrameError["reason"], detail: string): void {
    this.error = new FrameError({ framing: this.name, reason, detail })
    this.carry.skip(this.carry.length)
  }
}

/** Decodes the frames of another decoder; the first that does not fit is its last. */
export class ValueDecoder<I, A> implements Decoder<A> {
  private readonly inner: Decoder<I>
  private readonly decode: (frame: I) => Result.Result<A, FrameError>
  private error: FrameError | undefined = undefined

  constructor(inner: Decoder<I>, decode: (frame: I) => Result.Result<A, FrameError>) {
    this.inner = inner
    this.decode = decode
  }

  get pending(): number {
    return this.error === undefined ? this.inner.pending : 0
  }

  feed(bytes: Uint8Array): Fed<A> {
    if (this.error !== undefined) return { frames: [], error: this.error }
    const fed = this.inner.feed(bytes)
    const frames: Array<A> = []
    for (const frame of fed.frames) {
      const value = this.decode(frame)
      if (Result.isFailure(value)) {
        this.error = value.failure
        return { frames, error: this.error }
      }
      frames.push(value.success)
    }
    return { frames, error: fed.error }
  }

  finish(): FrameError | undefined {
    return this.error ?? this.inner.finish()
  }
}
