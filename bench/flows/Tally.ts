/**
 * The replicated state machine of the benchmark: a number that commands add to.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { GenServer, Message, Protocol } from "../../src/index.ts"
import { Raft, RaftStorage } from "../../src/raft/index.ts"

/** What may be said to it. */
export class Tally extends Protocol.make(
  "Tally",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int })
) {}

const TallyRaft = Raft.make(Tally, {
  state: Schema.Int,
  initial: 0,
  reads: ["Get"],
  apply: {
    Add: ({ n }, total) => Raft.reply(total + n, total + n),
    Get: (_, total) => total
  }
})

/** The name of the group. */
export const group = "tally"

/** The nodes of the group; the first is the process that measures. */
export const members = ["tally_a@127.0.0.1", "tally_b@127.0.0.1", "tally_c@127.0.0.1"]

/** Starts the member of this node, with its files in a directory: every write is synced. */
export const startMember = (directory: string) =>
  GenServer.startDetached(TallyRaft, { group, members }).pipe(
    Effect.provide(RaftStorage.file(directory)),
    Effect.provide(NodeServices.layer)
  )
