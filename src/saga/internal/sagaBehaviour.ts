/**
 * A saga server compiled for the loop of processes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Behaviour from "../../process/Behaviour.ts"
import { Node } from "../../process/Node.ts"
import type { Down, Exit as ExitSignal } from "../../process/Signal.ts"
import { isTransition, stop, Transition } from "../../process/Transition.ts"
import type { Reference } from "../../term/Reference.ts"
import * as SagaError from "../SagaError.ts"
import type * as SagaMessage from "./SagaMessage.ts"
import type { Definition } from "./SagaModel.ts"
import { SagaProcess } from "./SagaProcess.ts"

/** The calls that every saga serves. */
export const control = { cancel: "$saga_cancel_transaction", limit: "$saga_limit", status: "$saga_status" } as const

/** What a handler of the saga's own protocol has decided: its state is a part of that of the process. */
const decide = (saga: SagaProcess, decided: unknown): unknown => {
  if (Effect.isEffect(decided) && !Exit.isExit(decided)) {
    // Services were provided when the process was started.
    return Effect.map(decided as Effect.Effect<unknown, unknown>, (value) => settle(saga, value))
  }
  return Exit.isExit(decided) && Exit.isSuccess(decided) ? settle(saga, decided.value) : settle(saga, decided)
}

const settle = (saga: SagaProcess, decided: unknown): unknown => {
  if (!isTransition(decided)) return decided
  if (decided.updates) saga.user = decided.state
  return new Transition(decided.replies, decided.reply, false, undefined, decided.reason, decided.next)
}

/** A call that sets something going: its reply comes behind what it has set going was done. */
const after = (work: Effect.Effect<void> | undefined, reply: unknown): unknown =>
  work === undefined ? reply : Effect.as(work, reply)

export const compile = (definition: Definition): Behaviour.Behaviour => {
  const { contract, handlers, protocol } = definition
  const own = new Map<number, (saga: SagaProcess, payload: never) => unknown>()
  const serve = <P>(tag: string, handle: (saga: SagaProcess, payload: P) => unknown): void => {
    own.set(protocol.indexByTag.get(tag)!, handle)
  }
  serve<SagaMessage.Begin>(contract.messages.begin, (saga, begin) => saga.arrive(begin))
  serve<{ readonly branch: Reference; readonly reason: SagaError.CancelReason }>(
    contract.messages.cancel,
    (saga, { branch, reason }) => saga.parentCancelled(branch, reason)
  )
  for (const { messages } of new Set(Object.values(definition.next))) {
    for (const kind of ["result", "interim", "failed", "cancelled"] as const) {
      serve<SagaMessage.Told>(messages.answers[kind]._tag, (saga, told) => saga.told(kind, told))
    }
  }
  serve<{ readonly transaction: Reference; readonly detail: string }>(control.cancel, (saga, payload) => {
    const found = saga.cancelTransaction(
      payload.transaction,
      new SagaError.Requested({ detail: payload.detail })
    )
    return after(saga.proceed(), found)
  })
  serve<{ readonly limit: number }>(control.limit, (saga, { limit }) => {
    saga.limit = limit === 0 ? Infinity : limit
  })
  serve<void>(control.status, (saga) => ({
    transactions: saga.count,
    limit: saga.limit === Infinity ? 0 : saga.limit
  }))
  protocol.messages.forEach(({ _tag }, index) => {
    if (!own.has(index) && handlers[_tag] === undefined) {
      throw new Error(`saga ${contract.name} has no handler for ${_tag}; add one to its handlers`)
    }
  })
  const { down, exit, unhandled } = handlers
  let reported = 0
  return {
    name: definition.contract.name,
    protocol,
    init: (instance, args) =>
      Effect.gen(function*() {
        const node = yield* Node
        const user = definition.init === undefined ? undefined : yield* definition.init(args as never)
        if (user instanceof Behaviour.Ignore) return user
        // The end of a job is a message, and not the end of the saga.
        instance.trapExit = true
        return new Behaviour.Started(new SagaProcess(instance, node, definition, user), undefined)
      }),
    handle: (instance, envelope) => {
      const saga = instance.state as SagaProcess
      switch (envelope.kind) {
        case Behaviour.CALL:
        case Behaviour.CAST: {
          const serving = own.get(envelope.index)
          if (serving !== undefined) return serving(saga, envelope.payload as never)
          const handler = handlers[protocol.messages[envelope.index]!._tag]!
          return decide(saga, handler(envelope.payload as never, saga.user as never, envelope as never))
        }
        case Behaviour.EXIT: {
          const signal: ExitSignal = envelope.payload
          const work = saga.exited(signal.from, signal.reason)
          if (work !== false) return work
          if (exit !== undefined) return decide(saga, exit(signal as never, saga.user as never, envelope as never))
          // Nobody asked to see it: it means what it means to a process that does not trap.
          return signal.reason._tag === "Normal" ? undefined : stop(signal.reason)
        }
        case Behaviour.DOWN: {
          const signal: Down = envelope.payload
          const work = saga.down(signal.ref, signal.reason)
          if (work !== false || down === undefined) return work === false ? undefined : work
          return decide(saga, down(signal as never, saga.user as never, envelope as never))
        }
        case Behaviour.TERM: {
          const work = saga.malformed(envelope.payload)
          if (work !== false) return work
          if (unhandled !== undefined) {
            return decide(saga, unhandled(envelope.payload as never, saga.user as never, envelope as never))
          }
          instance.node.discarded++
          if (reported++ === 0) {
            instance.log(
              Effect.logWarning(
                `saga ${instance.displayName}: a message that its protocol does not know; it and later ones are ` +
                  "dropped. Give the saga a handler unhandled to see them"
              )
            )
          }
          return undefined
        }
      }
      return undefined
    },
    terminate: (instance, reason) => {
      const saga = instance.state as SagaProcess
      saga.stop()
      return definition.terminate?.(reason as never, saga.user as never)
    },
    format: (state) => (state as SagaProcess).describe()
  }
}
