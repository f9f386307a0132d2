import { assert, describe, it } from "@effect/vitest"
import { Offenders } from "../../../src/dist/internal/Offenders.ts"

describe("Offenders", () => {
  it("ten are free, then each is held for at least a second, longer and longer", () => {
    const offenders = new Offenders()
    const held = Array.from({ length: 400 }, () => {
      const { holdMillis } = offenders.record("a", 0)
      if (holdMillis > 0) offenders.release()
      return holdMillis
    })
    assert.deepStrictEqual(held.slice(0, 11), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1000])
    assert.strictEqual(held[399], 4000)
    assert.strictEqual(offenders.record("b", 0).holdMillis, 0)
  })

  it("is forgotten after a while", () => {
    const offenders = new Offenders()
    for (let i = 0; i < 11; i++) offenders.record("a", 0)
    assert.strictEqual(offenders.record("a", 20_000).holdMillis, 0)
  })

  it("holds no more than two hundred links, and reports once a second", () => {
    const offenders = new Offenders()
    const results = Array.from({ length: 300 }, () => offenders.record("a", 5))
    assert.strictEqual(results.filter(({ holdMillis }) => holdMillis > 0).length, 200)
    assert.deepStrictEqual(results.filter(({ report }) => report > 0).map(({ report }) => report), [1])
    assert.strictEqual(offenders.record("a", 1005).report, 300)
  })

  it("a million addresses cost a thousand entries", () => {
    const offenders = new Offenders()
    for (let i = 0; i < 100_000; i++) offenders.record(`address ${i}`, 0)
    assert.strictEqual(offenders.record("address 99999", 0).holdMillis, 0)
  })
})
