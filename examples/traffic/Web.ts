/**
 * The web server: the page, the API, live events. A part of the supervision tree:
 *
 * - `observer` finds out how the application does, twice a second;
 * - `live` has a process for each client that listens;
 * - `web` is the server, and below it the processes in which the handlers of the API run.
 *
 * On a node without receivers, `follow` asks the storage what has moved.
 */
import { Effect, Layer, Option, Schedule } from "effect"
import { type CallError, Events, type Node, Process, Supervisor } from "effect-otp"
import { WebServer } from "effect-otp/net"
import * as NodeWebServer from "effect-otp/net/NodeWebServer"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { InProcesses, KillNotAllowed, Processes, Totals, TrafficApi, UnknownProcess, UnknownVehicle } from "./Api.ts"
import { QueryClient } from "./Clients.ts"
import * as Facts from "./Facts.ts"
import * as Live from "./Live.ts"
import * as Origin from "./Origin.ts"
import * as Page from "./Page.ts"
import * as Problems from "./Problems.ts"
import type { StorageError } from "./Store.ts"
import * as Tree from "./Tree.ts"

export interface Options {
  readonly host: string
  /** 0 takes a free one, and another one after each restart. */
  readonly port: number
  /** Where news of vehicles come from. */
  readonly source: Live.Source
  /** Whether also those may kill processes who are not on this host. */
  readonly allowKill: boolean
  /** Told of the port whenever the server listens. */
  readonly listening?: (port: number) => Effect.Effect<void>
}

/** What outlives the processes of the web server: the topics, and how often processes were restarted. */
export const layer = Layer.mergeAll(
  Tree.Restarts.layer,
  Events.layer(Facts.Published, { replay: 1 }),
  Events.layer(Live.Moved)
)

// --- handlers --------------------------------------------------------------------------------------------------------

const unavailable = HttpServerResponse.empty({ status: 503, headers: { "retry-after": "1" } })

/** What goes wrong with a question becomes the answer: one that is thrown, since it is no value of the endpoint. */
const answered = <A>(asked: Effect.Effect<A, StorageError | CallError.CallError>): Effect.Effect<A> =>
  Effect.catch(asked, (error) =>
    Effect.fail(error).pipe(
      WebServer.respond(),
      Effect.orElseSucceed(() => unavailable),
      Effect.flatMap(Effect.die)
    ))

const Vehicles = HttpApiBuilder.group(
  TrafficApi,
  "vehicles",
  Effect.fnUntraced(function*(handlers) {
    const queries = yield* QueryClient
    return handlers.handleAll({
      nearest: ({ query }) => answered(queries.Nearest(query)),
      box: ({ query }) => answered(queries.Box(query)),
      track: Effect.fnUntraced(function*({ params: { vehicle }, query }) {
        const track = yield* answered(queries.Track({ vehicle, ...query }))
        if (track.length > 0) return track
        // None in this time, or none ever?
        const ever = yield* answered(queries.Track({ vehicle, limit: 1 }))
        return ever.length > 0 ? track : yield* new UnknownVehicle({ vehicle })
      })
    })
  })
)

/** The tree that is seen from here. */
const tree = Effect.flatMap(Process.whereis("observer"), (observer) =>
  Option.match(observer, {
    // It is being restarted.
    onNone: () => Effect.die(unavailable),
    onSome: Tree.of
  }))

const system = (options: Options) =>
  HttpApiBuilder.group(
    TrafficApi,
    "system",
    Effect.fnUntraced(function*(handlers) {
      const queries = yield* QueryClient
      const context = yield* Effect.context<Node.Node | Tree.Restarts>()
      return handlers.handleAll({
        statistics: Effect.fnUntraced(function*() {
          const counts = yield* Effect.provideContext(Effect.orElseSucceed(Facts.counts, () => null), context)
          return new Totals({ counts, storage: yield* answered(queries.Statistics()) })
        }),
        processes: Effect.fnUntraced(function*() {
          const { root } = yield* Effect.provideContext(tree, context)
          return new Processes({ memory: yield* Facts.memory, tree: root })
        }),
        kill: Effect.fnUntraced(function*({ params: { pid }, request }) {
          if (!Origin.isOwn(request) || !(options.allowKill || Origin.isLocal(request))) {
            return yield* new KillNotAllowed({ detail: "Ask from this host, or set TRAFFIC_ALLOW_KILL=true" })
          }
          const { pids, root } = yield* Effect.provideContext(tree, context)
          const found = pids.get(pid)
          if (found === undefined) return yield* new UnknownProcess({ pid })
          if (Tree.find(root, pid)?.isTop === true) {
            return yield* new KillNotAllowed({ detail: "Nobody would start it again: the application would end" })
          }
          yield* Effect.provideContext(Process.kill(found), context)
        })
      })
    })
  )

/** The handlers of the API in processes. Those are few, and so are the requests that may wait for them. */
const inProcesses = Layer.effect(
  InProcesses,
  WebServer.runner({ size: 16, queue: 256, timeout: "5 seconds", retryAfter: 1, name: "web_handlers" })
)

// --- the server ------------------------------------------------------------------------------------------------------

const api = (options: Options) =>
  HttpApiBuilder.layer(TrafficApi, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide([Vehicles, system(options)]),
    Layer.provide([inProcesses, HttpApiMiddleware.layerProblemDetails({ includeDetails: true })])
  )

const server = (options: Options) => {
  const listening = Layer.effectDiscard(
    Effect.flatMap(
      HttpServer.HttpServer,
      ({ address }) =>
        options.listening !== undefined && "port" in address ? options.listening(address.port) : Effect.void
    )
  )
  const routes = Layer.mergeAll(
    api(options),
    HttpRouter.add("GET", "/api/live", Live.route(options.source)),
    Page.layer,
    Problems.layer
  )
  return listening.pipe(
    Layer.provideMerge(HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })),
    Layer.provide(NodeWebServer.layer({
      host: options.host,
      port: options.port,
      // Nothing here has a large body.
      maxBodyBytes: 16_384,
      maxConnections: 2000,
      // Clients of live events would never go by themselves.
      drainTimeout: "500 millis"
    }))
  )
}

/** The supervisor of all that, to be a child of the application's. */
export const supervisor = (options: Options) =>
  Supervisor.make({
    intensity: 10,
    // As in Application.ts.
    backoff: Schedule.spaced("50 millis"),
    children: [
      Supervisor.worker("observer", Facts.observe, { name: "observer" }),
      ...(options.source === "storage" ? [Supervisor.worker("follow", Live.follow)] : []),
      Live.asChild,
      Supervisor.fromLayer("server", server(options), { name: "web" })
    ]
  })
