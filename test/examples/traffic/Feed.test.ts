import { assert, describe, it } from "@effect/vitest"
import * as MessagePack from "@msgpack/msgpack"
import { Schema } from "effect"
import * as Feed from "../../../examples/traffic/Feed.ts"
import { Position } from "../../../examples/traffic/Position.ts"
import { chance } from "../../../src/testing/SeededScheduler.ts"

const now = 1_492_572_700_123
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"))
const plain = (positions: ReadonlyArray<Position>) => positions.map((position) => ({ ...position }))

/** The datagram of the original application, byte by byte. */
const original = bytes(`
  84
  a2 4944 d924 36333762396634352d356463342d346330392d613365662d336430333465623561383166
  a3 4c6f6e cb c0586f2f1a9fbe77
  a3 4c6174 cb 403e447ae147ae14
  a9 456d657267656e6379 c3`)

describe("the feed", () => {
  it("reads the datagram of the original, with the time of its arrival", () => {
    assert.strictEqual(original.length, 79)
    const { ack, format, invalid, positions } = Feed.decode(original, now)
    assert.deepStrictEqual(plain(positions), [{
      vehicle: "637b9f45-5dc4-4c09-a3ef-3d034eb5a81f",
      route: "",
      lat: 30.2675,
      lon: -97.73725,
      speed: 0,
      at: now,
      emergency: true
    }])
    assert.deepStrictEqual([ack, format, invalid], [undefined, "msgpack", 0])
  })

  it("reads a vehicle position of GTFS realtime in either spelling, with seconds as a number or as text", () => {
    const expected = {
      vehicle: "8928",
      route: "1",
      lat: 30.4179,
      lon: -97.66719,
      speed: 4.91744,
      at: 1_492_572_700_000,
      emergency: false
    }
    const position = { latitude: 30.4179, longitude: -97.66719, speed: 4.91744 }
    for (
      const message of [
        { vehicle: { id: "8928", label: "bus" }, trip: { routeId: "1" }, position, timestamp: "1492572700" },
        { vehicle: { id: "8928" }, trip: { route_id: "1", trip_id: "9" }, position, timestamp: 1_492_572_700 }
      ]
    ) {
      assert.deepStrictEqual(plain(Feed.decode(json(message), now).positions), [expected])
      assert.deepStrictEqual(plain(Feed.decode(json([message, message]), now).positions), [expected, expected])
      const feed = { header: { gtfsRealtimeVersion: "2.0" }, ack: 5, entity: [{ id: "0", vehicle: message }] }
      const decoded = Feed.decode(json(feed), now)
      assert.deepStrictEqual(plain(decoded.positions), [expected])
      assert.strictEqual(decoded.ack, 5)
    }
  })

  it("takes what is good of a message, and counts what is not", () => {
    const good = { ID: "a", Lat: 1, Lon: 2 }
    const bad = [
      { ID: "", Lat: 1, Lon: 2 },
      { ID: "x".repeat(65), Lat: 1, Lon: 2 },
      { ID: 7, Lat: 1, Lon: 2 },
      { ID: "a", Lat: 90.1, Lon: 2 },
      { ID: "a", Lat: 1, Lon: -180.1 },
      { ID: "a", Lat: NaN, Lon: 2 },
      { ID: "a", Lat: 1 },
      { ID: "a", Lat: 1, Lon: 2, Date: -1 },
      { ID: "a", Lat: 1, Lon: 2, Date: 2 ** 42 },
      { ID: "a", Lat: 1, Lon: 2, Speed: -1 },
      { ID: "a", Lat: 1, Lon: 2, Speed: Infinity },
      { ID: "a", Lat: 1, Lon: 2, Emergency: 1 },
      { ID: "a", Lat: 1, Lon: 2, Route: "x".repeat(65) },
      null,
      [],
      "a"
    ]
    for (const one of bad) {
      const { invalid, positions } = Feed.decode(MessagePack.encode([good, one, good]), now)
      assert.deepStrictEqual([positions.length, invalid], [2, 1], JSON.stringify(one))
    }
    assert.strictEqual(Feed.decode(MessagePack.encode({ Positions: [...bad, good] }), now).invalid, bad.length)
  })

  it("counts what is no message as one", () => {
    const nothing = { positions: [], invalid: 1, ack: undefined }
    const deep = (levels: number) => bytes("91".repeat(levels) + "c0")
    for (
      const [what, message] of Object.entries({
        empty: new Uint8Array(),
        zeros: new Uint8Array(65_507),
        "a number": MessagePack.encode(7),
        nil: MessagePack.encode(null),
        "a map in place of positions": MessagePack.encode({ Positions: {} }),
        "too many": MessagePack.encode(Array.from({ length: Feed.maxPositions + 1 }, () => 1)),
        "more than one message": Uint8Array.from([...original, ...original]),
        "an array that says it is large": bytes("dd ffffffff c0"),
        "a map that says it is large": bytes("df ffffffff c0"),
        "a text that says it is large": bytes("db ffffffff 61"),
        "deeply nested": deep(60_000),
        "an extension": bytes("c7 01 05 00"),
        "an extension that defines records": bytes("d4 72 40 91 a1 61 01"),
        "the byte that is never used": bytes("c1"),
        "half of JSON": json([{ vehicle: { id: "a" } }]).slice(0, -1),
        "half of a character": json({ vehicle: { id: "\ud800" }, position: { latitude: 1, longitude: 1 } }),
        "no UTF-8": Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
        "deeply nested JSON": new TextEncoder().encode("[".repeat(100_000)),
        "more than a message may have": new Uint8Array(Feed.maxBytes + 1).fill(0x20)
      })
    ) {
      const { ack, invalid, positions } = Feed.decode(message, now)
      assert.deepStrictEqual({ positions, invalid, ack }, nothing, what)
    }
  })

  it("refuses what is nested deeper than any message is, and takes what is as deep as one may be", () => {
    /** Lists and maps in turn. */
    const nested = (levels: number): unknown => {
      if (levels === 0) return 1
      const inner = nested(levels - 1)
      return levels % 2 === 0 ? [inner] : { a: inner }
    }
    const outcome = (message: unknown) => {
      const { invalid, positions } = Feed.decode(MessagePack.encode(message), now)
      return [positions.length, invalid]
    }
    const beside = (levels: number) => ({ ID: "a", Lat: 1, Lon: 2, Extra: nested(levels) })
    // Six levels: the map of the position is one, the envelope and its list are two more.
    assert.deepStrictEqual([5, 6, 7, 90].map((levels) => outcome(beside(levels))), [[1, 0], [0, 1], [0, 1], [0, 1]])
    assert.deepStrictEqual(
      [3, 4].map((levels) => outcome({ Positions: [beside(0), beside(levels)] })),
      [[2, 0], [0, 1]]
    )
    // What stands side by side is no deeper than one of them, and does not hide what comes after it.
    const many = Array.from({ length: 100 }, () => nested(4))
    assert.deepStrictEqual(outcome({ ID: "a", Lat: 1, Lon: 2, Extra: many }), [1, 0])
    assert.deepStrictEqual(outcome({ ID: "a", Lat: 1, Lon: 2, Extra: [...many, nested(5)] }), [0, 1])
  })

  it("takes as many positions as a message may have, and none of one that has more", () => {
    const good = { ID: "a", Lat: 1, Lon: 2 }
    const goodJson = { vehicle: { id: "a" }, position: { latitude: 1, longitude: 2 } }
    for (const count of [Feed.maxPositions, Feed.maxPositions + 1]) {
      const packed = Array.from({ length: count }, () => good)
      const vehicles = Array.from({ length: count }, () => goodJson)
      for (
        const [message, ack] of [
          [MessagePack.encode(packed), undefined],
          [MessagePack.encode({ Ack: 3, Positions: packed }), 3],
          [json(vehicles), undefined],
          [json({ ack: 3, entity: vehicles.map((vehicle) => ({ vehicle })) }), 3]
        ] as const
      ) {
        const decoded = Feed.decode(message, now)
        const expected = count === Feed.maxPositions ? [count, 0] : [0, 1]
        assert.isBelow(message.length, Feed.maxBytes)
        assert.deepStrictEqual([decoded.positions.length, decoded.invalid], expected)
        assert.strictEqual(decoded.ack, ack)
      }
    }
  })

  it("takes as many bytes as a message may have, and nothing of one that has more", () => {
    const vehicle = json({ vehicle: { id: "a" }, position: { latitude: 1, longitude: 2 } })
    const asJson = (length: number) => {
      const padded = new Uint8Array(length).fill(0x20)
      padded.set(vehicle, length - vehicle.length)
      return padded
    }
    const packed = (filler: number) =>
      MessagePack.encode({ ID: "a", Lat: 1, Lon: 2, Extra: new Uint8Array(70_000 + filler) })
    const asMsgpack = (length: number): Uint8Array => packed(length - packed(0).length)
    for (const message of [asJson, asMsgpack]) {
      for (const length of [Feed.maxBytes, Feed.maxBytes + 1]) {
        const whole = message(length)
        assert.strictEqual(whole.length, length)
        const { invalid, positions } = Feed.decode(whole, now)
        assert.deepStrictEqual([positions.length, invalid], length > Feed.maxBytes ? [0, 1] : [1, 0])
      }
    }
  })

  it("refuses a message with an extension in it, however good the rest is", () => {
    // A good position with something beside it, which is the value of its last key.
    const beside = (value: string) => bytes(`84 a2 4944 a1 61 a3 4c6174 01 a3 4c6f6e 02 a5 4578747261 ${value}`)
    const outcome = (message: Uint8Array) => {
      const { invalid, positions } = Feed.decode(message, now)
      return [positions.length, invalid]
    }
    for (const plainValue of ["c0", "c2", "c4 01 00", "c5 0001 00", "c6 00000001 00", "d9 01 61", "90", "80"]) {
      assert.deepStrictEqual(outcome(beside(plainValue)), [1, 0], plainValue)
    }
    for (
      const extension of [
        "c7 01 05 00",
        "c8 0001 05 00",
        "c9 00000001 05 00",
        "d4 05 00",
        `d5 05 ${"00".repeat(2)}`,
        `d6 05 ${"00".repeat(4)}`,
        `d7 05 ${"00".repeat(8)}`,
        `d8 05 ${"00".repeat(16)}`,
        // The times of MessagePack, in each of their three sizes: they are extensions as well.
        "d6 ff 58f6df9c",
        "d7 ff 00000000 58f6df9c",
        "c7 0c ff 00000000 00000000 58f6df9c"
      ]
    ) {
      assert.deepStrictEqual(outcome(beside(extension)), [0, 1], extension)
    }
    assert.deepStrictEqual(outcome(MessagePack.encode({ ID: "a", Lat: 1, Lon: 2, Date: new Date(now) })), [0, 1])
  })

  it("counts each beginning of a message as one that is none", () => {
    const position = new Position({
      vehicle: "a",
      route: "b",
      lat: 1.5,
      lon: 2.5,
      speed: 3.5,
      at: now,
      emergency: true
    })
    for (const whole of [original, Feed.toMsgpack([position, position], { ack: 1 }), json({ vehicle: { id: "a" } })]) {
      for (let length = 0; length < whole.length; length++) {
        const { invalid, positions } = Feed.decode(whole.subarray(0, length), now)
        assert.deepStrictEqual([positions.length, invalid], [0, 1], `${length} bytes`)
      }
    }
  })

  it("never throws, whatever the bytes: 100 000 at random, and a message with each byte changed", () => {
    const next = chance(7)
    for (let i = 0; i < 100_000; i++) {
      const message = Uint8Array.from({ length: Math.floor(next() * 80) }, () => Math.floor(next() * 256))
      const { invalid, positions } = Feed.decode(message, now)
      if (positions.length > 0) assert.isTrue(positions.every(Schema.is(Position)))
      else assert.isAtMost(invalid, Feed.maxPositions)
    }
    for (let at = 0; at < original.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = original.slice()
        changed[at] = byte
        for (const position of Feed.decode(changed, now).positions) assert.isTrue(Schema.is(Position)(position))
      }
    }
  })

  it.prop(
    "reads what it writes, in both formats",
    [Schema.Array(Position).check(Schema.isMinLength(1), Schema.isMaxLength(20))],
    ([drawn]) => {
      // JSON has no zero below zero, and text has no half characters.
      const positions = drawn.map(({ lat, lon, route, speed, vehicle, ...rest }) =>
        new Position({
          ...rest,
          vehicle: vehicle.replaceAll(/\p{Surrogate}/gu, "x"),
          route: route.replaceAll(/\p{Surrogate}/gu, "x"),
          lat: lat + 0,
          lon: lon + 0,
          speed: speed + 0
        })
      )
      for (
        const message of [
          Feed.toMsgpack(positions, { ack: 9 }),
          new TextEncoder().encode(Feed.toJson(positions, { ack: 9 }))
        ]
      ) {
        const decoded = Feed.decode(message, now)
        assert.deepStrictEqual(plain(decoded.positions), plain(positions))
        assert.deepStrictEqual([decoded.invalid, decoded.ack], [0, 9])
        const untimed = Feed.decode(Feed.toMsgpack(positions, { untimed: true }), now)
        assert.isTrue(untimed.positions.every(({ at }) => at === now))
      }
    }
  )
})
