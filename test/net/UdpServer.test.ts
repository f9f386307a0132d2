/**
 * UDP servers on real sockets: who handles what, to whom replies go, and what a flood costs.
 *
 * The rows of the reference's feature list that this covers: U-01 options, U-02 several handlers, U-03 overflow, U-04
 * callbacks and payloads that stay as they are, U-05 replies to their own sender, U-06 empty datagrams.
 */
import { NodeDatagramSocket } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Logger, Schema, type Scope } from "effect"
import { GenServer, Node, Process, Supervisor } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import * as NetAddress from "effect/net/NetAddress"
import type * as DatagramSocket from "effect/socket/DatagramSocket"
import * as Dgram from "node:dgram"
import { until } from "./Until.ts"

const bound = (options?: NodeDatagramSocket.Options) =>
  NodeDatagramSocket.layer({ bind: { address: "127.0.0.1", port: 0 }, ...options } as NodeDatagramSocket.Options)

const onSocket = (
  title: string,
  body: () => Effect.Effect<unknown, unknown, Node.Node | DatagramSocket.DatagramSocket | Scope.Scope>,
  options?: NodeDatagramSocket.Options
): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.merge(bound(options), Layer.provideMerge(Node.layerLocal(), Logger.layer([]))))
    ), 60_000)

/** A client on a socket of Node's own: it sends anything, to anybody, and remembers what came. */
const client = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<
      { readonly got: Array<string>; readonly port: number; readonly send: (payload: string | Uint8Array) => void }
    >(
      (resume) => {
        const socket = Dgram.createSocket("udp4")
        const got: Array<string> = []
        socket.on("message", (bytes) => got.push(bytes.toString()))
        socket.bind(0, "127.0.0.1", () =>
          resume(Effect.succeed({
            got,
            port: socket.address().port,
            send: (payload) => socket.send(payload, port, "127.0.0.1"),
            close: () => socket.close()
          })))
      }
    ),
    (it) => Effect.sync((it as unknown as { readonly close: () => void }).close)
  )

const started = <E, R>(server: UdpServer.UdpServer<E, R>) =>
  Effect.gen(function*() {
    const ref = yield* GenServer.start(server)
    const { port } = yield* ref.Address()
    return { ref, port }
  })

const balanced = (stats: UdpServer.Stats): boolean =>
  stats.received === stats.handled + stats.dropped + stats.lost + stats.oversized + stats.malformed + stats.waiting

const echo = UdpServer.make({
  schema: UdpServer.Text,
  init: () => Effect.succeed(0),
  datagram: ({ payload, reply }, count) => Effect.as(reply(`${count}:${payload}`), GenServer.next(count + 1))
})

describe("UdpServer", () => {
  onSocket("answers datagrams, empty ones as well", () =>
    Effect.gen(function*() {
      const { port, ref } = yield* started(echo)
      const one = yield* client(port)
      one.send("a")
      one.send("")
      one.send("b")
      yield* until(Effect.sync(() => one.got.length), (n) => n === 3)
      assert.deepStrictEqual(one.got, ["0:a", "1:", "2:b"])
      assert.deepInclude(yield* ref.Stats(), { received: 3, handled: 3, sent: 3, dropped: 0 })
    }))

  onSocket("a reply goes to the sender of its datagram, however late", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const kept: Array<UdpServer.Datagram<string>> = []
      const server = UdpServer.make({
        schema: UdpServer.Text,
        init: () => Effect.void,
        datagram: (datagram) => {
          kept.push(datagram)
          return Effect.asVoid(
            Effect.forkDetach(Effect.andThen(Deferred.await(gate), datagram.reply(`to ${datagram.payload}`)))
          )
        }
      })
      const { port } = yield* started(server)
      const clients = yield* Effect.forEach(["a", "b", "c"], () => client(port))
      for (const [i, name] of ["a", "b", "c"].entries()) {
        clients[i]!.send(name)
        yield* until(Effect.sync(() => kept.length), (n) => n === i + 1)
      }
      yield* Deferred.succeed(gate, undefined)
      yield* until(Effect.sync(() => clients.map(({ got }) => got.join())), (got) => got.every((text) => text !== ""))
      assert.deepStrictEqual(clients.map(({ got }) => got), [["to a"], ["to b"], ["to c"]])
      assert.deepStrictEqual(kept.map(({ sender }) => sender.port), clients.map(({ port }) => port))
    }))

  onSocket("a payload stays as it is, whatever comes later", () =>
    Effect.gen(function*() {
      const kept: Array<Uint8Array> = []
      const server = UdpServer.make({
        maxBytes: 1000,
        init: () => Effect.void,
        datagram: ({ payload }) => void kept.push(payload)
      })
      const { port } = yield* started(server)
      const one = yield* client(port)
      for (let i = 0; i < 200; i++) {
        one.send(new Uint8Array(500).fill(i))
        if (i % 20 === 19) yield* until(Effect.sync(() => kept.length), (n) => n === i + 1)
      }
      assert.deepStrictEqual(kept.map((payload) => payload.every((byte) => byte === payload[0])), kept.map(() => true))
      assert.deepStrictEqual(kept.map((payload) => payload[0]), Array.from({ length: 200 }, (_, i) => i % 256))
    }))

  onSocket("spreads datagrams over its handlers in turn", () =>
    Effect.gen(function*() {
      const handled = [0, 0, 0, 0]
      const server = UdpServer.make({
        handlers: 4,
        init: (handler) => Effect.succeed(handler),
        datagram: (_, handler) => void handled[handler]!++
      })
      const { port, ref } = yield* started(server)
      const one = yield* client(port)
      for (let i = 0; i < 40; i++) one.send("x")
      yield* until(ref.Stats(), (stats) => stats.handled === 40)
      assert.deepStrictEqual(handled, [10, 10, 10, 10])
    }))

  onSocket("or by sender, each in the order of that sender", () =>
    Effect.gen(function*() {
      const seen: Array<readonly [number, string]> = []
      const server = UdpServer.make({
        schema: UdpServer.Text,
        handlers: 4,
        spread: "sender",
        init: (handler) => Effect.succeed(handler),
        datagram: ({ payload }, handler) =>
          // Some take longer than others: the order must not depend on it.
          Effect.as(
            payload.endsWith("0") ? Effect.sleep("2 millis") : Effect.void,
            GenServer.next((seen.push([handler, payload]), handler))
          )
      })
      const { port, ref } = yield* started(server)
      const clients = yield* Effect.forEach(Array.from({ length: 16 }, (_, i) => i), () => client(port))
      for (let i = 0; i < 12; i++) {
        for (const [name, one] of clients.entries()) one.send(`${name}/${i}`)
        yield* until(ref.Stats(), (stats) => stats.handled === 16 * (i + 1))
      }
      for (const name of clients.keys()) {
        const mine = seen.filter(([, payload]) => payload.startsWith(`${name}/`))
        assert.strictEqual(new Set(mine.map(([handler]) => handler)).size, 1)
        assert.deepStrictEqual(mine.map(([, payload]) => payload), Array.from({ length: 12 }, (_, i) => `${name}/${i}`))
      }
      assert.isAbove(new Set(seen.map(([handler]) => handler)).size, 1)
    }))

  onSocket("drops what finds no room, and counts it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const server = UdpServer.make({
        handlers: 2,
        capacity: 10,
        init: () => Effect.void,
        datagram: () => Deferred.await(gate)
      })
      const { port, ref } = yield* started(server)
      const one = yield* client(port)
      for (let i = 0; i < 50; i++) one.send("x")
      const full = yield* until(ref.Stats(), (stats) => stats.received === 50)
      // Two are handled, ten wait.
      assert.deepInclude(full, { handled: 2, waiting: 10, dropped: 38 })
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(balanced(yield* until(ref.Stats(), (stats) => stats.handled === 12)))
    }))

  onSocket("refuses what is too large or does not fit its schema, and counts it", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const server = UdpServer.make({
        schema: UdpServer.Text.pipe(Schema.decodeTo(Schema.fromJsonString(Schema.Struct({ n: Schema.Int })))),
        maxBytes: 20,
        init: () => Effect.void,
        datagram: ({ payload }) => void seen.push(payload.n)
      })
      const { port, ref } = yield* started(server)
      const one = yield* client(port)
      for (
        const payload of [
          `{"n":1}`,
          `{"n":"1"}`,
          "nonsense",
          `{"n": 2${" ".repeat(30)}}`,
          Uint8Array.of(0xff),
          `{"n":3}`
        ]
      ) {
        one.send(payload)
      }
      const stats = yield* until(ref.Stats(), (stats) => stats.received === 6)
      assert.deepStrictEqual(seen, [1, 3])
      assert.deepInclude(stats, { malformed: 3, oversized: 1, handled: 2 })
    }))

  onSocket(
    "a handler that crashes is replaced, the others do not notice, and nothing is unaccounted for",
    () =>
      Effect.gen(function*() {
        const server = UdpServer.make({
          schema: UdpServer.Text,
          handlers: 2,
          init: (handler) => Effect.succeed(handler),
          datagram: ({ payload, reply }, handler) => {
            if (payload === "crash") throw new Error("as asked")
            return reply(`${handler}`)
          }
        })
        const { port, ref } = yield* started(server)
        const one = yield* client(port)
        for (let i = 0; i < 100; i++) one.send(i % 10 === 0 ? "crash" : "ok")
        const stats = yield* until(ref.Stats(), (stats) => stats.received === 100 && stats.waiting === 0)
        assert.isTrue(stats.restarts >= 1 && stats.restarts <= 10, JSON.stringify(stats))
        assert.strictEqual(stats.handled + stats.lost + stats.dropped, 100)
        one.send("ok")
        yield* until(ref.Stats(), ({ handled }) => handled === stats.handled + 1)
        assert.isTrue(yield* Process.isAlive(ref))
      })
  )

  onSocket("a datagram that cannot be sent is counted and is no crash", () =>
    Effect.gen(function*() {
      const nobody = NetAddress.inetAddressFromIpString("127.0.0.1", 9)
      const server = UdpServer.make({
        init: () => Effect.void,
        datagram: (_, __, { send }) =>
          send(new Uint8Array(70_000), nobody._tag === "Success" ? nobody.success : undefined!)
      })
      const { port, ref } = yield* started(server)
      const one = yield* client(port)
      one.send("a")
      one.send("b")
      const stats = yield* until(ref.Stats(), (stats) => stats.notSent === 2)
      assert.strictEqual(stats.restarts, 0)
    }))

  onSocket("belongs to groups of multicast", () =>
    Effect.gen(function*() {
      const group = NetAddress.ipFromString("239.255.42.99")
      assert.isTrue(group._tag === "Success")
      if (group._tag !== "Success" || !NetAddress.isMulticast(group.success)) return
      const seen: Array<string> = []
      const server = UdpServer.make({
        schema: UdpServer.Text,
        groups: [{ group: group.success, interface: NetAddress.ipv4Loopback as never }],
        init: () => Effect.void,
        datagram: ({ payload }) => void seen.push(payload)
      })
      const { port } = yield* started(server)
      yield* Effect.acquireRelease(
        Effect.callback<Dgram.Socket>((resume) => {
          const socket = Dgram.createSocket("udp4")
          socket.bind(0, "127.0.0.1", () => {
            socket.setMulticastInterface("127.0.0.1")
            socket.send("to all", port, "239.255.42.99")
            resume(Effect.succeed(socket))
          })
        }),
        (socket) => Effect.sync(() => socket.close())
      )
      yield* until(Effect.sync(() => seen.join()), (text) => text === "to all")
    }), { bind: { address: "0.0.0.0", port: 0 }, reuseAddress: true })

  onSocket("under a supervisor it opens its socket again", () =>
    Effect.gen(function*() {
      yield* Supervisor.start(Supervisor.make({
        children: [Supervisor.child("echo", echo, undefined, { name: "echo" })]
      }))
      const ref = yield* GenServer.named(UdpServer.Control, "echo")
      const before = yield* Process.whereis("echo")
      yield* Process.kill({ name: "echo" })
      yield* until(Process.whereis("echo"), (pid) => pid._tag === "Some" && String(pid) !== String(before))
      const one = yield* client((yield* until(Effect.option(ref.Address()), (a) => a._tag === "Some")).pipe(
        (a) => a._tag === "Some" ? a.value.port : 0
      ))
      one.send("a")
      yield* until(Effect.sync(() => one.got.join()), (text) => text === "0:a")
    }))

  onSocket(
    "a hundred thousand random datagrams: each is accounted for, and the next is answered",
    () =>
      Effect.gen(function*() {
        const server = UdpServer.make({
          schema: UdpServer.Text,
          handlers: 3,
          init: () => Effect.void,
          datagram: ({ payload, reply }) => payload === "ping" ? reply("pong") : undefined
        })
        const { port, ref } = yield* started(server)
        const one = yield* client(port)
        let seed = 1
        const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8
        const junk = Array.from({ length: 500 }, () => {
          const size = random() % 10 === 0 ? 0 : random() % 10 === 0 ? 60_000 : random() % 300
          return Uint8Array.from({ length: size }, () => random() % 256)
        })
        for (let i = 0; i < 100_000; i++) {
          one.send(junk[i % junk.length]!)
          // The kernel keeps some; what it loses never came.
          if (i % 200 === 199) yield* Effect.yieldNow
          if (i % 2000 === 1999) yield* Effect.sleep(0)
        }
        one.send("ping")
        yield* until(
          Effect.sync(() => (one.send("ping"), one.got.length)),
          (n) => n > 0
        )
        const stats = yield* until(ref.Stats(), (stats) => stats.waiting === 0)
        assert.isAbove(stats.received, 10_000)
        assert.isAbove(stats.malformed, 1000)
        assert.strictEqual(stats.restarts, 0)
        assert.isTrue(balanced(stats))
      })
  )

  it("refuses options that make no sense", () => {
    const options = { init: () => Effect.void, datagram: () => {} }
    assert.throws(() => UdpServer.make({ ...options, handlers: 0 }), "handlers")
    assert.throws(() => UdpServer.make({ ...options, handlers: 4, capacity: 3 }), "capacity")
  })
})
