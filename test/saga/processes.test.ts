/**
 * A coordinator and three accounts in operating-system processes of their own, killed at random while transfers go
 * over all of them; and a journal whose program is killed while it writes.
 *
 * `EFFECT_OTP_SAGA_KILLS` is how often: 100.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Redacted, References, Schedule } from "effect"
import { GenServer, Node } from "effect-otp"
import { EpmdServer } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { TwoPhaseCommit } from "effect-otp/saga"
import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "vite"
import { cookie } from "../dist/ErlangNode.ts"
import { Ledger, Move } from "./Ledger.ts"

const kills = Number(process.env["EFFECT_OTP_SAGA_KILLS"] ?? 100)
const roles = ["coordinator", "account", "account", "account"]
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** The program of a member in one file: a process that is killed after a fraction of a second must begin in less. */
const bundle = (directory: string) =>
  Effect.promise(() =>
    build({
      configFile: false,
      logLevel: "error",
      resolve: { conditions: ["effect-otp-source"] },
      ssr: { noExternal: true, resolve: { conditions: ["effect-otp-source", "node"] } },
      build: {
        ssr: true,
        outDir: Path.join(directory, "program"),
        target: "node22",
        rolldownOptions: {
          input: {
            member: file("./member.ts"),
            "internal/NodeJournalWorker": file("../../src/saga/internal/NodeJournalWorker.ts")
          },
          output: { entryFileNames: "[name].js", format: "es" }
        }
      }
    })
  )

/** A member that can be killed and started again. */
class Member {
  readonly node: string
  readonly role: string
  private readonly epmdPort: number
  private readonly directory: string
  private child: ChildProcess | undefined

  constructor(number: number, role: string, epmdPort: number, directory: string) {
    this.node = `saga_${number}@127.0.0.1`
    this.role = role
    this.epmdPort = epmdPort
    this.directory = directory
  }

  get at(): { readonly name: string; readonly node: string } {
    return { name: this.role, node: this.node }
  }

  get start(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const journal = Path.join(this.directory, this.node, "journal.sqlite")
      const child = spawn(
        process.execPath,
        [Path.join(this.directory, "program", "member.js"), this.node, String(this.epmdPort), journal, this.role],
        {
          stdio: ["pipe", "pipe", "inherit"],
          env: { ...process.env, NODE_COMPILE_CACHE: Path.join(this.directory, "compiled") }
        }
      )
      this.child = child
      child.stdout.once("data", () => resume(Effect.void))
      child.once("exit", (code) => resume(Effect.die(new Error(`${this.node} has ended with code ${code}`))))
    })
  }

  get kill(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const child = this.child
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
      child.once("exit", () => resume(Effect.void))
      child.kill("SIGKILL")
    })
  }
}

const directory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-saga-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

const clientNode = (epmdPort: number) =>
  Node.layer({
    name: "saga_client@127.0.0.1",
    cookie: Redacted.make(cookie),
    hidden: true,
    discovery: { port: epmdPort }
  }).pipe(Layer.provide(NodeNetwork.layer), Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")))

/** Asks until it is answered, for half a minute at most. */
const insist = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, { schedule: Schedule.spaced("100 millis"), times: 300 })

describe("a coordinator and three participants in processes of their own", () => {
  it.live(
    `[S28] [F13] ${kills} random SIGKILLs: all or nothing every time`,
    () =>
      Effect.gen(function*() {
        const path = yield* directory
        yield* bundle(path)
        const { port } = yield* EpmdServer.make({ port: 0 }).pipe(Effect.provide(NodeNetwork.layer))
        const members = roles.map((role, number) => new Member(number, role, port, path))
        const [coordinator, ...accounts] = members
        yield* Effect.addFinalizer(() => Effect.forEach(members, (member) => member.kill))
        yield* Effect.forEach(members, (member) => member.start, { concurrency: "unbounded" })

        const committed = new Set<number>()
        const aborted = new Set<number>()
        let transfers = 0
        let killed = 0

        const client = Effect.gen(function*() {
          while (killed < kills) {
            const transfer = ++transfers
            const amounts = [[-2, 1, 1], [1, -2, 1], [1, 1, -2]][transfer % 3]!
            const result = yield* Effect.option(TwoPhaseCommit.transact(
              coordinator!.at,
              accounts.map(({ at }, i) => TwoPhaseCommit.branch(Move, at, { transfer, amount: amounts[i]! })),
              { timeout: "1 second", until: "decided" }
            ))
            if (Option.isSome(result)) (result.value._tag === "Committed" ? committed : aborted).add(transfer)
            // A client that cannot reach the coordinator need not spin.
            yield* Effect.sleep(Option.isSome(result) ? "10 millis" : "100 millis")
          }
        })

        const trouble = Effect.gen(function*() {
          while (killed < kills) {
            // Something must be under way for a kill to hurt.
            const before = committed.size
            while (committed.size === before) yield* Effect.sleep("5 millis")
            yield* Effect.sleep(Math.random() * 60)
            const some = members.filter(() => Math.random() < 0.6)
            killed += some.length
            yield* Effect.forEach(some, (member) => Effect.andThen(member.kill, member.start), {
              concurrency: "unbounded"
            })
          }
        })

        yield* Effect.gen(function*() {
          const clients = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(client))
          yield* trouble
          yield* Fiber.joinAll(clients)

          // When all is well again, nobody is left in doubt, and transfers go through.
          for (const { at } of members) {
            yield* insist(Effect.filterOrFail(TwoPhaseCommit.status(at), (open) => open.length === 0, () => "open"))
          }
          const last = yield* TwoPhaseCommit.transact(
            coordinator!.at,
            accounts.map(({ at }) => TwoPhaseCommit.branch(Move, at, { transfer: 0, amount: 0 }))
          )
          assert.strictEqual(last._tag, "Committed")

          const states = yield* Effect.forEach(accounts, ({ at }) =>
            Effect.flatMap(GenServer.named(Ledger, at), (account) => account.Read()))
          const [first] = states
          for (const { reserved, transfers } of states) {
            assert.strictEqual(reserved, 0)
            assert.strictEqual(new Set(transfers).size, transfers.length, "carried out twice")
            assert.deepStrictEqual(
              transfers.toSorted((a, b) =>
                a - b
              ),
              first!.transfers.toSorted((a, b) => a - b)
            )
          }
          assert.strictEqual(states.reduce((sum, { balance }) => sum + balance, 0), 3000)
          const done = new Set(first!.transfers)
          for (const transfer of committed) assert.isTrue(done.has(transfer), `${transfer} was told to be committed`)
          for (const transfer of aborted) assert.isFalse(done.has(transfer), `${transfer} was told to be aborted`)
          // The run did what it is for.
          assert.isAtLeast(killed, kills)
          assert.isAbove(committed.size, 10)
          assert.isNotEmpty(aborted)
          if (process.env["EFFECT_OTP_SAGA_KILLS"] !== undefined) {
            yield* Effect.logFatal({
              transfers,
              committed: committed.size,
              aborted: aborted.size,
              done: done.size,
              killed
            })
          }
        }).pipe(Effect.provide(clientNode(port)))
      }).pipe(Effect.scoped),
    480_000
  )
})

describe("a journal in SQLite", () => {
  it.live(
    "[S28] [F13] a program that is killed in the midst of writing has every write that had ended",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const path = Path.join(yield* directory, "journal.sqlite")
        const script = file("./writer.ts")
        let last = 0
        for (let life = 0; life < 3; life++) {
          const { signal, stdout } = spawnSync(
            process.execPath,
            ["--conditions=effect-otp-source", script, path, String(last)],
            { encoding: "utf8", timeout: 60_000 }
          )
          assert.strictEqual(signal, "SIGKILL")
          const acknowledged = Number(stdout.trim().split("\n").at(-1))
          assert.isAbove(acknowledged, last)
          const entries = yield* Effect.scoped(Effect.gen(function*() {
            const book = yield* (yield* NodeSqliteJournal.make(path)).open("one")
            return book.entries.map(({ key, value }) => `${key}: ${new TextDecoder().decode(value)}`)
          }))
          // All in order, none missing; one that had not ended may be there as well.
          assert.deepStrictEqual(entries, entries.map((_, i) => `n: ${i + 1}`))
          assert.isAtLeast(entries.length, acknowledged)
          last = entries.length
        }
      })),
    90_000
  )
})
