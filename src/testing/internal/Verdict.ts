/**
 * What a simulated run finds: the first law that does not hold ends it.
 *
 * Guarantees that what a law has not said is not taken for a finding: any other error goes on to whoever runs the
 * simulation.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"

/** A law did not hold. The text says which, and for whom. */
export class Violation extends Error {}

/** The violation that ended a run; none when it came to its end. */
export const problemsOf = (run: () => void): ReadonlyArray<string> => {
  const ended = Result.try({ try: run, catch: (error) => error })
  if (Result.isSuccess(ended)) return []
  if (ended.failure instanceof Violation) return [ended.failure.message]
  throw ended.failure
}

/** The last of what happened in a traced run, and what it found. */
export const report = ({ problems, schedule, seed }: {
  readonly seed: number
  readonly problems: ReadonlyArray<string>
  readonly schedule: ReadonlyArray<string>
}): string => [`seed ${seed}`, ...schedule.slice(-200), ...problems.map((problem) => `VIOLATED: ${problem}`)].join("\n")
