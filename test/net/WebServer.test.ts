/**
 * Web servers on real sockets: requests in processes, what clients learn when something goes wrong, WebSockets, events,
 * and clients that mean no good.
 *
 * The rows of the reference's feature list that this covers: W-01 options, W-02 handlers behind routes, W-03 their
 * options, W-04 time limits that are the server's, W-06 statuses.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Queue, Schema, Scope, Stream } from "effect"
import { GenServer, Message, Node, Pool, Process, Protocol, Supervisor } from "effect-otp"
import { type Connection, Framing, TcpServer, WebServer } from "effect-otp/net"
import * as NodeWebServer from "effect-otp/net/NodeWebServer"
import type { Pid } from "effect-otp/term"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Net from "node:net"
import * as Certificates from "../dist/Certificates.ts"
import { until } from "./Until.ts"

type Services = Node.Node | Scope.Scope

const onNode = (title: string, body: () => Effect.Effect<unknown, unknown, Services>): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([])))
    ), 60_000)

/** Serves routes on a free port, and gives the port. */
const serve = <E, R>(
  routes: Layer.Layer<never, E, HttpRouter.HttpRouter | R>,
  options: Partial<NodeWebServer.Options> = {}
) =>
  Effect.gen(function*() {
    const app = HttpRouter.serve(routes as Layer.Layer<never, E, HttpRouter.HttpRouter>, {
      disableLogger: true,
      disableListenLog: true
    })
    const context = yield* Layer.build(
      Layer.provideMerge(
        app as Layer.Layer<never, E, HttpServer.HttpServer>,
        NodeWebServer.layer({ port: 0, ...options })
      )
    )
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
    return "port" in address ? address.port : 0
  })

const get = (port: number, path: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, text: await response.text(), retryAfter: response.headers.get("retry-after") }
  })

/** Sends bytes and gives everything that came back until the other side closed. */
const talk = (port: number, ...parts: ReadonlyArray<string | Uint8Array>) =>
  Effect.callback<string>((resume) => {
    let text = ""
    const socket = Net.connect(port, "127.0.0.1", () => parts.forEach((part) => socket.write(part)))
    socket.setTimeout(5000, () => socket.destroy())
    socket.on("data", (bytes) => (text += bytes.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
  })

describe("WebServer.handlers", () => {
  onNode("has requests run in processes, each with the services of its route", () =>
    Effect.gen(function*() {
      const routes = HttpRouter.add(
        "GET",
        "/who/:name",
        Effect.gen(function*() {
          const { name } = yield* HttpRouter.params
          const self = yield* Process.self as Effect.Effect<unknown>
          return HttpServerResponse.text(`${name} ${String(self)}`)
        })
      ).pipe(Layer.provide(WebServer.handlers({ size: 2 })))
      const port = yield* serve(routes)
      const { status, text } = yield* get(port, "/who/anna")
      assert.strictEqual(status, 200)
      assert.match(text, /^anna <nonode@nohost\./)
      assert.strictEqual((yield* get(port, "/nothing")).status, 404)
    }))

  onNode(
    "also where the server itself runs in a process: a request is that of its handler",
    () =>
      Process.run(Effect.gen(function*() {
        const routes = HttpRouter.add(
          "GET",
          "/",
          Effect.gen(function*() {
            // Released with the request, and not with the process.
            yield* Effect.addFinalizer(() => Effect.sync(() => released++))
            return HttpServerResponse.text(String(yield* Process.self as Effect.Effect<unknown>))
          })
        ).pipe(Layer.provide(WebServer.handlers({ size: 1 })))
        let released = 0
        const port = yield* serve(routes)
        const [first, second] = [yield* get(port, "/"), yield* get(port, "/")]
        assert.strictEqual(first.text, second.text)
        assert.notStrictEqual(first.text, String(yield* Process.self))
        yield* until(Effect.sync(() => released), (n) => n === 2)
      }))
  )

  onNode("a crash is 500 without a word, and the next request is served", () =>
    Effect.gen(function*() {
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/crash", Effect.die(new Error("secret"))),
        HttpRouter.add("GET", "/fail", Effect.fail({ _tag: "Secret" })),
        HttpRouter.add("GET", "/teapot", Effect.die(HttpServerResponse.empty({ status: 418 }))),
        HttpRouter.add("GET", "/ok", HttpServerResponse.text("fine"))
      ).pipe(Layer.provide(WebServer.handlers({ size: 1 })))
      const port = yield* serve(routes)
      for (let i = 0; i < 20; i++) {
        const crash = yield* get(port, "/crash")
        assert.deepStrictEqual([crash.status, crash.text], [500, ""])
        const ok = yield* until(get(port, "/ok"), ({ status }) => status !== 503)
        assert.deepStrictEqual([ok.status, ok.text], [200, "fine"])
      }
      assert.strictEqual((yield* get(port, "/fail")).status, 500)
      assert.strictEqual((yield* get(port, "/teapot")).status, 418)
    }))

  onNode("without room it says 503 and when to try again; what waits is served", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const routes = HttpRouter.add("GET", "/", Effect.as(Deferred.await(gate), HttpServerResponse.text("done"))).pipe(
        Layer.provide(WebServer.handlers({ size: 2, queue: 2, retryAfter: 7 }))
      )
      const port = yield* serve(routes)
      const answers: Array<{ readonly status: number; readonly retryAfter: string | null }> = []
      yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: 10 }), () => Effect.map(get(port, "/"), (answer) => answers.push(answer)), {
          concurrency: "unbounded"
        })
      )
      yield* until(Effect.sync(() => answers.length), (n) => n === 6)
      assert.deepStrictEqual(
        answers.map(({ retryAfter, status }) => [status, retryAfter]),
        answers.map(() => [503, "7"])
      )
      yield* Deferred.succeed(gate, undefined)
      yield* until(Effect.sync(() => answers.length), (n) => n === 10)
      assert.deepStrictEqual(answers.slice(6).map(({ status }) => status), [200, 200, 200, 200])
    }))

  onNode("a request that takes too long is 504, and interrupted", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const routes = Layer.mergeAll(
        HttpRouter.add(
          "GET",
          "/slow",
          Effect.onInterrupt(Effect.as(Effect.sleep("1 minute"), HttpServerResponse.text("late")), () =>
            Effect.sync(() => interrupted++))
        ),
        HttpRouter.add("GET", "/ok", HttpServerResponse.text("fine"))
      ).pipe(Layer.provide(WebServer.handlers({ size: 1, timeout: "100 millis" })))
      const port = yield* serve(routes)
      assert.strictEqual((yield* get(port, "/slow")).status, 504)
      yield* until(
        Effect.sync(() =>
          interrupted
        ),
        (n) => n === 1
      )
      // Its process is there for the next.
      assert.strictEqual((yield* get(port, "/ok")).text, "fine")
    }))

  onNode("a client that goes away takes its request with it", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const routes = Layer.mergeAll(
        HttpRouter.add(
          "GET",
          "/slow",
          Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        ),
        HttpRouter.add("GET", "/ok", HttpServerResponse.text("fine"))
      ).pipe(Layer.provide(WebServer.handlers({ size: 1 })))
      const port = yield* serve(routes)
      const socket = Net.connect(port, "127.0.0.1", () => socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"))
      socket.on("error", () => {})
      yield* Deferred.await(begun)
      socket.destroy()
      yield* Deferred.await(interrupted)
      assert.strictEqual((yield* get(port, "/ok")).text, "fine")
    }))

  onNode(
    "a handler that is killed takes its request with it, also one that kills itself",
    () =>
      Effect.gen(function*() {
        const begun = yield* Queue.unbounded<Pid.Pid>()
        let interrupted = 0
        const waiting = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        const self = Process.self as Effect.Effect<Pid.Pid>
        const routes = Layer.mergeAll(
          HttpRouter.add(
            "GET",
            "/slow",
            Effect.andThen(Effect.flatMap(self, (pid) => Queue.offer(begun, pid)), waiting)
          ),
          HttpRouter.add("GET", "/suicide", Effect.andThen(Effect.flatMap(self, Process.kill), waiting)),
          HttpRouter.add("GET", "/ok", HttpServerResponse.text("fine"))
        ).pipe(Layer.provide(WebServer.handlers({ size: 1 })))
        const port = yield* serve(routes)
        const slow = yield* Effect.forkScoped(get(port, "/slow"))
        yield* Process.kill(yield* Queue.take(begun))
        assert.strictEqual((yield* Fiber.join(slow)).status, 500)
        assert.strictEqual((yield* get(port, "/suicide")).status, 500)
        yield* until(Effect.sync(() => interrupted), (n) => n === 2)
        assert.strictEqual((yield* until(get(port, "/ok"), ({ status }) => status !== 503)).text, "fine")
      })
  )

  onNode(
    "a request whose client has gone, or whose time has passed, before its turn is never begun",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const run = yield* WebServer.runner({ size: 1, timeout: "500 millis", name: "handlers" })
        let begun = 0
        const counted = Effect.sync(() => {
          begun++
          return HttpServerResponse.empty()
        })
        // It keeps its handler for longer than its time.
        const first = yield* Effect.forkScoped(
          run(Effect.uninterruptible(Effect.as(Deferred.await(gate), HttpServerResponse.text("done"))))
        )
        const gone = yield* Effect.forkScoped(run(counted))
        const late = yield* Effect.forkScoped(run(counted))
        yield* until(Pool.stats({ name: "handlers" }), ({ waiting }) => waiting === 2)
        yield* Fiber.interrupt(gone)
        assert.strictEqual((yield* Fiber.join(first)).status, 504)
        assert.strictEqual((yield* Fiber.join(late)).status, 504)
        yield* Deferred.succeed(gate, undefined)
        // Its turn comes behind theirs.
        assert.strictEqual((yield* run(Effect.succeed(HttpServerResponse.empty({ status: 201 })))).status, 201)
        assert.strictEqual(begun, 0)
      })
  )

  onNode(
    "what waits behind a crash is handled by another handler, and what crashed is not tried again",
    () =>
      Effect.gen(function*() {
        const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const
        const run = yield* WebServer.runner({ size: 2, name: "handlers" })
        const begun = { crash: 0, slow: 0, other: 0 }
        const crash = Effect.andThen(
          Effect.sync(() => begun.crash++),
          Effect.andThen(Deferred.await(gates[0]), Effect.die(new Error("secret")))
        )
        const slow = Effect.andThen(
          Effect.sync(() => begun.slow++),
          Effect.as(Deferred.await(gates[1]), HttpServerResponse.text("done"))
        )
        const other = Effect.sync(() => {
          begun.other++
          return HttpServerResponse.text("fine")
        })
        const crashing = yield* Effect.forkScoped(run(crash))
        const blocking = yield* Effect.forkScoped(run(slow))
        yield* until(Effect.sync(() => begun.crash + begun.slow), (n) => n === 2)
        // One waits behind each.
        const queued = yield* Effect.forkScoped(Effect.all([run(other), run(other)], { concurrency: 2 }))
        yield* until(Pool.stats({ name: "handlers" }), ({ waiting }) => waiting === 2)
        yield* Deferred.succeed(gates[0], undefined)
        assert.strictEqual((yield* Fiber.join(crashing)).status, 500)
        yield* Deferred.succeed(gates[1], undefined)
        assert.deepStrictEqual((yield* Fiber.join(queued)).map(({ status }) => status), [200, 200])
        assert.strictEqual((yield* Fiber.join(blocking)).status, 200)
        assert.deepStrictEqual(begun, { crash: 1, slow: 1, other: 2 })
      })
  )

  onNode("when all handlers are killed at once there are others", () =>
    Effect.gen(function*() {
      const routes = HttpRouter.add("GET", "/ok", HttpServerResponse.text("fine")).pipe(
        Layer.provide(WebServer.handlers({ size: 2, name: "handlers" }))
      )
      const port = yield* serve(routes)
      for (let i = 0; i < 3; i++) {
        const pid = Option.getOrThrow(yield* Process.whereis("handlers"))
        yield* Process.kill(pid)
        yield* until(Process.whereis("handlers"), (now) => Option.isSome(now) && now.value !== pid)
        const ok = yield* until(get(port, "/ok"), ({ status }) => status !== 503)
        assert.deepStrictEqual([ok.status, ok.text], [200, "fine"])
      }
    }))

  onNode("typed calls from routes: what goes wrong with them has a status", () =>
    Effect.gen(function*() {
      class Stock extends Protocol.make(
        "Stock",
        Message.Call("Count", { payload: { of: Schema.String }, success: Schema.Int, error: Schema.String })
      ) {}
      const stock = yield* GenServer.start(
        GenServer.make(Stock, {
          init: () => Effect.void,
          handlers: {
            Count: ({ of }) =>
              of === "crash" ? Effect.die("secret") : of === "slow" ? Effect.never : Effect.fail("no such")
          }
        }),
        undefined,
        { name: "stock" }
      )
      const routes = HttpRouter.add(
        "GET",
        "/:of",
        Effect.gen(function*() {
          const { of } = yield* HttpRouter.params
          const count = yield* stock.Count({ of: of! }, { timeout: "100 millis" })
          return HttpServerResponse.text(String(count))
        }).pipe(
          WebServer.respond({ retryAfter: 3 }),
          Effect.catch((error) => Effect.succeed(HttpServerResponse.text(error, { status: 404 })))
        )
      )
      const port = yield* serve(routes)
      assert.deepInclude(yield* get(port, "/apples"), { status: 404, text: "no such" })
      assert.deepInclude(yield* get(port, "/slow"), { status: 504, text: "" })
      yield* Process.kill(stock)
      yield* until(Process.isAlive(stock), (alive) => !alive)
      assert.deepInclude(yield* get(port, "/apples"), { status: 503, retryAfter: "3" })
    }))
})

describe("WebServer.webSockets", () => {
  const messages = (ends: Array<Connection.End["_tag"]>) =>
    TcpServer.make({
      framing: Framing.message({ maxBytes: 1000 }),
      connect: ({ connection }) => Effect.as(connection.write("hello"), 0),
      frame: (text, count, { connection }) => {
        if (text === "crash") throw new Error("secret")
        if (text === "quit") return Effect.as(connection.writeAll(["good", "bye"]), GenServer.stop())
        return Effect.as(connection.write(`${count}: ${text}`), GenServer.next(count + 1))
      },
      disconnect: (end) => Effect.sync(() => ends.push(end._tag))
    })

  const started = (ends: Array<Connection.End["_tag"]> = []) =>
    Effect.gen(function*() {
      const { server, upgrade } = yield* WebServer.webSockets(messages(ends))
      const port = yield* serve(HttpRouter.add("GET", "/chat", upgrade), { maxMessageBytes: 10_000 })
      return { server, port }
    })

  const connect = (port: number) =>
    Effect.acquireRelease(
      Effect.callback<{ readonly socket: WebSocket; readonly got: Array<string>; readonly state: { code: number } }>(
        (resume) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`)
          const got: Array<string> = []
          const state = { code: 0 }
          socket.addEventListener("message", ({ data }) => got.push(String(data)))
          socket.addEventListener("close", ({ code }) => (state.code = code))
          socket.addEventListener("open", () => resume(Effect.succeed({ socket, got, state })))
        }
      ),
      ({ socket }) => Effect.sync(() => socket.close())
    )

  onNode("serves a process for each, and each frame is a message", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End["_tag"]> = []
      const { port, server } = yield* started(ends)
      const one = yield* connect(port)
      const two = yield* connect(port)
      for (const text of ["a", "ünïcode", "c"]) one.socket.send(text)
      two.socket.send("x")
      one.socket.send("quit")
      yield* until(Effect.sync(() => one.state.code), (code) => code !== 0)
      assert.deepStrictEqual(one.got, ["hello", "0: a", "1: ünïcode", "2: c", "good", "bye"])
      assert.strictEqual(one.state.code, 1000)
      assert.deepStrictEqual(two.got, ["hello", "0: x"])
      two.socket.close()
      yield* until(server.Stats(), ({ active }) => active === 0)
      assert.deepStrictEqual(ends.toSorted(), ["Closed", "PeerClosed"])
    }))

  onNode(
    "when its server is killed there is another, and clients that connect again are served",
    () =>
      Effect.gen(function*() {
        const { port, server } = yield* started()
        const one = yield* connect(port)
        const [child] = yield* Supervisor.whichChildren(server)
        yield* Process.kill(Option.getOrThrow(child!.pid))
        yield* until(Effect.sync(() => one.state.code), (code) => code !== 0)
        yield* until(
          Effect.orElseSucceed(Effect.map(server.Stats(), ({ accepted }) => accepted), () => -1),
          (n) => n === 0
        )
        const two = yield* connect(port)
        two.socket.send("x")
        yield* until(Effect.sync(() => two.got.length), (n) => n === 2)
        assert.deepStrictEqual(two.got, ["hello", "0: x"])
      })
  )

  onNode("a crash or a message that is too large ends one connection", () =>
    Effect.gen(function*() {
      const { port, server } = yield* started()
      const clients = yield* Effect.forEach([0, 1, 2, 3], () => connect(port))
      clients[0]!.socket.send("crash")
      clients[1]!.socket.send("x".repeat(2000))
      clients[2]!.socket.send("x".repeat(20_000))
      const over = Effect.sync(() => clients.slice(0, 3).filter(({ state }) => state.code !== 0).length)
      yield* until(over, (n) => n === 3)
      clients[3]!.socket.send("still")
      yield* until(Effect.sync(() => clients[3]!.got.length), (n) => n === 2)
      const stats = yield* until(server.Stats(), ({ active }) => active === 1)
      assert.strictEqual(stats.ended.Crashed, 1)
      assert.strictEqual(stats.ended.BadFrame, 1)
    }))
})

describe("WebSockets of those who mean no good", () => {
  onNode("a message of a gibibyte is refused by its length, broken frames by their bits", () =>
    Effect.gen(function*() {
      const { server, upgrade } = yield* WebServer.webSockets(TcpServer.make({
        framing: Framing.message(),
        connect: () => Effect.void,
        frame: (text, _, { connection }) => connection.write(text)
      }))
      const port = yield* serve(HttpRouter.add("GET", "/", upgrade))
      const handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
      const frames = [
        Uint8Array.of(0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4),
        // Without a mask, with reserved bits, of an unknown kind, a control frame in pieces.
        Uint8Array.of(0x81, 0x01, 0x61),
        Uint8Array.of(0xf1, 0x81, 0, 0, 0, 0, 0x61),
        Uint8Array.of(0x83, 0x80, 0, 0, 0, 0),
        Uint8Array.of(0x09, 0x80, 0, 0, 0, 0),
        // Text that is no UTF-8.
        Uint8Array.of(0x81, 0x81, 0, 0, 0, 0, 0xff)
      ]
      for (const frame of frames) {
        const text = yield* talk(port, handshake, frame)
        assert.match(text, /^HTTP\/1.1 101 /)
      }
      const stats = yield* until(server.Stats(), ({ active }) => active === 0)
      assert.strictEqual(stats.accepted, frames.length)
      assert.strictEqual(stats.framesIn, 0)
      assert.strictEqual(stats.ended.Crashed, 0)
      // Without an upgrade it is a request like others.
      assert.isAtLeast((yield* get(port, "/")).status, 400)
    }))
})

describe("WebServer.events", () => {
  onNode("sends a stream, and lets go of it when the client does", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<number>()
      let released = 0
      const stream = Stream.fromQueue(queue).pipe(Stream.ensuring(Effect.sync(() => released++)))
      const port = yield* serve(
        HttpRouter.add("GET", "/events", WebServer.events(stream, (n) => JSON.stringify({ n })))
      )
      let text = ""
      const socket = Net.connect(port, "127.0.0.1", () => socket.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"))
      socket.on("data", (bytes) => (text += bytes.toString()))
      socket.on("error", () => {})
      yield* Queue.offerAll(queue, [1, 2])
      yield* until(Effect.sync(() => text), (text) => text.includes(`data: {"n":2}`))
      assert.match(text, /content-type: text\/event-stream/i)
      socket.destroy()
      yield* until(Effect.sync(() => released), (n) => n === 1)
    }))
})

describe("NodeWebServer", () => {
  const echo = HttpRouter.add(
    "POST",
    "/",
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      return HttpServerResponse.text(`${(yield* request.text).length}`)
    }).pipe(Effect.catch(() => Effect.succeed(HttpServerResponse.empty({ status: 413 }))))
  )

  onNode("limits headers, bodies and the requests of a connection", () =>
    Effect.gen(function*() {
      const port = yield* serve(echo, { maxRequestsPerConnection: 2 })
      assert.deepInclude(yield* get(port, "/", { method: "POST", body: "x".repeat(1_000_000) }), { text: "1000000" })
      assert.deepInclude(yield* get(port, "/", { method: "POST", body: "x".repeat(1_100_000) }), { status: 413 })
      const large = yield* talk(port, `GET / HTTP/1.1\r\nHost: x\r\nA: ${"x".repeat(20_000)}\r\n\r\n`)
      assert.match(large, /^HTTP\/1.1 431 /)
      const request = "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
      const three = yield* talk(port, request.repeat(3))
      assert.strictEqual(three.match(/HTTP\/1.1 404/g)?.length, 2)
    }))

  onNode("ends requests that come too slowly", () =>
    Effect.gen(function*() {
      const port = yield* serve(echo, { requestTimeout: "500 millis", headersTimeout: "300 millis" })
      const [headers, body] = yield* Effect.all([
        talk(port, "GET / HTTP/1.1\r\nHost: x\r\nA: "),
        talk(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
      ], { concurrency: 2 })
      assert.match(headers, /^HTTP\/1.1 408 /)
      assert.match(body, /^(HTTP\/1.1 (408|413) |$)/)
    }))

  onNode("refuses what two servers could read differently, and nonsense", () =>
    Effect.gen(function*() {
      const port = yield* serve(echo)
      const requests = [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "\u0000\u0001\u0002"
      ]
      for (const request of requests) assert.match(yield* talk(port, request), /^HTTP\/1.1 400 /, request)
      assert.strictEqual((yield* get(port, "/../../etc/passwd")).status, 404)
      assert.strictEqual((yield* get(port, "/%2e%2e/%00")).status, 404)
      assert.deepInclude(yield* get(port, "/", { method: "POST", body: "still here" }), { text: "10" })
    }))

  onNode(
    "closes connections when it ends, whatever their clients do, so that its port is free",
    () =>
      Effect.gen(function*() {
        const { upgrade } = yield* WebServer.webSockets(TcpServer.make({
          framing: Framing.message(),
          connect: () => Effect.void,
          frame: () => {}
        }))
        const gate = yield* Deferred.make<void>()
        const routes = Layer.mergeAll(
          HttpRouter.add("GET", "/", HttpServerResponse.text("ok")),
          HttpRouter.add("GET", "/slow", Effect.as(Deferred.await(gate), HttpServerResponse.text("done"))),
          HttpRouter.add("GET", "/socket", upgrade)
        )
        const scope = yield* Scope.make()
        const port = yield* Scope.provide(serve(routes, { drainTimeout: "300 millis" }), scope)
        const answers: Array<string> = []
        const connect = (text: string) =>
          Effect.callback<Net.Socket>((resume) => {
            const socket = Net.connect(port, "127.0.0.1", () => socket.write(text))
            socket.on("error", () => {})
            socket.once("data", () => resume(Effect.succeed(socket)))
            socket.on("data", (bytes) => answers.push(bytes.toString("latin1")))
          })
        // One that is kept, one that is never answered to the end, one that does not say goodbye.
        const kept = yield* connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        const begun = yield* connect("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        const socket = yield* connect(
          "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        yield* Scope.close(scope, Exit.void)
        yield* until(
          Effect.sync(() => [kept, begun, socket].filter((socket) => socket.closed || socket.readableEnded).length),
          (n) => n === 3
        )
        const again = yield* serve(routes, { port })
        assert.strictEqual(again, port)
        assert.strictEqual((yield* get(port, "/")).text, "ok")
      })
  )

  onNode("answers 503 before it has routes", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(NodeWebServer.layer({ port: 0 }))
      const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
      const port = "port" in address ? address.port : 0
      assert.deepInclude(yield* get(port, "/"), { status: 503, retryAfter: "1" })
      const upgrade = yield* talk(
        port,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
      )
      assert.match(upgrade, /^HTTP\/1.1 503 /)
    }))

  onNode("serves over TLS", () =>
    Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = yield* Certificates.good(ca)
      const port = yield* serve(HttpRouter.add("GET", "/", HttpServerResponse.text("safe")), {
        tls: { cert: own.cert, key: own.key }
      })
      const { request } = yield* Effect.promise(() => import("node:https"))
      const text = yield* Effect.callback<string>((resume) => {
        request({ host: "127.0.0.1", port, ca: ca.cert, path: "/" }, (response) => {
          let text = ""
          response.on("data", (bytes) => (text += bytes))
          response.on("end", () => resume(Effect.succeed(text)))
        }).end()
      })
      assert.strictEqual(text, "safe")
    }))
})
