/**
 * Transfers money between two accounts, while one program after the other is killed at the worst moments. See
 * README.md.
 */
import { Console, Effect, Layer, References, Schedule } from "effect"
import { GenServer } from "effect-otp"
import { TwoPhaseCommit } from "effect-otp/saga"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Account, Book, members, nodeLayer, type Role } from "./Bank.ts"
import type { Point } from "./Trap.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-bank-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A program that is started again when it dies, as a service manager would. */
class Member {
  private child: ChildProcess | undefined
  private stopped = false
  private readonly role: Role
  private readonly path: string

  constructor(role: Role, path: string) {
    this.role = role
    this.path = path
  }

  readonly start: Effect.Effect<void> = Effect.callback((resume) => {
    const script = fileURLToPath(new URL("member.ts", import.meta.url))
    const run = (): void => {
      const child = spawn(process.execPath, [...process.execArgv, script, this.role, this.path], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      this.child = child
      child.stdout.once("data", () => resume(Effect.void))
      child.once("exit", () => this.stopped || run())
    }
    run()
  })

  arm(point: Point): void {
    this.child?.stdin?.write(`${point}\n`)
  }

  stop(): void {
    this.stopped = true
    this.child?.kill("SIGKILL")
  }
}

/** Where each member is killed, and what that is called. */
const points: ReadonlyArray<readonly [what: string, role?: Role, point?: Point]> = [
  ["nobody is killed"],
  ["bob is killed while it prepares", "bob", "prepare"],
  ["bob is killed when its yes is on disk, before it has said so", "bob", "recorded"],
  ["the coordinator is killed before its decision is on disk", "transfers", "before recorded"],
  ["the coordinator is killed when its decision is on disk, before it has told anybody", "transfers", "recorded"],
  ["bob is killed while it commits", "bob", "commit"],
  ["bob is killed when its commit is on disk, before it has acknowledged it", "bob", "removed"]
]

const transfer = TwoPhaseCommit.transact(members.transfers, [
  TwoPhaseCommit.branch(Book, members.alice, { amount: -30 }),
  TwoPhaseCommit.branch(Book, members.bob, { amount: 30 })
], { timeout: "30 seconds" }).pipe(
  Effect.map(({ _tag }) => _tag === "Committed" ? "committed" : "aborted"),
  // The coordinator is gone: the transfer is decided all the same, now or when it is back.
  Effect.catchTag("CallError", () => Effect.succeed("no answer"))
)

/** Asks until somebody is there to answer. */
const insist = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, { schedule: Schedule.spaced("50 millis"), times: 600 })

/** Nothing is under way at a member any more, and nothing in doubt. */
const rests = (member: typeof members[Role]) =>
  insist(Effect.filterOrFail(TwoPhaseCommit.status(member), (open) => open.length === 0, () => "busy"))

const balance = (member: typeof members.alice | typeof members.bob) =>
  Effect.flatMap(GenServer.named(Account, member), (account) => insist(account.Balance()))

const program = Effect.gen(function*() {
  const path = yield* directory
  const programs = new Map<Role, Member>()
  for (const role of ["transfers", "alice", "bob"] as const) {
    const member = new Member(role, path)
    programs.set(role, member)
    yield* Effect.addFinalizer(() => Effect.sync(() => member.stop()))
    yield* member.start
  }
  for (const [what, role, point] of points) {
    if (role !== undefined && point !== undefined) programs.get(role)!.arm(point)
    const told = yield* transfer
    for (const member of Object.values(members)) yield* rests(member)
    yield* Console.log(what)
    yield* Console.log(`  ${told}: alice ${yield* balance(members.alice)}, bob ${yield* balance(members.bob)}`)
  }
})

const AppLive = nodeLayer("bank_client@127.0.0.1").pipe(
  // While members come and go, connections do: that is the point here.
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(AppLive)))
process.exit()
