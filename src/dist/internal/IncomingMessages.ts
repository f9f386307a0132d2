/**
 * Messages as they came in: calls, casts, replies and anything else, as OTP writes them, are told apart by their envelope
 * and handed to the node. The request itself stays bytes until its receiver is known.
 *
 * @since 0.1.0
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { EtfSchemaError } from "../../etf/EtfError.ts"
import type { Address } from "../../process/Address.ts"
import * as CallError from "../../process/CallError.ts"
import type * as Message from "../../process/Message.ts"
import type { Inbound, InboundRequest } from "../../process/Transport.ts"
import { Atom } from "../../term/Atom.ts"
import { ImproperList } from "../../term/ImproperList.ts"
import type { Pid } from "../../term/Pid.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import type { Incoming } from "./Incoming.ts"
import * as MessageCodec from "./MessageCodec.ts"
import { aliasName, callName, castName, type ReplyTag } from "./payload.ts"

/** Sends the answer to a call back. */
export type Answer = (
  receiver: Pid | undefined,
  caller: Pid,
  tag: ReplyTag,
  message: Message.Any | undefined,
  exit: Exit.Exit<unknown, unknown>
) => void

/** A message as it came in; its request is still bytes. Valid until the next packet is read. */
class WireRequest implements InboundRequest {
  readonly caller: Pid
  private readonly messages: IncomingMessages
  private readonly kind: Message.Kind
  private readonly tag: ReplyTag | undefined
  private readonly start: number
  private readonly whole: number

  constructor(
    messages: IncomingMessages,
    kind: Message.Kind,
    caller: Pid,
    tag: ReplyTag | undefined,
    start: number,
    whole: number
  ) {
    this.messages = messages
    this.kind = kind
    this.caller = caller
    this.tag = tag
    this.start = start
    this.whole = whole
  }

  /** The request of a call; of a cast or an info the whole term. */
  get raw(): Term {
    return this.messages.termAt(this.kind === "Call" ? this.start : this.whole)
  }

  decode(
    messages: ReadonlyArray<Message.Any>
  ): { readonly message: Message.Any; readonly payload: unknown } | undefined {
    const set = MessageCodec.setsOf(messages)[this.kind]
    return set === undefined ? undefined : this.messages.messageAt(this.start, set)
  }

  reply(message: Message.Any | undefined, exit: Exit.Exit<unknown, unknown>, from?: Pid): void {
    if (this.tag !== undefined) this.messages.answer(from, this.caller, this.tag, message, exit)
  }
}

/** @since 0.1.0 */
export class IncomingMessages {
  /** Sends the answer to a call back. */
  readonly answer: Answer
  private readonly incoming: Incoming
  private readonly inbound: Inbound
  private readonly peer: string
  private readonly self: { readonly name: string; readonly pid: Pid }

  constructor(
    incoming: Incoming,
    inbound: Inbound,
    peer: string,
    self: { readonly name: string; readonly pid: Pid },
    answer: Answer
  ) {
    this.incoming = incoming
    this.inbound = inbound
    this.peer = peer
    this.self = self
    this.answer = answer
  }

  /** Takes the message that the decoder is at. */
  take(from: Pid | undefined, to: Pid | Reference | string): void {
    const { inbound } = this
    const reader = this.incoming.decoder.cursor
    const whole = reader.pos
    const address = addressOf(to, this.self.name)
    reader.begin()
    if (reader.peek() === 104) {
      reader.pos++
      const arity = reader.u8()
      const tag = reader.peek()
      if (arity === 3 && isAtomTag(tag)) {
        if (reader.atom().name === callName) {
          const request = this.callAt(whole)
          if (request !== undefined) {
            inbound.call(address, request)
            return
          }
        }
      } else if (arity === 2) {
        if (isAtomTag(tag)) {
          if (reader.atom().name === castName) {
            inbound.cast(
              address,
              new WireRequest(this, "Cast", from ?? this.self.pid, undefined, reader.pos, whole)
            )
            return
          }
        } else {
          const ref = this.replyRefAt(tag)
          if (ref !== undefined) {
            this.replyStart = reader.pos
            if (inbound.reply(ref, this.replyOf, this.peer)) return
            // An answer that comes too late.
            if (isReference(to)) return
          }
        }
      }
      reader.pos = whole
    }
    inbound.info(
      address,
      new WireRequest(this, "Info", from ?? this.self.pid, undefined, whole, whole)
    )
  }

  /** `{'$gen_call', {Pid, Tag}, Request}` behind its first element; undefined when it is something else. */
  private callAt(whole: number): WireRequest | undefined {
    const reader = this.incoming.decoder.cursor
    if (reader.peek() !== 104 || reader.source[reader.pos + 1] !== 2) return undefined
    reader.pos += 2
    const pidTag = reader.peek()
    if (pidTag !== 88 && pidTag !== 103) return undefined
    const caller = reader.pid()
    const tag = this.tagAt()
    return new WireRequest(this, "Call", caller, tag, reader.pos, whole)
  }

  private tagAt(): ReplyTag {
    const reader = this.incoming.decoder.cursor
    const start = reader.pos
    // [alias | Ref], as nearly every call has it.
    if (reader.peek() === 108) {
      reader.pos++
      if (reader.u32() === 1 && isAtomTag(reader.peek()) && reader.atom().name === aliasName && reader.peek() === 90) {
        return reader.reference()
      }
      reader.pos = start
    }
    const term = reader.term(0)
    const inner = term instanceof ImproperList || Array.isArray(term) ? elementsOf(term)[0] : undefined
    if (
      inner instanceof ImproperList && inner.elements.length === 1 && isAlias(inner.elements[0]) &&
      isReference(inner.tail)
    ) {
      return { _tag: "NestedAlias", alias: inner.tail, term }
    }
    return { _tag: "Plain", term }
  }

  /** The reference of a reply, with the cursor behind it; undefined when it is none of this node. */
  private replyRefAt(tag: number): Reference | undefined {
    const reader = this.incoming.decoder.cursor
    let ref: Reference | undefined
    if (tag === 90) ref = reader.reference()
    else if (tag === 108) {
      const start = reader.pos
      reader.pos++
      if (reader.u32() === 1 && isAtomTag(reader.peek()) && reader.atom().name === aliasName && reader.peek() === 90) {
        ref = reader.reference()
      } else reader.pos = start
    }
    return ref !== undefined && ref.node === this.self.name ? ref : undefined
  }

  private replyStart = 0

  /** Decodes the answer that has just been read. */
  private readonly replyOf = (message: Message.Any): Exit.Exit<unknown, unknown> => {
    const shape = MessageCodec.replyOf(message)
    if (shape instanceof EtfSchemaError) return Exit.fail(new CallError.MalformedReply({ detail: shape.message }))
    this.incoming.decoder.cursor.pos = this.replyStart
    const result = shape.readFrom(this.incoming.decoder)
    if (Result.isFailure(result)) throw result.failure
    const reply = result.success
    switch (reply._tag) {
      case "Success":
        return Exit.succeed(reply.value)
      case "Failure":
        return Exit.fail(reply.error)
      case "Malformed":
        return Exit.fail(new CallError.MalformedReply({ detail: reply.error.message }))
    }
  }

  /** @internal */
  termAt(start: number): Term {
    this.incoming.decoder.cursor.pos = start
    return this.incoming.decoder.readUnsafe()
  }

  /** @internal */
  messageAt(
    start: number,
    set: MessageCodec.Set
  ): { readonly message: Message.Any; readonly payload: unknown } | undefined {
    this.incoming.decoder.cursor.pos = start
    const result = set.shape.readFrom(this.incoming.decoder)
    if (Result.isFailure(result)) throw result.failure
    const decoded = result.success
    return decoded._tag === "Message"
      ? { message: set.messages[decoded.index]!, payload: decoded.payload }
      : undefined
  }
}

const isAtomTag = (tag: number): boolean => tag === 82 || tag === 119 || tag === 118 || tag === 115 || tag === 100

const isAlias = (term: Term | undefined): boolean => term instanceof Atom && term.name === aliasName

const elementsOf = (term: Term): ReadonlyArray<Term> =>
  term instanceof ImproperList ? term.elements : Array.isArray(term) ? term as ReadonlyArray<Term> : []

let lastName: { readonly name: string; readonly node: string } = { name: "", node: "" }

/** Where a control message leads: a name is one of this node. */
export const addressOf = (to: Pid | Reference | string, node: string): Address => {
  if (typeof to !== "string") return to
  // Mostly the same one as last time.
  return lastName.name === to && lastName.node === node ? lastName : lastName = { name: to, node }
}
