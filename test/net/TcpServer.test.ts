/**
 * TCP servers on a network in memory, under the test clock: connections as processes, frames, limits, the end.
 *
 * The rows of the reference's feature list that this covers: T-01 options, T-02 a process for each connection, T-03
 * callbacks, T-04 carry-over kept, T-05 state and writing from other processes, T-06 deadline, T-07 largest frame, T-08
 * more connections than wanted, T-09 the server itself, T-11 frames that stay as they are.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Schema, type Scope } from "effect"
import { GenServer, Message, type Node, Process, Protocol, Supervisor } from "effect-otp"
import { type Connection, Framing, TcpNetwork, TcpServer } from "effect-otp/net"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"

const Live = (bufferBytes?: number) =>
  Layer.merge(
    Layer.provideMerge(TestNode.layer(), Logger.layer([])),
    TcpNetwork.layerMemory(bufferBytes === undefined ? {} : { bufferBytes })
  )

const onNetwork = (
  title: string,
  body: () => Effect.Effect<unknown, unknown, Node.Node | TcpNetwork.TcpNetwork | Scope.Scope>,
  bufferBytes?: number
): void => it.effect(title, () => Effect.provide(body(), Live(bufferBytes)))

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A peer that writes what it likes and remembers what it got. */
const peer = (port: number) =>
  Effect.gen(function*() {
    const network = yield* TcpNetwork.TcpNetwork
    const socket = yield* network.connect({ host: "127.0.0.1", port })
    const seen = { text: "", ended: false, closed: false, error: undefined as string | undefined }
    socket.received = (bytes) => {
      seen.text += decoder.decode(bytes)
    }
    socket.ended = () => {
      seen.ended = true
    }
    socket.closed = (error) => {
      seen.closed = true
      seen.error = error?.code
    }
    socket.start()
    return {
      seen,
      socket,
      send: (text: string) => Effect.andThen(Effect.sync(() => socket.write(encoder.encode(text))), TestNode.settle),
      end: Effect.andThen(Effect.sync(() => socket.end()), TestNode.settle),
      destroy: Effect.andThen(Effect.sync(() => socket.destroy()), TestNode.settle)
    }
  })

const started = <R>(server: TcpServer.TcpServer<R>) =>
  Effect.gen(function*() {
    const ref = yield* GenServer.start(server, { port: 0 })
    const { port } = yield* ref.Address()
    return { ref, port }
  })

/** Answers each line with its number, crashes and quits on request; remembers how connections ended. */
const echo = (ends: Array<Connection.End> = [], limits: TcpServer.Limits = {}) =>
  TcpServer.make({
    ...limits,
    framing: Framing.lines({ maxBytes: 100 }),
    connect: ({ connection }) => Effect.as(connection.write("hello"), 0),
    frame: (line, count, { connection }) => {
      if (line === "crash") throw new Error("as asked")
      if (line === "quit") return Effect.as(connection.write("bye"), GenServer.stop())
      return Effect.as(connection.write(`${count}:${line}`), GenServer.next(count + 1))
    },
    disconnect: (end) => Effect.sync(() => ends.push(end))
  })

describe("TcpServer", () => {
  everySeed(
    "any chunks from several peers at once, with stops and crashes among them",
    (seed) =>
      Effect.gen(function*() {
        const ends: Array<Connection.End> = []
        const { port, ref } = yield* started(echo(ends))
        const peers = yield* Effect.forEach([0, 1, 2, 3, 4], () => peer(port))
        const scripts = peers.map((_, i) => {
          const lines = Array.from({ length: 30 + i }, (_, n) => `${i}-${n}`)
          if (i === 1) lines.splice(20, 0, "crash")
          if (i === 2) lines.splice(10, 0, "quit")
          return encoder.encode(`${lines.join("\n")}\n`)
        })
        yield* Effect.forEach(peers, ({ socket }, i) =>
          Effect.gen(function*() {
            const script = scripts[i]!
            for (let at = 0; at < script.length;) {
              const size = 1 + ((at * 31 + seed * 17 + i) % 23)
              socket.write(script.subarray(at, at + size))
              at += size
              yield* Effect.yieldNow
            }
            socket.end()
          }), { concurrency: "unbounded", discard: true })
        yield* TestNode.settle
        const expected = (i: number, count: number, last = ""): string =>
          `hello\n${Array.from({ length: count }, (_, n) => `${n}:${i}-${n}\n`).join("")}${last}`
        assert.deepStrictEqual(peers.map(({ seen }) => seen.text), [
          expected(0, 30),
          expected(1, 20),
          expected(2, 10, "bye\n"),
          expected(3, 33),
          expected(4, 34)
        ])
        assert.deepInclude((yield* ref.Stats()).ended, { PeerClosed: 3, Crashed: 1, Closed: 1 })
        assert.strictEqual(ends.length, 5)
      }).pipe(Effect.provide(TcpNetwork.layerMemory()))
  )

  onNetwork("serves lines with a state for each connection", () =>
    Effect.gen(function*() {
      const { port, ref } = yield* started(echo())
      const one = yield* peer(port)
      const two = yield* peer(port)
      yield* one.send("a\nb\nha")
      yield* two.send("x\n")
      yield* one.send("lf\n")
      assert.strictEqual(one.seen.text, "hello\n0:a\n1:b\n2:half\n")
      assert.strictEqual(two.seen.text, "hello\n0:x\n")
      const stats = yield* ref.Stats()
      assert.deepInclude(stats, { accepted: 2, active: 2, framesIn: 4, framesOut: 6, refused: 0 })
      assert.strictEqual((yield* ref.Connections()).length, 2)
    }))

  onNetwork(
    "handles what a peer sent before it closed, answers it, and then says goodbye",
    () =>
      Effect.gen(function*() {
        const ends: Array<Connection.End> = []
        const { port, ref } = yield* started(echo(ends))
        const one = yield* peer(port)
        yield* Effect.sync(() => one.socket.write(encoder.encode("a\nb\n")))
        yield* one.end
        assert.strictEqual(one.seen.text, "hello\n0:a\n1:b\n")
        assert.isTrue(one.seen.closed)
        assert.isUndefined(one.seen.error)
        assert.deepStrictEqual(ends, [{ _tag: "PeerClosed" }])
        assert.deepInclude((yield* ref.Stats()).ended, { PeerClosed: 1, Crashed: 0 })
      })
  )

  onNetwork(
    "a handler that stops ends its connection: what it wrote is sent, what was behind is not handled",
    () =>
      Effect.gen(function*() {
        const ends: Array<Connection.End> = []
        const { port } = yield* started(echo(ends))
        const one = yield* peer(port)
        yield* one.send("a\nquit\nb\n")
        assert.strictEqual(one.seen.text, "hello\n0:a\nbye\n")
        assert.isTrue(one.seen.ended)
        yield* one.end
        assert.isTrue(one.seen.closed)
        assert.deepStrictEqual(ends, [{ _tag: "Closed" }])
      })
  )

  onNetwork("a handler that crashes takes its connection, and no other", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End> = []
      const { port, ref } = yield* started(echo(ends))
      const one = yield* peer(port)
      const two = yield* peer(port)
      yield* one.send("a\ncrash\nb\n")
      yield* one.end
      yield* two.send("x\n")
      assert.strictEqual(one.seen.text, "hello\n0:a\n")
      assert.isTrue(one.seen.closed)
      assert.strictEqual(two.seen.text, "hello\n0:x\n")
      assert.strictEqual(ends[0]?._tag, "Crashed")
      const stats = yield* ref.Stats()
      assert.strictEqual(stats.active, 1)
      assert.strictEqual(stats.ended.Crashed, 1)
      assert.isTrue(yield* Process.isAlive(ref))
    }))

  onNetwork("crashes do not add up: a thousand of them, and the server is the same", () =>
    Effect.gen(function*() {
      const { port, ref } = yield* started(echo())
      for (let i = 0; i < 1000; i++) {
        const one = yield* peer(port)
        yield* one.send("crash\n")
        yield* one.end
      }
      assert.strictEqual((yield* ref.Stats()).ended.Crashed, 1000)
      assert.strictEqual((yield* ref.Stats()).active, 0)
    }))

  onNetwork("refuses what is no frame, behind what is, and counts it", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End> = []
      const { port, ref } = yield* started(echo(ends))
      const one = yield* peer(port)
      yield* one.send(`a\n${"x".repeat(200)}`)
      const two = yield* peer(port)
      yield* Effect.sync(() => two.socket.write(Uint8Array.of(0xff, 10)))
      yield* TestNode.settle
      const three = yield* peer(port)
      yield* Effect.sync(() => three.socket.write(encoder.encode("half")))
      yield* three.end
      assert.strictEqual(one.seen.text, "hello\n0:a\n")
      assert.isTrue(one.seen.ended && two.seen.ended && three.seen.closed)
      yield* one.end
      yield* two.end
      assert.deepStrictEqual(
        ends.map((end) => end._tag === "BadFrame" ? end.error.reason : end._tag),
        ["TooLarge", "Malformed", "Incomplete"]
      )
      assert.strictEqual((yield* ref.Stats()).ended.BadFrame, 3)
    }))

  onNetwork("ends connections on which nothing goes either way", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End> = []
      const { port, ref } = yield* started(echo(ends, { idleTimeout: "10 seconds" }))
      const one = yield* peer(port)
      yield* TestClock.adjust("9 seconds")
      yield* one.send("a\n")
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(ends, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(ends, [{ _tag: "Idle" }])
      assert.isTrue(one.seen.ended)
      // For a peer that does not end its side, nobody waits for ever.
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* ref.Stats()).active, 0)
    }))

  onNetwork("asks the idle callback instead, again and again", () =>
    Effect.gen(function*() {
      const server = TcpServer.make({
        framing: Framing.lines(),
        idleTimeout: "10 seconds",
        connect: () => Effect.succeed(0),
        frame: () => {},
        idle: (pings, { connection }) =>
          pings === 2 ? GenServer.stop() : Effect.as(connection.write("ping"), GenServer.next(pings + 1))
      })
      const { port, ref } = yield* started(server)
      const one = yield* peer(port)
      yield* TestNode.settle
      yield* TestClock.adjust("10 seconds")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(one.seen.text, "ping\nping\n")
      assert.isFalse(one.seen.ended)
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(one.seen.ended)
      assert.strictEqual((yield* ref.Stats()).ended.Idle, 0)
    }))

  onNetwork("gives a frame that was begun so much time, however slowly it comes", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End> = []
      const { port } = yield* started(echo(ends, { frameTimeout: "3 seconds" }))
      const one = yield* peer(port)
      yield* one.send("a\n")
      yield* TestClock.adjust("1 minute")
      for (let i = 0; i < 3; i++) {
        yield* one.send("x")
        yield* TestClock.adjust("900 millis")
      }
      assert.deepStrictEqual(ends, [])
      yield* one.send("x")
      yield* TestClock.adjust("300 millis")
      assert.deepStrictEqual(ends, [{ _tag: "Deadline" }])
    }))

  onNetwork(
    "closes what is beyond the limit of connections, and takes others when there is room",
    () =>
      Effect.gen(function*() {
        const { port, ref } = yield* started(echo([], { maxConnections: 2 }))
        const one = yield* peer(port)
        yield* peer(port)
        const three = yield* peer(port)
        yield* TestNode.settle
        assert.isTrue(three.seen.closed)
        assert.strictEqual((yield* ref.Stats()).refused, 1)
        yield* one.end
        const four = yield* peer(port)
        yield* four.send("a\n")
        assert.strictEqual(four.seen.text, "hello\n0:a\n")
      })
  )

  onNetwork("refuses connections that connect does not want, or does not greet in time", () =>
    Effect.gen(function*() {
      const server = TcpServer.make({
        framing: Framing.lines(),
        connect: ({ connection }) => connection.id === 1 ? Effect.fail("not you") : Effect.never,
        frame: () => {},
        disconnect: () => Effect.die("there was no connection")
      })
      const { port, ref } = yield* started(server)
      const one = yield* peer(port)
      yield* one.end
      assert.isTrue(one.seen.closed)
      const two = yield* peer(port)
      yield* two.end
      assert.isFalse(two.seen.closed)
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(two.seen.closed)
      assert.deepInclude(yield* ref.Stats(), { refused: 2, active: 0 })
    }))

  onNetwork(
    "a slow peer slows its writers down, in order, until it has had its time",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<Connection.Connection<string>>()
        const ends: Array<Connection.End> = []
        const server = TcpServer.make({
          framing: Framing.lines(),
          writeTimeout: "20 seconds",
          connect: ({ connection }) => Deferred.succeed(gate, connection),
          frame: () => {},
          disconnect: (end) => Effect.sync(() => ends.push(end))
        })
        const { port, ref } = yield* started(server)
        const one = yield* peer(port)
        one.socket.pause()
        const connection = yield* Deferred.await(gate)
        const written: Array<number> = []
        const writer = (n: number) =>
          Effect.forkChild(Effect.andThen(connection.write(`${n}`.repeat(9)), Effect.sync(() => written.push(n))))
        const fibers = yield* Effect.forEach([1, 2, 3, 4], writer)
        yield* TestNode.settle
        // 25 bytes have room: two lines are in, the third has filled it, the fourth waits outside.
        assert.deepStrictEqual(written, [1, 2])
        assert.isFalse(yield* connection.offer("5"))
        assert.strictEqual((yield* ref.Stats()).notOffered, 1)
        yield* Fiber.interrupt(fibers[3]!)
        one.socket.resume()
        yield* TestNode.settle
        assert.deepStrictEqual(written, [1, 2, 3])
        assert.strictEqual(one.seen.text, ["1", "2", "3"].map((n) => `${n.repeat(9)}\n`).join(""))
        assert.isTrue(yield* connection.offer("5"))
        one.socket.pause()
        const stuck = yield* Effect.forkChild(Effect.exit(connection.write("6".repeat(40))))
        const behind = yield* Effect.forkChild(Effect.flip(connection.write("7")))
        yield* TestNode.settle
        yield* TestClock.adjust("19 seconds")
        assert.deepStrictEqual(ends, [])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(ends, [{ _tag: "Slow" }])
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(stuck)))
        assert.strictEqual((yield* Fiber.join(behind))._tag, "ConnectionClosed")
        assert.strictEqual((yield* Effect.flip(connection.write("8")))._tag, "ConnectionClosed")
        assert.isFalse(connection.isOpen)
      }),
    25
  )

  onNetwork(
    "a slow handler slows its peer down: nothing is read while it works",
    () =>
      Effect.gen(function*() {
        const server = TcpServer.make({
          framing: Framing.lines(),
          connect: () => Effect.succeed(0),
          frame: (_, count) => Effect.as(Effect.sleep("1 second"), GenServer.next(count + 1))
        })
        const { port, ref } = yield* started(server)
        const one = yield* peer(port)
        yield* one.send("a\n")
        // The first chunk is being handled; of what follows the buffer takes its part, and not more.
        assert.isTrue(one.socket.write(encoder.encode("b\n")))
        assert.isFalse(one.socket.write(encoder.encode("c\n".repeat(10))))
        yield* TestNode.settle
        assert.strictEqual((yield* ref.Stats()).framesIn, 1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* ref.Stats()).framesIn, 2)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* ref.Stats()).framesIn, 12)
      }),
    16
  )

  onNetwork(
    "frames of one chunk are handled in order, messages get their turn between many",
    () =>
      Effect.gen(function*() {
        const order: Array<string> = []
        class Marks extends Protocol.make("Marks", Message.Cast("Mark")) {}
        const server = TcpServer.make(Marks, {
          framing: Framing.lines(),
          connect: ({ self }) => Effect.succeed(self),
          frame: (line, self) => {
            order.push(line)
            return line === "0"
              ? Effect.flatMap(GenServer.fromPid(Marks, self), (ref) => ref.Mark())
              : Number(line) % 7 === 0
              ? Effect.as(Effect.yieldNow, GenServer.next(self))
              : undefined
          },
          handlers: { Mark: () => void order.push("mark") }
        })
        const { port } = yield* started(server)
        const one = yield* peer(port)
        const lines = Array.from({ length: 1000 }, (_, n) => `${n}`)
        yield* one.send(`${lines.join("\n")}\n`)
        assert.deepStrictEqual(order.filter((line) => line !== "mark"), lines)
        assert.isBelow(order.indexOf("mark"), 300)
      })
  )

  onNetwork("other processes talk to a connection, and write to it", () =>
    Effect.gen(function*() {
      class Chat extends Protocol.make(
        "Chat",
        Message.Cast("Say", { payload: { text: Schema.String } }),
        Message.Call("Heard", { success: Schema.Array(Schema.String) }),
        Message.Call("Fail", { error: Schema.String })
      ) {}
      const members: Array<{ readonly pid: TcpServer.Context<string>["self"]; readonly connection: unknown }> = []
      const server = TcpServer.make(Chat, {
        framing: Framing.lines(),
        connect: ({ connection, self }) => {
          members.push({ pid: self, connection })
          return Effect.succeed<ReadonlyArray<string>>([])
        },
        frame: (line, heard) => GenServer.next([...heard, line]),
        handlers: {
          Say: ({ text }, heard, { connection }) => Effect.as(connection.write(text), GenServer.next(heard)),
          Heard: (_, heard) => GenServer.reply(heard, heard),
          Fail: () => Effect.fail("no")
        }
      })
      const { port } = yield* started(server)
      const one = yield* peer(port)
      yield* one.send("a\n")
      const chat = yield* GenServer.fromPid(Chat, members[0]!.pid)
      yield* chat.Say({ text: "hi" })
      yield* one.send("b\n")
      assert.deepStrictEqual(yield* chat.Heard(), ["a", "b"])
      assert.strictEqual(yield* Effect.flip(chat.Fail()), "no")
      assert.strictEqual(one.seen.text, "hi\n")
      assert.deepInclude(yield* GenServer.getState(chat), { state: ["a", "b"] })
      // A write by a handler after the peer has gone is the end of the connection, not a crash.
      const end = yield* Effect.forkChild(Process.awaitExit(chat))
      yield* one.destroy
      assert.notStrictEqual((yield* Fiber.join(end))._tag, "Error")
    }))

  onNetwork(
    "a linked process that crashes ends the connection; one that ends in order does not",
    () =>
      Effect.gen(function*() {
        const gates = [yield* Deferred.make<void, string>(), yield* Deferred.make<void, string>()]
        const server = TcpServer.make({
          framing: Framing.lines(),
          connect: ({ connection }) => Process.spawn(() => Deferred.await(gates[connection.id - 1]!), { link: true }),
          frame: () => {}
        })
        const { port, ref } = yield* started(server)
        const one = yield* peer(port)
        const two = yield* peer(port)
        yield* TestNode.settle
        yield* Deferred.succeed(gates[1]!, undefined)
        yield* Deferred.fail(gates[0]!, "gone")
        yield* TestNode.settle
        assert.isTrue(one.seen.ended)
        assert.isFalse(two.seen.ended)
        yield* one.end
        assert.strictEqual((yield* ref.Stats()).active, 1)
      })
  )

  onNetwork(
    "comes to its end in order: idle connections at once, frames under way get their time",
    () =>
      Effect.gen(function*() {
        const ends: Array<Connection.End> = []
        const { port, ref } = yield* started(echo(ends))
        const idle = yield* peer(port)
        const half = yield* peer(port)
        const stuck = yield* peer(port)
        yield* half.send("ha")
        yield* stuck.send("never")
        const drained = yield* Effect.forkChild(ref.Drain({ timeoutMillis: 10_000 }, { timeout: "Infinity" }))
        yield* TestNode.settle
        yield* idle.end
        assert.isTrue(idle.seen.closed)
        assert.isFalse(half.seen.ended)
        // It answers meanwhile, and nobody comes in.
        assert.strictEqual((yield* ref.Stats()).active, 2)
        assert.strictEqual((yield* Effect.flip(peer(port))).code, "ECONNREFUSED")
        yield* half.send("lf\n")
        yield* half.end
        assert.strictEqual(half.seen.text, "hello\n0:half\n")
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* Fiber.join(drained), { finished: 2, cut: 1 })
        yield* TestNode.settle
        assert.isTrue(stuck.seen.closed)
        assert.strictEqual((yield* ref.Stats()).active, 0)
      })
  )

  onNetwork("when it is stopped, its connections end with it", () =>
    Effect.gen(function*() {
      const ends: Array<Connection.End> = []
      const { port, ref } = yield* started(echo(ends))
      const one = yield* peer(port)
      yield* one.send("a\nhalf")
      const stopped = yield* Effect.forkChild(Process.stop(ref))
      yield* TestNode.settle
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(ends, [{ _tag: "Closed" }])
      yield* one.end
      yield* Fiber.join(stopped)
      assert.isTrue(one.seen.closed)
      assert.strictEqual((yield* Effect.flip(peer(port))).code, "ECONNREFUSED")
    }))

  onNetwork("under a supervisor it comes back on its port", () =>
    Effect.gen(function*() {
      const tree = Supervisor.make({
        children: [Supervisor.child("echo", echo(), { port: 4000 }, { name: "echo" })]
      })
      yield* Supervisor.start(tree)
      const ref = yield* GenServer.named(TcpServer.Control, "echo")
      const one = yield* peer(4000)
      yield* one.send("a\n")
      const before = Option.getOrThrow(yield* Process.whereis("echo"))
      yield* Process.kill(before)
      yield* TestNode.settle
      yield* one.end
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(one.seen.closed)
      assert.notStrictEqual(String(Option.getOrThrow(yield* Process.whereis("echo"))), String(before))
      const two = yield* peer(4000)
      yield* two.send("b\n")
      assert.strictEqual(two.seen.text, "hello\n0:b\n")
      assert.strictEqual((yield* ref.Stats()).accepted, 1)
    }))

  onNetwork(
    "shares handlers among connections: each has its own, a crash takes one connection, the rest goes on",
    () =>
      Effect.gen(function*() {
        const begun: Array<string> = []
        const released: Array<number> = []
        const gate = yield* Deferred.make<void>()
        const server = TcpServer.make({
          framing: Framing.lines(),
          pool: {
            size: 2,
            init: (handler) =>
              Effect.as(Effect.addFinalizer(() => Effect.sync(() => released.push(handler))), {
                name: `handler ${handler}`
              })
          },
          connect: () => Effect.succeed(0),
          frame: (line, count, { connection, worker }) => {
            begun.push(`${connection.id} ${line}`)
            const answer = Effect.as(
              connection.write(`${worker.name}: ${line} ${count}`),
              GenServer.next(count + 1)
            )
            if (line === "crash") return Effect.andThen(Deferred.await(gate), Effect.die(new Error("as asked")))
            return answer
          }
        })
        const { port, ref } = yield* started(server)
        const peers = yield* Effect.forEach([1, 2, 3, 4], () => peer(port))
        for (const one of peers) yield* one.send("a\n")
        assert.deepStrictEqual(peers.map(({ seen }) => seen.text), [1, 0, 1, 0].map((n) => `handler ${n}: a 0\n`))
        // Connections 1 and 3 have one handler, which is busy with 1: 3 waits, and does not notice the crash.
        yield* peers[0]!.send("crash\n")
        yield* peers[2]!.send("b\n")
        assert.notInclude(begun, "3 b")
        yield* peers[1]!.send("b\n")
        yield* Deferred.succeed(gate, undefined)
        yield* TestNode.settle
        yield* peers[0]!.end
        assert.isTrue(peers[0]!.seen.closed)
        assert.strictEqual(peers[2]!.seen.text, "handler 1: a 0\nhandler 1: b 1\n")
        assert.strictEqual(peers[1]!.seen.text, "handler 0: a 0\nhandler 0: b 1\n")
        assert.deepStrictEqual(released, [1])
        const stats = yield* ref.Stats()
        assert.deepInclude(stats, { restarts: 1, active: 3 })
        assert.deepInclude(stats.ended, { Crashed: 1 })
      })
  )

  onNetwork("fails to start where somebody listens", () =>
    Effect.gen(function*() {
      const { port } = yield* started(echo())
      const error = yield* Effect.flip(GenServer.start(echo(), { port }))
      assert.deepInclude(error, { _tag: "NetError", operation: "listen", code: "EADDRINUSE" })
    }))

  it("refuses limits that make no sense", () => {
    assert.throws(() => echo([], { maxConnections: 0 }), "maxConnections")
    assert.throws(() => Framing.lines({ maxBytes: 0 }), "Framing.lines")
  })
})
