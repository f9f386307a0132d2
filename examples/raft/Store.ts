/**
 * A key-value store that three nodes keep in common: its protocol, what each message does to the state, and how a member is
 * started.
 */
import { Layer, Redacted, Schema } from "effect"
import { Message, Node, Protocol, Supervisor } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Raft } from "effect-otp/raft"

/** Somebody else was faster. */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", { found: Schema.NullOr(Schema.Int) }) {}

export class Store extends Protocol.make(
  "Store",
  Message.Call("Put", { payload: { key: Schema.String, value: Schema.Int } }),
  /** Puts a value in the place of the expected one. */
  Message.Call("Replace", {
    payload: { key: Schema.String, expected: Schema.NullOr(Schema.Int), value: Schema.Int },
    error: Conflict
  }),
  Message.Call("Get", { payload: { key: Schema.String }, success: Schema.NullOr(Schema.Int) })
) {}

export const StoreRaft = Raft.make(Store, {
  state: Schema.Record(Schema.String, Schema.Int),
  initial: {},
  reads: ["Get"],
  apply: {
    Put: ({ key, value }, state) => Raft.reply(undefined, { ...state, [key]: value }),
    Replace: ({ expected, key, value }, state) => {
      const found = state[key] ?? null
      return found === expected
        ? Raft.reply(undefined, { ...state, [key]: value })
        : Raft.fail(new Conflict({ found }))
    },
    Get: ({ key }, state) => state[key] ?? null
  }
})

/** The name of the group on each of its nodes. */
export const group = "store"

export const members = ["store_a@127.0.0.1", "store_b@127.0.0.1", "store_c@127.0.0.1"]

/** A member that is started again when it ends, with what its files hold. */
export const StoreTree = Supervisor.make({
  children: [
    Supervisor.child("store", StoreRaft, { group, members, options: { electionTimeout: 500, heartbeat: 50 } })
  ]
})

/** A node of the example. No EPMD has to run: the first node on the host is one. */
export const nodeLayer = (name: string) =>
  Node.layer({ name, cookie: Redacted.make("only-for-examples-0123"), discovery: { serve: true } }).pipe(
    Layer.provide(NodeNetwork.layer),
    Layer.orDie
  )
