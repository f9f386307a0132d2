/**
 * The errors of stages.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import * as ExitReason from "../process/ExitReason.ts"

// Explicit types of the base classes: declarations must be writable file by file (`isolatedDeclarations`).
type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const SubscribeErrorBase: ErrorOf<SubscribeError, "SubscribeError", {
  readonly consumer: typeof Schema.String
  readonly producer: typeof Schema.String
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<SubscribeError>()("SubscribeError", {
  consumer: Schema.String,
  producer: Schema.String,
  detail: Schema.String
})

/**
 * A consumer could not subscribe: its demand cannot be, it is no consumer, or the producer is not there. What the producer
 * itself refuses comes later, as a cancellation.
 *
 * @category errors
 * @since 0.1.0
 */
export class SubscribeError extends SubscribeErrorBase {
  override get message(): string {
    return `${this.consumer} cannot subscribe to ${this.producer}: ${this.detail}`
  }
}

const SubscriptionEndedBase: ErrorOf<SubscriptionEnded, "SubscriptionEnded", {
  readonly producer: typeof Schema.String
  readonly reason: Schema.declare<ExitReason.ExitReason>
}> = Schema.TaggedError<SubscriptionEnded>()("SubscriptionEnded", {
  producer: Schema.String,
  reason: ExitReason.ExitReason
})

/**
 * The producer of a stream cancelled the subscription, crashed, or was lost, and not because it had come to its end.
 *
 * @category errors
 * @since 0.1.0
 */
export class SubscriptionEnded extends SubscriptionEndedBase {
  override get message(): string {
    return `the subscription to ${this.producer} ended with ${
      ExitReason.format(this.reason)
    }; subscribe again, or restart the producer`
  }
}
