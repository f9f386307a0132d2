/**
 * The errors of tasks.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ExitReason, format } from "../../process/ExitReason.ts"
import type { ErrorOf } from "./SchemaClass.ts"

const TaskExitBase: ErrorOf<TaskExit, "TaskExit", {
  readonly task: typeof Schema.String
  readonly reason: typeof ExitReason
}> = Schema.TaggedError<TaskExit>()("TaskExit", { task: Schema.String, reason: ExitReason })

/**
 * The process of a task ended before it had a result: it crashed, or was ended from outside. A typed failure of the
 * task is not in here: it stays itself in the error channel.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskExit extends TaskExitBase {
  /** What happened and to whom. */
  override get message(): string {
    return `task ${this.task} ended before it had a result (OTP_EXIT): ${format(this.reason)}`
  }
}

const TaskTimeoutBase: ErrorOf<TaskTimeout, "TaskTimeout", {
  readonly task: typeof Schema.String
  readonly timeoutMillis: typeof Schema.Number
}> = Schema.TaggedError<TaskTimeout>()("TaskTimeout", { task: Schema.String, timeoutMillis: Schema.Number })

/**
 * A task had no result in time. It goes on.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskTimeout extends TaskTimeoutBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `task ${this.task} had no result within ${this.timeoutMillis} ms (OTP_TIMEOUT) and goes on; ` +
      "await it again, or pass { timeout } for a longer wait"
  }
}

const TaskLimitBase: ErrorOf<TaskLimit, "TaskLimit", {
  readonly supervisor: typeof Schema.String
  readonly maxTasks: typeof Schema.Number
}> = Schema.TaggedError<TaskLimit>()("TaskLimit", { supervisor: Schema.String, maxTasks: Schema.Number })

/**
 * A task supervisor has as many tasks as it may have.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskLimit extends TaskLimitBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `task supervisor ${this.supervisor} has ${this.maxTasks} tasks, as many as it may have (OTP_MAX_TASKS); ` +
      "raise maxTasks or wait until one ends"
  }
}
