/**
 * The alarms of the application, beside the processes: which have been delivered, which wait. The process that delivers
 * them may be restarted at any time and goes on where it was; each alarm is delivered at least once, under a key by which
 * the one who is told can know it again.
 */
import { Context, Layer } from "effect"
import type { Position } from "./Position.ts"

/** How many alarms may wait. With one more, the oldest is given up, and counted. */
export const maxWaiting = 1000

/** How many alarms are remembered, so that they are not raised again when a position comes a second time. */
const maxRemembered = 10_000

/** An emergency of a vehicle, and the key of its alarm. */
export interface Alarm {
  readonly key: string
  readonly position: Position
}

export class AlarmBook {
  private readonly queue = new Map<string, Alarm>()
  private readonly known = new Set<string>()
  private raised = 0
  private delivered = 0
  private dropped = 0

  /** Raises the alarms of those positions that are emergencies, and whose alarm is new. */
  raise(positions: ReadonlyArray<Position>): void {
    for (const position of positions) {
      if (!position.emergency) continue
      const key = `${position.vehicle}-${position.at}`
      if (this.known.has(key)) continue
      this.remember(key)
      this.raised++
      this.queue.set(key, { key, position })
      if (this.queue.size > maxWaiting) {
        this.queue.delete(this.queue.keys().next().value!)
        this.dropped++
      }
    }
  }

  private remember(key: string): void {
    this.known.add(key)
    if (this.known.size > maxRemembered) this.known.delete(this.known.values().next().value!)
  }

  /** The one that has waited longest. */
  get next(): Alarm | undefined {
    return this.queue.values().next().value
  }

  /** It has been delivered. */
  done(alarm: Alarm): void {
    if (this.queue.delete(alarm.key)) this.delivered++
  }

  /** It is given up: nobody will take it. */
  refused(alarm: Alarm): void {
    if (this.queue.delete(alarm.key)) this.dropped++
  }

  counts(): {
    readonly raised: number
    readonly delivered: number
    readonly dropped: number
    readonly waiting: number
  } {
    return { raised: this.raised, delivered: this.delivered, dropped: this.dropped, waiting: this.queue.size }
  }
}

export class Alarms extends Context.Service<Alarms, AlarmBook>()("traffic/Alarms") {
  static readonly layer = Layer.sync(Alarms, () => new AlarmBook())
}
