/**
 * A stage compiled for the loop of processes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Behaviour from "../../process/Behaviour.ts"
import { Node } from "../../process/Node.ts"
import { Stage } from "./Stage.ts"
import { toProducer } from "./StageMessage.ts"
import type { Definition } from "./StageModel.ts"

/** Runs an Effect of the definition in the process; its services are there since the process was started. */
const subscribeAll = (
  stage: Stage,
  requests: ReadonlyArray<Parameters<Stage["subscribe"]>[0]>
): Effect.Effect<unknown> =>
  Effect.flatMap(
    // What cannot be subscribed to is a crash, as a monitor that fires at once would be.
    Effect.orDie(Effect.forEach(requests, (request) => stage.subscribe(request), { discard: true })),
    () => {
      const outcome = stage.proceed()
      return Effect.isEffect(outcome) ? Effect.orDie(outcome) : Effect.succeed(outcome)
    }
  )

export const compile = (definition: Definition): Behaviour.Behaviour => {
  const { protocol } = definition
  const toConsumer = protocol.indexByTag.get("$gen_consumer")
  const asProducer = protocol.indexByTag.get(toProducer._tag)
  const handlers = protocol.messages.map(({ _tag }) => {
    const handler = definition.handlers[_tag]
    if (handler === undefined && _tag !== "$gen_producer" && _tag !== "$gen_consumer") {
      throw new Error(`a stage of ${protocol.name} has no handler for ${_tag}; add one to its handlers`)
    }
    return handler
  })
  const { down, exit, unhandled } = definition.handlers
  let reported = 0
  return {
    name: definition.name,
    protocol,
    // A message of another stage is handled in the process's own turn: it may set a whole line of stages going.
    init: (instance, args) =>
      Effect.gen(function*() {
        const node = yield* Node
        const user = yield* definition.init(args as never)
        if (user instanceof Behaviour.Ignore) return user
        const stage = new Stage(instance, node, definition, user, yield* Random.nextIntBetween(1, 0x7fffffff))
        const requests = definition.subscribeTo?.(args as never) ?? []
        return new Behaviour.Started(stage, requests.length > 0 ? { continue: requests } : undefined)
      }),
    handle: (instance, envelope) => {
      const stage = instance.state as Stage
      switch (envelope.kind) {
        case Behaviour.CALL:
        case Behaviour.CAST: {
          const { index, payload } = envelope
          if (index === asProducer) return stage.fromConsumer(payload as Parameters<Stage["fromConsumer"]>[0])
          if (index === toConsumer) return stage.fromProducer(payload as Parameters<Stage["fromProducer"]>[0])
          return stage.decide(
            handlers[index]!(payload as never, stage.user as never, envelope as never),
            envelope.kind === Behaviour.CALL ? envelope : undefined
          )
        }
        case Behaviour.CONTINUE:
          return subscribeAll(stage, envelope.payload as Parameters<typeof subscribeAll>[1])
        case Behaviour.EXIT:
          return exit === undefined
            ? undefined
            : stage.decide(exit(envelope.payload as never, stage.user as never, envelope as never), undefined)
        case Behaviour.DOWN: {
          const outcome = stage.down(envelope.payload.ref, envelope.payload.reason)
          if (outcome !== undefined || down === undefined) return outcome
          return stage.decide(down(envelope.payload as never, stage.user as never, envelope as never), undefined)
        }
        case Behaviour.TERM: {
          const outcome = stage.malformed(envelope.payload)
          if (outcome !== undefined) return outcome
          if (unhandled !== undefined) {
            return stage.decide(unhandled(envelope.payload as never, stage.user as never, envelope as never), undefined)
          }
          instance.node.discarded++
          if (reported++ === 0) {
            instance.log(
              Effect.logWarning(
                `stage ${instance.displayName}: a message that its protocol does not know; it and later ones are ` +
                  "dropped. Give the stage a handler unhandled to see them"
              )
            )
          }
          return undefined
        }
      }
      return undefined
    },
    terminate: (instance, reason) => definition.terminate?.(reason, (instance.state as Stage).user as never),
    format: (state) => (state as Stage).describe()
  }
}
