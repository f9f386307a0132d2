/**
 * Accounts that take part in transfers: the work that an account can be asked for, its protocol, and the participant.
 */
import { Layer, Redacted, Schema } from "effect"
import { Message, Node, Protocol } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { TwoPhaseCommit } from "effect-otp/saga"
import { dieAt } from "./Trap.ts"

/** The account has not got so much. */
export class TooLittle extends Schema.TaggedError<TooLittle>()("TooLittle", { left: Schema.Int }) {}

/** Adds to an account; a negative amount is taken from it. */
export const Book = TwoPhaseCommit.work({ request: Schema.Struct({ amount: Schema.Int }), refusal: TooLittle })

export class Account extends Protocol.make("Account", Message.Call("Balance", { success: Schema.Int })) {}

/** What is reserved is promised to a transfer that is not finished, and to no other. */
const State = Schema.Struct({ balance: Schema.Int, reserved: Schema.Int })

const taken = (amount: number): number => Math.max(0, -amount)

export const AccountServer = TwoPhaseCommit.participant(Account, Book, {
  state: State,
  initial: (balance: number) => ({ balance, reserved: 0 }),
  prepare: ({ amount }, { balance, reserved }) => {
    dieAt("prepare")
    const left = balance - reserved
    return left + amount < 0
      ? TwoPhaseCommit.no(new TooLittle({ left }))
      : TwoPhaseCommit.yes({ balance, reserved: reserved + taken(amount) })
  },
  commit: ({ amount }, { balance, reserved }) => {
    dieAt("commit")
    return { balance: balance + amount, reserved: reserved - taken(amount) }
  },
  abort: ({ amount }, { balance, reserved }) => ({ balance, reserved: reserved - taken(amount) }),
  handlers: { Balance: (_, { balance }) => balance }
})

/** Each on a node of its own, under its own name. */
export const members = {
  transfers: { name: "transfers", node: "bank_transfers@127.0.0.1" },
  alice: { name: "alice", node: "bank_alice@127.0.0.1" },
  bob: { name: "bob", node: "bank_bob@127.0.0.1" }
} as const

export type Role = keyof typeof members

/** So that the example need not wait for long. */
export const options = { retry: 200, retryAtMost: 400 }

/** A node of the example. No EPMD has to run: the first node on the host is one. */
export const nodeLayer = (name: string) =>
  Node.layer({ name, cookie: Redacted.make("only-for-examples-0123"), discovery: { serve: true } }).pipe(
    Layer.provide(NodeNetwork.layer),
    Layer.orDie
  )
