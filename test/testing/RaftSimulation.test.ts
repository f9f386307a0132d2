import { describe, expect, it } from "@effect/vitest"
import * as RaftCore from "../../src/raft/RaftCore.ts"
import * as RaftSimulation from "../../src/testing/RaftSimulation.ts"

/** What a broken core is first caught at, among some seeds that are known to catch it. */
const caught = (
  core: RaftSimulation.Core,
  seeds: readonly [from: number, to: number],
  pattern: RegExp,
  options: Partial<RaftSimulation.Options> = {}
): string | undefined => {
  for (let seed = seeds[0]; seed <= seeds[1]; seed++) {
    const problem = RaftSimulation.run(seed, { ...options, core }).problems[0]
    if (problem !== undefined && pattern.test(problem)) return problem
  }
  return undefined
}

describe("RaftSimulation", () => {
  const seeds = 2000
  const part = 250
  for (let from = 0; from < seeds; from += part) {
    it(
      `[S31] [S32] [S33] [S35] seeds ${from} to ${
        from + part - 1
      }: no invariant violated, a leader after ten election timeouts, equal logs after five seconds`,
      { timeout: 120_000 },
      () => {
        const sums = { simulatedMillis: 0, elections: 0, committed: 0, reads: 0, kills: 0, snapshots: 0, changes: 0 }
        for (let seed = from; seed < from + part; seed++) {
          const run = RaftSimulation.run(seed)
          expect(run.problems.length === 0 ? "" : RaftSimulation.explain(seed)).toBe("")
          expect(run.simulatedMillis).toBeGreaterThanOrEqual(60_000)
          for (const key of Object.keys(sums) as Array<keyof typeof sums>) sums[key] += run[key]
        }
        // The runs did what they are for.
        expect(sums.elections).toBeGreaterThan(part)
        expect(sums.committed).toBeGreaterThan(50 * part)
        expect(sums.reads).toBeGreaterThan(10 * part)
        expect(sums.kills).toBeGreaterThan(5 * part)
        expect(sums.snapshots).toBeGreaterThan(part)
        expect(sums.changes).toBeGreaterThan(part)
      }
    )
  }

  it("the same seed gives the same run", () => {
    expect(RaftSimulation.run(7, { traced: true })).toEqual(RaftSimulation.run(7, { traced: true }))
    expect(RaftSimulation.run(7).steps).not.toBe(RaftSimulation.run(8).steps)
  })

  it("explains a run that found something", () => {
    const core: RaftSimulation.Core = {
      make: RaftCore.make,
      // Whoever should lead says that nobody does.
      step: (state, now, input) => {
        const [next, output] = RaftCore.step(state, now, input)
        return [next.role._tag === "Leader" ? { ...next, role: { _tag: "Follower" }, leader: undefined } : next, output]
      }
    }
    const text = RaftSimulation.explain(1, { core, millis: 5000 })
    expect(text).toContain("seed 1")
    expect(text).toContain("the faults end")
    expect(text).toContain("VIOLATED: there is no leader after ten election timeouts")
  })

  describe("catches a core", () => {
    it("[S32] that answers before it is persisted", () => {
      const core: RaftSimulation.Core = {
        make: RaftCore.make,
        step: (state, now, input) => {
          const [next, output] = RaftCore.step(state, now, input)
          return [next, { ...output, send: [...output.send, ...output.sendAfterPersist], sendAfterPersist: [] }]
        }
      }
      expect(caught(core, [0, 500], /without the committed entry|both led|is both|another entry/)).toBeDefined()
    })

    it("[S32] that forgets its vote when it restarts", () => {
      const core: RaftSimulation.Core = {
        make: (beginning) =>
          RaftCore.make({
            ...beginning,
            recovered: beginning.recovered && { ...beginning.recovered, votedFor: undefined }
          }),
        step: RaftCore.step
      }
      expect(caught(core, [4320, 4330], /both led/)).toBeDefined()
    })

    it("[S32] that forgets the end of its log when it restarts", () => {
      const core: RaftSimulation.Core = {
        make: (beginning) =>
          RaftCore.make({
            ...beginning,
            recovered: beginning.recovered &&
              { ...beginning.recovered, entries: beginning.recovered.entries.slice(0, -2) }
          }),
        step: RaftCore.step
      }
      expect(caught(core, [0, 200], /without the committed entry|another entry|applied \d+ after/)).toBeDefined()
    })

    it("[S33] that reads without asking whether it still leads", () => {
      const core: RaftSimulation.Core = {
        make: RaftCore.make,
        step: (state, now, input) => {
          const [next, output] = RaftCore.step(state, now, input)
          if (input._tag !== "Read" || state.role._tag !== "Leader") return [next, output]
          return [next, { ...output, replies: [{ _tag: "Readable", ref: input.ref, index: state.commit }] }]
        }
      }
      expect(caught(core, [0, 500], /reads at .* although/)).toBeDefined()
    })

    it("[S33] that reads by a lease which its clocks do not keep", () => {
      const core: RaftSimulation.Core = {
        // The lease is as long as if clocks could not differ, and members stand for election at once.
        make: (beginning) => RaftCore.make({ ...beginning, options: { ...beginning.options, clockDrift: -4 } }),
        step: RaftCore.step
      }
      expect(caught(core, [0, 500], /reads at .* although/, { reads: "lease" })).toBeDefined()
    })

    it("[S34] that changes the membership before the last change is committed", () => {
      const core: RaftSimulation.Core = {
        make: RaftCore.make,
        step: (state, now, input) => {
          if (input._tag !== "Change" || state.role._tag !== "Leader") return RaftCore.step(state, now, input)
          // As if everything so far had been committed.
          const claimed = { ...state, commit: state.log.lastIndex }
          const [next, output] = RaftCore.step(claimed, now, input)
          return [{
            ...next,
            commit: Math.max(state.commit, Math.min(next.commit, state.commit)),
            applied: state.applied
          }, {
            ...output,
            apply: []
          }]
        }
      }
      expect(caught(core, [0, 2000], /both led|without the committed entry|another entry|is both/)).toBeDefined()
    })

    it("[S31] that commits what only it has", () => {
      const core: RaftSimulation.Core = {
        make: RaftCore.make,
        step: (state, now, input) => {
          const eager = state.role._tag === "Leader" ? { ...state, commit: state.persisted } : state
          return RaftCore.step(eager, now, input)
        }
      }
      expect(caught(core, [0, 200], /without the committed entry|another entry|applied \d+ after/)).toBeDefined()
    })
  })
})
