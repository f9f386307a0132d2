/**
 * Positions in memory: for tests, and to try things out. They are gone when the layer is.
 */
import { Effect, Layer } from "effect"
import { contains, distance } from "./Geometry.ts"
import { byDistance, byVehicle } from "./Order.ts"
import { type Position, Seen } from "./Position.ts"
import { maxAge, type Reader, Statistics, Store, Stored, type Writer } from "./Store.ts"

/** The index of the first position that is later. */
const after = (track: ReadonlyArray<Position>, at: number): number => {
  let low = 0
  let high = track.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (track[middle]!.at <= at) low = middle + 1
    else high = middle
  }
  return low
}

class Memory {
  private readonly tracks = new Map<string, Array<Position>>()
  private stored = 0
  private duplicates = 0

  store(positions: ReadonlyArray<Position>): Stored {
    const stored = positions.reduce((sum, position) => sum + (this.insert(position) ? 1 : 0), 0)
    const duplicates = positions.length - stored
    this.stored += stored
    this.duplicates += duplicates
    return new Stored({ stored, duplicates })
  }

  nearest: Reader["nearest"] = ({ at, k, lat, lon }) =>
    Effect.sync(() =>
      this.whereabouts(at)
        .map((position) => new Seen({ ...position, metres: distance(lat, lon, position.lat, position.lon) }))
        .sort(byDistance)
        .slice(0, k)
    )

  box: Reader["box"] = ({ at, limit, ...box }) =>
    Effect.sync(() =>
      this.whereabouts(at)
        .filter(({ lat, lon }) => contains(box, lat, lon))
        .sort(byVehicle)
        .slice(0, limit)
    )

  track: Reader["track"] = ({ from = 0, limit, to = Infinity, vehicle }) =>
    Effect.sync(() => {
      const track = this.tracks.get(vehicle) ?? []
      const start = after(track, from - 1)
      return track.slice(start, Math.min(after(track, to), start + limit))
    })

  statistics: Reader["statistics"] = Effect.sync(() => {
    const { duplicates, stored, tracks } = this
    const sorted = [...tracks.values()]
    return new Statistics({
      positions: stored,
      vehicles: tracks.size,
      stored,
      duplicates,
      bytes: 0,
      ...(stored === 0 ? {} : {
        oldest: sorted.reduce((least, track) => Math.min(least, track[0]!.at), Infinity),
        newest: sorted.reduce((most, track) => Math.max(most, track.at(-1)!.at), 0)
      })
    })
  })

  /** Whether it is no duplicate. */
  private insert(position: Position): boolean {
    const track = this.tracks.get(position.vehicle)
    if (track === undefined) {
      this.tracks.set(position.vehicle, [position])
      return true
    }
    const index = after(track, position.at)
    if (track[index - 1]?.at === position.at) return false
    track.splice(index, 0, position)
    return true
  }

  /** Where each vehicle was last, now or at a time. */
  private whereabouts(at: number | undefined): Array<Position> {
    const positions: Array<Position> = []
    for (const track of this.tracks.values()) {
      const position = at === undefined ? track.at(-1) : track[after(track, at) - 1]
      if (position !== undefined && (at === undefined || position.at >= at - maxAge)) positions.push(position)
    }
    return positions
  }
}

/** All writers and readers of the layer see the same. */
export const layer: Layer.Layer<Store> = Layer.sync(Store, () => {
  const memory = new Memory()
  const writer: Writer = {
    store: (requests) => Effect.sync(() => requests.map((positions) => memory.store(positions))),
    ended: Effect.never
  }
  const { box, nearest, statistics, track } = memory
  return {
    writer: Effect.succeed(writer),
    reader: Effect.succeed({ nearest, box, track, statistics, ended: Effect.never })
  }
})
