/**
 * An open topic: who subscribes, what was published last, and how an event reaches everyone.
 *
 * All subscribers see all events in one order: an event that is published while another is on its way waits for its
 * turn. Nothing here waits for a subscriber, and nothing that a subscriber does can keep an event from the others.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Behaviour from "../../process/Behaviour.ts"
import { type ExitReason, isOrderly } from "../../process/ExitReason.ts"
import * as Message from "../../process/Message.ts"
import type { Service as NodeService } from "../../process/Node.ts"
import type { Target } from "../../process/Process.ts"
import { Down } from "../../process/Signal.ts"
import type { Reference } from "../../term/Reference.ts"
import { EventsError } from "./EventsError.ts"

const notice = { topic: Schema.String }

type Notice<Tag extends string> = Message.Message<
  Tag,
  "Info",
  Schema.Struct<{ readonly topic: Schema.String }>,
  Schema.Void,
  Schema.Never
>

/**
 * What the `notify` process of a topic gets when the first subscriber comes: `topic` is the name. Make it a message of
 * the protocol of that process.
 *
 * @category notification
 * @since 0.1.0
 */
export const TopicWatched: Notice<"TopicWatched"> = Message.Info("TopicWatched", { payload: notice })

/**
 * What the `notify` process of a topic gets when the last subscriber has gone.
 *
 * @category notification
 * @since 0.1.0
 */
export const TopicUnwatched: Notice<"TopicUnwatched"> = Message.Info("TopicUnwatched", { payload: notice })

/** Who gets the events. */
export interface Subscriber {
  /** The number of the last event before the subscription. */
  readonly after: number
  /** Takes an event. False when it was dropped. */
  deliver(payload: unknown): boolean
  /** The topic has ended. */
  end(topic: LiveTopic, reason: ExitReason): void
}

/** A process that gets the events as infos. */
export class ProcessSubscriber implements Subscriber {
  readonly after: number
  readonly process: Behaviour.Process
  readonly ref: Reference
  private readonly message: Message.Any
  private readonly map: ((payload: unknown) => unknown) | undefined
  unwatch: () => void = () => {}
  private complained = false

  constructor(
    after: number,
    process: Behaviour.Process,
    message: Message.Any,
    map: ((payload: unknown) => unknown) | undefined
  ) {
    this.after = after
    this.process = process
    this.ref = process.node.makeReference()
    this.message = message
    this.map = map
  }

  deliver(payload: unknown): boolean {
    let mapped = payload
    if (this.map !== undefined) {
      // oxlint-disable-next-line effect-otp/no-try -- a mapping of one subscriber that throws is not to harm the others
      try {
        mapped = this.map(payload)
      } catch (defect) {
        this.complain(defect)
        return false
      }
    }
    Behaviour.post(this.process, this.message, mapped)
    return true
  }

  private complain(defect: unknown): void {
    if (this.complained) return
    this.complained = true
    this.process.log(
      Effect.logWarning(
        `the mapping of the subscription of ${this.process.displayName} threw: the event was dropped for it, ` +
          "and so are further ones like it, without another line",
        Cause.die(defect)
      )
    )
  }

  end(topic: LiveTopic, reason: ExitReason): void {
    this.unwatch()
    if (this.process.alive) this.process.deliverDown(new Down(this.ref, { name: topic.name }, reason))
  }
}

/** A stream: a bounded buffer, whose losses are counted. */
export class StreamSubscriber implements Subscriber {
  readonly after: number
  readonly queue: Queue.Queue<unknown, EventsError | Cause.Done>
  dropped = 0

  constructor(after: number, queue: Queue.Queue<unknown, EventsError | Cause.Done>) {
    this.after = after
    this.queue = queue
  }

  deliver(payload: unknown): boolean {
    const full = Queue.isFullUnsafe(this.queue)
    Queue.offerUnsafe(this.queue, payload)
    if (full) this.dropped++
    return !full
  }

  end(topic: LiveTopic, reason: ExitReason): void {
    Behaviour.defer(topic.node, () => {
      if (isOrderly(reason)) Queue.endUnsafe(this.queue)
      else {
        Queue.failCauseUnsafe(
          this.queue,
          Cause.fail(new EventsError({ topic: topic.name, reason: "Ended", exitReason: reason }))
        )
      }
    })
  }
}

/** Someone who waits for the end. */
interface Waiting {
  readonly resume: (reason: ExitReason) => void
}

/** @since 0.1.0 */
export class LiveTopic {
  readonly name: string
  readonly node: NodeService
  readonly replayMax: number
  readonly waiting: Set<Waiting> = new Set()
  private readonly notify: Target | undefined
  private readonly onEnd: () => void
  private readonly subscribers = new Set<Subscriber>()
  private readonly byProcess = new Map<Behaviour.Process, ProcessSubscriber>()
  private readonly last: Array<unknown> = []
  private readonly pending: Array<unknown> = []
  private busy = false
  /** Why it has ended, once it has. */
  reason: ExitReason | undefined = undefined
  published = 0
  delivered = 0
  dropped = 0

  constructor(
    name: string,
    node: NodeService,
    options: { readonly replay?: number; readonly notify?: Target },
    onEnd: () => void
  ) {
    this.name = name
    this.node = node
    this.replayMax = options.replay ?? 0
    this.notify = options.notify
    this.onEnd = onEnd
  }

  get subscriberCount(): number {
    return this.subscribers.size
  }

  get replayLength(): number {
    return this.last.length
  }

  subscriberOf(process: Behaviour.Process): ProcessSubscriber | undefined {
    return this.byProcess.get(process)
  }

  publish(payload: unknown): void {
    this.pending.push(payload)
    if (this.busy) return
    this.busy = true
    while (this.pending.length > 0) {
      const event = this.pending.shift()
      const number = ++this.published
      if (this.replayMax > 0) {
        this.last.push(event)
        if (this.last.length > this.replayMax) this.last.shift()
      }
      for (const subscriber of this.subscribers) if (subscriber.after < number) this.hand(subscriber, event)
    }
    this.busy = false
  }

  private hand(subscriber: Subscriber, payload: unknown): void {
    if (subscriber.deliver(payload)) this.delivered++
    else this.dropped++
  }

  addProcess(
    process: Behaviour.Process,
    message: Message.Any,
    map: ((payload: unknown) => unknown) | undefined,
    replay: number
  ): ProcessSubscriber {
    const subscriber = new ProcessSubscriber(this.published, process, message, map)
    this.byProcess.set(process, subscriber)
    subscriber.unwatch = Behaviour.watch(process, () => this.removeProcess(subscriber))
    this.add(subscriber, replay)
    return subscriber
  }

  removeProcess(subscriber: ProcessSubscriber): void {
    subscriber.unwatch()
    this.byProcess.delete(subscriber.process)
    this.remove(subscriber)
  }

  /** A new subscriber: the last events first, then, from the next one on, all. */
  add(subscriber: Subscriber, replay: number): void {
    this.subscribers.add(subscriber)
    const count = Math.min(replay, this.last.length)
    for (let i = this.last.length - count; i < this.last.length; i++) this.hand(subscriber, this.last[i])
    if (this.subscribers.size === 1) this.tell(TopicWatched)
  }

  remove(subscriber: Subscriber): void {
    if (this.subscribers.delete(subscriber) && this.subscribers.size === 0 && this.reason === undefined) {
      this.tell(TopicUnwatched)
    }
  }

  private tell(message: Message.Any): void {
    const process = this.notify === undefined ? undefined : Behaviour.processAt(this.node, this.notify)
    if (process !== undefined) Behaviour.post(process, message, { topic: this.name })
  }

  /** Ends the topic: its name is free first, then the subscribers learn of it. */
  end(reason: ExitReason): void {
    if (this.reason !== undefined) return
    this.reason = reason
    this.onEnd()
    for (const subscriber of this.subscribers) subscriber.end(this, reason)
    this.subscribers.clear()
    this.byProcess.clear()
    for (const { resume } of this.waiting) Behaviour.defer(this.node, () => resume(reason))
    this.waiting.clear()
  }
}
