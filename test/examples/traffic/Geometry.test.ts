/**
 * Distances and boxes on the globe.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { around, contains, distance, earthRadius, farthest, split } from "../../../examples/traffic/Geometry.ts"
import { Latitude, Longitude } from "../../../examples/traffic/Position.ts"

// Where the sphere is special, besides anywhere.
const latitude = Schema.Union([Latitude, Schema.Literals([-90, -89.9999, 0, 89.9999, 90])])
const longitude = Schema.Union([Longitude, Schema.Literals([-180, -179.9999, 0, 179.9999, 180])])
const point = Schema.Tuple([latitude, longitude])
const share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/** A point so many metres away in some direction. */
const destination = (lat: number, lon: number, bearing: number, metres: number): readonly [number, number] => {
  const radians = Math.PI / 180
  const angle = metres / earthRadius
  const sin = Math.sin(lat * radians) * Math.cos(angle) +
    Math.cos(lat * radians) * Math.sin(angle) * Math.cos(bearing)
  const turn = Math.atan2(
    Math.sin(bearing) * Math.sin(angle) * Math.cos(lat * radians),
    Math.cos(angle) - Math.sin(lat * radians) * sin
  )
  const degrees = (lon + turn / radians + 540) % 360 - 180
  return [Math.asin(Math.max(-1, Math.min(1, sin))) / radians, degrees]
}

describe("distance", () => {
  it("is known for some pairs of places", () => {
    // One degree of a great circle.
    const degree = earthRadius * Math.PI / 180
    assert.closeTo(distance(0, 0, 0, 1), degree, 1e-6)
    assert.closeTo(distance(0, 179.5, 0, -179.5), degree, 1e-6)
    assert.closeTo(distance(89.5, 0, 89.5, 180), degree, 1e-3)
    assert.closeTo(distance(90, 12, 90, -100), 0, 1e-6)
    assert.closeTo(distance(-90, 0, 90, 0), farthest, 1e-6)
    // Austin to Houston.
    assert.closeTo(distance(30.2672, -97.7431, 29.7604, -95.3698), 235_500, 500)
  })

  it.prop(
    "is the same both ways, nothing to itself, and never longer than by way of a third place",
    [point, point, point],
    ([a, b, c]) => {
      assert.strictEqual(distance(...a, ...b), distance(...b, ...a))
      assert.strictEqual(distance(...a, ...a), 0)
      assert.isAtMost(distance(...a, ...c), distance(...a, ...b) + distance(...b, ...c) + 0.1)
      assert.isAtMost(distance(...a, ...b), farthest)
    },
    { arbitrary: { runs: 1000 } }
  )
})

describe("boxes", () => {
  it.prop(
    "a box that contains the date line is split there, and contains the same",
    [point, point, point],
    ([[south, west], [north, east], [lat, lon]]) => {
      const box = { south, west, north, east }
      assert.strictEqual(contains(box, lat, lon), split(box).some((part) => contains(part, lat, lon)))
      for (const part of split(box)) assert.isAtMost(part.west, part.east)
    },
    { arbitrary: { runs: 1000 } }
  )

  // Of each size as many: from metres to more than half the earth.
  for (const greatest of [1000, 100_000, farthest * 1.1]) {
    it.prop(
      `the boxes around a circle of up to ${Math.round(greatest)} m contain it, also at the poles and the date line`,
      [point, share, share, share],
      ([[lat, lon], size, direction, inner]) => {
        const radius = size * greatest
        const boxes = around(lat, lon, radius)
        for (const box of boxes) assert.isAtMost(box.west, box.east)
        for (const away of [inner, 1]) {
          const [lat2, lon2] = destination(lat, lon, direction * 2 * Math.PI, radius * away)
          if (distance(lat, lon, lat2, lon2) > radius) continue
          assert.isTrue(boxes.some((box) => contains(box, lat2, lon2)), `${lat2} ${lon2}`)
        }
      },
      { arbitrary: { runs: 2000 } }
    )
  }

  it("are not much larger than the circle, unless a pole is in it", () => {
    assert.deepStrictEqual(around(89.999, 10, 1000).map(({ east, west }) => [west, east]), [[-180, 180]])
    const [box, ...others] = around(30, -97, 1000)
    assert.deepStrictEqual(others, [])
    assert.closeTo(distance(box!.south, -97, box!.north, -97), 2000, 1)
    assert.closeTo(distance(30, box!.west, 30, box!.east), 2000, 1)
    assert.strictEqual(around(0, 180, 1000).length, 2)
  })
})
