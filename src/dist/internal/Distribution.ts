/**
 * The distribution of a node: its connections and how they come about. `WireTransport` leads signals to them.
 *
 * Each other node has at most one connection. It opens when something is first sent there; what is sent meanwhile waits
 * in order. When two nodes connect to each other at once, the rule of OTP leaves one. When a connection is lost, or
 * none can be opened, the node hears of it once, and every link, monitor and call to it ends.
 *
 * A name is worth nothing before the cookie is proven: until then an incoming connection costs a link, a machine and a
 * timer, their number is limited, and no name is logged, kept or told to anybody.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Node from "../../process/Node.ts"
import type { DiscoveryService, Inbound } from "../../process/Transport.ts"
import { ConnectError, TlsError, type TlsReason } from "../DistError.ts"
import * as DistFlags from "../DistFlags.ts"
import * as Handshake from "../Handshake.ts"
import type { Link, NetworkService } from "../Network.ts"
import type { NetworkStatistics } from "../Node.ts"
import type * as Tls from "../Tls.ts"
import { type Asked, lengthBytesOf, openLink } from "./askName.ts"
import { utf8 } from "./Bytes.ts"
import { type Compression, Compressions, compressor } from "./compression.ts"
import { Connection, type Limits, type SpawnHandler } from "./Connection.ts"
import type { Listener, Route } from "./listeners.ts"
import { Offenders } from "./Offenders.ts"
import { type Pending, PendingHandshakes } from "./PendingHandshakes.ts"
import { explain, shakeHands } from "./shakeHands.ts"
import { WireTransport } from "./WireTransport.ts"

/** What happened to a connection. */
export type NodeEvent =
  | { readonly _tag: "NodeUp"; readonly node: string; readonly hidden: boolean }
  | { readonly _tag: "NodeDown"; readonly node: string; readonly hidden: boolean; readonly detail: string }

/** Settings of a distribution. */
export interface Settings {
  readonly hidden: boolean
  /** The cookie for a peer; `ofWay` is that of the listener or the route. */
  readonly cookieOf: (peer: string, ofWay: string | undefined) => string
  readonly allow: (peer: string) => boolean
  readonly routes: ReadonlyMap<string, Route>
  /** What is shown to nodes that this one connects to, and asked of them. */
  readonly tls: Tls.Credentials | undefined
  readonly tickMillis: number
  readonly setupMillis: number
  readonly maxPendingHandshakes: number
  readonly maxPendingPerAddress: number
  readonly maxConnections: number
  readonly maxAttempts: number
  readonly maxProcesses: number
  readonly dynamicNames: boolean
  readonly limits: Limits
  /** How payloads are compressed, unless a process says otherwise. */
  readonly compression: Compression | undefined
}

interface Attempt {
  /** Looking for the node, shaking hands, or waiting for the connection that the other node opens. */
  phase: "dialing" | "shaking" | "waiting"
  fiber: Fiber.Fiber<unknown> | undefined
  /** How often it was given up for a handshake of the peer's that came to nothing. */
  yields: number
  readonly deadline: number
}

/** What is known of another node. */
export class PeerState {
  readonly name: string
  connection: Connection | undefined = undefined
  attempt: Attempt | undefined = undefined
  /** Incoming handshakes of this name that were told to go on. */
  accepting = 0
  /** Signals that wait for the connection, in order. */
  queue: Array<(connection: Connection) => void> = []
  /** Told whether the connection came about. */
  waiters: Array<(failure: string | undefined, tls?: TlsReason | undefined) => void> = []

  constructor(name: string) {
    this.name = name
  }
}

/** How long a node waits for an incoming handshake of the node that it wants to reach before it connects itself. */
const courtesyMillis = 1000

/** How often an attempt is given up for handshakes of the peer's. */
const yieldsMax = 2

/** @since 0.1.0 */
export class Distribution {
  readonly node: Node.Service
  readonly settings: Settings
  onSpawn: SpawnHandler | undefined = undefined
  onSpawnReply: ConstructorParameters<typeof Connection>[0]["onSpawnReply"] = undefined
  /** Leads the signals of the node here. */
  readonly transport: WireTransport = new WireTransport(this)
  inbound!: Inbound // set when the transport is attached, before anything is sent or accepted
  private readonly network: NetworkService
  private readonly discovery: DiscoveryService
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  readonly peers: Map<string, PeerState> = new Map()
  private readonly listeners: Set<(event: NodeEvent) => void> = new Set()
  private readonly offenders: Offenders = new Offenders()
  private readonly pending: PendingHandshakes
  /** What processes have said about the compression of what they send. */
  readonly compressions: Compressions
  private readonly compression: ConstructorParameters<typeof Connection>[0]["compression"]
  /** Own attempts under way. */
  private attempts = 0
  private failedHandshakes = 0
  private wrongCookies = 0
  private refusedConnections = 0
  private refusedAttempts = 0
  private closedConnections = 0
  /** Whether a connection is being closed on purpose: no reason for a warning. */
  private deliberate = false
  private closing = false

  constructor(
    node: Node.Service,
    settings: Settings,
    network: NetworkService,
    discovery: DiscoveryService,
    context: Context.Context<never>,
    clock: Clock.Clock
  ) {
    this.node = node
    this.settings = settings
    this.pending = new PendingHandshakes(settings.maxPendingHandshakes, settings.maxPendingPerAddress)
    this.network = network
    this.compressions = new Compressions(settings.compression)
    this.compression = network.zlib === undefined
      ? undefined
      : { compress: compressor(this.compressions, network.zlib.deflate), inflate: network.zlib.inflate }
    this.discovery = discovery
    this.context = context
    this.clock = clock
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A> {
    return Effect.runForkWith(this.context)(effect)
  }

  private state(name: string): PeerState {
    let state = this.peers.get(name)
    if (state === undefined) this.peers.set(name, state = new PeerState(name))
    return state
  }

  private tidy(state: PeerState): void {
    if (state.connection === undefined && state.attempt === undefined && state.accepting === 0) {
      this.peers.delete(state.name)
    }
  }

  // --- connections ---------------------------------------------------------------------------------------------------

  connected(type: "visible" | "hidden" | "all"): ReadonlyArray<string> {
    const names: Array<string> = []
    for (const { connection, name } of this.peers.values()) {
      if (connection === undefined) continue
      const hidden = isHidden(connection.peer)
      if (type === "all" || hidden === (type === "hidden")) names.push(name)
    }
    return names
  }

  connectionTo(name: string): Connection | undefined {
    return this.peers.get(name)?.connection
  }

  /** Opens a connection, unless there is one. */
  connect(name: string): Effect.Effect<void, ConnectError> {
    return Effect.suspend(() => {
      if (this.peers.get(name)?.connection !== undefined || name === this.node.name) return Effect.void
      const state = this.wanted(name)
      if (state === undefined) {
        return Effect.fail(
          new ConnectError({ node: name, detail: "it is not the name of a node that may be connected" })
        )
      }
      return Effect.callback<void, ConnectError>((resume) => {
        state.waiters.push((failure, tls) =>
          resume(
            failure === undefined
              ? Effect.void
              : Effect.fail(new ConnectError({ node: name, detail: failure, ...(tls === undefined ? {} : { tls }) }))
          )
        )
      })
    })
  }

  /** Takes over the connection on which this node was given its name. */
  adopt({ link, outcome }: Asked): void {
    this.established(this.state(outcome.peer.name), link, outcome.peer, outcome.last, outcome.rest)
  }

  /** Closes a connection; false when there was none. */
  disconnect(name: string): boolean {
    const connection = this.peers.get(name)?.connection
    if (connection === undefined) return false
    this.deliberate = true
    connection.close("it was disconnected")
    this.deliberate = false
    return true
  }

  statistics(): NetworkStatistics {
    return {
      connections: this.tickers.size,
      pendingHandshakes: this.pending.size,
      attempts: this.attempts,
      evictedHandshakes: this.pending.evicted,
      failedHandshakes: this.failedHandshakes,
      wrongCookies: this.wrongCookies,
      refusedConnections: this.refusedConnections,
      refusedAttempts: this.refusedAttempts,
      closedConnections: this.closedConnections
    }
  }

  /** Has every coming and going of a connection told; the way to stop is returned. */
  subscribe(listener: (event: NodeEvent) => void): () => void {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  private tell(event: NodeEvent): void {
    for (const listener of [...this.listeners]) listener(event)
  }

  /** Ends everything; attempts and handshakes are interrupted with the scope. */
  shutdown(): void {
    this.closing = true
    this.pending.closeAll()
    for (const state of [...this.peers.values()]) {
      state.connection?.finish("this node stops")
      this.failed(state, "this node stops")
    }
  }

  // --- connecting ----------------------------------------------------------------------------------------------------

  /** The state of a node that is to be connected, with an attempt under way; undefined when there can be none. */
  wanted(name: string): PeerState | undefined {
    if (this.closing || name === this.node.name || !Handshake.isNodeName(name) || !this.settings.allow(name)) {
      return undefined
    }
    const known = this.peers.get(name)
    if (known?.connection === undefined && known?.attempt === undefined) {
      // Names come from anywhere, also in the pids of what a peer sends: attempts are limited in number.
      if (this.attempts >= this.settings.maxAttempts) {
        this.refusedAttempts++
        return undefined
      }
      const state = this.state(name)
      this.attempts++
      state.attempt = {
        phase: "dialing",
        fiber: undefined,
        yields: 0,
        deadline: this.now() + this.settings.setupMillis
      }
      this.dial(state, state.attempt)
      return state
    }
    return known
  }

  private dial(state: PeerState, attempt: Attempt): void {
    attempt.phase = "dialing"
    attempt.fiber = this.fork(
      Effect.flatMap(
        Effect.exit(
          Effect.timeoutOrElse(this.attempt(state, attempt), {
            duration: Math.max(1, attempt.deadline - this.now()),
            orElse: () => Effect.fail(`no answer within ${this.settings.setupMillis} ms`)
          })
        ),
        (exit) =>
          Effect.sync(() => {
            // An attempt that was given up in favour of another has nothing to say.
            if (state.attempt !== attempt || Exit.isSuccess(exit)) return
            const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
            if (typeof error === "object") this.failed(state, error.message, error.reason)
            else this.failed(state, error ?? "the attempt failed unexpectedly")
          })
      )
    )
  }

  private attempt(state: PeerState, attempt: Attempt): Effect.Effect<void, string | TlsError> {
    const { name } = state
    let link: Link | undefined
    const steps = Effect.gen({ self: this }, function*() {
      const courtesy = this.now() + courtesyMillis
      while (state.accepting > 0 && attempt.yields < yieldsMax && this.now() < courtesy) yield* Effect.sleep(20)
      const { cookie, endpoint, link: opened } = yield* openLink(name, this.settings, this.network, this.discovery)
      link = opened
      attempt.phase = "shaking"
      const machine = Handshake.initiate({
        ...this.handshakeOptions(cookie),
        wanted: name,
        connected: () => state.connection !== undefined,
        version: endpoint.attributes?.["highest"] === 5 ? 5 : 6
      })
      const outcome = yield* shakeHands(opened, machine, lengthBytesOf(opened), Handshake.maxMessageBytes)
      if (outcome._tag === "Established" && state.connection === undefined) {
        link = undefined
        return this.established(state, opened, outcome.peer, outcome.last, outcome.rest)
      }
      opened.end()
      link = undefined
      switch (outcome._tag) {
        case "Established":
          return
        case "Yield":
          attempt.phase = "waiting"
          return yield* Effect.never
        case "Failed":
          return yield* Effect.fail(explain(outcome.reason))
        case "Closed":
          return yield* Effect.fail(opened.failure ?? closedBy(opened))
      }
    })
    return Effect.onInterrupt(steps, () => Effect.sync(() => link?.close()))
  }

  private handshakeOptions(cookie: string | undefined): Handshake.Options {
    const { network, node, settings } = this
    return {
      self: {
        name: node.name,
        creation: node.creation,
        flags: DistFlags.offer({ hidden: settings.hidden, compression: network.zlib !== undefined })
      },
      challenge: network.randomUint32(),
      digest: (peer, challenge) => network.md5(utf8(settings.cookieOf(peer, cookie) + String(challenge)))
    }
  }

  /** No connection came about: everybody who waited hears of it. */
  private failed(state: PeerState, detail: string, tls?: TlsReason): void {
    const { attempt, queue, waiters } = state
    if (attempt !== undefined) this.attempts--
    state.attempt = undefined
    state.queue = []
    state.waiters = []
    this.tidy(state)
    attempt?.fiber?.interruptUnsafe()
    if (attempt !== undefined || queue.length > 0) this.inbound.nodeDown(state.name)
    for (const waiter of waiters) waiter(detail, tls)
    // Who only sends learns that there is no connection, and nothing of certificates.
    if (tls !== undefined && this.now() >= this.quietUntil) {
      this.quietUntil = this.now() + 1000
      this.fork(Effect.logWarning(`no connection to ${state.name}: ${detail}`))
    }
  }

  private established(
    state: PeerState,
    link: Link,
    peer: Handshake.Peer,
    last: ReadonlyArray<Uint8Array>,
    rest: () => Uint8Array
  ): void {
    if (this.closing) return link.close()
    state.connection?.close("the node has connected anew")
    const { attempt, queue, waiters } = state
    if (attempt !== undefined) this.attempts--
    state.attempt = undefined
    state.queue = []
    state.waiters = []
    this.peers.set(state.name, state)
    const connection = new Connection({
      link,
      peer,
      self: { name: this.node.name, creation: this.node.creation, pid: this.node.runtime.pid },
      inbound: this.inbound,
      limits: this.settings.limits,
      turn: this.network.turn,
      compression: this.compression,
      onClosed: (connection, detail) => this.lost(state, connection, detail),
      onSpawn: this.onSpawn,
      onSpawnReply: this.onSpawnReply
    })
    connection.refused = (error) => {
      this.fork(Effect.logError(`a reply to ${peer.name} has no form on the wire: its caller will not get it`, error))
    }
    state.connection = connection
    for (const message of last) link.write(message)
    for (const send of queue) send(connection)
    const ticker = this.fork(
      Effect.forever(Effect.andThen(
        Effect.sleep(this.settings.tickMillis / 4),
        Effect.sync(() => connection.tick())
      ))
    )
    this.tickers.set(connection, ticker)
    this.tell({ _tag: "NodeUp", node: state.name, hidden: isHidden(peer) })
    connection.start(rest())
    for (const waiter of waiters) waiter(undefined)
    // Last: the attempt may be the fiber that runs this.
    if (attempt?.fiber !== undefined && attempt.fiber !== Fiber.getCurrent()) attempt.fiber.interruptUnsafe()
  }

  private readonly tickers: Map<Connection, Fiber.Fiber<never>> = new Map()

  private lost(state: PeerState, connection: Connection, detail: string | undefined): void {
    this.tickers.get(connection)?.interruptUnsafe()
    this.tickers.delete(connection)
    if (state.connection !== connection) return
    state.connection = undefined
    this.tidy(state)
    this.inbound.nodeDown(state.name)
    this.tell({
      _tag: "NodeDown",
      node: state.name,
      hidden: isHidden(connection.peer),
      detail: detail ?? "the connection was closed by the peer"
    })
    if (detail !== undefined && !this.closing && !this.deliberate) {
      this.closedConnections++
      this.fork(Effect.logWarning(`connection to ${state.name} closed: ${detail}`))
    }
  }

  // --- accepting -----------------------------------------------------------------------------------------------------

  /** Takes an incoming link. */
  accept(link: Link, listener?: Listener): void {
    if (this.closing) return link.close()
    const pending: Pending = { address: link.remoteAddress, close: () => link.close() }
    this.pending.add(pending)
    let state: PeerState | undefined
    let asked = false
    const machine = Handshake.accept({
      ...this.handshakeOptions(listener?.cookie),
      decide: (name) => {
        const decision = this.decide(name)
        if (decision === "ok" || decision === "okSimultaneous" || decision === "alive") {
          state = this.state(name)
          state.accepting++
        }
        asked = decision === "alive"
        return decision
      },
      nameFor: this.settings.dynamicNames ? (host) => this.crowded ? undefined : this.dynamicName(host) : undefined
    })
    this.fork(
      Effect.timeoutOrElse(shakeHands(link, machine, lengthBytesOf(link), Handshake.maxMessageBytes), {
        duration: this.settings.setupMillis,
        orElse: () => Effect.succeed({ _tag: "Closed" } as const)
      }).pipe(
        Effect.flatMap((outcome) => {
          this.pending.delete(pending)
          if (state !== undefined) state.accepting--
          const objection = outcome._tag === "Established" ? link.objection?.(outcome.peer.name) : link.failure
          if (outcome._tag === "Established" && objection === undefined) {
            const peer = state ?? this.state(outcome.peer.name)
            // Another handshake was faster, and nobody asked the peer whether its connection is still alive.
            if (peer.connection !== undefined && !asked) link.close()
            else this.established(peer, link, outcome.peer, outcome.last, outcome.rest)
            return Effect.void
          }
          this.failedHandshakes++
          if (state !== undefined) this.revive(state)
          if (objection !== undefined) return this.mistrusted(link, objection)
          if (outcome._tag === "Failed" && outcome.reason._tag === "BadCookie") return this.offended(link)
          return Effect.sync(() => link.end())
        })
      )
    )
  }

  /** Whether there are as many connections as there may be. */
  private get crowded(): boolean {
    if (this.tickers.size < this.settings.maxConnections) return false
    this.refusedConnections++
    return true
  }

  /** What a name that comes in means. It is not proven yet. */
  private decide(name: string): Handshake.Decision {
    if (this.closing || !this.settings.allow(name)) return "notAllowed"
    const state = this.peers.get(name)
    if (state?.connection !== undefined) return "alive"
    if (this.crowded) return "notAllowed"
    if (state === undefined) return "ok"
    const { attempt } = state
    if (attempt === undefined || attempt.phase === "waiting") return "ok"
    // Who only claims to be the peer must not be able to keep this node from it.
    if (attempt.yields >= yieldsMax) return "nok"
    const decision = attempt.phase === "dialing" ? "ok" : Handshake.settle(this.node.name, name)
    if (decision !== "nok") {
      // The own attempt is given up; what waits for it waits for the peer's.
      const { fiber } = attempt
      attempt.phase = "waiting"
      attempt.yields++
      attempt.fiber = this.fork(this.resumeLater(state, attempt))
      fiber?.interruptUnsafe()
    }
    return decision
  }

  /**
   * Goes on with an attempt that was given up for the peer's, when that comes to nothing for a while: who claimed to be the
   * peer may be somebody else.
   */
  private resumeLater(state: PeerState, attempt: Attempt): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(Math.max(1, Math.min(courtesyMillis, attempt.deadline - this.now()))),
      Effect.sync(() => {
        if (state.attempt !== attempt || attempt.phase !== "waiting") return
        if (this.now() < attempt.deadline) this.dial(state, attempt)
        else this.failed(state, `no connection within ${this.settings.setupMillis} ms`)
      })
    )
  }

  /** A handshake for whose sake the own attempt was given up has failed: the attempt goes on. */
  private revive(state: PeerState): void {
    const { attempt } = state
    if (attempt?.phase === "waiting" && state.accepting === 0 && state.connection === undefined) {
      const { fiber } = attempt
      this.dial(state, attempt)
      fiber?.interruptUnsafe()
    }
    this.tidy(state)
  }

  /** A wrong cookie: who comes with many of them is held up. */
  private offended(link: Link): Effect.Effect<void> {
    this.wrongCookies++
    const { holdMillis, report } = this.offenders.record(link.remoteAddress, this.now())
    const reported = report === 0
      ? Effect.void
      : Effect.logWarning(`${report} handshake(s) with a wrong cookie, the last from ${link.remoteAddress}`)
    if (holdMillis === 0) return Effect.andThen(reported, Effect.sync(() => link.end()))
    return Effect.andThen(
      reported,
      Effect.andThen(
        Effect.sleep(holdMillis),
        Effect.sync(() => {
          this.offenders.release()
          link.close()
        })
      )
    )
  }

  private untrusted = 0
  private quietUntil = -Infinity

  /** A peer that is refused for its certificate, or for want of one: told at most once a second. */
  private mistrusted(link: Link, error: TlsError): Effect.Effect<void> {
    link.close()
    this.untrusted++
    const now = this.now()
    if (now < this.quietUntil) return Effect.void
    this.quietUntil = now + 1000
    const count = this.untrusted
    this.untrusted = 0
    return Effect.logWarning(`${count} encrypted connection(s) refused, the last one: ${error.message}`, error)
  }

  private dynamicName(host: string): { readonly name: string; readonly creation: number } | undefined {
    if (!/^[^@\s]{1,200}$/.test(host)) return undefined
    const random = this.network.randomUint32() * 2 ** 20 + (this.network.randomUint32() >>> 12)
    return { name: `${random.toString(36).toUpperCase()}@${host}`, creation: (this.network.randomUint32() | 4) >>> 0 }
  }
}

/** How lengths are written in a handshake: over TLS as in everything that follows. */
const closedBy = (link: Link): string | TlsError =>
  link.encrypted === true
    ? new TlsError({
      reason: "Closed",
      subject: link.remoteAddress,
      detail:
        "it closed the connection during the handshake (it may refuse this node's certificate, or the cookies differ)"
    })
    : "it closed the connection during the handshake (the cookies may differ)"

const isHidden = (peer: Handshake.Peer): boolean => !DistFlags.has(peer.peerFlags, "published")
