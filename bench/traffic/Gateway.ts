/**
 * The gateway beside a bare server: the same route on Effect's HTTP server as it comes, and on `NodeWebServer` with its
 * limits, where it runs in the processes of `WebServer.handlers`. The client is a process of its own.
 *
 * Both servers live in this process and are asked in turn, in short slices, so that a disturbance hits both.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import { spawn } from "node:child_process"
import * as Http from "node:http"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Node } from "../../src/index.ts"
import * as NodeWebServer from "../../src/net/NodeWebServer.ts"
import * as WebServer from "../../src/net/WebServer.ts"
import { percentile } from "../harness/Statistics.ts"

/** Connections at once: more than there are handlers, so that requests also wait for one. */
const connections = 32

/** Requests of a slice: the two servers take turns after so many. */
const slice = 1000

const hello = HttpRouter.add("GET", "/hello", Effect.sync(() => HttpServerResponse.text("hello")))
const quiet = { disableLogger: true, disableListenLog: true }

class BarePort extends Context.Service<BarePort, number>()("bench/BarePort") {}
class GatewayPort extends Context.Service<GatewayPort, number>()("bench/GatewayPort") {}

const port = Effect.map(HttpServer.HttpServer, ({ address }) => "port" in address ? address.port : 0)

const Bare = Layer.effect(BarePort, port).pipe(
  Layer.provideMerge(HttpRouter.serve(hello, quiet)),
  Layer.provide(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1" }))
)

const Gateway = Layer.effect(GatewayPort, port).pipe(
  Layer.provideMerge(HttpRouter.serve(hello.pipe(Layer.provide(WebServer.handlers({ size: 16 }))), quiet)),
  Layer.provide(NodeWebServer.layer({ port: 0 })),
  Layer.provide(Node.layerLocal())
)

const silence = Layer.succeed(References.MinimumLogLevel, "None")

const median = (values: ReadonlyArray<number>): number => percentile(0.5, values)

/** The process that asks. */
const startClient = () =>
  new Promise<{
    readonly ask: (port: number, requests: number) => Promise<number>
    readonly stop: () => Promise<void>
  }>((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./gateway-client.ts", import.meta.url))], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    let told: (line: string) => void = () =>
      resolve({
        ask: (port, requests) =>
          new Promise((resolve) => {
            told = (line) => resolve(Number(line))
            child.stdin.write(`${port} ${requests} ${connections}\n`)
          }),
        stop: () =>
          new Promise((resolve) => {
            child.once("exit", () => resolve())
            child.kill()
          })
      })
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`the client of the gateway ended with code ${code}`)))
    createInterface({ input: child.stdout }).on("line", (line) => told(line))
  })

/**
 * What a run of the gateway benchmark gives: requests per second of both, and the share of the bare server's rate that
 * the gateway reaches. Medians over the slices.
 *
 * @category models
 * @since 0.1.0
 */
export interface GatewayRates {
  readonly gateway_per_s: number
  readonly bare_per_s: number
  readonly gateway_ratio: number
}

/**
 * The two servers and the client, started by the first measurement.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = (): {
  /** Asks each server so many times, after a warm-up the first time. */
  readonly measure: (requests: number) => Promise<GatewayRates>
  readonly close: () => Promise<void>
} => {
  const begin = async () => {
    const runtime = ManagedRuntime.make(Layer.provideMerge(Layer.merge(Bare, Gateway), silence))
    const bare = await runtime.runPromise(BarePort)
    const gateway = await runtime.runPromise(GatewayPort)
    const client = await startClient()
    for (const port of [bare, gateway, bare, gateway]) await client.ask(port, 8 * slice)
    return { runtime, bare, gateway, client }
  }
  let world: ReturnType<typeof begin> | undefined
  return {
    measure: async (requests) => {
      const { bare, client, gateway } = await (world ??= begin())
      const slices = Math.max(1, Math.round(requests / slice))
      const pairs: Array<{ readonly bare: number; readonly gateway: number }> = []
      for (let i = 0; i < slices; i++) {
        pairs.push({ bare: await client.ask(bare, slice), gateway: await client.ask(gateway, slice) })
      }
      return {
        gateway_per_s: median(pairs.map(({ gateway }) => slice * 1000 / gateway)),
        bare_per_s: median(pairs.map(({ bare }) => slice * 1000 / bare)),
        gateway_ratio: median(pairs.map(({ bare, gateway }) => bare / gateway))
      }
    },
    close: async () => {
      if (world === undefined) return
      const { client, runtime } = await world
      await client.stop()
      await runtime.dispose()
    }
  }
}
