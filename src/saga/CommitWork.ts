/**
 * What a participant of two-phase commit can be asked to prepare, and how it votes. See `TwoPhaseCommit`, which exports
 * all of this.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Compiled } from "../etf/Compiled.ts"
import * as Etf from "../etf/EtfSchema.ts"
import type { Prepared as PreparedState } from "./internal/CommitMember.ts"

/**
 * What a participant can be asked to prepare, and how it refuses: the contract between whoever begins transactions
 * and the participants of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Work<in out Q, in out E> {
  /** The codec of requests, which travel and are written down as bytes. */
  readonly request: Compiled<Q>
  readonly refusal: Compiled<E>
}

/**
 * Makes the contract of the schema of requests and, if participants may refuse, that of refusals.
 *
 * @category constructors
 * @since 0.1.0
 */
export const work = <Q, QI, E = never, EI = never>(options: {
  readonly request: Schema.Codec<Q, QI>
  readonly refusal?: Schema.Codec<E, EI>
}): Work<Q, E> => ({
  request: Etf.compile(options.request),
  // Without a schema of refusals there is none to encode.
  refusal: Etf.compile(options.refusal ?? Schema.Never as unknown as Schema.Codec<E, EI>)
})

/**
 * That a participant has prepared its work. See {@link yes} and {@link readOnly}.
 *
 * @category models
 * @since 0.1.0
 */
export class Prepared<out S> implements PreparedState {
  readonly readOnly: boolean
  /** Whether `state` is the next state; otherwise it stays as it is. */
  readonly updates: boolean
  readonly state: S

  constructor(readOnly: boolean, updates: boolean, state: S) {
    this.readOnly = readOnly
    this.updates = updates
    this.state = state
  }
}

/**
 * The promise to commit if that is the outcome, with the state that keeps it: what is set aside or locked. Without a
 * state it stays as it is.
 *
 * @category votes
 * @since 0.1.0
 */
export const yes = <S = never>(...state: readonly [] | readonly [state: S]): Prepared<S> =>
  new Prepared(false, state.length > 0, state[0] as S) // not read when there is none

/**
 * The vote of a participant that has nothing to commit: it does not hear of the outcome, and holds nothing.
 *
 * @category votes
 * @since 0.1.0
 */
export const readOnly: Prepared<never> = new Prepared<never>(true, false, undefined as never) // not read

/**
 * The refusal of a participant: the transaction is aborted. A handler that fails with a typed error says the same.
 *
 * @category votes
 * @since 0.1.0
 */
export const no = <E>(refusal: E): Effect.Effect<never, E> => Effect.fail(refusal)
