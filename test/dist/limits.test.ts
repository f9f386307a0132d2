/**
 * The limits of a node, each with an option, and what happens past it. Their defaults are too large to be met in passing:
 * `hostileWire.test.ts` shows that the node keeps within them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Queue, Schema } from "effect"
import { Process } from "effect-otp"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Handshake from "effect-otp/dist/Handshake"
import * as Node from "effect-otp/dist/Node"
import { Etf } from "effect-otp/etf"
import { Atom, Pid, Reference, Term, Tuple } from "effect-otp/term"
import { TestClock } from "effect/testing"
import { cookie, freePort } from "./ErlangNode.ts"
import {
  bare,
  dial,
  digestOf,
  ended,
  evil,
  fragment,
  framed,
  login,
  messageOf,
  packet,
  portOf,
  terms
} from "./hostile/attack.ts"
import { eventually, type Member, member } from "./Member.ts"

const own = "evil@127.0.0.1"
const from = new Pid.Pid(own, 1, 0, 77)
const reference = (i: number) => new Reference.Reference(own, 77, [i, 1, 1])

const closed = (socket: ReturnType<typeof dial>) => Effect.timeout(Effect.promise(() => ended(socket)), "5 seconds")

const statistic = (node: Member, name: keyof Node.NetworkStatistics) =>
  node.run(Effect.map(Node.networkStatistics, (statistics) => statistics![name]))

/** Bytes that a node has read from another. */
const read = (from: string) =>
  Effect.map(Node.Node, (node) => Node.distributionUnsafe(node)!.peers.get(from)?.connection?.counters.bytesIn ?? 0)

/** A turn of the event loop: what has arrived is read. */
const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** A victim, a good peer that is answered at the end, and the victim's port. */
const scene = (limits: Node.LimitOptions, options?: Partial<Node.LayerOptions>) =>
  Effect.gen(function*() {
    const epmd = yield* freePort
    const a = yield* member("a@127.0.0.1", epmd, { limits, ...options })
    const b = yield* member("b@127.0.0.1", epmd)
    yield* a.run(Process.spawnDetached((mailbox) => Effect.forever(Queue.take(mailbox)), { name: "sink" }))
    const port = yield* portOf("a", epmd)
    const good = Effect.gen(function*() {
      assert.strictEqual(yield* b.run(Node.ping(a.name)), "pong")
    })
    return { a, b, port, epmd, good }
  })

describe("limits", () => {
  it.live("maxMonitors: one more monitor closes the connection, ended ones do not count", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({ maxMonitors: 100 })
      const socket = yield* evil(port, own, a.name)
      const monitor = (op: number, i: number) =>
        socket.write(terms(Tuple.make(op, from, Atom.make("sink"), reference(i))))
      for (let i = 0; i < 1000; i++) {
        monitor(19, i)
        if (i >= 50) monitor(20, i - 50)
      }
      // Those of nobody end at once.
      for (let i = 0; i < 500; i++) {
        socket.write(terms(Tuple.make(19, from, Atom.make("nobody"), reference(10_000 + i))))
      }
      yield* good
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [own, "b@127.0.0.1"])
      for (let i = 2000; i < 2051; i++) monitor(19, i)
      yield* closed(socket)
      assert.strictEqual(yield* statistic(a, "closedConnections"), 1)
      yield* good
    }), 20_000)

  it.live("maxLinks: one more link closes the connection, ended ones do not count", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({ maxLinks: 100 })
      const sink = (yield* a.run(Process.whereis("sink"))).pipe((found) => (found as { readonly value: Pid.Pid }).value)
      const socket = yield* evil(port, own, a.name)
      const peer = (i: number) => new Pid.Pid(own, i, 0, 77)
      for (let i = 0; i < 1000; i++) {
        socket.write(terms(Tuple.make(1, peer(i), sink)))
        if (i >= 50) socket.write(terms(Tuple.make(35, i + 1, peer(i - 50), sink)))
        // The same link again is no other.
        socket.write(terms(Tuple.make(1, peer(i), sink)))
      }
      yield* good
      assert.include(yield* a.run(Node.nodes()), own)
      for (let i = 2000; i < 2051; i++) socket.write(terms(Tuple.make(1, peer(i), sink)))
      yield* closed(socket)
      yield* good
    }), 20_000)

  it.live("maxLinks: unlinks that are never acknowledged", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({ maxLinks: 100 })
      const socket = yield* evil(port, own, a.name)
      socket.resume()
      yield* a.run(Process.run(Effect.gen(function*() {
        for (let i = 0; i < 101; i++) {
          yield* Process.link(new Pid.Pid(own, i, 0, 77))
          yield* Process.unlink(new Pid.Pid(own, i, 0, 77))
        }
      })))
      yield* closed(socket)
      yield* good
    }), 20_000)

  it.live("maxConnections: further nodes are refused, known ones may come again", () =>
    Effect.gen(function*() {
      const { a, port } = yield* scene({ maxConnections: 3 })
      const sockets = []
      for (let i = 0; i < 3; i++) sockets.push(yield* evil(port, `e${i}@127.0.0.1`, a.name))
      assert.isUndefined(yield* Effect.promise(() => login(port, "e3@127.0.0.1", a.name)))
      assert.strictEqual(yield* statistic(a, "refusedConnections"), 1)
      sockets[0]!.destroy()
      yield* eventually(statistic(a, "connections"), 2)
      yield* evil(port, "e3@127.0.0.1", a.name)
      assert.strictEqual(yield* statistic(a, "connections"), 3)
    }), 20_000)

  it.live(
    "maxPendingHandshakes and maxPendingPerAddress: the oldest make room, the latest get in",
    () =>
      Effect.gen(function*() {
        for (const limits of [{ maxPendingHandshakes: 20 }, { maxPendingPerAddress: 20 }]) {
          const { a, good, port } = yield* scene(limits)
          const sockets = Array.from({ length: 100 }, () => dial(port))
          yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
          yield* closed(sockets[0]!)
          yield* good
          yield* eventually(statistic(a, "evictedHandshakes"), 81)
          assert.isFalse(sockets[99]!.destroyed)
          for (const socket of sockets) socket.destroy()
          yield* eventually(statistic(a, "pendingHandshakes"), 0)
          assert.strictEqual(yield* statistic(a, "pendingHandshakes"), 0)
        }
      }),
    20_000
  )

  it.live("setupTime: a handshake may take so long in all, not per step", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({}, { setupTime: "1 second" })
      const start = Handshake.initiate({
        self: { name: own, creation: 77, flags: DistFlags.offer() },
        challenge: 5,
        digest: digestOf(cookie),
        wanted: a.name,
        connected: () => false
      }).start[0]!
      const before = yield* Clock.currentTimeMillis
      const socket = dial(port)
      yield* Effect.sleep(600)
      socket.write(framed(start))
      yield* closed(socket)
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 1400)
      yield* good
    }), 20_000)

  it.live(
    "maxAttempts: pids of nodes that nobody knows cannot make the node dial without end",
    () =>
      Effect.gen(function*() {
        const epmd = yield* freePort
        // A host that takes connections and never answers.
        const silent = yield* freePort
        const a = yield* member("a@127.0.0.1", epmd, {
          limits: { maxAttempts: 10 },
          routes: Object.fromEntries(
            Array.from({ length: 20 }, (_, i) => [`x${i}@127.0.0.1`, { host: "127.0.0.1", port: silent }])
          )
        })
        const { createServer } = yield* Effect.promise(() => import("node:net"))
        const server = createServer((socket) => socket.on("error", () => {}))
        yield* Effect.acquireRelease(
          Effect.callback<void>((resume) => {
            server.listen(silent, "127.0.0.1", () => resume(Effect.void))
          }),
          () => Effect.sync(() => server.close())
        )
        const before = yield* Clock.currentTimeMillis
        for (let i = 0; i < 20; i++) {
          yield* a.run(Process.spawnDetached(() => Process.send({ name: "x", node: `x${i}@127.0.0.1` }, 1)))
        }
        yield* eventually(statistic(a, "refusedAttempts"), 10)
        assert.strictEqual(yield* statistic(a, "refusedAttempts"), 10)
        assert.strictEqual(yield* statistic(a, "attempts"), 10)
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 3000)
      }),
    20_000
  )

  it.live("maxProcesses: beyond them nothing is started for others", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({ maxProcesses: 3 })
      const socket = yield* evil(port, own, a.name)
      let seen = ""
      socket.on("data", (data) => {
        seen += data.toString("latin1")
      })
      const mfa = Term.parseUnsafe("{erlang, node, 0}")
      socket.write(terms(Tuple.make(29, reference(1), from, from, mfa, []), []))
      yield* eventually(Effect.sync(() => seen.includes("system_limit")), true)
      assert.include(seen, "system_limit")
      seen = ""
      const call = Term.parseUnsafe("{call, erlang, node, [], x}")
      socket.write(messageOf(
        from,
        "rex",
        bare(Tuple.make(Atom.make("$gen_call"), Tuple.make(from, reference(2)), call))
      ))
      yield* eventually(Effect.sync(() => /badrpc|system_limit/.test(seen)), true)
      assert.match(seen, /badrpc/)
      yield* good
    }), 20_000)

  it.live("maxAtoms: more of them are read all the same", () =>
    Effect.gen(function*() {
      const { a, b } = yield* scene({ maxAtoms: 16 })
      const atoms = Array.from({ length: 3000 }, (_, i) => Atom.make(`atom_${i}`))
      yield* a.run(Process.run(
        Effect.gen(function*() {
          for (let i = 0; i < 3; i++) yield* b.run(Process.send({ name: "me", node: a.name }, atoms))
          for (let i = 0; i < 3; i++) {
            const received = yield* Process.receive(Schema.Array(Etf.Atom))
            assert.isTrue(Term.equals(received as ReadonlyArray<Term.Term>, atoms))
          }
        }),
        { name: "me" }
      ))
    }), 20_000)

  it.live(
    "maxDepth, maxElements, maxFrameBytes, maxFragments, maxFragmentBytes, maxBegunBytes: past them the connection is closed",
    () =>
      Effect.gen(function*() {
        const { a, good, port } = yield* scene({
          maxDepth: 50,
          maxElements: 1000,
          maxFrameBytes: 100_000,
          maxFragments: 10,
          maxFragmentBytes: 300_000,
          maxBegunBytes: 150_000
        })
        const message = (payload: Uint8Array) => messageOf(from, "sink", payload)
        const nested = (depth: number) =>
          Buffer.concat([Buffer.alloc(2 * depth, Buffer.from([104, 1])), Buffer.from([106])])
        const elements = (count: number) =>
          Buffer.concat([
            Buffer.from([108, 0, 0, count >> 8, count & 255]),
            Buffer.alloc(count, 106),
            Buffer.from([106])
          ])
        const begin = (id: number, size: number) =>
          fragment(
            69,
            BigInt(id),
            5n,
            Buffer.concat([
              Buffer.from([0]),
              bare(Tuple.make(6, from, Atom.make(""), Atom.make("sink"))),
              Buffer.alloc(size)
            ])
          )
        const many = (count: number, size: number) =>
          Buffer.concat(Array.from({ length: count }, (_, i) => begin(i + 1, size)))
        const within = [nested(49), elements(990)].map(message)
        // One that goes on by a fragment of the usual size is no longer one that was only begun.
        const goOn = (id: number) => fragment(70, BigInt(id), 4n, Buffer.alloc(65_536))
        const going = Buffer.concat([begin(1, 80_000), goOn(1), begin(2, 90_000)])
        within.push(message(bare(new Uint8Array(99_900))), many(10, 1), many(2, 74_000), going)
        const past = [nested(52), elements(1010)].map(message)
        past.push(message(bare(new Uint8Array(100_000))), many(11, 1), many(2, 75_001), Buffer.concat([going, goOn(2)]))
        for (const bytes of within) {
          const socket = yield* evil(port, own, a.name)
          socket.resume()
          socket.write(bytes)
          yield* good
          assert.include(yield* a.run(Node.nodes()), own)
          socket.destroy()
          while ((yield* a.run(Node.nodes())).includes(own)) yield* Effect.sleep(5)
        }
        for (const bytes of past) {
          const socket = yield* evil(port, own, a.name)
          socket.write(bytes)
          yield* closed(socket)
        }
        assert.strictEqual(yield* statistic(a, "closedConnections"), past.length)
        yield* good
      }),
    20_000
  )

  it.effect(
    "[B8] netTickTime: what is begun and not gone on with closes the connection within 60 seconds, to the second",
    () =>
      Effect.gen(function*() {
        // The clock is the test's, the sockets are real.
        const { a, port } = yield* scene({})
        const control = bare(Tuple.make(6, from, Atom.make(""), Atom.make("sink")))
        const begin = fragment(69, 7n, 100n, Buffer.concat([Buffer.from([0]), control, Buffer.alloc(10)]))
        const goOn = (i: number, size: number) => fragment(70, 7n, BigInt(99 - i), Buffer.alloc(size))
        const unfinished = packet(Buffer.concat([Buffer.from([131, 68, 0]), control, bare(new Uint8Array(90_000))]))
        /** What each sends at first, and then after each quarter of the tick time; all but the last give signs of life. */
        const peers: ReadonlyArray<readonly [name: string, start: Buffer, then: (i: number) => Buffer]> = [
          ["stands", begin, () => Buffer.alloc(4)],
          ["empty", begin, (i) => goOn(i, 0)],
          ["drips", begin, (i) => goOn(i, 16_000)],
          ["goes", begin, (i) => goOn(i, 30_000)],
          ["packet", unfinished.subarray(0, 5_000), (i) => unfinished.subarray(5_000 + i, 5_001 + i)]
        ]
        const sockets = yield* Effect.forEach(peers, ([name]) => evil(port, `${name}@127.0.0.1`, a.name))
        /** Sends from all of them, and waits until it has been read. */
        const send = (bytes: (i: number) => Buffer) =>
          Effect.gen(function*() {
            const before = yield* Effect.forEach(peers, ([name]) => a.run(read(`${name}@127.0.0.1`)))
            for (const [i] of peers.entries()) sockets[i]!.write(bytes(i))
            for (const [i, [name]] of peers.entries()) {
              const expected = before[i]! + bytes(i).length
              while ((yield* a.run(read(`${name}@127.0.0.1`))) < expected) yield* turn
            }
          })
        yield* send((i) => peers[i]![1])
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("15 seconds")
          assert.lengthOf(yield* a.run(Node.nodes()), 5)
          yield* send((n) => peers[n]![2](i))
        }
        yield* TestClock.adjust("14 seconds")
        assert.lengthOf(yield* a.run(Node.nodes()), 5)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* a.run(Node.nodes()), ["goes@127.0.0.1"])
        for (const socket of sockets.toSpliced(3, 1)) yield* Effect.promise(() => ended(socket))
        assert.isFalse(sockets[3]!.destroyed)
      }),
    20_000
  )

  it.live("maxStalledBytes: who asks without end and never reads is lost", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({ maxStalledBytes: 1024 * 1024 })
      const socket = yield* evil(port, own, a.name)
      socket.pause()
      const name = Atom.make("nobody".repeat(40))
      const monitors = Buffer.concat(
        Array.from({ length: 1000 }, (_, i) => terms(Tuple.make(19, from, name, reference(i))))
      )
      while ((yield* a.run(Node.nodes())).includes(own)) {
        for (let i = 0; i < 20; i++) socket.write(monitors)
        yield* Effect.sleep(20)
      }
      assert.strictEqual(yield* statistic(a, "closedConnections"), 1)
      yield* good
    }), 20_000)

  it.live("what is turned away is counted: wrong cookies, failed handshakes", () =>
    Effect.gen(function*() {
      const { a, good, port } = yield* scene({})
      for (let i = 0; i < 3; i++) {
        assert.isUndefined(yield* Effect.promise(() => login(port, own, a.name, { secret: "wrong" })))
      }
      const socket = dial(port)
      socket.write("GET / HTTP/1.0\r\n\r\n")
      yield* closed(socket)
      assert.strictEqual(yield* statistic(a, "wrongCookies"), 3)
      assert.strictEqual(yield* statistic(a, "failedHandshakes"), 4)
      yield* good
    }), 20_000)

  it.live("who only claims to be a node cannot keep this one from connecting to it", () =>
    Effect.gen(function*() {
      const epmd = yield* freePort
      const a = yield* member("a@127.0.0.1", epmd)
      const z = yield* member("z@127.0.0.1", epmd)
      const port = yield* portOf("a", epmd)
      const claim = framed(
        Handshake.initiate({
          self: { name: z.name, creation: 77, flags: DistFlags.offer() },
          challenge: 5,
          digest: digestOf("wrong"),
          wanted: a.name,
          connected: () => false
        }).start[0]!
      )
      let over = false
      // Always one that has said its name and goes on to nothing.
      const flood = Array.from({ length: 5 }, async () => {
        while (!over) {
          const socket = dial(port)
          socket.write(claim)
          socket.resume()
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      })
      yield* Effect.sleep(100)
      const before = yield* Clock.currentTimeMillis
      const answer = yield* a.run(Node.ping(z.name))
      over = true
      yield* Effect.promise(() => Promise.all(flood))
      assert.strictEqual(answer, "pong")
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 7000)
    }), 30_000)
})
