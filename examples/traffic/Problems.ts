/**
 * What every answer of the web server has: headers that tell browsers to be careful, and for a refusal without a body, the
 * problem (RFC 9457) that it is.
 */
import { Cause, Effect } from "effect"
import {
  HttpBody,
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerResponse,
  ProblemDetails
} from "effect/http"

type Response = HttpServerResponse.HttpServerResponse

/** The problems of the statuses that come from elsewhere than a handler of the API, by their types in Api.ts. */
const problems: { readonly [status: number]: readonly [type: string, title: string] } = {
  400: [ProblemDetails.blankType, "Bad Request"],
  404: [ProblemDetails.blankType, "Not Found"],
  413: [ProblemDetails.blankType, "Content Too Large"],
  500: ["/problems/crashed", "Internal error"],
  502: ["/problems/storage", "The storage is not there"],
  503: ["/problems/overloaded", "Overloaded"],
  504: ["/problems/late", "Not answered in time"]
}

/** The page loads its own files and talks to its own server, and to nobody else. */
const headers = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const withProblem = (response: Response, instance: string): Response => {
  const [type, title] = problems[response.status] ?? [ProblemDetails.blankType, "Refused"]
  const problem = { type, title, status: response.status, instance }
  return HttpServerResponse.setBody(response, HttpBody.jsonUnsafe(problem, ProblemDetails.contentType))
}

const complete = (response: Response, path: string): Response => {
  const isBare = response.status >= 400 && response.body._tag === "Empty"
  const whole = HttpServerResponse.setHeaders(isBare ? withProblem(response, path) : response, headers)
  return whole.status !== 503 || "retry-after" in whole.headers
    ? whole
    : HttpServerResponse.setHeader(whole, "retry-after", "1")
}

/** The path of a request; what it asks for may be long. */
const pathOf = ({ url }: HttpServerRequest.HttpServerRequest): string => url.split("?", 1)[0]!.slice(0, 200)

/** For all routes, and for requests for which there is none. */
export const layer = HttpRouter.middleware(
  (route) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      route.pipe(
        Effect.catchCause((cause) =>
          // Nobody waits for the answer any more.
          Cause.hasInterruptsOnly(cause)
            ? Effect.failCause(cause)
            : Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)
        ),
        Effect.map((response) => complete(response, pathOf(request)))
      )),
  { global: true }
)
