/**
 * What is to be sent to other members: a box for each, which a fiber of its own empties, so that a dead member holds up nobody
 * else.
 *
 * An empty box is thrown away: members that are gone, and strangers, leave nothing behind. Guarantees the order of what it
 * sends to one member; drops the oldest when too much waits, which Raft can bear.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { MemberId } from "../RaftEntry.ts"

/** Messages that may wait for a member that is slow to take them. */
const capacity = 1000

/** @since 0.1.0 */
export class Outboxes {
  private readonly send: (to: MemberId, bytes: Uint8Array) => Effect.Effect<void>
  private readonly fork: (effect: Effect.Effect<unknown>) => void
  private readonly boxes = new Map<MemberId, Array<Uint8Array>>()

  /** Sends with `send`, in fibers of `fork`. */
  constructor(
    send: (to: MemberId, bytes: Uint8Array) => Effect.Effect<void>,
    fork: (effect: Effect.Effect<unknown>) => void
  ) {
    this.send = send
    this.fork = fork
  }

  /** For how many members something waits. */
  get size(): number {
    return this.boxes.size
  }

  /** Sends bytes to a member, after all that was put here for it before. */
  put(to: MemberId, bytes: Uint8Array): void {
    const box = this.boxes.get(to)
    if (box === undefined) {
      const begun = [bytes]
      this.boxes.set(to, begun)
      return this.fork(this.empty(to, begun))
    }
    box.push(bytes)
    if (box.length > capacity) box.shift()
  }

  private empty(to: MemberId, box: Array<Uint8Array>): Effect.Effect<void> {
    const round = Effect.suspend(() =>
      Effect.forEach(box.splice(0), (bytes) => this.send(to, bytes), { discard: true })
    )
    return Effect.andThen(
      Effect.repeat(round, { while: () => box.length > 0 }),
      Effect.sync(() => {
        this.boxes.delete(to)
      })
    )
  }
}
