import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { AtomCacheReader, AtomCacheWriter } from "../../src/etf/AtomCache.ts"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { Atom, Pid, Term, Tuple } from "../../src/term/index.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"))
const names = (header: { readonly atoms: ReadonlyArray<Atom.Atom> }): ReadonlyArray<string> =>
  header.atoms.map((a) => a.name)

/** Two ends of one direction. */
const makeLink = () => {
  const writer = new AtomCacheWriter()
  const reader = new AtomCacheReader()
  const encoder = Encoder.make()
  const decoder = Decoder.make()
  return {
    writer,
    encode: (term: Term.Term): Uint8Array => {
      writer.begin()
      encoder.begin(writer)
      encoder.writeUnsafe(term)
      const packet = new Uint8Array(writer.headerLength + encoder.length)
      packet.set(encoder.view(), writer.writeHeader(packet, 0))
      return packet
    },
    decode: (packet: Uint8Array): Term.Term => {
      const header = Result.getOrThrow(reader.readHeader(packet, 0, packet.length))
      decoder.open(packet, header.offset, packet.length, header.atoms)
      const term = decoder.readUnsafe()
      assert.strictEqual(decoder.remaining, 0)
      return term
    }
  }
}

describe("AtomCacheReader", () => {
  it("reads new atoms, then known ones", () => {
    const reader = new AtomCacheReader()
    const first = bytes("02 88 00 0a 04 6563686f 0b 02 6869 61 01")
    const header = Result.getOrThrow(reader.readHeader(first, 0, first.length))
    assert.deepStrictEqual(names(header), ["echo", "hi"])
    assert.strictEqual(header.offset, first.length - 2)
    const second = bytes("02 00 00 0a 0b")
    assert.deepStrictEqual(names(Result.getOrThrow(reader.readHeader(second, 0, 5))), ["echo", "hi"])
    // Another segment is another slot; a new entry takes a slot over, and long lengths have two bytes.
    const third = bytes("03 80 18 0a 0002 6f6b 0a 0a 0001 78")
    assert.isTrue(Result.isFailure(reader.readHeader(third, 0, third.length)))
    const long = bytes("01 18 0a 0002 6f6b")
    assert.deepStrictEqual(names(Result.getOrThrow(reader.readHeader(long, 0, long.length))), ["ok"])
    assert.deepStrictEqual(names(Result.getOrThrow(reader.readHeader(bytes("01 00 0a"), 0, 3))), ["ok"])
    assert.deepStrictEqual(names(Result.getOrThrow(reader.readHeader(bytes("00"), 0, 1))), [])
  })

  it("refuses empty slots, broken text and every truncation", () => {
    const reason = (text: string): string => {
      const packet = bytes(text)
      return Result.getOrThrow(Result.flip(new AtomCacheReader().readHeader(packet, 0, packet.length))).reason
    }
    assert.strictEqual(reason("01 00 05"), "AtomCache")
    assert.strictEqual(reason("01 08 05 02 c080"), "InvalidAtom")
    assert.strictEqual(reason(`01 18 05 0100 ${"61".repeat(256)}`), "InvalidAtom")
    assert.strictEqual(reason(`01 18 05 ffff ${"61".repeat(65535)}`), "InvalidAtom")
    const whole = bytes("02 88 00 0a 04 6563686f 0b 02 6869")
    for (let end = 0; end < whole.length; end++) {
      const result = new AtomCacheReader().readHeader(whole, 0, end)
      assert.strictEqual(Result.getOrThrow(Result.flip(result)).reason, "Truncated", String(end))
    }
  })

  it("takes any bytes without another error", () => {
    const random = makeRandom(8)
    const reader = new AtomCacheReader()
    for (let i = 0; i < 50_000; i++) {
      const packet = Uint8Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256))
      const result = reader.readHeader(packet, 0, packet.length)
      if (Result.isSuccess(result)) assert.isAtMost(result.success.offset, packet.length)
    }
  })
})

describe("AtomCacheWriter", () => {
  it("sends the text once", () => {
    const link = makeLink()
    const term = Tuple.make(
      Atom.make("$gen_call"),
      Tuple.make(new Pid.Pid("a@host", 1, 0, 1), Atom.make("$gen_call")),
      Atom.ok
    )
    const first = link.encode(term)
    assert.isTrue(Term.equals(link.decode(first), term))
    link.writer.commit()
    const second = link.encode(term)
    assert.strictEqual(second.length, first.length - (1 + 9) - (1 + 6) - (1 + 2))
    assert.isTrue(Term.equals(link.decode(second), term))
  })

  it("a packet that is not committed leaves no trace", () => {
    const link = makeLink()
    const lost = link.encode([Atom.make("lost"), Atom.ok])
    const again = link.encode([Atom.make("lost"), Atom.ok])
    assert.deepStrictEqual(Array.from(again), Array.from(lost))
    assert.isTrue(Term.equals(link.decode(again), [Atom.make("lost"), Atom.ok]))
    link.writer.commit()
    assert.isBelow(link.encode([Atom.make("lost"), Atom.ok]).length, again.length)
  })

  it("more atoms than slots, more than a header holds, long and wide ones: all arrive", () => {
    const link = makeLink()
    const random = makeRandom(6)
    const next = makeRandomTerm(makeRandom(7), { funs: true, negativeZero: true, nodes: [["a@b", 7], ["ж@b", 8]] })
    for (let i = 0; i < 3000; i++) {
      const atoms = Array.from(
        { length: Math.floor(random() * (i % 50 === 0 ? 600 : 10)) },
        () =>
          new Atom.Atom(
            `${["a", "ж", "😀"][Math.floor(random() * 3)]!.repeat(1 + Math.floor(random() * 120))}${
              Math.floor(random() * 4000)
            }`
          )
      )
      const term = Tuple.make(next(3), atoms)
      const packet = link.encode(term)
      // Now and then a packet is dropped before it is sent.
      if (random() < 0.1) continue
      assert.isTrue(Term.equals(link.decode(packet), term))
      link.writer.commit()
    }
  })

  it("without atoms the header is one byte", () => {
    assert.deepStrictEqual(Array.from(makeLink().encode(1)), [0, 97, 1])
  })
})
