/**
 * Starting transactions: the side that no saga is the parent of. See `SagaServer`, which exports all of this.
 *
 * A small process stands for whoever started the transaction: it is the parent of the origin, so that the origin is a saga like any
 * other.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import { Node, type Service as NodeService } from "../process/Node.ts"
import type * as Protocol from "../process/Protocol.ts"
import { stop } from "../process/Transition.ts"
import type { Reference } from "../term/Reference.ts"
import * as SagaMessage from "./internal/SagaMessage.ts"
import type { Address, AnyContract } from "./SagaContract.ts"
import * as SagaError from "./SagaError.ts"

/**
 * How a transaction is started.
 *
 * @category models
 * @since 0.1.0
 */
export interface BeginOptions {
  /** How long it may take on all sides together; 60 seconds by default. */
  readonly lifespan?: Duration.Input
  /** How often it may be passed on, counted along each path; 100 by default. */
  readonly hopLimit?: number
}

/**
 * A transaction under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Running<out A, out E, out I> {
  /** The same on all sides. */
  readonly id: Reference
  /** Its result. Fails with the error of the contract, or with `SagaCancelled`. */
  readonly await: Effect.Effect<A, E | SagaError.SagaCancelled>
  /** Cancels it on all sides. */
  readonly cancel: (detail?: string) => Effect.Effect<void>
  /** Interim results of the origin, until it ends; of those that nobody takes the last 1000 are kept. */
  readonly interims: Stream.Stream<I>
}

/** What the process of a starter is started with. */
interface Starter {
  readonly node: NodeService
  readonly target: Address<AnyContract>
  readonly contract: AnyContract
  readonly transaction: Reference
  readonly value: unknown
  readonly lifespanMillis: number
  readonly hops: number
  readonly outcome: Deferred.Deferred<unknown, unknown>
  readonly interims: Queue.Queue<unknown, Cause.Done>
}

class LifespanTimer extends Behaviour.Timer {
  private readonly client: Client

  constructor(client: Client) {
    super()
    this.client = client
  }

  fire(): void {
    this.client.cancel(new SagaError.Lifespan({}))
  }
}

/** The process of whoever has started a transaction: the parent of its origin. */
class Client {
  readonly instance: Behaviour.Instance
  readonly starter: Starter
  readonly branch: Reference
  readonly monitor: Reference
  private readonly timer: LifespanTimer

  constructor(instance: Behaviour.Instance, starter: Starter) {
    this.instance = instance
    this.starter = starter
    this.branch = instance.node.makeReference()
    this.monitor = Behaviour.monitor(instance, starter.target)
    this.timer = new LifespanTimer(this)
    Behaviour.armTimer(instance, this.timer, starter.lifespanMillis)
  }

  get begin(): Effect.Effect<void> {
    const { hops, lifespanMillis, transaction, value } = this.starter
    const begin: SagaMessage.Begin = {
      transaction,
      branch: this.branch,
      parent: this.instance.pid,
      path: [],
      hops,
      lifespanMillis,
      value
    }
    return this.send(this.starter.contract.messages.begin, begin)
  }

  /** The origin says something. */
  told(kind: SagaMessage.Answer, { error, reason, value }: SagaMessage.Told): unknown {
    switch (kind) {
      case "interim":
        Queue.offerUnsafe(this.starter.interims, value)
        return undefined
      case "result":
        return this.end(Effect.succeed(value))
      case "failed":
        return this.end(Effect.fail(error))
      case "cancelled":
        return this.end(this.cancelled(reason!))
    }
  }

  /** The origin is gone. */
  lost(why: ExitReason.ExitReason): unknown {
    const { address } = this.starter.target
    const process = "name" in address ? address.name : address.toString()
    return this.end(this.cancelled(new SagaError.Lost({ process, detail: ExitReason.format(why) })))
  }

  /** Cancels from this end, between two messages. */
  cancel(reason: SagaError.CancelReason): void {
    this.instance.system(() => Effect.andThen(this.tell(reason), this.end(this.cancelled(reason))))
  }

  /** Tells the origin that nobody waits for it. */
  tell(reason: SagaError.CancelReason): Effect.Effect<void> {
    return this.send(this.starter.contract.messages.cancel, { branch: this.branch, reason })
  }

  private cancelled(reason: SagaError.CancelReason): Effect.Effect<never, SagaError.SagaCancelled> {
    return Effect.fail(new SagaError.SagaCancelled({ saga: this.starter.contract.name, reason }))
  }

  private end(outcome: Effect.Effect<unknown, unknown>): Effect.Effect<unknown> {
    Behaviour.cancelTimer(this.instance, this.timer)
    return Effect.as(this.settle(outcome), stop())
  }

  /** The first outcome counts. */
  settle(outcome: Effect.Effect<unknown, unknown>): Effect.Effect<void> {
    return Effect.andThen(Deferred.complete(this.starter.outcome, outcome), Queue.end(this.starter.interims))
  }

  private send(tag: string, payload: unknown): Effect.Effect<void> {
    const { contract, node, target } = this.starter
    const ref = Behaviour.refAt(node, contract.messages.toBranch, target) as {
      readonly [tag: string]: (payload: unknown) => Effect.Effect<void>
    }
    return ref[tag]!(payload)
  }
}

const kinds: ReadonlyArray<SagaMessage.Answer> = ["result", "interim", "failed", "cancelled"]

const behaviours = new WeakMap<Protocol.Core, Behaviour.Behaviour>()

/** The behaviour of those who start transactions of a contract. */
const behaviourOf = ({ messages, name }: AnyContract): Behaviour.Behaviour => {
  const { toParent: protocol } = messages
  const existing = behaviours.get(protocol)
  if (existing !== undefined) return existing
  const byIndex = new Map(kinds.map((kind) => [protocol.indexByTag.get(messages.answers[kind]._tag)!, kind]))
  const behaviour: Behaviour.Behaviour = {
    name: `starter of ${name}`,
    protocol,
    init: (instance, args) => {
      // So that the end of its scope lets it say why.
      instance.trapExit = true
      const client = new Client(instance, args as Starter)
      return Effect.as(client.begin, new Behaviour.Started(client, undefined))
    },
    handle: (instance, envelope) => {
      const client = instance.state as Client
      switch (envelope.kind) {
        case Behaviour.CAST:
          return client.told(byIndex.get(envelope.index)!, envelope.payload as SagaMessage.Told)
        case Behaviour.EXIT:
          return envelope.payload.reason._tag === "Normal" ? undefined : stop(envelope.payload.reason)
        case Behaviour.DOWN:
          return client.lost(envelope.payload.reason)
        case Behaviour.TERM: {
          if (SagaMessage.malformed(envelope.payload) === undefined) return undefined
          client.cancel(new SagaError.Malformed({ detail: `what came back is not of the contract ${name}` }))
          return undefined
        }
      }
      return undefined
    },
    terminate: (instance) => {
      const client = instance.state as Client
      if (Deferred.isDoneUnsafe(client.starter.outcome)) return undefined
      const reason = new SagaError.Requested({ detail: "whoever started it has ended" })
      return Effect.andThen(
        client.tell(reason),
        client.settle(Effect.fail(new SagaError.SagaCancelled({ saga: name, reason })))
      )
    },
    format: () => undefined
  }
  behaviours.set(protocol, behaviour)
  return behaviour
}

/**
 * Starts a transaction at a saga, its origin. When the surrounding scope closes before it has ended it is cancelled.
 *
 * @category transactions
 * @since 0.1.0
 */
export const begin = <C extends AnyContract>(
  saga: Address<C>,
  value: C["value"]["Type"],
  options?: BeginOptions
): Effect.Effect<
  Running<C["result"]["Type"], C["error"]["Type"], C["interim"]["Type"]>,
  StartError,
  Node | Scope.Scope
> =>
  Effect.gen(function*() {
    const { contract } = saga as { readonly contract?: AnyContract }
    if (contract === undefined) {
      return yield* Effect.die(
        new Error(
          "the contract of this ref is not known here; use the one that start gave, or SagaServer.at(contract, ref)"
        )
      )
    }
    const node = yield* Node
    const outcome = yield* Deferred.make<unknown, unknown>()
    const interims = yield* Queue.sliding<unknown, Cause.Done>(1000)
    const lifespan = Duration.toMillis(Duration.fromInputUnsafe(options?.lifespan ?? "60 seconds"))
    const starter: Starter = {
      node,
      target: saga,
      contract,
      transaction: node.runtime.makeReference(),
      value,
      lifespanMillis: Math.min(Math.max(0, Math.floor(lifespan)), Number.MAX_SAFE_INTEGER),
      hops: options?.hopLimit ?? 100,
      outcome,
      interims
    }
    const instance = yield* Behaviour.start(behaviourOf(contract), starter, { label: `starter of ${contract.name}` })
    return {
      id: starter.transaction,
      await: Deferred.await(outcome),
      cancel: (detail = "cancelled") =>
        Effect.sync(() => (instance.state as Client | undefined)?.cancel(new SagaError.Requested({ detail }))),
      interims: Stream.fromQueue(interims)
    }
  }) as Effect.Effect<
    Running<C["result"]["Type"], C["error"]["Type"], C["interim"]["Type"]>, // as the schemas of the contract say
    StartError,
    Node | Scope.Scope
  >

/**
 * Runs a transaction at a saga and waits for its result. Interruption cancels it.
 *
 * @category transactions
 * @since 0.1.0
 */
export const run = <C extends AnyContract>(
  saga: Address<C>,
  value: C["value"]["Type"],
  options?: BeginOptions
): Effect.Effect<C["result"]["Type"], C["error"]["Type"] | SagaError.SagaCancelled | StartError, Node> =>
  Effect.scoped(Effect.flatMap(begin(saga, value, options), (running) => running.await))
