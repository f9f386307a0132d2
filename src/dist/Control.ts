/**
 * The control messages of the distribution: what a packet is about, in front of its payload.
 *
 * All forms that OTP 25 to 28 send are read, with and without payload, with and without trace token (which is dropped),
 * and become one of few cases. What is written depends on what the peer can do. Malformed ones are refused by an
 * exception of the decoder or a `ControlError`, never by anything else.
 *
 * @since 0.1.0
 */
import type { Decoder } from "../etf/Decoder.ts"
import type { Encoder } from "../etf/Encoder.ts"
import { Atom } from "../term/Atom.ts"
import { isPid, type Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import type { Term } from "../term/Term.ts"
import { Tuple } from "../term/Tuple.ts"
import * as DistFlags from "./DistFlags.ts"

/**
 * A control message as it was read. `reason` is undefined where it is the payload.
 *
 * @category models
 * @since 0.1.0
 */
export type Control =
  | { readonly _tag: "Send"; readonly from: Pid | undefined; readonly to: Pid | Reference | string }
  | { readonly _tag: "Link"; readonly from: Pid; readonly to: Pid }
  | {
    readonly _tag: "Exit"
    readonly kind: "link" | "signal"
    readonly from: Pid
    readonly to: Pid | Reference | string
    readonly reason: Term | undefined
  }
  | { readonly _tag: "Unlink"; readonly id: number | bigint; readonly from: Pid; readonly to: Pid }
  | { readonly _tag: "UnlinkAck"; readonly id: number | bigint; readonly from: Pid; readonly to: Pid }
  | { readonly _tag: "Monitor"; readonly from: Pid; readonly to: Pid | string; readonly ref: Reference }
  | { readonly _tag: "Demonitor"; readonly from: Pid; readonly to: Pid | string; readonly ref: Reference }
  | {
    readonly _tag: "Down"
    readonly from: Pid | string
    readonly to: Pid
    readonly ref: Reference
    readonly reason: Term | undefined
  }
  | {
    readonly _tag: "SpawnRequest"
    readonly ref: Reference
    readonly from: Pid
    readonly leader: Pid
    readonly module: string
    readonly name: string
    readonly arity: number
    readonly options: Term
  }
  | {
    readonly _tag: "SpawnReply"
    readonly ref: Reference
    readonly to: Pid
    readonly flags: number
    readonly result: Term
  }
  | { readonly _tag: "GroupLeader"; readonly leader: Pid; readonly to: Pid }

/**
 * A term that is no control message.
 *
 * @category errors
 * @since 0.1.0
 */
export class ControlError {
  readonly _tag = "ControlError" as const
  readonly detail: string

  constructor(detail: string) {
    this.detail = detail
  }
}

/**
 * Whether a payload follows the control message.
 *
 * @category predicates
 * @since 0.1.0
 */
export const hasPayload = (control: Control): boolean =>
  control._tag === "Send" || control._tag === "SpawnRequest" ||
  ((control._tag === "Exit" || control._tag === "Down") && control.reason === undefined)

// --- reading ---------------------------------------------------------------------------------------------------------

const isPidTag = (tag: number): boolean => tag === 88 || tag === 103

const pidAt = (decoder: Decoder): Pid => {
  if (!isPidTag(decoder.cursor.peek())) throw new ControlError("a pid was due")
  return decoder.cursor.pid()
}

const referenceAt = (decoder: Decoder): Reference => {
  const tag = decoder.cursor.peek()
  if (tag !== 90 && tag !== 114 && tag !== 101) throw new ControlError("a reference was due")
  return decoder.cursor.reference()
}

const pidOrNameAt = (decoder: Decoder): Pid | string =>
  isPidTag(decoder.cursor.peek()) ? decoder.cursor.pid() : decoder.cursor.atom().name

const integerAt = (decoder: Decoder): number | bigint => {
  const tag = decoder.cursor.peek()
  if (tag !== 97 && tag !== 98 && tag !== 110 && tag !== 111) throw new ControlError("an integer was due")
  return decoder.cursor.term(0) as number | bigint // an integer by its tag
}

const idAt = (decoder: Decoder): number | bigint => {
  const id = integerAt(decoder)
  if (id < 1 || id > 0xffffffffffffffffn) throw new ControlError("an unlink id of 64 bits was due")
  return id
}

const skip = (decoder: Decoder, count: number): void => {
  for (let i = 0; i < count; i++) decoder.cursor.skip()
}

/** Arity by operation; 0: not in use. For 37 it is the least one. */
const arities: Uint8Array = new Uint8Array(256)
for (
  const [op, arity] of [
    [1, 3],
    [2, 3],
    [3, 4],
    [4, 3],
    [6, 4],
    [7, 3],
    [8, 4],
    [12, 4],
    [13, 5],
    [16, 5],
    [18, 5],
    [19, 4],
    [20, 4],
    [21, 5],
    [22, 3],
    [23, 4],
    [24, 3],
    [25, 4],
    [26, 3],
    [27, 4],
    [28, 4],
    [29, 6],
    [30, 7],
    [31, 5],
    [32, 6],
    [33, 3],
    [34, 4],
    [35, 4],
    [36, 4]
  ] as const
) arities[op] = arity

/**
 * Reads the control message that a decoder is at. Throws a {@link ControlError} or what the decoder throws.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readUnsafe = (decoder: Decoder): Control => {
  const { cursor } = decoder
  cursor.begin()
  if (cursor.peek() !== 104) throw new ControlError("a control message is a tuple")
  cursor.pos++
  const arity = cursor.u8()
  if (cursor.peek() !== 97) throw new ControlError("a control message starts with its number")
  cursor.pos++
  const op = cursor.u8()
  if (op === 37) return altact(decoder, arity)
  if (arity === 0 || arities[op] !== arity) throw new ControlError(`operation ${op} with ${arity} elements`)
  switch (op) {
    case 22:
    case 23: {
      const from = pidAt(decoder)
      const to = pidAt(decoder)
      if (op === 23) skip(decoder, 1)
      return { _tag: "Send", from, to }
    }
    case 33:
    case 34: {
      const from = pidAt(decoder)
      const to = referenceAt(decoder)
      if (op === 34) skip(decoder, 1)
      return { _tag: "Send", from, to }
    }
    case 6:
    case 16: {
      const from = pidAt(decoder)
      skip(decoder, 1)
      const to = cursor.atom().name
      if (op === 16) skip(decoder, 1)
      return { _tag: "Send", from, to }
    }
    case 2:
    case 12: {
      skip(decoder, 1)
      const to = pidAt(decoder)
      if (op === 12) skip(decoder, 1)
      return { _tag: "Send", from: undefined, to }
    }
    case 19:
    case 20: {
      const from = pidAt(decoder)
      const to = pidOrNameAt(decoder)
      return { _tag: op === 19 ? "Monitor" : "Demonitor", from, to, ref: referenceAt(decoder) }
    }
    case 28:
    case 21: {
      const from = pidOrNameAt(decoder)
      const to = pidAt(decoder)
      const ref = referenceAt(decoder)
      return { _tag: "Down", from, to, ref, reason: op === 21 ? decoder.readUnsafe() : undefined }
    }
    case 1:
      return { _tag: "Link", from: pidAt(decoder), to: pidAt(decoder) }
    case 4:
      // Gone since OTP 23.3; an unlink without a number is one that nobody waits for.
      return { _tag: "Unlink", id: 0, from: pidAt(decoder), to: pidAt(decoder) }
    case 35:
    case 36: {
      const id = idAt(decoder)
      return { _tag: op === 35 ? "Unlink" : "UnlinkAck", id, from: pidAt(decoder), to: pidAt(decoder) }
    }
    case 3:
    case 13:
    case 8:
    case 18: {
      const from = pidAt(decoder)
      const to = pidAt(decoder)
      if (op === 13 || op === 18) skip(decoder, 1)
      return { _tag: "Exit", kind: op === 3 || op === 13 ? "link" : "signal", from, to, reason: decoder.readUnsafe() }
    }
    case 24:
    case 25:
    case 26:
    case 27: {
      const from = pidAt(decoder)
      const to = pidAt(decoder)
      if (op === 25 || op === 27) skip(decoder, 1)
      return { _tag: "Exit", kind: op <= 25 ? "link" : "signal", from, to, reason: undefined }
    }
    case 7:
      return { _tag: "GroupLeader", leader: pidAt(decoder), to: pidAt(decoder) }
    case 29:
    case 30: {
      const ref = referenceAt(decoder)
      const from = pidAt(decoder)
      const leader = pidAt(decoder)
      const mfa = decoder.readUnsafe()
      const options = decoder.readUnsafe()
      if (op === 30) skip(decoder, 1)
      const [module, name, count] = mfa instanceof Tuple && mfa.arity === 3 ? mfa.elements : []
      if (!(module instanceof Atom) || !(name instanceof Atom) || typeof count !== "number") {
        throw new ControlError("a spawn request names module, function and arity")
      }
      return { _tag: "SpawnRequest", ref, from, leader, module: module.name, name: name.name, arity: count, options }
    }
    default: {
      // 31 and 32: the others are above.
      const ref = referenceAt(decoder)
      const to = pidAt(decoder)
      const flags = Number(integerAt(decoder))
      const result = decoder.readUnsafe()
      if (op === 32) skip(decoder, 1)
      return { _tag: "SpawnReply", ref, to, flags, result }
    }
  }
}

const altact = (decoder: Decoder, arity: number): Control => {
  if (arity < 4) throw new ControlError(`operation 37 with ${arity} elements`)
  const flags = integerAt(decoder)
  if (flags < 0) throw new ControlError("the flags of operation 37 are not negative")
  const bits = typeof flags === "number" ? flags % 32 : Number(flags & 31n)
  const from = pidAt(decoder)
  if ((bits & 12) === 12) throw new ControlError("operation 37 to an alias and a name at once")
  const to = (bits & 4) !== 0
    ? referenceAt(decoder)
    : (bits & 8) !== 0
    ? decoder.cursor.atom().name
    : pidAt(decoder)
  skip(decoder, arity - 4)
  return (bits & 16) !== 0
    ? { _tag: "Exit", kind: "signal", from, to, reason: undefined }
    : { _tag: "Send", from, to }
}

// --- writing ---------------------------------------------------------------------------------------------------------

/**
 * What a peer understands, as far as the form of what it is sent depends on it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Abilities {
  readonly sendSender: boolean
  readonly altactSig: boolean
  readonly exitPayload: boolean
}

/**
 * The abilities that flags stand for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const abilities = (flags: DistFlags.DistFlags): Abilities => ({
  sendSender: DistFlags.has(flags, "sendSender"),
  altactSig: DistFlags.has(flags, "altactSig"),
  exitPayload: DistFlags.has(flags, "exitPayload")
})

const head = (encoder: Encoder, arity: number, op: number): void => {
  encoder.output.tag8(104, arity)
  encoder.output.tag8(97, op)
}

/**
 * Writes the control message of a message to an address.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeSend = (
  encoder: Encoder,
  able: Abilities,
  from: Pid,
  to: Pid | Reference | string
): void => {
  const writer = encoder.output
  if (typeof to === "string") {
    head(encoder, 4, 6)
    writer.pid(from)
    writer.atom("")
    writer.atom(to)
  } else if (isPid(to)) {
    if (able.sendSender) {
      head(encoder, 3, 22)
      writer.pid(from)
    } else {
      head(encoder, 3, 2)
      writer.atom("")
    }
    writer.pid(to)
  } else if (able.altactSig) {
    head(encoder, 4, 37)
    writer.integer(4)
    writer.pid(from)
    writer.reference(to)
  } else {
    head(encoder, 3, 33)
    writer.pid(from)
    writer.reference(to)
  }
}

/**
 * Writes the beginning or the end of a monitor.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeMonitor = (
  encoder: Encoder,
  what: "Monitor" | "Demonitor",
  from: Pid,
  to: Pid | string,
  ref: Reference
): void => {
  const writer = encoder.output
  head(encoder, 4, what === "Monitor" ? 19 : 20)
  writer.pid(from)
  if (typeof to === "string") writer.atom(to)
  else writer.pid(to)
  writer.reference(ref)
}

/**
 * Writes any control message as a tuple, and the payload behind it where the reason is one; `onPayload` is called
 * between the two. Messages and spawn requests leave their payload to the caller.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (
  encoder: Encoder,
  able: Abilities,
  control: Control,
  onPayload?: () => void
): void => {
  const writer = encoder.output
  const address = (to: Pid | string): void => typeof to === "string" ? writer.atom(to) : writer.pid(to)
  switch (control._tag) {
    case "Send":
      return writeSend(encoder, able, control.from!, control.to)
    case "Link":
      head(encoder, 3, 1)
      writer.pid(control.from)
      return writer.pid(control.to)
    case "Exit": {
      const payload = able.exitPayload
      const link = control.kind === "link"
      head(encoder, payload ? 3 : 4, payload ? (link ? 24 : 26) : link ? 3 : 8)
      writer.pid(control.from)
      writer.pid(control.to as Pid) // only 37 has other addresses, and it is not sent for exits
      if (payload) onPayload?.()
      return encoder.writeUnsafe(control.reason!)
    }
    case "Unlink":
    case "UnlinkAck":
      head(encoder, 4, control._tag === "Unlink" ? 35 : 36)
      writer.term(control.id, 0)
      writer.pid(control.from)
      return writer.pid(control.to)
    case "Monitor":
    case "Demonitor":
      return writeMonitor(encoder, control._tag, control.from, control.to, control.ref)
    case "Down": {
      const payload = able.exitPayload
      head(encoder, payload ? 4 : 5, payload ? 28 : 21)
      address(control.from)
      writer.pid(control.to)
      writer.reference(control.ref)
      if (payload) onPayload?.()
      return encoder.writeUnsafe(control.reason!)
    }
    case "SpawnRequest":
      head(encoder, 6, 29)
      writer.reference(control.ref)
      writer.pid(control.from)
      writer.pid(control.leader)
      encoder.writeUnsafe(new Tuple([new Atom(control.module), new Atom(control.name), control.arity]))
      return encoder.writeUnsafe(control.options)
    case "SpawnReply":
      head(encoder, 5, 31)
      writer.reference(control.ref)
      writer.pid(control.to)
      writer.integer(control.flags)
      return encoder.writeUnsafe(control.result)
    case "GroupLeader":
      head(encoder, 3, 7)
      writer.pid(control.leader)
      return writer.pid(control.to)
  }
}
