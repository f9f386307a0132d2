/**
 * Tasks: one-off work as a process (Elixir's `Task`).
 *
 * **When not to use it.** To run effects side by side and join them, use Effect's own fibers: `Effect.forkChild`,
 * `Effect.all` and `Effect.forEach` with `concurrency`, `FiberSet`. They cost less and do the same. A task is for work
 * that should be a *process*: it has a pid and a name, can be linked, monitored, listed, labelled, killed or shut down
 * by others, has a mailbox and an environment, survives its starter or dies with it as links say, and its crash is an
 * exit reason that supervisors and links understand. For tasks that outlive a request and are to be shut down as a
 * whole, see `TaskSupervisor`.
 *
 * Guarantees: a typed failure of the task is a result, which {@link await} gives in the error channel; a crash, or an
 * end from outside, is the typed error `TaskExit` with the exit reason, and goes along the links of the process. A
 * result counts when the process has ended, so that finalizers of the task have run. A task may be awaited several
 * times and from anywhere.
 *
 * In difference to Elixir a timeout of `await` does not end the caller: it is the typed error `TaskTimeout`, and the
 * task goes on until it is done, shut down, or its scope closes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Node, Task } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   const six = yield* Task.async(Effect.succeed(6))
 *   const seven = yield* Task.async(Effect.as(Effect.yieldNow, 7))
 *   const [a, b] = yield* Task.awaitMany([six, seven])
 *   return a * b
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => 42
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { Pid } from "../term/Pid.ts"
import { defaultTimeout, type LiveTask, millisOf, type Outcome, spawnTask } from "./internal/LiveTask.ts"
import { type TaskExit, TaskTimeout } from "./internal/TaskError.ts"
import { streamOf } from "./internal/TaskStream.ts"

export { TaskExit, TaskLimit, TaskTimeout } from "./internal/TaskError.ts"

const TypeId = "~effect-otp/Task"

/**
 * A task whose result can be awaited.
 *
 * @category models
 * @since 0.1.0
 */
export interface Task<out A, out E> {
  readonly [TypeId]: { readonly _A: () => A; readonly _E: () => E }
  readonly pid: Pid
}

/** Every task is made here or by `TaskSupervisor`, from a live one. */
const liveOf = <A, E>(task: Task<A, E>): LiveTask => task as unknown as LiveTask

/** What a task hands to its process is what its type says. */
const typed = <A, E>(outcome: Outcome): Result.Result<A, E | TaskExit> => outcome as Result.Result<A, E | TaskExit>

/**
 * Options of a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskOptions extends Omit<Process.SpawnOptions, "link"> {
  /** Whether to link the task and the process that starts it, if that is one: true by default. */
  readonly link?: boolean
}

/** What the process of a task provides itself. */
type Provided = Scope.Scope | Process.CurrentProcess

// --- starting --------------------------------------------------------------------------------------------------------

/**
 * Starts work whose result is of no interest, tied to the surrounding scope and linked to the calling process. Any
 * failure is a crash.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: TaskOptions
): Effect.Effect<Pid, StartError, Exclude<R, Provided> | Node | Scope.Scope> =>
  Process.spawn(() => effect, { label: "task", link: true, ...options })

/**
 * Starts work that belongs to nobody and whose result is of no interest. Any failure is a crash.
 *
 * @category starting
 * @since 0.1.0
 */
export const startDetached = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: Omit<TaskOptions, "link">
): Effect.Effect<Pid, StartError, Exclude<R, Provided> | Node> =>
  Process.spawnDetached(() => effect, { label: "task", ...options })

/**
 * Starts work to be awaited, tied to the surrounding scope and linked to the calling process: when the task crashes,
 * the caller gets its exit signal. With `{ link: false }` the caller learns of a crash from {@link await} alone.
 *
 * @category starting
 * @since 0.1.0
 */
export const async = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: TaskOptions
): Effect.Effect<Task<A, E>, StartError, Exclude<R, Provided> | Node | Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const scope = yield* Effect.scope
    const task = yield* spawnTask(effect, { link: true, ...options })
    if (task.reason !== undefined) return task
    const tie = Scope.forkUnsafe(scope)
    yield* Scope.addFinalizer(
      tie,
      Effect.ignore(Process.stop(task.process.pid, { reason: ExitReason.shutdown, timeout: "5 seconds" })).pipe(
        Effect.provideService(Node, task.node)
      )
    )
    // Closes it without its finalizer, which is for the scope alone.
    task.untie = () => Scope.closeUnsafe(tie, Exit.void)
    return task
    // The live task is untyped.
  })) as unknown as Effect.Effect<Task<A, E>, StartError, Exclude<R, Provided> | Node | Scope.Scope>

/**
 * Starts work to be awaited that belongs to nobody: it goes on when its starter and all who wait have gone.
 *
 * @category starting
 * @since 0.1.0
 */
export const asyncDetached = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: Omit<TaskOptions, "link">
): Effect.Effect<Task<A, E>, StartError, Exclude<R, Provided> | Node> =>
  // As above.
  spawnTask(effect, { ...options }) as unknown as Effect.Effect<Task<A, E>, StartError, Exclude<R, Provided> | Node>

// --- waiting ---------------------------------------------------------------------------------------------------------

/**
 * How long to wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitOptions {
  /** 5 seconds by default; `"Infinity"` waits for ever. */
  readonly timeout?: Duration.Input
}

const await_ = <A, E>(task: Task<A, E>, options?: WaitOptions): Effect.Effect<A, E | TaskExit | TaskTimeout> => {
  const live = liveOf(task)
  return Effect.flatMap(
    live.within(options?.timeout ?? defaultTimeout),
    (outcome): Effect.Effect<A, E | TaskExit | TaskTimeout> =>
      Option.isSome(outcome)
        ? Effect.fromResult(typed<A, E>(outcome.value))
        : Effect.fail(new TaskTimeout({ task: live.process.displayName, timeoutMillis: millisOf(options?.timeout) }))
  )
}

export {
  /**
   * Waits for the result of a task: its value, its typed failure, `TaskExit` when it crashed or was ended,
   * `TaskTimeout` when it took longer than 5 seconds, or than `timeout`.
   *
   * @category waiting
   * @since 0.1.0
   */
  await_ as await
}

/**
 * Waits for the results of several tasks, in their order, all together at most 5 seconds or `timeout`. Fails with the
 * first failure; the others go on.
 *
 * @category waiting
 * @since 0.1.0
 */
export const awaitMany = <A, E>(
  tasks: ReadonlyArray<Task<A, E>>,
  options?: WaitOptions
): Effect.Effect<Array<A>, E | TaskExit | TaskTimeout> =>
  Effect.suspend(() => {
    const all = Effect.forEach(
      tasks,
      (task) => Effect.flatMap(liveOf(task).ended, (outcome) => Effect.fromResult(typed<A, E>(outcome))),
      { concurrency: "unbounded" }
    )
    const duration = Duration.fromInputUnsafe(options?.timeout ?? defaultTimeout)
    if (!Duration.isFinite(duration)) return all
    return Effect.flatMap(Effect.timeoutOption(all, duration), (results) => {
      if (Option.isSome(results)) return Effect.succeed(results.value)
      const late = tasks.map(liveOf).filter((task) => task.reason === undefined)
      return Effect.fail(
        new TaskTimeout({
          task: late.map((task) => task.process.displayName).join(", "),
          timeoutMillis: Duration.toMillis(duration)
        })
      )
    })
  })

const yield_ = <A, E>(
  task: Task<A, E>,
  options?: WaitOptions
): Effect.Effect<Option.Option<Result.Result<A, E | TaskExit>>> =>
  Effect.map(liveOf(task).within(options?.timeout ?? defaultTimeout), Option.map(typed<A, E>))

export {
  /**
   * Waits for a task at most 5 seconds, or `timeout`; zero just looks. None when it has no result yet.
   *
   * @category waiting
   * @since 0.1.0
   */
  yield_ as yield
}

/**
 * Options of {@link yieldMany}.
 *
 * @category models
 * @since 0.1.0
 */
export interface YieldManyOptions extends WaitOptions {
  /** How many results are enough: all by default. */
  readonly limit?: number
  /**
   * What becomes of the tasks without a result: they go on (`nothing`, the default), untied (`ignore`), or are killed.
   */
  readonly onTimeout?: "nothing" | "ignore" | "killTask"
}

/**
 * Waits until all tasks have a result, or `limit` of them, or the time is up. Gives what there is then, in the order of
 * the tasks.
 *
 * @category waiting
 * @since 0.1.0
 */
export const yieldMany = <A, E>(
  tasks: ReadonlyArray<Task<A, E>>,
  options?: YieldManyOptions
): Effect.Effect<Array<Option.Option<Result.Result<A, E | TaskExit>>>> =>
  Effect.suspend(() => {
    const lives = tasks.map(liveOf)
    const enough = Effect.callback<void>((resume) => {
      const running = lives.filter((task) => task.reason === undefined)
      let missing = Math.min(options?.limit ?? lives.length, lives.length) - (lives.length - running.length)
      if (missing <= 0) return resume(Effect.void)
      const stops = running.map((task) =>
        task.observe(() => {
          if (--missing === 0) resume(Effect.void)
        })
      )
      return Effect.sync(() => {
        for (const stop of stops) stop()
      })
    })
    const duration = Duration.fromInputUnsafe(options?.timeout ?? defaultTimeout)
    const waited = Duration.isFinite(duration) ? Effect.asVoid(Effect.timeoutOption(enough, duration)) : enough
    return Effect.andThen(
      waited,
      Effect.forEach(lives, (task): Effect.Effect<Option.Option<Result.Result<A, E | TaskExit>>> => {
        const { outcome } = task
        if (outcome !== undefined) return Effect.succeedSome(typed<A, E>(outcome))
        if (options?.onTimeout === "killTask") return Effect.as(task.end(undefined), Option.none())
        return options?.onTimeout === "ignore" ? Effect.as(task.release, Option.none()) : Effect.succeedNone
      })
    )
  })

// --- ending ----------------------------------------------------------------------------------------------------------

/**
 * Options of {@link shutdown}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShutdownOptions {
  /** How long the task may take before it is killed: 5 seconds by default; `"brutalKill"` does not ask. */
  readonly timeout?: Duration.Input | "brutalKill"
}

/**
 * Ends a task, and the link to it, and waits until it has ended. Gives its result when it had one, or when it has
 * crashed; none when it was ended by this.
 *
 * @category ending
 * @since 0.1.0
 */
export const shutdown = <A, E>(
  task: Task<A, E>,
  options?: ShutdownOptions
): Effect.Effect<Option.Option<Result.Result<A, E | TaskExit>>> =>
  Effect.suspend(() => {
    const live = liveOf(task)
    const { outcome } = live
    if (outcome !== undefined) return Effect.succeedSome(typed<A, E>(outcome))
    const timeout = options?.timeout ?? defaultTimeout
    return Effect.map(live.end(timeout === "brutalKill" ? undefined : timeout), () => {
      const tag = live.hasResult ? undefined : live.reason?._tag
      if (tag === "Shutdown" || tag === "Killed") return Option.none()
      return Option.map(Option.fromUndefinedOr(live.outcome), typed<A, E>)
    })
  })

/**
 * Lets a task go on by itself: without link, and also when the scope closes in which it was started. Gives its result
 * when it has one already.
 *
 * @category ending
 * @since 0.1.0
 */
export const ignore = <A, E>(
  task: Task<A, E>
): Effect.Effect<Option.Option<Result.Result<A, E | TaskExit>>> =>
  Effect.suspend(() => {
    const live = liveOf(task)
    return Effect.as(live.release, Option.map(Option.fromUndefinedOr(live.outcome), typed<A, E>))
  })

// --- streams ---------------------------------------------------------------------------------------------------------

/**
 * Options of {@link asyncStream}.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions<OnTimeout extends "exit" | "killTask"> {
  /** How many tasks run at a time: 8 by default. */
  readonly maxConcurrency?: number
  /** Whether results come in the order of the elements (default), or as they are there. */
  readonly ordered?: boolean
  /** How long one task may take: 5 seconds by default; `"Infinity"` waits for ever. */
  readonly timeout?: Duration.Input
  /**
   * What a task means that takes longer: the stream fails with `TaskTimeout` (`exit`, the default), or the task is
   * killed and its result is that error.
   */
  readonly onTimeout?: OnTimeout
}

/**
 * What a stream of tasks gives for each element.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamResult<A, E, OnTimeout> = Result.Result<
  A,
  E | TaskExit | (OnTimeout extends "killTask" ? TaskTimeout : never)
>

/**
 * Runs a function over many elements, each in a task of its own, a bounded number at a time, and gives their results as
 * a stream: a value, a typed failure, or `TaskExit` for a task that crashed. Tasks that still run are killed when the
 * stream ends.
 *
 * In difference to Elixir the tasks are not linked to the process that runs the stream: a crash is a result like the
 * others.
 *
 * @category streams
 * @since 0.1.0
 */
export const asyncStream = <B, A, E, R, const OnTimeout extends "exit" | "killTask" = "exit">(
  items: Iterable<B>,
  f: (item: B) => Effect.Effect<A, E, R>,
  options?: StreamOptions<OnTimeout>
): Stream.Stream<
  StreamResult<A, E, OnTimeout>,
  StartError | (OnTimeout extends "exit" ? TaskTimeout : never),
  Exclude<R, Provided> | Node
> =>
  // The signature states the types of what it gives.
  streamOf(items, (item) => spawnTask(Effect.suspend(() => f(item)), {}), options) as never
