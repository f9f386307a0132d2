/**
 * The API: what may be asked over HTTP, with which parameters, and how it is refused. Handlers are in Web.ts; the OpenAPI
 * document at `/openapi.json` is made from this.
 *
 * Every refusal is a problem (RFC 9457). A parameter that is missing, unknown, malformed or out of its range is named in
 * `errors`, with what is wrong about it.
 */
import { Effect, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi
} from "effect/http-api"
import { Memory } from "./Facts.ts"
import { Latitude, Longitude, Milliseconds, Position, Seen, Vehicle } from "./Position.ts"
import { Report } from "./Statistics.ts"
import { Statistics as Stored } from "./Store.ts"
import { TreeNode } from "./Tree.ts"

// --- refusals --------------------------------------------------------------------------------------------------------

export class UnknownVehicle extends HttpApiError.Problem<UnknownVehicle>()("UnknownVehicle", {
  type: "/problems/unknown-vehicle",
  status: 404,
  title: "No such vehicle"
}, { vehicle: Vehicle }) {}

export class UnknownProcess extends HttpApiError.Problem<UnknownProcess>()("UnknownProcess", {
  type: "/problems/unknown-process",
  status: 404,
  title: "No such process"
}, { pid: Schema.String }) {}

export class KillNotAllowed extends HttpApiError.Problem<KillNotAllowed>()("KillNotAllowed", {
  type: "/problems/kill-not-allowed",
  status: 403,
  title: "Not allowed to kill processes"
}) {}

/** Nobody has time: `Retry-After` says when to ask again. */
export class Overloaded extends HttpApiError.Problem<Overloaded>()("Overloaded", {
  type: "/problems/overloaded",
  status: 503,
  title: "Overloaded"
}) {}

export class Late extends HttpApiError.Problem<Late>()("Late", {
  type: "/problems/late",
  status: 504,
  title: "Not answered in time"
}) {}

/** A process crashed over the request. Why is in the log, and is nobody else's business. */
export class Crashed extends HttpApiError.Problem<Crashed>()("Crashed", {
  type: "/problems/crashed",
  status: 500,
  title: "Internal error"
}) {}

/** Runs the handlers in processes: what that can come to belongs to every endpoint. */
export class InProcesses extends HttpApiMiddleware.Service<InProcesses>()("traffic/InProcesses", {
  error: [Overloaded, Late, Crashed]
}) {}

// --- parameters ------------------------------------------------------------------------------------------------------

const count = (maximum: number, otherwise: number) =>
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum })).annotate({ default: otherwise }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(otherwise))
  )

const at = Schema.optionalKey(
  Milliseconds.annotate({ description: "Where vehicles were at this time: milliseconds since 1970. Now, without it." })
)

/**
 * Says in the OpenAPI document what the parameters of a query are. All of them are text, which is what it would say
 * otherwise.
 */
const documented = (query: Schema.Struct.Fields) => {
  const { properties } = Schema.toJsonSchemaDocument(Schema.toType(Schema.Struct(query))).schema as {
    readonly properties: { readonly [name: string]: object }
  }
  return (operation: Record<string, any>) => ({
    ...operation,
    parameters: operation["parameters"].map((parameter: { readonly name: string }) =>
      parameter.name in properties ? { ...parameter, schema: properties[parameter.name] } : parameter
    )
  })
}

// --- endpoints -------------------------------------------------------------------------------------------------------

const nearest = { lat: Latitude, lon: Longitude, k: count(1000, 10), at }

const box = { south: Latitude, west: Longitude, north: Latitude, east: Longitude, limit: count(10_000, 1000), at }

const track = {
  from: Schema.optionalKey(Milliseconds),
  to: Schema.optionalKey(Milliseconds),
  limit: count(10_000, 1000)
}

const vehicles = HttpApiGroup.make("vehicles").add(
  HttpApiEndpoint.get("nearest", "/vehicles/nearest", { query: nearest, success: Schema.Array(Seen) })
    .annotate(OpenApi.Summary, "The vehicles nearest to a point, nearest first")
    .annotate(OpenApi.Transform, documented(nearest)),
  HttpApiEndpoint.get("box", "/vehicles/box", { query: box, success: Schema.Array(Position) })
    .annotate(OpenApi.Summary, "The vehicles in a box of parallels and meridians")
    .annotate(OpenApi.Transform, documented(box)),
  HttpApiEndpoint.get("track", "/vehicles/:vehicle/track", {
    params: { vehicle: Vehicle },
    query: track,
    success: Schema.Array(Position),
    error: UnknownVehicle
  })
    .annotate(OpenApi.Summary, "Where one vehicle was between two times, oldest first")
    .annotate(OpenApi.Transform, documented(track))
)

/** What has come in, and what is stored. */
export class Totals extends Schema.Class<Totals>("Totals")({
  /** Null on a node that receives no positions. */
  counts: Schema.NullOr(Report),
  storage: Stored
}) {}

export class Processes extends Schema.Class<Processes>("Processes")({ memory: Memory, tree: TreeNode }) {}

const system = HttpApiGroup.make("system").add(
  HttpApiEndpoint.get("statistics", "/statistics", { success: Totals })
    .annotate(OpenApi.Summary, "What has become of the positions that came in, and what is stored"),
  HttpApiEndpoint.get("processes", "/processes", { success: Processes })
    .annotate(OpenApi.Summary, "The tree of processes"),
  HttpApiEndpoint.post("kill", "/processes/:pid/kill", {
    params: { pid: Schema.String },
    success: HttpApiSchema.NoContent,
    error: [UnknownProcess, KillNotAllowed]
  }).annotate(OpenApi.Summary, "Kills a process, to see its supervisor start another one")
)

export const TrafficApi = HttpApi.make("traffic")
  .add(vehicles, system)
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(InProcesses)
  .prefix("/api")
  // All that is wrong with a request is said at once, also a parameter that there is not.
  .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotateMerge(OpenApi.annotations({
    title: "Traffic",
    version: "0.1.0",
    description:
      "Positions of vehicles. Live news of them are server-sent events at `/api/live`: `positions` has the " +
      "vehicles that have moved, `facts` how the application does."
  }))
