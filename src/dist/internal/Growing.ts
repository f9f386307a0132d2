/**
 * Bytes that arrive in pieces and are taken from the front. Room grows with what really comes, never with what is
 * announced.
 *
 * @since 0.1.0
 */
export class Growing {
  bytes: Uint8Array
  length = 0

  constructor(initial: number) {
    this.bytes = new Uint8Array(initial)
  }

  append(part: Uint8Array): void {
    const needed = this.length + part.length
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(part, this.length)
    this.length = needed
  }

  /** What is there, as a view. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** Takes bytes away from the front. */
  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length)
    this.length -= count
  }
}
