/**
 * The messages of one contract: what a parent says to a branch, and what a branch says to its parent.
 *
 * On the wire they are tuples: `{'$saga_begin', Transaction, Branch, Parent, Path, Hops, LifespanMillis, Value}` and
 * `{'$saga_cancel', Branch, Reason}` to the saga; `{'$saga_result_hotel', Branch, Value}`, and the same with `interim`, `failed` and
 * `cancelled`, to the parent of a branch of the contract `Hotel`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Etf from "../../etf/EtfSchema.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"
import { Atom } from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import { Tuple } from "../../term/Tuple.ts"
import { CancelReason } from "../SagaError.ts"

export interface Begin {
  readonly transaction: Reference
  readonly branch: Reference
  readonly parent: Pid
  /** The sagas from the origin to the parent. */
  readonly path: ReadonlyArray<Pid>
  readonly hops: number
  readonly lifespanMillis: number
  readonly value: unknown
}

export interface Told {
  readonly branch: Reference
  readonly value?: unknown
  readonly error?: unknown
  readonly reason?: CancelReason
}

/** How the messages to a parent are told apart. */
export type Answer = "result" | "interim" | "failed" | "cancelled"

export interface Messages {
  /** What the saga is told. */
  readonly toBranch: Protocol.Core
  /** What the parent is told. */
  readonly toParent: Protocol.Core
  readonly answers: { readonly [A in Answer]: Message.Any }
}

export const begin = "$saga_begin"
export const cancel = "$saga_cancel"

export const make = (
  name: string,
  schemas: {
    readonly value: Schema.Top
    readonly result: Schema.Top
    readonly error: Schema.Top
    readonly interim: Schema.Top
  }
): Messages => {
  const answer = (kind: Answer, fields: Schema.Struct.Fields): Message.Any =>
    Message.Info(`$saga_${kind}_${name}`, { payload: { branch: Etf.Reference, ...fields } })
  const answers = {
    result: answer("result", { value: schemas.result }),
    interim: answer("interim", { value: schemas.interim }),
    failed: answer("failed", { error: schemas.error }),
    cancelled: answer("cancelled", { reason: CancelReason })
  }
  return {
    toBranch: Protocol.make(
      name,
      Message.Info(begin, {
        payload: {
          transaction: Etf.Reference,
          branch: Etf.Reference,
          parent: Etf.Pid,
          path: Schema.Array(Etf.Pid),
          hops: Schema.Int,
          lifespanMillis: Schema.Int,
          value: schemas.value
        }
      }),
      Message.Info(cancel, { payload: { branch: Etf.Reference, reason: CancelReason } })
    ).protocol,
    toParent: Protocol.make(name, ...Object.values(answers)).protocol,
    answers
  }
}

/** A term with the head of a message of sagas that does not fit: whom it concerns. */
export const malformed = (
  term: unknown
): { readonly branch: Reference; readonly parent: Pid | undefined } | undefined => {
  if (!(term instanceof Tuple) || !(term.elements[0] instanceof Atom)) return undefined
  const { name } = term.elements[0]
  if (!name.startsWith("$saga_")) return undefined
  if (name !== begin) {
    const branch = term.elements[1]
    return isReference(branch) ? { branch, parent: undefined } : undefined
  }
  const branch = term.elements[2]
  const parent = term.elements[3]
  return isReference(branch) && isPid(parent) ? { branch, parent } : undefined
}
