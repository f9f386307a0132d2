/**
 * The node as a member of a cluster: everything of the local node, and the way to others.
 *
 * `layer` makes a node that speaks the distribution protocol of Erlang. Connections open when something is first sent to
 * another node, and every function that reaches a local process reaches a remote one as well: refs, `Process.send`,
 * links, monitors.
 *
 * Guarantees: when a connection is lost, every link, monitor and call to that node ends exactly once; pids of an
 * earlier life of a node are dead for ever; signals between two processes keep their order. Refused by default: weak
 * cookies and addresses beyond this host.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Address } from "../process/Address.ts"
import type { CallError } from "../process/CallError.ts"
import type * as Message from "../process/Message.ts"
import * as Local from "../process/Node.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as ProcessRef from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { DiscoveryService, NodeEndpoint } from "../process/Transport.ts"
import { isPid, type Pid } from "../term/Pid.ts"
import type { Term } from "../term/Term.ts"
import { ConnectError, NodeStartError } from "./DistError.ts"
import * as Epmd from "./Epmd.ts"
import { isNodeName } from "./Handshake.ts"
import { type Asked, askName } from "./internal/askName.ts"
import { type Compression, thresholdMin } from "./internal/compression.ts"
import { Distribution, type NodeEvent, type Settings } from "./internal/Distribution.ts"
import { limitsOf } from "./internal/limits.ts"
import * as Listeners from "./internal/listeners.ts"
import * as NetKernel from "./internal/NetKernel.ts"
import * as ownTerms from "./internal/ownTerms.ts"
import { RawTerm } from "./internal/RawTerm.ts"
import * as Services from "./internal/Services.ts"
import { Network } from "./Network.ts"
import type * as Tls from "./Tls.ts"

export * from "../process/Node.ts"

/**
 * A coming or going: a connection to another node was opened or lost. As a message, `NodeUp` and `NodeDown` are what a
 * process receives that asked for them.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = NodeEvent

/**
 * Where a node listens for others.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListenOptions {
  /** The address: `127.0.0.1`, which only this host can reach. */
  readonly host?: string | undefined
  /** The port, or the range in which the first free one is taken; by default any free port. */
  readonly port?: number | { readonly from: number; readonly to: number } | undefined
  /** Whether to listen beyond this host although nothing is encrypted: no. */
  readonly allowPlaintext?: boolean | undefined
  /** The certificates of this listener: those of the node. With `false`, nothing is encrypted here. */
  readonly tls?: Tls.Options | Tls.Credentials | false | undefined
  /** The cookie of who comes in here, unless `cookies` has one for the node: that of this node. */
  readonly cookie?: Redacted.Redacted<string> | undefined
}

/**
 * The way to a node that is known from the start.
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteOptions {
  /** Where it listens: the host of its name. */
  readonly host?: string | undefined
  /** The port; without one it is looked up, and only the rest holds. */
  readonly port?: number | undefined
  /** The certificates that are used there: those of the node. With `false`, nothing is encrypted. */
  readonly tls?: Tls.Options | Tls.Credentials | false | undefined
  /** The cookie that is used there: the one in `cookies`, else that of this node. */
  readonly cookie?: Redacted.Redacted<string> | undefined
}

/**
 * Limits on what comes from and waits for another node.
 *
 * @category models
 * @since 0.1.0
 */
export interface LimitOptions {
  /** Bytes of one packet: 128 MiB. */
  readonly maxFrameBytes?: number | undefined
  /** Bytes of unfinished fragmented messages per connection: 256 MiB. None may stand still: see `netTickTime`. */
  readonly maxFragmentBytes?: number | undefined
  /** Unfinished fragmented messages per connection: 1024. */
  readonly maxFragments?: number | undefined
  /** Bytes of those of which less than 64 KiB have come behind their first fragment, per connection: 64 MiB. */
  readonly maxBegunBytes?: number | undefined
  /** Bytes that may wait for a peer before senders wait: 8 MiB. One large message may exceed it. */
  readonly maxOutputBytes?: number | undefined
  /** Bytes that may wait for a peer in all, replies and signals included, before it counts as lost: 512 MiB. */
  readonly maxStalledBytes?: number | undefined
  /** Bytes of a compressed message when it is inflated: 64 MiB. */
  readonly maxInflatedBytes?: number | undefined
  /** Levels of nesting in one term: 1 048 576. */
  readonly maxDepth?: number | undefined
  /** Elements of all lists, tuples and maps of one term: 16 777 216. */
  readonly maxElements?: number | undefined
  /** Incoming handshakes under way: 1000. With one more, the address that has the most of them loses its oldest. */
  readonly maxPendingHandshakes?: number | undefined
  /** Incoming handshakes under way of one address: 256. With one more, it loses its oldest. */
  readonly maxPendingPerAddress?: number | undefined
  /** Connections: 4096. Further nodes are refused, those that are known keep theirs. */
  readonly maxConnections?: number | undefined
  /** Own attempts to connect under way: 1000. What would need one more ends as if the node were down. */
  readonly maxAttempts?: number | undefined
  /** Processes of this node beyond which calls and spawns of others are refused (`system_limit`): 262 144. */
  readonly maxProcesses?: number | undefined
  /** Links between this node and one other: 1 000 000. With one more, its connection is closed. */
  readonly maxLinks?: number | undefined
  /** Monitors that the processes of one other node hold here: 1 000 000. With one more, its connection is closed. */
  readonly maxMonitors?: number | undefined
  /** Atoms that are remembered per connection, to be recognised without building their text again: 2048. */
  readonly maxAtoms?: number | undefined
}

/**
 * How messages are compressed on their way to other nodes.
 *
 * Only messages of at most 4 MiB are: compressing holds the node up. What does not get smaller is sent as it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompressionOptions {
  /** 1, fast, to 9, small: 6. */
  readonly level?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | undefined
  /** Bytes of a message from which on it is compressed: 1024, which is also the least. */
  readonly threshold?: number | undefined
}

const compressionOf = (options: CompressionOptions | boolean | undefined): Compression | undefined => {
  if (options === undefined || options === false) return undefined
  const { level = 6, threshold = thresholdMin } = options === true ? {} : options
  return { level, threshold: Math.max(thresholdMin, threshold) }
}

/**
 * Options of a node in a cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions {
  /** `name@host`. Other nodes reach this one under `host`. */
  readonly name: string
  /**
   * A node that gives this one its name (it must allow that: `dynamicNames`, or any node of Erlang). Of `name` only the host
   * counts. The node is hidden, does not listen, and is connected to the one that gave the name.
   */
  readonly nameFrom?: string | undefined
  /** The secret that all nodes of the cluster share, at least 16 bytes. */
  readonly cookie: Redacted.Redacted<string>
  /** Other cookies for single nodes. */
  readonly cookies?: { readonly [node: string]: Redacted.Redacted<string> } | undefined
  /** Whether a short or well-known cookie is accepted: no. For clusters whose cookie cannot be changed, and for tests. */
  readonly allowWeakCookie?: boolean | undefined
  /**
   * Certificates: with them all connections are encrypted, in both directions, and both sides verify each other. See `Tls`
   * for what is verified, for certificates in files, and for how to change them while the node runs.
   */
  readonly tls?: Tls.Options | Tls.Credentials | undefined
  /** Where to listen; `false` not at all. Of several listeners the first is the one that others find by the node's name. */
  readonly listen?: ListenOptions | ReadonlyArray<ListenOptions> | false | undefined
  /** Whether the node stays out of `nodes()` of its peers and of what they tell each other: no. */
  readonly hidden?: boolean | undefined
  /** How nodes find each other: EPMD, as Erlang does it, or a discovery of your own. */
  readonly discovery?: Epmd.Options | DiscoveryService | undefined
  /** The ways to single nodes: where they listen, so that nobody is asked, and what is different there. */
  readonly routes?: { readonly [node: string]: RouteOptions } | undefined
  /** Which nodes may be connected, in both directions: all that know the cookie. */
  readonly allow?: ((node: string) => boolean) | undefined
  /** Whether nodes that have no name may ask for one: no. */
  readonly dynamicNames?: boolean | undefined
  /**
   * After how long without a sign of life a peer counts as lost: 60 seconds. It must be the same on all nodes. A packet or
   * message that was begun must be complete, or have gone on by 64 KiB, within three quarters of it.
   */
  readonly netTickTime?: Duration.Input | undefined
  /** How long a connection may take to be set up, the handshake included: 7 seconds. */
  readonly setupTime?: Duration.Input | undefined
  readonly limits?: LimitOptions | undefined
  /**
   * Whether and how the messages of processes are compressed on their way to other nodes of this runtime; Erlang cannot read
   * such messages and is never sent any. By default not. A process may say otherwise: see `setCompression`.
   */
  readonly compression?: CompressionOptions | boolean | undefined
  /** As for a local node. */
  readonly killGrace?: Duration.Input | undefined
}

const distributions = new WeakMap<Local.Service["runtime"], Distribution>()

const weakCookies: ReadonlySet<string> = new Set(["nocookie", "monster", "cookie", "secret", "changeme", "password"])

const checked = (options: LayerOptions): Effect.Effect<Omit<Settings, "routes" | "tls">, NodeStartError> =>
  Effect.suspend(() => {
    const { name } = options
    const refuse = (reason: NodeStartError["reason"], detail: string): Effect.Effect<never, NodeStartError> =>
      Effect.fail(new NodeStartError({ node: name, reason, detail }))
    if (!isNodeName(name)) return refuse("BadName", "a node is called name@host")
    const cookie = Redacted.value(options.cookie)
    const cookies = new Map(Object.entries(options.cookies ?? {}).map(([node, value]) => [node, Redacted.value(value)]))
    for (const value of [cookie, ...cookies.values(), ...Listeners.furtherCookies(options)]) {
      if (options.allowWeakCookie === true && value.length > 0) continue
      if (value.length < 16 || weakCookies.has(value) || new Set(value).size < 4) {
        return refuse(
          "BadCookie",
          "a cookie has at least 16 bytes that nobody can guess: whoever knows it controls the node. " +
            "Take one from a generator of random bytes, or set allowWeakCookie"
        )
      }
    }
    const tickMillis = Duration.toMillis(Duration.fromInputUnsafe(options.netTickTime ?? "60 seconds"))
    return Effect.succeed({
      hidden: options.hidden === true,
      cookieOf: (peer: string, ofWay?: string | undefined) => cookies.get(peer) ?? ofWay ?? cookie,
      allow: options.allow ?? (() => true),
      tickMillis: Math.max(1000, tickMillis),
      setupMillis: Duration.toMillis(Duration.fromInputUnsafe(options.setupTime ?? "7 seconds")),
      dynamicNames: options.dynamicNames === true,
      compression: compressionOf(options.compression),
      ...limitsOf(options.limits)
    })
  })

const isDiscovery = (u: Epmd.Options | DiscoveryService | undefined): u is DiscoveryService =>
  u !== undefined && "resolve" in u

/**
 * Makes a node of a cluster in the surrounding scope. See {@link layer}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDistributed: (
  options: LayerOptions
) => Effect.Effect<Local.Service, NodeStartError, Network | Scope.Scope> = Effect.fnUntraced(
  function*(given: LayerOptions) {
    const options = given.nameFrom === undefined ? given : { ...given, hidden: true, listen: false as const }
    const basic = yield* checked(options)
    const { listeners, routes, tls } = yield* Listeners.prepare(options)
    const settings: Settings = { ...basic, routes, tls }
    const network = yield* Network
    const scope = yield* Effect.scope
    const discovery = isDiscovery(options.discovery) ? options.discovery : yield* Epmd.make(options.discovery)
    // Closed after the node has stopped: its processes say goodbye over its connections.
    const wire = yield* Scope.fork(scope)
    const inWire = Scope.provide(wire)

    let asked: Asked | undefined
    let adopted = false
    if (options.nameFrom !== undefined) {
      const { name, nameFrom } = options
      const answer = yield* Effect.mapError(
        askName(nameFrom, name.slice(name.indexOf("@") + 1), settings, network, discovery),
        (detail) => new NodeStartError({ node: name, reason: "NoName", detail: `${nameFrom} gave none: ${detail}` })
      )
      asked = answer
      yield* Scope.addFinalizer(wire, Effect.sync(() => adopted || answer.link.close()))
    }
    const name = asked?.name ?? options.name

    let distribution: Distribution | undefined
    const refuse = (reason: NodeStartError["reason"], detail: string) =>
      new NodeStartError({ node: name, reason, detail })

    let creation = asked?.creation ?? 0
    const ports: Array<number> = []
    for (const listener of listeners) {
      const port = yield* inWire(Effect.mapError(
        Listeners.open(
          network,
          listener,
          (link) => distribution === undefined ? link.close() : distribution.accept(link, listener)
        ),
        (error) => refuse("Listen", error.message)
      ))
      ports.push(port)
    }
    const [first] = listeners
    if (first !== undefined) {
      const endpoint: NodeEndpoint = {
        name: name.slice(0, name.indexOf("@")),
        host: first.host,
        port: ports[0]!,
        attributes: { hidden: settings.hidden, tls: first.tls !== undefined }
      }
      const registered = yield* inWire(
        Effect.mapError(discovery.register(endpoint), (error) =>
          error.message === "taken"
            ? refuse("NameTaken", "another node is registered under this name")
            : refuse("Discovery", error.message))
      )
      creation = registered.creation
    }
    // Nobody gave a number: a random one tells this life of the node from others.
    if (creation === 0) creation = (network.randomUint32() | 4) >>> 0

    const node = yield* Local.make({
      name,
      creation,
      ...(options.killGrace === undefined ? {} : { killGrace: options.killGrace })
    })
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    distribution = new Distribution(
      node,
      settings,
      network,
      discovery,
      Context.omit(Scope.Scope)(context as Context.Context<Scope.Scope>),
      clock
    )
    const made = distribution
    yield* inWire(Local.watchLoop(node))
    made.inbound = yield* inWire(Local.attach(node, made.transport))
    distributions.set(node.runtime, made)
    yield* Scope.addFinalizer(wire, Effect.sync(() => made.shutdown()))
    yield* Services.start(node, made)
    if (asked !== undefined) {
      adopted = true
      made.adopt(asked)
    }
    return node
  }
)

/**
 * A node of a cluster of Erlang, Elixir and effect-otp nodes.
 *
 * It needs a `Network`: `NodeNetwork.layer` on Node.js.
 *
 * @example
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { Node } from "effect-otp/dist"
 * import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
 *
 * const NodeLive = Node.layer({
 *   name: "shop@127.0.0.1",
 *   cookie: Redacted.make("k6vQ0yq9c2h1uYw7")
 * }).pipe(Layer.provide(NodeNetwork.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Local.Node, NodeStartError, Network> =>
  Layer.effect(Local.Node, makeDistributed(options))

/**
 * Where a remote process is: its pid, or its name and node.
 *
 * @category models
 * @since 0.1.0
 */
export type RemoteAddress =
  | { readonly pid: Pid }
  | { readonly name: string; readonly node: string }

/**
 * The typed client of a process of another node, by name or pid. Nothing is sent and no connection is opened before the
 * first message.
 *
 * @category clients
 * @since 0.1.0
 */
export const remote: {
  <N extends string, M extends Message.Any>(
    protocol: Protocol.Protocol<N, M>,
    address: { readonly name: string; readonly node: string }
  ): Effect.Effect<ProcessRef.NamedRef<M>, never, Local.Node>
  <N extends string, M extends Message.Any>(
    protocol: Protocol.Protocol<N, M>,
    address: { readonly pid: Pid }
  ): Effect.Effect<ProcessRef.ProcessRef<M>, never, Local.Node>
} = <N extends string, M extends Message.Any>(protocol: Protocol.Protocol<N, M>, address: RemoteAddress): never =>
  ("pid" in address ? ProcessRef.fromPid(protocol, address.pid) : ProcessRef.named(protocol, address)) as never // by overload

/**
 * Calls any process with any term (`gen_server:call/3`) and gives the reply as it came. 5 seconds unless said
 * otherwise.
 *
 * @category clients
 * @since 0.1.0
 */
export const callTerm = (
  to: Address,
  request: Term,
  options?: ProcessRef.CallOptions
): Effect.Effect<Term, CallError, Local.Node> =>
  Effect.flatMap(Local.Node, (node) =>
    ownTerms.call(node, to, request, options) ?? Effect.flatMap(
      rawRef(to),
      // The reply of a raw call is a term.
      (ref) => ref.Call(request, options) as Effect.Effect<Term, CallError>
    ))

/**
 * Casts any term to any process (`gen_server:cast/2`).
 *
 * @category clients
 * @since 0.1.0
 */
export const castTerm = (to: Address, request: Term): Effect.Effect<void, never, Local.Node> =>
  Effect.flatMap(
    Local.Node,
    (node) => ownTerms.cast(node, to, request) ?? Effect.flatMap(rawRef(to), (ref) => ref.Cast(request))
  )

const rawRef = (to: Address): Effect.Effect<ProcessRef.Ref<never> & RawClient, never, Local.Node> =>
  // The refs by pid and by name have the same methods.
  (isPid(to) || !("name" in to)
    ? ProcessRef.fromPid(RawTerm, to as Pid)
    : ProcessRef.named(RawTerm, to)) as unknown as Effect.Effect<ProcessRef.Ref<never> & RawClient, never, Local.Node>

interface RawClient {
  Call(request: unknown, options?: ProcessRef.CallOptions): Effect.Effect<unknown, CallError>
  Cast(request: unknown): Effect.Effect<void>
}

const distributionOf: Effect.Effect<Distribution | undefined, never, Local.Node> = Effect.map(
  Local.Node,
  ({ runtime }) => distributions.get(runtime)
)

/**
 * Opens a connection to a node, unless there is one.
 *
 * @category connections
 * @since 0.1.0
 */
export const connect = (node: string): Effect.Effect<void, ConnectError, Local.Node> =>
  Effect.flatMap(distributionOf, (distribution) =>
    distribution === undefined
      ? Effect.fail(new ConnectError({ node, detail: "this node is local: make it with Node.layer" }))
      : distribution.connect(node))

/**
 * Closes the connection to a node, with all that this means for links, monitors and calls. False when there was none.
 *
 * @category connections
 * @since 0.1.0
 */
export const disconnect = (node: string): Effect.Effect<boolean, never, Local.Node> =>
  Effect.map(distributionOf, (distribution) => distribution?.disconnect(node) ?? false)

/**
 * The names of the connected nodes: the visible ones unless said otherwise.
 *
 * @category connections
 * @since 0.1.0
 */
export const nodes = (
  type: "visible" | "hidden" | "all" = "visible"
): Effect.Effect<ReadonlyArray<string>, never, Local.Node> =>
  Effect.map(distributionOf, (distribution) => distribution?.connected(type) ?? [])

/**
 * Whether a node can be reached and welcomes this one (`net_adm:ping/1`).
 *
 * @category connections
 * @since 0.1.0
 */
export const ping = (node: string): Effect.Effect<"pong" | "pang", never, Local.Node> =>
  Effect.gen(function*() {
    const self = yield* Local.Node
    if (node === self.name) return "pong"
    const kernel = yield* ProcessRef.named(NetKernel.NetKernel, { name: "net_kernel", node })
    return yield* Effect.match(kernel.is_auth({ node: self.name }, { timeout: "8 seconds" }), {
      onFailure: () => "pang" as const,
      onSuccess: () => "pong" as const
    })
  })

/**
 * What a node has to do with others, and how often something that came from outside was turned away, since it started.
 *
 * @category models
 * @since 0.1.0
 */
export interface NetworkStatistics {
  /** Connections that are open. */
  readonly connections: number
  /** Incoming handshakes under way. */
  readonly pendingHandshakes: number
  /** Own attempts to connect under way. */
  readonly attempts: number
  /** Incoming handshakes that made room for others. */
  readonly evictedHandshakes: number
  /** Incoming handshakes that came to nothing, for whatever reason. */
  readonly failedHandshakes: number
  /** Incoming handshakes with a wrong cookie. */
  readonly wrongCookies: number
  /** Nodes that were refused because there are as many connections as there may be. */
  readonly refusedConnections: number
  /** Own attempts that were not begun because there were as many as there may be. */
  readonly refusedAttempts: number
  /** Connections that this node closed: silence, malformed packets, a limit. */
  readonly closedConnections: number
}

/**
 * The counters of a node's connections; undefined for a local node.
 *
 * @category connections
 * @since 0.1.0
 */
export const networkStatistics: Effect.Effect<NetworkStatistics | undefined, never, Local.Node> = Effect.map(
  distributionOf,
  (distribution) => distribution?.statistics()
)

/**
 * The comings and goings of other nodes, from now on.
 *
 * @category connections
 * @since 0.1.0
 */
export const events: Stream.Stream<Event, never, Local.Node> = Stream.unwrap(
  Effect.map(distributionOf, (distribution) =>
    distribution === undefined
      ? Stream.never
      : Stream.callback<Event>((queue) =>
        Effect.acquireRelease(
          Effect.sync(() => distribution.subscribe((event) => Queue.offerUnsafe(queue, event))),
          (stop) => Effect.sync(stop)
        )
      ))
)

/**
 * Has the comings and goings of other nodes sent to the calling process as messages (`net_kernel:monitor_nodes/1`),
 * until the surrounding scope closes: in a process, until it ends.
 *
 * @category connections
 * @since 0.1.0
 */
export const monitorNodes: Effect.Effect<void, never, Local.Node | CurrentProcess | Scope.Scope> = Effect.gen(
  function*() {
    const { runtime } = yield* Local.Node
    const distribution = yield* distributionOf
    if (distribution === undefined) return
    const pid = runtime.pidOf(Fiber.getCurrent()!)
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        distribution.subscribe((event) => {
          Effect.runForkWith(runtime.context)(Effect.ignore(runtime.sendFrom(undefined, pid, event)))
        })
      ),
      (stop) => Effect.sync(stop)
    )
  }
)

/**
 * Has the messages of the calling process compressed on their way to other nodes of this runtime, or not, whatever the
 * node does otherwise; until the surrounding scope closes: in a process, until it ends.
 *
 * @category connections
 * @since 0.1.0
 */
export const setCompression = (
  options: CompressionOptions | boolean
): Effect.Effect<void, never, Local.Node | CurrentProcess | Scope.Scope> =>
  Effect.gen(function*() {
    const { runtime } = yield* Local.Node
    const distribution = yield* distributionOf
    if (distribution === undefined) return
    const pid = runtime.pidOf(Fiber.getCurrent()!)
    yield* Effect.acquireRelease(
      Effect.sync(() => distribution.compressions.set(pid, compressionOf(options))),
      (undo) => Effect.sync(undo)
    )
  })

/** @internal */
export const distributionUnsafe = (node: Local.Service): Distribution | undefined => distributions.get(node.runtime)
