/**
 * Calls from outside of any process: from an Effect, from a promise, from the callback of a Node.js server.
 */
import { Console, Effect, Layer, Logger, ManagedRuntime } from "effect"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { makeServer } from "./http.ts"
import { RatesClient, RatesLive } from "./Rates.ts"

// An Effect: the client is a service like any other, and calls fail with types.
const program = Effect.gen(function*() {
  const rates = yield* RatesClient
  yield* Console.log(`Effect: 100 EUR are ${yield* rates.Convert({ euros: 100, to: "USD" })} USD`)
  yield* rates.Convert({ euros: 100, to: "XXX" }).pipe(
    Effect.catchTag("UnknownCurrency", ({ currency }) => Console.log(`Effect: no rate for ${currency}`))
  )
  yield* rates.Forecast(undefined, { timeout: "50 millis" }).pipe(
    Effect.catchReason(
      "CallError",
      "CallTimeout",
      ({ timeoutMillis }) => Console.log(`Effect: no forecast within ${timeoutMillis} ms`)
    )
  )
})

// Crash reports go to standard error, what the program says to standard output.
const AppLive = RatesLive.pipe(Layer.provide(Layer.succeed(Logger.LogToStderr, true)))

await Effect.runPromise(Effect.provide(program, AppLive))

// Everything else: one runtime for the life of the program, in which the node and its processes live.
const runtime = ManagedRuntime.make(AppLive)

const yen = await runtime.runPromise(
  Effect.flatMap(RatesClient, (rates) => rates.Convert({ euros: 100, to: "JPY" }))
)
console.log(`promise: 100 EUR are ${yen} JPY`)

const server = makeServer(runtime).listen(0, "127.0.0.1")
await once(server, "listening")
const { port } = server.address() as AddressInfo
for (const path of ["/convert?to=USD", "/convert?to=XXX", "/forecast", "/crash", "/convert?to=USD"]) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`)
  console.log(`GET ${path}: ${answer.status} ${await answer.text()}`)
}
server.close()
server.closeAllConnections()

// Stops the tree, then the node.
await runtime.dispose()
