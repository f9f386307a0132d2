/**
 * A transaction as callbacks see it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Process from "../../process/Process.ts"
import type { Reference } from "../../term/Reference.ts"
import * as SagaError from "../SagaError.ts"
import { keyOf } from "./SagaModel.ts"
import type { SagaProcess } from "./SagaProcess.ts"
import type { SideRecord } from "./SideRecord.ts"

const millisOf = (timeout: Duration.Input | undefined): number | undefined =>
  timeout === undefined ? undefined : Math.max(0, Duration.toMillis(Duration.fromInputUnsafe(timeout)))

const requested = (detail: string | undefined): SagaError.CancelReason =>
  new SagaError.Requested({ detail: detail ?? "cancelled" })

/** The one implementation of `SagaServer.Transaction`, untyped. */
export class Transaction {
  private readonly saga: SagaProcess
  private readonly record: SideRecord

  constructor(saga: SagaProcess, record: SideRecord) {
    this.saga = saga
    this.record = record
  }

  get id(): Reference {
    return this.record.arrival.transaction
  }

  get depth(): number {
    return this.record.arrival.path.length
  }

  /** The state of the process itself: what `init` gave. */
  get process(): unknown {
    return this.saga.user
  }

  get remaining(): Effect.Effect<Duration.Duration> {
    return Effect.sync(() => Duration.millis(Math.max(0, this.record.core.deadline - this.saga.now)))
  }

  next(
    name: string,
    to: Process.Target,
    value: unknown,
    options?: { readonly timeout?: Duration.Input; readonly trap?: boolean }
  ): Effect.Effect<Reference, SagaError.SagaRefused> {
    return Effect.suspend(() =>
      this.saga.next(this.record, name, to, value, {
        timeoutMillis: millisOf(options?.timeout),
        trap: options?.trap === true
      })
    )
  }

  job(
    name: string,
    value: unknown,
    options?: { readonly timeout?: Duration.Input }
  ): Effect.Effect<string, SagaError.SagaRefused> {
    return Effect.suspend(() => this.saga.startJob(this.record, name, value, millisOf(options?.timeout)))
  }

  result(value: unknown): Effect.Effect<void, SagaError.SagaRefused> {
    return Effect.suspend(() => this.saga.result(this.record, value))
  }

  interim(value: unknown): Effect.Effect<void, SagaError.SagaRefused> {
    return Effect.suspend(() => this.saga.interim(this.record, value))
  }

  cancel(detail?: string): Effect.Effect<void> {
    return Effect.suspend(() => this.saga.end(this.record, { _tag: "Cancel", reason: requested(detail) }))
  }

  cancelNext(branch: Reference, detail?: string): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.saga.end(this.record, { _tag: "CancelBranch", branch: keyOf(branch), reason: requested(detail) })
    )
  }

  cancelJob(job: string): Effect.Effect<void> {
    return Effect.suspend(() => this.saga.end(this.record, { _tag: "CancelJob", job }))
  }
}
