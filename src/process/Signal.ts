/**
 * What the runtime itself puts into a mailbox: `Exit` (a trapped exit signal) and `Down` (a monitor has fired).
 *
 * Both are ordinary messages in the order in which they arrived, never in a queue of their own: whatever one process
 * sent before it died is in front of its `Exit` and its `Down`. They are never dropped, whatever the bound of the
 * mailbox.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import type { Address } from "./Address.ts"
import type { ExitReason } from "./ExitReason.ts"
import type { From } from "./Handler.ts"

/**
 * A linked process ended, or somebody sent an exit signal, and the receiver traps exits (`{'EXIT', Pid, Reason}`).
 *
 * @category models
 * @since 0.1.0
 */
export class Exit {
  readonly _tag = "Exit" as const
  /** Who ended, or who sent the signal. */
  readonly from: Pid
  readonly reason: ExitReason

  constructor(from: Pid, reason: ExitReason) {
    this.from = from
    this.reason = reason
  }
}

/**
 * A monitored process ended (`{'DOWN', Ref, process, Pid | {Name, Node}, Reason}`).
 *
 * @category models
 * @since 0.1.0
 */
export class Down {
  readonly _tag = "Down" as const
  /** What {@link "Process.monitor"} returned. */
  readonly ref: Reference
  /** What was monitored, as it was given: a pid, a name or an alias. */
  readonly address: Address
  readonly reason: ExitReason

  constructor(ref: Reference, address: Address, reason: ExitReason) {
    this.ref = ref
    this.address = address
    this.reason = reason
  }
}

/**
 * The schema of a trapped exit signal, for `Process.receive`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ExitSchema: Schema.instanceOf<Exit> = Schema.instanceOf(Exit)

/**
 * The schema of a Down message, for `Process.receive`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DownSchema: Schema.instanceOf<Down> = Schema.instanceOf(Down)

/**
 * A typed call as it reaches a process that does not serve its protocol: a low-level process, or the `unhandled` handler
 * of a server. Answer through `from`, or let the caller time out.
 *
 * @category models
 * @since 0.1.0
 */
export class Request {
  readonly _tag = "Request" as const
  /** The tag of the message. */
  readonly message: string
  readonly payload: unknown
  readonly from: From<unknown, unknown>

  constructor(message: string, payload: unknown, from: From<unknown, unknown>) {
    this.message = message
    this.payload = payload
    this.from = from
  }
}

/**
 * The schema of a request, for `Process.receive`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RequestSchema: Schema.instanceOf<Request> = Schema.instanceOf(Request)
