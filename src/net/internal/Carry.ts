/**
 * The bytes of a frame that has not come whole: they are kept between reads, and nothing else is.
 *
 * A chunk is looked at where it lies; only what is left of it is copied, so that nothing of the reader's buffer is held.
 *
 * @since 0.1.0
 */

const nothing = new Uint8Array(0)

/** @since 0.1.0 */
export class Carry {
  /** The bytes are those from `start` to `end`. */
  bytes: Uint8Array = nothing
  start = 0
  end = 0
  /** Whether `bytes` is the chunk of the reader, which may not be kept or written to. */
  private borrowed = false

  get length(): number {
    return this.end - this.start
  }

  /** Puts a chunk behind what is there. */
  append(chunk: Uint8Array): void {
    if (this.length === 0) {
      this.bytes = chunk
      this.start = 0
      this.end = chunk.length
      this.borrowed = true
      return
    }
    const needed = this.length + chunk.length
    if (this.borrowed || this.bytes.length - this.end < chunk.length) {
      // Doubled, so that a frame in many small chunks is copied a constant number of times.
      const bytes = new Uint8Array(needed <= this.bytes.length ? this.bytes.length : Math.max(needed, 2 * this.length))
      bytes.set(this.bytes.subarray(this.start, this.end))
      this.end = this.length
      this.start = 0
      this.bytes = bytes
      this.borrowed = false
    }
    this.bytes.set(chunk, this.end)
    this.end += chunk.length
  }

  /** Takes `count` bytes off the front. */
  skip(count: number): void {
    this.start += count
  }

  /** The chunk is the reader's again: what is left of it becomes our own. */
  settle(): void {
    if (this.length === 0) {
      this.bytes = nothing
      this.start = this.end = 0
      this.borrowed = false
    } else if (this.borrowed) {
      this.bytes = this.bytes.slice(this.start, this.end)
      this.end -= this.start
      this.start = 0
      this.borrowed = false
    }
  }
}
