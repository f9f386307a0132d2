/**
 * Runs the cores of a stage on the loop of processes: messages of other stages go to the accounts, what they ask for goes
 * to the callbacks, and what these emit goes to the dispatcher.
 *
 * One thing at a time: batches of events, demand, cancellations and markers are tasks in the order in which they arose.
 * A producer-consumer takes a batch only while somebody wants events and its buffer is empty, so that it holds no more
 * than it has asked for.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Service as NodeService } from "../../process/Node.ts"
import type * as Process from "../../process/Process.ts"
import { isTransition, stop, Transition } from "../../process/Transition.ts"
import { isReference, type Reference } from "../../term/Reference.ts"
import { print, type Term } from "../../term/Term.ts"
import type { ConsumerOptions } from "../Dispatcher.ts"
import * as Intake from "../Intake.ts"
import { Outlet } from "../Outlet.ts"
import { SubscribeError } from "../StageError.ts"
import { Consumers } from "./Consumers.ts"
import { Outgoing } from "./Outgoing.ts"
import * as StageMessage from "./StageMessage.ts"
import {
  type Callback,
  type Definition,
  type Downstream,
  Emit,
  Finish,
  type Input,
  type SubscribeRequest,
  type Task,
  type Upstream,
  viewOf
} from "./StageModel.ts"

type Outcome = Transition<unknown, never, never> | Effect.Effect<Transition<unknown, never, never>, unknown>

/** Nothing left to do for the loop. */
const stay: Transition<never, never, never> = new Transition(
  false,
  undefined as never,
  false,
  undefined as never,
  undefined,
  undefined
)

class Tick extends Behaviour.Timer {
  readonly stage: Stage

  constructor(stage: Stage) {
    super()
    this.stage = stage
  }

  fire(): void {
    this.stage.instance.system(() => this.stage.ticked())
  }
}

const budget = 256

/** The most that one consumer may have asked for and not received: a producer is to make that many at once. */
const demandMax = 1_000_000

/** A running stage. It is the state of its process, as the loop sees it. */
export class Stage {
  readonly instance: Behaviour.Instance
  readonly outlet: Outlet<unknown, unknown> | undefined
  user: unknown
  /** Events that came without having been asked for. */
  excess = 0
  private readonly definition: Definition
  private readonly outgoing: Outgoing
  /** By the key of their reference, and those that wait for their confirmation are not here any more. */
  private readonly upstreams = new Map<number, Upstream>()
  private readonly consumers: Consumers
  private ids = 0
  private tasks: Array<Task> = []
  private inputs: Array<Input> = []
  private timer: Tick | undefined = undefined
  private warned = false

  constructor(
    instance: Behaviour.Instance,
    node: NodeService,
    definition: Definition,
    user: unknown,
    seed: number
  ) {
    this.instance = instance
    this.definition = definition
    this.user = user
    this.outlet = definition.outlet === undefined ? undefined : new Outlet({ ...definition.outlet, seed })
    this.outgoing = new Outgoing(instance, node, definition)
    this.consumers = new Consumers(instance.node)
  }

  // --- what others say -----------------------------------------------------------------------------------------------

  /** A consumer speaks. */
  fromConsumer({ from, message }: StageMessage.ToProducer): Outcome {
    const known = this.consumers.get(from)
    switch (message._tag) {
      case "Subscribe":
        this.accept(from, known, message)
        break
      case "Ask":
        if (known === undefined) this.refuse(from, "unknown_subscription")
        else if (!(message.count >= 1)) this.drop(known, ExitReason.error(`bad demand: ${message.count}`))
        else if ((known.asked += message.count) > demandMax) {
          this.drop(known, ExitReason.error(`a demand of ${known.asked}, and a consumer may have ${demandMax}`))
        } else {
          const refused = this.outlet!.ask(known.id, message.count)
          if (refused !== undefined) this.drop(known, ExitReason.error(refused))
        }
        break
      case "Cancel":
        if (known === undefined) this.refuse(from, "unknown_subscription")
        else this.drop(known, StageMessage.readReason(message.reason))
    }
    return this.proceed()
  }

  private accept(
    from: StageMessage.Party,
    known: Downstream | undefined,
    { current, options }: Extract<StageMessage.ProducerRequest, { readonly _tag: "Subscribe" }>
  ): void {
    if (this.outlet === undefined) return this.refuse(from, "not_a_producer")
    if (known !== undefined) return this.drop(known, ExitReason.error("duplicated_subscription"))
    const [pid, tag] = from
    const before = StageMessage.readCurrent(current)
    const replaced = before === undefined ? undefined : this.consumers.get([pid, before.tag])
    if (replaced !== undefined) this.drop(replaced, before!.reason)
    const id = ++this.ids
    // The selector is of the type of the events, which the constructor of the subscription has checked.
    const refused = this.outlet.subscribe(id, StageMessage.readOptions(options) as ConsumerOptions<unknown>)
    if (refused !== undefined) return this.refuse(from, refused)
    const peer: Downstream = {
      role: "consumer",
      id,
      pid,
      tag,
      monitor: Behaviour.monitor(this.instance, pid),
      asked: 0
    }
    this.consumers.add(peer)
    if (this.definition.subscribed !== undefined) this.tasks.push({ _tag: "Subscribed", peer })
  }

  private refuse([pid, tag]: StageMessage.Party, reason: string): void {
    this.outgoing.toConsumer(pid, tag, { _tag: "Cancel", reason: ExitReason.error(reason) })
  }

  /** Ends the subscription of a consumer, and tells it. */
  private drop(peer: Downstream, reason: ExitReason.ExitReason): void {
    Behaviour.demonitor(this.instance, peer.monitor)
    this.outgoing.toConsumer(peer.pid, peer.tag, { _tag: "Cancel", reason })
    this.forget(peer, reason)
  }

  private forget(peer: Downstream, reason: ExitReason.ExitReason): void {
    this.consumers.delete(peer)
    this.outlet!.cancel(peer.id)
    if (this.definition.cancelled !== undefined) this.tasks.push({ _tag: "Cancelled", peer, reason, stop: false })
  }

  /** A producer speaks. */
  fromProducer({ from: [pid, tag], message }: StageMessage.ToConsumer): Outcome {
    const upstream = this.upstreamOf(tag)
    if ("_tag" in message) {
      if (upstream !== undefined) this.lose(upstream, StageMessage.readReason(message.reason))
    } else if (upstream === undefined) {
      this.outgoing.toProducer(pid, tag, { _tag: "Cancel", reason: ExitReason.error("unknown_subscription") })
    } else this.receive(upstream, message)
    return this.proceed()
  }

  private receive(upstream: Upstream, events: ReadonlyArray<unknown>): void {
    if (this.definition.holds) {
      this.inputs.push({ _tag: "Events", upstream, events, ask: 0 })
      return
    }
    const { batches, intake } = Intake.receive(upstream.intake, events.length)
    const excess = intake.excess - upstream.intake.excess
    if (excess > 0) {
      this.excess += excess
      this.warn(`${excess} events came from ${upstream.subject} that were not asked for`)
    }
    upstream.intake = intake
    let at = 0
    for (const { ask, size } of batches) {
      const batch = size === events.length ? events : events.slice(at, at + size)
      this.inputs.push({ _tag: "Events", upstream, events: batch, ask })
      at += size
    }
  }

  /** A subscription of this stage has ended. */
  private lose(upstream: Upstream, reason: ExitReason.ExitReason): void {
    this.disown(upstream)
    const { cancel } = upstream
    const stop = cancel === "permanent" || (cancel === "transient" && !ExitReason.isOrderly(reason))
    // Behind what it has sent before.
    this.inputs.push({ _tag: "Cancelled", peer: upstream, reason, stop })
  }

  private disown(upstream: Upstream): void {
    upstream.alive = false
    this.upstreams.delete(this.keyOf(upstream.tag)!)
    Behaviour.demonitor(this.instance, upstream.tag)
  }

  /** Whether a monitor that has fired was one of the subscriptions. */
  down(ref: Reference, reason: ExitReason.ExitReason): Outcome | undefined {
    const key = this.keyOf(ref)
    if (key === undefined) return undefined
    const downstream = this.consumers.monitoredBy(key)
    if (downstream !== undefined) {
      this.forget(downstream, reason)
      return this.proceed()
    }
    const upstream = this.upstreams.get(key)
    if (upstream === undefined) return undefined
    this.lose(upstream, reason)
    return this.proceed()
  }

  /** A term with the head of a message between stages that does not fit its schema. */
  malformed(term: unknown): Outcome | undefined {
    const from = StageMessage.malformedFrom(term)
    if (from === undefined) return undefined
    const reason = ExitReason.error("malformed_message")
    this.warn(`a message of ${from.party[0]} does not fit: ${print(term as Term, { maxLength: 200 })}`)
    if (from.toConsumer) {
      const upstream = this.upstreamOf(from.party[1])
      this.outgoing.toProducer(from.party[0], from.party[1], { _tag: "Cancel", reason })
      if (upstream !== undefined) this.lose(upstream, reason)
    } else {
      const known = this.consumers.get(from.party)
      if (known === undefined) this.refuse(from.party, "malformed_message")
      else this.drop(known, reason)
    }
    return this.proceed()
  }

  // --- what its owner wants ------------------------------------------------------------------------------------------

  /** Subscribes to a producer. */
  subscribe(request: SubscribeRequest, current?: StageMessage.Current): Effect.Effect<Reference, SubscribeError> {
    const { cancel = "permanent", demand = "automatic", maxDemand = Intake.defaultMax, selector } = request
    const minDemand = request.minDemand ?? Math.floor(maxDemand / 2)
    const { node } = this.instance
    const address = "address" in request.to ? request.to.address : request.to
    const local = node.resolve(address)
    const remote = node.isRemote(address)
    // A name stands for who has it now: messages and monitor are for one process.
    const target = local?.pid ?? address
    const subject = local?.displayName ?? String("name" in address ? address.name : address)
    const wrong = !this.definition.consumes
      ? "it is not a consumer"
      : Intake.check(minDemand, maxDemand) ??
        (remote && selector !== undefined
          ? "a selector is a function, and cannot be sent to another node"
          : !remote && local === undefined && cancel === "temporary"
          ? "there is no such process"
          : undefined)
    if (wrong !== undefined) {
      return Effect.fail(
        new SubscribeError({ consumer: this.instance.displayName, producer: subject, detail: wrong })
      )
    }
    const tag = Behaviour.monitor(this.instance, target)
    const { ask, intake } = Intake.begin(demand, minDemand, maxDemand)
    const upstream: Upstream = { role: "producer", target, subject, tag, cancel, intake, alive: true }
    this.upstreams.set(this.keyOf(tag)!, upstream)
    const { partition, weight } = request
    const options = { maxDemand, minDemand, cancel, selector, partition, weight }
    this.outgoing.toProducer(target, tag, { _tag: "Subscribe", current, options })
    if (ask > 0) this.outgoing.toProducer(target, tag, { _tag: "Ask", count: ask })
    if (this.definition.subscribed !== undefined) this.tasks.push({ _tag: "Subscribed", peer: upstream })
    return Effect.succeed(tag)
  }

  /** Subscribes anew and ends an earlier subscription, which does not count as cancelled. */
  resubscribe(
    tag: Reference,
    request: SubscribeRequest,
    reason: ExitReason.ExitReason
  ): Effect.Effect<Reference, SubscribeError> {
    const before = this.upstreamOf(tag)
    if (before === undefined) return this.subscribe(request)
    return Effect.tap(this.subscribe(request, { tag, reason }), (made) =>
      Effect.sync(() => {
        this.disown(before)
        const target = this.upstreamOf(made)!.target
        // The same producer was told with the subscription.
        if (!sameTarget(target, before.target)) this.outgoing.toProducer(before.target, tag, { _tag: "Cancel", reason })
      }))
  }

  /** Cancels a subscription of this stage, or of a consumer to it. */
  cancel(tag: Term, reason: ExitReason.ExitReason): Outcome {
    const upstream = this.upstreamOf(tag)
    if (upstream !== undefined) {
      this.outgoing.toProducer(upstream.target, upstream.tag, { _tag: "Cancel", reason })
      this.lose(upstream, reason)
    } else {
      for (const peer of this.consumers.tagged(tag)) this.drop(peer, reason)
    }
    return this.proceed()
  }

  /** More demand by hand. */
  ask(tag: Reference, count: number): Outcome {
    const upstream = this.upstreamOf(tag)
    if (upstream !== undefined && count > 0) {
      const asked = Intake.ask(upstream.intake, count)
      upstream.intake = asked.intake
      this.demandOf(upstream, asked.ask)
    }
    return this.proceed()
  }

  /** An event that was held is done with. */
  finished(tag: Term): Outcome {
    const upstream = this.upstreamOf(tag)
    if (upstream !== undefined) {
      const { batches, intake } = Intake.receive(upstream.intake, 1)
      upstream.intake = intake
      for (const { ask } of batches) this.demandOf(upstream, ask)
    }
    return this.proceed()
  }

  /** Puts a marker behind all events that wait. */
  mark(value: unknown): Outcome {
    if (this.outlet === undefined) this.tasks.push({ _tag: "Info", value })
    else this.outlet.mark(value)
    return this.proceed()
  }

  /** Emits events from outside of a callback. */
  emit(events: ReadonlyArray<unknown>): Outcome {
    this.release(events)
    return this.proceed()
  }

  /** Passes demand on, or keeps it back. */
  forward(forwarding: boolean): Outcome {
    this.outlet?.forward(forwarding)
    return this.proceed()
  }

  ticked(): Outcome {
    this.timer = undefined
    this.outlet!.tick()
    return this.proceed()
  }

  // --- callbacks -----------------------------------------------------------------------------------------------------

  /** A handler of the user's own protocol, or one of a signal, has come to a decision. */
  decide(decided: unknown, call: Behaviour.CallEnvelope | undefined): unknown {
    if (Effect.isEffect(decided)) {
      // Services were provided when the process was started.
      return Effect.flatMap(decided as Effect.Effect<unknown, unknown>, (value) => toEffect(this.decided(value, call)))
    }
    return this.decided(decided, call)
  }

  private decided(value: unknown, call: Behaviour.CallEnvelope | undefined): Outcome {
    const transition = value instanceof Emit ? value.transition : value
    if (!isTransition(transition)) {
      if (value instanceof Emit) this.release(value.events)
      if (call !== undefined) call.complete(Exit.succeed(transition))
      return this.proceed()
    }
    if (transition.updates) this.user = transition.state
    if (value instanceof Emit) this.release(value.events)
    if (transition.reason !== undefined) return this.conclude(withoutState(transition))
    if (transition.replies && call !== undefined) call.complete(Exit.succeed(transition.reply))
    return this.proceed()
  }

  /** Does what is to be done until nothing is left, or a callback needs the fiber. */
  proceed(): Outcome {
    for (let left = budget; left > 0; left--) {
      const task = this.take()
      if (task === undefined) return this.conclude(stay)
      const decided = this.perform(task)
      if (Effect.isEffect(decided) && !Exit.isExit(decided)) {
        const sends = this.outgoing.take()
        // A failure is no answer to whatever message has led here.
        const run = Effect.orDie(decided as Effect.Effect<unknown, unknown>)
        return Effect.flatMap(
          sends === undefined ? run : Effect.andThen(sends, run),
          (value) => toEffect(this.settle(task, value) ?? this.proceed())
        )
      }
      const stopped = !Exit.isExit(decided)
        ? this.settle(task, decided)
        : Exit.isSuccess(decided)
        ? this.settle(task, decided.value)
        : this.conclude(stop(ExitReason.fromCause(decided.cause as Cause.Cause<unknown>)))
      if (stopped !== undefined) return stopped
    }
    const sends = this.outgoing.take() ?? Effect.void
    return Effect.flatMap(Effect.andThen(sends, Effect.yieldNow), () => toEffect(this.proceed()))
  }

  private take(): Task | Input | undefined {
    this.flush()
    const task = this.tasks.shift()
    if (task !== undefined) return task
    const input = this.inputs[0]
    if (input === undefined) return undefined
    if (input._tag === "Events" && this.outlet !== undefined && !this.outlet.hungry) return undefined
    this.inputs.shift()
    return input
  }

  private perform(task: Task | Input): unknown {
    const { definition, instance } = this
    const context = { self: instance.pid, node: instance.node.name }
    // The parameters of each callback are those of its type.
    const call = (callback: Callback | undefined, ...args: ReadonlyArray<unknown>): unknown =>
      callback?.(...args as ReadonlyArray<never>)
    switch (task._tag) {
      case "Demand":
        return call(definition.demand, task.count, this.user, context)
      case "Events":
        return call(definition.events, task.events, this.user, { ...context, from: viewOf(task.upstream) })
      case "Subscribed":
        return call(definition.subscribed, viewOf(task.peer), this.user, context)
      case "Cancelled":
        return call(definition.cancelled, { ...viewOf(task.peer), reason: task.reason }, this.user, context)
      case "Info":
        return task.value instanceof Finish
          ? stop(task.value.reason)
          : call(definition.info, task.value, this.user, context)
    }
  }

  /** A callback has decided. The outcome is set when the stage stops. */
  private settle(task: Task | Input, value: unknown): Outcome | undefined {
    const transition = value instanceof Emit ? value.transition : value
    if (isTransition(transition) && transition.updates) this.user = transition.state
    if (value instanceof Emit) this.release(value.events)
    if (task._tag === "Events") this.demandOf(task.upstream, task.ask)
    if (isTransition(transition) && transition.reason !== undefined) return this.conclude(withoutState(transition))
    if (task._tag !== "Cancelled" || !task.stop) return undefined
    if (this.outlet === undefined || this.outlet.buffered === 0 || !ExitReason.isOrderly(task.reason)) {
      return this.conclude(stop(task.reason))
    }
    // The end of what came in is the end of what goes out: what waits goes out first.
    this.outlet.mark(new Finish(task.reason))
    return undefined
  }

  private release(events: ReadonlyArray<unknown>): void {
    const dropped = this.outlet?.emit(events) ?? 0
    if (dropped > 0) {
      this.warn(`its buffer of ${this.outlet!.buffer.capacity} events is full: ${dropped} events dropped`)
    }
  }

  // --- what it says --------------------------------------------------------------------------------------------------

  private flush(): void {
    const { outlet } = this
    if (outlet === undefined) return
    const work = outlet.flush()
    if (work !== undefined) {
      for (const { consumer, events } of work.deliveries) {
        const peer = this.consumers.withId(consumer)
        if (peer === undefined) continue
        peer.asked -= events.length
        this.outgoing.toConsumer(peer.pid, peer.tag, events)
      }
      for (const value of work.markers) this.tasks.push({ _tag: "Info", value })
      if (work.demand > 0 && this.definition.demand !== undefined) {
        this.tasks.push({ _tag: "Demand", count: work.demand })
      }
    }
    const { tickAfterMillis } = outlet
    if (tickAfterMillis !== undefined && this.timer === undefined) {
      this.timer = new Tick(this)
      Behaviour.armTimer(this.instance, this.timer, tickAfterMillis)
    }
  }

  private demandOf(upstream: Upstream, count: number): void {
    if (count > 0 && upstream.alive) this.outgoing.toProducer(upstream.target, upstream.tag, { _tag: "Ask", count })
  }

  private conclude(transition: Transition<unknown, never, never>): Outcome {
    this.flush()
    const sends = this.outgoing.take()
    return sends === undefined ? transition : Effect.as(sends, transition)
  }

  private upstreamOf(tag: Term): Upstream | undefined {
    if (!isReference(tag)) return undefined
    const key = this.keyOf(tag)
    return key === undefined ? undefined : this.upstreams.get(key)
  }

  private keyOf(ref: Reference): number | undefined {
    return this.instance.node.keyOfReference(ref)
  }

  /** Says what goes wrong, once per process; counters tell the rest. */
  private warn(text: string): void {
    if (this.warned) return
    this.warned = true
    this.instance.log(Effect.logWarning(`stage ${this.instance.displayName}: ${text}`))
  }

  /** What an observer may see. */
  describe(): unknown {
    const { outlet } = this
    return {
      state: this.definition.format === undefined ? this.user : this.definition.format(this.user as never),
      producers: this.upstreams.size,
      consumers: this.consumers.size,
      outstanding: [...this.upstreams.values()].reduce((sum, { intake }) => sum + intake.outstanding, 0),
      excess: this.excess,
      ...(outlet === undefined ? {} : {
        buffered: outlet.buffered,
        dropped: outlet.buffer.dropped,
        discarded: outlet.discarded,
        owed: outlet.owed
      })
    }
  }
}

const sameTarget = (a: Process.Target, b: Process.Target): boolean => {
  const text = (target: Process.Target): string => {
    const address = "address" in target ? target.address : target
    return "name" in address ? `${address.name}@${address.node}` : `${address.creation}${address.toString()}`
  }
  return text(a) === text(b)
}

const withoutState = (transition: Transition<unknown, unknown, unknown>): Transition<unknown, never, never> =>
  new Transition(transition.replies, transition.reply, false, undefined as never, transition.reason, undefined)

const toEffect = (outcome: Outcome): Effect.Effect<Transition<unknown, never, never>, unknown> =>
  Effect.isEffect(outcome) ? outcome : Effect.succeed(outcome)

/** The state of a process that is a stage; undefined when it is none. */
export const stageOf = (process: unknown): Stage | undefined => {
  const state = (process as { readonly state?: unknown } | undefined)?.state
  return state instanceof Stage ? state : undefined
}
