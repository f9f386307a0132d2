import * as NodeDatagramSocket from "@effect/platform-node/NodeDatagramSocket"
import { assert, describe, it } from "@effect/vitest"
import * as MessagePack from "@msgpack/msgpack"
import { Effect, Exit, Layer, Queue } from "effect"
import { GenServer, Node, Process } from "effect-otp"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as DatagramSocket from "effect/socket/DatagramSocket"
import { TestClock } from "effect/testing"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Feed from "../../../examples/traffic/Feed.ts"
import { batchSize, Intake, topic } from "../../../examples/traffic/Ingest.ts"
import { UdpReceiver } from "../../../examples/traffic/Receivers.ts"
import * as Sender from "../../../examples/traffic/Sender.ts"
import { Storage } from "../../../examples/traffic/Storage.ts"
import { chance } from "../../../src/testing/SeededScheduler.ts"
import * as App from "./App.ts"

const host = "127.0.0.1"
const services = Layer.merge(App.services, NodeTcpNetwork.layer)

/** A plain connection: what is written, and the bytes that come. */
const connect = (port: number) =>
  Effect.gen(function*() {
    const chunks = yield* Queue.unbounded<Buffer>()
    const ended = yield* Queue.unbounded<void>()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Net.connect(port, host)
          .on("data", (chunk: Buffer) => Queue.offerUnsafe(chunks, chunk))
          .on("error", () => {})
          .on("close", () => Queue.offerUnsafe(ended, undefined))
      ),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let rest = Buffer.alloc(0)
    const bytes = (count: number): Effect.Effect<Buffer> =>
      Effect.gen(function*() {
        while (rest.length < count) rest = Buffer.concat([rest, yield* Queue.take(chunks)])
        const taken = rest.subarray(0, count)
        rest = rest.subarray(count)
        return taken
      })
    const line: Effect.Effect<string> = Effect.gen(function*() {
      while (!rest.includes(10)) rest = Buffer.concat([rest, yield* Queue.take(chunks)])
      return (yield* bytes(rest.indexOf(10) + 1)).toString("utf8").trimEnd()
    })
    return {
      write: (data: string | Uint8Array) => Effect.sync(() => void socket.write(data)),
      line: Effect.map(line, (text) => JSON.parse(text) as unknown),
      packet: Effect.flatMap(bytes(4), (header) => bytes(header.readUInt32BE())),
      ended: Queue.take(ended)
    }
  })

const sender = NetAddress.inetAddressFromIpStringUnsafe("192.0.2.7", 40_000)

/** A socket that receives what is put into a queue. */
const socketOf = (queue: Queue.Queue<DatagramSocket.Datagram>): DatagramSocket.DatagramSocket =>
  DatagramSocket.make({
    reader: Effect.succeed({
      pull: Effect.map(Queue.take(queue), (datagram) => [datagram]),
      address: NetAddress.inetAddressFromIpStringUnsafe(host, 5000),
      dropped: () => 0,
      joinMulticast: () => Effect.void
    }),
    writer: Effect.succeed({ write: () => Effect.void, writeAll: () => Effect.void })
  })

/** A socket that sends as fast as it can. */
const datagrams = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => Dgram.createSocket("udp4")),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket) => (payload: Uint8Array) =>
      Effect.callback<void>((resume) => socket.send(payload, port, host, () => resume(Effect.void)))
  )

const packet = (bytes: Uint8Array): Uint8Array => {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(bytes.length)
  return Buffer.concat([header, bytes])
}

const vehicle = (id: string, timestamp: number) => ({
  vehicle: { id },
  position: { latitude: 30.5, longitude: -97.5 },
  timestamp
})

describe("the receiver of TCP", () => {
  it.live("answers each line when its positions are stored, by the name or the number of the message", () =>
    Effect.gen(function*() {
      const { tcp } = yield* App.start()
      const storage = yield* GenServer.named(Storage, "storage")
      const connection = yield* connect(tcp)

      yield* connection.write(`${JSON.stringify(vehicle("a", 1))}\n`)
      assert.deepStrictEqual(yield* connection.line, { ack: 1, stored: 1, duplicates: 0, dropped: 0, invalid: 0 })
      assert.strictEqual((yield* storage.Track({ vehicle: "a", limit: 10 })).length, 1)

      yield* connection.write(
        `${JSON.stringify({ ack: "x", entity: [{ vehicle: vehicle("a", 1) }, { vehicle: vehicle("a", 2) }, {}] })}\n`
      )
      assert.deepStrictEqual(yield* connection.line, { ack: "x", stored: 1, duplicates: 1, dropped: 0, invalid: 1 })

      // Messages in one write are answered one by one; what is none is answered as well.
      yield* connection.write(`${JSON.stringify([vehicle("b", 1)])}\nnonsense\n\n${JSON.stringify([])}\n`)
      assert.deepStrictEqual(yield* connection.line, { ack: 3, stored: 1, duplicates: 0, dropped: 0, invalid: 0 })
      assert.deepStrictEqual(yield* connection.line, { ack: 4, stored: 0, duplicates: 0, dropped: 0, invalid: 1 })
      assert.deepStrictEqual(yield* connection.line, { ack: 5, stored: 0, duplicates: 0, dropped: 0, invalid: 1 })
      assert.deepStrictEqual(yield* connection.line, { ack: 6, stored: 0, duplicates: 0, dropped: 0, invalid: 0 })

      const { tcp: tally } = yield* App.report
      assert.deepStrictEqual({ ...tally }, {
        received: 7,
        stored: 3,
        duplicates: 1,
        invalid: 3,
        dropped: 0,
        waiting: 0
      })
    }).pipe(Effect.provide(services)))

  it.live("reads packets behind their length, and answers in their format", () =>
    Effect.gen(function*() {
      const { tcp } = yield* App.start()
      const connection = yield* connect(tcp)
      const message = packet(Feed.toMsgpack(App.positions(2500), { ack: 77 }))
      // In two pieces, the first of which ends within the header.
      yield* connection.write(message.subarray(0, 2))
      yield* connection.write(message.subarray(2))
      assert.deepStrictEqual(MessagePack.decode(yield* connection.packet), {
        ack: 77,
        stored: 2500,
        duplicates: 0,
        dropped: 0,
        invalid: 0
      })
      yield* connection.write(packet(new TextEncoder().encode(Feed.toJson(App.positions(10)))))
      assert.deepStrictEqual(JSON.parse((yield* connection.packet).toString("utf8")), {
        ack: 2,
        stored: 0,
        duplicates: 10,
        dropped: 0,
        invalid: 0
      })
    }).pipe(Effect.provide(services)))

  it.live("ends the connection of who sends a frame that is too large, and no other", () =>
    Effect.gen(function*() {
      const { tcp } = yield* App.start()
      const other = yield* connect(tcp)
      const one = yield* connect(tcp)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(Feed.maxBytes + 1)
      yield* one.write(length)
      yield* one.ended
      const two = yield* connect(tcp)
      yield* two.write("x".repeat(Feed.maxBytes + 10))
      yield* two.ended
      yield* other.write(`${JSON.stringify(vehicle("a", 1))}\n`)
      assert.deepInclude(yield* other.line, { stored: 1 })
      assert.strictEqual((yield* App.stats.tcp).ended.BadFrame, 2)
    }).pipe(Effect.provide(services)))

  it.live("says which positions were not stored when the storage has been away for longer than its patience", () =>
    Effect.gen(function*() {
      const { tcp } = yield* App.start({
        TRAFFIC_PATIENCE: "200 millis",
        TRAFFIC_ROLES: "ingest",
        TRAFFIC_STORAGE_NODE: "no@127.0.0.1"
      })
      const connection = yield* connect(tcp)
      yield* connection.write(`${JSON.stringify([vehicle("a", 1), vehicle("a", 2)])}\n`)
      const answer = yield* connection.line
      assert.deepInclude(answer, { stored: 0, duplicates: 0, dropped: 2, invalid: 0 })
      assert.include(JSON.stringify(answer), "Send them again later")
      const { tcp: tally } = yield* App.report
      assert.deepStrictEqual({ ...tally }, {
        received: 2,
        stored: 0,
        duplicates: 0,
        invalid: 0,
        dropped: 2,
        waiting: 0
      })
    }).pipe(Effect.provide(services)))
})

describe("the receiver of UDP", () => {
  it.live("answers a datagram that asks, when it is stored, and no other", () =>
    Effect.gen(function*() {
      const { udp } = yield* App.start()
      const socket = yield* NodeDatagramSocket.make({ peer: { address: host, port: udp }, bind: { address: host } })
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      yield* writer.write({ payload: MessagePack.encode({ ID: "a", Lat: 1, Lon: 2, Date: 5 }) })
      yield* writer.write({ payload: MessagePack.encode({ ID: "a", Lat: 1, Lon: 2, Date: 6, Ack: 9 }) })
      yield* writer.write({ payload: JSON.stringify({ ack: "b", entity: [{ vehicle: vehicle("b", 1) }, {}] }) })
      yield* writer.write({ payload: MessagePack.encode({ ID: "", Lat: 1, Lon: 2, Ack: 10 }) })
      const answers: Array<unknown> = []
      while (answers.length < 3) {
        for (const { payload } of yield* reader.pull) {
          answers.push(
            payload[0] === 0x7b ? JSON.parse(Buffer.from(payload).toString("utf8")) : MessagePack.decode(payload)
          )
        }
      }
      assert.sameDeepMembers(answers, [
        { ack: 9, kept: 1, invalid: 0, dropped: 0 },
        { ack: "b", kept: 1, invalid: 1, dropped: 0 },
        { ack: 10, kept: 0, invalid: 1, dropped: 0 }
      ])
      const storage = yield* GenServer.named(Storage, "storage")
      assert.deepStrictEqual((yield* storage.Track({ vehicle: "a", limit: 9 })).map(({ at }) => at), [5, 6])
    }).pipe(Effect.provide(services)))

  it.effect("has what comes within twenty milliseconds stored together", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<DatagramSocket.Datagram>()
      yield* Effect.provideService(GenServer.start(UdpReceiver), DatagramSocket.DatagramSocket, socketOf(queue))
      // Nobody stores here: batches stay open until they are settled below.
      const { open, tallies } = yield* Intake
      let count = 0
      const arrive = (more: number) =>
        Effect.gen(function*() {
          for (const position of App.positions(more, count)) {
            Queue.offerUnsafe(queue, { payload: Feed.toMsgpack([position]), address: sender })
          }
          count += more
          for (let turn = 0; turn < 10_000 && tallies.udp.received < count; turn++) yield* Effect.yieldNow
          assert.strictEqual(tallies.udp.received, count)
        })
      const sizes = () => [...open].map(({ positions }) => positions.length)
      const settle = Effect.gen(function*() {
        for (const batch of [...open]) {
          batch.settle(Exit.succeed({ stored: batch.positions.length, duplicates: 0 }))
        }
        yield* TestClock.adjust(0)
      })

      // The twenty milliseconds begin with the first that comes.
      yield* TestClock.adjust("1 minute")
      yield* arrive(1)
      yield* TestClock.adjust("12 millis")
      yield* arrive(4)
      yield* TestClock.adjust("7 millis")
      assert.deepStrictEqual(sizes(), [], "nineteen milliseconds after the first")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(sizes(), [5], "twenty milliseconds after the first")

      // What comes while a batch is being stored waits for that, and then for twenty milliseconds.
      yield* arrive(3)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(sizes(), [5], "while the first batch is being stored")
      yield* settle
      yield* TestClock.adjust("19 millis")
      assert.deepStrictEqual(sizes(), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(sizes(), [3])

      // A batch that is full waits for nothing, and what it has no room for is the next.
      yield* arrive(batchSize + 2)
      yield* settle
      assert.deepStrictEqual(sizes(), [batchSize])
      yield* settle
      assert.deepStrictEqual(sizes(), [])
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual(sizes(), [2])
      yield* settle
      assert.deepInclude({ ...tallies.udp }, { received: count, stored: count, dropped: 0, waiting: 0 })
    }).pipe(
      Effect.provide(Layer.provideMerge(Layer.mergeAll(Intake.layer, topic), Node.layerLocal()))
    ))

  it.live(
    "goes on after empty datagrams, the largest there are, truncated ones and a hundred thousand at random",
    () =>
      Effect.gen(function*() {
        const { tcp, udp } = yield* App.start()
        const before = yield* Process.whereis("udp_receiver")
        const send = yield* datagrams(udp)
        const next = chance(3)
        const whole = Feed.toMsgpack(App.positions(1))
        const largest = new Uint8Array(65_507)
        const deep = new Uint8Array(65_507).fill(0x91)
        // In between, the receiver has its turn: what nobody reads disturbs nobody.
        const pause = Effect.sleep(1)
        for (let i = 0; i < 200; i++) {
          yield* pause
          for (const one of [new Uint8Array(), largest, deep, whole.subarray(0, i % whole.length)]) yield* send(one)
        }
        for (let i = 0; i < 100_000; i++) {
          if (i % 100 === 0) yield* pause
          const length = Math.floor(next() * 100)
          yield* send(Uint8Array.from({ length }, () => Math.floor(next() * 256)))
        }
        // Who sends properly has lost nothing: neither here nor there.
        const sender = yield* Sender.udp({ host, port: udp }, { acknowledged: true })
        assert.deepInclude(yield* sender.send(App.positions(500)), { kept: 500, dropped: 0 })
        const line = yield* connect(tcp)
        yield* line.write(`${JSON.stringify(vehicle("after", 1))}\n`)
        assert.deepInclude(yield* line.line, { stored: 1 })

        const { datagrams: counted, udp: tally } = yield* App.reportWhen(({ udp }) => udp.waiting === 0)
        assert.isTrue(App.isBalanced(tally))
        assert.isAtLeast(tally.invalid, 50_000)
        // Each is accounted for: read, or lost in a buffer. Some were sent again because they were lost.
        assert.isAtLeast(counted.received + counted.unread, 100_800 + 500)
        assert.deepStrictEqual(yield* Process.whereis("udp_receiver"), before)
      }).pipe(Effect.provide(services)),
    120_000
  )

  it.live("stores under a flood what it has room for, and counts the rest", () =>
    Effect.gen(function*() {
      const { udp } = yield* App.start()
      const count = 60_000
      const send = yield* datagrams(udp)
      for (const position of App.positions(count)) yield* send(Feed.toMsgpack([position]))
      const { datagrams: counted, udp: tally } = yield* App.reportWhen(({ datagrams, udp }) =>
        udp.waiting === 0 && udp.received + datagrams.unread === count
      )
      assert.strictEqual(tally.stored + tally.dropped + counted.unread, count)
      assert.isAbove(tally.stored, 0)
      const storage = yield* GenServer.named(Storage, "storage")
      assert.strictEqual((yield* storage.Statistics()).positions, tally.stored)
    }).pipe(Effect.provide(services)), 120_000)
})
