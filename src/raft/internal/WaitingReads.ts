/**
 * The reads whose callers wait at a member: each for an index from the leader, and then for that to be applied here.
 *
 * Reads that come in one turn share one question. Guarantees that a read sees no state from before the index that the
 * leader gave after it was asked. Refuses nothing: a question that was lost is put again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Behaviour from "../../process/Behaviour.ts"
import * as Calls from "./calls.ts"
import type * as Machine from "./Machine.ts"

interface Reading {
  readonly call: Behaviour.CallEnvelope
  readonly run: (state: unknown) => Machine.Outcome
  /** Once the leader has said so. */
  index: number | undefined
  readonly since: number
}

/** @since 0.1.0 */
export class WaitingReads {
  private readonly now: () => number
  private readonly fork: (effect: Effect.Effect<unknown>) => void
  /** Asks the leader for an index that is good for all reads so far. */
  private readonly question: () => void
  /** By number, in the order in which they came. */
  private readonly reads = new Map<number, Reading>()
  /** Whether the reads that have come in this turn are about to be asked for. */
  private asking = false
  private askedAt = -Infinity

  constructor(now: () => number, fork: (effect: Effect.Effect<unknown>) => void, question: () => void) {
    this.now = now
    this.fork = fork
    this.question = question
  }

  get size(): number {
    return this.reads.size
  }

  add(ref: number, call: Behaviour.CallEnvelope, run: Reading["run"]): void {
    this.reads.set(ref, { call, run, index: undefined, since: this.now() })
    this.askSoon()
  }

  /** Asks for all reads at the end of this turn. */
  askSoon(): void {
    if (this.asking || this.reads.size === 0) return
    this.asking = true
    this.fork(Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => {
        this.asking = false
        this.ask()
      })
    ))
  }

  private ask(): void {
    this.askedAt = this.now()
    this.question()
  }

  /** What has been applied up to an index may be read by all reads up to a number. */
  readable(upTo: number, index: number): void {
    for (const [ref, reading] of this.reads) {
      if (ref > upTo) break
      reading.index ??= index
    }
  }

  /** Answers the reads for which enough has been applied. */
  answer(applied: number, state: unknown): void {
    for (const [ref, { call, index, run }] of this.reads) {
      if (index === undefined || index > applied) continue
      this.reads.delete(ref)
      const { exit } = run(state)
      if (exit !== undefined) Calls.end(call, exit)
    }
  }

  /** Asks again when an answer is overdue, and forgets reads that nobody waits for. */
  repeat(patience: number): void {
    const now = this.now()
    let unasked = false
    for (const [ref, reading] of this.reads) {
      if (Calls.isGivenUp(reading, now)) this.reads.delete(ref)
      else if (reading.index === undefined) unasked = true
    }
    if (unasked && now - this.askedAt >= patience) this.ask()
  }
}
