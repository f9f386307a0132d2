/**
 * What keeps positions: a service with two implementations, SQLite (SqliteStore.ts) and memory (MemoryStore.ts), which
 * pass the same tests.
 *
 * The service itself holds nothing open. A writer and each reader belong to the scope in which they are opened: to a
 * process, here, so that whatever happens to one of them is the end of that process, and a new one starts afresh.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import { Latitude, Longitude, Milliseconds, type Position, type Seen, Vehicle } from "./Position.ts"

/**
 * How old a position may be to count as where the vehicle was at a time of the past: one hour. Without a time, the latest
 * position counts, however old.
 */
export const maxAge = 3_600_000

/** There is no room: on the disk, or below the limit that was set. What could not be stored may be sent again later. */
export class DiskFull extends Schema.TaggedClass<DiskFull>()("DiskFull", { path: Schema.String }) {}

/** The file is there, but is no database of this application, or is damaged. */
export class NotADatabase extends Schema.TaggedClass<NotADatabase>()("NotADatabase", { path: Schema.String }) {}

/** The file cannot be opened, read or written. */
export class NotAccessible extends Schema.TaggedClass<NotAccessible>()("NotAccessible", {
  path: Schema.String,
  message: Schema.String
}) {}

/** Nobody is there to answer at the moment: ask again. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", { message: Schema.String }) {}

/** More waits to be stored than there may: send slower. */
export class Overloaded extends Schema.TaggedClass<Overloaded>()("Overloaded", { waiting: Schema.Int }) {}

/** The thread that works for the store has ended. Whether the last positions are stored is not known: send them again. */
export class ThreadEnded extends Schema.TaggedClass<ThreadEnded>()("ThreadEnded", { message: Schema.String }) {}

const Reason = Schema.Union([DiskFull, NotADatabase, NotAccessible, Overloaded, ThreadEnded, Unavailable])

const describe = (reason: typeof Reason.Type): string => {
  switch (reason._tag) {
    case "DiskFull":
      return `there is no room for more in ${reason.path}: make some, and send again what was not stored`
    case "NotADatabase":
      return `${reason.path} is damaged, or no database of this application`
    case "NotAccessible":
      return `${reason.path} cannot be used: ${reason.message}`
    case "Overloaded":
      return `${reason.waiting} positions wait to be stored already: send slower`
    case "ThreadEnded":
      return `${reason.message}: what was not acknowledged may be stored or not, send it again`
    case "Unavailable":
      return `nobody answers questions at the moment: ${reason.message}`
  }
}

/** Why the store did not do what it was asked. */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", { reason: Reason }) {
  override get message(): string {
    return describe(this.reason)
  }
}

/** What became of the positions of one request: each is one of the two. */
export class Stored extends Schema.Class<Stored>("Stored")({
  stored: Schema.Int,
  /** There was a position of the vehicle and the time already; the first one stays. */
  duplicates: Schema.Int
}) {}

/** What there is, and what was done since the store was made: both survive the process. */
export class Statistics extends Schema.Class<Statistics>("Statistics")({
  positions: Schema.Int,
  vehicles: Schema.Int,
  stored: Schema.Int,
  duplicates: Schema.Int,
  /** The size of the files; 0 in memory. */
  bytes: Schema.Int,
  oldest: Schema.optionalKey(Milliseconds),
  newest: Schema.optionalKey(Milliseconds)
}) {}

const limit = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))

/** Nearest to where, how many, and when. */
export const NearestQuery = Schema.Struct({
  lat: Latitude,
  lon: Longitude,
  k: limit(1000),
  at: Schema.optional(Milliseconds)
})
export type NearestQuery = typeof NearestQuery.Type

/** A box of parallels and meridians; one whose west is east of its east contains the date line. */
export const BoxQuery = Schema.Struct({
  south: Latitude,
  west: Longitude,
  north: Latitude,
  east: Longitude,
  limit: limit(100_000),
  at: Schema.optional(Milliseconds)
})
export type BoxQuery = typeof BoxQuery.Type

/** One vehicle between two times, both included. */
export const TrackQuery = Schema.Struct({
  vehicle: Vehicle,
  from: Schema.optional(Milliseconds),
  to: Schema.optional(Milliseconds),
  limit: limit(100_000)
})
export type TrackQuery = typeof TrackQuery.Type

/** The one that stores. */
export interface Writer {
  /**
   * Stores the positions of some requests, in one transaction: all of them are durable when it succeeds, and none is stored
   * when it fails. Says what became of each request. While much is on its way, it waits.
   */
  readonly store: (
    requests: ReadonlyArray<ReadonlyArray<Position>>
  ) => Effect.Effect<ReadonlyArray<Stored>, StorageError>
  /** Fails when the writer can go on no longer. */
  readonly ended: Effect.Effect<never, StorageError>
}

/** One of those that look things up. It sees what was stored before it was asked. */
export interface Reader {
  /**
   * The `k` vehicles nearest to a point by great-circle distance, nearest first, ties by vehicle. Each counts where it was
   * last: now, or at a time, then if it was seen within {@link maxAge} before.
   */
  readonly nearest: (query: NearestQuery) => Effect.Effect<ReadonlyArray<Seen>, StorageError>
  /** The same choice of positions, those inside a box, by vehicle. */
  readonly box: (query: BoxQuery) => Effect.Effect<ReadonlyArray<Position>, StorageError>
  /** The positions of one vehicle in the order of time: the first `limit` of them. */
  readonly track: (query: TrackQuery) => Effect.Effect<ReadonlyArray<Position>, StorageError>
  readonly statistics: Effect.Effect<Statistics, StorageError>
  /** Fails when the reader can go on no longer. */
  readonly ended: Effect.Effect<never, StorageError>
}

export class Store extends Context.Service<Store, {
  /** There may be one writer at a time. */
  readonly writer: Effect.Effect<Writer, StorageError, Scope.Scope>
  readonly reader: Effect.Effect<Reader, StorageError, Scope.Scope>
}>()("traffic/Store") {}
