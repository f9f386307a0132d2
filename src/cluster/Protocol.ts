/**
 * Protocols, and their likeness in `effect/rpc`.
 *
 * This module is `process/Protocol` with the bridge to Effect's own remote procedures: a protocol becomes a group of
 * them and a group becomes a protocol, so that one server can be reached by refs, over HTTP, a worker, a socket or
 * through Effect Cluster with the same schemas. `effect/rpc` is an unstable part of Effect; only this folder touches it.
 *
 * Guarantees: a call keeps payload, success, error and annotations; a cast is a procedure without a result; what is
 * served by a process fails with the domain error as ever, and dies with `CallError` when the process cannot be reached.
 * Left out: infos, which no procedure can stand for, and procedures that stream, which no message can.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import { CallError } from "../process/CallError.ts"
import * as Message from "../process/Message.ts"
import type { Ref } from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"

export * from "../process/Protocol.ts"

/**
 * The procedure of a message; none for an info.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ToRpc<M extends Message.Any> = M extends
  Message.Message<infer Tag, infer K, infer Payload, infer Success, infer Error>
  ? K extends "Info" ? never : Rpc.Rpc<Tag, Payload, Success, Error>
  : never

/**
 * The message of a procedure; none for one that streams.
 *
 * @category type-level
 * @since 0.1.0
 */
export type FromRpc<R extends Rpc.Any> = R extends
  Rpc.Rpc<infer Tag, infer Payload, infer Success, infer Error, infer _Middleware, infer _Requires>
  ? [Success] extends [RpcSchema.Stream<infer _A, infer _E>] ? never
  : Message.Message<Tag, "Call", Payload, Success, Error>
  : never

/**
 * The calls and casts of a protocol as a group of procedures.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { RpcTest } from "effect/rpc"
 * import { GenServer, Message, Protocol } from "effect-otp"
 *
 * class Counter extends Protocol.make("Counter",
 *   Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int })
 * ) {}
 * class CounterRpcs extends Protocol.toRpcGroup(Counter) {}
 *
 * // The procedures are served by whoever has the name.
 * const CounterRpcsLive = CounterRpcs.toLayer(Effect.map(GenServer.named(Counter, "counter"), Protocol.rpcHandlers))
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* RpcTest.makeClient(CounterRpcs)
 *   return yield* client.Add({ n: 2 })
 * })
 * ```
 *
 * @category rpc
 * @since 0.1.0
 */
export const toRpcGroup = <Name extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Name, M>
): RpcGroup.RpcGroup<ToRpc<M>> =>
  RpcGroup.make(
    ...protocol.messages.filter((message) => message.kind !== "Info").map((message) =>
      Rpc.make(message._tag as string, {
        payload: message.payloadSchema,
        success: message.successSchema,
        error: message.errorSchema
      }).annotateMerge(message.annotations)
    )
  ) as unknown as RpcGroup.RpcGroup<ToRpc<M>> // the list has lost the types of its members

/**
 * A protocol of the procedures of a group: each is a call.
 *
 * @category rpc
 * @since 0.1.0
 */
export const fromRpcGroup = <const Name extends string, R extends Rpc.Any>(
  name: Name,
  group: RpcGroup.RpcGroup<R>
): Protocol.Protocol<Name, FromRpc<R>> => {
  // What a group holds has these properties; its type says no more than the tags.
  const rpcs = [...group.requests.values()] as unknown as ReadonlyArray<Rpc.AnyWithProps>
  return Protocol.make(
    name,
    ...rpcs.filter((rpc) => !RpcSchema.isStreamSchema(rpc.successSchema)).map((rpc) =>
      Message.annotateMerge(
        Message.Call(rpc._tag, { payload: rpc.payloadSchema, success: rpc.successSchema, error: rpc.errorSchema }),
        rpc.annotations
      )
    )
  ) as unknown as Protocol.Protocol<Name, FromRpc<R>> // as above
}

/**
 * The handlers that {@link rpcHandlers} makes: one per call and cast.
 *
 * @category models
 * @since 0.1.0
 */
export type RpcHandlers<M extends Message.Any> = {
  readonly [T in Exclude<M, { readonly kind: "Info" }> as T["_tag"]]: (
    payload: Message.Payload<T>
  ) => Effect.Effect<Message.Success<T>, Message.Error<T>>
}

/**
 * Handlers for the group of a protocol that hand each request to the process of a ref. Domain errors stay; a `CallError`
 * (nobody there, too late, a crash) becomes a defect of the procedure. A client that interrupts its request gives the
 * call up.
 *
 * `RpcServer` takes a defect as the end of the whole client unless it is told `disableFatalDefects: true`: one server that
 * is slow or restarting should not fail the other requests, so tell it.
 *
 * @category rpc
 * @since 0.1.0
 */
export const rpcHandlers = <M extends Message.Any>(ref: Ref<M>): RpcHandlers<M> => {
  // Every ref knows its protocol, and has a method for each message.
  const client = ref as unknown as
    & { readonly core: Protocol.Core }
    & { readonly [tag: string]: (payload: unknown) => Effect.Effect<unknown, unknown> }
  return Object.fromEntries(
    client.core.messages.filter((message) => message.kind !== "Info").map((message) => {
      const tag = message._tag as string
      return [tag, (payload: unknown) => Effect.catchIf(client[tag]!(payload), isCallError, Effect.die)]
    })
  ) as unknown as RpcHandlers<M> // as above
}

const isCallError = (error: unknown): error is CallError => error instanceof CallError
