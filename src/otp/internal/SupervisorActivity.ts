/**
 * What a supervisor may be in the middle of: starting children one by one, stopping them one by one, or stopping all
 * dynamic children at once; and what waits until that is over.
 *
 * Guarantees that an activity is plain data: everything the core needs to go on when the next event comes.
 *
 * @since 0.1.0
 */
import type * as MutableHashMap from "effect/MutableHashMap"
import type { Child } from "./SupervisorChildren.ts"
import type { Request, Types } from "./SupervisorProtocol.ts"

/**
 * Why children are being started, and so what follows when they are, or when one cannot be: the supervisor itself
 * starts, a child is restarted (with its group), a new child is added, a child that is down is started again.
 *
 * @since 0.1.0
 */
export type StartPurpose<T extends Types> =
  | { readonly kind: "init" }
  | { readonly kind: "restart"; readonly child: Child<T> }
  | { readonly kind: "add" | "again"; readonly from: T["From"] }

/**
 * Why children are being stopped, and so what follows: the supervisor ends, a group is started again at once or after a
 * delay, somebody asked for it.
 *
 * @since 0.1.0
 */
export type StopPurpose<T extends Types> =
  | { readonly kind: "exit" }
  | { readonly kind: "restart"; readonly child: Child<T> }
  | { readonly kind: "delay"; readonly child: Child<T> }
  | { readonly kind: "terminate"; readonly from: T["From"] }

/**
 * Starts children from the front; `at` is the one under way, `timer` limits an aborted start.
 *
 * @since 0.1.0
 */
export interface Starting<T extends Types> {
  readonly kind: "starting"
  readonly purpose: StartPurpose<T>
  readonly children: ReadonlyArray<Child<T>>
  at: number
  aborted: boolean
  timer: number
}

/**
 * Stops children from the back; `at` is the one whose exit is awaited, `timer` its limit.
 *
 * @since 0.1.0
 */
export interface Stopping<T extends Types> {
  readonly kind: "stopping"
  readonly purpose: StopPurpose<T>
  readonly children: ReadonlyArray<Child<T>>
  at: number
  timer: number
}

/**
 * Stops all dynamic children at once, with one limit for all; `errors` are the children that did not stop as told, by
 * reason.
 *
 * @since 0.1.0
 */
export interface StoppingAll<T extends Types> {
  readonly kind: "stoppingAll"
  readonly left: Set<Child<T>>
  readonly errors: MutableHashMap.MutableHashMap<T["Reason"], Array<Child<T>>>
  timer: number
}

/**
 * What arrived while something was under way.
 *
 * @since 0.1.0
 */
export type Waiting<T extends Types> =
  | { readonly kind: "exit"; readonly child: Child<T>; readonly key: T["Key"] }
  | { readonly kind: "request"; readonly from: T["From"]; readonly request: Request<T> }
  | { readonly kind: "retry"; readonly child: number }
