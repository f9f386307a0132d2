/**
 * The seam between a node and the wire: `Transport` carries signals to processes of other nodes, `Discovery` finds the
 * nodes.
 *
 * The runtime declares these interfaces and never implements them. A distribution implements `Transport` and attaches it
 * to a node (`Node.attach`); from then on every pid, name and alias of another node is reachable by the functions that
 * reach local ones. In the other direction the transport hands what it read to the node's `Inbound`.
 *
 * What a transport must guarantee: signals from one process to another keep their order; each link, monitor and call to a
 * node whose connection is lost is reported through one `Inbound.nodeDown`; nothing that the wire sends can throw past it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import type { Address } from "./Address.ts"
import type { ExitReason } from "./ExitReason.ts"
import type * as Message from "./Message.ts"

/**
 * What is sent: a typed call or cast, with the message that has its schemas, or any value as it is (an info).
 *
 * @category models
 * @since 0.1.0
 */
export type Outbound =
  | { readonly _tag: "Call"; readonly message: Message.Any; readonly payload: unknown; readonly reply: Reference }
  | { readonly _tag: "Cast"; readonly message: Message.Any; readonly payload: unknown }
  | { readonly _tag: "Info"; readonly message: Message.Any; readonly payload: unknown }
  | { readonly _tag: "Term"; readonly value: unknown }
  | { readonly _tag: "Reply"; readonly message: Message.Any; readonly exit: Exit.Exit<unknown, unknown> }

/**
 * A coming or going: a connection to another node was opened or lost. `hidden` says that the node is one that keeps out
 * of what others tell each other.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeChange {
  readonly _tag: "NodeUp" | "NodeDown"
  readonly node: string
  readonly hidden: boolean
}

/**
 * Carries signals to other nodes.
 *
 * `send` acts when it is called, not when its Effect runs, so that signals leave in the order of the calls. The Effect is
 * `Effect.void` itself when nothing is left to wait for; else it waits while the connection is opened or until the output
 * buffer has room (a sender may be suspended, a message is not lost). A value that has no form on the wire is a defect of
 * the sender. The other methods return at once.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportService {
  send(from: Pid, to: Address, message: Outbound): Effect.Effect<void, { readonly _tag: "NodeDown" }>
  link(from: Pid, to: Pid): void
  unlink(from: Pid, to: Pid): void
  exit(from: Pid, to: Pid, reason: ExitReason, kind: "link" | "signal"): void
  monitor(from: Pid, to: Address, ref: Reference): void
  demonitor(from: Pid, to: Address, ref: Reference): void
  /** A process that another node monitors, as `of`, has ended. `from` is its pid: what it sent before arrives before. */
  down(to: Pid, of: Address, ref: Reference, reason: ExitReason, from?: Pid): void
  /** Names of the connected visible nodes. */
  nodes(): ReadonlyArray<string>
  /** Whether there is a connection to a node now, hidden or not: what is sent there opens none. */
  isConnected(node: string): boolean
  /**
   * Has every coming and going of a connection told, in the turn in which it happens and, when one was lost, after the
   * `Inbound.nodeDown` of it; the way to stop is returned. The listener must be quick and must not throw.
   */
  subscribe(listener: (change: NodeChange) => void): () => void
}

const TransportBase: Context.ServiceClass<Transport, "effect-otp/Transport", TransportService> = Context.Service<
  Transport,
  TransportService
>()("effect-otp/Transport")

/**
 * The transport of a node, as a service.
 *
 * @category services
 * @since 0.1.0
 */
export class Transport extends TransportBase {}

/**
 * Where a node listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeEndpoint {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Free attributes of the mechanism: versions, creation, TLS. */
  readonly attributes?: { readonly [key: string]: string | number | boolean }
}

/**
 * Finds nodes by name and makes this one known.
 *
 * @category models
 * @since 0.1.0
 */
export interface DiscoveryService {
  /** Makes an endpoint known until the scope closes. */
  register(endpoint: NodeEndpoint): Effect.Effect<{ readonly creation: number }, DiscoveryError, Scope.Scope>
  /** Looks a node up. */
  resolve(node: string): Effect.Effect<NodeEndpoint, DiscoveryError>
  /** The nodes known on a host. */
  names(host: string): Effect.Effect<ReadonlyArray<NodeEndpoint>, DiscoveryError>
}

/**
 * A node could not be found or made known.
 *
 * @category errors
 * @since 0.1.0
 */
export interface DiscoveryError {
  readonly _tag: "DiscoveryError"
  readonly node: string
  readonly message: string
}

const DiscoveryBase: Context.ServiceClass<Discovery, "effect-otp/Discovery", DiscoveryService> = Context.Service<
  Discovery,
  DiscoveryService
>()("effect-otp/Discovery")

/**
 * The discovery of a node, as a service.
 *
 * @category services
 * @since 0.1.0
 */
export class Discovery extends DiscoveryBase {}

/**
 * What a transport hands to the node: signals for its processes, by pid, name or alias.
 *
 * @category models
 * @since 0.1.0
 */
export interface Inbound {
  /** A value outside call and cast. False when there is no such process. */
  deliver(to: Address, value: unknown): boolean
  /**
   * A value outside call and cast that is still to be decoded: `decode` gets the messages of the receiver's protocol, and
   * a process without one receives `raw`. False when there is no such process.
   */
  info(to: Address, request: Omit<InboundRequest, "reply" | "caller">): boolean
  /**
   * A call whose request is still to be decoded: `decode` gets the messages of the receiver's protocol. `reply` sends the
   * answer back. A receiver that has no such message gets a `Request` called `$gen_call` with `raw` as its payload; what it
   * replies is sent as it is. False when there is no such process or its mailbox is full.
   */
  call(to: Address, request: InboundRequest): boolean
  /** A cast whose request is still to be decoded. */
  cast(to: Address, request: Omit<InboundRequest, "reply" | "caller">): boolean
  /**
   * The answer to a call that went out with this reference; false when there is none (any more). `node` is where the
   * answer came from, usually the node that was called. A failure that is a reason of `CallError` fails the call with it.
   */
  reply(ref: Reference, decode: (message: Message.Any) => Exit.Exit<unknown, unknown>, node?: string): boolean
  /** Links; gives how many links there are between this node and that of `from`. */
  link(from: Pid, to: Pid): number
  unlink(from: Pid, to: Pid): void
  /** An exit signal; one that was sent, not one of a link, may be addressed by name or alias. */
  exit(from: Pid, to: Address, reason: ExitReason, kind: "link" | "signal"): void
  /** Monitors; gives how many monitors the node of `from` holds here. */
  monitor(from: Pid, to: Address, ref: Reference): number
  demonitor(from: Pid, ref: Reference): void
  /** A monitor has fired; `node` is where that comes from, and only monitors on its processes can be meant. */
  down(ref: Reference, reason: ExitReason, node?: string): void
  /** The connection to a node was lost: every link, monitor and call to it ends with `noconnection`, once. */
  nodeDown(node: string): void
}

/**
 * A request as it came in. `decode` finds the message among those of a protocol and decodes its payload; undefined means
 * that no message of the protocol fits, and `raw` is handed to `unhandled`. `reply` without a message sends a value as it
 * is. `decode` and `raw` may be used only until the method that was given the request returns.
 *
 * @category models
 * @since 0.1.0
 */
export interface InboundRequest {
  readonly caller: Pid
  readonly raw: unknown
  decode(
    messages: ReadonlyArray<Message.Any>
  ): { readonly message: Message.Any; readonly payload: unknown } | undefined
  /** `from` is the process that was called: its answer keeps its place among what else it sends. */
  reply(message: Message.Any | undefined, exit: Exit.Exit<unknown, unknown>, from?: Pid): void
}
