/**
 * Framings: the same frames whatever the chunks, what is refused, and as steps of a stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema, Stream } from "effect"
import { Framing, type NetError } from "effect-otp/net"

const text = new TextEncoder()
const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

/** Feeds bytes in chunks of these sizes, in turn, and gives all frames and the reason of the end. */
const feed = <In>(framing: Framing.Framing<In, never>, input: Uint8Array, sizes: ReadonlyArray<number>) => {
  const decoder = framing.makeDecoder()
  const frames: Array<In> = []
  let error: NetError.FrameError | undefined
  for (let at = 0, turn = 0; at < input.length && error === undefined; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
    // A chunk that is overwritten afterwards, as a reader may do with its buffer.
    const chunk = input.slice(at, at + size)
    const fed = decoder.feed(chunk)
    chunk.fill(0xaa)
    frames.push(...fed.frames)
    error = fed.error
    at += size
  }
  return { frames, end: (error ?? decoder.finish())?.reason }
}

const written = <Out>(framing: Framing.Framing<unknown, Out>, frames: ReadonlyArray<Out>): Uint8Array => {
  const parts = frames.map((frame) => Result.getOrThrow(framing.encodeFrame(frame)))
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0)
  return all
}

const Sizes = Schema.Array(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 40 }))))
const Bytes = Schema.Array(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 255 }))))
const Frames = Schema.Array(Bytes)

const pairs = Framing.custom<number, number>({
  name: "pairs",
  decode: (bytes) => bytes.length < 2 ? Framing.more(2) : Framing.frame(bytes[0]! * 256 + bytes[1]!, 2),
  encode: (n) => bytes(Math.floor(n / 256) % 256, n % 256)
})

/** Framings of bytes, each small enough for random bytes to meet its limits. */
const framings: ReadonlyArray<readonly [string, Framing.Framing<unknown, never>]> = [
  ["lines", Framing.lines({ maxBytes: 12 })],
  ["a delimiter of one byte", Framing.delimiter(bytes(0), { maxBytes: 12 })],
  ["a delimiter of three bytes", Framing.delimiter(bytes(1, 1, 2), { maxBytes: 12 })],
  ["a length of one byte", Framing.lengthPrefix({ size: 1, maxBytes: 30 })],
  [
    "a length of two bytes, low first, inclusive",
    Framing.lengthPrefix({ size: 2, littleEndian: true, inclusive: true })
  ],
  ["a decoder of one's own", pairs]
]

describe("Framing", () => {
  for (const [name, framing] of framings) {
    it.effect.prop(
      `${name}: any chunks give the same frames and the same end, whatever the bytes`,
      [Bytes, Sizes],
      ([input, sizes]) =>
        Effect.sync(() => {
          // Few different bytes, so that delimiters and small lengths happen.
          const all = Uint8Array.from(input, (n) => (n < 200 ? n % 14 : n))
          assert.deepStrictEqual(feed(framing, all, sizes), feed(framing, all, [Math.max(1, all.length)]))
        }),
      { arbitrary: { runs: 500 } }
    )
  }

  it.effect.prop("what was written is read, in any chunks", [Frames, Sizes], ([frames, sizes]) =>
    Effect.sync(() => {
      const payloads = frames.map((frame) => Uint8Array.from(frame))
      for (const size of [2, 4] as const) {
        const framing = Framing.lengthPrefix({ size })
        assert.deepStrictEqual(feed(framing, written(framing, payloads), sizes), { frames: payloads, end: undefined })
      }
      const zeros = Framing.delimiter(bytes(0))
      const without = payloads.map((payload) => payload.filter((n) => n !== 0))
      assert.deepStrictEqual(feed(zeros, written(zeros, without), sizes), { frames: without, end: undefined })
    }))

  it.effect.prop(
    "lines of any text come back",
    [Schema.Array(Schema.String), Sizes],
    ([texts, sizes]) =>
      Effect.sync(() => {
        // Unpaired surrogates have no UTF-8, and become something else before.
        const lines = texts.map((line) => new TextDecoder().decode(text.encode(line.replaceAll(/[\r\n\uFEFF]/g, ""))))
        const framing = Framing.lines()
        assert.deepStrictEqual(feed(framing, written(framing, lines), sizes), { frames: lines, end: undefined })
      })
  )

  it("lines end with LF or CRLF, and a CR inside stays", () => {
    assert.deepStrictEqual(feed(Framing.lines(), text.encode("a\r\nb\n\nc\rd\n"), [3]).frames, ["a", "b", "", "c\rd"])
  })

  it("a frame may be exactly as long as the limit, and not longer", () => {
    const lines = Framing.lines({ maxBytes: 3 })
    assert.deepStrictEqual(feed(lines, text.encode("abc\nabc\r\n"), [1]), { frames: ["abc", "abc"], end: undefined })
    for (const sizes of [[1], [100]]) {
      assert.deepStrictEqual(feed(lines, text.encode("ok\nabcd\nnever\n"), sizes), { frames: ["ok"], end: "TooLarge" })
    }
    assert.strictEqual(Result.isFailure(lines.encodeFrame("abcd")), true)
    assert.strictEqual(Result.isSuccess(lines.encodeFrame("abc")), true)
  })

  it("a length beyond the limit is refused before its bytes come", () => {
    assert.deepStrictEqual(feed(Framing.lengthPrefix(), bytes(0xff, 0xff, 0xff, 0xff), [4]), {
      frames: [],
      end: "TooLarge"
    })
  })

  it("refuses what is no UTF-8, what ends early, and a length shorter than itself", () => {
    assert.deepStrictEqual(feed(Framing.lines(), bytes(0x61, 10, 0xff, 10, 0x62, 10), [6]), {
      frames: ["a"],
      end: "Malformed"
    })
    assert.strictEqual(feed(Framing.lines(), text.encode("a\nhalf"), [4]).end, "Incomplete")
    assert.strictEqual(feed(Framing.lengthPrefix({ inclusive: true }), bytes(0, 0, 0, 3), [4]).end, "Malformed")
  })

  it("refuses to write what would not be read as one frame", () => {
    const reasonOf = (result: Result.Result<unknown, NetError.FrameError>) =>
      Result.isFailure(result) ? result.failure.reason : "written"
    assert.strictEqual(reasonOf(Framing.lines().encodeFrame("a\nQUIT")), "Malformed")
    assert.strictEqual(reasonOf(Framing.lines().encodeFrame("a\r")), "Malformed")
    assert.strictEqual(reasonOf(Framing.delimiter("--").encodeFrame(text.encode("a--b"))), "Malformed")
    assert.strictEqual(reasonOf(Framing.delimiter("--").encodeFrame(text.encode("a-"))), "Malformed")
    assert.strictEqual(reasonOf(Framing.lengthPrefix({ size: 1 }).encodeFrame(new Uint8Array(256))), "TooLarge")
  })

  it("a decoder that throws, or finds a frame of no or of foreign bytes, has found nothing", () => {
    const throws = Framing.custom({
      name: "throws",
      decode: (): Framing.Found<never> => {
        throw new Error("boom")
      }
    })
    assert.strictEqual(feed(throws, bytes(1), [1]).end, "Malformed")
    for (const size of [0, -1, 2, NaN]) {
      const lies = Framing.custom({ name: "lies", decode: () => Framing.frame("x", size) })
      assert.deepStrictEqual(feed(lies, bytes(1), [1]), { frames: [], end: "Malformed" })
    }
  })

  it("values of a schema: what does not fit is refused behind what did", () => {
    const Point = Schema.Struct({ x: Schema.Int })
    const points = Framing.lines().pipe(Framing.schema(Schema.fromJsonString(Point)))
    assert.deepStrictEqual(feed(points, written(points, [{ x: 1 }, { x: 2 }]), [3]), {
      frames: [{ x: 1 }, { x: 2 }],
      end: undefined
    })
    for (const wrong of [`{"x":"2"}`, "not json", ""]) {
      assert.deepStrictEqual(feed(points, text.encode(`{"x":1}\n${wrong}\n{"x":3}\n`), [100]), {
        frames: [{ x: 1 }],
        end: "Malformed"
      })
    }
    assert.strictEqual(Result.isFailure(points.encodeFrame({ x: 0.5 })), true)
  })

  it("keeps no more than the limit, however much comes without an end", () => {
    const decoder = Framing.lines({ maxBytes: 1000 }).makeDecoder()
    const chunk = new Uint8Array(64).fill(0x61)
    let most = 0
    for (let i = 0; i < 1000; i++) {
      decoder.feed(chunk)
      most = Math.max(most, decoder.pending)
    }
    assert.isAtMost(most, 1002)
  })

  it.effect("a step of a stream, both ways", () =>
    Effect.gen(function*() {
      const lines = ["one", "two", "three"]
      const back = yield* Stream.fromIterable(lines).pipe(
        Framing.encode(Framing.lines()),
        Stream.flatMap((chunk) => Stream.fromIterable([...chunk].map((byte) => bytes(byte)))),
        Framing.decode(Framing.lines()),
        Stream.runCollect
      )
      assert.deepStrictEqual(back, lines)
      const seen: Array<string> = []
      const error = yield* Stream.make(text.encode("a\nb\nhalf")).pipe(
        Framing.decode(Framing.lines()),
        Stream.runForEach((line) => Effect.sync(() => seen.push(line))),
        Effect.flip
      )
      assert.deepStrictEqual(seen, ["a", "b"])
      assert.strictEqual(error.reason, "Incomplete")
    }))
})
