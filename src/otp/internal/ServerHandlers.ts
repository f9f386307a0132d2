/**
 * A server definition compiled for the loop: handlers by number of their message, callbacks, and the fate of what nobody
 * handles.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type { ExitReason } from "../../process/ExitReason.ts"
import type { Context } from "../../process/Handler.ts"
import type { Core } from "../../process/Protocol.ts"
import type { Snapshot, StateUpgrade } from "../StateUpgrade.ts"
import * as Upgrade from "../StateUpgrade.ts"
import { UnhandledTerms } from "./UnhandledTerms.ts"

type Handler = (payload: unknown, state: unknown, context: Context) => unknown

/** The parts of a server, untyped. The public constructor has checked the types. */
export interface Callbacks {
  readonly init: (args: never) => Effect.Effect<unknown, unknown, unknown>
  readonly handlers: object
  readonly continue?: ((value: never, state: never, context: Context) => unknown) | undefined
  readonly timeout?: ((state: never, context: Context) => unknown) | undefined
  readonly terminate?: ((reason: ExitReason, state: never) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly format?: ((state: never) => unknown) | undefined
  readonly upgrade?: unknown
}

/** A behaviour made by {@link compile}: what `snapshot` and `changeCode` need besides. */
export interface ServerBehaviour extends Behaviour.Behaviour {
  /** The handlers of a server with explicit state; those in closure style are made by `init`. */
  readonly table: HandlerTable | undefined
  readonly upgrade: StateUpgrade<unknown> | undefined
}

/** What {@link compile} has made. */
const servers = new WeakSet<Behaviour.Behaviour>()

/** Whether a process runs a server, and not another kind of behaviour. */
export const isServer = (behaviour: Behaviour.Behaviour): behaviour is ServerBehaviour => servers.has(behaviour)

/** Stands for the arguments of a server that starts from a snapshot: its state comes from there, and `init` does not run. */
export class Restore {
  readonly snapshot: Snapshot

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot
  }
}

/** Handlers by number of their message. */
export class HandlerTable {
  readonly list: ReadonlyArray<Handler>
  readonly exit: Handler | undefined
  readonly down: Handler | undefined
  readonly unhandled: Handler | undefined

  constructor(protocol: Core, handlers: object) {
    const record = handlers as { readonly [name: string]: Handler | undefined }
    this.list = protocol.messages.map((message) => {
      const handler = record[message._tag]
      if (handler === undefined) {
        throw new Error(`a server of ${protocol.name} has no handler for ${message._tag}; add one to its handlers`)
      }
      return handler
    })
    this.exit = record["exit"]
    this.down = record["down"]
    this.unhandled = record["unhandled"]
  }
}

/** Compiles a definition with explicit state, or one in closure style. */
export const compile = (
  protocol: Core,
  definition: Callbacks | ((args: never) => Effect.Effect<unknown, unknown, unknown>)
): ServerBehaviour => {
  const closures = typeof definition === "function"
  const callbacks: Partial<Callbacks> = closures ? {} : definition
  const fixed = closures ? undefined : new HandlerTable(protocol, definition.handlers)
  const init = (closures ? definition : definition.init) as (args: unknown) => Effect.Effect<unknown, unknown, unknown>
  const onContinue = callbacks.continue as ((value: unknown, state: unknown, context: Context) => unknown) | undefined
  const onTimeout = callbacks.timeout as ((state: unknown, context: Context) => unknown) | undefined
  const onTerminate = callbacks.terminate as
    | ((reason: ExitReason, state: unknown) => Effect.Effect<unknown, unknown, unknown>)
    | undefined
  const onFormat = callbacks.format as ((state: unknown) => unknown) | undefined
  const upgrade = callbacks.upgrade as StateUpgrade<unknown> | undefined
  const terms = new UnhandledTerms(protocol.name)

  const unhandled = (instance: Behaviour.Instance, table: HandlerTable, term: unknown, context: Context): unknown => {
    if (table.unhandled !== undefined) return table.unhandled(term, instance.state, context)
    terms.report(instance, term)
    return undefined
  }

  const behaviour: ServerBehaviour = {
    name: protocol.name,
    protocol,
    table: fixed,
    upgrade,
    init: (instance, args) => {
      if (args instanceof Restore) {
        instance.handlers = fixed
        return upgrade === undefined
          ? Effect.fail(new Upgrade.UpgradeError({ subject: instance.displayName, reason: new Upgrade.NoUpgrade({}) }))
          : Effect.map(
            Upgrade.decode(upgrade, args.snapshot, instance.displayName),
            (state) => new Behaviour.Started(state, undefined)
          )
      }
      if (closures) {
        return Effect.map(init(args), (handlers) => {
          instance.handlers = new HandlerTable(protocol, handlers as object)
          return started
        })
      }
      instance.handlers = fixed
      // Eagerly: most servers have their first state at hand, and then a start costs no further step.
      return Effect.mapEager(
        init(args),
        (state) =>
          state instanceof Behaviour.Started || state instanceof Behaviour.Ignore
            ? state
            : new Behaviour.Started(state, undefined)
      )
    },
    handle: (instance, envelope) => {
      const table = instance.handlers as HandlerTable
      switch (envelope.kind) {
        case Behaviour.CALL:
        case Behaviour.CAST:
          return table.list[envelope.index]!(envelope.payload, instance.state, envelope)
        case Behaviour.EXIT:
          return table.exit === undefined
            ? unhandled(instance, table, envelope.payload, envelope)
            : table.exit(envelope.payload, instance.state, envelope)
        case Behaviour.DOWN:
          return table.down === undefined
            ? unhandled(instance, table, envelope.payload, envelope)
            : table.down(envelope.payload, instance.state, envelope)
        case Behaviour.TERM:
          return unhandled(instance, table, envelope.payload, envelope)
        case Behaviour.CONTINUE:
          if (onContinue === undefined) {
            throw new Error(`a transition of ${protocol.name} says continue, but the server has no continue callback`)
          }
          return onContinue(envelope.payload, instance.state, envelope)
        case Behaviour.TIMEOUT:
          if (onTimeout === undefined) {
            throw new Error(`a transition of ${protocol.name} has a timeout, but the server has no timeout callback`)
          }
          return onTimeout(instance.state, envelope)
      }
      return undefined
    },
    terminate: (instance, reason) => onTerminate?.(reason, instance.state),
    format: (state) => (onFormat === undefined ? state : onFormat(state))
  }
  servers.add(behaviour)
  return behaviour
}

const started = new Behaviour.Started(undefined, undefined)
