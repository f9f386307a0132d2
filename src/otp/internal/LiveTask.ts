/**
 * A task as the runtime keeps it: its process, what came of it, and who waits for that.
 *
 * The result counts when the process has ended: finalizers have run then, and one that crashed shows.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Behaviour from "../../process/Behaviour.ts"
import type { StartError } from "../../process/CallError.ts"
import { type ExitReason, isOrderly, shutdown } from "../../process/ExitReason.ts"
import { Node, type Service as NodeService } from "../../process/Node.ts"
import { kill, type SpawnOptions, stop } from "../../process/Process.ts"
import type { Pid } from "../../term/Pid.ts"
import { TaskExit } from "./TaskError.ts"

/** How long is waited for a task unless something else is said. */
export const defaultTimeout = "5 seconds"

/** A limit in milliseconds. */
export const millisOf = (timeout: Duration.Input | undefined): number =>
  Duration.toMillis(Duration.fromInputUnsafe(timeout ?? defaultTimeout))

/** What came of a task. */
export type Outcome = Result.Result<unknown, unknown>

/** @since 0.1.0 */
export class LiveTask {
  readonly node: NodeService
  /** Set before the task runs. */
  process!: Behaviour.Process
  reason: ExitReason | undefined = undefined
  /** Takes the task out of the scope that it was tied to. */
  untie: (() => void) | undefined = undefined
  private exit: Exit.Exit<unknown, unknown> | undefined = undefined
  private readonly waiting = new Set<() => void>()

  constructor(node: NodeService) {
    this.node = node
  }

  get pid(): Pid {
    return this.process.pid
  }

  /** The body of the process. A typed failure is a result and no crash. */
  body(effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> {
    return Effect.flatMap(Effect.exit(effect), (exit) => {
      if (Exit.isFailure(exit) && (Cause.hasDies(exit.cause) || !Cause.hasFails(exit.cause))) return exit
      this.exit = exit
      return Effect.void
    })
  }

  attach(process: Behaviour.Process): void {
    this.process = process
    Behaviour.watch(process, (reason) => {
      this.reason = reason
      Behaviour.defer(this.node, () => {
        this.untie?.()
        for (const resume of this.waiting) resume()
      })
    })
  }

  /** Whether the work was done, well or not. */
  get hasResult(): boolean {
    return this.exit !== undefined
  }

  /** What came of it, once it has ended. */
  get outcome(): Outcome | undefined {
    const { exit, reason } = this
    if (reason === undefined) return undefined
    if (exit === undefined || !isOrderly(reason)) {
      return Result.fail(new TaskExit({ task: this.process.displayName, reason }))
    }
    return Exit.isSuccess(exit) ? Result.succeed(exit.value) : Result.flip(Cause.findError(exit.cause))
  }

  /** Calls a function in its turn when the task has ended; the way to stop that is returned. It must not have ended. */
  observe(onEnd: () => void): () => void {
    this.waiting.add(onEnd)
    return () => {
      this.waiting.delete(onEnd)
    }
  }

  /** Waits for the end. */
  readonly ended: Effect.Effect<Outcome> = Effect.callback((resume) => {
    const tell = (): void => resume(Effect.succeed(this.outcome!))
    return this.reason === undefined ? Effect.sync(this.observe(tell)) : tell()
  })

  /** Waits for the end, at most so long. */
  within(limit: Duration.Input): Effect.Effect<Option.Option<Outcome>> {
    return Effect.suspend(() => {
      const { outcome } = this
      if (outcome !== undefined) return Effect.succeed(Option.some(outcome))
      const duration = Duration.fromInputUnsafe(limit)
      return Duration.isFinite(duration) ? Effect.timeoutOption(this.ended, duration) : Effect.asSome(this.ended)
    })
  }

  /** Ends the link between the task and the process that runs this. */
  readonly unlink: Effect.Effect<void> = Effect.map(Behaviour.current, (process) => process?.unlink(this.process))

  /** Lets the task go on without the scope and the process that it was tied to. */
  readonly release: Effect.Effect<void> = Effect.map(this.unlink, () => this.untie?.())

  /**
   * Ends the task: asks it to shut down and kills it when that takes longer than so long; at once when that is nothing.
   */
  end(within: Duration.Input | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.reason !== undefined) return Effect.void
      const ended = within === undefined
        ? Effect.andThen(kill(this.pid), this.ended)
        : stop(this.pid, { reason: shutdown, timeout: within })
      return Effect.ignore(Effect.andThen(this.unlink, ended)).pipe(Effect.provideService(Node, this.node))
    })
  }
}

/** Starts a task that belongs to nobody. The services of the effect are those of the fiber that starts it. */
export const spawnTask = (
  effect: Effect.Effect<unknown, unknown, unknown>,
  options: SpawnOptions & { readonly linkTo?: Behaviour.Process | undefined }
): Effect.Effect<LiveTask, StartError, Node> =>
  Effect.flatMap(Node, (node) => {
    const task = new LiveTask(node)
    return Effect.as(
      Behaviour.spawnDetached(() => task.body(effect as Effect.Effect<unknown, unknown>), { // as said above
        label: "task",
        ...options,
        onSpawn: (process) => {
          task.attach(process)
          if (options.linkTo !== undefined) process.link(options.linkTo)
        }
      }),
      task
    )
  })
