/**
 * How processes are started, awaited and stopped by those who own them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as CallError from "../CallError.ts"
import * as ExitReason from "../ExitReason.ts"
import type { MailboxOptions } from "../Mailbox.ts"
import { CurrentProcess, DEAD, type LocalProcess, type Monitor, STARTING, type Watcher } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import { type ServerBehaviour, ServerProcess, serverProgram, type StartResult } from "./ServerProcess.ts"
import { Timer } from "./Timers.ts"

/** Options that every way of starting a process has. */
export interface SpawnOptions {
  readonly name?: string | undefined
  readonly label?: string | undefined
  readonly mailbox?: MailboxOptions | undefined
  readonly trapExit?: boolean | undefined
  readonly environment?: { readonly [key: string]: unknown } | undefined
  readonly link?: boolean | undefined
  readonly timeout?: Duration.Input | undefined
  /** How long the scope it is tied to waits for it when it closes, before it is killed: 5 seconds. */
  readonly stopWithin?: Duration.Input | undefined
  /** Gets the process before it runs, so that a start under way can be ended. */
  readonly onSpawn?: ((process: LocalProcess) => void) | undefined
}

/** Applies options to a process that has not started. */
export const configure = (process: LocalProcess, options: SpawnOptions): void => {
  process.configure(options)
  if (options.trapExit === true) process.trapExit = true
  if (options.environment !== undefined) {
    process.more.environment = new Map(Object.entries(options.environment))
  }
}

/** The context of a process: that of its starter, with a scope and an identity of its own. */
export const contextOf = (
  starter: Context.Context<never>,
  process: LocalProcess
): Context.Context<never> => {
  const context = Context.add(Context.add(starter, Scope.Scope, process.scope), CurrentProcess, process)
  const { watch } = process.node
  return watch === undefined ? context : Context.add(context, Scheduler.Scheduler, watch.scheduler)
}

/** Starts the fiber of a process, now when the stack is shallow, else in its turn. */
export const ignite = (
  process: LocalProcess,
  program: Effect.Effect<unknown, unknown>,
  starter: Context.Context<never>
): void => {
  const queue = process.node.runQueue
  const run = (): void => {
    // The program tells the process its fiber once it is where its end is noticed; interrupted earlier, it would end
    // without a word.
    Effect.runForkWith(contextOf(starter, process))(program)
  }
  if (queue.shallow) {
    queue.depth++
    run()
    queue.depth--
  } else {
    queue.push({ run })
  }
}

class InitLimit extends Timer {
  readonly onExpiry: () => void

  constructor(onExpiry: () => void) {
    super()
    this.onExpiry = onExpiry
  }

  fire(): void {
    this.onExpiry()
  }
}

/** Makes interruptible again what must not be cut in two otherwise. */
export type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/**
 * Starts a server and waits until its `init` is done. The one who loses the race for a name never runs `init`; a failed
 * start leaves neither a name nor a message behind.
 *
 * In an uninterruptible region, `restore` says that the wait may be interrupted; then the process has ended before the
 * starter goes on.
 */
export const startServer = (
  node: NodeRuntime,
  behaviour: ServerBehaviour,
  args: unknown,
  options: SpawnOptions,
  fiber: Fiber.Fiber<unknown, unknown>,
  restore?: Restore
): Effect.Effect<ServerProcess, unknown> => {
  const { name } = options
  if (node.closing) return failStart(name ?? behaviour.name, new CallError.NodeDown({ node: node.name }))
  const processName = name ?? options.label ?? behaviour.name
  if (name !== undefined) {
    const holder = node.names.get(name)
    if (holder !== undefined) {
      return failStart(processName, new CallError.NameTaken({ name, pid: holder.pid.toString() }))
    }
  }
  const parent = node.processOf(fiber)
  let result: StartResult | undefined
  let timedOut: number | undefined
  let tell: (() => void) | undefined
  const process = new ServerProcess(node, parent, behaviour, args, (r) => {
    result = r
    if (r._tag !== "Started" && parent !== undefined) process.unlink(parent)
    tell?.()
  })
  configure(process, options)
  // From its first moment on, so that nobody but its owner can end it before it decides itself.
  if (behaviour.ownsExit === true) process.trapExit = true
  if (name !== undefined) {
    process.name = name
    node.names.set(name, process)
  }
  if (options.link === true && parent !== undefined) process.link(parent)
  if (node.tracer !== undefined) {
    node.tracer({ _tag: "Spawn", pid: process.pid, name: process.displayName, parent: parent?.pid })
  }
  options.onSpawn?.(process)
  ignite(process, serverProgram, fiber.context)
  const answer = (r: StartResult): Exit.Exit<ServerProcess, unknown> => {
    if (timedOut !== undefined) {
      return failStart(processName, new CallError.InitTimeout({ timeoutMillis: timedOut }))
    }
    switch (r._tag) {
      case "Started":
        return Exit.succeed(process)
      case "Ignored":
        return failStart(processName, new CallError.Ignored({}))
      case "Exited":
        return failStart(processName, new CallError.InitExit({ exitReason: r.reason }))
      case "Failed":
        return Exit.hasFails(Exit.failCause(r.cause)) ? Exit.failCause(r.cause) : failStart(
          processName,
          new CallError.InitExit({ exitReason: ExitReason.fromCause(r.cause) })
        )
    }
  }
  if (result !== undefined) return answer(result)
  const limit = options.timeout === undefined
    ? undefined
    : new InitLimit(() => {
      timedOut = Duration.toMillis(Duration.fromInputUnsafe(options.timeout!))
      process.exitSignal(node.pid, ExitReason.kill, false)
    })
  const wait = Effect.callback<ServerProcess, unknown>((resume) => {
    if (result !== undefined) return resume(answer(result))
    tell = () => {
      if (limit !== undefined) node.timers.cancel(limit)
      node.runQueue.push({ run: () => resume(answer(result!)) })
    }
    if (limit !== undefined) node.timers.arm(limit, Duration.toMillis(Duration.fromInputUnsafe(options.timeout!)))
  })
  // A starter that goes away takes the half-started process with it. One that finishes its start in its loop, as
  // supervisors do, is asked to end, since it may own others by now.
  return Effect.onInterrupt(restore === undefined ? wait : restore(wait), () => {
    if (limit !== undefined) node.timers.cancel(limit)
    if (process.status !== STARTING) return stopProcess(process, options.stopWithin ?? defaultStopWithin)
    process.exitSignal(node.pid, ExitReason.kill, false)
    return Effect.asVoid(awaitEnd(process))
  })
}

const failStart = (process: string, reason: CallError.StartErrorReason): Exit.Exit<never, CallError.StartError> =>
  Exit.fail(new CallError.StartError({ process, reason }))

/** Watches a process from outside of any process. */
export class Observer implements Watcher {
  readonly onEnd: (reason: ExitReason.ExitReason) => void
  private readonly node: NodeRuntime

  constructor(node: NodeRuntime, onEnd: (reason: ExitReason.ExitReason) => void) {
    this.node = node
    this.onEnd = onEnd
  }

  down(_monitor: Monitor, reason: ExitReason.ExitReason): void {
    // In its turn: a process that ends must not run the code of those who wait for it on its own stack.
    this.node.runQueue.push({ run: () => this.onEnd(reason) })
  }
}

/** Has a function called when a process ends; the way to stop watching is returned. */
export const observe = (process: LocalProcess, onEnd: (reason: ExitReason.ExitReason) => void): () => void => {
  const node = process.node
  const monitor = node.makeMonitor(new Observer(node, onEnd), process, process.pid)
  ;(process.watchers ??= new Map()).set(monitor.key, monitor)
  return () => {
    process.watchers?.delete(monitor.key)
  }
}

/** Waits until a process has ended. */
export const awaitEnd = (process: LocalProcess): Effect.Effect<ExitReason.ExitReason> =>
  Effect.callback<ExitReason.ExitReason>((resume) => {
    // Looked at here and not before: the fiber may yield between two effects, and the process end meanwhile.
    if (process.status === DEAD) return resume(Effect.succeed(process.exitReason ?? ExitReason.normal))
    const stop = observe(process, (reason) => resume(Effect.succeed(reason)))
    return Effect.sync(stop)
  })

/** Waits until a process has ended, at most so long; undefined when it has not. */
export const awaitEndWithin = (
  process: LocalProcess,
  limit: Duration.Input
): Effect.Effect<ExitReason.ExitReason | undefined> =>
  Effect.callback<ExitReason.ExitReason | undefined>((resume) => {
    // As in `awaitEnd`.
    if (process.status === DEAD) return resume(Effect.succeed(process.exitReason ?? ExitReason.normal))
    const stop = observe(process, (reason) => {
      process.node.timers.cancel(timer)
      resume(Effect.succeed(reason))
    })
    const timer = new InitLimit(() => {
      stop()
      resume(Effect.succeed(undefined))
    })
    process.node.timers.arm(timer, Duration.toMillis(Duration.fromInputUnsafe(limit)))
    return Effect.sync(() => {
      stop()
      process.node.timers.cancel(timer)
    })
  })

/** Shuts a process down on behalf of its owner: `shutdown`, and `kill` when that takes too long. */
export const stopProcess = (process: LocalProcess, limit: Duration.Input): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (process.status === DEAD) return Effect.void
    process.exitSignal(process.node.pid, ExitReason.shutdown, false, true)
    return Effect.flatMap(awaitEndWithin(process, limit), (reason) => {
      if (reason !== undefined) return Effect.void
      process.exitSignal(process.node.pid, ExitReason.kill, false)
      return Effect.asVoid(awaitEnd(process))
    })
  })

/** How long a process may take to end when its scope closes. */
const defaultStopWithin = "5 seconds"

/**
 * Ties a process to a scope: it is stopped when the scope closes, and leaves nothing in the scope when it ends first. No
 * interruption comes between its start and the tie; a start that waits restores it for the wait.
 */
export const tie = <P extends LocalProcess, E>(
  scope: Scope.Scope,
  start: (restore: Restore) => Effect.Effect<P, E>,
  stopWithin: Duration.Input = defaultStopWithin
): Effect.Effect<P, E> =>
  Effect.uninterruptibleMask((restore) => {
    const link = Scope.forkUnsafe(scope)
    return Effect.matchCauseEffect(start(restore), {
      onFailure: (cause) => Effect.andThen(Scope.close(link, Exit.void), Effect.failCause(cause)),
      onSuccess: (process) => {
        observe(process, () => {
          // Takes the tie out of the scope; the finalizer it returns would find the process dead.
          Scope.closeUnsafe(link, Exit.void)
        })
        return Effect.as(Scope.addFinalizer(link, stopProcess(process, stopWithin)), process)
      }
    })
  })
