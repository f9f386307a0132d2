/**
 * TCP clients: connections that come and go under a process that stays. Row T-10 of the reference's feature list, which
 * has none.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Redacted, Schedule, Schema, type Scope } from "effect"
import { GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { type Connection, Framing, NetError, TcpClient, TcpNetwork, TcpServer } from "effect-otp/net"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import * as Certificates from "../dist/Certificates.ts"
import { until } from "./Until.ts"

const onNetwork = (
  title: string,
  body: () => Effect.Effect<unknown, unknown, Node.Node | TcpNetwork.TcpNetwork | Scope.Scope>
): void =>
  it.effect(title, () =>
    Effect.provide(
      body(),
      Layer.merge(Layer.provideMerge(TestNode.layer(), Logger.layer([])), TcpNetwork.layerMemory())
    ))

/** Echoes lines, and hangs up when asked. */
const server = TcpServer.make({
  framing: Framing.lines(),
  connect: () => Effect.void,
  frame: (line, _, { connection }) => line === "hang up" ? connection.close : connection.write(`echo ${line}`)
})

class Line extends Protocol.make(
  "Line",
  Message.Call("Say", { payload: { text: Schema.String }, error: NetError.ConnectionClosed }),
  Message.Cast("Note", { payload: { text: Schema.String } }),
  Message.Call("Heard", { success: Schema.Array(Schema.String) })
) {}

const lineClient = (
  events: Array<string> = [],
  options: TcpClient.Limits & { reconnect?: Schedule.Schedule<unknown> } = {}
) =>
  TcpClient.make(Line, {
    ...options,
    framing: Framing.lines(),
    init: () => Effect.succeed<ReadonlyArray<string>>([]),
    connected: (_, { connection }) => {
      events.push(`connected ${connection.id}`)
      return connection.write("hello")
    },
    frame: (line, heard) => GenServer.next([...heard, line]),
    disconnected: (end) => void events.push(end._tag),
    handlers: {
      Say: ({ text }, heard, { connection }) =>
        Effect.as(
          Effect.catchTag(connection.write(text), "FrameError", Effect.die),
          GenServer.reply(undefined, heard)
        ),
      Note: ({ text }, _, { connection }) => connection.write(text),
      Heard: (_, heard) => GenServer.reply(heard, heard)
    }
  })

describe("TcpClient", () => {
  onNetwork("talks to a server, and keeps its state when the connection is made again", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      yield* GenServer.start(server, { port: 4000 })
      const client = yield* GenServer.start(lineClient(events), { host: "127.0.0.1", port: 4000 })
      yield* TestNode.settle
      yield* client.Say({ text: "one" })
      yield* client.Note({ text: "two" })
      yield* TestNode.settle
      assert.deepStrictEqual(yield* client.Heard(), ["echo hello", "echo one", "echo two"])
      yield* client.Say({ text: "hang up" })
      yield* TestNode.settle
      assert.deepStrictEqual(events, ["connected 1", "PeerClosed"])
      assert.strictEqual((yield* Effect.flip(client.Say({ text: "lost" })))._tag, "ConnectionClosed")
      // A cast that finds no connection is no crash.
      yield* client.Note({ text: "lost" })
      yield* TestClock.adjust("100 millis")
      yield* client.Say({ text: "three" })
      yield* TestNode.settle
      assert.deepStrictEqual(events, ["connected 1", "PeerClosed", "connected 2"])
      assert.deepStrictEqual((yield* client.Heard()).slice(3), ["echo hello", "echo three"])
      assert.deepInclude(yield* GenServer.getState(client), { isConnected: true, connections: 2, framesIn: 5 })
    }))

  onNetwork("tries again, later and later, until there is a server", () =>
    Effect.gen(function*() {
      const attempts: Array<number> = []
      const network = yield* TcpNetwork.TcpNetwork
      const counting: TcpNetwork.Service = {
        listen: (...args) => network.listen(...args),
        connect: (options) =>
          Effect.andThen(
            Effect.clockWith((clock) => Effect.sync(() => attempts.push(clock.currentTimeMillisUnsafe()))),
            network.connect(options)
          )
      }
      const events: Array<string> = []
      yield* GenServer.start(lineClient(events), { host: "127.0.0.1", port: 4000 }).pipe(
        Effect.provideService(TcpNetwork.TcpNetwork, counting)
      )
      yield* TestClock.adjust("1 minute")
      const start = attempts[0]!
      assert.deepStrictEqual(attempts.slice(0, 8).map((at) => at - start), [0, 100, 300, 700, 1500, 3100, 6300, 12700])
      assert.deepStrictEqual(attempts.slice(8, 10).map((at, i) => at - attempts[7 + i]!), [10_000, 10_000])
      assert.deepStrictEqual(events, [])
      yield* GenServer.start(server, { port: 4000 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(events, ["connected 1"])
    }))

  onNetwork("does not hammer a server that hangs up at once", () =>
    Effect.gen(function*() {
      const rude = TcpServer.make({
        framing: Framing.lines(),
        connect: () => Effect.fail("no"),
        frame: () => {}
      })
      const ref = yield* GenServer.start(rude, { port: 4000 })
      yield* GenServer.start(lineClient(), { host: "127.0.0.1", port: 4000 })
      yield* TestClock.adjust("1 minute")
      assert.isAtMost((yield* ref.Stats()).accepted, 14)
      assert.isAtLeast((yield* ref.Stats()).accepted, 9)
    }))

  onNetwork(
    "ends with the last error when its schedule does, and its supervisor decides",
    () =>
      Effect.gen(function*() {
        const tree = Supervisor.make({
          intensity: 1,
          children: [
            Supervisor.child(
              "line",
              lineClient([], { reconnect: Schedule.recurs(2) }),
              { host: "127.0.0.1", port: 4000 }
            )
          ]
        })
        const supervisor = yield* Supervisor.start(tree)
        const end = yield* Effect.forkChild(Process.awaitExit(supervisor))
        yield* TestNode.settle
        assert.strictEqual((yield* Fiber.join(end))._tag, "Shutdown")
        const client = yield* GenServer.start(lineClient([], { reconnect: Schedule.recurs(0) }), {
          host: "127.0.0.1",
          port: 4000
        })
        const reason = yield* Process.awaitExit(client)
        assert.deepInclude((reason as { readonly error: unknown }).error, { _tag: "NetError", code: "ECONNREFUSED" })
      })
  )

  onNetwork("gives up a connection that does not come about in time", () =>
    Effect.gen(function*() {
      const network = yield* TcpNetwork.TcpNetwork
      let attempts = 0
      const silent: TcpNetwork.Service = {
        listen: (...args) => network.listen(...args),
        connect: () => Effect.suspend(() => (attempts++, Effect.never))
      }
      yield* GenServer.start(lineClient([], { connectTimeout: "3 seconds" }), { host: "10.0.0.1", port: 1 }).pipe(
        Effect.provideService(TcpNetwork.TcpNetwork, silent)
      )
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual(attempts, 1)
      yield* TestClock.adjust("101 millis")
      assert.strictEqual(attempts, 2)
    }))

  onNetwork("pings when nothing goes either way, and counts as idle without", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End> = []
      yield* GenServer.start(server, { port: 4000 })
      const heard: Array<string> = []
      yield* GenServer.start(
        TcpClient.make({
          framing: Framing.lines(),
          idleTimeout: "10 seconds",
          init: () => Effect.void,
          frame: (line) => void heard.push(line),
          idle: (_, { connection }) => connection.write("ping"),
          disconnected: (end) => void ends.push(end)
        }),
        { host: "127.0.0.1", port: 4000 }
      )
      yield* TestNode.settle
      yield* TestClock.adjust("10 seconds")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(heard, ["echo ping", "echo ping"])
      yield* GenServer.start(
        TcpClient.make({
          framing: Framing.lines(),
          idleTimeout: "10 seconds",
          init: () => Effect.void,
          frame: () => {},
          disconnected: (end) => void ends.push(end)
        }),
        { host: "127.0.0.1", port: 4000 }
      )
      yield* TestNode.settle
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ends, [{ _tag: "Idle" }])
    }))

  onNetwork("when it ends, so does its connection, with what was written", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const listening = TcpServer.make({
        framing: Framing.lines(),
        connect: () => Effect.void,
        frame: (line) => void seen.push(line)
      })
      const ref = yield* GenServer.start(listening, { port: 4000 })
      const client = yield* GenServer.start(lineClient(), { host: "127.0.0.1", port: 4000 })
      yield* TestNode.settle
      yield* client.Say({ text: "last words" })
      yield* Process.stop(client)
      yield* TestNode.settle
      assert.deepStrictEqual(seen, ["hello", "last words"])
      assert.strictEqual((yield* ref.Stats()).active, 0)
      assert.strictEqual((yield* ref.Stats()).ended.PeerClosed, 1)
    }))

  it.live("over TLS, on Node", () =>
    Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = yield* Certificates.good(ca)
      const ref = yield* GenServer.start(
        TcpServer.make({
          framing: Framing.lines(),
          connect: ({ connection }) => Effect.succeed(connection.peerSubject),
          frame: (line, subject, { connection }) => connection.write(`${line} ${subject}`),
          tls: Effect.succeed({ cert: own.cert, key: own.key, clientCa: ca.cert })
        }),
        { port: 0 }
      )
      const { port } = yield* ref.Address()
      const heard: Array<string> = []
      yield* GenServer.start(
        TcpClient.make({
          framing: Framing.lines(),
          init: () => Effect.void,
          connected: (_, { connection }) => connection.write("I am"),
          frame: (line) => void heard.push(line),
          tls: Effect.succeed({ ca: ca.cert, cert: own.cert, key: own.key })
        }),
        { host: "127.0.0.1", port }
      )
      yield* until(Effect.sync(() => heard.join()), (text) => text.startsWith("I am CN="))
      // One that cannot read its key never connects, and says why when it gives up.
      const broken = yield* GenServer.start(
        TcpClient.make({
          framing: Framing.lines(),
          init: () => Effect.void,
          frame: () => {},
          reconnect: Schedule.recurs(0),
          tls: Effect.succeed({ ca: ca.cert, cert: own.cert, key: Redacted.make("nothing") })
        }),
        { host: "127.0.0.1", port }
      )
      const reason = yield* Process.awaitExit(broken)
      assert.strictEqual(reason._tag, "Error")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.merge(Layer.provideMerge(Node.layerLocal(), Logger.layer([])), NodeTcpNetwork.layer))
    ))
})
