/**
 * Scripted state machines: every event carries what its handler decides in each state, so that one set of callbacks
 * serves all machines. A script runs on the core here and on Erlang's `gen_statem`
 * (`test/erlang/state_machine.escript`); both give the list of what was called, as text in Erlang's form.
 */
import * as Exit from "effect/Exit"
import {
  type Action,
  eventTimer,
  KEEP,
  NEXT,
  NextEvent,
  Postpone,
  REPEAT,
  ReplyTo,
  StateMachineCore,
  stateTimer,
  StateTransition,
  stay,
  STOP,
  Timeout,
  UpdateTimeout
} from "../../../src/otp/internal/StateMachineCore.ts"
import { Dice } from "../model/SupervisionGenerator.ts"

export type State = "a" | "b" | "c"
export type TimerName = "state_timeout" | "timeout" | "n" | "m"

export type ScriptAction =
  | { readonly _tag: "Postpone" }
  | { readonly _tag: "NextEvent"; readonly event: ScriptEvent }
  | { readonly _tag: "Reply"; readonly value: number }
  | { readonly _tag: "Cancel"; readonly timer: TimerName }
  | { readonly _tag: "Update"; readonly timer: TimerName; readonly event: ScriptEvent }
  | { readonly _tag: "Start"; readonly timer: TimerName; readonly millis: number; readonly event: ScriptEvent }

export type ScriptDecision =
  | { readonly _tag: "Next"; readonly state: State; readonly actions: ReadonlyArray<ScriptAction> }
  | { readonly _tag: "Keep" | "Repeat" | "Stop"; readonly actions: ReadonlyArray<ScriptAction> }

export interface ScriptEvent {
  readonly label: string
  readonly on: ReadonlyArray<readonly [State, ScriptDecision]>
}

export interface Script {
  /** Whether the machine has `enter` callbacks. */
  readonly enter: boolean
  readonly state: State
  readonly actions: ReadonlyArray<ScriptAction>
  /** What `enter` decides, by state. */
  readonly enters: ReadonlyArray<readonly [State, ReadonlyArray<ScriptAction> | "stop"]>
  /** What comes from outside. On the core, the time of a timer may also be up. */
  readonly events: ReadonlyArray<ScriptEvent | Fire>
}

/** The time of a timer is up, if it runs. */
export interface Fire {
  readonly fire: TimerName
}

/** How many callbacks decide anything; later ones do nothing, so that every script ends. */
export const fuel = 40

// --- text ------------------------------------------------------------------------------------------------------------

const list = (items: ReadonlyArray<string>): string => `[${items.join(",")}]`

const showAction = (action: ScriptAction): string => {
  switch (action._tag) {
    case "Postpone":
      return "postpone"
    case "NextEvent":
      return `{next_event,${showEvent(action.event)}}`
    case "Reply":
      return `{reply,${action.value}}`
    case "Cancel":
      return `{cancel,${action.timer}}`
    case "Update":
      return `{update,${action.timer},${showEvent(action.event)}}`
    case "Start":
      return `{start,${action.timer},${action.millis === Infinity ? "infinity" : action.millis},${
        showEvent(action.event)
      }}`
  }
}

const showActions = (actions: ReadonlyArray<ScriptAction>): string => list(actions.map(showAction))

const showDecision = (decision: ScriptDecision): string =>
  decision._tag === "Next"
    ? `{next,${decision.state},${showActions(decision.actions)}}`
    : `{${decision._tag.toLowerCase()},${showActions(decision.actions)}}`

const showEvent = (event: ScriptEvent): string =>
  `{${event.label},${list(event.on.map(([state, decision]) => `{${state},${showDecision(decision)}}`))}}`

/** The script as a term for Erlang. */
export const showScript = (script: Script): string => {
  const enters = script.enters.map(([state, actions]) =>
    `{${state},${actions === "stop" ? "stop" : showActions(actions)}}`
  )
  return `{${script.enter},${script.state},${showActions(script.actions)},${list(enters)},${
    list(script.events.map((event) => ("fire" in event ? `{fire,${event.fire}}` : showEvent(event))))
  }}.`
}

// --- on the core -----------------------------------------------------------------------------------------------------

/** An event on its way: how it came, and its script. */
export interface Arrived {
  readonly type: string
  readonly event: ScriptEvent
}

const keys = { state_timeout: stateTimer, timeout: eventTimer, n: "n", m: "m" } as const

const actionOf = (action: ScriptAction): Action<Arrived> => {
  switch (action._tag) {
    case "Postpone":
      return new Postpone()
    case "NextEvent":
      return new NextEvent(undefined, { type: "internal", event: action.event })
    case "Reply":
      return new ReplyTo(undefined, Exit.succeed(action.value))
    case "Cancel":
      return new Timeout(undefined, keys[action.timer], Infinity, { type: "none", event: { label: "none", on: [] } })
    case "Update":
      return new UpdateTimeout(undefined, keys[action.timer], { type: action.timer, event: action.event })
    case "Start":
      return new Timeout(undefined, keys[action.timer], action.millis, { type: action.timer, event: action.event })
  }
}

type Decision = StateTransition<unknown, unknown, Action<Arrived>>

const decisionOf = (decision: ScriptDecision): Decision => {
  const kind = { Next: NEXT, Keep: KEEP, Repeat: REPEAT, Stop: STOP }[decision._tag] as 0 | 1 | 2 | 3
  const state = decision._tag === "Next" ? decision.state : undefined
  return new StateTransition(kind, state, false, undefined, decision.actions.map(actionOf), undefined)
}

/** Runs a script on the core, as the shell would. */
export const runScript = (script: Script): ReadonlyArray<string> => {
  const core = new StateMachineCore<Arrived>(script.state, undefined, (x, y) => x === y, 1000)
  const log: Array<string> = []
  const generations = new Map<string, number>()
  let left = fuel
  const flush = (): void => {
    for (const effect of core.flush() ?? []) {
      if (effect._tag === "ReplyTo" && Exit.isSuccess(effect.exit)) log.push(`{reply,${String(effect.exit.value)}}`)
      // A timer that was disarmed may be about to fire all the same: its generation is kept.
      if (effect._tag === "Arm") generations.set(effect.key, effect.generation)
    }
  }
  const enterDecision = (): Decision => {
    if (!script.enter) return stay
    log.push(`{enter,${String(core.previous)},${String(core.state)}}`)
    const actions = script.enters.find(([state]) => state === core.state)?.[1] ?? []
    return decisionOf(actions === "stop" ? { _tag: "Stop", actions: [] } : { _tag: "Keep", actions })
  }
  const enter = (): "done" | "stop" => {
    const outcome = core.entered(enterDecision())
    flush()
    return outcome
  }
  const handle = (): boolean => {
    for (let arrived = core.take(); arrived !== undefined; arrived = core.take()) {
      const { event, type } = arrived
      log.push(`{${type},${event.label},${String(core.state)}}`)
      const decision = left === 0 ? undefined : event.on.find(([state]) => state === core.state)?.[1]
      if (left > 0) left--
      const outcome = core.decide(decision === undefined ? stay : decisionOf(decision))
      flush()
      if (outcome === "stop" || (outcome === "enter" && enter() === "stop")) return false
    }
    return true
  }
  core.begin(script.actions.map(actionOf))
  flush()
  let going = enter() === "done" && handle()
  for (const event of script.events) {
    if (!going) break
    if ("fire" in event) core.fired(keys[event.fire], generations.get(keys[event.fire]) ?? 0)
    else core.receive({ type: "cast", event })
    going = handle()
  }
  return log
}

// --- random scripts --------------------------------------------------------------------------------------------------

const states: ReadonlyArray<State> = ["a", "b", "c"]
const timers: ReadonlyArray<TimerName> = ["state_timeout", "timeout", "n", "m"]

/** A random script, the same for the same seed. With `fires`, timers that were started with a time may fire. */
export const randomScript = (seed: number, fires = false): Script => {
  const dice = new Dice(seed)
  let labels = 0
  const event = (depth: number): ScriptEvent => {
    const label = `e${++labels}`
    const on = states.filter(() => dice.chance(75)).map((state) => [state, decision(depth)] as const)
    return { label, on }
  }
  const timerAction = (depth: number): ScriptAction => {
    const timer = dice.pick(timers)
    return dice.weighted<() => ScriptAction>([
      [5, () => ({ _tag: "Start", timer, millis: 0, event: event(depth - 1) })],
      [fires ? 6 : 2, () => ({ _tag: "Start", timer, millis: 100_000, event: event(depth - 1) })],
      [1, () => ({ _tag: "Start", timer, millis: Infinity, event: event(depth - 1) })],
      [2, () => ({ _tag: "Cancel", timer })],
      [3, () => ({ _tag: "Update", timer, event: event(depth - 1) })]
    ])()
  }
  const actions = (depth: number, enter: boolean): ReadonlyArray<ScriptAction> => {
    const made: Array<ScriptAction> = []
    for (let n = dice.pick([0, 0, 1, 1, 2, 3]); n > 0; n--) {
      if (depth <= 0 || dice.chance(15)) made.push({ _tag: "Reply", value: ++labels })
      else if (!enter && dice.chance(30)) made.push({ _tag: "NextEvent", event: event(depth - 1) })
      else made.push(timerAction(depth))
    }
    return made
  }
  const decision = (depth: number): ScriptDecision => {
    const made = [...actions(depth, false)]
    if (dice.chance(30)) made.splice(dice.below(made.length + 1), 0, { _tag: "Postpone" })
    return dice.weighted<ScriptDecision>([
      [8, { _tag: "Next", state: dice.pick(states), actions: made }],
      [8, { _tag: "Keep", actions: made }],
      [2, { _tag: "Repeat", actions: made }],
      [depth === 3 ? 1 : 0, { _tag: "Stop", actions: made.filter((action) => action._tag === "Reply") }]
    ])
  }
  return {
    enter: dice.chance(60),
    state: dice.pick(states),
    actions: actions(2, false),
    enters: states.filter(() => dice.chance(60)).map((state) =>
      [state, dice.chance(3) ? "stop" : actions(1, true)] as const
    ),
    events: Array.from(
      { length: 1 + dice.below(6) },
      () => fires && dice.chance(40) ? { fire: dice.pick(timers) } : event(3)
    )
  }
}
