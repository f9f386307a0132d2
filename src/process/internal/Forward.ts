/**
 * Handing a message on: a process that got a call, cast or term gives it to another one of its node, which answers the
 * original caller itself.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Pid } from "../../term/Pid.ts"
import * as CallError from "../CallError.ts"
import { CALL, CallEnvelope, CAST, CastEnvelope, type TermEnvelope } from "./Envelope.ts"
import type { LocalProcess } from "./LocalProcess.ts"
import { ServerProcess } from "./ServerProcess.ts"

/** A call in the hands of another process. Whatever answers it, answers the original. */
class ForwardedCall extends CallEnvelope {
  readonly original: CallEnvelope

  constructor(original: CallEnvelope, process: LocalProcess, index: number) {
    super(process, original.protocolName, original.message, index, original.payload, original.fiber)
    this.original = original
  }

  override get caller(): Pid {
    return this.original.caller
  }

  override get abandoned(): boolean {
    return this.original.abandoned
  }

  override complete(exit: Exit.Exit<unknown, unknown>): boolean {
    if (!super.complete(exit)) return false
    this.original.complete(exit)
    return true
  }

  // What it means that a call failed is for the original to know: its caller may be of another node.
  override failWith(reason: CallError.CallErrorReason): void {
    if (this.done) return
    this.done = true
    if (this.deferred) this.process.undefer(this)
    this.original.failWith(reason)
  }
}

const indexIn = (process: ServerProcess, tag: string, kind: string): number | undefined => {
  const { indexByTag, messages } = process.behaviour.protocol
  const index = indexByTag.get(tag)
  return index !== undefined && messages[index]!.kind === kind ? index : undefined
}

/**
 * Hands a message that `from` is handling to another process. A call stays unanswered by `from`, whose handler returns
 * without a reply; when the other mailbox is full, the call fails with `MailboxFull`. A cast or term to a full mailbox
 * meets its policy as one from another node: there is nobody who could wait.
 */
export const forward = (
  from: ServerProcess,
  envelope: CallEnvelope | CastEnvelope | TermEnvelope,
  to: LocalProcess
): void => {
  if (envelope.kind === CALL) {
    const { _tag, kind } = envelope.message
    const index = to instanceof ServerProcess ? indexIn(to, _tag, kind) : undefined
    const call = new ForwardedCall(envelope, to, index ?? -1)
    if (index === undefined) {
      if (to.mailboxLength >= to.capacity) refuse(call, to)
      else to.receiveCall(call)
    } else if (!(to as ServerProcess).call(call)) {
      refuse(call, to)
    }
    return
  }
  if (envelope.kind === CAST && to instanceof ServerProcess) {
    const { _tag, kind } = from.behaviour.protocol.messages[envelope.index]!
    const index = indexIn(to, _tag, kind)
    if (index !== undefined) return settle(to, to.cast(new CastEnvelope(to, index, envelope.payload), undefined))
  }
  settle(to, to.deliverValue(valueOf(from, envelope), undefined))
}

const refuse = (call: CallEnvelope, to: LocalProcess): void => {
  to.countDropped()
  call.failWith(new CallError.MailboxFull({ capacity: to.capacity }))
}

const settle = (to: LocalProcess, sent: Effect.Effect<void, "full">): void => {
  if (sent !== Effect.void) Effect.runForkWith(to.node.context)(Effect.ignore(sent))
}

/** A message as the value that a process receives which does not know its protocol. */
const valueOf = (from: ServerProcess, envelope: CastEnvelope | TermEnvelope): unknown => {
  if (envelope.kind !== CAST) return envelope.payload
  const { _tag } = from.behaviour.protocol.messages[envelope.index]!
  return typeof envelope.payload === "object" && envelope.payload !== null ? { _tag, ...envelope.payload } : { _tag }
}
