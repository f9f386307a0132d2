import { describe, expect, it } from "@effect/vitest"
import { CommitCore } from "effect-otp/saga"
import { CommitSimulation } from "effect-otp/testing"

/** The library's own functions, of the types of the simulation. */
const library: CommitSimulation.Core = CommitCore

/** What a broken core is first caught at. */
const caught = (core: Partial<CommitSimulation.Core>, pattern: RegExp): string | undefined => {
  for (let seed = 0; seed < 1000; seed++) {
    const problem = CommitSimulation.run(seed, { core: { ...library, ...core } }).problems[0]
    if (problem !== undefined && pattern.test(problem)) return problem
  }
  return undefined
}

describe("CommitSimulation", () => {
  const seeds = Number(process.env["EFFECT_OTP_COMMIT_SEEDS"] ?? 5000)
  const part = seeds / 4
  for (let from = 0; from < seeds; from += part) {
    it(
      `[S28] [S29] seeds ${from} to ${
        from + part - 1
      }: all or nothing under every schedule, and an end to all after the faults`,
      { timeout: 120_000 },
      () => {
        const sums = { begun: 0, committed: 0, aborted: 0, kills: 0, inquiries: 0, heuristics: 0, mismatches: 0 }
        for (let seed = from; seed < from + part; seed++) {
          const run = CommitSimulation.run(seed)
          expect(run.problems.length === 0 ? "" : CommitSimulation.explain(seed)).toBe("")
          for (const key of Object.keys(sums) as Array<keyof typeof sums>) sums[key] += run[key]
        }
        // The runs did what they are for.
        expect(sums.kills).toBeGreaterThan(8 * part)
        expect(sums.begun).toBeGreaterThan(20 * part)
        expect(sums.committed).toBeGreaterThan(5 * part)
        expect(sums.aborted).toBeGreaterThan(5 * part)
        expect(sums.inquiries).toBeGreaterThan(10 * part)
        expect(sums.heuristics).toBeGreaterThan(part / 20)
        expect(sums.mismatches).toBeGreaterThan(part / 40)
      }
    )
  }

  it("the same seed gives the same run", () => {
    expect(CommitSimulation.run(7, { traced: true })).toEqual(CommitSimulation.run(7, { traced: true }))
    expect(CommitSimulation.run(7).steps).not.toBe(CommitSimulation.run(8).steps)
  })

  it("explains a run that found something", () => {
    const text = CommitSimulation.explain(0, {
      core: {
        ...library,
        recoverParticipation: (record, now) => {
          const state = library.recoverParticipation(record, now)
          return state._tag === "Prepared" ? { ...state, askAt: Infinity } : state
        }
      }
    })
    expect(text).toContain("seed 0")
    expect(text).toMatch(/ms {2}[pqr] is killed with \d writes under way/)
    expect(text).toMatch(/ms {2}[cd] > [pqr]: {"_tag":"Prepare"/)
    expect(text).toContain("the faults end")
    expect(text).toContain("VIOLATED: not everything has come to its end five seconds later")
  })

  describe("catches", () => {
    it("[S28] a coordinator that tells of a commit before it is on disk", () => {
      const coordinate: CommitSimulation.Core["coordinate"] = (state, now, input, options) => {
        const [next, output] = library.coordinate(state, now, input, options)
        if (next?._tag !== "Deciding") return [next, output]
        const [told, early] = library.coordinate(next, now, { _tag: "Persisted" }, options)
        return [told, { ...early, persist: output.persist }]
      }
      expect(caught({ coordinate }, /not decided on disk|not on disk/)).toBeDefined()
    })

    it("[S28] a participant that says yes before it is on disk", () => {
      const participate: CommitSimulation.Core["participate"] = (state, now, input, options) => {
        const [next, output] = library.participate(state, now, input, options)
        if (next?._tag !== "Promising") return [next, output]
        const receipt = { _tag: "Persisted", ballot: next.ballot, stage: "Promised" } as const
        const [told, early] = library.participate(next, now, receipt, options)
        return [told, { ...early, persist: output.persist }]
      }
      expect(caught({ participate }, /before it is on disk/)).toBeDefined()
    })

    it("[S28] a participant that forgets its yes when it restarts", () => {
      const recoverParticipation: CommitSimulation.Core["recoverParticipation"] = (record, now) => {
        const state = library.recoverParticipation(record, now)
        // As if it had been told to abort: it lets go.
        return state._tag === "Prepared" ? { ...state, ballot: `forgotten ${state.ballot}` } : state
      }
      expect(caught({ recoverParticipation }, /acknowledges|not everything|but for|on which no decision rests/))
        .toBeDefined()
    })

    it("[S28] a coordinator that presumes a commit", () => {
      const coordinate: CommitSimulation.Core["coordinate"] = (state, now, input, options) => {
        const [next, output] = library.coordinate(state, now, input, options)
        if (state !== undefined || input._tag !== "Receive") return [next, output]
        const send = output.send.map(({ message, to }) => ({ to, message: { ...message, outcome: "Commit" as const } }))
        return [next, { ...output, send }]
      }
      expect(caught({ coordinate }, /not decided on disk/)).toBeDefined()
    })

    it("[S28] a participant that aborts when it has been in doubt for long", () => {
      const participate: CommitSimulation.Core["participate"] = (state, now, input, options) => {
        if (input._tag !== "Tick" || state?._tag !== "Prepared" || state.tries < 3) {
          return library.participate(state, now, input, options)
        }
        const { ballot, branch, coordinator, transaction } = state
        const message = { _tag: "Decision", transaction, branch, ballot, outcome: "Abort" } as const
        return library.participate(state, now, { _tag: "Receive", from: coordinator, message }, options)
      }
      expect(caught({ participate }, /has aborted|and c\.\d+ is committed/)).toBeDefined()
    })

    it("[S28] a participant that acknowledges before it is on disk", () => {
      const participate: CommitSimulation.Core["participate"] = (state, now, input, options) => {
        const [next, output] = library.participate(state, now, input, options)
        if (next?._tag !== "Finishing" || state?._tag === "Finishing") return [next, output]
        const receipt = { _tag: "Persisted", ballot: next.ballot, stage: "Finished" } as const
        const [gone, early] = library.participate(next, now, receipt, options)
        return [gone, { ...early, persist: output.persist }]
      }
      expect(caught({ participate }, /acknowledges .* not on its disk/)).toBeDefined()
    })

    it("[S28] a coordinator that forgets before all have acknowledged", () => {
      const coordinate: CommitSimulation.Core["coordinate"] = (state, now, input, options) => {
        const [next, output] = library.coordinate(state, now, input, options)
        return next?._tag === "Committed" && next.acknowledged.length > 0
          ? [undefined, { ...output, persist: { record: undefined, receipt: undefined } }]
          : [next, output]
      }
      expect(caught({ coordinate }, /aborts .* is committed/)).toBeDefined()
    })

    it("[S28] a coordinator that commits without the votes that are missing", () => {
      const coordinate: CommitSimulation.Core["coordinate"] = (state, now, input, options) => {
        if (input._tag !== "Tick" || state?._tag !== "Voting" || now < state.deadline) {
          return library.coordinate(state, now, input, options)
        }
        const promises = state.votes.flatMap((vote, branch) =>
          vote?._tag === "Yes"
            ? [{ branch, participant: state.branches[branch]!.participant, ballot: vote.ballot }]
            : []
        )
        const { transaction } = state
        const persist = { record: { transaction, promises }, receipt: { _tag: "Persisted" } } as const
        return [{ _tag: "Deciding", transaction, promises }, { send: [], persist, decided: undefined, events: [] }]
      }
      expect(caught({ coordinate }, /without the vote of/)).toBeDefined()
    })

    it("[S29] a coordinator that takes a second yes for the first", () => {
      const coordinate: CommitSimulation.Core["coordinate"] = (state, now, input, options) => {
        const [next, output] = library.coordinate(state, now, input, options)
        if (state?._tag !== "Committed") return [next, output]
        const send = output.send.map(({ message, to }) =>
          message._tag === "Decision" ? { to, message: { ...message, outcome: "Commit" as const } } : { message, to }
        )
        return [next, { ...output, send }]
      }
      expect(caught({ coordinate }, /not decided on disk/)).toBeDefined()
    })

    it("a participant that keeps an operator's mistake to itself", () => {
      const participate: CommitSimulation.Core["participate"] = (state, now, input, options) =>
        library.participate(
          state,
          now,
          state?._tag === "Heuristic" && input._tag === "Receive" ? { _tag: "Dismiss" } : input,
          options
        )
      expect(caught({ participate }, /nobody has reported/)).toBeDefined()
    })
  })
})
