/**
 * The tables of a registry: entries by key and by process, kept in step with the processes without asking any.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Behaviour from "../../process/Behaviour.ts"
import * as Message from "../../process/Message.ts"
import type { Service as NodeService } from "../../process/Node.ts"
import type { Target } from "../../process/Process.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import type { Entry } from "../Registry.ts"
import { RegistryError } from "./RegistryError.ts"

/** The payload of what listeners get. `key` and `value` are not checked again. */
const change = {
  registry: Schema.String,
  key: Schema.Unknown,
  pid: Schema.declare(isPid),
  value: Schema.Unknown
}

type Change = {
  readonly registry: Schema.String
  readonly key: Schema.Unknown
  readonly pid: Schema.declare<Pid>
  readonly value: Schema.Unknown
}

type ChangeMessage<Tag extends string> = Message.Message<Tag, "Info", Schema.Struct<Change>, Schema.Void, Schema.Never>

/**
 * What a listener gets when a process was registered. Make it a message of the listener's protocol.
 *
 * @category listeners
 * @since 0.1.0
 */
export const Registered: ChangeMessage<"Registered"> = Message.Info("Registered", { payload: change })

/**
 * What a listener gets when an entry was removed, by its process or because that has ended.
 *
 * @category listeners
 * @since 0.1.0
 */
export const Unregistered: ChangeMessage<"Unregistered"> = Message.Info("Unregistered", { payload: change })

/** An entry that is in the tables. */
export interface LiveEntry<K, V> extends Entry<K, V> {
  value: V
  readonly process: Behaviour.Process
}

/** What a process has in the registry. */
interface Holding<K, V> {
  readonly entries: Set<LiveEntry<K, V>>
  unwatch: () => void
}

/** @since 0.1.0 */
export class RegistryTable<in out K, in out V> {
  readonly name: string
  readonly kind: "unique" | "duplicate"
  readonly node: NodeService
  private readonly listeners: ReadonlyArray<Target>
  private readonly byKey = MutableHashMap.empty<K, Set<LiveEntry<K, V>>>()
  private readonly byProcess = new Map<Behaviour.Process, Holding<K, V>>()
  private closed = false

  constructor(node: NodeService, kind: "unique" | "duplicate", name: string, listeners: ReadonlyArray<Target>) {
    this.node = node
    this.kind = kind
    this.name = name
    this.listeners = listeners
  }

  at(key: K): ReadonlyArray<LiveEntry<K, V>> {
    const entries = MutableHashMap.get(this.byKey, key)
    return Option.isNone(entries) ? [] : [...entries.value]
  }

  first(key: K): LiveEntry<K, V> | undefined {
    const entries = MutableHashMap.get(this.byKey, key)
    return Option.isNone(entries) ? undefined : entries.value.values().next().value
  }

  of(process: Behaviour.Process | undefined): ReadonlyArray<LiveEntry<K, V>> {
    const holding = process === undefined ? undefined : this.byProcess.get(process)
    return holding === undefined ? [] : [...holding.entries]
  }

  all(): ReadonlyArray<LiveEntry<K, V>> {
    return [...MutableHashMap.values(this.byKey)].flatMap((entries) => [...entries])
  }

  add(process: Behaviour.Process, key: K, value: V): Effect.Effect<void, RegistryError> {
    if (this.closed) {
      return Effect.die(new Error(`registry ${this.name}: its scope has closed, it takes no entry any more`))
    }
    const present = MutableHashMap.get(this.byKey, key)
    if (this.kind === "unique" && Option.isSome(present)) {
      const [holder] = present.value
      return Effect.fail(this.error(key, "AlreadyRegistered", holder!.pid.toString()))
    }
    const entry: LiveEntry<K, V> = { key, pid: process.pid, value, process }
    if (Option.isSome(present)) present.value.add(entry)
    else MutableHashMap.set(this.byKey, key, new Set([entry]))
    const holding = this.byProcess.get(process)
    if (holding === undefined) this.hold(process, entry)
    else holding.entries.add(entry)
    this.tell(Registered, entry)
    return Effect.void
  }

  /** The first entry of a process. */
  private hold(process: Behaviour.Process, entry: LiveEntry<K, V>): void {
    const holding: Holding<K, V> = { entries: new Set([entry]), unwatch: () => {} }
    this.byProcess.set(process, holding)
    holding.unwatch = Behaviour.watch(process, () => this.forget(process))
  }

  /** The process has ended. */
  private forget(process: Behaviour.Process): void {
    const holding = this.byProcess.get(process)
    if (holding === undefined) return
    this.byProcess.delete(process)
    for (const entry of holding.entries) this.drop(entry)
  }

  remove(entry: LiveEntry<K, V>): void {
    const holding = this.byProcess.get(entry.process)
    if (holding === undefined || !holding.entries.delete(entry)) return
    if (holding.entries.size === 0) {
      this.byProcess.delete(entry.process)
      holding.unwatch()
    }
    this.drop(entry)
  }

  private drop(entry: LiveEntry<K, V>): void {
    const entries = MutableHashMap.get(this.byKey, entry.key)
    if (Option.isSome(entries)) {
      entries.value.delete(entry)
      if (entries.value.size === 0) MutableHashMap.remove(this.byKey, entry.key)
    }
    this.tell(Unregistered, entry)
  }

  private tell(message: Message.Any, { key, pid, value }: Entry<K, V>): void {
    for (const listener of this.listeners) {
      const process = Behaviour.processAt(this.node, listener)
      if (process !== undefined) Behaviour.post(process, message, { registry: this.name, key, pid, value })
    }
  }

  error(key: K, reason: RegistryError["reason"], process: string): RegistryError {
    return new RegistryError({ registry: this.name, key, reason, process })
  }

  close(): void {
    this.closed = true
    for (const { unwatch } of this.byProcess.values()) unwatch()
    this.byProcess.clear()
    MutableHashMap.clear(this.byKey)
  }
}
