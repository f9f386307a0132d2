/**
 * Refs: typed clients of processes, with one method per message of a protocol.
 *
 * A ref holds an address and a protocol, no connection and no state, so that it can be copied, stored and sent. There
 * are two kinds: `ProcessRef`, of one process for as long as it lives, and `NamedRef`, which looks its name up anew for
 * each message and so survives restarts. Their methods have the same types, and so have those of a ref by alias, which
 * is good until the alias is taken back.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { isPid, type Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import type { Address, Name } from "./Address.ts"
import type { CallError, SendError } from "./CallError.ts"
import { callEffect, castEffect, RefBase, type Route } from "./internal/Client.ts"
import type { NodeRuntime } from "./internal/NodeRuntime.ts"
import { ServerProcess } from "./internal/ServerProcess.ts"
import type * as Message from "./Message.ts"
import { Node } from "./Node.ts"
import type * as Protocol from "./Protocol.ts"

/**
 * Options of one call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** How long to wait for the reply: 5 seconds by default; `"Infinity"` waits for ever. */
  readonly timeout?: Duration.Input
}

/** The arguments of a method: the payload, which may be left out when all of it is optional, and the options of a call. */
type Arguments<M extends Message.Any, Options extends ReadonlyArray<unknown>> = [Message.PayloadInput<M>] extends [void]
  ? [payload?: void, ...Options]
  : {} extends Message.PayloadInput<M> ? [payload?: Message.PayloadInput<M>, ...Options]
  : [payload: Message.PayloadInput<M>, ...Options]

/**
 * The method of one message.
 *
 * @category models
 * @since 0.1.0
 */
export type Method<M extends Message.Any, E, CastError> = M extends { readonly kind: "Call" }
  ? (...args: Arguments<M, [options?: CallOptions]>) => Effect.Effect<Message.Success<M>, Message.Error<M> | E>
  : (...args: Arguments<M, []>) => Effect.Effect<void, CastError>

/**
 * One method per message: calls give the reply or fail with the error of the protocol or a `CallError`, casts and infos
 * give nothing and cannot fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Client<M extends Message.Any, E = CallError, CastError = never> = {
  readonly [T in M as T["_tag"]]: Method<T, E, CastError>
}

/**
 * What all refs have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ref<in out M extends Message.Any> {
  readonly "~effect-otp/Ref": { readonly _M: (_: M) => M }
  readonly address: Address
}

interface PidPart {
  readonly pid: Pid
}

interface NamePart extends Name {}

/**
 * The typed client of one process.
 *
 * @category models
 * @since 0.1.0
 */
export type ProcessRef<M extends Message.Any> = Client<M> & Ref<M> & PidPart

/**
 * The typed client of whoever has a name at the moment of each message.
 *
 * @category models
 * @since 0.1.0
 */
export type NamedRef<M extends Message.Any> = Client<M> & Ref<M> & NamePart

/**
 * The typed client of a server, however it is addressed: what functions take and services hold that only talk to it.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientRef<M extends Message.Any> = Client<M> & Ref<M>

/**
 * The client of a protocol, by the type of the protocol: `ProcessRef.Of<typeof Counter>`.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Of<P extends { readonly messages: ReadonlyArray<Message.Any> }> = ClientRef<Protocol.Messages<P>>

/**
 * A client whose casts fail with a typed error when the mailbox is full and its policy is `fail`.
 *
 * @category models
 * @since 0.1.0
 */
export type CheckedRef<M extends Message.Any> = Client<M, CallError, SendError> & Ref<M>

interface RefClass {
  new(
    node: NodeRuntime,
    target: ServerProcess | undefined,
    address: Address,
    checked: boolean,
    route?: Route
  ): RefBase
}

const classes = new WeakMap<Protocol.Core, RefClass>()

/** The class of the refs of a protocol, made once: its methods stand on the prototype. */
const classOf = (core: Protocol.Core): RefClass => {
  const existing = classes.get(core)
  if (existing !== undefined) return existing
  class ProtocolRef extends RefBase {
    override readonly address: Address

    constructor(
      node: NodeRuntime,
      target: ServerProcess | undefined,
      address: Address,
      checked: boolean,
      route?: Route
    ) {
      super(node, target, checked, route)
      this.address = address
    }

    override get core(): Protocol.Core {
      return core
    }

    get pid(): Pid | undefined {
      return isPid(this.address) ? this.address : undefined
    }

    get name(): string | undefined {
      return "name" in this.address ? this.address.name : undefined
    }

    /** The node of a name: undefined for one of this node. */
    get node(): string | undefined {
      return "name" in this.address ? this.address.node : undefined
    }

    override toString(): string {
      return `${core.name}(${String(this.pid ?? this.name)})`
    }

    [Symbol.for("nodejs.util.inspect.custom")](): string {
      return this.toString()
    }
  }
  core.messages.forEach((message, index) => {
    const { makePayload } = message
    const method = message.kind === "Call"
      ? makePayload === undefined
        ? function(this: RefBase, payload: unknown, options?: CallOptions) {
          return callEffect(this, index, payload, options?.timeout)
        }
        : function(this: RefBase, payload: unknown, options?: CallOptions) {
          return callEffect(this, index, makePayload(payload), options?.timeout)
        }
      : makePayload === undefined
      ? function(this: RefBase, payload: unknown) {
        return castEffect(this, index, payload)
      }
      : function(this: RefBase, payload: unknown) {
        return castEffect(this, index, makePayload(payload))
      }
    Object.defineProperty(ProtocolRef.prototype, message._tag, { value: method })
  })
  classes.set(core, ProtocolRef)
  return ProtocolRef
}

/** @internal */
export const unsafeFromProcess = (node: NodeRuntime, core: Protocol.Core, process: ServerProcess): unknown =>
  new (classOf(core))(node, process, process.pid, false)

/** @internal */
export const unsafeFromAddress = (node: NodeRuntime, core: Protocol.Core, address: Address): RefBase => {
  const process = isPid(address) ? node.resolve(address) : undefined
  return new (classOf(core))(node, process instanceof ServerProcess ? process : undefined, address, false)
}

/** @internal */
export const unsafeFromRoute = (
  node: NodeRuntime,
  core: Protocol.Core,
  address: Address,
  route: Route
): unknown => new (classOf(core))(node, undefined, address, false, route)

/** @internal */
export const isRef = (u: unknown): u is RefBase => u instanceof RefBase

/**
 * The ref of a process by its pid, here or on another node. Whether the process serves the protocol shows when it is
 * called.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromPid: <Name extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Name, M>,
  pid: Pid
) => Effect.Effect<ProcessRef<M>, never, Node> = <Name extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Name, M>,
  pid: Pid
) =>
  Effect.map(Node, ({ runtime }) => {
    const process = runtime.resolve(pid)
    // The class has the methods of the protocol; its type cannot be written down.
    return new (classOf(protocol.protocol))(
      runtime,
      process instanceof ServerProcess ? process : undefined,
      pid,
      false
    ) as unknown as ProcessRef<M>
  })

/**
 * The ref of the owner of an alias, here or on another node. When the alias was taken back, calls fail with `NoProcess`
 * and casts vanish.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromAlias: <Name extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Name, M>,
  alias: Reference
) => Effect.Effect<ClientRef<M>, never, Node> = <Name extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Name, M>,
  alias: Reference
) =>
  Effect.map(
    Node,
    ({ runtime }) =>
      // As above.
      new (classOf(protocol.protocol))(runtime, undefined, alias, false) as unknown as ClientRef<M>
  )

/**
 * The ref of whoever has the name when a message is sent. It survives restarts; while nobody has the name, calls fail
 * with `NoProcess` and casts vanish.
 *
 * @category constructors
 * @since 0.1.0
 */
export const named: <N extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<N, M>,
  name: string | Name
) => Effect.Effect<NamedRef<M>, never, Node> = <N extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<N, M>,
  name: string | Name
) =>
  Effect.map(
    Node,
    ({ runtime }) =>
      // As above.
      new (classOf(protocol.protocol))(
        runtime,
        undefined,
        typeof name === "string" ? { name } : name,
        false
      ) as unknown as NamedRef<M>
  )

/**
 * The same ref with casts that fail with a typed `SendError` when the mailbox is full and its policy is `fail`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const checked = <M extends Message.Any>(ref: Ref<M>): CheckedRef<M> => {
  const base = ref as unknown as RefBase // every ref is made in this file
  return new (classOf(base.core))(base.runtime, base.target, base.address, true, base.route) as unknown as CheckedRef<M>
}
