/**
 * The messages of EPMD, the port mapper of Erlang nodes, as values and bytes. No I/O.
 *
 * Guarantees: requests and answers are byte for byte those of the real one, in one piece; names are checked for UTF-8
 * and length; an incremental parser keeps at most one request of limited size. Refused: a length of zero, requests
 * longer than the limit, more bytes than announced, unknown requests.
 *
 * @since 0.1.0
 */
import * as Bytes from "./internal/Bytes.ts"

/**
 * The port on which EPMD listens unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultPort = 4369

/**
 * The longest request, in bytes, without its length. A real EPMD refuses longer ones.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxRequestBytes = 3060

const maxNameBytes = 1020
const maxNameLength = 255

/**
 * What a node says of itself when it registers, and what a look-up gives.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registration {
  /** The part before the `@`. */
  readonly name: string
  readonly port: number
  /** A hidden node registers with type 72, a visible one with 77. */
  readonly hidden: boolean
  readonly highest: number
  readonly lowest: number
  readonly extra: Uint8Array
}

/**
 * A request to EPMD.
 *
 * @category models
 * @since 0.1.0
 */
export type Request =
  | { readonly _tag: "Alive"; readonly node: Registration }
  | { readonly _tag: "Port"; readonly name: string }
  | { readonly _tag: "Names" }
  | { readonly _tag: "Dump" }
  | { readonly _tag: "Kill" }
  | { readonly _tag: "Stop"; readonly name: string }

/**
 * Why bytes are no request.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal = "empty" | "too long" | "unknown request" | "malformed" | "bad name" | "more than one request"

const noExtra = new Uint8Array(0)

/**
 * A registration with the usual values: visible, handshake versions 5 to 6, nothing extra.
 *
 * @category constructors
 * @since 0.1.0
 */
export const registration = (
  node: Pick<Registration, "name" | "port"> & Partial<Registration>
): Registration => ({ hidden: false, highest: 6, lowest: 5, extra: noExtra, ...node })

/**
 * Whether a text can be registered: 1 to 255 characters, none of them a control character (a line break would forge
 * other entries in the list of names).
 *
 * @category predicates
 * @since 0.1.0
 */
export const isValidName = (name: string): boolean => {
  const length = [...name].length
  return length > 0 && length <= maxNameLength && !/\p{Cc}/u.test(name) && Bytes.utf8(name).length <= maxNameBytes
}

const withLength = (body: Uint8Array): Uint8Array => Bytes.concat([Bytes.u16(body.length), body])

const nodeBytes = (node: Registration): Uint8Array => {
  const name = Bytes.utf8(node.name)
  return Bytes.concat([
    Bytes.u16(node.port),
    Uint8Array.of(node.hidden ? 72 : 77, 0),
    Bytes.u16(node.highest),
    Bytes.u16(node.lowest),
    Bytes.u16(name.length),
    name,
    Bytes.u16(node.extra.length),
    node.extra
  ])
}

/**
 * The bytes of a request, length included.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeRequest = (request: Request): Uint8Array => {
  switch (request._tag) {
    case "Alive":
      return withLength(Bytes.concat([Uint8Array.of(120), nodeBytes(request.node)]))
    case "Port":
      return withLength(Bytes.concat([Uint8Array.of(122), Bytes.utf8(request.name)]))
    case "Names":
      return withLength(Uint8Array.of(110))
    case "Dump":
      return withLength(Uint8Array.of(100))
    case "Kill":
      return withLength(Uint8Array.of(107))
    case "Stop":
      return withLength(Bytes.concat([Uint8Array.of(115), Bytes.utf8(request.name)]))
  }
}

const nameOf = (bytes: Uint8Array): string | undefined => {
  if (bytes.length > maxNameBytes) return undefined
  const name = Bytes.text(bytes)
  return name !== undefined && isValidName(name) ? name : undefined
}

// A registration at an offset; the rest of the bytes must be exactly it, or `open` allows more behind it.
const readNode = (bytes: Uint8Array, at: number, open: boolean): Registration | Refusal => {
  if (bytes.length < at + 12) return "malformed"
  const nameLength = Bytes.readU16(bytes, at + 8)
  const nameEnd = at + 10 + nameLength
  if (bytes.length < nameEnd + 2) return "malformed"
  const extraEnd = nameEnd + 2 + Bytes.readU16(bytes, nameEnd)
  if (open ? bytes.length < extraEnd : bytes.length !== extraEnd) return "malformed"
  if (extraEnd - nameEnd - 2 > maxNameBytes) return "malformed"
  const name = nameOf(bytes.subarray(at + 10, nameEnd))
  if (name === undefined) return "bad name"
  const type = bytes[at + 2]
  if (type !== 72 && type !== 77) return "malformed"
  return {
    name,
    port: Bytes.readU16(bytes, at),
    hidden: type === 72,
    highest: Bytes.readU16(bytes, at + 4),
    lowest: Bytes.readU16(bytes, at + 6),
    extra: bytes.slice(nameEnd + 2, extraEnd)
  }
}

/**
 * The request in a body (without its length).
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeRequest = (body: Uint8Array): Request | Refusal => {
  switch (body[0]) {
    case 120: {
      const node = readNode(body, 1, false)
      return typeof node === "string" ? node : { _tag: "Alive", node }
    }
    case 122:
    case 115: {
      const end = body[body.length - 1] === 0 ? body.length - 1 : body.length
      const name = nameOf(body.subarray(1, end))
      if (name === undefined) return "bad name"
      return body[0] === 122 ? { _tag: "Port", name } : { _tag: "Stop", name }
    }
    case 110:
      return body.length === 1 ? { _tag: "Names" } : "malformed"
    case 100:
      return body.length === 1 ? { _tag: "Dump" } : "malformed"
    case 107:
      return body.length === 1 ? { _tag: "Kill" } : "malformed"
    case undefined:
      return "empty"
    default:
      return "unknown request"
  }
}

/**
 * Collects one request from a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestParser {
  /** Takes what arrived: the request when it is complete, undefined when more is to come, or why it is refused. */
  feed(chunk: Uint8Array): Request | Refusal | undefined
}

/**
 * A parser for one request: a connection carries no second one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeParser = (limit: number = maxRequestBytes): RequestParser => {
  let held: Uint8Array = new Uint8Array(0)
  let done = false
  return {
    feed: (chunk) => {
      if (done) return "more than one request"
      if (held.length + chunk.length > limit + 2) {
        done = true
        return "too long"
      }
      held = held.length === 0 ? chunk : Bytes.concat([held, chunk])
      if (held.length < 2) return undefined
      const length = Bytes.readU16(held, 0)
      if (length === 0 || length > limit) {
        done = true
        return length === 0 ? "empty" : "too long"
      }
      if (held.length < 2 + length) return undefined
      done = true
      return held.length > 2 + length ? "more than one request" : decodeRequest(held.subarray(2))
    }
  }
}

/**
 * The answer to a registration. Result 0 is success. A client of version 6 gets a creation of 32 bits.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeAlive = (result: number, creation: number, highest: number): Uint8Array =>
  highest >= 6
    ? Bytes.concat([Uint8Array.of(118, result), Bytes.u32(creation)])
    : Bytes.concat([Uint8Array.of(121, result), Bytes.u16(creation)])

/**
 * The answer to a look-up.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodePort = (node: Registration | undefined): Uint8Array =>
  node === undefined ? Uint8Array.of(119, 1) : Bytes.concat([Uint8Array.of(119, 0), nodeBytes(node)])

/**
 * The answer to a request for all names. The port is the one that the client used.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeNames = (port: number, nodes: Iterable<Pick<Registration, "name" | "port">>): Uint8Array => {
  let text = ""
  for (const node of nodes) text += `name ${node.name} at port ${node.port}\n`
  return Bytes.concat([Bytes.u32(port), Bytes.utf8(text)])
}

/**
 * What a client has read so far, understood as the answer to its request: a value, undefined when more is to come, or
 * `"malformed"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer<A> = A | undefined | "malformed"

/**
 * The answer to a registration: the creation, or `"taken"` when the name was refused.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeAlive = (bytes: Uint8Array): Answer<number | "taken"> => {
  if (bytes.length === 0) return undefined
  const wide = bytes[0] === 118
  if (!wide && bytes[0] !== 121) return "malformed"
  if (bytes.length < (wide ? 6 : 4)) return undefined
  if (bytes[1] !== 0) return "taken"
  return wide ? Bytes.readU32(bytes, 2) : Bytes.readU16(bytes, 2)
}

/**
 * The answer to a look-up: the node, or `"unknown"`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodePort = (bytes: Uint8Array): Answer<Registration | "unknown"> => {
  if (bytes.length < 2) return bytes.length === 1 && bytes[0] !== 119 ? "malformed" : undefined
  if (bytes[0] !== 119) return "malformed"
  if (bytes[1] !== 0) return "unknown"
  if (bytes.length < 12) return undefined
  const nameEnd = 12 + Bytes.readU16(bytes, 10)
  if (nameEnd - 12 > maxNameBytes) return "malformed"
  if (bytes.length < nameEnd + 2 || bytes.length < nameEnd + 2 + Bytes.readU16(bytes, nameEnd)) return undefined
  const node = readNode(bytes, 2, true)
  return typeof node === "string" ? "malformed" : node
}

/**
 * The whole answer to a request for all names, once the connection has closed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeNames = (
  bytes: Uint8Array
): Answer<ReadonlyArray<{ readonly name: string; readonly port: number }>> => {
  if (bytes.length < 4) return "malformed"
  const text = Bytes.text(bytes.subarray(4))
  if (text === undefined) return "malformed"
  const nodes: Array<{ readonly name: string; readonly port: number }> = []
  for (const line of text.split("\n")) {
    const match = /^name (.+) at port (\d{1,5})$/.exec(line)
    if (match !== null && Number(match[2]) < 65_536) nodes.push({ name: match[1]!, port: Number(match[2]) })
  }
  return nodes
}
