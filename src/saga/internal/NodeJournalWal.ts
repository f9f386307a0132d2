/**
 * How far a write-ahead log of SQLite can be trusted.
 *
 * SQLite takes everything from the first frame that does not agree for the rest of an unfinished write, and drops it
 * without a word. That is right for what a crash tore off, and wrong for a bit that flipped in the middle. Here the
 * two are told apart: a file that ends within a frame, or has nothing but zeros from there on, was torn; everything
 * else that does not agree is damage.
 *
 * Holds for logs that begin anew as an empty file after each checkpoint (`TRUNCATE`), so that nothing older follows
 * what was written.
 *
 * @since 0.1.0
 */

const headerSize = 32
const frameHeaderSize = 24

const isZero = (bytes: Uint8Array, from: number): boolean => {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false
  return true
}

/** What is wrong with a log; undefined when it is whole, or was only torn. */
export const damage = (bytes: Uint8Array): string | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < headerSize || isZero(bytes, 0)) return undefined
  const magic = view.getUint32(0)
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return "its log is none"
  const littleEndian = magic === 0x377f0682
  let first = 0
  let second = 0
  const sum = (from: number, to: number): void => {
    for (let at = from; at < to; at += 8) {
      first = (first + view.getUint32(at, littleEndian) + second) >>> 0
      second = (second + view.getUint32(at + 4, littleEndian) + first) >>> 0
    }
  }
  const agrees = (at: number): boolean => view.getUint32(at) === first && view.getUint32(at + 4) === second
  sum(0, 24)
  if (!agrees(24)) return "the checksum of its log's header does not agree"
  const pageSize = view.getUint32(8)
  const salts = [view.getUint32(16), view.getUint32(20)]
  const frameSize = frameHeaderSize + pageSize
  for (let at = headerSize; at + frameSize <= bytes.length; at += frameSize) {
    if (isZero(bytes, at)) return undefined
    sum(at, at + 8)
    sum(at + frameHeaderSize, at + frameSize)
    if (view.getUint32(at + 8) !== salts[0] || view.getUint32(at + 12) !== salts[1] || !agrees(at + 16)) {
      return `the checksum of its log does not agree at byte ${at}`
    }
  }
  return undefined
}
