import { assert, describe, it } from "@effect/vitest"
import { FragmentError, Fragments } from "effect-otp/dist/Fragments"
import { makeRandom } from "../term/randomTerm.ts"
import * as fc from "./generate.ts"

describe("Fragments", () => {
  it("messages that interleave come out whole", () => {
    const message = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 6 })
    fc.check(fc.tuple(fc.array(message, { minLength: 1, maxLength: 5 }), fc.nat(1e9)), ([messages, seed]) => {
      const random = makeRandom(seed)
      const fragments = new Fragments<number>()
      const sent = messages.map(() => 0)
      const got = new Map<number, Uint8Array>()
      while (sent.some((n, i) => n < messages[i]!.length)) {
        const i = Math.floor(random() * messages.length)
        const parts = messages[i]!
        if (sent[i] === parts.length) continue
        const at = sent[i]!
        sent[i] = at + 1
        const id = BigInt(i) + (1n << 60n)
        const result = at === 0
          ? fragments.first(id, BigInt(parts.length), i, parts[0]!)
          : fragments.next(id, BigInt(parts.length - at), parts[at]!)
        if (result instanceof FragmentError) throw new Error(result.detail)
        if (result !== undefined) got.set(result.head, result.payload)
      }
      messages.forEach((parts, i) => assert.deepStrictEqual([...got.get(i)!], parts.flatMap((part) => [...part])))
      assert.strictEqual(fragments.size, 0)
      assert.strictEqual(fragments.bytes, 0)
    })
  })

  it("large fragments are kept in order with small ones", () => {
    const fragments = new Fragments<string>()
    const parts = [10, 20_000, 30, 40, 50_000, 60].map((size, i) => new Uint8Array(size).fill(i))
    let result = fragments.first(1n, 6n, "x", parts[0]!)
    for (let i = 1; i < 6; i++) result = fragments.next(1n, BigInt(6 - i), parts[i]!)
    assert.deepStrictEqual(
      (result as { readonly payload: Uint8Array }).payload,
      Uint8Array.from(parts.flatMap((part) => [...part]))
    )
  })

  it("fragments out of turn are refused", () => {
    const refused = (f: (fragments: Fragments<number>) => unknown) => {
      const fragments = new Fragments<number>()
      fragments.first(1n, 3n, 0, Uint8Array.of(1))
      assert.instanceOf(f(fragments), FragmentError)
    }
    refused((fragments) => fragments.next(2n, 2n, Uint8Array.of(1)))
    refused((fragments) => fragments.next(1n, 3n, Uint8Array.of(1)))
    refused((fragments) => fragments.next(1n, 1n, Uint8Array.of(1)))
    refused((fragments) => fragments.first(1n, 3n, 0, Uint8Array.of(1)))
    refused((fragments) => fragments.first(5n, 0n, 0, Uint8Array.of(1)))
  })

  it("an absurd number of fragments costs nothing", () => {
    const fragments = new Fragments<number>()
    assert.isUndefined(fragments.first(1n, 0xffffffffffffffffn, 0, Uint8Array.of(1)))
    assert.strictEqual(fragments.bytes, 1)
  })

  it("messages under way and their bytes have limits", () => {
    const few = new Fragments<number>({ maxSequences: 2, maxBytes: 10 })
    assert.isUndefined(few.first(1n, 2n, 0, new Uint8Array(4)))
    assert.isUndefined(few.first(2n, 2n, 0, new Uint8Array(4)))
    assert.instanceOf(few.first(3n, 2n, 0, new Uint8Array(1)), FragmentError)
    assert.instanceOf(few.next(1n, 1n, new Uint8Array(4)), FragmentError)
  })

  it("a message that is not gone on with grows old, one that is does not", () => {
    const fragments = new Fragments<number>()
    fragments.first(1n, 9n, 0, Uint8Array.of(1))
    fragments.first(2n, 9n, 0, Uint8Array.of(1))
    for (let i = 0; i < 3; i++) {
      assert.isUndefined(fragments.age(3))
      fragments.next(2n, BigInt(8 - i), Uint8Array.of(1))
    }
    const old = fragments.age(3)
    assert.match(old!.detail, /message 1 /)
  })

  it("a buffer that is used again does not change what was kept", () => {
    const fragments = new Fragments<number>()
    const buffer = Uint8Array.of(1, 2, 3)
    fragments.first(1n, 2n, 0, buffer)
    buffer.fill(9)
    const result = fragments.next(1n, 1n, Uint8Array.of(4))
    assert.deepStrictEqual((result as { readonly payload: Uint8Array }).payload, Uint8Array.of(1, 2, 3, 4))
  })
})
