/**
 * Small pieces of text for the terminal.
 *
 * Names come from other nodes: nothing that they contain may move the cursor or change colours, which `printable` sees to.
 *
 * @since 0.1.0
 */

const control = /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu

const escaped = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** The text with everything escaped that a terminal would obey instead of showing it. */
export const printable = (text: string): string => text.replaceAll(control, escaped)

/** The first so many characters; what is cut leaves a `…`. */
export const cut = (text: string, width: number): string => {
  const characters = Array.from(text)
  return characters.length <= width
    ? text
    : characters.slice(0, Math.max(0, width - 1)).join("") + (width > 0 ? "…" : "")
}

/** A text filled up with spaces. */
export const pad = (text: string, width: number, align: "left" | "right"): string => {
  const space = " ".repeat(Math.max(0, width - Array.from(text).length))
  return align === "left" ? text + space : space + text
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

/** A size, such as `12.3 MiB`. */
export const bytes = (size: number): string => {
  let unit = 0
  let value = size
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** A time, such as `1d 02:03:04` or `00:00:07`. */
export const time = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const two = (n: number): string => String(n).padStart(2, "0")
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":")
  const days = Math.floor(seconds / 86_400)
  return days === 0 ? clock : `${days}d ${clock}`
}

/** Milliseconds with one digit behind the point. */
export const millis = (value: number): string => `${value.toFixed(1)} ms`
