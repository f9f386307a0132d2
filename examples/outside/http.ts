/**
 * A plain Node.js server whose callbacks call a process: a `ManagedRuntime` holds the node, and each request is one run.
 */
import { Effect, type ManagedRuntime } from "effect"
import * as Http from "node:http"
import { RatesClient } from "./Rates.ts"

/** What a request is answered with: each way in which a call can fail has a status of its own. */
const respond = (url: URL): Effect.Effect<readonly [status: number, body: string], never, RatesClient> =>
  Effect.gen(function*() {
    const rates = yield* RatesClient
    if (url.pathname === "/forecast") {
      return [200, String(yield* rates.Forecast(undefined, { timeout: "50 millis" }))] as const
    }
    if (url.pathname === "/crash") yield* rates.Crash()
    const to = url.searchParams.get("to") ?? ""
    return [200, String(yield* rates.Convert({ euros: 100, to }))] as const
  }).pipe(
    Effect.catchTag("UnknownCurrency", ({ currency }) => Effect.succeed([404, `no rate for ${currency}`] as const)),
    Effect.catchReasons("CallError", {
      CallTimeout: ({ timeoutMillis }) => Effect.succeed([504, `no answer within ${timeoutMillis} ms`] as const),
      ProcessExit: () => Effect.succeed([502, "the server has crashed"] as const)
    }),
    Effect.catchTag("CallError", ({ reason }) => Effect.succeed([503, reason._tag] as const))
  )

/** The server, with the processes of a runtime behind it. */
export const makeServer = (runtime: ManagedRuntime.ManagedRuntime<RatesClient, unknown>): Http.Server =>
  Http.createServer((request, response) => {
    // A client that goes away interrupts the run, and with it the handler of a cancellable call.
    const gone = new AbortController()
    response.once("close", () => gone.abort())
    runtime.runPromise(respond(new URL(request.url ?? "/", "http://localhost")), { signal: gone.signal }).then(
      ([status, body]) => response.writeHead(status).end(body),
      () => response.destroy()
    )
  })
