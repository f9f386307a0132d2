/**
 * What clients see live, as server-sent events: `positions`, the vehicles that have moved, and `facts`.
 *
 * Each client has a process of its own, which collects what is new for it: of each vehicle the last position, and the last
 * facts. The connection takes it when it has room, at most four times in a second. So a slow client skips what it is too
 * late for; nothing is kept for it but what fits into one event.
 */
import { Clock, Duration, Effect, Schema, type Scope, Stream } from "effect"
import { DynamicSupervisor, Events, GenServer, Message, type Node, Process, Protocol } from "effect-otp"
import { HttpServerResponse } from "effect/http"
import { QueryClient } from "./Clients.ts"
import { Published } from "./Facts.ts"
import { type Batch, Positions } from "./Ingest.ts"
import { Position } from "./Position.ts"

/** The least time between two events of a client, in milliseconds. */
const pause = 250

/** How many vehicles one event has at most; the others come with the next. */
const most = 2000

/** Of how many vehicles a client is kept up to date: of more, those that moved last. */
const vehicles = 20_000

/** How many clients there may be. */
const clients = 200

/** Vehicles that have moved. */
export const Moved = Events.topic("Moved", { positions: Schema.Array(Position) })

/** Where news of vehicles come from: the receivers of this node, or, where there are none, the storage. */
export type Source = "receivers" | "storage"

/** What may be said to the process of a client. */
class Client extends Protocol.make(
  "LiveClient",
  Moved.message,
  Published.message,
  Message.Info("Due"),
  /** Waits for what is new, and gives it as the text of events. */
  Message.Call("Next", { success: Schema.String })
) {}

class News {
  readonly moved = new Map<string, Position>()
  facts: string | undefined = undefined
  /** The connection, when it waits. */
  waiting: { readonly reply: (text: string) => Effect.Effect<void> } | undefined = undefined
  /** Before this time nothing is sent. */
  notBefore = 0
  timer = false

  get isEmpty(): boolean {
    return this.moved.size === 0 && this.facts === undefined
  }

  /** The last position counts, also when an older one comes late. What has moved longest ago is sent first. */
  move(position: Position): void {
    const { vehicle } = position
    const known = this.moved.get(vehicle)
    if (known !== undefined && known.at > position.at) return
    this.moved.set(vehicle, position)
    if (this.moved.size > vehicles) this.moved.delete(this.moved.keys().next().value!)
  }

  take(): string {
    let text = ""
    if (this.moved.size > 0) {
      const positions: Array<Position> = []
      for (const [vehicle, position] of this.moved) {
        if (positions.length === most) break
        positions.push(position)
        this.moved.delete(vehicle)
      }
      text += eventOf("positions", JSON.stringify(positions))
    }
    if (this.facts !== undefined) text += eventOf("facts", this.facts)
    this.facts = undefined
    return text
  }
}

const eventOf = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`

const wholeWorld = { south: -90, west: -180, north: 90, east: 180, limit: vehicles }

/** Answers the connection when it waits, there is something new and it is time. */
const flush = (news: News) =>
  Effect.gen(function*() {
    const { waiting } = news
    if (waiting === undefined || news.isEmpty) return
    const now = yield* Clock.currentTimeMillis
    if (now < news.notBefore) {
      if (news.timer) return
      news.timer = true
      yield* Process.sendAfter(yield* Process.self, { _tag: "Due" }, news.notBefore - now)
      return
    }
    news.waiting = undefined
    news.notBefore = now + pause
    yield* waiting.reply(news.take())
  })

const client = GenServer.make(Client, {
  init: (source: Source) =>
    Effect.gen(function*() {
      yield* source === "storage"
        ? Events.subscribe(Moved)
        : Events.subscribe(Positions, { as: Moved.message, map: ({ positions }: Batch) => ({ positions }), replay: 0 })
      yield* Events.subscribe(Published)
      return GenServer.started(new News(), { continue: "snapshot" as const })
    }),
  // Where everything is now. Without an answer of the storage the client learns it as vehicles move.
  continue: (_: "snapshot", news: News) =>
    QueryClient.pipe(
      Effect.flatMap((queries) => queries.Box(wholeWorld, { timeout: "2 seconds" })),
      Effect.map((positions) => positions.forEach((position) => news.move(position))),
      Effect.ignore,
      Effect.andThen(flush(news)),
      Effect.as(GenServer.next(news))
    ),
  handlers: {
    Moved: ({ positions }, news) => {
      for (const position of positions) news.move(position)
      return Effect.as(flush(news), GenServer.next(news))
    },
    Facts: ({ json }, news) => {
      news.facts = json
      return Effect.as(flush(news), GenServer.next(news))
    },
    Due: (_, news) => {
      news.timer = false
      return Effect.as(flush(news), GenServer.next(news))
    },
    Next: (_, news, { from }) => {
      news.waiting = from
      return Effect.as(flush(news), GenServer.noReply(news))
    }
  }
})

/** The clients, each a process. One that ends is not restarted: its connection ends with it, and the page connects again. */
export const supervisor = DynamicSupervisor.make(client, {
  restart: "temporary",
  maxChildren: clients,
  // A process that falls behind loses the oldest: every batch that is newer says more.
  mailbox: { capacity: 1000, overflow: "dropOld" }
})

/** The supervisor of the clients, as a child. */
export const asChild = DynamicSupervisor.asChild("live", supervisor, { name: "live" })

/** A connection as the text of its events, for as long as it or its process lives. */
const eventsFor = (
  source: Source
): Effect.Effect<Stream.Stream<string>, unknown, Node.Node | Scope.Scope> =>
  Effect.gen(function*() {
    const live = yield* Effect.flatMap(DynamicSupervisor.named(supervisor, "live"), Effect.fromOption)
    const process = yield* Effect.acquireRelease(
      DynamicSupervisor.startChild(live, source),
      ({ pid }) => Effect.ignore(DynamicSupervisor.terminateChild(live, pid))
    )
    return Stream.fromEffectRepeat(process.Next(undefined, { timeout: "Infinity" })).pipe(
      // The process has ended: so does the response, and the client connects again.
      Stream.catch(() => Stream.empty)
    )
  })

/** The route. Without room for another client, 503. */
export const route = (source: Source) =>
  Effect.map(
    eventsFor(source),
    (events) =>
      HttpServerResponse.stream(Stream.encodeText(Stream.prepend(events, ["retry: 500\n\n"])), {
        contentType: "text/event-stream",
        headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
      })
  ).pipe(
    Effect.orElseSucceed(() => HttpServerResponse.empty({ status: 503, headers: { "retry-after": "1" } }))
  )

/** On a node without receivers: asks the storage what has moved, and says so. */
export const follow = Effect.gen(function*() {
  const queries = yield* QueryClient
  const known = new Map<string, number>()
  for (;;) {
    const positions = yield* Effect.orElseSucceed(queries.Box(wholeWorld, { timeout: "5 seconds" }), () => [])
    const moved = positions.filter(({ at, vehicle }) => known.get(vehicle) !== at)
    for (const { at, vehicle } of moved) known.set(vehicle, at)
    if (moved.length > 0) yield* Effect.orDie(Events.publish(Moved, { positions: moved }))
    yield* Effect.sleep(Duration.seconds(1))
  }
})
