/**
 * Three members in operating-system processes of their own, which are killed, stopped and cut off while clients use them.
 *
 * What the clients saw is checked for linearizability. `EFFECT_OTP_RAFT_SECONDS` is for how long: 10.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Option, Redacted, References } from "effect"
import { GenServer, Node } from "effect-otp"
import { EpmdServer } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Raft } from "effect-otp/raft"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { cookie } from "../dist/ErlangNode.ts"
import { type Operation, unexplained } from "./Linearizability.ts"
import { electionTimeout, group, Registers } from "./Registers.ts"

const seconds = Number(process.env["EFFECT_OTP_RAFT_SECONDS"] ?? 10)
const members = ["raft_a@127.0.0.1", "raft_b@127.0.0.1", "raft_c@127.0.0.1"]
const registers = ["x", "y", "z"]
const clients = 6

/** A member that can be killed and started again. */
class Member {
  readonly name: string
  private readonly epmdPort: number
  private readonly directory: string
  private child: ChildProcess | undefined

  constructor(name: string, epmdPort: number, directory: string) {
    this.name = name
    this.epmdPort = epmdPort
    this.directory = Path.join(directory, name)
  }

  get start(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const script = fileURLToPath(new URL("./member.ts", import.meta.url))
      const child = spawn(
        process.execPath,
        ["--conditions=effect-otp-source", script, this.name, String(this.epmdPort), this.directory, ...members],
        { stdio: ["pipe", "pipe", "inherit"] }
      )
      this.child = child
      child.stdout.once("data", () => resume(Effect.void))
      child.once("exit", (code) => resume(Effect.die(new Error(`${this.name} has ended with code ${code}`))))
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

  signal(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => this.child!.kill(signal))
  }

  order(line: string): Effect.Effect<void> {
    return Effect.sync(() => this.child!.stdin!.write(`${line}\n`))
  }
}

const directory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-raft-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

const clientNode = (epmdPort: number) =>
  Node.layer({
    name: "raft_client@127.0.0.1",
    cookie: Redacted.make(cookie),
    hidden: true,
    discovery: { port: epmdPort }
  }).pipe(Layer.provide(NodeNetwork.layer), Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")))

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)

/** Who leads, as the leader itself says, and has committed something in its term. */
const leaderAmong = (names: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(
      names,
      (node) =>
        Raft.status({ name: group, node }).pipe(
          Effect.timeout("200 millis"),
          Effect.option
        ),
      { concurrency: "unbounded" }
    ),
    (all) =>
      all.flatMap(Option.toArray).filter(({ role }) => role === "Leader").toSorted((a, b) => b.term - a.term)[0]?.id
  )

/** Waits for a leader, and gives how long that took. */
const awaitLeader = (names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const since = yield* millis
    for (;;) {
      const leader = yield* leaderAmong(names)
      const took = (yield* millis) - since
      if (leader !== undefined) return { leader, took }
      if (took > 15_000) {
        const all = yield* Effect.forEach(names, (node) => Effect.exit(Raft.status({ name: group, node })))
        return assert.fail(`nobody leads: ${JSON.stringify(all)}`)
      }
      yield* Effect.sleep("20 millis")
    }
  })

describe("three members in processes of their own", () => {
  it.live(
    "[S31] [S33] [S34] what clients see is linearizable while members are killed, stopped and cut off",
    () =>
      Effect.gen(function*() {
        const path = yield* directory
        const { port } = yield* EpmdServer.make({ port: 0 }).pipe(Effect.provide(NodeNetwork.layer))
        const all = members.map((name) => new Member(name, port, path))
        yield* Effect.addFinalizer(() => Effect.forEach(all, (member) => member.kill))
        yield* Effect.forEach(all, (member) => member.start, { concurrency: "unbounded" })

        const histories = new Map<string, Array<Operation>>(registers.map((register) => [register, []]))
        const elections: Array<number> = []
        let unique = 0
        let running = true
        let answers = 0

        const client = (number: number) =>
          Effect.gen(function*() {
            for (let i = number; running; i++) {
              const register = registers[Math.floor(Math.random() * registers.length)]!
              const at = yield* GenServer.named(Registers, {
                name: group,
                node: members[Math.floor(Math.random() * members.length)]!
              })
              const kind = (["swap", "read", "swap", "write"] as const)[i % 4]!
              const value = ++unique
              const timeout = { timeout: "1500 millis" } as const
              const invoked = yield* millis
              const result = yield* Effect.option(
                kind === "read"
                  ? at.Read({ register }, timeout)
                  : kind === "swap"
                  ? at.Swap({ register, value }, timeout)
                  : Effect.as(at.Write({ register, value }, timeout), undefined)
              )
              const answered = Option.isSome(result) ? yield* millis : Infinity
              if (Option.isSome(result)) answers++
              // A client that cannot reach its member need not spin.
              else yield* Effect.sleep("10 millis")
              const seen = Option.getOrUndefined(result)
              histories.get(register)!.push({
                kind,
                invoked,
                answered,
                ...(kind === "read" ? {} : { value }),
                ...(seen === undefined ? {} : { seen })
              })
            }
          })

        const trouble = Effect.gen(function*() {
          const until = (yield* millis) + seconds * 1000
          for (let i = 0; (yield* millis) < until; i++) {
            yield* Effect.sleep(Math.random() * 600)
            const { leader } = yield* awaitLeader(members)
            // The leader more often than others: that is where it hurts.
            const member = i % 3 === 2
              ? all[Math.floor(Math.random() * all.length)]!
              : all.find(({ name }) => name === leader)!
            const rest = members.filter((name) => name !== member.name)
            switch (i % 4) {
              case 0:
              case 2: {
                yield* member.kill
                const { took } = yield* awaitLeader(rest)
                elections.push(took)
                yield* Effect.sleep(Math.random() * 500)
                yield* member.start
                break
              }
              case 1:
                yield* member.signal("SIGSTOP")
                yield* Effect.sleep(Math.random() * 2000)
                yield* member.signal("SIGCONT")
                break
              case 3:
                yield* Effect.forEach(rest, (peer) => member.order(`cut ${peer}`))
                yield* Effect.sleep(Math.random() * 2000)
                yield* member.order("heal")
                break
            }
          }
        })

        yield* Effect.gen(function*() {
          yield* awaitLeader(members)
          const fibers = yield* Effect.forEach(
            Array.from({ length: clients }, (_, i) => i),
            (i) => Effect.forkChild(client(i))
          )
          yield* trouble
          running = false
          yield* Fiber.joinAll(fibers)
          // When all is well again, every member answers.
          for (const node of members) {
            const at = yield* GenServer.named(Registers, { name: group, node })
            const invoked = yield* millis
            const seen = yield* at.Read({ register: "x" }, { timeout: "10 seconds" })
            histories.get("x")!.push({ kind: "read", seen, invoked, answered: yield* millis })
          }
        }).pipe(Effect.provide(clientNode(port)))

        for (const [register, history] of histories) {
          assert.isUndefined(unexplained(history), `register ${register}: ${JSON.stringify(history)}`)
        }
        assert.isAbove(answers, 50 * seconds)
        assert.isNotEmpty(elections)
        for (const took of elections) assert.isBelow(took, 10 * electionTimeout)
        if (process.env["EFFECT_OTP_RAFT_SECONDS"] !== undefined) {
          yield* Effect.log({ answers, elections: elections.map(Math.round) })
        }
      }).pipe(Effect.scoped),
    (seconds + 60) * 1000
  )
})
