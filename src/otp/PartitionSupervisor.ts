/**
 * Partitioned supervisors: several copies of one child, each in charge of its part of the keys.
 *
 * For work that one process would serialise though it need not be: a counter per user, a `DynamicSupervisor` that starts
 * thousands of children a second. A key always leads to the same partition, in every process and on every node; who fills
 * the partition may change when it is restarted.
 *
 * Guarantees: the number of partitions is fixed for the life of the supervisor; the partition of a key depends on the key
 * and that number alone (an integer by its remainder, anything else by a hash). Restarts follow the supervisor's options,
 * with OTP's defaults.
 *
 * For copies that share all work, and whose number changes, see `Pool`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import type { NamedRef } from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Pid } from "../term/Pid.ts"
import type * as GenServer from "./GenServer.ts"
import { type Key, partitionOf as placeOf } from "./internal/KeyHash.ts"
import { inSlot, Slot, slotBehaviour, SlotShell } from "./internal/SlotShell.ts"
import { supervisorProtocol } from "./internal/SupervisorMessages.ts"
import type { ShellOptions, StartFunction } from "./internal/SupervisorShell.ts"
import * as Spec from "./internal/SupervisorSpec.ts"
import type { SupervisorStartError } from "./OtpError.ts"
import * as Supervisor from "./Supervisor.ts"

export type { Key } from "./internal/KeyHash.ts"

const TypeId = "~effect-otp/PartitionSupervisor"

/**
 * A partitioned supervisor. `E` says how the start of a partition can fail, `R` what they need.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartitionSupervisor<out E, out R> {
  readonly [TypeId]: { readonly _E: () => E; readonly _R: () => R }
  readonly partitions: number
  /** The supervisor as the runtime sees it. */
  readonly behaviour: Behaviour.Behaviour
}

/**
 * Options of a partitioned supervisor. The defaults are OTP's.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many partitions there are: 1 or more. */
  readonly partitions: number
  /** Who is restarted with a partition that ended: `one_for_one` by default. */
  readonly strategy?: Exclude<Spec.Strategy, "simple_one_for_one">
  /** How many restarts are allowed within `period`, over all partitions: 1. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
  /** Delays restarts; without it they happen at once. */
  readonly backoff?: Schedule.Schedule<unknown, ExitReason>
}

/**
 * Options of partitions that are servers. A name would be the same for all of them: they are found by their supervisor's.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions extends Omit<Supervisor.ChildOptions, "name" | "significant"> {}

/** The state of a partitioned supervisor: one place per partition. */
class PartitionShell extends SlotShell<Slot> {
  readonly slots: ReadonlyArray<Slot>

  constructor(instance: Behaviour.Instance, options: ShellOptions, partitions: number) {
    super(instance, options, undefined)
    this.slots = Array.from({ length: partitions }, (_, number) => new Slot(number))
  }

  slotOf(number: number): Slot {
    return this.slots[number]!
  }

  /** Who is in charge of a key; undefined while its partition is restarted. */
  workerOf(key: Key): Behaviour.Process | undefined {
    const { worker } = this.slotOf(placeOf(key, this.slots.length))
    return worker?.alive === true ? worker : undefined
  }
}

/**
 * Partitions of any kind of child: `child` describes the one of each number, from 0. Its `id` is replaced by that number,
 * its restart type must not be `temporary` (a partition would stay empty).
 *
 * Throws when the number of partitions is not an integer of 1 or more, and `InvalidSupervisorSpec` when another option
 * breaks a rule.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { DynamicSupervisor, GenServer, Message, PartitionSupervisor, Protocol } from "effect-otp"
 *
 * class Room extends Protocol.make("Room", Message.Cast("Close")) {}
 * const RoomServer = GenServer.make(Room, {
 *   init: (_name: string) => Effect.succeed(0),
 *   handlers: { Close: (_, state) => GenServer.stop(undefined, state) }
 * })
 * const Rooms = DynamicSupervisor.make(RoomServer, { restart: "transient" })
 *
 * const ShardedRooms = PartitionSupervisor.of(
 *   () => DynamicSupervisor.asChild("rooms", Rooms),
 *   { partitions: 8 }
 * )
 *
 * const open = Effect.fn("open")(function*(name: string) {
 *   const pid = yield* PartitionSupervisor.whereis("rooms", name)
 *   return yield* DynamicSupervisor.startChild(DynamicSupervisor.fromPid(Rooms, yield* Effect.fromOption(pid)), name)
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = <E, R>(
  child: (partition: number) => Supervisor.Child<string, E, R>,
  options: Options
): PartitionSupervisor<E, R> => {
  const { partitions } = options
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    throw new Error(`PartitionSupervisor: partitions must be an integer, 1 or more; found ${partitions}`)
  }
  const children = Array.from({ length: partitions }, (_, number): Spec.ChildOptions<StartFunction> => {
    const { spec } = child(number)
    if (spec.restart === "temporary") {
      throw new Error(
        `PartitionSupervisor: partition ${number} must not be temporary: it would stay empty after its end`
      )
    }
    return {
      ...spec,
      id: String(number),
      start: inSlot<Slot, PartitionShell>(number, (_shell, _slot, onSpawn) => spec.start(undefined, onSpawn))
    }
  })
  const spec = Spec.validate<StartFunction>({
    strategy: options.strategy,
    intensity: options.intensity,
    periodMillis: options.period === undefined
      ? undefined
      : Duration.toMillis(Duration.fromInputUnsafe(options.period)),
    backoff: options.backoff === undefined ? undefined : {},
    children
  })
  if (Result.isFailure(spec)) throw spec.failure
  const shell = { spec: spec.success, backoff: options.backoff }
  return {
    [TypeId]: { _E: () => undefined as never, _R: () => undefined as never },
    partitions,
    behaviour: slotBehaviour(
      "PartitionSupervisor",
      supervisorProtocol,
      shell,
      (instance) => new PartitionShell(instance, shell, partitions)
    )
  }
}

/**
 * Partitions of one server. `args` makes the arguments of each partition; without it the server needs none.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, PartitionSupervisor, Protocol } from "effect-otp"
 *
 * class Counter extends Protocol.make("Counter",
 *   Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int })
 * ) {}
 * const CounterServer = GenServer.make(Counter, {
 *   init: () => Effect.succeed(0),
 *   handlers: { Add: ({ n }, total) => GenServer.reply(total + n, total + n) }
 * })
 *
 * const Counters = PartitionSupervisor.make(CounterServer, { partitions: 4 })
 *
 * const program = Effect.gen(function*() {
 *   yield* PartitionSupervisor.start(Counters, { name: "counters" })
 *   const counter = yield* PartitionSupervisor.ref(Counter, "counters", "alice")
 *   return yield* counter.Add({ n: 1 })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <M extends Message.Any, E, R>(
    server: GenServer.GenServer<void, M, E, R>,
    options: Options & ServerOptions
  ): PartitionSupervisor<E | StartError, R>
  <Args, M extends Message.Any, E, R>(
    server: GenServer.GenServer<Args, M, E, R>,
    options: Options & ServerOptions & { readonly args: (partition: number) => Args }
  ): PartitionSupervisor<E | StartError, R>
} = <M extends Message.Any, E, R>(
  server: GenServer.GenServer<never, M, E, R>,
  options: Options & ServerOptions & { readonly args?: (partition: number) => unknown }
): PartitionSupervisor<E | StartError, R> =>
  of((partition) => {
    const label = `${options.label ?? server.protocol.name} ${partition}`
    // Without `args` the server needs none: its arguments are `void`.
    return Supervisor.child("partition", server, options.args?.(partition) as never, { ...options, label })
  }, options)

/**
 * Options of the process of a partitioned supervisor: by its name the partitions are found.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions extends Supervisor.StartOptions {
  readonly name: string
}

/**
 * Starts a partitioned supervisor and its partitions, in order. It is tied to the surrounding scope.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <E, R>(
  supervisor: PartitionSupervisor<E, R>,
  options: StartOptions & { readonly link?: boolean }
): Effect.Effect<Supervisor.SupervisorRef, SupervisorStartError<E> | StartError, R | Node | Scope.Scope> =>
  Effect.map(Behaviour.start(supervisor.behaviour, undefined, options), Supervisor.refOf) as Effect.Effect<
    Supervisor.SupervisorRef,
    SupervisorStartError<E> | StartError,
    R | Node | Scope.Scope
  > // the behaviour is untyped; these are the types of its children

/**
 * A partitioned supervisor as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(
  supervisor: PartitionSupervisor<E, R>,
  options: StartOptions
): Layer.Layer<never, SupervisorStartError<E> | StartError, R | Node> =>
  Layer.effectDiscard(start(supervisor, options)) as Layer.Layer<
    never,
    SupervisorStartError<E> | StartError,
    R | Node
  > // Exclude<R, Scope> is R: children bring their own scope

/**
 * A partitioned supervisor as a child of another supervisor.
 *
 * @category children
 * @since 0.1.0
 */
export const asChild = <const Id extends string, E, R>(
  id: Id,
  supervisor: PartitionSupervisor<E, R>,
  options: Supervisor.RestartOptions & StartOptions
): Supervisor.Child<Id, E | StartError, R> =>
  Supervisor.childOf(
    id,
    "supervisor",
    options,
    (_, onSpawn) =>
      Behaviour.startDetached(supervisor.behaviour, undefined, { ...options, label: id, link: true, onSpawn })
  )

/** The state of the partitioned supervisor that has a name. */
const shellOf = (node: Node["Service"], name: string): PartitionShell | undefined => {
  const process = node.runtime.resolve({ name })
  const state = process instanceof Behaviour.Instance ? process.state : undefined
  return state instanceof PartitionShell ? state : undefined
}

/**
 * The ref of whoever is in charge of a key when a message is sent, by the name of the supervisor. It survives restarts;
 * while the partition is empty, calls fail with `NoProcess` and casts vanish. For a server of this node.
 *
 * @category refs
 * @since 0.1.0
 */
export const ref = <Name extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Name, M>,
  name: string,
  key: Key
): Effect.Effect<NamedRef<M>, never, Node> =>
  Effect.map(
    Node,
    (node) =>
      // The ref has the methods of the protocol. It stands for the supervisor where a process is asked for.
      Behaviour.routedRef(node, protocol.protocol, { name }, () => shellOf(node, name)?.workerOf(key)) as NamedRef<M>
  )

/**
 * The pid of whoever is in charge of a key now; none while the partition is restarted, or when there is no such
 * supervisor.
 *
 * @category refs
 * @since 0.1.0
 */
export const whereis = (name: string, key: Key): Effect.Effect<Option.Option<Pid>, never, Node> =>
  Effect.map(Node, (node) => Option.fromUndefinedOr(shellOf(node, name)?.workerOf(key)?.pid))

/**
 * The number of the partition that is in charge of a key, of so many.
 *
 * @example
 * ```ts
 * import { PartitionSupervisor } from "effect-otp"
 *
 * PartitionSupervisor.partitionOf(13, 4) // => 1
 * ```
 *
 * @category keys
 * @since 0.1.0
 */
export const partitionOf: (key: Key, partitions: number) => number = placeOf

/**
 * How many partitions the supervisor of a name has; none when there is no such supervisor.
 *
 * @category inspection
 * @since 0.1.0
 */
export const count = (name: string): Effect.Effect<Option.Option<number>, never, Node> =>
  Effect.map(Node, (node) => Option.fromUndefinedOr(shellOf(node, name)?.slots.length))

/**
 * A partition as {@link whichChildren} shows it. `pid` is there while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartitionInfo extends Omit<Supervisor.ChildInfo, "id"> {
  readonly partition: number
}

/**
 * The partitions, in the order of their numbers.
 *
 * @category inspection
 * @since 0.1.0
 */
export const whichChildren = (
  target: Supervisor.Target
): Effect.Effect<ReadonlyArray<PartitionInfo>, CallError, Node> =>
  Effect.map(
    Supervisor.whichChildren(target),
    (children) =>
      children.map(({ id, ...info }) => ({ ...info, partition: Number(Option.getOrThrow(id)) }))
        .sort((a, b) => a.partition - b.partition)
  )

export { countChildren } from "./Supervisor.ts"
