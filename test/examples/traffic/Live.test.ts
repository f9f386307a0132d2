/**
 * Live events: what a client is sent and when, under a virtual clock; what happens to those that are slow, go away, or are
 * too many, on real sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import { DynamicSupervisor, Events, GenServer, Node, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import * as Clients from "../../../examples/traffic/Clients.ts"
import * as Facts from "../../../examples/traffic/Facts.ts"
import * as Ingest from "../../../examples/traffic/Ingest.ts"
import * as Live from "../../../examples/traffic/Live.ts"
import type { Position } from "../../../examples/traffic/Position.ts"
import { Query } from "../../../examples/traffic/Query.ts"
import { until } from "../../net/Until.ts"
import { base, position, withApp } from "./WebApp.ts"

/** The events that are whole in a text, by kind, with their data. */
const eventsIn = (text: string): ReadonlyArray<readonly [kind: string, data: any]> =>
  text.split("\n\n").slice(0, -1).flatMap((event) => {
    const kind = /^event: (.*)$/m.exec(event)?.[1]
    return kind === undefined ? [] : [[kind, JSON.parse(/^data: (.*)$/m.exec(event)![1]!)]]
  })

const vehiclesIn = (text: string): ReadonlyArray<string> =>
  eventsIn(text).flatMap(([kind, data]) => kind === "positions" ? data.map(({ vehicle }: Position) => vehicle) : [])

/** A client of live events, of a storage that knows two vehicles. */
const withClient = (
  use: (client: {
    /** What the connection gets when it asks next. */
    readonly next: Effect.Effect<string>
    readonly moved: (...positions: ReadonlyArray<Position>) => Effect.Effect<void>
    readonly facts: (json: string) => Effect.Effect<void>
  }) => Effect.Effect<void, unknown, Node.Node>,
  options: { readonly storage?: "gone" } = {}
) =>
  Effect.gen(function*() {
    if (options.storage !== "gone") {
      const known = [position("a", 0), position("b", 0)]
      const nothing = { positions: 0, vehicles: 0, stored: 0, duplicates: 0, bytes: 0 }
      const queries = Query.of({
        Nearest: () => [],
        Box: () => known,
        Track: () => [],
        Statistics: () => nothing
      })
      yield* GenServer.start(GenServer.make(Query, () => Effect.succeed(queries)), undefined, { name: "queries" })
    }
    const live = yield* DynamicSupervisor.start(Live.supervisor)
    const client = yield* DynamicSupervisor.startChild(live, "storage")
    const services = yield* Effect.context<Node.Node>()
    yield* use({
      next: Effect.orDie(client.Next(undefined, { timeout: "Infinity" })),
      moved: (...positions) => Effect.provideContext(Effect.orDie(Events.publish(Live.Moved, { positions })), services),
      facts: (json) => Effect.provideContext(Effect.orDie(Events.publish(Facts.Published, { json })), services)
    })
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(
      Layer.mergeAll(Events.layer(Live.Moved), Events.layer(Facts.Published), Ingest.topic, Clients.layer()),
      Node.layerLocal()
    ))
  )

describe("what a live client is sent", () => {
  it.effect("first where all vehicles are, then what has moved", () =>
    withClient(({ moved, next }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(vehiclesIn(yield* next), ["a", "b"])
        yield* TestClock.adjust("1 second")
        yield* moved(position("b", 1000, { lat: 31 }))
        const [[kind, data]] = eventsIn(yield* next) as any
        assert.strictEqual(kind, "positions")
        assert.deepStrictEqual(data, [{ ...position("b", 1000, { lat: 31 }) }])
      })
    ))

  it.effect("at most four times in a second, all that is new at a time", () =>
    withClient(({ facts, moved, next }) =>
      Effect.gen(function*() {
        yield* next
        const waiting = yield* Effect.forkChild(next, { startImmediately: true })
        for (let i = 1; i <= 10; i++) yield* moved(position("a", i), position(`c${i}`, i))
        yield* facts(`{"n":1}`)
        yield* facts(`{"n":2}`)
        yield* TestClock.adjust("249 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const events = eventsIn(yield* Fiber.join(waiting))
        assert.deepStrictEqual(events.map(([kind]) => kind), ["positions", "facts"])
        assert.deepStrictEqual(events[1], ["facts", { n: 2 }])
        assert.deepStrictEqual(
          events[0]![1].map(({ at, vehicle }: any) => [vehicle, at % 1000]),
          [["a", 10], ...Array.from({ length: 10 }, (_, i) => [`c${i + 1}`, i + 1])]
        )
      })
    ))

  it.effect("a connection that does not ask has one event kept for it, with the last of each vehicle", () =>
    withClient(({ facts, moved, next }) =>
      Effect.gen(function*() {
        yield* next
        for (let i = 1; i <= 500; i++) {
          yield* moved(...Array.from({ length: 40 }, (_, v) => position(`v${v}`, i)))
          yield* facts(`{"n":${i}}`)
          yield* TestClock.adjust("1 second")
        }
        const events = eventsIn(yield* next)
        assert.deepStrictEqual(events.map(([kind]) => kind), ["positions", "facts"])
        assert.strictEqual(events[0]![1].length, 40)
        assert.deepStrictEqual(new Set(events[0]![1].map(({ at }: any) => at)), new Set([base + 500]))
        assert.deepStrictEqual(events[1]![1], { n: 500 })
      })
    ))

  it.effect("many vehicles come in parts, and of too many those that moved last", () =>
    withClient(({ moved, next }) =>
      Effect.gen(function*() {
        yield* next
        const count = 20_500
        for (let from = 0; from < count; from += 500) {
          yield* moved(...Array.from({ length: 500 }, (_, i) => position(`v${from + i}`, 1)))
        }
        const seen: Array<string> = []
        for (let part = 0; part < 10; part++) {
          yield* TestClock.adjust("250 millis")
          const vehicles = vehiclesIn(yield* next)
          assert.strictEqual(vehicles.length, 2000)
          seen.push(...vehicles)
        }
        assert.strictEqual(new Set(seen).size, 20_000)
        assert.strictEqual(seen[0], "v500")
        assert.strictEqual(seen.at(-1), "v20499")
      })
    ))

  it.effect("a position that comes late does not move a vehicle back", () =>
    withClient(({ moved, next }) =>
      Effect.gen(function*() {
        yield* next
        yield* moved(position("a", 2000, { lat: 31 }))
        yield* moved(position("a", 1000, { lat: 32 }))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(eventsIn(yield* next)[0]![1].map(({ lat }: any) => lat), [31])
      })
    ))

  it.effect("without a storage it begins with what moves", () =>
    withClient(({ moved, next }) =>
      Effect.gen(function*() {
        yield* moved(position("x", 1))
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(vehiclesIn(yield* next), ["x"])
      }), { storage: "gone" }))
})

/** A client of `/api/live` on a socket. */
const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly response: Http.IncomingMessage; readonly text: { value: string; isOver: boolean } }>(
      (resume) => {
        const request = Http.get({ port, path: "/api/live", agent: false }, (response) => {
          const text = { value: "", isOver: false }
          response.on("data", (bytes) => (text.value += bytes))
          response.on("error", () => {})
          response.on("close", () => (text.isOver = true))
          resume(Effect.succeed({ response, text }))
        })
        request.on("error", () => {})
      }
    ),
    ({ response }) => Effect.sync(() => response.destroy())
  )

const liveClients = Effect.map(
  Effect.orDie(Supervisor.whichChildren({ name: "live" })),
  (children) => children.flatMap(({ pid }) => Option.toArray(pid))
)

describe("connections of live clients", () => {
  it.live(
    "get positions and facts, as events that nobody keeps",
    () =>
      withApp(({ port, store }) =>
        Effect.gen(function*() {
          yield* store([position("a", 0)])
          const { response, text } = yield* connect(port)
          assert.strictEqual(response.statusCode, 200)
          assert.match(response.headers["content-type"]!, /^text\/event-stream/)
          assert.strictEqual(response.headers["cache-control"], "no-store")
          yield* until(Effect.sync(() => eventsIn(text.value)), (events) => events.some(([kind]) => kind === "facts"))
          assert.deepStrictEqual(vehiclesIn(text.value), ["a"])
          yield* store([position("b", 1)])
          yield* until(Effect.sync(() => vehiclesIn(text.value)), (vehicles) => vehicles.includes("b"))
          // Facts say what was counted, and who runs.
          const facts = yield* until(
            Effect.sync(() => eventsIn(text.value).findLast(([kind]) => kind === "facts")![1]),
            ({ storage }) => storage.stored === 2
          )
          assert.deepInclude(facts.counts.udp, { received: 2, stored: 2 })
          assert.strictEqual(facts.tree.name, "traffic")
        }).pipe(Effect.scoped)
      ),
    30_000
  )

  it.live("a client that goes away takes its process with it", () =>
    withApp(({ port }) =>
      Effect.gen(function*() {
        const one = yield* connect(port)
        yield* connect(port)
        yield* until(liveClients, ({ length }) => length === 2)
        one.response.destroy()
        yield* until(liveClients, ({ length }) => length === 1)
      }).pipe(Effect.scoped)
    ), 30_000)

  it.live(
    "a client whose process is killed is told that it is over",
    () =>
      withApp(({ port }) =>
        Effect.gen(function*() {
          const one = yield* connect(port)
          const two = yield* connect(port)
          const [newest] = yield* until(liveClients, ({ length }) => length === 2)
          yield* Process.kill(newest!)
          yield* until(Effect.sync(() => [one, two].filter(({ text }) => text.isOver).length), (n) => n === 1)
          // The other goes on.
          const other = one.text.isOver ? two : one
          const before = other.text.value.length
          yield* until(Effect.sync(() => other.text.value.length), (n) => n > before)
        }).pipe(Effect.scoped)
      ),
    30_000
  )

  it.live(
    "a client that does not read is not buffered for, and then sees the newest",
    () =>
      withApp(({ port, store }) =>
        Effect.gen(function*() {
          const { response, text } = yield* connect(port)
          yield* until(liveClients, ({ length }) => length === 1)
          response.pause()
          const [pid] = yield* liveClients
          // Far more than fits into any buffer on the way, if all were kept: 60 times 4000 vehicles.
          const route = "r".repeat(60)
          for (let i = 1; i <= 60; i++) {
            for (let from = 0; from < 4000; from += 1000) {
              yield* store(Array.from({ length: 1000 }, (_, v) => position(`v${from + v}`, i, { route })))
            }
          }
          const info = yield* Process.info(pid!)
          assert.strictEqual(Option.getOrThrow(info).mailboxLength, 0)
          response.resume()
          const last = base + 60
          yield* until(
            Effect.sync(() => eventsIn(text.value).filter(([kind]) => kind === "positions")),
            (events) => new Set(events.flatMap(([, data]) => data).filter(({ at }: any) => at === last)).size === 4000
          )
          // 240 000 positions were stored; what came is some of them.
          assert.isBelow(vehiclesIn(text.value).length, 120_000)
        }).pipe(Effect.scoped)
      ),
    60_000
  )

  it.live("there is room for so many, and for the others 503", () =>
    withApp(({ port }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 200 }), () => connect(port), { concurrency: 20 })
        const { response, text } = yield* connect(port)
        assert.deepStrictEqual([response.statusCode, response.headers["retry-after"]], [503, "1"])
        yield* until(Effect.sync(() => text.isOver), (over) => over)
        assert.strictEqual(JSON.parse(text.value).type, "/problems/overloaded")
        yield* until(liveClients, ({ length }) => length === 200)
      }).pipe(Effect.scoped)
    ), 60_000)

  it.live(
    "on a node without receivers they hear of what the storage has",
    () =>
      withApp(({ port, store }) =>
        Effect.gen(function*() {
          const { text } = yield* connect(port)
          yield* store([position("a", 1)])
          yield* until(Effect.sync(() => vehiclesIn(text.value)), (vehicles) => vehicles.includes("a"))
          yield* store([position("a", 2, { lat: 31 })])
          yield* until(
            Effect.sync(() => eventsIn(text.value).flatMap(([kind, data]) => kind === "positions" ? data : [])),
            (positions) => positions.some(({ lat }: any) => lat === 31)
          )
        }).pipe(Effect.scoped), { source: "storage" }),
    30_000
  )
})
