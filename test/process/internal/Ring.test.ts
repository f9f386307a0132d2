import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Ring } from "../../../src/process/internal/Ring.ts"

/** Small numbers are shifts, large ones pushes, the rest removes from the middle. */
const Steps = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })))

const contents = <A>(ring: Ring<A>): Array<A | undefined> => Array.from({ length: ring.length }, (_, i) => ring.at(i))

describe("Ring", () => {
  it("gives back what was pushed, in order", () => {
    const ring = new Ring<number>()
    for (let n = 0; n < 100; n++) ring.push(n)
    assert.strictEqual(ring.length, 100)
    for (let n = 0; n < 100; n++) assert.strictEqual(ring.shift(), n)
    assert.strictEqual(ring.shift(), undefined)
    assert.strictEqual(ring.length, 0)
    assert.strictEqual(ring.at(0), undefined)
  })

  it("removes from the middle and keeps the order of the rest", () => {
    const ring = new Ring<number>()
    for (let n = 0; n < 10; n++) ring.push(n)
    for (let n = 0; n < 5; n++) ring.shift()
    for (let n = 10; n < 13; n++) ring.push(n)
    assert.strictEqual(ring.remove((n) => n === 8), 8)
    assert.strictEqual(ring.remove((n) => n === 12), 12)
    assert.strictEqual(ring.remove((n) => n === 5), 5)
    assert.strictEqual(ring.remove((n) => n === 99), undefined)
    assert.deepStrictEqual(contents(ring), [6, 7, 9, 10, 11])
  })

  it("removes the first of several", () => {
    const ring = new Ring<{ readonly id: number; readonly even: boolean }>()
    for (let id = 1; id <= 6; id++) ring.push({ id, even: id % 2 === 0 })
    assert.strictEqual(ring.remove(({ even }) => even)?.id, 2)
    assert.strictEqual(ring.remove(({ even }) => even)?.id, 4)
  })

  it("gives its memory back when it is emptied", () => {
    const ring = new Ring<number>()
    for (let n = 0; n < 5000; n++) ring.push(n)
    for (let n = 0; n < 5000; n++) ring.shift()
    assert.isAtMost((ring as unknown as { readonly items: Array<unknown> }).items.length, 1024)
    ring.push(1)
    assert.strictEqual(ring.shift(), 1)
  })

  it("holds on to nothing that was taken", () => {
    const ring = new Ring<object>()
    for (let n = 0; n < 6; n++) ring.push({ n })
    ring.shift()
    ring.remove((item) => (item as { readonly n: number }).n === 3)
    const held = (ring as unknown as { readonly items: Array<unknown> }).items.filter((item) => item !== undefined)
    assert.strictEqual(held.length, 4)
  })

  it.prop("is a list", [Steps], ([steps]) => {
    const ring = new Ring<number>()
    const list: Array<number> = []
    let next = 0
    for (const step of steps) {
      if (step < 3) {
        assert.strictEqual(ring.shift(), list.shift())
      } else if (step < 8) {
        for (let i = 0; i < step; i++) {
          ring.push(next)
          list.push(next++)
        }
      } else {
        const at = list.findIndex((n) => n % step === 1)
        assert.strictEqual(ring.remove((n) => n % step === 1), at < 0 ? undefined : list[at])
        if (at >= 0) list.splice(at, 1)
      }
      assert.deepStrictEqual(contents(ring), list)
    }
    return true
  }, { arbitrary: { runs: 500, size: 60 } })
})
