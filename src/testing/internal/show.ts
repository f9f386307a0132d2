/**
 * Values as they should appear in the message of a failing test: on one line, short, in the words of this library.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import { format as formatValue } from "effect/Formatter"
import { format as formatAddress, isAddress } from "../../process/Address.ts"
import { format as formatReason, isExitReason } from "../../process/ExitReason.ts"
import { Forwarded } from "../../process/Mailbox.ts"
import { Down, Exit, Request } from "../../process/Signal.ts"

/** Longer texts are cut: a test wants to know what came, not all of it. */
const lengthMax = 400

const cut = (text: string): string =>
  text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}... (${text.length})`

const plain = (value: unknown): string => cut(formatValue(value).replaceAll(/"([A-Za-z_]\w*)":/g, "$1: "))

/** A value on one line. */
export const show = (value: unknown): string => {
  if (value instanceof Exit) return `Exit from ${value.from.toString()} (${formatReason(value.reason)})`
  if (value instanceof Down) return `Down of ${formatAddress(value.address)} (${formatReason(value.reason)})`
  if (value instanceof Request) {
    return `call ${value.message}${value.payload === undefined ? "" : ` ${plain(value.payload)}`}`
  }
  if (value instanceof Forwarded) {
    return `Forwarded from ${formatAddress(value.process)} (${value.tag}): ${show(value.message)}`
  }
  if (isAddress(value)) return formatAddress(value)
  if (isExitReason(value)) return formatReason(value)
  if (Cause.isCause(value)) return cut(Cause.pretty(value).split("\n")[0]!)
  return plain(value)
}
