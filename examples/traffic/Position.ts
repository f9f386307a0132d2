/**
 * Where a vehicle was, and when: what the feed is decoded to, what is stored, and what queries answer.
 */
import { Schema } from "effect"

/** Degrees north of the equator. */
export const Latitude = Schema.Finite.check(Schema.isBetween({ minimum: -90, maximum: 90 }))

/** Degrees east of Greenwich. */
export const Longitude = Schema.Finite.check(Schema.isBetween({ minimum: -180, maximum: 180 }))

/** The last millisecond that storage has room for: in the year 2109. */
export const lastMillisecond = 2 ** 42 - 1

/** Milliseconds since 1970, UTC. Whole ones: with the vehicle they are the key of a position. */
export const Milliseconds = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: lastMillisecond }))

/** Neither control characters nor halves of characters: no database gives those back as they were. */
const isText = Schema.isPattern(/^[^\p{Cc}\p{Cs}]*$/u)

/** The name of a vehicle. */
export const Vehicle = Schema.String.check(Schema.isBetweenLength(1, 64), isText)

const fields = {
  vehicle: Vehicle,
  /** The line that it serves; empty when it serves none. */
  route: Schema.String.check(Schema.isMaxLength(64), isText),
  lat: Latitude,
  lon: Longitude,
  /** Metres per second; 0 where it is unknown. */
  speed: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  at: Milliseconds,
  /** Whether it is under way to an emergency. */
  emergency: Schema.Boolean
}

/** Where a vehicle was, and when. A vehicle is at one place at a time: vehicle and `at` identify it. */
export class Position extends Schema.Class<Position>("Position")(fields) {}

/** A position, and how far it is from where one asked: along a great circle. */
export class Seen extends Schema.Class<Seen>("Seen")({ ...fields, metres: Schema.Finite }) {}
