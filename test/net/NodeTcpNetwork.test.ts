/**
 * TCP and TLS on real sockets: what the host does with a server, certificates, and peers that mean no good.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Logger, Redacted, type Scope } from "effect"
import { GenServer, Node, Process } from "effect-otp"
import { type Connection, Framing, TcpNetwork, TcpServer } from "effect-otp/net"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import * as Net from "node:net"
import * as Certificates from "../dist/Certificates.ts"
import { until } from "./Until.ts"

const onSockets = (
  title: string,
  body: () => Effect.Effect<unknown, unknown, Node.Node | TcpNetwork.TcpNetwork | Scope.Scope>
): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.merge(Layer.provideMerge(Node.layerLocal(), Logger.layer([])), NodeTcpNetwork.layer))
    ), 60_000)

const started = <R>(server: TcpServer.TcpServer<R>) =>
  Effect.gen(function*() {
    const ref = yield* GenServer.start(server, { port: 0 })
    const { port } = yield* ref.Address()
    return { ref, port }
  })

const echo = (limits: TcpServer.Limits = {}) =>
  TcpServer.make({
    ...limits,
    framing: Framing.lines({ maxBytes: 1000 }),
    connect: ({ connection }) => Effect.succeed(connection.peerSubject),
    frame: (line, subject, { connection }) => {
      if (line === "crash") throw new Error("as asked")
      return line === "who" ? connection.write(`${subject}`) : connection.write(line)
    }
  })

const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** A client of the same network, which remembers what came. */
const client = (port: number, tls?: TcpNetwork.ClientTls) =>
  Effect.gen(function*() {
    const network = yield* TcpNetwork.TcpNetwork
    const socket = yield* Effect.acquireRelease(
      network.connect({ host: "127.0.0.1", port, tls }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const seen = { text: "", ended: false, closed: false }
    socket.received = (bytes) => void (seen.text += decoder.decode(bytes))
    socket.ended = () => void (seen.ended = true)
    socket.closed = () => void (seen.closed = true)
    socket.start()
    return {
      seen,
      socket,
      ask: (text: string) =>
        Effect.suspend(() => {
          seen.text = ""
          socket.write(encoder.encode(`${text}\n`))
          return Effect.map(
            until(Effect.sync(() => seen.text), (text) => text.endsWith("\n") || seen.closed || seen.ended),
            (text) => text.trimEnd()
          )
        })
    }
  })

describe("TCP on Node", () => {
  onSockets("serves lines; both ends know who they are", () =>
    Effect.gen(function*() {
      const { port, ref } = yield* started(echo())
      const one = yield* client(port)
      assert.strictEqual(yield* one.ask("hello"), "hello")
      const [info] = yield* ref.Connections()
      assert.deepStrictEqual(info?.peer, one.socket.local)
      assert.deepStrictEqual(one.socket.peer, { host: "127.0.0.1", port })
      one.socket.end()
      yield* until(Effect.sync(() => one.seen.closed), (closed) => closed)
      yield* until(ref.Stats(), ({ active }) => active === 0)
    }))

  onSockets("megabytes both ways at once, through a peer that does not read for a while", () =>
    Effect.gen(function*() {
      const server = TcpServer.make({
        framing: Framing.lengthPrefix(),
        connect: () => Effect.void,
        frame: (frame, _, { connection }) => connection.write(frame)
      })
      const { port, ref } = yield* started(server)
      const network = yield* TcpNetwork.TcpNetwork
      const socket = yield* network.connect({ host: "127.0.0.1", port })
      const framing = Framing.lengthPrefix()
      const decoder = framing.makeDecoder()
      let next = 0
      let wrong = 0
      socket.received = (bytes) => {
        for (const frame of decoder.feed(bytes).frames) {
          if (frame.length !== 1 + (next * 7919) % 100_000 || frame.some((byte) => byte !== next % 256)) wrong++
          next++
        }
      }
      socket.start()
      socket.pause()
      for (let i = 0; i < 400; i++) {
        const frame = framing.encodeFrame(new Uint8Array(1 + (i * 7919) % 100_000).fill(i % 256))
        if (frame._tag === "Success") socket.write(frame.success)
      }
      // What is written waits for the reader: the server must stop taking more.
      yield* Effect.sleep("200 millis")
      assert.isBelow((yield* ref.Stats()).framesIn, 400)
      socket.resume()
      yield* until(Effect.sync(() => next), (n) => n === 400)
      assert.strictEqual(wrong, 0)
      socket.destroy()
    }))

  onSockets("connections that break are counted, and no crash", () =>
    Effect.gen(function*() {
      const { port, ref } = yield* started(echo())
      const one = yield* client(port)
      yield* one.ask("hello")
      const raw = Net.connect(port, "127.0.0.1", () => {
        raw.write("a\nb\nc\n")
        setTimeout(() => raw.resetAndDestroy(), 20)
      })
      raw.on("error", () => {})
      const stats = yield* until(ref.Stats(), ({ ended }) => ended.Broken + ended.PeerClosed === 1)
      assert.strictEqual(stats.ended.Crashed, 0)
      assert.strictEqual(yield* one.ask("still there"), "still there")
    }))

  onSockets("fails to start where somebody listens, or where there is no such address", () =>
    Effect.gen(function*() {
      const { port } = yield* started(echo())
      const taken = yield* Effect.flip(GenServer.start(echo(), { port }))
      assert.deepInclude(taken, { _tag: "NetError", operation: "listen", code: "EADDRINUSE" })
      const error = yield* Effect.flip(GenServer.start(echo(), { port: 0, host: "192.0.2.1" }))
      assert.deepInclude(error, { _tag: "NetError", operation: "listen", code: "EADDRNOTAVAIL" })
    }))

  onSockets(
    "2000 random streams and 500 silent ones: another client is served meanwhile",
    () =>
      Effect.gen(function*() {
        const { port, ref } = yield* started(echo({ idleTimeout: "2 seconds", lingerTimeout: "100 millis" }))
        let seed = 1
        const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8
        const attacks = 2000
        let begun = 0
        let done = 0
        const attack = (): void => {
          begun++
          const socket = Net.connect(port, "127.0.0.1")
          socket.on("error", () => {})
          socket.on("data", () => {})
          socket.once("connect", () => {
            for (let i = 0; i < 3; i++) socket.write(Uint8Array.from({ length: random() % 800 }, () => random() % 256))
            if (random() % 2 === 0) socket.end()
            else socket.resetAndDestroy()
          })
          socket.once("close", () => {
            done++
            if (begun < attacks) attack()
          })
        }
        const silent = Array.from({ length: 500 }, () => {
          const socket = Net.connect(port, "127.0.0.1")
          socket.on("error", () => {})
          return socket
        })
        yield* Effect.addFinalizer(() => Effect.sync(() => silent.forEach((socket) => socket.destroy())))
        const one = yield* client(port)
        for (let i = 0; i < 50; i++) attack()
        let slowest = 0
        while (done < attacks) {
          const [took, answer] = yield* Effect.timed(one.ask(`hello ${done}`))
          assert.match(answer, /^hello/)
          slowest = Math.max(slowest, Duration.toMillis(took))
        }
        assert.isBelow(slowest, 5000)
        const stats = yield* until(ref.Stats(), ({ active }) => active <= 1)
        assert.strictEqual(stats.ended.Crashed, 0)
        assert.isAbove(stats.ended.BadFrame, 300)
        assert.strictEqual(stats.ended.Idle, 500)
        assert.strictEqual(yield* one.ask("and after"), "and after")
      })
  )

  onSockets("beyond its limit of connections it closes new ones at once", () =>
    Effect.gen(function*() {
      const { port, ref } = yield* started(echo({ maxConnections: 5 }))
      const clients = yield* Effect.forEach([1, 2, 3, 4, 5], () => client(port))
      for (const one of clients) assert.strictEqual(yield* one.ask("in"), "in")
      const six = yield* Effect.exit(Effect.flatMap(client(port), (one) => one.ask("in")))
      assert.isFalse(Exit.isSuccess(six) && six.value === "in")
      yield* until(ref.Stats(), ({ refused }) => refused >= 1)
    }))
})

describe("TLS on Node", () => {
  const setup = Effect.gen(function*() {
    const ca = yield* Certificates.authority()
    const first = yield* Certificates.good(ca, { name: "first" })
    const second = yield* Certificates.good(ca, { name: "second" })
    return { ca, first, second }
  })

  onSockets("serves over TLS, and takes a new certificate without losing a connection", () =>
    Effect.gen(function*() {
      const { ca, first, second } = yield* setup
      let current = first
      const server = TcpServer.make({
        framing: Framing.lines(),
        connect: () => Effect.void,
        frame: (line, _, { connection }) => connection.write(line),
        tls: Effect.sync(() => ({ cert: current.cert, key: current.key }))
      })
      const { port, ref } = yield* started(server)
      const one = yield* client(port, { ca: ca.cert })
      assert.strictEqual(yield* one.ask("hello"), "hello")
      assert.include(one.socket.peerSubject, "CN=first")
      current = second
      yield* ref.Reload()
      const two = yield* client(port, { ca: ca.cert })
      assert.include(two.socket.peerSubject, "CN=second")
      assert.strictEqual(yield* one.ask("still here"), "still here")
      assert.strictEqual(yield* two.ask("here too"), "here too")
      // What cannot be used is refused, and what was there stays.
      current = { ...first, cert: "no certificate" }
      const error = yield* Effect.flip(ref.Reload())
      assert.deepInclude(error, { _tag: "NetError", operation: "certificate" })
      const three = yield* client(port, { ca: ca.cert })
      assert.include(three.socket.peerSubject, "CN=second")
    }))

  onSockets("a client refuses a server that it does not trust", () =>
    Effect.gen(function*() {
      const { ca, first } = yield* setup
      const server = echoTls(Effect.succeed({ cert: first.cert, key: first.key }))
      const { port, ref } = yield* started(server)
      const stranger = yield* Certificates.authority("another")
      const error = yield* Effect.flip(client(port, { ca: stranger.cert }))
      assert.deepInclude(error, { _tag: "NetError", operation: "connect" })
      const wrongName = yield* Effect.flip(client(port, { ca: ca.cert, serverName: "example.com" }))
      assert.strictEqual(wrongName.code, "ERR_TLS_CERT_ALTNAME_INVALID")
      // A client without TLS gets nowhere, and nobody minds.
      const plain = yield* client(port)
      plain.socket.write(encoder.encode("GET / HTTP/1.1\r\n\r\n"))
      yield* until(Effect.sync(() => plain.seen.closed || plain.seen.ended), (over) => over)
      assert.strictEqual((yield* ref.Stats()).accepted, 0)
      assert.isTrue(yield* Process.isAlive(ref))
    }))

  onSockets("demands certificates of its clients, and says who they are", () =>
    Effect.gen(function*() {
      const { ca, first, second } = yield* setup
      const { port } = yield* started(
        echoTls(Effect.succeed({ cert: first.cert, key: first.key, clientCa: ca.cert }))
      )
      const known = yield* client(port, { ca: ca.cert, cert: second.cert, key: second.key })
      assert.include(yield* known.ask("who"), "CN=second")
      const stranger = yield* Certificates.authority("another")
      const forged = yield* Certificates.good(stranger, { name: "forged" })
      for (const tls of [{ ca: ca.cert }, { ca: ca.cert, cert: forged.cert, key: forged.key }]) {
        const exit = yield* Effect.exit(Effect.flatMap(client(port, tls), (one) => one.ask("who")))
        assert.isFalse(Exit.isSuccess(exit) && exit.value !== "", JSON.stringify(exit))
      }
    }))

  onSockets("fails to start with a certificate that cannot be used, or loaded", () =>
    Effect.gen(function*() {
      const broken = echoTls(Effect.succeed({ cert: "nothing", key: Redacted.make("nothing") }))
      assert.deepInclude(yield* Effect.flip(GenServer.start(broken, { port: 0 })), { operation: "certificate" })
      const missing = echoTls(Effect.fail("no such file"))
      const error = yield* Effect.flip(GenServer.start(missing, { port: 0 }))
      assert.deepInclude(error, { operation: "certificate", detail: "no such file" })
      const { ref } = yield* started(echo())
      assert.deepInclude(yield* Effect.flip(ref.Reload()), { operation: "certificate", code: "ENOTSUP" })
    }))
})

const echoTls = <E>(tls: Effect.Effect<TcpNetwork.ServerTls, E>) =>
  TcpServer.make({
    framing: Framing.lines(),
    connect: ({ connection }) => Effect.succeed(connection),
    frame: (line, connection: Connection.Connection<string>) =>
      connection.write(line === "who" ? `${connection.peerSubject}` : line),
    tls
  })
