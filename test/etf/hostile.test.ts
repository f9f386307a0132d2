/**
 * What a malicious peer may send. The decoder gives a term or an `EtfDecodeError`, soon, and nothing else happens.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { EtfDecodeError } from "../../src/etf/EtfError.ts"
import * as NodeCompression from "../../src/etf/NodeCompression.ts"
import { ErlMap, Reference, Term } from "../../src/term/index.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"

const decoder = Decoder.make({ inflate: NodeCompression.inflate, maxInflatedBytes: 1 << 20 })
const encoder = Encoder.make()

const isolated = (bytes: Uint8Array): Result.Result<Term.Term, EtfDecodeError> => {
  const result = decoder.decode(bytes)
  if (Result.isFailure(result)) {
    assert.instanceOf(result.failure, EtfDecodeError)
    assert.isAtLeast(result.failure.offset, 0)
    assert.isAtMost(result.failure.path.length, 64)
  }
  return result
}

const repeat = (unit: ReadonlyArray<number>, count: number, end: ReadonlyArray<number>): Uint8Array => {
  const out = new Uint8Array(1 + unit.length * count + end.length)
  out[0] = 131
  for (let i = 0; i < count; i++) out.set(unit, 1 + i * unit.length)
  out.set(end, 1 + count * unit.length)
  return out
}

const timed = <A>(f: () => A): readonly [A, number] => {
  const start = performance.now()
  const value = f()
  return [value, performance.now() - start]
}

describe("hostile bytes", () => {
  const next = makeRandomTerm(makeRandom(2024), { funs: true, negativeZero: true, nodes: [["a@b", 1], ["ж@b", 2]] })
  const seeds = Array.from({ length: 400 }, (_, i) => encoder.encodeUnsafe(next(2 + (i % 4)))).filter((seed) =>
    seed.length < 4000
  )

  // `EFFECT_OTP_FUZZ_CASES` asks for more, for a night's run.
  const cases = Number(process.env["EFFECT_OTP_FUZZ_CASES"] ?? 200_000)

  it(`${cases} mutants of real terms`, () => {
    const random = makeRandom(1)
    const int = (n: number): number => Math.floor(random() * n)
    const interesting = [
      0,
      1,
      2,
      127,
      128,
      255,
      70,
      77,
      80,
      82,
      88,
      90,
      97,
      98,
      99,
      104,
      105,
      106,
      107,
      108,
      109,
      110,
      111,
      112,
      113,
      116,
      119,
      120,
      121
    ]
    const keys = Object.getOwnPropertyNames(Object.prototype).join()
    let accepted = 0
    let slowest = 0
    for (let i = 0; i < cases; i++) {
      const seed = seeds[int(seeds.length)]!
      let mutant = Uint8Array.from(seed)
      for (let n = 1 + int(4); n > 0; n--) {
        const at = 1 + int(mutant.length - 1)
        switch (int(6)) {
          case 0:
            mutant[at]! ^= 1 << int(8)
            break
          case 1:
            mutant[at] = interesting[int(interesting.length)]!
            break
          case 2:
            mutant = mutant.slice(0, Math.max(2, at))
            break
          case 3: {
            const other = seeds[int(seeds.length)]!
            const from = 1 + int(other.length - 1)
            mutant = Uint8Array.from([
              ...mutant.slice(0, at),
              ...other.slice(from, from + int(40)),
              ...mutant.slice(at)
            ])
            break
          }
          case 4:
            mutant = Uint8Array.from([...mutant.slice(0, at), ...mutant.slice(at + 1 + int(8))])
            break
          default:
            for (let j = 0; j < 4 && at + j < mutant.length; j++) mutant[at + j] = 255
        }
      }
      const started = performance.now()
      const result = isolated(mutant)
      slowest = Math.max(slowest, performance.now() - started)
      if (Result.isSuccess(result)) {
        accepted++
        // What was let in is a proper term: it prints, compares and survives its own round trip.
        if (i % 16 === 0) {
          const term = result.success
          Term.print(term, { maxLength: 1000 })
          assert.isTrue(Term.equals(decoder.decodeUnsafe(encoder.encodeUnsafe(term)), term))
        }
      }
    }
    assert.isAbove(accepted, 1000)
    assert.isBelow(slowest, 2000)
    assert.strictEqual(Object.getOwnPropertyNames(Object.prototype).join(), keys)
    for (const seed of seeds) assert.isTrue(Result.isSuccess(isolated(seed)))
  }, Math.max(120_000, cases))

  it("every truncation of every seed is refused as one", () => {
    for (const seed of seeds) {
      for (let end = 0; end < seed.length; end += seed.length > 300 ? 7 : 1) {
        const result = isolated(seed.subarray(0, end))
        // A local term takes what is left; no seed is one, so every cut is an error.
        assert.isTrue(Result.isFailure(result), `${end} of ${seed.length}`)
      }
    }
  })

  it("random bytes", () => {
    const random = makeRandom(3)
    for (let i = 0; i < 50_000; i++) {
      const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256))
      bytes[0] = 131
      if (bytes.length > 1) bytes[1] = 70 + Math.floor(random() * 52)
      isolated(bytes)
    }
  })

  const nests: ReadonlyArray<readonly [string, ReadonlyArray<number>, ReadonlyArray<number>]> = [
    ["tuples", [104, 1], [106]],
    ["large tuples", [105, 0, 0, 0, 1], [106]],
    ["lists", [108, 0, 0, 0, 1], [106]],
    ["tails", [108, 0, 0, 0, 1, 97, 1], [106]],
    ["empty lists with tails", [108, 0, 0, 0, 0], [106]],
    ["map values", [116, 0, 0, 0, 1, 97, 1], [106]],
    ["map keys", [116, 0, 0, 0, 1], [106]],
    ["exports", [113, 119, 1, 97, 119, 1, 98], [97, 1]],
    ["funs", [
      112,
      0,
      0,
      0,
      0,
      1,
      ...new Array(16).fill(0),
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      119,
      1,
      97,
      97,
      0,
      97,
      0,
      88,
      119,
      1,
      97,
      ...new Array(12).fill(0)
    ], [106]]
  ]

  it.each(nests)("2 000 000 levels of %s: a value or an error, within 4 s on a busy machine", (_, unit, end) => {
    for (const bytes of [repeat(unit, 2_000_000, end), repeat(unit, 2_000_000, [])]) {
      const [result, millis] = timed(() => isolated(bytes))
      if (Result.isFailure(result)) assert.include(["Limit", "Truncated", "InvalidFun"], result.failure.reason)
      assert.isBelow(millis, 4000)
    }
  }, 60_000)

  it("a million levels are a value, and go back", () => {
    const bytes = repeat([104, 1], 1_000_000, [106])
    const term = decoder.decodeUnsafe(bytes)
    assert.deepStrictEqual(encoder.encodeUnsafe(term).length, bytes.length)
  }, 60_000)

  it("claims of gigabytes allocate nothing", () => {
    const before = process.memoryUsage()
    for (const tag of [105, 108, 109, 111, 116, 77, 80]) {
      for (const size of [0xffffffff, 0x7fffffff, 0x10000000, 0x00ffffff]) {
        const bytes = new Uint8Array(40)
        bytes.set([131, tag, size >>> 24, (size >>> 16) & 255, (size >>> 8) & 255, size & 255])
        assert.isTrue(Result.isFailure(isolated(bytes)))
      }
    }
    const after = process.memoryUsage()
    assert.isBelow(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers, 16 << 20)
  })

  it("nested claims cannot add up: the elements of one term share a budget", () => {
    // Each list announces as many elements as there are bytes left.
    const bytes = new Uint8Array(200_000)
    bytes[0] = 131
    for (let at = 1; at + 5 < bytes.length; at += 5) {
      bytes[at] = 108
      new DataView(bytes.buffer).setUint32(at + 1, bytes.length - at - 8)
    }
    const [result, millis] = timed(() => isolated(bytes))
    assert.isTrue(Result.isFailure(result))
    assert.isBelow(millis, 1000)
  })

  it("a 256 MiB bomb in 256 KiB is refused at the limit", () => {
    const zeros = new Uint8Array(256 << 20)
    zeros[0] = 109
    new DataView(zeros.buffer).setUint32(1, zeros.length - 5)
    const packed = NodeCompression.deflate(zeros, 9)
    assert.isBelow(packed.length, 300 << 10)
    const bomb = (claim: number): Uint8Array => {
      const bytes = new Uint8Array(6 + packed.length)
      bytes.set([131, 80])
      new DataView(bytes.buffer).setUint32(2, claim)
      bytes.set(packed, 6)
      return bytes
    }
    const fresh = Decoder.make({ inflate: NodeCompression.inflate })
    for (
      const [claim, reason] of [[zeros.length, "Limit"], [0xffffffff, "Limit"], [1000, "Compressed"], [
        64 << 20,
        "Compressed"
      ]] as const
    ) {
      const before = process.memoryUsage().rss
      const result = fresh.decode(bomb(claim))
      assert.strictEqual(Result.getOrThrow(Result.flip(result)).reason, reason)
      assert.isBelow(process.memoryUsage().rss - before, (64 + 16) << 20)
    }
  }, 60_000)

  it("integers of 4 MiB are refused, of 1 MiB are read and go back, both soon", () => {
    for (const [size, fits] of [[4 << 20, false], [1 << 20, true]] as const) {
      const bytes = new Uint8Array(7 + size).fill(255)
      bytes.set([131, 111])
      new DataView(bytes.buffer).setUint32(2, size)
      bytes[6] = 0
      const [result, millis] = timed(() => isolated(bytes))
      assert.strictEqual(Result.isSuccess(result), fits)
      assert.isBelow(millis, 1000)
      if (Result.isSuccess(result)) {
        const [back, backMillis] = timed(() => encoder.encodeUnsafe(result.success))
        assert.deepStrictEqual(Buffer.compare(back, bytes), 0)
        assert.isBelow(backMillis, 3000)
      }
    }
  }, 30_000)

  it("a million fresh atoms leave nothing behind", () => {
    const fresh = Decoder.make()
    const wire = (i: number): Uint8Array => {
      const name = new TextEncoder().encode(`fresh_atom_number_${i}`)
      return Uint8Array.of(131, 119, name.length, ...name)
    }
    for (let i = 0; i < 50_000; i++) fresh.decodeUnsafe(wire(i))
    global.gc?.()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1_000_000; i++) fresh.decodeUnsafe(wire(i))
    global.gc?.()
    assert.isBelow(process.memoryUsage().heapUsed - before, 256 << 20)
  }, 60_000)

  it("half a million compound keys are indexed in linear time", () => {
    const count = 500_000
    const bytes = new Uint8Array(6 + count * 12)
    const view = new DataView(bytes.buffer)
    bytes.set([131, 116])
    view.setUint32(2, count)
    for (let i = 0; i < count; i++) {
      const at = 6 + i * 12
      bytes.set([104, 1, 98], at)
      view.setUint32(at + 3, i * 8191)
      bytes.set([98, 0, 0, 0, 1], at + 7)
    }
    const [result, millis] = timed(() => isolated(bytes))
    assert.isTrue(Result.isSuccess(result))
    assert.isBelow(millis, 4000)
  }, 30_000)

  it("numbers chosen to fall together in a JavaScript map cost what others cost", () => {
    // Values 2^32 apart share the low half, which is most of what an unkeyed hash of a double looks at.
    const time = (key: (i: number) => Term.Term): number => {
      const bytes = encoder.encodeUnsafe(
        new ErlMap.ErlMap(Array.from({ length: 100_000 }, (_, i) => [key(i), 1]).flat())
      )
      return Math.min(...[1, 2, 3].map(() => timed(() => assert.isTrue(Result.isSuccess(isolated(bytes))))[1]))
    }
    const plain = time((i) => i)
    for (
      const key of [
        (i: number) => i * 2 ** 20,
        (i: number) => i * 2 ** 32,
        (i: number) => BigInt(i) << 64n,
        (i: number) => 0.5 + i * 2 ** 30
      ]
    ) {
      assert.isBelow(time(key), 20 * plain + 500)
    }
  }, 30_000)

  it("keys made to collide are refused before they cost quadratic time", () => {
    // The hash of a reference is linear in its words, so such keys are easy to make.
    const map = (count: number): ErlMap.ErlMap =>
      new ErlMap.ErlMap(
        Array.from({ length: count }, (_, i) => [new Reference.Reference("a@b", 1, [100_000 - i, 31 * i]), i]).flat()
      )
    assert.isTrue(Result.isSuccess(isolated(encoder.encodeUnsafe(map(60)))))
    const [result, millis] = timed(() => isolated(encoder.encodeUnsafe(map(50_000))))
    assert.strictEqual(Result.getOrThrow(Result.flip(result)).reason, "DuplicateKey")
    assert.isBelow(millis, 2000)
  })
})
