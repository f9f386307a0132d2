/**
 * Assembly of messages that arrive in fragments.
 *
 * Each message under way has a number; its fragments count down to one. Messages interleave with each other and with
 * whole packets. What a message needs to be read later (the atoms of its first packet) is kept with it.
 *
 * Guarantees: no structure is sized by what a peer announces; the number of messages under way and the bytes held are
 * bounded; past a bound, and for a fragment out of turn, a `FragmentError` says what happened, and the connection is to
 * be closed.
 *
 * @since 0.1.0
 */
import { Growing } from "./internal/Growing.ts"

/**
 * The limits of an assembly.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Messages under way at most. Default 1024. */
  readonly maxSequences: number
  /** Bytes held for all of them together. Default 256 MiB. */
  readonly maxBytes: number
}

/**
 * The default limits.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: Limits = { maxSequences: 1024, maxBytes: 256 * 1024 * 1024 }

/**
 * A fragment that cannot be taken.
 *
 * @category errors
 * @since 0.1.0
 */
export class FragmentError {
  readonly _tag = "FragmentError" as const
  readonly detail: string

  constructor(detail: string) {
    this.detail = detail
  }
}

/** Fragments of this size are kept by themselves. */
const largeBytes = 16_384

interface Sequence<A> {
  readonly head: A
  /** The number of the next fragment; counts down to 1. */
  next: bigint
  /** Large fragments, each by itself; small ones are collected first. */
  readonly parts: Array<Uint8Array>
  readonly small: Growing
  bytes: number
}

/**
 * A message that is complete: what was kept of its first packet, and all of its payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Assembled<A> {
  readonly head: A
  readonly payload: Uint8Array
}

/**
 * The messages under way on one connection. The bytes of fragments are copied: they may stand in a buffer that is
 * reused.
 *
 * @category models
 * @since 0.1.0
 */
export class Fragments<A> {
  private readonly limits: Limits
  private readonly sequences: Map<bigint, Sequence<A>> = new Map()
  private held = 0

  constructor(limits: Limits = defaults) {
    this.limits = limits
  }

  /** Messages under way. */
  get size(): number {
    return this.sequences.size
  }

  /** Bytes held. */
  get bytes(): number {
    return this.held
  }

  /** The first fragment of a message of `count` fragments; the message when that is all of it. */
  first(id: bigint, count: bigint, head: A, payload: Uint8Array): Assembled<A> | FragmentError | undefined {
    if (count === 1n) return { head, payload }
    if (count === 0n) return new FragmentError("a message of no fragments")
    if (this.sequences.has(id)) return new FragmentError(`a second beginning of message ${id}`)
    if (this.sequences.size >= this.limits.maxSequences) {
      return new FragmentError(`more than ${this.limits.maxSequences} unfinished messages`)
    }
    const sequence: Sequence<A> = { head, next: count - 1n, parts: [], small: new Growing(0), bytes: 0 }
    const refused = this.keep(sequence, payload)
    if (refused !== undefined) return refused
    this.sequences.set(id, sequence)
    return undefined
  }

  /** A further fragment; the message when it was the last. */
  next(id: bigint, number: bigint, payload: Uint8Array): Assembled<A> | FragmentError | undefined {
    const sequence = this.sequences.get(id)
    if (sequence === undefined) return new FragmentError(`a fragment of message ${id}, which has not begun`)
    if (number !== sequence.next) {
      return new FragmentError(`fragment ${number} of message ${id} where ${sequence.next} was due`)
    }
    const refused = this.keep(sequence, payload)
    if (refused !== undefined) return refused
    sequence.next--
    if (sequence.next > 0n) return undefined
    this.sequences.delete(id)
    this.held -= sequence.bytes
    this.collect(sequence)
    const whole = new Uint8Array(sequence.bytes)
    let at = 0
    for (const part of sequence.parts) {
      whole.set(part, at)
      at += part.length
    }
    return { head: sequence.head, payload: whole }
  }

  private keep(sequence: Sequence<A>, payload: Uint8Array): FragmentError | undefined {
    if (this.held + payload.length > this.limits.maxBytes) {
      return new FragmentError(`more than ${this.limits.maxBytes} bytes in unfinished messages`)
    }
    if (payload.length >= largeBytes) {
      this.collect(sequence)
      sequence.parts.push(Uint8Array.prototype.slice.call(payload))
    } else {
      sequence.small.append(payload)
      if (sequence.small.length >= largeBytes) this.collect(sequence)
    }
    sequence.bytes += payload.length
    this.held += payload.length
    return undefined
  }

  // Many tiny fragments must not cost more than their bytes.
  private collect(sequence: Sequence<A>): void {
    const { parts, small } = sequence
    if (small.length === 0) return
    parts.push(small.view().slice())
    small.length = 0
  }
}
