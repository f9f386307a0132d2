/**
 * Processes: the functions of whoever runs inside of one, and of whoever deals with one.
 *
 * A process is an Effect fiber with a mailbox, a scope and an identity. What it acquires in its scope is released when it
 * ends, however it ends; the processes that it starts are tied to it. Links and monitors say who learns of its end.
 *
 * Functions that act for the calling process (`self`, `link`, `monitor`, `receive`, ...) ask for `CurrentProcess`, which
 * only processes provide: outside of one they do not compile.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as Scope from "effect/Scope"
import { isPid, type Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import { type Address, format as formatAddress } from "./Address.ts"
import * as CallError from "./CallError.ts"
import * as ExitReason from "./ExitReason.ts"
import {
  awaitEnd,
  awaitEndWithin,
  configure,
  ignite,
  type SpawnOptions as InternalSpawnOptions,
  tie
} from "./internal/Lifecycle.ts"
import { CurrentProcess as CurrentProcessKey, DEAD, LocalProcess } from "./internal/LocalProcess.ts"
import type { NodeRuntime } from "./internal/NodeRuntime.ts"
import { nothing, QueueProcess, queueProgram } from "./internal/QueueProcess.ts"
import { ServerProcess } from "./internal/ServerProcess.ts"
import { Timer as TimerBase } from "./internal/Timers.ts"
import type { MailboxOptions } from "./Mailbox.ts"
import { Node } from "./Node.ts"

/**
 * The process in which an effect runs. Handlers and the bodies of spawned processes have it; nothing else does.
 *
 * @category services
 * @since 0.1.0
 */
export interface CurrentProcess {
  readonly "~effect-otp/CurrentProcess": never
}

// One key with two faces: the runtime sees the record of the process, users only that there is one.
const Current = CurrentProcessKey as unknown as Context.Service<CurrentProcess, LocalProcess>

/**
 * What can be linked, monitored or stopped: a ref or an address.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = Address | { readonly address: Address }

/** The node of a fiber whose type says that it has one. */
const runtimeOf = (fiber: Fiber.Fiber<unknown, unknown>): NodeRuntime =>
  Context.get(fiber.context as Context.Context<Node>, Node).runtime

const addressOf = (target: Target): Address => "address" in target ? target.address : target

// --- starting --------------------------------------------------------------------------------------------------------

/**
 * Options of a process.
 *
 * @category models
 * @since 0.1.0
 */
export interface SpawnOptions {
  /** The name to register before the process runs. */
  readonly name?: string
  /** What logs, errors and observers call it when it has no name. */
  readonly label?: string
  readonly mailbox?: MailboxOptions
  /** Whether exit signals become messages; false by default. */
  readonly trapExit?: boolean
  /** Values for {@link getEnv}, on top of those of the parent. */
  readonly environment?: { readonly [key: string]: unknown }
  /** Whether to link the process and the one that starts it, before it runs. */
  readonly link?: boolean
}

/** @internal */
export const spawnIn = (
  node: NodeRuntime,
  body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>,
  options: (SpawnOptions & { readonly onSpawn?: (process: LocalProcess) => void }) | undefined,
  fiber: Fiber.Fiber<unknown, unknown>
): Effect.Effect<QueueProcess, CallError.StartError> =>
  // One step from here on, so that nobody can take the name in between.
  Effect.flatMap(Queue.make<unknown>({ capacity: Infinity, strategy: "suspend" }), (queue) => {
    const name = options?.name
    if (node.closing) {
      return Effect.fail(
        new CallError.StartError({
          process: name ?? options?.label ?? "process",
          reason: new CallError.NodeDown({ node: node.name })
        })
      )
    }
    const holder = name === undefined ? undefined : node.names.get(name)
    if (holder !== undefined) {
      return Effect.fail(
        new CallError.StartError({
          process: name!,
          reason: new CallError.NameTaken({ name: name!, pid: holder.pid.toString() })
        })
      )
    }
    const parent = node.processOf(fiber)
    const process = new QueueProcess(node, parent, queue, body)
    configure(process, (options ?? {}) as InternalSpawnOptions)
    if (name !== undefined) {
      process.name = name
      node.names.set(name, process)
    }
    if (options?.link === true && parent !== undefined) process.link(parent)
    if (node.tracer !== undefined) {
      node.tracer({ _tag: "Spawn", pid: process.pid, name: process.displayName, parent: parent?.pid })
    }
    options?.onSpawn?.(process)
    ignite(process, queueProgram, fiber.context)
    return Effect.succeed(process)
  })

/**
 * Starts a process whose body takes its own messages, tied to the surrounding scope: when the scope closes it is asked
 * to shut down, and killed after 5 seconds.
 *
 * The mailbox holds what others send: plain values, {@link "Signal".Exit} (when exits are trapped),
 * {@link "Signal".Down}, {@link "Signal".Request}. The process ends when its body does: with `normal`, or with what
 * its failure says.
 *
 * Fails with `StartError` only when the name is taken.
 *
 * @example
 * ```ts
 * import { Effect, Queue } from "effect"
 * import { Process } from "effect-otp"
 *
 * const echo = Process.spawn((mailbox) => Effect.forever(Effect.flatMap(Queue.take(mailbox), Effect.log)), {
 *   name: "echo"
 * })
 * ```
 *
 * @category starting
 * @since 0.1.0
 */
export const spawn = <A, E, R>(
  body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<A, E, R>,
  options?: SpawnOptions
): Effect.Effect<Pid, CallError.StartError, Exclude<R, Scope.Scope | CurrentProcess> | Node | Scope.Scope> =>
  Effect.gen(function*() {
    const { runtime } = yield* Node
    const scope = yield* Effect.scope
    const fiber = Fiber.getCurrent()!
    const process = yield* tie(scope, () =>
      // The services of the body are those of the fiber that starts it.
      spawnIn(runtime, body as (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>, options, fiber))
    return process.pid
  }) as Effect.Effect<Pid, CallError.StartError, Exclude<R, Scope.Scope | CurrentProcess> | Node | Scope.Scope>

/**
 * Starts a process that belongs to nobody: it lives until it ends by itself, is stopped, or the node goes.
 *
 * @category starting
 * @since 0.1.0
 */
export const spawnDetached = <A, E, R>(
  body: (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<A, E, R>,
  options?: SpawnOptions
): Effect.Effect<Pid, CallError.StartError, Exclude<R, Scope.Scope | CurrentProcess> | Node> =>
  Effect.flatMap(Node, ({ runtime }) =>
    Effect.withFiber((fiber) =>
      Effect.map(
        // As in `spawn`.
        spawnIn(runtime, body as (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown, unknown>, options, fiber),
        (process) => process.pid
      )
    )) as Effect.Effect<Pid, CallError.StartError, Exclude<R, Scope.Scope | CurrentProcess> | Node>

/**
 * Runs an effect as a process and waits for its result: inside, `self`, `receive`, `monitor` and the like work. The way
 * for a main program or a test to be a process. Interrupting it ends the process.
 *
 * @category starting
 * @since 0.1.0
 */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: SpawnOptions
): Effect.Effect<A, E | CallError.StartError, Exclude<R, Scope.Scope | CurrentProcess> | Node> =>
  Effect.scoped(
    Effect.gen(function*() {
      let exit: Exit.Exit<A, E> | undefined
      const pid = yield* spawn(
        () => Effect.onExit(effect, (e) => Effect.sync(() => exit = e)),
        { ...options }
      )
      const reason = yield* awaitExit(pid)
      if (exit !== undefined) return yield* exit
      return yield* Effect.die(reason)
    })
  ) as Effect.Effect<A, E | CallError.StartError, Exclude<R, Scope.Scope | CurrentProcess> | Node>

// --- identity --------------------------------------------------------------------------------------------------------

/**
 * The pid of this process.
 *
 * @category identity
 * @since 0.1.0
 */
export const self: Effect.Effect<Pid, never, CurrentProcess> = Effect.map(Current, (process) => process.pid)

/**
 * The pid of the process that started this one; none when that was no process.
 *
 * @category identity
 * @since 0.1.0
 */
export const parent: Effect.Effect<Option.Option<Pid>, never, CurrentProcess> = Effect.map(
  Current,
  (process) => Option.fromNullishOr(process.parent?.pid)
)

/**
 * Sets what logs, errors and observers call this process.
 *
 * @category identity
 * @since 0.1.0
 */
export const label = (text: string): Effect.Effect<void, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    process.more.label = text
  })

/**
 * A value of the environment of this process: its own, else that of the nearest ancestor that has one, else the node's.
 *
 * @category environment
 * @since 0.1.0
 */
export const getEnv = (key: string): Effect.Effect<Option.Option<unknown>, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    for (let p: LocalProcess | undefined = process; p !== undefined; p = p.parent) {
      const environment = p.extra?.environment
      if (environment?.has(key) === true) return Option.some(environment.get(key))
    }
    return process.node.environment.has(key) ? Option.some(process.node.environment.get(key)) : Option.none()
  })

/**
 * Sets a value in the environment of this process, for itself and everything it has started or will start.
 *
 * @category environment
 * @since 0.1.0
 */
export const setEnv = (key: string, value: unknown): Effect.Effect<void, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    ;(process.more.environment ??= new Map()).set(key, value)
  })

/**
 * Takes a value out of the environment of this process, so that the one further up is seen again. False when the process
 * had none of its own.
 *
 * @category environment
 * @since 0.1.0
 */
export const unsetEnv = (key: string): Effect.Effect<boolean, never, CurrentProcess> =>
  Effect.map(Current, (process) => process.extra?.environment?.delete(key) === true)

/**
 * The whole environment of this process: the node's, overlaid by each ancestor's, overlaid by its own.
 *
 * @category environment
 * @since 0.1.0
 */
export const listEnv: Effect.Effect<ReadonlyMap<string, unknown>, never, CurrentProcess> = Effect.map(
  Current,
  (process) => {
    const line: Array<LocalProcess> = []
    for (let p: LocalProcess | undefined = process; p !== undefined; p = p.parent) line.push(p)
    const all = new Map(process.node.environment)
    for (const p of line.reverse()) for (const [key, value] of p.extra?.environment ?? []) all.set(key, value)
    return all
  }
)

/**
 * Sets a value in the environment of the node, which every process sees that has none of its own.
 *
 * @category environment
 * @since 0.1.0
 */
export const setNodeEnv = (key: string, value: unknown): Effect.Effect<void, never, Node> =>
  Effect.map(Node, ({ runtime }) => {
    runtime.environment.set(key, value)
  })

/**
 * Takes a value out of the environment of the node. False when there was none.
 *
 * @category environment
 * @since 0.1.0
 */
export const unsetNodeEnv = (key: string): Effect.Effect<boolean, never, Node> =>
  Effect.map(Node, ({ runtime }) => runtime.environment.delete(key))

// --- sending ---------------------------------------------------------------------------------------------------------

/**
 * Sends a value to an address. A server receives it as an info when a message of its protocol has that tag and payload,
 * else through `unhandled`. Nothing happens when nobody is there. When the mailbox is full, what happens is its policy's
 * choice: the sender may wait; under `fail` the message is dropped and counted (see {@link trySend}).
 *
 * @category sending
 * @since 0.1.0
 */
export const send = (to: Target, value: unknown): Effect.Effect<void, never, Node> =>
  Effect.withFiber((fiber) => {
    const runtime = runtimeOf(fiber)
    const address = addressOf(to)
    const sent = runtime.sendFrom(fiber, address, value)
    return sent === Effect.void ? Effect.void : Effect.catch(sent, () =>
      Effect.sync(() => {
        const process = runtime.resolve(address)
        if (process !== undefined) process.countDropped()
      }))
  })

/**
 * Sends a value to an address and fails when it was not put into the mailbox: there is no such process, its mailbox is
 * full and its policy is `fail`, or its node is down.
 *
 * @category sending
 * @since 0.1.0
 */
export const trySend = (to: Target, value: unknown): Effect.Effect<void, CallError.SendError, Node> =>
  Effect.flatMap(Node, ({ runtime }) =>
    Effect.withFiber((fiber) => {
      const address = addressOf(to)
      const target = formatAddress(address)
      const process = runtime.resolve(address)
      if (process?.alive !== true && !runtime.isRemote(address)) {
        return Effect.fail(new CallError.SendError({ target, reason: new CallError.NoProcess({}) }))
      }
      return Effect.mapError(runtime.sendFrom(fiber, address, value), (why) =>
        new CallError.SendError({
          target,
          reason: why === "full"
            ? new CallError.MailboxFull({ capacity: process?.capacity ?? 0 })
            : new CallError.NodeDown({ node: address.node! })
        }))
    }))

/**
 * A timer that sends a message once.
 *
 * @category timers
 * @since 0.1.0
 */
export interface Timer {
  /** Stops the timer. The time that was left, or none when it had fired or been cancelled. */
  readonly cancel: Effect.Effect<Option.Option<Duration.Duration>>
  /** The time that is left, or none. */
  readonly remaining: Effect.Effect<Option.Option<Duration.Duration>>
}

/** The timer is the handle that its maker gets: an armed timer is one object. */
class SendTimer extends TimerBase implements Timer {
  readonly node: NodeRuntime
  readonly to: Address
  readonly value: unknown

  constructor(node: NodeRuntime, to: Address, value: unknown) {
    super()
    this.node = node
    this.to = to
    this.value = value
  }

  get remaining(): Effect.Effect<Option.Option<Duration.Duration>> {
    return Effect.sync(() => this.left())
  }

  get cancel(): Effect.Effect<Option.Option<Duration.Duration>> {
    return Effect.sync(() => {
      const left = this.left()
      this.node.timers.cancel(this)
      return left
    })
  }

  private left(): Option.Option<Duration.Duration> {
    return Option.map(Option.fromUndefinedOr(this.node.timers.remaining(this)), Duration.millis)
  }

  fire(): void {
    const { node, to, value } = this
    const process = node.resolve(to)
    const sent = process === undefined ? node.sendFrom(undefined, to, value) : process.deliverValue(value, undefined)
    if (sent !== Effect.void) Effect.runForkWith(node.context)(Effect.ignore(sent))
  }
}

/**
 * Sends a value to an address after a time, of any length and never early. A name is looked up when the timer fires.
 *
 * @category timers
 * @since 0.1.0
 */
export const sendAfter = (
  to: Target,
  value: unknown,
  delay: Duration.Input
): Effect.Effect<Timer, never, Node> =>
  Effect.withFiber((fiber) => {
    const timer = new SendTimer(runtimeOf(fiber), addressOf(to), value)
    timer.node.timers.arm(timer, Duration.toMillis(Duration.fromInputUnsafe(delay)))
    return Effect.succeed(timer)
  })

// --- receiving -------------------------------------------------------------------------------------------------------

/**
 * Options of {@link receive}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReceiveOptions {
  /** After how long to give up; never by default. Zero looks at what is there. */
  readonly timeout?: Duration.Input
}

const mailboxOf = (process: LocalProcess): Effect.Effect<QueueProcess> =>
  process instanceof QueueProcess
    ? Effect.succeed(process)
    : Effect.die(
      new Error(
        `Process.receive: ${process.displayName} is a server; its messages go to its handlers. ` +
          "Use Process.spawn for a process that takes its own messages"
      )
    )

/**
 * Takes the first message that fits the schema out of the mailbox, leaving the others in their order. Waits for one to
 * come, without spinning: each message is looked at once per call, and only the one that fits wakes the process. With a
 * timeout, `None` when none came in time.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Process } from "effect-otp"
 *
 * const Ping = Schema.TaggedStruct("Ping", { n: Schema.Int })
 * const pong = Process.run(Effect.gen(function*() {
 *   const me = yield* Process.self
 *   yield* Process.send(me, { _tag: "Ping", n: 1 })
 *   const ping = yield* Process.receive(Ping)
 *   return ping.n
 * }))
 * ```
 *
 * @category receiving
 * @since 0.1.0
 */
export const receive: {
  <S extends Schema.Top>(schema: S): Effect.Effect<S["Type"], never, CurrentProcess>
  <S extends Schema.Top>(
    schema: S,
    options: ReceiveOptions & { readonly timeout: Duration.Input }
  ): Effect.Effect<Option.Option<S["Type"]>, never, CurrentProcess>
} = <S extends Schema.Top>(
  schema: S,
  options?: ReceiveOptions
): Effect.Effect<never, never, CurrentProcess> =>
  Effect.flatMap(Effect.flatMap(Current, mailboxOf), (process) => {
    const matches = guardOf(schema)
    if (options?.timeout === undefined) return process.receive(matches, Infinity)
    return Effect.map(
      process.receive(matches, Duration.toMillis(Duration.fromInputUnsafe(options.timeout))),
      (value) => value === nothing ? Option.none() : Option.some(value)
    )
  }) as Effect.Effect<never, never, CurrentProcess> // one implementation for both overloads

const guards = new WeakMap<Schema.Top, (u: unknown) => boolean>()

/** Most messages that do not fit differ in their tag: that is looked at first, a fraction of what the schema costs. */
const guardOf = (schema: Schema.Top): (u: unknown) => boolean => {
  let guard = guards.get(schema)
  if (guard === undefined) {
    const fits = Schema.is(schema)
    const tag = tagOf(schema.ast)
    guard = tag === undefined
      ? fits
      : (u) => typeof u === "object" && u !== null && (u as { readonly _tag?: unknown })._tag === tag && fits(u)
    guards.set(schema, guard)
  }
  return guard
}

/** The literal that the `_tag` of every value of a struct must be. */
const tagOf = (ast: SchemaAST.AST): unknown => {
  if (!SchemaAST.isObjects(ast)) return undefined
  const type = ast.propertySignatures.find((property) => property.name === "_tag")?.type
  return type !== undefined && SchemaAST.isLiteral(type) && !SchemaAST.isOptional(type) ? type.literal : undefined
}

// --- ending ----------------------------------------------------------------------------------------------------------

/**
 * Sends an exit signal. A process that traps exits gets it as a message; one that does not ends, unless the reason is
 * `normal` and comes from another process. `ExitReason.kill` cannot be trapped.
 *
 * @category ending
 * @since 0.1.0
 */
export const exit = (
  target: Target,
  reason: ExitReason.ExitReason = ExitReason.shutdown
): Effect.Effect<void, never, Node> =>
  Effect.flatMap(Node, ({ runtime }) =>
    Effect.withFiber((fiber) => {
      const address = addressOf(target)
      const from = runtime.pidOf(fiber)
      if (isPid(address) && runtime.isRemote(address)) runtime.remote.exitTo(from, address, reason)
      else runtime.resolve(address)?.exitSignal(from, reason, false)
      return Effect.void
    }))

/**
 * Ends this process with a reason: a server runs its `terminate`, then finalizers run. As an exit in Erlang it can be
 * caught, as a defect ({@link ExitReason.ExitSelf}).
 *
 * @category ending
 * @since 0.1.0
 */
export const exitSelf = (reason: ExitReason.ExitReason): Effect.Effect<never> =>
  Effect.die(new ExitReason.ExitSelf(reason))

/**
 * Kills a process: it cannot refuse. Its finalizers run, its `terminate` does not. Observers see `killed`.
 *
 * @category ending
 * @since 0.1.0
 */
export const kill = (target: Target): Effect.Effect<void, never, Node> => exit(target, ExitReason.kill)

/**
 * Asks a server to stop in an orderly way, behind the messages that wait, and waits until it has: `terminate` runs.
 * A low-level process gets an exit signal. After `timeout` (never, by default) it is killed.
 *
 * @category ending
 * @since 0.1.0
 */
export const stop = (
  target: Target,
  options?: { readonly reason?: ExitReason.ExitReason; readonly timeout?: Duration.Input }
): Effect.Effect<void, CallError.SendError, Node> =>
  Effect.flatMap(Node, ({ runtime }) => {
    const address = addressOf(target)
    const process = runtime.resolve(address)
    if (process === undefined) {
      return Effect.fail(
        new CallError.SendError({ target: formatAddress(address), reason: new CallError.NoProcess({}) })
      )
    }
    if (process instanceof ServerProcess) process.requestStop(options?.reason ?? ExitReason.normal)
    else process.exitSignal(runtime.pid, options?.reason ?? ExitReason.shutdown, false, true)
    if (options?.timeout === undefined) return Effect.asVoid(awaitEnd(process))
    return Effect.flatMap(awaitEndWithin(process, options.timeout), (reason) => {
      if (reason !== undefined) return Effect.void
      process.exitSignal(runtime.pid, ExitReason.kill, false)
      return Effect.asVoid(awaitEnd(process))
    })
  })

/**
 * Waits until a process has ended and gives its reason; `noproc` at once when there is none. Works anywhere; for a
 * message instead of a wait see {@link monitor}.
 *
 * @category ending
 * @since 0.1.0
 */
export const awaitExit = (target: Target): Effect.Effect<ExitReason.ExitReason, never, Node> =>
  Effect.flatMap(Node, ({ runtime }) => {
    const process = runtime.resolve(addressOf(target))
    return process === undefined ? Effect.succeed(ExitReason.noProc) : awaitEnd(process)
  })

/**
 * Whether a process of this node is alive.
 *
 * @category inspection
 * @since 0.1.0
 */
export const isAlive = (target: Target): Effect.Effect<boolean, never, Node> =>
  Effect.map(Node, ({ runtime }) => runtime.resolve(addressOf(target))?.alive === true)

/**
 * Whether exit signals reach this process as messages. Gives the previous setting.
 *
 * @category links
 * @since 0.1.0
 */
export const trapExit = (trap: boolean): Effect.Effect<boolean, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    const before = process.trapExit
    process.trapExit = trap
    return before
  })

// --- links -----------------------------------------------------------------------------------------------------------

/**
 * Links this process and another: when one ends, the other gets an exit signal with its reason. Links have no direction
 * and no count. Linking to a process that is gone gives an exit signal `noproc`.
 *
 * @category links
 * @since 0.1.0
 */
export const link = (target: Pid | { readonly pid: Pid }): Effect.Effect<void, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    const pid = isPid(target) ? target : target.pid
    const { node } = process
    if (node.isRemote(pid)) {
      node.remote.link(process, pid)
      return
    }
    const other = node.resolve(pid)
    if (other === undefined) process.exitSignal(pid, ExitReason.noProc, true)
    else process.link(other)
  })

/**
 * Removes the link between this process and another. No exit signal of that process arrives any more; one that waits in
 * the mailbox stays there.
 *
 * @category links
 * @since 0.1.0
 */
export const unlink = (target: Pid | { readonly pid: Pid }): Effect.Effect<void, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    const pid = isPid(target) ? target : target.pid
    const { node } = process
    if (node.isRemote(pid)) node.remote.unlink(process, pid)
    else {
      const other = node.resolve(pid)
      if (other !== undefined) process.unlink(other)
    }
  })

// --- monitors --------------------------------------------------------------------------------------------------------

/**
 * Watches a process, by pid, name or alias: when it ends, this process gets exactly one {@link "Signal".Down}. When there
 * is none, the Down comes at once, with `noproc`. A monitor by name watches the process that has the name now.
 *
 * @category monitors
 * @since 0.1.0
 */
export const monitor = (target: Target): Effect.Effect<Reference, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    const address = addressOf(target)
    const { node } = process
    const made = node.isRemote(address)
      ? node.remote.monitor(process, address)
      : process.monitor(node.resolve(address), address)
    return made.ref
  })

/**
 * Ends a monitor: no Down comes from it any more. With `flush`, one that already waits is taken out of the mailbox.
 * False when there was no such monitor (any more).
 *
 * @category monitors
 * @since 0.1.0
 */
export const demonitor = (
  ref: Reference,
  options?: { readonly flush?: boolean }
): Effect.Effect<boolean, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    const key = process.node.keyOfReference(ref)
    const monitor = key === undefined ? undefined : process.monitors?.get(key)
    const found = monitor !== undefined && process.demonitor(key!)
    if (found && monitor.target === undefined) process.node.remote.demonitor(process, monitor)
    if (options?.flush === true) process.flushDown(ref)
    return found
  })

// --- aliases and names -----------------------------------------------------------------------------------------------

/**
 * A new address of this process that it can take back: what is sent to an alias that is gone, vanishes.
 *
 * @category aliases
 * @since 0.1.0
 */
export const alias: Effect.Effect<Reference, never, CurrentProcess> = Effect.map(Current, (process) => {
  const { node } = process
  const key = node.takeReference()
  node.aliases.set(key, process)
  ;(process.more.aliases ??= new Set()).add(key)
  return node.referenceOfKey(key)
})

/**
 * Takes an alias back. False when it was not an alias of this process (any more).
 *
 * @category aliases
 * @since 0.1.0
 */
export const unalias = (ref: Reference): Effect.Effect<boolean, never, CurrentProcess> =>
  Effect.map(Current, (process) => {
    const key = process.node.keyOfReference(ref)
    if (key === undefined || process.extra?.aliases?.delete(key) !== true) return false
    process.node.aliases.delete(key)
    return true
  })

/**
 * Gives a process a name, besides those it has. Fails when a live process has the name, or there is no such process.
 *
 * @category names
 * @since 0.1.0
 */
export const register = (name: string, target: Target): Effect.Effect<void, CallError.StartError, Node> =>
  Effect.flatMap(Node, ({ runtime }) => {
    const process = runtime.resolve(addressOf(target))
    if (process === undefined || process.status === DEAD) {
      return Effect.fail(
        new CallError.StartError({ process: name, reason: new CallError.InitExit({ exitReason: ExitReason.noProc }) })
      )
    }
    const holder = runtime.register(name, process)
    if (holder !== undefined) {
      return Effect.fail(
        new CallError.StartError({
          process: name,
          reason: new CallError.NameTaken({ name, pid: holder.pid.toString() })
        })
      )
    }
    ;(process.more.names ??= new Set()).add(name)
    return Effect.void
  })

/**
 * Takes a name away from whoever has it. False when nobody had it.
 *
 * @category names
 * @since 0.1.0
 */
export const unregister = (name: string): Effect.Effect<boolean, never, Node> =>
  Effect.map(Node, ({ runtime }) => {
    const process = runtime.names.get(name)
    if (process === undefined) return false
    runtime.names.delete(name)
    if (process.name === name) process.name = undefined
    process.extra?.names?.delete(name)
    return true
  })

/**
 * The pid of the process that has a name now.
 *
 * @category names
 * @since 0.1.0
 */
export const whereis = (name: string): Effect.Effect<Option.Option<Pid>, never, Node> =>
  Effect.map(Node, ({ runtime }) => Option.fromNullishOr(runtime.names.get(name)?.pid))

/**
 * All registered names, in the order in which they were registered.
 *
 * @category names
 * @since 0.1.0
 */
export const registered: Effect.Effect<ReadonlyArray<string>, never, Node> = Effect.map(
  Node,
  ({ runtime }) => [...runtime.names.keys()]
)

// --- inspection ------------------------------------------------------------------------------------------------------

/**
 * What can be known of a process from outside.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly pid: Pid
  readonly names: ReadonlyArray<string>
  readonly label: Option.Option<string>
  readonly status: "starting" | "running" | "exiting"
  /** The name of what it runs: a server, a supervisor, or `process`. */
  readonly behaviour: string
  readonly parent: Option.Option<Pid>
  readonly children: ReadonlyArray<Pid>
  readonly links: ReadonlyArray<Pid>
  readonly monitors: ReadonlyArray<Address>
  readonly monitoredBy: number
  readonly aliases: number
  readonly trapExit: boolean
  readonly mailboxLength: number
  readonly mailboxCapacity: number
  /** Messages that its full mailbox has dropped. */
  readonly dropped: number
  /** The message that is being handled now. */
  readonly currentMessage: Option.Option<string>
  /** The state, as its `format` callback shows it. */
  readonly state: unknown
}

/**
 * What can be known of a process of this node from outside; none when it is gone.
 *
 * @category inspection
 * @since 0.1.0
 */
export const info = (target: Target): Effect.Effect<Option.Option<Info>, never, Node> =>
  Effect.map(Node, ({ runtime }) => {
    const process = runtime.resolve(addressOf(target))
    if (process === undefined) return Option.none()
    const description = process.describe()
    const { extra } = process
    return Option.some({
      pid: process.pid,
      names: [...(process.name === undefined ? [] : [process.name]), ...(extra?.names ?? [])],
      label: Option.fromUndefinedOr(extra?.label),
      status: (["starting", "running", "exiting"] as const)[process.status] ?? "exiting",
      behaviour: description.behaviour,
      parent: Option.fromUndefinedOr(process.parent?.pid),
      children: [...runtime.processes.values()].filter((p) => p.parent === process).map((p) => p.pid),
      links: [...[...(process.links ?? [])].map((p) => p.pid), ...(extra?.remoteLinks?.values() ?? [])],
      monitors: [...(process.monitors?.values() ?? [])].map((m) => m.address),
      monitoredBy: [...(process.watchers?.values() ?? [])].filter((m) => m.watcher instanceof LocalProcess).length +
        (extra?.remoteWatchers?.size ?? 0),
      aliases: extra?.aliases?.size ?? 0,
      trapExit: process.trapExit,
      mailboxLength: process.mailboxLength,
      mailboxCapacity: process.capacity,
      dropped: extra?.dropped ?? 0,
      currentMessage: Option.fromUndefinedOr(description.currentMessage),
      state: description.state
    })
  })

/**
 * The address in a target, for libraries that keep it.
 *
 * @category inspection
 * @since 0.1.0
 */
export const toAddress: (target: Target) => Address = addressOf
