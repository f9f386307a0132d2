/**
 * How the calls that wait at a member end: with an answer, with a defect, or because nobody waits any more.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Behaviour from "../../process/Behaviour.ts"
import * as CallError from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"

type Call = Behaviour.CallEnvelope

/** Casts, and calls from other nodes, whose callers cannot be asked whether they still wait, are given up after so long. */
const forgetAfterMillis = 60_000

/** Whether nobody waits for an answer any more. */
export const isGivenUp = (
  { call, since }: { readonly call: Call | undefined; readonly since: number },
  now: number
): boolean => {
  if (call?.fiber !== undefined) return call.done || call.abandoned
  if (now - since <= forgetAfterMillis) return false
  call?.failWith(new CallError.CallTimeout({ timeoutMillis: forgetAfterMillis }))
  return true
}

/** Ends a call because of a defect. */
export const die = (call: Call | undefined, defect: unknown): void => {
  call?.failWith(new CallError.ProcessExit({ exitReason: ExitReason.error(defect) }))
}

/** Ends a call. What its protocol does not know becomes a failure of the call itself. */
export const end = (call: Call, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) die(call, Cause.squash(exit.cause))
  else call.complete(exit)
}
