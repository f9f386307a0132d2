/**
 * What the shell of a stage works with: its definition, the two ends of subscriptions, and what is to be done.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as ExitReason from "../../process/ExitReason.ts"
import type * as Message from "../../process/Message.ts"
import type * as Process from "../../process/Process.ts"
import type * as Protocol from "../../process/Protocol.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import type * as Intake from "../Intake.ts"
import type { OutletOptions } from "../Outlet.ts"

/** Events that a callback emits, with the transition that goes with them. */
export class Emit<out E, out T> {
  readonly events: ReadonlyArray<E>
  readonly transition: T

  constructor(events: ReadonlyArray<E>, transition: T) {
    this.events = events
    this.transition = transition
  }
}

export type Callback = (...args: ReadonlyArray<never>) => unknown

/** A stage, untyped. The public constructors have checked the types. */
export interface Definition {
  readonly name: string
  readonly protocol: Protocol.Core
  readonly produces: Message.Any | undefined
  readonly consumes: boolean
  /** Whether an event counts as received only when {@link Stage.finished} says so. */
  readonly holds: boolean
  readonly init: (args: never) => Effect.Effect<unknown, unknown, unknown>
  readonly demand: Callback | undefined
  readonly events: Callback | undefined
  readonly subscribed: Callback | undefined
  readonly cancelled: Callback | undefined
  readonly info: Callback | undefined
  readonly handlers: { readonly [name: string]: Callback | undefined }
  readonly terminate:
    | ((reason: ExitReason.ExitReason, state: never) => Effect.Effect<unknown, unknown, unknown>)
    | undefined
  readonly format: ((state: never) => unknown) | undefined
  readonly outlet: Omit<OutletOptions<unknown>, "seed"> | undefined
  readonly subscribeTo: ((args: never) => ReadonlyArray<SubscribeRequest>) | undefined
}

/** What a subscription does to its consumer when it ends. */
export type CancelMode = "permanent" | "transient" | "temporary"

/** A subscription that is asked for. */
export interface SubscribeRequest {
  readonly to: Process.Target
  readonly minDemand?: number | undefined
  readonly maxDemand?: number | undefined
  readonly demand?: Intake.Mode | undefined
  readonly cancel?: CancelMode | undefined
  readonly selector?: ((event: never) => boolean) | undefined
  readonly partition?: number | string | undefined
  readonly weight?: number | undefined
}

/** A producer to which this stage has subscribed. */
export interface Upstream {
  readonly role: "producer"
  readonly target: Process.Target
  readonly subject: string
  readonly tag: Reference
  readonly cancel: CancelMode
  intake: Intake.Intake
  alive: boolean
}

/** A consumer that has subscribed to this stage. */
export interface Downstream {
  readonly role: "consumer"
  readonly id: number
  readonly pid: Pid
  readonly tag: Term
  readonly monitor: Reference
  /** What it has asked for and not been sent. */
  asked: number
}

export type Peer = Upstream | Downstream

/** A peer as callbacks see it. */
export interface PeerView {
  readonly role: "producer" | "consumer"
  readonly target: Process.Target
  readonly tag: Term
}

export const viewOf = (peer: Peer): PeerView => ({
  role: peer.role,
  target: peer.role === "producer" ? peer.target : peer.pid,
  tag: peer.tag
})

export type Task =
  | { readonly _tag: "Demand"; readonly count: number }
  | { readonly _tag: "Subscribed"; readonly peer: Peer }
  | {
    readonly _tag: "Cancelled"
    readonly peer: Peer
    readonly reason: ExitReason.ExitReason
    readonly stop: boolean
  }
  | { readonly _tag: "Info"; readonly value: unknown }

/** What has come in: events to be handled, or the end of their producer behind them. */
export type Input =
  | {
    readonly _tag: "Events"
    readonly upstream: Upstream
    readonly events: ReadonlyArray<unknown>
    readonly ask: number
  }
  | Extract<Task, { readonly _tag: "Cancelled" }>

/** A marker with which a stage stops when everything before it has gone out. */
export class Finish {
  readonly reason: ExitReason.ExitReason

  constructor(reason: ExitReason.ExitReason) {
    this.reason = reason
  }
}
