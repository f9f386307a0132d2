/**
 * The rules of `gen_statem` once more, as its manual tells them: no care for speed, no mutable queues, one list of what
 * waits. Runs the scripts of `StateMachineScript.ts`.
 */
import {
  type Arrived,
  fuel,
  type Script,
  type ScriptAction,
  type ScriptDecision,
  type State
} from "./StateMachineScript.ts"

interface RunningTimer {
  readonly name: string
  readonly arrived: Arrived
  readonly isZero: boolean
}

interface World {
  readonly state: State
  readonly queue: ReadonlyArray<Arrived>
  readonly postponed: ReadonlyArray<Arrived>
  readonly timers: ReadonlyArray<RunningTimer>
}

const without = (timers: ReadonlyArray<RunningTimer>, name: string): ReadonlyArray<RunningTimer> =>
  timers.filter((timer) => timer.name !== name)

type TimerAction = Extract<ScriptAction, { readonly timer: string }>

const isTimerAction = (action: ScriptAction): action is TimerAction => "timer" in action

const applyTimer = (running: ReadonlyArray<RunningTimer>, action: TimerAction): ReadonlyArray<RunningTimer> => {
  const name = action.timer
  if (action._tag === "Cancel") return without(running, name)
  const arrived = { type: name, event: action.event }
  if (action._tag === "Update") {
    return running.some((timer) => timer.name === name)
      ? running.map((timer) => (timer.name === name ? { ...timer, arrived } : timer))
      : [...running, { name, arrived, isZero: true }]
  }
  if (action.millis === Infinity) return without(running, name)
  return [...without(running, name), { name, arrived, isZero: action.millis === 0 }]
}

/** Only the last action for a timer counts. */
const applyTimers = (
  timers: ReadonlyArray<RunningTimer>,
  actions: ReadonlyArray<ScriptAction>
): ReadonlyArray<RunningTimer> => {
  const all = actions.filter(isTimerAction)
  let running = timers
  for (const action of all.filter((a, index) => !all.slice(index + 1).some((later) => later.timer === a.timer))) {
    running = applyTimer(running, action)
  }
  return running
}

/** What is called, in order. */
export const runModel = (script: Script): ReadonlyArray<string> => {
  const log: Array<string> = []
  let left = fuel

  const say = (actions: ReadonlyArray<ScriptAction>): void => {
    for (const action of actions) if (action._tag === "Reply") log.push(`{reply,${action.value}}`)
  }

  /** What `enter` adds to the actions; undefined when it stops. */
  const enter = (old: State, state: State): ReadonlyArray<ScriptAction> | undefined => {
    if (!script.enter) return []
    log.push(`{enter,${old},${state}}`)
    const actions = script.enters.find(([name]) => name === state)?.[1] ?? []
    if (actions === "stop") return undefined
    say(actions)
    return actions
  }

  const handle = (world: World, arrived: Arrived): World | undefined => {
    const { state } = world
    log.push(`{${arrived.type},${arrived.event.label},${state}}`)
    const decision: ScriptDecision = (left > 0 ? arrived.event.on.find(([name]) => name === state)?.[1] : undefined) ??
      { _tag: "Keep", actions: [] }
    if (left > 0) left--
    say(decision.actions)
    if (decision._tag === "Stop") return undefined
    const next = decision._tag === "Next" ? decision.state : state
    const changed = next !== state
    const added = changed || decision._tag === "Repeat" ? enter(state, next) : []
    if (added === undefined) return undefined
    const actions = [...decision.actions, ...added]
    const postponed = actions.some((action) => action._tag === "Postpone")
      ? [...world.postponed, arrived]
      : world.postponed
    const inserted = actions.flatMap((action) =>
      action._tag === "NextEvent" ? [{ type: "internal", event: action.event }] : []
    )
    return {
      state: next,
      queue: [...inserted, ...(changed ? postponed : []), ...world.queue],
      postponed: changed ? [] : postponed,
      timers: applyTimers(changed ? without(world.timers, "state_timeout") : world.timers, actions)
    }
  }

  /** Handles what waits until nothing does. */
  const settle = (start: World | undefined): World | undefined => {
    let world = start
    while (world !== undefined) {
      const zero = world.timers.find((timer) => timer.isZero)
      const arrived = world.queue[0] ?? zero?.arrived
      if (arrived === undefined) return world
      const timers = world.queue.length > 0 ? world.timers : without(world.timers, zero!.name)
      world = handle({ ...world, queue: world.queue.slice(1), timers: without(timers, "timeout") }, arrived)
    }
    return world
  }

  say(script.actions)
  const first = enter(script.state, script.state)
  let world = first && settle({
    state: script.state,
    queue: script.actions.flatMap((action) =>
      action._tag === "NextEvent" ? [{ type: "internal", event: action.event }] : []
    ),
    postponed: [],
    timers: applyTimers([], [...script.actions, ...first])
  })
  for (const event of script.events) {
    if (world === undefined) break
    if ("fire" in event) {
      const timer = world.timers.find(({ name }) => name === event.fire)
      if (timer !== undefined) {
        world = settle({ ...world, timers: without(world.timers, timer.name), queue: [timer.arrived] })
      }
    } else {
      world = settle({ ...world, queue: [{ type: "cast", event }] })
    }
  }
  return log
}
