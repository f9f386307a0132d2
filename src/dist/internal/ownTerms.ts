/**
 * Calls and casts of terms to servers of this node: they mean there what they mean over the wire.
 *
 * A term that is a message of the server's protocol is handed over as that message, and its reply comes back as a term.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Address } from "../../process/Address.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import { CallError, MalformedReply } from "../../process/CallError.ts"
import type * as Message from "../../process/Message.ts"
import type { Node, Service } from "../../process/Node.ts"
import type { CallOptions } from "../../process/ProcessRef.ts"
import type { Core } from "../../process/Protocol.ts"
import type { Term } from "../../term/Term.ts"
import * as MessageCodec from "./MessageCodec.ts"

interface Found {
  readonly protocol: Core
  readonly message: Message.Any
  readonly payload: unknown
}

/** The message of a server of this node that a term is; undefined when there is no such server or no such message. */
const find = (node: Service, to: Address, kind: "Call" | "Cast", term: Term): Found | undefined => {
  const process = Behaviour.processAt(node, to)
  if (!(process instanceof Behaviour.Instance)) return undefined
  const { protocol } = process.behaviour
  const set = MessageCodec.setsOf(protocol.messages)[kind]
  const decoded = set?.shape.fromTerm(term)
  if (set === undefined || decoded?._tag !== "Message") return undefined
  return { protocol, message: set.messages[decoded.index]!, payload: decoded.payload }
}

/** The call of a server of this node by a term; undefined when it is to be called with the term itself. */
export const call = (
  node: Service,
  to: Address,
  request: Term,
  options: CallOptions | undefined
): Effect.Effect<Term, CallError, Node> | undefined => {
  const found = find(node, to, "Call", request)
  if (found === undefined) return undefined
  const { message, payload, protocol } = found
  const shape = MessageCodec.replyOf(message)
  // A reply without a form on the wire is one for callers with types alone.
  if (shape instanceof Error) return undefined
  const toTerm = (reply: ReturnType<typeof shape.successToTerm>): Effect.Effect<Term, CallError> =>
    Result.isSuccess(reply) ? Effect.succeed(reply.success) : Effect.fail(
      new CallError({
        target: "name" in to ? to.name : to.toString(),
        protocol: protocol.name,
        request: message._tag,
        reason: new MalformedReply({ detail: reply.failure.message })
      })
    )
  return Effect.matchEffect(Behaviour.call(protocol, to, message._tag, payload, options), {
    onSuccess: (value) => toTerm(shape.successToTerm(value)),
    onFailure: (error) => error instanceof CallError ? Effect.fail(error) : toTerm(shape.failureToTerm(error))
  })
}

/** The cast to a server of this node by a term; undefined when it is to be sent the term itself. */
export const cast = (node: Service, to: Address, request: Term): Effect.Effect<void> | undefined => {
  const found = find(node, to, "Cast", request)
  if (found === undefined) return undefined
  const ref = Behaviour.refAt(node, found.protocol, to) as {
    readonly [tag: string]: (payload: unknown) => Effect.Effect<void>
  } // one method per message
  return ref[found.message._tag]!(found.payload)
}
