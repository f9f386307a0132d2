/**
 * The formats of the feed, decoded to positions: MessagePack as the original application sends it, and JSON in the manner
 * of GTFS realtime. README.md shows both, byte by byte.
 *
 * What comes in is bytes that anybody may have sent. They have limits: their number, the depth of what is nested in them,
 * and no extensions of MessagePack, which can say more than data. A message is as good as it is: of an array with ten good
 * positions and a bad one, the ten are taken and the one is counted. What is no message at all counts as one.
 */
import * as MessagePack from "@msgpack/msgpack"
import { Option, Schema } from "effect"
import { Position } from "./Position.ts"

/** How large a message may be: 1 MiB. A datagram cannot be as large. */
export const maxBytes = 1_048_576

/** How many positions a message may have. */
export const maxPositions = 10_000

/** How deep maps and arrays may be nested: an envelope, its list, an entity, its vehicle, and what that has. */
const maxDepth = 6

/** A message of the feed. */
export interface Decoded {
  readonly positions: ReadonlyArray<Position>
  /** How many were no positions. */
  readonly invalid: number
  /** What the sender calls the message, when it wants to be told that it is stored. */
  readonly ack: number | string | undefined
  /** How the message was written, for the answer. */
  readonly format: "json" | "msgpack"
}

// --- positions -------------------------------------------------------------------------------------------------------

/** Half of a character is no text: it would not come out of the database as it went in. */
const text = Schema.String.check(Schema.isMaxLength(64), Schema.isPattern(/^\P{Surrogate}*$/u))

const seconds = Schema.Union([Schema.Finite, Schema.FiniteFromString])
const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

/**
 * A `VehiclePosition` of GTFS realtime, as its JSON has it: names in either case, seconds as a number or as text.
 * `emergency` is an addition.
 */
const VehiclePosition = Schema.Struct({
  vehicle: Schema.Struct({ id: text }),
  position: Schema.Struct({
    latitude: Schema.Number,
    longitude: Schema.Number,
    speed: optional(Schema.Number)
  }),
  trip: optional(Schema.Struct({ routeId: optional(text), route_id: optional(text) })),
  timestamp: optional(seconds),
  emergency: optional(Schema.Boolean)
})

const decodeVehicle = Schema.decodeUnknownOption(VehiclePosition)
const makePosition = Schema.decodeUnknownOption(Position)

/**
 * A position in MessagePack, with the names of the original. `Date` are milliseconds since 1970. Its values are those of a
 * position, so that they need no schema of their own.
 */
const fromPacked = (value: unknown, now: number): Option.Option<Position> => {
  if (!isRecord(value)) return Option.none()
  const { Date: at = now, Emergency = false, ID, Lat, Lon, Route = "", Speed = 0 } = value
  return makePosition({ vehicle: ID, route: Route, lat: Lat, lon: Lon, speed: Speed, at, emergency: Emergency })
}

const fromVehicle = (value: unknown, now: number): Option.Option<Position> =>
  Option.flatMap(decodeVehicle(value), ({ emergency, position, timestamp, trip, vehicle }) =>
    makePosition({
      vehicle: vehicle.id,
      route: trip?.routeId ?? trip?.route_id ?? "",
      lat: position.latitude,
      lon: position.longitude,
      speed: position.speed ?? 0,
      at: timestamp === undefined || timestamp === null ? now : Math.round(timestamp * 1000),
      emergency: emergency ?? false
    }))

// --- messages --------------------------------------------------------------------------------------------------------

/** Whether the bytes are one value of MessagePack that is plain data, whole, and not nested too deeply. */
const isPlain = (bytes: Uint8Array): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  /** How many values are still to come, on each level. */
  const left = [1]
  let at = 0
  while (left.length > 0) {
    if (left[left.length - 1]!-- === 0) {
      left.pop()
      continue
    }
    if (at >= bytes.length) return false
    const tag = bytes[at++]!
    let size = 0
    let children = 0
    if (tag >= 0x80 && tag < 0x90) children = (tag & 15) * 2
    else if (tag >= 0x90 && tag < 0xa0) children = tag & 15
    else if (tag >= 0xa0 && tag < 0xc0) size = tag & 31
    else if (tag >= 0xc0 && tag < 0xe0) {
      const known = tags[tag - 0xc0]
      // The others are extensions, and one that is never used.
      if (known === undefined || at + known.header > bytes.length) return false
      const { header, kind } = known
      const length = header === 1
        ? view.getUint8(at)
        : header === 2
        ? view.getUint16(at)
        : header === 4
        ? view.getUint32(at)
        : 0
      at += header
      if (kind === "bytes") size = length
      else if (kind === "array") children = length
      else if (kind === "map") children = length * 2
    }
    at += size
    // Each value takes a byte at least.
    if (at + children > bytes.length) return false
    if (children > 0) {
      if (left.length > maxDepth) return false
      left.push(children)
    }
  }
  return at === bytes.length
}

interface Tag {
  readonly header: number
  readonly kind: "number" | "bytes" | "array" | "map"
}

const tag = (header: number, kind: Tag["kind"]): Tag => ({ header, kind })

/** The values from 0xc0 on: what follows the tag. */
const tags: ReadonlyArray<Tag | undefined> = [
  // nil, never used, false, true
  tag(0, "number"),
  undefined,
  tag(0, "number"),
  tag(0, "number"),
  // binaries
  ...[1, 2, 4].map((header) => tag(header, "bytes")),
  // extensions
  undefined,
  undefined,
  undefined,
  // floats, integers without and with a sign
  ...[4, 8, 1, 2, 4, 8, 1, 2, 4, 8].map((header) => tag(header, "number")),
  // extensions of a fixed size
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  // texts, arrays, maps
  ...[1, 2, 4].map((header) => tag(header, "bytes")),
  ...[2, 4].map((header) => tag(header, "array")),
  ...[2, 4].map((header) => tag(header, "map"))
]

const encoder = new TextEncoder()
/** Fatal: what is no UTF-8 is no message. */
const decoder = new TextDecoder("utf-8", { fatal: true })

/** One for all messages: it keeps what it allocates. */
const messagePack = new MessagePack.Decoder()

const unpack = Option.liftThrowable((bytes: Uint8Array): unknown => messagePack.decode(bytes))
const parse = Option.liftThrowable((bytes: Uint8Array): unknown => JSON.parse(decoder.decode(bytes)))

const isRecord = (u: unknown): u is { readonly [key: string]: unknown } =>
  typeof u === "object" && u !== null && !Array.isArray(u)

const ackOf = (value: unknown): number | string | undefined =>
  Number.isSafeInteger(value) ? value as number : typeof value === "string" && value.length <= 64 ? value : undefined

/** JSON begins with a brace, a bracket or a blank: in MessagePack, those are numbers, which are no messages. */
const isJson = (first: number): boolean => first === 0x7b || first === 0x5b || first === 0x20 || first === 0x0a

/**
 * Decodes a message. A position without a time has the time of its arrival, `now`.
 */
export const decode = (bytes: Uint8Array, now: number): Decoded => {
  const json = bytes.length > 0 && isJson(bytes[0]!)
  const format = json ? "json" : "msgpack"
  const nonsense: Decoded = { positions: [], invalid: 1, ack: undefined, format }
  if (bytes.length > maxBytes) return nonsense
  const message = json ? parse(bytes) : isPlain(bytes) ? unpack(bytes) : Option.none()
  if (Option.isNone(message)) return nonsense
  const { value } = message
  const envelope = isRecord(value) ? value : {}
  const ack = ackOf(json ? envelope["ack"] : envelope["Ack"])
  const inside = json ? envelope["entity"] : envelope["Positions"]
  const list = inside === undefined ? Array.isArray(value) ? value : [value] : inside
  if (!Array.isArray(list) || list.length > maxPositions) return { ...nonsense, ack }
  const positions: Array<Position> = []
  for (const item of list) {
    // The entities of a feed have their vehicle inside; a vehicle itself may have one, which is an id.
    const one = json
      ? fromVehicle(inside !== undefined && isRecord(item) ? item["vehicle"] : item, now)
      : fromPacked(item, now)
    if (Option.isSome(one)) positions.push(one.value)
  }
  return { positions, invalid: list.length - positions.length, ack, format }
}

/** The bytes of an answer, in the format of the message. */
export const encodeAnswer = (format: Decoded["format"], answer: { readonly [key: string]: unknown }): Uint8Array =>
  format === "json" ? encoder.encode(JSON.stringify(answer)) : MessagePack.encode(answer)

// --- for those who send ----------------------------------------------------------------------------------------------

export interface EncodeOptions {
  /** Asks for an answer, which has this. */
  readonly ack?: number | string | undefined
  /** Leaves the times out, so that it counts when they arrive. */
  readonly untimed?: boolean | undefined
}

/** A message of the feed in MessagePack: of one position as the original sends it, with what it has besides. */
export const toMsgpack = (positions: ReadonlyArray<Position>, options: EncodeOptions = {}): Uint8Array => {
  const { ack, untimed = false } = options
  const packed = positions.map(({ at, emergency, lat, lon, route, speed, vehicle }) => ({
    ID: vehicle,
    Lon: lon,
    Lat: lat,
    Emergency: emergency,
    ...(untimed ? {} : { Date: at }),
    ...(route === "" ? {} : { Route: route }),
    ...(speed === 0 ? {} : { Speed: speed })
  }))
  const asked = ack === undefined ? {} : { Ack: ack }
  return MessagePack.encode(packed.length === 1 ? { ...packed[0], ...asked } : { ...asked, Positions: packed })
}

/** The same as JSON: one vehicle, or a feed of many. */
export const toJson = (positions: ReadonlyArray<Position>, options: EncodeOptions = {}): string => {
  const { ack, untimed = false } = options
  const vehicles = positions.map(({ at, emergency, lat, lon, route, speed, vehicle }) => ({
    vehicle: { id: vehicle },
    ...(route === "" ? {} : { trip: { routeId: route } }),
    position: { latitude: lat, longitude: lon, ...(speed === 0 ? {} : { speed }) },
    ...(untimed ? {} : { timestamp: at / 1000 }),
    ...(emergency ? { emergency } : {})
  }))
  const asked = ack === undefined ? {} : { ack }
  return JSON.stringify(
    vehicles.length === 1
      ? { ...vehicles[0], ...asked }
      : { ...asked, entity: vehicles.map((vehicle, index) => ({ id: String(index), vehicle })) }
  )
}
