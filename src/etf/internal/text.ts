/**
 * UTF-8 and Latin-1 without `Buffer`: short ASCII by hand, the rest through the platform's coders.
 *
 * @since 0.1.0
 */
const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Below this many bytes a loop beats the call into the platform. */
const shortMax = 24

/**
 * The text of UTF-8 bytes, or undefined when they are not UTF-8 (overlong forms and surrogates included).
 */
export const decodeUtf8 = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  if (end - start <= shortMax) {
    let text = ""
    let i = start
    for (; i < end; i++) {
      const byte = bytes[i]!
      if (byte > 127) break
      text += String.fromCharCode(byte)
    }
    if (i === end) return text
  }
  // oxlint-disable-next-line effect-otp/no-try -- the decoder signals malformed input with an exception and has no other way
  try {
    return decoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** The text of Latin-1 bytes. */
export const decodeLatin1 = (bytes: Uint8Array, start: number, end: number): string => {
  let text = ""
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return text
}

/** The UTF-8 bytes of a text; lone surrogates become U+FFFD, so check them first where that matters. */
export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text)

/** Writes the UTF-8 bytes of a text into a buffer that has at least three bytes per UTF-16 unit; returns their number. */
export const encodeUtf8Into = (text: string, target: Uint8Array, at: number): number =>
  encoder.encodeInto(text, target.subarray(at)).written

/** Whether a text has a surrogate without its other half: such a text has no UTF-8 form. */
export const hasLoneSurrogate = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdfff) continue
    if (unit > 0xdbff) return true
    const next = text.charCodeAt(i + 1)
    if (!(next >= 0xdc00 && next <= 0xdfff)) return true
    i++
  }
  return false
}
