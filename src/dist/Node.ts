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
import * as GenServer from "../otp/GenServer.ts"
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
import { Distribution, type NodeEvent, type Settings } from "./internal/Distribution.ts"
import * as NetKernel from "./internal/NetKernel.ts"
import { RawTerm } from "./internal/RawTerm.ts"
import { Network, type NetworkError } from "./Network.ts"

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
  /** Bytes of unfinished fragmented messages per connection: 256 MiB. */
  readonly maxFragmentBytes?: number | undefined
  /** Unfinished fragmented messages per connection: 1024. */
  readonly maxFragments?: number | undefined
  /** Bytes that may wait for a peer before senders wait: 8 MiB. One large message may exceed it. */
  readonly maxOutputBytes?: number | undefined
  /** Bytes that may wait for a peer in all, replies and signals included, before it counts as lost: 512 MiB. */
  readonly maxStalledBytes?: number | undefined
  /** Levels of nesting in one term: 1 048 576. */
  readonly maxDepth?: number | undefined
  /** Handshakes under way: 1000. */
  readonly maxPendingHandshakes?: number | undefined
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
  /** The secret that all nodes of the cluster share, at least 16 bytes. */
  readonly cookie: Redacted.Redacted<string>
  /** Other cookies for single nodes. */
  readonly cookies?: { readonly [node: string]: Redacted.Redacted<string> } | undefined
  /** Whether a short or well-known cookie is accepted: no. For clusters whose cookie cannot be changed, and for tests. */
  readonly allowWeakCookie?: boolean | undefined
  /** Where to listen; `false` not at all. */
  readonly listen?: ListenOptions | false | undefined
  /** Whether the node stays out of `nodes()` of its peers and of what they tell each other: no. */
  readonly hidden?: boolean | undefined
  /** How nodes find each other: EPMD, as Erlang does it, or a discovery of your own. */
  readonly discovery?: Epmd.Options | DiscoveryService | undefined
  /** Nodes whose address is known without asking. */
  readonly routes?: { readonly [node: string]: { readonly host: string; readonly port: number } } | undefined
  /** Which nodes may be connected, in both directions: all that know the cookie. */
  readonly allow?: ((node: string) => boolean) | undefined
  /** Whether nodes that have no name may ask for one: no. */
  readonly dynamicNames?: boolean | undefined
  /** After how long without a sign of life a peer counts as lost: 60 seconds. It must be the same on all nodes. */
  readonly netTickTime?: Duration.Input | undefined
  /** How long a connection may take to be set up, the handshake included: 7 seconds. */
  readonly setupTime?: Duration.Input | undefined
  readonly limits?: LimitOptions | undefined
  /** As for a local node. */
  readonly killGrace?: Duration.Input | undefined
}

const distributions = new WeakMap<Local.Service["runtime"], Distribution>()

const weakCookies: ReadonlySet<string> = new Set(["nocookie", "monster", "cookie", "secret", "changeme", "password"])

const mebibyte = 1024 * 1024

const checked = (options: LayerOptions): Effect.Effect<Settings, NodeStartError> =>
  Effect.suspend(() => {
    const { name } = options
    const refuse = (reason: NodeStartError["reason"], detail: string): Effect.Effect<never, NodeStartError> =>
      Effect.fail(new NodeStartError({ node: name, reason, detail }))
    if (!isNodeName(name)) return refuse("BadName", "a node is called name@host")
    const cookie = Redacted.value(options.cookie)
    const cookies = new Map(Object.entries(options.cookies ?? {}).map(([node, value]) => [node, Redacted.value(value)]))
    for (const value of [cookie, ...cookies.values()]) {
      if (options.allowWeakCookie === true && value.length > 0) continue
      if (value.length < 16 || weakCookies.has(value) || new Set(value).size < 4) {
        return refuse(
          "BadCookie",
          "a cookie has at least 16 bytes that nobody can guess: whoever knows it controls the node. " +
            "Take one from a generator of random bytes, or set allowWeakCookie"
        )
      }
    }
    const host = options.listen === false ? "127.0.0.1" : options.listen?.host ?? "127.0.0.1"
    if (!/^(127\.|::1$|localhost$)/.test(host) && (options.listen as ListenOptions).allowPlaintext !== true) {
      return refuse(
        "PublicAddress",
        `${host} can be reached from other hosts and nothing is encrypted; set listen.allowPlaintext if the network is trusted`
      )
    }
    const tickMillis = Duration.toMillis(Duration.fromInputUnsafe(options.netTickTime ?? "60 seconds"))
    const { limits } = options
    return Effect.succeed<Settings>({
      hidden: options.hidden === true,
      cookieOf: (peer) => cookies.get(peer) ?? cookie,
      allow: options.allow ?? (() => true),
      routes: new Map(Object.entries(options.routes ?? {})),
      tickMillis: Math.max(1000, tickMillis),
      setupMillis: Duration.toMillis(Duration.fromInputUnsafe(options.setupTime ?? "7 seconds")),
      maxPendingHandshakes: limits?.maxPendingHandshakes ?? 1000,
      dynamicNames: options.dynamicNames === true,
      limits: {
        maxFrameBytes: limits?.maxFrameBytes ?? 128 * mebibyte,
        maxFragmentBytes: limits?.maxFragmentBytes ?? 256 * mebibyte,
        maxFragments: limits?.maxFragments ?? 1024,
        maxOutputBytes: limits?.maxOutputBytes ?? 8 * mebibyte,
        maxStalledBytes: limits?.maxStalledBytes ?? 512 * mebibyte,
        maxDepth: limits?.maxDepth ?? 1_048_576,
        fragmentBytes: 65_536
      }
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
  function*(options: LayerOptions) {
    const { name } = options
    const settings = yield* checked(options)
    const network = yield* Network
    const scope = yield* Effect.scope
    const discovery = isDiscovery(options.discovery) ? options.discovery : yield* Epmd.make(options.discovery)
    // Closed after the node has stopped: its processes say goodbye over its connections.
    const wire = yield* Scope.fork(scope)
    const inWire = Scope.provide(wire)

    let distribution: Distribution | undefined
    const host = options.listen === false ? "127.0.0.1" : options.listen?.host ?? "127.0.0.1"
    const listenOn = (port: number) =>
      inWire(
        network.listen({ host, port }, (link) => distribution === undefined ? link.close() : distribution.accept(link))
      )
    const refuse = (reason: NodeStartError["reason"], detail: string) =>
      new NodeStartError({ node: name, reason, detail })

    let creation = 0
    if (options.listen !== false) {
      const wanted = options.listen?.port
      const range = wanted === undefined
        ? { from: 0, to: 0 }
        : typeof wanted === "number"
        ? { from: wanted, to: wanted }
        : wanted
      const tryFrom = (port: number): Effect.Effect<{ readonly port: number }, NetworkError> =>
        Effect.catch(
          listenOn(port),
          (error) => error.code === "EADDRINUSE" && port < range.to ? tryFrom(port + 1) : Effect.fail(error)
        )
      const { port } = yield* Effect.mapError(tryFrom(range.from), (error) => refuse("Listen", error.message))
      const endpoint: NodeEndpoint = {
        name: name.slice(0, name.indexOf("@")),
        host,
        port,
        attributes: { hidden: settings.hidden }
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
    made.inbound = yield* inWire(Local.attach(node, made))
    distributions.set(node.runtime, made)
    yield* Scope.addFinalizer(wire, Effect.sync(() => made.shutdown()))
    yield* GenServer.start(NetKernel.server, undefined, { name: "net_kernel" }).pipe(
      Effect.provideService(Local.Node, node),
      Effect.orDie
    )
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
  Effect.flatMap(
    rawRef(to),
    // The reply of a raw call is a term.
    (ref) => ref.Call(request, options) as Effect.Effect<Term, CallError>
  )

/**
 * Casts any term to any process (`gen_server:cast/2`).
 *
 * @category clients
 * @since 0.1.0
 */
export const castTerm = (to: Address, request: Term): Effect.Effect<void, never, Local.Node> =>
  Effect.flatMap(rawRef(to), (ref) => ref.Cast(request))

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

/** @internal */
export const distributionUnsafe = (node: Local.Service): Distribution | undefined => distributions.get(node.runtime)
