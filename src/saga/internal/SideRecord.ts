/**
 * One side of a transaction with what belongs to it in the process of its saga: who watches, whom it watches, its timer, its state.
 *
 * @since 0.1.0
 */
import * as Behaviour from "../../process/Behaviour.ts"
import type * as Process from "../../process/Process.ts"
import type { Reference } from "../../term/Reference.ts"
import type * as SagaCore from "../SagaCore.ts"
import type * as SagaMessage from "./SagaMessage.ts"
import { keyOf } from "./SagaModel.ts"
import type { SagaProcess } from "./SagaProcess.ts"

/** A branch that was handed on. */
export interface BranchRecord {
  readonly ref: Reference
  readonly target: Process.Target
  readonly contract: SagaMessage.Messages
  readonly value: unknown
  monitor: Reference | undefined
}

export interface JobRecord {
  readonly value: unknown
  worker: Behaviour.Process | undefined
}

/** One side of a transaction with what belongs to it in this process. */
export class SideRecord {
  core: SagaCore.Side
  readonly arrival: SagaMessage.Begin
  readonly key: string
  readonly monitor: Reference
  readonly branches: Map<string, BranchRecord> = new Map()
  readonly jobs: Map<string, JobRecord> = new Map()
  readonly timer: Due
  armedFor: number | undefined
  /** Set when `begin` has given the first state. */
  begun = false
  state: unknown

  constructor(core: SagaCore.Side, arrival: SagaMessage.Begin, monitor: Reference, saga: SagaProcess) {
    this.core = core
    this.arrival = arrival
    this.key = keyOf(arrival.branch)
    this.monitor = monitor
    this.timer = new Due(saga, this)
  }

  /** Whether the transaction was started here. */
  get origin(): boolean {
    return this.arrival.path.length === 0
  }
}

class Due extends Behaviour.Timer {
  private readonly saga: SagaProcess
  private readonly record: SideRecord

  constructor(saga: SagaProcess, record: SideRecord) {
    super()
    this.saga = saga
    this.record = record
  }

  fire(): void {
    this.saga.instance.system(() => this.saga.due(this.record))
  }
}
