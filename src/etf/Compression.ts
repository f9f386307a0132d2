/**
 * Compressed terms, without a library that compresses.
 *
 * `term_to_binary(T, [compressed])` writes the version byte, tag 80, the size before compression and a zlib stream. What
 * inflates and deflates is passed in, so that the codec runs where there is no zlib; `NodeCompression` has Node's.
 * Compressed terms exist only stand-alone: a distribution packet never contains one.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"

/**
 * Inflates a zlib stream to at most `maxBytes` bytes. Bytes behind the stream are ignored. Must not allocate more than
 * the result and a constant.
 *
 * @category models
 * @since 0.1.0
 */
export interface Inflate {
  (input: Uint8Array, maxBytes: number): Result.Result<Uint8Array, "TooLarge" | "Corrupt">
}

/**
 * Deflates to a zlib stream, level 0 (none) to 9.
 *
 * @category models
 * @since 0.1.0
 */
export interface Deflate {
  (input: Uint8Array, level: number): Uint8Array
}

/**
 * An encoded term in compressed form, or as it was when compression does not make it smaller (as Erlang does).
 *
 * `encoded` is a stand-alone term with its version byte; `level` is 0 to 9, default 6.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compress = (encoded: Uint8Array, deflate: Deflate, level = 6): Uint8Array => {
  const packed = deflate(encoded.subarray(1), level)
  if (packed.length + 6 >= encoded.length) return encoded
  const out = new Uint8Array(packed.length + 6)
  out[0] = 131
  out[1] = 80
  new DataView(out.buffer).setUint32(2, encoded.length - 1)
  out.set(packed, 6)
  return out
}
