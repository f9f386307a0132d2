/**
 * What storing.ts stores and SqliteKill.test.ts looks for: the same request for the same number.
 */
import type { Position } from "../../../examples/traffic/Position.ts"
import { position } from "./BruteForce.ts"

/** So many positions has a request. */
export const size = 40

export const request = (number: number): Array<Position> =>
  Array.from({ length: size }, (_, i) => {
    const n = number * size + i
    // Mostly in order, but not all.
    const at = 1_500_000_000_000 + (n + (n % 13 === 0 ? 1 - 5000 : 0)) * 1000
    return position({ vehicle: `v${n % 31}`, at, lat: (n * 7 % 1700) / 10 - 85, lon: (n * 11 % 3500) / 10 - 175 })
  })
