/**
 * Pools: many processes of one server behind the client of one.
 *
 * A pool is a supervisor of its workers and a ref that chooses, for each message and in the turn of its sender, the worker
 * that gets it. No process stands in between: the worker answers the caller itself, and a call through a pool costs little
 * more than a direct one. What reaches the process of the pool by its pid or name (from another node, by `Process.send`,
 * through a plain `GenServer.named` ref) it hands on in the same way, at the price of one hop; there nobody can wait for
 * room in a full mailbox.
 *
 * Guarantees: the first message goes to the first worker; workers that are gone or whose mailbox is full are passed over;
 * when all are full a call fails at once with `MailboxFull` and a cast meets the policy of one of the mailboxes, in turn,
 * and is counted when it is dropped. A worker that ends, for whatever reason and how often, is replaced in its place, until
 * the restart intensity is exceeded. When the pool is stopped, its workers finish what waits for them, all at the same
 * time, within one limit.
 *
 * Messages of one sender keep their order only when they go to the same worker: choose `{ key }` where order matters.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Name } from "../process/Address.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { MailboxOptions } from "../process/Mailbox.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import type { ClientRef, NamedRef, ProcessRef } from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Pid } from "../term/Pid.ts"
import type * as GenServer from "./GenServer.ts"
import type { Key } from "./internal/KeyHash.ts"
import type { Rule } from "./internal/PoolDispatch.ts"
import { poolAdmin, type PoolOptions, poolProtocol, PoolShell, workerSpec } from "./internal/PoolShell.ts"
import { slotBehaviour } from "./internal/SlotShell.ts"
import type { StartFunction } from "./internal/SupervisorShell.ts"
import * as Spec from "./internal/SupervisorSpec.ts"
import type { SupervisorError, SupervisorStartError } from "./OtpError.ts"
import * as Supervisor from "./Supervisor.ts"

export { Service } from "./GenServer.ts"
export type { Key } from "./internal/KeyHash.ts"

const TypeId = "~effect-otp/Pool"

/**
 * A pool: what runs when it is started with `Args`. `M` is what it understands, `E` how the `init` of a worker can fail,
 * `R` what the workers need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pool<in Args, in out M extends Message.Any, out E, out R> {
  readonly [TypeId]: {
    readonly _Args: (_: Args) => void
    readonly _M: (_: M) => M
    readonly _E: () => E
    readonly _R: () => R
  }
  /** The protocol of the workers. */
  readonly protocol: Protocol.Core
  /** The process of the pool as the runtime sees it. */
  readonly behaviour: Behaviour.Behaviour
}

/**
 * By message: what its payload is distributed by. Messages without a function go round robin.
 *
 * @category models
 * @since 0.1.0
 */
export type Keys<M extends Message.Any> = {
  readonly [Tag in M["_tag"]]?: (payload: Message.Payload<Extract<M, { readonly _tag: Tag }>>) => Key
}

/**
 * Who gets a message.
 *
 * - `round_robin`: the workers take turns.
 * - `least_loaded`: the one with the least to do (waiting messages, the one it is handling, calls it answers later);
 *   among equals they take turns.
 * - `{ key }`: the worker to which the key of the message belongs, whoever fills its place at the moment. While the place
 *   is empty, calls fail with `NoProcess`. When the size changes from n to n + 1 or back, one key in n + 1 moves.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy<M extends Message.Any> = Rule | { readonly key: Keys<M> }

/**
 * Options of a pool.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<M extends Message.Any> {
  /** How many workers there are at first: 1 or more. */
  readonly size: number
  /** Who gets a message: `round_robin` by default. */
  readonly strategy?: Strategy<M>
  /** The mailbox of each worker: its bound and what happens beyond it. */
  readonly mailbox?: MailboxOptions
  /**
   * How many messages may wait in all mailboxes together, in evenly divided shares of at least 1; in place of the bound
   * of `mailbox`. No bound for the whole by default.
   */
  readonly capacity?: number
  /** How many restarts are allowed within `period`: 3 for each worker of the first size. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
  /** Delays restarts; without it they happen at once. */
  readonly backoff?: Schedule.Schedule<unknown, ExitReason>
  /** How long workers may take to finish when the pool is stopped or made smaller: 5 seconds, then they are killed. */
  readonly shutdown?: Supervisor.Shutdown
  /**
   * Whether workers that are stopped handle the messages that wait, first: true by default. Otherwise an exit signal ends
   * them, as it does other children.
   */
  readonly drain?: boolean
  /** Whether workers trap exits. */
  readonly trapExit?: boolean
  /** How long the `init` of a worker may take. */
  readonly timeout?: Duration.Input
}

/**
 * Makes a pool of a server. All workers are started with the arguments of the pool; with `args`, each with those of its
 * number (from 0), and the pool needs none.
 *
 * Throws when the size is not an integer of 1 or more, when a message of the server has the name of a message to
 * supervisors or pools, and `InvalidSupervisorSpec` when another option breaks a rule.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Pool, Protocol } from "effect-otp"
 *
 * class Hasher extends Protocol.make("Hasher",
 *   Message.Call("Hash", { payload: { text: Schema.String }, success: Schema.Int })
 * ) {}
 *
 * const HasherServer = GenServer.make(Hasher, {
 *   init: () => Effect.succeed(0),
 *   handlers: { Hash: ({ text }) => text.length }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const hasher = yield* Pool.start(Pool.make(HasherServer, { size: 4, strategy: "least_loaded" }))
 *   return yield* hasher.Hash({ text: "abc" })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <Args, M extends Message.Any, E, R>(
    server: GenServer.GenServer<Args, M, E, R>,
    options: Options<M> & { readonly args: (worker: number) => Args }
  ): Pool<void, M, E | StartError, R>
  <Args, M extends Message.Any, E, R>(
    server: GenServer.GenServer<Args, M, E, R>,
    options: Options<M>
  ): Pool<Args, M, E | StartError, R>
} = <M extends Message.Any>(
  server: GenServer.Any,
  options: Options<M> & { readonly args?: (worker: number) => unknown }
): never => {
  const { protocol } = server
  const name = `Pool of ${protocol.name}`
  const { size } = options
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new Error(`${name}: size must be an integer, 1 or more; found ${size}`)
  }
  if (options.capacity !== undefined && !(options.capacity >= 1)) {
    throw new Error(`${name}: capacity must be 1 or more; found ${options.capacity}`)
  }
  const pool: PoolOptions = {
    protocol,
    size,
    rule: typeof options.strategy === "string" ? options.strategy : "round_robin",
    keys: typeof options.strategy === "object" ? keysOf(protocol, options.strategy.key) : undefined,
    bound: options.capacity,
    drain: options.drain ?? true,
    shutdown: Supervisor.shutdownMillis(options.shutdown ?? "5 seconds"),
    start: (worker, args, capacity, onSpawn) =>
      Behaviour.startDetached(server.behaviour, options.args === undefined ? args : options.args(worker), {
        label: `${protocol.name} ${worker}`,
        mailbox: capacity === undefined ? options.mailbox : { ...options.mailbox, capacity },
        trapExit: options.trapExit,
        timeout: options.timeout,
        link: true,
        onSpawn
      })
  }
  const spec = Spec.validate<StartFunction>({
    intensity: options.intensity ?? 3 * size,
    periodMillis: options.period === undefined
      ? undefined
      : Duration.toMillis(Duration.fromInputUnsafe(options.period)),
    backoff: options.backoff === undefined ? undefined : {},
    children: Array.from({ length: size }, (_, number) => workerSpec(pool, number))
  })
  if (Result.isFailure(spec)) throw spec.failure
  const shell = { spec: spec.success, backoff: options.backoff }
  const messages = protocol.messages.length
  const made: Pool<unknown, M, never, never> = {
    [TypeId]: {
      _Args: () => {},
      _M: (_) => _,
      _E: () => undefined as never,
      _R: () => undefined as never
    },
    protocol,
    behaviour: {
      ...slotBehaviour(
        "Pool",
        poolProtocol(protocol),
        shell,
        (instance, args) => new PoolShell(instance, shell, pool, args),
        (instance, envelope) => (instance.state as PoolShell).take(instance, envelope, messages)
      ),
      terminate: (instance) => {
        ;(instance.state as PoolShell | undefined)?.ended()
        return undefined
      }
    }
  }
  return made as never // one implementation for both overloads
}

/** The key functions by number of their message. */
const keysOf = <M extends Message.Any>(protocol: Protocol.Core, keys: Keys<M>): PoolOptions["keys"] => {
  const record = keys as { readonly [tag: string]: ((payload: unknown) => Key) | undefined }
  return protocol.messages.map((message) => record[message._tag])
}

/**
 * Options of the process of a pool.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions extends Supervisor.StartOptions {
  /** What logs, errors and observers call it when it has no name. */
  readonly label?: string
}

type StartArguments<Args, Options> = [Args] extends [void] ? [args?: void, options?: Options]
  : [args: Args, options?: Options]

/**
 * Starts a pool and its workers, in order, and waits until all have started; when one cannot, the others are stopped again
 * and the error names it. The pool is tied to the surrounding scope. Its ref is that of one server; as a pid, it stands for
 * the pool: to monitor it, to stop it, to resize it.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Args, M extends Message.Any, E, R>(
  pool: Pool<Args, M, E, R>,
  ...[args, options]: StartArguments<Args, StartOptions & { readonly link?: boolean }>
): Effect.Effect<ProcessRef<M>, SupervisorStartError<E> | StartError, R | Node | Scope.Scope> =>
  Effect.flatMap(Node, (node) =>
    Effect.map(
      Behaviour.start(pool.behaviour, args, { label: `Pool of ${pool.protocol.name}`, ...options }),
      (instance) =>
        Behaviour.routedRef(
          node,
          pool.protocol,
          instance.pid,
          (index, payload, sender) => routeIn(instance, index, payload, sender)
        )
    )) as Effect.Effect<ProcessRef<M>, SupervisorStartError<E> | StartError, R | Node | Scope.Scope> // as in GenServer

/** Asks the process of a pool; a pool that has ended has nobody. */
const routeIn = (
  instance: Behaviour.Instance,
  index: number,
  payload: unknown,
  sender: unknown
): Behaviour.Process | undefined => {
  const { state } = instance
  return state instanceof PoolShell ? state.route(index, payload, sender) : undefined
}

/**
 * The ref of the pool that has a name when a message is sent. It survives restarts of the pool; while nobody has the name,
 * calls fail with `NoProcess` and casts vanish. For a pool of another node, which chooses the worker itself.
 *
 * @category refs
 * @since 0.1.0
 */
export const named = <N extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<N, M>,
  name: string | Name
): Effect.Effect<NamedRef<M>, never, Node> =>
  Effect.map(Node, (node) => {
    const address = typeof name === "string" ? { name } : name
    return Behaviour.routedRef(node, protocol.protocol, address, (index, payload, sender) => {
      const process = node.runtime.resolve(address)
      const state = process instanceof Behaviour.Instance ? process.state : undefined
      return state instanceof PoolShell
        ? state.route(state.numberOf(protocol.protocol, index), payload, sender)
        : process
    }) as NamedRef<M> // the ref has the methods of the protocol
  })

/**
 * A pool as a child of a supervisor. It has no limit for its shutdown, since its workers have theirs.
 *
 * @category children
 * @since 0.1.0
 */
export const asChild = <const Id extends string, Args, M extends Message.Any, E, R>(
  id: Id,
  pool: Pool<Args, M, E, R>,
  ...[args, options]: StartArguments<Args, Supervisor.RestartOptions & StartOptions>
): Supervisor.Child<Id, E | StartError, R> =>
  Supervisor.childOf(
    id,
    "supervisor",
    options,
    (_, onSpawn) =>
      Behaviour.startDetached(pool.behaviour, args, { ...options, label: options?.label ?? id, link: true, onSpawn })
  )

/**
 * A pool as a layer, for a service made with {@link Service} as for a server: whoever uses the service does not see whether
 * it is one process or many.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, M extends Message.Any, Args, E, R>(
  service: Context.Key<Self, ClientRef<M>>,
  pool: Pool<Args, M, E, R>,
  ...rest: StartArguments<Args, StartOptions>
): Layer.Layer<Self, SupervisorStartError<E> | StartError, R | Node> =>
  Layer.effect(service, start(pool, ...rest)) as Layer.Layer<Self, SupervisorStartError<E> | StartError, R | Node> // Exclude<R, Scope> is R: workers have their own

/**
 * What can be told to a pool: its ref, its pid or its name.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = Supervisor.Target

/**
 * Changes the number of workers and waits until it is reached. New ones are started behind the others; what is too many is
 * stopped from the end, after it has finished what waits for it. Of requests that overlap, the last one counts for all.
 *
 * Fails with `SupervisorError`: `StartFailed` when a new worker could not be started (those before it stay), `InvalidSpec`
 * when the size is not an integer of 1 or more. A pool that is restarted by its supervisor has its first size again.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize = (pool: Target, size: number): Effect.Effect<void, SupervisorError | CallError, Node> =>
  Behaviour.call(poolAdmin, pool, "ResizePool", { size }, { timeout: "Infinity" }) as Effect.Effect<
    void,
    SupervisorError | CallError,
    Node
  > // the messages of pools have these errors

/**
 * What is known of one worker. The counters go on when it is replaced.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerStats {
  /** Its number, from 0. */
  readonly worker: number
  /** None while it is being replaced. */
  readonly pid: Option.Option<Pid>
  /** How many messages wait in its mailbox. */
  readonly waiting: number
  /** The bound of its mailbox. */
  readonly capacity: number
  /** How many messages it has handled or is handling. */
  readonly handled: number
  /** How many messages its full mailbox has refused or dropped. */
  readonly dropped: number
  /** How often it was replaced. */
  readonly restarts: number
}

/**
 * What is known of a pool: its workers, and their sums.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly size: number
  readonly waiting: number
  readonly handled: number
  readonly dropped: number
  readonly restarts: number
  readonly workers: ReadonlyArray<WorkerStats>
}

/**
 * What a pool and each of its workers have done, and what waits.
 *
 * @category administration
 * @since 0.1.0
 */
export const stats = (pool: Target): Effect.Effect<Stats, CallError, Node> =>
  Behaviour.call(poolAdmin, pool, "PoolStats", undefined) as Effect.Effect<Stats, CallError, Node> // as above
