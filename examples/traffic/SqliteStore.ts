/**
 * Positions in a file of SQLite, through `node:sqlite`. The writer and each reader have a thread of their own and a
 * connection of their own to the file, so that neither the loop nor the readers wait for what is written.
 *
 * What was stored survives the end of the process, however it comes, and with `sync` the loss of power.
 */
import { Effect, Layer } from "effect"
import { fromRequests, type Row } from "./Batch.ts"
import * as NodeThread from "./NodeThread.ts"
import { Position, Seen } from "./Position.ts"
import type { Request, WorkerData } from "./sqlite-worker.ts"
import type { Options } from "./SqliteDatabase.ts"
import type { SeenRow } from "./SqliteReader.ts"
import {
  type BoxQuery,
  DiskFull,
  maxAge,
  type NearestQuery,
  NotAccessible,
  NotADatabase,
  Statistics,
  StorageError,
  Store,
  Stored,
  ThreadEnded,
  type TrackQuery
} from "./Store.ts"

export type { Options }

/** How many batches or questions may be on their way to a thread. */
const capacity = 4

const program = new URL("./sqlite-worker.ts", import.meta.url)

const errorOf = (path: string) => (error: NodeThread.Refused | NodeThread.ThreadStopped): StorageError =>
  new StorageError({ reason: reasonOf(path, error) })

const reasonOf = (path: string, error: NodeThread.Refused | NodeThread.ThreadStopped): StorageError["reason"] => {
  if (error._tag === "ThreadStopped") return new ThreadEnded({ message: error.message })
  switch (error.code) {
    case "DiskFull":
      return new DiskFull({ path })
    case "NotADatabase":
      return new NotADatabase({ path })
    default:
      return new NotAccessible({ path, message: error.message })
  }
}

// The rows were positions when they were stored.
const trusted = { disableChecks: true }
const toPosition = (row: Row): Position => new Position({ ...row, emergency: row.emergency === 1 }, trusted)
const toSeen = (row: SeenRow): Seen => new Seen({ ...row, emergency: row.emergency === 1 }, trusted)

const thread = (options: Options, role: WorkerData["role"]) => {
  const fail = Effect.mapError(errorOf(options.path))
  return NodeThread.make({ program, data: { ...options, role, maxAge } satisfies WorkerData, capacity }).pipe(
    Effect.map(({ ended, request }) => ({
      ended: fail(ended),
      ask: (message: Request, transfer?: ReadonlyArray<ArrayBuffer>) => fail(request(message, transfer))
    })),
    fail
  )
}

/** The file is opened, and made when there is none, by the first writer or reader. */
export const layer = (options: Options): Layer.Layer<Store> =>
  Layer.succeed(Store, {
    writer: Effect.map(thread(options, "writer"), ({ ask, ended }) => ({
      ended,
      store: (requests: ReadonlyArray<ReadonlyArray<Position>>) =>
        Effect.suspend(() => {
          const batch = fromRequests(requests)
          return Effect.map(
            ask({ _tag: "Store", batch }, [batch.numbers.buffer]),
            (counts) =>
              (counts as ReadonlyArray<number>).map((stored, i) =>
                new Stored({ stored, duplicates: batch.sizes[i]! - stored })
              )
          )
        })
    })),
    reader: Effect.map(thread(options, "reader"), ({ ask, ended }) => {
      const rows = <R, A>(request: Request, toValue: (row: R) => A) =>
        Effect.map(ask(request), (rows) => (rows as ReadonlyArray<R>).map(toValue))
      return {
        ended,
        nearest: (query: NearestQuery) => rows({ _tag: "Nearest", query }, toSeen),
        box: (query: BoxQuery) => rows({ _tag: "Box", query }, toPosition),
        track: (query: TrackQuery) => rows({ _tag: "Track", query }, toPosition),
        statistics: Effect.map(
          ask({ _tag: "Statistics" }),
          (totals) => new Statistics(totals as typeof Statistics.Encoded)
        )
      }
    })
  })
