/**
 * An account that takes part in transactions over several processes, and remembers which of them it has carried out.
 */
import { Schema } from "effect"
import { Message, Protocol } from "effect-otp"
import { TwoPhaseCommit } from "effect-otp/saga"

export class TooLittle extends Schema.TaggedError<TooLittle>()("TooLittle", { left: Schema.Int }) {}

/** A transfer has a number that the client gives it, the same in all of its branches. */
export const Move = TwoPhaseCommit.work({
  request: Schema.Struct({ transfer: Schema.Int, amount: Schema.Int }),
  refusal: TooLittle
})

const State = Schema.Struct({
  balance: Schema.Int,
  reserved: Schema.Int,
  /** The numbers of the transfers that were carried out, each as often as it was. */
  transfers: Schema.Array(Schema.Int)
})

export class Ledger extends Protocol.make("Ledger", Message.Call("Read", { success: State })) {}

export const LedgerServer = TwoPhaseCommit.participant(Ledger, Move, {
  state: State,
  initial: (balance: number) => ({ balance, reserved: 0, transfers: [] }),
  prepare: ({ amount }, state) => {
    const left = state.balance - state.reserved
    return left + amount < 0
      ? TwoPhaseCommit.no(new TooLittle({ left }))
      : TwoPhaseCommit.yes({ ...state, reserved: state.reserved + Math.max(0, -amount) })
  },
  commit: ({ amount, transfer }, { balance, reserved, transfers }) => ({
    balance: balance + amount,
    reserved: reserved - Math.max(0, -amount),
    transfers: [...transfers, transfer]
  }),
  abort: ({ amount }, state) => ({ ...state, reserved: state.reserved - Math.max(0, -amount) }),
  handlers: { Read: (_, state) => state }
})

/** Soon enough for a test in which members come and go all the time. */
export const options = { retry: 100, retryAtMost: 1000 }
