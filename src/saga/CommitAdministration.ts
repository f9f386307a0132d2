/**
 * What an operator does with transactions that are stuck: looks, decides by hand, forgets. See `TwoPhaseCommit`, which
 * exports all of this.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { CallError } from "../process/CallError.ts"
import type { Node } from "../process/Node.ts"
import type * as Process from "../process/Process.ts"
import type { Outcome } from "./CommitCore.ts"
import { ask } from "./internal/commitCall.ts"
import { Coordination, Participation, type TransactionStatus } from "./internal/CommitWire.ts"

/**
 * How a transaction, or one branch of it, is where it was asked for.
 *
 * @category administration
 * @since 0.1.0
 */
export type { TransactionStatus }

/**
 * The transactions that are not finished at a coordinator or a participant. At a participant `Prepared` means in
 * doubt: it waits for its coordinator. A `mismatch` stays until it is dismissed.
 *
 * @category administration
 * @since 0.1.0
 */
export const status = (
  member: Process.Target | string
): Effect.Effect<ReadonlyArray<TransactionStatus>, CallError, Node> =>
  // Both kinds have this message, and answer alike.
  ask(Participation, member, "TwoPhaseStatus", undefined)

/**
 * Decides by hand for a participant in doubt, when its coordinator will not come back in time, and gives the number
 * of branches. It ends when that is on disk.
 *
 * This may be the wrong way: the decision of the coordinator is compared with it when it becomes known, and a
 * mismatch is logged at both and shown by {@link status}.
 *
 * @category administration
 * @since 0.1.0
 */
export const resolve = (
  participant: Process.Target | string,
  transaction: string,
  outcome: Outcome
): Effect.Effect<number, CallError, Node> =>
  ask(Participation, participant, "TwoPhaseResolve", { transaction, outcome })

/**
 * Forgets what was decided by hand for a transaction, and whether it was right; gives the number of branches.
 *
 * @category administration
 * @since 0.1.0
 */
export const dismiss = (
  participant: Process.Target | string,
  transaction: string
): Effect.Effect<number, CallError, Node> => ask(Participation, participant, "TwoPhaseDismiss", { transaction })

/**
 * Has a coordinator forget a committed transaction whose participants have not all acknowledged, and never will:
 * their machines are gone. One that comes back after all is told to abort, against the others. True when there was
 * such a transaction.
 *
 * @category administration
 * @since 0.1.0
 */
export const forget = (
  coordinator: Process.Target | string,
  transaction: string
): Effect.Effect<boolean, CallError, Node> => ask(Coordination, coordinator, "TwoPhaseForget", { transaction })
