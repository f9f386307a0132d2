/**
 * Runs the core of a state machine on the loop of processes: envelopes become events, decisions of handlers go to the
 * core, and what the core asks for (replies, timers) is done.
 *
 * One message may lead to many events (inserted ones, postponed ones that come back, timeouts of zero). They are all
 * handled before the next message of the mailbox, in one go while handlers answer with plain values, and in the fiber
 * of the process from the first Effect on.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Behaviour from "../../process/Behaviour.ts"
import { MailboxFull } from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Core } from "../../process/Protocol.ts"
import { stop, Transition } from "../../process/Transition.ts"
import { MachineContext, MachineEvent, MachineStarted } from "./MachineEvent.ts"
import { type Action, type Decision, StateMachineCore, StateTransition, stay } from "./StateMachineCore.ts"
import { type Definition, Program, type StateTable, tagOf } from "./StateMachineProgram.ts"

/** A timer of a machine. */
class MachineTimer extends Behaviour.Timer {
  readonly machine: Machine
  readonly key: string
  readonly generation: number

  constructor(machine: Machine, key: string, generation: number) {
    super()
    this.machine = machine
    this.key = key
    this.generation = generation
  }

  fire(): void {
    // Its turn comes behind the messages that were there before, as that of any timer.
    this.machine.instance.system(() => this.machine.fired(this.key, this.generation))
  }
}

/** How many events are handled in one turn before others get theirs. */
const budget = 256

/** A decision that leaves nothing to do for the loop: replies have been given, others come later. */
const done: Transition<never, never, never> = new Transition(
  false,
  undefined as never,
  false,
  undefined as never,
  undefined,
  undefined
)

type Outcome = Transition<never, never, never> | Effect.Effect<Transition<never, never, never>>

const toEffect = (outcome: Outcome): Effect.Effect<Transition<never, never, never>> =>
  Effect.isEffect(outcome) ? outcome : Effect.succeed(outcome)

/** One running machine. It is the state of its process, as the loop sees it. */
export class Machine {
  readonly instance: Behaviour.Instance
  readonly core: StateMachineCore<MachineEvent>
  private readonly program: Program
  private table: StateTable
  private event: MachineEvent | undefined = undefined
  private entering: boolean
  /** Whether the handler of the current event was that of its call, so that a plain value is the reply. */
  private answering = false
  private timers: Map<string, MachineTimer> | undefined = undefined
  private guarded = false

  constructor(instance: Behaviour.Instance, program: Program, started: MachineStarted) {
    this.instance = instance
    this.program = program
    this.core = new StateMachineCore(started.state, started.data, Equal.equals, instance.capacity)
    this.table = program.table(started.state)
    this.entering = this.table.enter !== undefined || started.actions.length > 0
    this.core.begin(started.actions as ReadonlyArray<Action<MachineEvent>>) // `started` makes no others
  }

  /** Whether something is to be done before the first message. */
  get busy(): boolean {
    return this.entering
  }

  receive(event: MachineEvent): Outcome {
    this.core.receive(event)
    return this.proceed()
  }

  fired(key: string, generation: number): Outcome {
    this.timers?.delete(key)
    this.core.fired(key, generation)
    return this.proceed()
  }

  /** Handles events until none is left, or one is handled by an Effect. */
  proceed(): Outcome {
    for (let left = budget; left > 0; left--) {
      let decided: unknown
      if (this.entering) {
        decided = this.enter()
      } else {
        const event = this.event = this.core.take()
        if (event === undefined) return done
        // Who waits no more gets no answer; the event counts as handled.
        decided = event.from?.abandoned === true ? stay : this.handle(event)
      }
      if (Effect.isEffect(decided) && !Exit.isExit(decided)) {
        return Effect.matchCauseEffect(decided as Effect.Effect<unknown, unknown>, { // services as in the loop
          onFailure: (cause) => toEffect(this.failed(cause) ?? this.proceed()),
          onSuccess: (value) => toEffect(this.settle(value) ?? this.proceed())
        })
      }
      const outcome = !Exit.isExit(decided)
        ? this.settle(decided)
        : Exit.isSuccess(decided)
        ? this.settle(decided.value)
        : this.failed(decided.cause)
      if (outcome !== undefined) return outcome
    }
    return Effect.flatMap(Effect.yieldNow, () => toEffect(this.proceed()))
  }

  private enter(): unknown {
    const { enter } = this.table
    if (enter === undefined) return stay
    const { core } = this
    return enter(core.previous, core.data, new MachineContext(this.instance, core.state, undefined))
  }

  private handle(event: MachineEvent): unknown {
    const { core, table } = this
    const context = new MachineContext(this.instance, core.state, event.from)
    const handler = table.handlers[event.handler]
    this.answering = event.kind === "Call" && handler !== undefined
    switch (event.kind) {
      case "Exit":
      case "Down":
      case "Unhandled":
        if (handler !== undefined) return handler(event.payload, core.data, context)
        this.program.terms.report(this.instance, event.payload)
        return stay
      case "Timer":
        if (handler !== undefined) {
          return (handler as (data: unknown, context: MachineContext) => unknown)(core.data, context)
        }
        throw new Error(
          `${this.program.protocol.name}, state ${
            tagOf(core.state)
          }: a ${event.handler} has passed and nothing handles ` +
            `it; add a handler ${event.handler} to the state or to any, or give the timeout a message`
        )
      default:
        return handler === undefined
          ? table.otherwise!(event, core.data, context) // there is one, `check` has seen to it
          : handler(event.payload, core.data, context)
    }
  }

  /** A handler has decided. The outcome is set when the machine stops. */
  private settle(value: unknown): Outcome | undefined {
    let next: "done" | "enter" | "stop"
    if (this.entering) {
      this.entering = false
      next = this.core.entered(value instanceof StateTransition ? value as Decision<MachineEvent> : stay)
    } else if (value instanceof StateTransition) {
      next = this.core.decide(value as Decision<MachineEvent>)
    } else {
      if (this.answering) this.event!.from!.complete(Exit.succeed(value))
      next = this.core.decide(stay)
    }
    this.flush()
    switch (next) {
      case "done":
        return undefined
      case "enter":
        this.table = this.program.table(this.core.state)
        this.entering = true
        return undefined
      case "stop":
        return stop(this.core.reason ?? ExitReason.normal)
    }
  }

  /** A typed failure of a call is its error reply; everything else ends the process. */
  private failed(cause: Cause.Cause<unknown>): Outcome | undefined {
    const event = this.event
    if (!this.entering && event !== undefined && this.program.mayFail(event) && !Cause.hasDies(cause)) {
      const error = Cause.findError(cause)
      if (Result.isSuccess(error)) {
        event.from!.complete(Exit.fail(error.success))
        return this.settle(stay)
      }
    }
    return stop(ExitReason.fromCause(cause))
  }

  private flush(): void {
    const effects = this.core.flush()
    if (effects !== undefined) {
      for (const effect of effects) {
        switch (effect._tag) {
          case "Reply":
            this.event?.from?.complete(Exit.succeed(effect.value))
            break
          case "ReplyTo":
            // Every From is an envelope.
            ;(effect.from as Behaviour.CallEnvelope).complete(effect.exit)
            break
          case "Arm": {
            const timer = new MachineTimer(this, effect.key, effect.generation)
            ;(this.timers ??= new Map()).set(effect.key, timer)
            Behaviour.armTimer(this.instance, timer, effect.millis)
            break
          }
          case "Disarm": {
            const timer = this.timers?.get(effect.key)
            if (timer !== undefined) {
              this.timers!.delete(effect.key)
              Behaviour.cancelTimer(this.instance, timer)
            }
            break
          }
          case "Drop":
            this.instance.countDropped()
            effect.event.from?.failWith(new MailboxFull({ capacity: this.instance.capacity }))
        }
      }
    }
    if (!this.guarded && (this.timers !== undefined || this.core.postponedCount > 0)) this.guard()
  }

  /** Has timers and postponed events cleared away when the process ends, however it ends. */
  private guard(): void {
    this.guarded = true
    Effect.runSync(
      Scope.addFinalizer(
        this.instance.scope,
        Effect.sync(() => {
          for (const timer of this.timers?.values() ?? []) Behaviour.cancelTimer(this.instance, timer)
          this.timers = undefined
          // Calls among them are answered by the loop, which knows them as calls to be answered later.
          for (const event of this.core.abandon()) {
            if (event.kind === "Cast" || event.kind === "Info" || event.kind === "Unhandled") {
              this.instance.node.discarded++
            }
          }
        })
      )
    )
  }
}

/** Compiles a definition into a behaviour. */
export const compile = (protocol: Core, definition: Definition): Behaviour.Behaviour => {
  const program = new Program(protocol, definition)
  const init = definition.init as (args: unknown) => Effect.Effect<unknown, unknown, unknown>
  const onTerminate = definition.terminate as
    | ((reason: ExitReason.ExitReason, state: unknown, data: unknown) => Effect.Effect<unknown, unknown, unknown>)
    | undefined
  const onFormat = definition.format as ((state: unknown, data: unknown) => unknown) | undefined
  return {
    name: protocol.name,
    protocol,
    init: (instance, args) =>
      Effect.map(init(args), (started) => {
        if (!(started instanceof MachineStarted)) return started // an Ignore
        const machine = new Machine(instance, program, started)
        return new Behaviour.Started(machine, machine.busy ? { continue: undefined } : undefined)
      }),
    handle: (instance, envelope) => {
      const machine = instance.state as Machine
      switch (envelope.kind) {
        case Behaviour.CALL:
          return machine.receive(
            new MachineEvent("Call", protocol.messages[envelope.index]!._tag, envelope.payload, envelope)
          )
        case Behaviour.CAST: {
          const { _tag, kind } = protocol.messages[envelope.index]!
          return machine.receive(new MachineEvent(kind, _tag, envelope.payload, undefined))
        }
        case Behaviour.EXIT:
          return machine.receive(new MachineEvent("Exit", "exit", envelope.payload, undefined))
        case Behaviour.DOWN:
          return machine.receive(new MachineEvent("Down", "down", envelope.payload, undefined))
        case Behaviour.TERM:
          return machine.receive(new MachineEvent("Unhandled", "unhandled", envelope.payload, undefined))
        default:
          // The continuation of `init`: the first state is entered before any message is looked at.
          return machine.proceed()
      }
    },
    terminate: (instance, reason) => {
      const { core } = instance.state as Machine
      return onTerminate?.(reason, core.state, core.data)
    },
    format: (state) => {
      const { core } = state as Machine
      return onFormat === undefined
        ? { state: core.state, data: core.data, postponed: core.postponedCount }
        : onFormat(core.state, core.data)
    }
  }
}
