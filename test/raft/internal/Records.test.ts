/**
 * Bytes that are written and read again, wherever the memory of the writer ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { checksum, RecordReader, RecordWriter, scan } from "../../../src/raft/internal/Records.ts"
import * as fc from "../../dist/generate.ts"

type Item =
  | readonly ["byte", number]
  | readonly ["number", number]
  | readonly ["raw", Uint8Array]
  | readonly ["texts", ReadonlyArray<string>]

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.tuple(fc.constant("byte" as const), fc.integer({ min: 0, max: 255 })),
  fc.tuple(fc.constant("number" as const), fc.nat(1e9).map((value) => value / 7)),
  fc.tuple(fc.constant("raw" as const), fc.uint8Array({ maxLength: 3000 })),
  fc.tuple(fc.constant("texts" as const), fc.array(fc.string()))
)

const write = (writer: RecordWriter, items: ReadonlyArray<Item>): RecordWriter => {
  for (const [kind, value] of items) {
    if (kind === "byte") writer.byte(value)
    else if (kind === "number") writer.number(value)
    else if (kind === "raw") writer.raw(value)
    else writer.texts(value)
  }
  return writer
}

const read = (reader: RecordReader, items: ReadonlyArray<Item>): ReadonlyArray<Item> =>
  items.map(([kind]): Item =>
    kind === "byte"
      ? [kind, reader.byte()]
      : kind === "number"
      ? [kind, reader.number()]
      : kind === "raw"
      ? [kind, reader.raw()]
      : [kind, reader.texts()]
  )

describe("records", () => {
  it("hold what was written", () => {
    fc.check(fc.array(item, { maxLength: 50 }), (items) => {
      const reader = new RecordReader(write(new RecordWriter(), items).take(), 0)
      assert.deepStrictEqual(read(reader, items), items)
      assert.strictEqual(reader.left, 0)
    })
  })

  it("lose nothing where the memory of the writer ends", () => {
    const tail: ReadonlyArray<Item> = [["byte", 7], ["number", 8.5], ["raw", Uint8Array.of(9, 10)], ["texts", ["a"]]]
    for (const [i] of tail.entries()) {
      const items = [...tail.slice(i), ...tail.slice(0, i)]
      for (let size = 980; size <= 1024; size++) {
        const writer = new RecordWriter()
        for (let j = 0; j < size; j++) writer.byte(1)
        const reader = new RecordReader(write(writer, items).take(), size)
        assert.deepStrictEqual(read(reader, items), items)
      }
    }
  })

  it("are read one by one, or not at all", () => {
    fc.check(fc.array(fc.array(item, { maxLength: 5 }), { maxLength: 20 }), (records) => {
      const writer = new RecordWriter()
      for (const items of records) {
        writer.begin()
        write(writer, items)
        writer.end()
      }
      const seen: Array<ReadonlyArray<Item>> = []
      const verdict = scan(writer.take(), (reader) => seen.push(read(reader, records[seen.length]!)))
      assert.deepStrictEqual(verdict, { _tag: "Whole" })
      assert.deepStrictEqual(seen, records)
    })
  })

  it("[S32] a file that is cut anywhere is torn, and whole up to there", () => {
    const writer = new RecordWriter()
    const ends = [0]
    for (let i = 0; i < 5; i++) {
      writer.begin().number(i).text("x".repeat(i)).end()
      ends.push(writer.take().length)
    }
    const bytes = writer.take()
    for (let length = 0; length <= bytes.length; length++) {
      const verdict = scan(bytes.subarray(0, length), () => {})
      assert.deepStrictEqual(
        verdict,
        ends.includes(length) ? { _tag: "Whole" } : { _tag: "Torn", length: ends.findLast((end) => end <= length)! }
      )
    }
  })

  it("have the checksum of the standard", () => {
    assert.strictEqual(checksum(new TextEncoder().encode("123456789")), 0xcbf43926)
  })

  it("count only with whole numbers from zero up", () => {
    for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(() => new RecordReader(new RecordWriter().number(value).take(), 0).natural(), RangeError)
    }
  })
})
