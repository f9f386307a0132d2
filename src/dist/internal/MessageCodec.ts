/**
 * Messages and replies on the wire, compiled once per message and once per protocol.
 *
 * A message whose schemas have no form on the wire can be used locally; on the wire it is unknown, and sending it to
 * another node is a defect that says which part of which schema cannot travel.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type EtfDecodeError, EtfSchemaError } from "../../etf/EtfError.ts"
import * as Etf from "../../etf/EtfSchema.ts"
import * as MessageShape from "../../etf/MessageShape.ts"
import type * as Message from "../../process/Message.ts"
import type { Term } from "../../term/Term.ts"
import * as WireName from "../WireName.ts"
import * as RawTerm from "./RawTerm.ts"

// Services and effects in schemas are refused by the shapes themselves.
type Codec = Schema.Codec<any, any>

const definitionOf = (message: Message.Any): MessageShape.Definition => ({
  tag: message._tag,
  payload: message.payloadSchema as unknown as Codec,
  name: WireName.get(message)
})

/** What is found by a message, which mostly is the same one as last time. */
class ByMessage<A> {
  private readonly known = new WeakMap<Message.Any, A>()
  private last: Message.Any | undefined = undefined
  private found: A | undefined = undefined

  get(message: Message.Any): A | undefined {
    if (message === this.last) return this.found
    const found = this.known.get(message)
    if (found !== undefined) this.remember(message, found)
    return found
  }

  set(message: Message.Any, value: A): void {
    this.known.set(message, value)
    this.remember(message, value)
  }

  private remember(message: Message.Any, value: A): void {
    this.last = message
    this.found = value
  }
}

const requests = new ByMessage<MessageShape.MessageShape | EtfSchemaError>()

const compiled = <A>(make: () => A): A | EtfSchemaError => {
  // oxlint-disable-next-line effect-otp/no-try -- a schema without a form on the wire is reported by throwing
  try {
    return make()
  } catch (error) {
    if (error instanceof EtfSchemaError) return error
    throw error
  }
}

// The payload of a raw message is the message.
const raw = compileRaw()
requests.set(RawTerm.Call, raw)
requests.set(RawTerm.Cast, raw)

function compileRaw(): MessageShape.MessageShape {
  const codec = Etf.compile(Schema.Unknown)
  return {
    heads: [],
    toTerm: (_, payload) => codec.toTerm(payload),
    fromTerm: (term) => ({ _tag: "Unknown", term }),
    writeTo: (encoder, _, payload) => codec.writeTo(encoder, payload),
    readFrom: (decoder) =>
      Result.map(codec.readFrom(decoder), (term) => ({ _tag: "Unknown", term: term as Term })) as Result.Result<
        MessageShape.Decoded,
        EtfDecodeError
      > // any term is of the schema: only bytes can be wrong
  }
}

/** How one message is written. */
export const requestOf = (message: Message.Any): MessageShape.MessageShape | EtfSchemaError => {
  let shape = requests.get(message)
  if (shape === undefined) {
    shape = compiled(() => MessageShape.make([definitionOf(message)]))
    requests.set(message, shape)
  }
  return shape
}

/** How the messages of one kind in a protocol are read. */
export interface Set {
  readonly shape: MessageShape.MessageShape
  readonly messages: ReadonlyArray<Message.Any>
}

/** How a protocol is read. */
export interface Sets {
  readonly Call: Set | undefined
  readonly Cast: Set | undefined
  readonly Info: Set | undefined
}

const sets = new WeakMap<ReadonlyArray<Message.Any>, Sets>()

const setOf = (all: ReadonlyArray<Message.Any>, kind: Message.Kind): Set | undefined => {
  const messages = all.filter((message) => message.kind === kind && !(requestOf(message) instanceof EtfSchemaError))
  if (messages.length === 0) return undefined
  const shape = compiled(() => MessageShape.make(messages.map(definitionOf)))
  if (!(shape instanceof EtfSchemaError)) return { shape, messages }
  // Two messages look the same: the first of them is the one that is meant.
  const heads = new globalThis.Set<string>()
  const distinct = messages.filter((message) => {
    const { arity, name } = (requestOf(message) as MessageShape.MessageShape).heads[0]!
    const head = `${name}/${arity}`
    if (heads.has(head)) return false
    heads.add(head)
    return true
  })
  return { shape: MessageShape.make(distinct.map(definitionOf)), messages: distinct }
}

/** How the messages of a protocol are read. */
export const setsOf = (messages: ReadonlyArray<Message.Any>): Sets => {
  let known = sets.get(messages)
  if (known === undefined) {
    known = { Call: setOf(messages, "Call"), Cast: setOf(messages, "Cast"), Info: setOf(messages, "Info") }
    sets.set(messages, known)
  }
  return known
}

const replies = new ByMessage<MessageShape.ReplyShape<unknown, unknown> | EtfSchemaError>()

/** How the reply to a call is written and read. */
export const replyOf = (message: Message.Any): MessageShape.ReplyShape<unknown, unknown> | EtfSchemaError => {
  let shape = replies.get(message)
  if (shape === undefined) {
    shape = compiled(() =>
      MessageShape.makeReply<unknown, unknown, unknown, unknown>(
        message.successSchema as unknown as Codec,
        message.errorSchema as unknown as Codec
      )
    )
    replies.set(message, shape)
  }
  return shape
}
