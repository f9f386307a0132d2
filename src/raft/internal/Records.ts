/**
 * Records in a file: bytes with their length and checksums, so that what was torn off at the end is told apart from what was
 * damaged.
 *
 * A record is a header of twelve bytes and its payload. The header holds the length, the checksum of the payload and a
 * checksum of these two; all numbers are little endian. A file that ends inside a header, or inside the payload of a header that
 * is whole, was torn: its last write never finished, nobody was told that it had, and the rest may be cut off. The same holds
 * for zeros up to the end, which some file systems leave. Everything else that does not agree is damage.
 *
 * @since 0.1.0
 */

const headerSize = 12

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1
  return sum >>> 0
})

/** The CRC-32 of bytes (IEEE 802.3). */
export const checksum = (bytes: Uint8Array, from = 0, to: number = bytes.length): number => {
  let sum = 0xffffffff
  for (let i = from; i < to; i++) sum = table[(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8)
  return (sum ^ 0xffffffff) >>> 0
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Gathers records. */
export class RecordWriter {
  private bytes = new Uint8Array(256)
  private view = new DataView(this.bytes.buffer)
  private length = 0
  private start = 0

  /** What has been gathered. It holds on to no more memory than twice its length. */
  take(): Uint8Array {
    const { bytes, length } = this
    return length * 2 < bytes.length ? bytes.slice(0, length) : bytes.subarray(0, length)
  }

  get isEmpty(): boolean {
    return this.length === 0
  }

  begin(): this {
    this.start = this.reserve(headerSize)
    return this
  }

  end(): void {
    const { bytes, start, view } = this
    view.setUint32(start, this.length - start - headerSize, true)
    view.setUint32(start + 4, checksum(bytes, start + headerSize, this.length), true)
    view.setUint32(start + 8, checksum(bytes, start, start + 8), true)
  }

  // Room comes first, in a statement of its own: it may put other memory in the place of `bytes` and `view`.

  byte(value: number): this {
    const at = this.reserve(1)
    this.bytes[at] = value
    return this
  }

  number(value: number): this {
    const at = this.reserve(8)
    this.view.setFloat64(at, value, true)
    return this
  }

  raw(value: Uint8Array): this {
    const at = this.reserve(4 + value.length)
    this.view.setUint32(at, value.length, true)
    this.bytes.set(value, at + 4)
    return this
  }

  text(value: string): this {
    return this.raw(encoder.encode(value))
  }

  texts(values: ReadonlyArray<string>): this {
    this.number(values.length)
    for (const value of values) this.text(value)
    return this
  }

  private reserve(size: number): number {
    const at = this.length
    this.length += size
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.bytes.length * 2))
      larger.set(this.bytes.subarray(0, at))
      this.bytes = larger
      this.view = new DataView(larger.buffer)
    }
    return at
  }
}

/** Reads what a {@link RecordWriter} has written. Throws when the bytes end too soon, or say what cannot be. */
export class RecordReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at: number

  constructor(bytes: Uint8Array, from: number) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = from
  }

  /** How many bytes are left. */
  get left(): number {
    return this.bytes.length - this.at
  }

  byte(): number {
    return this.view.getUint8(this.at++)
  }

  number(): number {
    const value = this.view.getFloat64(this.at, true)
    this.at += 8
    return value
  }

  /** A whole number from zero up. */
  natural(): number {
    const value = this.number()
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} counts nothing`)
    return value
  }

  raw(): Uint8Array {
    const from = this.at + 4
    const to = from + this.view.getUint32(this.at, true)
    if (to > this.bytes.length) throw new RangeError("the bytes end too soon")
    this.at = to
    return this.bytes.slice(from, to)
  }

  text(): string {
    return decoder.decode(this.raw())
  }

  texts(): ReadonlyArray<string> {
    const count = this.natural()
    if (count * 4 > this.left) throw new RangeError("the bytes end too soon")
    return Array.from({ length: count }, () => this.text())
  }
}

/** How far a file can be trusted. */
export type Verdict =
  /** All of it. */
  | { readonly _tag: "Whole" }
  /** Up to here; what follows never finished. */
  | { readonly _tag: "Torn"; readonly length: number }
  /** Not at all: this place is not what was written. */
  | { readonly _tag: "Damaged"; readonly offset: number; readonly what: string }

/** Reads a file record by record. */
export const scan = (given: Uint8Array, record: (reader: RecordReader) => void): Verdict => {
  // A Buffer's `slice` would share the memory of the whole file.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let offset = 0
  while (offset < bytes.length) {
    const left = bytes.length - offset
    if (left < headerSize || isZero(bytes, offset)) return { _tag: "Torn", length: offset }
    if (view.getUint32(offset + 8, true) !== checksum(bytes, offset, offset + 8)) {
      return { _tag: "Damaged", offset, what: "the checksum of a header does not agree" }
    }
    const from = offset + headerSize
    const to = from + view.getUint32(offset, true)
    if (to > bytes.length) return { _tag: "Torn", length: offset }
    if (view.getUint32(offset + 4, true) !== checksum(bytes, from, to)) {
      return { _tag: "Damaged", offset, what: "the checksum of a record does not agree" }
    }
    record(new RecordReader(bytes, from))
    offset = to
  }
  return { _tag: "Whole" }
}

const isZero = (bytes: Uint8Array, from: number): boolean => {
  for (let i = from; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}
