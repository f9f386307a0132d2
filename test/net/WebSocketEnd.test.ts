/**
 * How a WebSocket ends, seen from both sides: what its process is told when the peer goes, and what the peer is told when
 * the process does.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Queue, type Scope } from "effect"
import { ExitReason, GenServer, Node, Process } from "effect-otp"
import { type Connection, Framing, TcpServer, WebServer } from "effect-otp/net"
import * as NodeWebServer from "effect-otp/net/NodeWebServer"
import type { Pid } from "effect-otp/term"
import { HttpRouter, HttpServer } from "effect/http"
import * as Net from "node:net"
import { until } from "./Until.ts"

const onNode = (title: string, body: () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([])))
    ), 60_000)

describe("the end of a WebSocket", () => {
  /** What a connection does is said by what its peer sends; who serves it and how it ended is told. */
  const serving = Effect.gen(function*() {
    const pids = yield* Queue.unbounded<Pid.Pid>()
    const ends = yield* Queue.unbounded<readonly [Connection.End["_tag"], Pid.Pid]>()
    const connections = new Map<Pid.Pid, Connection.Connection<string>>()
    const self = Process.self as Effect.Effect<Pid.Pid>
    const { server, upgrade } = yield* WebServer.webSockets(TcpServer.make({
      framing: Framing.message(),
      // Who is told does not keep its process waiting: this is for those who do not answer.
      lingerTimeout: "1 minute",
      connect: ({ connection }) =>
        Effect.flatMap(self, (pid) => {
          connections.set(pid, connection)
          return Effect.as(Queue.offer(pids, pid), pid)
        }),
      frame: (text, pid, { connection }) => {
        if (text === "crash") throw new Error("secret")
        return text === "stop"
          ? Effect.as(connection.write("last"), GenServer.stop())
          : Effect.as(connection.write(text), GenServer.next(pid))
      },
      disconnect: (end, pid) => Queue.offer(ends, [end._tag, pid] as const)
    }))
    const context = yield* Layer.build(Layer.provideMerge(
      HttpRouter.serve(HttpRouter.add("GET", "/", upgrade), { disableLogger: true, disableListenLog: true }),
      NodeWebServer.layer({ port: 0, maxMessageBytes: 10_000 })
    ))
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
    const port = "port" in address ? address.port : 0
    return { connections, ends, pids, port, server }
  })

  interface Closed {
    readonly code: number
    readonly reason: string
    readonly wasClean: boolean
  }

  /** A browser's WebSocket that is open. */
  const open = (port: number) =>
    Effect.acquireRelease(
      Effect.callback<{ readonly socket: WebSocket; readonly got: Array<string>; readonly closed: Promise<Closed> }>(
        (resume) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
          const got: Array<string> = []
          const closed = new Promise<Closed>((resolve) =>
            socket.addEventListener("close", ({ code, reason, wasClean }) => resolve({ code, reason, wasClean }))
          )
          socket.addEventListener("message", ({ data }) => got.push(String(data)))
          socket.addEventListener("open", () => resume(Effect.succeed({ socket, got, closed })))
        }
      ),
      ({ socket }) => Effect.sync(() => socket.close())
    )

  const closeOf = ({ closed }: { readonly closed: Promise<Closed> }) =>
    Effect.timeoutOrElse(Effect.promise(() => closed), {
      duration: "10 seconds",
      orElse: () => Effect.die(new Error("the peer was not told that it is over"))
    })

  const isOver = (pid: Pid.Pid) => until(Process.isAlive(pid), (alive) => !alive)

  onNode(
    "the process ends when its peer closes, with whatever code, and its peer is answered",
    () =>
      Effect.gen(function*() {
        const { ends, pids, port, server } = yield* serving
        const other = yield* open(port)
        const otherPid = yield* Queue.take(pids)
        for (
          const [code, reason] of [[undefined, undefined], [1000, ""], [3000, "enough"], [4999, "ünïcode"]] as const
        ) {
          const peer = yield* open(port)
          const pid = yield* Queue.take(pids)
          if (code === undefined) peer.socket.close()
          else peer.socket.close(code, reason)
          assert.deepStrictEqual(yield* Queue.take(ends), ["PeerClosed", pid])
          yield* isOver(pid)
          // The other side says the same back.
          assert.deepStrictEqual(yield* closeOf(peer), { code: code ?? 1005, reason: reason ?? "", wasClean: true })
        }
        // One whose message is larger than any may be is told so.
        const loud = yield* open(port)
        const loudPid = yield* Queue.take(pids)
        loud.socket.send("x".repeat(20_000))
        assert.deepStrictEqual(yield* Queue.take(ends), ["Broken", loudPid])
        yield* isOver(loudPid)
        assert.strictEqual((yield* closeOf(loud)).code, 1009)
        // One that says nothing: its connection is gone.
        const gone = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(port, "127.0.0.1", () =>
            socket.write(
              "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
            ))
          socket.on("error", () => {})
          socket.once("data", () => resume(Effect.succeed(socket)))
        })
        const pid = yield* Queue.take(pids)
        gone.resetAndDestroy()
        assert.deepStrictEqual(yield* Queue.take(ends), ["Broken", pid])
        yield* isOver(pid)
        const stats = yield* until(server.Stats(), ({ active }) => active === 1)
        assert.deepInclude(stats.ended, { PeerClosed: 4, Broken: 2, Closed: 0, Crashed: 0 })
        // Who did nothing of that is still served.
        other.socket.send("still")
        yield* until(Effect.sync(() => other.got), (got) => got.includes("still"))
        assert.isTrue(yield* Process.isAlive(otherPid))
      })
  )

  onNode("the peer is told when the process ends, however that ends, and nobody else is", () =>
    Effect.gen(function*() {
      const { connections, pids, port, server } = yield* serving
      const other = yield* open(port)
      yield* Queue.take(pids)
      const ways: {
        readonly [way: string]: (pid: Pid.Pid, socket: WebSocket) => Effect.Effect<unknown, never, Node.Node>
      } = {
        "it stops": (_, socket) => Effect.sync(() => socket.send("stop")),
        "its connection is closed by somebody else": (pid) => connections.get(pid)!.close,
        "it is told to exit": (pid) => Process.exit(pid, ExitReason.shutdown),
        "it crashes": (_, socket) => Effect.sync(() => socket.send("crash")),
        "it is killed": (pid) => Process.kill(pid)
      }
      for (const [way, end] of Object.entries(ways)) {
        const peer = yield* open(port)
        const pid = yield* Queue.take(pids)
        yield* end(pid, peer.socket)
        yield* isOver(pid)
        // With a close that both sides have said: whether all is well, and without a word about why.
        const code = way === "it crashes" || way === "it is killed" ? 1011 : 1000
        assert.deepInclude(yield* closeOf(peer), { code, reason: "", wasClean: true }, way)
        assert.deepStrictEqual(peer.got, way === "it stops" ? ["last"] : [], way)
      }
      const { ended } = yield* until(server.Stats(), ({ active }) => active === 1)
      assert.deepInclude(ended, { PeerClosed: 0, Broken: 0, Closed: 4, Crashed: 1 })
      other.socket.send("still")
      yield* until(Effect.sync(() => other.got), (got) => got.includes("still"))
    }))
})
