/**
 * A stream of what came of many tasks.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { StreamOptions } from "../Task.ts"
import { defaultTimeout, type LiveTask, millisOf, type Outcome } from "./LiveTask.ts"
import { TaskTimeout } from "./TaskError.ts"

/** Starts a task for each element and gives what came of it; ends it when nobody waits any more. */
export const streamOf = <B, E, R>(
  items: Iterable<B>,
  spawn: (item: B) => Effect.Effect<LiveTask, E, R>,
  options: StreamOptions<"exit" | "killTask"> | undefined
): Stream.Stream<Outcome, E | TaskTimeout, R> => {
  const timeout = options?.timeout ?? defaultTimeout
  return Stream.mapEffect(
    Stream.fromIterable(items),
    (item) =>
      Effect.acquireUseRelease(
        spawn(item),
        (task) =>
          Effect.flatMap(task.within(timeout), (outcome): Effect.Effect<Outcome, TaskTimeout> => {
            if (Option.isSome(outcome)) return Effect.succeed(outcome.value)
            const late = new TaskTimeout({ task: task.process.displayName, timeoutMillis: millisOf(timeout) })
            return options?.onTimeout === "killTask" ? Effect.succeed(Result.fail(late)) : Effect.fail(late)
          }),
        (task) => task.end(undefined)
      ),
    { concurrency: options?.maxConcurrency ?? 8, unordered: options?.ordered === false }
  )
}
