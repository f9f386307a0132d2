import { assert, describe, it } from "@effect/vitest"
import { NumberTable } from "../../../src/process/internal/NumberTable.ts"
import * as fc from "../../dist/generate.ts"

const key = fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer({ min: 0, max: 1 }).map((n) => n * 2 ** 32 + 5))

describe("NumberTable", () => {
  it("is what a Map is, whatever comes and goes", () => {
    const step = fc.tuple(fc.constantFrom("set", "set", "delete"), key)
    fc.check(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new NumberTable<string>()
      const map = new Map<number, string>()
      steps.forEach(([what, key], i) => {
        if (what === "set") {
          table.set(key, `value ${i}`)
          map.set(key, `value ${i}`)
        } else assert.strictEqual(table.delete(key), map.delete(key))
        assert.strictEqual(table.size, map.size)
        assert.strictEqual(table.get(key), map.get(key))
      })
      for (const [key, value] of map) assert.strictEqual(table.get(key), value)
      assert.deepStrictEqual([...table.values()].sort(), [...map.values()].sort())
    })
  })

  it("grows, gives its room back when it is empty, and serves numbers beyond 32 bits", () => {
    const table = new NumberTable<number>()
    for (let i = 0; i < 10_000; i++) table.set(i * 3 + 2 ** 40, i)
    assert.strictEqual(table.size, 10_000)
    for (let i = 0; i < 10_000; i++) assert.strictEqual(table.get(i * 3 + 2 ** 40), i)
    for (let i = 0; i < 10_000; i++) assert.isTrue(table.delete(i * 3 + 2 ** 40))
    assert.strictEqual(table.size, 0)
    assert.deepStrictEqual([...table.values()], [])
    table.set(7, 7)
    assert.strictEqual(table.get(7), 7)
  })
})
