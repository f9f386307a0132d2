/**
 * What a saga sends: at once to processes of its own node, and as Effects, which may have to wait for a connection, to others.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Service as NodeService } from "../../process/Node.ts"
import type * as Process from "../../process/Process.ts"
import type * as Protocol from "../../process/Protocol.ts"
import type { Pid } from "../../term/Pid.ts"
import type * as SagaMessage from "./SagaMessage.ts"

export class SagaOutbox {
  private readonly instance: Behaviour.Instance
  private readonly node: NodeService
  /** Those of the saga's own contract. */
  private readonly messages: SagaMessage.Messages
  private waiting: Array<Effect.Effect<void>> = []

  constructor(instance: Behaviour.Instance, node: NodeService, messages: SagaMessage.Messages) {
    this.instance = instance
    this.node = node
    this.messages = messages
  }

  /** Tells a parent something. */
  answer(parent: Pid, kind: SagaMessage.Answer, told: SagaMessage.Told): void {
    const { answers, toParent } = this.messages
    this.send(toParent, parent, answers[kind]._tag, told)
  }

  send(protocol: Protocol.Core, target: Process.Target, tag: string, payload: unknown): void {
    const { node } = this.instance
    const address = "address" in target ? target.address : target
    if (!node.isRemote(address)) {
      const process = node.resolve(address)
      // Whatever the bound of its mailbox: an end that is not told would last until the lifespan is over.
      if (process !== undefined) Behaviour.insist(process, protocol.messages[protocol.indexByTag.get(tag)!]!, payload)
      return
    }
    const ref = Behaviour.refAt(this.node, protocol, address) as {
      readonly [tag: string]: (payload: unknown) => Effect.Effect<void>
    }
    this.push(ref[tag]!(payload))
  }

  /** Something that is to be done in its turn. */
  push(effect: Effect.Effect<void>): void {
    this.waiting.push(effect)
  }

  /** All that waits, in order; undefined when that is nothing. */
  take(): Effect.Effect<void> | undefined {
    const { waiting } = this
    if (waiting.length === 0) return undefined
    this.waiting = []
    return Effect.forEach(waiting, (effect) => effect, { discard: true })
  }
}
