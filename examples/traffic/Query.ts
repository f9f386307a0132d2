/**
 * Questions about positions, and the pool of processes that answers them: the registered process `queries`.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Pool, Protocol } from "effect-otp"
import { forkLinked } from "./Linked.ts"
import { Position, Seen } from "./Position.ts"
import { BoxQuery, NearestQuery, Statistics, StorageError, Store, TrackQuery } from "./Store.ts"

/** The name of the pool. */
export const queriesName = "queries"

export const Nearest = Message.Call("Nearest", {
  payload: NearestQuery,
  success: Schema.Array(Seen),
  error: StorageError
})

export const Box = Message.Call("Box", { payload: BoxQuery, success: Schema.Array(Position), error: StorageError })

export const Track = Message.Call("Track", {
  payload: TrackQuery,
  success: Schema.Array(Position),
  error: StorageError
})

export const GetStatistics = Message.Call("Statistics", { success: Statistics, error: StorageError })

/** What may be asked. */
export class Query extends Protocol.make("Query", Nearest, Box, Track, GetStatistics) {}

/** Answers with a reader of its own, and ends when that does. */
export const QueryServer = GenServer.make(Query, () =>
  Effect.gen(function*() {
    const reader = yield* (yield* Store).reader
    yield* forkLinked(reader.ended)
    return Query.of({
      Nearest: reader.nearest,
      Box: reader.box,
      Track: reader.track,
      Statistics: () => reader.statistics
    })
  }))

/** Two readers: a long answer of one does not hold up the short ones of the other. */
export const Queries = Pool.make(QueryServer, { size: 2, strategy: "least_loaded" })
