/**
 * Small bytes: the fixed parts of the messages of EPMD and of the handshake. Not for the packets of a connection.
 *
 * @since 0.1.0
 */
const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** @since 0.1.0 */
export const u16 = (n: number): Uint8Array => Uint8Array.of((n >>> 8) & 255, n & 255)

/** @since 0.1.0 */
export const u32 = (n: number): Uint8Array => Uint8Array.of(n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255)

/** @since 0.1.0 */
export const u64 = (n: bigint): Uint8Array =>
  concat([u32(Number((n >> 32n) & 0xffffffffn)), u32(Number(n & 0xffffffffn))])

/** @since 0.1.0 */
export const readU16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!

/** @since 0.1.0 */
export const readU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** @since 0.1.0 */
export const readU64 = (bytes: Uint8Array, at: number): bigint =>
  (BigInt(readU32(bytes, at)) << 32n) | BigInt(readU32(bytes, at + 4))

/** @since 0.1.0 */
export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** The text of bytes in UTF-8; undefined when they are none. */
export const text = (bytes: Uint8Array): string | undefined => {
  // oxlint-disable-next-line effect-otp/no-try -- a fatal decoder says so by throwing
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** @since 0.1.0 */
export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Whether two digests are equal, in a time that does not depend on where they differ. */
export const sameDigest = (a: Uint8Array, b: Uint8Array): boolean => {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0)
  return difference === 0
}
