import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as City from "../../../examples/traffic/City.ts"
import { distance } from "../../../examples/traffic/Geometry.ts"
import { Position } from "../../../examples/traffic/Position.ts"

const start = 1_700_000_000_000
const metresBetween = (a: { readonly lat: number; readonly lon: number }, b: Position): number =>
  distance(a.lat, a.lon, b.lat, b.lon)
const plain = (positions: ReadonlyArray<Position>) => positions.map((position) => ({ ...position }))

describe("the simulated city", () => {
  it("is the same for a seed, and another one for another", () => {
    const at = (seed: number) => plain(City.make({ seed, vehicles: 100 }).at(start))
    assert.deepStrictEqual(at(1), at(1))
    const [one, other] = [at(1), at(2)]
    assert.isTrue(one.every((position, index) => position.lat !== other[index]!.lat))
  })

  it("has positions that are valid, of vehicles that differ, within the city", () => {
    const positions = City.make({ seed: 3, vehicles: 500 }).at(start)
    assert.isTrue(positions.every(Schema.is(Position)))
    assert.strictEqual(new Set(positions.map(({ vehicle }) => vehicle)).size, 500)
    const centre = { lat: 30.2672, lon: -97.7431 }
    for (const position of positions) assert.isBelow(metresBetween(centre, position), 30_000)
    assert.isAbove(new Set(positions.map(({ route }) => route)).size, 10)
  })

  it("has vehicles that go as fast as they say, and wait at stops", () => {
    const city = City.make({ seed: 1, vehicles: 40 })
    let waiting = 0
    for (let vehicle = 0; vehicle < city.vehicles; vehicle++) {
      for (let second = 0; second < 600; second++) {
        const before = city.vehicleAt(vehicle, start + second * 1000)
        const after = city.vehicleAt(vehicle, start + second * 1000 + 1000)
        const metres = metresBetween(before, after)
        // A second in which it leaves or comes has some of both; a bend cuts a corner.
        assert.isAtMost(metres, Math.max(before.speed, after.speed) + 0.5)
        if (before.speed === 0) waiting++
      }
    }
    assert.isAbove(waiting / (40 * 600), 0.1)
    assert.isBelow(waiting / (40 * 600), 0.6)
  })

  it("has an emergency in about a thousand reports", () => {
    const city = City.make({ seed: 1, vehicles: 200 })
    let emergencies = 0
    for (let second = 0; second < 1000; second++) {
      emergencies += city.at(start + second * 1000).filter(({ emergency }) => emergency).length
    }
    assert.isAbove(emergencies, 130)
    assert.isBelow(emergencies, 280)
  })

  it.effect("reports each vehicle once in a second of the clock, and goes as many times as fast as it is told", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      const city = City.make({ seed: 1, vehicles: 12 })
      const collecting = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(City.reports(city, 60), 10))
      )
      yield* TestClock.adjust("5 seconds")
      const reports = (yield* Fiber.join(collecting)).flat()
      for (const { vehicle } of city.at(start)) {
        const [first, second, ...others] = reports.filter((report) => report.vehicle === vehicle)
        assert.strictEqual(others.length, 0)
        assert.strictEqual(second!.at - first!.at, 1000, vehicle)
        const driven = city.vehicleAt(Number(vehicle) - 1000, start + (second!.at - start) * 60)
        assert.deepStrictEqual([second!.lat, second!.lon], [driven.lat, driven.lon])
      }
    }))
})
