/**
 * The end of a process of the operating system that is a node: signals, order, exit codes, the hard limit.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const fixture = fileURLToPath(new URL("./fixtures/applications.ts", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly lines: ReadonlyArray<string>
  readonly errors: string
  /** From the first signal to the end, in milliseconds. */
  readonly millis: number
}

/** Runs the program until it ends by itself, or sends it signals when it says that it is ready. */
const runProgram = (mode: string, ...signals: ReadonlyArray<NodeJS.Signals>): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const program: ChildProcess = spawn(
      process.execPath,
      ["--conditions=effect-otp-source", fixture, mode],
      { stdio: ["ignore", "pipe", "pipe"] }
    )
    let output = ""
    let errors = ""
    let since = performance.now()
    let signalled = false
    program.stderr!.on("data", (chunk) => errors += String(chunk))
    program.stdout!.on("data", (chunk) => {
      output += String(chunk)
      if (signalled || !output.includes("ready\n")) return
      signalled = true
      since = performance.now()
      const send = (left: ReadonlyArray<NodeJS.Signals>): void => {
        if (left.length === 0) return
        program.kill(left[0]!)
        setTimeout(() => send(left.slice(1)), 100)
      }
      send(signals)
    })
    program.on("close", (code) => {
      const lines = output.split("\n").filter((line) => line !== "")
      resume(Effect.succeed({ code, lines, errors, millis: performance.now() - since }))
    })
    return Effect.sync(() => program.kill("SIGKILL"))
  })

const up = ["+db-1", "+db-2", "+shop-1", "+shop-2", "ready"]

describe("a program of applications", () => {
  it.live(
    "[S23] stops them in reverse order at SIGTERM under load, within their shutdown times, and exits with 0",
    () =>
      Effect.gen(function*() {
        const { code, errors, lines, millis } = yield* runProgram("load", "SIGTERM")
        assert.deepStrictEqual(lines, [
          ...up,
          "shop stops",
          "-shop-2 busy",
          "-shop-1 busy",
          "shop stopped",
          "db stops",
          "-db-2 busy",
          "-db-1 busy",
          "db stopped",
          "done"
        ], errors)
        assert.strictEqual(code, 0)
        // Four children of a tenth of a second each; eight seconds would be the sum of their shutdown times.
        assert.isAtLeast(millis, 400)
        assert.isBelow(millis, 8000)
      }),
    30_000
  )

  it.live("does the same at SIGINT", () =>
    Effect.gen(function*() {
      const { code, errors, lines } = yield* runProgram("idle", "SIGINT")
      assert.deepStrictEqual(lines.slice(up.length), [
        "shop stops",
        "-shop-2",
        "-shop-1",
        "shop stopped",
        "db stops",
        "-db-2",
        "-db-1",
        "db stopped",
        "done"
      ], errors)
      assert.strictEqual(code, 0)
    }), 30_000)

  it.live("kills what does not stop in time, and exits with 0 all the same", () =>
    Effect.gen(function*() {
      const { code, errors, lines, millis } = yield* runProgram("stubborn", "SIGTERM")
      assert.deepStrictEqual(lines.slice(up.length), ["shop stops", "done"], errors)
      assert.include(errors, "applications did not stop within 500 ms and were killed: shop, db")
      assert.strictEqual(code, 0)
      assert.isAtLeast(millis, 500)
    }), 30_000)

  it.live("is gone after its limit, whatever hangs, with 1", () =>
    Effect.gen(function*() {
      const { code, errors, lines, millis } = yield* runProgram("hang", "SIGTERM")
      assert.strictEqual(lines[up.length], "shop stops", errors)
      assert.include(lines.at(-1), "the program did not stop within 1s: the process ends")
      assert.lengthOf(lines, up.length + 2)
      assert.strictEqual(code, 1)
      assert.isBelow(millis, 5000)
    }), 30_000)

  it.live("is gone at once at the second signal", () =>
    Effect.gen(function*() {
      const { code, errors, lines, millis } = yield* runProgram("stubborn", "SIGTERM", "SIGTERM")
      assert.deepStrictEqual(lines.slice(up.length), ["shop stops"], errors)
      assert.strictEqual(code, 130)
      assert.isBelow(millis, 500)
    }), 30_000)

  it.live(
    "[S23] exits with 1 when a permanent application ends, after the others were stopped in reverse order",
    () =>
      Effect.gen(function*() {
        const { code, errors, lines } = yield* runProgram("crash")
        assert.deepStrictEqual(lines.slice(0, lines.indexOf("done") + 1), [
          ...up,
          "ready",
          "shop stops",
          "-shop-2",
          "-shop-1",
          "shop stopped",
          "db stops",
          "-db-2",
          "-db-1",
          "db stopped",
          "done"
        ], errors)
        // Effect logs the failure of a main program to standard output.
        assert.include(lines.slice(lines.indexOf("done")).join(), "NodeStopped")
        assert.include(errors, "application main ended: shutdown. It is permanent: the node stops")
        assert.strictEqual(code, 1)
      }),
    30_000
  )

  it.live("exits with 0 when it stops the node itself", () =>
    Effect.gen(function*() {
      const { code, errors, lines } = yield* runProgram("stop")
      assert.deepStrictEqual(lines.slice(-1), ["done"], errors)
      assert.include(lines, "db stopped")
      assert.strictEqual(code, 0)
    }), 30_000)
})
