/**
 * The payloads of messages: calls, casts, infos and replies as OTP writes them.
 *
 * @since 0.1.0
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Encoder } from "../../etf/Encoder.ts"
import { EtfEncodeError, EtfSchemaError } from "../../etf/EtfError.ts"
import type * as Message from "../../process/Message.ts"
import type { Outbound } from "../../process/Transport.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import * as MessageCodec from "./MessageCodec.ts"

export const aliasName = "alias"
export const callName = "$gen_call"
export const castName = "$gen_cast"

/** The tag of a call that is to be answered; a reference stands for `[alias | Ref]`. */
export type ReplyTag =
  | Reference
  | { readonly _tag: "NestedAlias"; readonly alias: Reference; readonly term: Term }
  | { readonly _tag: "Plain"; readonly term: Term }

/** `[alias | Ref]`. */
export const writeAlias = (encoder: Encoder, ref: Reference): void => {
  const writer = encoder.output
  writer.tag32(108, 1)
  writer.atom(aliasName)
  writer.reference(ref)
}

const writeRequest = (encoder: Encoder, message: Message.Any, payload: unknown): void => {
  const shape = MessageCodec.requestOf(message)
  if (shape instanceof EtfSchemaError) throw shape
  const written = shape.writeTo(encoder, 0, payload)
  if (Result.isFailure(written)) throw written.failure
}

/** What stands in the payload of a message before its request: of a call, it ends with the reference. */
export const writeHead = (encoder: Encoder, from: Pid, message: Outbound): void => {
  const writer = encoder.output
  if (message._tag === "Call") {
    writer.tag8(104, 3)
    writer.atom(callName)
    writer.tag8(104, 2)
    writer.pid(from)
    writeAlias(encoder, message.reply)
  } else if (message._tag === "Cast") {
    writer.tag8(104, 2)
    writer.atom(castName)
  }
}

/** What stands behind {@link writeHead}. */
export const writeBody = (encoder: Encoder, message: Outbound): void => {
  switch (message._tag) {
    case "Call":
    case "Cast":
    case "Info":
      return writeRequest(encoder, message.message, message.payload)
    case "Term":
      return encoder.writeUnsafe(message.value as Term) // what is no term is refused by the encoder
    case "Reply":
      return writeReply(encoder, message.message, message.exit)
  }
}

/** The reply to a call; without a message it is a term as it stands. Throws what has no form on the wire. */
export const writeReply = (
  encoder: Encoder,
  message: Message.Any | undefined,
  exit: Exit.Exit<unknown, unknown>
): void => {
  if (message === undefined) {
    if (Exit.isSuccess(exit)) return encoder.writeUnsafe(exit.value as Term) // as above
    throw new EtfEncodeError({ reason: "NotATerm", path: [], detail: "a call without a schema has no domain error" })
  }
  const shape = MessageCodec.replyOf(message)
  if (shape instanceof EtfSchemaError) throw shape
  let written: ReturnType<typeof shape.writeFailureTo>
  if (Exit.isSuccess(exit)) written = shape.writeSuccessTo(encoder, exit.value)
  else {
    const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
    if (failure === undefined) throw exit.cause
    written = shape.writeFailureTo(encoder, failure.error)
  }
  if (Result.isFailure(written)) throw written.failure
}
