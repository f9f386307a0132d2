/**
 * The consumers of a stage, by all that they are known by: who they are and the tag of their subscription, the number
 * that the dispatcher knows them by, the monitor that tells of their end.
 *
 * @since 0.1.0
 */
import type * as Behaviour from "../../process/Behaviour.ts"
import { isReference } from "../../term/Reference.ts"
import { print, type Term } from "../../term/Term.ts"
import type * as StageMessage from "./StageMessage.ts"
import type { Downstream } from "./StageModel.ts"

const tagText = (tag: Term): string => isReference(tag) ? `${tag.creation}${tag.toString()}` : print(tag)

const partyKey = ([pid, tag]: StageMessage.Party): string => `${pid.creation}${pid.toString()}${tagText(tag)}`

/** @since 0.1.0 */
export class Consumers {
  private readonly node: Behaviour.Instance["node"]
  private readonly byParty = new Map<string, Downstream>()
  private readonly byId = new Map<number, Downstream>()
  private readonly byMonitor = new Map<number, Downstream>()

  constructor(node: Behaviour.Instance["node"]) {
    this.node = node
  }

  get size(): number {
    return this.byParty.size
  }

  get(party: StageMessage.Party): Downstream | undefined {
    return this.byParty.get(partyKey(party))
  }

  withId(id: number): Downstream | undefined {
    return this.byId.get(id)
  }

  /** By the key of its monitor on this node. */
  monitoredBy(key: number): Downstream | undefined {
    return this.byMonitor.get(key)
  }

  /** Those whose subscriptions have this tag: processes choose their tags, so that several may have chosen the same. */
  tagged(tag: Term): ReadonlyArray<Downstream> {
    const text = tagText(tag)
    return [...this.byParty.values()].filter((consumer) => tagText(consumer.tag) === text)
  }

  add(consumer: Downstream): void {
    this.byParty.set(partyKey([consumer.pid, consumer.tag]), consumer)
    this.byId.set(consumer.id, consumer)
    // A monitor of this node's own has a key.
    this.byMonitor.set(this.node.keyOfReference(consumer.monitor)!, consumer)
  }

  delete(consumer: Downstream): void {
    this.byParty.delete(partyKey([consumer.pid, consumer.tag]))
    this.byId.delete(consumer.id)
    this.byMonitor.delete(this.node.keyOfReference(consumer.monitor)!)
  }
}
