/**
 * A machine of a simulated two-phase commit: a clock that is off, a disk that writes late, and a table of states that
 * go through a pure function.
 *
 * What is written goes to disk in order, all that waits at once; a kill leaves a beginning of it. Guarantees that
 * nothing which was begun in an earlier life is carried out in a later one. Refuses nothing.
 *
 * @since 0.1.0
 */
import * as CommitCore from "../../saga/CommitCore.ts"
import type { Simulator } from "./Simulator.ts"

/** Something that is to be on disk under a key. */
export interface Write<R, I> {
  readonly key: string
  readonly record: R | undefined
  /** What to give back when it is. */
  readonly receipt: I | undefined
  /** What the checker learns when it is. */
  readonly written: (() => void) | undefined
}

/** How bad a host's disk is. */
export interface Wear {
  /** Milliseconds that a write takes at most. */
  slowest: number
  /** How likely it is that the host is killed while it writes. */
  killOnWrite: number
  /** How likely it is that a write fails, which is final for the host. */
  failure: number
}

/** @since 0.1.0 */
export abstract class Host<S extends Parameters<typeof CommitCore.wakeAt>[0], R, I> {
  readonly id: string
  /** What is on disk. */
  readonly disk: Map<string, R> = new Map()
  /** What is in memory. */
  readonly table: Map<string, S> = new Map()
  up = false
  pausedUntil = 0
  /** How often it was killed. */
  kills = 0
  protected readonly simulator: Simulator
  protected readonly wear: Wear
  private readonly clock: { readonly offset: number; readonly rate: number }
  /** Counts its lives: what was begun in an earlier one is void. */
  private life = 0
  private writes: Array<Write<R, I>> = []
  private writing = false
  private wakes = 0
  private alarmAt = Infinity

  constructor(simulator: Simulator, id: string, wear: Wear) {
    this.simulator = simulator
    this.id = id
    this.wear = wear
    this.clock = { offset: simulator.below(100_000), rate: simulator.pick([1, 1, 0.5, 2]) }
  }

  /** Takes an input to the state of a key and carries out what comes of it. */
  protected abstract take(key: string, input: I | CommitCore.Tick): void

  /** What a state is after a restart. */
  protected abstract recover(record: R): S

  protected get now(): number {
    return this.clock.offset + this.simulator.now * this.clock.rate
  }

  start(): void {
    this.simulator.note(() => `${this.id} starts with ${[...this.disk.keys()].join(", ") || "nothing"}`)
    this.up = true
    this.life++
    this.writes = []
    this.writing = false
    this.alarmAt = Infinity
    this.table.clear()
    for (const [key, record] of this.disk) this.table.set(key, this.recover(record))
    this.arm()
  }

  /** What it had not written is lost, but for what the disk had begun with. */
  kill(): void {
    if (!this.up) return
    this.kills++
    const { simulator, writes } = this
    simulator.note(() => `${this.id} is killed with ${writes.length} writes under way`)
    for (let survivors = simulator.below(writes.length + 1); survivors > 0; survivors--) this.written(writes.shift()!)
    this.writes = []
    this.table.clear()
    this.up = false
    this.life++
  }

  /** Kills it, and starts it again: often before anybody has noticed. */
  restart(): void {
    const { simulator } = this
    this.kill()
    simulator.after(simulator.chance(0.6) ? simulator.between(1, 40) : simulator.between(40, 1500), () => {
      if (!this.up) this.start()
    })
  }

  /** Runs something in this life: now or later, but not while it is paused. */
  run(work: () => unknown, delay = 0): void {
    const { life, simulator } = this
    if (!this.up) return
    const wait = Math.max(delay, this.pausedUntil - simulator.now)
    if (wait <= 0) return void work()
    simulator.after(wait + 0.01, () => {
      if (this.life === life) this.run(work)
    })
  }

  protected set(key: string, state: S | undefined): void {
    if (state === undefined) this.table.delete(key)
    else this.table.set(key, state)
    this.arm()
  }

  protected write(write: Write<R, I>): void {
    this.writes.push(write)
    // What asks for no receipt waits for something that does, but not for ever.
    if (write.receipt !== undefined) this.flush()
    else this.run(() => this.flush(), 200)
  }

  private flush(): void {
    const { simulator, wear } = this
    if (this.writing || this.writes.length === 0) return
    this.writing = true
    const batch = this.writes.length
    if (simulator.chance(wear.killOnWrite)) {
      this.run(() => wear.killOnWrite > 0 && this.restart(), simulator.between(0, wear.slowest))
    }
    this.run(() => {
      if (simulator.chance(wear.failure)) {
        simulator.note(() => `the disk of ${this.id} fails, which is final`)
        return this.restart()
      }
      const done = this.writes.splice(0, batch)
      this.writing = false
      for (const write of done) this.written(write)
      for (const { key, receipt } of done) if (receipt !== undefined) this.take(key, receipt)
      this.flush()
    }, simulator.between(0.1, wear.slowest))
  }

  private written({ key, record, written }: Write<R, I>): void {
    if (record === undefined) this.disk.delete(key)
    else this.disk.set(key, record)
    written?.()
  }

  private arm(): void {
    let due = Infinity
    for (const state of this.table.values()) due = Math.min(due, CommitCore.wakeAt(state))
    if (due >= this.alarmAt) return
    this.alarmAt = due
    const wake = ++this.wakes
    // A little late, so that rounding never makes it a little early.
    this.run(() => {
      if (wake !== this.wakes) return
      this.alarmAt = Infinity
      for (const [key, state] of [...this.table]) {
        if (CommitCore.wakeAt(state) <= this.now) this.take(key, { _tag: "Tick" })
      }
      this.arm()
    }, Math.max(0, (due - this.clock.offset) / this.clock.rate - this.simulator.now) + 0.01)
  }
}
