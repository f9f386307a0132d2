/**
 * Handlers that several connections share: processes, each with a value of its own, that run the callbacks of the
 * connections that belong to them.
 *
 * A callback that crashes takes the handler with it, and its connection. Callbacks that waited for that handler have not
 * begun: they wait for the one that takes its place.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as GenServer from "../../otp/GenServer.ts"
import type { SupervisorStartError } from "../../otp/OtpError.ts"
import * as Supervisor from "../../otp/Supervisor.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import type { CallError, StartError } from "../../process/CallError.ts"
import * as Message from "../../process/Message.ts"
import type { Node } from "../../process/Node.ts"
import type { ProcessRef } from "../../process/ProcessRef.ts"
import * as Protocol from "../../process/Protocol.ts"

/** A callback to be run by a handler. */
class Job {
  readonly run: (worker: unknown) => unknown
  /** Whether a handler has begun with it. */
  begun = false

  constructor(run: (worker: unknown) => unknown) {
    this.run = run
  }
}

/** What handlers understand: what connections of their server hand them. Nothing else is an instance of the class. */
class Handler extends Protocol.make(
  "TcpHandler",
  Message.Call("Run", { payload: Schema.instanceOf(Job), success: Schema.Unknown })
) {}

type HandlerRef = ProcessRef<Protocol.Messages<typeof Handler>>

class Slot {
  ref: HandlerRef | undefined = undefined
  starts = 0
  /** Those who wait for the next handler in this place. */
  waiting: Array<() => void> = []
}

/** What a pool is made of. */
export interface PoolParts {
  readonly size: number
  readonly init: (handler: number) => Effect.Effect<unknown, unknown, unknown>
  readonly intensity: number
  readonly periodMillis: number
}

/** @since 0.1.0 */
export class HandlerPool {
  private readonly slots: ReadonlyArray<Slot>

  constructor(size: number) {
    this.slots = Array.from({ length: size }, () => new Slot())
  }

  get restarts(): number {
    return this.slots.reduce((sum, slot) => sum + Math.max(0, slot.starts - 1), 0)
  }

  /** Has the handler of a connection run a callback, and gives what that gave. */
  run(connection: number, callback: (worker: unknown) => unknown): Effect.Effect<unknown, unknown> {
    const slot = this.slots[connection % this.slots.length]!
    const job = new Job(callback)
    const attempt: Effect.Effect<unknown, unknown> = Effect.suspend(() => {
      const { ref } = slot
      return ref === undefined ? wait : Effect.matchEffect(ref.Run(job, { timeout: "Infinity" }), {
        onFailure: (error): Effect.Effect<unknown, unknown> => {
          if (job.begun) return Effect.fail(error)
          if (slot.ref === ref) slot.ref = undefined
          return attempt
        },
        onSuccess: (exit) => exit as Exit.Exit<unknown, unknown>
      })
    })
    const wait = Effect.flatMap(
      Effect.callback<void>((resume) => {
        if (slot.ref !== undefined) return resume(Effect.void)
        slot.waiting.push(() => resume(Effect.void))
      }),
      () => attempt
    )
    return attempt
  }

  /** Starts the handlers, supervised, within the process that runs this. */
  start(parts: PoolParts): Effect.Effect<
    void,
    SupervisorStartError<StartError> | StartError | CallError,
    Node | Scope.Scope
  > {
    const server = GenServer.make(Handler, {
      init: (number: number) =>
        Effect.gen({ self: this }, function*() {
          const worker = yield* parts.init(number) as Effect.Effect<unknown> // failures and services as those of the server
          const instance = (yield* Behaviour.current) as Behaviour.Instance // a server runs in an instance
          this.fill(number, instance)
          return { worker }
        }),
      handlers: {
        Run: (job, { worker }) => {
          job.begun = true
          const decided = job.run(worker)
          if (!Effect.isEffect(decided)) return Exit.succeed(Exit.succeed(decided))
          // A failure is the connection's; a defect is a crash here.
          return Effect.matchCauseEffectEager(decided as Effect.Effect<unknown, unknown>, {
            onSuccess: (value) => Effect.succeed(Exit.succeed(value)),
            onFailure: (cause) =>
              Cause.hasDies(cause)
                ? Effect.failCause(cause as Cause.Cause<never>)
                : Effect.succeed(Exit.failCause(cause))
          })
        }
      }
    })
    return Effect.asVoid(
      Supervisor.start(
        Supervisor.make({
          intensity: parts.intensity,
          period: parts.periodMillis,
          children: this.slots.map((_, number) =>
            Supervisor.child(`handler ${number}`, server, number, { mailbox: { capacity: Infinity } })
          )
        }),
        { link: true }
      )
    )
  }

  private fill(number: number, instance: Behaviour.Instance): void {
    const slot = this.slots[number]!
    slot.ref = Behaviour.refOf(instance, Handler.protocol) as HandlerRef // of its protocol
    slot.starts++
    const { waiting } = slot
    slot.waiting = []
    for (const run of waiting) instance.node.runQueue.push({ run })
  }
}
