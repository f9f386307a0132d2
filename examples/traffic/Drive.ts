/**
 * What is sent when: recorded positions in their order of time at any speed, or so many a second of the simulated city.
 */
import { Clock, Effect } from "effect"
import type { City } from "./City.ts"
import type { Position } from "./Position.ts"
import { add, nothing, type Outcome, type Sender } from "./Sender.ts"

export interface Options {
  /** How many times faster than it was; `Infinity` for as fast as the receiver takes them. */
  readonly speed: number
  /** Sends no times: it counts when the positions arrive. */
  readonly untimed?: boolean | undefined
}

/** How many positions are sent at a time. */
const most = 2000

/** Plays positions, which are in the order of time, once. */
export const play = (
  positions: ReadonlyArray<Position>,
  sender: Sender,
  { speed, untimed = false }: Options
): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const [first] = positions
    if (first === undefined) return nothing
    const start = yield* Clock.currentTimeMillis
    let outcome = nothing
    for (let next = 0; next < positions.length;) {
      const due = first.at + ((yield* Clock.currentTimeMillis) - start) * speed
      let end = next
      while (end < positions.length && end - next < most && (speed === Infinity || positions[end]!.at <= due)) end++
      if (end > next) outcome = add(outcome, yield* sender.send(positions.slice(next, end), { untimed }))
      else yield* Effect.sleep(Math.max(1, (positions[next]!.at - due) / speed))
      next = end
    }
    return outcome
  })

export interface Load {
  /** Positions a second. */
  readonly rate: number
  readonly seconds: number
}

/** What a load has sent. */
export interface Sent extends Outcome {
  readonly sent: number
  readonly emergencies: number
}

/** How often it is looked whether something is due, in milliseconds. */
const tick = 5

/** Sends so many positions a second for so long: the vehicles of the city report in turn. */
export const load = (city: City, sender: Sender, { rate, seconds }: Load): Effect.Effect<Sent> =>
  Effect.gen(function*() {
    const total = Math.round(rate * seconds)
    const start = yield* Clock.currentTimeMillis
    let outcome = nothing
    let sent = 0
    let emergencies = 0
    while (sent < total) {
      const now = yield* Clock.currentTimeMillis
      const due = Math.min(total, Math.floor((now - start) * rate / 1000), sent + most)
      if (due <= sent) {
        yield* Effect.sleep(tick)
        continue
      }
      const positions: Array<Position> = []
      for (; sent < due; sent++) {
        // A vehicle is at one place at a time: its reports are a round of all vehicles apart.
        const at = Math.floor(start + sent * 1000 / rate)
        const position = city.vehicleAt(sent % city.vehicles, at)
        if (position.emergency) emergencies++
        positions.push(position)
      }
      outcome = add(outcome, yield* sender.send(positions))
    }
    return { ...outcome, sent, emergencies }
  })
