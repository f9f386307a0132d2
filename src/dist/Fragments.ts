/**
 * Assembly of messages that arrive in fragments.
 *
 * Each message under way has a number; its fragments count down to one. Messages interleave with each other and with
 * whole packets. What a message needs to be read later (the atoms of its first packet) is kept with it.
 *
 * A peer that begins messages and one that sends many at once look the same as long as fragments come: processes of a
 * real Erlang node that send 64 MB each, or 3 MB by the hundred, have far more than 64 MiB unfinished at a time. What
 * tells them apart is whether messages go on. So those that were only begun have a small limit of their own, at once;
 * those that go on share a large one; and none may stand still.
 *
 * Guarantees: no structure is sized by what a peer announces; the number of messages under way, the bytes held for them
 * and, with `age`, the time in which a message does not go on are bounded; past a bound, and for a fragment out of turn,
 * a `FragmentError` says what happened, and the connection is to be closed.
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
  /** Bytes held for those that were begun and have not gone on by {@link progressBytes}. Default 64 MiB. */
  readonly maxBegunBytes: number
}

/**
 * The default limits.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: Limits = {
  maxSequences: 1024,
  maxBytes: 256 * 1024 * 1024,
  maxBegunBytes: 64 * 1024 * 1024
}

/**
 * The bytes by which a message goes on: one fragment, as Erlang cuts them. Fewer do not count.
 *
 * @category constants
 * @since 0.1.0
 */
export const progressBytes = 65_536

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
  small: Growing
  bytes: number
  /** What is held for it besides its bytes. */
  readonly weight: number
  /** Whether it has not gone on since its first fragment. */
  begun: boolean
  /** Its bytes when it had last gone on. */
  mark: number
  /** How often {@link Fragments.age} was called since then. */
  age: number
}

/** A view keeps its whole buffer alive: it is worth keeping where it is most of that. */
const isMost = (view: Uint8Array): boolean => view.length * 4 >= view.buffer.byteLength * 3

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
  private begun = 0
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

  /**
   * The first fragment of a message of `count` fragments; the message when that is all of it. `weight` is about how many
   * bytes `head` keeps in memory.
   */
  first(
    id: bigint,
    count: bigint,
    head: A,
    payload: Uint8Array,
    weight = 0
  ): Assembled<A> | FragmentError | undefined {
    if (count === 1n) return { head, payload }
    if (count === 0n) return new FragmentError("a message of no fragments")
    if (this.sequences.has(id)) return new FragmentError(`a second beginning of message ${id}`)
    if (this.sequences.size >= this.limits.maxSequences) {
      return new FragmentError(`more than ${this.limits.maxSequences} unfinished messages`)
    }
    const sequence: Sequence<A> = {
      head,
      next: count - 1n,
      parts: [],
      small: new Growing(0),
      bytes: 0,
      weight,
      begun: true,
      mark: payload.length,
      age: 0
    }
    const refused = this.account(sequence, payload.length, weight)
    if (refused !== undefined) return refused
    this.store(sequence, payload, false)
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
    const sequence = this.current!
    const refused = this.account(sequence, piece.length, 0)
    if (refused === undefined) this.store(sequence, piece, mayKeep)
    return refused
  }

  /** The fragment is complete; gives the message when it was the last. */
  end(): Assembled<A> | undefined {
    const sequence = this.current!
    this.current = undefined
    sequence.next--
    if (sequence.next > 0n) return undefined
    this.sequences.delete(this.currentId)
    const bytes = sequence.bytes + sequence.weight
    this.held -= bytes
    if (sequence.begun) this.begun -= bytes
    this.collect(sequence)
    const whole = new Uint8Array(sequence.bytes)
    let at = 0
    for (const part of sequence.parts) {
      whole.set(part, at)
      at += part.length
    }
    return { head: sequence.head, payload: whole }
  }

  /**
   * Called at intervals: an error when at so many calls in succession a message has not gone on, by
   * {@link progressBytes} in all. By then it has stood still for at most so many intervals, and for one less at least.
   */
  age(ages: number): FragmentError | undefined {
    for (const [id, sequence] of this.sequences) {
      if (sequence.bytes - sequence.mark >= progressBytes) {
        sequence.mark = sequence.bytes
        sequence.age = 0
      } else if (++sequence.age >= ages) {
        return new FragmentError(`message ${id} was begun and is not gone on with`)
      }
    }
    return undefined
  }

  /** Frees what is held. */
  clear(): void {
    this.sequences.clear()
    this.current = undefined
    this.held = this.begun = 0
  }

  /** Counts bytes that are to be held, unless they are too many. */
  private account(sequence: Sequence<A>, length: number, weight: number): FragmentError | undefined {
    const { maxBegunBytes, maxBytes } = this.limits
    const more = length + weight
    if (this.held + more > maxBytes) return new FragmentError(`more than ${maxBytes} bytes in unfinished messages`)
    if (sequence.begun) {
      if (sequence.bytes + length - sequence.mark >= progressBytes) {
        sequence.begun = false
        this.begun -= sequence.bytes + sequence.weight
      } else if (this.begun + more > maxBegunBytes) {
        return new FragmentError(`more than ${maxBegunBytes} bytes in messages that were only begun`)
      } else this.begun += more
    }
    sequence.bytes += length
    this.held += more
    return undefined
  }

  private store(sequence: Sequence<A>, payload: Uint8Array, mayKeep: boolean): void {
    if (payload.length < largeBytes) {
      sequence.small.append(payload)
      if (sequence.small.length >= largeBytes) this.collect(sequence)
      return
    }
    this.collect(sequence)
    sequence.parts.push(mayKeep && isMost(payload) ? payload : Uint8Array.prototype.slice.call(payload))
  }

  // Many tiny fragments must not cost more than their bytes.
  private collect(sequence: Sequence<A>): void {
    const view = sequence.small.view()
    if (view.length === 0) return
    sequence.parts.push(isMost(view) ? view : view.slice())
    sequence.small = new Growing(0)
  }
}
