/**
 * Node's zlib for compressed terms.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as zlib from "node:zlib"
import type { Deflate, Inflate } from "./Compression.ts"

/**
 * Inflates with `node:zlib`, never past the limit.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inflate: Inflate = (input, maxBytes) => {
  // oxlint-disable-next-line effect-otp/no-try -- zlib reports corrupt input and the limit by exceptions only
  try {
    // One chunk with a byte to spare holds all there may be: no second buffer to join it from.
    const out = zlib.inflateSync(input, {
      maxOutputLength: Math.max(1, maxBytes),
      chunkSize: Math.max(64, maxBytes + 1)
    })
    return Result.succeed(new Uint8Array(out.buffer, out.byteOffset, out.length))
  } catch (cause) {
    const code = (cause as { readonly code?: unknown }).code
    return Result.fail(code === "ERR_BUFFER_TOO_LARGE" ? "TooLarge" : "Corrupt")
  }
}

/**
 * Deflates with `node:zlib`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const deflate: Deflate = (input, level) => {
  const out = zlib.deflateSync(input, { level })
  return new Uint8Array(out.buffer, out.byteOffset, out.length)
}
