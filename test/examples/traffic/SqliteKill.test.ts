/**
 * The process that stores is killed, again and again, in the middle of what it does: what it has said to be stored is there,
 * whole, and the index knows of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import type { Position } from "../../../examples/traffic/Position.ts"
import * as SqliteStore from "../../../examples/traffic/SqliteStore.ts"
import { Store } from "../../../examples/traffic/Store.ts"
import * as BruteForce from "./BruteForce.ts"
import { request, size } from "./KillRequests.ts"

const program = fileURLToPath(new URL("storing.ts", import.meta.url))

/** Runs the program until it has stored some requests and a moment longer; gives the numbers of those it has stored. */
const storeUntilKilled = (path: string, first: number, requests: number, moment: number) =>
  Effect.callback<ReadonlyArray<number>, Error>((resume) => {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, path, String(first)], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let said = ""
    let dying = false
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text
      if (dying || said.split("\n").length <= requests) return
      dying = true
      setTimeout(() => child.kill("SIGKILL"), moment)
    })
    child.once("close", (_, signal) =>
      resume(
        signal === "SIGKILL"
          ? Effect.succeed(said.split("\n").slice(0, -1).map(Number))
          : Effect.fail(new Error(`it ended by itself: ${said}`))
      ))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const keyOf = ({ at, vehicle }: Position) => `${vehicle} ${at}`

/** What the file says of itself. */
const check = (path: string) => {
  const database = new DatabaseSync(path)
  const value = (sql: string) => Object.values(database.prepare(sql).get()!)[0]
  assert.strictEqual(value("PRAGMA integrity_check"), "ok")
  assert.strictEqual(value("SELECT rtreecheck('span')"), "ok")
  assert.strictEqual(value("SELECT rtreecheck('current')"), "ok")
  const positions = "SELECT positions FROM leg UNION ALL SELECT positions FROM vehicle"
  assert.strictEqual(
    value("SELECT stored FROM tally"),
    value(`SELECT sum(json_array_length(positions)) FROM (${positions})`)
  )
  database.close()
}

describe("SIGKILL while positions are stored", () => {
  it.live(
    "every acknowledged position is there, transactions are whole, the file is sound",
    () =>
      Effect.gen(function*() {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-traffic-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
        )
        const path = join(folder, "positions.db")
        const next = BruteForce.random(Date.now())
        const there = new Map<string, Position>()
        let first = 0
        for (let round = 0; round < 5; round++) {
          const acknowledged = yield* storeUntilKilled(path, first, 1 + Math.floor(next() * 60), next() * 15)
          check(path)
          yield* Effect.gen(function*() {
            const { nearest, statistics, track } = yield* (yield* Store).reader
            const vehicles = Array.from({ length: 31 }, (_, i) => `v${i}`)
            const tracks = yield* Effect.forEach(vehicles, (vehicle) => track({ vehicle, limit: 100_000 }))
            there.clear()
            for (const position of tracks.flat()) there.set(keyOf(position), position)
            for (const number of acknowledged) {
              for (const position of request(number)) assert.deepStrictEqual(there.get(keyOf(position)), position)
            }
            // Others may be there, whose answer nobody has heard: all of a request, or none.
            assert.strictEqual((yield* statistics).stored, there.size)
            const unsaid = Array.from({ length: 30 }, (_, i) => first + acknowledged.length + i - 10)
            for (const number of unsaid.filter((number) => number >= first)) {
              const stored = request(number).filter((position) => there.has(keyOf(position)))
              assert.oneOf(stored.length, [0, size], `request ${number}`)
            }
            const all = [...there.values()]
            for (let i = 0; i < 40; i++) {
              const { at, lat, lon } = all[Math.floor(next() * all.length)]!
              const query = { lat, lon, k: 5, at: i % 4 === 0 ? undefined : at }
              assert.deepStrictEqual(yield* nearest(query), BruteForce.nearest(all, query))
            }
          }).pipe(Effect.scoped, Effect.provide(SqliteStore.layer({ path })))
          // The next one begins with what the last one was about: some of it is sent again.
          first = Math.max(0, first + acknowledged.length - 5)
        }
        assert.isAbove(there.size, 5 * size)
      }).pipe(Effect.scoped),
    120_000
  )
})
