/**
 * The bound of a mailbox, and what happens to a message that finds it full.
 *
 * Every process has a bound. Exit, Down, timer and stop signals are outside of it: they are never dropped. Every message
 * that is dropped is counted, on the process and on the node.
 *
 * @since 0.1.0
 */
import type { Address } from "./Address.ts"

/**
 * What happens to a message for a full mailbox.
 *
 * - `suspend`: a local sender waits until there is room or the process is gone; a send to oneself never waits.
 * - `fail`: the sender gets a typed `SendError` with `MailboxFull`.
 * - `dropNew`: the message is dropped.
 * - `dropOld`: the oldest waiting message is dropped instead. A call that is dropped fails with `MailboxFull`.
 * - `forward`: the message goes to `fallback`, wrapped as {@link Forwarded} with the tag.
 *
 * Whatever the policy, a call to a full mailbox fails at once with `MailboxFull` (except under `dropOld`), and a message
 * from a timer or another node cannot wait: under `suspend` and `fail` it is dropped and counted.
 *
 * @category models
 * @since 0.1.0
 */
export type Overflow = "suspend" | "fail" | "dropNew" | "dropOld" | {
  readonly forward: Address
  readonly tag: string
}

/**
 * The options of a mailbox.
 *
 * @category models
 * @since 0.1.0
 */
export interface MailboxOptions {
  /** How many messages may wait: 100 000 by default; `Infinity` for no bound. */
  readonly capacity?: number
  /** `suspend` by default. */
  readonly overflow?: Overflow
}

/**
 * The default bound.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultCapacity = 100_000

/**
 * A message that overflowed another process's mailbox, as its fallback receives it.
 *
 * @category models
 * @since 0.1.0
 */
export class Forwarded {
  readonly _tag = "Forwarded" as const
  /** The process whose mailbox was full. */
  readonly process: Address
  /** The tag given in {@link MailboxOptions}. */
  readonly tag: string
  readonly message: unknown

  constructor(process: Address, tag: string, message: unknown) {
    this.process = process
    this.tag = tag
    this.message = message
  }
}
