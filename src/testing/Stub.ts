/**
 * Stubs: servers of a protocol that handle only what a test needs.
 *
 * A call without a handler makes its caller die with a `StubError` that names the message, and the stub goes on. Casts and
 * infos without a handler are taken and forgotten.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as GenServer from "../otp/GenServer.ts"
import type { StartError } from "../process/CallError.ts"
import type { CallContext, Handlers } from "../process/Handler.ts"
import type * as Message from "../process/Message.ts"
import type { Node } from "../process/Node.ts"
import type { CurrentProcess } from "../process/Process.ts"
import type { ProcessRef } from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import { StubError } from "./TestingError.ts"

/** The services that handlers need: those of the Effects they return. */
type ServicesOf<H> = {
  readonly [K in keyof H]: H[K] extends (...args: any) => infer Result
    ? Result extends Effect.Effect<any, any, infer R> ? R : never
    : never
}[keyof H]

/**
 * A server of the protocol with these handlers only, to be started or supervised like any other. The handlers have no
 * state; they return a plain reply, a transition, or an Effect of either.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 * import { Stub } from "effect-otp/testing"
 *
 * class Rates extends Protocol.make("Rates",
 *   Message.Call("Rate", { payload: { of: Schema.String }, success: Schema.Number }),
 *   Message.Call("History", { success: Schema.Array(Schema.Number) })
 * ) {}
 *
 * const rates = GenServer.start(Stub.make(Rates, { Rate: ({ of }) => of === "EUR" ? 1.1 : 1 }), undefined, {
 *   name: "rates"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Name extends string, M extends Message.Any, H extends Partial<Handlers<M, void>>>(
  protocol: Protocol.Protocol<Name, M>,
  handlers: H
): GenServer.GenServer<void, M, never, Exclude<ServicesOf<H>, Scope.Scope | CurrentProcess>> => {
  const all: Record<string, unknown> = { exit: () => undefined, down: () => undefined, unhandled: () => undefined }
  for (const message of protocol.messages) {
    all[message._tag] = message.kind === "Call"
      ? (_payload: unknown, _state: unknown, context: CallContext<unknown, unknown>) =>
        refuse(protocol, message, context)
      : () => undefined
  }
  // The handlers that are missing were added above; the types of the others were checked by the signature.
  return GenServer.make(
    protocol,
    () => Effect.succeed({ ...all, ...handlers } as Handlers<M, void>)
  ) as GenServer.GenServer<
    void,
    M,
    never,
    Exclude<ServicesOf<H>, Scope.Scope | CurrentProcess>
  >
}

/**
 * Starts a stub, tied to the surrounding scope.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Name extends string, M extends Message.Any, H extends Partial<Handlers<M, void>>>(
  protocol: Protocol.Protocol<Name, M>,
  handlers: H,
  options?: GenServer.StartOptions
): Effect.Effect<
  ProcessRef<M>,
  StartError,
  Exclude<ServicesOf<H>, Scope.Scope | CurrentProcess> | Node | Scope.Scope
> => GenServer.start(make(protocol, handlers), undefined, options)

const refuse = (protocol: Protocol.Any, message: Message.Any, context: CallContext<unknown, unknown>): unknown => {
  const error = new StubError({
    protocol: protocol.protocolName,
    message: `the stub of ${protocol.protocolName} has no handler for the call ${message._tag}; add one to its handlers`
  })
  // The context of a call is its envelope, which can also be answered with a defect.
  const envelope = context.from as unknown as { readonly complete: (exit: Exit.Exit<unknown, unknown>) => boolean }
  envelope.complete(Exit.die(error))
  return GenServer.noReply(undefined)
}
