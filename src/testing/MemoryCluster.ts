/**
 * Nodes in one program, connected by memory: what crosses from one to another goes through `Transport`, as it would on
 * the wire, but values are passed as they are.
 *
 * Guarantees: what one node sends to another arrives in order, never in the turn of its sender; the scheduler decides
 * between connections. A connection that is cut loses what is under way, and both sides learn of it once. After a
 * restart a node has its old name and a new creation, so that its old pids reach nobody.
 *
 * Refuses: to encode anything. Whether a message survives the wire is tested elsewhere.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import type { Address } from "../process/Address.ts"
import { noConnection } from "../process/ExitReason.ts"
import { type Any as AnyMessage, toValue } from "../process/Message.ts"
import * as Node from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { Inbound, InboundRequest, NodeChange, TransportService } from "../process/Transport.ts"
import { make as makeServices, whileTimePasses } from "./internal/TestControls.ts"

/** What is on its way, and what was lost when connections were cut. */
interface Counts {
  underWay: number
  lost: number
}

/** One direction of a connection. */
class Lane {
  /** The node to which it leads. */
  readonly to: Member
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly counts: Counts
  private open = true

  constructor(to: Member, dispatcher: Scheduler.SchedulerDispatcher, counts: Counts) {
    this.to = to
    this.dispatcher = dispatcher
    this.counts = counts
  }

  /** Hands something to the other node, in a turn of its own. */
  post(deliver: (inbound: Inbound) => void): void {
    this.counts.underWay++
    this.dispatcher.scheduleTask(() => {
      this.counts.underWay--
      if (this.open) deliver(this.to.inbound)
      else this.counts.lost++
    }, 0)
  }

  close(): void {
    this.open = false
  }
}

/** A node with what belongs to it. */
class Member {
  readonly node: Node.Service
  readonly scope: Scope.Closeable
  /** Lanes to the connected nodes, by their name. */
  readonly lanes: Map<string, Lane> = new Map()
  /** What the transport tells its own node. */
  readonly home: Lane
  readonly transport: TransportService
  readonly listeners: Set<(change: NodeChange) => void> = new Set()
  inbound!: Inbound // set as soon as the transport is attached

  constructor(node: Node.Service, scope: Scope.Closeable, dispatcher: Scheduler.SchedulerDispatcher, counts: Counts) {
    this.node = node
    this.scope = scope
    this.home = new Lane(this, dispatcher, counts)
    this.transport = transportOf(this)
  }

  /** Tells that another node has come or gone. */
  tell(_tag: NodeChange["_tag"], node: string): void {
    for (const listener of [...this.listeners]) listener({ _tag, node, hidden: false })
  }
}

/** The sending half of the connections of a node. */
const transportOf = (member: Member): TransportService => {
  const laneTo = (address: Address): Lane | undefined => member.lanes.get(address.node!)
  return {
    nodes: () => [...member.lanes.keys()],
    isConnected: (node) => member.lanes.has(node),
    subscribe: (listener) => {
      member.listeners.add(listener)
      return () => void member.listeners.delete(listener)
    },
    send: (from, to, message) => {
      const lane = laneTo(to)
      if (lane === undefined) return Effect.fail({ _tag: "NodeDown" })
      switch (message._tag) {
        case "Call": {
          const request: InboundRequest = {
            caller: from,
            ...requestOf(message.message, message.payload),
            // The answer comes back on the lane of the node that gives it, if there still is one.
            reply: (_, exit) =>
              lane.to.lanes.get(member.node.name)?.post((inbound) => {
                inbound.reply(message.reply, () => exit, lane.to.node.name)
              })
          }
          lane.post((inbound) => void inbound.call(to, request))
          break
        }
        case "Cast": {
          const request = requestOf(message.message, message.payload)
          lane.post((inbound) => void inbound.cast(to, request))
          break
        }
        case "Info": {
          const request = requestOf(message.message, message.payload)
          lane.post((inbound) => void inbound.info(to, request))
          break
        }
        case "Term":
          lane.post((inbound) => void inbound.deliver(to, message.value))
          break
        case "Reply":
          return Effect.die(new Error("a reply goes back through the request that it answers"))
      }
      return Effect.void
    },
    link: (from, to) => {
      const lane = laneTo(to)
      if (lane === undefined) member.home.post((home) => home.exit(to, from, noConnection(to.node), "link"))
      else lane.post((inbound) => inbound.link(from, to))
    },
    unlink: (from, to) => laneTo(to)?.post((inbound) => inbound.unlink(from, to)),
    exit: (from, to, reason, kind) => laneTo(to)?.post((inbound) => inbound.exit(from, to, reason, kind)),
    monitor: (from, to, ref) => {
      const lane = laneTo(to)
      if (lane === undefined) member.home.post((home) => home.down(ref, noConnection(to.node!)))
      else lane.post((inbound) => inbound.monitor(from, to, ref))
    },
    demonitor: (from, to, ref) => laneTo(to)?.post((inbound) => inbound.demonitor(from, ref)),
    down: (to, _of, ref, reason) => laneTo(to)?.post((inbound) => inbound.down(ref, reason))
  }
}

/** A request as the other node sees it: its message is found among those of the receiver, by tag and kind. */
const requestOf = (message: AnyMessage, payload: unknown): Pick<InboundRequest, "raw" | "decode"> => ({
  raw: toValue(message, payload),
  decode: (messages) => {
    const found = messages.find((other) => other._tag === message._tag && other.kind === message.kind)
    return found === undefined ? undefined : { message: found, payload }
  }
})

/**
 * Options of a cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<Node.Options, "name" | "creation"> {
  /** What decides the order of everything; without one fibers take turns. */
  readonly seed?: number
}

/**
 * A cluster in memory, as its tests see it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** The names of the nodes that run. */
  readonly names: ReadonlyArray<string>
  /** A node by its name; a name that is not of the cluster, or whose node was killed, is a defect. */
  node(name: string): Node.Service
  /** Runs an effect on a node. */
  on<A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Node.Node>>
  /** Cuts the connection of two nodes. What is under way is lost; both learn that the other is gone. */
  disconnect(a: string, b: string): Effect.Effect<void>
  /** Connects two nodes again. */
  connect(a: string, b: string): Effect.Effect<void>
  /** Ends a node without a word: its connections are cut, then its processes are killed. */
  kill(name: string): Effect.Effect<void>
  /** Starts a node that was killed: the same name, another creation, connected to all others. */
  restart(name: string): Effect.Effect<Node.Service>
  /** How many signals are on their way between nodes. */
  readonly underWay: number
  /** How many signals were lost when connections were cut. */
  readonly lost: number
}

const MemoryClusterBase: Context.ServiceClass<MemoryCluster, "effect-otp/testing/MemoryCluster", Service> = Context
  .Service<MemoryCluster, Service>()("effect-otp/testing/MemoryCluster")

/**
 * The cluster of a test.
 *
 * @category services
 * @since 0.1.0
 */
export class MemoryCluster extends MemoryClusterBase {}

class Cluster implements Service {
  readonly counts: Counts = { underWay: 0, lost: 0 }
  readonly members: Map<string, Member> = new Map()
  readonly creations: Map<string, number> = new Map()
  private readonly scope: Scope.Scope
  private readonly options: Options | undefined
  private readonly context: Context.Context<never>

  constructor(scope: Scope.Scope, options: Options | undefined, context: Context.Context<never>) {
    this.scope = scope
    this.options = options
    this.context = context
  }

  get names(): ReadonlyArray<string> {
    return [...this.members.keys()]
  }

  get underWay(): number {
    return this.counts.underWay
  }

  get lost(): number {
    return this.counts.lost
  }

  member(name: string): Member {
    const member = this.members.get(name)
    if (member === undefined) {
      throw new Error(`there is no node ${name} in the cluster; there are ${this.names.join(", ") || "none"}`)
    }
    return member
  }

  node(name: string): Node.Service {
    return this.member(name).node
  }

  on<A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Node.Node>> {
    return Effect.suspend(() => Effect.provideService(effect, Node.Node, this.node(name)))
  }

  disconnect(a: string, b: string): Effect.Effect<void> {
    return Effect.sync(() => this.cut(this.member(a), this.member(b)))
  }

  connect(a: string, b: string): Effect.Effect<void> {
    return Effect.sync(() => this.join(this.member(a), this.member(b)))
  }

  kill(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const member = this.member(name)
      this.members.delete(name)
      for (const other of this.members.values()) this.cut(member, other)
      const killAll = Effect.flatMap(Node.processes, (pids) => Effect.forEach(pids, Process.kill, { discard: true }))
      return Effect.andThen(
        Effect.provideService(killAll, Node.Node, member.node),
        Scope.close(member.scope, Exit.void)
      )
    })
  }

  restart(name: string): Effect.Effect<Node.Service> {
    return Effect.suspend(() => this.members.has(name) ? this.kill(name) : Effect.void).pipe(
      Effect.andThen(this.start(name))
    )
  }

  /** Starts a node and connects it to the others. */
  start(name: string): Effect.Effect<Node.Service> {
    return Effect.gen({ self: this }, function*() {
      const creation = (this.creations.get(name) ?? 0) + 1
      this.creations.set(name, creation)
      const scope = yield* Scope.fork(this.scope)
      const inScope = <A>(effect: Effect.Effect<A, never, Scope.Scope>): Effect.Effect<A> =>
        Effect.provideContext(Effect.provideService(effect, Scope.Scope, scope), this.context)
      const node = yield* inScope(Node.make({ ...this.options, name, creation }))
      const member = new Member(node, scope, this.dispatcher(), this.counts)
      member.inbound = yield* inScope(Node.attach(node, member.transport))
      for (const other of this.members.values()) this.join(member, other)
      this.members.set(name, member)
      return node
    })
  }

  /** A dispatcher of its own for each lane, so that a seed can permute lanes and not what is in them. */
  private dispatcher(): Scheduler.SchedulerDispatcher {
    return Context.get(this.context, Scheduler.Scheduler).makeDispatcher()
  }

  private join(a: Member, b: Member): void {
    if (a === b || a.lanes.has(b.node.name)) return
    a.lanes.set(b.node.name, new Lane(b, this.dispatcher(), this.counts))
    b.lanes.set(a.node.name, new Lane(a, this.dispatcher(), this.counts))
    a.tell("NodeUp", b.node.name)
    b.tell("NodeUp", a.node.name)
  }

  private cut(a: Member, b: Member): void {
    if (!a.lanes.has(b.node.name)) return
    a.lanes.get(b.node.name)!.close()
    b.lanes.get(a.node.name)!.close()
    a.lanes.delete(b.node.name)
    b.lanes.delete(a.node.name)
    a.inbound.nodeDown(b.node.name)
    b.inbound.nodeDown(a.node.name)
    a.tell("NodeDown", b.node.name)
    b.tell("NodeDown", a.node.name)
  }
}

/**
 * A cluster of nodes with these names (`name@host`), all connected, under the test clock and a seed, as in
 * `TestNode.layer`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Process } from "effect-otp"
 * import { MemoryCluster, Probe } from "effect-otp/testing"
 *
 * const test = Effect.gen(function*() {
 *   const cluster = yield* MemoryCluster.MemoryCluster
 *   const there = yield* cluster.on("b@test", Process.spawnDetached(() => Effect.never))
 *   const probe = yield* cluster.on("a@test", Probe.make())
 *   yield* probe.monitor(there)
 *   yield* cluster.disconnect("a@test", "b@test")
 *   yield* probe.expectDown({ of: there, reason: "NoConnection" })
 * }).pipe(Effect.scoped, Effect.provide(MemoryCluster.layer(["a@test", "b@test"], { seed: 1 })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (names: ReadonlyArray<string>, options?: Options): Layer.Layer<MemoryCluster> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const context = yield* makeServices(options?.seed)
      const cluster = yield* whileTimePasses(
        Effect.gen(function*() {
          // One scope for all nodes, so that those that are started later close with the others.
          const nodes = yield* Scope.fork(yield* Effect.scope)
          const made = new Cluster(nodes, options, context)
          for (const name of names) yield* made.start(name)
          return made
        }),
        context
      )
      return Context.add(context, MemoryCluster, cluster)
    })
  )
