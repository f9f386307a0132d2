/**
 * From keys to places: stable, even, and with as few moves as possible when the number of places changes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { hashOf, jumpTo, type Key, partitionOf } from "../../../src/otp/internal/KeyHash.ts"

const Key = Schema.Union([Schema.String, Schema.Number, Schema.BigInt, Schema.Boolean])
const Places = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))

const keys: ReadonlyArray<Key> = Array.from({ length: 20_000 }, (_, n) => `user:${n}`)

/** How many keys each place has. */
const spread = (place: (key: Key) => number, places: number): ReadonlyArray<number> => {
  const counts = new Array<number>(places).fill(0)
  for (const key of keys) counts[place(key)]!++
  return counts
}

describe("the hash of a key", () => {
  it("is the same in every run and on every node", () => {
    assert.deepStrictEqual(
      ["", "alice", "Grüße", 0, -0, 1.5, 2 ** 53, 10n, true].map(hashOf),
      [2544560023, 96143354, 36844179, 2252830357, 2252830357, 196380133, 799281902, 1566296216, 353369328]
    )
  })

  it("keeps a number apart from the string that prints like it", () => {
    assert.notStrictEqual(hashOf(1), hashOf("1"))
    assert.notStrictEqual(hashOf(true), hashOf("true"))
    assert.strictEqual(hashOf(1), hashOf(1n))
  })
})

describe("the partition of a key", () => {
  it("is the remainder of an integer, whatever its sign and size", () => {
    assert.deepStrictEqual([0, 3, 4, 13, -1, 10n ** 30n + 3n, -5n].map((key) => partitionOf(key, 4)), [
      0,
      3,
      0,
      1,
      1,
      3,
      1
    ])
  })

  it("is evenly spread for strings", () => {
    for (const count of spread((key) => partitionOf(key, 16), 16)) assert.approximately(count, 1250, 150)
  })

  it.prop("is one of the places, and always the same", [Key, Places], ([key, places]) => {
    const place = partitionOf(key, places)
    assert.isTrue(Number.isInteger(place) && place >= 0 && place < places, String(place))
    assert.strictEqual(partitionOf(key, places), place)
  })
})

describe("the place of a key among a changing number of places", () => {
  it("is evenly spread", () => {
    for (const count of spread((key) => jumpTo(key, 16), 16)) assert.approximately(count, 1250, 150)
  })

  it.prop("stays, or is the new one, when one place is added", [Key, Places], ([key, places]) => {
    const before = jumpTo(key, places)
    const after = jumpTo(key, places + 1)
    assert.isTrue(before >= 0 && before < places, String(before))
    assert.isTrue(after === before || after === places, `${before} -> ${after} of ${places + 1}`)
  })

  it("moves for one key in n + 1 when there are n + 1 instead of n", () => {
    for (const n of [1, 4, 9]) {
      const moved = keys.filter((key) => jumpTo(key, n) !== jumpTo(key, n + 1)).length
      assert.approximately(moved, keys.length / (n + 1), 0.05 * keys.length / (n + 1), `from ${n}`)
    }
  })
})
