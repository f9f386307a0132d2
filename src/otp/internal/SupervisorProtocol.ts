/**
 * What goes into a {@link SupervisorCore} and what comes out of it.
 *
 * Events are facts (a child started, a process exited, a timer fired, somebody asks for something), actions are orders
 * the shell carries out in the order given. Both are plain data; processes, exit reasons, start functions and callers
 * are opaque to the core and named by the five types of {@link Types}.
 *
 * @since 0.1.0
 */
import type { InvalidSupervisorSpec } from "./SupervisorError.ts"
import type { ChildOptions, ChildSpec } from "./SupervisorSpec.ts"

/**
 * The opaque types of a shell: how it names a process (a value that is equal to itself, as a key of a `Map`), what it
 * starts children from, the extra arguments of a dynamic child, who asked, and why a process ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Types {
  readonly Key: unknown
  readonly Start: unknown
  readonly Args: unknown
  readonly From: unknown
  readonly Reason: unknown
}

/**
 * What a supervisor needs to know of an exit reason: `normal`, `shutdown`, `{shutdown, _}`, `killed`, anything else.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitClass = "normal" | "shutdown" | "shutdownDetail" | "killed" | "error"

/**
 * The facts a shell feeds.
 *
 * - `Start`: the first event, once.
 * - `ChildStarted | ChildIgnored | ChildStartFailed`: the outcome of the last `StartChild`, exactly one for each, also
 *   when an `AbortStart` came in between. `child` is the number from the action.
 * - `ChildExited`: a process exited. Feed every exit signal that is not the parent's: strangers are ignored. The exit
 *   of a child must not overtake its `ChildStarted`.
 * - `TimerFired`: an armed timer ran out. Stale timers are ignored.
 * - `Retry`: the delay of a `DelayRestart` is over.
 * - `ParentExited`: the parent's exit signal, or a request to stop from its behalf; `reason` becomes the supervisor's
 *   own.
 * - `Request`: an administration call; answered by one `Reply` with the same `from`, unless the supervisor ends before.
 *
 * @category models
 * @since 0.1.0
 */
export type Event<T extends Types> =
  | { readonly _tag: "Start" }
  | { readonly _tag: "ChildStarted"; readonly child: number; readonly key: T["Key"] }
  | { readonly _tag: "ChildIgnored"; readonly child: number }
  | { readonly _tag: "ChildStartFailed"; readonly child: number; readonly reason: T["Reason"] }
  | {
    readonly _tag: "ChildExited"
    readonly key: T["Key"]
    readonly exitClass: ExitClass
    readonly reason: T["Reason"]
  }
  | { readonly _tag: "TimerFired"; readonly timer: number }
  | { readonly _tag: "Retry"; readonly child: number }
  | { readonly _tag: "ParentExited"; readonly reason: T["Reason"] }
  | { readonly _tag: "Request"; readonly from: T["From"]; readonly request: Request<T> }

/**
 * An administration call. Static children are named by id, dynamic ones (of `simple_one_for_one`) by their process.
 *
 * `alive: false` on `TerminateDynamicChild` says that the process is known to be dead; like OTP, the core then answers
 * `Done` for a process it does not know (any more), instead of `NotFound`.
 *
 * @category models
 * @since 0.1.0
 */
export type Request<T extends Types> =
  | { readonly _tag: "StartChild"; readonly spec: ChildOptions<T["Start"]> }
  | { readonly _tag: "StartDynamicChild"; readonly args: T["Args"] }
  | { readonly _tag: "TerminateChild"; readonly id: string }
  | { readonly _tag: "TerminateDynamicChild"; readonly key: T["Key"]; readonly alive?: boolean }
  | { readonly _tag: "RestartChild"; readonly id: string }
  | { readonly _tag: "DeleteChild"; readonly id: string }
  | { readonly _tag: "GetChildSpec"; readonly id: string }
  | { readonly _tag: "WhichChildren" }
  | { readonly _tag: "CountChildren" }

/**
 * The answer to a {@link Request}: the first six say yes, the others are OTP's errors (`SimpleOneForOne`: this call
 * needs a static supervisor; `NotSimpleOneForOne`: this one a dynamic supervisor; `StartFailed`: the reason the start
 * gave).
 *
 * @category models
 * @since 0.1.0
 */
export type Answer<T extends Types> =
  | { readonly _tag: "Started"; readonly key: T["Key"] }
  | { readonly _tag: "Ignored" }
  | { readonly _tag: "Done" }
  | { readonly _tag: "Spec"; readonly spec: ChildSpec<T["Start"]> }
  | { readonly _tag: "Children"; readonly children: ReadonlyArray<ChildInfo<T>> }
  | ({ readonly _tag: "Counts" } & Counts)
  | { readonly _tag: "AlreadyStarted"; readonly key: T["Key"] }
  | { readonly _tag: "AlreadyPresent" }
  | { readonly _tag: "MaxChildren"; readonly maxChildren: number }
  | { readonly _tag: "Running"; readonly key: T["Key"] }
  | { readonly _tag: "Restarting" }
  | { readonly _tag: "NotFound" }
  | { readonly _tag: "SimpleOneForOne" }
  | { readonly _tag: "NotSimpleOneForOne" }
  | { readonly _tag: "InvalidSpec"; readonly error: InvalidSupervisorSpec }
  | { readonly _tag: "StartFailed"; readonly reason: T["Reason"] }

/**
 * Whether a child runs, waits for its next restart attempt, or has no process (OTP's pid, `restarting`, `undefined`).
 *
 * @category models
 * @since 0.1.0
 */
export type ChildStatus = "running" | "restarting" | "down"

/**
 * One line of `WhichChildren`. `id` is undefined for a dynamic child, `key` unless it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildInfo<T extends Types> {
  readonly id: string | undefined
  readonly key: T["Key"] | undefined
  readonly status: ChildStatus
  readonly type: "worker" | "supervisor"
}

/**
 * The answer to `CountChildren`: specifications, living children, and children by type whether living or not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/**
 * The child a report is about. `key` is its process (the last one, when it is no more). `count` is there when dynamic
 * children were stopped together and this many did not stop as told, all with the same reason; `key` and `args` only if
 * it is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Offender<T extends Types> {
  readonly spec: ChildSpec<T["Start"]>
  readonly args: T["Args"] | undefined
  readonly key: T["Key"] | undefined
  readonly count?: number
}

/**
 * A supervisor report, with OTP's contexts. The reason of `shutdown` is always that the restart intensity was reached.
 * `progress` says that a static child has started.
 *
 * @category models
 * @since 0.1.0
 */
export type Report<T extends Types> =
  | {
    readonly kind: "child_terminated" | "start_error" | "shutdown_error"
    readonly reason: T["Reason"]
    readonly offender: Offender<T>
  }
  | { readonly kind: "shutdown"; readonly reason: "reached_max_restart_intensity"; readonly offender: Offender<T> }
  | { readonly kind: "progress"; readonly offender: Offender<T> }

/**
 * With what the supervisor's process ends: `shutdown` (it gave up, or significant children ended), the parent's reason,
 * or, when a child could not be started with the supervisor itself, `{shutdown, {failed_to_start_child, id, reason}}`.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitWith<T extends Types> =
  | { readonly _tag: "Shutdown" }
  | { readonly _tag: "Parent"; readonly reason: T["Reason"] }
  | { readonly _tag: "FailedToStart"; readonly id: string; readonly reason: T["Reason"] }

/**
 * The orders the shell carries out, in this order.
 *
 * - `StartChild`: start it, linked and in the shell's own time, then feed the outcome. `attempt` is 0 for a first start
 *   (and for the others of a group), else the number of the restart attempt.
 * - `AbortStart`: the supervisor must end while this start is under way. Ask the half-started process to shut down
 *   (kill it when `kill`) and feed the outcome as ever. Without an end in time a second one with `kill` follows, at the
 *   limit of the child's shutdown; a worker's `infinity` is 5 s here, a supervisor's is `infinity`.
 * - `ExitChild`: send the exit signal `shutdown`. `KillChild`: send `kill`. The `ChildExited` that follows is awaited.
 * - `ArmTimer`, `CancelTimer`: a timer of the shutdown limit.
 * - `DelayRestart`: feed `Retry` later. Without back-off at once, but behind what is already in the mailbox; with it
 *   after the delay for this attempt. A new delay for a child replaces the pending one. `reason` is why it is restarted,
 *   of its end or its failed start. `memory` is the same object for as long as the core knows the child: what a shell
 *   keeps of it in a `WeakMap` goes with it.
 * - `CancelRestart`: that retry is not wanted any more.
 * - `Reply`, `Report`: to a caller, to the log.
 * - `Initialized`: all children of the specification are started; tell the starter.
 * - `Exit`: everything has stopped. End with this reason; feed nothing more.
 *
 * @category models
 * @since 0.1.0
 */
export type Action<T extends Types> =
  | {
    readonly _tag: "StartChild"
    readonly child: number
    readonly spec: ChildSpec<T["Start"]>
    readonly args: T["Args"] | undefined
    readonly attempt: number
  }
  | { readonly _tag: "AbortStart"; readonly child: number; readonly kill: boolean }
  | { readonly _tag: "ExitChild"; readonly child: number; readonly key: T["Key"] }
  | { readonly _tag: "KillChild"; readonly child: number; readonly key: T["Key"] }
  | { readonly _tag: "ArmTimer"; readonly timer: number; readonly millis: number }
  | { readonly _tag: "CancelTimer"; readonly timer: number }
  | {
    readonly _tag: "DelayRestart"
    readonly child: number
    readonly spec: ChildSpec<T["Start"]>
    readonly attempt: number
    readonly reason: T["Reason"]
    readonly memory: object
  }
  | { readonly _tag: "CancelRestart"; readonly child: number }
  | { readonly _tag: "Reply"; readonly from: T["From"]; readonly answer: Answer<T> }
  | { readonly _tag: "Report"; readonly report: Report<T> }
  | { readonly _tag: "Initialized" }
  | { readonly _tag: "Exit"; readonly reason: ExitWith<T> }
