/**
 * The rules of `gen_statem` as a machine without I/O, clock or processes: which event is handled next, and what a
 * decision does to the state, the postponed events, the inserted ones and the timers.
 *
 * The shell drives it: `receive` or `fired` brings an event in, `take` gives the event to handle, `decide` takes the
 * decision of its handler, `entered` that of the `enter` handler when `decide` asked for one. What is to be done
 * outside (replies, timers) collects in an outbox that `flush` empties. The state is mutable for speed, but the machine
 * is deterministic: the same calls give the same effects.
 *
 * Guarantees. Events that wait here go before anything that is received later: first the inserted ones, then those that
 * were postponed before the last change of state, in their order, then timeouts of zero in the order in which they were
 * started. A change of state (an unequal state, never `repeat`) brings the postponed events back and ends the state
 * timeout; any event ends the event timeout. The number of postponed events is bounded; past the bound the newest is
 * handed back as dropped.
 *
 * Refuses a decision of an `enter` handler that would change the state, postpone or insert an event.
 *
 * @since 0.1.0
 */
import type * as Exit from "effect/Exit"
import type { ExitReason } from "../../process/ExitReason.ts"

/** Go to a state, which may be the present one. */
export const NEXT = 0
/** Stay. */
export const KEEP = 1
/** Stay, and enter the state anew. */
export const REPEAT = 2
/** Stop the process. */
export const STOP = 3

/** What the handler of an event decided. `A` are the actions, in order. */
export class StateTransition<out S, out D, out A> {
  readonly kind: typeof NEXT | typeof KEEP | typeof REPEAT | typeof STOP
  /** The next state; of interest for `NEXT` only. */
  readonly state: S
  /** Whether `data` is the next data; otherwise the data stays as it is. */
  readonly updates: boolean
  readonly data: D
  readonly actions: ReadonlyArray<A>
  readonly reason: ExitReason | undefined

  constructor(
    kind: typeof NEXT | typeof KEEP | typeof REPEAT | typeof STOP,
    state: S,
    updates: boolean,
    data: D,
    actions: ReadonlyArray<A>,
    reason: ExitReason | undefined
  ) {
    this.kind = kind
    this.state = state
    this.updates = updates
    this.data = data
    this.actions = actions
    this.reason = reason
  }
}

/** Handle the event again after the next change of state. */
export class Postpone {
  readonly _tag = "Postpone" as const
}

/** Handle an event of the machine's own before anything that waits. */
export class NextEvent<out M, out E = unknown> {
  readonly _tag = "NextEvent" as const
  readonly message: M
  readonly event: E

  constructor(message: M, event: E) {
    this.message = message
    this.event = event
  }
}

/** Start, restart or (with an infinite time) end a timer. */
export class Timeout<out M, out E = unknown> {
  readonly _tag = "Timeout" as const
  readonly message: M
  readonly key: string
  readonly millis: number
  readonly event: E

  constructor(message: M, key: string, millis: number, event: E) {
    this.message = message
    this.key = key
    this.millis = millis
    this.event = event
  }
}

/** Give a running timer another event, or, when it does not run, let that event come at once. */
export class UpdateTimeout<out M, out E = unknown> {
  readonly _tag = "UpdateTimeout" as const
  readonly message: M
  readonly key: string
  readonly event: E

  constructor(message: M, key: string, event: E) {
    this.message = message
    this.key = key
    this.event = event
  }
}

/** Answer the call that is being handled. */
export class Reply<out A> {
  readonly _tag = "Reply" as const
  readonly value: A

  constructor(value: A) {
    this.value = value
  }
}

/** Answer a call, whichever. */
export class ReplyTo {
  readonly _tag = "ReplyTo" as const
  readonly from: unknown
  readonly exit: Exit.Exit<unknown, unknown>

  constructor(from: unknown, exit: Exit.Exit<unknown, unknown>) {
    this.from = from
    this.exit = exit
  }
}

/** Any action, as the core sees it. */
export type Action<E> =
  | Postpone
  | NextEvent<unknown, E>
  | Timeout<unknown, E>
  | UpdateTimeout<unknown, E>
  | Reply<unknown>
  | ReplyTo

/** Any decision, as the core sees it. */
export type Decision<E> = StateTransition<unknown, unknown, Action<E>>

/** What the shell is to do, in order. */
export type CoreEffect<E> =
  | Reply<unknown>
  | ReplyTo
  | { readonly _tag: "Arm"; readonly key: string; readonly millis: number; readonly generation: number }
  | { readonly _tag: "Disarm"; readonly key: string }
  | { readonly _tag: "Drop"; readonly event: E }

/** The key of the timer that a change of state ends. */
export const stateTimer = "state"
/** The key of the timer that any event ends. */
export const eventTimer = "event"

interface Running<E> {
  event: E
  /** Tells this run of the timer from earlier ones; zero for a timeout of zero, which no clock counts. */
  readonly generation: number
}

/** Stay as it is: what a handler that returns nothing means. */
export const stay: StateTransition<never, never, never> = new StateTransition(
  KEEP,
  undefined as never,
  false,
  undefined as never,
  [],
  undefined
)

/** @since 0.1.0 */
export class StateMachineCore<E> {
  state: unknown
  data: unknown
  /** The state before the present one was entered, for `enter` handlers. */
  previous: unknown
  /** Why the machine stops, once it does. */
  reason: ExitReason | undefined = undefined
  private readonly equals: (a: unknown, b: unknown) => boolean
  private readonly postponedMax: number
  /** Events that go before anything received later; the next one is at the end. */
  private readonly stack: Array<E> = []
  private postponed: Array<E> = []
  private timers: Map<string, Running<E>> | undefined = undefined
  /** Keys of the timeouts of zero, oldest first. */
  private zeros: Array<string> = []
  private generations = 0
  private current: E | undefined = undefined
  // What the decision on the current event has asked for so far.
  private changed = false
  private postponing = false
  private inserted: Array<E> | undefined = undefined
  private started: Array<Timeout<unknown, E> | UpdateTimeout<unknown, E>> | undefined = undefined
  private outbox: Array<CoreEffect<E>> | undefined = undefined

  constructor(state: unknown, data: unknown, equals: (a: unknown, b: unknown) => boolean, postponedMax: number) {
    this.state = state
    this.previous = state
    this.data = data
    this.equals = equals
    this.postponedMax = postponedMax
  }

  /** How many events wait for a change of state. */
  get postponedCount(): number {
    return this.postponed.length
  }

  /** Takes all postponed events out, oldest first: the process ends. */
  abandon(): ReadonlyArray<E> {
    const events = [...this.postponed, ...this.stack.reverse()]
    this.postponed = []
    this.stack.length = 0
    return events
  }

  /** The effects since the last flush, in order. */
  flush(): ReadonlyArray<CoreEffect<E>> | undefined {
    const effects = this.outbox
    this.outbox = undefined
    return effects
  }

  /** The first state is to be entered, with the actions of `init`. */
  begin(actions: ReadonlyArray<Action<E>>): void {
    this.collect(actions)
  }

  /** An event comes from outside. It waits for `take` behind all that waits here. */
  receive(event: E): void {
    this.stack.unshift(event)
  }

  /** A timer has fired. Its event waits for `take`, unless the timer was ended or started anew since. */
  fired(key: string, generation: number): void {
    const timer = this.timers?.get(key)
    if (timer === undefined || timer.generation !== generation) return
    this.timers!.delete(key)
    this.receive(timer.event)
  }

  /** The event to handle now, or undefined when the machine waits. */
  take(): E | undefined {
    let event = this.stack.pop()
    if (event === undefined) {
      const key = this.zeros.shift()
      if (key === undefined) return undefined
      event = this.timers!.get(key)!.event
      this.timers!.delete(key)
    }
    this.current = event
    this.cancel(eventTimer)
    return event
  }

  /** What the handler of the current event decided. `enter`: the state is to be entered before it takes effect. */
  decide(decision: Decision<E>): "done" | "enter" | "stop" {
    if (decision.updates) this.data = decision.data
    if (decision.actions.length > 0) this.collect(decision.actions)
    switch (decision.kind) {
      case STOP:
        this.reason = decision.reason
        return "stop"
      case REPEAT:
        this.previous = this.state
        return "enter"
      case NEXT: {
        const previous = this.state
        this.state = decision.state
        if (!this.equals(previous, decision.state)) {
          this.previous = previous
          this.changed = true
          return "enter"
        }
      }
    }
    this.commit()
    return "done"
  }

  /** What the `enter` handler decided; `stay` when there is none. */
  entered(decision: Decision<E>): "done" | "stop" {
    if (decision.updates) this.data = decision.data
    if (decision.kind === STOP) {
      this.collect(decision.actions)
      this.reason = decision.reason
      return "stop"
    }
    if (decision.kind === REPEAT || (decision.kind === NEXT && !this.equals(this.state, decision.state))) {
      throw new Error("an enter handler cannot change or repeat the state; start a timeout of zero and do it there")
    }
    for (const action of decision.actions) {
      if (action._tag === "Postpone" || action._tag === "NextEvent") {
        throw new Error(`an enter handler cannot ask for ${action._tag}; it handles no event`)
      }
    }
    this.collect(decision.actions)
    this.commit()
    return "done"
  }

  /** Sorts actions by the time at which they take effect: replies now, the others at the end of the transition. */
  private collect(actions: ReadonlyArray<Action<E>>): void {
    for (const action of actions) {
      switch (action._tag) {
        case "Reply":
        case "ReplyTo":
          this.emit(action)
          break
        case "Postpone":
          this.postponing = true
          break
        case "NextEvent":
          ;(this.inserted ??= []).push(action.event)
          break
        default:
          ;(this.started ??= []).push(action)
      }
    }
  }

  private commit(): void {
    if (this.postponing) {
      this.postponing = false
      if (this.postponed.length < this.postponedMax) this.postponed.push(this.current!)
      else this.emit({ _tag: "Drop", event: this.current! })
    }
    this.current = undefined
    if (this.changed) {
      this.changed = false
      const { postponed } = this
      if (postponed.length > 0) {
        for (let i = postponed.length - 1; i >= 0; i--) this.stack.push(postponed[i]!)
        this.postponed = []
      }
      this.cancel(stateTimer)
    }
    const { inserted, started } = this
    if (inserted !== undefined) {
      this.inserted = undefined
      for (let i = inserted.length - 1; i >= 0; i--) this.stack.push(inserted[i]!)
    }
    if (started !== undefined) {
      this.started = undefined
      // Of several actions for one timer the last counts, in its place; an earlier one is as if it were not there.
      started.forEach((action, i) => {
        if (!started.some((later, j) => j > i && later.key === action.key)) this.start(action)
      })
    }
  }

  private start(action: Timeout<unknown, E> | UpdateTimeout<unknown, E>): void {
    const { event, key } = action
    if (action._tag === "UpdateTimeout") {
      const running = this.timers?.get(key)
      if (running === undefined) this.startZero(key, event)
      else running.event = event
      return
    }
    this.cancel(key)
    if (action.millis === Infinity) return
    if (action.millis <= 0) return this.startZero(key, event)
    const generation = ++this.generations
    ;(this.timers ??= new Map()).set(key, { event, generation })
    this.emit({ _tag: "Arm", key, millis: action.millis, generation })
  }

  private startZero(key: string, event: E): void {
    ;(this.timers ??= new Map()).set(key, { event, generation: 0 })
    this.zeros.push(key)
  }

  private cancel(key: string): void {
    const timer = this.timers?.get(key)
    if (timer === undefined) return
    this.timers!.delete(key)
    if (timer.generation === 0) this.zeros = this.zeros.filter((other) => other !== key)
    else this.emit({ _tag: "Disarm", key })
  }

  private emit(effect: CoreEffect<E>): void {
    ;(this.outbox ??= []).push(effect)
  }
}
