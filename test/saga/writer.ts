/**
 * Writes number after number into a journal, says each when its write has ended, and kills itself: `writer.ts JOURNAL
 * LAST`.
 */
import { Effect } from "effect"
import { Journal } from "effect-otp/saga"
import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
import { writeSync } from "node:fs"

const [path, last] = process.argv.slice(2)

await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const book = yield* (yield* NodeSqliteJournal.make(path!)).open("one")
  for (let n = Number(last) + 1;; n++) {
    yield* book.write([Journal.append("n", new TextEncoder().encode(String(n)))])
    writeSync(1, `${n}\n`)
    // Some time after the first: in the midst of a write, as likely as not.
    if (n === Number(last) + 1) setTimeout(() => process.kill(process.pid, "SIGKILL"), Math.random() * 100)
  }
})))
