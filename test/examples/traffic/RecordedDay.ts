/**
 * A whole day of positions as a CSV: the recorded one where it lies beside the repository, or one that is made up.
 */
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"
import type { Position } from "../../../examples/traffic/Position.ts"
import { position, random } from "./BruteForce.ts"

const recorded = fileURLToPath(
  new URL("../../../../shared/data/capmetro-vehicle-positions-2017-04-18.csv.gz", import.meta.url)
)

/** Whether the recorded day of Austin is there. */
export const isRecorded = existsSync(recorded)

/** 320 vehicles that drive about Austin for a day and report every two minutes or so, some of them twice. */
const made = (): string => {
  const next = random(2017)
  const rows = ["vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign"]
  for (let vehicle = 0; vehicle < 320; vehicle++) {
    let lat = 30.27 + (next() - 0.5) * 0.3
    let lon = -97.74 + (next() - 0.5) * 0.3
    let second = Math.floor(next() * 20_000)
    for (let i = 0; i < 137; i++) {
      second += 60 + Math.floor(next() * 120) + (next() < 0.02 ? 7200 : 0)
      lat += (next() - 0.5) * 0.02
      lon += (next() - 0.5) * 0.02
      const time = new Date(Date.UTC(2017, 3, 18) + second * 1000).toISOString().slice(0, 19)
      const route = 1 + vehicle % 80
      const row = `${8000 + vehicle},${time}-00:00,${(next() * 20).toFixed(4)},${route},1,${lat.toFixed(6)},${
        lon.toFixed(6)
      },"${route}-Made up, both ways"`
      rows.push(row)
      if (next() < 0.01) rows.push(row)
    }
  }
  return `${rows.join("\n")}\n`
}

/** The positions in the order of the file. It is read without the help of the application. */
export const read = (): Array<Position> => {
  const text = isRecorded ? gunzipSync(readFileSync(recorded)).toString() : made()
  // What has commas in it comes last.
  return text.trimEnd().split("\n").slice(1).map((row) => {
    const [vehicle, time, speed, route, , lat, lon] = row.split(",")
    return position({
      vehicle: vehicle!,
      at: Date.parse(time!),
      route: route!,
      lat: Number(lat),
      lon: Number(lon),
      speed: Number(speed)
    })
  })
}
