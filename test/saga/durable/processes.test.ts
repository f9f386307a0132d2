/**
 * A durable saga in a process that is killed: at each point of each of its five steps, and while it goes back.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { root } from "../../project/Sources.ts"
import { five } from "../Trip.ts"
import { FileLedger } from "./FileLedger.ts"

const program = ["--conditions=effect-otp-source", Path.join(root, "test/saga/durable/traveller.ts")]

describe("a process with a saga", () => {
  it(
    "[S30] [F13] killed before, during and after each of five steps, and while going back, leaves the ledger balanced",
    () => {
      const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "saga-"))
      const points = [
        ...five.flatMap((step) => (["before", "during", "after"] as const).map((point) => ({ point, step }))),
        ...[4, 1].map((step) => ({ point: "undo" as const, step }))
      ]
      const folders = points.map(({ point, step }) => Path.join(folder, `${step}-${point}`))
      points.forEach(({ point, step }, index) => {
        const { signal, stderr } = spawnSync(process.execPath, [
          ...program,
          "run",
          folders[index]!,
          String(step),
          point
        ], {
          encoding: "utf8",
          timeout: 60_000
        })
        assert.strictEqual(signal, "SIGKILL", `${step} ${point}: ${stderr}`)
      })
      // Before recovery money is missing, or the test would show nothing.
      const before = folders.map((path) => new FileLedger(Path.join(path, "ledger")).bookings.size)
      assert.strictEqual(
        before.filter((size) => size === 0).length,
        1,
        "only the one that was killed before its first step"
      )
      assert.isTrue(before.some((size) => size % 2 === 1), "some were killed between two halves")

      const printed = execFileSync(process.execPath, [...program, "recover", ...folders], {
        encoding: "utf8",
        timeout: 120_000
      })
      points.forEach(({ point, step }, index) => {
        const ledger = new FileLedger(Path.join(folders[index]!, "ledger"))
        const at = `${step} ${point}`
        assert.deepStrictEqual([...ledger.bookings], [], at)
        const undone = ledger.lines.filter(({ account }) => account === undefined).map(({ key }) => Number(key.at(-1)))
        const last = point === "undo" ? 4 : point === "before" ? step - 1 : step
        assert.deepStrictEqual(undone, five.slice(0, last).reverse(), at)
        assert.strictEqual(printed.split("\n")[index], point === "undo" ? "1 NoMoney" : "1 SagaRolledBack", at)
      })
      Fs.rmSync(folder, { recursive: true })
    },
    240_000
  )
})
