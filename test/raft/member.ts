/**
 * A member of the group of registers as a process of its own: `member.ts NAME EPMD_PORT DIRECTORY MEMBER...`.
 *
 * It says `@ready` when it serves, obeys `cut NODE` and `heal` on its input, and ends with that.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Redacted, References } from "effect"
import { ExitReason, GenServer, Node, Process } from "effect-otp"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { RaftStorage } from "effect-otp/raft"
import { createInterface } from "node:readline"
import { electionTimeout, group, RegistersRaft } from "./Registers.ts"

const [name, epmdPort, directory, ...members] = process.argv.slice(2)
const cut = new Set<string>()

const node = Node.layer({
  name: name!,
  cookie: Redacted.make("a-cookie-for-tests-only-0123"),
  discovery: { port: Number(epmdPort) },
  allow: (peer) => !cut.has(peer)
}).pipe(Layer.provide(NodeNetwork.layer))

const main = Effect.gen(function*() {
  const member = yield* GenServer.startDetached(RegistersRaft, {
    group,
    members,
    snapshotEvery: 500,
    options: { electionTimeout, heartbeat: 50 }
  })
  // The test should say why a member has ended, not only that nobody leads.
  yield* Effect.forkChild(
    Effect.flatMap(Process.awaitExit(member), (reason) => Effect.logError(`${name}: ${ExitReason.format(reason)}`))
  )
  const context = yield* Effect.context<Node.Node>()
  process.stdout.write("@ready\n")
  yield* Effect.callback<void>((resume) => {
    createInterface({ input: process.stdin })
      .on("line", (line) => {
        const [order, peer] = line.split(" ")
        if (order === "heal") cut.clear()
        else {
          cut.add(peer!)
          Effect.runForkWith(context)(Node.disconnect(peer!))
        }
      })
      .on("close", () => resume(Effect.void))
  })
})

await Effect.runPromise(
  main.pipe(
    Effect.provide(RaftStorage.file(directory!)),
    Effect.provide(Layer.mergeAll(node, NodeServices.layer, Layer.succeed(References.MinimumLogLevel, "Error")))
  )
)
process.exit()
