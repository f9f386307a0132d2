/**
 * Assembly of messages that arrive in fragments.
 *
 * Each message under way has a number; its fragments count down to one. Messages interleave with each other and with
 * whole packets. What a message needs to be read later (the atoms of its first packet) is kept with it.
 *
 * Guarantees: no structure is sized by what a peer announces; the number of messages under way, the bytes held and, with
 * `age`, the time between two fragments are bounded; past a bound, and for a fragment out of turn, a `FragmentError` says
 * what happened, and the connection is to be closed.
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
  /** How often {@link Fragments.age} was called since its last fragment. */
  age: number
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
 * The messages under way on one connection. The bytes of fragments are copied, unless it is said that nobody reuses
 * their buffer.
 *
 * @category models
 * @since 0.1.0
 */
export class Fragments<A> {
  private readonly limits: Limits
  private readonly sequences: Map<bigint, Sequence<A>> = new Map()
  private held = 0
  private current: Sequence<A> | undefined = undefined
  private currentId = 0n

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
    const sequence: Sequence<A> = { head, next: count - 1n, parts: [], small: new Growing(0), bytes: 0, age: 0 }
    const refused = this.keep(sequence, payload, false)
    if (refused !== undefined) return refused
    this.sequences.set(id, sequence)
    return undefined
  }

  /** A further fragment; the message when it was the last. */
  next(id: bigint, number: bigint, payload: Uint8Array, mayKeep = false): Assembled<A> | FragmentError | undefined {
    return this.begin(id, number) ?? this.push(payload, mayKeep) ?? this.end()
  }

  /** Begins a further fragment, whose bytes come in pieces: {@link push} them, then {@link end}. */
  begin(id: bigint, number: bigint): FragmentError | undefined {
    const sequence = this.sequences.get(id)
    if (sequence === undefined) return new FragmentError(`a fragment of message ${id}, which has not begun`)
    if (number !== sequence.next) {
      return new FragmentError(`fragment ${number} of message ${id} where ${sequence.next} was due`)
    }
    this.current = sequence
    this.currentId = id
    return undefined
  }

  /** A piece of the fragment that has begun. With `mayKeep` nobody writes to its buffer any more. */
  push(piece: Uint8Array, mayKeep: boolean): FragmentError | undefined {
    return this.keep(this.current!, piece, mayKeep)
  }

  /** The fragment is complete; gives the message when it was the last. */
  end(): Assembled<A> | undefined {
    const sequence = this.current!
    this.current = undefined
    sequence.next--
    if (sequence.next > 0n) return undefined
    this.sequences.delete(this.currentId)
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

  /** Called at intervals: an error when a message has got no fragment since the last `ages` times. */
  age(ages: number): FragmentError | undefined {
    for (const [id, sequence] of this.sequences) {
      if (++sequence.age > ages) return new FragmentError(`message ${id} was begun and is not gone on with`)
    }
    return undefined
  }

  private keep(sequence: Sequence<A>, payload: Uint8Array, mayKeep: boolean): FragmentError | undefined {
    if (this.held + payload.length > this.limits.maxBytes) {
      return new FragmentError(`more than ${this.limits.maxBytes} bytes in unfinished messages`)
    }
    if (payload.length >= largeBytes) {
      this.collect(sequence)
      // A view holds the whole buffer: it must be most of it.
      const view = mayKeep && payload.length * 4 >= payload.buffer.byteLength * 3
      sequence.parts.push(view ? payload : Uint8Array.prototype.slice.call(payload))
    } else {
      sequence.small.append(payload)
      if (sequence.small.length >= largeBytes) this.collect(sequence)
    }
    sequence.bytes += payload.length
    sequence.age = 0
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
