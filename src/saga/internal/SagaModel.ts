/**
 * A saga server as the runtime sees it. The public constructor has checked the types.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Core } from "../../process/Protocol.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Messages } from "./SagaMessage.ts"

/** A callback that gives the next state of its transaction. */
export type Callback = (...args: ReadonlyArray<never>) => Effect.Effect<unknown, unknown, unknown>

export interface Job {
  readonly run: (value: never, context: never) => Effect.Effect<unknown, unknown, unknown>
}

export interface Contract {
  readonly name: string
  readonly messages: Messages
}

export interface Definition {
  readonly contract: Contract
  readonly protocol: Core
  readonly next: { readonly [name: string]: Contract }
  readonly jobs: { readonly [name: string]: Job }
  readonly maxTransactions: number
  readonly init: ((args: never) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly begin: Callback
  readonly result: Callback | undefined
  readonly interim: Callback | undefined
  readonly trouble: Callback | undefined
  readonly cancelled: Callback | undefined
  readonly done: Callback | undefined
  readonly jobResult: Callback | undefined
  readonly jobInterim: Callback | undefined
  readonly jobFailed: Callback | undefined
  readonly handlers: { readonly [name: string]: ((...args: ReadonlyArray<never>) => unknown) | undefined }
  readonly terminate: ((reason: never, state: never) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/** The key of a reference or pid in a table: different for those of different nodes and lives. */
export const keyOf = (id: Reference | Pid): string => `${id.node}/${id.creation}${id.toString()}`
