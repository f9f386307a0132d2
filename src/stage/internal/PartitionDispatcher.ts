/**
 * Each event to the partition of its hash. See `Dispatcher.partition`.
 *
 * @since 0.1.0
 */
import * as Hash from "effect/Hash"
import type {
  ConsumerId,
  ConsumerOptions,
  Delivery,
  Dispatched,
  Dispatcher,
  Dispatching,
  PartitionOptions,
  Refused,
  Step
} from "../Dispatcher.ts"
import * as Demands from "./Demands.ts"

type Key = number | string

/** A partition has events that wait, or demand that does, never both. */
interface Partition<E> {
  readonly queue: ReadonlyArray<E>
  readonly consumers: ReadonlyArray<Demands.Demand>
}

type Partitions<E> = ReadonlyMap<Key, Partition<E>>

class PartitionState<E> implements Dispatching<E> {
  readonly tickAfterMillis = undefined
  readonly wanted: number
  readonly held: number
  private readonly partitions: Partitions<E>
  private readonly hash: (event: E) => Key | undefined

  constructor(partitions: Partitions<E>, hash: (event: E) => Key | undefined) {
    this.partitions = partitions
    this.hash = hash
    let demand = 0
    let held = 0
    for (const { consumers, queue } of partitions.values()) {
      demand += Demands.total(consumers)
      held += queue.length
    }
    this.held = held
    this.wanted = Math.max(0, demand - held)
  }

  subscribe(id: ConsumerId, { partition }: ConsumerOptions<E>): Dispatching<E> | Refused {
    const known = partition === undefined ? undefined : this.partitions.get(partition)
    if (known === undefined) {
      return Demands.refused(
        partition === undefined
          ? `a subscription must say which partition it is for; there are ${this.names()}`
          : `there is no partition ${JSON.stringify(partition)}; there are ${this.names()}`
      )
    }
    return this.with(partition!, { ...known, consumers: [...known.consumers, { id, demand: 0 }] })
  }

  ask(id: ConsumerId, count: number): Step<E> {
    const key = this.find(id)
    if (key === undefined) return Demands.step(this)
    const { consumers, queue } = this.partitions.get(key)!
    const served = Demands.serve(Demands.add(consumers, id, count), queue)
    return Demands.step(this.with(key, { queue: served.leftover, consumers: served.consumers }), served.deliveries)
  }

  cancel(id: ConsumerId): Dispatching<E> {
    const key = this.find(id)
    if (key === undefined) return this
    const { consumers, queue } = this.partitions.get(key)!
    return this.with(key, { queue, consumers: Demands.without(consumers, id) })
  }

  dispatch(events: ReadonlyArray<E>): Dispatched<E> {
    if (this.wanted === 0) return { next: this, deliveries: Demands.none, leftover: events, discarded: 0 }
    const incoming = new Map<Key, Array<E>>()
    let taken = 0
    let at = 0
    for (; at < events.length && taken < this.wanted; at++) {
      const event = events[at]!
      const key = this.hash(event)
      if (key === undefined) continue
      const list = incoming.get(key)
      if (list !== undefined) list.push(event)
      else if (this.partitions.has(key)) incoming.set(key, [event])
      else {
        throw new Error(
          `the hash of an event gave the partition ${JSON.stringify(key)}, and there are only ${this.names()}. ` +
            "Let it return one of these, or undefined to discard the event"
        )
      }
      taken++
    }
    const partitions = new Map(this.partitions)
    const deliveries: Array<Delivery<E>> = []
    for (const [key, list] of incoming) {
      const { consumers, queue } = partitions.get(key)!
      const served = Demands.serve(consumers, list)
      deliveries.push(...served.deliveries)
      partitions.set(key, { queue: [...queue, ...served.leftover], consumers: served.consumers })
    }
    return {
      next: new PartitionState(partitions, this.hash),
      deliveries,
      leftover: at === events.length ? Demands.none : events.slice(at),
      discarded: at - taken
    }
  }

  tick(): Dispatching<E> {
    return this
  }

  private find(id: ConsumerId): Key | undefined {
    for (const [key, { consumers }] of this.partitions) {
      if (consumers.some((consumer) => consumer.id === id)) return key
    }
    return undefined
  }

  private with(key: Key, partition: Partition<E>): PartitionState<E> {
    return new PartitionState(new Map(this.partitions).set(key, partition), this.hash)
  }

  private names(): string {
    return [...this.partitions.keys()].join(", ")
  }
}

export const make = <E>({ hash, partitions }: PartitionOptions<E>): Dispatcher<E> => {
  const keys: ReadonlyArray<Key> = typeof partitions === "number"
    ? Array.from({ length: partitions }, (_, index) => index)
    : partitions
  if (keys.length === 0) throw new Error("a partition dispatcher needs at least one partition")
  const byHash = hash ?? ((event: E): Key => keys[(Hash.hash(event) >>> 0) % keys.length]!)
  return {
    name: "partition",
    begin: () => new PartitionState<E>(new Map(keys.map((key) => [key, { queue: [], consumers: [] }])), byHash)
  }
}
