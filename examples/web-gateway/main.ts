/**
 * A gateway and a client of it: what is sold, what is not, and what happens when a handler crashes, is late or has no
 * time. With a port as argument it serves until Ctrl-C instead.
 */
import { Console, Effect, Layer, Logger, Queue } from "effect"
import { Node, Supervisor } from "effect-otp"
import * as NodeWebServer from "effect-otp/net/NodeWebServer"
import { HttpServer } from "effect/http"
import { Tree, Web } from "./Gateway.ts"

const demonstrate = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  const host = `127.0.0.1:${"port" in address ? address.port : 0}`
  const ask = (method: string, path: string) =>
    Effect.promise(() => fetch(`http://${host}${path}`, { method })).pipe(
      Effect.flatMap((response) =>
        Effect.map(Effect.promise(() => response.text()), (text) => {
          const retry = response.headers.get("retry-after")
          return `${method} ${path}: ${response.status} ${text}${retry === null ? "" : `(retry after ${retry} s)`}`
            .trim()
        })
      )
    )

  const heard = yield* Queue.unbounded<string>()
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const socket = new WebSocket(`ws://${host}/changes`)
      socket.addEventListener("message", ({ data }) => Queue.offerUnsafe(heard, String(data)))
      return socket
    }),
    (socket) => Effect.sync(() => socket.close())
  )
  yield* Console.log(`the socket says: ${yield* Queue.take(heard)}`)

  yield* Console.log(yield* ask("POST", "/take/3"))
  yield* Console.log(`the socket says: ${yield* Queue.take(heard)}`)
  yield* Console.log(yield* ask("POST", "/take/8"))

  // A crash is a status for one client and a line in the log. The next request has another process.
  yield* Console.log(yield* ask("GET", "/crash"))
  yield* Console.log(yield* ask("POST", "/take/7"))

  // One is handled, one waits, for the others there is no room.
  const slow = yield* Effect.all([1, 2, 3, 4].map(() => ask("GET", "/slow")), { concurrency: "unbounded" })
  for (const line of slow.toSorted()) yield* Console.log(line)
}).pipe(Effect.scoped)

const port = Number(process.argv[2] ?? 0)
const program = port === 0
  ? demonstrate
  : Effect.andThen(Console.log(`open http://127.0.0.1:${port}/slow`), Effect.never)

const AppLive = Web.pipe(
  Layer.provideMerge(NodeWebServer.layer({ port })),
  Layer.provideMerge(Supervisor.layer(Tree)),
  Layer.provideMerge(Node.layerLocal())
)

// Crash reports go to standard error, what the program says to standard output.
await Effect.runPromise(program.pipe(Effect.provide(AppLive), Effect.provideService(Logger.LogToStderr, true)))
