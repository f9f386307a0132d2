/**
 * Registries: which processes are known under which keys, with a value each (Elixir's `Registry`).
 *
 * In a registry with unique keys a key belongs to one process at a time, so that it can be an address ({@link ref});
 * with duplicate keys any number of processes may stand under a key, and one process may stand there several times, so
 * that it can be a list of subscribers ({@link dispatch}). Keys and values have schemas, from which their types come;
 * keys are compared by structure. A registry is a value: looking something up asks no process and takes no turn.
 *
 * Guarantees: the entries of a process vanish in the moment it ends, before anyone learns of its end, so that a lookup
 * never gives a process whose Down has been seen; nothing is kept of it afterwards; the entries of a key are in the
 * order in which they were registered. When the scope of the registry closes, it is empty and takes nothing any more.
 *
 * Refuses: processes of other nodes, and a second process under a unique key.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Node, Protocol, Registry } from "effect-otp"
 *
 * class Room extends Protocol.make("Room", Message.Call("Name", { success: Schema.String })) {}
 *
 * const program = Effect.gen(function*() {
 *   const rooms = yield* Registry.unique({ name: "rooms", key: Schema.Int })
 *   const RoomServer = GenServer.make(Room, {
 *     init: (id: number) => Effect.as(Registry.register(rooms, id), id),
 *     handlers: { Name: (_, id) => `room ${id}` }
 *   })
 *   yield* GenServer.start(RoomServer, 7)
 *   const room = yield* Registry.ref(Room, rooms, 7)
 *   return yield* room.Name()
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Node.layerLocal()))) // => "room 7"
 * ```
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { format as formatAddress } from "../process/Address.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { named, type NamedRef } from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Pid } from "../term/Pid.ts"
import type { RegistryError } from "./internal/RegistryError.ts"
import { type LiveEntry, RegistryTable } from "./internal/RegistryTable.ts"

export { RegistryError } from "./internal/RegistryError.ts"

const TypeId = "~effect-otp/Registry"

/**
 * A registry of processes under keys of type `K` with values of type `V`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registry<in out K, in out V> {
  readonly [TypeId]: { readonly _K: (_: K) => K; readonly _V: (_: V) => V }
  /** What errors and listeners call it. */
  readonly name: string
  readonly kind: "unique" | "duplicate"
}

/**
 * A registry in which a key belongs to one process at a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unique<in out K, in out V> extends Registry<K, V> {
  readonly kind: "unique"
}

/**
 * A registry in which any number of processes may stand under a key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Duplicate<in out K, in out V> extends Registry<K, V> {
  readonly kind: "duplicate"
}

/**
 * One entry.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<out K, out V> {
  readonly key: K
  readonly pid: Pid
  readonly value: V
}

/**
 * The options of a registry. The types of key and value come from their schemas; without `value` entries have none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<KS extends Schema.Top, VS extends Schema.Top> {
  /** What errors and listeners call it: `registry` by default. */
  readonly name?: string
  readonly key: KS
  readonly value?: VS
  /** Who gets {@link Registered} and {@link Unregistered}: pids, names or refs, looked up each time. */
  readonly listeners?: ReadonlyArray<Process.Target>
}

export { Registered, Unregistered } from "./internal/RegistryTable.ts"

/** Every registry is made in this file. */
const tableOf = <K, V>(registry: Registry<K, V>): RegistryTable<K, V> => registry as unknown as RegistryTable<K, V>

const make = (
  kind: "unique" | "duplicate",
  options: Options<Schema.Top, Schema.Top>
): Effect.Effect<never, never, Node | Scope.Scope> =>
  Effect.flatMap(Node, (node) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        new RegistryTable<unknown, unknown>(node, kind, options.name ?? "registry", options.listeners ?? [])
      ),
      (table) => Effect.sync(() => table.close())
    )) as Effect.Effect<never, never, Node | Scope.Scope> // the signatures of its callers state the types

// --- constructors ----------------------------------------------------------------------------------------------------

/**
 * Makes a registry in which a key belongs to one process at a time. It is closed with the surrounding scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unique: <KS extends Schema.Top, VS extends Schema.Top = Schema.Void>(
  options: Options<KS, VS>
) => Effect.Effect<Unique<KS["Type"], VS["Type"]>, never, Node | Scope.Scope> = (options) => make("unique", options)

/**
 * Makes a registry in which any number of processes may stand under a key. It is closed with the surrounding scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const duplicate: <KS extends Schema.Top, VS extends Schema.Top = Schema.Void>(
  options: Options<KS, VS>
) => Effect.Effect<Duplicate<KS["Type"], VS["Type"]>, never, Node | Scope.Scope> = (options) =>
  make("duplicate", options)

/**
 * A registry as a layer.
 *
 * @example
 * ```ts
 * import { Context, Schema } from "effect"
 * import { Registry } from "effect-otp"
 *
 * class Rooms extends Context.Service<Rooms, Registry.Unique<number, void>>()("app/Rooms") {
 *   static readonly layer = Registry.layer(Rooms, Registry.unique({ name: "rooms", key: Schema.Int }))
 * }
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: {
  <Self, K, V>(
    service: Context.Key<Self, Unique<K, V>>,
    registry: Effect.Effect<Unique<K, V>, never, Node | Scope.Scope>
  ): Layer.Layer<Self, never, Node>
  <Self, K, V>(
    service: Context.Key<Self, Duplicate<K, V>>,
    registry: Effect.Effect<Duplicate<K, V>, never, Node | Scope.Scope>
  ): Layer.Layer<Self, never, Node>
} = <Self, Kind>(
  service: Context.Key<Self, Kind>,
  registry: Effect.Effect<Kind, never, Node | Scope.Scope>
): Layer.Layer<Self, never, Node> => Layer.effect(service, registry)

// --- registering -----------------------------------------------------------------------------------------------------

/** The argument for a value. */
type Value<V> = [V] extends [void] ? [value?: void] : [value: V]

const current: Effect.Effect<Behaviour.Process, never, Process.CurrentProcess> = Effect.map(
  Behaviour.current,
  (process) => process! // the requirement says that there is one
)

/**
 * Registers the calling process under a key. A unique key that is taken fails with `AlreadyRegistered`, also when the
 * calling process has it itself.
 *
 * @category registering
 * @since 0.1.0
 */
export const register: {
  <K, V>(
    registry: Duplicate<K, V>,
    key: NoInfer<K>,
    ...value: Value<V>
  ): Effect.Effect<void, never, Process.CurrentProcess>
  <K, V>(
    registry: Registry<K, V>,
    key: NoInfer<K>,
    ...value: Value<V>
  ): Effect.Effect<void, RegistryError, Process.CurrentProcess>
} = <K, V>(
  registry: Registry<K, V>,
  key: NoInfer<K>,
  ...[value]: Value<V>
): Effect.Effect<void, never, Process.CurrentProcess> =>
  Effect.flatMap(current, (process) => tableOf(registry).add(process, key, value as V)) as Effect.Effect<
    void,
    never, // a duplicate key is never taken
    Process.CurrentProcess
  >

/**
 * Registers another process of this node under a key, by its ref, pid or name. `NoProcess` when there is none.
 *
 * @category registering
 * @since 0.1.0
 */
export const registerFor = <K, V>(
  registry: Registry<K, V>,
  target: Process.Target,
  key: NoInfer<K>,
  ...[value]: Value<V>
): Effect.Effect<void, RegistryError> =>
  Effect.suspend(() => {
    const table = tableOf(registry)
    const process = Behaviour.processAt(table.node, target)
    return process?.alive !== true
      ? Effect.fail(table.error(key, "NoProcess", formatAddress(Process.toAddress(target))))
      : table.add(process, key, value as V)
  })

/**
 * Removes the entries of the calling process under a key, all or those whose value satisfies a predicate. Gives how
 * many there were.
 *
 * @category registering
 * @since 0.1.0
 */
export const unregister = <K, V>(
  registry: Registry<K, V>,
  key: NoInfer<K>,
  predicate?: (value: V) => boolean
): Effect.Effect<number, never, Process.CurrentProcess> =>
  Effect.map(current, (process) => remove(registry, process, key, predicate))

/**
 * {@link unregister} for another process.
 *
 * @category registering
 * @since 0.1.0
 */
export const unregisterFor = <K, V>(
  registry: Registry<K, V>,
  target: Process.Target,
  key: NoInfer<K>,
  predicate?: (value: V) => boolean
): Effect.Effect<number> =>
  Effect.sync(() => remove(registry, Behaviour.processAt(tableOf(registry).node, target), key, predicate))

const remove = <K, V>(
  registry: Registry<K, V>,
  process: Behaviour.Process | undefined,
  key: K,
  predicate: ((value: V) => boolean) | undefined
): number => {
  const table = tableOf(registry)
  const entries = table.at(key).filter((entry) =>
    entry.process === process && (predicate === undefined || predicate(entry.value))
  )
  for (const entry of entries) table.remove(entry)
  return entries.length
}

/**
 * Changes the value of the calling process under a unique key, and gives the new one. Listeners are not told.
 * `NotRegistered` when the key is not that of the calling process.
 *
 * @category registering
 * @since 0.1.0
 */
export const updateValue = <K, V>(
  registry: Unique<K, V>,
  key: NoInfer<K>,
  update: (value: V) => V
): Effect.Effect<V, RegistryError, Process.CurrentProcess> =>
  Effect.flatMap(current, (process) => {
    const table = tableOf(registry)
    const entry = table.first(key)
    if (entry === undefined || entry.process !== process) {
      return Effect.fail(table.error(key, "NotRegistered", process.displayName))
    }
    return Effect.succeed(entry.value = update(entry.value))
  })

// --- looking up ------------------------------------------------------------------------------------------------------

const shown = <K, V>({ key, pid, value }: LiveEntry<K, V>): Entry<K, V> => ({ key, pid, value })

/**
 * What is registered under a key: in a unique registry the one entry, if any; in a duplicate one all, oldest first.
 *
 * @category looking up
 * @since 0.1.0
 */
export const lookup: {
  <K, V>(registry: Unique<K, V>, key: NoInfer<K>): Effect.Effect<Option.Option<Entry<K, V>>>
  <K, V>(registry: Registry<K, V>, key: NoInfer<K>): Effect.Effect<ReadonlyArray<Entry<K, V>>>
} = <K, V>(registry: Registry<K, V>, key: NoInfer<K>): Effect.Effect<never> =>
  Effect.sync(() => {
    const entries = tableOf(registry).at(key).map(shown)
    return (registry.kind === "unique" ? Option.fromNullishOr(entries[0]) : entries) as never // the overloads say which
  })

/**
 * The process under a unique key.
 *
 * @category looking up
 * @since 0.1.0
 */
export const whereis = <K, V>(registry: Unique<K, V>, key: NoInfer<K>): Effect.Effect<Option.Option<Pid>> =>
  Effect.sync(() => Option.fromNullishOr(tableOf(registry).first(key)?.pid))

/**
 * The keys under which a process stands, in the order in which it was registered; one that it has several times appears
 * as often.
 *
 * @category looking up
 * @since 0.1.0
 */
export const keysOf = <K, V>(registry: Registry<K, V>, target: Process.Target): Effect.Effect<ReadonlyArray<K>> =>
  Effect.sync(() => {
    const table = tableOf(registry)
    return table.of(Behaviour.processAt(table.node, target)).map((entry) => entry.key)
  })

/**
 * The values of a process under a key, oldest first.
 *
 * @category looking up
 * @since 0.1.0
 */
export const valuesOf = <K, V>(
  registry: Registry<K, V>,
  target: Process.Target,
  key: NoInfer<K>
): Effect.Effect<ReadonlyArray<V>> =>
  Effect.sync(() => {
    const table = tableOf(registry)
    const process = Behaviour.processAt(table.node, target)
    return table.at(key).filter((entry) => entry.process === process).map((entry) => entry.value)
  })

/**
 * All entries that satisfy a predicate, or all.
 *
 * @category looking up
 * @since 0.1.0
 */
export const select = <K, V>(
  registry: Registry<K, V>,
  predicate?: (entry: Entry<K, V>) => boolean
): Effect.Effect<ReadonlyArray<Entry<K, V>>> =>
  Effect.sync(() => {
    const entries = tableOf(registry).all().map(shown)
    return predicate === undefined ? entries : entries.filter(predicate)
  })

/**
 * The entries under a key whose value satisfies a predicate.
 *
 * @category looking up
 * @since 0.1.0
 */
export const match = <K, V>(
  registry: Registry<K, V>,
  key: NoInfer<K>,
  predicate: (value: V) => boolean
): Effect.Effect<ReadonlyArray<Entry<K, V>>> =>
  Effect.sync(() => tableOf(registry).at(key).filter((entry) => predicate(entry.value)).map(shown))

/**
 * How many entries there are, of those that satisfy a predicate or of all.
 *
 * @category looking up
 * @since 0.1.0
 */
export const count = <K, V>(
  registry: Registry<K, V>,
  predicate?: (entry: Entry<K, V>) => boolean
): Effect.Effect<number> => Effect.map(select(registry, predicate), (entries) => entries.length)

// --- sending ---------------------------------------------------------------------------------------------------------

/**
 * Hands all entries under a key to a function at once, to send them something. The function is not called when there
 * are none.
 *
 * @category sending
 * @since 0.1.0
 */
export const dispatch = <K, V, A, E, R>(
  registry: Registry<K, V>,
  key: NoInfer<K>,
  f: (entries: ReadonlyArray<Entry<K, V>>) => Effect.Effect<A, E, R>
): Effect.Effect<void, E, R> =>
  Effect.suspend(() => {
    const entries = tableOf(registry).at(key).map(shown)
    return entries.length === 0 ? Effect.void : Effect.asVoid(f(entries))
  })

/**
 * The ref of whoever stands under a unique key when a message is sent: it survives restarts, and works wherever a name
 * does. While nobody stands there, calls fail with `NoProcess` and casts vanish.
 *
 * @category refs
 * @since 0.1.0
 */
export const ref = <Name extends string, M extends Message.Any, K, V>(
  protocol: Protocol.Protocol<Name, M>,
  registry: Unique<K, V>,
  key: NoInfer<K>
): Effect.Effect<NamedRef<M>, never, Node> => {
  const table = tableOf(registry)
  return named(protocol, {
    name: `${registry.name}(${Formatter.format(key)})`,
    via: { whereis: () => table.first(key)?.pid }
  })
}
