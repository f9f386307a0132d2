import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Log } from "../../../src/raft/internal/Log.ts"
import type { Entry } from "../../../src/raft/RaftEntry.ts"

const entry = (index: number, term: number): Entry<string> => ({
  index,
  term,
  content: { _tag: "Command", command: `${index}:${term}`, size: 1 }
})

type Model = ReadonlyArray<Entry<string>>

interface Both {
  readonly log: Log<string>
  readonly base: number
  readonly model: Model
}

const same = ({ base, log, model }: Both): void => {
  expect(log.baseIndex).toBe(base)
  expect(log.lastIndex).toBe(base + model.length)
  expect(log.slice(base + 1, log.lastIndex)).toEqual(model)
  expect(log.termAt(log.lastIndex + 1)).toBeUndefined()
  for (const known of model) expect(log.termAt(known.index)).toBe(known.term)
}

const Script = Schema.Array(Schema.Struct({
  /** Which of the logs made so far is worked on: often not the newest. */
  of: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
  what: Schema.Literals(["append", "truncate", "compact"]),
  size: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
  term: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))
}))

describe("Log", () => {
  it.prop("every log stays what it was, whatever is made from it", [Script], ([script]) => {
    const logs: Array<Both> = [{ log: Log.empty(), base: 0, model: [] }]
    for (const { of, size, term, what } of script) {
      const { base, log, model } = logs[of % logs.length]!
      if (what === "append") {
        const added = Array.from({ length: size }, (_, i) => entry(log.lastIndex + 1 + i, term))
        logs.push({ log: log.append(added), base, model: [...model, ...added] })
      } else {
        const cut = Math.min(size, model.length)
        logs.push(
          what === "truncate"
            ? { log: log.truncate(log.lastIndex - cut), base, model: model.slice(0, model.length - cut) }
            : { log: log.compact(base + cut), base: base + cut, model: model.slice(cut) }
        )
      }
      logs.forEach(same)
    }
  })

  it("a compacted log still knows the term of the entry before its first", () => {
    const log = Log.empty<string>().append([entry(1, 1), entry(2, 1), entry(3, 4)]).compact(3)
    expect(log.lastTerm).toBe(4)
    expect(log.termAt(3)).toBe(4)
    expect(log.termAt(2)).toBeUndefined()
  })

  it("finds the first entry of a term, not further back than the log goes", () => {
    const log = Log.empty<string>(2, 1).append([entry(3, 1), entry(4, 2), entry(5, 2), entry(6, 2)])
    expect(log.firstOfTerm(6)).toBe(4)
    expect(log.firstOfTerm(3)).toBe(3)
  })
})
