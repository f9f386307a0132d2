/**
 * Legs as they are written into the database.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { fromRequests, rowOf } from "../../../examples/traffic/Batch.ts"
import * as Leg from "../../../examples/traffic/Leg.ts"
import { Position } from "../../../examples/traffic/Position.ts"

describe("legs", () => {
  it.prop(
    "positions are the same after their way through a batch and the text of a leg",
    [Schema.NonEmptyArray(Schema.NonEmptyArray(Position))],
    ([requests]) => {
      const batch = fromRequests(requests)
      const positions = requests.flat()
      assert.deepStrictEqual(batch.sizes, requests.map(({ length }) => length))
      const rows = positions.map((_, i) => rowOf(batch, i))
      Leg.read(Leg.write(rows)).forEach((place, i) => {
        const { emergency, ...rest } = place
        const position = new Position({ ...rest, vehicle: rows[i]!.vehicle, emergency: emergency === 1 })
        // JSON has no zero with a sign.
        const { lat, lon, speed } = positions[i]!
        assert.deepStrictEqual(
          position,
          new Position({ ...positions[i]!, lat: lat + 0, lon: lon + 0, speed: speed + 0 })
        )
      })
    },
    { arbitrary: { runs: 300 } }
  )

  it("knows where a time belongs", () => {
    const leg = [10, 20, 30].map((at) => ({ at }))
    assert.deepStrictEqual([9, 10, 15, 20, 30, 31].map((at) => Leg.after(leg, at)), [0, 1, 1, 2, 3, 3])
    assert.strictEqual(Leg.after([], 1), 0)
  })
})
