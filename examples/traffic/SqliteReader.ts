/**
 * Looks positions up in a file of SQLite. Each question sees what was committed when it came, whatever is written meanwhile.
 */
import { statSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import type { Row } from "./Batch.ts"
import { around, type Box, contains, distance, farthest, split } from "./Geometry.ts"
import * as Leg from "./Leg.ts"
import { byDistance, byVehicle } from "./Order.ts"
import { boundsOfBox, seconds, timeBits, timeMask } from "./SqliteDatabase.ts"
import type { BoxQuery, NearestQuery, Statistics, TrackQuery } from "./Store.ts"

/** A row, and how far it is from where one asked. */
export interface SeenRow extends Row {
  readonly metres: number
}

/** The radius of the very first search, in metres, and the smallest and largest that one begins with. */
const firstRadius = 1000
const smallestRadius = 100
const largestRadius = 100_000

/** In the box by a tree. */
const near = "north >= :lowSouth AND south <= :highNorth AND east >= :lowWest AND west <= :highEast"

const statements = (database: DatabaseSync) => ({
  latest: database.prepare(`SELECT name AS vehicle, route, lat, lon, speed, at, emergency
    FROM (SELECT id FROM current WHERE ${near}) JOIN vehicle USING (id)
    WHERE lat BETWEEN :south AND :north AND lon BETWEEN :west AND :east`),
  /** The legs in which those were who may have been there. */
  earlier: database.prepare(`SELECT name AS vehicle, CASE WHEN since <= :at THEN positions ELSE
      (SELECT positions FROM leg WHERE id BETWEEN v.id << ${timeBits} AND v.id << ${timeBits} | :at ORDER BY id DESC LIMIT 1)
    END AS positions
    FROM (
      SELECT id FROM current WHERE ${near}
      UNION SELECT id >> ${timeBits} FROM span WHERE ${near} AND since <= :second AND until >= :second
    ) JOIN vehicle v USING (id)`),
  vehicle: database.prepare("SELECT id, positions FROM vehicle WHERE name = ?1"),
  legs: database.prepare(`SELECT positions FROM leg
    WHERE id <= (?1 << ${timeBits} | ?3) AND id >= coalesce(
      (SELECT max(id) FROM leg WHERE id BETWEEN ?1 << ${timeBits} AND ?1 << ${timeBits} | ?2), ?1 << ${timeBits})
    ORDER BY id`),
  tally: database.prepare(
    "SELECT stored, duplicates, oldest, newest, (SELECT count(*) FROM vehicle) AS vehicles FROM tally"
  )
})

export class SqliteReader {
  private readonly path: string
  private readonly maxAge: number
  private readonly database: DatabaseSync
  private readonly run: ReturnType<typeof statements>
  /** The radius within which one is likely to be: where they are as dense as where one has asked before. */
  private radiusOfOne = firstRadius

  constructor(database: DatabaseSync, path: string, maxAge: number) {
    this.database = database
    this.path = path
    this.maxAge = maxAge
    database.exec("PRAGMA query_only = 1")
    this.run = statements(database)
  }

  nearest({ at, k, lat, lon }: NearestQuery): ReadonlyArray<SeenRow> {
    return this.consistently(() => {
      for (let radius = this.radiusOfOne * Math.sqrt(k);;) {
        const found = this.within(around(lat, lon, radius), at).map((row): SeenRow => ({
          ...row,
          metres: distance(lat, lon, row.lat, row.lon)
        }))
        // The corners of the boxes are farther away than the radius: others may be nearer than what is in there.
        const certain = radius >= farthest ? found : found.filter(({ metres }) => metres <= radius)
        if (certain.length >= k || radius >= farthest) {
          const nearest = certain.sort(byDistance).slice(0, k)
          const reach = (nearest.at(-1)?.metres ?? firstRadius) / Math.sqrt(Math.max(1, nearest.length))
          // Rather a little too wide than once more; a place that is like no other one is forgotten soon.
          this.radiusOfOne += (clamp(1.3 * reach) - this.radiusOfOne) / 8
          return nearest
        }
        radius = Math.min(farthest, radius * growth(certain.length, k))
      }
    })
  }

  box({ at, limit, ...box }: BoxQuery): ReadonlyArray<Row> {
    return this.consistently(() => [...this.within(split(box), at)].sort(byVehicle).slice(0, limit))
  }

  track({ from = 0, limit, to = timeMask, vehicle }: TrackQuery): ReadonlyArray<Row> {
    return this.consistently(() => {
      const found = this.run.vehicle.get(vehicle) as { readonly id: number; readonly positions: string } | undefined
      const rows: Array<Row> = []
      if (found === undefined) return rows
      const add = (positions: string): boolean => {
        for (const place of Leg.read(positions)) {
          if (place.at >= from && place.at <= to && rows.length < limit) rows.push({ vehicle, ...place })
        }
        return rows.length < limit
      }
      for (const { positions } of this.run.legs.iterate(found.id, from, to)) {
        if (!add(String(positions))) return rows
      }
      add(found.positions)
      return rows
    })
  }

  statistics(): typeof Statistics.Encoded {
    const { newest, oldest, ...counts } = this.run.tally.get() as {
      readonly stored: number
      readonly duplicates: number
      readonly vehicles: number
      readonly oldest: number | null
      readonly newest: number | null
    }
    return {
      ...counts,
      positions: counts.stored,
      bytes: [this.path, `${this.path}-wal`].reduce(
        (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
        0
      ),
      ...(oldest === null || newest === null ? {} : { oldest, newest })
    }
  }

  /** Several searches that see the same. */
  private consistently<A>(search: () => A): A {
    this.database.exec("BEGIN")
    try {
      return search()
    } finally {
      this.database.exec("COMMIT")
    }
  }

  private within(boxes: ReadonlyArray<Box>, at: number | undefined): ReadonlyArray<Row> {
    return boxes.flatMap((box) => {
      const { east, north, south, west } = boundsOfBox(box)
      const bounds = { lowSouth: south, highNorth: north, lowWest: west, highEast: east }
      if (at === undefined) return this.run.latest.all({ ...bounds, ...box }) as unknown as ReadonlyArray<Row>
      return this.run.earlier.all({ ...bounds, at, second: seconds(at) }).flatMap(
        ({ positions, vehicle }): Array<Row> => {
          if (positions === null) return []
          const leg = Leg.read(String(positions))
          const place = leg[Leg.after(leg, at) - 1]
          return place !== undefined && place.at >= at - this.maxAge && contains(box, place.lat, place.lon)
            ? [{ vehicle: String(vehicle), ...place }]
            : []
        }
      )
    })
  }
}

const clamp = (radius: number): number => Math.max(smallestRadius, Math.min(largestRadius, radius))

/** By how much to widen a search that found too few: as if they lay as densely farther out, and a little more. */
const growth = (found: number, k: number): number =>
  found === 0 ? 4 : Math.max(1.5, Math.min(4, 1.2 * Math.sqrt(k / found)))
