/**
 * Carrying out transactions: the side that asks a coordinator. See `TwoPhaseCommit`, which exports all of this.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { CallError } from "../process/CallError.ts"
import { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { Work } from "./CommitWork.ts"
import { ask } from "./internal/commitCall.ts"
import { type Answer, Coordination, memberId } from "./internal/CommitWire.ts"

/**
 * Whom a name stands for: the process of that name on a node, by default on this one.
 *
 * @category models
 * @since 0.1.0
 */
export type Named = string | { readonly name: string; readonly node?: string | undefined }

/**
 * One participant's part of a transaction. `E` is how it may refuse. See {@link branch}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch<out E> {
  readonly participant: Named
  /** The request in bytes. */
  readonly work: Uint8Array
  /** What a refusal in bytes says. */
  readonly refusal: (bytes: Uint8Array) => Result.Result<E, Schema.SchemaError>
}

/**
 * A piece of work for a participant. A request that its schema refuses is a defect.
 *
 * @category transactions
 * @since 0.1.0
 */
export const branch = <Q, E>(work: Work<Q, E>, participant: Named, request: Q): Branch<E> => ({
  participant,
  work: Result.getOrThrow(work.request.encode(request)),
  refusal: work.refusal.decode
})

/**
 * All participants have said yes, and the decision is on disk: each has committed, except those that are `pending`
 * (`name@node`), which will as soon as they can.
 *
 * @category models
 * @since 0.1.0
 */
export interface Committed {
  readonly _tag: "Committed"
  readonly transaction: string
  readonly pending: ReadonlyArray<string>
}

/**
 * Nobody commits, for these reasons.
 *
 * @category models
 * @since 0.1.0
 */
export interface Aborted<out E> {
  readonly _tag: "Aborted"
  readonly transaction: string
  readonly reasons: ReadonlyArray<Reason<E>>
}

/**
 * Why a transaction was aborted. `branch` is the position in the list of branches, `participant` is `name@node`.
 *
 * `Refused`: the participant said no. `Unreachable`: it was not there, or ended before it voted. `TimedOut`: it has
 * not voted in time. `Overloaded`: it, or without a participant the coordinator, has as many transactions as it may.
 * `Invalid`: the participant does not understand the request, or its refusal is not understood.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason<E> =
  | { readonly _tag: "Refused"; readonly branch: number; readonly participant: string; readonly refusal: E }
  | { readonly _tag: "Unreachable"; readonly branch: number; readonly participant: string }
  | { readonly _tag: "TimedOut"; readonly branch: number; readonly participant: string }
  | { readonly _tag: "Overloaded"; readonly branch: number | undefined; readonly participant: string | undefined }
  | { readonly _tag: "Invalid"; readonly branch: number; readonly participant: string; readonly detail: string }

/** How the participants of branches may refuse. */
type RefusalOf<B> = B extends Branch<infer E> ? E : never

/**
 * Carries out a transaction: asks all participants to prepare their branches, and has them commit when all have said
 * yes.
 *
 * It ends when the outcome is decided, at most `timeout` (5 seconds) after the participants were asked and a sync of
 * the disk later. A commit is carried out before it ends, so that whoever asks a participant next sees it; it waits
 * for that as long again, and then names those that are `pending`.
 *
 * When the coordinator ends or cannot be reached this fails with a `CallError`, and so it does when a disk hangs for
 * 5 seconds more: then the outcome is not known to the caller. The transaction is decided all the same.
 *
 * @category transactions
 * @since 0.1.0
 */
export const transact = <const B extends ReadonlyArray<Branch<unknown>>>(
  coordinator: Process.Target | string,
  branches: B,
  options?: {
    /** How long participants may take to vote. */
    readonly timeout?: Duration.Input
    /** Whether to wait until a commit is carried out by all participants, or only until it is decided: `applied`. */
    readonly until?: "applied" | "decided"
  }
): Effect.Effect<Committed | Aborted<RefusalOf<B[number]>>, CallError, Node> =>
  Effect.gen(function*() {
    const { name: here } = yield* Node
    const timeoutMillis = Duration.toMillis(options?.timeout ?? "5 seconds")
    const { outcome, pending, reasons, transaction } = yield* ask(
      Coordination,
      coordinator,
      "Transact",
      {
        branches: branches.map(({ participant, work }) => ({ participant: idOf(participant, here), work })),
        timeoutMillis,
        applied: options?.until !== "decided"
      },
      { timeout: 2 * timeoutMillis + 5000 }
    )
    return outcome === "Commit"
      ? { _tag: "Committed", transaction, pending }
      : { _tag: "Aborted", transaction, reasons: reasons.flatMap((reason) => explain(branches, reason)) }
    // What refuses are the participants of the branches.
  }) as Effect.Effect<Committed | Aborted<RefusalOf<B[number]>>, CallError, Node>

const explain = (
  branches: ReadonlyArray<Branch<unknown>>,
  reason: Answer["reasons"][number]
): ReadonlyArray<Reason<unknown>> => {
  switch (reason._tag) {
    case "Unreachable":
    case "TimedOut":
      return [reason]
    case "Overloaded":
      return [{ _tag: "Overloaded", branch: undefined, participant: undefined }]
    case "Cancelled":
      return []
    case "Refused": {
      const { branch, participant, refusal } = reason
      if (refusal._tag !== "Refused") return [{ ...refusal, branch, participant }]
      const decoded = branches[branch]!.refusal(refusal.refusal)
      return Result.isSuccess(decoded)
        ? [{ _tag: "Refused", branch, participant, refusal: decoded.success }]
        : [{ _tag: "Invalid", branch, participant, detail: decoded.failure.message }]
    }
  }
}

const idOf = (named: Named, here: string): string =>
  typeof named === "string" ? memberId(named, here) : memberId(named.name, named.node ?? here)
