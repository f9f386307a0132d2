/**
 * The error of topics.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ExitReason, format } from "../../process/ExitReason.ts"
import type { ErrorOf } from "./SchemaClass.ts"

const reasons = ["AlreadyOpen", "NotOpen", "Ended"] as const

const EventsErrorBase: ErrorOf<EventsError, "EventsError", {
  readonly topic: typeof Schema.String
  readonly reason: Schema.Literals<typeof reasons>
  readonly exitReason: Schema.optionalKey<typeof ExitReason>
}> = Schema.TaggedError<EventsError>()("EventsError", {
  topic: Schema.String,
  reason: Schema.Literals(reasons),
  exitReason: Schema.optionalKey(ExitReason)
})

/**
 * A topic of this name is open already, or none is, or it has ended with its owner, whose reason is in `exitReason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventsError extends EventsErrorBase {
  /** What happened, to which topic, and what to do about it. */
  override get message(): string {
    switch (this.reason) {
      case "AlreadyOpen":
        return `the topic ${this.topic} is open already (OTP_TOPIC_OPEN); publish to it, ` +
          "or open another with Events.named"
      case "NotOpen":
        return `the topic ${this.topic} is not open on this node (OTP_TOPIC_NOT_OPEN); ` +
          "its owner has ended or was never started"
      case "Ended":
        return `the topic ${this.topic} has ended with its owner (OTP_TOPIC_ENDED): ${
          this.exitReason === undefined ? "no reason" : format(this.exitReason)
        }`
    }
  }
}
