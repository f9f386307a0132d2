/**
 * Files of records: what steps wrote is what reading gives.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LogFile from "../../../src/raft/internal/LogFile.ts"
import { RecordWriter } from "../../../src/raft/internal/Records.ts"
import type { Entry, Snapshot } from "../../../src/raft/RaftEntry.ts"
import * as fc from "../../dist/generate.ts"
import { makeRandom } from "../../term/randomTerm.ts"

const nothing = (): LogFile.Stored => ({ term: 0, votedFor: undefined, snapshot: undefined, entries: [] })

const script = fc.array(
  fc.record({
    append: fc.nat(4),
    cut: fc.nat(10),
    term: fc.nat(2),
    voted: fc.constantFrom(undefined, "a", "b@host"),
    command: fc.uint8Array({ maxLength: 600 })
  }),
  { maxLength: 30 }
)

describe("log files", () => {
  it("[S32] hold what the steps said, however they append and cut", () => {
    fc.check(script, (steps) => {
      let stored = nothing()
      let term = 0
      const writer = new RecordWriter()
      for (const step of steps) {
        term += step.term
        const last = stored.entries.at(-1)?.index ?? 0
        const truncate = step.cut < 3 ? Math.max(0, last - step.cut) : undefined
        const from = truncate ?? last
        const entries = Array.from({ length: step.append }, (_, i): Entry<Uint8Array> => ({
          index: from + 1 + i,
          term,
          content: i === 1
            ? { _tag: "Membership", membership: { voters: ["a"], learners: ["b@host"] } }
            : i === 2
            ? { _tag: "Noop" }
            : { _tag: "Command", command: step.command, size: step.command.length }
        }))
        const persist = {
          term,
          votedFor: step.voted,
          truncate,
          entries,
          snapshot: undefined,
          first: 1,
          receipt: { _tag: "Persisted", index: 0, term, votedIn: term } as const
        }
        LogFile.writeStep(writer, stored, persist)
        stored = LogFile.afterStep(stored, persist)
      }
      const read = LogFile.readFile(writer.take())
      assert.deepStrictEqual(read, {
        verdict: { _tag: "Whole" },
        snapshot: undefined,
        term: stored.term,
        votedFor: stored.votedFor,
        entries: [...stored.entries]
      })
      const whole = LogFile.readFile(LogFile.writeFile(stored))
      assert.deepStrictEqual(whole, { ...read, snapshot: 0 })
    })
  })

  it("[S32] a snapshot comes back as it was, or not at all", () => {
    const snapshot: Snapshot<Uint8Array> = {
      index: 7,
      term: 3,
      membership: { voters: ["a", "b", "c"], learners: ["d"] },
      data: Uint8Array.from({ length: 2000 }, (_, i) => i % 251)
    }
    const bytes = LogFile.writeSnapshot(snapshot)
    assert.deepStrictEqual(LogFile.readSnapshot(bytes), snapshot)
    const random = makeRandom(3)
    for (let i = 0; i < 10_000; i++) {
      const at = Math.floor(random() * bytes.length)
      const spoiled = random() < 0.5 ? bytes.slice(0, at) : bytes.with(at, bytes[at]! ^ (1 << Math.floor(random() * 8)))
      assert.isUndefined(LogFile.readSnapshot(spoiled))
    }
  })
})
