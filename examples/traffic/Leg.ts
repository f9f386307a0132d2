/**
 * Some positions of a vehicle that follow each other, as one row of the database has them: a text in JSON, with an array for
 * each position.
 */
import type { Row } from "./Batch.ts"

/** A position of a leg: whose it is, the leg need not say. */
export type Place = Omit<Row, "vehicle">

/** Positions in the order of time, at least one. */
export type Leg = ReadonlyArray<Place>

type Written = readonly [at: number, lat: number, lon: number, speed: number, emergency: number, route: string]

/** The text of one position. */
export const writePlace = ({ at, emergency, lat, lon, route, speed }: Place): string =>
  JSON.stringify([at, lat, lon, speed, emergency, route] satisfies Written)

/** The text of a leg, of those of its positions. */
export const join = (places: ReadonlyArray<string>): string => `[${places.join(",")}]`

/** The text of a leg. */
export const write = (leg: Leg): string => join(leg.map(writePlace))

/** The leg that a text has. */
export const read = (text: string): Array<Place> =>
  (JSON.parse(text) as ReadonlyArray<Written>).map(([at, lat, lon, speed, emergency, route]) => ({
    at,
    lat,
    lon,
    speed,
    emergency,
    route
  }))

/** The index of the first position that is later. */
export const after = (leg: ReadonlyArray<{ readonly at: number }>, at: number): number => {
  let index = leg.length
  while (index > 0 && leg[index - 1]!.at > at) index--
  return index
}
