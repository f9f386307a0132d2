/**
 * Many open connections that say little (L10 of the reliability targets): each sends one line a second and has it back, over
 * TCP or WebSocket. The clients are processes of their own.
 *
 * ```
 * npm run bench -- connections                  10 000 TCP connections for 30 seconds
 *   --count 5000                                how many; the limit of open files must allow it
 *   --seconds 60                                for how long they talk
 *   --websocket                                 WebSockets instead
 * ```
 *
 * Ends with 1 when a line is lost or wrong, or a connection closed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { GenServer, Node } from "../src/index.ts"
import { Framing, TcpServer, WebServer } from "../src/net/index.ts"
import * as NodeTcpNetwork from "../src/net/NodeTcpNetwork.ts"
import * as NodeWebServer from "../src/net/NodeWebServer.ts"

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10000" },
    seconds: { type: "string", default: "30" },
    websocket: { type: "boolean", default: false }
  }
})
const count = Number(values.count)
const seconds = Number(values.seconds)

const say = (text: string): void => void process.stdout.write(text + "\n")

interface Result {
  readonly sent: number
  readonly answered: number
  readonly wrong: number
  readonly closed: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
}

/** The clients in a process of their own. */
const startClients = (kind: string, port: number) => {
  const script = fileURLToPath(new URL("./connections/clients.ts", import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, kind, String(port), String(count)], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<unknown> => {
    const { done, value } = await lines.next()
    if (done === true) throw new Error("the clients have ended")
    return JSON.parse(value)
  }
  return {
    opened: async () => (await line()) as { readonly open: number; readonly seconds: number },
    finish: async () => {
      child.stdin.end()
      return (await line()) as Result
    }
  }
}

const measure = (kind: string, port: number) =>
  Effect.gen(function*() {
    const before = process.memoryUsage().rss
    const clients = startClients(kind, port)
    const { open, seconds: opening } = yield* Effect.promise(clients.opened)
    say(`${open} of ${count} ${kind} connections are open after ${opening.toFixed(1)} s`)
    const cpu = process.cpuUsage()
    yield* Effect.sleep(seconds * 1000)
    const used = process.cpuUsage(cpu)
    const memory = process.memoryUsage().rss - before
    const result = yield* Effect.promise(clients.finish)
    const lost = result.sent - result.answered - result.wrong
    say(
      `${result.sent} lines in ${
        result.seconds.toFixed(0)
      } s, ${result.answered} answered, ${lost} lost, ${result.wrong} wrong`
    )
    say(`answers: p50 ${result.p50.toFixed(1)} ms, p99 ${result.p99.toFixed(1)} ms`)
    say(
      `the server: ${((used.user + used.system) / seconds / 10_000).toFixed(0)} % of a core, ` +
        `${(memory / 1024 / Math.max(1, open)).toFixed(1)} KiB a connection`
    )
    const whole = open === count && result.closed === 0 && lost === 0 && result.wrong === 0
    say(whole ? "PASS" : `FAIL: ${result.closed} connections have closed`)
    return whole
  })

const overTcp = Effect.gen(function*() {
  const server = yield* GenServer.start(
    TcpServer.make({
      framing: Framing.lines(),
      maxConnections: count,
      connect: () => Effect.void,
      frame: (line, _, { connection }) => connection.write(line)
    }),
    { host: "127.0.0.1", port: 0 }
  )
  const { port } = yield* server.Address()
  return yield* measure("tcp", port)
}).pipe(Effect.scoped, Effect.provide([NodeTcpNetwork.layer, Node.layerLocal()]))

const Echo = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const { upgrade } = yield* WebServer.webSockets(TcpServer.make({
      framing: Framing.message(),
      maxConnections: count,
      connect: () => Effect.void,
      frame: (text, _, { connection }) => connection.write(text)
    }))
    yield* router.add("GET", "/echo", upgrade)
  })
)

const overWebSocket = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  return yield* measure("websocket", "port" in address ? address.port : 0)
}).pipe(
  Effect.provide(
    HttpRouter.serve(Echo, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeWebServer.layer({ port: 0, maxConnections: count + 10 })),
      Layer.provideMerge(Node.layerLocal())
    )
  )
)

const program: Effect.Effect<boolean, unknown> = values.websocket ? overWebSocket : overTcp
const passed = await Effect.runPromise(Effect.provideService(program, References.MinimumLogLevel, "None"))
process.exit(passed ? 0 : 1)
