/**
 * The registered process `storage`: takes positions, and hands questions on to `queries`. Processes of this node call it by
 * its name, and so does an Erlang shell.
 */
import { Duration, Effect, Latch, Schema, Semaphore } from "effect"
import { type CallError, GenServer, type Handler, Message, Pool, Protocol } from "effect-otp"
import { forkLinked } from "./Linked.ts"
import { Position } from "./Position.ts"
import { Box, GetStatistics, Nearest, queriesName, Query, Track } from "./Query.ts"
import * as Store from "./Store.ts"

/** The name of the process. */
export const storageName = "storage"

/** Stores positions. The answer says that they are durable; without an answer, send them again. */
export const StorePositions = Message.Call("Store", {
  payload: { positions: Schema.Array(Position) },
  success: Store.Stored,
  error: Store.StorageError
})

/** What may be said to the storage. */
export class Storage extends Protocol.make("Storage", StorePositions, Nearest, Box, Track, GetStatistics) {}

/** How requests are gathered. */
export interface Options {
  /** How long the first request of a transaction waits for others: 10 milliseconds by default. */
  readonly linger?: Duration.Input
  /** So many positions wait for no others, and are the most of a transaction: 4000 by default. */
  readonly batch?: number
  /** How many positions may wait: 100 000 by default. Beyond that a request fails with `Overloaded`. */
  readonly capacity?: number
}

/** A request that waits for its answer. */
interface Waiting {
  readonly positions: ReadonlyArray<Position>
  readonly from: Handler.From<Store.Stored, Store.StorageError>
}

/**
 * Makes one transaction of what comes at about the same time: a commit costs far more than a position. The busier it is, the
 * larger they become, up to a limit.
 */
class Gathering {
  private readonly some = Latch.makeUnsafe(false)
  private readonly requests: Array<Waiting> = []
  private readonly linger: Duration.Duration
  private readonly batch: number
  private readonly capacity: number
  private waiting = 0

  constructor({ batch = 4000, capacity = 100_000, linger = "10 millis" }: Options) {
    this.linger = Duration.fromInputUnsafe(linger)
    this.batch = batch
    this.capacity = capacity
  }

  /** A request that is larger than all that may wait is taken when nothing else does. */
  add(request: Waiting): Store.Overloaded | undefined {
    const { waiting } = this
    if (waiting > 0 && waiting + request.positions.length > this.capacity) return new Store.Overloaded({ waiting })
    this.requests.push(request)
    this.waiting += request.positions.length
    this.some.openUnsafe()
    return undefined
  }

  /** Waits for the requests of the next transaction. */
  readonly take: Effect.Effect<ReadonlyArray<Waiting>> = Effect.suspend(() =>
    this.some.await.pipe(
      Effect.andThen(Effect.suspend(() => this.waiting < this.batch ? Effect.sleep(this.linger) : Effect.void)),
      Effect.andThen(Effect.sync(() => this.next()))
    )
  )

  private next(): ReadonlyArray<Waiting> {
    let size = 0
    let count = 0
    while (count < this.requests.length && size < this.batch) size += this.requests[count++]!.positions.length
    this.waiting -= size
    if (count === this.requests.length) this.some.closeUnsafe()
    return this.requests.splice(0, count)
  }
}

/** Stores all of a transaction and answers each request of it. */
const commit = (writer: Store.Writer, requests: ReadonlyArray<Waiting>): Effect.Effect<void> =>
  Effect.matchEffect(writer.store(requests.map(({ positions }) => positions)), {
    onSuccess: (results) => Effect.forEach(requests, ({ from }, i) => from.reply(results[i]!), { discard: true }),
    onFailure: (error) => Effect.forEach(requests, ({ from }) => from.fail(error), { discard: true })
  })

/** Transactions on their way: while one is written, the next one is made ready. */
const concurrency = 2

/** Stores with a writer of its own, and ends when that does. Who waits then is to send again. */
export const StorageServer = GenServer.make(Storage, (options: Options) =>
  Effect.gen(function*() {
    const writer = yield* (yield* Store.Store).writer
    const queries = yield* Pool.named(Query, queriesName)
    const gathering = new Gathering(options)
    const permits = yield* Semaphore.make(concurrency)
    yield* forkLinked(writer.ended)
    yield* permits.take(1).pipe(
      Effect.andThen(gathering.take),
      Effect.flatMap((requests) => forkLinked(Effect.ensuring(commit(writer, requests), permits.release(1)))),
      Effect.forever,
      forkLinked
    )

    return Storage.of({
      Store: ({ positions }, _, { from }) => {
        const reason = gathering.add({ positions, from })
        return reason === undefined ? GenServer.noReply(undefined) : Effect.fail(new Store.StorageError({ reason }))
      },
      Nearest: (query, _, { from }) => answer(from, queries.Nearest(query)),
      Box: (query, _, { from }) => answer(from, queries.Box(query)),
      Track: (query, _, { from }) => answer(from, queries.Track(query)),
      Statistics: (_payload, _, { from }) => answer(from, queries.Statistics())
    })
  }))

const unavailable = ({ message }: CallError.CallError) =>
  new Store.StorageError({ reason: new Store.Unavailable({ message }) })

/** Hands a question on: the process goes on with the next message, and the answer goes to whoever asked. */
const answer = <A>(
  from: Handler.From<A, Store.StorageError>,
  question: Effect.Effect<A, Store.StorageError | CallError.CallError>
) =>
  question.pipe(
    Effect.catchTag("CallError", (error) => Effect.fail(unavailable(error))),
    Effect.flatMap((value) => from.reply(value)),
    Effect.catch((error) => from.fail(error)),
    forkLinked,
    Effect.as(GenServer.noReply(undefined))
  )
