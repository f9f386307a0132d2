/**
 * Protocols: named, closed sets of messages. A protocol is the contract between a server and its clients.
 *
 * A protocol is a value that can be extended as a class (`class Counter extends Protocol.make("Counter", ...) {}`), so
 * that it has a name in types. Servers must handle each of its messages, refs have one method for each.
 *
 * @since 0.1.0
 */
import type { Handlers } from "./Handler.ts"
import type * as Message from "./Message.ts"

const TypeId = "~effect-otp/Protocol"

/**
 * A named set of messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol<out Name extends string, in out M extends Message.Any> {
  new(_: never): {}
  readonly [TypeId]: { readonly _M: (_: M) => M }
  readonly protocol: Core
  /** The name of the protocol, for logs, errors and the observer. */
  readonly protocolName: Name
  readonly messages: ReadonlyArray<M>
  /** The protocol with more messages. */
  add<const More extends ReadonlyArray<Message.Any>>(...messages: More): Protocol<Name, M | More[number]>
  /** Handlers in closure style: gives their parameters types where they are written. */
  of<H extends Handlers<M, void>>(handlers: H): H
}

/**
 * Any protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly protocol: Core
  readonly protocolName: string
  readonly messages: ReadonlyArray<Message.Any>
}

/**
 * What is the same for a protocol and every class that extends it: the identity of the protocol at run time. The
 * position of a message in `messages` is its number inside this process; it never travels.
 *
 * @category models
 * @since 0.1.0
 */
export interface Core {
  readonly name: string
  readonly messages: ReadonlyArray<Message.Any>
  readonly indexByTag: ReadonlyMap<string, number>
}

/**
 * The messages of a protocol, as a union.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Messages<P> = P extends { readonly messages: ReadonlyArray<infer M> } ? M : never

/** Members of every ref; a message of such a name would hide them. */
const reserved: ReadonlySet<string> = new Set([
  "pid",
  "name",
  "node",
  "address",
  "protocol",
  "exit",
  "down",
  "unhandled",
  "constructor",
  "then",
  "toString",
  "toJSON",
  "pipe"
])

const fromCore = (core: Core): Protocol<string, any> => { // `any`: M is invariant and unknown here
  class ProtocolClass {}
  return Object.assign(ProtocolClass, {
    [TypeId]: { _M: (_: never) => _ },
    protocol: core,
    protocolName: core.name,
    messages: core.messages,
    add: (...more: ReadonlyArray<Message.Any>) => build(core.name, [...core.messages, ...more]),
    of: <H>(handlers: H): H => handlers
  }) as unknown as Protocol<string, any>
}

const build = (name: string, messages: ReadonlyArray<Message.Any>): Protocol<string, any> => {
  const indexByTag = new Map<string, number>()
  messages.forEach((message, index) => {
    if (indexByTag.has(message._tag)) {
      throw new Error(`Protocol ${name}: two messages are called ${JSON.stringify(message._tag)}; rename one of them`)
    }
    if (reserved.has(message._tag)) {
      throw new Error(
        `Protocol ${name}: a message cannot be called ${JSON.stringify(message._tag)}, refs use that name themselves`
      )
    }
    indexByTag.set(message._tag, index)
  })
  return fromCore({ name, messages, indexByTag })
}

/**
 * Makes a protocol of messages. Two messages of one tag, and tags that refs use themselves, are refused by a defect.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Message, Protocol } from "effect-otp"
 *
 * class Counter extends Protocol.make(
 *   "Counter",
 *   Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
 *   Message.Cast("Reset")
 * ) {}
 * Counter.messages.length // => 2
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string, const M extends ReadonlyArray<Message.Any>>(
  name: Name,
  ...messages: M
): Protocol<Name, M[number]> => build(name, messages) as Protocol<Name, M[number]>

/**
 * Whether a value is a protocol.
 *
 * @category guards
 * @since 0.1.0
 */
export const isProtocol = (u: unknown): u is Any => typeof u === "function" && TypeId in u
