/**
 * What is to be sent to other members: a box for each, which a fiber of its own empties, so that a dead member holds
 * up nobody else.
 *
 * What comes while a box is being emptied leaves together. An empty box is thrown away. Guarantees the order of what
 * it sends to one member; drops the oldest when too much waits, which two-phase commit can bear: whatever matters is
 * said again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { MemberId } from "../CommitCore.ts"

/** Messages that may wait for a member that is slow to take them. */
const capacity = 100_000

/** @since 0.1.0 */
export class CommitOutboxes<M> {
  private readonly send: (to: MemberId, messages: ReadonlyArray<M>) => Effect.Effect<void>
  private readonly fork: (effect: Effect.Effect<unknown>) => void
  private readonly boxes = new Map<MemberId, Array<M>>()

  /** Sends with `send`, in fibers of `fork`. */
  constructor(
    send: (to: MemberId, messages: ReadonlyArray<M>) => Effect.Effect<void>,
    fork: (effect: Effect.Effect<unknown>) => void
  ) {
    this.send = send
    this.fork = fork
  }

  /** Sends a message to a member, after all that was put here for it before, and with what else comes in this turn. */
  put(to: MemberId, message: M): void {
    const box = this.boxes.get(to)
    if (box === undefined) {
      const begun = [message]
      this.boxes.set(to, begun)
      return this.fork(Effect.andThen(Effect.yieldNow, this.empty(to, begun)))
    }
    box.push(message)
    if (box.length > capacity) box.shift()
  }

  private empty(to: MemberId, box: Array<M>): Effect.Effect<void> {
    return Effect.andThen(
      Effect.repeat(Effect.suspend(() => this.send(to, box.splice(0))), { while: () => box.length > 0 }),
      Effect.sync(() => {
        this.boxes.delete(to)
      })
    )
  }
}
