/**
 * What a stage says to other stages.
 *
 * A process of this node gets it at once; what is for others is kept until the stage takes it to its fiber. Guarantees
 * the order for each of them. Refuses nothing: what does not arrive, the monitors of the subscription tell.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type * as Message from "../../process/Message.ts"
import type { Service as NodeService } from "../../process/Node.ts"
import type * as Process from "../../process/Process.ts"
import * as Protocol from "../../process/Protocol.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import * as StageMessage from "./StageMessage.ts"
import type { Definition } from "./StageModel.ts"

/** What a stage that produces nothing says to a consumer: it has no message of its own for that. */
const refusal = StageMessage.toConsumer(StageMessage.toProducer.payloadSchema)
const refusalProtocol = Protocol.make("GenStage", refusal).protocol

/** @since 0.1.0 */
export class Outgoing {
  private readonly instance: Behaviour.Instance
  private readonly node: NodeService
  private readonly produces: Definition["produces"]
  private readonly protocol: Protocol.Core
  private sends: Array<Effect.Effect<void>> = []

  constructor(instance: Behaviour.Instance, node: NodeService, { name, produces }: Definition) {
    this.instance = instance
    this.node = node
    this.produces = produces
    const messages = produces === undefined ? [StageMessage.toProducer] : [StageMessage.toProducer, produces]
    this.protocol = Protocol.make(name, ...messages).protocol
  }

  toConsumer(pid: Pid, tag: Term, message: StageMessage.ToConsumer["message"]): void {
    this.send(this.produces ?? refusal, pid, { from: [this.instance.pid, tag], message })
  }

  toProducer(target: Process.Target, tag: Term, message: StageMessage.ProducerRequest): void {
    this.send(StageMessage.toProducer, target, { from: [this.instance.pid, tag], message })
  }

  private send(
    message: Message.Any,
    target: Process.Target,
    payload: StageMessage.ToProducer | StageMessage.ToConsumer
  ): void {
    const { node } = this.instance
    const address = "address" in target ? target.address : target
    if (!node.isRemote(address)) {
      const process = node.resolve(address)
      if (process !== undefined) Behaviour.insist(process, message, payload)
      return
    }
    const core = message === refusal ? refusalProtocol : this.protocol
    const ref = Behaviour.refAt(this.node, core, address) as {
      readonly [tag: string]: (payload: unknown) => Effect.Effect<void>
    }
    this.sends.push(ref[message._tag]!(StageMessage.forWire(payload)))
  }

  /** Sends what was kept; undefined when there is nothing. */
  take(): Effect.Effect<void> | undefined {
    const { sends } = this
    if (sends.length === 0) return undefined
    this.sends = []
    return sends.length === 1 ? sends[0]! : Effect.forEach(sends, (send) => send, { discard: true })
  }
}
