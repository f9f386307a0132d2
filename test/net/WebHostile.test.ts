/**
 * Web servers and clients that mean no good, in numbers: tens of thousands of requests that are none, slow ones by the
 * thousand, WebSocket messages of a gibibyte, ten thousand connections that are kept. Each is refused with the right status
 * or ended, and others are served meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Random, type Scope } from "effect"
import { Node } from "effect-otp"
import { Framing, TcpServer, WebServer } from "effect-otp/net"
import * as NodeWebServer from "effect-otp/net/NodeWebServer"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Fs from "node:fs"
import * as Net from "node:net"
import { until } from "./Until.ts"

const hostile = (title: string, body: () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([])))
    ), 120_000)

/** A server with one route that answers with the length of the body, and one that nobody is to reach. */
const started = (options: Partial<NodeWebServer.Options> = {}) =>
  Effect.gen(function*() {
    const hits = { forbidden: 0 }
    const { server, upgrade } = yield* WebServer.webSockets(TcpServer.make({
      framing: Framing.message(),
      connect: () => Effect.void,
      frame: () => {}
    }))
    // Who sends a body slowly holds a handler: the routes that read one have their own.
    const reading = HttpRouter.add(
      "POST",
      "/",
      Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        return HttpServerResponse.text(`${(yield* request.text).length}`)
      }).pipe(Effect.catch(() => Effect.succeed(HttpServerResponse.empty({ status: 413 }))))
    ).pipe(Layer.provide(WebServer.handlers({ size: 8, queue: 10_000 })))
    const others = Layer.mergeAll(
      HttpRouter.add("GET", "/", HttpServerResponse.text("fine")),
      HttpRouter.add(
        "GET",
        "/forbidden",
        Effect.sync(() => {
          hits.forbidden++
          return HttpServerResponse.text("forbidden")
        })
      )
    ).pipe(Layer.provide(WebServer.handlers({ size: 8, queue: 10_000 })))
    const routes = Layer.merge(reading, others)
    const app = HttpRouter.serve(Layer.merge(routes, HttpRouter.add("GET", "/socket", upgrade)), {
      disableLogger: true,
      disableListenLog: true
    })
    const context = yield* Layer.build(Layer.provideMerge(
      app,
      NodeWebServer.layer({ port: 0, drainTimeout: "100 millis", ...options })
    ))
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
    return { port: "port" in address ? address.port : 0, hits, server }
  })

/** Sends parts, and gives all that came back until the other side has closed. */
const talk = (port: number, ...parts: ReadonlyArray<string | Uint8Array>) =>
  Effect.callback<string>((resume) => {
    let text = ""
    const socket = Net.connect(port, "127.0.0.1", () => parts.forEach((part) => socket.write(part)))
    socket.on("data", (bytes) => (text += bytes.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
  })

const statusesIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status!)

/** A good client: that it is answered is what the others must not change. */
const isServed = (port: number) =>
  Effect.map(
    talk(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    (text) => assert.match(text, /^HTTP\/1.1 200 OK[^]*fine$/)
  )

describe("requests that are none", () => {
  /** Two lengths, or none that is sure: what a server before this one could read differently. `/forbidden` is the prey. */
  const prey = "GET /forbidden HTTP/1.1\r\nHost: x\r\n\r\n"
  const length = (value: string) => `Content-Length: ${value}\r\n`
  const pairs = [
    length("5") + "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\n" + length("5"),
    length("5") + length("6"),
    length("5, 6"),
    length("+5"),
    length("-5"),
    length("0x5"),
    length("5 5"),
    length("5e0"),
    length("99999999999999999999"),
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding : chunked\r\n",
    " Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding\t: chunked\r\n",
    "Transfer-Encoding:\x0bchunked\r\n",
    "X: y\nTransfer-Encoding: chunked\r\n",
    "X: y\rTransfer-Encoding: chunked\r\n",
    "X\0: y\r\n",
    "X: y\0\r\n",
    ": y\r\n",
    "X y\r\n"
  ]
  const bodies = [
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "hello",
    "zz\r\nhello\r\n",
    "5;\r\nhello\r\n0\r\n\r\n",
    "FFFFFFFFFFFFFFFFF\r\nx",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    ""
  ]

  hostile("ten thousand pairs of lengths: none smuggles a second request past the first", () =>
    Effect.gen(function*() {
      const { hits, port } = yield* started({ requestTimeout: "2 seconds", keepAliveTimeout: "200 millis" })
      let requests = 0
      let refused = 0
      const one = (pair: string, body: string, host: string, tail: string) =>
        Effect.map(
          talk(port, `POST / HTTP/1.1\r\nHost: ${host}\r\n${pair}\r\n${body}${tail}`),
          (text) => {
            requests++
            // One answer, that of the first request; or none, to what never became one.
            const [first = "closed", ...others] = statusesIn(text)
            assert.deepStrictEqual(others, [], JSON.stringify({ pair, body, text }))
            assert.match(first, /^(400|408|413|closed)$/, JSON.stringify({ pair, body, text }))
            refused += first === "400" ? 1 : 0
          }
        )
      const cases = Array.from({ length: 44 }, (_, n) => n).flatMap((n) =>
        pairs.flatMap((pair) => bodies.map((body) => one(pair, body, `x${n}`, prey)))
      ).slice(0, 10_000)
      yield* Effect.all(cases, { concurrency: 100, discard: true })
      assert.strictEqual(requests, 10_000)
      assert.isAbove(refused, 9000)
      assert.strictEqual(hits.forbidden, 0)
      yield* isServed(port)
    }))

  hostile(
    "forty thousand paths that lead astray: each is a 4xx, and the connection goes on",
    () =>
      Effect.gen(function*() {
        const { hits, port } = yield* started()
        const steps = [
          "..",
          "%2e%2e",
          "%2E.",
          "..%2f",
          "..%5c",
          "..\\",
          "%00",
          "%c0%ae%c0%ae",
          "....//",
          "~",
          "%252e%252e"
        ]
        const ends = ["etc/passwd", "forbidden%00", "FORBIDDEN", "forbidden/", "%66orbidden%2f..", "forbidden;x", ""]
        const pathOf = Effect.gen(function*() {
          const depth = yield* Random.nextIntBetween(1, 9)
          const parts = yield* Effect.forEach(Array.from({ length: depth }), () => Random.choice(steps))
          return `/${parts.join("/")}/${yield* Random.choice(ends)}`
        })
        const each = 100
        const connection = Effect.gen(function*() {
          const paths = yield* Effect.forEach(Array.from({ length: each }), () => pathOf)
          const requests = paths.map((path, n) =>
            `GET ${path} HTTP/1.1\r\nHost: x\r\n${n === each - 1 ? "Connection: close\r\n" : ""}\r\n`
          )
          const text = yield* talk(port, requests.join(""))
          const statuses = statusesIn(text)
          assert.strictEqual(statuses.length, each)
          assert.deepStrictEqual(new Set(statuses.map((status) => status[0])), new Set(["4"]))
        })
        yield* Effect.forEach(Array.from({ length: 40_000 / each }), () => connection, {
          concurrency: 4,
          discard: true
        })
        assert.strictEqual(hits.forbidden, 0)
        yield* isServed(port)
      }).pipe(Random.withSeed("paths"))
  )

  hostile("headers that are too large, in one or in many, are 431", () =>
    Effect.gen(function*() {
      const { port } = yield* started()
      const headers = [
        `A: ${"x".repeat(17_000)}\r\n`,
        `A: ${"x".repeat(2_000_000)}\r\n`,
        `${"x".repeat(20_000)}: y\r\n`,
        "A: b\r\n".repeat(5000),
        Array.from({ length: 3000 }, (_, n) => `A${n}: b\r\n`).join("")
      ]
      const one = (header: string) =>
        Effect.map(talk(port, `GET / HTTP/1.1\r\nHost: x\r\n${header}\r\n`), (text) => {
          // A client that still sends when it is refused may not get to read why.
          assert.match(text, /^(HTTP\/1.1 431 |$)/)
          return text.length > 0
        })
      const told = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, n) => headers[n % headers.length]!),
        one,
        { concurrency: 20 }
      )
      assert.isAbove(told.filter((was) => was).length, 200)
      const long = yield* talk(port, `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)
      assert.match(long, /^HTTP\/1.1 (414|431) /)
      yield* isServed(port)
    }))
})

describe("requests that are slow", () => {
  hostile("a thousand that never come to an end are 408, and hold up nobody", () =>
    Effect.gen(function*() {
      const { port } = yield* started({ requestTimeout: "5 seconds", headersTimeout: "4 seconds" })
      /** Sends a byte now and then, for as long as it is let. */
      const drip = (head: string) =>
        Effect.callback<string>((resume) => {
          let text = ""
          let timer: NodeJS.Timeout | undefined
          const socket = Net.connect(port, "127.0.0.1", () => {
            socket.write(head)
            timer = setInterval(() => socket.write("x"), 100)
          })
          socket.on("data", (bytes) => (text += bytes.toString("latin1")))
          socket.on("error", () => {})
          socket.on("close", () => {
            clearInterval(timer)
            resume(Effect.succeed(text))
          })
        })
      const slow = yield* Effect.forkScoped(Effect.all([
        Effect.forEach(Array.from({ length: 500 }), () => drip("GET / HTTP/1.1\r\nHost: x\r\nA: "), {
          concurrency: "unbounded"
        }),
        Effect.forEach(
          Array.from({ length: 500 }),
          () => drip("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx"),
          { concurrency: "unbounded" }
        )
      ], { concurrency: 2 }))
      for (let i = 0; i < 20; i++) yield* isServed(port)
      assert.isUndefined(slow.pollUnsafe(), "all this while the slow ones were there")
      const [headers, bodies] = yield* Fiber.join(slow)
      for (const text of headers) assert.match(text, /^HTTP\/1.1 408 /)
      for (const text of bodies) assert.match(text, /^(HTTP\/1.1 (408|413|499) |$)/)
      yield* isServed(port)
    }))
})

describe("WebSocket messages that are too large", () => {
  const handshake = "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"

  /** A frame with a mask of zeros. */
  const frame = (opcode: number, isLast: boolean, length: number): Uint8Array => {
    const bytes = new Uint8Array(14 + length)
    bytes.set([(isLast ? 0x80 : 0) | opcode, 0xff])
    new DataView(bytes.buffer).setBigUint64(2, BigInt(length))
    return bytes
  }

  hostile("a gibibyte, in one frame or in pieces, is refused before it is there", () =>
    Effect.gen(function*() {
      const { port, server } = yield* started({ maxMessageBytes: 100_000 })
      const gibibyte = 0x4000_0000
      const piece = 65_536
      /** Sends bytes until it is told to stop, or a gibibyte is sent. Gives how many that were. */
      const flood = (first: Uint8Array, next: Uint8Array) =>
        Effect.callback<number>((resume) => {
          let sent = 0
          const socket = Net.connect(port, "127.0.0.1", () => socket.write(handshake))
          const pump = (): void => {
            while (sent < gibibyte && !socket.destroyed && socket.writable) {
              const bytes = sent === 0 ? first : next
              sent += bytes.length
              if (!socket.write(bytes)) return
            }
          }
          socket.on("drain", pump)
          socket.once("data", pump)
          socket.on("error", () => {})
          socket.on("close", () => resume(Effect.succeed(sent)))
        })
      const header = frame(2, true, 0)
      new DataView(header.buffer).setBigUint64(2, BigInt(gibibyte))
      const before = process.memoryUsage().rss
      const sent = yield* Effect.all([
        ...Array.from({ length: 8 }, () => flood(header, new Uint8Array(piece))),
        ...Array.from({ length: 8 }, () => flood(frame(2, false, piece), frame(0, false, piece))),
        ...Array.from({ length: 4 }, () => flood(frame(1, false, 10), frame(0, false, 10)))
      ], { concurrency: 4 })
      // What is in the buffers of the sockets counts as sent.
      for (const bytes of sent) assert.isBelow(bytes, 64_000_000)
      assert.isBelow(process.memoryUsage().rss - before, 200_000_000)
      const stats = yield* until(server.Stats(), ({ active }) => active === 0)
      assert.deepInclude(stats, { accepted: 20, framesIn: 0 })
      assert.strictEqual(stats.ended.Crashed, 0)
      yield* isServed(port)
    }))
})

describe("connections that are kept", () => {
  /** Both ends of a connection are files of this process. */
  const files = (): number => {
    const line = Fs.readFileSync("/proc/self/limits", "utf8").split("\n").find((line) =>
      line.startsWith("Max open files")
    )
    return Number(line?.split(/\s+/)[3] ?? 1024)
  }

  hostile("ten thousand of them, or as many as files are allowed, and others are served", () =>
    Effect.gen(function*() {
      const count = Math.min(10_000, Math.floor((files() - 500) / 2))
      if (count < 10_000) console.warn(`!!! only ${count} connections: ulimit -n is ${files()}`)
      const { port } = yield* started({ keepAliveTimeout: "1 minute", maxConnections: count + 1 })
      const open = new Set<Net.Socket>()
      yield* Effect.addFinalizer(() => Effect.sync(() => open.forEach((socket) => socket.destroy())))
      const keep = Effect.callback<void>((resume) => {
        const socket = Net.connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        open.add(socket)
        socket.once("data", (bytes) => {
          assert.match(bytes.toString("latin1"), /^HTTP\/1.1 200 /)
          resume(Effect.void)
        })
        socket.on("error", (error) => resume(Effect.die(error)))
        socket.on("close", () => open.delete(socket))
      })
      yield* Effect.forEach(Array.from({ length: count }), () => keep, { concurrency: 200, discard: true })
      assert.strictEqual(open.size, count)
      yield* isServed(port)
      // There is room for one more; who comes then is let go at once, and those that are there stay.
      yield* keep
      assert.strictEqual(yield* talk(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "")
      assert.strictEqual(open.size, count + 1)
      const [one] = open
      const again = yield* Effect.callback<string>((resume) => {
        one!.once("data", (bytes) => resume(Effect.succeed(bytes.toString("latin1"))))
        one!.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      })
      assert.match(again, /^HTTP\/1.1 200 /)
    }))
})
