/**
 * A simulated city: lines that cross each other, and vehicles that go back and forth on them and wait at their stops.
 *
 * It is a function of a seed and a time, without a state: the same seed has the same city, wherever and whenever.
 */
import { Clock, Effect, Schedule, Stream } from "effect"
import { Position } from "./Position.ts"

/** What a city is made from. */
export interface Options {
  readonly seed: number
  readonly vehicles: number
  /** How many lines there are: one for 20 vehicles, at least 4. */
  readonly lines?: number
}

export interface City {
  /** Where all vehicles are at a time, in milliseconds since 1970. */
  readonly at: (millis: number) => ReadonlyArray<Position>
  /** Where one of them is, by its number. */
  readonly vehicleAt: (vehicle: number, millis: number) => Position
  readonly vehicles: number
}

/** The middle of the city: Austin, Texas. */
const centre = { lat: 30.2672, lon: -97.7431 }
const metresPerDegree = 111_320
const metresPerDegreeOfLongitude = metresPerDegree * Math.cos(centre.lat * Math.PI / 180)

/** How far from the middle lines turn round, in metres. */
const radius = 12_000
const stopsPerLine = 24
const secondsAtStop = 20
/** One position in so many is an emergency. */
const emergencyEvery = 1000

/** A number from 0 to 1 for each list of integers: the same for the same list (MurmurHash's final mix). */
const chance = (...keys: ReadonlyArray<number>): number => {
  let hash = 0x9e3779b9
  for (const key of keys) {
    hash = Math.imul(hash ^ (key | 0), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return (hash >>> 0) / 0x1_0000_0000
}

/** A stop, in metres to the east and north of the middle, and when a vehicle is there that has left the first at 0. */
interface Stop {
  readonly x: number
  readonly y: number
  readonly arrives: number
}

interface Line {
  readonly name: string
  readonly stops: ReadonlyArray<Stop>
  /** Metres per second between stops. */
  readonly speed: number
  /** How long a way takes, from the first stop to the end of the wait at the last one: in seconds. */
  readonly duration: number
}

/** A line through the middle or by it, from one side to the other, with a bend at each stop. */
const makeLine = (seed: number, line: number): Line => {
  const speed = 8 + 7 * chance(seed, line, 1)
  const direction = 2 * Math.PI * chance(seed, line, 2)
  const aside = (chance(seed, line, 3) - 0.5) * radius
  const length = 2 * radius / (stopsPerLine - 1)
  let bend = 0
  let x = -radius * Math.cos(direction) - aside * Math.sin(direction)
  let y = -radius * Math.sin(direction) + aside * Math.cos(direction)
  let seconds = 0
  const stops: Array<Stop> = []
  for (let stop = 0; stop < stopsPerLine; stop++) {
    stops.push({ x, y, arrives: seconds })
    // Bends come and go: a line comes out on the other side.
    bend = bend * 0.6 + (chance(seed, line, 4, stop) - 0.5) * 1.4
    x += length * Math.cos(direction + bend)
    y += length * Math.sin(direction + bend)
    seconds += secondsAtStop + length / speed
  }
  return { name: String(line + 1), stops, speed, duration: stops.at(-1)!.arrives + secondsAtStop }
}

/** Where a vehicle is on the way out, so many seconds after it came to the first stop; it waits there, too. */
const placeOn = (
  { speed, stops }: Line,
  seconds: number
): { readonly x: number; readonly y: number; readonly speed: number } => {
  let low = 0
  let high = stops.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (stops[middle]!.arrives <= seconds) low = middle
    else high = middle - 1
  }
  const from = stops[low]!
  const to = stops[low + 1]
  const moving = seconds - from.arrives - secondsAtStop
  if (to === undefined || moving <= 0) return { x: from.x, y: from.y, speed: 0 }
  const share = Math.min(1, moving / (to.arrives - from.arrives - secondsAtStop))
  return { x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y), speed }
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

export const make = ({ seed, vehicles, lines = Math.max(4, Math.ceil(vehicles / 20)) }: Options): City => {
  const all = Array.from({ length: lines }, (_, line) => makeLine(seed, line))
  const vehicleAt = (vehicle: number, millis: number): Position => {
    const line = all[vehicle % lines]!
    // There and back.
    const round = 2 * line.duration
    const seconds = (millis / 1000 + round * chance(seed, vehicle, 5)) % round
    const { speed, x, y } = placeOn(line, seconds < line.duration ? seconds : round - seconds)
    return new Position({
      vehicle: `${1000 + vehicle}`,
      route: line.name,
      lat: rounded(centre.lat + y / metresPerDegree, 6),
      lon: rounded(centre.lon + x / metresPerDegreeOfLongitude, 6),
      speed: rounded(speed, 2),
      at: Math.floor(millis),
      emergency: chance(seed, vehicle, Math.floor(millis / 1000), 6) < 1 / emergencyEvery
    })
  }
  return {
    vehicles,
    vehicleAt,
    at: (millis) => Array.from({ length: vehicles }, (_, vehicle) => vehicleAt(vehicle, millis))
  }
}

/** How many times in a second some of the vehicles report; each of them does once. */
const ticks = 5

/**
 * The reports of the vehicles, from now on: each says once in a second where it is. The city moves `speed` times as fast
 * as the clock; the times of the reports are those of the clock.
 */
export const reports = (city: City, speed: number): Stream.Stream<ReadonlyArray<Position>> =>
  Stream.unwrap(Effect.map(Clock.currentTimeMillis, (start) =>
    Stream.fromSchedule(Schedule.fixed(1000 / ticks)).pipe(
      Stream.mapEffect((tick) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const positions: Array<Position> = []
          for (let vehicle = tick % ticks; vehicle < city.vehicles; vehicle += ticks) {
            positions.push(new Position({ ...city.vehicleAt(vehicle, start + (now - start) * speed), at: now }))
          }
          return positions
        })
      )
    )))
