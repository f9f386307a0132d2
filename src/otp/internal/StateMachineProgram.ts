/**
 * The definition of a state machine, compiled once for all processes that run it: the handlers of each state with those
 * for all states behind them.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as SchemaAST from "effect/SchemaAST"
import type * as ExitReason from "../../process/ExitReason.ts"
import type * as Message from "../../process/Message.ts"
import type { Core } from "../../process/Protocol.ts"
import type { MachineContext, MachineEvent } from "./MachineEvent.ts"
import { UnhandledTerms } from "./UnhandledTerms.ts"

type Handler = (payload: unknown, data: unknown, context: MachineContext) => unknown

/** The parts of a machine, untyped. The public constructor has checked the types. */
export interface Definition {
  readonly init: (args: never) => Effect.Effect<unknown, unknown, unknown>
  readonly internal?: ReadonlyArray<Message.Any> | undefined
  readonly states: object
  readonly any?: object | undefined
  readonly terminate?:
    | ((reason: ExitReason.ExitReason, state: never, data: never) => Effect.Effect<unknown, unknown, unknown>)
    | undefined
  readonly format?: ((state: never, data: never) => unknown) | undefined
}

/** What stands beside the messages in the handlers of a state. */
const callbacks: ReadonlySet<string> = new Set([
  "enter",
  "stateTimeout",
  "eventTimeout",
  "exit",
  "down",
  "unhandled",
  "otherwise"
])

/** The name of a state. */
export const tagOf = (state: unknown): string =>
  typeof state === "object" && state !== null ? (state as { readonly _tag: string })._tag : String(state)

type Handlers = { readonly [name: string]: Handler | undefined }

/** The handlers of one state with those for all states behind them: what names a message goes before `otherwise`. */
export class StateTable {
  readonly handlers: Handlers
  readonly enter: Handler | undefined
  readonly otherwise: Handler | undefined

  constructor(own: Handlers, common: Handlers) {
    this.handlers = Object.assign(Object.create(null) as Handlers, common, own)
    this.enter = this.handlers["enter"]
    this.otherwise = this.handlers["otherwise"]
  }
}

/** A definition compiled once for all processes that run it. */
export class Program {
  readonly protocol: Core
  readonly definition: Definition
  readonly terms: UnhandledTerms
  private readonly tables: Map<string, StateTable>
  /** How the error of a call is known from a defect, by tag. */
  private readonly fallible: Set<string>

  constructor(protocol: Core, definition: Definition) {
    this.protocol = protocol
    this.definition = definition
    this.terms = new UnhandledTerms(protocol.name)
    const common = (definition.any ?? {}) as Handlers
    const states = Object.entries(definition.states as { readonly [state: string]: Handlers })
    const messages = [...protocol.messages, ...(definition.internal ?? [])]
    this.tables = new Map(states.map(([state, own]) => [state, new StateTable(own, common)]))
    this.fallible = new Set(
      messages.filter((message) => !SchemaAST.isNever(message.errorSchema.ast)).map((message) => message._tag)
    )
    this.check(messages, [["any", common], ...states])
  }

  table(state: unknown): StateTable {
    const table = this.tables.get(tagOf(state))
    if (table !== undefined) return table
    throw new Error(
      `${this.protocol.name} went to the state ${tagOf(state)}, which it does not have; it has ${
        [...this.tables.keys()].join(", ")
      }`
    )
  }

  mayFail(event: MachineEvent): boolean {
    return event.from !== undefined && this.fallible.has(event.handler)
  }

  /** What the types refuse, for those who go past them. */
  private check(messages: ReadonlyArray<Message.Any>, places: ReadonlyArray<readonly [string, Handlers]>): void {
    const name = this.protocol.name
    const tags = new Set<string>()
    for (const { _tag } of messages) {
      if (callbacks.has(_tag) || tags.has(_tag)) {
        throw new Error(`${name}: a message of a state machine cannot be called ${_tag}, that name is taken; rename it`)
      }
      tags.add(_tag)
    }
    for (const [place, handlers] of places) {
      const stranger = Object.keys(handlers).find((key) => !tags.has(key) && !callbacks.has(key))
      if (stranger !== undefined) {
        throw new Error(`${name}, ${place}: ${stranger} is no message of the machine and no callback; remove it`)
      }
    }
    for (const [state, table] of this.tables) {
      const missing = [...tags].find((tag) => table.handlers[tag] === undefined)
      if (missing !== undefined && table.otherwise === undefined) {
        throw new Error(
          `${name}, state ${state}: nothing handles ${missing}; add a handler to the state or to any, or an otherwise`
        )
      }
    }
  }
}
