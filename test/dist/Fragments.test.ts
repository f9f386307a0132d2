import { assert, describe, it } from "@effect/vitest"
import { FragmentError, Fragments, progressBytes } from "effect-otp/dist/Fragments"
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
    const few = new Fragments<number>({ maxSequences: 2, maxBytes: 10, maxBegunBytes: 10 })
    assert.isUndefined(few.first(1n, 2n, 0, new Uint8Array(4)))
    assert.isUndefined(few.first(2n, 2n, 0, new Uint8Array(4)))
    assert.instanceOf(few.first(3n, 2n, 0, new Uint8Array(1)), FragmentError)
    assert.instanceOf(few.next(1n, 1n, new Uint8Array(4)), FragmentError)
  })

  it("what a message keeps besides its bytes counts as well, and no longer than it", () => {
    const fragments = new Fragments<number>({ maxSequences: 9, maxBytes: 100, maxBegunBytes: 100 })
    assert.isUndefined(fragments.first(1n, 2n, 0, new Uint8Array(10), 60))
    assert.strictEqual(fragments.bytes, 70)
    assert.instanceOf(fragments.first(2n, 2n, 0, new Uint8Array(1), 30), FragmentError)
    assert.deepStrictEqual(fragments.next(1n, 1n, new Uint8Array(5)), { head: 0, payload: new Uint8Array(15) })
    assert.strictEqual(fragments.bytes, 0)
    assert.isUndefined(fragments.first(2n, 2n, 0, new Uint8Array(10), 90))
  })

  describe("messages that were only begun", () => {
    const limits = { maxSequences: 1000, maxBytes: 100 * progressBytes, maxBegunBytes: 8 * progressBytes }
    const fragment = new Uint8Array(progressBytes)

    it("[B8] have a limit of their own, whatever is sent behind their beginnings that does not bring them on", () => {
      for (const behind of [0, 1, progressBytes - 1]) {
        const fragments = new Fragments<number>(limits)
        let refused: FragmentError | undefined
        for (let id = 1n; refused === undefined && id <= 20n; id++) {
          for (const given of [fragments.first(id, 9n, 0, fragment), fragments.next(id, 8n, new Uint8Array(behind))]) {
            if (given instanceof FragmentError) refused ??= given
          }
          assert.isAtMost(fragments.bytes, limits.maxBegunBytes)
        }
        assert.match(refused!.detail, /only begun/)
      }
    })

    it("are no longer that once they go on, and their bytes are free for others when they are complete", () => {
      const fragments = new Fragments<number>(limits)
      for (let id = 1n; id <= 40n; id++) {
        assert.isUndefined(fragments.first(id, 3n, 0, fragment))
        assert.isUndefined(fragments.next(id, 2n, fragment))
      }
      assert.strictEqual(fragments.bytes, 80 * progressBytes)
      const end = new Uint8Array(1)
      for (let id = 101n; id <= 140n; id++) {
        assert.isUndefined(fragments.first(id, 2n, 0, fragment))
        assert.strictEqual(
          (fragments.next(id, 1n, end) as { readonly payload: Uint8Array }).payload.length,
          progressBytes + 1
        )
      }
      for (let id = 201n; id <= 208n; id++) assert.isUndefined(fragments.first(id, 3n, 0, fragment))
      assert.match((fragments.first(209n, 3n, 0, fragment) as FragmentError).detail, /only begun/)
    })

    it("are each held up by none: as many as fit go on in turn", () => {
      const fragments = new Fragments<number>(limits)
      // As three large messages of one Erlang node: far more than what may only be begun.
      for (let id = 1n; id <= 3n; id++) assert.isUndefined(fragments.first(id, 30n, 0, fragment))
      for (let number = 29n; number > 1n; number--) {
        for (let id = 1n; id <= 3n; id++) assert.isUndefined(fragments.next(id, number, fragment))
      }
      assert.strictEqual(fragments.bytes, 87 * progressBytes)
      for (let id = 1n; id <= 3n; id++) {
        assert.strictEqual(
          (fragments.next(id, 1n, fragment) as { readonly payload: Uint8Array }).payload.length,
          30 * progressBytes
        )
      }
      assert.strictEqual(fragments.bytes, 0)
    })
  })

  it("[B8] a message that is not gone on with grows old, one that is does not", () => {
    const fragments = new Fragments<number>()
    for (let id = 1n; id <= 3n; id++) fragments.first(id, 99n, 0, Uint8Array.of(1))
    fragments.next(1n, 98n, new Uint8Array(progressBytes))
    for (let i = 0; i < 3; i++) {
      assert.isUndefined(fragments.age(4))
      // Neither nothing nor a little is going on, and a quarter each time is.
      fragments.next(1n, BigInt(97 - i), new Uint8Array(progressBytes))
      fragments.next(2n, BigInt(98 - i), new Uint8Array(progressBytes / 4 - i))
      fragments.next(3n, BigInt(98 - i), new Uint8Array(progressBytes / 2))
    }
    assert.match(fragments.age(4)!.detail, /message 2 /)
    const slow = new Fragments<number>()
    slow.first(1n, 99n, 0, Uint8Array.of(1))
    for (let i = 0; i < 20; i++) {
      assert.isUndefined(slow.age(4))
      slow.next(1n, BigInt(98 - i), new Uint8Array(progressBytes / 3 + 1))
    }
  })

  it("holds nothing once it is cleared", () => {
    const fragments = new Fragments<number>({ maxSequences: 2, maxBytes: 10, maxBegunBytes: 10 })
    fragments.first(1n, 2n, 0, new Uint8Array(4), 5)
    fragments.clear()
    assert.deepStrictEqual([fragments.size, fragments.bytes], [0, 0])
    assert.isUndefined(fragments.first(2n, 2n, 0, new Uint8Array(10)))
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
