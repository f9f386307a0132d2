/**
 * The way of positions from the receivers into the storage: the topic `Positions`, and the pool of workers that it feeds.
 *
 * A receiver publishes a batch. Every worker of the pool hears of it, and the first that has time claims it, stores it and
 * settles it: only then is anything acknowledged. A worker that is killed lets go of its batch, and the one that takes its
 * place announces again what nobody has. Stored twice is stored once, since storage knows duplicates: so nothing is lost
 * but what is counted as dropped.
 *
 * Batches and counts live in the service `Intake`, beside the processes: they are there whichever of them is restarted.
 */
import { Cause, Context, Deferred, Duration, Effect, Exit, Layer, Schedule, Schema } from "effect"
import { Events, GenServer, Pool, Protocol } from "effect-otp"
import { StorageClient } from "./Clients.ts"
import type { Position } from "./Position.ts"

/** How many positions a batch has at most: what storage takes in one transaction. */
export const batchSize = 1000

/** What became of the positions of a batch that is stored. */
export interface Stored {
  readonly stored: number
  readonly duplicates: number
}

/** Positions that could not be stored in time, and why. They are counted as dropped; who has them may send them again. */
export class NotStored extends Schema.TaggedError<NotStored>()("NotStored", {
  positions: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.positions} positions were not stored: ${this.detail}. Send them again later`
  }
}

/** The ways in. */
export type Source = "udp" | "tcp"

/** Positions by what became of them: `received` is the sum of the others. */
export class Tally {
  received = 0
  stored = 0
  duplicates = 0
  invalid = 0
  dropped = 0
  waiting = 0
}

/** Positions that came in together, on their way into the storage. One worker at a time has it. */
export class Batch {
  readonly positions: ReadonlyArray<Position>
  private readonly intake: IntakeState
  private readonly source: Source
  private readonly outcome = Deferred.makeUnsafe<Stored, NotStored>()
  private claimed = false
  private done = false

  constructor(positions: ReadonlyArray<Position>, source: Source, intake: IntakeState) {
    this.positions = positions
    this.source = source
    this.intake = intake
    intake.open.add(this)
  }

  /** What has become of it, once that is known. */
  get settled(): Effect.Effect<Stored, NotStored> {
    return Deferred.await(this.outcome)
  }

  /** Whether it is for the one who asks. */
  claim(): boolean {
    if (this.claimed || this.done) return false
    this.claimed = true
    return true
  }

  /** Whether nobody works on it. */
  get isFree(): boolean {
    return !this.claimed && !this.done
  }

  /** Whoever had it is gone. */
  release(): void {
    this.claimed = false
  }

  /** Says what has become of it, and counts it. Only the first time. */
  settle(exit: Exit.Exit<Stored, NotStored>): void {
    if (this.done) return
    this.done = true
    this.intake.open.delete(this)
    const tally = this.intake.tallies[this.source]
    tally.waiting -= this.positions.length
    if (Exit.isSuccess(exit)) {
      tally.stored += exit.value.stored
      tally.duplicates += exit.value.duplicates
    } else {
      tally.dropped += this.positions.length
    }
    Deferred.doneUnsafe(this.outcome, exit)
  }
}

const notStored = (batch: Batch, detail: string): NotStored =>
  new NotStored({ positions: batch.positions.length, detail })

/** Batches on their way, and what has become of the others. */
export interface IntakeState {
  readonly tallies: { readonly [S in Source]: Tally }
  readonly open: Set<Batch>
}

export class Intake extends Context.Service<Intake, IntakeState>()("traffic/Intake") {
  static readonly layer = Layer.sync(Intake, () => ({
    tallies: { udp: new Tally(), tcp: new Tally() },
    open: new Set<Batch>()
  }))
}

/**
 * What comes in, as it comes in. Subscribers get the batch itself, and read its positions. It keeps the last ones for the
 * process that watches for emergencies: what came while it was restarted is not to escape it.
 */
export const Positions = Events.topic("Positions", Schema.instanceOf(Batch))

/** The topic is there before the first process that uses it, and after the last. */
export const topic = Events.layer(Positions, { replay: 64 })

/**
 * Hands positions over to the ingest pool, without waiting. They must have been counted as waiting.
 */
export const submit = Effect.fnUntraced(function*(source: Source, positions: ReadonlyArray<Position>) {
  const batch = new Batch(positions, source, yield* Intake)
  // Without the topic the application is about to end.
  yield* Effect.catchTag(
    Events.publish(Positions, batch),
    "EventsError",
    (error) => Effect.sync(() => batch.settle(Exit.fail(notStored(batch, error.message))))
  )
  return batch
})

/** Counts what has been decoded; from here on, `submit` or `drop` says what becomes of the positions. */
export const countReceived = (
  tally: Tally,
  decoded: { readonly positions: ReadonlyArray<unknown>; readonly invalid: number }
): void => {
  tally.received += decoded.positions.length + decoded.invalid
  tally.invalid += decoded.invalid
  tally.waiting += decoded.positions.length
}

/** Counts positions for which there is no room. */
export const countDropped = (tally: Tally, count: number): void => {
  tally.waiting -= count
  tally.dropped += count
}

// --- the pool --------------------------------------------------------------------------------------------------------

/** What may be said to a worker: that there is a batch. */
export class Ingest extends Protocol.make("Ingest", Positions.message) {}

export interface Options {
  /** How many batches may be on their way to the storage at a time. */
  readonly size: number
  /** For how long a batch is tried to be stored, while the storage is restarted or cannot be reached. */
  readonly patience: Duration.Input
}

const retries = (patience: Duration.Input) =>
  Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("1 second")]).pipe(
    Schedule.upTo({ duration: patience })
  )

const worker = (patience: Duration.Input) =>
  GenServer.make(Ingest, {
    init: () =>
      Effect.gen(function*() {
        const { open } = yield* Intake
        yield* Events.subscribe(Positions, { replay: 0 })
        // What the one before had, or what came while there was nobody.
        for (const batch of open) if (batch.isFree) yield* Events.publish(Positions, batch)
        return yield* StorageClient
      }),
    handlers: {
      Positions: (batch, storage) => {
        if (!batch.claim()) return GenServer.next(storage)
        return storage.Store({ positions: batch.positions }, { timeout: "10 seconds" }).pipe(
          Effect.retry(retries(patience)),
          Effect.mapError((error) => notStored(batch, error.message)),
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.isSuccess(exit) || Exit.hasFails(exit)) batch.settle(exit)
              // The worker was killed: the batch is for another one. One at which a worker crashes is for nobody.
              else if (Exit.hasInterrupts(exit)) batch.release()
              else batch.settle(Exit.fail(notStored(batch, Cause.pretty(exit.cause))))
            })
          ),
          Effect.ignore({ log: "Warn" }),
          Effect.as(GenServer.next(storage))
        )
      }
    }
  })

/** The registered process `ingest`: workers that finish what they have when they are told to stop. */
export const pool = ({ patience, size }: Options) =>
  Pool.make(worker(patience), { size, shutdown: Duration.sum(Duration.fromInputUnsafe(patience), Duration.seconds(5)) })
