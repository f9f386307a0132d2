/**
 * What a flood of datagrams does to everything else: as many as other operating-system processes can send, faster than the
 * server handles them [B11].
 */
import { NodeDatagramSocket } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger } from "effect"
import { GenServer, Message, Node, Protocol } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import { type ChildProcess, spawn } from "node:child_process"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { until } from "./Until.ts"

const mebibyte = 1024 * 1024

/** Sends datagrams of many sizes, the empty one included, as fast as it can, and prints how many when it is told to end. */
const flooder = `
  const socket = require("node:dgram").createSocket("udp4")
  const sizes = [0, 1, 40, 79, 200, 1400, 9000, 65507, 79, 79]
  const datagrams = sizes.map((size) => Buffer.alloc(size, 120))
  let sent = 0
  let ending = false
  process.stdin.on("end", () => { ending = true }).resume()
  socket.bind(0, "127.0.0.1", () => socket.connect(Number(process.argv[1]), "127.0.0.1", () => {
    const burst = () => {
      for (let i = 0; i < 64; i++) socket.send(datagrams[sent++ % datagrams.length], () => {})
      if (!ending) return setImmediate(burst)
      console.log(sent)
      process.exit(0)
    }
    burst()
  }))
`

/** A process that floods a port, until its scope closes at the latest. */
const flood = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["-e", flooder, String(port)], { stdio: ["pipe", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Ends a flood; how many datagrams it has sent. */
const end = (child: ChildProcess) =>
  Effect.callback<number>((resume) => {
    let text = ""
    child.stdout!.on("data", (bytes) => (text += String(bytes)))
    child.on("close", () => resume(Effect.succeed(Number(text))))
    child.stdin!.end()
  })

class Other extends Protocol.make("Other", Message.Call("Ping")) {}

const OtherServer = GenServer.make(Other, {
  init: () => Effect.void,
  handlers: { Ping: () => {} }
})

/** A service beside: HTTP on a socket of its own, answered by a process. */
const beside = Effect.gen(function*() {
  const other = yield* GenServer.start(OtherServer)
  const context = yield* Effect.context<Node.Node>()
  const server = yield* Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((_, response) => {
        Effect.runForkWith(context)(Effect.andThen(other.Ping(), Effect.sync(() => response.end("pong"))))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  const { port } = server.address() as AddressInfo
  return Effect.callback<string>((resume) => {
    Http.get({ port, host: "127.0.0.1", agent: false }, (response) => {
      response.setEncoding("utf8")
      let body = ""
      response.on("data", (text) => (body += text)).on("end", () => resume(Effect.succeed(body)))
    }).on("error", (error) => resume(Effect.die(error)))
  })
})

const layer = Layer.merge(
  NodeDatagramSocket.layer({ bind: { address: "127.0.0.1", port: 0 } }),
  Layer.provideMerge(Node.layerLocal(), Logger.layer([]))
)

describe("a flood of datagrams", () => {
  it.live(
    "[B11] holds nobody else up, grows nothing, and each datagram is accounted for",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const server = yield* GenServer.start(UdpServer.make({
          handlers: 4,
          maxBytes: 10_000,
          init: () => Effect.succeed(0),
          // A handler that has to wait: more comes than it can do.
          datagram: (_, count) => Effect.as(Effect.sleep(1), GenServer.next(count + 1))
        }))
        const { port } = yield* server.Address()
        const ask = yield* beside
        const children = [yield* flood(port), yield* flood(port)]
        yield* until(server.Stats(), ({ received }) => received > 1000)
        const before = process.memoryUsage().external
        let growth = 0
        const delays: Array<number> = []
        yield* Effect.gen(function*() {
          for (;;) {
            const [delay, body] = yield* Effect.timed(ask)
            assert.strictEqual(body, "pong")
            delays.push(Duration.toMillis(delay))
            growth = Math.max(growth, process.memoryUsage().external - before)
            yield* Effect.sleep("20 millis")
          }
        }).pipe(Effect.timeoutOption("5 seconds"))
        const sent = yield* Effect.map(
          Effect.forEach(children, end, { concurrency: "unbounded" }),
          (counts) => counts.reduce((a, b) => a + b)
        )
        const stats = yield* until(server.Stats(), ({ waiting }) => waiting === 0)
        assert.isAbove(delays.length, 10)
        // On a quiet machine all stay below 200 ms; the bounds leave room for neighbours.
        delays.sort((a, b) => a - b)
        assert.isBelow(delays[delays.length >> 1]!, 200)
        assert.isBelow(delays[delays.length - 1]!, 2000)
        // What waits is bounded by the capacity; beyond that are buffers that V8 has not collected yet, which it does for each
        // 64 MiB of new ones.
        assert.isBelow(growth, 100 * mebibyte)
        // The kernel loses what it cannot keep: that never came.
        assert.isAtMost(stats.received, sent)
        assert.strictEqual(stats.received, stats.handled + stats.dropped + stats.oversized)
        assert.isAbove(stats.dropped, stats.handled)
        assert.isAbove(stats.oversized, 0)
      })).pipe(Effect.provide(layer)),
    60_000
  )
})
