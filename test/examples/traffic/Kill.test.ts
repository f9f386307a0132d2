import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, Schedule } from "effect"
import { GenServer, Process, Supervisor } from "effect-otp"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import type { Position } from "../../../examples/traffic/Position.ts"
import * as Sender from "../../../examples/traffic/Sender.ts"
import { Storage } from "../../../examples/traffic/Storage.ts"
import * as App from "./App.ts"
import * as Programs from "./Programs.ts"

const host = "127.0.0.1"
const services = Layer.merge(App.services, NodeTcpNetwork.layer)
const all = App.positions(10_000)

/** Sends everything in small messages, and waits for each answer. */
const sendAll = (sender: Sender.Sender, positions: ReadonlyArray<Position>, size = 100) =>
  Effect.gen(function*() {
    let outcome = Sender.nothing
    for (let at = 0; at < positions.length; at += size) {
      outcome = Sender.add(outcome, yield* sender.send(positions.slice(at, at + size)))
    }
    return outcome
  })

/** Waits until a name is there again. */
const back = (name: string) =>
  Process.whereis(name).pipe(
    Effect.repeat({ until: Option.isSome, schedule: Schedule.spaced("2 millis") }),
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.die(new Error(`${name} does not come back`)) })
  )

const keys = (positions: Iterable<Position>): ReadonlyArray<string> =>
  Array.from(positions, ({ at, vehicle }) => `${vehicle} ${at}`).toSorted()

describe("killing during a replay", () => {
  it.live(
    "each registered process and each worker, again and again, loses nothing that was acknowledged",
    () =>
      Effect.gen(function*() {
        const files = yield* FileSystem.FileSystem
        const folder = yield* files.makeTempDirectoryScoped()
        const { tcp, udp } = yield* App.start({
          TRAFFIC_DATABASE: `${folder}/positions.sqlite`,
          TRAFFIC_ROLES: "ingest,storage,web"
        })
        const names = (yield* Process.registered).filter((name) => !name.startsWith("application"))
        assert.includeMembers([...names], [
          "storage",
          "queries",
          "ingest",
          "emergency",
          "statistics",
          "tcp_receiver",
          "udp_receiver",
          "web",
          "observer",
          "live"
        ])

        const killed = new Set<string>()
        let done = false
        const killing = Effect.gen(function*() {
          while (!done) {
            for (const name of names) {
              const pid = yield* back(name)
              if (done) return
              // The workers of a pool, and then the pool itself.
              if (name === "ingest" || name === "queries") {
                const workers = yield* Effect.orElseSucceed(Supervisor.whichChildren({ name }), () => [])
                for (const worker of workers) if (Option.isSome(worker.pid)) yield* Process.kill(worker.pid.value)
              }
              yield* Process.kill(Option.getOrThrow(pid))
              killed.add(name)
              // Slower than what the supervisor takes for a tree that cannot live.
              yield* Effect.sleep("350 millis")
            }
          }
        })
        const sending = Effect.gen(function*() {
          const byTcp = yield* Sender.tcp({ host, port: tcp })
          const byUdp = yield* Sender.udp({ host, port: udp }, { acknowledged: true })
          const outcomes = []
          // Until every process was killed at least once while positions were on their way.
          for (let round = 0; killed.size < names.length; round++) {
            outcomes.push(
              yield* Effect.all([sendAll(byTcp, all), sendAll(byUdp, App.positions(2000, 50_000), 200)], {
                concurrency: 2
              })
            )
          }
          done = true
          return outcomes
        })
        const [outcomes] = yield* Effect.all([sending, killing], { concurrency: 2 })
        for (const [byTcp, byUdp] of outcomes) {
          assert.deepStrictEqual([byTcp.kept, byTcp.dropped], [all.length, 0])
          assert.deepStrictEqual([byUdp.kept, byUdp.dropped], [2000, 0])
        }
        yield* Effect.forEach(names, back)
        const { tcp: tally, udp: udpTally } = yield* App.reportWhen(({ tcp, udp }) => tcp.waiting + udp.waiting === 0)
        assert.isTrue(App.isBalanced(tally) && App.isBalanced(udpTally), JSON.stringify([tally, udpTally]))
        const storage = yield* GenServer.named(Storage, "storage")
        const stored: Array<Position> = []
        for (let vehicle = 0; vehicle < 50; vehicle++) {
          stored.push(...yield* storage.Track({ vehicle: `v${vehicle}`, limit: 10_000 }))
        }
        assert.deepStrictEqual(keys(stored), keys([...all, ...App.positions(2000, 50_000)]))
      }).pipe(Effect.provide(services)),
    120_000
  )

  it.live("the whole program by SIGKILL, loses nothing that was acknowledged", () =>
    Effect.gen(function*() {
      const program = yield* Programs.prepare()
      let running = yield* program.start
      const sender = yield* Sender.tcp({ host, port: program.tcp })
      let acknowledged = 0
      const sending = Effect.gen(function*() {
        for (let at = 0; at < all.length; at += 100) {
          const { kept } = yield* sender.send(all.slice(at, at + 100))
          acknowledged += kept
        }
      })
      const killing = Effect.gen(function*() {
        for (const share of [0.2, 0.6]) {
          yield* Effect.repeat(Effect.sync(() => acknowledged), {
            until: (count) => count >= share * all.length,
            schedule: Schedule.spaced("1 millis")
          })
          yield* running.kill
          running = yield* program.start
        }
      })
      yield* Effect.all([sending, killing], { concurrency: 2 })
      assert.strictEqual(acknowledged, all.length)

      // The last life reads what all of them have stored.
      const ats = yield* program.tracks(50)
      assert.deepStrictEqual(ats, keys(all))
      assert.strictEqual(yield* running.stop, 0)
    }).pipe(Effect.provide(services)), 180_000)
})
