/**
 * Positions on their way between threads: columns, which cost less to copy than objects.
 */
import type { Position } from "./Position.ts"

/** Positions column by column, of several requests. */
export interface Batch {
  /** How many positions belong to each request. */
  readonly sizes: ReadonlyArray<number>
  readonly vehicles: ReadonlyArray<string>
  readonly routes: ReadonlyArray<string>
  /** Five for each: latitude, longitude, speed, time, and 1 for an emergency. */
  readonly numbers: Float64Array<ArrayBuffer>
}

const stride = 5

/** A position as a row of a table: 0 or 1 for `emergency`. */
export interface Row {
  readonly vehicle: string
  readonly route: string
  readonly lat: number
  readonly lon: number
  readonly speed: number
  readonly at: number
  readonly emergency: number
}

/** Requests as a batch. */
export const fromRequests = (requests: ReadonlyArray<ReadonlyArray<Position>>): Batch => {
  const sizes = requests.map(({ length }) => length)
  const vehicles: Array<string> = []
  const routes: Array<string> = []
  const numbers = new Float64Array(stride * sizes.reduce((sum, size) => sum + size, 0))
  let offset = 0
  for (const positions of requests) {
    for (const { at, emergency, lat, lon, route, speed, vehicle } of positions) {
      vehicles.push(vehicle)
      routes.push(route)
      numbers[offset] = lat
      numbers[offset + 1] = lon
      numbers[offset + 2] = speed
      numbers[offset + 3] = at
      numbers[offset + 4] = emergency ? 1 : 0
      offset += stride
    }
  }
  return { sizes, vehicles, routes, numbers }
}

/** One position of a batch. */
export const rowOf = ({ numbers, routes, vehicles }: Batch, index: number): Row => {
  const offset = index * stride
  return {
    vehicle: vehicles[index]!,
    route: routes[index]!,
    lat: numbers[offset]!,
    lon: numbers[offset + 1]!,
    speed: numbers[offset + 2]!,
    at: numbers[offset + 3]!,
    emergency: numbers[offset + 4]!
  }
}
