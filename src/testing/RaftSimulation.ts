/**
 * Runs a Raft group in simulated time under everything that can go wrong, and checks after every step that nothing did.
 *
 * One seed is one run: how many members, what the network loses, doubles and delays, who is cut off (also in one direction only), who
 * is paused, killed with its disk half written, started again, whose clock runs fast, when a disk fails, who joins and leaves,
 * what clients write and read. After the faults the group must have a leader within ten election timeouts and identical logs
 * within five seconds.
 *
 * Checked after every step: one leader per term; entries with the same index and term are the same and follow the same;
 * every leader has everything that is committed; no two members apply different entries at an index, and none twice; the
 * state rebuilt from a snapshot equals the one from the log; a read sees every write that was acknowledged before it.
 *
 * Refuses to guess: a run that found something says what, and when asked again with `traced` prints how it came to it.
 *
 * @since 0.1.0
 */
import * as RaftCore from "../raft/RaftCore.ts"
import { RaftGroup } from "./internal/RaftGroup.ts"
import { problemsOf, report } from "./internal/Verdict.ts"

/**
 * What a simulated state machine holds: how many commands it has applied, and a hash over all of them in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Digest {
  readonly commands: number
  readonly hash: number
}

type State = RaftCore.State<number, Digest>
type Output = RaftCore.Output<number, Digest>

/**
 * The functions under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Core {
  readonly make: (beginning: RaftCore.Beginning<number, Digest>) => State
  readonly step: (state: State, now: number, input: RaftCore.Input<number, Digest>) => readonly [State, Output]
}

/**
 * How a run is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Simulated milliseconds with faults: 60 000. */
  readonly millis: number
  /** Whether to note what happens, for `explain`: no. */
  readonly traced: boolean
  /** The core to run: the library's own. A test of the simulation puts a broken one here. */
  readonly core: Core
  /** How reads are made: by the seed. */
  readonly reads: "confirmed" | "lease" | undefined
}

/**
 * What came of a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  readonly seed: number
  readonly simulatedMillis: number
  readonly steps: number
  readonly elections: number
  readonly committed: number
  readonly acknowledged: number
  readonly reads: number
  readonly kills: number
  readonly snapshots: number
  readonly changes: number
  /** What was violated; empty when all is well. The run ends with the first. */
  readonly problems: ReadonlyArray<string>
  /** What happened, when it was traced. */
  readonly schedule: ReadonlyArray<string>
}

/**
 * One run, decided by its seed.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (seed: number, given: Partial<Options> = {}): Run => {
  const all: Options = { millis: 60_000, traced: false, core: RaftCore, reads: undefined, ...given }
  const group = new RaftGroup(seed, all)
  const { laws, simulator } = group
  const problems = problemsOf(() => {
    simulator.pass(all.millis)
    group.recover()
  })
  if (problems.length > 0) group.describe()
  return {
    seed,
    simulatedMillis: simulator.now,
    steps: simulator.steps,
    committed: laws.committed,
    ...group.counts,
    problems,
    schedule: simulator.schedule
  }
}

/**
 * How a run came to what it found, to be read and to be kept with its seed as a test.
 *
 * @category running
 * @since 0.1.0
 */
export const explain = (seed: number, options: Partial<Options> = {}): string =>
  report(run(seed, { ...options, traced: true }))
