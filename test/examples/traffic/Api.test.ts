/**
 * The API of the traffic application over real sockets: answers, refusals, the OpenAPI document, and the processes in which
 * handlers run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Option } from "effect"
import { GenServer, Process, Supervisor } from "effect-otp"
import * as Http from "node:http"
import { Query } from "../../../examples/traffic/Query.ts"
import { until } from "../../net/Until.ts"
import { type App, base, position, withApp } from "./WebApp.ts"

const withVehicles = (title: string, use: (app: App) => Effect.Effect<void, unknown, any>): void =>
  it.live(title, () =>
    withApp((app) =>
      Effect.andThen(
        app.store([
          position("a", 0, { lat: 30.1 }),
          position("a", 1000, { lat: 30.2 }),
          position("a", 2000, { lat: 30.3 }),
          position("b", 500, { lat: 30.31, route: "" }),
          position("c/d e", 900, { lat: 40, emergency: true })
        ]),
        use(app)
      )
    ), 30_000)

const names = (body: ReadonlyArray<{ readonly vehicle: string }>) => body.map(({ vehicle }) => vehicle)

describe("the API of the traffic application", () => {
  withVehicles("answers nearest, now and at a time", ({ ask }) =>
    Effect.gen(function*() {
      const all = yield* ask("/api/vehicles/nearest?lat=30.3&lon=-97.74")
      assert.strictEqual(all.status, 200)
      assert.match(all.headers.get("content-type")!, /^application\/json/)
      assert.deepStrictEqual(names(all.body), ["a", "b", "c/d e"])
      assert.deepInclude(all.body[0], { lat: 30.3, metres: 0, route: "7", emergency: false, at: base + 2000 })
      assert.approximately(all.body[1].metres, 1112, 2)
      assert.deepStrictEqual(names((yield* ask("/api/vehicles/nearest?lat=30.3&lon=-97.74&k=2")).body), ["a", "b"])
      const before = yield* ask(`/api/vehicles/nearest?lat=30.3&lon=-97.74&at=${base + 400}`)
      assert.deepStrictEqual(before.body.map(({ lat, vehicle }: any) => [vehicle, lat]), [["a", 30.1]])
    }))

  withVehicles("answers box and track", ({ ask }) =>
    Effect.gen(function*() {
      const box = yield* ask("/api/vehicles/box?south=30.25&west=-98&north=31&east=-97")
      assert.deepStrictEqual(names(box.body), ["a", "b"])
      const one = yield* ask("/api/vehicles/box?south=30.25&west=-98&north=31&east=-97&limit=1")
      assert.strictEqual(one.body.length, 1)
      const track = yield* ask(`/api/vehicles/a/track?from=${base + 1}&to=${base + 2000}`)
      assert.deepStrictEqual(track.body.map(({ lat }: any) => lat), [30.2, 30.3])
      assert.strictEqual((yield* ask("/api/vehicles/a/track?limit=2")).body.length, 2)
      // What is in the name of a vehicle is its own business.
      assert.deepStrictEqual(names((yield* ask("/api/vehicles/c%2Fd%20e/track")).body), ["c/d e"])
    }))

  withVehicles(
    "a vehicle without positions in a time has none; one that nobody has seen is 404",
    ({ ask }) =>
      Effect.gen(function*() {
        const none = yield* ask(`/api/vehicles/a/track?to=${base - 1}`)
        assert.deepStrictEqual([none.status, none.body], [200, []])
        const unknown = yield* ask("/api/vehicles/zz/track")
        assert.strictEqual(unknown.status, 404)
        assert.match(unknown.headers.get("content-type")!, /^application\/problem\+json/)
        assert.deepInclude(unknown.body, {
          type: "/problems/unknown-vehicle",
          status: 404,
          title: "No such vehicle",
          vehicle: "zz"
        })
      })
  )

  withVehicles("says what has come in and what is stored", ({ ask }) =>
    Effect.gen(function*() {
      const { body } = yield* ask("/api/statistics")
      assert.deepInclude(body.counts.udp, { received: 5, stored: 5, duplicates: 0, invalid: 0, dropped: 0 })
      assert.deepInclude(body.storage, { positions: 5, vehicles: 3, oldest: base, newest: base + 2000 })
    }))

  withVehicles("names each parameter that is wrong, and why", ({ ask }) =>
    Effect.gen(function*() {
      const refused = (query: string) =>
        Effect.map(ask(`/api/vehicles/${query}`), ({ body, headers, status }) => {
          assert.strictEqual(status, 400, query)
          assert.match(headers.get("content-type")!, /^application\/problem\+json/)
          assert.strictEqual(body.title, "Bad Request")
          return new Map<string, string>(
            body.errors.map(({ message, path }: any) => [path.slice(1).join("."), message])
          )
        })
      const many = yield* refused("nearest?lat=&lon=-200&k=3.5&lng=2")
      assert.deepStrictEqual([...many.keys()].toSorted(), ["k", "lat", "lng", "lon"])
      assert.match(many.get("lon")!, /between -180 and 180/)
      assert.match(many.get("k")!, /integer/)
      assert.deepStrictEqual([...(yield* refused("nearest")).keys()].toSorted(), ["lat", "lon"])
      const cases: ReadonlyArray<readonly [query: string, parameter: string]> = [
        ["nearest?lat=90.1&lon=0", "lat"],
        ["nearest?lat=NaN&lon=0", "lat"],
        ["nearest?lat=Infinity&lon=0", "lat"],
        ["nearest?lat=0x10&lon=0", "lat"],
        ["nearest?lat=1&lat=2&lon=0", "lat"],
        ["nearest?lat=0&lon=0&k=0", "k"],
        ["nearest?lat=0&lon=0&k=1001", "k"],
        ["nearest?lat=0&lon=0&at=-1", "at"],
        ["box?south=0&west=0&north=91&east=0", "north"],
        ["box?south=0&west=0&north=1&east=0&limit=10001", "limit"],
        ["a/track?from=1.5", "from"],
        [`${"x".repeat(65)}/track`, "vehicle"]
      ]
      for (const [query, parameter] of cases) {
        assert.deepStrictEqual([...(yield* refused(query)).keys()], [parameter], query)
      }
    }))

  withVehicles(
    "what is not there is a problem too, and nothing is told of the inside",
    ({ ask }) =>
      Effect.gen(function*() {
        for (const path of ["/api/nothing", "/page/../Web.ts", "/page/%2e%2e%2fWeb.ts", "/%00", "/api/vehicles"]) {
          const { body, headers, status } = yield* ask(path)
          assert.strictEqual(status, 404, path)
          assert.match(headers.get("content-type")!, /^application\/problem\+json/)
          assert.deepInclude(body, { type: "about:blank", title: "Not Found", status: 404 })
        }
        assert.strictEqual((yield* ask("/api/statistics", { method: "DELETE" })).status, 404)
      })
  )

  withVehicles(
    "describes itself: every route, its parameters with their ranges, and how it is refused",
    ({ ask }) =>
      Effect.gen(function*() {
        const { body, status } = yield* ask("/openapi.json")
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(Object.keys(body.paths).toSorted(), [
          "/api/processes",
          "/api/processes/{pid}/kill",
          "/api/statistics",
          "/api/vehicles/box",
          "/api/vehicles/nearest",
          "/api/vehicles/{vehicle}/track"
        ])
        const { parameters, responses } = body.paths["/api/vehicles/nearest"].get
        const parameter = (name: string) => parameters.find((one: any) => one.name === name)
        assert.deepInclude(parameter("lat"), { in: "query", required: true })
        assert.deepInclude(parameter("lat").schema, { type: "number", minimum: -90, maximum: 90 })
        assert.deepInclude(parameter("k"), { in: "query", required: false })
        assert.deepInclude(parameter("k").schema, { type: "integer", minimum: 1, maximum: 1000, default: 10 })
        assert.deepStrictEqual(Object.keys(responses), ["200", "400", "500", "503", "504"])
        for (const status of ["400", "500", "503", "504"]) {
          assert.deepStrictEqual(Object.keys(responses[status].content), ["application/problem+json"])
        }
        assert.property(body.paths["/api/vehicles/{vehicle}/track"].get.responses, "404")
      })
  )
})

describe("the files of the page", () => {
  it.live(
    "have their types, are asked for again, and may load nothing from elsewhere",
    () =>
      withApp(({ ask }) =>
        Effect.gen(function*() {
          const files = [["/", "text/html"], ["/page/main.js", "text/javascript"], ["/page/style.css", "text/css"], [
            "/page/icon.svg",
            "image/svg+xml"
          ]] as const
          for (const [path, type] of files) {
            const { body, headers, status } = yield* ask(path)
            assert.strictEqual(status, 200, path)
            assert.strictEqual(headers.get("content-type"), `${type}; charset=utf-8`)
            assert.strictEqual(headers.get("cache-control"), "no-cache")
            assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
            const policy = headers.get("content-security-policy")!
            assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/)
            assert.notMatch(policy, /unsafe|\*|http/)
            // Neither scripts nor styles in the page, and no address of another host.
            assert.notMatch(body, /<script>|<style|style=|\son\w+=|https?:\/\/(?!www\.w3\.org\/2000\/svg)/, path)
            const again = yield* ask(path, { headers: { "if-none-match": headers.get("etag")! } })
            assert.deepStrictEqual([again.status, again.body], [304, ""])
            const other = yield* ask(path, { headers: { "if-none-match": `"other"` } })
            assert.strictEqual(other.status, 200)
          }
        })
      ),
    30_000
  )
})

describe("the processes behind the API", () => {
  /** Has the readers wait. */
  const suspended = Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    return { gate, wait: Deferred.await(gate) }
  })

  it.live(
    "without room it is 503 and when to ask again, late it is 504, and then all is well",
    () =>
      withApp(({ ask, port }) =>
        Effect.gen(function*() {
          const { gate, wait } = yield* suspended
          yield* replaceQueries(wait)
          // More than there are handlers and places to wait.
          const agent = new Http.Agent({ maxSockets: 400 })
          const statuses: Array<number> = []
          const retries: Array<string | undefined> = []
          const bodies: Array<any> = []
          for (let i = 0; i < 300; i++) {
            Http.get({ port, agent, path: "/api/statistics" }, (response) => {
              statuses.push(response.statusCode!)
              let text = ""
              response.on("data", (bytes) => (text += bytes))
              response.on("end", () => bodies.push(JSON.parse(text)))
              if (response.statusCode === 503) retries.push(response.headers["retry-after"])
            })
          }
          yield* until(Effect.sync(() => bodies.length), (n) => n >= 20)
          assert.deepStrictEqual(new Set(statuses), new Set([503]))
          assert.deepStrictEqual(new Set(retries), new Set(["1"]))
          assert.deepInclude(bodies[0], { type: "/problems/overloaded", title: "Overloaded", status: 503 })
          // Those that have a process are late after five seconds; those behind them too.
          yield* until(Effect.sync(() => bodies.length), (n) => n === 300)
          assert.isAtLeast(statuses.filter((status) => status === 504).length, 16)
          assert.deepInclude(bodies.find(({ status }) => status === 504), { type: "/problems/late", status: 504 })
          agent.destroy()
          yield* Deferred.succeed(gate, undefined)
          yield* until(ask("/api/statistics"), ({ status }) => status === 200)
        })
      ),
    60_000
  )

  it.live(
    "a storage that is gone is 503, a reader that crashes 500",
    () =>
      withApp(({ ask }) =>
        Effect.gen(function*() {
          yield* replaceQueries(Effect.die(new Error("secret")))
          const crashed = yield* ask("/api/statistics")
          assert.strictEqual(crashed.status, 500)
          assert.deepInclude(crashed.body, { type: "/problems/crashed", title: "Internal error" })
          assert.notInclude(JSON.stringify(crashed.body), "secret")
          yield* Effect.orDie(Supervisor.terminateChild({ name: "traffic" }, "queries"))
          const gone = yield* until(ask("/api/statistics"), ({ status }) => status !== 500)
          assert.deepStrictEqual([gone.status, gone.headers.get("retry-after")], [503, "1"])
          assert.deepInclude(gone.body, { type: "/problems/overloaded", status: 503 })
        })
      ),
    30_000
  )
})

/** Puts a process in the place of the pool of readers that does something first. */
const replaceQueries = (first: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    yield* Supervisor.terminateChild({ name: "traffic" }, "queries")
    yield* GenServer.startDetached(
      GenServer.make(Query, () =>
        Effect.succeed(Query.of({
          Nearest: () => Effect.as(first, []),
          Box: () => Effect.as(first, []),
          Track: () => Effect.as(first, []),
          Statistics: () => Effect.as(first, { positions: 0, vehicles: 0, stored: 0, duplicates: 0, bytes: 0 })
        }))),
      undefined,
      { name: "queries" }
    )
  }).pipe(Effect.orDie)

describe("killing processes", () => {
  const pidOf = (name: string) => Effect.map(Process.whereis(name), (pid) => String(Option.getOrThrow(pid)))

  it.live(
    "is for those of this host, and for no page of somebody else",
    () =>
      withApp(({ ask, port }) =>
        Effect.gen(function*() {
          const pid = yield* pidOf("storage")
          const kill = (pid: string, headers: Record<string, string> = {}) =>
            ask(`/api/processes/${encodeURIComponent(pid)}/kill`, { method: "POST", headers })
          const origins = ["http://example.com", "null", `http://127.0.0.1:${port + 1}`]
          for (const origin of origins) {
            const { body, status } = yield* kill(pid, { origin })
            assert.strictEqual(status, 403, origin)
            assert.strictEqual(body.type, "/problems/kill-not-allowed")
          }
          assert.strictEqual((yield* kill(pid, { "sec-fetch-site": "cross-site" })).status, 403)
          // A name that somebody has made lead here.
          const rebound = yield* Effect.callback<number>((resume) => {
            Http.request({
              port,
              method: "POST",
              path: `/api/processes/${encodeURIComponent(pid)}/kill`,
              headers: { host: "example.com" }
            }, (response) => resume(Effect.succeed(response.statusCode!))).end()
          })
          assert.strictEqual(rebound, 403)
          assert.strictEqual(yield* pidOf("storage"), pid)

          const unknown = yield* kill("<0.1.2>")
          assert.deepStrictEqual([unknown.status, unknown.body.type], [404, "/problems/unknown-process"])
          const root = (yield* ask("/api/processes")).body.tree.pid
          assert.strictEqual((yield* kill(root)).status, 403)

          const killed = yield* kill(pid, { origin: `http://127.0.0.1:${port}` })
          assert.strictEqual(killed.status, 204)
          yield* until(
            Effect.map(Process.whereis("storage"), Option.map(String)),
            (now) => Option.isSome(now) && now.value !== pid
          )
        })
      ),
    30_000
  )
})
