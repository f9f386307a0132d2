/**
 * Time, chance and a network for machines that are pure functions: what happens next is decided by a seed alone.
 *
 * Events run one at a time in the order of their simulated times; equal times run in the order in which they were made.
 * Guarantees that the same seed gives the same run. Refuses nothing: what goes wrong in a run is the run's own matter.
 *
 * @since 0.1.0
 */
import { Violation } from "./Verdict.ts"

interface Timed {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

const before = (a: Timed, b: Timed): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** @since 0.1.0 */
export class Simulator {
  /** Simulated milliseconds. */
  now = 0
  /** Events that ran. */
  steps = 0
  private state: number
  private orders = 0
  /** A binary heap: the next event is the first. */
  private readonly heap: Array<Timed> = []
  private readonly lines: Array<string> | undefined

  constructor(seed: number, traced: boolean) {
    this.state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
    this.lines = traced ? [] : undefined
  }

  /** What was noted, one line per event. */
  get schedule(): ReadonlyArray<string> {
    return this.lines ?? []
  }

  /** Notes what happens. The text is only made when the run is traced. */
  note(text: () => string): void {
    this.lines?.push(`${this.now.toFixed(1).padStart(9)} ms  ${text()}`)
  }

  /** A number from 0 up to 1 (mulberry32). */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to a bound. */
  below(bound: number): number {
    return Math.floor(this.random() * bound)
  }

  /** A number between two others. */
  between(low: number, high: number): number {
    return low + this.random() * (high - low)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.below(items.length)]!
  }

  /** Runs something later. */
  after(millis: number, run: () => void): void {
    const timed: Timed = { at: this.now + Math.max(0, millis), order: this.orders++, run }
    const heap = this.heap
    let child = heap.push(timed) - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!before(timed, heap[parent]!)) break
      heap[child] = heap[parent]!
      child = parent
    }
    heap[child] = timed
  }

  /** Runs the next event, if it is due until then; false when there is none. */
  step(until: number): boolean {
    const next = this.heap[0]
    if (next === undefined || next.at > until) {
      this.now = Math.max(this.now, until)
      return false
    }
    this.remove()
    this.now = next.at
    this.steps++
    next.run()
    return true
  }

  /** Runs for a while. */
  pass(millis: number): void {
    const end = this.now + millis
    while (this.step(end));
  }

  /** Runs until something holds, which it must by a limit. */
  until(limit: number, holds: () => boolean, otherwise: string): void {
    while (!holds()) if (!this.step(limit)) throw new Violation(otherwise)
  }

  private remove(): void {
    const heap = this.heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[parent] = heap[child]!
      parent = child
    }
    heap[parent] = last
  }
}

/** How bad a network is. */
export interface Weather {
  /** Milliseconds from sending to arriving, at least and at most: what is sent later may arrive earlier. */
  readonly delay: readonly [least: number, most: number]
  readonly loss: number
  readonly duplication: number
}

/** A network that loses, doubles, delays and reorders, and whose directions can be cut one by one. */
export class SimulatedNetwork<M> {
  weather: Weather
  private readonly simulator: Simulator
  private readonly deliver: (from: string, to: string, message: M) => void
  private readonly cuts = new Set<string>()

  constructor(simulator: Simulator, weather: Weather, deliver: (from: string, to: string, message: M) => void) {
    this.simulator = simulator
    this.weather = weather
    this.deliver = deliver
  }

  send(from: string, to: string, message: M): void {
    const { simulator, weather } = this
    if (simulator.chance(weather.loss)) return
    const copies = simulator.chance(weather.duplication) ? 2 : 1
    for (let i = 0; i < copies; i++) {
      simulator.after(simulator.between(...weather.delay), () => {
        if (!this.cuts.has(`${from}>${to}`)) this.deliver(from, to, message)
      })
    }
  }

  /** Nothing gets from one to the other any more; the way back is another matter. */
  cut(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`)
  }

  heal(): void {
    this.cuts.clear()
  }
}
