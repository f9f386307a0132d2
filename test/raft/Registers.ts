/**
 * Registers that a group keeps: what the members of the tests in real processes serve, and what their clients call.
 */
import { Schema } from "effect"
import { Message, Protocol } from "effect-otp"
import { Raft } from "effect-otp/raft"

/** The name of the group. */
export const group = "registers"

/** Milliseconds without a leader, at least, before a member stands for election. */
export const electionTimeout = 300

/** Named registers, each with a number; zero at first. */
export class Registers extends Protocol.make(
  "Registers",
  Message.Call("Write", { payload: { register: Schema.String, value: Schema.Int } }),
  /** Puts a value there, and gives the one before: carried out twice, it would give its own. */
  Message.Call("Swap", { payload: { register: Schema.String, value: Schema.Int }, success: Schema.Int }),
  Message.Call("Read", { payload: { register: Schema.String }, success: Schema.Int })
) {}

export const RegistersRaft = Raft.make(Registers, {
  state: Schema.Record(Schema.String, Schema.Int),
  initial: {},
  reads: ["Read"],
  apply: {
    Write: ({ register, value }, state) => Raft.reply(undefined, { ...state, [register]: value }),
    Swap: ({ register, value }, state) => Raft.reply(state[register] ?? 0, { ...state, [register]: value }),
    Read: ({ register }, state) => state[register] ?? 0
  }
})
