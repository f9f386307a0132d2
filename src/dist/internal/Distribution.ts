/**
 * The distribution of a node: its connections, how they come about, and the transport that leads signals to them.
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
import type { Address } from "../../process/Address.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type * as Node from "../../process/Node.ts"
import type { DiscoveryService, Inbound, NodeEndpoint, TransportService } from "../../process/Transport.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import { ConnectError } from "../DistError.ts"
import * as DistFlags from "../DistFlags.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import * as Handshake from "../Handshake.ts"
import type { Link, NetworkService } from "../Network.ts"
import { utf8 } from "./Bytes.ts"
import { Connection, type Limits, type SpawnHandler } from "./Connection.ts"
import { Offenders } from "./Offenders.ts"
import { explain, shakeHands } from "./shakeHands.ts"

/** What happened to a connection. */
export type NodeEvent =
  | { readonly _tag: "NodeUp"; readonly node: string; readonly hidden: boolean }
  | { readonly _tag: "NodeDown"; readonly node: string; readonly hidden: boolean; readonly detail: string }

/** Settings of a distribution. */
export interface Settings {
  readonly hidden: boolean
  readonly cookieOf: (peer: string) => string
  readonly allow: (peer: string) => boolean
  readonly routes: ReadonlyMap<string, { readonly host: string; readonly port: number }>
  readonly tickMillis: number
  readonly setupMillis: number
  readonly maxPendingHandshakes: number
  readonly dynamicNames: boolean
  readonly limits: Limits
}

interface Attempt {
  /** Looking for the node, shaking hands, or waiting for the connection that the other node opens. */
  phase: "dialing" | "shaking" | "waiting"
  fiber: Fiber.Fiber<unknown> | undefined
  readonly deadline: number
}

class PeerState {
  readonly name: string
  connection: Connection | undefined = undefined
  attempt: Attempt | undefined = undefined
  /** Incoming handshakes of this name that were told to go on. */
  accepting = 0
  /** Signals that wait for the connection, in order. */
  queue: Array<(connection: Connection) => void> = []
  /** Told whether the connection came about. */
  waiters: Array<(failure: string | undefined) => void> = []

  constructor(name: string) {
    this.name = name
  }
}

/** How long a node waits for an incoming handshake of the node that it wants to reach before it connects itself. */
const courtesyMillis = 1000
/** @since 0.1.0 */
export class Distribution implements TransportService {
  readonly node: Node.Service
  readonly settings: Settings
  onSpawn: SpawnHandler | undefined = undefined
  onSpawnReply: ConstructorParameters<typeof Connection>[0]["onSpawnReply"] = undefined
  inbound!: Inbound // set when the transport is attached, before anything is sent or accepted
  private readonly network: NetworkService
  private readonly discovery: DiscoveryService
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private readonly peers: Map<string, PeerState> = new Map()
  private readonly listeners: Set<(event: NodeEvent) => void> = new Set()
  private readonly offenders: Offenders = new Offenders()
  private handshakes = 0
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
    this.network = network
    this.discovery = discovery
    this.context = context
    this.clock = clock
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  private fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A> {
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

  // --- transport -----------------------------------------------------------------------------------------------------

  send(from: Pid, to: Address, message: Parameters<TransportService["send"]>[2]): ReturnType<TransportService["send"]> {
    const name = to.node!
    const connection = this.peers.get(name)?.connection
    if (connection === undefined) return this.sendLater(name, from, to, message)
    if (isPid(to) && to.creation !== connection.peer.creation) return Effect.void
    const sent = connection.send(from, to, message)
    if (sent === "sent") return Effect.void
    if (sent === "closed") return Effect.fail(nodeDown)
    if (sent === "full") return this.sendWhenRoom(connection, from, to, message)
    return Effect.die(sent.error)
  }

  /** Opens the connection; the message is in the queue from now on. */
  private sendLater(
    name: string,
    from: Pid,
    to: Address,
    message: Parameters<TransportService["send"]>[2]
  ): ReturnType<TransportService["send"]> {
    const state = this.wanted(name)
    if (state === undefined) return Effect.fail(nodeDown)
    let outcome: Exit.Exit<void, typeof nodeDown> | undefined
    let tell: ((exit: Exit.Exit<void, typeof nodeDown>) => void) | undefined
    const settle = (exit: Exit.Exit<void, typeof nodeDown>): void => {
      outcome = exit
      tell?.(exit)
    }
    state.queue.push((connection) => {
      if (isPid(to) && to.creation !== connection.peer.creation) return settle(Exit.void)
      // What waited for the connection goes out whole: senders wait again with their next message.
      const sent = connection.send(from, to, message)
      if (typeof sent === "object") settle(Exit.die(sent.error))
      else if (sent === "full") {
        this.fork(Effect.exit(this.sendWhenRoom(connection, from, to, message))).addObserver((exit) => {
          if (Exit.isSuccess(exit)) settle(exit.value)
        })
      } else settle(sent === "sent" ? Exit.void : Exit.fail(nodeDown))
    })
    state.waiters.push((failure) => {
      if (failure !== undefined) settle(Exit.fail(nodeDown))
    })
    return Effect.callback<void, typeof nodeDown>((resume) => {
      if (outcome !== undefined) return resume(outcome)
      tell = resume
    })
  }

  private sendWhenRoom(
    connection: Connection,
    from: Pid,
    to: Address,
    message: Parameters<TransportService["send"]>[2]
  ): ReturnType<TransportService["send"]> {
    return Effect.callback<void, typeof nodeDown>((resume) => {
      let undo: (() => void) | undefined
      const attempt = (): void => {
        const sent = connection.send(from, to, message)
        if (sent === "full") undo = connection.whenRoom(attempt)
        else if (sent === "sent") resume(Effect.void)
        else resume(sent === "closed" ? Effect.fail(nodeDown) : Effect.die(sent.error))
      }
      undo = connection.whenRoom(attempt)
      return Effect.sync(() => undo?.())
    })
  }

  /** A signal that opens a connection. */
  private signal(name: string, f: (connection: Connection) => void): void {
    const connection = this.peers.get(name)?.connection
    if (connection !== undefined) return f(connection)
    const state = this.wanted(name)
    if (state === undefined) {
      // Told in a turn of its own: whoever sends the signal is in the middle of something.
      this.node.runtime.runQueue.push({ run: () => this.inbound.nodeDown(name) })
    } else state.queue.push(f)
  }

  /** A signal that is of no use without a connection. */
  private follow(name: string, f: (connection: Connection) => void): void {
    const state = this.peers.get(name)
    if (state?.connection !== undefined) f(state.connection)
    else if (state?.attempt !== undefined) state.queue.push(f)
  }

  link(from: Pid, to: Pid): void {
    this.signal(to.node, (connection) => {
      if (to.creation !== connection.peer.creation) this.inbound.exit(to, from, ExitReason.noProc, "link")
      else connection.link_(from, to)
    })
  }

  unlink(from: Pid, to: Pid): void {
    this.follow(to.node, (connection) => connection.unlink(from, to))
  }

  exit(from: Pid, to: Pid, reason: ExitReason.ExitReason, kind: "link" | "signal"): void {
    const send = (connection: Connection): void => {
      if (to.creation === connection.peer.creation) {
        connection.control({ _tag: "Exit", kind, from, to, reason: ExitReasonTerm.toTerm(reason) }, from)
      }
    }
    if (kind === "signal") this.signal(to.node, send)
    else this.follow(to.node, send)
  }

  monitor(from: Pid, to: Address, ref: Reference): void {
    this.signal(to.node!, (connection) => {
      if (isReference(to) || (isPid(to) && to.creation !== connection.peer.creation)) {
        this.inbound.down(ref, ExitReason.noProc)
      } else connection.control({ _tag: "Monitor", from, to: isPid(to) ? to : to.name, ref }, from)
    })
  }

  demonitor(from: Pid, to: Address, ref: Reference): void {
    if (isReference(to)) return
    this.follow(
      to.node!,
      (connection) => connection.control({ _tag: "Demonitor", from, to: isPid(to) ? to : to.name, ref }, from)
    )
  }

  down(to: Pid, of: Address, ref: Reference, reason: ExitReason.ExitReason, process?: Pid): void {
    if (isReference(of)) return
    const from = isPid(of) ? of : of.name
    this.follow(to.node, (connection) =>
      connection.control(
        { _tag: "Down", from, to, ref, reason: ExitReasonTerm.toTerm(reason) },
        process ?? (isPid(of) ? of : this.node.runtime.pid)
      ))
  }

  nodes(): ReadonlyArray<string> {
    return this.connected("visible")
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
        state.waiters.push((failure) =>
          resume(failure === undefined ? Effect.void : Effect.fail(new ConnectError({ node: name, detail: failure })))
        )
      })
    })
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
    for (const state of [...this.peers.values()]) {
      state.connection?.finish("this node stops")
      this.failed(state, "this node stops")
    }
  }

  // --- connecting ----------------------------------------------------------------------------------------------------

  /** The state of a node that is to be connected, with an attempt under way; undefined when there can be none. */
  private wanted(name: string): PeerState | undefined {
    if (this.closing || name === this.node.name || !Handshake.isNodeName(name) || !this.settings.allow(name)) {
      return undefined
    }
    const state = this.state(name)
    if (state.connection === undefined && state.attempt === undefined) {
      state.attempt = { phase: "dialing", fiber: undefined, deadline: this.now() + this.settings.setupMillis }
      this.dial(state, state.attempt)
    }
    return state
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
            this.failed(state, error ?? "the attempt failed unexpectedly")
          })
      )
    )
  }

  private attempt(state: PeerState, attempt: Attempt): Effect.Effect<void, string> {
    const { name } = state
    let link: Link | undefined
    const steps = Effect.gen({ self: this }, function*() {
      const courtesy = this.now() + courtesyMillis
      while (state.accepting > 0 && this.now() < courtesy) yield* Effect.sleep(20)
      const route = this.settings.routes.get(name)
      const endpoint: Pick<NodeEndpoint, "host" | "port"> = route ??
        (yield* Effect.mapError(this.discovery.resolve(name), (error) => error.message))
      const opened = yield* Effect.mapError(this.network.connect(endpoint), (error) => error.message)
      link = opened
      attempt.phase = "shaking"
      const machine = Handshake.initiate({
        ...this.handshakeOptions(),
        wanted: name,
        connected: () => state.connection !== undefined
      })
      const outcome = yield* shakeHands(opened, machine, 2, Handshake.maxMessageBytes)
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
          return yield* Effect.fail("it closed the connection during the handshake (the cookies may differ)")
      }
    })
    return Effect.onInterrupt(steps, () => Effect.sync(() => link?.close()))
  }

  private handshakeOptions(): Handshake.Options {
    const { network, node, settings } = this
    return {
      self: { name: node.name, creation: node.creation, flags: DistFlags.offer({ hidden: settings.hidden }) },
      challenge: network.randomUint32(),
      digest: (peer, challenge) => network.md5(utf8(settings.cookieOf(peer) + String(challenge)))
    }
  }

  /** No connection came about: everybody who waited hears of it. */
  private failed(state: PeerState, detail: string): void {
    const { attempt, queue, waiters } = state
    state.attempt = undefined
    state.queue = []
    state.waiters = []
    this.tidy(state)
    attempt?.fiber?.interruptUnsafe()
    if (attempt !== undefined || queue.length > 0) this.inbound.nodeDown(state.name)
    for (const waiter of waiters) waiter(detail)
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
      this.fork(Effect.logWarning(`connection to ${state.name} closed: ${detail}`))
    }
  }

  // --- accepting -----------------------------------------------------------------------------------------------------

  /** Takes an incoming link. */
  accept(link: Link): void {
    if (this.closing || this.handshakes >= this.settings.maxPendingHandshakes) {
      return link.close()
    }
    this.handshakes++
    let state: PeerState | undefined
    let asked = false
    const machine = Handshake.accept({
      ...this.handshakeOptions(),
      decide: (name) => {
        const decision = this.decide(name)
        if (decision === "ok" || decision === "okSimultaneous" || decision === "alive") {
          state = this.state(name)
          state.accepting++
        }
        asked = decision === "alive"
        return decision
      },
      nameFor: this.settings.dynamicNames ? (host) => this.dynamicName(host) : undefined
    })
    this.fork(
      Effect.timeoutOrElse(shakeHands(link, machine, 2, Handshake.maxMessageBytes), {
        duration: this.settings.setupMillis,
        orElse: () => Effect.succeed({ _tag: "Closed" } as const)
      }).pipe(
        Effect.flatMap((outcome) => {
          this.handshakes--
          if (state !== undefined) state.accepting--
          if (outcome._tag === "Established") {
            const peer = state ?? this.state(outcome.peer.name)
            // Another handshake was faster, and nobody asked the peer whether its connection is still alive.
            if (peer.connection !== undefined && !asked) link.close()
            else this.established(peer, link, outcome.peer, outcome.last, outcome.rest)
            return Effect.void
          }
          if (state !== undefined) this.revive(state)
          if (outcome._tag === "Failed" && outcome.reason._tag === "BadCookie") return this.offended(link)
          return Effect.sync(() => link.end())
        })
      )
    )
  }

  /** What a name that comes in means. It is not proven yet. */
  private decide(name: string): Handshake.Decision {
    if (this.closing || !this.settings.allow(name)) return "notAllowed"
    const state = this.peers.get(name)
    if (state === undefined) return "ok"
    if (state.connection !== undefined) return "alive"
    const { attempt } = state
    if (attempt === undefined || attempt.phase === "waiting") return "ok"
    const decision = attempt.phase === "dialing" ? "ok" : Handshake.settle(this.node.name, name)
    if (decision !== "nok") {
      // The own attempt is given up; what waits for it waits for the peer's.
      const { fiber } = attempt
      attempt.phase = "waiting"
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

  private dynamicName(host: string): { readonly name: string; readonly creation: number } | undefined {
    if (!/^[^@\s]{1,200}$/.test(host)) return undefined
    const random = this.network.randomUint32() * 2 ** 20 + (this.network.randomUint32() >>> 12)
    return { name: `${random.toString(36).toUpperCase()}@${host}`, creation: (this.network.randomUint32() | 4) >>> 0 }
  }
}

const isHidden = (peer: Handshake.Peer): boolean => !DistFlags.has(peer.peerFlags, "published")

const nodeDown = { _tag: "NodeDown" } as const
