/**
 * The messages of one contract: what a parent says to a branch, and what a branch says to its parent.
 *
 * On the wire they are tuples: `{'$saga_begin_hotel', Transaction, Branch, Parent, Path, Hops, LifespanMillis, Value}` and
 * `{'$saga_cancel_hotel', Branch, Reason}` to a saga of the contract `Hotel`; `{'$saga_result_hotel', Branch, Value}`, and the same with `interim`, `failed` and
 * `cancelled`, to the parent of its branch. A saga of another contract does not understand them, on one node either.
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
  /** The tags of what a saga is told. */
  readonly begin: string
  readonly cancel: string
  /** What the saga is told. */
  readonly toBranch: Protocol.Core
  /** What the parent is told. */
  readonly toParent: Protocol.Core
  readonly answers: { readonly [A in Answer]: Message.Any }
}

const beginning = "$saga_begin_"

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
  const begin = `${beginning}${name}`
  const cancel = `$saga_cancel_${name}`
  return {
    begin,
    cancel,
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

/** A message of sagas, from this node or another one, that does not fit: whom it concerns. */
export const malformed = (
  term: unknown
): { readonly branch: Reference; readonly parent: Pid | undefined } | undefined => {
  let head: unknown
  let branch: unknown
  let parent: unknown
  if (term instanceof Tuple && term.elements[0] instanceof Atom) {
    head = term.elements[0].name
    const begins = term.elements[0].name.startsWith(beginning)
    branch = term.elements[begins ? 2 : 1]
    parent = begins ? term.elements[3] : undefined
  } else if (typeof term === "object" && term !== null && "_tag" in term) {
    ;({ _tag: head, branch, parent } = term as { readonly [key: string]: unknown })
  }
  return typeof head === "string" && head.startsWith("$saga_") && isReference(branch)
    ? { branch, parent: isPid(parent) ? parent : undefined }
    : undefined
}
