/**
 * Starts three members as processes of their own, uses the store, kills its leader, and goes on. See README.md.
 */
import { Console, Effect, Layer, References, Schedule } from "effect"
import { GenServer } from "effect-otp"
import { Raft } from "effect-otp/raft"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { group, members, nodeLayer, Store } from "./Store.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-store-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const startMember = (name: string, path: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        [...process.execArgv, fileURLToPath(new URL("member.ts", import.meta.url)), name, join(path, name)],
        { stdio: ["ignore", "ignore", "inherit"] }
      )
    ),
    (child) => child.exitCode === null && child.signalCode === null ? ended(child) : Effect.void
  )

/** The member that leads, as far as any of these knows. */
const leaderAmong = (names: ReadonlyArray<string>) =>
  Effect.firstSuccessOf(names.map((node) => Raft.status({ name: group, node }))).pipe(
    Effect.filterOrFail(({ leader }) => leader !== undefined && names.includes(leader), () => "nobody yet"),
    Effect.map(({ leader }) => leader!),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeout("30 seconds")
  )

const program = Effect.gen(function*() {
  const path = yield* directory
  const processes = new Map<string, ChildProcess>()
  for (const name of members) processes.set(name, yield* startMember(name, path))

  const leader = yield* leaderAmong(members)
  const rest = members.filter((name) => name !== leader)
  yield* Console.log("three members, and one of them leads")

  // Any member will do: it asks the leader, and answers when the command is agreed upon.
  const one = yield* GenServer.named(Store, { name: group, node: rest[0]! })
  const other = yield* GenServer.named(Store, { name: group, node: rest[1]! })
  yield* one.Put({ key: "apples", value: 3 })
  yield* Console.log(`apples: ${yield* other.Get({ key: "apples" })}`)
  yield* other.Replace({ key: "apples", expected: 7, value: 8 }).pipe(
    Effect.catchTag("Conflict", ({ found }) => Console.log(`not replaced: there are ${found}, not 7`))
  )

  // No goodbye: the others find out by themselves.
  yield* ended(processes.get(leader)!)
  yield* Console.log("the leader is killed")
  // A call that comes before there is a new leader waits for it.
  yield* one.Replace({ key: "apples", expected: 3, value: 4 })
  yield* other.Put({ key: "pears", value: 5 })
  yield* Console.log(`apples: ${yield* other.Get({ key: "apples" })}, pears: ${yield* one.Get({ key: "pears" })}`)

  yield* startMember(leader, path)
  const back = yield* GenServer.named(Store, { name: group, node: leader })
  const apples = yield* Effect.retry(back.Get({ key: "apples" }), {
    schedule: Schedule.spaced("100 millis"),
    times: 100
  })
  yield* Console.log(`it is back: apples: ${apples}, pears: ${yield* back.Get({ key: "pears" })}`)
})

const AppLive = nodeLayer("store_client@127.0.0.1").pipe(
  // While members come and go, connections do: that is the point here.
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Error"))
)

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(AppLive)))
process.exit()
