/**
 * Positions for tests, and what queries have to answer: found by looking at each position of a list.
 */
import { contains, distance } from "../../../examples/traffic/Geometry.ts"
import { Position, Seen } from "../../../examples/traffic/Position.ts"
import { type BoxQuery, maxAge, type NearestQuery, type TrackQuery } from "../../../examples/traffic/Store.ts"

/** Numbers from 0 to 1 that look random and are the same for the same seed (mulberry32). */
export const random = (seed: number) => (): number => {
  seed = seed + 0x6d2b79f5 | 0
  let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
  t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
  return ((t ^ t >>> 14) >>> 0) / 2 ** 32
}

/** A position with what does not matter filled in. */
export const position = (
  fields: Partial<typeof Position.Encoded> & { readonly vehicle: string; readonly at: number }
): Position => new Position({ route: "1", lat: 30, lon: -97, speed: 0, emergency: false, ...fields })

/** The list in another order. */
export const shuffled = <A>(list: ReadonlyArray<A>, next: () => number): Array<A> => {
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
  }
  return copy
}

const wrapped = (lon: number): number => lon > 180 ? lon - 360 : lon < -180 ? lon + 360 : lon

/** Vehicles that wander about near a place, some steps each: now and then they are silent for longer than positions hold. */
export const wandering = (
  next: () => number,
  { lat, lon, size, steps, vehicles }: {
    readonly lat: number
    readonly lon: number
    /** Degrees. */
    readonly size: number
    readonly vehicles: number
    readonly steps: number
  }
): Array<Position> =>
  Array.from({ length: vehicles }, (_, vehicle) => {
    let at = 1_500_000_000_000 + Math.floor(next() * maxAge)
    return Array.from({ length: steps }, () => {
      at += 1 + Math.floor(next() * 60_000) + (next() < 0.1 ? maxAge : 0)
      return position({
        vehicle: `v${vehicle}`,
        at,
        lat: Math.max(-90, Math.min(90, lat + (next() - 0.5) * size)),
        lon: wrapped(lon + (next() - 0.5) * size),
        speed: next() * 20,
        emergency: next() < 0.5
      })
    })
  }).flat()

const byVehicle = (a: Position, b: Position): number => a.vehicle < b.vehicle ? -1 : a.vehicle > b.vehicle ? 1 : 0

/** Where each vehicle was last. */
export const whereabouts = (positions: ReadonlyArray<Position>, at: number | undefined): Array<Position> => {
  const last = new Map<string, Position>()
  for (const position of positions) {
    const known = last.get(position.vehicle)
    if ((at === undefined || position.at <= at) && (known === undefined || position.at > known.at)) {
      last.set(position.vehicle, position)
    }
  }
  return [...last.values()].filter((position) => at === undefined || at - position.at <= maxAge)
}

export const nearest = (positions: ReadonlyArray<Position>, { at, k, lat, lon }: NearestQuery): Array<Seen> =>
  whereabouts(positions, at)
    .map((position) => new Seen({ ...position, metres: distance(lat, lon, position.lat, position.lon) }))
    .sort((a, b) => a.metres - b.metres || byVehicle(a, b))
    .slice(0, k)

export const box = (positions: ReadonlyArray<Position>, { at, limit, ...bounds }: BoxQuery): Array<Position> =>
  whereabouts(positions, at).filter(({ lat, lon }) => contains(bounds, lat, lon)).sort(byVehicle).slice(0, limit)

export const track = (
  positions: ReadonlyArray<Position>,
  { from = -Infinity, limit, to = Infinity, vehicle }: TrackQuery
): Array<Position> =>
  positions
    .filter((position) => position.vehicle === vehicle && position.at >= from && position.at <= to)
    .sort((a, b) => a.at - b.at)
    .slice(0, limit)
