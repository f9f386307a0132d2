/**
 * The coordinator or an account as a program of its own: `member.ts ROLE DIRECTORY`. A line on its input says where
 * it is to die. It runs until then. See README.md.
 */
import { Effect, Layer, References } from "effect"
import { GenServer } from "effect-otp"
import { TwoPhaseCommit } from "effect-otp/saga"
import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { AccountServer, members, nodeLayer, options, type Role } from "./Bank.ts"
import * as Trap from "./Trap.ts"

const [role, directory] = process.argv.slice(2) as [Role, string]

const program = Effect.gen(function*() {
  if (role === "transfers") yield* GenServer.start(TwoPhaseCommit.coordinator, { name: role, options })
  else yield* GenServer.start(AccountServer, { name: role, args: role === "alice" ? 200 : 0, options })
  process.stdout.write("ready\n")
  createInterface({ input: process.stdin }).on("line", (point) => Trap.arm(point as Trap.Point))
  return yield* Effect.never
})

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(Trap.layer(NodeSqliteJournal.layer(join(directory, `${role}.sqlite`)))),
    Effect.provide(Layer.merge(nodeLayer(members[role].node), Layer.succeed(References.MinimumLogLevel, "None")))
  )
)
