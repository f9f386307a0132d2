/**
 * Distances and boxes on the globe, taken as a sphere. Pure functions of degrees and metres.
 */

/** The mean radius of the earth. A great circle is at most 0.6 % off the real shape. */
export const earthRadius = 6_371_008.8

const radians = Math.PI / 180

/**
 * Added to each side of a box around a circle, so that rounding cannot leave out what is on its edge: 1e-7 degrees are a
 * centimetre.
 */
const slack = 1e-7

/** Parallels and meridians in degrees. Unless it says otherwise, west is not east of east. */
export interface Box {
  readonly south: number
  readonly west: number
  readonly north: number
  readonly east: number
}

const world: Box = { south: -90, west: -180, north: 90, east: 180 }

/** Half the way around: nothing is farther away. */
export const farthest = Math.PI * earthRadius

/** Metres along the great circle between two points (haversine). */
export const distance = (lat1: number, lon1: number, lat2: number, lon2: number): number => {
  const sinLat = Math.sin((lat2 - lat1) * radians / 2)
  const sinLon = Math.sin((lon2 - lon1) * radians / 2)
  const h = sinLat * sinLat + Math.cos(lat1 * radians) * Math.cos(lat2 * radians) * sinLon * sinLon
  return 2 * earthRadius * Math.asin(Math.min(1, Math.sqrt(h)))
}

/** Whether a point is in a box, edges included. A box whose west is east of its east contains the date line. */
export const contains = ({ east, north, south, west }: Box, lat: number, lon: number): boolean =>
  lat >= south && lat <= north && (west <= east ? lon >= west && lon <= east : lon >= west || lon <= east)

/** A box that may contain the date line, as boxes that end there. */
export const split = (box: Box): ReadonlyArray<Box> =>
  box.west <= box.east ? [box] : [{ ...box, east: 180 }, { ...box, west: -180 }]

/** One box, or two on both sides of the date line, that contain every point within so many metres of a point. */
export const around = (lat: number, lon: number, metres: number): ReadonlyArray<Box> => {
  if (metres >= farthest) return [world]
  const angle = metres / earthRadius
  const south = lat - angle / radians - slack
  const north = lat + angle / radians + slack
  // A circle around a pole meets every meridian.
  if (south <= -90 || north >= 90) {
    return [{ ...world, south: Math.max(south, -90), north: Math.min(north, 90) }]
  }
  // The meridians that touch the circle do so nearer to the pole than its centre is.
  const reach = Math.asin(Math.min(1, Math.sin(angle) / Math.cos(lat * radians))) / radians + slack
  const west = lon - reach
  const east = lon + reach
  return split({ south, north, west: west < -180 ? west + 360 : west, east: east > 180 ? east - 360 : east })
}
