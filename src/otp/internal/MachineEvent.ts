/**
 * What a state machine handles: messages, timeouts and signals, all in one form; and what its handlers and its `init`
 * deal in.
 *
 * @since 0.1.0
 */
import type * as Behaviour from "../../process/Behaviour.ts"
import type { Context, From } from "../../process/Handler.ts"
import type { Pid } from "../../term/Pid.ts"

/** Where an event came from. */
export type EventKind =
  | "Call"
  | "Cast"
  | "Info"
  | "Internal"
  /** A timeout with a message. */
  | "Timeout"
  /** A timeout without one. */
  | "Timer"
  | "Exit"
  | "Down"
  | "Unhandled"

/** An event of a machine. `handler` is the name of what handles it: the tag of a message, or that of a callback. */
export class MachineEvent {
  readonly kind: EventKind
  readonly handler: string
  readonly payload: unknown
  readonly from: Behaviour.CallEnvelope | undefined

  constructor(kind: EventKind, handler: string, payload: unknown, from: Behaviour.CallEnvelope | undefined) {
    this.kind = kind
    this.handler = handler
    this.payload = payload
    this.from = from
  }

  /** For `otherwise`: the tag of the message. */
  get _tag(): string {
    return this.handler
  }
}

/** What `init` hands over. */
export class MachineStarted {
  readonly state: unknown
  readonly data: unknown
  readonly actions: ReadonlyArray<unknown>

  constructor(state: unknown, data: unknown, actions: ReadonlyArray<unknown>) {
    this.state = state
    this.data = data
    this.actions = actions
  }
}

/** What handlers get besides the event and the data. */
export class MachineContext implements Context {
  private readonly instance: Behaviour.Instance
  readonly state: unknown
  private readonly caller: From<unknown, unknown> | undefined

  constructor(instance: Behaviour.Instance, state: unknown, caller: From<unknown, unknown> | undefined) {
    this.instance = instance
    this.state = state
    this.caller = caller
  }

  get self(): Pid {
    return this.instance.pid
  }

  get node(): string {
    return this.instance.node.name
  }

  get from(): From<unknown, unknown> {
    return this.caller! // its type shows it to the handlers of calls only
  }
}
