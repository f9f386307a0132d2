/**
 * A file of SQLite with positions. It blocks while it works, so it is used on threads of its own (sqlite-worker.ts):
 * SqliteWriter.ts and SqliteReader.ts say what they do.
 *
 * What is in the file:
 * - `vehicle`: its name, its latest position, and its present leg: the last positions, up to some number, as JSON. They are in
 *   one place, since a page is written for each place that changes.
 * - `leg`: the positions before, a row for some of them. The id is the number of the vehicle and the time of the first one in
 *   one integer, so that the legs of a vehicle are neighbours in the order of time.
 * - `current`: an R*Tree with a box around the present leg of each vehicle.
 * - `span`: an R*Tree with a box in space and time for each earlier leg: from its first position to when the next leg begins,
 *   or its last position is too old. One entry for each position would cost more than all the rest.
 * - `tally`: how much was stored, since counting takes its time.
 *
 * An index says only who may have been there then: whoever has a position in a box, at a time at which it holds, is in one
 * of the trees with a box around both. Where a vehicle was, its legs say.
 *
 * The trees hold integers of 32 bits: hundred thousandths of a degree (a metre) and seconds, rounded outward.
 */
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Box } from "./Geometry.ts"

/** Which file, and how. */
export interface Options {
  readonly path: string
  /** The size that the file may have, in bytes: without a limit by default. */
  readonly maxBytes?: number | undefined
  /** Whether a commit waits for the disk, so that it survives the loss of power too: true by default. */
  readonly sync?: boolean | undefined
}

/** The bits of a time in an id; those above are the number of the vehicle. */
export const timeBits = 42

/** What is left of an id without the number of the vehicle. */
export const timeMask: number = 2 ** timeBits - 1

/** Marks the file as one of this application: "traf". */
const applicationId = 0x74726166

const schema = `
  CREATE TABLE vehicle (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL, route TEXT NOT NULL, lat REAL NOT NULL, lon REAL NOT NULL, speed REAL NOT NULL,
    emergency INTEGER NOT NULL, since INTEGER NOT NULL, positions TEXT NOT NULL
  ) STRICT;
  CREATE TABLE leg (id INTEGER PRIMARY KEY, positions TEXT NOT NULL) STRICT;
  CREATE VIRTUAL TABLE current USING rtree_i32(id, south, north, west, east);
  CREATE VIRTUAL TABLE span USING rtree_i32(id, south, north, west, east, since, until);
  CREATE TABLE tally (stored INTEGER, duplicates INTEGER, oldest INTEGER, newest INTEGER) STRICT;
  INSERT INTO tally VALUES (0, 0, NULL, NULL);
  PRAGMA application_id = ${applicationId};
`

/** A box as the trees have it. */
export interface Bounds {
  readonly south: number
  readonly north: number
  readonly west: number
  readonly east: number
}

const scale = 1e5

/** A box, rounded outward. */
export const boundsOfBox = ({ east, north, south, west }: Box): Bounds => ({
  south: Math.floor(south * scale),
  north: Math.ceil(north * scale),
  west: Math.floor(west * scale),
  east: Math.ceil(east * scale)
})

/** The smallest box around a place. */
export const boundsOf = ({ lat, lon }: { readonly lat: number; readonly lon: number }): Bounds =>
  boundsOfBox({ south: lat, north: lat, west: lon, east: lon })

/** The smallest box around two. */
export const union = (a: Bounds, b: Bounds): Bounds => ({
  south: Math.min(a.south, b.south),
  north: Math.max(a.north, b.north),
  west: Math.min(a.west, b.west),
  east: Math.max(a.east, b.east)
})

/** A box with more room on each side. */
export const widen = ({ east, north, south, west }: Bounds, by: number): Bounds => ({
  south: south - by,
  north: north + by,
  west: west - by,
  east: east + by
})

/** Whether one box is inside of another. */
export const within = (a: Bounds, b: Bounds): boolean =>
  a.south >= b.south && a.north <= b.north && a.west >= b.west && a.east <= b.east

/** A time as the trees have it: shifted, so that 32 bits reach to the last one that an id can have. */
export const seconds = (at: number): number => Math.floor(at / 1000) - 2 ** 31

/** A file of SQLite that is no database of this application. */
export class ForeignFile extends Error {}

const pragma = (database: DatabaseSync, name: string): number => Number(database.prepare(`PRAGMA ${name}`).get()![name])

/** Makes the tables, unless somebody else has done so in this moment. What holds other tables is left as it is. */
const create = (database: DatabaseSync, path: string): void => {
  database.exec("BEGIN IMMEDIATE")
  if (pragma(database, "application_id") !== applicationId) {
    const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()!
    if (tables["count"] !== 0) throw new ForeignFile(`${path} holds the tables of another program`)
    database.exec(schema)
  }
  database.exec("COMMIT")
}

/** Opens the file, and makes it and its folder when there is none. */
export const open = ({ maxBytes, path, sync = true }: Options): DatabaseSync => {
  mkdirSync(dirname(path), { recursive: true })
  const database = new DatabaseSync(path, { timeout: 10_000 })
  try {
    if (pragma(database, "application_id") !== applicationId) create(database, path)
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${sync ? "FULL" : "NORMAL"};
      PRAGMA cache_size = -32768;
      PRAGMA wal_autocheckpoint = 4000;
    `)
    if (maxBytes !== undefined) {
      database.exec(`PRAGMA max_page_count = ${Math.ceil(maxBytes / pragma(database, "page_size"))}`)
    }
    return database
  } catch (error) {
    database.close()
    throw error
  }
}
