/**
 * Writes positions to a file of SQLite, a batch in one transaction: all of it or nothing. There may be one writer at a time,
 * and readers meanwhile.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { type Batch, type Row, rowOf } from "./Batch.ts"
import * as Leg from "./Leg.ts"
import { type Bounds, boundsOf, seconds, timeBits, timeMask, union, widen, within } from "./SqliteDatabase.ts"

/** How many positions a leg has. What comes late may make it twice as long. */
const legSize = 16

/**
 * How much room the index leaves around the present leg of a vehicle, in hundred thousandths of a degree: about half a
 * kilometre. It is written again only when the vehicle leaves it, not each time that it moves.
 */
const margin = 500

/** What the writer knows of a vehicle without asking the file. */
interface Vehicle {
  readonly id: number
  readonly name: string
  /** The present leg, and its positions as they are written. */
  leg: Array<Leg.Place>
  texts: Array<string>
  /** A box around the leg. */
  bounds: Bounds
  /** Where the index says that the leg is; undefined when it is to be told again. */
  indexed: Bounds | undefined
  /** Whether the file has the vehicle. */
  known: boolean
}

const statements = (database: DatabaseSync) => {
  // Parameters come as floating point numbers; these operators make integers of them.
  const id = `(?1 << ${timeBits} | ?2)`
  return {
    begin: database.prepare("BEGIN IMMEDIATE"),
    commit: database.prepare("COMMIT"),
    dataVersion: database.prepare("PRAGMA data_version"),
    vehicles: database.prepare(
      "SELECT id, name, positions, south, north, west, east FROM vehicle JOIN current USING (id)"
    ),
    insertVehicle: database.prepare("INSERT INTO vehicle VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"),
    updateVehicle: database.prepare(`UPDATE vehicle SET name = ?2, at = ?3, route = ?4, lat = ?5, lon = ?6, speed = ?7,
      emergency = ?8, since = ?9, positions = ?10 WHERE id = ?1`),
    insertCurrent: database.prepare("INSERT INTO current VALUES (?1, ?2, ?3, ?4, ?5)"),
    updateCurrent: database.prepare(
      "UPDATE current SET south = ?2, north = ?3, west = ?4, east = ?5 WHERE id = ?1"
    ),
    writeLeg: database.prepare(`INSERT OR REPLACE INTO leg VALUES (${id}, ?3)`),
    writeSpan: database.prepare(`INSERT OR REPLACE INTO span VALUES (${id}, ?3, ?4, ?5, ?6, ?7, ?8)`),
    legAt: database.prepare(`SELECT positions FROM leg
      WHERE id BETWEEN ?1 << ${timeBits} AND ${id} ORDER BY id DESC LIMIT 1`),
    legAfter: database.prepare(`SELECT min(id) & ${timeMask} AS since FROM leg
      WHERE id > ${id} AND id < (?1 + 1) << ${timeBits}`),
    addToTally: database.prepare(`UPDATE tally SET stored = stored + ?1, duplicates = duplicates + ?2,
      oldest = min(coalesce(oldest, ?3), coalesce(?3, oldest)), newest = max(coalesce(newest, ?4), coalesce(?4, newest))`)
  } satisfies Record<string, StatementSync>
}

const boundsOfLeg = (leg: Leg.Leg): Bounds => leg.map(boundsOf).reduce(union)

export class SqliteWriter {
  private readonly database: DatabaseSync
  private readonly maxAge: number
  private readonly run: ReturnType<typeof statements>
  private readonly vehicles = new Map<string, Vehicle>()
  /** Vehicles that have changed since they were last written: each is written once for a batch. */
  private readonly changed = new Set<Vehicle>()
  private dataVersion: unknown

  constructor(database: DatabaseSync, maxAge: number) {
    this.database = database
    this.maxAge = maxAge
    this.run = statements(database)
  }

  /** Stores all of a batch, or nothing and throws. Gives how many of each request were no duplicates. */
  store(batch: Batch): ReadonlyArray<number> {
    this.run.begin.run()
    try {
      this.readVehicles()
      const result = this.insertAll(batch)
      for (const vehicle of this.changed) this.writeVehicle(vehicle)
      this.run.commit.run()
      return result
    } catch (error) {
      // What is in memory is ahead of the file now.
      this.dataVersion = undefined
      if (this.database.isTransaction) this.database.exec("ROLLBACK")
      throw error
    } finally {
      this.changed.clear()
    }
  }

  /** Reads the vehicles, when they may have been written by anybody else. */
  private readVehicles(): void {
    const { data_version: version } = this.run.dataVersion.get() as { readonly data_version: number }
    if (version === this.dataVersion) return
    this.vehicles.clear()
    for (const row of this.run.vehicles.iterate()) {
      const { id, name, positions, ...indexed } = row as unknown as
        & Bounds
        & { readonly id: number; readonly name: string; readonly positions: string }
      const leg = Leg.read(positions)
      const vehicle = { id, name, leg, texts: leg.map(Leg.writePlace), bounds: boundsOfLeg(leg), indexed, known: true }
      this.vehicles.set(name, vehicle)
    }
    this.dataVersion = version
  }

  private insertAll(batch: Batch): ReadonlyArray<number> {
    let index = 0
    let total = 0
    let oldest = Infinity
    let newest = 0
    const counts = batch.sizes.map((size) => {
      let stored = 0
      for (const end = index + size; index < end; index++) {
        const row = rowOf(batch, index)
        if (!this.insert(row)) continue
        stored++
        oldest = Math.min(oldest, row.at)
        newest = Math.max(newest, row.at)
      }
      total += stored
      return stored
    })
    if (total > 0) this.run.addToTally.run(total, index - total, oldest, newest)
    else this.run.addToTally.run(0, index, null, null)
    return counts
  }

  /** Whether it was no duplicate. */
  private insert({ vehicle: name, ...place }: Row): boolean {
    const vehicle = this.vehicles.get(name)
    if (vehicle === undefined) {
      this.insertVehicle(name, place)
      return true
    }
    return place.at < vehicle.leg[0]!.at ? this.insertLate(vehicle, place) : this.insertPresent(vehicle, place)
  }

  private insertVehicle(name: string, place: Leg.Place): void {
    const vehicle: Vehicle = {
      id: this.vehicles.size + 1,
      name,
      leg: [place],
      texts: [Leg.writePlace(place)],
      bounds: boundsOf(place),
      indexed: undefined,
      known: false
    }
    this.vehicles.set(name, vehicle)
    this.changed.add(vehicle)
  }

  /** Into the present leg; when that is long enough, it becomes an earlier one, and the next leg begins. */
  private insertPresent(vehicle: Vehicle, place: Leg.Place): boolean {
    const { leg, texts } = vehicle
    const index = Leg.after(leg, place.at)
    if (leg[index - 1]!.at === place.at) return false
    leg.splice(index, 0, place)
    texts.splice(index, 0, Leg.writePlace(place))
    vehicle.bounds = union(vehicle.bounds, boundsOf(place))
    this.changed.add(vehicle)
    const isLatest = index === leg.length - 1
    if (leg.length > (isLatest ? legSize : 2 * legSize)) this.endLeg(vehicle, isLatest ? leg.length - 1 : legSize)
    return true
  }

  /** The first `count` positions of the present leg become a leg of their own. */
  private endLeg(vehicle: Vehicle, count: number): void {
    const { id, leg, texts } = vehicle
    const ended = leg.splice(0, count)
    this.writeLeg(id, ended, Leg.join(texts.splice(0, count)), leg[0]!.at)
    vehicle.bounds = boundsOfLeg(leg)
    // Not what the index says, or it would never become smaller.
    vehicle.indexed = undefined
  }

  /** Into the earlier leg to which it belongs; before the first one, it is one itself. */
  private insertLate({ id, leg: present }: Vehicle, place: Leg.Place): boolean {
    const found = this.run.legAt.get(id, place.at) as { readonly positions: string } | undefined
    const leg = found === undefined ? [] : Leg.read(found.positions)
    const index = Leg.after(leg, place.at)
    if (leg[index - 1]?.at === place.at) return false
    leg.splice(index, 0, place)
    const { since } = this.run.legAfter.get(id, leg[0]!.at) as { readonly since: number | null }
    const next = since ?? present[0]!.at
    const rest = leg.length > 2 * legSize ? leg.splice(legSize) : []
    this.writeLeg(id, leg, Leg.write(leg), rest[0]?.at ?? next)
    if (rest.length > 0) this.writeLeg(id, rest, Leg.write(rest), next)
    return true
  }

  /** Writes a leg after which the vehicle is elsewhere from `next` on. */
  private writeLeg(id: number, leg: Leg.Leg, text: string, next: number): void {
    const since = leg[0]!.at
    const until = Math.min(next, leg.at(-1)!.at + this.maxAge)
    const { east, north, south, west } = boundsOfLeg(leg)
    this.run.writeLeg.run(id, since, text)
    this.run.writeSpan.run(id, since, south, north, west, east, seconds(since), seconds(until))
  }

  private writeVehicle(vehicle: Vehicle): void {
    const { bounds, id, indexed, known, leg, name, texts } = vehicle
    const { at, emergency, lat, lon, route, speed } = leg.at(-1)!
    const table = known ? this.run.updateVehicle : this.run.insertVehicle
    table.run(id, name, at, route, lat, lon, speed, emergency, leg[0]!.at, Leg.join(texts))
    if (indexed === undefined || !within(bounds, indexed)) {
      const room = widen(bounds, margin)
      const tree = known ? this.run.updateCurrent : this.run.insertCurrent
      tree.run(id, room.south, room.north, room.west, room.east)
      vehicle.indexed = room
    }
    vehicle.known = true
  }
}
