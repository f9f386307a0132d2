/**
 * Supervisors of tasks: a process to which tasks belong, so that they can be listed, bounded in number, and shut down as a whole
 * (Elixir's `Task.Supervisor`).
 *
 * Its tasks are temporary: what ends is forgotten, however it ended, and never started again. They go on when the process
 * that asked for them has gone; they end when the supervisor does. Their services are those of whoever asked.
 *
 * Guarantees: a crash of a task harms neither the supervisor nor the other tasks; when the supervisor stops in an orderly way, all
 * tasks are asked to shut down at once and killed when they take longer than `shutdown`; when it is killed they end with it.
 *
 * Refuses more than `maxTasks` tasks at a time, with the typed error `TaskLimit`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Node, Supervisor, Task, TaskSupervisor } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   yield* Supervisor.start(Supervisor.make({
 *     strategy: "one_for_one",
 *     children: [Supervisor.child("tasks", TaskSupervisor.server, { maxTasks: 100 }, { name: "tasks" })]
 *   }))
 *   const tasks = yield* TaskSupervisor.named("tasks")
 *   const task = yield* TaskSupervisor.async(tasks, Effect.succeed(42))
 *   return yield* Task.await(task)
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => 42
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { named as namedRef, type NamedRef, type ProcessRef, type Ref } from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"
import { isPid, type Pid } from "../term/Pid.ts"
import * as GenServer from "./GenServer.ts"
import { type LiveTask, spawnTask } from "./internal/LiveTask.ts"
import { TaskLimit, type TaskTimeout } from "./internal/TaskError.ts"
import { streamOf } from "./internal/TaskStream.ts"
import type { StreamOptions, StreamResult, Task } from "./Task.ts"

/**
 * The options of a task supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many tasks may run at a time: any number by default. */
  readonly maxTasks?: number
  /** How long tasks may take to end when the supervisor stops, all together: 5 seconds by default. */
  readonly shutdown?: Duration.Input
}

const PidSchema: Schema.declare<Pid> = Schema.declare(isPid)

/** Starts a task when it is run, with the process that is to be its parent. It never leaves this node. */
type Start = Effect.Effect<LiveTask, StartError, Node | Process.CurrentProcess>

const StartSchema: Schema.declare<Start> = Schema.declare((u: unknown): u is Start => Effect.isEffect(u))

type StartMessage = Message.Message<
  "StartTask",
  "Call",
  Schema.Struct<{ readonly start: Schema.declare<Start> }>,
  Schema.declare<LiveTask>,
  typeof TaskLimit
>
type ChildrenMessage = Message.Message<"Tasks", "Call", Schema.Void, Schema.$Array<Schema.declare<Pid>>, Schema.Never>

/**
 * The messages of a task supervisor. They are sent by the functions of this module.
 *
 * @category models
 * @since 0.1.0
 */
export type Messages = StartMessage | ChildrenMessage
