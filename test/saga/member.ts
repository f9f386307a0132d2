/**
 * A coordinator or an account as a process of its own: `member.ts NODE EPMD_PORT JOURNAL ROLE`. The role,
 * `coordinator` or `account`, is the name under which it is registered.
 *
 * It says `@ready` when it serves, and ends with its input.
 */
import { Effect, Layer, Redacted, References } from "effect"
import { GenServer, Node } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { TwoPhaseCommit } from "effect-otp/saga"
import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
import { LedgerServer, options } from "./Ledger.ts"

const [name, epmdPort, journal, role] = process.argv.slice(2)

const node = Node.layer({
  name: name!,
  cookie: Redacted.make("a-cookie-for-tests-only-0123"),
  discovery: { port: Number(epmdPort) }
}).pipe(Layer.provide(NodeNetwork.layer))

const main = Effect.gen(function*() {
  if (role === "coordinator") yield* GenServer.start(TwoPhaseCommit.coordinator, { name: role, options })
  else yield* GenServer.start(LedgerServer, { name: role!, args: 1000, options })
  process.stdout.write("@ready\n")
  yield* Effect.callback<void>((resume) => {
    process.stdin.on("end", () => resume(Effect.void)).resume()
  })
}).pipe(Effect.scoped)

await Effect.runPromise(
  main.pipe(
    Effect.provide(NodeSqliteJournal.layer(journal!)),
    Effect.provide(Layer.merge(node, Layer.succeed(References.MinimumLogLevel, "None")))
  )
)
process.exit()
