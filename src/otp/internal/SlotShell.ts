/**
 * A supervisor whose children sit in numbered places: what replaces a child takes its place. The base of pools and of
 * partitioned supervisors.
 *
 * A place is found without a message to the supervisor, so that a sender can choose the receiver in its own turn.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Core } from "../../process/Protocol.ts"
import { toRequest } from "./SupervisorMessages.ts"
import { type ShellOptions, type StartFunction, supervisorBehaviour, SupervisorShell } from "./SupervisorShell.ts"

/** A place and who is in it: the last process that was started for it, alive or not. */
export class Slot<P extends Behaviour.Process = Behaviour.Process> {
  readonly number: number
  worker: P | undefined = undefined
  starts = 0

  constructor(number: number) {
    this.number = number
  }

  fill(worker: P): void {
    this.worker = worker
    this.starts++
  }
}

/** @since 0.1.0 */
export abstract class SlotShell<S extends Slot> extends SupervisorShell {
  /** What the supervisor was started with. */
  readonly args: unknown

  constructor(instance: Behaviour.Instance, options: ShellOptions, args: unknown) {
    super(instance, options)
    this.args = args
  }

  /** The place of this number. */
  abstract slotOf(number: number): S
}

/** How the child of one place is started. */
export type StartInSlot<S extends Slot, Shell extends SlotShell<S>> = (
  shell: Shell,
  slot: S,
  onSpawn: (process: Behaviour.Process) => void
) => Effect.Effect<Behaviour.Process, unknown, unknown>

/** A start function for the child of a place, which puts what was started into it. */
export const inSlot = <S extends Slot, Shell extends SlotShell<S>>(
  number: number,
  start: StartInSlot<S, Shell>
): StartFunction =>
(_, onSpawn) =>
  Effect.flatMap(Behaviour.current, (supervisor) => {
    // Children are started by the supervisor, whose state is the shell.
    const shell = (supervisor as Behaviour.Instance).state as Shell
    const slot = shell.slotOf(number)
    return Effect.map(start(shell, slot, onSpawn), (process) => {
      slot.fill(process)
      return process
    })
  })

/** The behaviour of a supervisor with places. `handle` may take an envelope before the supervisor does. */
export const slotBehaviour = (
  name: string,
  protocol: Core,
  options: ShellOptions,
  makeShell: (instance: Behaviour.Instance, args: unknown) => SupervisorShell,
  handle?: (instance: Behaviour.Instance, envelope: Behaviour.Envelope) => unknown
): Behaviour.Behaviour => {
  const base = supervisorBehaviour(name, protocol, options, toRequest)
  return {
    ...base,
    init: (instance, args) => Effect.suspend(() => makeShell(instance, args).begin()),
    handle: (instance, envelope) => handle?.(instance, envelope) ?? base.handle(instance, envelope)
  }
}
