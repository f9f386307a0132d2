/**
 * What an encoder hands out: outputs that share memory and yet belong to whoever took them, and atoms that are known.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { Etf } from "../../src/etf/index.ts"
import { Atom, ImproperList, Pid, Reference, Term, Tuple } from "../../src/term/index.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"

const sizes = [0, 1, 90, 400, 511, 513, 2000, 2047, 2049, 5000, 16_000, 17_000, 100_000]

describe("the outputs of an encoder", () => {
  it("are not touched by the next ones, whatever their sizes", () => {
    const random = makeRandom(7)
    const encoder = Encoder.make()
    const outputs: Array<readonly [bytes: Uint8Array, term: Term.Term, copy: Uint8Array]> = []
    const keep = (bytes: Uint8Array, term: Term.Term): void => void outputs.push([bytes, term, bytes.slice()])
    for (let n = 0; n < 3000; n++) {
      const size = sizes[Math.floor(random() * (n % 10 === 0 ? sizes.length : 6))]!
      const term = Tuple.make(Atom.make(`atom_${n % 300}`), n, new Uint8Array(size).fill(n))
      if (n % 3 === 0) {
        // In pieces; what is refused in the middle leaves no trace.
        encoder.begin()
        encoder.output.u8(131)
        assert.throws(() => encoder.writeUnsafe([1, Number.NaN] as Term.Term))
        encoder.writeUnsafe(term)
        assert.strictEqual(encoder.length, encoder.view().length)
        keep(encoder.take(), term)
      } else keep(encoder.encodeUnsafe(term), term)
      if (n % 5 === 0) assert.isTrue(Result.isFailure(encoder.encode([Number.NaN] as Term.Term)))
    }
    for (const [bytes, term, copy] of outputs) {
      assert.deepStrictEqual(bytes, copy)
      assert.isTrue(Term.equals(Decoder.make().decodeUnsafe(bytes), term))
    }
  })

  it("can be taken twice, and gone on with", () => {
    const encoder = Encoder.make()
    encoder.begin()
    encoder.writeUnsafe(1)
    const one = encoder.take()
    assert.deepStrictEqual(encoder.take(), one)
    encoder.writeUnsafe(2)
    assert.deepStrictEqual([...encoder.view()], [97, 1, 97, 2])
    assert.deepStrictEqual([...one], [97, 1])
    encoder.begin()
    assert.strictEqual(encoder.length, 0)
  })

  it("of a codec are its callers', too", () => {
    const codec = Etf.compile(Schema.Struct({ n: Schema.Int, text: Schema.String }))
    const values = Array.from({ length: 1000 }, (_, n) => ({ n, text: "x".repeat(n % 97 === 0 ? 3000 : n % 50) }))
    const outputs = values.map((value) => Result.getOrThrow(codec.encode(value)))
    outputs.forEach((bytes, n) => assert.deepStrictEqual(Result.getOrThrow(codec.decode(bytes)), values[n]!))
  })

  it("keep a small memory when a large one has come between", () => {
    const encoder = Encoder.make()
    encoder.encodeUnsafe(Atom.make("small"))
    assert.strictEqual(encoder.encodeUnsafe(new Uint8Array(4 * 1024 * 1024)).length, 4 * 1024 * 1024 + 6)
    const small = encoder.encodeUnsafe(Atom.make("small"))
    assert.isAtMost(small.buffer.byteLength, 16_384)
  })
})

describe("the end of the buffer", () => {
  // The largest identifiers there are, and tuples in all the places where they are written differently: last, not last,
  // and in one that is not last.
  const node = "\u65e5".repeat(255)
  const pid = new Pid.Pid(node, 1, 0xffffffff, 3)
  const ref = new Reference.Reference("x".repeat(64), 1, [1, 2, 3, 4, 0xffffffff])
  const pair = Tuple.make(300, Tuple.make(Tuple.make(Tuple.make(), 1), -1), Tuple.make(2 ** 40))
  const many = Tuple.fromArray(Array.from({ length: 300 }, (_, n) => n * 2))
  const term = Tuple.make(
    Tuple.make(pair, ref, Tuple.make(pid, ImproperList.make([Atom.make("alias")], ref))),
    many,
    [1, 1000, 1.5, Tuple.make(1)],
    ImproperList.make([pair, 2], pair),
    Tuple.make(Atom.make("end"), pair)
  )

  it("may come anywhere", () => {
    const whole = Encoder.make({ initialBytes: 16_384 }).encodeUnsafe(term)
    assert.isTrue(Term.equals(Decoder.make().decodeUnsafe(whole), term))
    for (let initialBytes = 0; initialBytes < whole.length + 120; initialBytes++) {
      const bytes = Encoder.make({ initialBytes }).encodeUnsafe(term)
      assert.isTrue(
        bytes.length === whole.length && bytes.every((byte, i) => byte === whole[i]),
        `from ${initialBytes}`
      )
    }
  })

  it("is no limit: that is the number of bytes allowed, exactly", () => {
    for (const each of [term, pair, pid, ref, many, Atom.make("ok"), 1]) {
      const size = Encoder.make().encodeUnsafe(each).length
      for (const initialBytes of [1, size - 1, size, 2 * size]) {
        assert.isTrue(Result.isSuccess(Encoder.make({ maxBytes: size, initialBytes }).encode(each)))
        const error = Result.getOrThrow(Result.flip(Encoder.make({ maxBytes: size - 1, initialBytes }).encode(each)))
        assert.strictEqual(error.reason, "Limit")
      }
    }
  })

  it("is not the end of the levels: as many are written as are allowed", () => {
    const wraps: ReadonlyArray<(inner: Term.Term) => Term.Term> = [
      (inner) => Tuple.make(inner),
      (inner) => Tuple.make(inner, 1),
      (inner) => Tuple.make(Tuple.make(1), inner),
      (inner) => ImproperList.make([inner], 1)
    ]
    for (const wrap of wraps) {
      for (const levels of [3, 199, 200, 201, 1000]) {
        let deep: Term.Term = Tuple.make()
        for (let n = 1; n < levels; n++) deep = wrap(deep)
        assert.isTrue(Result.isSuccess(Encoder.make({ maxDepth: levels }).encode(deep)))
        const error = Result.getOrThrow(Result.flip(Encoder.make({ maxDepth: levels - 1 }).encode(deep)))
        assert.strictEqual(error.reason, "Limit")
      }
    }
  })
})

describe("atoms", () => {
  it("are written alike whether they are known or not, also where many share a place", () => {
    const names = [
      "",
      "a",
      "\u00e9",
      "ok\u0436",
      "x".repeat(63),
      "x".repeat(64),
      "x".repeat(65),
      "x".repeat(255),
      // One first, one last letter, one length: all of them in one place.
      ...Array.from({ length: 200 }, (_, n) => `k${1000 + n}k`)
    ]
    const encoder = Encoder.make()
    const utf8 = new TextEncoder()
    for (let round = 0; round < 5; round++) {
      for (const name of names) {
        const text = utf8.encode(name)
        const head = text.length < 256 ? [119, text.length] : [118, text.length >> 8, text.length & 255]
        assert.deepStrictEqual([...encoder.encodeUnsafe(Atom.make(name))], [131, ...head, ...text], name)
      }
    }
  })

  it("leave what follows them alone", () => {
    const encoder = Encoder.make()
    const randomTerm = makeRandomTerm(makeRandom(11))
    for (let n = 0; n < 500; n++) {
      const ref = new Reference.Reference("a@b", 0xffffffff, [1, 0xffffffff, n])
      const term = Tuple.make(
        Atom.make("a".repeat(n % 9)),
        ref,
        randomTerm(),
        Atom.make("b".repeat(n % 5)),
        1.5
      )
      assert.isTrue(Term.equals(Decoder.make().decodeUnsafe(encoder.encodeUnsafe(term)), term))
    }
  })
})
