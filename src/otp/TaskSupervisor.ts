/**
 * Supervisors of tasks: a process to which tasks belong, so that they can be listed, bounded in number, and shut down
 * as a whole (Elixir's `Task.Supervisor`).
 *
 * Its tasks are temporary: what ends is forgotten, however it ended, and never started again. They go on when the
 * process that asked for them has gone; they end when the supervisor does. Their services are those of whoever asked.
 *
 * Guarantees: a crash of a task harms neither the supervisor nor the other tasks; when the supervisor stops in an
 * orderly way, all tasks are asked to shut down at once and killed when they take longer than `shutdown`; when it is
 * killed they end with it.
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
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Behaviour from "../process/Behaviour.ts"
import { type CallError, StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { named as namedRef, type NamedRef, type ProcessRef } from "../process/ProcessRef.ts"
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

/** Starts a task when it is run by the process that is to be its parent. It never leaves this node. */
type Start = Effect.Effect<Pid, StartError, Node>

const StartSchema: Schema.declare<Start> = Schema.declare((u: unknown): u is Start => Effect.isEffect(u))
const Pids: Schema.declare<ReadonlyArray<Pid>> = Schema.declare((u: unknown): u is ReadonlyArray<Pid> =>
  Array.isArray(u) && u.every(isPid)
)

type StartMessage = Message.Message<
  "StartTask",
  "Call",
  Schema.Struct<{ readonly start: Schema.declare<Start> }>,
  Schema.Void,
  Schema.Union<readonly [typeof TaskLimit, typeof StartError]>
>

/**
 * The messages of a task supervisor. They are sent by the functions of this module.
 *
 * @category models
 * @since 0.1.0
 */
export type Messages = StartMessage | Message.Message<"Tasks", "Call", Schema.Void, typeof Pids, Schema.Never>

const protocol: Protocol.Protocol<"TaskSupervisor", Messages> = Protocol.make(
  "TaskSupervisor",
  Message.Call("StartTask", { payload: { start: StartSchema }, error: Schema.Union([TaskLimit, StartError]) }),
  Message.Call("Tasks", { success: Pids })
)

/**
 * A task supervisor: the ref of one that was started, or one by name.
 *
 * @category models
 * @since 0.1.0
 */
export type TaskSupervisor = ProcessRef<Messages> | NamedRef<Messages>

interface State {
  readonly name: string
  readonly maxTasks: number
  readonly shutdown: Duration.Input
  /** The tasks that run, by their pids as text. */
  readonly tasks: Map<string, Pid>
}

/**
 * The task supervisor as a server, to be started by a supervisor.
 *
 * @category servers
 * @since 0.1.0
 */
export const server: GenServer.GenServer<Options | void, Messages, never, Node> = GenServer.make(protocol, {
  init: (options: Options | void) =>
    Effect.gen(function*() {
      yield* Process.trapExit(true)
      const process = yield* Behaviour.current
      const state: State = {
        name: process!.displayName, // a server runs in a process
        maxTasks: options?.maxTasks ?? Infinity,
        shutdown: options?.shutdown ?? "5 seconds",
        tasks: new Map()
      }
      return state
    }),
  handlers: {
    StartTask: ({ start }, state) =>
      state.tasks.size >= state.maxTasks
        ? Effect.fail(new TaskLimit({ supervisor: state.name, maxTasks: state.maxTasks }))
        : Effect.map(start, (pid) => {
          state.tasks.set(pid.toString(), pid)
          return GenServer.reply(undefined, state)
        }),
    Tasks: (_, { tasks }) => [...tasks.values()],
    // Each task is linked. A task that ends at once is forgotten after its start all the same.
    exit: ({ from }, { tasks }) => {
      tasks.delete(from.toString())
    }
  },
  terminate: (_, { shutdown, tasks }) =>
    Effect.forEach(tasks.values(), (pid) => stopTask(pid, shutdown), { concurrency: "unbounded", discard: true }),
  format: ({ maxTasks, tasks }) => ({ tasks: tasks.size, maxTasks })
})

const stopTask = (pid: Pid, within: Duration.Input): Effect.Effect<void, never, Node> =>
  Effect.ignore(Process.stop(pid, { reason: ExitReason.shutdown, timeout: within }))

/**
 * Starts a task supervisor, tied to the surrounding scope.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = (
  options?: Options,
  startOptions?: GenServer.StartOptions
): Effect.Effect<TaskSupervisor, StartError, Node | Scope.Scope> => GenServer.start(server, options, startOptions)

/**
 * A task supervisor as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self>(
  service: Context.Key<Self, TaskSupervisor>,
  options?: Options,
  startOptions?: GenServer.StartOptions
): Layer.Layer<Self, StartError, Node> => Layer.effect(service, start(options, startOptions))

/**
 * The task supervisor of a name, whoever has it when a task is started.
 *
 * @category refs
 * @since 0.1.0
 */
export const named = (name: string): Effect.Effect<TaskSupervisor, never, Node> => namedRef(protocol, name)

// --- tasks -----------------------------------------------------------------------------------------------------------

/**
 * Why a task supervisor did not start a task.
 *
 * @category models
 * @since 0.1.0
 */
export type NotStarted = TaskLimit | StartError | CallError

/** What the process of a task provides itself. */
type Provided = Scope.Scope | Process.CurrentProcess

const launch = <A, E, R>(
  supervisor: TaskSupervisor,
  effect: Effect.Effect<A, E, R>,
  options: Process.SpawnOptions | undefined,
  linked: boolean
): Effect.Effect<LiveTask, NotStarted, Exclude<R, Provided>> =>
  Effect.gen(function*() {
    const services = yield* Behaviour.services<R>()
    const linkTo = linked ? yield* Behaviour.current : undefined
    let task: LiveTask | undefined
    // Run by the supervisor, so that it is the parent; the services of the effect are those of this fiber.
    const start = Effect.map(
      spawnTask(Effect.provideContext(effect, services), { ...options, link: true, linkTo }),
      (started) => {
        task = started
        return started.pid
      }
    )
    yield* supervisor.StartTask({ start })
    return task! // there is one when the call succeeds
  }) as Effect.Effect<LiveTask, NotStarted, Exclude<R, Provided>> // the rest is provided by the process of the task

/**
 * Starts a task to be awaited, linked to the calling process: when it crashes, the caller gets its exit signal, and the
 * other way round.
 *
 * @category tasks
 * @since 0.1.0
 */
export const async = <A, E, R>(
  supervisor: TaskSupervisor,
  effect: Effect.Effect<A, E, R>,
  options?: Omit<Process.SpawnOptions, "link">
): Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Provided>> =>
  // A live task is one, untyped.
  launch(supervisor, effect, options, true) as unknown as Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Provided>>

/**
 * Starts a task to be awaited that is not linked to the calling process: who awaits it learns of a crash from
 * `TaskExit`.
 *
 * @category tasks
 * @since 0.1.0
 */
export const asyncNoLink = <A, E, R>(
  supervisor: TaskSupervisor,
  effect: Effect.Effect<A, E, R>,
  options?: Omit<Process.SpawnOptions, "link">
): Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Provided>> =>
  // As above.
  launch(supervisor, effect, options, false) as unknown as Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Provided>>

/**
 * Starts a task whose result is of no interest. Any failure of it is a crash, which is logged.
 *
 * @category tasks
 * @since 0.1.0
 */
export const startTask = <A, E, R>(
  supervisor: TaskSupervisor,
  effect: Effect.Effect<A, E, R>,
  options?: Omit<Process.SpawnOptions, "link">
): Effect.Effect<Pid, NotStarted, Exclude<R, Provided>> =>
  Effect.map(launch(supervisor, Effect.orDie(effect), options, false), (task) => task.pid)

/**
 * The tasks that run, oldest first.
 *
 * @category tasks
 * @since 0.1.0
 */
export const tasks = (supervisor: TaskSupervisor): Effect.Effect<ReadonlyArray<Pid>, CallError> => supervisor.Tasks()

/**
 * Ends a task of the supervisor: asks it to shut down, and kills it after 5 seconds or `timeout`. Waits until it has
 * ended. False when it is none of its tasks.
 *
 * @category tasks
 * @since 0.1.0
 */
export const terminateTask = (
  supervisor: TaskSupervisor,
  pid: Pid,
  options?: { readonly timeout?: Duration.Input }
): Effect.Effect<boolean, CallError, Node> =>
  Effect.flatMap(supervisor.Tasks(), (pids) =>
    pids.some((other) => other.toString() === pid.toString())
      ? Effect.as(stopTask(pid, options?.timeout ?? "5 seconds"), true)
      : Effect.succeed(false))

/**
 * `Task.asyncStream` with tasks of a supervisor.
 *
 * @category streams
 * @since 0.1.0
 */
export const asyncStream = <B, A, E, R, const OnTimeout extends "exit" | "killTask" = "exit">(
  supervisor: TaskSupervisor,
  items: Iterable<B>,
  f: (item: B) => Effect.Effect<A, E, R>,
  options?: StreamOptions<OnTimeout>
): Stream.Stream<
  StreamResult<A, E, OnTimeout>,
  NotStarted | (OnTimeout extends "exit" ? TaskTimeout : never),
  Exclude<R, Provided>
> =>
  // The signature states the types of what it gives.
  streamOf(items, (item) => launch(supervisor, Effect.suspend(() => f(item)), {}, false), options) as never
